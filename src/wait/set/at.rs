//! [`At`]: a registered descriptor that can be called.

use core::mem::MaybeUninit;

use rustix::fd::OwnedFd;
use rustix::io::{Errno, IoSliceMut};

use super::entry::Watched;
use crate::mapping::classify::Op;
use crate::mapping::flags::{RecvFlags, SendFlags};
use crate::mapping::io::Io;
use crate::mapping::readiness::Interest;
use crate::ops::address::{Address, PeerAddress};
use crate::ops::connection::{accept, accept_from, connect, finish_connect};
use crate::ops::descriptor::Descriptor;
use crate::ops::descriptors::{recv_fds, recv_fds_with};
use crate::ops::message::{Message, op_to, recv_from, recv_from_with, recv_msg, send_to};
use crate::ops::stream::{read, recv, recv_with, send, write};
use crate::ops::vectored::{send_all, write_all};
use crate::wait::operations::each_operation;
use crate::wait::pace::Answer;

/// An entry of a [`PollSet`](crate::PollSet): a registered descriptor, with the
/// operations under their own names. Each makes one call, or one drain, and the set
/// remembers what it answered. Lent by [`PollSet::get_mut`](crate::PollSet::get_mut).
///
/// - `Ready(value)`: what the call answered.
/// - `WouldBlock`: not now, and the set tries again by itself: it hands the
///   descriptor out when it is worth another call. That is so after would-block, and
///   also where an errno says *call again* or *back off*, such as `accept` without a
///   descriptor left. [`resting_for`](Self::resting_for) says which errno, for a log.
/// - `Err`: this is final, for the descriptor or for this call. A connection attempt
///   that met a shortage is, too: nothing is under way. Who goes on after an error that
///   stays is handed the descriptor out at a slowing pace, but for one of `send_to`, which
///   belongs to the message.
///
/// Of `read` and all that receive, 0 bytes are the answer as ever, and an end that is read
/// again and again is handed out at a slowing pace. So it is with a FIFO without a writer,
/// and a terminal that has nothing yet. So it is with an empty record of a SEQPACKET whose
/// peer has gone, which cannot be told from the end: what comes after it is late by a rest.
/// [`attempt`](Self::attempt) does not count bytes: take the descriptor out of the set at its
/// end.
///
/// A call that is made on [`fd`](Self::fd) past this is not remembered: right for one
/// that has nothing to do with readiness.
#[derive(Debug)]
pub struct At<'a, F>(pub(super) &'a mut Watched<F>);

macro_rules! telling {
    (
        counts {$($count:ident($buf:ident: $kind:ty $(, $flags:ident: $flag:ty)?): $op:expr;)*}
        values {$($value:ident($($arg:ident: $its:ty),*) -> $got:ty: $for:expr, $is_end:expr;)*}
        drains {$($all:ident($rest:ident: $left:ty $(, $more:ident: $other:ty)?): $by:expr;)*}
    ) => {
        $(
            #[doc = concat!("See [`", stringify!($count), "()`](crate::", stringify!($count), "()).")]
            #[inline]
            pub fn $count(&mut self, $buf: $kind $(, $flags: $flag)?) -> Io {
                let answer = $count(&self.0.fd, $buf $(, $flags)?);
                self.counted($op, answer, |n| *n == 0 && !$buf.is_empty())
            }
        )*
        $(
            #[doc = concat!("See [`", stringify!($value), "()`](crate::", stringify!($value), "()).")]
            #[inline]
            pub fn $value(&mut self, $($arg: $its),*) -> Io<$got> {
                let answer = $value(&self.0.fd, $($arg),*);
                self.counted($for, answer, $is_end)
            }
        )*
        $(
            #[doc = concat!("See [`", stringify!($all), "()`](crate::", stringify!($all), "()).")]
            #[inline]
            pub fn $all(&mut self, $rest: $left $(, $more: $other)?) -> Io<()> {
                let before = $rest.len();
                let answer = $all(&self.0.fd, $rest $(, $more)?);
                let progress = $rest.len() != before;
                self.told($by, answer, if progress { Answer::Done } else { Answer::Broken })
            }
        )*
    };
}

impl<F: Descriptor> At<'_, F> {
    each_operation!(telling);

    /// See [`send_to()`](crate::send_to()). An error is the message's own, or its
    /// address's, and the next one need not wait.
    #[inline]
    pub fn send_to(
        &mut self,
        buf: &[u8],
        flags: SendFlags,
        address: &(impl Address + ?Sized),
    ) -> Io {
        let op = op_to(address);
        let answer = send_to(&self.0.fd, buf, flags, address);
        let broken = match answer {
            Io::Err(errno) if Answer::of_error(op, errno).is_none() => Answer::Done,
            _ => Answer::Broken,
        };
        self.told(op, answer, broken)
    }

    /// See [`recv_with()`].
    #[inline]
    pub fn recv_with<R>(
        &mut self,
        buf: &mut [MaybeUninit<u8>],
        flags: RecvFlags,
        then: impl FnOnce(&mut [u8]) -> R,
    ) -> Io<R> {
        let mut n = 0;
        let answer = recv_with(&self.0.fd, buf, flags, |bytes| {
            n = bytes.len();
            then(bytes)
        });
        self.counted(Op::Recv, answer, |_| n == 0)
    }

    /// See [`recv_from_with()`].
    #[inline]
    pub fn recv_from_with<R>(
        &mut self,
        buf: &mut [MaybeUninit<u8>],
        flags: RecvFlags,
        then: impl FnOnce(&mut [u8], Option<PeerAddress>) -> R,
    ) -> Io<R> {
        let mut n = 0;
        let answer = recv_from_with(&self.0.fd, buf, flags, |bytes, sender| {
            n = bytes.len();
            then(bytes, sender)
        });
        self.counted(Op::Recv, answer, |_| n == 0)
    }

    /// See [`recv_fds_with()`].
    #[inline]
    pub fn recv_fds_with(
        &mut self,
        bufs: &mut [IoSliceMut<'_>],
        flags: RecvFlags,
        keep: impl FnMut(OwnedFd),
    ) -> Io<Message> {
        let answer = recv_fds_with(&self.0.fd, bufs, flags, keep);
        self.counted(Op::Recv, answer, |message| message.bytes == 0)
    }

    /// See [`connect()`]. After `WouldBlock`, the set hands the descriptor out as
    /// writable, if that is asked for, and then it is
    /// [`finish_connect`](Self::finish_connect).
    #[inline]
    pub fn connect(&mut self, address: &(impl Address + ?Sized)) -> Io<()> {
        let answer = connect(&self.0.fd, address);
        // Of which every failure is final.
        self.told(Op::ConnectUnix, answer, Answer::Broken)
    }

    /// One call of the caller's own, of which `op` says what its errnos mean. A closure of
    /// several calls, which does something and then answers would-block, looks like one
    /// that did nothing: that costs a question to `poll`. With [`Op::Poll`] nothing is
    /// remembered, and every errno is handed on.
    #[inline]
    pub fn attempt<T>(&mut self, op: Op, call: impl FnOnce(&F) -> Io<T>) -> Io<T> {
        let answer = call(&self.0.fd);
        self.told(op, answer, Answer::Doubtful)
    }

    /// An end that is received again and again is nothing done.
    #[inline]
    fn counted<T>(&mut self, op: Op, answer: Io<T>, is_empty: impl FnOnce(&T) -> bool) -> Io<T> {
        match answer {
            Io::Ready(value) if is_empty(&value) && self.0.is_nothing(op) => {
                self.0.stopped(op, None, Answer::Broken);
                Io::Ready(value)
            }
            answer => self.told(op, answer, Answer::Broken),
        }
    }

    /// Would-block although poll said ready is `broken`.
    #[inline]
    fn told<T>(&mut self, op: Op, answer: Io<T>, broken: Answer) -> Io<T> {
        match answer {
            Io::Ready(_) => self.0.done(op),
            Io::WouldBlock => {
                self.0.stopped(op, None, broken);
            }
            Io::Err(errno) if self.0.stopped(op, Some(errno), broken) => return Io::WouldBlock,
            Io::Err(_) => {}
        }
        answer
    }

    /// The descriptor, for a call that the set need not know of.
    pub fn fd(&self) -> &F {
        &self.0.fd
    }

    /// What is waited for.
    pub fn interest(&self) -> Interest {
        self.0.interest
    }

    /// Changes what is waited for: see [`PollSet::modify`](crate::PollSet::modify).
    pub fn set_interest(&mut self, interest: Interest) {
        self.0.set_interest(interest);
    }

    /// The errno of its last call, if it is to be made again without an event: what the
    /// entry rests for. If both directions do, that of reading.
    pub fn resting_for(&self) -> Option<Errno> {
        self.0.resting_for()
    }
}
