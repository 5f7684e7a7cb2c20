//! One descriptor of a set: what it is watched for, and how it has behaved.

use core::mem::take;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::mapping::classify::Op;
use crate::mapping::io::Io;
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::descriptor::Descriptor;
use crate::ops::poll::ready;
use crate::ops::vectored::receives_messages;
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

/// The directions of a descriptor: what each is watched for, and what it is handed out as
/// where a call is due.
const DIRECTIONS: [(Interest, Readiness); 3] = [
    (Interest::READABLE, Readiness::READABLE),
    (Interest::WRITABLE, Readiness::WRITABLE),
    (TOLD, Readiness::empty()),
];

/// A descriptor, and how each of its directions has behaved.
#[derive(Debug)]
pub(super) struct Watched<F> {
    pub(super) fd: F,
    pub(super) interest: Interest,
    /// What of it the next wait watches, and the bits for that.
    pub(super) watch: Interest,
    events: PollFlags,
    /// Nothing is watched, or a direction is not quiet: the next wait has to find out
    /// what to watch.
    pub(super) is_troubled: bool,
    /// What the last wait did not watch.
    resting: Interest,
    /// What the next wait hands out, whatever poll says.
    pub(super) due: Interest,
    /// What was handed out, and no call answers.
    unanswered: Interest,
    directions: [Direction; 3],
}

#[derive(Clone, Copy, Debug)]
struct Direction {
    pace: Pace,
    /// What was handed out since its last call.
    handed_out: Readiness,
    /// What that call answered, if it is to be made again without an event.
    errno: Option<Errno>,
    /// What poll said when it was asked, and nobody has been told yet: some drivers say it
    /// once.
    said: Readiness,
    /// A call read nothing after the other side had gone.
    has_gone: bool,
}

impl Direction {
    const QUIET: Self = Self {
        pace: Pace::new(),
        handed_out: Readiness::empty(),
        errno: None,
        said: Readiness::empty(),
        has_gone: false,
    };
}

impl<F: Descriptor> Watched<F> {
    pub(super) fn new(fd: F, interest: Interest) -> Self {
        let mut new = Self {
            fd,
            interest,
            watch: interest,
            events: PollFlags::empty(),
            is_troubled: false,
            due: Interest::empty(),
            resting: Interest::empty(),
            unanswered: Interest::empty(),
            directions: [Direction::QUIET; 3],
        };
        new.set_interest(interest);
        new
    }

    pub(super) fn set_interest(&mut self, interest: Interest) {
        self.interest = interest;
        let mut directions = DIRECTIONS.iter().zip(&self.directions);
        let is_troubled =
            directions.any(|((part, _), it)| interest.intersects(*part) && !it.pace.is_quiet());
        let is_troubled = is_troubled || !(self.unanswered | self.due).is_empty();
        self.watch(interest, self.due, is_troubled);
    }

    fn watch(&mut self, watch: Interest, due: Interest, is_troubled: bool) {
        (self.watch, self.due) = (watch, due);
        self.events = poll_flags(watch.to_events(HOST));
        self.is_troubled = is_troubled || watch.is_empty();
    }

    /// The direction of an operation, if it has one.
    fn direction(&mut self, op: Op) -> Option<&mut Direction> {
        let [reading, writing, _] = &mut self.directions;
        match op.interest() {
            Interest::READABLE => Some(reading),
            Interest::WRITABLE => Some(writing),
            _ => None,
        }
    }

    /// The entry for poll.
    pub(super) fn entry(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.fd.as_fd(), self.events)
    }

    /// Finds out what the next wait watches, and what is due. Returns when that wait has
    /// to end: `now` if something is due, later if something rests, and never otherwise.
    pub(super) fn plan(&mut self, now: u64) -> u64 {
        let mut wake = u64::MAX;
        if !self.is_troubled {
            return wake;
        }
        let (mut resting, mut due, mut is_troubled) = (Interest::empty(), Interest::empty(), false);
        let unanswered = take(&mut self.unanswered);
        for ((part, as_if), it) in DIRECTIONS.into_iter().zip(&mut self.directions) {
            if unanswered.intersects(part) {
                it.pace.rest(false, now);
            }
            let part = part & self.interest;
            if part.is_empty() || it.pace.is_quiet() {
                continue;
            }
            is_troubled = true;
            let next = match it.pace.next(now) {
                Next::Ask => match ready(self.fd.as_fd(), part) {
                    Io::WouldBlock if it.said.is_empty() => Next::Wait,
                    // It said so before, which is no promise any more.
                    Io::WouldBlock => {
                        it.said.remove(as_if);
                        it.pace.owes()
                    }
                    answer => {
                        if let Io::Ready(said) = answer {
                            it.said |= if as_if.is_empty() { said } else { as_if };
                        }
                        match it.pace.confirmed(now) {
                            // It could not be asked, which is no denial: the wait will tell.
                            Next::Call if it.said.is_empty() => Next::Ask,
                            next => next,
                        }
                    }
                },
                next => next,
            };
            match next {
                Next::Rest { until } => {
                    resting.insert(part);
                    wake = wake.min(until);
                }
                Next::Call => {
                    due.insert(part);
                    wake = now;
                }
                Next::Wait => it.pace.denied(),
                Next::Ask => {}
            }
        }
        self.resting = resting;
        self.watch(self.interest - resting, due, is_troubled);
        wake
    }

    /// The caller is told. False if a call may not answer it, or there is more to tell.
    #[inline]
    pub(super) fn hand_out(&mut self, readiness: Readiness) -> bool {
        let [reading, writing, _] = &mut self.directions;
        (reading.handed_out, writing.handed_out) = (readiness, readiness);
        let calls = Readiness::READABLE.union(Readiness::WRITABLE);
        readiness.intersects(calls) && !self.is_troubled
    }

    /// The caller is told of what is due as well, or of what no call answers. Returns
    /// what that looks like; `None` if it was due, and is no longer wanted.
    #[cold]
    pub(super) fn hand_out_more(&mut self, mut readiness: Readiness) -> Option<Readiness> {
        let due = take(&mut self.due) & self.interest;
        for ((part, as_if), it) in DIRECTIONS.into_iter().zip(&mut self.directions) {
            if due.intersects(part) {
                it.pace.handed_out();
                let said = take(&mut it.said);
                it.handed_out |= said;
                readiness |= as_if | said;
            }
        }
        if readiness.is_empty() {
            return None;
        }
        // A direction that rests is not what a hang-up or an error was told for, and who
        // was told before is told again, beside a direction or not.
        let watch = self.interest - self.resting;
        let called = watch.intersects(to_call_for(readiness));
        let [.., telling] = &self.directions;
        let told = watch.intersects(TOLD) && !telling.pace.is_quiet();
        if !called || told && readiness.intersects(TELLS) {
            let all = readiness.is_invalid();
            self.unanswered = if all { Interest::all() } else { TOLD };
            self.is_troubled = true;
        }
        Some(readiness)
    }

    /// A call did something.
    pub(super) fn done(&mut self, op: Op) {
        if let Some(direction) = self.direction(op) {
            *direction = Direction::QUIET;
        }
    }

    /// Whether a count of 0, where there was room, is nothing done: always, but for one of
    /// a message whose sender has not gone.
    #[cold]
    pub(super) fn is_nothing(&mut self, op: Op) -> bool {
        let gone = Readiness::HANG_UP.union(Readiness::READ_CLOSED);
        let [reading, ..] = &mut self.directions;
        // What the first call was told is true of the next one.
        if !reading.handed_out.is_empty() {
            reading.has_gone = reading.handed_out.intersects(gone);
        }
        let receives = matches!(op, Op::Read | Op::Recv);
        receives && (reading.has_gone || !receives_messages(self.fd.as_fd()))
    }

    /// The errno for which a direction rests.
    pub(super) fn resting_for(&self) -> Option<Errno> {
        let mut resting = self.directions.iter().filter(|it| !it.pace.is_quiet());
        resting.find_map(|it| it.errno)
    }

    /// A call would block, which is `broken` if poll said ready, or failed. True if the set
    /// makes it again.
    #[inline(never)]
    pub(super) fn stopped(&mut self, op: Op, errno: Option<Errno>, broken: Answer) -> bool {
        // After a connect that was interrupted there is nothing to go on with.
        let is_connect = matches!(op, Op::Connect | Op::ConnectUnix);
        let told = match errno.map(|errno| Answer::of_error(op, errno)) {
            None => Some(Answer::WouldBlock),
            Some(Some(Answer::Again)) if is_connect => None,
            Some(told) => told,
        };
        let again = told.is_some();
        let asked = self.interest & op.interest();
        let Some(direction) = self.direction(op) else {
            return errno.is_none();
        };
        let promised = to_call_for(take(&mut direction.handed_out)).intersects(asked);
        if broken == Answer::Done {
            *direction = Direction::QUIET;
        }
        let answer = match told {
            Some(answer @ (Answer::Again | Answer::BackOff)) => answer,
            _ if broken == Answer::Done => return again,
            // It may stay, and the caller goes on.
            None if promised => Answer::Doubtful,
            _ if promised => broken,
            _ if direction.pace.is_quiet() => return again,
            _ => Answer::WouldBlock,
        };
        direction.errno = errno.filter(|_| again);
        direction.pace.answered(answer, now());
        self.is_troubled = true;
        again
    }
}

/// The directions in which this makes a call worth while.
fn to_call_for(readiness: Readiness) -> Interest {
    let mut interest = Interest::empty();
    interest.set(Interest::READABLE, readiness.is_readable());
    interest.set(Interest::WRITABLE, readiness.is_writable());
    interest
}
