//! One descriptor of a set: what it is watched for, and how it has behaved.

use rustix::event::PollFlags;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use crate::mapping::classify::Op;
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::descriptor::Descriptor;
use crate::ops::poll::ready;
use crate::platform::HOST;
use crate::platform::host::poll_flags;
use crate::wait::clock::now;
use crate::wait::pace::{Answer, Next, Pace};

/// No call answers these: to be told of them is all there is.
const TOLD: Interest = Interest::PRIORITY.union(Interest::HANG_UP);

/// What they are told by: poll tells of errors whatever is asked.
const TELLS: Readiness = Readiness::HANG_UP
    .union(Readiness::ERROR)
    .union(Readiness::PRIORITY);

/// Nothing is watched.
pub(super) const UNWATCHED: u8 = 1;
/// Some direction is not quiet, so what to watch is to be found out.
pub(super) const TROUBLED: u8 = 2;

/// A descriptor, and how each of its directions has behaved.
#[derive(Debug)]
pub(super) struct Watched<F> {
    pub(super) fd: F,
    pub(super) interest: Interest,
    /// What of it the next wait watches, and the bits for that.
    watch: Interest,
    events: PollFlags,
    /// [`UNWATCHED`], [`TROUBLED`], or neither: what a wait has to know of each entry.
    pub(super) mark: u8,
    /// What the next wait hands out, whatever poll says.
    pub(super) due: Interest,
    /// What was handed out, and no call answers.
    unanswered: Interest,
    reading: Direction,
    writing: Direction,
    told: Pace,
}

#[derive(Clone, Copy, Debug)]
struct Direction {
    pace: Pace,
    /// What was handed out since its last call.
    handed_out: Readiness,
    /// What that call answered, if it is to be made again without an event.
    errno: Option<Errno>,
}

/// What the entries want of the next wait.
pub(super) struct Plan {
    /// When the first rest ends, or the deadline passes.
    pub(super) wake: u64,
    /// Something is to be handed out, so poll only asks.
    pub(super) at_once: bool,
}

impl<F: Descriptor> Watched<F> {
    pub(super) fn new(fd: F, interest: Interest) -> Self {
        let direction = Direction {
            pace: Pace::new(),
            handed_out: Readiness::empty(),
            errno: None,
        };
        let mut new = Self {
            fd,
            interest,
            watch: interest,
            events: PollFlags::empty(),
            mark: 0,
            due: Interest::empty(),
            unanswered: Interest::empty(),
            reading: direction,
            writing: direction,
            told: Pace::new(),
        };
        new.watch(interest, Interest::empty(), false);
        new
    }

    pub(super) fn set_interest(&mut self, interest: Interest) {
        self.interest = interest;
        let troubled =
            |(part, pace): (Interest, &Pace)| interest.intersects(part) && !pace.is_quiet();
        let any = self.directions().map(troubled).contains(&true);
        let is_troubled = any || !self.unanswered.is_empty();
        self.watch(interest, Interest::empty(), is_troubled);
    }

    fn watch(&mut self, watch: Interest, due: Interest, is_troubled: bool) {
        (self.watch, self.due) = (watch, due);
        self.events = poll_flags(watch.to_events(HOST));
        self.mark = if watch.is_empty() { UNWATCHED } else { 0 };
        if is_troubled {
            self.mark |= TROUBLED;
        }
    }

    fn directions(&self) -> [(Interest, &Pace); 3] {
        [
            (Interest::READABLE, &self.reading.pace),
            (Interest::WRITABLE, &self.writing.pace),
            (TOLD, &self.told),
        ]
    }

    /// The direction of an operation, if it has one.
    #[inline]
    fn direction(&mut self, op: Op) -> Option<&mut Direction> {
        match op.interest() {
            Interest::READABLE => Some(&mut self.reading),
            Interest::WRITABLE => Some(&mut self.writing),
            _ => None,
        }
    }

    /// The entry for poll.
    #[inline]
    pub(super) fn entry(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.fd.as_fd(), self.events)
    }

    /// Finds out what the next wait watches, and what is due.
    pub(super) fn plan(&mut self, now: u64, plan: &mut Plan) {
        if self.mark & TROUBLED == 0 {
            return;
        }
        let interest = self.interest;
        let (mut watch, mut due, mut is_troubled) = (interest, Interest::empty(), false);
        let unanswered = core::mem::take(&mut self.unanswered);
        let fd = self.fd.as_fd();
        for (part, pace) in [
            (Interest::READABLE, &mut self.reading.pace),
            (Interest::WRITABLE, &mut self.writing.pace),
            (TOLD, &mut self.told),
        ] {
            if unanswered.intersects(part) {
                pace.unanswered(now);
            }
            let part = interest.intersection(part);
            if part.is_empty() || pace.is_quiet() {
                continue;
            }
            is_troubled = true;
            let asked = pace.next(now);
            let next = match asked {
                Next::Ask if ready(fd, part).is_would_block() => Next::Wait,
                Next::Ask => pace.confirmed(now),
                next => next,
            };
            match next {
                Next::Rest { until } => {
                    watch.remove(part);
                    plan.wake = plan.wake.min(until);
                }
                Next::Call => {
                    if asked == next {
                        due.insert(part);
                    }
                    plan.at_once = true;
                }
                Next::Wait | Next::Ask => pace.denied(),
            }
        }
        self.watch(watch, due, is_troubled);
    }

    /// The caller is told. False if a call may not answer it, or there is more to tell.
    #[inline]
    pub(super) fn hand_out(&mut self, readiness: Readiness) -> bool {
        self.reading.handed_out = readiness;
        self.writing.handed_out = readiness;
        let calls = Readiness::READABLE.union(Readiness::WRITABLE);
        readiness.intersects(calls) && self.mark & TROUBLED == 0
    }

    /// The caller is told of what is due as well, or of what no call answers. Returns
    /// what that looks like; of nothing if it was due, and is no longer wanted.
    #[cold]
    pub(super) fn hand_out_more(&mut self, mut readiness: Readiness) -> Option<Readiness> {
        let due = core::mem::take(&mut self.due);
        for (part, direction, as_if) in [
            (Interest::READABLE, &mut self.reading, Readiness::READABLE),
            (Interest::WRITABLE, &mut self.writing, Readiness::WRITABLE),
        ] {
            if due.contains(part) {
                direction.pace.handed_out();
                readiness |= as_if;
            }
        }
        // A direction that rests is not what a hang-up or an error was told for, and who
        // was told before is told again, beside a direction or not.
        let called = self.watch.intersects(to_call_for(readiness));
        let told = self.watch.intersects(TOLD) && !self.told.is_quiet();
        if !readiness.is_empty() && (!called || told && readiness.intersects(TELLS)) {
            let all = readiness.is_invalid();
            self.unanswered = if all { Interest::all() } else { TOLD };
            self.mark |= TROUBLED;
        }
        (!readiness.is_empty()).then_some(readiness)
    }

    /// A call did something, or failed for good.
    #[inline]
    pub(super) fn done(&mut self, op: Op) {
        if let Some(direction) = self.direction(op) {
            direction.handed_out = Readiness::empty();
            direction.pace.done();
        }
    }

    /// Whether a count of 0, where there was room, is nothing done: of a read, which
    /// takes no messages, always; of a message, where the other side has gone.
    #[inline]
    pub(super) fn is_nothing(&self, op: Op) -> bool {
        let gone = Readiness::HANG_UP.union(Readiness::READ_CLOSED);
        match op {
            Op::Read => true,
            Op::Recv => self.reading.handed_out.intersects(gone),
            _ => false,
        }
    }

    /// The errno for which a direction rests.
    pub(super) fn resting_for(&self) -> Option<Errno> {
        let rests = |it: &Direction| it.errno.filter(|_| !it.pace.is_quiet());
        rests(&self.reading).or_else(|| rests(&self.writing))
    }

    /// A call would block, or failed. True if the set makes it again.
    #[inline(never)]
    pub(super) fn stopped(&mut self, op: Op, errno: Option<Errno>, progress: bool) -> bool {
        let asked = self.interest & op.interest();
        let Some(direction) = self.direction(op) else {
            return errno.is_none();
        };
        let promised = to_call_for(core::mem::take(&mut direction.handed_out));
        let answer = match errno {
            None if progress => Answer::Done,
            None if promised.intersects(asked) => Answer::Broken,
            None if direction.pace.is_quiet() => return true,
            None => Answer::WouldBlock,
            Some(errno) => match Answer::of_error(op, errno) {
                // After a connect that failed there is nothing to go on with.
                Some(Answer::Again) if matches!(op, Op::Connect | Op::ConnectUnix) => Answer::Done,
                Some(answer) => answer,
                None => Answer::Done,
            },
        };
        if answer == Answer::Done {
            direction.pace.done();
            return errno.is_none();
        }
        direction.errno = errno;
        direction.pace.answered(answer, now());
        self.mark |= TROUBLED;
        true
    }
}

/// The directions in which this makes a call worth while.
fn to_call_for(readiness: Readiness) -> Interest {
    let mut interest = Interest::empty();
    interest.set(Interest::READABLE, readiness.is_readable());
    interest.set(Interest::WRITABLE, readiness.is_writable());
    interest
}
