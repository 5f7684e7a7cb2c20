//! `conversation`: a random program of operations on a real pair of
//! descriptors, held against a model of what Linux answers.
//!
//! Input: what to open, and then one operation after the other: its kind with
//! the end that does it, and its argument. After every would-block the law is
//! checked: `poll` says nothing for the operation's interest. Whatever was
//! acknowledged arrives once and in order.
//!
//! No call can sleep: on a descriptor in blocking mode a data operation is only
//! made if it is `DONTWAIT`, or if the model knows that there is data.

mod model;

use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::net::Shutdown;
use wouldblock::{
    AddressFamily, Errno, Interest, Io, IoSlice, IoSliceMut, ModeGuard, NonBlocking, Op, Outcome,
    Readiness, RecvFlags, SendFlags, SocketType, accept_from, connect, finish_connect,
    is_nonblocking, pipe, poll, read, readv, recv, recv_fds_with, recv_from, recv_from_with,
    recv_msg, recv_with, send, send_fds, send_msg, set_nonblocking, socket, socketpair, until,
    write, writev,
};

use self::model::{Kind, Model};
use crate::input::Input;

const SIZES: [usize; 16] = [
    0, 1, 2, 3, 7, 64, 511, 512, 1024, 4095, 4096, 4097, 8192, 65_536, 262_144, 5000,
];
/// Longer programs find nothing that two short ones do not.
const OPERATIONS: usize = 128;
const DEADLINE: Duration = Duration::from_secs(20);
const NOTHING: RecvFlags = RecvFlags::empty();

/// Replays one input.
pub fn run(data: &[u8]) {
    use Kind::{Datagram, OnePagePipe, Pipe, Stream, Tcp};
    let mut input = Input(data);
    let kind = input.choose(&[Stream, Datagram, Pipe, OnePagePipe, Tcp]);
    // The machine may be short of descriptors, pipe pages or ports.
    let Ok(mut talk) = Conversation::open(kind) else {
        return;
    };
    for _ in 0..OPERATIONS {
        if input.is_empty() {
            break;
        }
        let (op, argument) = (input.byte(), input.byte());
        talk.step(usize::from(op >> 7), op & 0x7f, argument);
    }
    talk.finish();
}

#[derive(Debug)]
struct Conversation {
    fds: [Option<OwnedFd>; 2],
    model: Model,
}

/// What a flow carries from an offset on. It repeats only after a prime number
/// of bytes, so that a lost, doubled or exchanged piece shows.
fn bytes(offset: u64, size: usize) -> &'static [u8] {
    const PERIOD: usize = 65_521;
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let once: Vec<u8> = (0..PERIOD as u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8)
            .collect();
        once.into_iter().cycle().take(PERIOD + 262_144).collect()
    });
    let start = (offset % PERIOD as u64) as usize;
    &bytes[start..start + size]
}

impl Conversation {
    fn open(kind: Kind) -> std::io::Result<Self> {
        let unix = |kind| socketpair(AddressFamily::UNIX, kind, None);
        let fds = match kind {
            Kind::Stream => unix(SocketType::STREAM)?.into(),
            Kind::Datagram => unix(SocketType::DGRAM)?.into(),
            Kind::Pipe | Kind::OnePagePipe => pipe()?.into(),
            Kind::Tcp => tcp_pair()?,
        };
        if kind == Kind::OnePagePipe {
            rustix::pipe::fcntl_setpipe_size(&fds[1], 4096)?;
        }
        // The fuzzer's main is not Rust's, which ignores the signal. `send` does
        // without that; `write` cannot.
        // SAFETY: SIG_IGN is a valid disposition, and no handler runs.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        Ok(Self {
            fds: fds.map(Some),
            model: Model::new(kind),
        })
    }

    /// The descriptor of an end that is not closed.
    fn fd(&self, end: usize) -> &OwnedFd {
        self.fds[end].as_ref().unwrap()
    }

    fn step(&mut self, end: usize, op: u8, argument: u8) {
        if self.fds[end].is_none() {
            return;
        }
        let size = SIZES[usize::from(argument % 16)];
        let (flag, form) = (argument & 0x10 != 0, argument >> 5);
        let flags = if flag { RecvFlags::DONTWAIT } else { NOTHING };
        let pipe = self.model.is_pipe();
        match op % 14 {
            0 | 1 => drop(self.receive(Op::Recv, end, size, flags, form)),
            2 => drop(self.receive(Op::Recv, end, size, flags | RecvFlags::PEEK, form)),
            3 => drop(self.receive(Op::Read, end, size, NOTHING, form)),
            4 | 5 => drop(self.transmit(Op::Send, end, size, form)),
            6 => drop(self.transmit(Op::Write, end, size, form)),
            7 => {
                let op = if pipe { Op::Write } else { Op::Send };
                self.repeat(|talk| talk.transmit(op, end, size.max(512), form));
            }
            8 => {
                let op = if pipe { Op::Read } else { Op::Recv };
                self.repeat(|talk| talk.receive(op, end, size.max(64), NOTHING, form));
            }
            9 => self.set_mode(end, flag),
            10 => self.guard(end, flag, form % 2 == 1),
            11 => self.poll([argument, argument >> 3].map(Interest::from_bits_truncate)),
            12 => self.shutdown(end, argument % 3),
            _ if argument < 0x20 => self.close(end),
            _ => self.look(end),
        }
    }

    /// Fills or drains.
    fn repeat(&mut self, mut call: impl FnMut(&mut Self) -> Option<Io>) {
        for _ in 0..512 {
            if !matches!(call(self), Some(Io::Ready(1..))) {
                break;
            }
        }
    }

    /// `recv` or `read`; `None` if the call could have slept.
    fn receive(
        &mut self,
        op: Op,
        end: usize,
        size: usize,
        flags: RecvFlags,
        form: u8,
    ) -> Option<Io> {
        let model = &self.model;
        let known = model.flows[1 - end].pending() > 0 && model.kind != Kind::Tcp;
        let never = flags.contains(RecvFlags::DONTWAIT) && !model.is_pipe();
        if !(model.ends[end].nonblocking || never || known) {
            return None;
        }
        let fd = self.fd(end);
        let mut buf = vec![0; size];
        let answer = receive_by(op, form, fd, &mut buf, flags);
        let right = self.model.may_receive(op, end, size, answer);
        assert!(
            right,
            "{op:?} {flags:?} of {size} at {end}: {answer:?}, {self:#?}"
        );
        if let Io::Ready(n) = answer {
            let start = self.model.flows[1 - end].received;
            let same = buf[..n] == *bytes(start, n);
            assert!(
                same,
                "{op:?} at {end}: not the bytes that were sent, {self:#?}"
            );
        }
        self.model.received(op, end, size, flags, answer);
        self.law(op, end, answer);
        Some(answer)
    }

    /// `send` or `write`; `None` if the call could have slept.
    fn transmit(&mut self, op: Op, end: usize, size: usize, form: u8) -> Option<Io> {
        if !self.model.ends[end].nonblocking {
            return None;
        }
        let start = self.model.flows[end].sent;
        let buf = bytes(start, size);
        let fd = self.fd(end);
        let answer = transmit_by(op, form, fd, buf);
        // Linux, vfs_writev(): nothing to write never reaches the socket, so
        // that no empty datagram is sent, where write would send one.
        if (op, form, size) == (Op::Write, 2, 0) && !(self.model.is_pipe() && end == 0) {
            assert_eq!(answer, Io::Ready(0), "{self:#?}");
            return Some(answer);
        }
        let right = self.model.may_transmit(op, end, size, answer);
        assert!(right, "{op:?} of {size} at {end}: {answer:?}, {self:#?}");
        self.model.transmitted(end, answer);
        self.law(op, end, answer);
        Some(answer)
    }

    /// After a would-block, `poll` says nothing for the operation's interest;
    /// and an error is none that says to wait.
    fn law(&self, op: Op, end: usize, answer: Io) {
        match answer {
            Io::Ready(_) => {}
            Io::WouldBlock => {
                let readiness = until(self.fd(end), Duration::ZERO).ready(op.interest());
                let leak = self.model.leak(end, op.interest());
                let holds = readiness == Io::WouldBlock || leak.is_some();
                assert!(
                    holds,
                    "{op:?} would block at {end}, but {readiness:?}: {self:#?}"
                );
            }
            Io::Err(errno) => {
                let outcome = op.outcome(errno);
                let wait = [Outcome::WouldBlock, Outcome::Interrupted].contains(&outcome);
                assert!(!wait, "{op:?}: {errno} is {outcome:?}");
            }
        }
    }

    fn set_mode(&mut self, end: usize, nonblocking: bool) {
        set_nonblocking(self.fd(end), nonblocking).unwrap();
        self.model.ends[end].nonblocking = nonblocking;
        self.look(end);
    }

    /// The mode for a while, through a duplicate, and a call in it.
    fn guard(&mut self, end: usize, nonblocking: bool, restore: bool) {
        let before = self.model.ends[end].nonblocking;
        let duplicate = self.fd(end).try_clone().unwrap();
        let guard = ModeGuard::new(&duplicate, nonblocking).unwrap();
        self.model.ends[end].nonblocking = nonblocking;
        self.look(end);
        self.receive(Op::Read, end, 8, NOTHING, 0);
        match restore {
            true => drop(guard.into_inner().unwrap()),
            false => drop(guard),
        }
        self.model.ends[end].nonblocking = before;
        self.look(end);
    }

    /// `poll` of both ends counts what it reports, and agrees with `ready`.
    fn poll(&self, interests: [Interest; 2]) {
        let asked = || [0, 1].into_iter().filter(|&end| self.fds[end].is_some());
        let mut entries: Vec<_> = asked().map(|end| interests[end].on(self.fd(end))).collect();
        let answer = poll(&mut entries, Some(Duration::ZERO));
        let came: Vec<_> = entries.iter().map(Readiness::from).collect();
        let some = came.iter().filter(|one| !one.is_empty()).count();
        let wanted = if some == 0 {
            Io::WouldBlock
        } else {
            Io::Ready(some)
        };
        assert_eq!(answer, wanted, "{came:?}, {self:#?}");
        for (end, came) in asked().zip(came) {
            let wanted = if came.is_empty() {
                Io::WouldBlock
            } else {
                Io::Ready(came)
            };
            let again = until(self.fd(end), Duration::ZERO).ready(interests[end]);
            assert!(
                again == wanted || self.model.kind == Kind::Tcp,
                "{end}: {again:?}, {self:#?}"
            );
        }
    }

    /// What the mode and the readiness of an end must be now.
    fn look(&self, end: usize) {
        let mode = is_nonblocking(self.fd(end));
        assert_eq!(
            mode,
            Ok(self.model.ends[end].nonblocking),
            "{end}: {self:#?}"
        );
        let asked = |interest| {
            until(self.fd(end), Duration::ZERO)
                .ready(interest)
                .into_result()
                .unwrap()
                .unwrap_or_default()
        };
        if let Some(readable) = self.model.readable(end) {
            let came = asked(Interest::READABLE);
            assert_eq!(came.is_readable(), readable, "{end}: {came:?}, {self:#?}");
        }
        if self.model.must_be_writable(end) {
            let came = asked(Interest::WRITABLE);
            assert!(came.is_writable(), "{end}: {came:?}, {self:#?}");
        }
    }

    fn shutdown(&mut self, end: usize, how: u8) {
        let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][usize::from(how)];
        match rustix::net::shutdown(self.fd(end), how) {
            Ok(()) => self
                .model
                .shut_down(end, how != Shutdown::Write, how != Shutdown::Read),
            Err(Errno::NOTSOCK) if self.model.is_pipe() => {}
            // Both directions have ended.
            Err(Errno::NOTCONN) if self.model.kind == Kind::Tcp => {}
            Err(errno) => panic!("shutdown: {errno}, {self:#?}"),
        }
    }

    fn close(&mut self, end: usize) {
        self.fds[end] = None;
        self.model.closed(end);
    }

    /// Everything that was acknowledged arrives, and nothing after it.
    fn finish(mut self) {
        let tcp = self.model.kind == Kind::Tcp;
        for end in [0, 1] {
            if self.fds[end].is_none() || self.model.is_pipe() && end == 1 {
                continue;
            }
            self.set_mode(end, true);
            let start = Instant::now();
            let flow = 1 - end;
            while self.model.flows[flow].next(self.model.kind).is_some() {
                let answer = self.receive(Op::Read, end, 65_536, NOTHING, 0).unwrap();
                if tcp && (self.model.lossy() || self.model.ends[end].shut_rd) {
                    match answer {
                        Io::Ready(1..) => continue,
                        _ => break,
                    }
                }
                // TCP may need a moment.
                assert!(
                    answer.is_ready() || tcp && answer.is_would_block(),
                    "{answer:?}, {self:#?}"
                );
                if answer.is_would_block() {
                    assert!(
                        start.elapsed() < DEADLINE,
                        "acknowledged and lost: {self:#?}"
                    );
                    let mut entry = [Interest::READABLE.on(self.fd(end))];
                    let _ = poll(&mut entry, Some(Duration::from_secs(1)));
                }
            }
            self.receive(Op::Read, end, 1, NOTHING, 0);
        }
        for fd in self.fds.iter().flatten().filter(|_| tcp) {
            // With a reset, so that no port is left waiting.
            let _ = rustix::net::sockopt::set_socket_linger(fd, Some(Duration::ZERO));
        }
    }
}

/// The forms of one operation, which must all mean the same.
fn receive_by(op: Op, form: u8, fd: &OwnedFd, buf: &mut [u8], flags: RecvFlags) -> Io {
    let (mut raw, size) = ([MaybeUninit::uninit(); 8192], buf.len());
    let (head, tail) = buf.split_at_mut(size / 3);
    let mut halves = [IoSliceMut::new(head), IoSliceMut::new(tail)];
    match (op, form) {
        (Op::Recv, 1) if size <= raw.len() => recv_with(fd, &mut raw[..size], flags, |bytes| {
            buf[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        }),
        (Op::Recv, 2) => recv_from(fd, buf, flags).map(|(n, _)| n),
        (Op::Recv, 3) => recv_msg(fd, &mut halves, flags).map(|message| message.bytes),
        (Op::Recv, 4) if size <= raw.len() => {
            recv_from_with(fd, &mut raw[..size], flags, |bytes, _| {
                buf[..bytes.len()].copy_from_slice(bytes);
                bytes.len()
            })
        }
        (Op::Recv, 5) => recv_fds_with(fd, &mut halves, flags, |_| unreachable!("none was sent"))
            .map(|message| message.bytes),
        (Op::Recv, _) => recv(fd, buf, flags),
        (_, 2) => readv(fd, &mut halves),
        _ => read(fd, buf),
    }
}

fn transmit_by(op: Op, form: u8, fd: &OwnedFd, buf: &[u8]) -> Io {
    let flags = SendFlags::empty();
    let (head, tail) = buf.split_at(buf.len() / 3);
    let halves = [IoSlice::new(head), IoSlice::new(tail)];
    match (op, form) {
        (Op::Send, 1) => NonBlocking::new(fd).unwrap().send(buf, flags),
        (Op::Send, 2) => send_msg(fd, &halves, flags),
        (Op::Send, 3) => send_fds(fd, &halves, std::iter::empty(), flags),
        (Op::Send, 4) => send_fds(fd, &[IoSlice::new(buf)], std::iter::empty(), flags),
        (Op::Send, _) => send(fd, buf, flags),
        (_, 1) => NonBlocking::new(fd).unwrap().write(buf),
        (_, 2) => writev(fd, &halves),
        _ => write(fd, buf),
    }
}

/// Connected by the crate's own means.
fn tcp_pair() -> std::io::Result<[OwnedFd; 2]> {
    thread_local! {
        static LISTENER: TcpListener = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            set_nonblocking(&listener, true).unwrap();
            listener
        };
    }
    LISTENER.with(|listener| {
        let ours = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        let begun = connect(&ours, &listener.local_addr()?);
        assert!(!begun.is_err(), "{begun:?}");
        let _ = poll(&mut [Interest::READABLE.on(listener)], Some(DEADLINE));
        let (theirs, from) = accept_from(listener).into_result()?.expect("a connection");
        let finished = finish_connect(&ours);
        assert_eq!(finished, Io::Ready(()), "after {begun:?}");
        let from = SocketAddr::try_from(from.expect("an address"))?;
        let here = SocketAddr::try_from(rustix::net::getsockname(&ours)?)?;
        assert_eq!(from, here, "nobody else connects");
        for end in [&ours, &theirs] {
            assert_eq!(is_nonblocking(end), Ok(true));
            rustix::net::sockopt::set_tcp_nodelay(end, true)?;
        }
        Ok([ours, theirs])
    })
}
