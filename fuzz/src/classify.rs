//! `classify`: any operation, any table, any number.
//!
//! Input: operation, table, what to change in the table, how to choose the
//! number, and the number. The oracle is the documentation's table of meanings,
//! typed here as text and looked up by name.

use wouldblock::platform::{HOST, Interrupted, Platform, PollClock, QueueEvent};
use wouldblock::{Errno, Interest, Io, Op, Outcome, classify};

use crate::input::Input;

/// The columns of the documentation's table, from left to right.
const COLUMNS: [Outcome; 4] = [
    Outcome::WouldBlock,
    Outcome::Interrupted,
    Outcome::TryNext,
    Outcome::BackOff,
];

type Row = (Op, [&'static [&'static str]; 4]);

/// Its rows. A name with an *if* holds where a fact of the platform says so.
const ROWS: [Row; 9] = {
    const AGAIN: &[&str] = &["EAGAIN"];
    const INTR: &[&str] = &["EINTR"];
    const MEMORY: &[&str] = &["ENOBUFS", "ENOMEM"];
    const AGAIN_OR_MEMORY: &[&str] = &["EAGAIN", "ENOBUFS", "ENOMEM"];
    const SEND: &[&str] = &["EAGAIN", "EINPROGRESS"];
    const SEND_LATER: &[&str] = &["ENOBUFS", "ENOMEM", "too much in flight", "EMFILE if sent"];
    const TO_UNIX_LATER: &[&str] = &["EAGAIN", "ENOBUFS", "ENOMEM", "too much in flight"];
    const GONE: &[&str] = &["ECONNABORTED", "EPROTO", "a network error"];
    const ACCEPT: &[&str] = &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
    const CONNECT: &[&str] = &["EINPROGRESS", "EALREADY", "EINTR"];
    const UNIX: &[&str] = &["EINPROGRESS", "EALREADY", "EINTR if the attempt goes on"];
    [
        (Op::Read, [AGAIN, INTR, &[], &[]]),
        (Op::Recv, [AGAIN, INTR, &[], &[]]),
        (Op::Write, [AGAIN, INTR, &[], MEMORY]),
        (Op::Send, [SEND, INTR, &[], SEND_LATER]),
        (
            Op::SendToUnix,
            [&["EAGAIN if the event arrives"], INTR, &[], TO_UNIX_LATER],
        ),
        (Op::Accept, [AGAIN, INTR, GONE, ACCEPT]),
        (Op::Connect, [CONNECT, &[], &[], AGAIN_OR_MEMORY]),
        (Op::ConnectUnix, [UNIX, INTR, &[], AGAIN_OR_MEMORY]),
        (Op::Poll, [&[], INTR, &[], &["EAGAIN", "ENOMEM"]]),
    ]
};

/// Every name that `raw` has on `platform`.
fn names(raw: i32, platform: &Platform) -> Vec<&'static str> {
    let goes_on = platform.unix_connect_interrupted != Interrupted::NothingStarted;
    let arrives = platform.unix_queue_event == QueueEvent::Arrives;
    let again = [platform.eagain, platform.ewouldblock].contains(&raw);
    [
        ("EAGAIN", again),
        ("EAGAIN if the event arrives", again && arrives),
        ("EINTR", raw == platform.eintr),
        (
            "EINTR if the attempt goes on",
            raw == platform.eintr && goes_on,
        ),
        ("EINPROGRESS", raw == platform.einprogress),
        ("EALREADY", raw == platform.ealready),
        ("ENOBUFS", raw == platform.enobufs),
        ("ENOMEM", raw == platform.enomem),
        ("ECONNABORTED", raw == platform.econnaborted),
        ("EPROTO", raw == platform.eproto),
        ("EMFILE", raw == platform.emfile),
        (
            "EMFILE if sent",
            raw == platform.emfile && platform.send_emfile,
        ),
        (
            "too much in flight",
            platform.in_flight_errors.contains(&raw),
        ),
        ("ENFILE", raw == platform.enfile),
        (
            "a network error",
            platform.accept_network_errors.contains(&raw),
        ),
    ]
    .into_iter()
    .filter_map(|(name, has)| has.then_some(name))
    .collect()
}

/// The first column of the operation's row that holds one of the names.
fn oracle(op: Op, raw: i32, platform: &Platform) -> Outcome {
    let names = names(raw, platform);
    let (_, cells) = ROWS.iter().find(|(of, _)| *of == op).unwrap();
    let column = cells
        .iter()
        .position(|cell| cell.iter().any(|name| names.contains(name)));
    column.map_or(Outcome::Failed, |column| COLUMNS[column])
}

/// Replays one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (op, _) = input.choose(&ROWS);
    let mut platform = input.table();
    change(&mut platform, &mut input);
    let raw = match input.byte() % 4 {
        0 => input.i32(),
        1 => i32::from(input.byte()),
        2 => input.choose(&numbers(&platform)),
        _ => input.choose(&numbers(HOST)),
    };

    let outcome = classify(op, raw, &platform);
    let wanted = oracle(op, raw, &platform);
    assert_eq!(outcome, wanted, "{op:?} of {raw} on {platform:?}");

    // Laws that hold whatever the numbers are.
    if outcome == Outcome::WouldBlock {
        assert!(
            op.interest() != Interest::empty(),
            "{op:?} has nothing to wait for"
        );
    }
    assert!(
        outcome != Outcome::TryNext || op == Op::Accept,
        "{op:?}: {outcome:?}"
    );
    let distinct = |raw| {
        names(raw, &platform)
            .iter()
            .all(|name| name.contains("EAGAIN"))
    };
    let (one, other) = (platform.eagain, platform.ewouldblock);
    if distinct(one) && distinct(other) {
        // Both names of would-block mean the same, and connect never waits.
        assert_eq!(classify(op, one, &platform), classify(op, other, &platform));
        for connect in [Op::Connect, Op::ConnectUnix] {
            assert_eq!(classify(connect, one, &platform), Outcome::BackOff);
        }
    }
    // Nothing but what the documentation names is looked at.
    let mut another = platform;
    change_the_rest(&mut another, &mut input);
    assert_eq!(
        classify(op, raw, &another),
        outcome,
        "{platform:?} and {another:?}"
    );
    // The forms for the host's own numbers agree; rustix takes 1..=4095.
    if (1..4096).contains(&raw) {
        let errno = Errno::from_raw_os_error(raw);
        let outcome = classify(op, raw, HOST);
        assert_eq!(op.outcome(errno), outcome);
        let answer = Io::<()>::from_result(op, Err(errno));
        let wanted = match outcome {
            Outcome::WouldBlock => Io::WouldBlock,
            _ => Io::Err(errno),
        };
        assert_eq!(answer, wanted);
    }
}

fn numbers(p: &Platform) -> Vec<i32> {
    let mut all = vec![
        p.eagain,
        p.ewouldblock,
        p.eintr,
        p.einprogress,
        p.ealready,
        p.enobufs,
        p.enomem,
        p.econnaborted,
        p.eproto,
        p.emfile,
        p.enfile,
    ];
    all.extend(p.accept_network_errors);
    all.extend(p.in_flight_errors);
    all
}

/// Changes what the classifier may look at, so that numbers may coincide.
fn change(p: &mut Platform, input: &mut Input<'_>) {
    for _ in 0..input.byte() % 4 {
        let to = input.byte();
        let number = i32::from(to % 16);
        match input.byte() % 16 {
            0 => p.eagain = number,
            1 => p.ewouldblock = number,
            2 => p.eintr = number,
            3 => p.einprogress = number,
            4 => p.ealready = number,
            5 => p.enobufs = number,
            6 => p.enomem = number,
            7 => p.econnaborted = number,
            8 => p.eproto = number,
            9 => p.emfile = number,
            10 => p.enfile = number,
            11 => {
                p.accept_network_errors = [&[][..], &[0], &[1, 2, 11], &[-1]][usize::from(to % 4)]
            }
            12 => {
                use QueueEvent::{Arrives, Never, Unknown};
                p.unix_queue_event = [Arrives, Never, Unknown][usize::from(to % 3)];
            }
            13 => p.in_flight_errors = [&[][..], &[3], &[2, 11, 15], &[-1]][usize::from(to % 4)],
            14 => p.send_emfile = to % 2 == 0,
            _ => {
                use Interrupted::{GoesOn, NothingStarted, Unknown};
                p.unix_connect_interrupted = [GoesOn, NothingStarted, Unknown][usize::from(to % 3)];
            }
        }
    }
}

/// Changes everything that the classifier must not look at.
fn change_the_rest(p: &mut Platform, input: &mut Input<'_>) {
    let other = input.table();
    let kept = *p;
    *p = other;
    p.name = "changed";
    p.eagain = kept.eagain;
    p.ewouldblock = kept.ewouldblock;
    p.eintr = kept.eintr;
    p.einprogress = kept.einprogress;
    p.ealready = kept.ealready;
    p.enobufs = kept.enobufs;
    p.enomem = kept.enomem;
    p.econnaborted = kept.econnaborted;
    p.eproto = kept.eproto;
    p.emfile = kept.emfile;
    p.enfile = kept.enfile;
    p.accept_network_errors = kept.accept_network_errors;
    p.in_flight_errors = kept.in_flight_errors;
    p.send_emfile = kept.send_emfile;
    p.unix_queue_event = kept.unix_queue_event;
    p.unix_connect_interrupted = kept.unix_connect_interrupted;
    p.so_nosigpipe = input.byte() < 128;
    p.peek_rights = input.byte() < 128;
    p.connects_early = input.byte() < 128;
    p.poll_clock = if input.byte() < 128 {
        PollClock::Nanoseconds
    } else {
        PollClock::Milliseconds
    };
    p.msg_nosignal = input.u16().into();
    p.pollin = input.u16();
}
