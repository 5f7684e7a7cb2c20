"""What it costs: instructions, system calls, time, to depend on it, and a real program under load."""
import functools
import os
import re
import shutil
import statistics
import time

from common import *

PAGE = "docs/PERFORMANCE.md"
INSTRUCTIONS = {name: Cargo("build --quiet --release --bin instructions", "benches", f"benches/{name}", flags)
                for name, flags in {"direct": "", "libc": "--cfg rustix_use_libc"}.items()}


END_TO_END = ("rounds", "messages", "waits", "transfers", "transfers-processor")


@check("[instructions [--quick] | syscalls [--list] | rounds, messages, waits, transfers, transfers-processor [TURNS [ROW]] | "
       "cost [RUNS] | proxy [GIB SECONDS ROUNDS [PART...]]] [--write]",
       builds=INSTRUCTIONS.values(), packages="valgrind strace", faults=[
    Fault("the compiler cannot see through an answer", "src/mapping/io.rs", "match op.outcome(",
          "match core::hint::black_box(op).outcome(", "more instructions than by hand", ("instructions", "--quick"))])
def bench(what="instructions", *arguments):
    """No call takes more instructions than the same by hand, nor more system calls than
    elsewhere; time beside others; what it costs to depend on the crate; examples/proxy.rs.

    instructions: of every operation, on both of rustix's backends, by valgrind; --quick
    beside rustix by hand alone. syscalls: of common tasks, by strace, with --list their
    names. Interleaved ratios of time: rounds, of ping-pong and of waiting for one of many;
    messages, of uninitialised memory and of room for descriptors; waits, of a read under a
    deadline that is ready, waited for, or timed out; transfers, of bytes a second, 1 KiB to 64 MiB, sent or copied by std's io::copy; transfers-processor, of
    the same in processor time, which a busy machine disturbs less; ROW is a part of the
    names of the rows to measure. cost: clean builds, crates and sizes against rustix
    alone. proxy: benches/proxy, with wrk, haproxy, nginx, socat, redis, tokio and the proxy
    on mio of interop; its parts are named there. --write puts the tables into
    docs/PERFORMANCE.md, where the named exceptions are explained.
    """
    kinds = {"instructions": instructions, "syscalls": syscalls, "cost": cost, "proxy": proxy}
    kinds |= {name: functools.partial(end_to_end, name) for name in END_TO_END}
    if what not in kinds:
        fail(f"one of: {', '.join(kinds)}")
    kinds[what]("--write" in arguments, *(word for word in arguments if word != "--write"))


def instructions(write, quick=None):
    cases = []
    failed = False
    for name, build in INSTRUCTIONS.items():
        print(f"\n--- {name}", flush=True)
        build(*([] if quick else ["--features", "peers"]))
        # The table is on standard output, and on the other what fails.
        status, output = run(build.directory / "release/instructions", ok=False, echo=True)
        failed |= bool(status)
        if write:
            rows = (line for line in output.splitlines() if line.startswith("|"))
            write_section(PAGE, f"instructions, {name}", "\n".join(rows))
        cases += re.findall(r"^(\d+ cases), ", output, re.M)
    if failed:
        fail("more instructions than by hand")
    figure(f"{' and '.join(cases)}, none above what is allowed")


# docs/PERFORMANCE.md says why these take more calls than elsewhere.
MORE = {"make a descriptor non-blocking", "read that times out"}
# Calls of memory management are left out, and so is every thread but the one that does
# the task.
MEMORY = {"brk", "mmap", "munmap", "madvise"}


def syscalls(write, *arguments):
    build = Cargo("build --quiet --release --features runtimes --bin syscalls", cwd="benches", target="benches/direct")
    build()
    called = {}
    for program in [build.directory / "release/syscalls"], ["python3", "benches/syscalls.py"]:
        trace = TARGET / "benches/strace"
        run("strace", "-f", "-q", "-s", "99", "-o", trace, *program)
        inside = None
        for line in trace.read_text().splitlines():
            thread, _, call = line.partition(" ")
            if begin := re.search(r'write\(-1, "begin (.*?)\\t(.*?)"', call):
                inside = thread, called.setdefault(begin[1], {}).setdefault(begin[2], [])
            elif inside and inside[0] == thread and 'write(-1, "end"' in call:
                inside = None
            elif inside and inside[0] == thread and (name := re.match(r" *([a-z0-9_]+)\(", call)):
                inside[1].extend({name[1]} - MEMORY)
    whos = list(dict.fromkeys(who for task in called.values() for who in task))
    if "--list" in arguments:
        for task, by in called.items():
            print(*(f"{task} | {who} | {' '.join(names)}" for who, names in by.items()), sep="\n")
        return
    rows = [[task, *(len(by[who]) if who in by else "" for who in whos)] for task, by in called.items()]
    text = table(["task", *whos], rows, right=True)
    print(text)
    if write:
        write_section(PAGE, "system calls", text)
    worse = []
    for task, by in called.items():
        best = min(len(names) for who, names in by.items() if who != whos[0] and "blocking" not in who)
        if len(by[whos[0]]) > best and task not in MORE:
            worse.append(f"{task}: {len(by[whos[0]])} calls, elsewhere {best}")
    if worse:
        fail("\n".join(worse))
    figure(f"{len(called)} tasks, none in more calls than elsewhere")


def end_to_end(which, write, turns=31, row=""):
    build = Cargo("build --quiet --release --features runtimes --bin end_to_end", cwd="benches", target="benches/direct")
    build()
    output = run(build.directory / "release/end_to_end", which, turns, row, echo=True, merged=False)
    if write and not row:
        write_section(PAGE, which, output)
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in output.splitlines() if "|" in line)
    behind = []
    for name, *cells in rows:
        # Median and quartiles; the first, which the others are divided by, is by hand, or by std.
        ratios = {who: [float(n) for n in re.findall(r"[0-9.]+", cell)] for who, cell in zip(head[2:], cells[1:]) if cell}
        ours = [ratios.pop(who) for who in list(ratios) if who in OURS_IN_TABLES]
        # Beside all that copy through user space, if it is of bytes a second.
        best = max([1, *(median for who, (median, _, _) in ratios.items() if who != "std's own types")])
        behind += [f"{name}: {median:.2f}" + (f", the best {best:.2f}" if "transfers" in which else "")
                   for median, low, high in ours if (high < 0.95 * best if "transfers" in which else low > 1.05)]
    print("", "More than 5 % behind by its better quartile:", *behind or ["none"], sep="\n")
    figure(f"{which}: {len(rows)} rows; more than 5 % behind {len(behind)} times")


OURS_IN_TABLES = ("wouldblock", "wouldblock, poll", "wouldblock, PollSet", "`until`", "an entry of a set",
                  "recv_from_with", "recv_fds_with")

MANIFEST = """
[package]
name = "{}"
edition = "2024"
[workspace]
[profile.release]
strip = true
[dependencies]
{}
"""
RUSTIX = 'rustix = { version = "1.1.6", features = ["net", "event", "fs", "pipe"] }'
OURS = f'wouldblock = {{ path = "{ROOT}" }}'
BY_HAND = """
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::os::unix::net::UnixStream;
fn main() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    fcntl_setfl(&ours, fcntl_getfl(&ours).unwrap() | OFlags::NONBLOCK).unwrap();
    let mut buf = [0; 8];
    let one = match recv(&ours, &mut buf, RecvFlags::empty()) {
        Ok((n, _)) => n,
        Err(Errno::AGAIN) => 100,
        Err(_) => 101,
    };
    let two = match send(&theirs, b"!", SendFlags::NOSIGNAL) {
        Ok(n) => n,
        Err(Errno::AGAIN) => 100,
        Err(_) => 101,
    };
    let three = poll(&mut [PollFd::new(&ours, PollFlags::IN)], None).unwrap();
    std::process::exit((one + two + three) as i32);
}
"""
FOUR = """
use wouldblock::{Interest, Io, RecvFlags, SendFlags, poll, recv, send, set_nonblocking};
use std::os::unix::net::UnixStream;
fn count(answer: Io) -> usize {
    match answer {
        Io::Ready(n) => n,
        Io::WouldBlock => 100,
        Io::Err(_) => 101,
    }
}
fn main() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let mut buf = [0; 8];
    let one = count(recv(&ours, &mut buf, RecvFlags::empty()));
    let two = count(send(&theirs, b"!", SendFlags::empty()));
    let three = count(poll(&mut [Interest::READABLE.on(&ours)], None));
    EXTRA
    std::process::exit((one + two + three) as i32);
}
"""
EVERY_TABLE = "for table in wouldblock::platform::ALL { std::hint::black_box(table); }"
# Beside each crate that is compiled, the time of a processor that it took.
TIMES = """#!/bin/sh
"$@"
status=$?
{ echo "$@"; times; } >"$PARTS/$$"
exit $status
"""
PROGRAMS = {
    "empty_rustix": (RUSTIX, "fn main() {}"),
    "empty_wouldblock": (OURS, "fn main() {}"),
    "four_rustix": (RUSTIX, BY_HAND),
    "four_wouldblock": (OURS, FOUR.replace("EXTRA", "")),
    "all_wouldblock": (OURS, FOUR.replace("EXTRA", EVERY_TABLE)),
}


def cost(write, runs=5):
    work, runs = TARGET / "benches/cost", int(runs)
    for name, (dependency, main) in PROGRAMS.items():
        shutil.rmtree(work / name, ignore_errors=True)
        (work / name / "src").mkdir(parents=True)
        (work / name / "src/main.rs").write_text(main)
        (work / name / "Cargo.toml").write_text(MANIFEST.format(name, dependency))
        run("cargo", "generate-lockfile", "--quiet", cwd=work / name)
        run("cargo", "fetch", "--quiet", cwd=work / name)

    (work / "times").write_text(TIMES)
    (work / "times").chmod(0o755)
    parts = {}

    def build(name):
        """Seconds of wall time, and of processor time."""
        logs = work / name / "parts"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir()
        wall, cpu = time.monotonic(), sum(os.times()[2:4])
        run("cargo", "build", "--quiet", "--release", "--offline", cwd=work / name,
            CARGO_TARGET_DIR=work / name / "target", RUSTC_WRAPPER=work / "times", PARTS=logs)
        wall, cpu = time.monotonic() - wall, sum(os.times()[2:4]) - cpu
        for log in logs.iterdir():
            command, *_, used = log.read_text().splitlines()
            crate = re.search(r"--crate-name (\w+) .*? (\S+\.rs) ", command)
            if crate:
                of = "its build script" if crate[2] == str(ROOT / "build.rs") else crate[1]
                seconds = sum(int(m) * 60 + float(s) for m, s in re.findall(r"(\d+)m([\d.]+)s", used))
                parts.setdefault((name, of), []).append(seconds)
        return wall, cpu

    times = {name: [] for name in ("empty_rustix", "empty_wouldblock")}
    load = [os.getloadavg()[0]]
    # By turns, so that a busy machine meets both alike.
    for _ in range(runs):
        for name in times:
            shutil.rmtree(work / name / "target", ignore_errors=True)
            times[name].append(build(name))
    load.append(os.getloadavg()[0])
    parts = {key: statistics.median(values) for key, values in parts.items()}
    for name in list(PROGRAMS)[2:]:
        build(name)

    def file(name):
        return (work / name / "target/release" / name).stat().st_size

    def sections(name):
        sizes = run("size", "-A", work / name / "target/release" / name)
        return sum(int(size) for size in re.findall(r"^\.(?:text|rodata|data|data\.rel\.ro) +(\d+)", sizes, re.M))

    def crates(name):
        tree = run("cargo", "tree", "--quiet", "--offline", "--edges", "normal,build", "--prefix", "none",
                   cwd=work / name)
        return len({line.split()[0] for line in tree.splitlines()} - {name})

    script = next((work / "empty_wouldblock/target/release/build").glob("wouldblock-*/build-script-build"))
    target = {"CARGO_CFG_TARGET_OS": "linux", "CARGO_CFG_TARGET_ARCH": "x86_64", "CARGO_CFG_TARGET_ENV": "gnu"}
    script_times = []
    for _ in range(50):
        begin = time.monotonic()
        run(script, **target)
        script_times.append(time.monotonic() - begin)

    rows = []
    for what, i in (("processor", 1), ("wall", 0)):
        one, other = (sorted(pair[i] for pair in times[name]) for name in times)
        a, b = statistics.median(one), statistics.median(other)
        rows.append([f"clean build, {what} time, median of {runs}", f"{a:.2f} s", f"{b:.2f} s",
                     f"{b - a:+.2f} s ({b / a:.2f} times)"])
        rows.append(["— spread", *(f"{values[0]:.2f}–{values[-1]:.2f} s" for values in (one, other)),
                     "" if i else f"load {load[0]:.2f} to {load[1]:.2f}"])
    for what, f, names in (("crates in the tree", crates, ("empty_rustix", "empty_wouldblock")),
                           ("stripped binary with four calls, file", file, ("four_rustix", "four_wouldblock")),
                           ("— code and data", sections, ("four_rustix", "four_wouldblock"))):
        a, b = map(f, names)
        rows.append([what, a, b, b - a])
    every = sections("all_wouldblock")
    rows.append(["— with every table referenced (`ALL`)", "", every, every - sections("four_wouldblock")])
    for row, (what, of) in enumerate({
            "— `rustix`, of which this crate wants `thread` and `time` too": "rustix",
            "— `wouldblock`": "wouldblock", "— its build script": "its build script",
            "— `static_assertions`": "static_assertions"}.items(), 2):
        a, b = (parts.get((name, of)) for name in times)
        rows.insert(row, [what, f"{a:.2f} s" if a else "", f"{b:.2f} s", f"{b - (a or 0):+.2f} s"])
    rows.insert(9, ["build script, one run", "", f"{statistics.median(script_times) * 1000:.1f} ms", ""])
    text = table(["", "rustix alone", "wouldblock", "difference"], rows, right=True)
    print(text)
    if write:
        write_section(PAGE, "cost", text)
    figure(f"a clean build takes {rows[0][3]} more of a processor, {rows[8][3]} crates more")


def proxy(write, gib=8, seconds=5, rounds=5, *parts):
    packages("nginx-light", "libnginx-mod-stream", "redis-server", "redis-tools", "wrk", "curl", "haproxy", "socat")
    output = run("benches/proxy", gib, seconds, rounds, *parts, echo=True, CARGO_TARGET_DIR=TARGET)
    for row in "requests/s, 50 connections", "requests/s, beside 5000":
        if rates := re.search(rf"^\| {row} \|(.*)\|$", output, re.M):
            rates = (rate.strip() for rate in rates[1].split("|"))
            who = "the example", "on mio", "tokio", "haproxy", "nginx", "socat"
            figure(f"{row}: {'; '.join(f'{name} {rate}' for name, rate in zip(who, rates))}")
