//! When to call again: decided without a clock, without a call and without any other
//! part of this crate, so that it can be tested and fuzzed alone.
//!
//! [`Pace`] remembers one direction of one descriptor; [`Wait`] is one of those with
//! a deadline, which is a whole wait for one descriptor. Both are told what happened,
//! and answer what to do next. Times are nanoseconds on a clock that never goes back.

/// The first rest; each that follows is twice as long, up to sixteen times.
pub(crate) const MILLISECOND: u64 = 1_000_000;
const LONGEST_STEP: u8 = 4;

/// The second wake for nothing is followed by a rest: the first may be anybody's,
/// such as another thread that was faster.
const FORGIVEN: u8 = 2;

/// So many wakes for nothing within a millisecond are a kernel that never waits:
/// signals at 10 kHz are ten.
const FLURRY: u8 = 32;
/// How many it is, of a kernel that has done so before.
const FLURRY_AGAIN: u8 = 2;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A call did something, or failed for good.
    Done,
    /// A call did something, and then would have blocked.
    DoneThenWouldBlock,
    /// A call would have blocked, and did nothing; nobody had promised anything. The
    /// end of a loop that drains, or a call on the off-chance.
    WouldBlock,
    /// The same, as the first answer since poll said ready.
    Broken,
    /// A call was interrupted, or met a dead connection: another at once may well go.
    Again,
    /// A call met a shortage, and no event tells of its end.
    BackOff,
    /// A wait ended before its time, or the kernel had no memory for it.
    Early,
    /// A wait was ended by a signal, or for no reason at all.
    Nudge,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Make the call.
    Call,
    /// Ask poll, without waiting; if it says not ready, [`Pace::denied`].
    Ask,
    /// Wait for readiness.
    Wait,
    /// Neither call nor poll before that time.
    Rest { until: u64 },
}

/// How one direction of one descriptor has behaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// When the rest ends; 0 is no rest.
    until: u64,
    /// Since when, and how many, wakes for nothing have been counted.
    since: u64,
    wakes: u8,
    /// How many times running nothing came of a promise; saturates.
    broken: u8,
    /// The next rest is 1 ms << step.
    step: u8,
    /// The kernel wakes faster than anything honest does: that poll denies readiness
    /// is no proof of honesty then.
    distrust: bool,
    /// When the rest is over a call is due, whatever poll says.
    due: bool,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self {
            until: 0,
            since: 0,
            wakes: 0,
            broken: 0,
            step: 0,
            distrust: false,
            due: false,
        }
    }

    /// The caller has been told to make the call that is due.
    #[inline]
    pub(crate) fn handed_out(&mut self) {
        self.due = false;
    }

    /// poll was asked, and said not ready: readiness is honest, and what was before is
    /// forgotten.
    pub(crate) fn denied(&mut self) {
        if !self.due {
            self.forget();
        }
    }

    /// Whether there is nothing to do but to wait.
    #[inline]
    pub(crate) const fn is_quiet(&self) -> bool {
        self.until == 0 && self.broken == 0 && !self.due
    }

    /// [`Answer::Done`], which asks for no time.
    #[inline]
    pub(crate) fn done(&mut self) {
        if !self.is_quiet() {
            *self = Self::new();
        }
    }

    /// What was handed out is itself what nothing comes of: no call answers it.
    pub(crate) fn unanswered(&mut self, now: u64) {
        self.broken = FORGIVEN;
        self.rest(false, now);
    }

    pub(crate) fn answered(&mut self, answer: Answer, now: u64) -> Next {
        match answer {
            Answer::Done | Answer::DoneThenWouldBlock => {
                *self = Self::new();
                self.next(now)
            }
            Answer::WouldBlock if !self.due => self.next(now),
            Answer::WouldBlock | Answer::Broken | Answer::Again | Answer::Nudge
                if self.is_flurry(now) =>
            {
                self.answered(Answer::Early, now)
            }
            // What had run out is there again.
            Answer::WouldBlock => {
                self.forget();
                self.next(now)
            }
            Answer::Broken => self.broke(false, now),
            Answer::Again => self.broke(true, now),
            Answer::Nudge => self.next(now),
            Answer::BackOff => {
                self.broken = FORGIVEN;
                self.rest(true, now)
            }
            Answer::Early => {
                self.distrust = true;
                self.rest(true, now)
            }
        }
    }

    /// What to do when nothing has happened but time.
    pub(crate) fn next(&self, now: u64) -> Next {
        if self.until > now {
            Next::Rest { until: self.until }
        } else if self.due {
            Next::Call
        } else if self.broken > 0 {
            Next::Ask
        } else {
            Next::Wait
        }
    }

    /// Honest again. Of a kernel that is distrusted only something done is proof.
    fn forget(&mut self) {
        (self.until, self.broken, self.due) = (0, 0, false);
        if !self.distrust {
            self.step = 0;
        }
    }

    fn broke(&mut self, due: bool, now: u64) -> Next {
        self.broken = self.broken.saturating_add(1);
        if self.broken >= FORGIVEN {
            return self.rest(due, now);
        }
        (self.until, self.due) = (0, due);
        self.next(now)
    }

    fn rest(&mut self, due: bool, now: u64) -> Next {
        self.until = now.saturating_add(MILLISECOND << self.step);
        self.step = (self.step + 1).min(LONGEST_STEP);
        self.due = due;
        // The rest itself is no sign that the kernel waits.
        (self.since, self.wakes) = (self.until, 0);
        Next::Rest { until: self.until }
    }

    /// Counts a wake for nothing.
    fn is_flurry(&mut self, now: u64) -> bool {
        if now.saturating_sub(self.since) >= MILLISECOND {
            (self.since, self.wakes, self.distrust) = (now, 0, false);
        }
        self.wakes = self.wakes.saturating_add(1);
        self.wakes > if self.distrust { FLURRY_AGAIN } else { FLURRY }
    }
}

/// What has happened to a wait for one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The call answered.
    Answered(Answer),
    /// poll: ready.
    Ready,
    /// poll: nothing, though perhaps before its time.
    Silent,
    /// poll: a signal.
    Signal,
    /// poll: no memory.
    Starved,
    /// The sleep is over.
    Slept,
}

/// What a wait does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    /// Make the call.
    Call,
    /// Poll until then; a time that has come only asks.
    Poll { until: u64 },
    /// Sleep until then.
    Sleep { until: u64 },
    /// The deadline has passed, and the last answer is the answer.
    GiveUp,
}

/// A wait for one descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pace: Pace,
    deadline: u64,
    /// The poll under way only asks.
    asking: bool,
    /// poll said ready, and the call has not answered since.
    promised: bool,
}

impl Wait {
    pub(crate) const fn new(deadline: u64) -> Self {
        Self {
            pace: Pace::new(),
            deadline,
            asking: false,
            promised: false,
        }
    }

    pub(crate) fn next(&mut self, event: Event, now: u64) -> Do {
        let passed = now >= self.deadline;
        let promised = core::mem::replace(&mut self.promised, event == Event::Ready);
        let next = match event {
            // Nothing has been waited for since that call began, so it was the last.
            Event::Answered(_) if passed => return Do::GiveUp,
            Event::Answered(Answer::WouldBlock) if promised => {
                self.pace.answered(Answer::Broken, now)
            }
            Event::Answered(answer) => self.pace.answered(answer, now),
            Event::Ready => Next::Call,
            Event::Silent if self.asking => {
                self.pace.denied();
                self.pace.next(now)
            }
            Event::Signal => self.pace.answered(Answer::Nudge, now),
            Event::Silent | Event::Starved if !passed => self.pace.answered(Answer::Early, now),
            Event::Silent | Event::Starved | Event::Slept => self.pace.next(now),
        };
        self.asking = next == Next::Ask;
        match next {
            // One last call after the last wait.
            _ if passed => Do::Call,
            Next::Call => Do::Call,
            Next::Ask => Do::Poll { until: now },
            Next::Wait => Do::Poll {
                until: self.deadline,
            },
            Next::Rest { until } => Do::Sleep {
                until: until.min(self.deadline),
            },
        }
    }
}
