//! How many descriptors there are: none is leaked, and running out of them is
//! survived. Each test is a process of its own, since it counts them or takes
//! them all.

mod common;

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use common::{
    DEADLINE, alone, bound_tcp, habits::habits, open_descriptors, pipe, tcp_socket,
    thread_cpu_time, wait_for, wait_to_read,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wouldblock::{
    AddressFamily, Errno, Interest, Io, NonBlocking, Op, Outcome, RecvFlags, SendFlags,
    SocketAddrUnix, SocketType, accept, accept_from, connect, finish_connect, poll, recv, recv_fds,
    recv_fds_with, recv_from, recv_msg, send_fds, set_nonblocking, socket, socketpair,
};

const NONE: RecvFlags = RecvFlags::empty();
const SEND: SendFlags = SendFlags::empty();

/// Opens files until there is no descriptor left. For a process of its own.
fn exhaust() -> Vec<File> {
    let limits = Rlimit {
        current: Some(64),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limits).unwrap();
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(Errno::from_io_error(&error), Some(Errno::MFILE));
                return files;
            }
        }
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&listener, true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Fails unless `body` leaves as many descriptors as it found.
#[track_caller]
fn leaves_none_behind(body: impl FnOnce()) {
    let before = open_descriptors();
    body();
    assert_eq!(open_descriptors(), before, "descriptors");
}

#[test]
fn a_leak_is_noticed() {
    alone("a_leak_is_noticed", || {
        let leaked = std::panic::catch_unwind(|| {
            leaves_none_behind(|| std::mem::forget(tcp_socket()));
        });
        assert!(leaked.is_err());
    });
}

#[test]
fn accept_without_a_descriptor_left_says_back_off_and_loses_nobody() {
    let name = "accept_without_a_descriptor_left_says_back_off_and_loses_nobody";
    alone(name, || {
        let (listener, address) = listener();
        let client = TcpStream::connect(address).unwrap();
        wait_to_read(&listener);
        let mut files = exhaust();
        assert_eq!(accept(&listener).err(), Some(Errno::MFILE));
        assert_eq!(Op::Accept.outcome(Errno::MFILE), Outcome::BackOff);
        if !habits().emfile_keeps_the_connection {
            return println!("skipped: the connection may be lost here");
        }
        for _ in 0..3 {
            // Whoever polls it spins.
            wait_to_read(&listener);
            assert_eq!(accept_from(&listener).err(), Some(Errno::MFILE));
            assert_eq!(accept(&listener).err(), Some(Errno::MFILE));
        }
        let refused = socket(AddressFamily::INET, SocketType::STREAM, None);
        assert_eq!(refused.map(drop), Err(Errno::MFILE));
        drop(files.pop());
        let (connection, peer) = accept_from(&listener).ready().unwrap();
        assert_eq!(
            SocketAddr::try_from(peer.unwrap()).unwrap(),
            client.local_addr().unwrap()
        );
        assert_eq!(wouldblock::send(&connection, b"!", SEND), Io::Ready(1));
        wait_to_read(&client);
        // With one left, a pair cannot be had, and the one is not lost.
        drop(connection);
        let refused = socketpair(AddressFamily::UNIX, SocketType::STREAM, None);
        assert_eq!(refused.map(drop), Err(Errno::MFILE));
        assert_eq!(wouldblock::pipe().map(drop), Err(Errno::MFILE));
        assert!(File::open("/dev/null").is_ok());
    });
}

/// The loop of `accept`'s documentation, to the letter, but that it ends when
/// `serve` says so.
#[allow(
    clippy::needless_borrows_for_generic_args,
    reason = "there the listener is no reference"
)]
fn server(
    listener: &TcpListener,
    mut serve: impl FnMut(OwnedFd) -> bool,
) -> Result<(), std::io::Error> {
    let mut pause = None;
    loop {
        // During a pause the listener is left out.
        let mut fds = [Interest::READABLE.on(&listener)];
        let watched = if pause.is_some() {
            &mut fds[..0]
        } else {
            &mut fds[..]
        };
        match poll(watched, pause.take()) {
            Io::Ready(_) | Io::WouldBlock => {}
            Io::Err(errno) => match Op::Poll.outcome(errno) {
                Outcome::Interrupted => {}
                Outcome::BackOff => std::thread::sleep(Duration::from_millis(10)),
                _ => return Err(errno.into()),
            },
        }
        loop {
            match accept(listener) {
                Io::Ready(fd) => {
                    if serve(fd) {
                        return Ok(());
                    }
                }
                Io::WouldBlock => break,
                Io::Err(errno) => {
                    eprintln!("accept: {errno}");
                    pause = Some(Duration::from_millis(100));
                    break;
                }
            }
        }
    }
}

#[test]
fn server_as_documented_does_not_spin_without_descriptors_and_recovers() {
    let name = "server_as_documented_does_not_spin_without_descriptors_and_recovers";
    alone(name, || {
        if !habits().emfile_keeps_the_connection {
            return println!("skipped: the clients may be lost here");
        }
        let (listener, address) = listener();
        let clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        wait_to_read(&listener);
        let mut files = exhaust();
        let (served, events) = mpsc::channel();
        std::thread::spawn(move || {
            let before = thread_cpu_time();
            let mut left = 2;
            let ended = server(&listener, |connection| {
                assert_eq!(wouldblock::send(&connection, b"!", SEND), Io::Ready(1));
                left -= 1;
                served.send(thread_cpu_time() - before).unwrap();
                left == 0
            });
            ended.unwrap();
        });
        let nobody = events.recv_timeout(Duration::from_secs(1));
        assert_eq!(nobody, Err(RecvTimeoutError::Timeout));
        drop(files.pop());
        let used = events.recv_timeout(DEADLINE).unwrap();
        assert!(used < Duration::from_millis(50), "{used:?} of CPU time");
        events.recv_timeout(DEADLINE).unwrap();
        for client in &clients {
            wait_to_read(client);
            set_nonblocking(client, true).unwrap();
            assert_eq!(recv(client, &mut [0; 8], NONE), Io::Ready(1));
        }
    });
}

#[test]
fn accept_and_its_failures_leak_nothing() {
    alone("accept_and_its_failures_leak_nothing", || {
        let (listener, address) = listener();
        let udp = NonBlocking::new(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        let (reader, _writer) = pipe();
        leaves_none_behind(|| {
            for _ in 0..3 {
                let clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
                wait_to_read(&listener);
                assert!(accept(&listener).is_ready());
                wait_to_read(&listener);
                assert!(accept_from(&listener).is_ready());
                drop(clients);
                assert!(accept(&listener).is_would_block());
                assert!(accept(&udp).is_err());
                assert!(accept_from(&udp).is_err());
                assert!(accept(&reader).is_err());
                assert!(accept(tcp_socket()).is_err());
                let (reader, writer) = wouldblock::pipe().unwrap();
                drop((reader, writer));
            }
        });
    });
}

#[test]
fn wrong_input_leaks_nothing() {
    alone("wrong_input_leaks_nothing", || {
        let (listener, address) = listener();
        let (bound, _) = bound_tcp();
        let (reader, writer) = pipe();
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        set_nonblocking(&theirs, true).unwrap();
        let mut buf = [0; 8];
        leaves_none_behind(|| {
            assert!(recv(&listener, &mut buf, NONE).is_err());
            assert!(recv_from(&listener, &mut buf, NONE).is_err());
            let into = &mut [IoSliceMut::new(&mut buf)];
            let room = &mut [const { None }; 2];
            assert!(recv_msg(&listener, into, NONE).is_err());
            assert!(recv_fds(&reader, into, room, NONE).is_err());
            assert!(finish_connect(&reader).is_err());
            assert!(connect(&reader, &address).is_err());
            assert!(connect(&ours, &address).is_err());
            let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port()));
            assert!(connect(&bound, &v6).is_err());
            assert!(SocketAddrUnix::new("x".repeat(200)).is_err());
            let nowhere = AddressFamily::from_raw(250);
            assert!(socket(nowhere, SocketType::STREAM, None).is_err());
            assert!(socketpair(nowhere, SocketType::STREAM, None).is_err());
            let from = [IoSlice::new(b"!")];
            let many = [writer.as_fd(); 254];
            assert!(send_fds(&ours, &from, many, SEND).is_err());
            assert!(send_fds(&writer, &from, [writer.as_fd()], SEND).is_err());
            assert!(recv_fds(&theirs, into, room, NONE).is_would_block());
        });
    });
}

#[test]
fn recv_fds_keeps_as_many_as_there_is_room_for_and_no_more() {
    let name = "recv_fds_keeps_as_many_as_there_is_room_for_and_no_more";
    alone(name, || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        let (reader, _writer) = pipe();
        let mut byte = [0];
        let into = &mut [IoSliceMut::new(&mut byte)];
        let send = |count| {
            let many = vec![reader.as_fd(); count];
            let answer = send_fds(&theirs, &[IoSlice::new(b"!")], many, SEND);
            assert_eq!(answer, Io::Ready(1));
        };
        let before = open_descriptors();
        for (sent, places) in [(5, 2), (5, 0), (5, 5), (1, 7), (253, 10), (253, 252)] {
            let mut room = Vec::new();
            room.resize_with(places, || None);
            send(sent);
            let message = recv_fds(&ours, into, &mut room, NONE).ready().unwrap();
            let kept = sent.min(places);
            assert_eq!(message.descriptors, kept);
            assert_eq!(message.descriptors_lost, places < sent);
            assert_eq!(open_descriptors(), before + kept, "{sent} for {places}");
            drop(room);
            assert_eq!(open_descriptors(), before);
        }
        send(3);
        let message = recv_msg(&ours, into, NONE).ready().unwrap();
        assert!(message.descriptors_lost);
        assert_eq!(open_descriptors(), before);
        // Looked at and left: these are duplicates, or there are none yet.
        send(3);
        let duplicates = wouldblock::platform::HOST.peek_rights;
        if !duplicates {
            let room = &mut [const { None }; 2];
            let message = recv_fds(&ours, into, room, RecvFlags::PEEK);
            assert_eq!(message.ready().unwrap().descriptors, 0);
            assert_eq!(open_descriptors(), before);
        }
        for flags in [RecvFlags::PEEK, NONE]
            .into_iter()
            .skip(usize::from(!duplicates))
        {
            let room = &mut [const { None }; 2];
            let message = recv_fds(&ours, into, room, flags).ready().unwrap();
            assert_eq!((message.descriptors, message.descriptors_lost), (2, true));
            assert_eq!(open_descriptors(), before + 2);
        }
        // Never received.
        send(3);
        drop((ours, theirs));
        assert_eq!(open_descriptors(), before - 2);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn recv_fds_without_descriptors_left_says_that_some_were_lost() {
    let name = "recv_fds_without_descriptors_left_says_that_some_were_lost";
    alone(name, || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        let (reader, _writer) = pipe();
        let mut byte = [0];
        let into = &mut [IoSliceMut::new(&mut byte)];
        let mut files = exhaust();
        for left in 0..=3 {
            let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [reader.as_fd(); 3], SEND);
            assert_eq!(sent, Io::Ready(1));
            let mut room = [const { None }; 4];
            let message = recv_fds(&ours, into, &mut room, NONE).ready().unwrap();
            assert_eq!(message.bytes, 1);
            assert_eq!(message.descriptors, left);
            assert_eq!(message.descriptors_lost, left < 3);
            let shortage = (left < 3).then_some(Errno::MFILE);
            assert_eq!(message.lost_because, shortage);
            assert_eq!(room.iter().flatten().count(), left);
            drop(room);
            // Who closes each at once hears the same.
            let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [reader.as_fd(); 3], SEND);
            assert_eq!(sent, Io::Ready(1));
            let message = recv_fds_with(&ours, into, NONE, drop).ready().unwrap();
            assert_eq!((message.bytes, message.descriptors), (1, left));
            assert_eq!(message.lost_because, shortage);
            drop(files.pop());
        }
    });
}

/// Beside credentials, on Linux, which are a part of the control data before them.
#[test]
fn recv_fds_with_a_closure_that_panics_closes_the_rest() {
    let name = "recv_fds_with_a_closure_that_panics_closes_the_rest";
    alone(name, || {
        const SENT: usize = 5;
        for kind in [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET] {
            let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, None).unwrap();
            for number in 0..2 * SENT {
                #[cfg(target_os = "linux")]
                rustix::net::sockopt::set_socket_passcred(&ours, number % 2 == 1).unwrap();
                let before = open_descriptors();
                let many = [theirs.as_fd(); SENT];
                let sent = send_fds(&theirs, &[IoSlice::new(b"!")], many, SEND);
                assert_eq!(sent, Io::Ready(1));
                let mut kept = Vec::new();
                let received = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    let mut byte = [0];
                    let bufs = &mut [IoSliceMut::new(&mut byte)];
                    recv_fds_with(&ours, bufs, NONE, |fd| {
                        assert_ne!(kept.len(), number / 2, "as the test wants it");
                        kept.push(fd);
                    })
                }));
                assert!(received.is_err());
                assert_eq!(kept.len(), number / 2);
                assert_eq!(open_descriptors(), before + kept.len(), "{kind:?}");
                drop(kept);
                assert_eq!(open_descriptors(), before);
                assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::WouldBlock);
            }
        }
    });
}

/// Behind one descriptor stands another part of the control data, at the next multiple of
/// eight bytes: the peer's process, which Linux adds on request, and nobody closes.
#[cfg(target_os = "linux")]
#[test]
fn recv_fds_with_a_closure_that_panics_before_other_control_data_unwinds() {
    const SO_PASSPIDFD: i32 = 76;
    let name = "recv_fds_with_a_closure_that_panics_before_other_control_data_unwinds";
    alone(name, || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        if !common::takes_option(&ours, libc::SOL_SOCKET, SO_PASSPIDFD, 1) {
            return;
        }
        let before = open_descriptors();
        let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [theirs.as_fd()], SEND);
        assert_eq!(sent, Io::Ready(1));
        let received = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut byte = [0];
            let bufs = &mut [IoSliceMut::new(&mut byte)];
            recv_fds_with(&ours, bufs, NONE, |_| panic!("as the test wants it"))
        }));
        assert!(received.is_err());
        assert_eq!(open_descriptors(), before + 1);
    });
}

/// Not even a number that could be asked for is allowed.
#[cfg(target_os = "linux")]
#[test]
fn recv_fds_with_a_limit_of_no_descriptors_says_that_it_is_a_shortage() {
    let name = "recv_fds_with_a_limit_of_no_descriptors_says_that_it_is_a_shortage";
    alone(name, || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [theirs.as_fd()], SEND);
        assert_eq!(sent, Io::Ready(1));
        let limits = getrlimit(Resource::Nofile);
        let none = Rlimit {
            current: Some(0),
            ..limits
        };
        setrlimit(Resource::Nofile, none).unwrap();
        let mut byte = [0];
        let answer = recv_fds_with(&ours, &mut [IoSliceMut::new(&mut byte)], NONE, drop);
        setrlimit(Resource::Nofile, limits).unwrap();
        let message = answer.ready().unwrap();
        assert!(message.descriptors_lost);
        assert_eq!(message.lost_because, Some(Errno::MFILE));
    });
}

#[test]
fn recv_fds_of_a_sender_that_ended_still_gives_them() {
    alone("recv_fds_of_a_sender_that_ended_still_gives_them", || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let before = open_descriptors();
        let bufs = [IoSlice::new(b"!")];
        assert_eq!(send_fds(&theirs, &bufs, [file.as_fd()], SEND), Io::Ready(1));
        file.write_all(b"kept").unwrap();
        drop((theirs, file));
        assert!(wait_for(&ours, Interest::READABLE).is_readable());
        let mut byte = [0];
        let into = &mut [IoSliceMut::new(&mut byte)];
        let mut room = [const { None }; 1];
        let message = recv_fds(&ours, into, &mut room, NONE).ready().unwrap();
        assert_eq!((message.bytes, message.descriptors), (1, 1));
        let [Some(received)] = room else {
            panic!("no descriptor");
        };
        assert_eq!(File::from(received).metadata().unwrap().len(), 4);
        let message = recv_fds(&ours, into, &mut [], NONE).ready().unwrap();
        assert_eq!((message.bytes, message.descriptors), (0, 0), "the end");
        assert_eq!(open_descriptors(), before - 2);
    });
}

/// The descriptors of a user that nobody has received yet are too many. It passes when
/// the peer reads, and no event tells.
#[test]
#[cfg(wouldblock_has = "in_flight_errors")]
fn c09_toomanyrefs_in_flight_says_back_off_and_passes() {
    alone("c09_toomanyrefs_in_flight_says_back_off_and_passes", || {
        let limits = Rlimit {
            current: Some(64),
            maximum: Some(64),
        };
        setrlimit(Resource::Nofile, limits).unwrap();
        assert!(common::become_a_user_of_its_own());
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, None);
        let (ours, theirs) = pair.unwrap();
        let file = File::open("/dev/null").unwrap();
        let many = [file.as_fd(); 16];
        let send = || send_fds(&ours, &[IoSlice::new(b"!")], many, SEND);
        let mut messages = 0;
        let answer = loop {
            match send() {
                Io::Ready(_) => messages += 1,
                answer => break answer,
            }
        };
        assert_eq!(answer, Io::Err(Errno::TOOMANYREFS), "after {messages}");
        assert_eq!(Op::Send.outcome(Errno::TOOMANYREFS), Outcome::BackOff);
        assert_eq!(Op::SendToUnix.outcome(Errno::TOOMANYREFS), Outcome::BackOff);
        assert!(common::ready(&ours, Interest::WRITABLE).is_ready());
        for _ in 0..messages {
            let (mut byte, mut into) = ([0], [const { None }; 16]);
            let bufs = &mut [IoSliceMut::new(&mut byte)];
            assert!(recv_fds(&theirs, bufs, &mut into, NONE).is_ready());
        }
        assert_eq!(send(), Io::Ready(1));
    });
}
