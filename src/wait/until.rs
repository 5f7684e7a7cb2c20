//! [`until`]: the blocking view of a non-blocking descriptor, under a deadline.

use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSliceMut};

use super::deadline::Deadline;
use super::drive::{after_poll, wait_on};
use super::operations::each_operation;
use super::pace::{Answer, Pace};
use crate::mapping::classify::Op;
use crate::mapping::flags::{RecvFlags, SendFlags};
use crate::mapping::io::{Io, try_io};
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::address::{Address, PeerAddress};
use crate::ops::connection::{accept, accept_from, connect, finish_connect, op_of_connect};
use crate::ops::descriptor::Descriptor;
use crate::ops::descriptors::{recv_fds, recv_fds_with};
use crate::ops::message::{Message, op_to, recv_from, recv_from_with, recv_msg, send_to};
use crate::ops::mode::NonBlocking;
use crate::ops::poll::{poll, reported};
use crate::ops::stream::{read, recv, recv_with, send, write};
use crate::ops::vectored::{send_all, write_all};
use crate::ops::{pack, unpack};
use crate::platform::errnos::WOULD_BLOCK;

/// An operation that may be called again after it would have blocked.
///
/// `connect` is not one of them: called again, it may meet its own first attempt.
/// That is what [`Until::connect`] is for.
///
/// ```compile_fail,E0308
/// use wouldblock::{Deadline, Op, connect, until};
/// # let (socket, address): (std::net::TcpStream, std::net::SocketAddr) = todo!();
/// until(&socket, Deadline::never()).retry(Op::Connect, |fd| connect(fd, &address));
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

/// A descriptor and a deadline: the operations under their own names, which wait. Made
/// by [`until()`], where it says how.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is waited for before an operation is called"]
pub struct Until<F> {
    pub(super) fd: F,
    pub(super) deadline: Deadline,
}

/// The blocking view of a non-blocking descriptor: the operations under their own
/// names, made again until they succeed, fail, or the deadline passes.
///
/// ```
/// use std::time::Duration;
/// use wouldblock::{Io, NonBlocking, RecvFlags, SendFlags, until};
/// # use std::os::unix::net::UnixStream;
/// # let (ours, theirs) = UnixStream::pair().unwrap();
/// # let theirs = NonBlocking::new(theirs)?;
///
/// let ours = NonBlocking::new(ours)?;
/// let mut buf = [0; 64];
/// let answer = until(&ours, Duration::from_millis(5)).recv(&mut buf, RecvFlags::empty());
/// assert_eq!(answer, Io::WouldBlock); // the time ran out
///
/// let mut rest = &b"all of this"[..];
/// let sent = theirs.until(Duration::from_secs(10)).send_all(&mut rest, SendFlags::empty());
/// assert_eq!(sent, Io::Ready(()));
/// assert_eq!(ours.until(None).recv(&mut buf, RecvFlags::empty()), Io::Ready(11));
/// # Ok::<(), wouldblock::Errno>(())
/// ```
///
/// Each method makes its call at once. What that answers, if it is `Ready`, is the
/// answer, after one system call.
///
/// - `Ready(value)`: what the call answered.
/// - `WouldBlock`: the deadline has passed, and the last call, made after the last
///   wait, would still have blocked. Of the `_all` forms, some may be gone: the slice
///   says how much. Of [`connect`](Until::connect), the attempt is still under way.
/// - `Err`: the call failed, or the wait: `EBADF` for a descriptor that `poll` cannot
///   watch on this system, such as `/dev/tty` on macOS (use a thread for those). If the
///   deadline passes in a shortage ([`Outcome::BackOff`](crate::Outcome::BackOff)), or
///   while the call is interrupted, its errno is the answer: an error is never hidden
///   behind `WouldBlock`.
///
/// With std, `Io::or_timed_out` makes `ErrorKind::TimedOut` of the `WouldBlock`, and
/// `std_io` is `Read` and `Write` under the deadline.
///
/// The deadline is a moment. A [`Duration`](core::time::Duration) begins when this is
/// called, so for several calls in one time make the value once: it is `Copy` if `F`
/// is. The descriptor has to be in non-blocking mode; this does not change it.
///
/// # It neither spins nor stalls
///
/// Signals end no wait, and neither does a kernel that ends its own early: this
/// crate's clock judges. Where readiness lies (the descriptor polls as ready, and the
/// call would block all the same, twice running; or, if poll takes it back when it is
/// asked, five times in a millisecond: of a closure, which may hide what it did, more than
/// thirty times), and after an errno that no event follows, it rests for 1 ms, 2, 4, … up
/// to 16 ms, until the descriptor is honest again: fewer than a hundred calls a second. It
/// does not rest where a descriptor has not lied since it last did something, and one that
/// has lied is served one rest late at most. But more than sixteen signals in a millisecond
/// are taken for a kernel that never waits.
///
/// It has no memory from one method to the next. A loop that takes an end of file for
/// an empty message, or goes on after an error that stays, is a busy loop here as it is by
/// hand, and so is one on a terminal with VMIN = 0, which reads nothing as `Ready(0)`,
/// without a wait: set VMIN to 1. An entry of a [`PollSet`](crate::PollSet) remembers: see
/// [`At`](crate::At).
#[inline]
pub fn until<F: Descriptor>(fd: F, deadline: impl Into<Deadline>) -> Until<F> {
    let deadline = deadline.into();
    Until { fd, deadline }
}

/// What a closure of several calls tells besides its answer; see [`Until::turns`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Turn {
    /// Whether anything was done before it would have blocked: bytes received, or a
    /// part sent. False at first. Left so, would-block may be taken for a lie of the
    /// kernel, which costs a question to `poll`, and a rest if that says ready.
    pub progress: bool,
    /// What its would-block waits for; the interest of the operation at first. One
    /// direction: both at once are no wait, since a socket is nearly always writable.
    pub wants: Interest,
}

impl Turn {
    pub(super) const fn of(op: Op) -> Self {
        Self {
            progress: false,
            wants: op.interest(),
        }
    }
}

macro_rules! waiting {
    (
        counts {$($count:ident($($arg:ident: $kind:ty),*): $op:expr;)*}
        values {$($value:ident($($more:ident: $its:ty),*) -> $got:ty: $for:expr, $is_end:expr;)*}
        drains {$($all:ident($rest:ident: $buf:ty $(, $flags:ident: $flag:ty)?): $by:expr;)*}
    ) => {
        $(
            #[doc = concat!("See [`", stringify!($count), "()`](crate::", stringify!($count), "()).")]
            #[inline]
            pub fn $count(&self, $($arg: $kind),*) -> Io {
                // The same arguments, cold, as many as fit into registers: a closure would
                // cost its captures. What comes back fits into two.
                #[cold]
                #[inline(never)]
                fn later(
                    fd: BorrowedFd<'_>,
                    $($arg: $kind,)*
                    deadline: Deadline,
                    first: Errno,
                ) -> (usize, Errno) {
                    let op = $op;
                    let (first, turn) = (Io::from_result(op, Err(first)), Turn::of(op));
                    let again = &mut |fd: BorrowedFd<'_>, _: &mut _| $count(fd, $($arg),*);
                    pack(wait_on(fd, op, deadline, Answer::Broken, first, turn, again))
                }
                let first = match $count(&self.fd, $($arg),*) {
                    Io::Ready(n) => return Io::Ready(n),
                    Io::WouldBlock => WOULD_BLOCK,
                    Io::Err(errno) => errno,
                };
                unpack(later(self.fd.as_fd(), $($arg,)* self.deadline, first))
            }
        )*
        $(
            #[doc = concat!("See [`", stringify!($value), "()`](crate::", stringify!($value), "()).")]
            #[inline]
            pub fn $value(&self, $($more: $its),*) -> Io<$got> {
                self.wait(Answer::Broken, $for, |fd, _| $value(fd, $($more),*))
            }
        )*
        $(
            #[doc = concat!("See [`", stringify!($all), "()`](crate::", stringify!($all), "()).")]
            #[inline]
            pub fn $all(&self, $rest: $buf $(, $flags: $flag)?) -> Io<()> {
                self.wait(Answer::Broken, $by, |fd, turn| {
                    let before = $rest.len();
                    let answer = $all(fd, $rest $(, $flags)?);
                    turn.progress = $rest.len() != before;
                    answer
                })
            }
        )*
    };
}

impl<F: Descriptor> Until<F> {
    each_operation!(waiting);

    /// See [`send_to()`](crate::send_to()).
    #[inline]
    pub fn send_to(&self, buf: &[u8], flags: SendFlags, address: &(impl Address + ?Sized)) -> Io {
        self.wait(Answer::Broken, op_to(address), |fd, _| {
            send_to(fd, buf, flags, address)
        })
    }

    /// See [`recv_with()`]. `then` is called once at most.
    #[inline]
    pub fn recv_with<R>(
        &self,
        buf: &mut [MaybeUninit<u8>],
        flags: RecvFlags,
        then: impl FnOnce(&mut [u8]) -> R,
    ) -> Io<R> {
        let mut then = Some(then);
        let received = self.wait(Answer::Broken, Op::Recv, |fd, _| {
            recv_with(fd, buf, flags, |bytes| then.take().map(|then| then(bytes)))
        });
        received.and_then(|value| value.map_or(Io::WouldBlock, Io::Ready))
    }

    /// See [`recv_from_with()`]. `then` is called once at most.
    #[inline]
    pub fn recv_from_with<R>(
        &self,
        buf: &mut [MaybeUninit<u8>],
        flags: RecvFlags,
        then: impl FnOnce(&mut [u8], Option<PeerAddress>) -> R,
    ) -> Io<R> {
        let mut then = Some(then);
        let received = self.wait(Answer::Broken, Op::Recv, |fd, _| {
            recv_from_with(fd, buf, flags, |bytes, sender| {
                then.take().map(|then| then(bytes, sender))
            })
        });
        received.and_then(|value| value.map_or(Io::WouldBlock, Io::Ready))
    }

    /// See [`recv_fds_with()`].
    #[inline]
    pub fn recv_fds_with(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        flags: RecvFlags,
        mut keep: impl FnMut(OwnedFd),
    ) -> Io<Message> {
        self.wait(Answer::Broken, Op::Recv, |fd, _| {
            recv_fds_with(fd, bufs, flags, &mut keep)
        })
    }

    /// [`connect()`], once, and then [`finish_connect()`] until the attempt has ended.
    ///
    /// - `Ready(())`: connected.
    /// - `WouldBlock`: the deadline passed while the attempt was under way. It still is:
    ///   go on with [`finish_connect`](Self::finish_connect), never with a second
    ///   `connect`; or close the socket.
    /// - `Err`: the attempt failed. An errno to back off from is handed to the caller at
    ///   once, because the attempt cannot be repeated on every system.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wouldblock::{AddressFamily, Deadline, Io, SocketType, socket, until};
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    /// let in_time = until(&fd, Duration::from_secs(5));
    /// let mut answer = in_time.connect(&listener.local_addr()?);
    /// if answer.is_would_block() {
    ///     // Late, but perhaps not too late.
    ///     answer = until(&fd, Duration::from_secs(60)).finish_connect();
    /// }
    /// assert_eq!(answer, Io::Ready(()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "connect_timeout")]
    pub fn connect(&self, address: &(impl Address + ?Sized)) -> Io<()> {
        let mut begun = false;
        self.wait(Answer::Broken, op_of_connect(address), |fd, _| {
            if begun {
                return finish_connect(fd);
            }
            let answer = connect(fd, address);
            begun = answer.is_would_block();
            answer
        })
    }

    /// The wait alone, and no call; with [`Duration::ZERO`](core::time::Duration::ZERO)
    /// for a deadline, the question whether it is ready now.
    ///
    /// - `Ready(readiness)`: for something, perhaps a hang-up or an error. It is a
    ///   hint: the call that follows may still answer `WouldBlock`, and a loop of this
    ///   and that call is a busy loop where readiness lies. [`retry`](Self::retry) and
    ///   [`turns`](Self::turns), which make the call, are not.
    /// - `WouldBlock`: the deadline passed. Never early.
    /// - `Err`: as for [`until()`]. If the deadline passes while the system has no
    ///   memory for the wait, that is the answer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wouldblock::{Interest, Io, until};
    /// # use std::os::unix::net::UnixStream;
    /// # let (ours, _theirs) = UnixStream::pair()?;
    /// let answer = until(&ours, Duration::from_millis(5)).ready(Interest::READABLE);
    /// assert_eq!(answer, Io::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ready(&self, interest: Interest) -> Io<Readiness> {
        let mut kernel = Pace::new();
        let deadline = self.deadline.at;
        let mut fds = [interest.on(&self.fd)];
        loop {
            let answer = poll(&mut fds, self.deadline.remaining());
            if answer.is_ready() {
                return reported(&fds[0]);
            }
            try_io!(after_poll(&mut kernel, answer, deadline, deadline));
        }
    }

    /// Any one call of the caller's own; `op` says what its errnos mean, and what to wait
    /// for.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wouldblock::{Io, Op, Retry, until};
    /// # let (reader, writer) = wouldblock::pipe()?;
    /// # assert_eq!(wouldblock::write(&writer, b"late"), Io::Ready(4));
    /// let mut buf = [0; 64];
    /// let answer = until(&reader, Duration::from_secs(5)).retry(Retry::Read, |fd| {
    ///     Io::from_result(Op::Read, rustix::io::read(fd, &mut buf))
    /// });
    /// assert_eq!(answer, Io::Ready(4));
    /// # Ok::<(), wouldblock::Errno>(())
    /// ```
    ///
    /// An error that passes ([`Outcome`](crate::Outcome#errors-that-pass)) the closure may
    /// call would-block, such as the EIO of a pseudo-terminal's master that nobody has open.
    /// It polls as hung up, so this is a lie, and rests.
    ///
    /// ```
    /// use wouldblock::{Deadline, Errno, Io, OwnedFd, Retry, read, until};
    ///
    /// fn read_master(master: &OwnedFd, buf: &mut [u8], end: Deadline) -> Io {
    ///     until(master, end).retry(Retry::Read, |fd| match read(fd, buf) {
    ///         Io::Err(Errno::IO) => Io::WouldBlock,
    ///         answer => answer,
    ///     })
    /// }
    /// ```
    ///
    /// A closure of several calls, which may do something and then answer would-block,
    /// tells so by [`turns`](Self::turns).
    #[inline]
    pub fn retry<T>(&self, op: Retry, mut call: impl FnMut(BorrowedFd<'_>) -> Io<T>) -> Io<T> {
        self.turns(op.into(), |fd, _| call(fd))
    }

    /// Like [`retry`](Self::retry), for a closure of several calls: it tells by its
    /// [`Turn`] whether anything was done, and what its would-block waits for. That may
    /// change from turn to turn, as it does in a TLS or SSH handshake, where a read may
    /// have to write first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wouldblock::{Io, Op, RecvFlags, recv, until};
    /// # use std::os::unix::net::UnixStream;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # wouldblock::set_nonblocking(&ours, true)?;
    /// # std::io::Write::write_all(&mut &theirs, b"12345678")?;
    ///
    /// // A record of eight bytes, in as many pieces as it comes in.
    /// let (mut record, mut have) = ([0; 8], 0);
    /// let answer = until(&ours, Duration::from_secs(5)).turns(Op::Recv, |fd, turn| {
    ///     while have < record.len() {
    ///         match recv(fd, &mut record[have..], RecvFlags::empty()) {
    ///             Io::Ready(0) => return Io::Ready(false), // an end inside of a record
    ///             Io::Ready(n) => (have, turn.progress) = (have + n, true),
    ///             Io::WouldBlock => return Io::WouldBlock,
    ///             Io::Err(errno) => return Io::Err(errno),
    ///         }
    ///     }
    ///     Io::Ready(true)
    /// });
    /// assert_eq!(answer, Io::Ready(true));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// One direction can be wanted at a time. Who wants both, because there is something to
    /// be sent while an answer may come, takes an entry of a [`PollSet`](crate::PollSet).
    ///
    /// A shortage is final for [`Op::Connect`] and [`Op::ConnectUnix`], and what has
    /// begun must not be begun again: [`connect`](Self::connect) knows that.
    #[inline]
    pub fn turns<T>(&self, op: Op, call: impl FnMut(BorrowedFd<'_>, &mut Turn) -> Io<T>) -> Io<T> {
        self.wait(Answer::Doubtful, op, call)
    }

    #[inline]
    pub(super) fn wait<T>(
        &self,
        broken: Answer,
        op: Op,
        mut call: impl FnMut(BorrowedFd<'_>, &mut Turn) -> Io<T>,
    ) -> Io<T> {
        let (fd, mut turn) = (self.fd.as_fd(), Turn::of(op));
        match call(fd, &mut turn) {
            Io::Ready(value) => Io::Ready(value),
            first => wait_on(fd, op, self.deadline, broken, first, turn, &mut call),
        }
    }
}

impl<F: AsFd> NonBlocking<F> {
    /// The operations of this descriptor, which wait: see [`until()`].
    #[inline]
    pub fn until(&self, deadline: impl Into<Deadline>) -> Until<&Self> {
        until(self, deadline)
    }
}
