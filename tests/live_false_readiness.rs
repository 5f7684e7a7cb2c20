//! Where the kernel's readiness lies: it is not followed by progress, or it does
//! not come although there would be progress. Each test shows that the case
//! exists on the kernel at hand, because the waits are built to survive it.

#![cfg(target_os = "linux")]
mod common;

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};

use common::{pipe, set_option, wait_for};
use wouldblock::{
    Errno, Interest, Io, NonBlocking, Op, Outcome, RecvFlags, SendFlags, recv, send,
    set_nonblocking,
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
    assert_eq!(writer.ready(Interest::WRITABLE), Io::WouldBlock);
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
