//! `docs/PLATFORMS.md` is written from the tables, and says what they say.
//! `UPDATE_PLATFORMS=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use wouldblock::platform::{ALL, Platform};

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

fn limit(most: usize) -> String {
    if most == usize::MAX {
        "none".into()
    } else {
        format!("{most:#x}")
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
        let numbers: Vec<_> = p
            .accept_network_errors
            .iter()
            .map(ToString::to_string)
            .collect();
        if numbers.is_empty() {
            "–".into()
        } else {
            numbers.join(", ")
        }
    }),
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
    ("SO_NOSIGPIPE", |p| {
        if p.so_nosigpipe { "yes" } else { "–" }.into()
    }),
    ("accept4", |p| flags(p.accept_flags)),
    ("socket", |p| flags(p.socket_flags)),
    ("pipe2", |p| flags(p.pipe_flags)),
    ("MSG_CMSG_CLOEXEC", |p| flags(p.msg_cmsg_cloexec)),
    ("… and it holds", |p| {
        if p.cmsg_cloexec_holds { "yes" } else { "–" }.into()
    }),
];

const FACTS: &[Column] = &[
    ("mode after accept", |p| format!("{:?}", p.accept_mode)),
    ("event after a full `AF_UNIX` queue", |p| {
        format!("{:?}", p.unix_queue_event)
    }),
    ("`AF_UNIX` connect after a signal", |p| {
        format!("{:?}", p.unix_connect_interrupted)
    }),
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

fn page(root: &Path) -> String {
    let mut page = std::fs::read_to_string(root.join(HEAD)).unwrap();
    table(&mut page, "Errno numbers", NUMBERS);
    table(&mut page, "Poll bits", BITS);
    table(&mut page, "Flags, as rustix can pass them", FLAGS);
    table(&mut page, "Facts", FACTS);
    page
}

#[test]
fn platforms_page_is_what_the_tables_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let expected = page(root);
    if std::env::var_os("UPDATE_PLATFORMS").is_some() {
        std::fs::write(root.join(PAGE), &expected).unwrap();
    }
    let written = std::fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    assert!(
        written == expected,
        "{PAGE} is out of date; UPDATE_PLATFORMS=1 cargo test --test platforms writes it",
    );
}

/// What was verified of each is in the README, and a new table has to say it too.
#[test]
fn readme_has_a_row_for_every_table_and_no_other() {
    let readme = include_str!("../README.md");
    let section = readme.split("\n## ").find(|s| s.starts_with("Platforms\n"));
    let rows = section
        .unwrap()
        .lines()
        .filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let named = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let known = ALL.iter().map(|table| table.name);
    assert_eq!(named.collect::<BTreeSet<_>>(), known.collect());
}
