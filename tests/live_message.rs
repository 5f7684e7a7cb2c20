//! Datagrams, messages of several buffers, and descriptors on real sockets.

mod common;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use common::{
    assert_ends, assert_same_file, habits::habits, pipe, read_exactly, ready, tcp_pair,
    wait_to_read,
};
use rustix::io::{FdFlags, fcntl_getfd};
use wouldblock::platform::HOST;
use wouldblock::{
    AddressFamily, Errno, Interest, Io, NonBlocking, Op, Outcome, RecvFlags, SendFlags,
    SocketAddrAny, SocketAddrUnix, SocketType, recv_fds, recv_fds_with, recv_from, recv_from_with,
    recv_msg, send_fds, send_msg, send_to, set_nonblocking, socketpair,
};

const NONE: RecvFlags = RecvFlags::empty();
const SEND: SendFlags = SendFlags::empty();

fn udp() -> (NonBlocking<UdpSocket>, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (NonBlocking::new(socket).unwrap(), address)
}

fn stream_pair() -> (NonBlocking<UnixStream>, NonBlocking<UnixStream>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (
        NonBlocking::new(ours).unwrap(),
        NonBlocking::new(theirs).unwrap(),
    )
}

fn datagram_pair() -> (NonBlocking<UnixDatagram>, NonBlocking<UnixDatagram>) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    (
        NonBlocking::new(ours).unwrap(),
        NonBlocking::new(theirs).unwrap(),
    )
}

/// A receiver with a name, and the directory that the name is in.
fn named() -> (NonBlocking<UnixDatagram>, SocketAddrUnix, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let receiver = NonBlocking::new(UnixDatagram::bind(&path).unwrap()).unwrap();
    (receiver, SocketAddrUnix::new(&path).unwrap(), directory)
}

/// Storage for descriptors.
fn room<const N: usize>() -> [Option<OwnedFd>; N] {
    [const { None }; N]
}

#[test]
fn recv_from_with_nothing_there_would_block() {
    assert!(recv_from(udp().0, &mut [0; 8], NONE).is_would_block());
    assert!(recv_from(&stream_pair().0, &mut [0; 8], NONE).is_would_block());
}

#[test]
fn recv_from_gives_the_bytes_and_the_sender() {
    let (ours, address) = udp();
    let (theirs, their_address) = udp();
    assert_eq!(send_to(&theirs, b"hello", SEND, &address), Io::Ready(5));
    wait_to_read(&ours);
    let mut buf = [0; 8];
    let (n, sender) = recv_from(&ours, &mut buf, RecvFlags::PEEK).ready().unwrap();
    assert_eq!((n, &buf), (5, b"hello\0\0\0"));
    assert_eq!(SocketAddr::try_from(sender.unwrap()), Ok(their_address));
    let (n, sender) = recv_from(&ours, &mut buf[..2], NONE).ready().unwrap();
    assert_eq!(n, 2, "cut off");
    assert_eq!(SocketAddr::try_from(sender.unwrap()), Ok(their_address));
    assert!(recv_from(&ours, &mut buf, NONE).is_would_block());
}

#[test]
fn recv_from_of_an_empty_datagram_is_ready_with_zero_and_the_sender() {
    let (ours, address) = udp();
    let (theirs, their_address) = udp();
    assert_eq!(send_to(&theirs, b"", SEND, &address), Io::Ready(0));
    wait_to_read(&ours);
    let (n, sender) = recv_from(&ours, &mut [0; 8], NONE).ready().unwrap();
    assert_eq!(n, 0);
    assert_eq!(SocketAddr::try_from(sender.unwrap()), Ok(their_address));
    assert!(recv_from(&ours, &mut [0; 8], NONE).is_would_block());
}

#[test]
fn recv_from_with_gives_the_bytes_and_the_sender_and_is_called_once() {
    let (ours, address) = udp();
    let (theirs, their_address) = udp();
    let mut buf = [MaybeUninit::uninit(); 8];
    let mut calls = 0;
    for text in [&b"hello"[..], b"", b"too long for it"] {
        let nothing = recv_from_with(&ours, &mut buf, NONE, |_, _| calls += 100);
        assert!(nothing.is_would_block());
        assert_eq!(
            send_to(&theirs, text, SEND, &address),
            Io::Ready(text.len())
        );
        wait_to_read(&ours);
        for flags in [RecvFlags::PEEK, NONE] {
            let answer = recv_from_with(&ours, &mut buf, flags, |bytes, sender| {
                calls += 1;
                assert_eq!(bytes, &text[..text.len().min(8)]);
                SocketAddr::try_from(sender.unwrap())
            });
            assert_eq!(answer, Io::Ready(Ok(their_address)));
        }
    }
    assert_eq!(calls, 6);
}

#[test]
fn recv_from_with_on_a_stream_has_no_sender_and_ends_with_nothing() {
    let (ours, theirs) = stream_pair();
    assert_eq!(theirs.send(b"hello", SEND), Io::Ready(5));
    let mut buf = [MaybeUninit::uninit(); 3];
    for wanted in [&b"hel"[..], b"lo"] {
        let answer = recv_from_with(&ours, &mut buf, NONE, |bytes, sender| {
            (
                bytes.to_vec(),
                sender.is_none() || !habits().errnos_of_linux,
            )
        });
        assert_eq!(answer, Io::Ready((wanted.to_vec(), true)));
    }
    drop(theirs);
    let end = recv_from_with(&ours, &mut buf, NONE, |bytes, _| bytes.len());
    assert_eq!(end, Io::Ready(0));
}

#[test]
fn recv_from_with_after_a_reset_fails() {
    let (ours, theirs) = tcp_pair();
    common::reset(theirs);
    wait_to_read(&ours);
    let mut buf = [MaybeUninit::uninit(); 3];
    let answer = recv_from_with(&ours, &mut buf, NONE, |_, _| ());
    assert_eq!(answer, Io::Err(Errno::CONNRESET));
}

#[test]
fn recv_from_a_named_and_from_an_unnamed_unix_sender_tells_them_apart() {
    let (ours, address, directory) = named();
    let path = directory.path().join("sender");
    let sender = UnixDatagram::bind(&path).unwrap();
    assert_eq!(send_to(&sender, b"named", SEND, &address), Io::Ready(5));
    let (n, sender) = recv_from(&ours, &mut [0; 8], NONE).ready().unwrap();
    assert_eq!(n, 5);
    let sender = SocketAddrUnix::try_from(sender.unwrap());
    assert_eq!(sender, SocketAddrUnix::new(&path));

    let sender = UnixDatagram::unbound().unwrap();
    assert_eq!(send_to(&sender, b"unnamed", SEND, &address), Io::Ready(7));
    let (n, sender) = recv_from(&ours, &mut [0; 8], NONE).ready().unwrap();
    assert_eq!(n, 7);
    // Elsewhere it may be an address without a name.
    assert!(!habits().errnos_of_linux || sender.is_none());
}

#[test]
#[cfg(target_os = "linux")]
fn recv_from_a_sender_with_the_longest_name_is_ready() {
    // It fills sun_path, so that no NUL fits behind it.
    let (ours, address, directory) = named();
    let mut path = directory.path().join("x").into_os_string();
    while path.len() < 108 {
        path.push("x");
    }
    let sender = UnixDatagram::unbound().unwrap();
    rustix::net::bind(&sender, &SocketAddrUnix::new(path).unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(send_to(&sender, b"hello", SEND, &address), Io::Ready(5));
    }
    let (n, sender) = recv_from(&ours, &mut [0; 8], NONE).ready().unwrap();
    assert!(n == 5 && sender.is_some());
    let mut buf = [0; 8];
    let message = recv_msg(&ours, &mut [IoSliceMut::new(&mut buf)], NONE);
    let message = message.ready().unwrap();
    assert!(message.bytes == 5 && message.address.is_some());
}

#[test]
fn recv_from_a_connected_stream_gives_the_bytes() {
    let (ours, mut theirs) = tcp_pair();
    theirs.write_all(b"hello").unwrap();
    wait_to_read(&ours);
    let (n, sender) = recv_from(&ours, &mut [0; 8], NONE).ready().unwrap();
    assert_eq!(n, 5);
    assert!(!habits().errnos_of_linux || sender.is_none());
    drop(theirs);
    wait_to_read(&ours);
    let (n, _) = recv_from(&ours, &mut [0; 8], NONE).ready().unwrap();
    assert_eq!(n, 0, "the end");
}

#[test]
fn recv_from_with_bits_that_are_not_ours_drops_them() {
    // MSG_TRUNC on Linux would report the datagram's length, beyond the buffer.
    let flags = RecvFlags::from_bits_retain(0x20);
    let (ours, theirs) = datagram_pair();
    for _ in 0..2 {
        assert_eq!(theirs.send(b"hello", SEND), Io::Ready(5));
    }
    let (n, _) = recv_from(&ours, &mut [0; 2], flags).ready().unwrap();
    assert_eq!(n, 2);
    let mut buf = [0; 2];
    let message = recv_msg(&ours, &mut [IoSliceMut::new(&mut buf)], flags);
    assert_eq!(message.ready().unwrap().bytes, 2);
}

#[test]
fn send_to_reaches_the_address_and_no_other() {
    let (ours, address) = udp();
    let (other, other_address) = udp();
    let (theirs, _) = udp();
    assert_eq!(send_to(&theirs, b"hello", SEND, &address), Io::Ready(5));
    let any = SocketAddrAny::from(other_address);
    assert_eq!(send_to(&theirs, b"you", SEND, &any), Io::Ready(3));
    let sent = send_to(&theirs, b"you too", SEND, &other_address);
    assert_eq!(sent, Io::Ready(7));
    let mut buf = [0; 8];
    for (receiver, expected) in [(&ours, "hello"), (&other, "you"), (&other, "you too")] {
        wait_to_read(receiver);
        let n = receiver.recv(&mut buf, NONE).ready().unwrap();
        assert_eq!(&buf[..n], expected.as_bytes());
        // Those for the other must not be here.
        let more = receiver.recv(&mut buf, RecvFlags::PEEK);
        assert_eq!(more.is_would_block(), expected != "you", "{expected}");
    }
}

#[test]
fn send_to_without_a_receiver_fails() {
    let (receiver, address, directory) = named();
    drop(receiver);
    let ours = NonBlocking::new(UnixDatagram::unbound().unwrap()).unwrap();
    let missing = SocketAddrUnix::new(directory.path().join("missing")).unwrap();
    let answers = [
        send_to(&ours, b"?", SEND, &address),
        send_to(&ours, b"?", SEND, &missing),
    ];
    let expected = [Errno::CONNREFUSED, Errno::NOENT];
    assert_eq!(answers, expected.map(Io::Err));
    for errno in expected {
        assert_eq!(Op::SendToUnix.outcome(errno), Outcome::Failed);
    }
}

#[test]
fn send_to_of_too_large_a_datagram_fails_and_sends_nothing() {
    let (receiver, address) = udp();
    let (ours, _) = udp();
    let large = vec![0; 70_000];
    let answer = send_to(&ours, &large, SEND, &address);
    assert_eq!(answer, Io::Err(Errno::MSGSIZE));
    assert_eq!(send_to(&ours, b"small", SEND, &address), Io::Ready(5));
    wait_to_read(&receiver);
    let (n, _) = recv_from(&receiver, &mut [0; 8], NONE).ready().unwrap();
    assert_eq!(n, 5);
}

#[test]
#[cfg(target_os = "linux")]
fn send_to_a_full_unix_receiver_is_no_would_block_and_says_back_off() {
    type Send<'a> = &'a dyn Fn(&NonBlocking<UnixDatagram>) -> Io;
    let (receiver, address, _directory) = named();
    let any = SocketAddrAny::from(address.clone());
    let forms: [Send<'_>; 2] = [&|ours| send_to(ours, b"one", SEND, &address), &|ours| {
        send_to(ours, b"one", SEND, &any)
    }];
    let ours = NonBlocking::new(UnixDatagram::unbound().unwrap()).unwrap();
    for form in forms {
        let answer = loop {
            match form(&ours) {
                Io::Ready(n) => assert_eq!(n, 3),
                answer => break answer,
            }
        };
        assert_eq!(answer, Io::Err(Errno::AGAIN));
        assert_eq!(Op::SendToUnix.outcome(Errno::AGAIN), Outcome::BackOff);
        // Whoever waited for room would spin.
        let readiness = ready(&ours, Interest::WRITABLE).ready().unwrap();
        assert!(readiness.is_writable());
    }
    assert!(receiver.recv(&mut [0; 8], NONE).is_ready());
    assert_eq!(send_to(&ours, b"one", SEND, &address), Io::Ready(3));
}

/// The receiver's queue has room; it is the sender's own buffer that has none.
#[test]
#[cfg(target_os = "linux")]
fn r_sendto_with_ones_own_buffer_full_would_block_and_the_event_comes() {
    let (receiver, address, _directory) = named();
    let ours = NonBlocking::new(UnixDatagram::unbound().unwrap()).unwrap();
    let large = vec![7; 60_000];
    let answer = loop {
        match send_to(&ours, &large, SEND, &address) {
            Io::Ready(n) => assert_eq!(n, large.len()),
            answer => break answer,
        }
    };
    assert_eq!(answer, Io::WouldBlock);
    assert!(ready(&ours, Interest::WRITABLE).is_would_block());
    while receiver.recv(&mut [0; 8], NONE).is_ready() {}
    assert!(common::wait_for(&ours, Interest::WRITABLE).is_writable());
}

/// How the socket polls says nothing about an error that has nothing to do with room.
#[test]
#[cfg(target_os = "linux")]
fn send_to_nobody_while_the_socket_is_not_writable_fails() {
    let (_receiver, address, directory) = named();
    let ours = NonBlocking::new(UnixDatagram::unbound().unwrap()).unwrap();
    while ready(&ours, Interest::WRITABLE).is_ready() {
        assert!(send_to(&ours, &[7; 20_000], SEND, &address).is_ready());
    }
    let nobody = SocketAddrUnix::new(directory.path().join("nobody")).unwrap();
    assert_eq!(send_to(&ours, b"!", SEND, &nobody), Io::Err(Errno::NOENT));
}

/// Linux ignores the address there, so it is an ordinary send.
#[test]
#[cfg(target_os = "linux")]
fn send_to_an_address_from_a_full_seqpacket_would_block() {
    use wouldblock::{AddressFamily, SocketType, socketpair};
    let (_receiver, address, _directory) = named();
    for size in [1, 60_000] {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, None);
        let (ours, theirs) = pair.unwrap();
        let record = vec![7; size];
        while send_to(&ours, &record, SEND, &address).is_ready() {}
        let answer = send_to(&ours, &record, SEND, &address);
        assert_eq!(answer, Io::WouldBlock, "{size}");
        assert!(ready(&ours, Interest::WRITABLE).is_would_block());
        while wouldblock::recv(&theirs, &mut [0; 8], NONE).is_ready() {}
        assert!(common::wait_for(&ours, Interest::WRITABLE).is_writable());
    }
}

/// A netlink message waits in its receiver's queue, and the sender polls as writable.
#[test]
#[cfg(wouldblock_has = "receiver_queue_families")]
fn send_to_a_full_netlink_receiver_is_no_would_block_and_says_back_off() {
    use rustix::net::netlink::{self, SocketAddrNetlink};
    use wouldblock::{AddressFamily, SocketType, socket};
    let open = || {
        let family = AddressFamily::NETLINK;
        let fd = socket(family, SocketType::DGRAM, Some(netlink::USERSOCK)).unwrap();
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0)).unwrap();
        fd
    };
    let (ours, theirs) = (open(), open());
    let address: SocketAddrAny = rustix::net::getsockname(&theirs).unwrap();
    let message = [7; 1024];
    let answer = loop {
        match send_to(&ours, &message, SEND, &address) {
            Io::Ready(n) => assert_eq!(n, message.len()),
            answer => break answer,
        }
    };
    assert_eq!(answer, Io::Err(Errno::AGAIN));
    assert_eq!(Op::SendToUnix.outcome(Errno::AGAIN), Outcome::BackOff);
    assert!(ready(&ours, Interest::WRITABLE).is_ready());
    while wouldblock::recv(&theirs, &mut [0; 1024], NONE).is_ready() {}
    assert_eq!(send_to(&ours, &message, SEND, &address), Io::Ready(1024));
}

/// A connected TCP socket takes an address along, and can be filled.
#[test]
#[cfg(target_os = "linux")]
fn send_to_an_internet_address_from_a_full_socket_would_block() {
    let (ours, _theirs) = tcp_pair();
    let address = ours.peer_addr().unwrap();
    common::fill(|buf| send_to(&ours, buf, SEND, &address));
    assert!(ready(&ours, Interest::WRITABLE).is_would_block());
}

#[test]
fn recv_msg_with_nothing_there_would_block() {
    let mut buf = [0; 8];
    let bufs = &mut [IoSliceMut::new(&mut buf)];
    assert!(recv_msg(datagram_pair().0, bufs, NONE).is_would_block());
    let mut room = room::<2>();
    let (ours, _theirs) = stream_pair();
    assert!(recv_fds(&ours, bufs, &mut room, NONE).is_would_block());
    assert!(room.iter().all(Option::is_none));
}

#[test]
fn recv_msg_of_a_datagram_says_whether_it_was_cut_off() {
    let (ours, theirs) = datagram_pair();
    for (sent, expected) in [
        ("", (0, false)),
        ("short", (5, false)),
        ("headbody", (8, false)),
        ("headbody!", (8, true)),
    ] {
        assert_eq!(theirs.send(sent.as_bytes(), SEND), Io::Ready(sent.len()));
        let (mut head, mut body) = ([0; 4], [0; 4]);
        let bufs = &mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
        let message = recv_msg(&ours, bufs, NONE).ready().unwrap();
        assert_eq!((message.bytes, message.truncated), expected, "{sent}");
        assert_eq!((message.descriptors, message.descriptors_lost), (0, false));
        let both = [head, body].concat();
        assert_eq!(&both[..message.bytes], &sent.as_bytes()[..message.bytes]);
    }
    let mut buf = [0; 8];
    let bufs = &mut [IoSliceMut::new(&mut buf)];
    assert!(
        recv_msg(&ours, bufs, NONE).is_would_block(),
        "the rest is lost"
    );
}

/// Whatever keeps messages, and an end of it that sends them.
fn keepers_of_messages() -> [(OwnedFd, OwnedFd); 3] {
    let pair = |kind| socketpair(AddressFamily::UNIX, kind, None).unwrap();
    let (ours, address) = udp();
    let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
    theirs.connect(address).unwrap();
    let ours = ours.into_inner().into();
    let all = [
        pair(SocketType::DGRAM),
        pair(SocketType::SEQPACKET),
        (ours, theirs.into()),
    ];
    for (ours, _) in &all {
        set_nonblocking(ours, true).unwrap();
    }
    all
}

#[test]
fn recv_msg_of_a_cut_message_tells_its_length_to_a_peek_alone() {
    let told = HOST.peek_tells_length.then_some(7);
    for (ours, theirs) in keepers_of_messages() {
        assert_eq!(wouldblock::send(&theirs, b"message", SEND), Io::Ready(7));
        wait_to_read(&ours);
        let mut buf = [0; 8];
        let mut length = |room: usize, flags| {
            let bufs = &mut [IoSliceMut::new(&mut buf[..room])];
            let message = recv_msg(&ours, bufs, flags).ready().unwrap();
            assert_eq!((message.bytes, message.truncated), (room.min(7), room < 7));
            message.length
        };
        for room in [0, 1, 6] {
            assert_eq!(length(room, RecvFlags::PEEK), told, "{room}");
        }
        assert_eq!(length(7, RecvFlags::PEEK), Some(7));
        assert_eq!(length(8, RecvFlags::PEEK), Some(7));
        // The rest is lost, and how long the next one is says nothing.
        let next = b"the next message";
        assert_eq!(wouldblock::send(&theirs, next, SEND), Io::Ready(16));
        assert_eq!(length(3, NONE), None);
    }
}

#[test]
fn recv_msg_of_a_stream_knows_the_length_of_what_came() {
    let (ours, theirs) = stream_pair();
    let (tcp, peer) = tcp_pair();
    set_nonblocking(&tcp, true).unwrap();
    assert_eq!(theirs.send(b"hello", SEND), Io::Ready(5));
    assert_eq!(wouldblock::send(&peer, b"hello", SEND), Io::Ready(5));
    wait_to_read(&tcp);
    for fd in [ours.as_fd(), tcp.as_fd()] {
        for flags in [RecvFlags::PEEK, NONE] {
            let mut buf = [0; 3];
            let bufs = &mut [IoSliceMut::new(&mut buf)];
            let message = recv_msg(fd, bufs, flags).ready().unwrap();
            assert_eq!((message.length, message.truncated), (Some(3), false));
            assert_eq!(&buf, b"hel", "{flags:?}");
        }
        assert_eq!(wouldblock::recv(fd, &mut [0; 8], NONE), Io::Ready(2));
    }
}

#[test]
fn recv_msg_of_a_stream_is_never_cut_off_and_ends_with_zero() {
    let (ours, theirs) = stream_pair();
    assert_eq!(theirs.send(b"hello", SEND), Io::Ready(5));
    let mut buf = [0; 3];
    for expected in [3, 2] {
        let bufs = &mut [IoSliceMut::new(&mut buf)];
        let message = recv_msg(&ours, bufs, NONE).ready().unwrap();
        assert_eq!((message.bytes, message.truncated), (expected, false));
    }
    drop(theirs);
    let message = recv_msg(&ours, &mut [IoSliceMut::new(&mut buf)], NONE);
    assert_eq!(message.ready().unwrap().bytes, 0);
}

#[test]
fn recv_msg_names_the_sender() {
    let (ours, address) = udp();
    let (theirs, their_address) = udp();
    assert_eq!(send_to(&theirs, b"hello", SEND, &address), Io::Ready(5));
    wait_to_read(&ours);
    let mut buf = [0; 8];
    let message = recv_msg(&ours, &mut [IoSliceMut::new(&mut buf)], NONE);
    let message = message.ready().unwrap();
    assert_eq!(message.bytes, 5);
    let sender = SocketAddr::try_from(message.address.unwrap());
    assert_eq!(sender, Ok(their_address));
}

#[test]
fn recv_msg_after_a_reset_fails() {
    let (ours, theirs) = tcp_pair();
    common::reset(theirs);
    wait_to_read(&ours);
    let mut buf = [0; 8];
    let bufs = &mut [IoSliceMut::new(&mut buf)];
    let answer = recv_msg(&ours, bufs, NONE);
    assert_eq!(answer.err(), Some(Errno::CONNRESET));
}

#[test]
fn send_msg_sends_the_buffers_as_one() {
    let bufs = [
        IoSlice::new(b"head"),
        IoSlice::new(b""),
        IoSlice::new(b"body"),
    ];
    let mut buf = [0; 16];
    let (ours, theirs) = datagram_pair();
    assert_eq!(send_msg(&ours, &bufs, SEND), Io::Ready(8));
    assert_eq!(theirs.recv(&mut buf, NONE), Io::Ready(8));
    assert_eq!(&buf[..8], b"headbody");
    let nothing = [IoSlice::new(b"")];
    let none = usize::from(!habits().no_buffers_are_taken);
    assert_eq!(send_msg(&ours, &nothing[..none], SEND), Io::Ready(0));
    assert_eq!(theirs.recv(&mut buf, NONE), Io::Ready(0));
    let (ours, theirs) = stream_pair();
    assert_eq!(send_msg(&ours, &bufs, SEND), Io::Ready(8));
    assert_eq!(theirs.recv(&mut buf, NONE), Io::Ready(8));
}

#[test]
fn send_msg_until_full_would_block() {
    let (ours, theirs) = stream_pair();
    let sent = common::fill(|buf| {
        let (one, other) = buf.split_at(buf.len() / 2);
        send_msg(&ours, &[IoSlice::new(one), IoSlice::new(other)], SEND)
    });
    assert!(ready(&ours, Interest::WRITABLE).is_would_block());
    read_exactly(theirs.get_ref(), sent);
    assert_eq!(
        send_msg(&ours, &[IoSlice::new(b"more")], SEND),
        Io::Ready(4)
    );
}

/// As many as the kernel takes in one call, and one more.
const MOST: usize = HOST.iov_max;
const TOO_MANY: usize = MOST + 1;

#[test]
fn send_msg_of_too_many_buffers_on_a_stream_takes_the_first() {
    let bufs = [IoSlice::new(b"x"); TOO_MANY];
    let (ours, theirs) = stream_pair();
    assert_eq!(send_msg(&ours, &bufs, SEND), Io::Ready(MOST));
    assert_eq!(send_msg(&ours, &bufs[..MOST], SEND), Io::Ready(MOST));
    assert_eq!(theirs.recv(&mut [0; 2 * MOST], NONE), Io::Ready(2 * MOST));
}

#[test]
fn send_msg_of_too_many_buffers_on_a_datagram_socket_fails_and_sends_nothing() {
    if !habits().iov_max_is_the_kernels {
        return println!("skipped: the kernel may take more buffers");
    }
    let bufs = [IoSlice::new(b"x"); TOO_MANY];
    let (ours, theirs) = datagram_pair();
    assert_eq!(send_msg(&ours, &bufs, SEND), Io::Err(Errno::MSGSIZE));
    assert_eq!(Op::Send.outcome(Errno::MSGSIZE), Outcome::Failed);
    assert_eq!(theirs.recv(&mut [0; 8], NONE), Io::WouldBlock);
    assert_eq!(send_msg(&ours, &bufs[..MOST], SEND), Io::Ready(MOST));
}

#[test]
fn recv_msg_into_too_many_buffers_uses_the_first_on_a_stream_alone() {
    let mut storage = [0; TOO_MANY];
    let mut bufs: Vec<_> = storage.chunks_mut(1).map(IoSliceMut::new).collect();
    let (ours, theirs) = stream_pair();
    assert_eq!(theirs.send(&[b'x'; TOO_MANY], SEND), Io::Ready(TOO_MANY));
    let message = recv_msg(&ours, &mut bufs, NONE).ready().unwrap();
    assert_eq!((message.bytes, message.truncated), (MOST, false));
    assert_eq!(ours.recv(&mut [0; 8], NONE), Io::Ready(1));

    if !habits().iov_max_is_the_kernels {
        return println!("skipped: the kernel may take more buffers");
    }
    let (ours, theirs) = datagram_pair();
    assert_eq!(theirs.send(b"kept", SEND), Io::Ready(4));
    let answer = recv_msg(&ours, &mut bufs, NONE);
    assert_eq!(answer.err(), Some(Errno::MSGSIZE));
    assert_eq!(ours.recv(&mut [0; 8], NONE), Io::Ready(4));
}

#[test]
fn every_message_operation_on_what_is_no_socket_fails() {
    let (reader, writer) = pipe();
    let mut buf = [0; 8];
    let mut into = [IoSliceMut::new(&mut buf)];
    let from = [IoSlice::new(b"?"); TOO_MANY];
    let (_, address) = udp();
    // A system may look at the number of buffers first.
    let n = if habits().errnos_of_linux {
        TOO_MANY
    } else {
        1
    };
    let answers = [
        recv_from(&reader, &mut [0; 8], NONE).err(),
        recv_from_with(&reader, &mut [MaybeUninit::uninit(); 8], NONE, |_, _| ()).err(),
        recv_msg(&reader, &mut into, NONE).err(),
        recv_fds_with(&reader, &mut into, NONE, drop).err(),
        recv_fds(&reader, &mut into, &mut room::<1>(), NONE).err(),
        send_to(&writer, b"?", SEND, &address).err(),
        send_msg(&writer, &from[..1], SEND).err(),
        send_msg(&writer, &from[..n], SEND).err(),
        send_fds(&writer, &from[..1], [writer.as_fd()], SEND).err(),
    ];
    assert_eq!(answers, [Some(Errno::NOTSOCK); 9]);
}

/// Sends one byte with the descriptors.
#[track_caller]
fn pass(socket: impl AsFd, descriptors: &[BorrowedFd<'_>]) {
    let answer = send_fds(
        socket,
        &[IoSlice::new(b"!")],
        descriptors.iter().copied(),
        SEND,
    );
    assert_eq!(answer, Io::Ready(1));
}

/// Receives a byte and descriptors into `room`: how many, and whether some were
/// lost.
#[track_caller]
fn take(socket: impl AsFd, room: &mut [Option<OwnedFd>]) -> (usize, bool) {
    let mut byte = [0];
    let message = recv_fds(socket, &mut [IoSliceMut::new(&mut byte)], room, NONE);
    let message = message.ready().unwrap();
    assert_eq!((message.bytes, byte), (1, *b"!"));
    (message.descriptors, message.descriptors_lost)
}

#[test]
fn send_fds_passes_the_same_files_in_order_and_keeps_the_senders_open() {
    let files = [(); 3].map(|()| tempfile::tempfile().unwrap());
    let sent = files.each_ref().map(File::as_fd);
    let (ours, theirs) = stream_pair();
    let (ours_too, theirs_too) = datagram_pair();
    let mut received = [room::<4>(), room::<4>()];
    pass(&theirs, &sent);
    assert_eq!(take(&ours, &mut received[0]), (3, false));
    pass(&theirs_too, &sent);
    assert_eq!(take(&ours_too, &mut received[1]), (3, false));
    for received in received {
        assert!(received[3].is_none());
        for (fd, file) in received.iter().flatten().zip(&files) {
            assert_same_file(fd, file);
            assert_eq!(fcntl_getfd(fd), Ok(FdFlags::CLOEXEC));
        }
    }
    for mut file in files {
        file.write_all(b"still open").unwrap();
    }
}

#[test]
fn send_fds_without_descriptors_is_send_msg() {
    let (ours, theirs) = stream_pair();
    pass(&theirs, &[]);
    let mut room = room::<1>();
    assert_eq!(take(&ours, &mut room), (0, false));
    assert!(room[0].is_none());
}

#[test]
fn send_fds_with_an_empty_datagram_passes_them() {
    let (ours, theirs) = datagram_pair();
    let file = tempfile::tempfile().unwrap();
    let (nothing, mut nowhere) = ([IoSlice::new(b"")], [IoSliceMut::new(&mut [])]);
    let none = usize::from(!habits().no_buffers_are_taken);
    let answer = send_fds(&theirs, &nothing[..none], [file.as_fd()], SEND);
    assert_eq!(answer, Io::Ready(0));
    let mut room = room::<1>();
    let message = recv_fds(&ours, &mut nowhere[..none], &mut room, NONE);
    let message = message.ready().unwrap();
    assert_eq!((message.bytes, message.descriptors), (0, 1));
    assert_same_file(room[0].as_ref().unwrap(), &file);
}

#[test]
fn send_fds_of_the_most_descriptors_passes_and_of_one_more_sends_nothing() {
    let (ours, theirs) = stream_pair();
    let (reader, _writer) = pipe();
    let many = vec![reader.as_fd(); 254];
    let answer = send_fds(&theirs, &[IoSlice::new(b"?")], many.iter().copied(), SEND);
    assert_eq!(answer, Io::Err(Errno::INVAL));
    assert_eq!(Op::Send.outcome(Errno::INVAL), Outcome::Failed);
    assert_eq!(ours.recv(&mut [0; 8], NONE), Io::WouldBlock);
    let mut room = room::<254>();
    pass(&theirs, &many[..253]);
    assert_eq!(take(&ours, &mut room), (253, false));
    assert!(room[253].is_none());
    for fd in room.iter().flatten() {
        assert_same_file(fd, &reader);
    }
    let mut rest = self::room::<254>();
    assert_eq!(theirs.send(b"!", SEND), Io::Ready(1));
    assert_eq!(take(&ours, &mut rest), (0, false));
}

#[test]
fn send_fds_partly_taken_passes_them_once() {
    let (ours, theirs) = stream_pair();
    let file = tempfile::tempfile().unwrap();
    let large = vec![b'!'; 16 << 20];
    let sent = send_fds(&theirs, &[IoSlice::new(&large)], [file.as_fd()], SEND);
    let sent = sent.ready().unwrap();
    assert!(0 < sent && sent < large.len());
    let mut room = room::<2>();
    assert_eq!(take(&ours, &mut room), (1, false));
    assert_same_file(room[0].as_ref().unwrap(), &file);
    let mut arrived = 1;
    while arrived < sent {
        let mut buf = [0; 65536];
        let mut more = self::room::<2>();
        let bufs = &mut [IoSliceMut::new(&mut buf)];
        let message = recv_fds(&ours, bufs, &mut more, NONE).ready().unwrap();
        assert_eq!((message.descriptors, message.descriptors_lost), (0, false));
        arrived += message.bytes;
    }
    assert_eq!(arrived, sent);
    assert_eq!(send_msg(&theirs, &[IoSlice::new(b"!")], SEND), Io::Ready(1));
    assert_eq!(take(&ours, &mut self::room::<2>()), (0, false));
}

#[test]
fn send_fds_that_would_block_passes_nothing() {
    let (ours, theirs) = stream_pair();
    let sent = common::fill(|buf| theirs.send(buf, SEND));
    let (reader, writer) = pipe();
    let answer = send_fds(&theirs, &[IoSlice::new(b"!")], [writer.as_fd()], SEND);
    // NetBSD's number is that of a message that never fits.
    let refused = answer == Io::Err(Errno::MSGSIZE) && !habits().full_stream_takes_rights_later;
    assert!(answer.is_would_block() || refused, "{answer:?}");
    drop(writer);
    // The pipe ends: nobody else holds the end to write to.
    assert_ends(&reader);
    let mut arrived = 0;
    while let Io::Ready(n) = ours.recv(&mut [0; 65536], NONE) {
        arrived += n;
    }
    assert_eq!(arrived, sent);
}

#[test]
fn send_fds_to_a_peer_that_is_gone_fails() {
    let (ours, theirs) = stream_pair();
    drop(theirs);
    let answer = send_fds(&ours, &[IoSlice::new(b"?")], [ours.as_fd()], SEND);
    assert_eq!(answer, Io::Err(Errno::PIPE));
}

#[test]
fn send_fds_with_too_many_buffers_takes_the_first_and_passes_them() {
    let (ours, theirs) = stream_pair();
    let file = tempfile::tempfile().unwrap();
    let bufs = [IoSlice::new(b"!"); TOO_MANY];
    let answer = send_fds(&theirs, &bufs, [file.as_fd()], SEND);
    assert_eq!(answer, Io::Ready(MOST));
    assert_eq!(take(&ours, &mut room::<1>()), (1, false));
}

#[test]
fn recv_fds_with_hands_over_each_in_order_and_close_on_exec() {
    let files = [(); 3].map(|()| tempfile::tempfile().unwrap());
    for kind in [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET] {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, None).unwrap();
        let sent = VecDeque::from_iter(files.iter().map(File::as_fd));
        let answer = send_fds(&theirs, &[IoSlice::new(b"!")], sent, SEND);
        assert_eq!(answer, Io::Ready(1), "{kind:?}");
        assert_eq!(wouldblock::send(&theirs, b"?", SEND), Io::Ready(1));
        let mut given = 0;
        for (text, count) in [(b"!", 3), (b"?", 0)] {
            let mut byte = [0];
            let bufs = &mut [IoSliceMut::new(&mut byte)];
            let message = recv_fds_with(&ours, bufs, NONE, |fd| {
                assert_eq!(fcntl_getfd(&fd), Ok(FdFlags::CLOEXEC));
                assert_same_file(fd, &files[given]);
                given += 1;
            });
            let message = message.ready().unwrap();
            assert_eq!((message.bytes, message.descriptors), (1, count));
            assert_eq!(
                (message.descriptors_lost, message.lost_because),
                (false, None)
            );
            assert_eq!((given, &byte), (3, text));
        }
    }
}

#[test]
fn recv_fds_with_a_peek_gives_duplicates_and_leaves_them() {
    let (ours, theirs) = stream_pair();
    let file = tempfile::tempfile().unwrap();
    pass(&theirs, &[file.as_fd()]);
    let given = |flags| {
        let (mut byte, mut given) = ([0], 0);
        let bufs = &mut [IoSliceMut::new(&mut byte)];
        let message = recv_fds_with(&ours, bufs, flags, |fd| {
            assert_same_file(fd, &file);
            given += 1;
        });
        assert!(!message.ready().unwrap().descriptors_lost);
        given
    };
    let duplicates = usize::from(HOST.peek_rights);
    assert_eq!(given(RecvFlags::PEEK), duplicates);
    assert_eq!(given(RecvFlags::PEEK), duplicates);
    assert_eq!(given(NONE), 1);
}

/// Extension headers of IPv6 come with the bytes, where they are asked for, and may be
/// longer than what there is room for.
#[test]
#[cfg(target_os = "linux")]
fn recv_fds_with_control_data_cut_says_lost_and_no_reason() {
    #![allow(unsafe_code, reason = "rustix lacks the option")]
    let (ours, theirs) = match [(); 2].map(|()| UdpSocket::bind("[::1]:0")) {
        [Ok(ours), Ok(theirs)] => (NonBlocking::new(ours).unwrap(), theirs),
        _ => return println!("skipped: no IPv6 here"),
    };
    common::set_option(&ours, libc::IPPROTO_IPV6, libc::IPV6_RECVDSTOPTS, 1);
    // Next header, length in units of 8 after the first, options that mean nothing.
    let mut options = vec![0, 254];
    for length in [255_u8, 255, 255, 255, 255, 255, 255, 237] {
        options.extend([0x1e, length]);
        options.resize(options.len() + usize::from(length), 0);
    }
    assert_eq!(options.len(), 255 * 8);
    // SAFETY: the option's value is as long as is said.
    let done = unsafe {
        libc::setsockopt(
            theirs.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_DSTOPTS,
            options.as_ptr().cast(),
            255 * 8,
        )
    };
    if done != 0 {
        return println!("skipped: may not send them");
    }
    theirs
        .send_to(b"!", ours.get_ref().local_addr().unwrap())
        .unwrap();
    wait_to_read(&ours);
    let mut byte = [0];
    let bufs = &mut [IoSliceMut::new(&mut byte)];
    let message = recv_fds_with(&ours, bufs, NONE, |_| unreachable!("none was sent"));
    let message = message.ready().unwrap();
    assert_eq!((message.bytes, message.truncated), (1, false));
    assert_eq!(
        (message.descriptors_lost, message.lost_because),
        (true, None)
    );
}

#[test]
fn recv_fds_replaces_and_drops_what_stood_in_the_storage() {
    let (ours, theirs) = stream_pair();
    let (reader, writer) = pipe();
    let (kept_reader, kept_writer) = pipe();
    let file = tempfile::tempfile().unwrap();
    let mut room = [Some(OwnedFd::from(writer)), Some(kept_writer.into())];
    pass(&theirs, &[file.as_fd()]);
    assert_eq!(take(&ours, &mut room), (1, false));
    assert_same_file(room[0].as_ref().unwrap(), &file);
    assert_ends(&reader);
    // What no descriptor came for stays.
    let kept = room[1].as_ref().unwrap();
    assert_eq!(wouldblock::write(kept, b"kept"), Io::Ready(4));
    assert_eq!(read_exactly(&kept_reader, 4), b"kept");
}

#[test]
fn recv_fds_of_more_than_there_is_room_for_closes_the_rest_and_says_so() {
    for places in 0..=3 {
        let (ours, theirs) = stream_pair();
        let pipes = [(); 3].map(|()| pipe());
        pass(&theirs, &pipes.each_ref().map(|(_, writer)| writer.as_fd()));
        let mut room = room::<3>();
        let taken = take(&ours, &mut room[..places]);
        assert_eq!(taken, (places, places < 3));
        for (i, (reader, writer)) in pipes.into_iter().enumerate() {
            drop(writer);
            match room[i].take() {
                Some(fd) => {
                    assert!(i < places);
                    assert_eq!(wouldblock::write(fd, b"open"), Io::Ready(4));
                    assert_eq!(read_exactly(&reader, 4), b"open");
                }
                None => assert!(i >= places),
            }
            assert_ends(&reader);
        }
    }
}

#[test]
fn recv_msg_closes_the_descriptors_and_says_so() {
    let (ours, theirs) = datagram_pair();
    let (reader, writer) = pipe();
    pass(&theirs, &[writer.as_fd()]);
    drop(writer);
    let mut byte = [0];
    let message = recv_msg(&ours, &mut [IoSliceMut::new(&mut byte)], NONE);
    let message = message.ready().unwrap();
    assert_eq!((message.descriptors, message.descriptors_lost), (0, true));
    assert!(!message.truncated);
    assert_ends(&reader);
}

#[test]
fn recv_of_bytes_that_carry_descriptors_closes_them() {
    let (ours, theirs) = stream_pair();
    let (reader, writer) = pipe();
    pass(&theirs, &[writer.as_fd()]);
    drop(writer);
    assert_eq!(ours.recv(&mut [0; 8], NONE), Io::Ready(1));
    assert_ends(&reader);
}

#[test]
#[cfg(target_os = "linux")]
fn recv_fds_beside_credentials_gives_as_many_as_without() {
    let (ours, theirs) = stream_pair();
    rustix::net::sockopt::set_socket_passcred(&ours, true).unwrap();
    let many = vec![theirs.as_fd(); 253];
    pass(&theirs, &many);
    assert_eq!(take(&ours, &mut room::<253>()), (253, false));
}

#[test]
#[cfg(target_os = "linux")]
fn recv_msg_from_a_sender_with_the_longest_name_can_be_shown() {
    let (ours, address, directory) = named();
    let mut path = directory.path().join("x").into_os_string();
    while path.len() < 108 {
        path.push("x");
    }
    let sender = UnixDatagram::unbound().unwrap();
    rustix::net::bind(&sender, &SocketAddrUnix::new(path).unwrap()).unwrap();
    assert_eq!(send_to(&sender, b"hello", SEND, &address), Io::Ready(5));
    let mut buf = [0; 8];
    let message = recv_msg(&ours, &mut [IoSliceMut::new(&mut buf)], NONE);
    assert!(format!("{message:?}").contains("bytes: 5"));
}
