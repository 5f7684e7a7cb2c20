//! What five kernels really answered, fed into the classifier and the readiness
//! mapping with each kernel's own table: `tests/data/README.md`.

use core::ops::Index;
use std::collections::{BTreeMap, BTreeSet};

use wouldblock::platform::{ALL, Platform};
use wouldblock::{Interest, Op, Outcome, Readiness, classify};

/// A record, and how much of it is judged: a row that a test passed over without
/// a word would make these numbers wrong.
struct Trace {
    file: &'static str,
    table: &'static str,
    /// Failed calls, by the [`COUNTED`] outcomes.
    failed: [usize; 4],
    /// Answers of `poll`.
    revents: usize,
    /// Failed calls with a poll row of the same state: would block; back off
    /// from a descriptor that polls as ready; back off from one that does not.
    judged: [usize; 3],
    text: &'static str,
}

// gVisor implements the system calls of Linux, so Linux's table is its own.
#[rustfmt::skip]
const TRACES: [Trace; 5] = [
    Trace { file: "freebsd-13.0.tsv",     table: "freebsd", failed: [45, 1, 5, 47], revents: 74, judged: [21, 4, 0], text: include_str!("data/kernel-traces/freebsd-13.0.tsv") },
    Trace { file: "gvisor-20221219.tsv",  table: "linux",   failed: [55, 0, 4, 38], revents: 74, judged: [29, 0, 1], text: include_str!("data/kernel-traces/gvisor-20221219.tsv") },
    Trace { file: "gvisor-20240729.tsv",  table: "linux",   failed: [54, 0, 4, 39], revents: 74, judged: [29, 0, 1], text: include_str!("data/kernel-traces/gvisor-20240729.tsv") },
    Trace { file: "linux-6.18.tsv",       table: "linux",   failed: [62, 0, 4, 37], revents: 74, judged: [33, 1, 0], text: include_str!("data/kernel-traces/linux-6.18.tsv") },
    Trace { file: "netbsd-7.99.34.tsv",   table: "netbsd",  failed: [46, 1, 7, 46], revents: 74, judged: [21, 4, 0], text: include_str!("data/kernel-traces/netbsd-7.99.34.tsv") },
];

#[rustfmt::skip]
const COUNTED: [Outcome; 4] =
    [Outcome::WouldBlock, Outcome::TryNext, Outcome::BackOff, Outcome::Failed];

type Cell = (Op, Outcome, &'static [&'static str]);

/// The mapping, for the operations and errnos that occur in the records. It is
/// the same for every file: the cells in which systems differ (a signal during
/// `connect`, a datagram to a named AF_UNIX address) were not probed.
#[rustfmt::skip]
const MAPPING: [Cell; 16] = [
    (Op::Read,        Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Read,        Outcome::Failed,     &["EBADF"]),
    (Op::Recv,        Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Recv,        Outcome::Failed,     &["EBADF", "ECONNRESET", "EINVAL", "ENOTCONN", "ENOTSOCK", "EPERM"]),
    (Op::Write,       Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Write,       Outcome::BackOff,    &["ENOBUFS"]),
    (Op::Write,       Outcome::Failed,     &["EBADF", "EPIPE"]),
    (Op::Send,        Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Send,        Outcome::BackOff,    &["ENOBUFS"]),
    (Op::Send,        Outcome::Failed,     &["ECONNREFUSED", "ECONNRESET", "EDESTADDRREQ", "EMSGSIZE", "ENOTCONN", "EPIPE"]),
    (Op::Accept,      Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Accept,      Outcome::TryNext,    &["ECONNABORTED"]),
    (Op::Connect,     Outcome::WouldBlock, &["EALREADY", "EINPROGRESS"]),
    (Op::Connect,     Outcome::Failed,     &["EISCONN"]),
    (Op::ConnectUnix, Outcome::BackOff,    &["EAGAIN"]),
    (Op::ConnectUnix, Outcome::Failed,     &["ECONNREFUSED"]),
];

const COLUMNS: &str =
    "scenario\top\tret\terrno\terrno_number\trevents\tsigpipe\tnote\tstable\tpoll_row\tdirection";

/// One line of a record; its values are asked for by the column's name.
struct Row([&'static str; 11]);

impl Index<&str> for Row {
    type Output = str;

    fn index(&self, column: &str) -> &str {
        let i = COLUMNS.split('\t').position(|known| known == column);
        self.0[i.expect(column)]
    }
}

impl Trace {
    fn table(&self) -> &'static Platform {
        let table = ALL.iter().find(|table| table.name == self.table);
        table.expect(self.table)
    }

    fn rows(&self) -> Vec<Row> {
        let mut lines = self.text.lines();
        assert!(lines.next().is_some_and(|title| title.starts_with('#')));
        assert_eq!(lines.next(), Some(COLUMNS));
        let values = |line: &'static str| line.split('\t').collect::<Vec<_>>().try_into();
        lines.map(|line| Row(values(line).expect(line))).collect()
    }

    /// Every call that failed. Rows of which repeated runs differed are among
    /// them: which answer came was chance, what it means is not.
    fn failed_calls(&self) -> Vec<Row> {
        let failed = |row: &Row| &row["ret"] == "-1" || !row["errno"].is_empty();
        let nameless = |row: &Row| ["", "?(0)"].contains(&&row["errno"]);
        let rows = self.rows().into_iter().filter(failed);
        let (unknown, known): (Vec<_>, Vec<_>) = rows.partition(nameless);
        // No errno was recorded for it, so there is nothing to classify.
        let unknown: Vec<_> = unknown.iter().map(|row| &row["scenario"]).collect();
        assert_eq!(unknown, ["tcp.est.drain"], "{}", self.file);
        known
    }

    /// The answers of `poll`, by scenario.
    fn polls(&self) -> BTreeMap<&'static str, Row> {
        let mut polls = BTreeMap::new();
        for row in self.rows() {
            if row["op"] == *"poll" {
                let scenario = row.0[0];
                let other = polls.insert(scenario, row);
                assert!(other.is_none(), "{} {scenario} twice", self.file);
            }
        }
        polls
    }
}

impl Row {
    /// `unl.*` are AF_UNIX listeners, and their connects the only ones to an
    /// AF_UNIX address (`us.*` and `ud.*` come from `socketpair`). No row is a
    /// `SendToUnix`: no send names its receiver, `ud.*` being connected pairs
    /// and `udp.unconn.send` a send to nobody.
    fn op(&self) -> Op {
        match &self["op"] {
            "read" => Op::Read,
            "write" => Op::Write,
            "recv" => Op::Recv,
            "send" => Op::Send,
            "accept" => Op::Accept,
            "connect" if self["scenario"].starts_with("unl.") => Op::ConnectUnix,
            "connect" => Op::Connect,
            "poll" => Op::Poll,
            other => panic!("{other} is no operation"),
        }
    }

    fn classify(&self, table: &Platform) -> Outcome {
        classify(self.op(), self["errno_number"].parse().unwrap(), table)
    }
}

#[test]
fn replay_of_every_failed_call_gives_the_outcome_of_the_mapping() {
    let mut seen = BTreeSet::new();
    for trace in &TRACES {
        let mut counts = [0; 4];
        for row in trace.failed_calls() {
            let errno = &row["errno"];
            let what = format!("{} {} {errno}", trace.file, &row["scenario"]);
            let is_cell = |(op, _, errnos): &Cell| *op == row.op() && errnos.contains(&errno);
            let cell = MAPPING.iter().position(is_cell).expect(&what);
            let outcome = MAPPING[cell].1;
            assert_eq!(row.classify(trace.table()), outcome, "{what}");
            // Two errnos of one outcome could have changed places in the table.
            for (name, number) in [
                ("EAGAIN", trace.table().eagain),
                ("EALREADY", trace.table().ealready),
                ("ECONNABORTED", trace.table().econnaborted),
                ("EINPROGRESS", trace.table().einprogress),
                ("ENOBUFS", trace.table().enobufs),
            ] {
                let recorded = row["errno_number"] == *number.to_string();
                assert_eq!(errno == name, recorded, "{what}");
            }
            // Recorded where a real FreeBSD would not answer: with MSG_WAITALL
            // it sleeps in spite of non-blocking mode.
            let slept = row["note"] == *"WOULD-SLEEP";
            assert_eq!(errno == "EPERM", slept, "{what}");
            seen.insert((cell, errno.to_owned()));
            let counted = COUNTED.iter().position(|counted| *counted == outcome);
            counts[counted.expect(&what)] += 1;
        }
        assert_eq!(counts, trace.failed, "{}", trace.file);
    }
    // A cell that no kernel answered would be a claim without a witness.
    let cells: usize = MAPPING.iter().map(|(_, _, errnos)| errnos.len()).sum();
    assert_eq!(seen.len(), cells);
}

#[test]
fn replay_of_every_direction_is_the_interest_of_the_operation() {
    #[rustfmt::skip]
    let meant = [("IN", Interest::READABLE), ("OUT", Interest::WRITABLE), ("", Interest::empty())];
    for trace in &TRACES {
        let mut rows = trace.rows();
        rows.retain(|row| !["mode", "setup", "so_error"].contains(&&row["op"]));
        for row in rows {
            let interest = meant.iter().find(|(name, _)| row["direction"] == **name);
            assert_eq!(interest.map(|meant| meant.1), Some(row.op().interest()));
        }
    }
}

// ---- the law ----

/// Would block says that readiness for the operation is the signal to go on, so
/// the very same state must not show it. The errno plays no part. Tells whether
/// the state was a ready one.
fn judge_law(outcome: Outcome, direction: &str, revents: &str) -> Result<bool, String> {
    let signals = [direction, "HUP", "ERR"];
    let ready = revents.split('+').any(|name| signals.contains(&name));
    if ready && outcome == Outcome::WouldBlock {
        return Err(format!("waits for {direction}, polls {revents}"));
    }
    Ok(ready)
}

type Classifier = fn(&Row, &Platform) -> Outcome;

fn judge_trace(trace: &Trace, classifier: Classifier) -> Result<[usize; 3], String> {
    let mut judged = [0; 3];
    let polls = trace.polls();
    let mut rows = trace.failed_calls();
    rows.retain(|row| !row["poll_row"].is_empty());
    for row in rows {
        // In the state in which the call was made.
        let poll = &polls[&row["poll_row"]];
        let outcome = classifier(&row, trace.table());
        let ready = judge_law(outcome, &row["direction"], &poll["revents"])
            .map_err(|why| format!("{}: {why}", &row["scenario"]))?;
        let column = match outcome {
            Outcome::WouldBlock => 0,
            Outcome::BackOff if ready => 1,
            Outcome::BackOff => 2,
            _ => continue,
        };
        judged[column] += 1;
        // Two rows that differ between runs need not be of one state.
        assert!([&row, poll].iter().all(|row| row["stable"] == *"yes"));
    }
    Ok(judged)
}

/// A state to back off from either polls as ready at once (Linux's full
/// AF_UNIX backlog, a BSD's full datagram queue) or never does (gVisor's full
/// backlog): in no record does an event tell when to go on.
#[test]
fn replay_of_every_would_block_obeys_the_law() {
    for trace in &TRACES {
        let judged = judge_trace(trace, Row::classify);
        assert_eq!(judged, Ok(trace.judged), "{}", trace.file);
    }
}

#[test]
fn judge_law_on_a_ready_descriptor_is_a_violation() {
    let judge = |revents| judge_law(Outcome::WouldBlock, "IN", revents);
    for revents in ["IN", "IN+OUT", "HUP", "ERR", "OUT+HUP", "IN+OUT+ERR+HUP"] {
        assert!(judge(revents).is_err(), "{revents}");
    }
    assert_eq!((judge("0"), judge("OUT")), (Ok(false), Ok(false)));
    assert_eq!(judge_law(Outcome::Failed, "IN", "IN"), Ok(true));
}

/// A classifier by errno alone, which is what most programs have, must not
/// pass; it is caught where the kernel polls as ready.
#[test]
fn judge_trace_with_a_classifier_by_errno_alone_is_a_violation() {
    let by_errno_alone = |row: &Row, _: &Platform| match &row["errno"] {
        "EAGAIN" | "ENOBUFS" => Outcome::WouldBlock,
        _ => Outcome::Failed,
    };
    for trace in &TRACES {
        // gVisor's full backlog polls as nothing at all, which no law forbids.
        let lawful = trace.file.starts_with("gvisor");
        assert_eq!(
            judge_trace(trace, by_errno_alone).is_ok(),
            lawful,
            "{}",
            trace.file
        );
    }
}

// ---- readiness ----

/// poll's names, a table's bits for them, and the portable flag.
fn names(table: &Platform) -> [(&'static str, u16, Readiness); 9] {
    [
        ("IN", table.pollin, Readiness::READABLE),
        ("RDNORM", table.pollrdnorm, Readiness::READABLE),
        ("OUT", table.pollout, Readiness::WRITABLE),
        ("WRNORM", table.pollwrnorm, Readiness::WRITABLE),
        ("PRI", table.pollpri, Readiness::PRIORITY),
        ("RDHUP", table.pollrdhup, Readiness::READ_CLOSED),
        ("HUP", table.pollhup, Readiness::HANG_UP),
        ("ERR", table.pollerr, Readiness::ERROR),
        ("NVAL", table.pollnval, Readiness::INVALID),
    ]
}

/// The recorder asked for IN and OUT only, so no record shows RDHUP, PRI or a
/// NORM bit; the test after this one has them.
#[test]
fn replay_of_every_revents_is_the_readiness_of_its_names() {
    for trace in &TRACES {
        let mut rows = trace.rows();
        rows.retain(|row| !row["revents"].is_empty());
        assert_eq!(rows.len(), trace.revents, "{}", trace.file);
        for row in rows {
            let what = format!("{} {}", trace.file, &row["scenario"]);
            let (mut shown, mut revents, mut expected) = (vec![], 0, Readiness::empty());
            for name in row["revents"].split('+').filter(|name| *name != "0") {
                let mut known = names(trace.table()).into_iter();
                let (_, bits, flag) = known.find(|known| known.0 == name).expect(&what);
                shown.push(name);
                revents |= bits;
                expected |= flag;
            }
            let has = |name| shown.contains(&name);
            let gone = has("HUP") || has("ERR");

            let readiness = Readiness::from_revents(revents, trace.table());
            assert_eq!(readiness, expected, "{what}");
            assert_eq!(readiness.is_readable(), has("IN") || gone, "{what}");
            assert_eq!(readiness.is_writable(), has("OUT") || gone, "{what}");
            assert_eq!(readiness.is_hang_up(), has("HUP"), "{what}");
            assert_eq!(readiness.is_error(), has("ERR"), "{what}");
            assert_eq!(readiness.is_invalid(), has("NVAL"), "{what}");
            assert!(!readiness.is_priority(), "{what}");
            assert!(!readiness.is_read_closed(), "{what}");
        }
    }
}

#[test]
fn readiness_of_every_bit_of_every_table_is_as_named() {
    for table in ALL {
        let (what, names) = (table.name, names(table));
        for revents in 0..=u16::MAX {
            let named = names.iter().filter(|(_, bits, _)| bits & revents != 0);
            let expected = named.fold(Readiness::empty(), |all, name| all | name.2);
            let readiness = Readiness::from_revents(revents, table);
            assert_eq!(readiness, expected, "{what} {revents:#x}");
        }
        for (name, bits, flag) in names {
            // The one name that a system may lack.
            assert!(bits != 0 || name == "RDHUP", "{what} {name}");
            // A bit of two meanings would end a wait for the other one.
            let shared = |other: &(_, u16, _)| other.1 & bits != 0 && other.2 != flag;
            assert!(!names.iter().any(shared), "{what} {name}");
        }
    }
}

#[test]
fn traces_are_all_the_files_of_the_directory() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kernel-traces");
    let entries = std::fs::read_dir(directory).expect(directory);
    let files: BTreeSet<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(
        files,
        TRACES.iter().map(|trace| trace.file.into()).collect()
    );
}
