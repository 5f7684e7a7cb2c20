//! Every data call and every wait under a timer signal of 10 kHz without
//! `SA_RESTART`: EINTR comes out of `poll`, and out of a call that slept through sixteen
//! of them, and out of nothing else; no byte is lost or doubled,
//! and no wait is early. Each test goes on until the signals it has met are in the
//! thousands, however slowly a busy machine delivers them, and they take turns: many
//! storms at once leave no time for anything else.

#![cfg(target_os = "linux")]
mod common;

use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::signals::{Storm, count, shared_count};
use common::{
    DEADLINE, assert_same_file, fill, pending_connect, pipe, ready, tcp_pair, within_deadline,
};
use wouldblock::{
    Address, AddressFamily, Deadline, Errno, Inline, Interest, Io, ModeGuard, PollSet, RecvFlags,
    Retry, SendFlags, SocketAddrUnix, SocketType, accept, accept_from, connect, finish_connect,
    is_nonblocking, poll, read, readv, recv, recv_fds, recv_fds_with, recv_from, recv_from_with,
    recv_msg, recv_with, send, send_all, send_fds, send_msg, send_to, set_nonblocking, socket,
    socketpair, until, write, write_all, writev,
};

/// How many signals a test meets before it is content.
const SIGNALS: usize = 2_000;

const NONE: RecvFlags = RecvFlags::empty();
const SEND: SendFlags = SendFlags::empty();

/// The storm of this file.
fn storm() -> Storm {
    Storm::new(Duration::from_micros(100))
}

/// Held by the test whose turn it is.
fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn soon() -> Deadline {
    Deadline::after(DEADLINE)
}

/// Repeats `body` in a storm until the signals are enough.
#[track_caller]
fn in_a_storm(mut body: impl FnMut()) {
    let _storm = storm();
    let (before, start) = (count(), Instant::now());
    let mut rounds = 0;
    while count() < before + SIGNALS {
        body();
        rounds += 1;
        let signals = count() - before;
        assert!(start.elapsed() < DEADLINE, "only {signals} signals came");
    }
    let signals = count() - before;
    eprintln!("{rounds} rounds, {signals} signals, {:?}", start.elapsed());
}

// ---- what is sent ----

/// The byte at a position of the stream: neighbours differ, and no shift by a power
/// of two looks like no shift.
#[allow(clippy::cast_possible_truncation, reason = "a hash")]
fn byte_at(position: usize) -> u8 {
    ((position as u32).wrapping_mul(0x9E37_79B9) >> 24) as u8
}

/// A call that sends bytes, and answers how many of them were taken.
type Send = fn(BorrowedFd<'_>, &[u8]) -> Io;
/// A call that receives bytes.
type Receive = fn(BorrowedFd<'_>, &mut [u8]) -> Io;

/// What a call of the `_all` kind answers, as the others do.
fn taken(count: usize, answer: Io<()>) -> Io {
    match answer {
        Io::Ready(()) => Io::Ready(count),
        Io::WouldBlock if count > 0 => Io::Ready(count),
        Io::WouldBlock => Io::WouldBlock,
        Io::Err(errno) => Io::Err(errno),
    }
}

fn in_three(bytes: &[u8]) -> [IoSlice<'_>; 3] {
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(tail)]
}

fn in_two(buf: &mut [u8]) -> [IoSliceMut<'_>; 2] {
    let (head, tail) = buf.split_at_mut(buf.len() / 3);
    [IoSliceMut::new(head), IoSliceMut::new(tail)]
}

const WRITES: &[Send] = &[
    |fd, bytes| write(fd, bytes),
    |fd, bytes| writev(fd, &in_three(bytes)),
];

const WRITE_ALLS: &[Send] = &[|fd, bytes| {
    let mut rest = bytes;
    let answer = write_all(fd, &mut rest);
    taken(bytes.len() - rest.len(), answer)
}];

const SENDS: &[Send] = &[
    |fd, bytes| send(fd, bytes, SEND),
    |fd, bytes| send_msg(fd, &in_three(bytes), SEND),
];

const SEND_ALLS: &[Send] = &[|fd, bytes| {
    let mut rest = bytes;
    let answer = send_all(fd, &mut rest, SEND);
    taken(bytes.len() - rest.len(), answer)
}];

const SEND_FDS: &[Send] = &[|fd, bytes| send_fds(fd, &in_three(bytes), [fd], SEND)];

const READS: &[Receive] = &[
    |fd, buf| read(fd, buf),
    |fd, buf| readv(fd, &mut in_two(buf)),
];

const RECEIVES: &[Receive] = &[
    |fd, buf| recv(fd, buf, NONE),
    |fd, buf| {
        let raw = &mut [MaybeUninit::uninit(); 3000][..buf.len()];
        recv_with(fd, raw, NONE, |bytes| copy(bytes, buf))
    },
    |fd, buf| recv_from(fd, buf, NONE).map(|(n, _)| n),
    |fd, buf| {
        let raw = &mut [MaybeUninit::uninit(); 3000][..buf.len()];
        recv_from_with(fd, raw, NONE, |bytes, _| copy(bytes, buf))
    },
    |fd, buf| recv_msg(fd, &mut in_two(buf), NONE).map(|message| message.bytes),
    |fd, buf| recv_fds_with(fd, &mut in_two(buf), NONE, drop).map(|message| message.bytes),
    |fd, buf| {
        let mut into = [const { None }; 2];
        recv_fds(fd, &mut in_two(buf), &mut into, NONE).map(|message| message.bytes)
    },
];

fn copy(from: &[u8], into: &mut [u8]) -> usize {
    into[..from.len()].copy_from_slice(from);
    from.len()
}

/// All waits take turns, after a call that would block.
#[track_caller]
fn wait_in_turn(turn: usize, fd: BorrowedFd<'_>, interest: Interest) {
    let answer = match turn % 3 {
        0 => until(fd, soon()).ready(interest).map(drop),
        1 => until(fd, soon()).turns(wouldblock::Op::Poll, |fd, turn| {
            turn.wants = interest;
            ready(fd, interest).map(drop)
        }),
        _ => {
            let mut set: PollSet<_, (), Inline<1>> = PollSet::new();
            set.register(fd, interest, ()).unwrap();
            set.select(soon()).map(drop)
        }
    };
    assert_eq!(answer, Io::Ready(()), "wait {turn}");
}

/// Makes a call, and waits with it by one of the waits if it would block.
#[track_caller]
fn by_one_of_the_waits(
    turn: usize,
    fd: BorrowedFd<'_>,
    op: Retry,
    mut call: impl FnMut(BorrowedFd<'_>) -> Io,
) -> usize {
    if turn % 4 == 3 {
        return until(fd, soon())
            .retry(op, call)
            .into_result()
            .unwrap()
            .unwrap();
    }
    loop {
        match call(fd) {
            Io::Ready(n) => return n,
            Io::WouldBlock => wait_in_turn(turn, fd, wouldblock::Op::from(op).interest()),
            Io::Err(errno) => panic!("turn {turn}: {errno}"),
        }
    }
}

/// Sends a stream from one end to the other, in a storm at each, by all of the
/// calls in turn, and looks at every byte.
fn transfer(
    ours: OwnedFd,
    theirs: OwnedFd,
    (sends, retry_send): (Vec<Send>, Retry),
    (receives, retry_receive): (Vec<Receive>, Retry),
) {
    const AT_LEAST: usize = 1 << 20;
    let _turn = my_turn();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    let (tell, told) = mpsc::channel();
    let start = Instant::now();
    let writer = thread::spawn(move || {
        let _storm = storm();
        let counts = [shared_count(), told.recv().unwrap()];
        let mut chunk = Vec::new();
        let mut sent: usize = 0;
        for turn in 0.. {
            let met = counts.map(|count| count.load(Ordering::Relaxed));
            if sent >= AT_LEAST && met.iter().all(|&signals| signals >= SIGNALS) {
                eprintln!("{sent} bytes, {turn} calls, {met:?} signals");
                break;
            }
            assert!(start.elapsed() < DEADLINE, "{sent} bytes, {met:?} signals");
            let length = [1, 7, 300, 4096, 5000, 70_000][turn / sends.len() % 6];
            chunk.clear();
            chunk.extend((sent..sent + length).map(byte_at));
            let send = sends[turn % sends.len()];
            sent += by_one_of_the_waits(turn, ours.as_fd(), retry_send, |fd| send(fd, &chunk));
        }
        sent
    });
    let storm = storm();
    tell.send(shared_count()).unwrap();
    let mut buf = [0; 3000];
    let mut received = 0;
    for turn in 0.. {
        let receive = receives[turn % receives.len()];
        let buf = &mut buf[..[1, 5, 3000][turn / receives.len() % 3]];
        let fd = theirs.as_fd();
        let n = by_one_of_the_waits(turn, fd, retry_receive, |fd| receive(fd, buf));
        if n == 0 {
            break;
        }
        for (i, &byte) in buf[..n].iter().enumerate() {
            assert_eq!(byte, byte_at(received + i), "byte {}", received + i);
        }
        received += n;
    }
    drop(storm);
    assert_eq!(received, writer.join().unwrap());
}

#[test]
fn data_calls_on_a_unix_stream_in_a_storm_lose_and_double_nothing() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    transfer(
        ours.into(),
        theirs.into(),
        (
            [SENDS, SEND_ALLS, SEND_FDS, WRITES, WRITE_ALLS].concat(),
            Retry::Send,
        ),
        ([RECEIVES, READS].concat(), Retry::Recv),
    );
}

#[test]
fn data_calls_on_a_tcp_stream_in_a_storm_lose_and_double_nothing() {
    let (ours, theirs) = tcp_pair();
    transfer(
        ours.into(),
        theirs.into(),
        ([SENDS, SEND_ALLS, WRITES, WRITE_ALLS].concat(), Retry::Send),
        ([RECEIVES, READS].concat(), Retry::Recv),
    );
}

#[test]
fn data_calls_on_a_pipe_in_a_storm_lose_and_double_nothing() {
    let (reader, writer) = pipe();
    transfer(
        writer.into(),
        reader.into(),
        ([WRITES, WRITE_ALLS].concat(), Retry::Write),
        (READS.to_vec(), Retry::Read),
    );
}

/// A datagram of this number: its length and its bytes follow from it.
fn datagram(number: usize) -> Vec<u8> {
    let length = 8 + number % 1500;
    let mut bytes = u64::try_from(number).unwrap().to_be_bytes().to_vec();
    bytes.extend((8..length).map(|i| byte_at(number + i)));
    bytes
}

/// A call that sends a datagram, and what its errnos mean.
type SendDatagram<'a> = (Retry, &'a (dyn Fn(BorrowedFd<'_>, &[u8]) -> Io + Sync));

/// Sends datagrams in a storm at each end, by all of the calls in turn; each must
/// arrive once, whole, and in order.
fn transfer_datagrams(ours: OwnedFd, theirs: OwnedFd, sends: &[SendDatagram<'_>]) {
    let _turn = my_turn();
    let receives = [RECEIVES, READS].concat();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    let start = Instant::now();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let _storm = storm();
            let counts = [shared_count(), told.recv().unwrap()];
            for number in 0.. {
                let met = counts.map(|count| count.load(Ordering::Relaxed));
                let enough = met.iter().all(|&signals| signals >= SIGNALS);
                assert!(start.elapsed() < DEADLINE, "{number} sent, {met:?} signals");
                // The last is empty of all but a number that never comes.
                let bytes = if enough {
                    vec![0xFF; 8]
                } else {
                    datagram(number)
                };
                let (op, send) = sends[number % sends.len()];
                let n = by_one_of_the_waits(number, ours.as_fd(), op, |fd| send(fd, &bytes));
                assert_eq!(n, bytes.len());
                if enough {
                    eprintln!("{number} datagrams, {met:?} signals");
                    return number;
                }
            }
            unreachable!()
        });
        let storm = storm();
        tell.send(shared_count()).unwrap();
        let mut buf = [0; 3000];
        for number in 0.. {
            let receive = receives[number % receives.len()];
            let fd = theirs.as_fd();
            let n = by_one_of_the_waits(number, fd, Retry::Recv, |fd| receive(fd, &mut buf));
            if buf[..n] == [0xFF; 8] {
                drop(storm);
                assert_eq!(writer.join().unwrap(), number);
                return;
            }
            assert!(buf[..n] == datagram(number), "datagram {number}");
        }
    });
}

#[test]
fn data_calls_on_a_datagram_pair_in_a_storm_lose_and_double_nothing() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let sends = [SENDS, SEND_FDS, WRITES].concat();
    let sends: Vec<SendDatagram<'_>> = sends.iter().map(|send| (Retry::Send, send as _)).collect();
    transfer_datagrams(ours.into(), theirs.into(), &sends);
}

/// A full queue of a named receiver is no would-block, and no event says when it has
/// room: of the waits, only `until` knows what to do.
#[test]
fn send_to_a_unix_name_in_a_storm_loses_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let theirs = UnixDatagram::bind(&path).unwrap();
    let name = SocketAddrUnix::new(path).unwrap();
    let retry = |fd: BorrowedFd<'_>, call: &dyn Fn(BorrowedFd<'_>) -> Io| {
        until(fd, soon()).retry(Retry::SendToUnix, call)
    };
    let ours = UnixDatagram::unbound().unwrap();
    transfer_datagrams(
        ours.into(),
        theirs.into(),
        &[(Retry::SendToUnix, &|fd, bytes| {
            retry(fd, &|fd| send_to(fd, bytes, SEND, &name))
        })],
    );
}

/// One at a time, since UDP may lose what finds no room.
#[test]
fn send_to_an_internet_address_in_a_storm_loses_and_doubles_nothing() {
    let _turn = my_turn();
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (from, to) = (ours.local_addr().unwrap(), theirs.local_addr().unwrap());
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    let mut number = 0;
    let mut buf = [0; 3000];
    in_a_storm(|| {
        let bytes = datagram(number);
        let sent = send_to(&ours, &bytes, SEND, &to);
        assert_eq!(sent, Io::Ready(bytes.len()));
        wait_in_turn(number, theirs.as_fd(), Interest::READABLE);
        let (n, sender) = recv_from(&theirs, &mut buf, NONE).ready().unwrap();
        assert!(buf[..n] == bytes, "datagram {number}");
        assert_eq!(SocketAddr::try_from(sender.unwrap()).unwrap(), from);
        assert_eq!(recv(&theirs, &mut buf, NONE), Io::WouldBlock);
        number += 1;
    });
}

#[test]
fn descriptors_in_a_storm_arrive_once() {
    let _turn = my_turn();
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let files = [(); 5].map(|()| pipe().0);
    let mut number = 0;
    in_a_storm(|| {
        number = (number + 1) % (files.len() + 1);
        let fds = files[..number].iter().map(AsFd::as_fd);
        let sent = send_fds(&ours, &[IoSlice::new(b"!")], fds, SEND);
        assert_eq!(sent, Io::Ready(1));
        let mut into = [const { None }; 6];
        let mut byte = [0];
        let bufs = &mut [IoSliceMut::new(&mut byte)];
        let message = recv_fds(&theirs, bufs, &mut into, NONE).ready().unwrap();
        assert_eq!(
            (message.descriptors, message.descriptors_lost),
            (number, false)
        );
        let arrived = into.iter().flatten();
        arrived
            .zip(&files)
            .for_each(|(one, other)| assert_same_file(one, other));
        let again = recv_fds(&theirs, bufs, &mut into, NONE);
        assert!(again.is_would_block());
    });
}

// ---- connections ----

/// Connects and accepts in a storm, in every way; each connection is the one that
/// was made, and there is none beside it.
fn connections(listener: OwnedFd, family: AddressFamily, address: &impl Address) {
    set_nonblocking(&listener, true).unwrap();
    let mut turn = 0;
    in_a_storm(|| {
        turn += 1;
        let client = socket(family, SocketType::STREAM, None).unwrap();
        let answer = if turn % 2 == 0 {
            until(&client, soon()).connect(address)
        } else {
            let mut answer = connect(&client, address);
            while answer.is_would_block() {
                wait_in_turn(turn, client.as_fd(), Interest::WRITABLE);
                answer = finish_connect(&client);
            }
            answer
        };
        assert_eq!(answer, Io::Ready(()));
        assert_eq!(finish_connect(&client), Io::Ready(()));
        assert_eq!(
            send(&client, &turn.to_be_bytes(), SEND),
            Io::Ready(size_of_val(&turn))
        );
        let accepted = match turn % 3 {
            0 => until(&listener, soon()).retry(Retry::Accept, |fd| accept(fd)),
            1 => {
                wait_in_turn(turn, listener.as_fd(), Interest::READABLE);
                accept(&listener)
            }
            _ => {
                wait_in_turn(turn, listener.as_fd(), Interest::READABLE);
                accept_from(&listener).map(|(fd, _)| fd)
            }
        };
        let accepted = accepted.into_result().unwrap().unwrap();
        let mut bytes = turn.to_be_bytes().map(|byte| !byte);
        let receive = |fd: BorrowedFd<'_>| recv(fd, &mut bytes, NONE);
        assert!(
            until(&accepted, soon())
                .retry(Retry::Recv, receive)
                .is_ready()
        );
        assert_eq!(usize::from_be_bytes(bytes), turn);
        assert!(accept(&listener).is_would_block());
        if family == AddressFamily::INET {
            // Thousands of closed connections would use up the ports.
            common::reset(TcpStream::from(client));
        }
    });
}

#[test]
fn connections_over_tcp_in_a_storm_are_made_once() {
    let _turn = my_turn();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    connections(listener.into(), AddressFamily::INET, &address);
}

#[test]
fn connections_to_a_unix_name_in_a_storm_are_made_once() {
    let _turn = my_turn();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let name = SocketAddrUnix::new(path).unwrap();
    connections(listener.into(), AddressFamily::UNIX, &name);
}

/// What has no data: modes, readiness, and calls that would block or fail.
#[test]
fn other_calls_in_a_storm_answer_as_ever() {
    let _turn = my_turn();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let (full, _peer) = UnixStream::pair().unwrap();
    set_nonblocking(&full, true).unwrap();
    fill(|bytes| send(&full, bytes, SEND));
    let (unread, unwritable) = (ours.as_fd(), full.as_fd());
    let (reader, writer) = wouldblock::pipe().unwrap();
    fill(|bytes| write(&writer, bytes));
    let pending = pending_connect();
    let (idle, _) = common::bound_tcp();
    rustix::net::listen(&idle, 1).unwrap();
    let (gone, peer) = UnixStream::pair().unwrap();
    drop(peer);
    in_a_storm(|| {
        set_nonblocking(unread, false).unwrap();
        assert_eq!(is_nonblocking(unread), Ok(false));
        let guard = ModeGuard::new(unread, true).unwrap();
        for receive in [RECEIVES, READS].concat() {
            assert_eq!(receive(unread, &mut [0; 9]), Io::WouldBlock);
        }
        guard.into_inner().unwrap();
        assert_eq!(is_nonblocking(unread), Ok(false));
        for send in [SENDS, SEND_ALLS, SEND_FDS, WRITES, WRITE_ALLS].concat() {
            assert_eq!(send(unwritable, &[1; 9]), Io::WouldBlock);
        }
        for send in [WRITES, WRITE_ALLS].concat() {
            assert_eq!(send(writer.as_fd(), &[1; 9]), Io::WouldBlock);
        }
        for send in [SENDS, SEND_ALLS, SEND_FDS].concat() {
            assert_eq!(send(gone.as_fd(), &[1; 9]), Io::Err(Errno::PIPE));
        }
        assert!(ready(unread, Interest::READABLE).is_would_block());
        assert!(ready(&reader, Interest::READABLE).is_ready());
        assert!(accept(&idle).is_would_block());
        assert!(finish_connect(&pending.socket).is_would_block());
    });
}

// ---- waits ----

/// The storm does interrupt: what the other tests pass through is there.
#[test]
fn poll_in_a_storm_fails_with_eintr() {
    let _turn = my_turn();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    in_a_storm(|| {
        let mut fds = [Interest::READABLE.on(&ours)];
        assert_eq!(poll(&mut fds, Some(DEADLINE)), Io::Err(Errno::INTR));
        assert_eq!(poll(&mut [], None), Io::Err(Errno::INTR));
    });
}

/// A wait for one byte: `true` if it came, `false` if the deadline passed.
type Wait = fn(BorrowedFd<'_>, Deadline) -> Io<()>;

fn selects<S: wouldblock::Storage>(fd: BorrowedFd<'_>, deadline: Deadline) -> Io<()> {
    let mut set: PollSet<_, (), S> = PollSet::new();
    let key = set.register(fd, Interest::READABLE, ()).unwrap();
    set.select(deadline).map(|found| {
        assert_eq!(found, 1);
        assert_eq!(set.next_ready().map(|(found, _)| found), Some(key));
    })
}

const WAITS: &[(&str, Wait)] = &[
    ("until.ready", |fd, end| {
        until(fd, end).ready(Interest::READABLE).map(drop)
    }),
    ("until.retry of recv", |fd, end| {
        let call = |fd: BorrowedFd<'_>| recv(fd, &mut [0], RecvFlags::PEEK);
        until(fd, end).retry(Retry::Recv, call).map(drop)
    }),
    ("until.retry of recv_msg", |fd, end| {
        let call = |fd: BorrowedFd<'_>| {
            let mut byte = [0];
            recv_msg(fd, &mut [IoSliceMut::new(&mut byte)], RecvFlags::PEEK)
        };
        until(fd, end).retry(Retry::Recv, call).map(drop)
    }),
    ("select of an inline set", selects::<Inline<3>>),
    #[cfg(feature = "alloc")]
    ("select of a growable set", selects::<wouldblock::Growable>),
];

/// Fails if a wait for `time` is early, or finds anything.
#[track_caller]
fn ends_on_time(name: &str, time: Duration, wait: impl FnOnce(Deadline) -> Io<()>) {
    let start = Instant::now();
    let answer = wait(Deadline::after(time));
    let took = start.elapsed();
    assert_eq!(answer, Io::WouldBlock, "{name}");
    assert!(
        took >= time,
        "{name} of {time:?} ended early, after {took:?}"
    );
}

const TIMES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_micros(50),
    Duration::from_micros(101),
    Duration::from_millis(2),
    Duration::from_millis(23),
];

#[test]
fn waits_in_a_storm_are_never_early() {
    let _turn = my_turn();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let (full, _peer) = UnixStream::pair().unwrap();
    set_nonblocking(&full, true).unwrap();
    fill(|bytes| send(&full, bytes, SEND));
    in_a_storm(|| {
        for time in TIMES {
            for (name, wait) in WAITS {
                ends_on_time(name, time, |end| wait(ours.as_fd(), end));
            }
            ends_on_time("nothing", time, |end| {
                let mut nobody: PollSet<OwnedFd, (), Inline<0>> = PollSet::new();
                nobody.select(end).map(drop)
            });
            ends_on_time("until.ready", time, |end| {
                until(&full, end).ready(Interest::WRITABLE).map(drop)
            });
            ends_on_time("until.retry of send", time, |end| {
                until(&full, end)
                    .retry(Retry::Send, |fd| send(fd, b"!", SEND))
                    .map(drop)
            });
            // Writable, and yet it would block.
            ends_on_time("until.retry on a liar", time, |end| {
                until(&ours, end).retry(Retry::Send, |_| Io::WouldBlock)
            });
            ends_on_time("until.retry in a shortage", time, |end| {
                let shortage = |_: BorrowedFd<'_>| Io::Err(Errno::NOBUFS);
                let answer = until(&ours, end).retry(Retry::Send, shortage);
                assert_eq!(answer, Io::<()>::Err(Errno::NOBUFS));
                Io::WouldBlock
            });
        }
    });
}

/// An attempt that stays under way needs a listener whose queue is full, each time.
#[test]
fn connect_under_a_deadline_in_a_storm_is_never_early() {
    let _turn = my_turn();
    let pending = pending_connect();
    in_a_storm(|| {
        for time in TIMES {
            let client = common::tcp_socket();
            ends_on_time("until.connect", time, |end| {
                until(&client, end).connect(&pending.address)
            });
            assert!(finish_connect(&client).is_would_block());
        }
    });
}

/// Starts a thread that does `act` whenever `counter` has risen by 20 since it was
/// told to.
fn later(
    counter: &'static AtomicUsize,
    mut act: impl FnMut() + std::marker::Send + 'static,
) -> mpsc::Sender<()> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for () in told {
            let (before, end) = (counter.load(Ordering::Relaxed), soon());
            while counter.load(Ordering::Relaxed) < before + 20 {
                assert!(!end.has_passed(), "the signals do not come");
                thread::yield_now();
            }
            act();
        }
    });
    tell
}

#[test]
fn waits_in_a_storm_find_what_comes() {
    let _turn = my_turn();
    within_deadline(|| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        let send_later = later(shared_count(), move || theirs.write_all(b"!").unwrap());
        in_a_storm(|| {
            for (name, wait) in WAITS {
                send_later.send(()).unwrap();
                assert_eq!(wait(ours.as_fd(), soon()), Io::Ready(()), "{name}");
                assert_eq!(recv(&ours, &mut [0; 2], NONE), Io::Ready(1));
            }
        });
    });
}

// ---- calls that sleep ----

/// Makes a call until it is not interrupted. Each says so after sixteen signals, and
/// no earlier.
fn insist<T>(mut call: impl FnMut() -> Io<T>) -> Io<T> {
    loop {
        let before = count();
        match call() {
            Io::Err(Errno::INTR) => assert!(count() >= before + 16),
            answer => return answer,
        }
    }
}

/// A call on a non-blocking descriptor hardly ever sleeps, so a signal hardly ever
/// interrupts it. On a blocking one each call here is interrupted some twenty times,
/// and made again as often.
#[test]
fn receiving_calls_that_sleep_in_a_storm_are_made_again() {
    let _turn = my_turn();
    within_deadline(|| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let send_later = later(shared_count(), move || theirs.write_all(b"hello").unwrap());
        in_a_storm(|| {
            for receive in [RECEIVES, READS].concat() {
                send_later.send(()).unwrap();
                let mut buf = [0; 9];
                let received = insist(|| receive(ours.as_fd(), &mut buf));
                assert_eq!(received, Io::Ready(5));
                assert_eq!(&buf, b"hello\0\0\0\0");
            }
        });
    });
}

#[test]
fn sending_calls_that_sleep_in_a_storm_are_made_again() {
    let _turn = my_turn();
    within_deadline(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let (read, taken) = mpsc::channel();
        let read_later = later(shared_count(), move || {
            let mut buf = [0; 9];
            let n = theirs.recv(&mut buf).unwrap();
            read.send(buf[..n].to_vec()).unwrap();
        });
        // Full, but for what is taken out.
        set_nonblocking(&ours, true).unwrap();
        let mut sent: usize = 0;
        while send(&ours, format!("n {sent:07}").as_bytes(), SEND).is_ready() {
            sent += 1;
        }
        set_nonblocking(&ours, false).unwrap();
        let mut expected = (0..).map(|n| format!("n {n:07}").into_bytes());
        let mut receive = || {
            let bytes = taken.recv_timeout(DEADLINE).unwrap();
            assert_eq!(Some(bytes), expected.next());
        };
        in_a_storm(|| {
            for send in [SENDS, SEND_FDS, WRITES].concat() {
                read_later.send(()).unwrap();
                let bytes = format!("n {sent:07}");
                let answer = insist(|| send(ours.as_fd(), bytes.as_bytes()));
                assert_eq!(answer, Io::Ready(9));
                sent += 1;
                receive();
            }
        });
    });
}

#[test]
fn accept_that_sleeps_in_a_storm_is_made_again() {
    let _turn = my_turn();
    within_deadline(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect_later = later(shared_count(), move || {
            common::reset(TcpStream::connect(address).unwrap());
        });
        in_a_storm(|| {
            connect_later.send(()).unwrap();
            assert!(insist(|| accept(&listener)).is_ready());
            connect_later.send(()).unwrap();
            assert!(insist(|| accept_from(&listener)).is_ready());
        });
    });
}
