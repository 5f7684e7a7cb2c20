//! A poll that lies in each way that it could, and clocks that do not sleep.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::kernel::{Answer, Call, always, answered, is_available};
use crate::{IN, OUT, World};
use wouldblock::{
    At, Deadline, Errno, Inline, Interest, Io, Op, PollSet, Retry, recv, send, until,
};

const TIME: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

/// What a poll answers, as often as it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    /// Each descriptor is ready for what was asked.
    Asked,
    /// Each has hung up, or an error, whatever was asked.
    Always(i16),
    /// Something is ready, and nothing says what.
    Nothing,
    /// Ready for what was asked, but not when it is asked without waiting.
    Flapping,
    /// The other way about.
    Teasing,
    /// Interrupted, and ready for what was asked. (Not of a set, which asks twice.)
    ByTurns,
}

const LIES: [Lie; 7] = [
    Lie::Asked,
    Lie::Always(libc::POLLHUP),
    Lie::Always(libc::POLLERR),
    Lie::Nothing,
    Lie::Flapping,
    Lie::Teasing,
    Lie::ByTurns,
];

impl Lie {
    fn answer(self, call: &Call, polls: usize) -> Answer {
        let asks = call.timeout() == Some(Duration::ZERO);
        match self {
            Self::Always(bits) => Answer::Value(call.report(|_| bits)),
            Self::Nothing => Answer::Value(1),
            Self::Flapping if asks => Answer::Value(0),
            Self::Teasing if !asks => Answer::Value(0),
            Self::ByTurns if polls % 2 == 0 => Answer::Errno(libc::EINTR),
            _ => Answer::Value(call.report(|events| events)),
        }
    }

    /// How many calls it may cost in that time, and how many polls.
    fn limits(self, hides: bool) -> (usize, usize) {
        match self {
            // 32 wakes in a millisecond could be honest for a closure, and 4 for a call beside
            // other threads, and here a call takes its time. Each of two directions: a call,
            // a question of its own, and a wait of the set.
            Self::Flapping if hides => (2 * 32 * 300, 2 * 2 * 32 * 300),
            Self::Flapping => (2 * 4 * 300, 2 * 2 * 4 * 300),
            // Reading and being told rest apart: each wakes after 1, 2, 4 and 8 ms, then
            // every 16 ms, and on a busy machine no two of these come at once.
            _ => (2 * (5 + 300 / 16 + 1), 300),
        }
    }
}

/// A wait for a byte, by a receiving call.
type Wait = fn(&World, Deadline) -> Io<()>;

/// The loop of a server, for one descriptor.
fn serve(
    world: &World,
    end: Deadline,
    interest: Interest,
    call: impl Fn(&mut At<'_, &std::os::unix::net::UnixStream>) -> Io<()>,
) -> Io<()> {
    let mut set: PollSet<_, (), Inline<2>> = PollSet::new();
    set.register(&world.ours, interest, ()).unwrap();
    while !end.has_passed() {
        assert!(!set.select(end).is_err());
        while let Some((key, _)) = set.next_ready() {
            if let answer @ Io::Ready(()) = call(&mut set.get_mut(key).unwrap().0) {
                return answer;
            }
        }
    }
    Io::WouldBlock
}

const WAITS: [(&str, Wait); 6] = [
    ("until", |w, end| {
        until(&w.ours, end).recv(&mut [0], IN).map(drop)
    }),
    ("retry", |w, end| {
        let call = |fd: std::os::fd::BorrowedFd<'_>| recv(fd, &mut [0], IN).map(drop);
        until(&w.ours, end).retry(Retry::Recv, call)
    }),
    ("set", |w, end| {
        serve(w, end, Interest::READABLE, |at| {
            at.recv(&mut [0], IN).map(drop)
        })
    }),
    ("set, told of hang-ups", |w, end| {
        let interest = Interest::READABLE | Interest::HANG_UP | Interest::PRIORITY;
        serve(w, end, interest, |at| at.recv(&mut [0], IN).map(drop))
    }),
    ("set, both directions", |w, end| {
        let interest = Interest::READABLE | Interest::WRITABLE;
        serve(w, end, interest, |at| {
            let full = at.attempt(Op::Send, |_| Io::<()>::WouldBlock);
            assert_eq!(full, Io::WouldBlock);
            at.recv(&mut [0], IN).map(drop)
        })
    }),
    ("set, drained by attempt", |w, end| {
        serve(w, end, Interest::READABLE, |at| {
            at.attempt(Op::Recv, |fd| recv(*fd, &mut [0], IN).map(drop))
        })
    }),
];

/// Each lie at the same time; gives the name of the wait, the lie and a world.
fn under_each_lie(test: impl Fn(&str, Wait, Lie, &World) + Sync) {
    if !is_available() {
        return;
    }
    for (name, wait) in WAITS {
        std::thread::scope(|scope| {
            for lie in LIES {
                if name.starts_with("set") && lie == Lie::ByTurns {
                    continue;
                }
                let test = &test;
                scope.spawn(move || test(name, wait, lie, &World::new()));
            }
        });
    }
}

#[test]
fn waits_whose_polls_lie_end_on_their_deadline_and_do_not_spin() {
    under_each_lie(|name, wait, lie, world| {
        let (mut polls, mut calls) = (0, 0);
        let kernel = |call: &Call| match call.number {
            libc::SYS_ppoll => {
                polls += 1;
                lie.answer(call, polls)
            }
            _ => {
                calls += 1;
                Answer::Real
            }
        };
        let body = || {
            let end = Deadline::after(TIME);
            let answer = wait(world, end);
            (answer, end.has_passed())
        };
        let numbers = [libc::SYS_ppoll, libc::SYS_recvfrom];
        let (ended, _) = answered(&numbers, kernel, body);
        assert_eq!(ended, (Io::WouldBlock, true), "{name}, {lie:?}");
        let hides = ["retry", "set, both directions", "set, drained by attempt"].contains(&name);
        let (most_calls, most_polls) = lie.limits(hides);
        eprintln!("{name}, {lie:?}: {calls} calls, {polls} polls");
        let few = calls <= most_calls && polls <= most_polls;
        assert!(few, "{name}, {lie:?}: {calls} calls, {polls} polls");
    });
}

/// Whose would-block says for certain that nothing was done. One that may hide something
/// is called ten times as often.
#[test]
fn until_whose_poll_flaps_rests_soon_whatever_the_operation_is() {
    if !is_available() {
        return;
    }
    let waits: &[(&str, Wait)] = &[
        ("recv", |w, end| {
            until(&w.ours, end).recv(&mut [0], IN).map(drop)
        }),
        ("recv_with", |w, end| {
            let buf = &mut [MaybeUninit::uninit()];
            until(&w.ours, end).recv_with(buf, IN, |_| ())
        }),
        ("recv_from_with", |w, end| {
            let buf = &mut [MaybeUninit::uninit()];
            until(&w.ours, end).recv_from_with(buf, IN, |_, _| ())
        }),
        ("recv_fds_with", |w, end| {
            until(&w.ours, end)
                .recv_fds_with(&mut [], IN, drop)
                .map(drop)
        }),
        #[cfg(feature = "std")]
        ("read of std", |w, end| {
            let read = std::io::Read::read(&mut until(&w.ours, end).std_io(), &mut [0]);
            assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
            Io::WouldBlock
        }),
    ];
    for (name, wait) in waits {
        let world = World::new();
        // On a busy machine each call may take its time, as it does of honest ones.
        let few = (0..10).any(|_| {
            let numbers = [libc::SYS_ppoll, libc::SYS_recvfrom, libc::SYS_recvmsg];
            let kernel = |call: &Call| match call.number {
                libc::SYS_ppoll => Lie::Flapping.answer(call, 0),
                _ => Answer::Real,
            };
            let body = || wait(&world, Deadline::after(TIME));
            let (answer, calls) = answered(&numbers, kernel, body);
            assert_eq!(answer, Io::WouldBlock);
            eprintln!("{name}: {calls} calls");
            calls < 400
        });
        assert!(few, "{name}");
    }
}

/// poll goes on as before, and yet what comes is found. A set whose poll tells of nothing
/// cannot know whom to call.
#[test]
fn waits_whose_polls_lie_find_what_comes_within_a_rest() {
    under_each_lie(|name, wait, lie, world| {
        let tells = matches!(lie, Lie::Asked | Lie::Always(_) | Lie::Flapping);
        if name.starts_with("set") && !tells {
            return;
        }
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let (begun, mut polls, mut came) = (Instant::now(), 0, None);
            let kernel = |call: &Call| {
                polls += 1;
                if came.is_none() && begun.elapsed() >= TIME / 4 {
                    assert_eq!(send(&world.theirs, b"!", OUT), Io::Ready(1));
                    came = Some(Instant::now());
                }
                lie.answer(call, polls)
            };
            let body = || {
                let answer = wait(world, Deadline::after(LONG));
                (answer, Instant::now())
            };
            let ((answer, found), _) = answered(&[libc::SYS_ppoll], kernel, body);
            assert_eq!(answer, Io::Ready(()), "{name}, {lie:?}");
            best = best.min(found.saturating_duration_since(came.unwrap()));
            if best < Duration::from_millis(20) {
                return;
            }
        }
        panic!("{name}, {lie:?}: {best:?} late");
    });
}

/// A sandbox that forbids to sleep: poll of nothing sleeps as well.
#[test]
fn rests_where_sleeping_is_refused_use_no_processor() {
    if !is_available() {
        return;
    }
    for errno in [libc::ENOSYS, libc::EPERM] {
        let world = World::new();
        let body = || {
            let begun = cpu_time();
            let end = Deadline::after(TIME);
            let short = |_: std::os::fd::BorrowedFd<'_>| Io::<()>::Err(Errno::NOBUFS);
            let answer = until(&world.ours, end).retry(Retry::Send, short);
            assert_eq!(answer, Io::Err(Errno::NOBUFS));
            assert!(end.has_passed());
            cpu_time() - begun
        };
        let numbers = [libc::SYS_nanosleep, libc::SYS_clock_nanosleep];
        let used = always(&numbers, errno, body);
        assert!(used < TIME / 30, "{errno}: {used:?} of processor time");
    }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// Not what is not watched, and no number in its place: to some kernels a negative one is
/// invalid.
#[test]
fn select_shows_the_kernel_what_is_watched_and_nothing_else() {
    if !is_available() {
        return;
    }
    let world = World::new();
    let mut shown = Vec::new();
    let kernel = |call: &Call| {
        shown.push(call.args[1]);
        Answer::Real
    };
    let body = || {
        let mut set: PollSet<&dyn std::os::fd::AsFd, (), Inline<4>> = PollSet::new();
        let paused = set.register(&world.ours, Interest::empty(), ()).unwrap();
        set.register(&world.udp, Interest::READABLE, ()).unwrap();
        set.register(&world.writer, Interest::WRITABLE, ()).unwrap();
        assert_eq!(set.select(Duration::ZERO), Io::Ready(1));
        set.modify(paused, Interest::WRITABLE).unwrap();
        assert_eq!(set.select(Duration::ZERO), Io::Ready(2));
    };
    answered(&[libc::SYS_ppoll], kernel, body);
    assert_eq!(shown, [2, 3]);
}

/// Each of the waits is shorter than a rest.
#[test]
fn select_again_and_again_of_a_kernel_that_never_waits_does_not_spin() {
    if !is_available() {
        return;
    }
    for answer in [
        Answer::Errno(libc::EINTR),
        Answer::Errno(libc::ENOMEM),
        Answer::Value(0),
    ] {
        let world = World::new();
        let body = || {
            let mut set: PollSet<_, (), Inline<1>> = PollSet::new();
            set.register(&world.ours, Interest::READABLE, ()).unwrap();
            let begun = Instant::now();
            let mut waits = 0;
            while begun.elapsed() < TIME {
                assert!(!set.select(Duration::from_micros(1500)).is_ready());
                waits += 1;
            }
            (waits, begun.elapsed().as_millis() as usize)
        };
        let ((waits, time), polls) = answered(&[libc::SYS_ppoll], |_| answer, body);
        eprintln!("{answer:?}: {waits} waits, {polls} polls");
        // At first what could be signals, 16 at once, and then 6 after each rest. On a busy
        // machine, where each takes its time, 16 in a millisecond could be signals for ever.
        let most = (13 * waits).max(16 * time) + 64;
        assert!(polls <= most, "{answer:?}: {waits}, {polls}");
    }
}

/// Waits that end on their time are what a kernel is trusted for.
#[test]
fn select_after_waits_that_ended_on_their_time_takes_signals_for_signals() {
    if !is_available() {
        return;
    }
    let world = World::new();
    let (mut polls, mut sleeps) = (0, 0);
    let kernel = |call: &Call| {
        sleeps += usize::from(call.number != libc::SYS_ppoll);
        polls += usize::from(call.number == libc::SYS_ppoll);
        match polls {
            // Ten at once, a millisecond and more after the last of those waits.
            21..=30 => Answer::Errno(libc::EINTR),
            31 => Answer::Value(call.report(|events| events)),
            _ => Answer::Real,
        }
    };
    let numbers = [
        libc::SYS_ppoll,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
    ];
    let body = || {
        let mut set: PollSet<_, (), Inline<1>> = PollSet::new();
        set.register(&world.ours, Interest::READABLE, ()).unwrap();
        for _ in 0..20 {
            assert_eq!(set.select(Duration::from_micros(1500)), Io::WouldBlock);
        }
        assert_eq!(set.select(LONG), Io::Ready(1));
    };
    answered(&numbers, kernel, body);
    assert_eq!(sleeps, 0);
}

/// poll says of one descriptor alone that it is ready. Of all it did so once, and then it
/// says something else: always, or where it only asks.
#[test]
fn select_whose_poll_contradicts_itself_does_not_spin() {
    if !is_available() {
        return;
    }
    let others = [
        Answer::Value(0),
        Answer::Value(1),
        Answer::Errno(libc::EINTR),
        Answer::Errno(libc::ENOMEM),
        Answer::Errno(libc::EAGAIN),
    ];
    for (other, asks_alone) in others
        .map(|other| (other, false))
        .into_iter()
        .chain([(Answer::Value(0), true)])
    {
        let world = World::new();
        let few = (0..10).any(|_| {
            let (mut polls, mut of_all) = (0, 0);
            let kernel = |call: &Call| {
                polls += 1;
                of_all += usize::from(call.args[1] == 2);
                let asks = call.timeout() == Some(Duration::ZERO);
                match call.args[1] == 2 && of_all > 1 && (asks || !asks_alone) {
                    true => other,
                    false => Answer::Value(call.report(|events| events & libc::POLLIN)),
                }
            };
            let body = || {
                let mut set: PollSet<&dyn std::os::fd::AsFd, (), Inline<2>> = PollSet::new();
                let key = set.register(&world.ours, Interest::READABLE, ()).unwrap();
                set.register(&world.writer, Interest::WRITABLE, ()).unwrap();
                let end = Deadline::after(TIME);
                while !end.has_passed() {
                    let answer = set.select(end);
                    assert!(!answer.is_err() || end.has_passed(), "{answer:?}");
                    while set.next_ready().is_some() {
                        let (mut at, ()) = set.get_mut(key).unwrap();
                        assert_eq!(at.recv(&mut [0], IN), Io::WouldBlock);
                    }
                }
            };
            answered(&[libc::SYS_ppoll], kernel, body);
            eprintln!("{other:?}, {asks_alone}: {polls} polls");
            // What could be signals may come sixteen times a millisecond.
            let most = if matches!(other, Answer::Errno(libc::EINTR)) {
                2 * 16 * 300
            } else {
                1000
            };
            polls < most
        });
        assert!(few, "{other:?}, {asks_alone}");
    }
}

/// As of `/proc/self/mounts`, a PSI trigger or a perf ring: poll tells of an event, and takes
/// it away.
struct ToldOnce {
    pending: AtomicBool,
    told: i16,
}

impl ToldOnce {
    fn answer(&self, call: &Call) -> Answer {
        let n = call.report(|events| {
            let tells = events & self.told != 0 && self.pending.swap(false, Ordering::SeqCst);
            if tells { self.told } else { 0 }
        });
        match n {
            0 if call.timeout() != Some(Duration::ZERO) => Answer::Real,
            n => Answer::Value(n),
        }
    }
}

#[test]
fn select_where_poll_tells_of_an_event_once_hands_out_each() {
    if !is_available() {
        return;
    }
    // And whoever sets the interest anew before the hand-out.
    for (interest, told, anew) in [
        (Interest::PRIORITY, libc::POLLPRI, false),
        (Interest::PRIORITY, libc::POLLPRI, true),
        (Interest::READABLE, libc::POLLIN, false),
        (Interest::READABLE, libc::POLLIN, true),
    ] {
        let world = World::new();
        let driver = ToldOnce {
            pending: AtomicBool::new(false),
            told,
        };
        let body = || {
            let mut set: PollSet<_, (), Inline<1>> = PollSet::new();
            let key = set.register(&world.ours, interest, ()).unwrap();
            let mut lost = 0;
            for _ in 0..30 {
                driver.pending.store(true, Ordering::SeqCst);
                let mut seen = false;
                assert!(!set.select(Duration::from_millis(200)).is_err());
                if anew {
                    set.modify(key, Interest::empty()).unwrap();
                    set.modify(key, interest).unwrap();
                }
                while let Some((_, readiness)) = set.next_ready() {
                    seen = true;
                    assert_eq!(readiness.is_priority(), told == libc::POLLPRI);
                    let (mut at, ()) = set.get_mut(key).unwrap();
                    // The event is looked at, and nothing says so.
                    let _ = at.attempt(Op::Recv, |_| Io::<()>::WouldBlock);
                }
                lost += usize::from(!seen);
            }
            lost
        };
        let (lost, _) = answered(&[libc::SYS_ppoll], |call| driver.answer(call), body);
        assert_eq!(lost, 0, "{interest:?}");
    }
}

#[test]
fn turns_where_poll_tells_of_an_event_once_sees_each() {
    if !is_available() {
        return;
    }
    let world = World::new();
    let driver = ToldOnce {
        pending: AtomicBool::new(false),
        told: libc::POLLPRI,
    };
    let body = || {
        let mut looks = 0;
        until(&world.ours, Duration::from_secs(5)).turns(Op::Recv, |_, turn| {
            looks += 1;
            turn.wants = Interest::PRIORITY;
            if looks == 10 {
                return Io::Ready(());
            }
            // The next comes after each look, and before the wait.
            driver.pending.store(true, Ordering::SeqCst);
            Io::WouldBlock
        })
    };
    let (answer, _) = answered(&[libc::SYS_ppoll], |call| driver.answer(call), body);
    assert_eq!(answer, Io::Ready(()));
}
