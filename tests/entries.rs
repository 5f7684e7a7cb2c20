//! A set's entries that call and remember: what they answer, and that a loop round a
//! set neither spins nor stalls, whatever the kernel says.

mod common;

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use common::habits::habits;
use common::{DEADLINE, alone, dead_descriptor, fill, pipe, tcp_pair, thread_cpu_time};
use wouldblock::{
    AddressFamily, At, Deadline, Errno, Inline, Interest, Io, IoSlice, IoSliceMut, Op, PollSet,
    Readiness, RecvFlags, SendFlags, SocketType, UnknownKey, accept, recv, send, send_fds,
    set_nonblocking, socket, socketpair, until,
};

const NONE: RecvFlags = RecvFlags::empty();
const SEND: SendFlags = SendFlags::empty();

type Set<F> = PollSet<F, (), Inline<4>>;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn soon() -> Deadline {
    Deadline::after(DEADLINE)
}

fn unix_pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    (ours, theirs)
}

/// A set of one, and its key.
fn set_of<F: AsFd>(fd: F, interest: Interest) -> (Set<F>, wouldblock::Key) {
    let mut set = Set::new();
    let key = set.register(fd, interest, ()).unwrap();
    (set, key)
}

/// What a loop round a set costs: hand-outs and waits, in this time.
struct Turns {
    hand_outs: usize,
    waits: usize,
}

/// Goes round a set of one for `time`, and calls for each hand-out.
fn turns<F: AsFd>(
    fd: F,
    interest: Interest,
    time: Duration,
    mut call: impl FnMut(&mut At<'_, F>, Readiness),
) -> Turns {
    let (mut set, _) = set_of(fd, interest);
    let (begun, cpu) = (Instant::now(), thread_cpu_time());
    let end = Deadline::after(time);
    let mut turns = Turns {
        hand_outs: 0,
        waits: 0,
    };
    while !end.has_passed() {
        turns.waits += 1;
        let answer = set.select(end);
        assert!(
            answer.is_ready() || end.has_passed(),
            "{answer:?} before the end"
        );
        while let Some((key, readiness)) = set.next_ready() {
            turns.hand_outs += 1;
            call(&mut set.get_mut(key).unwrap().0, readiness);
        }
    }
    assert!(begun.elapsed() >= time);
    eprintln!(
        "{} hand-outs, {} waits, {:?} of processor time in {time:?}",
        turns.hand_outs,
        turns.waits,
        thread_cpu_time() - cpu
    );
    turns
}

/// Fewer than a hundred turns a second, of a loop that lasts for half of one.
#[track_caller]
fn does_not_spin<F: AsFd>(
    fd: F,
    interest: Interest,
    call: impl FnMut(&mut At<'_, F>, Readiness),
) -> Turns {
    let turns = turns(fd, interest, millis(500), call);
    assert!(turns.hand_outs <= 50, "{} hand-outs", turns.hand_outs);
    assert!(turns.waits <= 50, "{} waits", turns.waits);
    turns
}

// ---- what the operations answer ----

#[test]
fn at_makes_every_call_under_its_own_name() {
    let (ours, theirs) = unix_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    let (mut at, ()) = set.get_mut(key).unwrap();
    let mut buf = [0; 8];
    assert_eq!(at.recv(&mut buf, NONE), Io::WouldBlock);
    assert_eq!(at.read(&mut buf), Io::WouldBlock);
    assert_eq!(send(&theirs, b"1234567890", SEND), Io::Ready(10));
    assert_eq!(at.recv(&mut buf[..2], NONE), Io::Ready(2));
    assert_eq!(at.read(&mut buf[..2]), Io::Ready(2));
    let mut raw = [std::mem::MaybeUninit::uninit(); 1];
    assert_eq!(
        at.recv_with(&mut raw, NONE, |bytes| bytes[0]),
        Io::Ready(b'5')
    );
    assert_eq!(at.recv_from(&mut buf[..1], NONE).ready().unwrap().0, 1);
    let into = &mut [IoSliceMut::new(&mut buf[..1])];
    assert_eq!(at.recv_msg(into, NONE).ready().unwrap().bytes, 1);
    assert_eq!(at.recv_fds(into, &mut [], NONE).ready().unwrap().bytes, 1);
    let message = at.recv_fds_with(into, NONE, drop).ready().unwrap();
    assert_eq!((message.bytes, buf[0]), (1, b'9'));
    assert_eq!(
        at.recv_from_with(&mut raw, NONE, |bytes, _| bytes[0]),
        Io::Ready(b'0')
    );
    assert_eq!(at.send(b"a", SEND), Io::Ready(1));
    assert_eq!(at.write(b"b"), Io::Ready(1));
    assert_eq!(at.send_all(&mut &b"cd"[..], SEND), Io::Ready(()));
    assert_eq!(at.write_all(&mut &b"ef"[..]), Io::Ready(()));
    assert_eq!(
        at.attempt(Op::Send, |fd| send(fd, b"i", SEND)),
        Io::Ready(1)
    );
    let mut all = [0; 16];
    assert_eq!(recv(&theirs, &mut all, NONE), Io::Ready(7));
    assert_eq!(&all[..7], b"abcdefi");
    assert_eq!(at.interest(), Interest::READABLE);
    at.set_interest(Interest::WRITABLE);
    assert_eq!(set.get(key).unwrap().interest, Interest::WRITABLE);
}

#[test]
fn at_accepts_and_connects() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&listener, true).unwrap();
    let address = listener.local_addr().unwrap();
    let mut set: PollSet<OwnedFd, &str, Inline<2>> = PollSet::new();
    let listening = set
        .register(listener.into(), Interest::READABLE, "listener")
        .unwrap();
    let client = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let client = set.register(client, Interest::WRITABLE, "client").unwrap();
    let (mut at, _) = set.get_mut(client).unwrap();
    let mut connected = at.connect(&address).is_ready();
    let mut accepted = None;
    while !connected || accepted.is_none() {
        assert!(set.select(soon()).is_ready(), "{connected}");
        while let Some((key, _)) = set.next_ready() {
            let (mut at, _) = set.get_mut(key).unwrap();
            if key == listening {
                accepted = at.accept().ready();
            } else {
                connected = at.finish_connect().is_ready();
                at.set_interest(Interest::empty());
            }
        }
    }
    let (mut at, _) = set.get_mut(listening).unwrap();
    assert!(at.accept().is_would_block() && at.accept_from().is_would_block());
}

/// Nothing is under way that the set could go on with.
#[cfg(target_os = "linux")]
#[test]
fn at_whose_connect_finds_the_backlog_full_fails() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("socket");
    let address = wouldblock::SocketAddrUnix::new(&name).unwrap();
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let mut queued = Vec::new();
    loop {
        let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let (mut set, key) = set_of(fd, Interest::WRITABLE);
        match set.get_mut(key).unwrap().0.connect(&address) {
            Io::Ready(()) => queued.push(set),
            answer => break assert_eq!(answer, Io::Err(Errno::AGAIN)),
        }
        assert!(queued.len() < 64);
    }
}

#[test]
fn attempt_remembers_for_its_operation_and_of_poll_nothing() {
    let (ours, _theirs) = unix_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    let answer = |set: &mut Set<_>, op, errno| {
        let answer = set.attempt(key, op, |_, ()| Io::<()>::Err(errno));
        (answer.unwrap(), set.get_mut(key).unwrap().0.resting_for())
    };
    // What the set tries again by itself, it hides; and says what it rests for.
    let waits = |errno| (Io::WouldBlock, Some(errno));
    assert_eq!(
        answer(&mut set, Op::Accept, Errno::MFILE),
        waits(Errno::MFILE)
    );
    assert_eq!(answer(&mut set, Op::Recv, Errno::INTR), waits(Errno::INTR));
    // What is final, it does not; and rests no longer.
    let fails = |errno| (Io::Err(errno), None);
    assert_eq!(
        answer(&mut set, Op::Recv, Errno::CONNRESET),
        fails(Errno::CONNRESET)
    );
    assert_eq!(
        answer(&mut set, Op::Connect, Errno::NOBUFS),
        fails(Errno::NOBUFS)
    );
    assert_eq!(answer(&mut set, Op::Poll, Errno::INTR), fails(Errno::INTR));
    assert_eq!(
        answer(&mut set, Op::Send, Errno::NOBUFS),
        waits(Errno::NOBUFS)
    );
    set.unregister(key).unwrap();
    assert_eq!(
        set.attempt(key, Op::Recv, |_, ()| Io::Ready(())),
        Err(UnknownKey)
    );
}

#[test]
fn attempt_lends_the_data() {
    let (ours, theirs) = unix_pair();
    let mut set: PollSet<_, Vec<u8>, Inline<1>> = PollSet::new();
    let key = set.register(&ours, Interest::READABLE, vec![0; 4]).unwrap();
    assert_eq!(send(&theirs, b"data", SEND), Io::Ready(4));
    let answer = set.attempt(key, Op::Recv, |fd, data| recv(fd, data, NONE));
    assert_eq!(answer, Ok(Io::Ready(4)));
    assert_eq!(set.get(key).unwrap().data, b"data");
}

#[test]
fn get_disjoint_mut_lends_two_and_never_one_twice() {
    let (one, other) = unix_pair();
    let mut set: PollSet<_, _, Inline<4>> = PollSet::new();
    let first = set.register(&one, Interest::READABLE, "one").unwrap();
    let second = set.register(&other, Interest::READABLE, "other").unwrap();
    for keys in [[first, second], [second, first]] {
        let [(mut from, name), (mut to, _)] = set.get_disjoint_mut(keys).unwrap();
        assert_eq!(*name, if keys[0] == first { "one" } else { "other" });
        assert_eq!(from.send(b"!", SEND), Io::Ready(1));
        assert_eq!(to.recv(&mut [0; 8], NONE), Io::Ready(1));
    }
    assert!(set.get_disjoint_mut([first, first]).is_none());
    set.unregister(first).unwrap();
    assert!(set.get_disjoint_mut([first, second]).is_none());
    assert!(set.get_disjoint_mut([second, first]).is_none());
}

#[cfg(feature = "std")]
#[test]
fn refusals_are_io_errors() {
    use std::io::ErrorKind;

    let (ours, theirs) = unix_pair();
    let mut set: PollSet<_, _, Inline<1>> = PollSet::new();
    let key = set
        .register(ours, Interest::READABLE, std::rc::Rc::new(()))
        .unwrap();
    let full = set
        .register(theirs, Interest::READABLE, std::rc::Rc::new(()))
        .unwrap_err();
    let full = std::io::Error::from(full);
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(full.to_string(), "the poll set is full");
    let (ours, _) = set.unregister(key).unwrap();
    let unknown = std::io::Error::from(set.modify(key, Interest::empty()).unwrap_err());
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let mut set: Set<_> = PollSet::new();
    set.register(&ours, Interest::READABLE, ()).unwrap();
    let twice = set.register(&ours, Interest::READABLE, ()).unwrap_err();
    assert_eq!(std::io::Error::from(twice).kind(), ErrorKind::AlreadyExists);
}

// ---- loops that would spin ----

#[test]
fn set_with_an_empty_interest_is_not_woken_by_a_hang_up() {
    let (ours, theirs) = unix_pair();
    common::close(theirs);
    let turns = turns(ours, Interest::empty(), millis(100), |_, _| {});
    assert_eq!((turns.hand_outs, turns.waits), (0, 1));
}

#[test]
fn set_told_of_a_hang_up_is_told_at_a_slowing_pace() {
    let (ours, theirs) = unix_pair();
    common::close(theirs);
    let turns = does_not_spin(ours, Interest::HANG_UP, |_, readiness| {
        assert!(readiness.is_hang_up());
    });
    if cfg!(target_os = "linux") {
        assert!(turns.hand_outs > 3);
    }
}

/// What a server does: it derives every interest in each turn, also of who has hung up.
#[test]
fn set_told_of_a_hang_up_and_of_its_interest_again_does_not_spin() {
    let (ours, theirs) = unix_pair();
    common::close(theirs);
    does_not_spin(ours, Interest::HANG_UP, |at, _| {
        at.set_interest(Interest::HANG_UP);
    });
}

/// Whoever derives the interests after the wait, and before what it found is handed out.
#[test]
fn set_whose_interest_is_set_before_the_hand_out_does_not_spin() {
    let both = Interest::READABLE | Interest::HANG_UP;
    for reads in [true, false] {
        let (ours, theirs) = unix_pair();
        common::close(theirs);
        let (mut set, key) = set_of(&ours, both);
        let end = Deadline::after(millis(500));
        let mut waits = 0;
        while !end.has_passed() {
            waits += 1;
            assert!(!set.select(end).is_err());
            set.modify(key, both).unwrap();
            while set.next_ready().is_some() {
                let (mut at, ()) = set.get_mut(key).unwrap();
                if reads {
                    assert_eq!(at.recv(&mut [0; 8], NONE), Io::Ready(0));
                } else {
                    let short = at.attempt(Op::Accept, |_| Io::<()>::Err(Errno::MFILE));
                    assert_eq!(short, Io::WouldBlock);
                }
            }
        }
        // Reading and being told rest apart.
        assert!(waits <= 100, "{reads}: {waits}");
    }
}

/// Its end is always ready, and never hung up.
#[test]
#[cfg(target_os = "linux")]
fn set_at_the_end_of_a_file_does_not_spin() {
    use rustix::fs::{Mode, OFlags, open};
    let directory = tempfile::tempdir().unwrap();
    for direct in [OFlags::empty(), OFlags::DIRECT] {
        let name = directory.path().join("file");
        let Ok(file) = open(&name, OFlags::CREATE | OFlags::RDWR | direct, Mode::RWXU) else {
            println!("skipped: this file system has no O_DIRECT");
            continue;
        };
        does_not_spin(file, Interest::READABLE, |at, _| {
            assert_eq!(at.read(&mut [0; 8]), Io::Ready(0));
        });
    }
}

#[test]
fn set_on_a_liar_does_not_spin() {
    // Writable, and yet it would block.
    let (ours, _theirs) = unix_pair();
    does_not_spin(&ours, Interest::WRITABLE, |at, _| {
        assert_eq!(
            at.attempt(Op::Send, |_| Io::<()>::WouldBlock),
            Io::WouldBlock
        );
    });
    // The same by a loop that drains.
    does_not_spin(&ours, Interest::WRITABLE, |at, _| {
        while at.attempt(Op::Send, |_| Io::<()>::WouldBlock).is_ready() {}
    });
    // Both directions, of which only one lies.
    let (ours, theirs) = unix_pair();
    assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
    let both = Interest::READABLE | Interest::WRITABLE;
    does_not_spin(&ours, both, |at, _| {
        let _ = at.attempt(Op::Recv, |_| Io::<()>::WouldBlock);
        let _ = at.attempt(Op::Send, |_| Io::<()>::WouldBlock);
    });
}

#[test]
fn set_on_what_no_call_can_be_made_for_does_not_spin() {
    does_not_spin(dead_descriptor(), Interest::READABLE, |_, readiness| {
        assert!(readiness.is_invalid());
    });
}

#[test]
fn set_in_a_shortage_or_interrupted_for_ever_does_not_spin() {
    let (ours, _theirs) = unix_pair();
    for errno in [Errno::NOBUFS, Errno::INTR] {
        let turns = does_not_spin(&ours, Interest::WRITABLE, |at, readiness| {
            assert!(readiness.is_writable());
            let answer = at.attempt(Op::Send, |_| Io::<()>::Err(errno));
            assert_eq!((answer, at.resting_for()), (Io::WouldBlock, Some(errno)));
        });
        assert!(turns.hand_outs > 10);
    }
}

#[test]
fn set_on_an_end_that_is_read_again_and_again_does_not_spin() {
    let (reader, writer) = pipe();
    drop(writer);
    let read = does_not_spin(reader, Interest::READABLE, |at, _| {
        assert_eq!(at.read(&mut [0; 8]), Io::Ready(0));
    });
    assert!(read.hand_outs > 10);
    // A message of no bytes, or the end: readiness tells, where the system can.
    if cfg!(target_os = "linux") {
        type Receive = fn(&mut At<'_, OwnedFd>) -> Io;
        let ways: [(&str, Receive); 10] = [
            ("recv", |at| at.recv(&mut [0; 8], NONE)),
            // As often as there is a budget for.
            ("recv, twice", |at| {
                let _ = at.recv(&mut [0; 8], NONE);
                at.recv(&mut [0; 8], NONE)
            }),
            ("read", |at| at.read(&mut [0; 8])),
            ("read, twice", |at| {
                let _ = at.read(&mut [0; 8]);
                at.read(&mut [0; 8])
            }),
            ("recv_with", |at| {
                at.recv_with(&mut [MaybeUninit::uninit(); 8], NONE, |bytes| bytes.len())
            }),
            ("recv_from", |at| {
                at.recv_from(&mut [0; 8], NONE).map(|(n, _)| n)
            }),
            ("recv_from_with", |at| {
                let buf = &mut [MaybeUninit::uninit(); 8];
                at.recv_from_with(buf, NONE, |bytes, _| bytes.len())
            }),
            ("recv_msg", |at| {
                let mut buf = [0; 8];
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                at.recv_msg(bufs, NONE).map(|message| message.bytes)
            }),
            ("recv_fds", |at| {
                let mut buf = [0; 8];
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                let answer = at.recv_fds(bufs, &mut [None], NONE);
                answer.map(|message| message.bytes)
            }),
            ("recv_fds_with", |at| {
                let mut buf = [0; 8];
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                at.recv_fds_with(bufs, NONE, drop)
                    .map(|message| message.bytes)
            }),
        ];
        for (way, receive) in ways {
            let (ours, theirs) =
                socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
            drop(theirs);
            let turns = turns(ours, Interest::READABLE, millis(200), |at, _| {
                assert_eq!(receive(at), Io::Ready(0), "{way}");
            });
            assert!(turns.hand_outs <= 30, "{way}: {}", turns.hand_outs);
        }
    }
}

/// Whoever takes them, by a receive or by a read: anybody can send them to a UDP socket.
#[test]
fn set_with_empty_messages_is_not_slowed_down() {
    empty_messages(|at| at.recv(&mut [0; 8], NONE));
    empty_messages(|at| at.read(&mut [0; 8]));
}

fn empty_messages(take: impl Fn(&mut At<'_, &UnixDatagram>) -> Io) {
    const MANY: usize = 100;
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    let (mut set, _) = set_of(&ours, Interest::READABLE);
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            // On some systems a full queue is a shortage, in blocking mode too.
            let sent = |_| assert_eq!(until(&theirs, soon()).send(b"", SEND), Io::Ready(0));
            (0..MANY).for_each(sent);
        });
        for _ in 0..MANY {
            assert_eq!(set.select(soon()), Io::Ready(1));
            let (key, _) = set.next_ready().unwrap();
            let (mut at, ()) = set.get_mut(key).unwrap();
            assert_eq!(take(&mut at), Io::Ready(0));
        }
    });
    // A rest of 16 ms each would be more.
    assert!(begun.elapsed() < millis(16) * 50, "{:?}", begun.elapsed());
}

/// The leaks of `tests/live_false_readiness.rs`.
#[cfg(target_os = "linux")]
mod leaks {
    use super::*;
    use common::{STARTS, set_option};
    use std::net::UdpSocket;

    fn receives(at: &mut At<'_, UdpSocket>, readiness: Readiness) {
        assert!(readiness.is_readable());
        while at.recv(&mut [0; 8], NONE).is_ready() {}
    }

    #[test]
    fn set_on_a_datagram_socket_shut_down_for_reading_does_not_spin() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&ours, true).unwrap();
        ours.connect(ours.local_addr().unwrap()).unwrap();
        rustix::net::shutdown(&ours, rustix::net::Shutdown::Read).unwrap();
        does_not_spin(ours, Interest::READABLE, receives);
    }

    #[test]
    fn set_on_an_undrained_error_queue_does_not_spin() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&ours, true).unwrap();
        set_option(&ours, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.connect(nobody.local_addr().unwrap()).unwrap();
        let _none_starts = STARTS.read();
        drop(nobody);
        send(&ours, b"?", SEND).ready().unwrap();
        common::wait_to_read(&ours);
        assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::Err(Errno::CONNREFUSED));
        does_not_spin(ours, Interest::READABLE, receives);
    }

    #[test]
    fn set_on_a_one_page_pipe_does_not_spin() {
        let (_reader, writer) = pipe();
        rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
        set_nonblocking(&writer, true).unwrap();
        assert_eq!(wouldblock::write(&writer, &[0; 100]), Io::Ready(100));
        does_not_spin(writer, Interest::WRITABLE, |at, _| {
            assert_eq!(at.write(&[0; 4096]), Io::WouldBlock);
        });
    }
}

#[test]
fn set_that_accepts_without_a_descriptor_left_waits_and_recovers() {
    let body = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&listener, true).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        common::wait_to_read(&listener);
        let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current = Some(64);
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        let mut hoard = Vec::new();
        while let Ok(fd) = rustix::io::fcntl_dupfd_cloexec(&listener, 0) {
            hoard.push(fd);
        }
        let keeps = habits().emfile_keeps_the_connection;
        let turns = does_not_spin(&listener, Interest::READABLE, |at, _| {
            // The loop of a server, for which an error would be the end.
            assert!(at.accept().is_would_block());
            assert!(!keeps || at.resting_for() == Some(Errno::MFILE));
        });
        if !keeps {
            return println!("skipped: the connection may be lost here");
        }
        assert!(turns.hand_outs > 10);
        let (mut set, key) = set_of(&listener, Interest::READABLE);
        assert!(set.get_mut(key).unwrap().0.accept().is_would_block());
        hoard.pop();
        // Nothing else wakes it.
        assert_eq!(set.select(Deadline::never()), Io::Ready(1));
        assert_eq!(set.next_ready(), Some((key, Readiness::READABLE)));
        let (mut at, ()) = set.get_mut(key).unwrap();
        assert!(at.accept().is_ready() && at.resting_for().is_none());
        drop(hoard.pop());
        assert!(accept(&listener).is_would_block());
    };
    alone(
        "set_that_accepts_without_a_descriptor_left_waits_and_recovers",
        body,
    );
}

// ---- loops that would stall ----

/// A liar that becomes honest is served one rest later at most.
#[test]
fn set_on_a_liar_serves_what_comes_within_a_rest() {
    let (ours, theirs) = unix_pair();
    assert_eq!(send(&theirs, b"first", SEND), Io::Ready(5));
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    let mut lies = 20;
    let mut told = None;
    loop {
        assert_eq!(set.select(soon()), Io::Ready(1));
        while set.next_ready().is_some() {
            if lies > 0 {
                lies -= 1;
                let lie = set.attempt(key, Op::Recv, |_, ()| Io::<usize>::WouldBlock);
                assert_eq!(lie, Ok(Io::WouldBlock));
                told = Some(Instant::now());
                continue;
            }
            let (mut at, ()) = set.get_mut(key).unwrap();
            assert_eq!(at.recv(&mut [0; 8], NONE), Io::Ready(5));
            let late = told.unwrap().elapsed();
            assert!(late < millis(16) + DEADLINE / 10, "{late:?}");
            assert_eq!(set.select(Deadline::after(millis(1))), Io::WouldBlock);
            // And is trusted again.
            assert_eq!(send(&theirs, b"more", SEND), Io::Ready(4));
            assert_eq!(set.select(soon()), Io::Ready(1));
            assert_eq!(set.next_ready(), Some((key, Readiness::READABLE)));
            return;
        }
    }
}

/// While one direction rests the other is served at once.
#[test]
fn set_whose_writing_rests_serves_its_reading() {
    let (ours, theirs) = unix_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE | Interest::WRITABLE);
    let short = |set: &mut Set<_>| {
        let answer = set.attempt(key, Op::Send, |_, ()| Io::<()>::Err(Errno::NOBUFS));
        assert_eq!(answer, Ok(Io::WouldBlock));
    };
    // Until the rests are long.
    for _ in 0..5 {
        short(&mut set);
        assert_eq!(set.select(soon()), Io::Ready(1));
        assert_eq!(set.next_ready(), Some((key, Readiness::WRITABLE)));
    }
    short(&mut set);
    assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
    let begun = Instant::now();
    assert_eq!(set.select(soon()), Io::Ready(1));
    assert!(begun.elapsed() < millis(12), "{:?}", begun.elapsed());
    assert_eq!(set.next_ready(), Some((key, Readiness::READABLE)));
}

/// An end of a drain, and a call on the off-chance, are no lies.
#[test]
fn set_that_drains_never_rests() {
    let (ours, theirs) = tcp_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut theirs = theirs;
            for _ in 0..2000 {
                theirs.write_all(&[7; 100]).unwrap();
            }
        });
        let (mut total, mut end) = (0, false);
        while !end {
            assert!(set.select(soon()).is_ready());
            while set.next_ready().is_some() {
                let (mut at, ()) = set.get_mut(key).unwrap();
                for _ in 0..3 {
                    loop {
                        match at.recv(&mut [0; 150], NONE) {
                            Io::Ready(0) => {
                                end = true;
                                break;
                            }
                            Io::Ready(n) => total += n,
                            Io::WouldBlock => break,
                            Io::Err(errno) => panic!("{errno}"),
                        }
                    }
                }
                assert_eq!(at.resting_for(), None);
            }
        }
        assert_eq!(total, 200_000);
    });
}

/// A server that echoes: what it sends nobody has promised room for.
#[test]
fn set_that_sends_on_the_off_chance_does_not_rest() {
    let (ours, theirs) = unix_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    let full = fill(|bytes| send(&ours, bytes, SEND));
    for _ in 0..100 {
        assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
        assert_eq!(set.select(soon()), Io::Ready(1));
        assert!(set.next_ready().is_some());
        let (mut at, ()) = set.get_mut(key).unwrap();
        assert_eq!(at.recv(&mut [0; 8], NONE), Io::Ready(1));
        assert_eq!(at.send(b"!", SEND), Io::WouldBlock);
    }
    set.modify(key, Interest::WRITABLE).unwrap();
    let mut left = full;
    while left > 0 {
        left -= recv(&theirs, &mut [0; 4096], NONE).ready().unwrap();
    }
    let at_once = Deadline::after(Duration::ZERO);
    assert_eq!(set.select(at_once), Io::Ready(1));
}

/// Another thread is faster, again and again: poll is asked, and it is honest.
#[test]
fn set_beside_a_thief_does_not_rest() {
    let (ours, theirs) = unix_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    for _ in 0..200 {
        assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
        assert_eq!(set.select(soon()), Io::Ready(1));
        assert!(set.next_ready().is_some());
        // The thief.
        assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::Ready(1));
        let (mut at, ()) = set.get_mut(key).unwrap();
        assert_eq!(at.recv(&mut [0; 8], NONE), Io::WouldBlock);
        let begun = Instant::now();
        assert_eq!(set.select(Deadline::after(Duration::ZERO)), Io::WouldBlock);
        assert!(begun.elapsed() < DEADLINE / 10);
    }
}

/// What is due is no longer wanted.
#[test]
fn set_whose_interest_changes_after_a_rest_forgets_what_was_due() {
    let (ours, _theirs) = unix_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    let short = set.attempt(key, Op::Accept, |_, ()| Io::<()>::Err(Errno::MFILE));
    assert_eq!(short, Ok(Io::WouldBlock));
    assert_eq!(set.select(soon()), Io::Ready(1));
    set.modify(key, Interest::HANG_UP).unwrap();
    assert_eq!(set.next_ready(), None);
    assert_eq!(set.select(Deadline::after(millis(20))), Io::WouldBlock);
    // Nobody has called, so it is due still.
    set.modify(key, Interest::READABLE).unwrap();
    assert_eq!(set.select(soon()), Io::Ready(1));
    assert_eq!(set.next_ready(), Some((key, Readiness::READABLE)));
    assert_eq!(set.select(Deadline::after(millis(20))), Io::WouldBlock);
}

/// A full socket of which nobody asks for room.
#[test]
fn set_told_of_hang_up_while_it_is_full_waits_for_that_alone() {
    let (ours, mut theirs) = unix_pair();
    fill(|buf| send(&ours, buf, SEND));
    let (mut set, key) = set_of(&ours, Interest::HANG_UP);
    assert_eq!(set.select(Deadline::after(millis(5))), Io::WouldBlock);
    set_nonblocking(&theirs, false).unwrap();
    theirs.read_exact(&mut [0; 4096]).unwrap();
    assert_eq!(set.select(Deadline::after(millis(5))), Io::WouldBlock);
    common::close(theirs);
    if cfg!(target_os = "linux") {
        assert_eq!(set.select(soon()), Io::Ready(1));
        let (told, readiness) = set.next_ready().unwrap();
        assert!(told == key && readiness.is_hang_up());
    }
}

#[test]
fn set_with_descriptors_in_a_message_receives_them() {
    let (ours, theirs) = unix_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [theirs.as_fd()], SEND);
    assert_eq!(sent, Io::Ready(1));
    assert_eq!(set.select(soon()), Io::Ready(1));
    let mut into = [const { None }; 1];
    let mut byte = [0];
    let (mut at, ()) = set.get_mut(key).unwrap();
    let message = at.recv_fds(&mut [IoSliceMut::new(&mut byte)], &mut into, NONE);
    assert_eq!(message.ready().unwrap().descriptors, 1);
}

/// A listener that was shut down is ready for ever, and this caller goes on after the error.
#[cfg(target_os = "linux")]
#[test]
fn set_on_an_error_that_stays_does_not_spin_and_hands_it_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&listener, true).unwrap();
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
    let turns = does_not_spin(&listener, Interest::READABLE, |at, _| {
        assert_eq!(at.accept().map(drop), Io::Err(Errno::INVAL));
        // Who drains meets it again.
        assert_eq!(at.accept().map(drop), Io::Err(Errno::INVAL));
        // It is not the set that calls again.
        assert_eq!(at.resting_for(), None);
    });
    assert!(turns.hand_outs > 5, "{}", turns.hand_outs);
}

/// Another reader is faster every other time, and that is no reason to make a message wait
/// of which nothing else knows.
#[test]
fn set_beside_a_thief_serves_what_comes_after_it() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let thief = ours.try_clone().unwrap();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    for _ in 0..100 {
        for is_stolen in [true, false] {
            assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
            assert_eq!(set.select(Duration::ZERO), Io::Ready(1));
            assert_eq!(set.next_ready().map(|(key, _)| key), Some(key));
            if is_stolen {
                assert_eq!(recv(&thief, &mut [0], NONE), Io::Ready(1));
            }
            let answer = set.get_mut(key).unwrap().0.recv(&mut [0], NONE);
            assert_eq!(answer.is_would_block(), is_stolen, "{answer:?}");
            // Asked, poll takes it back.
            assert!(set.select(Duration::ZERO).is_would_block());
        }
    }
}

/// The error is the address's.
#[test]
fn set_that_sends_to_addresses_that_fail_does_not_rest() {
    let ours = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&ours, true).unwrap();
    let (mut set, key) = set_of(&ours, Interest::WRITABLE);
    // Not without SO_BROADCAST.
    let everybody = std::net::SocketAddr::from(([255; 4], 9));
    for _ in 0..100 {
        assert_eq!(set.select(Duration::ZERO), Io::Ready(1));
        assert_eq!(set.next_ready().map(|(key, _)| key), Some(key));
        let answer = set.get_mut(key).unwrap().0.send_to(b"?", SEND, &everybody);
        assert!(answer.is_err(), "{answer:?}");
    }
}

/// What `select` has found is handed out, whoever asks for the same anew in between.
#[test]
fn set_whose_interests_are_derived_after_the_wait_makes_the_call_that_is_due() {
    let (ours, _theirs) = unix_pair();
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    let shortage = Io::<()>::Err(Errno::MFILE);
    let end = Deadline::after(millis(100));
    let mut turns = 0;
    while !end.has_passed() {
        let (mut at, ()) = set.get_mut(key).unwrap();
        assert_eq!(at.attempt(Op::Accept, |_| shortage), Io::WouldBlock);
        assert_eq!(set.select(soon()), Io::Ready(1));
        set.modify(key, Interest::READABLE).unwrap();
        assert_eq!(set.next_ready().map(|(key, _)| key), Some(key));
        turns += 1;
    }
    assert!(turns < 50, "{turns}");
}

/// An error that its call takes away is no lie.
#[cfg(target_os = "linux")]
#[test]
fn set_on_errors_that_pass_does_not_rest() {
    use common::STARTS;
    use std::net::UdpSocket;
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&ours, true).unwrap();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    ours.connect(nobody.local_addr().unwrap()).unwrap();
    let _none_starts = STARTS.read();
    drop(nobody);
    let (mut set, key) = set_of(&ours, Interest::READABLE);
    for _ in 0..20 {
        send(&ours, b"?", SEND).ready().unwrap();
        common::wait_to_read(&ours);
        // What rests would not be found at once.
        assert_eq!(set.select(Duration::ZERO), Io::Ready(1));
        assert_eq!(set.next_ready().map(|(key, _)| key), Some(key));
        let (mut at, ()) = set.get_mut(key).unwrap();
        assert_eq!(at.recv(&mut [0; 8], NONE), Io::Err(Errno::CONNREFUSED));
        assert_eq!(set.select(Duration::ZERO), Io::WouldBlock);
    }
}
