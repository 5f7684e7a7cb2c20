# Sourced by the scripts beside it.

# packages NAME...: installs the Debian packages that are missing.
packages() {
    local name missing=() sudo=()
    for name in "$@"; do
        dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]}" >&2
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    local install=("${sudo[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}")
    # A list of packages that is missing or out of date is the usual reason.
    "${install[@]}" >&2 || { "${sudo[@]}" apt-get update -qq >&2 && "${install[@]}" >&2; }
}

# Debian's compiler comes with the matching source of the standard library, so
# it can build that for any target. The compilers of rustup cannot use this
# source, and are left alone.
debian_rust() {
    packages rustc-web rust-web-src cargo-web
}
debian_cargo() {
    PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 cargo "$@"
}

# Some checks read what the compiler says, and it says it otherwise in every
# release: from here on cargo is of this one, whatever the default is.
pinned_rust() {
    local release=1.95.0
    [ "$(rustc --version | cut -d ' ' -f 2)" != $release ] || return 0
    rustup toolchain list | grep -q "^$release" ||
        rustup toolchain install --profile minimal $release
    export RUSTUP_TOOLCHAIN=$release
}

# older_libc DIRECTORY: makes there a copy of the package with libc 0.2.189, and prints
# the copy's name. The libc crate 0.2.191 has the generic socket types and flags for
# 64-bit MIPS with glibc, because src/new/glibc/sysdeps/unix/linux/mod.rs names the
# 32-bit architectures twice. The table is right, they differ, and the build stops.
older_libc() {
    rm -rf "$1" && mkdir -p "$1" &&
        git ls-files -z | xargs -0 cp --parents -t "$1" &&
        (cd "$1" && debian_cargo update --quiet --package libc --precise 0.2.189) &&
        echo "$1"
}
