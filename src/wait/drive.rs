//! The waits themselves: makes the calls, polls and sleeps that [`Wait`] and [`Pace`]
//! ask for.

use core::time::Duration;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::clock::{now, sleep_until};
use super::deadline::Deadline;
use super::pace::{Answer, Do, Event, Next, Pace, Wait};
use super::until::Turn;
use crate::mapping::classify::{Op, Outcome};
use crate::mapping::io::{Io, try_io};
use crate::mapping::readiness::Interest;
use crate::ops::poll::{poll, reported};

impl Answer {
    /// What a call's errno is to a pace; `None` if it is final. So is a shortage of
    /// `connect`: a second attempt is refused for another reason on some systems.
    pub(super) fn of_error(op: Op, errno: Errno) -> Option<Self> {
        match op.outcome(errno) {
            Outcome::WouldBlock => Some(Self::WouldBlock),
            Outcome::Interrupted | Outcome::TryNext => Some(Self::Again),
            Outcome::BackOff if !matches!(op, Op::Connect | Op::ConnectUnix) => Some(Self::BackOff),
            _ => None,
        }
    }
}

/// Goes on after a first answer. Would-block although poll said ready is `broken`.
#[cold]
#[inline(never)]
pub(super) fn wait_on<T>(
    fd: BorrowedFd<'_>,
    op: Op,
    deadline: Deadline,
    broken: Answer,
    first: Io<T>,
    mut turn: Turn,
    call: &mut dyn FnMut(BorrowedFd<'_>, &mut Turn) -> Io<T>,
) -> Io<T> {
    let mut wait = Wait::new(deadline.at, broken);
    let mut answer = first;
    loop {
        let told = match answer {
            Io::Ready(_) => return answer,
            Io::WouldBlock => Answer::WouldBlock,
            Io::Err(errno) => match Answer::of_error(op, errno) {
                Some(told) => told,
                None => return answer,
            },
        };
        if turn.progress {
            wait.done();
        }
        match pause(&mut wait, told, fd, turn.wants) {
            Io::Ready(()) => {}
            Io::WouldBlock => return answer,
            Io::Err(errno) => return Io::Err(errno),
        }
        turn = Turn::of(op);
        answer = call(fd, &mut turn);
    }
}

/// Waits as `wait` says: `Ready` to call again, `WouldBlock` to give up.
fn pause(wait: &mut Wait, told: Answer, fd: BorrowedFd<'_>, wants: Interest) -> Io<()> {
    let mut event = Event::Answered(told);
    loop {
        let time = now();
        event = match wait.next(event, time) {
            Do::Call => return Io::Ready(()),
            Do::GiveUp => return Io::WouldBlock,
            Do::Sleep { until } => {
                sleep_until(until);
                Event::Slept
            }
            Do::Poll { until } => {
                let mut fds = [wants.on(fd)];
                match poll(&mut fds, time_left(until, time)) {
                    Io::Ready(_) => {
                        try_io!(reported(&fds[0]));
                        Event::Ready
                    }
                    Io::WouldBlock => Event::Silent,
                    Io::Err(errno) => match Op::Poll.outcome(errno) {
                        Outcome::Interrupted => Event::Signal,
                        Outcome::BackOff => Event::Starved,
                        _ => return Io::Err(errno),
                    },
                }
            }
        };
    }
}

/// The timeout of a poll until then.
pub(super) fn time_left(until: u64, time: u64) -> Option<Duration> {
    (until != u64::MAX).then(|| Duration::from_nanos(until.saturating_sub(time)))
}

/// After a poll, until `wake` at most, that found nothing: `Ready` to poll again,
/// `WouldBlock` if the deadline has passed. A shortage that lasts until then is the
/// answer.
#[cold]
pub(super) fn after_poll(kernel: &mut Pace, answer: Io, wake: u64, deadline: u64) -> Io<()> {
    let time = now();
    let next = match answer {
        Io::WouldBlock if time >= wake => {
            kernel.done();
            Next::Wait
        }
        // It said that something is ready, and of nothing that it is.
        Io::Ready(_) | Io::WouldBlock => kernel.answered(Answer::Early, time),
        Io::Err(errno) => match Op::Poll.outcome(errno) {
            Outcome::Interrupted => kernel.answered(Answer::Nudge, time),
            Outcome::BackOff if time < deadline => kernel.answered(Answer::Early, time),
            _ => return Io::Err(errno),
        },
    };
    if time >= deadline {
        return Io::WouldBlock;
    }
    if let Next::Rest { until } = next {
        sleep_until(until.min(wake));
    }
    Io::Ready(())
}
