//! `readiness`: any `revents` of any table, any interest.
//!
//! Input: table, the bits to change in it, two `revents`, two interests. The
//! oracle is the list of names, one bit at a time.

use rustix::event::PollFlags;
use wouldblock::platform::{HOST, Platform};
use wouldblock::{Interest, PollFd, Readiness};

use crate::input::Input;

/// Which of the table's bits stand for which readiness, as documented.
fn names(p: &Platform) -> [(u16, Readiness); 9] {
    [
        (p.pollin, Readiness::READABLE),
        (p.pollrdnorm, Readiness::READABLE),
        (p.pollout, Readiness::WRITABLE),
        (p.pollwrnorm, Readiness::WRITABLE),
        (p.pollpri, Readiness::PRIORITY),
        (p.pollrdhup, Readiness::READ_CLOSED),
        (p.pollhup, Readiness::HANG_UP),
        (p.pollerr, Readiness::ERROR),
        (p.pollnval, Readiness::INVALID),
    ]
}

fn oracle(revents: u16, platform: &Platform) -> Readiness {
    (0..16)
        .map(|bit| 1 << bit & revents)
        .flat_map(|bit| {
            names(platform)
                .into_iter()
                .filter(move |(of, _)| of & bit != 0)
        })
        .fold(Readiness::empty(), |all, (_, one)| all | one)
}

/// Replays one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut platform = input.table();
    if input.byte() % 2 == 1 {
        platform.pollin = input.u16();
        platform.pollrdhup = input.u16();
        platform.pollnval = input.u16();
    }
    let revents = [input.u16(), input.u16()];
    let interests = [input.byte(), input.byte()].map(Interest::from_bits_retain);

    for revents in revents {
        let readiness = Readiness::from_revents(revents, &platform);
        assert_eq!(
            readiness,
            oracle(revents, &platform),
            "{revents:#x} on {platform:?}"
        );
        predicates(readiness);
        // The host's bits arrive by three ways.
        let here = Readiness::from_revents(revents, HOST);
        let flags = PollFlags::from_bits_retain(revents as _);
        assert_eq!(Readiness::from(flags), here);
    }
    let [a, b] = revents.map(|revents| Readiness::from_revents(revents, &platform));
    assert_eq!(
        Readiness::from_revents(revents[0] | revents[1], &platform),
        a | b
    );

    let [a, b] = interests.map(|interest| interest.to_events(&platform));
    assert_eq!((interests[0] | interests[1]).to_events(&platform), a | b);
    for interest in interests {
        asks_for_what_it_says(interest, &platform);
    }
}

/// The sentences of the documentation, on every value of the type.
fn predicates(readiness: Readiness) {
    let has = |flag| readiness.contains(flag);
    let ends = has(Readiness::HANG_UP) || has(Readiness::ERROR);
    let readable = has(Readiness::READABLE) || has(Readiness::READ_CLOSED) || ends;
    assert_eq!(readiness.is_readable(), readable, "{readiness:?}");
    assert_eq!(
        readiness.is_writable(),
        has(Readiness::WRITABLE) || ends,
        "{readiness:?}"
    );
    assert_eq!(readiness.is_priority(), has(Readiness::PRIORITY));
    assert_eq!(readiness.is_read_closed(), has(Readiness::READ_CLOSED));
    assert_eq!(readiness.is_hang_up(), has(Readiness::HANG_UP));
    assert_eq!(readiness.is_error(), has(Readiness::ERROR));
    assert_eq!(readiness.is_invalid(), has(Readiness::INVALID));
    // A descriptor that poll cannot watch is ready for nothing.
    if readiness == Readiness::INVALID {
        assert!(!readiness.is_readable() && !readiness.is_writable());
    }
}

fn asks_for_what_it_says(interest: Interest, platform: &Platform) {
    let events = interest.to_events(platform);
    let mut wanted = 0;
    for (flag, bits) in [
        (Interest::READABLE, platform.pollin | platform.pollrdhup),
        (Interest::WRITABLE, platform.pollout),
        (Interest::PRIORITY, platform.pollpri),
    ] {
        wanted |= if interest.contains(flag) { bits } else { 0 };
        // An event that was asked for, and came, is the readiness asked for.
        if bits != 0 && interest == flag {
            let came = Readiness::from_revents(events, platform);
            let is = match flag {
                Interest::READABLE => came.is_readable(),
                Interest::WRITABLE => came.is_writable(),
                _ => came.is_priority(),
            };
            assert!(is, "{interest:?} on {platform:?}");
        }
    }
    assert_eq!(events, wanted, "{interest:?} on {platform:?}");
    let entry: PollFd<'_> = interest.on(&rustix::fs::CWD);
    assert_eq!(
        Readiness::from(&entry),
        Readiness::empty(),
        "nothing has been polled"
    );
}
