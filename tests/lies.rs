//! What spun in the field, through `until` and through a set's entries: kernels whose
//! readiness lies, descriptors of which nothing comes, things that are short. Fewer than
//! a hundred turns and one percent of a processor in a second. `tests/entries.rs`
//! has the cases of a set that need no more than a socket, `tests/live_terminal.rs` a
//! process in the background, `tests/faults` the answers that a kernel could give.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "namespaces and users have no safe interface")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "fields of C structures"
)]

mod common;

use std::fmt::Debug;
use std::fs::File;
use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use common::{alone, set_option, tcp_pair, thread_cpu_time, wait_to_read};
use rustix::process::{Resource, Rlimit, setrlimit};
use wouldblock::{
    At, Deadline, Errno, Inline, Interest, Io, Op, PollSet, Readiness, RecvFlags, Retry, SendFlags,
    SocketAddrUnix, recv, send, send_to, set_nonblocking, until, write,
};

const IN: RecvFlags = RecvFlags::empty();
const OUT: SendFlags = SendFlags::empty();
/// How long each case lasts.
const TIME: Duration = Duration::from_millis(500);

/// Where each call takes its time.
const SLOW: Duration = Duration::from_millis(100);

/// Goes round a set of one, and calls for each hand-out; returns how many there were.
#[track_caller]
fn set_does_not_spin<F: AsFd>(
    what: &str,
    fd: F,
    interest: Interest,
    call: impl FnMut(&mut At<'_, F>, Readiness),
) -> usize {
    set_turns_slowly(what, TIME / 100, fd, interest, call)
}

#[track_caller]
fn set_turns_slowly<F: AsFd>(
    what: &str,
    limit: Duration,
    fd: F,
    interest: Interest,
    mut call: impl FnMut(&mut At<'_, F>, Readiness),
) -> usize {
    let mut set: PollSet<F, (), Inline<1>> = PollSet::new();
    set.register(fd, interest, ()).unwrap();
    uses_at_most(what, limit, |end| {
        let (mut waits, mut hand_outs) = (0, 0);
        while !end.has_passed() {
            waits += 1;
            assert!(!set.select(end).is_err());
            while let Some((key, readiness)) = set.next_ready() {
                hand_outs += 1;
                call(&mut set.get_mut(key).unwrap().0, readiness);
            }
        }
        assert!(
            waits <= 50 && hand_outs <= 50,
            "{what}: {hand_outs}, {waits} waits"
        );
        hand_outs
    })
}

/// Waits, and says how often the call was made.
#[track_caller]
fn retry_does_not_spin<T: Debug + PartialEq>(
    what: &str,
    fd: impl AsFd,
    op: Retry,
    answer: Io<T>,
    mut call: impl FnMut(BorrowedFd<'_>) -> Io<T>,
) {
    uses_at_most(what, SLOW, |end| {
        let mut calls = 0;
        let got = until(&fd, end).retry(op, |fd| {
            calls += 1;
            call(fd)
        });
        assert!(end.has_passed(), "{what}: {got:?} before the end");
        assert_eq!(got, answer, "{what}");
        assert!(calls <= 50, "{what}: {calls} calls");
    });
}

/// One percent of a processor.
#[track_caller]
fn uses_little<T>(what: &str, turns: impl FnMut(Deadline) -> T) -> T {
    uses_at_most(what, TIME / 100, turns)
}

/// The least of ten, on a machine that is busy.
#[track_caller]
fn uses_at_most<T>(what: &str, limit: Duration, mut turns: impl FnMut(Deadline) -> T) -> T {
    let mut least = Duration::MAX;
    for _ in 0..10 {
        let begun = thread_cpu_time();
        let result = turns(Deadline::after(TIME));
        least = least.min(thread_cpu_time() - begun);
        if least < limit {
            eprintln!("{what}: {least:?} of processor time in {TIME:?}");
            return result;
        }
    }
    panic!("{what}: {least:?} of processor time in {TIME:?}");
}

// ---- hang-ups and errors beside a direction that rests ----

/// A datagram socket with an error that nobody drains: `recv` would block, and poll
/// tells of the error whatever it is asked.
fn error_queue() -> UdpSocket {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_option(&ours, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    ours.connect(nobody.local_addr().unwrap()).unwrap();
    let _none_starts = common::STARTS.read();
    drop(nobody);
    send(&ours, b"?", OUT).ready().unwrap();
    wait_to_read(&ours);
    assert_eq!(recv(&ours, &mut [0; 8], IN), Io::Err(Errno::CONNREFUSED));
    ours
}

#[test]
fn set_told_of_hang_ups_beside_a_liar_does_not_spin() {
    for interest in [
        Interest::READABLE | Interest::HANG_UP,
        Interest::READABLE | Interest::PRIORITY,
    ] {
        set_does_not_spin("error queue", error_queue(), interest, |at, readiness| {
            while readiness.is_readable() && at.recv(&mut [0; 8], IN).is_ready() {}
        });
    }
    for interest in [
        Interest::READABLE | Interest::HANG_UP,
        Interest::WRITABLE | Interest::HANG_UP,
        Interest::all(),
    ] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        common::close(theirs);
        set_does_not_spin("hang-up", ours, interest, |at, _| {
            for op in [Op::Recv, Op::Send] {
                if at.interest().intersects(op.interest()) {
                    let _ = at.attempt(op, |_| Io::<()>::WouldBlock);
                }
            }
        });
    }
}

// ---- readiness that lies ----

#[test]
fn waits_on_a_peek_offset_past_the_data_do_not_spin() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_option(&ours, libc::SOL_SOCKET, libc::SO_PEEK_OFF, 0);
    theirs.write_all(b"all").unwrap();
    let mut buf = [0; 8];
    assert_eq!(
        until(&ours, TIME).recv(&mut buf, RecvFlags::PEEK),
        Io::Ready(3)
    );
    uses_little("until, peek offset", |end| {
        let answer = until(&ours, end).recv(&mut [0; 8], RecvFlags::PEEK);
        assert_eq!(answer, Io::WouldBlock);
    });
    set_does_not_spin("peek offset", ours, Interest::READABLE, |at, _| {
        assert_eq!(at.recv(&mut [0; 8], RecvFlags::PEEK), Io::WouldBlock);
    });
}

#[test]
fn retry_on_a_datagram_socket_shut_down_for_reading_does_not_spin() {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&ours, true).unwrap();
    ours.connect(ours.local_addr().unwrap()).unwrap();
    rustix::net::shutdown(&ours, rustix::net::Shutdown::Read).unwrap();
    retry_does_not_spin("shut down", &ours, Retry::Recv, Io::WouldBlock, |fd| {
        recv(fd, &mut [0; 8], IN)
    });
}

/// It polls as not writable although there is room, and the call is made first.
#[test]
fn retry_on_a_one_page_pipe_takes_the_room_and_does_not_spin() {
    let (_reader, writer) = common::pipe();
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    set_nonblocking(&writer, true).unwrap();
    assert_eq!(write(&writer, &[0; 100]), Io::Ready(100));
    let some = |fd: BorrowedFd<'_>| write(fd, &[0; 100]);
    let answer = until(&writer, common::DEADLINE).retry(Retry::Write, some);
    assert_eq!(answer, Io::Ready(100));
    retry_does_not_spin("pipe", &writer, Retry::Write, Io::WouldBlock, |fd| {
        write(fd, &[0; 4096])
    });
}

#[test]
fn waits_on_an_undrained_error_queue_do_not_spin() {
    let ours = error_queue();
    uses_little("until, error queue", |end| {
        assert_eq!(until(&ours, end).recv(&mut [0; 8], IN), Io::WouldBlock);
    });
    uses_little("turns, error queue", |end| {
        let answer = until(&ours, end).turns(Op::Recv, |fd, _| {
            while recv(fd, &mut [0; 8], IN).is_ready() {}
            Io::<()>::WouldBlock
        });
        assert_eq!(answer, Io::WouldBlock);
    });
}

#[test]
fn set_that_sends_to_a_full_named_queue_does_not_spin() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("socket");
    let theirs = UnixDatagram::bind(&name).unwrap();
    let ours = UnixDatagram::unbound().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let name = SocketAddrUnix::new(name).unwrap();
    while send_to(&ours, b"one", OUT, &name).is_ready() {}
    uses_little("until, a full named queue", |end| {
        let answer = until(&ours, end).send_to(b"one", OUT, &name);
        assert_eq!(answer, Io::Err(Errno::AGAIN));
    });
    set_does_not_spin("a full named queue", &ours, Interest::WRITABLE, |at, _| {
        assert_eq!(at.send_to(b"one", OUT, &name), Io::WouldBlock);
        assert_eq!(at.resting_for(), Some(Errno::AGAIN));
    });
    drop(theirs);
}

/// A counter with room for less than what is written.
#[test]
fn waits_on_an_eventfd_that_is_nearly_full_do_not_spin() {
    // SAFETY: the descriptor is new, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_NONBLOCK)) };
    assert_eq!(write(&fd, &(u64::MAX - 3).to_ne_bytes()), Io::Ready(8));
    let five = 5_u64.to_ne_bytes();
    retry_does_not_spin("eventfd", &fd, Retry::Write, Io::WouldBlock, |fd| {
        write(fd, &five)
    });
    uses_little("until, eventfd", |end| {
        assert_eq!(until(&fd, end).write(&five), Io::WouldBlock);
    });
    set_does_not_spin("eventfd", fd, Interest::WRITABLE, |at, _| {
        assert_eq!(at.write(&five), Io::WouldBlock);
    });
}

/// An urgent byte that nobody takes.
#[test]
fn set_told_of_an_urgent_byte_again_and_again_does_not_spin() {
    for interest in [Interest::PRIORITY, Interest::READABLE | Interest::PRIORITY] {
        let (ours, theirs) = tcp_pair();
        let urgent = rustix::net::send(&theirs, b"!", rustix::net::SendFlags::OOB);
        assert_eq!(urgent, Ok(1));
        let hand_outs = set_does_not_spin("urgent", &ours, interest, |at, readiness| {
            assert!(readiness.is_priority());
            if readiness.contains(Readiness::READABLE) {
                let _ = at.recv(&mut [0; 8], IN);
            }
        });
        assert!(hand_outs > 3, "{interest:?}: {hand_outs}");
    }
}

// ---- ends that are none ----

/// A regular file is ready all the time, and at its end there is nothing more yet.
#[test]
fn set_on_a_file_at_its_end_does_not_spin() {
    let file = tempfile::tempfile().unwrap();
    set_does_not_spin("file", file, Interest::READABLE, |at, _| {
        assert_eq!(at.read(&mut [0; 8]), Io::Ready(0));
    });
}

#[test]
fn set_on_a_fifo_whose_writer_left_does_not_spin_and_serves_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &name, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let open = |write: bool| {
        let mut options = File::options();
        let flags = options
            .read(!write)
            .write(write)
            .custom_flags(libc::O_NONBLOCK);
        flags.open(&name).unwrap()
    };
    let reader = open(false);
    // Nobody has come yet, and poll says nothing.
    assert_eq!(
        until(&reader, Duration::from_millis(5)).ready(Interest::READABLE),
        Io::WouldBlock
    );
    drop(open(true));
    assert_eq!(until(&reader, TIME).read(&mut [0; 8]), Io::Ready(0));
    set_does_not_spin("FIFO", &reader, Interest::READABLE, |at, _| {
        assert_eq!(at.read(&mut [0; 8]), Io::Ready(0));
    });
    let mut set: PollSet<_, (), Inline<1>> = PollSet::new();
    let key = set.register(&reader, Interest::READABLE, ()).unwrap();
    let mut reads = 0;
    let mut writer = None;
    loop {
        assert!(set.select(common::DEADLINE).is_ready());
        let (mut at, ()) = set
            .next_ready()
            .and_then(|(key, _)| set.get_mut(key))
            .unwrap();
        reads += 1;
        match at.read(&mut [0; 8]) {
            // Its rests are long by now.
            Io::Ready(0) if reads < 10 => {}
            Io::Ready(0) => {
                writer = writer.or_else(|| {
                    let mut writer = open(true);
                    writer.write_all(b"next").unwrap();
                    Some((writer, Instant::now()))
                })
            }
            answer => break assert_eq!(answer, Io::Ready(4)),
        }
        assert!(reads < 15, "what came is not read");
    }
    let (_writer, came) = writer.unwrap();
    assert!(
        came.elapsed() < Duration::from_secs(2),
        "{:?}",
        came.elapsed()
    );
    // An interest in nothing is not woken by the hang-up.
    set.modify(key, Interest::empty()).unwrap();
    assert_eq!(set.select(Duration::from_millis(20)), Io::WouldBlock);
}

/// With VMIN = 0 nothing is 0 bytes, which `until` hands on; poll is honest.
#[test]
fn waits_on_a_terminal_that_reads_nothing_as_0_do_not_spin() {
    let (ours, theirs) = common::terminal(Some(0));
    assert_eq!(until(&theirs, TIME).read(&mut [0; 8]), Io::Ready(0));
    uses_little("until, VMIN = 0", |end| {
        // The loop for it: not `read`, which does not wait, but the wait first.
        let readiness = until(&theirs, end).ready(Interest::READABLE);
        assert_eq!(readiness, Io::WouldBlock);
    });
    set_does_not_spin("VMIN = 0", &theirs, Interest::READABLE, |at, _| {
        assert_eq!(at.read(&mut [0; 8]), Io::Ready(0));
    });
    assert_eq!(write(&ours, b"x"), Io::Ready(1));
    assert!(until(&theirs, TIME).ready(Interest::READABLE).is_ready());
    assert_eq!(until(&theirs, TIME).read(&mut [0; 8]), Io::Ready(1));
}

// ---- readiness that does not come ----

/// Of less than SO_RCVLOWAT poll tells nothing, and one last call gets it.
#[test]
fn until_recv_of_less_than_the_low_water_mark_gets_it_at_the_deadline() {
    let (ours, theirs) = tcp_pair();
    set_option(&ours, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 10);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let theirs = &theirs;
        scope.spawn(move || {
            told.recv().unwrap();
            assert_eq!(send(theirs, b"five!", OUT), Io::Ready(5));
        });
        let (begun, mut calls) = (Instant::now(), 0);
        let answer = until(&ours, TIME).retry(Retry::Recv, |fd| {
            calls += 1;
            let answer = recv(fd, &mut [0; 64], IN);
            let _ = tell.send(());
            answer
        });
        assert_eq!((answer, calls), (Io::Ready(5), 2));
        assert!(begun.elapsed() >= TIME);
    });
}

// ---- shortages ----

/// Turns the first network interface of a new namespace on, for this thread.
fn private_loopback() -> std::io::Result<()> {
    // SAFETY: takes no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: zero is a valid value of every field.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the call reads the structure that it is given.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// EAGAIN for want of a port, which no event brings; and poll says that there is room.
#[test]
fn waits_without_a_local_port_do_not_spin() {
    let body = || {
        let range = "/proc/sys/net/ipv4/ip_local_port_range";
        let ready = private_loopback().and_then(|()| std::fs::write(range, "40000 40009"));
        if let Err(error) = ready {
            return eprintln!("not checked: no network of its own: {error}");
        }
        let server = UdpSocket::bind("127.0.0.1:5000").unwrap();
        let to = server.local_addr().unwrap();
        let mut hoard: Vec<_> = (40000..40010)
            .map(|port| UdpSocket::bind(("0.0.0.0", port)).unwrap())
            .collect();
        let family = wouldblock::AddressFamily::INET;
        let fd = wouldblock::socket(family, wouldblock::SocketType::DGRAM, None).unwrap();
        retry_does_not_spin("no port", &fd, Retry::Send, Io::WouldBlock, |fd| {
            send_to(fd, b"!", OUT, &to)
        });
        set_turns_slowly("no port", SLOW, &fd, Interest::WRITABLE, |at, _| {
            assert_eq!(at.send_to(b"!", OUT, &to), Io::WouldBlock);
        });
        hoard.pop();
        assert_eq!(until(&fd, TIME).send_to(b"!", OUT, &to), Io::Ready(1));
    };
    alone("waits_without_a_local_port_do_not_spin", body);
}

/// Descriptors in flight beyond what a user may have: no event tells of their end.
#[test]
#[cfg(wouldblock_has = "in_flight_errors")]
fn waits_with_too_many_descriptors_in_flight_do_not_spin() {
    let body = || {
        let few = Rlimit {
            current: Some(64),
            maximum: Some(64),
        };
        setrlimit(Resource::Nofile, few).unwrap();
        if !common::become_a_user_of_its_own() {
            return eprintln!("not checked: cannot be another user");
        }
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        let fds = [ours.as_fd(); 16];
        let bufs = [wouldblock::IoSlice::new(b"!")];
        let one = |fd: BorrowedFd<'_>| wouldblock::send_fds(fd, &bufs, fds, OUT);
        while one(ours.as_fd()).is_ready() {}
        let last = Io::Err(Errno::TOOMANYREFS);
        retry_does_not_spin("in flight", &ours, Retry::Send, last, one);
        set_does_not_spin("in flight", &ours, Interest::WRITABLE, |at, _| {
            assert_eq!(at.attempt(Op::Send, |fd| one(fd.as_fd())), Io::WouldBlock);
            assert_eq!(at.resting_for(), Some(Errno::TOOMANYREFS));
        });
        drop(theirs);
    };
    alone(
        "waits_with_too_many_descriptors_in_flight_do_not_spin",
        body,
    );
}
