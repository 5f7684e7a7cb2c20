"""What the checks share: the list of them, and how they run other programs."""
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
# Some checks read what the compiler says, and it says it otherwise in every release.
RELEASE = "1.95.0"
CORES = os.cpu_count() or 1

CHECKS = {}
BEGINNING, END = "^", "$"


@dataclasses.dataclass
class Fault:
    """A deliberate mistake that the check has to find: in this file, instead of this text,
    or at its BEGINNING or END."""

    what: str
    file: str
    old: str
    new: str
    said: str  # a pattern of what the check says to it
    arguments: tuple = ()


@dataclasses.dataclass
class Check:
    name: str
    run: object
    arguments: str
    needs: dict
    builds: list
    faults: list
    control: str

    @property
    def sentence(self):
        return " ".join(self.run.__doc__.split("\n\n")[0].split())


def check(arguments="", builds=(), faults=(), control="", **needs):
    """Enters a function into the list.

    What it needs (packages of Debian, wheels of PyPI, crates of crates.io, pinned for the
    compiler of RELEASE) is there before it is called. `builds` are its cargo commands,
    whose dependencies can be built beforehand. `control` says which fault it is shown in
    every run; `faults` are for --prove.
    """

    def enter(function):
        name = function.__name__.replace("_", "-")
        CHECKS[name] = Check(name, function, arguments, needs, list(builds), list(faults), control)
        return function

    return enter


def fail(message):
    sys.exit(f"{message}")


def figure(text):
    """The one line that docs/VERIFICATION.md repeats."""
    print(f"figure: {text}", flush=True)


def run(*command, cwd=ROOT, echo=False, ok=True, stdin="", merged=True, **env):
    """Runs a command and gives what it printed. Fails with it, unless `ok` is False: then
    gives its status too."""
    command = [str(word) for word in command]
    sys.stdout.flush()
    process = subprocess.Popen(
        command, cwd=cwd, text=True, errors="replace", env={**os.environ, **{k: str(v) for k, v in env.items()}},
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else None)
    if stdin:
        process.stdin.write(stdin)
        process.stdin.close()
    output = []
    for line in process.stdout:
        output.append(line)
        if echo:
            print(line, end="", flush=True)
    status, output = process.wait(), "".join(output)
    if ok and status:
        fail(f"{'' if echo else output}{shlex.join(command)[:200]}: exit status {status}")
    return output if ok else (status, output)


@dataclasses.dataclass(frozen=True)
class Cargo:
    """A cargo command, with the directory, the build directory and RUSTFLAGS. Debian's
    compiler comes with the source of the standard library, and so can build that for any
    target; the compilers of rustup cannot use it, and are left alone."""

    arguments: str
    cwd: str = "."
    target: str = "."
    flags: str = ""
    debian: bool = False
    env: tuple = ()

    @property
    def directory(self):
        return TARGET / self.target

    def environment(self):
        env = {"CARGO_TARGET_DIR": self.directory, **dict(self.env)}
        if self.flags:
            env["RUSTFLAGS"] = f"{os.environ.get('RUSTFLAGS', '')} {self.flags}".strip()
        if self.debian:
            env |= {"PATH": "/usr/bin:/bin", "RUSTC_BOOTSTRAP": 1}
        return env

    def __call__(self, *more, cwd=None, echo=True, ok=True, **env):
        return run("cargo", *self.arguments.split(), *more, cwd=cwd or ROOT / self.cwd, echo=echo, ok=ok,
                   **{**self.environment(), **env})

    def dependencies(self, log):
        """Builds what the command depends on, and not the package: its compiler refuses."""
        words = self.arguments.split()
        words[:1] = {"test": ["build", "--tests"], "clippy": ["check"], "doc": ["check"]}.get(words[0], words[:1])
        _, output = run("cargo", *dict.fromkeys(words), "--keep-going", cwd=ROOT / self.cwd, ok=False,
                             **self.environment(), RUSTC_WORKSPACE_WRAPPER=refuse())
        log.write(output)


def refuse():
    script = TARGET / "refuse"
    if script.exists():
        return script
    script.write_text('#!/bin/sh\n# Answers what cargo asks the compiler about itself, and compiles nothing.\n'
                      'case "$*" in\n*-vV* | *"--crate-name ___"*) exec "$@" ;;\nesac\nexit 1\n')
    script.chmod(0o755)
    return script


def results(output):
    """How many tests passed, failed and were left out, by cargo's closing lines."""
    lines = re.findall(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored; \d+ measured; (\d+) filtered",
                       output, re.M)
    return [sum(int(line[i]) for line in lines) for i in range(4)]


def suite(command, *more, **env):
    """Runs tests, and gives how many passed. None is a failure."""
    output = command(*more, **env)
    passed = results(output)[0]
    if not passed:
        fail("no test ran")
    return passed


# ---- what is installed ----


def packages(*names):
    """Debian's packages, where dpkg is."""
    if not shutil.which("dpkg-query"):
        return
    shown = run("dpkg-query", "-W", "-f", "${Package} ${Status}\n", *names, ok=False)[1]
    missing = [name for name in names if f"{name} install ok installed" not in shown]
    if missing:
        sudo = [] if os.getuid() == 0 else ["sudo"]
        # Installed, and not started: policy-rc.d would be asked otherwise.
        quiet = ["env", "RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
        run(*sudo, *quiet, "update")
        run(*sudo, *quiet, "-y", "--no-install-recommends", "install", *missing)


def wheels(*names):
    """PyPI's packages, in a directory of their own."""
    venv = TARGET / "venv"
    if not (venv / "bin/pip").exists():
        if sys.executable == "/usr/bin/python3":
            packages("python3-venv")
        run(sys.executable, "-m", "venv", "--clear", venv)
    run(venv / "bin/pip", "install", "-q", "--disable-pip-version-check", *names)


def crates(*names):
    """Programs of crates.io."""
    for name in names:
        run("cargo", "install", "--quiet", "--locked", "--root", TARGET / "tools", name)


def pinned(release):
    """From here on cargo is of this release, whatever the default is."""
    if run("rustc", "--version").split()[1] != release:
        if release not in run("rustup", "toolchain", "list"):
            run("rustup", "toolchain", "install", "--profile", "minimal", release)
        os.environ["RUSTUP_TOOLCHAIN"] = release


def provide(check):
    TARGET.mkdir(parents=True, exist_ok=True)
    for kind in (packages, wheels, crates):
        if check.needs.get(kind.__name__):
            kind(*check.needs[kind.__name__].split())
    if check.needs.get("pinned"):
        pinned(RELEASE)
    os.environ["PATH"] = f"{TARGET}/tools/bin:{TARGET}/venv/bin:{os.environ['PATH']}:/usr/sbin"


def parallel(rows, function):
    """One row on each core; all results, in order."""
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(function, rows))


# ---- copies ----


def copy(name):
    """A copy of the package's files as they are, in target/NAME."""
    to = TARGET / name
    shutil.rmtree(to, ignore_errors=True)
    for file in run("git", "ls-files", "-z").split("\0"):
        if file and (ROOT / file).exists():
            (to / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, to / file)
    if (ROOT / "Cargo.lock").exists():
        shutil.copy2(ROOT / "Cargo.lock", to)
    return to


def put(file, old, new):
    """A text instead of another one, which has to be there."""
    text = file.read_text() if file.exists() else ""
    if old not in (BEGINNING, END, *([old] if old in text else [])):
        fail(f"{file} has no {old!r} to replace")
    file.write_text({BEGINNING: new + text, END: text + new}.get(old) or text.replace(old, new))


def repository(at):
    """Makes a copy a repository, since checks ask git for the files."""
    git = ("git", "-c", "user.name=check", "-c", "user.email=check@localhost", "-c", "commit.gpgsign=false")
    for words in ("init -q", "add -A", "commit -q -m copy"):
        run(*git, *words.split(), cwd=at)


def write_section(page, name, text):
    """Puts text into a page between <!-- begin NAME --> and <!-- end NAME -->."""
    page = ROOT / page
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    before, found, rest = page.read_text().partition(begin)
    if not found or end not in rest:
        fail(f"{page} has no place for: {name}")
    page.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{rest.partition(end)[2]}")


def temporary():
    return tempfile.TemporaryDirectory()


def table(head, rows, right=False):
    """In Markdown, all columns but the first to the right or not."""
    lines = [[f" {cell} ".replace("  ", " ") for cell in row] for row in (head, *rows)]
    lines.insert(1, ["---", *["---:" if right else "---"] * (len(head) - 1)])
    return "\n".join(f"|{'|'.join(line)}|" for line in lines)
