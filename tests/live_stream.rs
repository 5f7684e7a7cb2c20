//! `recv`, `send`, `read` and `write` on real sockets and pipes.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};

use common::{fill, habits::habits, pipe, ready, reset, tcp_pair, wait_for, within_deadline};
use wouldblock::{
    Errno, Interest, Io, NonBlocking, Op, Outcome, RecvFlags, SendFlags, read, recv, recv_with,
    send, send_msg, set_nonblocking, write, writev,
};

const NONE: RecvFlags = RecvFlags::empty();

fn stream_pair() -> (NonBlocking<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (NonBlocking::new(ours).unwrap(), theirs)
}

fn read_end() -> (NonBlocking<File>, File) {
    let (reader, writer) = pipe();
    (NonBlocking::new(reader).unwrap(), writer)
}

fn write_end() -> (File, NonBlocking<File>) {
    let (reader, writer) = pipe();
    (reader, NonBlocking::new(writer).unwrap())
}

#[test]
fn recv_on_an_empty_socket_would_block() {
    let (ours, _theirs) = tcp_pair();
    assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::WouldBlock);
    let (ours, _theirs) = stream_pair();
    assert_eq!(ours.recv(&mut [0; 8], NONE), Io::WouldBlock);
}

#[test]
fn recv_of_what_arrived_is_ready_with_its_length() {
    let (ours, mut theirs) = tcp_pair();
    theirs.write_all(b"hello").unwrap();
    assert!(wait_for(&ours, Interest::READABLE).is_readable());
    let mut buf = [0; 8];
    assert_eq!(recv(&ours, &mut buf, NONE), Io::Ready(5));
    assert_eq!(&buf, b"hello\0\0\0");
    assert_eq!(recv(&ours, &mut buf, NONE), Io::WouldBlock);
}

#[test]
fn recv_with_peek_leaves_the_data() {
    let (ours, mut theirs) = stream_pair();
    theirs.write_all(b"hello").unwrap();
    let mut buf = [0; 8];
    assert_eq!(ours.recv(&mut buf, RecvFlags::PEEK), Io::Ready(5));
    assert_eq!(ours.recv(&mut buf, NONE), Io::Ready(5));
    assert_eq!(ours.recv(&mut buf, RecvFlags::PEEK), Io::WouldBlock);
}

#[test]
fn recv_with_dontwait_on_a_blocking_socket_would_block() {
    let answer = within_deadline(|| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        recv(&ours, &mut [0; 8], RecvFlags::DONTWAIT)
    });
    assert_eq!(answer, Io::WouldBlock);
}

#[test]
fn recv_with_bits_that_are_not_ours_drops_them() {
    // MSG_TRUNC on Linux would report the datagram's length, beyond the buffer.
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    theirs.send(b"hello").unwrap();
    let flags = RecvFlags::from_bits_retain(0x20);
    assert_eq!(recv(&ours, &mut [0; 2], flags), Io::Ready(2));
}

#[test]
fn recv_after_the_peer_shut_down_is_ready_with_zero_for_ever() {
    let (ours, theirs) = tcp_pair();
    theirs.shutdown(Shutdown::Write).unwrap();
    assert!(wait_for(&ours, Interest::READABLE).is_readable());
    for _ in 0..3 {
        assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::Ready(0));
    }
}

#[test]
fn recv_of_an_empty_datagram_is_ready_with_zero_and_not_the_end() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    theirs.send(b"").unwrap();
    theirs.send(b"more").unwrap();
    assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::Ready(0));
    assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::Ready(4));
    assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::WouldBlock);
}

#[test]
fn recv_after_a_reset_fails_once_and_then_ends() {
    let (ours, theirs) = tcp_pair();
    reset(theirs);
    let readiness = wait_for(&ours, Interest::READABLE);
    assert!(readiness.is_readable(), "{readiness:?}");
    assert!(
        readiness.is_error() || !habits().reset_polls_error,
        "{readiness:?}"
    );
    let answer = recv(&ours, &mut [0; 8], NONE);
    assert_eq!(answer, Io::Err(Errno::CONNRESET));
    assert_eq!(Op::Recv.outcome(Errno::CONNRESET), Outcome::Failed);
    assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::Ready(0));
}

#[test]
fn recv_on_a_refused_datagram_socket_reports_the_error_once() {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&ours, true).unwrap();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    ours.connect(nobody.local_addr().unwrap()).unwrap();
    drop(nobody);
    assert_eq!(send(&ours, b"?", SendFlags::empty()), Io::Ready(1));
    let readiness = wait_for(&ours, Interest::READABLE);
    assert!(readiness.is_readable(), "{readiness:?}");
    assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::Err(Errno::CONNREFUSED));
    assert_eq!(recv(&ours, &mut [0; 8], NONE), Io::WouldBlock);
}

#[test]
#[cfg(target_os = "linux")]
fn recv_into_an_empty_buffer_is_what_the_documentation_says() {
    let (ours, mut theirs) = stream_pair();
    assert_eq!(ours.recv(&mut [], NONE), Io::WouldBlock);
    assert_eq!(ours.read(&mut []), Io::Ready(0));
    theirs.write_all(b"kept").unwrap();
    assert_eq!(ours.recv(&mut [], NONE), Io::Ready(0));
    assert_eq!(ours.recv(&mut [0; 8], NONE), Io::Ready(4));
}

#[test]
#[cfg(target_os = "linux")]
fn recv_from_a_peer_that_left_our_bytes_unread_is_reset_once() {
    let (ours, theirs) = stream_pair();
    assert_eq!(ours.send(b"unread", SendFlags::empty()), Io::Ready(6));
    drop(theirs);
    assert_eq!(ours.recv(&mut [0; 8], NONE), Io::Err(Errno::CONNRESET));
    assert_eq!(ours.recv(&mut [0; 8], NONE), Io::Ready(0));
}

#[test]
fn recv_with_uninitialised_memory_hands_out_what_arrived() {
    let (ours, mut theirs) = stream_pair();
    let mut buf = [MaybeUninit::uninit(); 64];
    let mut called = false;
    let answer = recv_with(&ours, &mut buf, NONE, |_| called = true);
    assert_eq!(answer, Io::WouldBlock);
    assert!(!called, "nothing arrived");
    theirs.write_all(b"hello").unwrap();
    let answer = recv_with(&ours, &mut buf, NONE, |bytes| bytes.to_vec());
    assert_eq!(answer, Io::Ready(b"hello".to_vec()));
}

#[test]
fn read_on_an_empty_pipe_would_block_and_ends_with_the_writer() {
    let (reader, mut writer) = read_end();
    assert_eq!(reader.read(&mut [0; 8]), Io::WouldBlock);
    writer.write_all(b"last").unwrap();
    drop(writer);
    assert_eq!(reader.read(&mut [0; 8]), Io::Ready(4));
    assert_eq!(reader.read(&mut [0; 8]), Io::Ready(0));
    let readiness = wait_for(&reader, Interest::READABLE);
    assert!(
        readiness.is_readable() && readiness.is_hang_up(),
        "{readiness:?}"
    );
}

#[test]
fn send_until_full_would_block_and_writability_follows_the_reader() {
    let (ours, mut theirs) = stream_pair();
    let sent = fill(|buf| ours.send(buf, SendFlags::empty()));
    assert!(sent > 0);
    assert_eq!(ready(&ours, Interest::WRITABLE), Io::WouldBlock);
    theirs.read_exact(&mut vec![0; sent]).unwrap();
    assert!(wait_for(&ours, Interest::WRITABLE).is_writable());
    assert_eq!(ours.send(b"more", SendFlags::empty()), Io::Ready(4));
}

#[test]
fn send_of_more_than_fits_is_partly_taken() {
    let (ours, theirs) = stream_pair();
    let large = vec![1; 16 << 20];
    let n = ours.send(&large, SendFlags::empty()).ready().unwrap();
    assert!(0 < n && n < large.len());
    drop(theirs);
}

#[test]
fn send_to_a_full_datagram_queue_would_block() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let answer = loop {
        match send(&ours, b"one", SendFlags::empty()) {
            Io::Ready(n) => assert_eq!(n, 3),
            other => break other,
        }
    };
    // What the BSDs answer instead is in the recorded traces: ENOBUFS.
    #[cfg(target_os = "linux")]
    assert_eq!(answer, Io::WouldBlock);
    if answer == Io::WouldBlock {
        assert_eq!(ready(&ours, Interest::WRITABLE), Io::WouldBlock);
        // All of it: how much must go before the queue counts as writable is the
        // kernel's affair.
        set_nonblocking(&theirs, true).unwrap();
        while recv(&theirs, &mut [0; 8], NONE).is_ready() {}
        assert!(wait_for(&ours, Interest::WRITABLE).is_writable());
    }
}

#[test]
fn send_of_too_large_a_datagram_fails_and_sends_nothing() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let answer = send(&ours, &vec![0; 64 << 20], SendFlags::empty());
    assert_eq!(answer, Io::Err(Errno::MSGSIZE));
    assert_eq!(recv(&theirs, &mut [0; 8], NONE), Io::WouldBlock);
}

#[test]
fn write_to_a_full_pipe_would_block_and_loses_nothing() {
    let (mut reader, writer) = write_end();
    let written = fill(|buf| writer.write(buf));
    assert_eq!(ready(&writer, Interest::WRITABLE), Io::WouldBlock);
    reader.read_exact(&mut vec![0; written]).unwrap();
    assert_eq!(writer.write(b"more"), Io::Ready(4));
    let mut buf = [0; 8];
    assert_eq!(reader.read(&mut buf).unwrap(), 4);
    assert_eq!(&buf[..4], b"more");
}

#[test]
fn write_to_a_pipe_without_a_reader_fails() {
    let (reader, writer) = write_end();
    drop(reader);
    assert_eq!(writer.write(b"?"), Io::Err(Errno::PIPE));
}

#[test]
#[cfg(target_os = "linux")]
fn send_while_a_connect_is_in_progress_would_block() {
    let pending = common::pending_connect();
    let pending = &pending.socket;
    assert_eq!(send(pending, b"?", SendFlags::empty()), Io::WouldBlock);
    assert_eq!(recv(pending, &mut [0; 8], NONE), Io::WouldBlock);
}

#[test]
fn send_to_a_peer_that_is_gone_fails_with_epipe() {
    let (ours, theirs) = stream_pair();
    drop(theirs);
    assert_eq!(ours.send(b"?", SendFlags::empty()), Io::Err(Errno::PIPE));
}

#[test]
fn every_operation_on_the_wrong_kind_of_descriptor_fails_and_names_it() {
    let (reader, writer) = pipe();
    assert_eq!(recv(&reader, &mut [0; 8], NONE), Io::Err(Errno::NOTSOCK));
    assert_eq!(
        send(&writer, b"?", SendFlags::empty()),
        Io::Err(Errno::NOTSOCK)
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&listener, true).unwrap();
    assert_eq!(recv(&listener, &mut [0; 8], NONE), Io::Err(Errno::NOTCONN));
    // Where there is another direction, the second of these would wait for bytes from it.
    if habits().pipes_have_one_direction {
        assert_eq!(write(&reader, b"?"), Io::Err(Errno::BADF));
        assert_eq!(read(&writer, &mut [0; 8]), Io::Err(Errno::BADF));
    }
    // Some file systems let their directories be read.
    let directory = std::fs::File::open("/").unwrap();
    let answer = read(&directory, &mut [0; 8]);
    let is_directory = answer == Io::Err(Errno::ISDIR);
    assert!(
        is_directory || answer.is_ready() && !habits().errnos_of_linux,
        "{answer:?}"
    );
}

#[test]
#[cfg(target_pointer_width = "64")]
fn more_than_four_gib_asked_for_in_one_call_is_partly_done() {
    const LENGTH: usize = 5 << 30;
    let mut room = Vec::<u8>::new();
    if let Err(error) = room.try_reserve_exact(LENGTH) {
        println!("skipped: {error}");
        return;
    }
    let (ours, mut theirs) = stream_pair();
    theirs.write_all(b"hello").unwrap();
    let answer = recv_with(&ours, room.spare_capacity_mut(), NONE, |bytes| {
        bytes.to_vec()
    });
    assert_eq!(answer, Io::Ready(b"hello".to_vec()));
    drop(room);

    // Pages that nobody writes to take no memory.
    let zeros = vec![0; LENGTH];
    let bufs = [std::io::IoSlice::new(&zeros)];
    type Call<'a> = &'a dyn Fn(&NonBlocking<UnixStream>) -> Io;
    let calls: [Call<'_>; 4] = [
        &|ours| ours.send(&zeros, SendFlags::empty()),
        &|ours| ours.write(&zeros),
        &|ours| send_msg(ours, &bufs, SendFlags::empty()),
        &|ours| writev(ours, &bufs),
    ];
    for call in calls {
        let (ours, theirs) = stream_pair();
        let n = call(&ours).ready().unwrap();
        assert!(0 < n && n < LENGTH, "{n}");
        drop(ours);
        let arrived = std::io::copy(&mut &theirs, &mut std::io::sink()).unwrap();
        assert_eq!(arrived, n as u64);
    }
}
