"""One question per room, four floors. Reads the paths of every import and fails on

- an arrow that runs up: platform <- mapping <- ops <- wait, lib.rs on top;
- an import through the crate's root instead of the file that owns the name;
- the name of an errno outside mapping/classify.rs and platform/;
- target_os and its kin outside platform/;
- a call of rustix outside ops/ and the clock;
- `unsafe`, and a file with more than 250 lines of code.

Comments and unit tests may name and call anything; their imports count too.
"""
import re

from common import *

FLOORS = ["platform", "mapping", "ops", "wait"]
LINES = 250


def code(text):
    """The text without comments, and what of it stands before the unit tests."""
    text = re.sub(r"//[^\n]*", "", text)
    return text, text.split("#[cfg(test)]\nmod tests")[0]


def module(file, src):
    """The path of a file's module: wait/set/mod.rs is [wait, set]."""
    parts = list(file.relative_to(src).with_suffix("").parts)
    return parts[:-1] if parts[-1] in ("mod", "lib") else parts


def leaves(tree, prefix=()):
    """Every path of a use tree, with its braces multiplied out."""
    tree = tree.strip()
    match = re.match(r"([^{,]*)\{(.*)\}$", tree, re.S)
    if not match:
        path = [part.strip() for part in re.sub(r"\s+as\s+\w+", "", tree).split("::")]
        yield [*prefix, *path]
        return
    prefix = [*prefix, *[part.strip() for part in match[1].split("::") if part.strip()]]
    depth, item = 0, ""
    for char in match[2] + ",":
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            if item.strip():
                yield from leaves(item, prefix)
            item = ""
        else:
            item += char


def paths(text):
    """Every path into the crate: of imports, and written out in the code."""
    uses = re.findall(r"\buse\s+((?:crate|super|self)\b[^;]*);", text)
    for tree in uses:
        yield from leaves(tree)
    rest = re.sub(r"\buse\s+[^;]*;", "", text)
    for path in re.findall(r"(?<!\$)\b(?:crate|super)(?:::\w+)+", rest):
        yield path.split("::")


def resolve(path, own):
    """A path from the crate's root. `super` in a unit test is its own file."""
    path = list(path)
    if path[0] == "crate":
        return path[1:]
    base = list(own)
    while path and path[0] in ("super", "self"):
        if path.pop(0) == "super" and base:
            base.pop()
    return base + path


def wrong_lines(src):
    wrong = []
    for file in sorted(src.rglob("*.rs")):
        name = str(file.relative_to(src))
        everything, library = code(file.read_text())
        own = module(file, src)
        roof = name == "lib.rs"
        height = FLOORS.index(own[0]) if own and own[0] in FLOORS else len(FLOORS)
        if not roof and height == len(FLOORS):
            wrong.append(f"{name}: stands on no floor")
        for path in paths(everything):
            if roof:
                continue
            target = resolve(path, own)
            inside_tests = path[0] == "super" and target[: len(own) - 1] == own[:-1]
            if not target or inside_tests:
                continue
            if target[0] not in FLOORS:
                wrong.append(f"{name}: {'::'.join(path)} comes through the root")
            elif FLOORS.index(target[0]) > height:
                wrong.append(f"{name}: {'::'.join(path)} runs up to {target[0]}")
        floor = own[0] if own else ""
        errno = r"Errno::[A-Z]\w+|\bE(AGAIN|WOULDBLOCK|INTR|INPROGRESS|ALREADY|NOBUFS|MFILE)\b"
        patterns = [
            ("an errno by name", errno, name == "mapping/classify.rs" or floor == "platform"),
            ("the target by name", r"target_(os|arch|vendor|env|family)", floor == "platform"),
            ("a call of rustix", r"\b(net|event|io|fs|pipe|thread|time|sockopt)::[a-z_]+\(|"
             r"\bfcntl_\w+\(|\bclock_gettime\(|\bnanosleep\(",
             floor == "ops" or name == "wait/clock.rs"),
            ("unsafe", r"\bunsafe\b", False),
        ]
        for what, pattern, allowed in patterns:
            for line in [] if allowed else library.splitlines():
                if re.search(pattern, line) and not re.search(r"doc\(alias|forbid\(unsafe_code\)", line):
                    wrong.append(f"{name}: {what}: {line.strip()}")
        lines = sum(1 for line in library.splitlines() if line.strip())
        if lines > LINES:
            wrong.append(f"{name}: {lines} lines of code, which is more than a room")
    return wrong


FAULTS = [
    ("mapping/io.rs", "use crate::ops::mode::NonBlocking;", "runs up to ops"),
    ("mapping/io.rs", "use super::super::wait::deadline::Deadline;", "runs up to wait"),
    ("platform/host.rs", "use crate::{mapping::{io::Io}};", "runs up to mapping"),
    ("ops/mode.rs", "fn f() { crate::wait::until::until(); }", "runs up to wait"),
    ("wait/deadline.rs", "use crate::{Io, Errno};", "through the root"),
    ("ops/stream.rs", "const E: Errno = Errno::AGAIN;", "an errno by name"),
    ("ops/stream.rs", '#[cfg(target_os = "linux")] fn f() {}', "the target by name"),
    ("wait/deadline.rs", "fn f() { rustix::event::poll(&mut [], None); }", "a call of rustix"),
    ("ops/stream.rs", "unsafe fn f() {}", "unsafe"),
    ("ops/stream.rs", "\n".join(f"const N{i}: u8 = 0;" for i in range(LINES)), "more than a room"),
    ("elsewhere.rs", "fn f() {}", "stands on no floor"),
]


@check(faults=[Fault(expected, f"src/{file}", BEGINNING, f"{text}\n", f"{file}: .*{expected}")
                         for file, text, expected in FAULTS])
def rooms():
    """Every line of src/ is on its floor, by the paths of its imports; one question a room."""
    found = wrong_lines(ROOT / "src")
    if found:
        fail("\n".join(found))
    figure(f"{len(list((ROOT / 'src').rglob('*.rs')))} files")
