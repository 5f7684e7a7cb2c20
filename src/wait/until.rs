//! [`until`]: the blocking view of a non-blocking descriptor, under a deadline.

use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};

use super::deadline::Deadline;
use super::drive::{after_poll, checked, wait_on};
use super::operations::each_operation;
use super::pace::Pace;
use crate::mapping::classify::Op;
use crate::mapping::flags::{RecvFlags, SendFlags};
use crate::mapping::io::Io;
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::address::{Address, PeerAddress};
use crate::ops::connection::{accept, accept_from, connect, finish_connect};
use crate::ops::descriptor::Descriptor;
use crate::ops::descriptors::recv_fds;
use crate::ops::message::{Message, op_to, recv_from, recv_msg, send_msg_all, send_to};
use crate::ops::mode::NonBlocking;
use crate::ops::poll::poll;
use crate::ops::stream::{read, recv, recv_with, send, write};
use crate::ops::vectored::{left, send_all, write_all, writev_all};
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

/// A descriptor and a deadline: the operations under their own names, which wait.
///
/// Made by [`until`].
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is waited for before an operation is called"]
pub struct Until<F> {
    pub(super) fd: F,
    pub(super) deadline: Deadline,
}

/// The operations of `fd`, made again until they succeed, fail, or the deadline
/// passes.
#[doc(alias = "timeout")]
#[doc(alias = "settimeout")]
#[inline]
pub fn until<F: Descriptor>(fd: F, deadline: impl Into<Deadline>) -> Until<F> {
    let deadline = deadline.into();
    Until { fd, deadline }
}

/// What a closure of several calls tells besides its answer; see [`Until::turns`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Turn {
    /// Whether anything was done before it would have blocked. False at first.
    pub progress: bool,
    /// What its would-block waits for: one direction. The operation's at first.
    pub wants: Interest,
}

impl Turn {
    pub(super) const fn of(op: Op, progress: bool) -> Self {
        let wants = op.interest();
        Self { progress, wants }
    }
}

macro_rules! waiting {
    (
        counts {$($count:ident($($arg:ident: $kind:ty),*): $op:expr;)*}
        values {$($value:ident($($more:ident: $its:ty),*) -> $got:ty: $for:expr;)*}
        drains {$($all:ident($rest:ident: $bufs:ty $(, $flags:ident: $flag:ty)?): $by:expr, |$it:ident| $left:expr;)*}
    ) => {
        $(waiting!($count($($arg: $kind),*): $op);)*
        $(
            #[doc = concat!("See [`", stringify!($value), "()`](crate::", stringify!($value), "()).")]
            #[inline]
            pub fn $value(&self, $($more: $its),*) -> Io<$got> {
                self.turns($for, |fd, _| $value(fd, $($more),*))
            }
        )*
        $(
            #[doc = concat!("See [`", stringify!($all), "()`](crate::", stringify!($all), "()).")]
            #[inline]
            pub fn $all(&self, $rest: $bufs $(, $flags: $flag)?) -> Io<()> {
                self.turns($by, |fd, turn| {
                    let left = |$it: &$bufs| $left;
                    let before = left(&$rest);
                    let answer = $all(fd, $rest $(, $flags)?);
                    turn.progress = left(&$rest) != before;
                    answer
                })
            }
        )*
    };
    ($count:ident($($arg:ident: $kind:ty),*): $op:expr) => {
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
                let first = Io::from_result(op, Err(first));
                let turn = Turn::of(op, false);
                pack(wait_on(fd, op, deadline, first, turn, &mut |fd, _| $count(fd, $($arg),*)))
            }
            let first = match $count(&self.fd, $($arg),*) {
                Io::Ready(n) => return Io::Ready(n),
                Io::WouldBlock => WOULD_BLOCK,
                Io::Err(errno) => errno,
            };
            unpack(later(self.fd.as_fd(), $($arg,)* self.deadline, first))
        }
    };
}

/// No call counts so many, or one more.
const BLOCKED: usize = usize::MAX - 1;
const FAILED: usize = usize::MAX;

#[inline(always)]
fn pack(answer: Io) -> (usize, Errno) {
    match answer {
        Io::Ready(n) => (n, WOULD_BLOCK),
        Io::WouldBlock => (BLOCKED, WOULD_BLOCK),
        Io::Err(errno) => (FAILED, errno),
    }
}

#[inline(always)]
fn unpack((n, errno): (usize, Errno)) -> Io {
    match n {
        BLOCKED => Io::WouldBlock,
        FAILED => Io::Err(errno),
        n => Io::Ready(n),
    }
}

impl<F: Descriptor> Until<F> {
    each_operation!(waiting);

    /// See [`recv_with()`].
    #[inline]
    pub fn recv_with<R>(
        &self,
        buf: &mut [MaybeUninit<u8>],
        flags: RecvFlags,
        then: impl FnOnce(&mut [u8]) -> R,
    ) -> Io<R> {
        let mut then = Some(then);
        let received = self.retry(Retry::Recv, |fd| {
            recv_with(fd, buf, flags, |bytes| then.take().map(|then| then(bytes)))
        });
        received.and_then(|value| value.map_or(Io::WouldBlock, Io::Ready))
    }

    /// [`connect()`], once, and then [`finish_connect()`].
    #[doc(alias = "connect_timeout")]
    pub fn connect(&self, address: &impl Address) -> Io<()> {
        let op = if address.is_unix() {
            Op::ConnectUnix
        } else {
            Op::Connect
        };
        let mut begun = false;
        self.turns(op, |fd, _| {
            if begun {
                return finish_connect(fd);
            }
            let answer = connect(fd, address);
            begun = answer.is_would_block();
            answer
        })
    }

    /// The wait alone.
    pub fn ready(&self, interest: Interest) -> Io<Readiness> {
        let mut kernel = Pace::new();
        let deadline = self.deadline.at();
        let mut fds = [interest.on(&self.fd)];
        loop {
            match poll(&mut fds, self.deadline.remaining()) {
                Io::Ready(_) => return checked(Readiness::from(&fds[0])),
                answer => match after_poll(&mut kernel, answer, deadline, deadline) {
                    Io::Ready(()) => {}
                    Io::WouldBlock => return Io::WouldBlock,
                    Io::Err(errno) => return Io::Err(errno),
                },
            }
        }
    }

    /// Any one call.
    #[inline]
    pub fn retry<T>(&self, op: Retry, mut call: impl FnMut(BorrowedFd<'_>) -> Io<T>) -> Io<T> {
        self.turns(op.into(), |fd, _| call(fd))
    }

    /// Like [`retry`](Self::retry), for a closure of several calls.
    #[inline]
    pub fn turns<T>(
        &self,
        op: Op,
        mut call: impl FnMut(BorrowedFd<'_>, &mut Turn) -> Io<T>,
    ) -> Io<T> {
        let mut turn = Turn::of(op, false);
        match call(self.fd.as_fd(), &mut turn) {
            Io::Ready(value) => Io::Ready(value),
            first => wait_on(self.fd.as_fd(), op, self.deadline, first, turn, &mut call),
        }
    }
}

impl<F: AsFd> NonBlocking<F> {
    /// See [`until()`].
    #[inline]
    pub fn until(&self, deadline: impl Into<Deadline>) -> Until<&Self> {
        until(self, deadline)
    }
}
