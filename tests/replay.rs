//! What kernels really answered, fed into the classifier and the readiness mapping, with
//! each kernel's own table: `tests/data/README.md`. A record is judged because it lies in
//! the folder. Whatever is wrong with it, or is not understood, is said in a sentence with
//! what to do.

#[path = "common/records.rs"]
mod records;

use core::ops::Index;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use records::{COUNTS, Record, counts};
use wouldblock::platform::{ALL, Interrupted, Platform, QueueEvent};
use wouldblock::{Interest, Op, Outcome, Readiness, classify};

type Cell = (Op, Outcome, &'static [&'static str]);

/// The mapping, for the operations and errnos that occur in the records. It is the
/// same for every file but for [`by_fact`].
#[rustfmt::skip]
const MAPPING: [Cell; 29] = [
    (Op::Read,        Outcome::WouldBlock,  &["EAGAIN"]),
    (Op::Read,        Outcome::Interrupted, &["EINTR"]),
    (Op::Read,        Outcome::Failed,      &["EBADF", "EINVAL", "EIO"]),
    (Op::Recv,        Outcome::WouldBlock,  &["EAGAIN"]),
    (Op::Recv,        Outcome::Interrupted, &["EINTR"]),
    (Op::Recv,        Outcome::Failed,      &["EBADF", "ECONNREFUSED", "ECONNRESET", "EINVAL", "EMSGSIZE", "ENOBUFS", "ENOTCONN", "ENOTSOCK", "EOPNOTSUPP"]),
    (Op::Write,       Outcome::WouldBlock,  &["EAGAIN"]),
    (Op::Write,       Outcome::Interrupted, &["EINTR"]),
    (Op::Write,       Outcome::BackOff,     &["ENOBUFS"]),
    (Op::Write,       Outcome::Failed,      &["EBADF", "ECONNREFUSED", "ECONNRESET", "EDESTADDRREQ", "EINVAL", "EIO", "ENOTCONN", "EPIPE"]),
    (Op::Send,        Outcome::WouldBlock,  &["EAGAIN"]),
    (Op::Send,        Outcome::Interrupted, &["EINTR"]),
    (Op::Send,        Outcome::BackOff,     &["ENOBUFS", "ETOOMANYREFS"]),
    (Op::Send,        Outcome::Failed,      &["ECONNREFUSED", "ECONNRESET", "EDESTADDRREQ", "EMSGSIZE", "ENOTCONN", "EPIPE"]),
    (Op::SendToUnix,  Outcome::Interrupted, &["EINTR"]),
    (Op::SendToUnix,  Outcome::BackOff,     &["EAGAIN", "ENOBUFS"]),
    (Op::SendToUnix,  Outcome::Failed,      &["ECONNREFUSED", "EINVAL", "EMSGSIZE", "ENOENT"]),
    (Op::Accept,      Outcome::WouldBlock,  &["EAGAIN"]),
    (Op::Accept,      Outcome::Interrupted, &["EINTR"]),
    (Op::Accept,      Outcome::TryNext,     &["ECONNABORTED"]),
    (Op::Accept,      Outcome::BackOff,     &["EMFILE"]),
    (Op::Accept,      Outcome::Failed,      &["EINVAL", "EOPNOTSUPP"]),
    (Op::Connect,     Outcome::WouldBlock,  &["EALREADY", "EINPROGRESS", "EINTR"]),
    (Op::Connect,     Outcome::BackOff,     &["EAGAIN"]),
    (Op::Connect,     Outcome::Failed,      &["EADDRNOTAVAIL", "ECONNABORTED", "ECONNREFUSED", "EISCONN"]),
    (Op::ConnectUnix, Outcome::Interrupted, &["EINTR"]),
    (Op::ConnectUnix, Outcome::BackOff,     &["EAGAIN"]),
    (Op::ConnectUnix, Outcome::Failed,      &["ECONNREFUSED", "ENOENT"]),
    (Op::Poll,        Outcome::Interrupted, &["EINTR"]),
];

/// Where the outcome hangs on what the table says. Whether that is so, the law tells.
fn by_fact(op: Op, errno: &str, table: &Platform) -> Option<Outcome> {
    let event = table.unix_queue_event == QueueEvent::Arrives;
    let goes_on = table.unix_connect_interrupted != Interrupted::NothingStarted;
    match (op, errno) {
        (Op::SendToUnix, "EAGAIN") if event => Some(Outcome::WouldBlock),
        (Op::ConnectUnix, "EINTR") if goes_on => Some(Outcome::WouldBlock),
        _ => None,
    }
}

/// Where a kernel breaks the law: the table, the system's name, the scenario, and its
/// place on the page of platforms.
#[rustfmt::skip]
const LIES: [(&str, &str, &str, &str); 11] = [
    ("apple-macos", "macOS",  "us.shut_wr.own_recv",                 SENT_ALL),
    ("apple-macos", "macOS",  "tcp.shut_wr.own_recv",                SENT_ALL),
    ("apple-macos", "macOS",  "ud.hiwat-4.sendmsg_fd",               TOO_LONG),
    ("apple-macos", "macOS",  "ud.hiwat-4.sendmsg_fd_again",         TOO_LONG),
    ("apple-macos", "macOS",  "udp.hiwat-8.sendmsg_control24",       TOO_LONG),
    ("apple-macos", "macOS",  "udp.hiwat-8.sendmsg_control24_again", TOO_LONG),
    ("apple-macos", "macOS",  "us.partial.waitall10",                "less than `MSG_WAITALL` asks for"),
    ("linux",       "Linux",  "ud.shut_rd.own_recv",                 "a datagram socket shut down for reading"),
    ("linux",       "Linux",  "unl.listen_shut.accept",              "an `AF_UNIX` listener that was shut down"),
    ("linux",       "gVisor", "pipe.full-101.write512",              NO_ROOM),
    ("linux",       "gVisor", "pipe.full-511.write512",              NO_ROOM),
];
const SENT_ALL: &str = "one's own sending side shut down, asked for both directions";
const TOO_LONG: &str = "a datagram that only with its control message or its descriptors is longer than the send buffer";
const NO_ROOM: &str = "a pipe with less room than a write that has to be whole";

/// Calls that slept, or would have: what asked for it. The crate passes neither flag,
/// and promises nothing of a descriptor in blocking mode.
#[rustfmt::skip]
const SLEEPERS: [(&str, &str); 11] = [
    ("us.send5.waitall10",                 "MSG_WAITALL"),
    ("us.send5.waitall10_dontwait",        "MSG_WAITALL"),
    ("us.partial.waitall10_dontwait_nb",   "MSG_WAITALL"),
    ("tcp.est.waitall_partial",            "MSG_WAITALL"),
    ("tcp.est.waitall_partial_dontwait",   "MSG_WAITALL"),
    ("us.full_blocking.send_dontwait",     "MSG_DONTWAIT of a send"),
    ("tcp.est.full_blocking.send_dontwait", "MSG_DONTWAIT of a send"),
    ("us.full_blocking.send",              "blocking mode"),
    ("ud.full_blocking.send",              "blocking mode"),
    ("tcp.connecting.connect_blocking_fd", "blocking mode"),
    ("tcp.listen_shut.accept_blocking",    "blocking mode"),
];

/// The call that failed without an errno, in five records: there is nothing to classify.
const NAMELESS: &str = "tcp.est.drain";

/// Polls that rows of XNU name, and that are not in its records.
const UNRECORDED: [&str; 4] = [
    "ud.shut_wr.own_poll",
    "tcp.refused.poll",
    "fifo.full.poll_w.out",
    "fifo.writer_closed_data.poll_r.in",
];

const COLUMNS: &str =
    "scenario\top\tret\terrno\terrno_number\trevents\tsigpipe\tnote\tstable\tpoll_row\tdirection";

/// How much of a record is judged: a row that was passed over without a word would make
/// these numbers wrong.
#[rustfmt::skip]
const COUNTED: [&str; 12] = [
    // Failed calls, by outcome.
    "would_block", "interrupted", "try_next", "back_off", "failed",
    // Answers of poll.
    "polls",
    // Failed calls with a poll of the same state: would block; back off from a descriptor
    // that polls as ready; back off from one that does not; would block all the same on
    // one that does, each of which is in LIES; and no verdict, because the poll is not in
    // the record, or one of the two rows is not stable.
    "law_would_block", "law_back_off_ready", "law_back_off", "lies", "unjudged",
    // Calls that slept, or would have.
    "asleep",
];

/// One line of a record; its values are asked for by the column's name.
struct Row<'a> {
    line: usize,
    values: [&'a str; 11],
}

impl Index<&str> for Row<'_> {
    type Output = str;

    fn index(&self, column: &str) -> &str {
        let i = COLUMNS.split('\t').position(|known| known == column);
        self.values[i.expect(column)]
    }
}

impl Row<'_> {
    /// Whether the call slept, or would have on a whole system.
    fn sleeps(&self) -> bool {
        &self["note"] == "WOULD-SLEEP" || &self["ret"] == "HANG"
    }

    fn is_operation(&self) -> bool {
        !["mode", "setup", "so_error"].contains(&&self["op"])
    }

    /// `unl.*` are AF_UNIX listeners. A datagram waits in its receiver's queue if it is
    /// sent to a name (`udn.*`, and `und.*` while unconnected) or by netlink (`nl.*`).
    fn op(&self) -> Option<Op> {
        let scenario = &self["scenario"];
        let is_of = |kinds: &[&str]| kinds.iter().any(|kind| scenario.starts_with(kind));
        Some(match &self["op"] {
            "read" | "readv" => Op::Read,
            "write" | "writev" => Op::Write,
            "recv" | "recvmsg" => Op::Recv,
            "sendto" if is_of(&["udn.", "nl."]) => Op::SendToUnix,
            "send" if is_of(&["und.unconn", "und.sendto_dead"]) => Op::SendToUnix,
            "send" | "sendmsg" => Op::Send,
            "accept" => Op::Accept,
            "connect" if is_of(&["unl.", "udn.", "und."]) => Op::ConnectUnix,
            "connect" => Op::Connect,
            "poll" => Op::Poll,
            _ => return None,
        })
    }
}

type Classifier = fn(Op, &Row<'_>, &Platform) -> Outcome;

fn by_crate(op: Op, row: &Row<'_>, table: &Platform) -> Outcome {
    classify(op, row["errno_number"].parse().unwrap_or(0), table)
}

/// What was found in a record.
#[derive(Default)]
struct Verdict {
    counts: BTreeMap<&'static str, usize>,
    /// A sentence each.
    complaints: Vec<String>,
    /// What of the lists above occurs in it.
    seen: BTreeSet<String>,
}

impl Verdict {
    fn count(&mut self, what: &'static str) {
        assert!(COUNTED.contains(&what), "{what}");
        *self.counts.entry(what).or_default() += 1;
    }

    fn complain(&mut self, file: &str, row: &Row<'_>, what: &str) {
        let (line, scenario, op) = (row.line, &row["scenario"], &row["op"]);
        self.complaints
            .push(format!("{file}, line {line} ({scenario}, {op}): {what}"));
    }

    /// The numbers of [`COUNTED`], as a line of the file.
    fn line(&self, record: &Record) -> String {
        let numbers = COUNTED.map(|what| self.counts.get(what).copied().unwrap_or(0).to_string());
        let table = record.table().unwrap_or_default();
        format!("{}\t{table}\t{}", record.file, numbers.join("\t"))
    }
}

fn judge(record: &Record, classifier: Classifier) -> Verdict {
    let file = &*record.file;
    let mut verdict = Verdict::default();
    let tables = || ALL.iter().map(|table| table.name).collect::<Vec<_>>();
    let told = record.table();
    let table = ALL.iter().find(|table| told.as_deref() == Some(table.name));
    let Some(table) = table else {
        let why = told.map_or_else(
            || "no table is named".into(),
            |told| format!("there is no table `{told}`"),
        );
        verdict.complaints.push(format!(
            "{file}, line 1: {why}; let the line end in `, table NAME`, with one of {}",
            tables().join(", ")
        ));
        return verdict;
    };
    let mut lines = record.text.lines().zip(1..).skip(1);
    if lines.next().map(|line| line.0) != Some(COLUMNS) {
        verdict.complaints.push(format!(
            "{file}, line 2: these are not the columns; write those of the other records, \
             with one tab between two"
        ));
        return verdict;
    }
    let mut rows = Vec::new();
    for (text, line) in lines {
        match text.split('\t').collect::<Vec<_>>().try_into() {
            Ok(values) => rows.push(Row { line, values }),
            Err(values) => verdict.complaints.push(format!(
                "{file}, line {line}: {} values, where 11 belong; write the row anew",
                Vec::len(&values)
            )),
        }
    }
    let mut polls = BTreeMap::new();
    for row in rows.iter().filter(|row| &row["op"] == "poll") {
        if polls.insert(&row["scenario"], row).is_some() {
            let what = "a second poll of that name; give it another, so that a `poll_row` \
                        can name it";
            verdict.complain(file, row, what);
        }
        judge_readiness(&mut verdict, file, row, table);
    }
    for row in rows.iter().filter(|row| row.is_operation()) {
        if let Err(what) = judge_call(&mut verdict, row, table, &polls, classifier) {
            verdict.complain(file, row, &what);
        }
    }
    verdict
}

fn judge_call(
    verdict: &mut Verdict,
    row: &Row<'_>,
    table: &Platform,
    polls: &BTreeMap<&str, &Row<'_>>,
    classifier: Classifier,
) -> Result<(), String> {
    let Some(op) = row.op() else {
        return Err("no operation of that name is known; add it to `Row::op`".into());
    };
    let meant = match &row["direction"] {
        "IN" => Interest::READABLE,
        "OUT" => Interest::WRITABLE,
        "" => Interest::empty(),
        // MSG_OOB, which the crate does not pass, waits for something else.
        "PRI" => op.interest(),
        other => return Err(format!("`{other}` is no direction; IN, OUT and PRI are")),
    };
    if meant != op.interest() {
        let (direction, interest) = (&row["direction"], op.interest());
        return Err(format!(
            "the direction is {direction}, and {op:?} waits for {interest:?}; \
             one of the two is wrong"
        ));
    }
    let poll = &row["poll_row"];
    if !poll.is_empty() && !polls.contains_key(poll) && !UNRECORDED.contains(&poll) {
        return Err(format!(
            "there is no poll `{poll}`; name the row of the same state, or none"
        ));
    }
    if row.sleeps() {
        verdict.count("asleep");
        if SLEEPERS.iter().any(|known| known.0 == &row["scenario"]) {
            verdict.seen.insert(row["scenario"].into());
            return Ok(());
        }
        return Err(
            "the call slept; if it was asked to, add it to `SLEEPERS`, with what \
                    asked for it; else the system breaks the promise of its mode"
                .into(),
        );
    }
    let errno = &row["errno"];
    if &row["ret"] != "-1" && errno.is_empty() {
        return Ok(());
    }
    if errno.is_empty() || errno == "?(0)" {
        return if &row["scenario"] == NAMELESS {
            Ok(())
        } else {
            Err("it failed, and no errno was recorded; record it again".into())
        };
    }
    if errno.starts_with('?') {
        return Err("the errno has no name; add it to `errno_name` in \
                    examples/record/row.rs, and record it again"
            .into());
    }
    judge_number(row, table)?;
    let outcome = classifier(op, row, table);
    judge_law(verdict, row, outcome, table, polls)?;
    let cell = MAPPING
        .iter()
        .find(|cell| cell.0 == op && cell.2.contains(&errno));
    let Some(cell) = cell else {
        return Err(format!(
            "{errno} of {op:?} is in no cell of `MAPPING`, and is {outcome:?} to the crate; \
             if that is right, add it there, else mend `classify`"
        ));
    };
    let expected = by_fact(op, errno, table);
    if expected.is_none() {
        verdict.seen.insert(format!("{op:?} {errno}"));
    }
    let expected = expected.unwrap_or(cell.1);
    if outcome != expected {
        return Err(format!(
            "{errno} of {op:?} is {outcome:?} to the crate, and {expected:?} in `MAPPING`; \
             mend `classify`, the table {}, or `MAPPING`",
            table.name
        ));
    }
    verdict.count(match outcome {
        Outcome::WouldBlock => "would_block",
        Outcome::Interrupted => "interrupted",
        Outcome::TryNext => "try_next",
        Outcome::BackOff => "back_off",
        _ => "failed",
    });
    Ok(())
}

/// Two errnos of one outcome could have changed places in the table.
fn judge_number(row: &Row<'_>, table: &Platform) -> Result<(), String> {
    let (errno, number) = (&row["errno"], &row["errno_number"]);
    if number.parse::<i32>().is_err() {
        return Err(format!("`{number}` is no number of an errno"));
    }
    for (name, known) in [
        ("EAGAIN", table.eagain),
        ("EALREADY", table.ealready),
        ("ECONNABORTED", table.econnaborted),
        ("EINPROGRESS", table.einprogress),
        ("EINTR", table.eintr),
        ("EMFILE", table.emfile),
        ("ENFILE", table.enfile),
        ("ENOBUFS", table.enobufs),
        ("ENOMEM", table.enomem),
        ("EPROTO", table.eproto),
    ] {
        if (errno == name) != (*number == known.to_string()) {
            return Err(format!(
                "{errno} is {number} here, and {name} is {known} in the table {}; \
                 one of the two is wrong",
                table.name
            ));
        }
    }
    Ok(())
}

// ---- the law ----

/// Would block says that readiness for the operation is the signal to go on, so
/// the very same state must not show it. The errno plays no part.
fn is_ready(direction: &str, revents: &str) -> bool {
    let signals = [direction, "HUP", "ERR"];
    revents.split('+').any(|name| signals.contains(&name))
}

/// A state to back off from either polls as ready at once (Linux's full
/// AF_UNIX backlog, a BSD's full datagram queue) or never does (gVisor's full
/// backlog, macOS without a port). In no record does an event tell when to go on, but for
/// two states: macOS 15's full AF_UNIX datagram pair, and on Linux a sender to a name
/// whose own buffer is full, which the errno alone does not tell (`send_to` asks poll).
fn judge_law(
    verdict: &mut Verdict,
    row: &Row<'_>,
    outcome: Outcome,
    table: &Platform,
    polls: &BTreeMap<&str, &Row<'_>>,
) -> Result<(), String> {
    if row["poll_row"].is_empty() || !matches!(outcome, Outcome::WouldBlock | Outcome::BackOff) {
        return Ok(());
    }
    // Two rows that differ between runs need not be of one state.
    let stable = |poll: &&&Row<'_>| [row, poll].iter().all(|row| &row["stable"] == "yes");
    let Some(poll) = polls.get(&row["poll_row"]).filter(stable) else {
        verdict.count("unjudged");
        return Ok(());
    };
    let ready = is_ready(&row["direction"], &poll["revents"]);
    let lie = |lie: &&(&str, _, &str, _)| lie.0 == table.name && lie.2 == &row["scenario"];
    match (outcome, ready, LIES.iter().find(lie)) {
        (Outcome::WouldBlock, true, None) => {
            return Err(format!(
                "{outcome:?} says to wait for {}, and line {} ({}), of the same state, polls \
                 as {}; if it is to be another outcome, mend `classify` or the table {}, and \
                 if the kernel lies, add it to `LIES` and to docs/platforms.head.md",
                &row["direction"], poll.line, &row["poll_row"], &poll["revents"], table.name
            ));
        }
        (Outcome::WouldBlock, true, Some(lie)) => {
            verdict.count("lies");
            verdict.seen.insert(lie.2.into());
        }
        (Outcome::WouldBlock, false, _) => verdict.count("law_would_block"),
        (_, true, _) => verdict.count("law_back_off_ready"),
        (_, false, _) => verdict.count("law_back_off"),
    }
    Ok(())
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
/// RDHUP or a NORM bit; a test below has them.
fn judge_readiness(verdict: &mut Verdict, file: &str, row: &Row<'_>, table: &Platform) {
    if row["revents"].is_empty() {
        return;
    }
    verdict.count("polls");
    let (mut revents, mut expected) = (0, Readiness::empty());
    for name in row["revents"].split('+').filter(|name| *name != "0") {
        let Some((_, bits, flag)) = names(table).into_iter().find(|known| known.0 == name) else {
            let what = format!("`{name}` is no event of poll; add it to `names`");
            return verdict.complain(file, row, &what);
        };
        revents |= bits;
        expected |= flag;
    }
    let has = |name| row["revents"].split('+').any(|shown| shown == name);
    let gone = has("HUP") || has("ERR");
    let readiness = Readiness::from_revents(revents, table);
    let right = readiness == expected
        && readiness.is_readable() == (has("IN") || has("RDHUP") || gone)
        && readiness.is_writable() == (has("OUT") || gone)
        && readiness.is_hang_up() == has("HUP")
        && readiness.is_error() == has("ERR")
        && readiness.is_invalid() == has("NVAL")
        && readiness.is_priority() == has("PRI")
        && readiness.is_read_closed() == has("RDHUP");
    if !right {
        let what = format!(
            "{} is {readiness:?} to the crate; mend `Readiness` or the table {}",
            &row["revents"], table.name
        );
        verdict.complain(file, row, &what);
    }
}

// ---- the tests ----

#[test]
fn replay_of_every_record_is_as_the_mapping_and_the_law_say() {
    let records = Record::all();
    let verdicts: Vec<_> = records
        .iter()
        .map(|record| judge(record, by_crate))
        .collect();
    let complaints: Vec<_> = verdicts
        .iter()
        .flat_map(|found| &found.complaints)
        .collect();
    assert!(complaints.is_empty(), "\n{complaints:#?}");

    // What no kernel answered would be a claim without a witness.
    let seen: BTreeSet<_> = verdicts.iter().flat_map(|found| &found.seen).collect();
    let cells = MAPPING
        .iter()
        .flat_map(|(op, _, errnos)| errnos.iter().map(move |errno| format!("{op:?} {errno}")));
    let lies = LIES.iter().map(|lie| lie.2.to_owned());
    let sleepers = SLEEPERS.iter().map(|known| known.0.to_owned());
    for claim in cells.chain(lies).chain(sleepers) {
        assert!(
            seen.contains(&claim),
            "{claim} is in no record: take it out"
        );
    }
}

/// `UPDATE_COUNTS=1` writes them anew. A record without a line is judged all the same.
#[test]
fn replay_judges_as_many_rows_as_the_file_of_counts_says() {
    let records = Record::all();
    let mut written = format!("file\ttable\t{}\n", COUNTED.join("\t"));
    for record in &records {
        let line = judge(record, by_crate).line(record);
        let update = std::env::var_os("UPDATE_COUNTS").is_some();
        if update || record.counts().is_some() {
            written = written + &line + "\n";
        }
    }
    if std::env::var_os("UPDATE_COUNTS").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(COUNTS), written).unwrap();
        return;
    }
    for (there, here) in counts().lines().zip(written.lines()) {
        assert_eq!(
            there, here,
            "the left is in {COUNTS}; UPDATE_COUNTS=1 writes the right"
        );
    }
    assert_eq!(
        counts(),
        written,
        "{COUNTS} has a line more, or in another order"
    );
}

/// What is known of a lie is where readers look for it.
#[test]
fn lies_of_the_records_have_a_place_on_the_page_of_platforms() {
    let page = include_str!("../docs/platforms.head.md");
    let (_, section) = page.split_once("## Where readiness lies").unwrap();
    for (_, system, scenario, place) in LIES {
        let row = section.lines().find(|line| line.contains(place));
        let row = row.unwrap_or_else(|| panic!("{scenario} has no row: {place}"));
        assert!(row.contains(system), "{row}");
    }
}

fn record(file: &str) -> Record {
    let mut records = Record::all().into_iter();
    records.find(|record| record.file == file).expect(file)
}

/// A copy of the record by the example with one row changed.
fn changed(mut record: Record, scenario: &str, column: &str, from: &str, to: &str) -> Record {
    let column = COLUMNS.split('\t').position(|known| known == column);
    let change = |line: &str| {
        let mut values: Vec<_> = line.split('\t').collect();
        if values[0] != scenario {
            return line.to_owned();
        }
        let value = &mut values[column.unwrap()];
        assert_eq!(*value, from, "{line}");
        *value = to;
        values.join("\t")
    };
    let lines: Vec<_> = record.text.lines().map(change).collect();
    record.text = lines.join("\n");
    record
}

fn sentences(record: &Record) -> Vec<String> {
    judge(record, by_crate).complaints
}

#[test]
fn replay_of_a_new_record_with_three_wrong_rows_names_each() {
    let mut new = record("linux-6.18-example.tsv");
    new.file = "new.tsv".into();
    let line = |scenario: &str| {
        let is_its = |line: &str| line.split('\t').next() == Some(scenario);
        new.text.lines().position(is_its).expect(scenario) + 1
    };
    let [number, errno, call, poll] = [
        "us.empty.recv",
        "us.peer_closed_unread.recv",
        "pipe.empty.read",
        "pipe.empty.poll_r",
    ]
    .map(line);
    let expected = [
        format!(
            "new.tsv, line {call} (pipe.empty.read, read): WouldBlock says to wait for IN, and \
             line {poll} (pipe.empty.poll_r), of the same state, polls as IN; if it is to be \
             another outcome, mend `classify` or the table linux, and if the kernel lies, add \
             it to `LIES` and to docs/platforms.head.md"
        ),
        format!(
            "new.tsv, line {number} (us.empty.recv, recv): EAGAIN is 35 here, and EAGAIN is 11 \
             in the table linux; one of the two is wrong"
        ),
        format!(
            "new.tsv, line {errno} (us.peer_closed_unread.recv, recv): ENOENT of Recv is in no \
             cell of `MAPPING`, and is Failed to the crate; if that is right, add it there, \
             else mend `classify`"
        ),
    ];
    assert_eq!(sentences(&new), <[String; 0]>::default());
    new = changed(new, "us.empty.recv", "errno_number", "11", "35");
    new = changed(
        new,
        "us.peer_closed_unread.recv",
        "errno",
        "ECONNRESET",
        "ENOENT",
    );
    new = changed(new, "pipe.empty.poll_r", "revents", "0", "IN");
    assert_eq!(sentences(&new), expected);
}

#[test]
fn replay_of_what_is_not_understood_says_what_to_add() {
    // In a row, a comma stands for the tab.
    #[rustfmt::skip]
    let known = [
        ("# Unix 1", "", "", "new.tsv, line 1: no table is named; let the line end in `, table NAME`"),
        ("# Unix 1, table unix", "", "", "new.tsv, line 1: there is no table `unix`"),
        ("# Unix 1, table freebsd", "scenario", "", "new.tsv, line 2: these are not the columns"),
        ("# Unix 1, table freebsd", COLUMNS, "a,b", "new.tsv, line 3: 2 values"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,splice,0,,,,,,yes,,", "new.tsv, line 3 (x.y, splice): no operation of that name is known; add it to `Row::op`"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,recv,0,,,,,,yes,,UP", "new.tsv, line 3 (x.y, recv): `UP` is no direction"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,recv,0,,,,,,yes,,OUT", "new.tsv, line 3 (x.y, recv): the direction is OUT, and Recv waits for"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,recv,0,,,,,,yes,x.z,IN", "new.tsv, line 3 (x.y, recv): there is no poll `x.z`"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,recv,HANG,,,,,,yes,,IN", "new.tsv, line 3 (x.y, recv): the call slept; if it was asked to, add it to `SLEEPERS`"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,recv,-1,,,,,,yes,,IN", "new.tsv, line 3 (x.y, recv): it failed, and no errno was recorded; record it again"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,recv,-1,?(77),77,,,,yes,,IN", "new.tsv, line 3 (x.y, recv): the errno has no name; add it to `errno_name`"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,recv,-1,EIO,five,,,,yes,,IN", "new.tsv, line 3 (x.y, recv): `five` is no number"),
        ("# Unix 1, table freebsd", COLUMNS, "x.y,poll,1,,,MSG,,,yes,,", "new.tsv, line 3 (x.y, poll): `MSG` is no event of poll; add it to `names`"),
        ("# Unix 1, table freebsd", COLUMNS, "x,poll,0,,,0,,,yes,,\nx,poll,0,,,0,,,yes,,", "new.tsv, line 4 (x, poll): a second poll of that name"),
    ];
    for (title, columns, row, expected) in known {
        let text = format!("{title}\n{columns}\n{}", row.replace(',', "\t"));
        let file = "new.tsv".into();
        let found = sentences(&Record { file, text });
        let [sentence] = &found[..] else {
            panic!("{expected}: {found:?}");
        };
        assert!(sentence.starts_with(expected), "{sentence}");
    }
}

#[test]
fn is_ready_of_a_hang_up_or_an_error_is_ready_for_anything() {
    for revents in ["IN", "IN+OUT", "HUP", "ERR", "OUT+HUP", "IN+OUT+ERR+HUP"] {
        assert!(is_ready("IN", revents), "{revents}");
    }
    assert!(!is_ready("IN", "0") && !is_ready("IN", "OUT"));
}

/// A classifier by errno alone, which is what most programs have, must not
/// pass; it is caught where the kernel polls as ready.
#[test]
fn replay_with_a_classifier_by_errno_alone_breaks_the_law() {
    let by_errno_alone = |_: Op, row: &Row<'_>, _: &Platform| match &row["errno"] {
        "EAGAIN" | "ENOBUFS" => Outcome::WouldBlock,
        _ => Outcome::Failed,
    };
    for record in Record::all() {
        // gVisor's full backlog polls as nothing at all, which no law forbids.
        if ["linux-", "freebsd-", "netbsd-", "xnu-"]
            .iter()
            .any(|name| record.file.starts_with(name))
        {
            let found = judge(&record, by_errno_alone).complaints;
            let lawless = found
                .iter()
                .any(|sentence| sentence.contains("of the same state"));
            assert!(lawless, "{}", record.file);
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
            // The one name that a system may lack, and the one that is another's on Vita.
            let lacking = name == "RDHUP" || (what, name) == ("vita", "PRI");
            assert!(bits != 0 || lacking, "{what} {name}");
            // A bit of two meanings would end a wait for the other one.
            let shared = |other: &(_, u16, _)| other.1 & bits != 0 && other.2 != flag;
            assert!(!names.iter().any(shared), "{what} {name}");
        }
    }
}
