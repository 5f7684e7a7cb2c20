"""The checks of other targets, architectures, kernels and C libraries."""
import dataclasses
import os
import platform
import re
import shutil
import time

from common import *

DEBIAN = "rustc-web rust-web-src cargo-web"


def lines(text, words=-1):
    """The lines of a list, each with its first words apart."""
    return [line.split(None, words) for line in text.strip().splitlines()]


def older_libc(at):
    """A copy of the package with libc 0.2.189. The libc crate 0.2.191 has the generic
    socket types and flags for 64-bit MIPS with glibc, because
    src/new/glibc/sysdeps/unix/linux/mod.rs names the 32-bit architectures twice. The table
    is right, they differ, and the build stops."""
    at = copy(at)
    Cargo("update --quiet --package libc --precise 0.2.189", debian=True)(cwd=at)
    return at


# ---- targets ----

# Systems that are no Unix to the compiler and have its calls, or that people ask for.
OTHERS = "helenos hermit motor none solid_asp3 teeos trusty unknown wasi windows xous"
# Architectures that are one to the tables and to rustix.
FAMILIES = {"x86": "x86|x86_64", "arm": "arm|aarch64|arm64ec", "mips": "mips|mips32r6", "mips64": "mips64|mips64r6",
            "powerpc": "powerpc|powerpc64", "wasm": "wasm32|wasm64"}
OUTCOMES = "docs/TARGETS.md"

POSIX = Cargo("test --quiet --tests", target="unknown")
# What hangs on facts that the conservative table does not have, by name.
WITHOUT_FACTS = {
    "of_target": "no table of the copy serves Linux",
    "headers": "it compares the table of the machine by its name",
    "platforms_": "what checks each table, by the targets' names",
    "every_operation_answers": "which system call makes a pipe",
}


@dataclasses.dataclass
class Known:
    """A target of a compiler, and what the build script says for it."""

    name: str
    system: str
    family: str
    table: str  # "-" if it is refused
    said: str

    @property
    def key(self):
        return self.system, self.family, self.table


def known_targets(program, path, **wanted):
    """The Unix targets of a compiler, those of OTHERS, and what the build script says."""

    def one(target):
        # The warnings are about compiling for the target, which nobody does here.
        status, cfg = run("sh", "-c", 'exec rustc --print cfg --target "$0" 2>/dev/null', target, ok=False, PATH=path)
        if status:
            # Debian's LLVM has not every machine that its compiler has a name for.
            return None
        value = {name: "" for name in ("os", "arch", "env")} | dict(re.findall(r'^target_(\w+)="(.*)"$', cfg, re.M))
        unix = "unix" in cfg.splitlines()
        if not unix and value["os"] not in OTHERS.split():
            return None
        env = {f"CARGO_CFG_TARGET_{name.upper()}": text for name, text in value.items()} | wanted
        said = run(program, CARGO_FEATURE_STD=1, **env, **({"CARGO_CFG_UNIX": ""} if unix else {}))
        table = re.search(r"WOULDBLOCK_TABLE=(.*)", said)
        words = re.search(r"^cargo::(?:error|warning)=(.*)", said, re.M)
        families = [name for name, pattern in FAMILIES.items() if re.fullmatch(pattern, value["arch"])]
        family = (families or [value["arch"]])[0] if unix else "any"
        return Known(target, value["os"], family, table[1] if table else "-", words[1] if words else "")

    return list(filter(None, parallel(run("rustc", "--print", "target-list", PATH=path).split(), one)))


def outcome(output, status):
    """What a build for a target came to, by what it printed: whether build.rs refuses it,
    and which crate does not build."""
    if "could not create LLVM TargetMachine" in output or "could not find specification for target" in output:
        return "not built: Debian's compiler cannot"
    refused = re.search(r"error: wouldblock@\S+?: wouldblock (.*)", output)
    failed = re.search(r"could not compile `(?!wouldblock`)([\w-]+)`(?:.* due to (\d+) previous error)?", output)
    said = ["refused: " + refused[1].partition(": ")[2].partition(". ")[0]] if refused else []
    if failed:
        first = re.search(r"^error(?:\[E\d+\])?: (?!wouldblock@)(.*)", output, re.M)[1]
        count = int(failed[2] or 1)
        said.append(f"{failed[1]} does not build: {first.replace('|', '')}{f' (of {count} errors)' if count > 1 else ''}")
    elif status and not refused:
        said.append("FAILS by this crate")
    return "; ".join(said) or "builds"


def build_outcomes(program, systems):
    """Builds for one target of each system, architecture family and table, of these systems
    or of all. What `cross` builds too is built in its directory, and kept."""
    chosen = {}
    listed = [line[0] for line in lines(TARGETS)]
    # By two compilers: neither knows all that the other does.
    for known in known_targets(program, "/usr/bin:/bin") + known_targets(program, os.environ["PATH"]):
        if systems and known.system not in systems:
            continue
        if known.key not in chosen or known.name in listed and chosen[known.key].name not in listed:
            chosen[known.key] = known
    libc = older_libc("targets-libc")

    def one(known):
        # libc 0.2.191 is wrong there: see older_libc.
        cwd = libc if known.family == "mips64" else ROOT
        for std in (False, True):
            command = cross_check(known.name, std)
            status, output = command("--keep-going", cwd=cwd, ok=False, echo=False)
            if "needs its feature `std`" not in output:
                break
        if known.name not in listed:
            shutil.rmtree(command.directory, ignore_errors=True)
        (TARGET / "cross").mkdir(exist_ok=True)
        (TARGET / f"cross/{known.name}.log").write_text(output)
        result = outcome(output, status) + (", with std" if std and not status else "")
        print(f"{known.name:36} {known.table:18} {result}", flush=True)
        return known, result

    built = dict(zip(chosen, parallel(chosen.values(), one)))
    return {key: (result, known.name) for key, (known, result) in built.items()}


NO_TABLE_OF_ITS_OWN = {"posix": "the conservative one", "-": "none"}


def outcomes_page(built):
    rows = {}
    for (system, family, its), (result, target) in sorted(built.items()):
        rows.setdefault((system, its, result), []).append((family, target))
    compiler = run("/usr/bin/rustc", "--version").split()[1]
    lines = [[system, ", ".join(family for family, _ in row), NO_TABLE_OF_ITS_OWN.get(its, f"`{its}`"), result,
              ", ".join(target for _, target in row)] for (system, its, result), row in rows.items()]
    return "\n".join([
        "# Targets", "",
        "What a build comes to for every target of the compiler that is a Unix, and for some that are not: with",
        f"Debian's rustc {compiler}, without std where the table does not want it. One target is built of each",
        "system, family of architectures and table. Written by `ci/check targets --write`; `ci/check targets`",
        "holds the first three columns against the compiler's list on every change.", "",
        table(["`target_os`", "architectures", "table", "outcome", "built"], lines), ""])


def written_outcomes():
    """The outcome, and the target, of each system, family and table of the page."""
    if not (ROOT / OUTCOMES).exists():
        return {}
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (ROOT / OUTCOMES).read_text().splitlines()
            if line.startswith("|")][2:]
    names = {word: name for name, word in NO_TABLE_OF_ITS_OWN.items()}
    return {(system, family, names.get(its, its.strip("`"))): (result, target)
            for system, families, its, result, built in rows
            for family, target in zip(families.split(", "), built.split(", "))}


@check("[--write [TARGET_OS...]]", packages=DEBIAN, builds=[POSIX], control="a target that is taken out of its table", faults=[
    Fault("a table that does not serve its system", "src/platform/freebsd.rs", 'Target::os("freebsd")',
          'Target::os("freebds")', "freebsd arm posix is not in docs/TARGETS.md"),
    Fault("a reason that need not be", "src/platform/choice.rs", '"horizon"', '"netbsd"', "netbsd is in NO_TABLE"),
    Fault("a build that fails by this crate", OUTCOMES, "| builds |", "| FAILS |", "FAILS"),
    Fault("a target that nobody has built for", OUTCOMES, "| vita |", "| viva |", "vita arm vita is not in")])
def targets(*arguments):
    """docs/TARGETS.md has every Unix target of the compiler, and no build on it fails by
    this crate; a Unix without a table gets a warning and the conservative one, which passes
    the suite. --write builds for one target of each system (or these), and writes the page.

    The list of the compiler is not in the tests: `cargo test` has to pass on any later one.
    """
    with temporary() as at:
        program = f"{at}/build"
        run("rustc", "--edition", "2024", "-o", program, ROOT / "build.rs")
        if "--write" in arguments:
            systems = [word for word in arguments if word != "--write"]
            built = build_outcomes(program, systems)
            (ROOT / OUTCOMES).write_text(outcomes_page({**(written_outcomes() if systems else {}), **built}))
        found = known_targets(program, os.environ["PATH"])
        strict = known_targets(program, os.environ["PATH"], CARGO_CFG_WOULDBLOCK_PLATFORM="known")
    written = written_outcomes()
    wrong = [f"{' '.join(key)} is not in {OUTCOMES}: ci/check targets --write"
             for key in sorted({known.key for known in found} - written.keys())]
    wrong += [f"{' '.join(key)}: {result}" for key, (result, _) in written.items() if "FAILS" in result]
    reasons = re.search(r"NO_TABLE.*?\];", (ROOT / "src/platform/choice.rs").read_text(), re.S)[0]
    wrong += [f"{system} is in NO_TABLE of src/platform/choice.rs, and need not be"
              for system in re.findall(r'\("(\w+)",', reasons)
              if any(known.system == system and known.table != "-" for known in found)]
    # Who wants an error instead of the conservative table gets it, and nobody else does.
    wrong += [f"{known.name}: with wouldblock_platform=\"known\": {other.table}, {other.said}"
              for known, other in zip(found, strict)
              if other.table != (known.table if known.table != "posix" else "-")]
    wrong += [f"{known.name}: no sentence that names docs/PORTING.md: {known.said}"
              for known in found if known.table in ("posix", "-") and "docs/PORTING.md" not in known.said]
    if wrong:
        fail("\n".join(wrong))
    served = [sum(known.table not in ("posix", "-") for known in found), sum(known.table == "posix" for known in found)]
    print(f"{served[0]} targets have a table, {served[1]} get the conservative one")

    # What a porter meets. This system is unknown to the copy.
    at = copy("unknown-target")
    put(at / "src/platform/linux.rs", 'Target::os("linux")]', 'Target::os("l1nux")]')
    output = run("cargo", "build", "--examples", cwd=at, **POSIX.environment())
    said = re.findall(r"^warning: wouldblock.*", output, re.M)
    if len(said) != 1 or "docs/PORTING.md" not in said[0]:
        fail(f"an unknown target is not told in one sentence that names docs/PORTING.md:\n{output}")
    print(f"an unknown target is told:\n{said[0]}", flush=True)
    output = run("cargo", "run", "--quiet", "--example", "conformance", cwd=at, **POSIX.environment())
    if not re.search(r"posix.*docs/PORTING.md", output):
        fail(f"the conformance example does not say that there is no table:\n{output}")
    skip = [word for name in WITHOUT_FACTS for word in ("--skip", name)]
    passed = suite(POSIX, "--no-fail-fast", "--", *skip, cwd=at)
    figure(f"{served[0]} targets with a table, {served[1]} on the conservative one, {len(found) - sum(served)} refused; "
           f"{passed} tests passed on the conservative one")


# ---- cross ----

# What builds (with std, no_std alone or std alone), and the file of its table. The six of a run without
# arguments are marked, and two of them are built with std too, which takes ten times as
# long: what needs std is the same code for all. They are the numberings that have least in common: two BSDs that
# differ in EPROTO and in every flag, Apple without accept4, System V's errno numbers,
# Haiku's negative ones, and the Linux architecture furthest from the others.
TARGETS = """
x86_64-unknown-freebsd            std     freebsd    six+
aarch64-apple-darwin              std     apple      six+
x86_64-unknown-netbsd             std     netbsd     six
x86_64-unknown-illumos            std     solarish   six
x86_64-unknown-haiku              std     haiku      six
sparc64-unknown-linux-gnu         std     linux      six
x86_64-apple-darwin               std     apple      -
aarch64-apple-ios                 std     apple      -
x86_64-unknown-openbsd            std     openbsd    -
x86_64-unknown-dragonfly          std     dragonfly  -
x86_64-pc-solaris                 std     solarish   -
x86_64-unknown-hurd-gnu           std     hurd       -
x86_64-unknown-redox              std     redox      -
aarch64-unknown-nto-qnx710        std     qnx        -
x86_64-pc-cygwin                  std     cygwin     -
aarch64-linux-android             std     linux      -
i686-linux-android                std     linux      -
x86_64-unknown-linux-musl         std     linux      -
s390x-unknown-linux-gnu           std     linux      -
mips-unknown-linux-gnu            std     linux      -
mips64el-unknown-linux-gnuabi64   std     linux      -
powerpc64-ibm-aix                 no_std  aix        -
x86_64-unknown-fuchsia            std     fuchsia    -
wasm32-unknown-emscripten         no_std  emscripten -
armv7-sony-vita-newlibeabihf      no_std  newlib     -
riscv32imc-esp-espidf             only    newlib     -
"""


def cross_check(target, std, tests=False):
    """The command for a target, without std or with it. Nothing is generated, and std is
    built without its backtraces: only what the compiler says counts. Each target builds in
    a directory of its own, so that two can build at once."""
    features, library = ("--features=std,alloc", "std,panic_abort") if std else ("--no-default-features", "core")
    # Fuchsia's std does not compile without.
    std_features = "backtrace" if target.endswith("-fuchsia") else ""
    return Cargo(f"check {'--tests' if tests else '--lib'} --target {target} -Zbuild-std={library} "
                 f"-Zbuild-std-features={std_features} {features}", target=f"cross/{target}", flags="-Zno-codegen",
                 debian=True, env=(("CARGO_BUILD_JOBS", 1), ("CARGO_INCREMENTAL", 0), ("CARGO_PROFILE_DEV_DEBUG", 0)))


SIX = {target: (False, True)[:1 + (mark == "six+")] for target, _, _, mark in lines(TARGETS) if mark != "-"}


@check("[--all | [--tests] TARGET...]", packages=DEBIAN,
       builds=[cross_check(target, std) for target, with_std in SIX.items() for std in with_std],
       control="a wrong number in the table of each target")
def cross(*arguments):
    """Six foreign targets (--all: every one that builds), each table held against the
    target's constants; then with a wrong number, which has to stop the build.

    Without std and with it, but for four of the six. By Debian's compiler, which builds
    std from its source. --tests compiles the tests too. The logs are in target/cross.
    """
    tests, chosen = "--tests" in arguments, [word for word in arguments if word[0] != "-"]
    known = {line[0]: line for line in lines(TARGETS)}
    unknown = set(chosen) - set(known)
    if unknown:
        fail(f"not known: {unknown}")
    with_std = {target for target in known if chosen or "--all" in arguments or True in SIX.get(target, ())}
    chosen = list(known) if "--all" in arguments else chosen or list(SIX)
    begin = time.monotonic()
    logs = TARGET / "cross"
    logs.mkdir(parents=True, exist_ok=True)
    libc = older_libc("cross-libc") if any(target.startswith("mips64") for target in chosen) else None

    def one(target):
        began, (_, std, table, _) = time.monotonic(), known[target]
        cwd = libc if target.startswith("mips64") else ROOT
        with open(logs / f"{target}.log", "w") as log:
            def builds(command, at):
                status, output = command(cwd=at, ok=False, echo=False)
                log.write(output)
                return not status, output
            verdict = {True: "ok", False: "FAILED"}
            least = cross_check(target, std == "only")
            result = {"no_std": "-", "std": "-", "wrong": "BUILT"}
            result["std" if std == "only" else "no_std"] = verdict[builds(least, cwd)[0]]
            if std == "std" and target in with_std:
                result["std"] = verdict[builds(cross_check(target, True, tests), cwd)[0]]
            # The same crate with one wrong number in the table.
            at = logs / "wrong" / target
            shutil.rmtree(at, ignore_errors=True)
            at.mkdir(parents=True)
            for name in ("src", "examples"):
                shutil.copytree(cwd / name, at / name)
            for name in ("Cargo.toml", "Cargo.lock", "build.rs"):
                if (cwd / name).exists():
                    shutil.copy(cwd / name, at)
            file = at / f"src/platform/{table}.rs"
            file.write_text(re.sub(r"^( +einprogress: )", r"\g<1>1 + ", file.read_text(), flags=re.M))
            built, output = builds(least, at)
            if "the platform table is wrong for this target: einprogress" in output:
                result["wrong"] = "stopped"
            elif not built:
                result["wrong"] = "FAILED"
        print(f"{target:34} no_std {result['no_std']:7} std {result['std']:7} wrong number {result['wrong']:8}"
              f"{time.monotonic() - began:5.0f} s", flush=True)
        return "FAILED" not in (result["no_std"], result["std"]) and result["wrong"] == "stopped"

    good = parallel(chosen, one)
    print(run("/usr/bin/rustc", "--version"), end="")
    if not all(good):
        fail(f"the logs are in {logs}")
    figure(f"{len(chosen)} targets{' with tests' if tests else ''} in {time.monotonic() - begin:.0f} s")


# ---- foreign ----

# Tests that cannot mean anything under emulation, by name or a part of it.
# ARCH (or all), test, reason.
EMULATED = """
all      a_peek_offset_past_the_data                        qemu knows no SO_PEEK_OFF: ENOPROTOOPT
all      poll_for_late_peer_waits_without_cpu_time          the CPU time is that of qemu, which translates the program meanwhile
all      crowded_room_uses_no_processor                     the same
all      newcomer_without_a_descriptor_left                 qemu does not start with so few descriptors
all      proxy_without_descriptors_rests_and_recovers       the same
all      _by_strace                                         strace sees the calls of qemu
all      record_                                            the example starts itself, and it is qemu that would have to be started
all      send_fds_with_an_empty_datagram_passes_them        qemu 7.2 loses a message without bytes
all      send_msg_sends_the_buffers_as_one                  the same
all      send_to_a_full_netlink_receiver                    qemu 7.2 knows no NETLINK_USERSOCK: EPROTONOSUPPORT
s390x    recv_after_a_netlink_overrun                       under qemu 7.2 no answer comes to a big-endian machine
mips     recv_after_a_netlink_overrun                       the same
sparc64  recv_after_a_netlink_overrun                       the same
mips     connect_again_after_a_refusal                      qemu 7.2 does not translate SO_ERROR: 111 for 146
mips     connect_refused_is_told_once                       the same
mips     finish_connect_after_the_new_connection_was_reset  the same
mips     connect_under_a_deadline_nobody_listens            the same
mips     proxy_of_refusing_target                           the same
mips     sigterm_ends_the_listening                         the same
mips64el connect_again_after_a_refusal                      the same
mips64el connect_refused_is_told_once                       the same
mips64el finish_connect_after_the_new_connection_was_reset  the same
mips64el connect_under_a_deadline_nobody_listens            the same
mips64el proxy_of_refusing_target                           the same
mips64el sigterm_ends_the_listening                         the same
mips64el client_that_never_reads                            the memory is that of qemu, which translates: 2212 KiB more for 32 MiB and for 128
sparc64  connect_again_after_a_refusal                      qemu 7.2 does not translate SO_ERROR: 111 for 61
sparc64  connect_refused_is_told_once                       the same
sparc64  finish_connect_after_the_new_connection_was_reset  the same
sparc64  connect_under_a_deadline_nobody_listens            the same
sparc64  proxy_of_refusing_target                           the same
sparc64  sigterm_ends_the_listening                         the same
sparc64  readiness_of_a_stream_follows_its_peer             qemu hands the bits of poll on as they are; POLLRDHUP is 0x800 on SPARC, 0x2000 here
sparc64  conformance_                                       the same: the example says that the fact differs
sparc64  client_that_never_reads                            the same; by that bit the chat sees a hang-up while it does not read
sparc64  client_that_vanishes_from_a_crowded_room           the same
"""
# Facts that differ under emulation. ARCH, fact, reason.
DIFFERENT_FACTS = """
sparc64 pollrdhup qemu hands the bits of poll on as they are
"""
# ARCH, Rust's target, GNU's name, Debian's name, rustix backends. rustix calls
# the kernel itself (raw) or by the C library (libc). Its raw backend for s390x and
# mips64el is an experiment behind a cfg (experimental); for big-endian MIPS and SPARC
# it has none.
MACHINES = """
s390x    s390x-unknown-linux-gnu          s390x-linux-gnu         s390x    experimental,libc
mips     mips-unknown-linux-gnu           mips-linux-gnu          mips     libc
sparc64  sparc64-unknown-linux-gnu        sparc64-linux-gnu       sparc64  libc
mips64el mips64el-unknown-linux-gnuabi64  mips64el-linux-gnuabi64 mips64el experimental,libc
armv7    armv7-unknown-linux-gnueabihf    arm-linux-gnueabihf     armhf    raw,libc
aarch64  aarch64-unknown-linux-gnu        aarch64-linux-gnu       arm64    raw,libc
riscv64  riscv64gc-unknown-linux-gnu      riscv64-linux-gnu       riscv64  raw,libc
"""
BACKENDS = {"raw": ("", "linux_raw"), "libc": ("--cfg rustix_use_libc", "libc"),
            "experimental": ("--cfg rustix_use_experimental_asm", "linux_raw")}


# netcat and socat are programs that tests talk through: under qemu, the start of one that
# is not installed seems to succeed.
@check("[ARCH...]", packages=f"{DEBIAN} qemu-user netcat-openbsd socat",
       control="the name of a test that is skipped and that nobody has", faults=[
    Fault("a test is skipped that no longer is there", "ci/machines.py", "all      a_peek_offset",
          "all      the_peek_offset", "no test is called the_peek_offset", ("aarch64",))])
def foreign(*archs):
    """The suite, its doc tests and the examples on other architectures, under qemu's
    user-mode emulation: s390x mips sparc64 mips64el armv7 aarch64 riscv64.

    Big-endian and 32-bit machines, and MIPS and SPARC, whose errno numbers and flags are
    their own. The system calls are those of this machine's kernel, with numbers, flags
    and structures translated by qemu. The logs are in target/foreign.
    """
    known = {line[0]: line for line in lines(MACHINES)}
    if set(archs) - set(known):
        fail(f"not known: {set(archs) - set(known)}")
    rows = [(arch, backend) for arch in archs or known for backend in known[arch][4].split(",")]
    packages(*(f"gcc-{known[arch][2]}" for arch, _ in rows), *(f"libc6-dev-{known[arch][3]}-cross" for arch, _ in rows))
    logs = TARGET / "foreign"
    logs.mkdir(parents=True, exist_ok=True)
    # Before the rows, which run at once.
    older = {backend: older_libc(f"foreign/mips64el-{backend}-package") for arch, backend in rows if arch == "mips64el"}

    def one(row):
        began, (arch, backend) = time.monotonic(), row
        _, target, gnu, _, _ = known[arch]
        emulator = f"qemu-{'arm' if arch == 'armv7' else arch} -L /usr/{gnu}"
        variable = f"CARGO_TARGET_{target.upper().replace('-', '_')}"
        flags, cfg = BACKENDS[backend]
        # Without optimisation, of std too, a test can take a minute on SPARC that takes a
        # second so; the checks of a debug build stay. A backtrace under qemu takes a
        # minute to find its names. The last is for tests that start themselves again.
        env = {f"{variable}_LINKER": f"{gnu}-gcc", f"{variable}_RUNNER": emulator, "RUST_BACKTRACE": 0,
               "CARGO_INCREMENTAL": 0, "CARGO_PROFILE_DEV_DEBUG": 0, "CARGO_PROFILE_DEV_OPT_LEVEL": 1,
               "WOULDBLOCK_TEST_RUNNER": emulator}
        cwd = older[backend] if arch == "mips64el" else ROOT
        skip = [name for on, name, _ in lines(EMULATED, 2) if on in (arch, "all")]
        facts = sorted(fact for on, fact, _ in lines(DIFFERENT_FACTS, 2) if on == arch)
        problem = ""

        def cargo(words, *more, ok=False):
            command = Cargo(f"{words} -Zbuild-std --target {target}", cwd, f"foreign/{arch}-{backend}", flags, True)
            status, output = command(*more, ok=False, echo=False, **env)
            log.write(output)
            log.flush()
            if status and not ok:
                raise RuntimeError(f"cargo {words} failed")
            return output

        count = [0] * 4
        with open(logs / f"{arch}-{backend}.log", "w") as log:
            try:
                # A name that no test has any more skips nothing, and would stay.
                names = cargo("test --all-features", "--", "--list")
                gone = [name for name in skip if name not in names]
                if gone:
                    raise RuntimeError(f"no test is called {' '.join(gone)}")
                outputs = (logs / f"{arch}-{backend}" / target).glob("debug/build/rustix-*/output")
                if not any(f"cargo:rustc-cfg={cfg}\n" in output.read_text() for output in outputs):
                    raise RuntimeError(f"rustix was not built with {cfg}")
                without = [word for name in skip for word in ("--skip", name)]
                output = cargo("test --all-features --no-fail-fast", "--", *without)
                count = results(output)
                # They come last.
                if "Doc-tests wouldblock" not in output:
                    raise RuntimeError("the doc tests did not run")
                cargo("run --example tour")
                # It fails where a fact differs, and that may be the emulator's.
                output = cargo("run --example conformance", ok=True)
                if not re.search(r"^\d+ agree, ", output, re.M):
                    raise RuntimeError("conformance did not reach its end")
                differ = sorted(re.findall(r"^DIFFERS *([a-z_]*)", output, re.M))
                if differ != facts:
                    raise RuntimeError(f"conformance: {differ} differ")
            except RuntimeError as error:
                failed = re.findall(r"^test (.*) \.\.\. FAILED$", (logs / f"{arch}-{backend}.log").read_text(), re.M)
                problem = " ".join([str(error), *dict.fromkeys(failed)])
        print(f"{arch:8} {backend:12} {problem or 'ok':7} passed {count[0]:4} failed {count[1]:3} ignored {count[2]:3} "
              f"left out {count[3]:3} {time.monotonic() - began:5.0f} s", flush=True)
        return not problem, count[0]

    done = parallel(rows, one)
    print(run("/usr/bin/rustc", "--version"), run("qemu-aarch64", "--version").splitlines()[0], sep="")
    print(*(f"left out on {' '.join(line)}" for line in lines(EMULATED)), sep="\n")
    if not all(ok for ok, _ in done):
        fail(f"the logs are in {logs}")
    least, most = (f(count for _, count in done) for f in (min, max))
    figure(f"{len(rows)} rows, {least} to {most} tests passed on each")


# ---- gVisor ----

# Test, or fact of the conformance example; after two spaces, what gVisor 20221219
# answers where Linux answers otherwise.
GVISOR = """
false_readiness_a_datagram_to_a_full_named_queue_polls_writable  EAGAIN after about 71000 datagrams (Linux: 11), and the socket then polls as not writable, even when the queue was read (Linux: writable at once)
send_to_full_datagram_name_is_refused  the same
r_sendto_with_ones_own_buffer_full_would_block_and_the_event_comes  the same
retry_to_a_full_named_queue_that_stays_full_ends_with_eagain  the same
set_that_sends_to_a_full_named_queue_does_not_spin  the same
false_readiness_a_one_page_pipe_with_room_polls_as_not_writable  writable, as it is (Linux: not)
false_readiness_a_peek_offset_past_the_data_polls_readable  SO_PEEK_OFF is taken and ignored (Linux: EAGAIN past the data)
waits_on_a_peek_offset_past_the_data_do_not_spin  the same
false_readiness_a_datagram_socket_whose_peer_closes_polls_as_not_readable  readable, and recv gives 0 again and again (Linux: not, and EAGAIN)
false_readiness_an_undrained_error_queue_keeps_the_error_up  IP_RECVERR is taken, but there is no error queue: after ECONNREFUSED only POLLOUT (Linux: POLLERR stays)
readiness_of_a_stream_follows_its_peer  no POLLRDHUP (Linux: POLLIN and POLLRDHUP)
fact: pollrdhup (peer shut down)  the same
set_told_of_a_hang_up_is_told_at_a_slowing_pace  no POLLHUP from an AF_UNIX socket whose peer is gone (Linux: set)
set_told_of_hang_up_while_it_is_full_waits_for_that_alone  the same
set_on_an_end_that_is_read_again_and_again_does_not_spin  the same, so that the end of a SEQPACKET looks like an empty message
fact: packet_pipes  O_DIRECT on a pipe is taken and means nothing (Linux: it keeps messages)
writev_of_too_many_buffers_for_one_message_is_refused  EINVAL from pipe2 with O_DIRECT (Linux: a pipe that keeps messages)
fact: a full AF_UNIX queue is WouldBlock only with an event  EAGAIN while it polls as not writable, and no event comes (Linux: it polls as writable)
readiness_of_urgent_data_is_priority  MSG_OOB sends ordinary data: POLLIN (Linux: POLLPRI)
set_told_of_an_urgent_byte_again_and_again_does_not_spin  the same
recv_from_a_peer_that_left_our_bytes_unread_is_reset_once  ECONNRESET from every recv (Linux: from the first, then 0)
recv_into_an_empty_buffer_is_what_the_documentation_says  0 from an empty socket (Linux: EAGAIN)
recv_msg_of_a_cut_message_tells_its_length_to_a_peek_alone  a peek into an empty buffer shows the whole of a message (Linux: it is cut)
write_to_a_peer_that_is_gone_raises_sigpipe  EPIPE and no signal on a socket; a pipe does raise it (Linux: SIGPIPE)
writev_to_a_peer_that_is_gone_raises_sigpipe  the same
write_after_the_end_raises_sigpipe  the same
accept_without_a_descriptor_left_says_back_off_and_loses_nobody  EMFILE once, and the connection is lost: then EAGAIN, and nothing to poll (Linux: it stays queued)
server_as_documented_does_not_spin_without_descriptors_and_recovers  the same: the clients are lost
retry_of_accept_without_a_descriptor_left_recovers  the same
newcomer_without_a_descriptor_left_waits_until_somebody_leaves  the same
set_that_accepts_without_a_descriptor_left_waits_and_recovers  the same
every_python_block_runs  the same
src/lib.rs - from_python  the same, in Rust
recv_fds_without_descriptors_left_says_that_some_were_lost  no MSG_CTRUNC where descriptors were dropped (Linux: set)
recv_fds_with_a_limit_of_no_descriptors_says_that_it_is_a_shortage  the same
recv_fds_with_a_closure_that_panics_before_other_control_data_unwinds  SO_PASSPIDFD is taken and ignored (Linux: the process comes, as one descriptor more)
recv_fds_with_control_data_cut_says_lost_and_no_reason  IPV6_DSTOPTS is taken and sends nothing (Linux: what does not fit into the control data)
accept_after_the_listener_was_shut_down_fails_and_polls_hung_up  the listener polls as nothing (Linux: POLLOUT and POLLHUP)
set_on_an_error_that_stays_does_not_spin_and_hands_it_on  the same
accept_on_what_is_no_listener_fails  EINVAL from a datagram pair (Linux: EOPNOTSUPP)
connect_on_a_listener_fails  EINVAL (Linux: EISCONN)
connect_refused_is_told_once_after_polling  SO_ERROR keeps the refusal when it was read (Linux: 0 from then on)
connect_refused_is_told_once_without_polling  the same
connect_again_after_a_refusal_is_a_new_attempt  ECONNABORTED every time (Linux: once, then a new attempt)
connect_to_a_full_unix_backlog_starts_nothing_and_says_so  EAGAIN, and the socket polls as nothing (Linux: POLLOUT and POLLHUP)
connect_to_a_unix_listener_interrupted_by_a_signal_is_made_again  a blocking connect to a full backlog comes back (Linux: it sleeps)
connect_to_a_unix_name_where_nobody_listens_fails_at_once  an unconnected AF_UNIX socket polls as nothing, so finish_connect sees an attempt under way (Linux: POLLOUT and POLLHUP)
finish_connect_on_a_socket_that_was_never_connected_says_so  the same
connect_to_an_address_of_another_family_fails  EINVAL (Linux: EAFNOSUPPORT from a TCP socket)
creation_in_a_family_that_there_is_not_fails  ESOCKTNOSUPPORT from an internet socketpair (Linux: EOPNOTSUPP)
send_msg_sends_the_buffers_as_one  an empty datagram on a pair is lost (Linux: it arrives)
ops::stand_in::tests::sendmsg_stand_in_sends_one_buffer_and_refuses_what_is_more  the same
set_with_empty_messages_is_not_slowed_down  the same
recv_msg_of_a_datagram_says_whether_it_was_cut_off  the same
send_fds_with_an_empty_datagram_passes_them  the same, with its descriptors
send_to_without_a_receiver_fails  EINVAL for a name whose socket is gone (Linux: ECONNREFUSED)
send_to_a_full_unix_receiver_is_no_would_block_and_says_back_off  polls as not writable, as in the first (Linux: writable at once)
connect_of_a_datagram_socket_without_a_port_left_backs_off  IP_LOCAL_PORT_RANGE is taken and ignored: there is a port (Linux: EAGAIN)
connect_of_a_stream_without_a_port_left_fails_until_there_is_one  the same (Linux: EADDRNOTAVAIL)
false_readiness_a_datagram_socket_without_a_local_port_polls_writable  the same
false_readiness_a_stream_below_its_low_water_mark_polls_as_not_readable  polls as readable (Linux: not)
until_recv_of_less_than_the_low_water_mark_gets_it_at_the_deadline  the same
read_of_a_master_whose_slave_is_closed_fails_until_one_is_opened  EAGAIN (Linux: EIO)
read_of_the_terminal_in_the_background_fails_until_it_is_in_front  EAGAIN, as in front (Linux: EIO)
c06_sigttin_read_in_the_background_ends_and_says_so  no SIGTTIN: it reads, as in front (Linux: the signal)
c06_sigttin_a_wait_rests_and_ends_on_its_time  the same
std_io::c06_sigttin_read_exact_ends  the same
c06_sigttou_write_in_the_background_ends_and_says_so  no SIGTTOU: it writes, as in front (Linux: the signal)
c06_sigttou_write_all_ends_on_its_time  the same
std_io::c06_sigttou_write_all_ends  the same
ready_zero_of_a_terminal_with_vmin_0_is_nothing_yet  EAGAIN (Linux: 0)
waits_on_a_terminal_that_reads_nothing_as_0_do_not_spin  the same
ready_zero_of_a_terminal_after_ctrl_d_is_told_once  Ctrl-D is not told (Linux: 0, once)
ready_zero_of_seqpacket_is_the_end_where_the_readiness_says_so  an empty message on a pair is lost (Linux: it arrives)
recv_after_a_netlink_overrun_fails_once  the receive buffer holds any number (Linux: ENOBUFS)
send_to_a_full_netlink_receiver_is_no_would_block_and_says_back_off  there is no NETLINK_USERSOCK
recv_of_packets_fails_once_when_the_device_goes_down  the loopback device of a new namespace is up (Linux: down)
send_to_a_healthy_peer_fails_once_for_an_earlier_refusal  IP_RECVERR is taken, but reports nothing (Linux: ECONNREFUSED)
send_to_a_server_that_restarts_fails_until_it_is_back  EINVAL for a name whose socket is gone (Linux: ECONNREFUSED)
write_to_a_tunnel_that_is_down_fails_until_it_is_up  taken (Linux: EIO)
c09_toomanyrefs_in_flight_says_back_off_and_passes  any number of descriptors may be in flight (Linux: ETOOMANYREFS)
waits_with_too_many_descriptors_in_flight_do_not_spin  the same
conformance_on_this_system_agrees_with_its_table  the fact pollrdhup
conformance_for_a_program_has_five_columns_and_every_field  the same
conformance_with_few_descriptors_says_what_it_could_not_see  the same
"""
# Tests that cannot mean anything there: test, or a part of its name; two spaces; reason.
GVISOR_SKIPS = """
poll_for_late_peer_waits_without_cpu_time  gVisor counts CPU time in ticks of 10 ms; the test allows 3
until_for_late_peer_is_one_call_without_cpu_time  the same
poll_of_many_short_waits_uses_no_cpu_to_speak_of  the same; the test allows 100 for 200 waits
send_to_a_unix_name_in_a_storm_loses_and_doubles_nothing  no event tells that a full named queue has room, and whether it fills is chance
waits_on_a_liar_serve_what_comes_at_most_one_rest_later  what comes to a datagram socket shut down for reading is dropped, and the loop by hand has no end
_are_as_fast_as_the_loop_by_hand  it compares times of a few milliseconds, and a call takes a part of one
_as_soon_as_by_hand  the same
waits_make_no_other_system_calls_by_strace  clock_gettime is a system call as long as the sandbox is new
"""


@check(packages="runsc netcat-openbsd socat", control="each known difference has to be one", faults=[
    Fault("a difference that is not known", "ci/machines.py", "recv_into_an_empty_buffer_is_what",
          "recv_into_an_empty_buffer_was_what", "failed, and is no known difference: recv_into_an_empty_buffer_is_what")])
def gvisor():
    """The suite, its doc tests and the examples under gVisor (runsc): a second
    implementation of Linux's system calls, by other people.

    Every test program is linked statically and runs in a sandbox of its own, with a
    loopback network. Where gVisor answers otherwise than Linux, the test has to fail, so
    that it is noticed when a later gVisor agrees. For root. The log is target/gvisor/log.
    """
    target = "x86_64-unknown-linux-gnu"
    build = TARGET / "gvisor"
    build.mkdir(parents=True, exist_ok=True)
    static = "-C target-feature=+crt-static"
    wrong = []
    with temporary() as state:
        env = {"RUSTDOCFLAGS": static, "CARGO_INCREMENTAL": 0,
               "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER":
               f"runsc --platform=ptrace --network=none --ignore-cgroups --root={state} do"}

        def cargo(words, *more):
            # By way of a pipe: gVisor keeps an offset of its own for a file, and
            # overwrites what others have written since.
            command = Cargo(f"{words} --target {target}", target="gvisor", flags=static)
            return command(*more, ok=False, echo=False, **env)

        skips = re.findall(r"^\S+", GVISOR_SKIPS, re.M)
        skip = [word for name in skips for word in ("--skip", name)]
        # A name that no test has any more skips nothing, and would stay.
        wrong += [f"no test is called {name}" for name in skips
                  if run("git", "grep", "-q", f"fn .*{name}", "src", "tests", ok=False)[0]]
        log = cargo("test --all-features --no-fail-fast", "--", *skip)[1]
        status, tour = cargo("run --example tour")
        # It fails where a fact differs; the facts are read from what it printed.
        facts = cargo("run --example conformance")[1]
    (build / "log").write_text(log + tour + facts)
    if status:
        wrong.append("the tour failed")
    if not re.search(r"^\d+ agree, ", facts, re.M):
        wrong.append("conformance did not reach its end")
    # A test program that did not start, or died, shows no result before the next begins.
    programs = re.split(r"^ +(?=Running (?:unittests|tests)|Doc-tests)", log, flags=re.M)[1:]
    wrong += [f"without a result: {program.splitlines()[0]}" for program in programs if "\ntest result:" not in program]
    if len(programs) < 20:
        wrong.append(f"only {len(programs)} test programs")
    # What does not compile shows as an error of another kind.
    errors = re.findall(r"^error(?:\[|:).*", log + tour, re.M)
    wrong += [error for error in errors if not re.search(r"test failed|doctest failed|target.* failed", error)]
    failed = re.findall(r"^test (.*?)(?: \(line \d+\))? \.\.\. FAILED$", log, re.M)
    # Examples have no name but their line, which any edit moves.
    wrong += [f"more than one example failed: {name}" for name in set(failed) if " - " in name and failed.count(name) > 1]
    failed = set(failed) | {f"fact: {fact}" for fact in re.findall(r"^DIFFERS *(.*\S) *table: ", facts, re.M)}
    expected = {line.split("  ")[0] for line in GVISOR.strip().splitlines()}
    wrong += [f"failed, and is no known difference: {name}" for name in sorted(failed - expected)]
    wrong += [f"a known difference that is gone: {name}" for name in sorted(expected - failed)]
    print(run("runsc", "--version").splitlines()[0], GVISOR, GVISOR_SKIPS)
    if wrong:
        fail("\n".join([*wrong, f"the log is {build}/log"]))
    # Some tests run themselves again as a process of their own, which prints a result too.
    passed = len(re.findall(r"^test .* \.\.\. ok$", log, re.M))
    otherwise = sum(not name.startswith("fact: ") for name in failed)
    figure(f"{passed} tests passed, {otherwise} answered otherwise, as listed")


# ---- headers ----

CONSTANTS = """
EAGAIN EWOULDBLOCK EINTR EINPROGRESS EALREADY ENOBUFS ENOMEM ECONNABORTED EPROTO EMFILE ENFILE
ENETDOWN EHOSTDOWN ENONET EHOSTUNREACH ENETUNREACH
POLLIN POLLPRI POLLOUT POLLERR POLLHUP POLLNVAL POLLRDNORM POLLWRNORM POLLRDHUP
MSG_NOSIGNAL MSG_CMSG_CLOEXEC SOCK_NONBLOCK SOCK_CLOEXEC O_NONBLOCK O_CLOEXEC SO_NOSIGPIPE IOV_MAX
"""
# Every architecture that differs in one of these, in each C library.
HEADERS = """
x86_64-linux-gnu x86-linux-gnu aarch64-linux-gnu arm-linux-gnueabihf riscv64-linux-gnu
s390x-linux-gnu powerpc64le-linux-gnu loongarch64-linux-gnu m68k-linux-gnu csky-linux-gnueabihf
mips-linux-gnueabihf mipsel-linux-gnueabihf mips64-linux-gnuabi64 mips64el-linux-gnuabi64
sparc-linux-gnu sparc64-linux-gnu
x86_64-linux-musl x86-linux-musl aarch64-linux-musl arm-linux-musleabihf riscv64-linux-musl
s390x-linux-musl powerpc-linux-musleabihf powerpc64-linux-musl loongarch64-linux-musl
m68k-linux-musl hexagon-linux-musl mips-linux-musleabihf mips64-linux-muslabi64
x86_64-macos aarch64-macos aarch64-maccatalyst
x86_64-freebsd x86-freebsd aarch64-freebsd powerpc64-freebsd riscv64-freebsd
x86_64-netbsd aarch64-netbsd arm-netbsd-eabihf mips-netbsd-eabihf sparc64-netbsd m68k-netbsd
x86_64-openbsd aarch64-openbsd mips64-openbsd sparc64-openbsd riscv64-openbsd
wasm32-wasi
"""
ZIG = "0.17.1"


@check("[--write]", wheels=f"ziglang=={ZIG}", faults=[
    Fault("a wrong number in the recorded headers", "tests/data/headers.tsv", "\nx86_64-linux-gnu\t11",
          "\nx86_64-linux-gnu\t12", "is not what ziglang")])
def headers(*arguments):
    """tests/data/headers.tsv is what the C headers of the ziglang package say: glibc, musl,
    macOS, the BSDs and WASI; --write writes it, and tests/headers.rs compares it.

    A source that neither rustix nor the libc crate was made from. One line a target, one
    column a constant; "-" where there is no such constant.
    """
    constants = CONSTANTS.split()
    # What the system's own programs would ask for, to see all of it.
    source = ["#define _GNU_SOURCE", "#define _NETBSD_SOURCE"]
    source += [f"#include <{header}.h>" for header in ("errno", "poll", "fcntl", "limits", "sys/socket", "sys/uio")]
    source += [f"#ifdef {name}\nlong long value_{name} = {name};\n#endif" for name in constants]
    with temporary() as at:
        file = pathlib.Path(at) / "constants.c"
        file.write_text("\n".join(source) + "\n")

        def one(target):
            # To LLVM's language, since some constants are enumerators, which the
            # preprocessor leaves alone.
            out = file.with_name(f"{target}.ll")
            run(TARGET / "venv/bin/python", "-m", "ziglang", "cc", "-target", target, "-w", "-S", "-emit-llvm",
                "-o", out, file)
            values = dict(re.findall(r"^@value_(\w+) = .*?i64 ([0-9-]+),", text := out.read_text(), re.M))
            values |= {name: "0" for name in re.findall(r"^@value_(\w+) = .* zeroinitializer", text, re.M)}
            return "\t".join([target, *(values.get(name, "-") for name in constants)])

        rows = parallel(HEADERS.split(), one)
    head = [f"# ziglang {ZIG}: its C headers, by ci/check headers", "\t".join(["target", *constants])]
    found = "\n".join([*head, *rows, ""])
    recorded = ROOT / "tests/data/headers.tsv"
    if "--write" in arguments:
        recorded.write_text(found)
    differ = [line for line in found.splitlines() if line not in recorded.read_text().splitlines()]
    if found != recorded.read_text():
        fail("\n".join([f"{recorded} is not what ziglang {ZIG} says:", *differ]))
    figure(f"{len(rows)} targets, {len(constants)} constants")


# ---- this machine ----


@check("[DIRECTORY]")
def machine(directory=None):
    """What a machine of another system is asked for: the suite with all features, and into
    a directory (target/machine) what the examples conformance and record print of it."""
    directory = pathlib.Path(directory or TARGET / "machine").absolute()
    directory.mkdir(parents=True, exist_ok=True)
    failed = []
    for example in ("conformance", "record"):
        listed = (ROOT / "examples" / f"{example}.rs").exists() or (ROOT / "examples" / example / "main.rs").exists()
        if not listed:
            print(f"there is no example {example}")
            continue
        # What it says while it is built is no part of it.
        build = Cargo("run --quiet --all-features --example")
        status, output = run("cargo", *build.arguments.split(), example, ok=False, merged=False, **build.environment())
        (directory / f"{example}.{'tsv' if example == 'record' else 'txt'}").write_text(output)
        if status:
            failed.append(f"the example {example} ended with {status}")
    output = Cargo("test --all-features --no-fail-fast")(ok=False)[1]
    (directory / "tests.txt").write_text(output)
    passed, wrong, *_ = results(output)
    if wrong or not passed:
        failed.append(f"{wrong} tests failed")
    figure(f"{platform.platform()}: {passed} tests passed, {wrong} failed")
    if failed:
        fail("; ".join(failed))
