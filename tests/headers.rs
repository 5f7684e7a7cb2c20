//! The tables, against C headers that neither rustix nor the libc crate was
//! made from: those of glibc, musl, macOS, the BSDs and WASI. `ci/check headers` prints
//! them; this test only reads.

#[path = "common/target.rs"]
mod target;

use std::collections::BTreeMap;

use target::table;
use wouldblock::platform::{ALL, Platform};

const HEADERS: &str = include_str!("data/headers.tsv");

/// Where the tables follow rustix, which they have to build with, and the
/// headers say otherwise.
const DIFFERENCES: [&str; 1] = [
    // The libc crate 0.2.191 has 0x100. The kernel has POLLOUT, in
    // arch/m68k/include/uapi/asm/poll.h; 0x100 is POLLWRBAND there.
    "m68k-linux-gnu POLLWRNORM: 256, Some(4)",
];

/// Constants of one target; `None` where its headers have no such name.
type Constants = BTreeMap<&'static str, Option<i64>>;

fn targets() -> Vec<(&'static str, Constants)> {
    let mut lines = HEADERS.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<_> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let values: Vec<_> = line.split('\t').collect();
            assert_eq!(values.len(), names.len(), "{line}");
            let constants = names.iter().zip(&values).skip(1);
            let number = |value: &str| (value != "-").then(|| value.parse().expect(line));
            let constants = constants.map(|(name, value)| (*name, number(value)));
            (values[0], constants.collect())
        })
        .collect()
}

fn errnos(table: &Platform) -> [(&'static str, i32); 11] {
    [
        ("EAGAIN", table.eagain),
        ("EWOULDBLOCK", table.ewouldblock),
        ("EINTR", table.eintr),
        ("EINPROGRESS", table.einprogress),
        ("EALREADY", table.ealready),
        ("ENOBUFS", table.enobufs),
        ("ENOMEM", table.enomem),
        ("ECONNABORTED", table.econnaborted),
        ("EPROTO", table.eproto),
        ("EMFILE", table.emfile),
        ("ENFILE", table.enfile),
    ]
}

/// WASI has no table of its own: rustix does not build for it.
const WASI: &str = "wasm32-wasi";

/// Emscripten takes its errno numbers, and nothing else, from WASI
/// (`system/lib/libc/musl/arch/emscripten/bits/errno.h` includes `wasi/api.h`).
#[test]
fn emscripten_has_the_errno_numbers_of_the_headers_of_wasi() {
    let (_, headers) = targets().into_iter().find(|(t, _)| *t == WASI).unwrap();
    let emscripten = ALL.iter().find(|t| t.name == "emscripten").unwrap();
    for (name, fact) in errnos(emscripten) {
        assert_eq!(headers[name], Some(fact.into()), "{name}");
    }
}

#[test]
fn every_table_has_the_numbers_of_the_headers() {
    let mut wrong = Vec::new();
    for (target, headers) in targets().into_iter().filter(|(t, _)| *t != WASI) {
        let table = table(target);
        let bits = [
            ("POLLIN", table.pollin.into()),
            ("POLLPRI", table.pollpri.into()),
            ("POLLOUT", table.pollout.into()),
            ("POLLERR", table.pollerr.into()),
            ("POLLHUP", table.pollhup.into()),
            ("POLLNVAL", table.pollnval.into()),
            ("POLLRDNORM", table.pollrdnorm.into()),
            ("POLLWRNORM", table.pollwrnorm.into()),
        ];
        for (name, fact) in errnos(table).into_iter().chain(bits) {
            if headers[name] != Some(fact.into()) {
                wrong.push(format!("{target} {name}: {fact}, {:?}", headers[name]));
            }
        }
        // 0 in a table is "no such bit".
        let flags = [
            ("POLLRDHUP", table.pollrdhup.into()),
            ("MSG_NOSIGNAL", table.msg_nosignal),
            ("MSG_CMSG_CLOEXEC", table.msg_cmsg_cloexec),
        ];
        for (name, fact) in flags {
            if headers[name].unwrap_or(0) != fact.into() {
                wrong.push(format!("{target} {name}: {fact:#x}, {:x?}", headers[name]));
            }
        }
        // Two flags in one fact, which a table may leave unused.
        let both = |a: &str, b: &str| headers[a].zip(headers[b]).map(|(a, b)| a | b);
        let pairs = [
            ("SOCK_NONBLOCK", "SOCK_CLOEXEC", table.accept_flags),
            ("SOCK_NONBLOCK", "SOCK_CLOEXEC", table.socket_flags),
            ("O_NONBLOCK", "O_CLOEXEC", table.pipe_flags),
        ];
        for (nonblock, cloexec, fact) in pairs {
            if fact != 0 && both(nonblock, cloexec) != Some(fact.into()) {
                let found = both(nonblock, cloexec);
                wrong.push(format!("{target} {nonblock}: {fact:#x}, {found:x?}"));
            }
        }
        if table.so_nosigpipe != headers["SO_NOSIGPIPE"].is_some() {
            let found = headers["SO_NOSIGPIPE"];
            wrong.push(format!("{target} SO_NOSIGPIPE: {found:?}"));
        }
        if headers["IOV_MAX"] != i64::try_from(table.iov_max).ok() {
            let found = headers["IOV_MAX"];
            wrong.push(format!("{target} IOV_MAX: {}, {found:?}", table.iov_max));
        }
        // The errnos after which `accept` goes on, in the table's order.
        let network = [
            "ENETDOWN",
            "EHOSTDOWN",
            "ENONET",
            "EHOSTUNREACH",
            "ENETUNREACH",
        ];
        let count = table.accept_network_errors.len();
        assert!([0, network.len()].contains(&count), "{target}");
        for (name, fact) in network.iter().zip(table.accept_network_errors) {
            if headers[name] != Some((*fact).into()) {
                wrong.push(format!("{target} {name}: {fact}, {:?}", headers[name]));
            }
        }
    }
    assert_eq!(wrong, DIFFERENCES, "target, constant: table, headers");
}
