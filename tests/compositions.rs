//! Programs, not parts: each wait with each operation that the documentation pairs it
//! with, beside the same by hand on rustix: system calls, throughput, processor time.

#![cfg(all(target_os = "linux", target_pointer_width = "64", feature = "std"))]
#![allow(unsafe_code, reason = "seccomp has no safe interface")]
#![allow(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "addresses of 64 bits, and a request whose type differs"
)]

mod common;
#[allow(dead_code, reason = "a part of it is used here")]
#[path = "faults/kernel.rs"]
mod kernel;

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, thread_cpu_time, traced};
use kernel::{Answer, Call, answered, is_available};
use rustix::event::{PollFd, PollFlags, Timespec};
use wouldblock::platform::HOST;
use wouldblock::{
    At, Deadline, Errno, Inline, Interest, Io, IoSliceMut, Op, PollSet, RecvFlags, Retry,
    SendFlags, SocketAddrUnix, readv, recv, send, send_all, set_nonblocking, until, write,
};

const IN: RecvFlags = RecvFlags::empty();
const OUT: SendFlags = SendFlags::empty();
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn soon() -> Deadline {
    Deadline::after(DEADLINE)
}

/// Whether there is time for the larger sizes, and for each peer on each transport.
fn is_full() -> bool {
    std::env::var_os("WOULDBLOCK_FULL").is_some()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Unix,
    Tcp,
    Pipe,
}

impl Kind {
    /// A writing end and a reading end.
    fn pair(self) -> (OwnedFd, OwnedFd) {
        match self {
            Self::Unix => {
                let (ours, theirs) = UnixStream::pair().unwrap();
                (ours.into(), theirs.into())
            }
            Self::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                ours.set_nodelay(true).unwrap();
                (ours.into(), listener.accept().unwrap().0.into())
            }
            Self::Pipe => {
                let (reader, writer) = rustix::pipe::pipe().unwrap();
                (writer, reader)
            }
        }
    }
}

/// Whoever is at the other end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    Fast,
    Slow,
    Stuttering,
}

const PEERS: [Peer; 3] = [Peer::Fast, Peer::Slow, Peer::Stuttering];

impl Peer {
    /// How much it takes or gives at a time.
    fn amount(self, turn: usize) -> usize {
        match self {
            Self::Fast => MIB,
            Self::Slow => 4 * KIB,
            Self::Stuttering => [1, 200_000, 300, 64 * KIB, 17, 2 * KIB][turn % 6],
        }
    }

    /// How much that is most often, or fits into a buffer.
    fn typical(self) -> usize {
        match self {
            Self::Fast => 64 * KIB,
            Self::Slow | Self::Stuttering => 4 * KIB,
        }
    }

    /// How long it then does nothing.
    fn pause(self, turn: usize) -> Duration {
        match self {
            Self::Fast => Duration::ZERO,
            Self::Slow => Duration::from_micros(20),
            Self::Stuttering => Duration::from_millis(u64::from(turn % 6 == 5)),
        }
    }

    fn size(self) -> usize {
        let size = match self {
            Self::Fast => 2 * MIB,
            Self::Slow => 256 * KIB,
            Self::Stuttering => MIB,
        };
        if is_full() { 16 * size } else { size }
    }
}

// ---- by hand ----

/// poll, as somebody does who has only rustix. With a time, as all waits here have one:
/// the kernel's timer is a fifth of what a short wait takes of a processor.
fn wait_by_hand(fd: &OwnedFd, flags: PollFlags) {
    let mut fds = [PollFd::new(fd, flags)];
    let most = Timespec::try_from(DEADLINE).unwrap();
    loop {
        match rustix::event::poll(&mut fds, Some(&most)) {
            Ok(0) => panic!("poll: nothing in {DEADLINE:?}"),
            Ok(_) => return,
            Err(Errno::INTR) => {}
            Err(errno) => panic!("poll: {errno}"),
        }
    }
}

/// How it is done by hand.
#[derive(Clone, Copy)]
struct Hand {
    /// By `send` and `recv`, instead of `write` and `read`.
    is_socket: bool,
    /// So many bytes a call, at most.
    piece: usize,
    /// poll before each call, instead of after each that would block.
    polls_first: bool,
    /// Each piece is filled before the next begins.
    fills: bool,
}

fn put_by_hand(fd: &OwnedFd, mut rest: &[u8], hand: Hand) {
    while !rest.is_empty() {
        if hand.polls_first {
            wait_by_hand(fd, PollFlags::OUT);
        }
        let some = &rest[..hand.piece.min(rest.len())];
        let put = if hand.is_socket {
            rustix::net::send(fd, some, rustix::net::SendFlags::NOSIGNAL)
        } else {
            rustix::io::write(fd, some)
        };
        match put {
            Ok(n) => rest = &rest[n..],
            Err(Errno::AGAIN) if hand.polls_first => {}
            Err(Errno::AGAIN) => wait_by_hand(fd, PollFlags::OUT),
            Err(errno) => panic!("{errno}"),
        }
    }
}

fn take_by_hand(fd: &OwnedFd, mut left: usize, hand: Hand) {
    let mut buf = vec![0; hand.piece];
    let mut filled = 0;
    while left > 0 {
        if hand.polls_first {
            wait_by_hand(fd, PollFlags::IN);
        }
        let most = hand.piece.min(filled + left);
        let room = &mut buf[filled..most];
        let taken = if hand.is_socket {
            rustix::net::recv(fd, room, rustix::net::RecvFlags::empty()).map(|(n, _)| n)
        } else {
            rustix::io::read(fd, room)
        };
        match taken {
            Ok(0) => panic!("the end, with {left} to come"),
            Ok(n) => {
                left -= n;
                filled += n;
                if !hand.fills || filled == most {
                    filled = 0;
                }
            }
            Err(Errno::AGAIN) if hand.polls_first => {}
            Err(Errno::AGAIN) => wait_by_hand(fd, PollFlags::IN),
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// What somebody writes who needs std's `Read` and `Write`.
struct ByHand<'a>(&'a OwnedFd);

impl Read for ByHand<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(self.0, &mut *buf) {
                Err(Errno::AGAIN) => wait_by_hand(self.0, PollFlags::IN),
                other => return Ok(other?),
            }
        }
    }
}

impl Write for ByHand<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::net::send(self.0, buf, rustix::net::SendFlags::NOSIGNAL) {
                Err(Errno::AGAIN) => wait_by_hand(self.0, PollFlags::OUT),
                other => return Ok(other?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// ---- with the crate ----

struct Row<Ours> {
    name: &'static str,
    /// By `send` and `recv`, for sockets alone.
    is_socket: bool,
    piece: usize,
    polls_first: bool,
    fills: bool,
    /// The call does something and then would block, and does not tell.
    hides: bool,
    ours: Ours,
    /// The same of std on what was written by hand.
    by_hand: Option<Ours>,
}

impl<Ours> Row<Ours> {
    fn hand(&self) -> Hand {
        Hand {
            is_socket: self.is_socket,
            piece: self.piece,
            polls_first: self.polls_first,
            fills: self.fills,
        }
    }
}

/// Puts all of the bytes.
type Put = fn(&OwnedFd, &[u8]);
/// Takes so many.
type Take = fn(&OwnedFd, usize);

macro_rules! rows {
    ($of:ty: $($name:literal $($word:ident)* $(, $piece:expr)? => $ours:expr $(=> $hand:expr)?;)*) => {
        [$({
            #[allow(unused_mut, reason = "not every row differs")]
            let mut row: Row<$of> = Row {
                name: $name,
                is_socket: false,
                piece: MIB,
                polls_first: false,
                fills: false,
                hides: false,
                ours: $ours,
                by_hand: None,
            };
            $(row.$word = true;)*
            $(row.by_hand = Some($hand);)?
            $(row.piece = $piece;)?
            row
        }),*]
    };
}

impl Row<Put> {
    fn by_hand(&self, fd: &OwnedFd, data: &[u8]) {
        match self.by_hand {
            Some(by_hand) => by_hand(fd, data),
            None => put_by_hand(fd, data, self.hand()),
        }
    }
}

impl Row<Take> {
    fn by_hand(&self, fd: &OwnedFd, total: usize) {
        match self.by_hand {
            Some(by_hand) => by_hand(fd, total),
            None => take_by_hand(fd, total, self.hand()),
        }
    }
}

/// The loop of a server, for one descriptor; ends when `call` says so.
fn serve(fd: &OwnedFd, interest: Interest, mut call: impl FnMut(&mut At<'_, &OwnedFd>) -> bool) {
    let mut set: PollSet<&OwnedFd, (), Inline<1>> = PollSet::new();
    set.register(fd, interest, ()).unwrap();
    let end = soon();
    loop {
        assert!(set.select(end).is_ready());
        while let Some((key, _)) = set.next_ready() {
            let (mut at, ()) = set.get_mut(key).unwrap();
            if call(&mut at) {
                return;
            }
        }
    }
}

/// Whether all is done; fails if it cannot be.
fn is_done(answer: Io<()>) -> bool {
    assert!(!answer.is_err(), "{answer:?}");
    answer.is_ready()
}

/// What is left after a call that took some.
fn after(rest: &[u8], answer: Io) -> &[u8] {
    &rest[answer.ready().expect("some")..]
}

fn copy_from(mut data: &[u8], mut io: impl Write) {
    io::copy(&mut data, &mut io).unwrap();
}

fn write_texts(data: &[u8], mut io: impl Write) {
    for text in data.chunks(4 * KIB) {
        write!(io, "{}", std::str::from_utf8(text).unwrap()).unwrap();
    }
}

fn write_buffered(data: &[u8], io: impl Write) {
    let mut io = BufWriter::new(io);
    data.chunks(512)
        .for_each(|some| io.write_all(some).unwrap());
    io.flush().unwrap();
}

fn puts() -> Vec<Row<Put>> {
    rows! { Put:
        "until.send" is_socket => |fd, mut rest| {
            let end = soon();
            while !rest.is_empty() {
                rest = after(rest, until(fd, end).send(rest, OUT));
            }
        };
        "until.send_all" is_socket => |fd, mut rest| {
            assert_eq!(until(fd, soon()).send_all(&mut rest, OUT), Io::Ready(()));
        };
        "until.write" => |fd, mut rest| {
            let end = soon();
            while !rest.is_empty() {
                rest = after(rest, until(fd, end).write(rest));
            }
        };
        "until.write_all" => |fd, mut rest| {
            assert_eq!(until(fd, soon()).write_all(&mut rest), Io::Ready(()));
        };
        "until.retry of send" is_socket => |fd, mut rest| {
            let end = soon();
            while !rest.is_empty() {
                let sent = until(fd, end).retry(Retry::Send, |fd| send(fd, rest, OUT));
                rest = after(rest, sent);
            }
        };
        "until.retry of write" => |fd, mut rest| {
            let end = soon();
            while !rest.is_empty() {
                let written = until(fd, end).retry(Retry::Write, |fd| write(fd, rest));
                rest = after(rest, written);
            }
        };
        "until.turns of send_all" is_socket => |fd, mut rest| {
            let answer = until(fd, soon()).turns(Op::Send, |fd, turn| {
                let before = rest.len();
                let answer = send_all(fd, &mut rest, OUT);
                turn.progress = rest.len() < before;
                answer
            });
            assert_eq!(answer, Io::Ready(()));
        };
        "until.retry of send_all, which hides" is_socket hides => |fd, mut rest| {
            let answer = until(fd, soon()).retry(Retry::Send, |fd| send_all(fd, &mut rest, OUT));
            assert_eq!(answer, Io::Ready(()));
        };
        "std_io: write_all" is_socket => |fd, data| {
            until(fd, soon()).std_io().write_all(data).unwrap();
        };
        "std_io: write_all of what is no socket" => |fd, data| {
            until(fd, soon()).std_io().write_all(data).unwrap();
        };
        "std_io: io::copy" is_socket, 8 * KIB =>
            |fd, data| copy_from(data, until(fd, soon()).std_io()) =>
            |fd, data| copy_from(data, ByHand(fd));
        "std_io: write!" is_socket, 4 * KIB =>
            |fd, data| write_texts(data, until(fd, soon()).std_io()) =>
            |fd, data| write_texts(data, ByHand(fd));
        "std_io: BufWriter" is_socket, 8 * KIB =>
            |fd, data| write_buffered(data, until(fd, soon()).std_io()) =>
            |fd, data| write_buffered(data, ByHand(fd));
        "At::send" is_socket polls_first => |fd, mut rest| {
            serve(fd, Interest::WRITABLE, |at| {
                rest = &rest[some(at.send(rest, OUT))..];
                rest.is_empty()
            });
        };
        "At::write" polls_first => |fd, mut rest| {
            serve(fd, Interest::WRITABLE, |at| {
                rest = &rest[some(at.write(rest))..];
                rest.is_empty()
            });
        };
        "At::send_all" is_socket => |fd, mut rest| {
            serve(fd, Interest::WRITABLE, |at| is_done(at.send_all(&mut rest, OUT)));
        };
        "At::write_all" => |fd, mut rest| {
            serve(fd, Interest::WRITABLE, |at| is_done(at.write_all(&mut rest)));
        };
        "At::attempt of send" is_socket polls_first => |fd, mut rest| {
            serve(fd, Interest::WRITABLE, |at| {
                let sent = at.attempt(Op::Send, |fd| send(*fd, rest, OUT));
                rest = &rest[some(sent)..];
                rest.is_empty()
            });
        };
        "At::attempt of send_all, which hides" is_socket hides => |fd, mut rest| {
            serve(fd, Interest::WRITABLE, |at| {
                is_done(at.attempt(Op::Send, |fd| send_all(*fd, &mut rest, OUT)))
            });
        };
    }
    .into()
}

/// Calls until so many have come.
fn take(total: usize, mut call: impl FnMut(usize) -> usize) {
    let mut left = total;
    while left > 0 {
        left -= call(left);
    }
}

/// What a call took, in a set; none if it would have blocked.
fn some(answer: Io) -> usize {
    assert!(!answer.is_err() && answer != Io::Ready(0), "{answer:?}");
    answer.ready().unwrap_or(0)
}

/// Receives records into `buf`, of which `filled` is there, until one is whole.
fn record(buf: &mut [u8], filled: &mut usize, mut call: impl FnMut(&mut [u8]) -> Io) -> Io<()> {
    while *filled < buf.len() {
        match call(&mut buf[*filled..]) {
            Io::Ready(n) => *filled += n,
            other => return other.map(drop),
        }
    }
    *filled = 0;
    Io::Ready(())
}

const RECORD: usize = 32 * KIB;

fn read_records(total: usize, mut io: impl Read) {
    let mut buf = vec![0; RECORD];
    take(total, |left| {
        let n = RECORD.min(left);
        io.read_exact(&mut buf[..n]).unwrap();
        n
    });
}

fn read_lines(total: usize, io: impl Read) {
    let mut io = BufReader::new(io.take(total as u64));
    let mut line = Vec::new();
    take(total, |_| {
        line.clear();
        io.read_until(b'\n', &mut line).unwrap()
    });
}

fn copy_to_sink(total: usize, io: impl Read) {
    let mut io = io.take(total as u64);
    assert_eq!(io::copy(&mut io, &mut io::sink()).unwrap(), total as u64);
}

fn takes() -> Vec<Row<Take>> {
    rows! { Take:
        "until.recv" is_socket, 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![0; 64 * KIB]);
            take(total, |_| until(fd, end).recv(&mut buf, IN).ready().unwrap());
        };
        "until.recv_with" is_socket, 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![MaybeUninit::uninit(); 64 * KIB]);
            take(total, |_| {
                let got = until(fd, end).recv_with(&mut buf, IN, |bytes| bytes.len());
                got.ready().unwrap()
            });
        };
        "until.recv_from" is_socket, 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![0; 64 * KIB]);
            take(total, |_| until(fd, end).recv_from(&mut buf, IN).ready().unwrap().0);
        };
        "until.recv_msg" is_socket, 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![0; 64 * KIB]);
            take(total, |_| {
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                until(fd, end).recv_msg(bufs, IN).ready().unwrap().bytes
            });
        };
        "until.recv_fds" is_socket, 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![0; 64 * KIB]);
            take(total, |_| {
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                until(fd, end).recv_fds(bufs, &mut [None], IN).ready().unwrap().bytes
            });
        };
        "until.recv_from_with" is_socket, 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![MaybeUninit::uninit(); 64 * KIB]);
            take(total, |_| {
                let got = until(fd, end).recv_from_with(&mut buf, IN, |bytes, _| bytes.len());
                got.ready().unwrap()
            });
        };
        "until.recv_fds_with" is_socket, 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![0; 64 * KIB]);
            take(total, |_| {
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                until(fd, end).recv_fds_with(bufs, IN, drop).ready().unwrap().bytes
            });
        };
        "until.read", 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![0; 64 * KIB]);
            take(total, |_| until(fd, end).read(&mut buf).ready().unwrap());
        };
        "until.retry of readv", 64 * KIB => |fd, total| {
            let (end, mut buf) = (soon(), vec![0; 64 * KIB]);
            take(total, |_| {
                let (one, two) = buf.split_at_mut(KIB);
                let bufs = &mut [IoSliceMut::new(one), IoSliceMut::new(two)];
                until(fd, end).retry(Retry::Read, |fd| readv(fd, bufs)).ready().unwrap()
            });
        };
        "until.turns of recv, for records" is_socket fills, RECORD => |fd, total| {
            let (end, mut buf, mut filled) = (soon(), vec![0; RECORD], 0);
            take(total, |left| {
                let n = RECORD.min(left);
                let answer = until(fd, end).turns(Op::Recv, |fd, turn| {
                    let before = filled;
                    let answer = record(&mut buf[..n], &mut filled, |buf| recv(fd, buf, IN));
                    turn.progress = filled > before;
                    answer
                });
                assert_eq!(answer, Io::Ready(()));
                n
            });
        };
        "until.retry of recv, for records, which hides" is_socket fills hides, RECORD => |fd, total| {
            let (end, mut buf, mut filled) = (soon(), vec![0; RECORD], 0);
            take(total, |left| {
                let n = RECORD.min(left);
                let answer = until(fd, end).retry(Retry::Recv, |fd| {
                    record(&mut buf[..n], &mut filled, |buf| recv(fd, buf, IN))
                });
                assert_eq!(answer, Io::Ready(()));
                n
            });
        };
        "std_io: read_exact" fills, RECORD =>
            |fd, total| read_records(total, until(fd, soon()).std_io()) =>
            |fd, total| read_records(total, ByHand(fd));
        "std_io: BufReader, read_until", 8 * KIB =>
            |fd, total| read_lines(total, until(fd, soon()).std_io()) =>
            |fd, total| read_lines(total, ByHand(fd));
        "std_io: io::copy to a sink", 8 * KIB =>
            |fd, total| copy_to_sink(total, until(fd, soon()).std_io()) =>
            |fd, total| copy_to_sink(total, ByHand(fd));
        "At::recv" is_socket polls_first, 64 * KIB => |fd, total| {
            let (mut left, mut buf) = (total, vec![0; 64 * KIB]);
            serve(fd, Interest::READABLE, |at| {
                left -= some(at.recv(&mut buf, IN));
                left == 0
            });
        };
        "At::recv, until it would block" is_socket, 64 * KIB => |fd, total| {
            let (mut left, mut buf) = (total, vec![0; 64 * KIB]);
            serve(fd, Interest::READABLE, |at| {
                while left > 0 && let_some(&mut left, at.recv(&mut buf, IN)) {}
                left == 0
            });
        };
        "At::read, until it would block", 64 * KIB => |fd, total| {
            let (mut left, mut buf) = (total, vec![0; 64 * KIB]);
            serve(fd, Interest::READABLE, |at| {
                while left > 0 && let_some(&mut left, at.read(&mut buf)) {}
                left == 0
            });
        };
        "At::attempt of recv" is_socket polls_first, 64 * KIB => |fd, total| {
            let (mut left, mut buf) = (total, vec![0; 64 * KIB]);
            serve(fd, Interest::READABLE, |at| {
                left -= some(at.attempt(Op::Recv, |fd| recv(*fd, &mut buf, IN)));
                left == 0
            });
        };
        "At::attempt of recv, for records, which hides" is_socket fills hides, RECORD => |fd, total| {
            let (mut left, mut buf, mut filled) = (total, vec![0; RECORD], 0);
            serve(fd, Interest::READABLE, |at| {
                while left > 0 {
                    let n = RECORD.min(left);
                    let answer = at.attempt(Op::Recv, |fd| {
                        record(&mut buf[..n], &mut filled, |buf| recv(*fd, buf, IN))
                    });
                    if !is_done(answer) {
                        break;
                    }
                    left -= n;
                }
                left == 0
            });
        };
    }
    .into()
}

/// Takes what a call took off `left`; false if it would have blocked.
fn let_some(left: &mut usize, answer: Io) -> bool {
    let n = some(answer);
    *left -= n;
    n > 0
}

// ---- system calls, in lock step ----

/// Everything that a wait could be made of.
const CALLS: [libc::c_long; 14] = [
    libc::SYS_ppoll,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_accept4,
    libc::SYS_getsockopt,
    libc::SYS_fcntl,
];

fn polls(fd: &OwnedFd, flags: PollFlags) -> bool {
    let mut fds = [PollFd::new(fd, flags)];
    rustix::event::poll(&mut fds, Some(&Timespec::default())) == Ok(1)
}

/// The longest.
const REST: Duration = Duration::from_millis(16);

/// What was done for so many bytes.
#[derive(Clone, Copy, Debug)]
struct Cost {
    calls: usize,
    rests: usize,
}

/// Runs `body` and counts. `peer` acts when the body waits, and only then: time stands
/// still for it while the body works, so that both ways see the same peer.
fn in_lock_step(mut peer: impl FnMut(), body: impl FnOnce() + Send) -> Cost {
    let mut rests = 0;
    let kernel = |call: &Call| {
        // All deadlines are far away, so what lasts as long as a rest is one: a set polls
        // the others meanwhile.
        let time = match call.number {
            libc::SYS_ppoll => call.timeout(),
            libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Some(REST),
            _ => Some(Duration::ZERO),
        };
        rests += usize::from(time.is_some_and(|time| !time.is_zero() && time <= REST));
        if time != Some(Duration::ZERO) {
            peer();
        }
        Answer::Real
    };
    let ((), calls) = answered(&CALLS, kernel, body);
    Cost { calls, rests }
}

fn put_in_lock_step(kind: Kind, peer: Peer, body: impl FnOnce(&OwnedFd, &[u8]) + Send) -> Cost {
    let (ours, theirs) = kind.pair();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    let (data, mut turn, mut came) = (vec![b'7'; peer.size()], 0, 0);
    let mut buf = vec![0; MIB];
    let mut read = |most: usize| {
        let n = rustix::io::read(&theirs, &mut buf[..most]).unwrap_or(0);
        came += n;
        n > 0
    };
    let drain = || {
        while read(peer.amount(turn)) && !polls(&ours, PollFlags::OUT) {
            turn += 1;
        }
        turn += 1;
    };
    let cost = in_lock_step(drain, || body(&ours, &data));
    while came < data.len() {
        let mut end = [PollFd::new(&theirs, PollFlags::IN)];
        assert_eq!(
            rustix::event::poll(
                &mut end,
                Some(&Timespec {
                    tv_sec: 20,
                    tv_nsec: 0
                })
            ),
            Ok(1)
        );
        came += rustix::io::read(&theirs, &mut buf).unwrap();
    }
    assert_eq!(came, data.len());
    cost
}

fn take_in_lock_step(kind: Kind, peer: Peer, body: impl FnOnce(&OwnedFd, usize) + Send) -> Cost {
    let (theirs, ours) = kind.pair();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    let data = lines(peer.size());
    let (mut rest, mut turn) = (&data[..], 0);
    let give = || {
        while !rest.is_empty() {
            let some = &rest[..peer.amount(turn).min(rest.len())];
            turn += 1;
            rest = &rest[rustix::io::write(&theirs, some).unwrap_or(0)..];
            if polls(&ours, PollFlags::IN) {
                break;
            }
        }
    };
    in_lock_step(give, || body(&ours, data.len()))
}

/// Lines of 64 bytes.
fn lines(size: usize) -> Vec<u8> {
    let mut data = vec![b'7'; size];
    data.chunks_mut(64)
        .for_each(|line| *line.last_mut().unwrap() = b'\n');
    data
}

/// Within one a megabyte, and one at the beginning; what hides its progress asks once
/// for each wake, of which each is two calls by hand at least. TCP itself does not keep
/// step, so it has some tries.
#[track_caller]
fn costs_as_by_hand<T>(
    row: &Row<T>,
    kind: Kind,
    peer: Peer,
    ours: impl Fn() -> Cost,
    hand: impl Fn() -> Cost,
) {
    let mut last = None;
    for _ in 0..if kind == Kind::Tcp { 10 } else { 1 } {
        let (ours, hand) = (ours(), hand());
        let most = match row.hides {
            false => hand.calls + 2 + peer.size() / MIB,
            true => hand.calls + hand.calls / 2 + 2,
        };
        // What hides may be woken faster here than what is honest.
        if ours.calls <= most && (ours.rests == 0 || row.hides) {
            return;
        }
        last = Some((ours, hand));
    }
    panic!("{} on {kind:?}, {peer:?}, and by hand: {last:?}", row.name);
}

fn calls_of_all_rows(kind: Kind) {
    if !is_available() {
        return;
    }
    let fits = |is_socket: bool| kind != Kind::Pipe || !is_socket;
    for peer in PEERS {
        for row in puts().iter().filter(|row| fits(row.is_socket)) {
            let cost = |body: &(dyn Fn(&OwnedFd, &[u8]) + Sync)| put_in_lock_step(kind, peer, body);
            let by_hand = |fd: &OwnedFd, data: &[u8]| row.by_hand(fd, data);
            costs_as_by_hand(row, kind, peer, || cost(&row.ours), || cost(&by_hand));
        }
        for row in takes().iter().filter(|row| fits(row.is_socket)) {
            let cost =
                |body: &(dyn Fn(&OwnedFd, usize) + Sync)| take_in_lock_step(kind, peer, body);
            let by_hand = |fd: &OwnedFd, total| row.by_hand(fd, total);
            costs_as_by_hand(row, kind, peer, || cost(&row.ours), || cost(&by_hand));
        }
    }
}

#[test]
fn waits_on_unix_streams_make_the_system_calls_of_the_loop_by_hand() {
    calls_of_all_rows(Kind::Unix);
}

#[test]
fn waits_on_tcp_make_the_system_calls_of_the_loop_by_hand() {
    calls_of_all_rows(Kind::Tcp);
}

#[test]
fn waits_on_pipes_make_the_system_calls_of_the_loop_by_hand() {
    calls_of_all_rows(Kind::Pipe);
}

/// Two clients come each time that the listener is waited for.
#[test]
fn accepts_make_the_system_calls_of_the_loop_by_hand() {
    const CLIENTS: usize = 40;
    if !is_available() {
        return;
    }
    type Accept = fn(&OwnedFd);
    let by_hand: Accept = |fd| {
        let mut left = CLIENTS;
        while left > 0 {
            match rustix::net::accept_with(fd, rustix::net::SocketFlags::CLOEXEC) {
                Ok(_) => left -= 1,
                Err(Errno::AGAIN) => wait_by_hand(fd, PollFlags::IN),
                Err(errno) => panic!("{errno}"),
            }
        }
    };
    let ours: [(&str, Accept); 3] = [
        ("until.accept", |fd| {
            let end = soon();
            (0..CLIENTS).for_each(|_| assert!(until(fd, end).accept().is_ready()));
        }),
        ("until.accept_from", |fd| {
            let end = soon();
            (0..CLIENTS).for_each(|_| assert!(until(fd, end).accept_from().is_ready()));
        }),
        ("At::accept", |fd| {
            let mut left = CLIENTS;
            serve(fd, Interest::READABLE, |at| {
                while left > 0 && at.accept().is_ready() {
                    left -= 1;
                }
                left == 0
            });
        }),
    ];
    let cost = |accept: Accept| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = OwnedFd::from(listener);
        set_nonblocking(&listener, true).unwrap();
        let mut clients = Vec::new();
        let peer = || {
            clients.extend((0..2).map(|_| TcpStream::connect(address).unwrap()));
        };
        in_lock_step(peer, || accept(&listener))
    };
    let hand = cost(by_hand);
    // Without accept's flags, the mode and close-on-exec take three calls of fcntl.
    let by_fcntl = if HOST.accept_flags == 0 {
        3 * CLIENTS
    } else {
        0
    };
    for (name, accept) in ours {
        let ours = cost(accept);
        assert!(
            ours.calls <= hand.calls + by_fcntl + 2,
            "{name}: {ours:?}, {hand:?}"
        );
        assert_eq!(ours.rests, 0, "{name}");
    }
}

/// EAGAIN of one's own full buffer, and not of the receiver's queue: poll is honest, and
/// nobody rests.
#[test]
fn until_send_to_with_its_own_buffer_full_goes_on_at_once() {
    if !is_available() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("socket");
    let theirs = UnixDatagram::bind(&name).unwrap();
    let ours = UnixDatagram::unbound().unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    let name = SocketAddrUnix::new(name).unwrap();
    let large = vec![7; 60_000];
    let drain = || while recv(&theirs, &mut [0; 60_000], IN).is_ready() {};
    let cost = in_lock_step(drain, || {
        let end = soon();
        for _ in 0..50 {
            let sent = until(&ours, end).send_to(&large, OUT, &name);
            assert_eq!(sent, Io::Ready(60_000));
        }
    });
    assert_eq!(cost.rests, 0, "{cost:?}");
    // A call, and for each that would block a question, a wait and another.
    assert!(cost.calls <= 4 * 50, "{cost:?}");
}

/// A closure that hides what it did, and whose peer is fast for once: when poll is asked
/// there is more, twice running, so it rests. The next time there is not.
#[test]
fn waits_that_hide_their_progress_go_on_at_once_after_a_rest() {
    const MESSAGES: usize = 100;
    if !is_available() {
        return;
    }
    let hidden = |wait: fn(&OwnedFd, &mut (dyn FnMut() -> Io + Send))| {
        let (theirs, ours) = Kind::Unix.pair();
        set_nonblocking(&ours, true).unwrap();
        let give = || {
            // So that it is not woken faster than what is honest.
            thread::sleep(Duration::from_micros(100));
            assert_eq!(send(&theirs, b"!", OUT), Io::Ready(1));
        };
        let cost = in_lock_step(give, || {
            let (mut calls, mut taken) = (0, 0);
            wait(&ours, &mut || {
                calls += 1;
                // Lies, until it rests.
                if calls < 5 {
                    return Io::WouldBlock;
                }
                taken += recv(&ours, &mut [0; 8], IN).ready().unwrap_or(0);
                match taken < MESSAGES {
                    true => Io::WouldBlock,
                    false => Io::Ready(taken),
                }
            });
        });
        assert!((1..4).contains(&cost.rests), "{cost:?}");
    };
    hidden(|fd, call| {
        let answer = until(fd, soon()).retry(Retry::Recv, |_| call());
        assert!(answer.is_ready());
    });
    hidden(|fd, call| {
        serve(fd, Interest::READABLE, |at| {
            at.attempt(Op::Recv, |_| call()).is_ready()
        });
    });
}

// ---- throughput and processor time ----

/// How long it took, and the processor time of it, each time.
#[derive(Debug, Default)]
struct Times {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Times {
    fn measure(&mut self, body: impl FnOnce()) {
        let (begun, cpu) = (Instant::now(), thread_cpu_time());
        body();
        self.cpu.push(thread_cpu_time() - cpu);
        self.wall.push(begun.elapsed());
        self.cpu.sort();
        self.wall.sort();
    }
}

/// Whether the best, or the better quarter, or the better half of ours does at least 0.8
/// of what that of the other does. A build that is not optimised is given something for
/// each call.
fn keeps_up_with(ours: &[Duration], hand: &[Duration], calls: usize) -> bool {
    let each = Duration::from_nanos(if cfg!(debug_assertions) { 3000 } else { 0 });
    let some = Duration::from_micros(50) + each * u32::try_from(calls).unwrap();
    let mut places = [0, ours.len() / 4, ours.len() / 2].into_iter();
    places.any(|i| ours[i].mul_f64(0.8) <= hand[i] + some)
}

/// Both by turns, until ours is as good as by hand: on a busy machine that may take its
/// time, and where it is worse it never is.
#[track_caller]
fn keeps_up(what: &str, calls: usize, mut ours: impl FnMut(), mut hand: impl FnMut()) {
    let (mut times, mut by_hand) = (Times::default(), Times::default());
    let middle = |it: &[Duration]| (it[0], it[it.len() / 2]);
    let least = if is_full() { 7 } else { 3 };
    for round in 1..=60 {
        by_hand.measure(&mut hand);
        times.measure(&mut ours);
        let in_time = keeps_up_with(&times.wall, &by_hand.wall, calls);
        if round >= least && in_time && keeps_up_with(&times.cpu, &by_hand.cpu, calls) {
            let ratio = |one: &[Duration], other: &[Duration]| {
                middle(one).1.as_secs_f64() / middle(other).1.as_secs_f64()
            };
            // What `ci/check test --long` reads.
            println!(
                "{what}: {:.2} of the throughput by hand, {:.2} of its processor time",
                ratio(&by_hand.wall, &times.wall),
                ratio(&times.cpu, &by_hand.cpu),
            );
            return;
        }
    }
    panic!(
        "{what}: {:?}, {:?} of a processor; by hand {:?}, {:?}",
        middle(&times.wall),
        middle(&times.cpu),
        middle(&by_hand.wall),
        middle(&by_hand.cpu),
    );
}

/// One way of putting, with a thread that takes.
fn put_once(kind: Kind, peer: Peer, data: &[u8], body: impl FnOnce(&OwnedFd, &[u8])) {
    let (ours, theirs) = kind.pair();
    set_nonblocking(&ours, true).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut buf, mut left, mut turn) = (vec![0; MIB], data.len(), 0);
            while left > 0 {
                let n = rustix::io::read(&theirs, &mut buf[..peer.amount(turn)]).unwrap();
                left -= n;
                pause(peer.pause(turn));
                turn += 1;
            }
        });
        body(&ours, data);
    });
}

/// One way of taking, with a thread that puts.
fn take_once(kind: Kind, peer: Peer, data: &[u8], body: impl FnOnce(&OwnedFd, usize)) {
    let (theirs, ours) = kind.pair();
    set_nonblocking(&ours, true).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut rest, mut turn) = (data, 0);
            while !rest.is_empty() {
                let some = &rest[..peer.amount(turn).min(rest.len())];
                rest = &rest[rustix::io::write(&theirs, some).unwrap()..];
                pause(peer.pause(turn));
                turn += 1;
            }
        });
        body(&ours, data.len());
    });
}

fn pause(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}

/// Of a slow peer not only the peer's own slowness: each row has one of them on each
/// transport, and all where there is time.
fn throughput_of_all_rows(kind: Kind) {
    let peers = |row: usize| {
        let other = PEERS[1 + (row + kind as usize) % 2];
        PEERS
            .into_iter()
            .filter(move |&peer| is_full() || peer == Peer::Fast || peer == other)
    };
    let fits = |is_socket: bool| kind != Kind::Pipe || !is_socket;
    for (i, row) in puts()
        .iter()
        .enumerate()
        .filter(|(_, row)| fits(row.is_socket))
    {
        for peer in peers(i) {
            let data = lines(peer.size());
            keeps_up(
                &format!("{} on {kind:?}, {peer:?}", row.name),
                peer.size() / row.piece.min(peer.typical()),
                || put_once(kind, peer, &data, row.ours),
                || put_once(kind, peer, &data, |fd, data| row.by_hand(fd, data)),
            );
        }
    }
    for (i, row) in takes()
        .iter()
        .enumerate()
        .filter(|(_, row)| fits(row.is_socket))
    {
        for peer in peers(i) {
            let data = lines(peer.size());
            keeps_up(
                &format!("{} on {kind:?}, {peer:?}", row.name),
                peer.size() / row.piece.min(peer.typical()),
                || take_once(kind, peer, &data, row.ours),
                || take_once(kind, peer, &data, |fd, n| row.by_hand(fd, n)),
            );
        }
    }
}

#[test]
fn waits_on_unix_streams_are_as_fast_as_the_loop_by_hand() {
    throughput_of_all_rows(Kind::Unix);
}

#[test]
fn waits_on_tcp_are_as_fast_as_the_loop_by_hand() {
    throughput_of_all_rows(Kind::Tcp);
}

#[test]
fn waits_on_pipes_are_as_fast_as_the_loop_by_hand() {
    throughput_of_all_rows(Kind::Pipe);
}

// ---- and no other system calls ----

/// What seccomp was not asked to count.
#[test]
fn waits_make_no_other_system_calls_by_strace() {
    let trace = traced("waits_make_no_other_system_calls_by_strace", || {
        let mark = |name| rustix::fs::access(name, rustix::fs::Access::EXISTS).unwrap_err();
        let data = lines(MIB);
        put_once(Kind::Unix, Peer::Slow, &data, |fd, mut rest| {
            let end = soon();
            mark("/until");
            let sent = until(fd, end).send_all(&mut rest, OUT);
            mark("/end");
            assert_eq!(sent, Io::Ready(()));
        });
        take_once(Kind::Unix, Peer::Slow, &data, |fd, mut left| {
            let (mut set, end) = (PollSet::<_, (), Inline<1>>::new(), soon());
            set.register(fd, Interest::READABLE, ()).unwrap();
            let mut buf = vec![0; 64 * KIB];
            mark("/set");
            while left > 0 {
                assert!(set.select(end).is_ready());
                while let Some((key, _)) = set.next_ready() {
                    let (mut at, ()) = set.get_mut(key).unwrap();
                    while left > 0 && let_some(&mut left, at.recv(&mut buf, IN)) {}
                }
            }
            mark("/end");
        });
    });
    let Some(trace) = trace else { return };
    for (mark, allowed) in [("/until", "sendto("), ("/set", "recvfrom(")] {
        let begin = trace.lines().find(|line| line.contains(mark)).unwrap();
        let thread = begin.split_whitespace().next().unwrap();
        let ours = trace.lines().filter(|line| line.starts_with(thread));
        let from = ours.skip_while(|line| !line.contains(mark)).skip(1);
        let calls: Vec<_> = from.take_while(|line| !line.contains("/end")).collect();
        assert!(calls.len() > 2, "{calls:#?}");
        for line in calls {
            let call = line.trim_start_matches(thread).trim_start();
            let goes_on = call.starts_with("<... ");
            let known = [allowed, "ppoll(", "poll("]
                .iter()
                .any(|name| call.starts_with(name));
            assert!(goes_on || known, "{mark}: {line}");
        }
    }
}
