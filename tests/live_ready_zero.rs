//! The six meanings of `Ready(0)`, and that the loop of `Io`'s documentation spins on
//! none of them.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use common::{DEADLINE, pipe, ready, wait_for};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use wouldblock::{
    AddressFamily, Deadline, Errno, Interest, Io, Readiness, RecvFlags, SendFlags, SocketType,
    read, recv, send, set_nonblocking, socketpair, until, write,
};

const SEND: SendFlags = SendFlags::empty();

/// The loop of `Io`'s documentation, to the letter, but that it counts its turns.
fn read_to_end(
    fd: impl AsFd,
    is_end: fn(Readiness) -> bool,
    mut take: impl FnMut(&[u8]),
    turns: &mut usize,
) -> Result<(), Errno> {
    let mut buf = [0; 4096];
    loop {
        *turns += 1;
        let wait = until(&fd, Deadline::never()).ready(Interest::READABLE);
        let Some(readiness) = wait.into_result()? else {
            continue; // Only a deadline that passes says so.
        };
        match read(&fd, &mut buf) {
            Io::Ready(0) if is_end(readiness) => return Ok(()),
            Io::Ready(n) => take(&buf[..n]),
            Io::WouldBlock => {}
            Io::Err(errno) => return Err(errno),
        }
    }
}

fn stream(_: Readiness) -> bool {
    true
}

fn datagram(_: Readiness) -> bool {
    false
}

fn terminal(readiness: Readiness) -> bool {
    readiness.is_hang_up()
}

fn seqpacket(readiness: Readiness) -> bool {
    let cannot_tell = wouldblock::platform::HOST.pollrdhup == 0;
    cannot_tell || readiness.is_read_closed() || readiness.is_hang_up()
}

/// What the loop takes, and at its end how many turns it took.
enum Event {
    Took(Vec<u8>),
    Ended(Result<usize, Errno>),
}

struct Reader(Receiver<Event>);

impl Reader {
    fn start(fd: impl AsFd + Send + 'static, is_end: fn(Readiness) -> bool) -> Self {
        let (tell, events) = mpsc::channel();
        thread::spawn(move || {
            let mut turns = 0;
            let take = |bytes: &[u8]| tell.send(Event::Took(bytes.into())).unwrap();
            let ended = read_to_end(fd, is_end, take, &mut turns);
            tell.send(Event::Ended(ended.map(|()| turns)))
        });
        Self(events)
    }

    #[track_caller]
    fn takes(&self, bytes: &[u8]) {
        match self.0.recv_timeout(DEADLINE) {
            Ok(Event::Took(taken)) => assert_eq!(taken, bytes),
            Ok(Event::Ended(ended)) => panic!("the end: {ended:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    fn ends_after(&self, turns: usize) {
        match self.0.recv_timeout(DEADLINE) {
            Ok(Event::Took(taken)) => panic!("took {taken:?}"),
            Ok(Event::Ended(ended)) => assert_eq!(ended, Ok(turns)),
            Err(error) => panic!("{error}"),
        }
    }

    /// The reader may meet the other side in the middle of its end: that is EIO.
    #[track_caller]
    fn hangs_up_after(&self, turns: usize) {
        match self.0.recv_timeout(DEADLINE) {
            Ok(Event::Took(taken)) => panic!("took {taken:?}"),
            Ok(Event::Ended(ended)) => {
                assert!([Ok(turns), Err(Errno::IO)].contains(&ended), "{ended:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, kind, None).unwrap()
}

#[test]
fn ready_zero_of_a_stream_and_of_a_pipe_is_the_end() {
    let (ours, theirs) = pair(SocketType::STREAM);
    let reader = Reader::start(ours, stream);
    assert_eq!(write(&theirs, b"one"), Io::Ready(3));
    reader.takes(b"one");
    drop(theirs);
    reader.ends_after(2);

    let (ours, mut theirs) = pipe();
    set_nonblocking(&ours, true).unwrap();
    let reader = Reader::start(ours, stream);
    theirs.write_all(b"one").unwrap();
    reader.takes(b"one");
    drop(theirs);
    reader.ends_after(2);
}

#[test]
fn ready_zero_of_a_datagram_socket_is_an_empty_message() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let reader = Reader::start(ours, datagram);
    for bytes in [&b"one"[..], b"", b"", b"two"] {
        theirs.send(bytes).unwrap();
        reader.takes(bytes);
    }
}

#[test]
fn ready_zero_of_seqpacket_is_the_end_where_the_readiness_says_so() {
    if wouldblock::platform::HOST.pollrdhup == 0 {
        return println!("skipped: by this table, the readiness cannot say so");
    }
    let (ours, theirs) = pair(SocketType::SEQPACKET);
    let reader = Reader::start(ours, seqpacket);
    for bytes in [&b"one"[..], b"", b"", b"two"] {
        assert_eq!(send(&theirs, bytes, SEND), Io::Ready(bytes.len()));
        reader.takes(bytes);
    }
    drop(theirs);
    reader.ends_after(5);

    // An empty message just before the end, and what stands behind it.
    let (ours, theirs) = pair(SocketType::SEQPACKET);
    assert_eq!(send(&theirs, b"", SEND), Io::Ready(0));
    assert_eq!(send(&theirs, b"bye", SEND), Io::Ready(3));
    drop(theirs);
    assert!(seqpacket(wait_for(&ours, Interest::READABLE)));
    let mut buf = [0; 8];
    for answer in [0, 3, 0, 0] {
        assert_eq!(recv(&ours, &mut buf, RecvFlags::empty()), Io::Ready(answer));
    }
}

/// A FIFO that is open for reading, and its path.
fn fifo() -> (OwnedFd, std::path::PathBuf, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let reader = open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
    (reader.unwrap(), path, directory)
}

fn write_end(path: &std::path::Path) -> File {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    open(path, flags, Mode::empty()).unwrap().into()
}

#[test]
fn ready_zero_of_a_fifo_is_no_end_that_lasts() {
    let (ours, path, _directory) = fifo();
    let mut buf = [0; 8];
    // Before the first writer it is not even ready.
    assert_eq!(read(&ours, &mut buf), Io::Ready(0));
    assert_eq!(ready(&ours, Interest::READABLE), Io::WouldBlock);
    for word in [b"one", b"two"] {
        write_end(&path).write_all(word).unwrap();
        assert_eq!(read(&ours, &mut buf), Io::Ready(3));
        for _ in 0..3 {
            assert_eq!(read(&ours, &mut buf), Io::Ready(0));
            // So whoever polls it spins.
            assert!(wait_for(&ours, Interest::READABLE).is_hang_up());
        }
    }
    let keep = write_end(&path);
    assert_eq!(read(&ours, &mut buf), Io::WouldBlock);
    assert_eq!(ready(&ours, Interest::READABLE), Io::WouldBlock);
    let reader = Reader::start(ours, stream);
    for word in [b"one", b"two"] {
        write_end(&path).write_all(word).unwrap();
        reader.takes(word);
    }
    drop(keep);
    reader.ends_after(3);
}

#[test]
fn ready_zero_of_a_terminal_with_vmin_0_is_nothing_yet() {
    let (mut master, slave) = common::terminal(Some(0));
    for _ in 0..3 {
        assert_eq!(read(&slave, &mut [0; 8]), Io::Ready(0));
        assert_eq!(ready(&slave, Interest::READABLE), Io::WouldBlock);
    }
    let reader = Reader::start(slave, terminal);
    for byte in b"one" {
        master.write_all(&[*byte]).unwrap();
        reader.takes(&[*byte]);
    }
    drop(master);
    reader.hangs_up_after(4);
}

#[test]
fn ready_zero_of_a_terminal_after_ctrl_d_is_told_once() {
    let (mut master, slave) = common::terminal(None);
    let reader = Reader::start(slave, terminal);
    master.write_all(b"one\n").unwrap();
    reader.takes(b"one\n");
    for _ in 0..2 {
        master.write_all(b"\x04").unwrap();
        reader.takes(b"");
    }
    master.write_all(b"two\n").unwrap();
    reader.takes(b"two\n");
    drop(master);
    reader.hangs_up_after(5);
}

#[test]
fn read_of_a_terminal_with_a_vmin_above_what_is_typed_gives_it_unasked() {
    let (mut master, slave) = common::terminal(Some(2));
    assert_eq!(read(&slave, &mut [0; 8]), Io::WouldBlock);
    master.write_all(b"!").unwrap();
    // The terminal's input is handed on by a worker of the kernel.
    let end = std::time::Instant::now() + DEADLINE;
    while read(&slave, &mut [0; 8]) != Io::Ready(1) {
        assert!(std::time::Instant::now() < end, "it never came");
        assert_eq!(ready(&slave, Interest::READABLE), Io::WouldBlock);
    }
    master.write_all(b"!!").unwrap();
    assert!(wait_for(&slave, Interest::READABLE).is_readable());
    assert_eq!(read(&slave, &mut [0; 8]), Io::Ready(2));
}
