//! The classifier against the mapping typed a second time: every table, every
//! operation, every number. And which target gets which table.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use wouldblock::platform::{
    ALL, AcceptMode, HOST, Interrupted, POSIX, Platform, PollClock, QueueEvent,
};
use wouldblock::{Op, Outcome, classify};

// ---- the oracle ----

/// What stands in the cells of the mapping; EAGAIN is both of its names.
#[derive(Clone, Copy, Debug, PartialEq)]
#[rustfmt::skip]
enum Errno {
    Again, AgainWhereTheEventArrives, AgainElsewhere,
    Intr, IntrWhereTheAttemptGoesOn, IntrElsewhere,
    InProgress, Already, NoBufs, NoMem, ConnAborted, Proto, NetworkErrors, MFile, NFile,
    InFlight, MFileWhereItIsInFlight,
}
use Errno::*;

struct Row {
    op: Op,
    would_block: &'static [Errno],
    interrupted: &'static [Errno],
    try_next: &'static [Errno],
    back_off: &'static [Errno],
}

#[rustfmt::skip]
const MAPPING: [Row; 9] = [
    Row { op: Op::Read,        would_block: &[Again],                                          interrupted: &[Intr],          try_next: &[],                                  back_off: &[] },
    Row { op: Op::Recv,        would_block: &[Again],                                          interrupted: &[Intr],          try_next: &[],                                  back_off: &[] },
    Row { op: Op::Write,       would_block: &[Again],                                          interrupted: &[Intr],          try_next: &[],                                  back_off: &[NoBufs, NoMem] },
    Row { op: Op::Send,        would_block: &[Again, InProgress],                              interrupted: &[Intr],          try_next: &[],                                  back_off: &[NoBufs, NoMem, InFlight, MFileWhereItIsInFlight] },
    Row { op: Op::SendToUnix,  would_block: &[AgainWhereTheEventArrives],                      interrupted: &[Intr],          try_next: &[],                                  back_off: &[NoBufs, NoMem, AgainElsewhere, InFlight] },
    Row { op: Op::Accept,      would_block: &[Again],                                          interrupted: &[Intr],          try_next: &[ConnAborted, Proto, NetworkErrors], back_off: &[MFile, NFile, NoBufs, NoMem] },
    Row { op: Op::Connect,     would_block: &[InProgress, Already, Intr],                      interrupted: &[],              try_next: &[],                                  back_off: &[Again, NoBufs, NoMem] },
    Row { op: Op::ConnectUnix, would_block: &[InProgress, Already, IntrWhereTheAttemptGoesOn], interrupted: &[IntrElsewhere], try_next: &[],                                  back_off: &[Again, NoBufs, NoMem] },
    Row { op: Op::Poll,        would_block: &[],                                               interrupted: &[Intr],          try_next: &[],                                  back_off: &[Again, NoMem] },
];

fn numbers(errno: Errno, table: &Platform) -> Vec<i32> {
    // An unknown fact takes the path that is right either way: a timer for the
    // queue, finishing for the connection attempt.
    let arrives = table.unix_queue_event == QueueEvent::Arrives;
    let goes_on = table.unix_connect_interrupted != Interrupted::NothingStarted;
    match errno {
        AgainWhereTheEventArrives if !arrives => vec![],
        AgainElsewhere if arrives => vec![],
        Again | AgainWhereTheEventArrives | AgainElsewhere => vec![table.eagain, table.ewouldblock],
        IntrWhereTheAttemptGoesOn if !goes_on => vec![],
        IntrElsewhere if goes_on => vec![],
        Intr | IntrWhereTheAttemptGoesOn | IntrElsewhere => vec![table.eintr],
        InProgress => vec![table.einprogress],
        Already => vec![table.ealready],
        NoBufs => vec![table.enobufs],
        NoMem => vec![table.enomem],
        ConnAborted => vec![table.econnaborted],
        Proto => vec![table.eproto],
        NetworkErrors => table.accept_network_errors.to_vec(),
        MFileWhereItIsInFlight if !table.send_emfile => vec![],
        MFile | MFileWhereItIsInFlight => vec![table.emfile],
        InFlight => table.in_flight_errors.to_vec(),
        NFile => vec![table.enfile],
    }
}

/// Where one number stands in two columns of a row, the left one counts.
fn expected(row: &Row, raw: i32, table: &Platform) -> Outcome {
    let columns = [
        (row.would_block, Outcome::WouldBlock),
        (row.interrupted, Outcome::Interrupted),
        (row.try_next, Outcome::TryNext),
        (row.back_off, Outcome::BackOff),
    ];
    for (cell, outcome) in columns {
        if cell
            .iter()
            .any(|&errno| numbers(errno, table).contains(&raw))
        {
            return outcome;
        }
    }
    Outcome::Failed
}

// ---- what is asked ----

/// A system that does not exist: no two of its numbers are the same, none is
/// anybody's, and half of them are negative, as Haiku's are.
fn invented() -> Platform {
    let mut table = *HOST;
    table.name = "invented";
    for (number, field) in (70_001..).zip(FIELDS) {
        *field(&mut table) = if number % 2 == 0 { number } else { -number };
    }
    table.accept_network_errors = &[70_100, i32::MIN, i32::MAX];
    table.in_flight_errors = &[-70_200, 70_202];
    table
}

#[rustfmt::skip]
const FIELDS: [fn(&mut Platform) -> &mut i32; 11] = [
    |t| &mut t.eagain, |t| &mut t.ewouldblock, |t| &mut t.eintr, |t| &mut t.einprogress,
    |t| &mut t.ealready, |t| &mut t.enobufs, |t| &mut t.enomem, |t| &mut t.econnaborted,
    |t| &mut t.eproto, |t| &mut t.emfile, |t| &mut t.enfile,
];

fn every_table() -> impl Iterator<Item = Platform> {
    ALL.iter().map(|&&table| table).chain([POSIX, invented()])
}

fn every_table_and_op() -> impl Iterator<Item = (Platform, Op)> {
    every_table().flat_map(|table| MAPPING.map(|row| (table, row.op)))
}

/// The numbers that any table names, and their neighbours, with which a table
/// may have confused them.
fn numbers_of_note() -> BTreeSet<i32> {
    let mut raws = BTreeSet::from([i32::MIN, i32::MAX]);
    for mut table in every_table() {
        raws.extend(table.accept_network_errors);
        raws.extend(table.in_flight_errors);
        raws.extend(FIELDS.map(|field| *field(&mut table)));
    }
    let neighbours = |&raw: &i32| [raw.saturating_sub(1), raw, raw.saturating_add(1)];
    raws.iter().flat_map(neighbours).collect()
}

/// Asks for every operation and number, and says which one has another answer.
#[track_caller]
fn assert_all(table: &Platform, raws: &BTreeSet<i32>, answer: impl Fn(&Row, i32) -> Outcome) {
    for row in &MAPPING {
        for &raw in raws {
            let what = (table.name, row.op, raw);
            assert_eq!(classify(row.op, raw, table), answer(row, raw), "{what:?}");
        }
    }
}

// ---- the mapping ----

#[test]
fn classify_every_table_operation_and_number_agrees_with_the_mapping() {
    let mut raws = numbers_of_note();
    raws.extend(-1..=4096);
    for table in every_table() {
        assert_all(&table, &raws, |row, raw| expected(row, raw, &table));
    }
}

#[test]
fn classify_every_combination_of_facts_agrees_with_the_mapping() {
    use Interrupted::{GoesOn, NothingStarted};
    let raws = numbers_of_note();
    for mut table in every_table() {
        for event in [QueueEvent::Arrives, QueueEvent::Never, QueueEvent::Unknown] {
            for interrupted in [GoesOn, NothingStarted, Interrupted::Unknown] {
                for send_emfile in [false, true] {
                    table.unix_queue_event = event;
                    table.unix_connect_interrupted = interrupted;
                    table.send_emfile = send_emfile;
                    assert_all(&table, &raws, |row, raw| expected(row, raw, &table));
                }
            }
        }
    }
}

#[test]
fn classify_number_used_twice_agrees_with_the_mapping() {
    for one in FIELDS {
        for other in FIELDS {
            let mut table = invented();
            let raw = *other(&mut table);
            *one(&mut table) = raw;
            assert_all(&table, &[raw].into(), |row, raw| expected(row, raw, &table));
        }
    }
}

/// A mistake made twice, here and in the classifier, would agree with itself;
/// so a few cells are written out.
#[test]
fn classify_on_linux_gives_the_literal_outcome() {
    use Outcome::{BackOff, Failed, Interrupted, TryNext, WouldBlock};
    #[rustfmt::skip]
    let cells = [
        (Op::Read, 11, WouldBlock), (Op::Send, 11, WouldBlock), (Op::SendToUnix, 11, BackOff),
        (Op::Connect, 115, WouldBlock), (Op::Connect, 11, BackOff), (Op::Connect, 4, WouldBlock),
        (Op::ConnectUnix, 11, BackOff), (Op::ConnectUnix, 4, Interrupted), (Op::Connect, 106, Failed),
        (Op::Accept, 103, TryNext), (Op::Accept, 113, TryNext), (Op::Accept, 24, BackOff),
        (Op::Accept, 95, Failed), (Op::Send, 105, BackOff), (Op::Recv, 105, Failed),
        (Op::Send, 115, WouldBlock), (Op::SendToUnix, 115, Failed), (Op::Write, 115, Failed),
        (Op::Send, 109, BackOff), (Op::SendToUnix, 109, BackOff), (Op::Write, 109, Failed),
        (Op::Send, 24, Failed),
    ];
    for name in ["linux", "linux-android", "linux-android-x86"] {
        assert_cells(name, &cells);
    }
}

#[track_caller]
fn assert_cells(name: &str, cells: &[(Op, i32, Outcome)]) {
    let table = ALL.iter().find(|table| table.name == name).expect(name);
    for &(op, raw, outcome) in cells {
        assert_eq!(classify(op, raw, table), outcome, "{name} {op:?} {raw}");
    }
}

/// What the second edition of the law added, by each system's own numbers.
#[test]
fn classify_on_other_systems_gives_the_literal_outcome() {
    use Outcome::{BackOff, Failed, WouldBlock};
    let (send, to_unix) = (Op::Send, Op::SendToUnix);
    assert_cells(
        "linux-mips",
        &[(send, 144, BackOff), (to_unix, 144, BackOff)],
    );
    assert_cells(
        "linux-mips",
        &[(send, 150, WouldBlock), (send, 109, Failed)],
    );
    assert_cells(
        "linux-sparc",
        &[(send, 59, BackOff), (send, 36, WouldBlock)],
    );
    // Two of them are out of descriptors, and on one that passes.
    assert_cells("openbsd", &[(send, 24, BackOff), (send, 59, Failed)]);
    assert_cells("freebsd", &[(send, 24, Failed), (send, 59, Failed)]);
    assert_cells(
        "freebsd",
        &[(send, 36, WouldBlock), (to_unix, 35, WouldBlock)],
    );
    // Recorded: EAGAIN for ever, while it polls as writable.
    assert_cells(
        "apple-macos",
        &[(to_unix, 35, BackOff), (send, 35, WouldBlock)],
    );
    // Settled by their sources.
    assert_cells("illumos", &[(to_unix, 11, WouldBlock)]);
    assert_cells("illumos", &[(Op::ConnectUnix, 4, WouldBlock)]);
    assert_cells("solaris", &[(to_unix, 11, BackOff)]);
    assert_cells("cygwin", &[(to_unix, 11, WouldBlock)]);
    assert_cells("hurd", &[(to_unix, 0x4000_0023, BackOff)]);
    assert_cells(
        "hurd",
        &[(Op::ConnectUnix, 0x4000_0004, Outcome::Interrupted)],
    );
}

// ---- laws ----

#[test]
fn classify_in_a_constant_is_evaluated_by_the_compiler() {
    const OUTCOME: Outcome = classify(Op::Recv, HOST.eagain, HOST);
    assert_eq!(OUTCOME, Outcome::WouldBlock);
}

#[test]
fn classify_would_block_implies_an_interest_and_so_never_comes_from_poll() {
    let raws = numbers_of_note();
    for (table, op) in every_table_and_op() {
        let blocks = |&raw: &i32| classify(op, raw, &table) == Outcome::WouldBlock;
        let lawful = !op.interest().is_empty() || !raws.iter().any(blocks);
        assert!(lawful, "{} {op:?}", table.name);
    }
    // By the same law, no errno of poll's is a would-block.
    assert!(Op::Poll.interest().is_empty());
}

#[test]
fn classify_both_names_of_eagain_have_one_outcome() {
    for (table, op) in every_table_and_op() {
        let outcomes = [table.eagain, table.ewouldblock].map(|raw| classify(op, raw, &table));
        assert_eq!(outcomes[0], outcomes[1], "{} {op:?}", table.name);
        assert_ne!(outcomes[0], Outcome::Failed, "{} {op:?}", table.name);
        if matches!(op, Op::Connect | Op::ConnectUnix) {
            assert_eq!(outcomes[0], Outcome::BackOff, "{} {op:?}", table.name);
        }
    }
}

#[test]
fn classify_reads_no_field_but_the_errnos_and_three_facts() {
    #[rustfmt::skip]
    let changes: [fn(&mut Platform); 31] = [
        |t| t.targets = &[], |t| t.rustix_lacks = &["something"], |t| t.cmsg_cloexec_honoured ^= true,
        |t| t.peek_rights ^= true, |t| t.receiver_queue_families = &[1, 2],
        |t| t.connects_early ^= true, |t| t.packet_pipes ^= true,
        |t| t.peek_tells_length ^= true,
        |t| t.name = "another", |t| t.so_nosigpipe ^= true,
        |t| t.pollin ^= !0, |t| t.pollpri ^= !0, |t| t.pollout ^= !0, |t| t.pollerr ^= !0,
        |t| t.pollhup ^= !0, |t| t.pollnval ^= !0, |t| t.pollrdnorm ^= !0,
        |t| t.pollwrnorm ^= !0, |t| t.pollrdhup ^= !0, |t| t.msg_nosignal ^= !0,
        |t| t.msg_cmsg_cloexec ^= !0, |t| t.accept_flags ^= !0, |t| t.socket_flags ^= !0,
        |t| t.pipe_flags ^= !0, |t| t.poll_longest ^= !0, |t| t.io_max ^= !0, |t| t.iov_max ^= !0,
        |t| t.accept_mode = AcceptMode::Inherited, |t| t.accept_mode = AcceptMode::Blocking,
        |t| t.poll_clock = PollClock::Nanoseconds, |t| t.poll_clock = PollClock::Milliseconds,
    ];
    let raws = numbers_of_note();
    for table in every_table() {
        for change in changes {
            let mut changed = table;
            change(&mut changed);
            assert_all(&changed, &raws, |row, raw| classify(row.op, raw, &table));
        }
    }
}

// ---- the tables ----

#[test]
fn all_names_are_unique_lower_case_and_have_the_usual_one_in_them() {
    let names = BTreeSet::from_iter(ALL.iter().map(|table| table.name));
    assert_eq!(names.len(), ALL.len());
    assert!(names.iter().all(|name| *name == name.to_lowercase()));
    assert!(!names.contains("posix"), "the fallback is no system");
    let usual = "linux android macos freebsd dragonfly netbsd openbsd illumos solaris aix haiku \
                 hurd qnx redox cygwin fuchsia emscripten vxworks";
    for usual in usual.split_whitespace() {
        assert!(names.iter().any(|name| name.contains(usual)), "{usual}");
    }
}

/// Two tables that serve one target would make the choice an accident.
#[test]
fn of_target_by_what_a_table_says_it_serves_gives_that_table() {
    let or_any = |part: &'static str| if part.is_empty() { "any" } else { part };
    for table in ALL {
        assert!(!table.targets.is_empty(), "{} serves nothing", table.name);
        for target in table.targets {
            let found = Platform::of_target(target.os, or_any(target.arch), or_any(target.env));
            assert_eq!(found.map(|t| t.name), Some(table.name), "{target:?}");
        }
    }
}

#[test]
fn of_target_of_an_architecture_with_its_own_numbers_prefers_its_table() {
    for (os, arch, env, name) in [
        ("linux", "x86_64", "gnu", "linux"),
        ("linux", "aarch64", "musl", "linux"),
        ("linux", "mips64r6", "gnu", "linux-mips"),
        ("linux", "sparc64", "gnu", "linux-sparc"),
        ("android", "x86", "", "linux-android-x86"),
        ("android", "x86_64", "", "linux-android"),
        ("nto", "x86_64", "nto71", "qnx-io-pkt"),
        ("nto", "x86_64", "nto71_iosock", "qnx-io-sock"),
        ("ios", "aarch64", "sim", "apple-macos"),
    ] {
        let table = Platform::of_target(os, arch, env).map(|table| table.name);
        assert_eq!(table, Some(name), "{os} {arch} {env}");
    }
}

#[test]
fn of_target_unknown_gives_none() {
    for (os, arch, env) in [
        ("windows", "x86_64", "msvc"),
        ("none", "arm", ""),
        ("", "", ""),
        // The fallback is asked for, never fallen into.
        ("posix", "x86_64", ""),
        // A QNX that does not name its network stack has two tables to choose from.
        ("nto", "x86_64", ""),
    ] {
        assert_eq!(
            Platform::of_target(os, arch, env),
            None,
            "{os} {arch} {env}"
        );
    }
}

/// A file that nobody named would be a port that the build does not see.
#[test]
fn all_has_the_tables_of_every_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platform");
    let list = read_to_string(folder.join("tables.rs")).unwrap();
    let (_, list) = list.split_once("\ntables! {\n").unwrap();
    let (list, _) = list.split_once("\n}").unwrap();
    let named: Vec<_> = list.lines().map(|line| line.trim().to_owned()).collect();
    let files = read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let with_tables = files.filter(|path| {
        let text = read_to_string(path).unwrap();
        text.contains("const TABLES: &[Platform]")
    });
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<_> = with_tables.map(stem).collect();
    found.sort_unstable();
    assert_eq!(named, found, "the list in tables.rs, in alphabetical order");
}
