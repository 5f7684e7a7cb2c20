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

/// A descriptor, and how each of its directions has behaved.
#[derive(Debug)]
pub(super) struct Watched<F> {
    pub(super) fd: F,
    pub(super) serial: u64,
    pub(super) interest: Interest,
    /// What of it the next wait watches, and the bits for that.
    watch: Interest,
    events: PollFlags,
    /// What the next wait hands out, whatever poll says.
    pub(super) due: Interest,
    /// What was handed out, and no call answers.
    unanswered: Interest,
    /// Some direction is not quiet, so what to watch is to be found out.
    pub(super) is_troubled: bool,
    reading: Direction,
    writing: Direction,
    told: Direction,
}

#[derive(Clone, Copy, Debug)]
struct Direction {
    pace: Pace,
    /// What the last call answered, if it is to be made again without an event.
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
    pub(super) fn new(fd: F, serial: u64, interest: Interest) -> Self {
        let direction = Direction {
            pace: Pace::new(),
            errno: None,
        };
        Self {
            fd,
            serial,
            interest,
            watch: interest,
            events: poll_flags(interest.to_events(HOST)),
            due: Interest::empty(),
            unanswered: Interest::empty(),
            is_troubled: false,
            reading: direction,
            writing: direction,
            told: direction,
        }
    }

    pub(super) fn set_interest(&mut self, interest: Interest) {
        self.interest = interest;
        self.watch(interest);
        let troubled = |(part, it): (Interest, &mut Direction)| {
            interest.intersects(part) && !it.pace.is_quiet()
        };
        let any = self.directions().map(troubled).contains(&true);
        self.is_troubled = any || !self.unanswered.is_empty();
    }

    fn watch(&mut self, watch: Interest) {
        (self.watch, self.due) = (watch, Interest::empty());
        self.events = poll_flags(watch.to_events(HOST));
    }

    fn directions(&mut self) -> [(Interest, &mut Direction); 3] {
        [
            (Interest::READABLE, &mut self.reading),
            (Interest::WRITABLE, &mut self.writing),
            (TOLD, &mut self.told),
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

    /// The entry for poll: none that it looks at, if nothing is watched.
    #[inline]
    pub(super) fn entry(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        (!self.watch.is_empty()).then(|| (self.fd.as_fd(), self.events))
    }

    /// Finds out what the next wait watches, and what is due.
    pub(super) fn plan(&mut self, now: u64, plan: &mut Plan) {
        if !self.is_troubled {
            return;
        }
        let interest = self.interest;
        let (mut watch, mut due, mut is_troubled) = (interest, Interest::empty(), false);
        let unanswered = core::mem::take(&mut self.unanswered);
        let fd = self.fd.as_fd();
        for (part, pace) in [
            (Interest::READABLE, &mut self.reading.pace),
            (Interest::WRITABLE, &mut self.writing.pace),
            (TOLD, &mut self.told.pace),
        ] {
            if unanswered.intersects(part) {
                pace.unanswered(now);
            }
            let part = interest.intersection(part);
            if part.is_empty() || pace.is_quiet() {
                continue;
            }
            is_troubled = true;
            match pace.next(now) {
                Next::Rest { until } => {
                    watch.remove(part);
                    plan.wake = plan.wake.min(until);
                }
                Next::Call => {
                    due.insert(part);
                    plan.at_once = true;
                }
                Next::Ask if ready(fd, part).is_would_block() => pace.denied(),
                Next::Ask => plan.at_once = true,
                Next::Wait => pace.denied(),
            }
        }
        self.watch(watch);
        (self.due, self.is_troubled) = (due, is_troubled);
    }

    /// The caller is told, and promised what of it a call can answer.
    pub(super) fn hand_out(&mut self, readiness: Readiness, due: Interest) {
        let reads = self.interest.contains(Interest::READABLE) && readiness.is_readable();
        let writes = self.interest.contains(Interest::WRITABLE) && readiness.is_writable();
        if reads {
            self.reading.pace.promise();
        }
        if writes {
            self.writing.pace.promise();
        }
        if due.contains(Interest::READABLE) {
            self.reading.pace.handed_out();
        }
        if due.contains(Interest::WRITABLE) {
            self.writing.pace.handed_out();
        }
        if !reads && !writes && due.is_empty() {
            let all = readiness.is_invalid();
            self.unanswered = if all { Interest::all() } else { TOLD };
            self.is_troubled = true;
        }
    }

    /// A call did something, or failed for good.
    #[inline]
    pub(super) fn done(&mut self, op: Op) {
        if let Some(direction) = self.direction(op) {
            direction.pace.done();
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
        let Some(direction) = self.direction(op) else {
            return errno.is_none();
        };
        let answer = match errno {
            None if progress => Answer::Done,
            None if direction.pace.expects_nothing() => return true,
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
        self.is_troubled = true;
        true
    }
}

/// What a direction that is due looks like to the caller.
#[inline]
pub(super) fn as_if_ready(due: Interest) -> Readiness {
    let mut readiness = Readiness::empty();
    readiness.set(Readiness::READABLE, due.contains(Interest::READABLE));
    readiness.set(Readiness::WRITABLE, due.contains(Interest::WRITABLE));
    readiness
}
