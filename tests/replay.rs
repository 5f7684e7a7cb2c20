//! What seven kernels really answered, fed into the classifier and the readiness
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
    /// from a descriptor that polls as ready; back off from one that does not; would
    /// block all the same on one that does, each of which is in [`LIES`].
    judged: [usize; 4],
    /// Calls that slept, or would have, and whose poll row is not in the record.
    asleep: usize,
    unjudged: usize,
    text: &'static str,
}

// gVisor implements the system calls of Linux, so Linux's table is its own.
#[rustfmt::skip]
const TRACES: [Trace; 9] = [
    Trace { file: "freebsd-13.0-more.tsv", table: "freebsd", failed: [11, 0, 5, 12], revents: 21, judged: [7, 3, 0, 0], asleep: 0, unjudged: 0, text: include_str!("data/kernel-traces/freebsd-13.0-more.tsv") },
    Trace { file: "freebsd-13.0.tsv", table: "freebsd", failed: [45, 1, 5, 47], revents: 74, judged: [21, 4, 0, 0], asleep: 3, unjudged: 0, text: include_str!("data/kernel-traces/freebsd-13.0.tsv") },
    Trace { file: "gvisor-20221219.tsv", table: "linux", failed: [55, 0, 4, 38], revents: 74, judged: [29, 0, 1, 0], asleep: 0, unjudged: 0, text: include_str!("data/kernel-traces/gvisor-20221219.tsv") },
    Trace { file: "gvisor-20240729.tsv", table: "linux", failed: [54, 0, 4, 39], revents: 74, judged: [29, 0, 1, 0], asleep: 0, unjudged: 0, text: include_str!("data/kernel-traces/gvisor-20240729.tsv") },
    Trace { file: "linux-6.18.tsv", table: "linux", failed: [62, 0, 4, 37], revents: 74, judged: [33, 1, 0, 0], asleep: 0, unjudged: 0, text: include_str!("data/kernel-traces/linux-6.18.tsv") },
    Trace { file: "netbsd-7.99.34-more.tsv", table: "netbsd", failed: [11, 0, 5, 15], revents: 21, judged: [7, 3, 0, 0], asleep: 0, unjudged: 0, text: include_str!("data/kernel-traces/netbsd-7.99.34-more.tsv") },
    Trace { file: "netbsd-7.99.34.tsv", table: "netbsd", failed: [46, 1, 7, 46], revents: 74, judged: [21, 4, 0, 0], asleep: 1, unjudged: 0, text: include_str!("data/kernel-traces/netbsd-7.99.34.tsv") },
    Trace { file: "xnu-11417.101.15.tsv", table: "apple-macos", failed: [75, 0, 12, 76], revents: 167, judged: [38, 2, 7, 7], asleep: 7, unjudged: 4, text: include_str!("data/kernel-traces/xnu-11417.101.15.tsv") },
    Trace { file: "xnu-7195.141.2.tsv", table: "apple-macos", failed: [74, 0, 12, 75], revents: 162, judged: [38, 8, 1, 7], asleep: 7, unjudged: 3, text: include_str!("data/kernel-traces/xnu-7195.141.2.tsv") },
];

#[rustfmt::skip]
const COUNTED: [Outcome; 4] =
    [Outcome::WouldBlock, Outcome::TryNext, Outcome::BackOff, Outcome::Failed];

type Cell = (Op, Outcome, &'static [&'static str]);

/// The mapping, for the operations and errnos that occur in the records. It is the
/// same for every file: what differs from system to system is a signal during
/// `connect`, which nobody recorded, and a datagram to a named AF_UNIX address, of
/// which the records have two systems without EAGAIN, and one where no event follows.
#[rustfmt::skip]
const MAPPING: [Cell; 20] = [
    (Op::Read,        Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Read,        Outcome::Failed,     &["EBADF", "EINVAL"]),
    (Op::Recv,        Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Recv,        Outcome::Failed,     &["EBADF", "ECONNREFUSED", "ECONNRESET", "EINVAL", "EMSGSIZE", "ENOTCONN", "ENOTSOCK", "EOPNOTSUPP", "EPERM"]),
    (Op::Write,       Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Write,       Outcome::BackOff,    &["ENOBUFS"]),
    (Op::Write,       Outcome::Failed,     &["EBADF", "ECONNRESET", "EDESTADDRREQ", "EINVAL", "ENOTCONN", "EPIPE"]),
    (Op::Send,        Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Send,        Outcome::BackOff,    &["ENOBUFS"]),
    (Op::Send,        Outcome::Failed,     &["ECONNREFUSED", "ECONNRESET", "EDESTADDRREQ", "EMSGSIZE", "ENOTCONN", "EPIPE"]),
    (Op::SendToUnix,  Outcome::BackOff,    &["EAGAIN", "ENOBUFS"]),
    (Op::SendToUnix,  Outcome::Failed,     &["ECONNREFUSED", "ENOENT"]),
    (Op::Accept,      Outcome::WouldBlock, &["EAGAIN"]),
    (Op::Accept,      Outcome::TryNext,    &["ECONNABORTED"]),
    (Op::Accept,      Outcome::BackOff,    &["EMFILE"]),
    (Op::Connect,     Outcome::WouldBlock, &["EALREADY", "EINPROGRESS"]),
    (Op::Connect,     Outcome::BackOff,    &["EAGAIN"]),
    (Op::Connect,     Outcome::Failed,     &["EADDRNOTAVAIL", "ECONNREFUSED", "EISCONN"]),
    (Op::ConnectUnix, Outcome::BackOff,    &["EAGAIN"]),
    (Op::ConnectUnix, Outcome::Failed,     &["ECONNREFUSED", "ENOENT"]),
];

/// Where macOS broke the law: the scenario, and its place on the page of platforms.
#[rustfmt::skip]
const LIES: [(&str, &str); 7] = [
    ("us.shut_wr.own_recv",                   SENT_ALL),
    ("tcp.shut_wr.own_recv",                  SENT_ALL),
    ("ud.hiwat-4.sendmsg_fd",                 TOO_LONG),
    ("ud.hiwat-4.sendmsg_fd_again",           TOO_LONG),
    ("udp.hiwat-8.sendmsg_control24",         TOO_LONG),
    ("udp.hiwat-8.sendmsg_control24_again",   TOO_LONG),
    ("us.partial.waitall10",                  "less than `MSG_WAITALL` asks for"),
];
const SENT_ALL: &str = "one's own sending side shut down, asked for both directions";
const TOO_LONG: &str = "a datagram that only with its control message or its descriptors is longer than the send buffer";

/// Calls that slept, or would have: what asked for it. The crate passes neither flag,
/// and promises nothing of a descriptor in blocking mode.
#[rustfmt::skip]
const SLEEPERS: [(&str, &str); 9] = [
    ("us.send5.waitall10",                    "MSG_WAITALL"),
    ("us.send5.waitall10_dontwait",           "MSG_WAITALL"),
    ("us.partial.waitall10_dontwait_nb",      "MSG_WAITALL"),
    ("tcp.est.waitall_partial",               "MSG_WAITALL"),
    ("tcp.est.waitall_partial_dontwait",      "MSG_WAITALL"),
    ("us.full_blocking.send_dontwait",        "MSG_DONTWAIT of a send"),
    ("tcp.est.full_blocking.send_dontwait",   "MSG_DONTWAIT of a send"),
    ("us.full_blocking.send",                 "blocking mode"),
    ("tcp.listen_shut.accept_blocking",       "blocking mode"),
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
        let rows = self.rows().into_iter().filter(Row::is_operation);
        let (unknown, known): (Vec<_>, Vec<_>) = rows.filter(failed).partition(nameless);
        // No errno was recorded for it, so there is nothing to classify.
        let is_known = |row: &Row| &row["scenario"] == "tcp.est.drain";
        assert!(unknown.iter().all(is_known), "{}", self.file);
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
    /// Whether the call slept, or would have on a whole system.
    fn sleeps(&self) -> bool {
        &self["note"] == "WOULD-SLEEP" || &self["ret"] == "HANG"
    }

    fn is_operation(&self) -> bool {
        !["mode", "setup", "so_error"].contains(&&self["op"])
    }

    /// `unl.*` are AF_UNIX listeners; `udn.*` and `und.*` are datagrams to a named
    /// AF_UNIX address, sent by `sendto` in the former's rows of that name. (`us.*` and
    /// `ud.*` come from `socketpair`; `udp.unconn.send` is a send to nobody.)
    fn op(&self) -> Op {
        let scenario = &self["scenario"];
        let is_named = ["unl.", "udn.", "und."]
            .iter()
            .any(|kind| scenario.starts_with(kind));
        match &self["op"] {
            "read" | "readv" => Op::Read,
            "write" | "writev" => Op::Write,
            "recv" | "recvmsg" => Op::Recv,
            "sendto" if is_named => Op::SendToUnix,
            "send" if scenario.starts_with("und.") => Op::SendToUnix,
            "send" | "sendmsg" => Op::Send,
            "accept" => Op::Accept,
            "connect" if is_named => Op::ConnectUnix,
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
                ("EMFILE", trace.table().emfile),
                ("EINPROGRESS", trace.table().einprogress),
                ("ENOBUFS", trace.table().enobufs),
            ] {
                let recorded = row["errno_number"] == *number.to_string();
                assert_eq!(errno == name, recorded, "{what}");
            }
            // Recorded where a real FreeBSD would not answer.
            assert_eq!(errno == "EPERM", row.sleeps(), "{what}");
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
fn replay_of_every_call_that_sleeps_finds_what_asked_for_it() {
    let mut seen = BTreeSet::new();
    for trace in &TRACES {
        let mut rows = trace.rows();
        rows.retain(|row| row.is_operation() && row.sleeps());
        assert_eq!(rows.len(), trace.asleep, "{}", trace.file);
        for row in rows {
            let known = SLEEPERS.iter().find(|known| row["scenario"] == *known.0);
            let (scenario, _) = known.unwrap_or_else(|| panic!("{}", &row["scenario"]));
            seen.insert(*scenario);
        }
    }
    assert_eq!(seen.len(), SLEEPERS.len());
}

#[test]
fn replay_of_every_direction_is_the_interest_of_the_operation() {
    #[rustfmt::skip]
    let meant = [("IN", Interest::READABLE), ("OUT", Interest::WRITABLE), ("", Interest::empty())];
    for trace in &TRACES {
        let mut rows = trace.rows();
        // MSG_OOB, which the crate does not pass, waits for something else.
        rows.retain(|row| row.is_operation() && row["direction"] != *"PRI");
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

/// The counts of [`Trace::judged`], and of what cannot be judged.
fn judge_trace(trace: &Trace, classifier: Classifier) -> Result<([usize; 4], usize), String> {
    let (mut judged, mut unjudged) = ([0; 4], 0);
    let polls = trace.polls();
    let mut rows = trace.failed_calls();
    rows.retain(|row| !row["poll_row"].is_empty());
    for row in rows {
        // In the state in which the call was made.
        let Some(poll) = polls.get(&row["poll_row"]) else {
            unjudged += 1;
            continue;
        };
        let outcome = classifier(&row, trace.table());
        let lies = trace.table == "apple-macos" && LIES.iter().any(|lie| row["scenario"] == *lie.0);
        let column = match judge_law(outcome, &row["direction"], &poll["revents"]) {
            Err(_) if lies => 3,
            Err(why) => return Err(format!("{}: {why}", &row["scenario"])),
            Ok(_) if lies => return Err(format!("{} did not lie", &row["scenario"])),
            Ok(ready) => match outcome {
                Outcome::WouldBlock => 0,
                Outcome::BackOff if ready => 1,
                Outcome::BackOff => 2,
                _ => continue,
            },
        };
        judged[column] += 1;
        // Two rows that differ between runs need not be of one state.
        assert!([&row, poll].iter().all(|row| row["stable"] == *"yes"));
    }
    Ok((judged, unjudged))
}

/// A state to back off from either polls as ready at once (Linux's full
/// AF_UNIX backlog, a BSD's full datagram queue) or never does (gVisor's full
/// backlog, macOS without a port). But for macOS 15, where a connected AF_UNIX
/// datagram socket whose queue is full polls as not writable, in no record does an
/// event tell when to go on.
#[test]
fn replay_of_every_would_block_obeys_the_law_or_is_a_known_lie() {
    for trace in &TRACES {
        let judged = judge_trace(trace, Row::classify);
        assert_eq!(judged, Ok((trace.judged, trace.unjudged)), "{}", trace.file);
    }
}

/// What is known of a lie is where readers look for it.
#[test]
fn lies_of_the_records_have_a_place_on_the_page_of_platforms() {
    let page = include_str!("../docs/platforms.head.md");
    let (_, section) = page.split_once("## Where readiness lies").unwrap();
    for (scenario, place) in LIES {
        let row = section.lines().find(|line| line.contains(place));
        let row = row.unwrap_or_else(|| panic!("{scenario} has no row: {place}"));
        assert!(row.contains("macOS"), "{row}");
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

/// The recorders asked for IN and OUT, and for PRI in a few rows, so no record shows
/// RDHUP or a NORM bit; the test after this one has them.
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
            assert_eq!(readiness.is_priority(), has("PRI"), "{what}");
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
