//! When to call again: decided without a clock, without a call and without any other
//! part of this crate, so that it can be tested and fuzzed alone.
//!
//! [`Pace`] remembers one direction of one descriptor; [`Wait`] is one of those with
//! a deadline, which is a whole wait for one descriptor. Both are told what happened,
//! and answer what to do next. Times are nanoseconds on a clock that never goes back.

use core::mem::replace;

/// The first rest; each that follows is twice as long, up to sixteen times.
pub(crate) const MILLISECOND: u64 = 1_000_000;
const LONGEST_STEP: u8 = 4;

/// The second wake for nothing is followed by a rest: the first may be anybody's,
/// such as another thread that was faster.
const FORGIVEN: u8 = 2;

/// Wakes for nothing are counted by weight, and forgotten at this pace: more are a kernel
/// that never waits. All at once, or bit by bit.
const FLURRY: u8 = 32;
const FORGOTTEN: u64 = MILLISECOND / FLURRY as u64;
/// How much is too much, of a kernel that has done so before.
const FLURRY_AGAIN: u8 = 12;
/// A wake by a signal, so that 16 in a millisecond may come for ever; at 10 kHz it is ten.
const BY_SIGNAL: u8 = 2;
/// A wake after which a call says that it did nothing. That is no signal, and no closure
/// that hides what it did, of which there are honest ones of 30 in a millisecond.
const CERTAIN: u8 = 8;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A call did something, whatever it met then.
    Done,
    /// A call would have blocked, and did nothing; nobody had promised anything. The
    /// end of a loop that drains, or a call on the off-chance.
    WouldBlock,
    /// The same, as the first answer since poll said ready.
    Broken,
    /// The same, of a closure that may have done something; or an error that may stay.
    Doubtful,
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
    /// Ask poll, without waiting; then [`Pace::confirmed`] or [`Pace::denied`].
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
    /// The wakes for nothing that count, by weight, and until when some were forgotten.
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

    /// poll was asked, and said ready: so the wakes for nothing were lies, unless the
    /// first was the only one. Not before: a closure that hides its progress is woken
    /// again and again, and poll, when asked, says that there is no more.
    pub(crate) fn confirmed(&mut self, now: u64) -> Next {
        if self.broken >= FORGIVEN {
            self.rest(false, now)
        } else {
            Next::Call
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
        *self = Self::new();
    }

    pub(crate) fn answered(&mut self, answer: Answer, now: u64) -> Next {
        match answer {
            Answer::Done => {
                self.done();
                self.next(now)
            }
            // A kernel that never waits is not believed before its rest is over.
            Answer::WouldBlock if !self.due || (self.distrust && self.until > now) => {
                self.next(now)
            }
            Answer::BackOff => self.rest(true, now),
            // Early, or as good as that.
            _ if answer == Answer::Early || self.is_flurry(answer, now) => {
                self.distrust = true;
                self.rest(true, now)
            }
            // What had run out is there again.
            Answer::WouldBlock => {
                self.denied();
                self.next(now)
            }
            Answer::Broken | Answer::Doubtful => self.broke(false, now),
            Answer::Again => self.broke(true, now),
            Answer::Early | Answer::Nudge => self.next(now),
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

    /// poll was asked, and said not ready: readiness is honest, and what was before is
    /// forgotten. Of a kernel that is distrusted only something done is proof.
    pub(crate) fn denied(&mut self) {
        (self.until, self.broken, self.due) = (0, 0, false);
        if !self.distrust {
            self.step = 0;
        }
    }

    /// poll was asked again, and said not ready: what it said before the rest it may say
    /// once, so a call is due.
    pub(crate) fn owes(&mut self) -> Next {
        self.denied();
        self.due = true;
        Next::Call
    }

    fn broke(&mut self, due: bool, now: u64) -> Next {
        self.broken = self.broken.saturating_add(1);
        if due && self.broken >= FORGIVEN {
            return self.rest(due, now);
        }
        (self.until, self.due) = (0, due);
        self.next(now)
    }

    /// Rests, after which one more wake for nothing is one too many, and a call may be due.
    /// Of itself, what no call answers rests.
    pub(crate) fn rest(&mut self, due: bool, now: u64) -> Next {
        self.broken = FORGIVEN - 1;
        self.until = now.saturating_add(MILLISECOND << self.step);
        self.step = (self.step + 1).min(LONGEST_STEP);
        self.due = due;
        // The rest itself is no sign that the kernel waits.
        self.wakes = 0;
        Next::Rest { until: self.until }
    }

    /// Counts a wake for nothing.
    fn is_flurry(&mut self, answer: Answer, now: u64) -> bool {
        let forgotten = now.saturating_sub(self.since) / FORGOTTEN;
        if forgotten >= FLURRY.into() && self.wakes > 0 {
            self.distrust = false;
        }
        match u8::try_from(forgotten) {
            Ok(n) if n < self.wakes => {
                self.wakes -= n;
                self.since += forgotten * FORGOTTEN;
            }
            _ => (self.since, self.wakes) = (now, 0),
        }
        let weight = match answer {
            Answer::Broken => CERTAIN,
            Answer::Nudge => BY_SIGNAL,
            _ => 1,
        };
        self.wakes = self.wakes.saturating_add(weight);
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
    /// What it is if the call would block although poll said ready.
    broken: Answer,
    /// The poll under way only asks.
    asking: bool,
    /// poll said ready, and the call has not answered since.
    promised: bool,
    /// It said so when it was asked, and a rest came between. Some say it once, so a call is
    /// made whatever it says then.
    owed: bool,
}

impl Wait {
    pub(crate) const fn new(deadline: u64, broken: Answer) -> Self {
        Self {
            pace: Pace::new(),
            deadline,
            broken,
            asking: false,
            promised: false,
            owed: false,
        }
    }

    /// Something was done, whatever is met then: so nothing that was promised is open.
    pub(crate) fn done(&mut self) {
        self.pace.done();
        (self.promised, self.owed) = (false, false);
    }

    pub(crate) fn next(&mut self, event: Event, now: u64) -> Do {
        let passed = now >= self.deadline;
        let promised = replace(&mut self.promised, event == Event::Ready);
        let next = match event {
            // Nothing has been waited for since that call began, so it was the last.
            Event::Answered(_) if passed => return Do::GiveUp,
            Event::Answered(Answer::WouldBlock) if promised => self.pace.answered(self.broken, now),
            Event::Answered(answer) => self.pace.answered(answer, now),
            Event::Ready if self.asking => {
                let next = self.pace.confirmed(now);
                self.owed = next != Next::Call;
                next
            }
            Event::Ready => Next::Call,
            Event::Silent if self.asking => {
                self.pace.denied();
                match replace(&mut self.owed, false) {
                    true => Next::Call,
                    false => Next::Wait,
                }
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

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// The rest that follows; fails if none does.
    #[track_caller]
    fn rest(next: Next, now: u64) -> u64 {
        match next {
            Next::Rest { until } => (until - now) / MILLISECOND,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pace_of_a_drain_loop_is_never_changed() {
        let mut pace = Pace::new();
        for now in 0..10_000 {
            // A call on the off-chance, and one that ends a drain.
            assert_eq!(pace.answered(Answer::WouldBlock, now), Next::Wait);
            pace.done();
            assert_eq!(pace.answered(Answer::Done, now), Next::Wait);
            assert!(pace.is_quiet());
        }
    }

    #[test]
    fn pace_after_a_lie_asks_and_after_two_rests_longer_and_longer() {
        let mut pace = Pace::new();
        let mut now = 1;
        for length in [1, 2, 4, 8, 16, 16, 16] {
            assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
            if length == 1 {
                assert_eq!(pace.confirmed(now), Next::Call);
                assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
            }
            let next = pace.confirmed(now);
            assert_eq!(rest(next, now), length);
            assert_eq!(pace.next(now + 1), next);
            now += length * MILLISECOND;
            assert_eq!(pace.next(now), Next::Ask);
            assert_eq!(pace.confirmed(now), Next::Call);
        }
        pace.done();
        assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
        assert_eq!(pace.confirmed(now), Next::Call);
        assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
        assert_eq!(rest(pace.confirmed(now), now), 1);
    }

    /// What came while poll was asked is no lie for longer than it was there.
    #[test]
    fn pace_whose_readiness_is_denied_after_a_rest_forgets() {
        let mut pace = Pace::new();
        for now in (1..1000).map(|n| n * MILLISECOND) {
            assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
            if now == MILLISECOND {
                assert_eq!(pace.confirmed(now), Next::Call);
                assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
                assert_eq!(rest(pace.confirmed(now), now), 1);
                continue;
            }
            pace.denied();
            assert_eq!((pace.next(now), pace.is_quiet()), (Next::Wait, true));
        }
    }

    #[test]
    fn pace_whose_readiness_is_denied_forgets() {
        let mut pace = Pace::new();
        for now in (1..1000).map(|n| n * MILLISECOND) {
            assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
            pace.denied();
            assert_eq!((pace.next(now), pace.is_quiet()), (Next::Wait, true));
        }
    }

    #[test]
    fn pace_in_a_shortage_rests_and_then_calls_whatever_poll_says() {
        let mut pace = Pace::new();
        assert_eq!(rest(pace.answered(Answer::BackOff, 0), 0), 1);
        assert_eq!(pace.next(MILLISECOND), Next::Call);
        assert_eq!(
            rest(pace.answered(Answer::BackOff, MILLISECOND), MILLISECOND),
            2
        );
        // What had run out is there again, and there is nothing to do.
        assert_eq!(
            pace.answered(Answer::WouldBlock, 9 * MILLISECOND),
            Next::Wait
        );
        assert!(pace.is_quiet());
    }

    #[test]
    fn pace_after_an_interruption_calls_at_once_and_after_two_rests() {
        let mut pace = Pace::new();
        assert_eq!(pace.answered(Answer::Again, 0), Next::Call);
        assert_eq!(rest(pace.answered(Answer::Again, 0), 0), 1);
        assert_eq!(pace.next(MILLISECOND), Next::Call);
        pace.done();
        assert_eq!(pace.answered(Answer::Again, 0), Next::Call);
    }

    #[test]
    fn pace_that_was_handed_out_and_not_called_asks() {
        let mut pace = Pace::new();
        let _ = pace.answered(Answer::BackOff, 0);
        pace.handed_out();
        assert_eq!(pace.next(MILLISECOND), Next::Ask);
    }

    #[test]
    fn pace_of_what_no_call_answers_rests_and_then_asks() {
        let mut pace = Pace::new();
        let mut now = 0;
        for length in [1, 2, 4, 8, 16, 16] {
            pace.rest(false, now);
            assert_eq!(rest(pace.next(now), now), length);
            now += length * MILLISECOND;
            assert_eq!(pace.next(now), Next::Ask);
        }
    }

    /// How many of these come before a rest, and how long that is.
    fn flurry(pace: &mut Pace, answer: Answer, begin: u64, step: u64) -> (u64, u64) {
        for n in 0..1000 {
            let now = begin + n * step;
            if let next @ Next::Rest { .. } = pace.answered(answer, now) {
                return (n, rest(next, now));
            }
            pace.denied();
        }
        (1000, 0)
    }

    #[test]
    fn pace_of_a_kernel_that_never_waits_rests_and_of_fast_signals_does_not() {
        for (answer, most) in [
            (Answer::Nudge, FLURRY / BY_SIGNAL),
            (Answer::Doubtful, FLURRY),
        ] {
            let mut pace = Pace::new();
            // 10 kHz, and then as fast as calls are.
            assert_eq!(flurry(&mut pace, answer, 0, 100_000), (1000, 0));
            let begin = 10_000 * MILLISECOND;
            let (n, length) = flurry(&mut pace, answer, begin, 1000);
            assert_eq!((n - n % 2, length), (most.into(), 1));
            // It is not believed again at once, and rests longer.
            let again = begin + MILLISECOND + 50_000;
            let (soon, length) = flurry(&mut pace, answer, again, 1000);
            assert!(soon <= u64::from(FLURRY_AGAIN) && length == 2, "{soon}");
            // What comes while it waits is no reason.
            let later = begin + 100 * MILLISECOND;
            assert_eq!(flurry(&mut pace, answer, later, 1_100_000), (1000, 0));
        }
    }

    #[test]
    fn pace_of_a_slow_kernel_that_never_waits_rests_too() {
        let mut pace = Pace::new();
        assert_eq!(flurry(&mut pace, Answer::Nudge, 0, 70_000), (1000, 0));
        let begin = 10_000 * MILLISECOND;
        let (n, length) = flurry(&mut pace, Answer::Nudge, begin, 45_000);
        assert!(n < 100 && length == 1, "{n}, {length}");
        // Whose calls take as long, and who hides what they do.
        let begin = 20_000 * MILLISECOND;
        let (n, _) = flurry(&mut pace, Answer::Doubtful, begin, 33_000);
        assert_eq!(n, 1000);
    }

    /// A rest is no sign that the kernel waits. A quiet millisecond between two wakes is.
    #[test]
    fn pace_of_a_kernel_that_waits_again_is_trusted_again() {
        let all_at_once = u64::from(FLURRY / BY_SIGNAL);
        let mut pace = Pace::new();
        assert_eq!(flurry(&mut pace, Answer::Nudge, 0, 1000).0, all_at_once);
        let begin = 100 * MILLISECOND;
        assert!(flurry(&mut pace, Answer::Nudge, begin, 1000).0 < all_at_once / 2);
        let begin = 200 * MILLISECOND;
        pace.answered(Answer::Nudge, begin);
        let begin = begin + 2 * MILLISECOND;
        assert_eq!(
            flurry(&mut pace, Answer::Nudge, begin, 1000),
            (all_at_once, 1)
        );
    }

    /// Another thread may be faster now and then; poll denies each time.
    #[test]
    fn pace_of_wakes_after_which_nothing_was_done_rests_sooner() {
        let mut pace = Pace::new();
        assert_eq!(flurry(&mut pace, Answer::Broken, 0, 300_000), (1000, 0));
        let begin = 10_000 * MILLISECOND;
        let fast = flurry(&mut pace, Answer::Broken, begin, 30_000);
        assert_eq!(fast, (u64::from(FLURRY / CERTAIN), 1));
        for length in [2, 4, 8, 16, 16] {
            let again = begin + 100 * length * MILLISECOND;
            let (soon, rest) = flurry(&mut pace, Answer::Broken, again, 30_000);
            assert_eq!((soon, rest), (1, length));
        }
        // Signals and a thief at once are no reason.
        let mut pace = Pace::new();
        for now in (0..1000).map(|n| n * 100_000) {
            assert_eq!(pace.answered(Answer::Nudge, now), Next::Wait);
            if now % MILLISECOND == 0 {
                assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
                pace.denied();
            }
        }
    }

    /// Who calls once more than poll has promised ends no rest.
    #[test]
    fn pace_of_a_kernel_that_never_waits_rests_whatever_is_called_meanwhile() {
        let mut pace = Pace::new();
        let Next::Rest { until } = pace.answered(Answer::Early, 1) else {
            panic!("no rest");
        };
        assert_eq!(pace.answered(Answer::WouldBlock, 2), Next::Rest { until });
        assert_eq!(pace.answered(Answer::WouldBlock, until), Next::Wait);
        // Of a shortage, the call says that it is over.
        let mut pace = Pace::new();
        pace.answered(Answer::BackOff, 1);
        assert_eq!(pace.answered(Answer::WouldBlock, 2), Next::Wait);
    }

    /// Another thread is faster every other time.
    #[test]
    fn pace_that_does_something_between_forgets_what_was() {
        let mut pace = Pace::new();
        for now in (0..1000).map(|n| n * 30_000) {
            assert_eq!(pace.answered(Answer::Broken, now), Next::Ask);
            pace.denied();
            pace.done();
        }
    }

    #[test]
    fn wait_whose_deadline_passes_makes_one_last_call() {
        let mut wait = Wait::new(100, Answer::Broken);
        let blocked = Event::Answered(Answer::WouldBlock);
        assert_eq!(wait.next(blocked, 10), Do::Poll { until: 100 });
        assert_eq!(wait.next(Event::Silent, 100), Do::Call);
        assert_eq!(wait.next(blocked, 101), Do::GiveUp);
        // Where nothing was waited for, the call was the last.
        assert_eq!(
            Wait::new(100, Answer::Broken).next(blocked, 100),
            Do::GiveUp
        );
        let short = Event::Answered(Answer::BackOff);
        let mut wait = Wait::new(100, Answer::Broken);
        assert_eq!(wait.next(short, 10), Do::Sleep { until: 100 });
        assert_eq!(wait.next(Event::Slept, 100), Do::Call);
        assert_eq!(wait.next(short, 100), Do::GiveUp);
    }

    /// Some drivers tell of an event once, and take it away by that.
    #[test]
    fn wait_whose_poll_said_ready_before_a_rest_calls_after_it_whatever_it_says_then() {
        let ask = |now| Do::Poll { until: now };
        let forever = ask(u64::MAX);
        let blocked = Event::Answered(Answer::WouldBlock);
        let mut wait = Wait::new(u64::MAX, Answer::Broken);
        assert_eq!(wait.next(blocked, 1), forever);
        assert_eq!(wait.next(Event::Ready, 1), Do::Call);
        assert_eq!(wait.next(blocked, 1), ask(1));
        assert_eq!(wait.next(Event::Ready, 1), Do::Call);
        assert_eq!(wait.next(blocked, 1), ask(1));
        let until = 1 + MILLISECOND;
        assert_eq!(wait.next(Event::Ready, 1), Do::Sleep { until });
        assert_eq!(wait.next(Event::Slept, until), ask(until));
        assert_eq!(wait.next(Event::Silent, until), Do::Call);
        // It was no promise, and is made once.
        assert_eq!(wait.next(blocked, until), forever);
        assert_eq!(wait.next(Event::Ready, until), Do::Call);
        assert_eq!(wait.next(blocked, until), ask(until));
        assert_eq!(wait.next(Event::Silent, until), forever);
    }

    #[test]
    fn wait_that_the_kernel_ends_early_rests_and_then_calls() {
        for early in [Event::Silent, Event::Starved] {
            let mut wait = Wait::new(u64::MAX, Answer::Broken);
            let mut now = 0;
            let mut next = wait.next(Event::Answered(Answer::WouldBlock), now);
            for length in [1, 2, 4, 8, 16, 16] {
                assert_eq!(next, Do::Poll { until: u64::MAX });
                let until = now + length * MILLISECOND;
                assert_eq!(wait.next(early, now), Do::Sleep { until });
                // However late the machine is.
                now = until + 3 * MILLISECOND;
                assert_eq!(wait.next(Event::Slept, now), Do::Call);
                next = wait.next(Event::Answered(Answer::WouldBlock), now);
            }
        }
    }

    // ---- worlds that a kernel could be, under simulated time ----

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum World {
        Honest,
        /// poll says ready, and the call would block.
        Lying,
        /// poll ends at once, with nothing.
        Early,
        /// poll is interrupted at once.
        Interrupted,
        /// The call meets a shortage, the poll is always ready.
        Short,
        /// The call meets dead connections, or is interrupted.
        Aborted,
        /// poll has no memory.
        Starved,
        /// poll denies when it is asked, and is ready when it is to wait.
        Flapping,
        /// Any of these, each time.
        Mad,
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    /// The most calls, and the most of all actions, in any second of a wait.
    #[derive(Clone, Copy, Debug, Default)]
    struct Worst {
        calls: u64,
        actions: u64,
    }

    fn wait_in(world: World, random: &mut Random) -> Worst {
        let mut now = 1 + random.below(1 << 40);
        let begin = now;
        let deadline = now + MILLISECOND * (1 + random.below(3000));
        // From then on, calls succeed that may.
        let opens = match random.below(2) {
            0 => u64::MAX,
            _ => now + MILLISECOND * random.below(3500),
        };
        let mut wait = Wait::new(deadline, Answer::Broken);
        let (mut worst, mut window, mut in_window) = (Worst::default(), now, Worst::default());
        let (mut next, mut waited_until, mut called_at) = (Do::Call, 0, 0);
        loop {
            if now - window > 1000 * MILLISECOND {
                (window, in_window) = (now, Worst::default());
            }
            in_window.actions += 1;
            worst.actions = worst.actions.max(in_window.actions);
            assert!(in_window.actions < 1_000_000, "{world:?} spins");
            let open = now >= opens;
            let kind = match world {
                World::Mad => [
                    World::Honest,
                    World::Lying,
                    World::Early,
                    World::Interrupted,
                    World::Short,
                    World::Aborted,
                    World::Starved,
                    World::Flapping,
                ][usize::try_from(random.below(8)).unwrap()],
                world => world,
            };
            let event = match next {
                Do::Call => {
                    in_window.calls += 1;
                    worst.calls = worst.calls.max(in_window.calls);
                    called_at = now;
                    now += 700;
                    let may = !matches!(kind, World::Short | World::Aborted);
                    if open && (may || random.below(3) == 0) {
                        if world == World::Honest {
                            // A call, a poll and a call.
                            assert!(now - opens.max(begin) < 3000, "late");
                        }
                        return worst;
                    }
                    Event::Answered(match kind {
                        World::Short => Answer::BackOff,
                        World::Aborted => Answer::Again,
                        _ => Answer::WouldBlock,
                    })
                }
                Do::Poll { until } => {
                    assert!(until <= deadline);
                    now += 500;
                    let asks = until <= now;
                    let event = match kind {
                        World::Lying | World::Short | World::Aborted => Event::Ready,
                        World::Flapping if !asks => {
                            now += random.below(5000);
                            Event::Ready
                        }
                        World::Early | World::Flapping if !open => Event::Silent,
                        World::Interrupted => Event::Signal,
                        World::Starved => Event::Starved,
                        _ if open => Event::Ready,
                        _ if opens < until => {
                            now = opens;
                            Event::Ready
                        }
                        _ => {
                            now = now.max(until);
                            Event::Silent
                        }
                    };
                    waited_until = now;
                    event
                }
                Do::Sleep { until } => {
                    assert!(world != World::Honest, "rests in an honest world");
                    assert!(until <= deadline);
                    now = now.max(until) + random.below(60_000);
                    waited_until = now;
                    Event::Slept
                }
                Do::GiveUp => {
                    assert!(now >= deadline, "{world:?}: early");
                    assert!(called_at >= waited_until, "{world:?}: no last call");
                    return worst;
                }
            };
            next = wait.next(event, now);
        }
    }

    #[test]
    fn wait_in_any_world_ends_on_its_deadline_and_does_not_spin() {
        for (world, calls, actions) in [
            (World::Honest, 3, 6),
            (World::Lying, 70, 280),
            (World::Early, 70, 210),
            (World::Interrupted, 110, 1000),
            (World::Short, 70, 150),
            (World::Aborted, 70, 150),
            (World::Starved, 70, 210),
            (World::Flapping, 250, 600),
            (World::Mad, 300, 800),
        ] {
            let mut random = Random(0x9E37_79B9_7F4A_7C15);
            let mut worst = Worst::default();
            for _ in 0..2000 {
                let one = wait_in(world, &mut random);
                worst.calls = worst.calls.max(one.calls);
                worst.actions = worst.actions.max(one.actions);
            }
            std::eprintln!("{world:?}: {worst:?}");
            assert!(
                worst.calls <= calls && worst.actions <= actions,
                "{world:?}: {worst:?}"
            );
        }
    }
}
