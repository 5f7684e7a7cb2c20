//! `docs/PLATFORMS.md` and the README's table of platforms are written from the tables,
//! and say what they say. `UPDATE_PLATFORMS=1` writes them anew.

#[path = "common/records.rs"]
#[allow(dead_code, reason = "the counts are for the replay")]
mod records;
#[path = "common/target.rs"]
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

use records::Record;
use wouldblock::platform::{ALL, AcceptMode, Interrupted, Platform, QueueEvent, Target};

/// What is written by hand; the tables follow it.
const HEAD: &str = "docs/platforms.head.md";
const PAGE: &str = "docs/PLATFORMS.md";

/// A column's title, and its cell for a platform.
type Column = (&'static str, fn(&Platform) -> String);

fn flags(bits: u32) -> String {
    if bits == 0 {
        "–".into()
    } else {
        format!("{bits:#x}")
    }
}

fn poll_bits(bits: u16) -> String {
    flags(bits.into())
}

fn list(numbers: &[i32]) -> String {
    if numbers.is_empty() {
        return "–".into();
    }
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

fn yes(fact: bool) -> String {
    if fact { "yes" } else { "–" }.into()
}

fn limit(most: usize) -> String {
    match most {
        usize::MAX => "none".into(),
        // A number that differs with the machine that writes the page.
        _ if most == isize::MAX.unsigned_abs() => "SSIZE_MAX".into(),
        _ => format!("{most:#x}"),
    }
}

const NUMBERS: &[Column] = &[
    ("EAGAIN", |p| p.eagain.to_string()),
    ("EWOULDBLOCK", |p| p.ewouldblock.to_string()),
    ("EINTR", |p| p.eintr.to_string()),
    ("EINPROGRESS", |p| p.einprogress.to_string()),
    ("EALREADY", |p| p.ealready.to_string()),
    ("ENOBUFS", |p| p.enobufs.to_string()),
    ("ENOMEM", |p| p.enomem.to_string()),
    ("ECONNABORTED", |p| p.econnaborted.to_string()),
    ("EPROTO", |p| p.eproto.to_string()),
    ("EMFILE", |p| p.emfile.to_string()),
    ("ENFILE", |p| p.enfile.to_string()),
    ("network errors of accept", |p| {
        list(p.accept_network_errors)
    }),
    ("too much in flight", |p| list(p.in_flight_errors)),
];

const BITS: &[Column] = &[
    ("POLLIN", |p| poll_bits(p.pollin)),
    ("POLLPRI", |p| poll_bits(p.pollpri)),
    ("POLLOUT", |p| poll_bits(p.pollout)),
    ("POLLERR", |p| poll_bits(p.pollerr)),
    ("POLLHUP", |p| poll_bits(p.pollhup)),
    ("POLLNVAL", |p| poll_bits(p.pollnval)),
    ("POLLRDNORM", |p| poll_bits(p.pollrdnorm)),
    ("POLLWRNORM", |p| poll_bits(p.pollwrnorm)),
    ("POLLRDHUP", |p| poll_bits(p.pollrdhup)),
];

const FLAGS: &[Column] = &[
    ("MSG_NOSIGNAL", |p| flags(p.msg_nosignal)),
    ("SO_NOSIGPIPE", |p| yes(p.so_nosigpipe)),
    ("accept4", |p| flags(p.accept_flags)),
    ("socket", |p| flags(p.socket_flags)),
    ("pipe2", |p| flags(p.pipe_flags)),
    ("MSG_CMSG_CLOEXEC", |p| flags(p.msg_cmsg_cloexec)),
    ("… and it holds", |p| yes(p.cmsg_cloexec_honoured)),
];

const FACTS: &[Column] = &[
    ("`MSG_DONTWAIT` sends", |p| {
        if p.send_dontwait { "yes" } else { "–" }.into()
    }),
    ("abstract `AF_UNIX` names", |p| {
        if p.abstract_names { "yes" } else { "–" }.into()
    }),
    ("serves", |p| {
        let target = |t: &Target| [t.os, t.arch, t.env].join(" ").trim().replace("  ", " ");
        let targets: Vec<_> = p.targets.iter().map(target).collect();
        targets.join(", ")
    }),
    ("mode after accept", |p| format!("{:?}", p.accept_mode)),
    ("event after a full `AF_UNIX` queue", |p| {
        format!("{:?}", p.unix_queue_event)
    }),
    ("`AF_UNIX` connect after a signal", |p| {
        format!("{:?}", p.unix_connect_interrupted)
    }),
    ("peeked descriptors", |p| yes(p.peek_rights)),
    ("EMFILE of send passes", |p| yes(p.send_emfile)),
    ("more families with the receiver's queue", |p| {
        list(p.receiver_queue_families)
    }),
    ("connects early", |p| yes(p.connects_early)),
    ("packet pipes", |p| yes(p.packet_pipes)),
    ("a peek tells the length", |p| yes(p.peek_tells_length)),
    ("poll counts", |p| format!("{:?}", p.poll_clock)),
    ("longest poll, seconds", |p| p.poll_longest.to_string()),
    ("bytes in one call", |p| limit(p.io_max)),
    ("buffers in one call", |p| p.iov_max.to_string()),
];

fn table(page: &mut String, title: &str, columns: &[Column]) {
    writeln!(page, "\n## {title}\n").unwrap();
    let titles: Vec<_> = columns.iter().map(|column| column.0).collect();
    writeln!(page, "| platform | {} |", titles.join(" | ")).unwrap();
    writeln!(page, "|---|{}", "---|".repeat(columns.len())).unwrap();
    for platform in ALL {
        let cells: Vec<_> = columns.iter().map(|column| (column.1)(platform)).collect();
        writeln!(page, "| {} | {} |", platform.name, cells.join(" | ")).unwrap();
    }
}

// ---- what verifies them ----

/// The lines of a list in ci/machines.py.
fn listed(name: &str) -> Vec<&'static str> {
    let (_, list) = include_str!("../ci/machines.py")
        .split_once(&format!("\n{name} = \"\"\"\n"))
        .expect(name);
    let (list, _) = list.split_once("\n\"\"\"").expect(name);
    list.lines().collect()
}

/// For each check, the targets or records by which it looks at the table.
fn checked_by(platform: &Platform) -> [Vec<String>; 4] {
    let is_its = |target: &str| target::table(target).name == platform.name;
    let word = |line: &str, n| line.split_whitespace().nth(n).unwrap().to_owned();
    let cross = listed("TARGETS");
    let cross = cross.into_iter().map(|line| word(line, 0));
    let foreign = listed("MACHINES");
    let foreign = foreign.into_iter().map(|line| word(line, 1));
    let headers = include_str!("data/headers.tsv").lines().skip(2);
    let headers = headers.map(|line| word(line, 0));
    let is_of = |record: &Record| record.table().as_deref() == Some(platform.name);
    let traces = Record::all().into_iter().filter(is_of);
    let traces = traces.map(|record| record.file.strip_suffix(".tsv").expect("a record").into());
    // WASI has no table, and Emscripten its errno numbers.
    let headers = headers.filter(|target| match target.as_str() {
        "wasm32-wasi" => platform.name == "emscripten",
        target => is_its(target),
    });
    [
        cross.filter(|target| is_its(target)).collect(),
        foreign.filter(|target| is_its(target)).collect(),
        traces.collect(),
        headers.collect(),
    ]
}

/// What looked at a table, the most telling first: how it is called, and what it means.
const TIERS: [(&str, &str); 5] = [
    (
        "ran here",
        "the suite, on this system; for other architectures of Linux under qemu",
    ),
    (
        "its kernel's code ran the crate",
        "once, and not by this repository: [VERIFICATION](VERIFICATION.md#what-no-program-repeats)",
    ),
    (
        "its kernel's answers are replayed",
        "what the kernel answered in some eight hundred states passes through the table: `tests/replay.rs`",
    ),
    (
        "numbers asserted",
        "its numbers were held against the target's own constants, or its C headers; its facts were read",
    ),
    (
        "numbers typed",
        "from the libc crate: rustix does not build there, so nothing holds them against a second source",
    ),
];

/// The tables of systems on which `.ci/run` itself runs.
const RUN: [&str; 1] = ["linux"];
/// Those that no program here repeats: docs/verification.tail.md.
const KERNEL_RAN: [&str; 2] = ["freebsd", "netbsd"];

fn tier(platform: &Platform) -> usize {
    let [cross, foreign, traces, headers] = checked_by(platform).map(|list| !list.is_empty());
    [
        foreign || RUN.contains(&platform.name),
        KERNEL_RAN.contains(&platform.name),
        traces,
        cross || headers,
    ]
    .iter()
    .position(|looked| *looked)
    .unwrap_or(TIERS.len() - 1)
}

/// How many facts of each table nobody has established, by what is said beside them.
fn unknown_facts(root: &Path) -> BTreeMap<String, usize> {
    let mut unknown = BTreeMap::new();
    for file in table_files(root) {
        for (name, facts) in said(&file) {
            let count = facts.iter().filter(|(_, source)| is_unknown(source));
            unknown.insert(name.to_owned(), count.count());
        }
    }
    unknown
}

fn is_unknown(source: &str) -> bool {
    source
        .split(|c: char| !c.is_alphabetic())
        .any(|word| word == "unknown")
}

fn checks(page: &mut String, root: &Path) {
    page.push_str("\n## How far each is verified\n\n| tier | what looked at it |\n|---|---|\n");
    for (name, meaning) in TIERS {
        writeln!(page, "| {name} | {meaning} |").unwrap();
    }
    page.push_str(
        "\nA fact that nobody has established is unknown, and the crate then does what is right\n\
         either way. *Asserted* names the targets for which `ci/check cross` compiles the table;\n\
         *qemu* those on which `ci/check foreign` runs the suite; *replayed* the recorded kernels;\n\
         *headers* the targets whose C headers `tests/headers.rs` compares. When they passed last\n\
         is in [VERIFICATION.md](VERIFICATION.md); what a build comes to on every target of the\n\
         compiler, in [TARGETS.md](TARGETS.md).\n\n\
         | platform | tier | unknown facts | asserted | qemu | replayed | headers |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let unknown = unknown_facts(root);
    for platform in ALL {
        let cells = checked_by(platform).map(|targets| match targets.len() {
            0 => "–".to_owned(),
            _ => targets.join(", "),
        });
        let (name, tier) = (platform.name, TIERS[tier(platform)].0);
        let cells = cells.join(" | ");
        writeln!(page, "| {name} | {tier} | {} | {cells} |", unknown[name]).unwrap();
    }
}

// ---- where they come from ----

/// The paragraph of a file's own documentation that begins so.
fn paragraph(file: &str, beginning: &str) -> String {
    let lines = file.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<_> = lines.map(str::trim).collect();
    let mut paragraphs = lines.split(|line| line.is_empty());
    let found = paragraphs.find(|lines| lines.first().is_some_and(|l| l.starts_with(beginning)));
    found.unwrap_or_default().join(" ")
}

/// The text of each file of tables.
fn table_files(root: &Path) -> Vec<String> {
    let files = read_dir(root.join("src/platform")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|path| read_to_string(path).unwrap())
        .collect()
}

/// The tables of a file, each with its name and what is said beside its facts.
fn said(file: &str) -> Vec<(&str, Vec<(&str, String)>)> {
    let mut tables: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    let mut comment = String::new();
    for line in file.lines() {
        // The facts of a table have four spaces, and what belongs to them more.
        let Some(line) = line.strip_prefix("    ").filter(|l| !l.starts_with(' ')) else {
            continue;
        };
        if let Some(text) = line.strip_prefix("// ") {
            if !text.starts_with("----") {
                comment += &format!("{}{text}", if comment.is_empty() { "" } else { " " });
            }
            continue;
        }
        let (fact, beside) = line.split_once(" // ").unwrap_or((line, ""));
        if let Some((field, value)) = fact.split_once(": ") {
            if field == "name" {
                tables.push((value.trim_matches(['"', ',']), Vec::new()));
            } else if let Some((_, facts)) = tables.last_mut() {
                let gap = ["", " "][usize::from(!comment.is_empty() && !beside.is_empty())];
                let source = format!("{comment}{gap}{beside}");
                if !source.is_empty() {
                    facts.push((field, source));
                }
            }
        } else if let (Some((_, facts)), Some(base)) = (tables.last_mut(), fact.strip_prefix(".."))
        {
            facts.push(("all others", format!("those of `{}`", base.to_lowercase())));
        }
        comment.clear();
    }
    tables
}

fn sources(page: &mut String, root: &Path) {
    page.push_str(
        "\n## Sources\n\n\
         What each file says of its numbers, and beside its facts. A path is one in the sources\n\
         of the system, of the libc crate or of rustix.\n",
    );
    let mut seen = BTreeSet::new();
    for file in table_files(root) {
        for (name, facts) in said(&file) {
            if !ALL.iter().any(|platform| platform.name == name) {
                continue;
            }
            seen.insert(name.to_owned());
            let numbers = paragraph(&file, "Numbers:");
            assert!(
                !numbers.is_empty(),
                "{name} does not say where its numbers are from"
            );
            writeln!(page, "\n### {name}\n\n{numbers}\n").unwrap();
            page.push_str("| fact | source |\n|---|---|\n");
            for (field, source) in facts {
                writeln!(page, "| {field} | {} |", source.replace('|', "\\|")).unwrap();
            }
        }
    }
    let known = ALL.iter().map(|platform| platform.name.to_owned());
    assert_eq!(
        seen,
        known.collect(),
        "the tables that were found in the files"
    );
}

fn page(root: &Path) -> String {
    let head = read_to_string(root.join(HEAD)).unwrap();
    let (before, after) = head.split_once("<!-- The tiers. -->\n").unwrap();
    let mut page = before.to_owned();
    checks(&mut page, root);
    page.push_str(after);
    table(&mut page, "Errno numbers", NUMBERS);
    table(&mut page, "Poll bits", BITS);
    table(&mut page, "Flags, as rustix can pass them", FLAGS);
    table(&mut page, "Facts", FACTS);
    sources(&mut page, root);
    page
}

// ---- the README's table ----

const README: &str = "README.md";
const BEGIN: &str = "<!-- The table is written by tests/platforms.rs. -->\n";
const END: &str = "<!-- So far. -->\n";
fn readme_table(root: &Path) -> String {
    let unknown = unknown_facts(root);
    let mut table =
        "\n| tier | tables, with how many facts of each are unknown |\n|---|---|\n".to_owned();
    for (i, (name, _)) in TIERS.iter().enumerate() {
        let its = ALL.iter().filter(|platform| tier(platform) == i);
        let its = its.map(|platform| match unknown[platform.name] {
            0 => format!("`{}`", platform.name),
            count => format!("`{}` {count}", platform.name),
        });
        writeln!(table, "| {name} | {} |", its.collect::<Vec<_>>().join(", ")).unwrap();
    }
    table + "\n"
}

/// The README with its table as it has to be.
fn readme(root: &Path) -> String {
    let old = read_to_string(root.join(README)).unwrap();
    let (before, rest) = old.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    [before, BEGIN, &readme_table(root), END, after].concat()
}

// ---- the tests ----

/// Compares, or writes where that was asked for.
#[track_caller]
fn assert_written(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_PLATFORMS").is_some() {
        std::fs::write(path, expected).unwrap();
    }
    let written = read_to_string(path).unwrap_or_default();
    assert!(
        written == expected,
        "{} is out of date; UPDATE_PLATFORMS=1 cargo test --test platforms writes it",
        path.display(),
    );
}

/// Where the largest `isize` is the largest `int` as well, the page would say so.
#[cfg(target_pointer_width = "64")]
#[test]
fn platforms_page_is_what_the_tables_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_written(&root.join(PAGE), &page(root));
}

/// What the last column names is there: a test, or a scenario of a record.
#[test]
fn platforms_page_names_tests_and_records_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let contents = |directory: &str, extension: &str| -> String {
        let files = read_dir(root.join(directory)).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|e| e == extension));
        files.map(|path| read_to_string(path).unwrap()).collect()
    };
    let tests = contents("tests", "rs") + &contents("tests/faults", "rs");
    let records: String = Record::all()
        .into_iter()
        .map(|record| record.text)
        .collect();
    let head = read_to_string(root.join(HEAD)).unwrap();
    let (_, head) = head.split_once("## Where readiness lies").unwrap();
    let mut named = 0;
    for row in head.lines().filter(|line| line.starts_with('|')) {
        let proof = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in proof.split('`').skip(1).step_by(2) {
            let exists = match proof.split_once(": ") {
                Some(("recorded", _)) => records.contains(&format!("\n{name}\t")),
                _ if name.starts_with("ci/") => root.join(name.split(' ').next().unwrap()).exists(),
                _ => tests.contains(&format!("fn {name}()")),
            };
            assert!(exists, "{name}");
            named += 1;
        }
    }
    assert!(named > 10, "{named} names");
}

/// A promise without its proof would be one no longer.
#[test]
fn security_page_names_tests_and_checks_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: [Vec<String>; 2] = ["tests", "src/ops"].map(|directory| {
        let files = read_dir(root.join(directory)).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|e| e == "rs"));
        files.map(|path| read_to_string(path).unwrap()).collect()
    });
    let tests = files.concat().concat();
    let page = read_to_string(root.join("SECURITY.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let mut named = 0;
    for row in rows {
        let proof = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in proof.split('`').skip(1).step_by(2) {
            let exists = match name {
                _ if name.starts_with("ci/") => root.join("ci/check").exists(),
                _ if name.starts_with("tests/") => root.join(name).exists(),
                _ if name.starts_with('#') => true,
                _ => tests.contains(&format!("fn {name}()")),
            };
            assert!(exists, "{name}");
            named += 1;
        }
    }
    assert!(named > 25, "{named} names");
}

/// What is conservative because nobody knows says so, and is counted.
#[test]
fn platforms_unknown_facts_are_said_to_be_so() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = table_files(root);
    let said: BTreeMap<_, _> = files.iter().flat_map(|file| said(file)).collect();
    for platform in ALL {
        for (field, unknown) in [
            ("accept_mode", platform.accept_mode == AcceptMode::Unknown),
            (
                "unix_queue_event",
                platform.unix_queue_event == QueueEvent::Unknown,
            ),
            (
                "unix_connect_interrupted",
                platform.unix_connect_interrupted == Interrupted::Unknown,
            ),
        ] {
            let source = said[platform.name].iter().find(|(name, _)| *name == field);
            let source = source.map_or("", |(_, source)| source);
            assert!(
                !unknown || is_unknown(source) || source.contains("does not arise"),
                "{}: {field}: {source}",
                platform.name
            );
        }
    }
}

#[test]
fn platforms_table_of_the_readme_has_every_table_as_it_is_checked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_written(&root.join(README), &readme(root));
}
