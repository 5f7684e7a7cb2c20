//! The waits under faults: they go on after what passes, give up on what does
//! not, and neither spin nor hide an error.

use std::time::{Duration, Instant};

use crate::kernel::{Answer, always, answered, is_available};
use crate::{IN, OUT, World};
use libc::c_long;
use wouldblock::{
    Deadline, Errno, Inline, Interest, Io, Op, Outcome, OwnedFd, PollSet, Readiness, Retry, accept,
    read, recv, send, send_to, until, write,
};

const LONG: Duration = Duration::from_secs(20);

/// An operation that succeeds at once, if the kernel is let.
struct Ready {
    op: Retry,
    number: c_long,
    call: fn(&World, Deadline) -> Io<()>,
}

const READY: [Ready; 6] = [
    Ready {
        op: Retry::Recv,
        number: libc::SYS_recvfrom,
        call: |w, end| {
            until(&w.ours, end).retry(Retry::Recv, |fd| recv(fd, &mut [0], IN).map(drop))
        },
    },
    Ready {
        op: Retry::Read,
        number: libc::SYS_read,
        call: |w, end| until(&w.reader, end).retry(Retry::Read, |fd| read(fd, &mut [0]).map(drop)),
    },
    Ready {
        op: Retry::Send,
        number: libc::SYS_sendto,
        call: |w, end| until(&w.ours, end).retry(Retry::Send, |fd| send(fd, b"!", OUT).map(drop)),
    },
    Ready {
        op: Retry::Write,
        number: libc::SYS_write,
        call: |w, end| until(&w.writer, end).retry(Retry::Write, |fd| write(fd, b"!").map(drop)),
    },
    Ready {
        op: Retry::SendToUnix,
        number: libc::SYS_sendto,
        call: |w, end| {
            let name = w.name("datagrams");
            until(&w.datagrams, end).retry(Retry::SendToUnix, |fd| {
                send_to(fd, b"!", OUT, &name).map(drop)
            })
        },
    },
    Ready {
        op: Retry::Accept,
        number: libc::SYS_accept4,
        call: |w, end| until(&w.listener, end).retry(Retry::Accept, |fd| accept(fd).map(drop)),
    },
];

/// There is something to read, and a connection to accept.
fn world() -> (World, std::net::TcpStream) {
    let world = World::new();
    assert_eq!(send(&world.theirs, b"!", OUT), Io::Ready(1));
    assert_eq!(write(&world.writer, b"!"), Io::Ready(1));
    let client = std::net::TcpStream::connect(world.listener.local_addr().unwrap()).unwrap();
    (world, client)
}

#[test]
fn until_retry_goes_on_after_what_passes_and_gives_up_on_the_rest() {
    if !is_available() {
        return;
    }
    for ready in &READY {
        let op = Op::from(ready.op);
        for errno in 1..=133 {
            let (world, _client) = world();
            let errno = Errno::from_raw_os_error(errno);
            let mut first = true;
            let kernel = |_: &_| match std::mem::take(&mut first) {
                true => Answer::Errno(errno.raw_os_error()),
                false => Answer::Real,
            };
            let body = || (ready.call)(&world, Deadline::after(LONG));
            let got = answered(&[ready.number], kernel, body);
            let wanted = match op.outcome(errno) {
                Outcome::Failed => (Io::Err(errno), 1),
                _ => (Io::Ready(()), 2),
            };
            assert_eq!(got, wanted, "{op:?}: {errno}");
        }
    }
}

/// The descriptor is ready all the time, and the call says that it is not.
#[test]
fn until_retry_under_a_lying_readiness_does_not_spin() {
    if !is_available() {
        return;
    }
    let time = Duration::from_millis(100);
    for ready in &READY {
        let (world, _client) = world();
        let start = Instant::now();
        let body = || (ready.call)(&world, Deadline::after(time));
        let (answer, calls) = answered(&[ready.number], |_| Answer::Errno(libc::EAGAIN), body);
        let op = Op::from(ready.op);
        let wanted = match op.outcome(Errno::AGAIN) {
            Outcome::WouldBlock => Io::WouldBlock,
            // The caller's own errno is not hidden.
            _ => Io::Err(Errno::AGAIN),
        };
        assert_eq!(answer, wanted, "{op:?}");
        assert!(start.elapsed() >= time, "{op:?} ended early");
        // Two at once, and then after 1, 2, 4, 8, 16, 16, … milliseconds.
        assert!(calls <= 13, "{op:?}: {calls} calls in {time:?}");
    }
}

/// After two lies, each pause is followed by a question, and that fails.
#[test]
fn until_retry_whose_question_after_a_pause_fails_goes_on_or_says_so() {
    if !is_available() {
        return;
    }
    for errno in (1..=133).map(Errno::from_raw_os_error) {
        let world = World::new();
        let mut questions = 0;
        let kernel = |_: &_| {
            questions += 1;
            match questions {
                3 => Answer::Errno(errno.raw_os_error()),
                _ => Answer::Real,
            }
        };
        let mut calls = 0;
        let body = || {
            until(&world.ours, Deadline::after(LONG)).retry(Retry::Send, |_| {
                calls += 1;
                match calls {
                    1..=3 => Io::WouldBlock,
                    _ => Io::Ready(()),
                }
            })
        };
        let (answer, _) = answered(&[libc::SYS_ppoll], kernel, body);
        let wanted = match Op::Poll.outcome(errno) {
            Outcome::Failed => (Io::Err(errno), 3),
            _ => (Io::Ready(()), 4),
        };
        assert_eq!((answer, calls), wanted, "{errno}");
    }
}

#[test]
fn until_ready_goes_on_after_what_passes_and_gives_up_on_the_rest() {
    if !is_available() {
        return;
    }
    for errno in (1..=133).map(Errno::from_raw_os_error) {
        let (world, _client) = world();
        let mut first = true;
        let kernel = |_: &_| match std::mem::take(&mut first) {
            true => Answer::Errno(errno.raw_os_error()),
            false => Answer::Real,
        };
        let body = || until(&world.ours, LONG).ready(Interest::READABLE);
        let got = answered(&[libc::SYS_ppoll], kernel, body);
        let wanted = match Op::Poll.outcome(errno) {
            Outcome::Failed => (Io::Err(errno), 1),
            _ => (Io::Ready(Readiness::READABLE), 2),
        };
        assert_eq!(got, wanted, "{errno}");
    }
}

#[test]
fn until_ready_in_a_lasting_shortage_reports_it_at_the_deadline() {
    if !is_available() {
        return;
    }
    let (world, _client) = world();
    let time = Duration::from_millis(50);
    let start = Instant::now();
    let body = || until(&world.ours, time).ready(Interest::READABLE);
    let (answer, calls) = answered(&[libc::SYS_ppoll], |_| Answer::Errno(libc::ENOMEM), body);
    assert_eq!(answer, Io::Err(Errno::NOMEM));
    assert!(start.elapsed() >= time);
    assert!(calls <= 8, "{calls} calls in {time:?}");
}

/// A storm of interruptions does not stretch the time.
#[test]
fn until_ready_interrupted_all_the_time_ends_on_its_deadline() {
    if !is_available() {
        return;
    }
    let (world, _client) = world();
    let time = Duration::from_millis(50);
    let start = Instant::now();
    let body = || until(&world.ours, time).ready(Interest::PRIORITY);
    let kernel = |_: &_| {
        std::thread::sleep(Duration::from_millis(1));
        Answer::Errno(libc::EINTR)
    };
    let (answer, _calls) = answered(&[libc::SYS_ppoll], kernel, body);
    assert_eq!(answer, Io::WouldBlock);
    assert!((time..LONG).contains(&start.elapsed()));
}

/// `connect` is called once, whatever it answers.
#[test]
fn until_connect_calls_connect_once() {
    if !is_available() {
        return;
    }
    for errno in (1..=133).map(Errno::from_raw_os_error) {
        let (world, _client) = world();
        let fresh = crate::fresh(wouldblock::AddressFamily::INET);
        let address = world.listener.local_addr().unwrap();
        let kernel = |_: &_| Answer::Errno(errno.raw_os_error());
        let body = || until(&fresh, Deadline::after(LONG)).connect(&address);
        let (answer, calls) = answered(&[libc::SYS_connect], kernel, body);
        let wanted = match Op::Connect.outcome(errno) {
            // Nothing is under way, which finish_connect finds out.
            Outcome::WouldBlock => Errno::NOTCONN,
            _ => errno,
        };
        assert_eq!((answer, calls), (Io::Err(wanted), 1), "{errno}");
    }
}

/// The processor time that this thread has used.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// A wait for one byte that does not come.
type Wait = fn(&World, Deadline) -> Io<()>;

fn selects(w: &World, end: Deadline) -> Io<()> {
    let mut set: PollSet<_, (), Inline<2>> = PollSet::new();
    set.register(&w.ours, Interest::READABLE, ()).unwrap();
    set.select(end).map(drop)
}

const WAITS: [(&str, Wait); 5] = [
    ("ready", |w, end| {
        until(&w.ours, end).ready(Interest::READABLE).map(drop)
    }),
    ("recv", |w, end| {
        until(&w.ours, end).recv(&mut [0], IN).map(drop)
    }),
    ("accept", |w, end| {
        until(&w.unix_listener, end).accept().map(drop)
    }),
    ("select", selects),
    ("select of nothing", |_, end| {
        let mut set: PollSet<OwnedFd, (), Inline<0>> = PollSet::new();
        set.select(end).map(drop)
    }),
];

/// However the kernel ends the polls: at once, interrupted, without memory.
#[test]
fn waits_whose_polls_end_at_once_end_on_their_deadline_and_do_not_spin() {
    if !is_available() {
        return;
    }
    let time = Duration::from_millis(300);
    for (name, wait) in WAITS {
        for errno in [0, libc::EINTR, libc::ENOMEM, libc::EAGAIN] {
            let world = World::new();
            let body = || {
                let (start, cpu) = (Instant::now(), cpu_time());
                let answer = wait(&world, Deadline::after(time));
                (answer, start.elapsed(), cpu_time() - cpu)
            };
            let (answer, took, cpu) = always(&[libc::SYS_ppoll], errno, body);
            assert!(
                took >= time,
                "{name}, {errno}: {answer:?} early, after {took:?}"
            );
            assert!(
                cpu < time / 30,
                "{name}, {errno}: {cpu:?} of processor time"
            );
            // No call was made that could have said something else.
            let alone = !matches!(name, "recv" | "accept");
            let expected = match errno {
                libc::ENOMEM | libc::EAGAIN if alone => Io::Err(Errno::from_raw_os_error(errno)),
                _ => Io::WouldBlock,
            };
            assert_eq!(answer, expected, "{name}, {errno}");
        }
    }
}

/// poll never tells, and yet what comes is found within a rest.
#[test]
fn until_recv_whose_polls_end_at_once_finds_what_comes() {
    if !is_available() {
        return;
    }
    for fault in [
        Answer::Value(0),
        Answer::Errno(libc::ENOMEM),
        Answer::Errno(libc::EINTR),
    ] {
        // On a busy machine what comes may be signals for a while.
        let soon = (0..10).any(|_| {
            let world = World::new();
            let mut polls = 0;
            let kernel = |_: &_| {
                polls += 1;
                if polls == 40 {
                    assert_eq!(send(&world.theirs, b"!", OUT), Io::Ready(1));
                }
                fault
            };
            let body = || until(&world.ours, Duration::from_secs(2)).recv(&mut [0], IN);
            let (answer, polls) = answered(&[libc::SYS_ppoll], kernel, body);
            assert_eq!(answer, Io::Ready(1));
            polls < 40 + 40
        });
        assert!(soon, "{fault:?}");
    }
}

/// Not the call that was interrupted ends, nor does it spin.
#[test]
fn waits_for_a_call_that_is_interrupted_for_ever_end_on_their_deadline() {
    if !is_available() {
        return;
    }
    let time = Duration::from_millis(200);
    for ready in &READY {
        let (world, _client) = world();
        let start = Instant::now();
        let body = || (ready.call)(&world, Deadline::after(time));
        let (answer, calls) = answered(&[ready.number], |_| Answer::Errno(libc::EINTR), body);
        assert_eq!(answer, Io::Err(Errno::INTR), "{:?}", ready.op);
        assert!(start.elapsed() >= time, "{:?} ended early", ready.op);
        // Sixteen tries each: two at once, four while the rests grow, one each.
        assert!(
            calls <= 16 * (2 + 4 + 200 / 16 + 2),
            "{:?}: {calls}",
            ready.op
        );
    }
}

/// std's loops call again for ever on an interruption, so they are not told of one.
#[cfg(feature = "std")]
#[test]
fn until_std_io_whose_calls_are_interrupted_for_ever_times_out() {
    use std::error::Error;
    use std::io::{ErrorKind, Read, Write};
    if !is_available() {
        return;
    }
    let time = Duration::from_millis(100);
    let errno = |error: &std::io::Error| error.source().unwrap().downcast_ref().copied();
    let (world, _client) = world();
    let body = || {
        until(&world.reader, time)
            .std_io()
            .read_exact(&mut [0; 2])
            .unwrap_err()
    };
    let (error, _) = answered(&[libc::SYS_read], |_| Answer::Errno(libc::EINTR), body);
    assert_eq!(
        (error.kind(), errno(&error)),
        (ErrorKind::TimedOut, Some(Errno::INTR))
    );
    assert!(error.to_string().starts_with("timed out: "), "{error}");
    let body = || {
        until(&world.ours, time)
            .std_io()
            .write_all(b"!")
            .unwrap_err()
    };
    let (error, _) = answered(&[libc::SYS_sendto], |_| Answer::Errno(libc::ENOBUFS), body);
    assert_eq!(
        (error.kind(), errno(&error)),
        (ErrorKind::TimedOut, Some(Errno::NOBUFS))
    );
    // Without a wait, and so without a deadline.
    let ours = wouldblock::NonBlocking::new(&world.reader).unwrap();
    let body = || ours.std_io().read_exact(&mut [0; 2]).unwrap_err();
    let (error, calls) = answered(&[libc::SYS_read], |_| Answer::Errno(libc::EINTR), body);
    assert_eq!((error.kind(), calls), (ErrorKind::ResourceBusy, 16));
}

/// A set's entries under each answer that a kernel could give for ever.
#[test]
fn entries_whose_calls_come_to_nothing_for_ever_do_not_spin() {
    if !is_available() {
        return;
    }
    let time = Duration::from_millis(200);
    for errno in [libc::EAGAIN, libc::EINTR, libc::ENOBUFS] {
        let world = World::new();
        let mut hand_outs = 0;
        let body = || {
            let mut set: PollSet<_, (), Inline<2>> = PollSet::new();
            set.register(&world.ours, Interest::WRITABLE, ()).unwrap();
            let end = Deadline::after(time);
            while set.select(end).is_ready() {
                while let Some((key, _)) = set.next_ready() {
                    hand_outs += 1;
                    let (mut at, ()) = set.get_mut(key).unwrap();
                    assert_eq!(at.send(b"!", OUT), Io::WouldBlock);
                }
            }
            assert!(end.has_passed());
        };
        let ((), calls) = answered(&[libc::SYS_sendto], |_| Answer::Errno(errno), body);
        assert!((5..=20).contains(&hand_outs), "{errno}: {hand_outs}");
        assert!(calls <= 16 * hand_outs);
    }
}

/// What it is, the first write tells; no socket pays for the question.
#[test]
#[cfg(feature = "std")]
fn std_io_of_a_socket_sends_and_asks_nothing_and_of_a_pipe_sends_once() {
    use std::os::fd::{AsFd, BorrowedFd};

    if !is_available() {
        return;
    }
    let world = World::new();
    let calls = |fd: BorrowedFd<'_>| {
        let body = || {
            let mut io = until(fd, LONG).std_io();
            for _ in 0..3 {
                assert_eq!(std::io::Write::write(&mut io, b"!").unwrap(), 1);
            }
        };
        let asked = [libc::SYS_sendto, libc::SYS_getsockopt];
        answered(&asked, |_| Answer::Real, body).1
    };
    assert_eq!(calls(world.ours.as_fd()), 3);
    assert_eq!(calls(world.writer.as_fd()), 1);
}
