//! The waits: they end on their deadline, never early and not late, they do not
//! spin, and no event is lost.

mod common;

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::signals::under_fire;
use common::{
    DEADLINE, alone, dead_descriptor, fill, idle, pipe, tcp_socket, thread_cpu_time, traced,
    within_deadline,
};
#[cfg(target_os = "linux")]
use wouldblock::Outcome;
use wouldblock::{
    AddressFamily, Deadline, Errno, Inline, Interest, Io, NonBlocking, PollSet, Readiness,
    RecvFlags, Retry, SendFlags, SocketAddrUnix, SocketType, accept, finish_connect, recv, send,
    send_to, set_nonblocking, socket, until,
};

const NONE: RecvFlags = RecvFlags::empty();

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn soon() -> Deadline {
    Deadline::after(DEADLINE)
}

fn unix_pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    (ours, theirs)
}

/// A set of nothing, which waits for the time alone.
fn nobody() -> PollSet<UnixStream, (), Inline<0>> {
    PollSet::new()
}

/// Makes a call that has to last for `time`; returns by how much more it took.
#[track_caller]
fn lateness(time: Duration, call: impl FnOnce(Deadline)) -> Duration {
    let start = Instant::now();
    call(Deadline::after(time));
    let took = start.elapsed();
    assert!(took >= time, "{time:?} ended early, after {took:?}");
    took - time
}

// ---- deadlines ----

#[test]
fn deadline_of_a_time_too_long_to_represent_is_never() {
    assert_eq!(Deadline::after(Duration::MAX), Deadline::never());
    assert_eq!(Deadline::never().remaining(), None);
    assert!(!Deadline::never().has_passed());
    assert_eq!(
        Deadline::after(Duration::from_nanos(u64::MAX)),
        Deadline::never()
    );
    let century = Duration::from_secs(100 * 366 * 24 * 60 * 60);
    let far = Deadline::after(century);
    assert!(far < Deadline::never());
    assert!(far.remaining() > Some(century - DEADLINE) && far.remaining() <= Some(century));
    assert!(!far.has_passed());
}

#[test]
fn deadline_of_no_time_has_passed() {
    let now = Deadline::after(Duration::ZERO);
    assert!(now.has_passed());
    assert_eq!(now.remaining(), Some(Duration::ZERO));
    assert!(now < Deadline::after(millis(1)));
    // It goes on having passed, and nothing underflows.
    lateness(millis(2), |end| while !end.has_passed() {});
    assert_eq!(now.remaining(), Some(Duration::ZERO));
}

#[test]
fn deadline_from_an_option_is_after_it_or_never() {
    assert_eq!(Deadline::from(None), Deadline::never());
    let before = Deadline::after(millis(70));
    let it = Deadline::from(Some(millis(70)));
    assert!(before <= it && it <= Deadline::after(millis(70)));
}

#[cfg(feature = "std")]
#[test]
fn deadline_from_an_instant_is_not_before_it() {
    for time in [Duration::ZERO, millis(3), millis(10)] {
        let instant = Instant::now() + time;
        let deadline = Deadline::from(instant);
        assert!(deadline.remaining() <= Some(time));
        while !deadline.has_passed() {
            thread::yield_now();
        }
        assert!(Instant::now() >= instant, "{time:?}");
    }
    let past = Instant::now();
    lateness(millis(1), |end| while !end.has_passed() {});
    assert!(Deadline::from(past).has_passed());
}

#[test]
fn waits_as_methods_are_the_functions() {
    let (ours, mut theirs) = unix_pair();
    let ours = NonBlocking::new(ours).unwrap();
    lateness(millis(3), |end| {
        assert_eq!(ours.until(end).ready(Interest::READABLE), Io::WouldBlock);
    });
    lateness(millis(3), |end| {
        assert_eq!(ours.until(end).recv(&mut [0; 8], NONE), Io::WouldBlock);
    });
    assert_eq!(
        ours.until(soon()).ready(Interest::WRITABLE),
        Io::Ready(Readiness::WRITABLE)
    );
    theirs.write_all(b"!").unwrap();
    assert_eq!(
        ours.until(soon()).ready(Interest::READABLE),
        Io::Ready(Readiness::READABLE)
    );
    let both = Interest::READABLE | Interest::WRITABLE;
    let readiness = ours.until(soon()).ready(both).ready().unwrap();
    assert!(readiness.is_readable() && readiness.is_writable());
}

#[test]
fn waits_whose_deadline_has_passed_ask_once_and_end() {
    let now = Deadline::after(Duration::ZERO);
    let (ours, mut theirs) = unix_pair();
    assert_eq!(until(&ours, now).ready(Interest::READABLE), Io::WouldBlock);
    assert_eq!(nobody().select(now), Io::WouldBlock);
    let receive = || until(&ours, now).retry(Retry::Recv, |fd| recv(fd, &mut [0; 8], NONE));
    assert_eq!(receive(), Io::WouldBlock);
    theirs.write_all(b"!").unwrap();
    assert_eq!(
        until(&ours, now).ready(Interest::READABLE),
        Io::Ready(Readiness::READABLE)
    );
    assert_eq!(receive(), Io::Ready(1));
    assert_eq!(
        until(&ours, now).ready(Interest::WRITABLE),
        Io::Ready(Readiness::WRITABLE)
    );
}

// ---- the end of a wait, measured ----

/// Of which length the measured waits are, and how many of each.
#[cfg(target_os = "linux")]
const ROUNDS: [(u64, usize); 5] = [(1, 20), (7, 10), (50, 5), (300, 3), (2000, 1)];

/// The best of ours may be later than the worst of the kernel's by the fourth part
/// of the wait, but by 2 ms at least and 20 ms at most. If it is not, a busy machine
/// gets as many rounds again, twice.
#[cfg(target_os = "linux")]
fn margin(time: Duration) -> Duration {
    (time / 4).clamp(millis(2), millis(20))
}

/// The better quarter of all of ours may be later than that of the kernel's by this
/// much: a busy machine delays the others.
#[cfg(target_os = "linux")]
const QUARTER_MARGIN: Duration = Duration::from_millis(2);

/// Lets `wait` and the kernel's own `ppoll` take turns under a storm of signals,
/// which the latter does not see.
#[cfg(target_os = "linux")]
fn ends_on_its_deadline(name: &str, mut wait: impl FnMut(Deadline)) {
    let _storm = common::signals::Storm::new(millis(1));
    let (mut all_ours, mut all_theirs) = (Vec::new(), Vec::new());
    let mut all_signals = 0;
    for (length, rounds) in ROUNDS {
        let time = millis(length);
        let before = common::signals::count();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut best, mut worst) = (Duration::MAX, Duration::ZERO);
        while ours.len() < rounds || best > worst + margin(time) && ours.len() < 3 * rounds {
            let late = lateness(time, |_| common::signals::kernel_wait(time));
            worst = worst.max(late);
            theirs.push(late);
            let late = lateness(time, &mut wait);
            best = best.min(late);
            ours.push(late);
        }
        let signals = common::signals::count() - before;
        all_signals += signals;
        eprintln!(
            "{name}, {} x {time:?}: {signals} signals; late by {best:?} to {:?}, ppoll by {:?} \
             to {worst:?}",
            ours.len(),
            ours.iter().max().unwrap(),
            theirs.iter().min().unwrap(),
        );
        assert!(
            best <= worst + margin(time),
            "{name}, {time:?}: {best:?} late"
        );
        all_ours.append(&mut ours);
        all_theirs.append(&mut theirs);
    }
    // Of more than 3 000, since a busy machine loses many.
    assert!(all_signals > 200, "{name}: {all_signals} signals");
    all_ours.sort();
    all_theirs.sort();
    let (ours, theirs) = (
        all_ours[all_ours.len() / 4],
        all_theirs[all_theirs.len() / 4],
    );
    eprintln!("{name}: the better quarter is late by {ours:?}, that of ppoll by {theirs:?}");
    assert!(ours <= theirs + QUARTER_MARGIN, "{name}: {ours:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn waits_in_a_storm_of_signals_end_on_their_deadline() {
    thread::scope(|scope| {
        scope.spawn(|| {
            let (ours, _theirs) = unix_pair();
            ends_on_its_deadline("ready", |end| {
                let answer = until(&ours, end).ready(Interest::READABLE);
                assert_eq!(answer, Io::WouldBlock);
            });
        });
        scope.spawn(|| {
            let (ours, _theirs) = unix_pair();
            ends_on_its_deadline("retry", |end| {
                let call = |fd: BorrowedFd<'_>| recv(fd, &mut [0; 8], NONE);
                assert_eq!(until(&ours, end).retry(Retry::Recv, call), Io::WouldBlock);
            });
        });
        scope.spawn(|| {
            let (ours, _theirs) = unix_pair();
            let mut set: PollSet<_, (), Inline<4>> = PollSet::new();
            set.register(ours, Interest::READABLE, ()).unwrap();
            ends_on_its_deadline("select", |end| {
                assert_eq!(set.select(end), Io::WouldBlock);
            });
        });
        scope.spawn(|| {
            // Writable, and yet it would block: the wait sleeps on a timer.
            let (ours, _theirs) = unix_pair();
            ends_on_its_deadline("retry on a liar", |end| {
                let call = |_: BorrowedFd<'_>| Io::<()>::WouldBlock;
                assert_eq!(until(&ours, end).retry(Retry::Send, call), Io::WouldBlock);
            });
        });
        scope.spawn(|| {
            let (ours, _theirs) = unix_pair();
            ends_on_its_deadline("retry in a shortage", |end| {
                let call = |_: BorrowedFd<'_>| Io::<()>::Err(Errno::NOBUFS);
                let answer = until(&ours, end).retry(Retry::Send, call);
                assert_eq!(answer, Io::Err(Errno::NOBUFS));
            });
        });
    });
}

#[test]
fn waits_under_fire_of_signals_are_never_early_and_find_what_comes() {
    for time in [millis(1), millis(30), millis(150)] {
        under_fire(|| {
            let (before, end) = (common::signals::count(), soon());
            // On a busy machine the short ones may be over before a signal comes.
            while common::signals::count() == before && !end.has_passed() {
                let (ours, mut theirs) = unix_pair();
                lateness(time, |end| {
                    assert_eq!(until(&ours, end).ready(Interest::READABLE), Io::WouldBlock);
                });
                lateness(time, |end| {
                    let call = |_: BorrowedFd<'_>| Io::<()>::WouldBlock;
                    assert_eq!(until(&ours, end).retry(Retry::Send, call), Io::WouldBlock);
                });
                theirs.write_all(b"!").unwrap();
                assert_eq!(
                    until(&ours, soon()).ready(Interest::READABLE),
                    Io::Ready(Readiness::READABLE)
                );
            }
        });
    }
}

/// What is left of a pause after a signal has to be computed from its end: what
/// `nanosleep` hands back has the timer's slack added, each time.
#[cfg(target_os = "linux")]
#[test]
fn pauses_in_a_dense_storm_of_signals_are_not_late() {
    const LONGEST: Duration = Duration::from_millis(16);
    let _storm = common::signals::Storm::new(Duration::from_micros(100));
    let (ours, _theirs) = unix_pair();
    let mut made = Vec::new();
    let mut best = Duration::MAX;
    let answer = until(&ours, soon()).retry(Retry::Send, |_| {
        made.push(Instant::now());
        // The pauses before were shorter.
        if let [_, _, _, _, _, _, .., before, now] = made[..] {
            best = best.min(now - before);
        }
        // The machine may be busy, so one good pause of many is enough.
        if best < LONGEST + millis(3) || made.len() > 40 {
            return Io::Ready(());
        }
        Io::Err(Errno::NOBUFS)
    });
    assert_eq!(answer, Io::Ready(()));
    assert!(
        best >= LONGEST && best < LONGEST + millis(3),
        "{best:?} at best"
    );
}

#[test]
fn wait_for_ever_under_fire_of_signals_ends_with_the_data() {
    let (ours, mut theirs) = unix_pair();
    let (tell, told) = mpsc::channel();
    let writer = thread::spawn(move || {
        told.recv().unwrap();
        theirs.write_all(b"!").unwrap();
        theirs
    });
    let answer = under_fire(move || {
        let before = common::signals::count();
        until(&ours, Deadline::never()).retry(Retry::Recv, |fd| {
            let answer = recv(fd, &mut [0; 8], NONE);
            if answer.is_would_block() {
                // The data comes only after some signals have.
                while common::signals::count() < before + 5 {
                    thread::yield_now();
                }
                let _ = tell.send(());
            }
            answer
        })
    });
    assert_eq!(answer, Io::Ready(1));
    writer.join().unwrap();
}

// ---- processor time ----

/// How long the waits on idle descriptors are: a second, or five where
/// `WOULDBLOCK_FULL` is set.
fn idle_time() -> Duration {
    let full = std::env::var_os("WOULDBLOCK_FULL").is_some();
    Duration::from_secs(if full { 5 } else { 1 })
}

/// Fails if a wait of `time` uses processor time to speak of. gVisor charges a whole
/// tick of 10 ms to whoever runs when it ends. Where that shows there are three tries:
/// what spins uses it in each.
#[track_caller]
fn uses_no_cpu_to_speak_of(
    what: &str,
    time: Duration,
    limit: Duration,
    mut wait: impl FnMut(Deadline),
) {
    const TICK: u128 = 10_000_000;
    for last in [false, false, true] {
        let before = thread_cpu_time();
        let late = lateness(time, &mut wait);
        let used = thread_cpu_time() - before;
        eprintln!("{what}: {used:?} of processor time in {:?}", time + late);
        if used < limit {
            return;
        }
        let in_ticks = used.as_nanos() % TICK == 0;
        assert!(in_ticks && !last, "{what}: {used:?} of processor time");
    }
}

#[test]
fn until_on_an_idle_descriptor_uses_no_cpu_to_speak_of() {
    let (ours, _theirs) = unix_pair();
    uses_no_cpu_to_speak_of("ready", idle_time(), millis(10), |end| {
        let answer = until(&ours, end).ready(Interest::READABLE);
        assert_eq!(answer, Io::WouldBlock);
    });
    uses_no_cpu_to_speak_of("recv", idle_time(), millis(10), |end| {
        assert_eq!(until(&ours, end).recv(&mut [0; 8], NONE), Io::WouldBlock);
    });
}

#[test]
fn select_on_idle_descriptors_uses_no_cpu_to_speak_of() {
    let (fds, _peer) = idle(1024);
    let mut set: Box<PollSet<_, (), Inline<1024>>> = Box::default();
    for count in [1, 64, fds.len()] {
        for fd in &fds[set.len()..count] {
            set.register(fd.as_fd(), Interest::READABLE, ()).unwrap();
        }
        let what = format!("select on {count}");
        uses_no_cpu_to_speak_of(&what, idle_time(), millis(10), |end| {
            assert_eq!(set.select(end), Io::WouldBlock);
        });
    }
}

// ---- what a retry makes of readiness ----

#[test]
fn retry_with_data_there_makes_one_call_and_does_not_ask_poll() {
    let (ours, mut theirs) = unix_pair();
    theirs.write_all(b"data").unwrap();
    let mut calls = 0;
    let answer = until(&ours, Deadline::never()).retry(Retry::Recv, |fd| {
        calls += 1;
        recv(fd, &mut [0; 8], NONE)
    });
    assert_eq!((answer, calls), (Io::Ready(4), 1));
    // Poll would have called this one invalid.
    let answer = until(dead_descriptor(), soon()).retry(Retry::Recv, |_| Io::Ready(7));
    assert_eq!(answer, Io::Ready(7));
}

#[test]
fn retry_with_data_there_is_one_system_call_by_strace() {
    let trace = traced("retry_with_data_there_is_one_system_call_by_strace", || {
        let (ours, mut theirs) = unix_pair();
        theirs.write_all(b"data").unwrap();
        let deadline = soon();
        rustix::fs::access("/begin", rustix::fs::Access::EXISTS).unwrap_err();
        let receive = |fd: BorrowedFd<'_>| recv(fd, &mut [0; 8], NONE);
        let first = until(&ours, deadline).retry(Retry::Recv, receive);
        rustix::fs::access("/middle", rustix::fs::Access::EXISTS).unwrap_err();
        let second = until(&ours, Deadline::after(millis(1))).retry(Retry::Recv, receive);
        rustix::fs::access("/end", rustix::fs::Access::EXISTS).unwrap_err();
        assert_eq!((first, second), (Io::Ready(4), Io::WouldBlock));
    });
    let Some(trace) = trace else { return };
    let thread = |line: &str| {
        line.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let begin = trace
        .lines()
        .find(|line| line.contains("\"/begin\""))
        .unwrap();
    let lines: Vec<_> = trace
        .lines()
        .filter(|line| thread(line) == thread(begin))
        .collect();
    let at = |mark: &str| lines.iter().position(|line| line.contains(mark)).unwrap();
    let (begin, middle, end) = (at("\"/begin\""), at("\"/middle\""), at("\"/end\""));
    let there = &lines[begin + 1..middle];
    assert!(there.len() == 1 && there[0].contains("recv"), "{there:#?}");
    // The proof that more would be seen.
    let not_there = &lines[middle + 1..end];
    assert!(
        not_there.iter().any(|line| line.contains("poll")),
        "{not_there:#?}"
    );
}

#[test]
fn retry_after_spurious_readiness_goes_on_and_succeeds() {
    let (ours, mut theirs) = unix_pair();
    theirs.write_all(b"!").unwrap();
    for lies in 0..8 {
        let mut calls = 0;
        let answer = until(&ours, soon()).retry(Retry::Recv, |fd| {
            calls += 1;
            if calls <= lies {
                return Io::WouldBlock;
            }
            recv(fd, &mut [0; 8], RecvFlags::PEEK)
        });
        assert_eq!((answer, calls), (Io::Ready(1), lies + 1));
    }
}

#[test]
fn retry_after_lies_waits_for_the_event_again() {
    // Three lies send it to the timer; then the descriptor is honest, and idle
    // for longer than any pause. One call for the event, and no more in between.
    let (ours, mut theirs) = unix_pair();
    theirs.write_all(b"!").unwrap();
    let (tell, told) = mpsc::channel();
    let writer = thread::spawn(move || {
        told.recv().unwrap();
        thread::sleep(millis(200));
        theirs.write_all(b"late").unwrap();
        theirs
    });
    let mut calls = 0;
    let answer = until(&ours, soon()).retry(Retry::Recv, |fd| {
        calls += 1;
        if calls < 3 {
            return Io::WouldBlock;
        }
        let answer = recv(fd, &mut [0; 8], NONE);
        if calls == 3 {
            assert_eq!(answer, Io::Ready(1));
            tell.send(()).unwrap();
            return Io::WouldBlock;
        }
        answer
    });
    assert_eq!((answer, calls), (Io::Ready(4), 4));
    writer.join().unwrap();
}

#[test]
fn retry_while_another_thread_steals_the_data_loses_none() {
    const MESSAGES: usize = 2000;
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    // On some systems a full queue is a shortage, in blocking mode too.
    let put = |text: &[u8]| {
        let sent = until(&theirs, soon()).send(text, SendFlags::empty());
        assert_eq!(sent, Io::Ready(text.len()));
    };
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let mut buf = [0; 8];
                    let answer =
                        until(&ours, soon()).retry(Retry::Recv, |fd| recv(fd, &mut buf, NONE));
                    match answer.ready().expect("a message, or the end") {
                        1 => taken.fetch_add(1, Ordering::Relaxed),
                        _ => return,
                    };
                }
            });
        }
        for _ in 0..MESSAGES {
            put(b"!");
        }
        for _ in 0..3 {
            put(b"end");
        }
    });
    assert_eq!(taken.into_inner(), MESSAGES);
}

#[test]
fn waits_end_when_the_peer_hangs_up() {
    let (ours, theirs) = unix_pair();
    let (tell, told) = mpsc::channel();
    let peer = thread::spawn(move || {
        told.recv().unwrap();
        drop(theirs);
    });
    let answer = until(&ours, soon()).retry(Retry::Recv, |fd| {
        let answer = recv(fd, &mut [0; 8], NONE);
        let _ = tell.send(());
        answer
    });
    assert_eq!(answer, Io::Ready(0));
    peer.join().unwrap();
    let readiness = until(&ours, Deadline::never())
        .ready(Interest::READABLE)
        .ready()
        .unwrap();
    assert!(readiness.is_readable(), "{readiness:?}");

    let (reader, writer) = pipe();
    let writer = NonBlocking::new(writer).unwrap();
    fill(|buf| writer.write(buf));
    assert_eq!(
        writer.until(millis(1)).ready(Interest::WRITABLE),
        Io::WouldBlock
    );
    drop(reader);
    let answer = writer.until(soon()).write(b"?");
    assert_eq!(answer, Io::Err(Errno::PIPE));
    assert!(
        writer
            .until(soon())
            .ready(Interest::WRITABLE)
            .ready()
            .unwrap()
            .is_writable()
    );
}

#[test]
fn waits_on_a_dead_descriptor_fail_with_ebadf() {
    let dead = dead_descriptor();
    assert_eq!(
        until(dead, soon()).ready(Interest::READABLE),
        Io::Err(Errno::BADF)
    );
    assert_eq!(
        until(dead, Deadline::never()).ready(Interest::WRITABLE),
        Io::Err(Errno::BADF)
    );
    let mut calls = 0;
    let answer = until(dead, soon()).retry(Retry::Recv, |_| {
        calls += 1;
        Io::<()>::WouldBlock
    });
    assert_eq!((answer, calls), (Io::Err(Errno::BADF), 1));
    let answer = until(dead, soon()).retry(Retry::Recv, |fd| recv(fd, &mut [0; 8], NONE));
    assert_eq!(answer, Io::Err(Errno::BADF));
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    assert_eq!(until(dead, soon()).connect(&nowhere), Io::Err(Errno::BADF));
}

#[test]
fn until_data_comes_from_another_thread_ends_with_it() {
    let answers = within_deadline(|| {
        let (ours, mut theirs) = unix_pair();
        let writer = thread::spawn(move || {
            theirs.write_all(b"!").unwrap();
            theirs
        });
        let ours = until(&ours, Deadline::never());
        let ready = ours.ready(Interest::READABLE);
        let received = ours.recv(&mut [0; 8], NONE);
        writer.join().unwrap();
        (ready, received)
    });
    assert_eq!(answers, (Io::Ready(Readiness::READABLE), Io::Ready(1)));
}

// ---- outcomes for which no event comes ----

/// The answers of a call, one after the other, and when it was made.
fn scripted(answers: &[Io<u8>], op: Retry, end: Deadline) -> (Io<u8>, Vec<Instant>) {
    let (ours, _theirs) = unix_pair();
    let mut made = Vec::new();
    let answer = until(&ours, end).retry(op, |_| {
        let answer = answers[made.len().min(answers.len() - 1)];
        made.push(Instant::now());
        answer
    });
    (answer, made)
}

#[test]
fn retry_in_a_shortage_pauses_longer_and_longer() {
    let short = Io::Err(Errno::NOBUFS);
    let answers = [short, short, short, short, short, short, Io::Ready(1)];
    let (answer, made) = scripted(&answers, Retry::Send, soon());
    assert_eq!((answer, made.len()), (Io::Ready(1), 7));
    for (pair, pause) in made.windows(2).zip([1, 2, 4, 8, 16, 16]) {
        assert!(pair[1] - pair[0] >= millis(pause), "not {pause} ms");
    }
}

/// There is no end by which to cut a pause short.
#[test]
fn retry_for_ever_in_a_shortage_pauses_and_goes_on() {
    let (ours, _theirs) = unix_pair();
    let mut calls = 0;
    lateness(millis(1 + 2 + 4 + 8 + 16 + 16 + 16), |_| {
        let answer = until(&ours, Deadline::never()).retry(Retry::Send, |fd| {
            calls += 1;
            match calls {
                1..=7 => Io::Err(Errno::NOBUFS),
                _ => send(fd, b"!", SendFlags::empty()),
            }
        });
        assert_eq!((answer, calls), (Io::Ready(1), 8));
    });
}

#[test]
fn retry_in_a_lasting_shortage_ends_with_its_errno_after_a_last_try() {
    let end = millis(100);
    let start = Instant::now();
    let (answer, made) = scripted(&[Io::Err(Errno::NOMEM)], Retry::Write, Deadline::after(end));
    assert_eq!(answer, Io::Err(Errno::NOMEM));
    assert!(start.elapsed() >= end);
    // One at once, then after 1, 3, 7, 15, 31, 47, 63, 79 and 95 ms, and one at the
    // end.
    assert!(made.len() <= 11, "{} calls", made.len());
    assert!(*made.last().unwrap() >= start + end, "no last try");
}

#[test]
fn retry_on_a_liar_makes_a_last_try_at_the_deadline() {
    let end = millis(100);
    let start = Instant::now();
    let (answer, made) = scripted(&[Io::WouldBlock], Retry::Send, Deadline::after(end));
    assert_eq!(answer, Io::WouldBlock);
    // Three before it is a lie, nine after 1, 3, 7, 15, 31, 47, 63, 79 and 95 ms, and
    // one at the end.
    assert!(made.len() <= 13, "{} calls", made.len());
    assert!(*made.last().unwrap() >= start + end, "no last try");
}

#[test]
fn retry_after_dead_connections_tries_at_once_and_then_pauses() {
    let dead = Io::Err(Errno::CONNABORTED);
    let (answer, made) = scripted(
        &[dead, dead, dead, dead, Io::Ready(1)],
        Retry::Accept,
        soon(),
    );
    assert_eq!((answer, made.len()), (Io::Ready(1), 5));
    assert!(made[2] - made[1] >= millis(1));
    assert!(made[3] - made[2] >= millis(2));
    // Where no time is left, the call that was made was the last.
    let now = Deadline::after(Duration::ZERO);
    let (answer, made) = scripted(&[dead, Io::Ready(1)], Retry::Accept, now);
    assert_eq!((answer, made.len()), (dead, 1));
    let (answer, made) = scripted(&[dead], Retry::Accept, Deadline::after(millis(60)));
    assert_eq!(answer, Io::Err(Errno::CONNABORTED));
    assert!(made.len() <= 10, "{} calls", made.len());
}

#[test]
fn retry_of_a_call_that_is_interrupted_for_ever_ends_on_its_deadline() {
    // The crate's own calls are made again after EINTR; another's may not be.
    let interrupted = Io::Err(Errno::INTR);
    let (answer, made) = scripted(&[interrupted, Io::Ready(1)], Retry::Recv, soon());
    assert_eq!((answer, made.len()), (Io::Ready(1), 2));
    let end = millis(60);
    let start = Instant::now();
    let (answer, made) = scripted(&[interrupted], Retry::Recv, Deadline::after(end));
    assert_eq!(answer, interrupted);
    assert!(start.elapsed() >= end);
    assert!(made.len() <= 10, "{} calls", made.len());
}

/// Whoever makes an `Io` of an errno without asking what it means, waits as well.
#[test]
fn retry_of_a_call_that_says_eagain_as_an_error_waits() {
    let (ours, theirs) = unix_pair();
    let mut calls = 0;
    let answer = until(&ours, soon()).retry(Retry::Recv, |fd| {
        calls += 1;
        match recv(fd, &mut [0; 8], NONE) {
            Io::WouldBlock => {
                (&theirs).write_all(b"!").unwrap();
                Io::Err(Errno::AGAIN)
            }
            answer => answer,
        }
    });
    assert_eq!((answer, calls), (Io::Ready(1), 2));
}

#[test]
fn retry_after_a_failure_ends_with_it_at_once() {
    let (answer, made) = scripted(&[Io::Err(Errno::CONNRESET)], Retry::Recv, Deadline::never());
    assert_eq!((answer, made.len()), (Io::Err(Errno::CONNRESET), 1));
    // Out of memory is a shortage for send, and the answer of recv.
    let (answer, made) = scripted(&[Io::Err(Errno::NOMEM)], Retry::Recv, Deadline::never());
    assert_eq!((answer, made.len()), (Io::Err(Errno::NOMEM), 1));
}

/// A datagram socket, the name of another that is full, and the latter.
fn full_queue(directory: &std::path::Path) -> (UnixDatagram, SocketAddrUnix, UnixDatagram) {
    let name = directory.join("socket");
    let theirs = UnixDatagram::bind(&name).unwrap();
    let ours = UnixDatagram::unbound().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let name = SocketAddrUnix::new(name).unwrap();
    while send_to(&ours, b"one", SendFlags::empty(), &name).is_ready() {}
    (ours, name, theirs)
}

#[test]
fn retry_to_a_full_named_queue_goes_on_when_it_is_drained() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, name, theirs) = full_queue(directory.path());
    let (tell, told) = mpsc::channel();
    let reader = thread::spawn(move || {
        told.recv().unwrap();
        theirs.recv(&mut [0; 8]).unwrap();
        theirs
    });
    let mut calls = 0;
    let answer = until(&ours, soon()).retry(Retry::SendToUnix, |fd| {
        calls += 1;
        let answer = send_to(fd, b"one", SendFlags::empty(), &name);
        // Where an event tells, there is one call before it.
        if answer.is_would_block() || calls == 3 {
            let _ = tell.send(());
        }
        answer
    });
    assert_eq!(answer, Io::Ready(3));
    assert!(calls >= 2, "{calls} calls");
    reader.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn retry_to_a_full_named_queue_that_stays_full_ends_with_eagain() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, name, _theirs) = full_queue(directory.path());
    uses_no_cpu_to_speak_of("full queue", Duration::from_secs(1), millis(20), |end| {
        let answer = until(&ours, end).retry(Retry::SendToUnix, |fd| {
            send_to(fd, b"one", SendFlags::empty(), &name)
        });
        assert_eq!(answer, Io::Err(Errno::AGAIN));
    });
}

#[test]
fn retry_of_accept_without_a_descriptor_left_recovers() {
    let body = || {
        if !common::habits::habits().emfile_keeps_the_connection {
            return println!("skipped: the connection may be lost here");
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&listener, true).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current = Some(64);
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        let mut hoard = Vec::new();
        while let Ok(fd) = rustix::io::fcntl_dupfd_cloexec(&listener, 0) {
            hoard.push(fd);
        }
        uses_no_cpu_to_speak_of("accept", millis(300), millis(20), |end| {
            let answer = until(&listener, end)
                .retry(Retry::Accept, |fd| accept(fd))
                .map(drop);
            assert_eq!(answer, Io::Err(Errno::MFILE));
        });
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                told.recv().unwrap();
                hoard.pop();
            });
            let mut calls = 0;
            let answer = until(&listener, soon()).retry(Retry::Accept, |fd| {
                calls += 1;
                if calls == 3 {
                    tell.send(()).unwrap();
                }
                accept(fd)
            });
            assert!(
                answer.is_ready() && calls >= 3,
                "{answer:?} after {calls} calls"
            );
        });
    };
    alone("retry_of_accept_without_a_descriptor_left_recovers", body);
}

// ---- connections ----

#[test]
fn connect_under_a_deadline_a_listener_accepts_is_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = tcp_socket();
    let address = listener.local_addr().unwrap();
    assert_eq!(until(&fd, soon()).connect(&address), Io::Ready(()));
    assert_eq!(finish_connect(&fd), Io::Ready(()));

    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("socket");
    let _listener = UnixListener::bind(&name).unwrap();
    let fd = NonBlocking::new(socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap());
    let name = SocketAddrUnix::new(name).unwrap();
    assert_eq!(
        fd.unwrap().until(Deadline::never()).connect(&name),
        Io::Ready(())
    );
}

#[test]
fn connect_under_a_deadline_nobody_listens_fails_with_the_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _none_starts = common::STARTS.read();
    drop(listener);
    let answer = until(tcp_socket(), soon()).connect(&address);
    assert_eq!(answer, Io::Err(Errno::CONNREFUSED));
}

/// A listener whose queue is full drops the first packet of a connection, which
/// is repeated after a second.
#[cfg(target_os = "linux")]
#[test]
fn connect_under_a_deadline_the_deadline_would_block_and_can_be_finished_later() {
    let full = common::pending_connect();
    drop(full.socket);
    let pending = tcp_socket();
    let start = Instant::now();
    let answer = until(&pending, Deadline::after(millis(50))).connect(&full.address);
    assert_eq!(answer, Io::WouldBlock);
    assert!(start.elapsed() >= millis(50));
    assert_eq!(finish_connect(&pending), Io::WouldBlock);
    while accept(&full.listener).is_ready() {}
    let readiness = until(&pending, soon())
        .ready(Interest::WRITABLE)
        .ready()
        .unwrap();
    assert!(!readiness.is_error(), "{readiness:?}");
    assert_eq!(finish_connect(&pending), Io::Ready(()));
}

/// What this system answers; see the table of `connect`.
#[cfg(target_os = "linux")]
#[test]
fn connect_under_a_deadline_a_full_unix_backlog_has_room_fails_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let name = SocketAddrUnix::new(directory.path().join("socket")).unwrap();
    let unix_socket = || socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let listener = unix_socket();
    rustix::net::bind(&listener, &name).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let mut connected = Vec::new();
    let start = Instant::now();
    let errno = loop {
        let fd = unix_socket();
        match until(&fd, soon()).connect(&name) {
            Io::Ready(()) => connected.push(fd),
            other => break other.err().unwrap(),
        }
    };
    assert_eq!(errno, Errno::AGAIN);
    assert_eq!(wouldblock::Op::ConnectUnix.outcome(errno), Outcome::BackOff);
    assert!(start.elapsed() < DEADLINE / 2, "it waited");
}
