//! Waits that end on their deadline and cannot spin.
//!
//! None of them relies on the kernel's readiness being true. Readiness that is
//! followed by *would block* twice running sends them to a timer, and so does an
//! errno that no event follows.

use core::time::Duration;

use rustix::event::PollFd;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

use super::clock::sleep;
use crate::mapping::classify::{Op, Outcome};
use crate::mapping::io::Io;
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::connection::{Address, connect, finish_connect};
use crate::ops::descriptor::Descriptor;
use crate::ops::mode::NonBlocking;
use crate::ops::poll::{poll, ready};
use crate::platform::errnos::INVALID_DESCRIPTOR;
use crate::wait::deadline::Deadline;

/// An operation that may be called again after it would have blocked.
///
/// `connect` is not one of them: called again, it may meet its own first attempt.
/// That is what [`connect_until`] is for.
///
/// ```compile_fail,E0308
/// use wouldblock::{Deadline, Op, connect, retry_until};
/// # let (socket, address): (std::net::TcpStream, std::net::SocketAddr) = todo!();
/// retry_until(&socket, Op::Connect, Deadline::never(), |fd| connect(fd, &address));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// [`Op::Read`]
    Read,
    /// [`Op::Write`]
    Write,
    /// [`Op::Recv`]
    Recv,
    /// [`Op::Send`]
    Send,
    /// [`Op::SendToUnix`]
    SendToUnix,
    /// [`Op::Accept`]
    Accept,
}

impl From<Retry> for Op {
    #[inline]
    fn from(retry: Retry) -> Self {
        match retry {
            Retry::Read => Self::Read,
            Retry::Write => Self::Write,
            Retry::Recv => Self::Recv,
            Retry::Send => Self::Send,
            Retry::SendToUnix => Self::SendToUnix,
            Retry::Accept => Self::Accept,
        }
    }
}

/// The pauses of a wait that has no event to wait for: 1 ms, then twice as long
/// each time, up to 64 ms.
struct Pauses {
    /// In milliseconds.
    next: u64,
}

impl Pauses {
    const LONGEST: u64 = 64;

    const fn new() -> Self {
        Self { next: 1 }
    }

    /// Sleeps, but not beyond the deadline; false if that has passed before. So
    /// there is a last try when it comes, and not up to 64 ms earlier.
    fn pause(&mut self, deadline: Deadline) -> bool {
        let time = Duration::from_millis(self.next);
        let time = match deadline.remaining() {
            Some(Duration::ZERO) => return false,
            Some(rest) => rest.min(time),
            None => time,
        };
        self.next = (self.next * 2).min(Self::LONGEST);
        sleep(time);
        true
    }
}

/// [`poll()`] until a deadline: signals do not end it.
///
/// - `Ready(n)`: `n` descriptors have something to report, as for `poll`.
/// - `WouldBlock`: the deadline passed. Never early.
/// - `Err`: as for `poll`, but for `EINTR`, after which the remaining time is
///   computed anew, and for a shortage of memory, after which it pauses for 1 ms
///   to 64 ms and asks again. If the deadline passes in a shortage, that is the
///   answer.
///
/// ```
/// use std::time::Duration;
/// use wouldblock::{Deadline, Interest, Io, poll_until};
/// # use std::os::unix::net::UnixStream;
/// # let (ours, _theirs) = UnixStream::pair()?;
/// let deadline = Deadline::after(Duration::from_millis(5));
/// let mut fds = [Interest::READABLE.on(&ours)];
/// assert_eq!(poll_until(&mut fds, deadline), Io::WouldBlock);
/// assert!(deadline.has_passed());
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "ppoll")]
pub fn poll_until(fds: &mut [PollFd<'_>], deadline: Deadline) -> Io {
    let mut pauses = Pauses::new();
    loop {
        match poll(fds, deadline.remaining()) {
            Io::Err(errno) => match Op::Poll.outcome(errno) {
                Outcome::Interrupted if deadline.has_passed() => return Io::WouldBlock,
                Outcome::Interrupted => {}
                Outcome::BackOff if pauses.pause(deadline) => {}
                _ => return Io::Err(errno),
            },
            answer => return answer,
        }
    }
}

/// Waits until a descriptor is ready for `interest`.
///
/// - `Ready(readiness)`: for something, perhaps a hang-up or an error. It is a
///   hint: the call that follows may still answer `WouldBlock`, so a loop of this
///   and that call may spin where readiness lies; [`retry_until`] does not.
/// - `WouldBlock`: the deadline passed. Never early.
/// - `Err`: `EBADF` if this is no open descriptor, or one that `poll` cannot
///   watch on this system, such as `/dev/tty` on macOS (use a thread for those);
///   otherwise as for [`poll_until`].
///
/// ```
/// use std::time::Duration;
/// use wouldblock::{Deadline, Interest, Io, wait_for};
/// # use std::os::unix::net::UnixStream;
/// # let (ours, _theirs) = UnixStream::pair()?;
/// let deadline = Deadline::after(Duration::from_millis(5));
/// assert_eq!(wait_for(&ours, Interest::READABLE, deadline), Io::WouldBlock);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_for<Fd: Descriptor>(fd: Fd, interest: Interest, deadline: Deadline) -> Io<Readiness> {
    let mut fds = [interest.on(&fd)];
    poll_until(&mut fds, deadline).and_then(|_| {
        let readiness = Readiness::from(&fds[0]);
        if readiness.is_invalid() {
            Io::Err(INVALID_DESCRIPTOR)
        } else {
            Io::Ready(readiness)
        }
    })
}

/// [`wait_for`] with [`Interest::READABLE`].
pub fn wait_readable<Fd: Descriptor>(fd: Fd, deadline: Deadline) -> Io<Readiness> {
    wait_for(fd, Interest::READABLE, deadline)
}

/// [`wait_for`] with [`Interest::WRITABLE`].
pub fn wait_writable<Fd: Descriptor>(fd: Fd, deadline: Deadline) -> Io<Readiness> {
    wait_for(fd, Interest::WRITABLE, deadline)
}

/// Makes a call, waits if it would block, and makes it again, until it succeeds,
/// fails, or the deadline passes.
///
/// - `Ready(value)`: what `call` answered. If there is nothing to wait for, that
///   is one system call.
/// - `WouldBlock`: the deadline passed, and the call would still block.
/// - `Err`: the call failed, or the wait did (see [`wait_for`]). If the deadline
///   passes while the call's errno is one to back off from, that errno is the
///   answer: an error is never hidden behind `WouldBlock`.
///
/// `call` is given the descriptor; `op` says what its errnos mean and what to wait
/// for.
///
/// # It does not spin
///
/// When the descriptor was reported ready, and the call would block all the same,
/// twice running, this pauses before it asks again: for 1 ms, then 2, 4, … up to
/// 64 ms, until readiness is honest again. It pauses in the same steps after an
/// errno whose outcome is [`Outcome::BackOff`], and after two
/// [`Outcome::TryNext`] or [`Outcome::Interrupted`] in a row, because no event
/// follows those. So where nothing happens, however the kernel behaves, a wait
/// makes fewer than a hundred system calls a second.
///
/// ```
/// use std::time::Duration;
/// use wouldblock::{Deadline, Io, RecvFlags, Retry, recv, retry_until, set_nonblocking};
/// # use std::io::Write;
/// # use std::os::unix::net::UnixStream;
/// # let (ours, mut theirs) = UnixStream::pair()?;
/// # set_nonblocking(&ours, true)?;
/// # let writer = std::thread::spawn(move || theirs.write_all(b"late"));
/// let mut buf = [0; 64];
/// let deadline = Deadline::after(Duration::from_secs(5));
/// let answer = retry_until(&ours, Retry::Recv, deadline, |fd| {
///     recv(fd, &mut buf, RecvFlags::empty())
/// });
/// assert_eq!(answer, Io::Ready(4));
/// # writer.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn retry_until<Fd: Descriptor, T>(
    fd: Fd,
    op: Retry,
    deadline: Deadline,
    mut call: impl FnMut(BorrowedFd<'_>) -> Io<T>,
) -> Io<T> {
    let fd = fd.as_fd();
    let op = Op::from(op);
    let mut wait = Wait::new(deadline);
    loop {
        let next = match call(fd) {
            Io::Ready(value) => return Io::Ready(value),
            Io::WouldBlock => wait.until_ready(fd, op.interest()),
            Io::Err(errno) => wait.after_error(op, errno),
        };
        match next {
            Io::Ready(()) => {}
            Io::WouldBlock => return Io::WouldBlock,
            Io::Err(errno) => return Io::Err(errno),
        }
    }
}

/// [`connect()`], and its end by [`finish_connect`], until a deadline.
///
/// - `Ready(())`: connected.
/// - `WouldBlock`: the deadline passed while the attempt was under way. It still
///   is: call `finish_connect` later, or close the socket.
/// - `Err`: the attempt failed. An errno to back off from is handed to the caller
///   at once, because the attempt cannot be repeated on every system.
///
/// `connect` is called once.
///
/// ```
/// use std::time::Duration;
/// use wouldblock::{AddressFamily, Deadline, Io, SocketType, connect_until, socket};
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
/// let deadline = Deadline::after(Duration::from_secs(5));
/// assert_eq!(connect_until(&fd, &listener.local_addr()?, deadline), Io::Ready(()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "connect")]
pub fn connect_until<Fd: Descriptor>(fd: Fd, address: &impl Address, deadline: Deadline) -> Io<()> {
    let fd = fd.as_fd();
    let mut wait = Wait::new(deadline);
    let mut answer = connect(fd, address);
    while answer.is_would_block() {
        match wait.until_ready(fd, Op::Connect.interest()) {
            Io::Ready(()) => answer = finish_connect(fd),
            stopped => return stopped,
        }
    }
    answer
}

/// The state of a wait: how often readiness has lied, and how long to pause next.
struct Wait {
    deadline: Deadline,
    pauses: Pauses,
    /// How often in a row something promised progress and there was none.
    broken_promises: u32,
}

impl Wait {
    const fn new(deadline: Deadline) -> Self {
        Self {
            deadline,
            pauses: Pauses::new(),
            broken_promises: 0,
        }
    }

    /// After would-block: `Ready` to call again, `WouldBlock` if the deadline
    /// passed.
    fn until_ready(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> Io<()> {
        if self.broken_promises >= 2 {
            if !self.pauses.pause(self.deadline) {
                return Io::WouldBlock;
            }
            match ready(fd, interest) {
                Io::Ready(_) => return Io::Ready(()),
                Io::Err(errno) => return self.after_error(Op::Poll, errno),
                // Honest again, so there is an event to wait for.
                Io::WouldBlock => *self = Self::new(self.deadline),
            }
        }
        self.broken_promises += 1;
        wait_for(fd, interest, self.deadline).map(drop)
    }

    /// After an error: `Ready` to call again, or the error.
    fn after_error(&mut self, op: Op, errno: Errno) -> Io<()> {
        let go_on = match op.outcome(errno) {
            Outcome::Interrupted | Outcome::TryNext if self.broken_promises < 2 => {
                self.broken_promises += 1;
                true
            }
            Outcome::Interrupted | Outcome::TryNext | Outcome::BackOff => {
                self.pauses.pause(self.deadline)
            }
            _ => false,
        };
        if go_on { Io::Ready(()) } else { Io::Err(errno) }
    }
}

/// The waits as methods; see the functions of the same names.
impl<F: AsFd> NonBlocking<F> {
    /// See [`wait_for()`].
    pub fn wait_for(&self, interest: Interest, deadline: Deadline) -> Io<Readiness> {
        wait_for(self, interest, deadline)
    }

    /// See [`wait_readable()`].
    pub fn wait_readable(&self, deadline: Deadline) -> Io<Readiness> {
        wait_readable(self, deadline)
    }

    /// See [`wait_writable()`].
    pub fn wait_writable(&self, deadline: Deadline) -> Io<Readiness> {
        wait_writable(self, deadline)
    }

    /// See [`retry_until()`]; the closure is given this descriptor.
    pub fn retry_until<T>(
        &self,
        op: Retry,
        deadline: Deadline,
        mut call: impl FnMut(&Self) -> Io<T>,
    ) -> Io<T> {
        retry_until(self, op, deadline, |_| call(self))
    }

    /// See [`connect_until()`].
    pub fn connect_until(&self, address: &impl Address, deadline: Deadline) -> Io<()> {
        connect_until(self, address, deadline)
    }
}
