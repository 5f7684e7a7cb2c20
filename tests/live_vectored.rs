//! Several buffers at once, and the forms that go on until they would block, on
//! real sockets and pipes.

mod common;

use std::io::{IoSlice, IoSliceMut, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use common::{DEADLINE, fill, habits::habits, pipe, read_exactly, ready, tcp_pair, wait_for};
use rustix::net::sockopt::set_socket_send_buffer_size;
use wouldblock::platform::HOST;
use wouldblock::{
    Errno, Interest, Io, NonBlocking, RecvFlags, SendFlags, readv, recv, send_all, set_nonblocking,
    write, write_all, writev,
};

const SEND: SendFlags = SendFlags::empty();

fn stream_pair() -> (NonBlocking<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (NonBlocking::new(ours).unwrap(), theirs)
}

/// A TCP connection that holds little, however much the kernel would give it.
fn narrow_tcp_pair() -> (TcpStream, TcpStream) {
    let (ours, theirs) = tcp_pair();
    set_socket_send_buffer_size(&ours, 1 << 16).unwrap();
    (ours, theirs)
}

#[test]
fn readv_fills_one_buffer_after_the_other() {
    let (reader, writer) = wouldblock::pipe().unwrap();
    assert_eq!(write(&writer, b"headbody!"), Io::Ready(9));
    let (mut head, mut body, mut rest) = ([0; 4], [0; 4], [0; 4]);
    let bufs = &mut [
        IoSliceMut::new(&mut head),
        IoSliceMut::new(&mut []),
        IoSliceMut::new(&mut body),
    ];
    assert_eq!(readv(&reader, bufs), Io::Ready(8));
    assert_eq!((&head, &body), (b"head", b"body"));
    assert_eq!(
        readv(&reader, &mut [IoSliceMut::new(&mut rest)]),
        Io::Ready(1)
    );
    assert_eq!(&rest, b"!\0\0\0");
}

#[test]
fn readv_with_nothing_there_would_block_and_ends_with_the_writer() {
    let (reader, writer) = pipe();
    let reader = NonBlocking::new(reader).unwrap();
    let mut buf = [0; 8];
    let bufs = &mut [IoSliceMut::new(&mut buf)];
    assert_eq!(readv(&reader, bufs), Io::WouldBlock);
    drop(writer);
    assert_eq!(readv(&reader, bufs), Io::Ready(0));
    let (ours, _theirs) = stream_pair();
    assert_eq!(readv(&ours, bufs), Io::WouldBlock);
    // Where there is another direction, it would wait for bytes from it.
    if habits().pipes_have_one_direction {
        assert_eq!(readv(&pipe().1, bufs), Io::Err(Errno::BADF));
    }
}

#[test]
fn writev_takes_one_buffer_after_the_other() {
    let bufs = [
        IoSlice::new(b"head"),
        IoSlice::new(b""),
        IoSlice::new(b"body"),
    ];
    let (reader, writer) = wouldblock::pipe().unwrap();
    assert_eq!(writev(&writer, &bufs), Io::Ready(8));
    let mut buf = [0; 16];
    assert_eq!(wouldblock::read(&reader, &mut buf), Io::Ready(8));
    assert_eq!(&buf[..8], b"headbody");
    if habits().pipes_have_one_direction {
        assert_eq!(writev(&reader, &bufs), Io::Err(Errno::BADF));
    }
}

#[test]
fn writev_until_full_would_block_and_loses_nothing() {
    let (ours, theirs) = stream_pair();
    let sent = fill(|buf| {
        let (one, other) = buf.split_at(100);
        writev(&ours, &[IoSlice::new(one), IoSlice::new(other)])
    });
    assert!(ready(&ours, Interest::WRITABLE).is_would_block());
    read_exactly(&theirs, sent);
    assert_eq!(writev(&ours, &[IoSlice::new(b"more")]), Io::Ready(4));
    assert_eq!(read_exactly(&theirs, 4), b"more");
}

#[test]
fn readv_and_writev_of_too_many_buffers_use_the_first() {
    const MOST: usize = HOST.iov_max;
    let (reader, writer) = wouldblock::pipe().unwrap();
    let bufs = [IoSlice::new(b"x"); MOST + 6];
    assert_eq!(writev(&writer, &bufs), Io::Ready(MOST));
    assert_eq!(writev(&writer, &bufs[..10]), Io::Ready(10));
    let mut storage = [0; MOST + 6];
    let mut bufs: Vec<_> = storage.chunks_mut(1).map(IoSliceMut::new).collect();
    assert_eq!(readv(&reader, &mut bufs), Io::Ready(MOST));
    assert_eq!(readv(&reader, &mut bufs[..4]), Io::Ready(4));
    assert_eq!(readv(&reader, &mut bufs), Io::Ready(6));
    assert_eq!(readv(&reader, &mut bufs), Io::WouldBlock);
    assert_eq!(storage[..MOST], [b'x'; MOST]);
    assert_eq!(storage[MOST..], [0; 6]);
}

/// What keeps messages whole: both ends of it.
#[cfg(target_os = "linux")]
fn message_keepers() -> [(OwnedFd, OwnedFd); 2] {
    use wouldblock::{AddressFamily, SocketType, socketpair};
    let pair = |kind| socketpair(AddressFamily::UNIX, kind, None).unwrap();
    [SocketType::DGRAM, SocketType::SEQPACKET].map(pair)
}

/// More buffers than the system takes, on what keeps messages: its refusal, and no
/// message is cut.
#[test]
#[cfg(target_os = "linux")]
fn writev_of_too_many_buffers_for_one_message_is_refused() {
    if !habits().iov_max_is_the_kernels {
        return println!("skipped: the kernel may take more buffers");
    }
    let mut keepers = Vec::from(message_keepers());
    if HOST.packet_pipes {
        let packets = rustix::pipe::PipeFlags::DIRECT | rustix::pipe::PipeFlags::NONBLOCK;
        let (reader, writer) = rustix::pipe::pipe_with(packets).unwrap();
        keepers.push((writer, reader));
    }
    for (ours, theirs) in keepers {
        let bufs = [IoSlice::new(b"x"); 1025];
        assert_eq!(writev(&ours, &bufs), Io::Err(Errno::INVAL));
        assert_eq!(wouldblock::read(&theirs, &mut [0; 8]), Io::WouldBlock);
        assert_eq!(writev(&ours, &bufs[1..]), Io::Ready(1024));
        let mut buf = [0; 1025];
        assert_eq!(wouldblock::read(&theirs, &mut buf), Io::Ready(1024));
    }
}

/// But for a pipe, whose reader cannot know the mode.
#[test]
#[cfg(target_os = "linux")]
fn readv_of_a_message_into_too_many_buffers_is_refused_and_loses_nothing() {
    if !habits().iov_max_is_the_kernels {
        return println!("skipped: the kernel may take more buffers");
    }
    for (ours, theirs) in message_keepers() {
        assert_eq!(write(&ours, &[b'x'; 1025]), Io::Ready(1025));
        let mut storage = [0; 1025];
        let mut bufs: Vec<_> = storage.chunks_mut(1).map(IoSliceMut::new).collect();
        assert_eq!(readv(&theirs, &mut bufs), Io::Err(Errno::INVAL));
        let mut buf = [0; 1026];
        assert_eq!(wouldblock::read(&theirs, &mut buf), Io::Ready(1025));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn readv_and_writev_without_bytes_are_ready_with_zero() {
    let (reader, writer) = wouldblock::pipe().unwrap();
    assert_eq!(writev(&writer, &[]), Io::Ready(0));
    assert_eq!(writev(&writer, &[IoSlice::new(b""); 2]), Io::Ready(0));
    assert_eq!(readv(&reader, &mut []), Io::Ready(0));
    let bufs = &mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])];
    assert_eq!(readv(&reader, bufs), Io::Ready(0));
    let (ours, _theirs) = stream_pair();
    assert_eq!(writev(&ours, &[]), Io::Ready(0));
    assert_eq!(readv(&ours, &mut []), Io::Ready(0));
}

#[test]
fn every_all_form_of_nothing_is_ready() {
    let (ours, theirs) = stream_pair();
    assert_eq!(ours.send_all(&mut &[][..], SEND), Io::Ready(()));
    assert_eq!(ours.write_all(&mut &[][..]), Io::Ready(()));
    let dont_wait = RecvFlags::DONTWAIT;
    assert_eq!(recv(&theirs, &mut [0; 8], dont_wait), Io::WouldBlock);
}

/// Bytes of which no two places look alike.
fn page() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut page = Vec::with_capacity(8 << 20);
    while page.len() < 8 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        page.extend(state.to_ne_bytes());
    }
    page
}

/// Sends by `go_on`, which answers and says how much is left, to a slow reader
/// that starts when the first call would block.
#[track_caller]
fn deliver<W: AsFd>(
    writer: W,
    mut reader: impl Read + Send + 'static,
    page: &[u8],
    mut go_on: impl FnMut(&W) -> (Io<()>, usize),
) {
    let (start, started) = mpsc::channel();
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || {
        started.recv().unwrap();
        let mut arrived = Vec::new();
        let mut bite = [0; 4099];
        loop {
            match reader.read(&mut bite).unwrap() {
                0 => break,
                n => arrived.extend_from_slice(&bite[..n]),
            }
        }
        done.send(arrived).unwrap();
    });
    let mut left = page.len();
    let mut waits = 0;
    loop {
        let (answer, now) = go_on(&writer);
        assert!(now <= left, "{now} left after {left}");
        left = now;
        match answer {
            Io::Ready(()) => break,
            Io::WouldBlock => assert!(left > 0),
            Io::Err(errno) => panic!("{errno}"),
        }
        waits += 1;
        start.send(()).unwrap_or_default();
        assert!(wait_for(&writer, Interest::WRITABLE).is_writable());
    }
    assert_eq!(left, 0);
    assert!(waits > 0, "it never would have blocked");
    drop(writer);
    let arrived = result.recv_timeout(DEADLINE).unwrap();
    assert_eq!(arrived.len(), page.len());
    assert!(arrived == page, "not the bytes that were sent");
}

#[test]
fn send_all_to_a_slow_reader_delivers_everything_once_and_in_order() {
    let page = page();
    let mut rest = &page[..];
    let (ours, theirs) = stream_pair();
    deliver(ours, theirs, &page, |ours| {
        (send_all(ours, &mut rest, SEND), rest.len())
    });
    let mut rest = &page[..];
    let (ours, theirs) = narrow_tcp_pair();
    deliver(ours, theirs, &page, |ours| {
        (send_all(ours, &mut rest, SEND), rest.len())
    });
}

#[test]
fn write_all_to_a_slow_reader_delivers_everything_once_and_in_order() {
    let page = page();
    let mut rest = &page[..];
    let (reader, writer) = pipe();
    set_nonblocking(&writer, true).unwrap();
    deliver(writer, reader, &page, |writer| {
        (write_all(writer, &mut rest), rest.len())
    });
}

/// Fills by `go_on`, ends the reader in the middle, and asks that what is left be
/// the end of the page, the same after the error as before.
#[track_caller]
fn break_off(
    writer: OwnedFd,
    mut reader: impl Read + AsFd,
    page: &[u8],
    mut go_on: impl FnMut(&OwnedFd) -> (Io<()>, Vec<u8>),
) {
    let (answer, left) = go_on(&writer);
    assert_eq!(answer, Io::WouldBlock);
    assert!(!left.is_empty() && left.len() < page.len());
    assert!(page.ends_with(&left), "not the rest");
    let arrived = read_exactly(&mut reader, page.len() - left.len());
    assert!(page.starts_with(&arrived), "not what was taken");
    drop(reader);
    for _ in 0..2 {
        let (answer, still) = go_on(&writer);
        assert_eq!(answer, Io::Err(Errno::PIPE));
        assert!(still == left, "the rest moved");
    }
}

#[test]
fn every_all_form_that_fails_in_the_middle_leaves_the_rest() {
    let page = page();
    let sockets = || {
        let (ours, theirs) = stream_pair();
        (OwnedFd::from(ours.into_inner()), theirs)
    };
    let pipes = || {
        let (reader, writer) = pipe();
        set_nonblocking(&writer, true).unwrap();
        (OwnedFd::from(writer), reader)
    };

    let mut rest = &page[..];
    let (ours, theirs) = sockets();
    break_off(ours, theirs, &page, |ours| {
        (send_all(ours, &mut rest, SEND), rest.to_vec())
    });
    let mut rest = &page[..];
    let (writer, reader) = pipes();
    break_off(writer, reader, &page, |writer| {
        (write_all(writer, &mut rest), rest.to_vec())
    });
}
