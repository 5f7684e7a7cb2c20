//! Which target gets which table: the one place that reads the target's name.
//! Compiled into `build.rs`, and by a test; the library sees the result.

/// The names that [`table`] can answer, and `posix`, which a porter asks for.
pub(crate) const TABLES: [&str; 23] = [
    "aix",
    "apple-macos",
    "cygwin",
    "dragonfly",
    "emscripten",
    "freebsd",
    "fuchsia",
    "haiku",
    "hurd",
    "illumos",
    "linux",
    "linux-android",
    "linux-android-x86",
    "linux-mips",
    "linux-sparc",
    "netbsd",
    "openbsd",
    "posix",
    "qnx-io-pkt",
    "qnx-io-sock",
    "redox",
    "solaris",
    "vxworks",
];

/// The name of the table for a target, by the values of its `target_os`,
/// `target_arch` and `target_env`.
pub(crate) fn table(os: &str, arch: &str, env: &str) -> Option<&'static str> {
    Some(match (os, arch, env) {
        ("aix", _, _) => "aix",
        ("macos" | "ios" | "tvos" | "watchos" | "visionos", _, _) => "apple-macos",
        ("android", "x86", _) => "linux-android-x86",
        ("android", _, _) => "linux-android",
        ("cygwin", _, _) => "cygwin",
        ("dragonfly", _, _) => "dragonfly",
        ("emscripten", _, _) => "emscripten",
        ("freebsd", _, _) => "freebsd",
        ("fuchsia", _, _) => "fuchsia",
        ("haiku", _, _) => "haiku",
        ("hurd", _, _) => "hurd",
        ("illumos", _, _) => "illumos",
        ("linux", "mips" | "mips32r6" | "mips64" | "mips64r6", _) => "linux-mips",
        ("linux", "sparc" | "sparc64", _) => "linux-sparc",
        ("linux", _, _) => "linux",
        ("netbsd", _, _) => "netbsd",
        // The network stack is part of the environment: QNX 7.0 has io-pkt,
        // 7.1 has either, 8.0 has io-sock.
        ("nto", _, "nto70" | "nto71") => "qnx-io-pkt",
        ("nto", _, "nto71_iosock" | "nto80") | ("qnx", _, _) => "qnx-io-sock",
        ("openbsd", _, _) => "openbsd",
        ("redox", _, _) => "redox",
        ("solaris", _, _) => "solaris",
        ("vxworks", _, _) => "vxworks",
        _ => return None,
    })
}
