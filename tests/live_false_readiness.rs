//! Where the kernel's readiness lies: it is not followed by progress, or it does
//! not come although there would be progress. Each test shows that the case
//! exists on the kernel at hand, because the waits are built to survive it.

#![cfg(target_os = "linux")]
mod common;

use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use common::{only_port, pipe, ready, set_option, tcp_pair, wait_for};
use wouldblock::{
    AddressFamily, Errno, Interest, Io, NonBlocking, Op, Outcome, RecvFlags, SendFlags, SocketType,
    read, recv, send, send_to, set_nonblocking, socket, write,
};

#[test]
fn false_readiness_a_datagram_socket_shut_down_for_reading_polls_readable_for_ever() {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&ours, true).unwrap();
    ours.connect(ours.local_addr().unwrap()).unwrap();
    rustix::net::shutdown(&ours, rustix::net::Shutdown::Read).unwrap();
    for _ in 0..3 {
        assert!(wait_for(&ours, Interest::READABLE).is_readable());
        assert_eq!(recv(&ours, &mut [0; 8], RecvFlags::empty()), Io::WouldBlock);
    }
}

#[test]
fn false_readiness_an_undrained_error_queue_keeps_the_error_up() {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&ours, true).unwrap();
    // With IP_RECVERR, a refused datagram leaves an entry in the error queue
    // besides the pending error that the next call takes.
    set_option(&ours, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    ours.connect(nobody.local_addr().unwrap()).unwrap();
    drop(nobody);
    send(&ours, b"?", SendFlags::empty()).ready().unwrap();
    assert!(wait_for(&ours, Interest::READABLE).is_error());
    let mut answers = (0..4).map(|_| recv(&ours, &mut [0; 8], RecvFlags::empty()));
    assert_eq!(answers.next(), Some(Io::Err(Errno::CONNREFUSED)));
    assert_eq!(answers.next(), Some(Io::WouldBlock));
    let readiness = wait_for(&ours, Interest::READABLE);
    assert!(
        readiness.is_error() && readiness.is_readable(),
        "{readiness:?}"
    );
    assert_eq!(answers.next(), Some(Io::WouldBlock));
}

/// Nothing tells that nobody is left who could send.
#[test]
fn false_readiness_a_datagram_socket_whose_peer_closes_polls_as_not_readable() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    // A program that starts meanwhile would keep it open for a moment.
    let none_starts = common::STARTS.read();
    drop(theirs);
    drop(none_starts);
    assert_eq!(ready(&ours, Interest::READABLE), Io::WouldBlock);
    assert_eq!(recv(&ours, &mut [0; 8], RecvFlags::empty()), Io::WouldBlock);
    let sent = send(&ours, b"!", SendFlags::empty());
    assert!(sent.is_err(), "{sent:?}");
}

#[test]
fn false_readiness_a_peek_offset_past_the_data_polls_readable() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_option(&ours, libc::SOL_SOCKET, libc::SO_PEEK_OFF, 0);
    theirs.write_all(b"all").unwrap();
    assert_eq!(recv(&ours, &mut [0; 8], RecvFlags::PEEK), Io::Ready(3));
    assert!(wait_for(&ours, Interest::READABLE).is_readable());
    assert_eq!(recv(&ours, &mut [0; 8], RecvFlags::PEEK), Io::WouldBlock);
}

#[test]
fn false_readiness_a_one_page_pipe_with_room_polls_as_not_writable() {
    let (reader, writer) = pipe();
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    let writer = NonBlocking::new(writer).unwrap();
    let reader = NonBlocking::new(reader).unwrap();
    assert_eq!(writer.write(&[0; 100]), Io::Ready(100));
    // It takes more, and says that it does not.
    assert_eq!(ready(&writer, Interest::WRITABLE), Io::WouldBlock);
    assert_eq!(writer.write(&[0; 100]), Io::Ready(100));
    assert_eq!(reader.read(&mut [0; 512]), Io::Ready(200));
}

#[test]
fn false_readiness_a_datagram_to_a_full_named_queue_polls_writable() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("socket");
    let theirs = UnixDatagram::bind(&name).unwrap();
    let ours = UnixDatagram::unbound().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let errno = loop {
        match ours.send_to(b"one", &name) {
            Ok(_) => {}
            Err(error) => break Errno::from_io_error(&error).unwrap(),
        }
    };
    assert_eq!(errno, Errno::AGAIN);
    assert!(wait_for(&ours, Interest::WRITABLE).is_writable());
    assert_eq!(Op::SendToUnix.outcome(errno), Outcome::BackOff);
    drop(theirs);
}

#[test]
fn false_readiness_a_netlink_sender_of_a_full_receiver_polls_writable() {
    #![allow(unsafe_code, reason = "rustix lacks what binds a netlink socket")]
    let open = || {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointer is passed, and the descriptor is new.
        unsafe {
            let fd = libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_USERSOCK);
            (fd != -1).then(|| OwnedFd::from_raw_fd(fd))
        }
    };
    let (Some(ours), Some(theirs)) = (open(), open()) else {
        return println!("skipped: no netlink between processes here");
    };
    set_option(&theirs, libc::SOL_SOCKET, libc::SO_RCVBUF, 1);
    // SAFETY: all zeros is a valid `sockaddr_nl`, which asks for any number; the calls read
    // and fill it, and are given its size.
    unsafe {
        let mut address: libc::sockaddr_nl = std::mem::zeroed();
        address.nl_family = libc::AF_NETLINK.try_into().unwrap();
        let mut size = size_of_val(&address).try_into().unwrap();
        let fd = theirs.as_raw_fd();
        assert_eq!(libc::bind(fd, (&raw const address).cast(), size), 0);
        let named = libc::getsockname(fd, (&raw mut address).cast(), &mut size);
        assert_eq!(named, 0);
        let fd = ours.as_raw_fd();
        assert_eq!(libc::connect(fd, (&raw const address).cast(), size), 0);
    }
    let flags = SendFlags::empty();
    while send(&ours, &[0; 1024], flags).is_ready() {}
    for _ in 0..3 {
        assert_eq!(send(&ours, &[0; 1024], flags), Io::WouldBlock);
        assert!(wait_for(&ours, Interest::WRITABLE).is_writable());
    }
    while recv(&theirs, &mut [0; 1024], RecvFlags::empty()).is_ready() {}
    assert_eq!(send(&ours, &[0; 1024], flags), Io::Ready(1024));
}

#[test]
fn false_readiness_an_eventfd_with_too_little_room_polls_writable() {
    use rustix::event::{EventfdFlags, eventfd};
    let counter = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    // The most that it holds is one less than the most of a u64.
    let most = (u64::MAX - 3).to_ne_bytes();
    assert_eq!(write(&counter, &most), Io::Ready(8));
    for _ in 0..3 {
        assert_eq!(write(&counter, &5_u64.to_ne_bytes()), Io::WouldBlock);
        assert!(wait_for(&counter, Interest::WRITABLE).is_writable());
    }
    assert_eq!(write(&counter, &1_u64.to_ne_bytes()), Io::Ready(8));
    assert_eq!(read(&counter, &mut [0; 8]), Io::Ready(8));
    assert_eq!(write(&counter, &5_u64.to_ne_bytes()), Io::Ready(8));
}

#[test]
fn false_readiness_a_datagram_socket_without_a_local_port_polls_writable() {
    let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = theirs.local_addr().unwrap();
    // When a port is given up, somebody else may take it.
    for _ in 0..64 {
        let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let ours = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        if !only_port(&ours, port) {
            return;
        }
        let send = || send_to(&ours, b"hello", SendFlags::empty(), &address);
        for _ in 0..3 {
            assert_eq!(send(), Io::WouldBlock);
            assert!(wait_for(&ours, Interest::WRITABLE).is_writable());
        }
        // Whoever binds first is told so.
        let refused = rustix::net::bind(&ours, &std::net::SocketAddr::from(([0; 4], port)));
        assert_eq!(refused, Err(Errno::ADDRINUSE));
        drop(taken);
        match send() {
            Io::WouldBlock => {}
            answer => return assert_eq!(answer, Io::Ready(5)),
        }
    }
    panic!("somebody else took every port");
}

#[test]
fn false_readiness_a_stream_below_its_low_water_mark_polls_as_not_readable() {
    let (ours, mut theirs) = tcp_pair();
    set_option(&ours, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 10);
    theirs.write_all(b"hello").unwrap();
    // A peek says when it has come.
    let mut buf = [0; 16];
    let end = std::time::Instant::now() + common::DEADLINE;
    while recv(&ours, &mut buf, RecvFlags::PEEK) != Io::Ready(5) {
        assert!(std::time::Instant::now() < end, "it never came");
    }
    assert_eq!(ready(&ours, Interest::READABLE), Io::WouldBlock);
    assert_eq!(recv(&ours, &mut buf, RecvFlags::empty()), Io::Ready(5));
    theirs.write_all(b"hello hello").unwrap();
    assert!(wait_for(&ours, Interest::READABLE).is_readable());

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    set_option(&ours, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 10);
    theirs.write_all(b"hello").unwrap();
    let readiness = ready(&ours, Interest::READABLE).ready().unwrap();
    assert!(readiness.is_readable(), "{readiness:?}");
}
