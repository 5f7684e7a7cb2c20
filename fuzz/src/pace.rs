//! `pace`: when to call again, in simulated time.
//!
//! Input: a world, who waits in it, and then what chance decides there; a generator
//! goes on where the bytes end. The oracle is the law of the waits: without progress
//! there are few calls and polls a second, nobody rests in an honest world, no wait ends
//! before its deadline, and each makes one last call after that.

// It uses nothing of the crate, so that it can be compiled here.
#[allow(dead_code, reason = "a set asks in its own way")]
#[path = "../../src/wait/pace.rs"]
mod decision;

use crate::input::Input;
use decision::{Answer, Do, Event, MILLISECOND, Next, Pace, Wait};

const SECOND: u64 = 1000 * MILLISECOND;
const MICROSECOND: u64 = MILLISECOND / 1000;
/// No rest is longer.
const REST: u64 = 16 * MILLISECOND;
/// What some calls and polls may take, one after the other.
const AT_ONCE: u64 = 20 * MICROSECOND;

/// What a kernel could be, until there is something for good.
#[derive(Clone, Copy, Debug, PartialEq)]
enum World {
    /// poll and the calls tell the truth.
    Honest,
    /// So they do, but for some time more comes than anybody can tell from lies.
    Hurried,
    /// poll says ready, and each time lies once before it is true.
    Shaky,
    /// poll says ready, and the call would block.
    Lying,
    /// poll says nothing, before the time.
    Early,
    /// poll is interrupted.
    Signals,
    /// poll has no memory.
    Starved,
    /// The call meets a shortage, and poll says ready.
    Short,
    /// The call is interrupted, and poll says ready.
    Aborted,
    /// poll says nothing when it is asked, and ready when it is waited for.
    Flapping,
    /// Another of these every now and then.
    Changing,
    /// Each answer is one that there is.
    Anything,
}

const WORLDS: [World; 12] = [
    World::Honest,
    World::Hurried,
    World::Shaky,
    World::Lying,
    World::Early,
    World::Signals,
    World::Starved,
    World::Short,
    World::Aborted,
    World::Flapping,
    World::Changing,
    World::Anything,
];

impl World {
    /// How many calls and polls there may be in a second without progress. A set's
    /// next wait begins anew with what it knows of the kernel.
    fn limit(self, of_a_set: bool, tells: bool) -> u64 {
        match self {
            // One of each for what comes.
            Self::Honest | Self::Hurried | Self::Shaky => u64::MAX,
            // A call or two, and two questions, after each rest, and two polls of a set.
            Self::Lying | Self::Short | Self::Aborted if of_a_set => 450,
            Self::Early | Self::Starved if of_a_set => 600,
            Self::Lying | Self::Short | Self::Aborted | Self::Early | Self::Starved => 250,
            Self::Signals if of_a_set => 6000,
            Self::Signals => 1000,
            Self::Flapping if tells && of_a_set => 1000,
            Self::Flapping if tells => 700,
            Self::Flapping => 4500,
            // 32 wakes in a millisecond are what is taken for honest, and may have been
            // counted in two milliseconds; a wake is a poll, a call and a question.
            Self::Changing | Self::Anything => 33 * 1000 * 3,
        }
    }
}

/// What happens to be so.
struct Chance<'a> {
    input: Input<'a>,
    state: u64,
}

impl Chance<'_> {
    fn below(&mut self, n: u64) -> u64 {
        let byte = match self.input.is_empty() {
            false => self.input.byte().into(),
            true => {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                self.state >> 16
            }
        };
        byte % n
    }

    /// One of `n` equal parts of `most`.
    fn part(&mut self, most: u64, n: u64) -> u64 {
        most / n * self.below(n)
    }
}

/// A kernel with one descriptor, and the call that is made on it.
struct Kernel<'a> {
    chance: Chance<'a>,
    world: World,
    /// What `Changing` is at the moment, and until when.
    current: World,
    changes: u64,
    now: u64,
    /// The call succeeds from then on.
    open: u64,
    /// And poll goes on as before.
    poll_stays: bool,
    /// In the honest world: what comes, one after the other, and how many are needed.
    arrival: u64,
    gap: u64,
    twin: bool,
    /// Of the hurried world: how many more come at once, and when the last has come.
    burst: u64,
    calm: u64,
    needed: u64,
    /// Whether the call tells that it did something before it would have blocked.
    tells: bool,
    /// Another thread is faster now and then.
    thief: bool,
    stolen: bool,
    theft: u64,
    /// In the shaky world: poll has said ready since the last call, and has lied since
    /// it was true.
    said: bool,
    lied: bool,
    of_a_set: bool,
    /// The machine, which ends each sleep late, and by how much the last.
    is_busy: bool,
    late: u64,
    /// Of the oracle: the second that is counted, and the calls and polls in it.
    second: u64,
    count: u64,
}

impl<'a> Kernel<'a> {
    fn new(mut chance: Chance<'a>, of_a_set: bool) -> Self {
        let world = WORLDS[chance.below(WORLDS.len() as u64) as usize];
        let now = 1 + chance.part(1 << 40, 256);
        let open = match chance.below(2) {
            0 => u64::MAX,
            _ => now + chance.part(3500 * MILLISECOND, 256) + chance.below(256) * MICROSECOND,
        };
        // Twins and all, fewer than a flurry.
        let dense = if world == World::Hurried { 190 } else { 70 };
        let rare = 50 * MILLISECOND * chance.below(2);
        let gap = dense * MICROSECOND + chance.part(rare, 64);
        Self {
            world,
            current: World::Honest,
            changes: 0,
            now,
            open,
            poll_stays: !matches!(world, World::Changing | World::Anything) && chance.below(2) == 0,
            arrival: now + chance.part(SECOND, 64),
            gap,
            twin: false,
            burst: if world == World::Hurried { 100 } else { 0 },
            calm: u64::MAX,
            needed: 1 + chance.below(if world == World::Hurried { 1000 } else { 20 }),
            tells: chance.below(2) == 0,
            thief: chance.below(4) == 0,
            stolen: false,
            theft: 0,
            said: false,
            lied: false,
            of_a_set,
            is_busy: chance.below(4) == 0,
            late: 0,
            second: now,
            count: 0,
            chance,
        }
    }

    fn world(&mut self) -> World {
        if self.world != World::Changing {
            return self.world;
        }
        if self.now >= self.changes {
            let others = &WORLDS[3..10];
            self.current = match self.chance.below(8) {
                0 => World::Honest,
                n => others[n as usize - 1],
            };
            self.changes = self.now + self.chance.part(64 * MILLISECOND, 256);
        }
        self.current
    }

    /// Nothing in this world can be late, or rest.
    fn is_honest(&self) -> bool {
        matches!(self.world, World::Honest | World::Hurried | World::Shaky)
    }

    fn is_open(&self) -> bool {
        !self.is_honest() && self.now >= self.open
    }

    /// One call or poll, and how long it takes.
    fn step(&mut self, time: u64) {
        if self.now - self.second >= SECOND {
            (self.second, self.count) = (self.now, 0);
        }
        self.count += 1;
        let limit = self.world.limit(self.of_a_set, self.tells);
        assert!(self.count <= limit, "{:?} spins", self.world);
        self.now += time;
    }

    /// `None` if it succeeded.
    fn call(&mut self) -> Option<Answer> {
        let open = self.is_open();
        self.step(700);
        match self.world() {
            _ if open => None,
            World::Shaky => self.shaky_call(),
            _ if self.is_honest() => self.honest_call(),
            World::Short => Some(Answer::BackOff),
            World::Aborted => Some(Answer::Again),
            World::Anything => Some(match self.chance.below(8) {
                0 => Answer::BackOff,
                1 => Answer::Again,
                2 => {
                    self.count = 0;
                    Answer::Done
                }
                _ => Answer::WouldBlock,
            }),
            _ => Some(Answer::WouldBlock),
        }
    }

    /// Takes what has come.
    fn honest_call(&mut self) -> Option<Answer> {
        let stolen = std::mem::take(&mut self.stolen);
        let mut taken = 0;
        while self.arrival <= self.now {
            let late = self.now - self.arrival;
            let calm = self.world == World::Honest || self.arrival > self.calm;
            assert!(stolen || !calm || late <= AT_ONCE, "late by {late}");
            taken += 1;
            if self.burst > 0 {
                self.burst -= 1;
                self.arrival += 10 * MICROSECOND;
                if self.burst == 0 {
                    self.calm = self.arrival + 3 * REST;
                }
                continue;
            }
            // Two at once now and then: the second is there when poll is asked.
            let second = calm && !self.twin && self.chance.below(4) == 0;
            self.twin = second;
            self.arrival = if second {
                self.now + 100
            } else {
                self.arrival + self.gap
            };
        }
        if taken == 0 || stolen {
            return Some(Answer::WouldBlock);
        }
        self.progress(taken)
    }

    fn shaky_call(&mut self) -> Option<Answer> {
        let said = std::mem::take(&mut self.said);
        if !said || !std::mem::replace(&mut self.lied, true) {
            return Some(Answer::WouldBlock);
        }
        self.lied = false;
        self.now += self.gap;
        self.tells = true;
        self.progress(1)
    }

    fn progress(&mut self, taken: u64) -> Option<Answer> {
        self.needed = self.needed.saturating_sub(taken);
        match self.tells {
            _ if self.needed == 0 => None,
            true => Some(Answer::Done),
            false => Some(Answer::WouldBlock),
        }
    }

    /// Until then; a time that has come only asks.
    fn poll(&mut self, until: u64) -> Event {
        let asks = until <= self.now;
        let open = self.is_open() && !self.poll_stays;
        self.step(500);
        match self.world() {
            _ if open => Event::Ready,
            World::Shaky => {
                self.said = true;
                Event::Ready
            }
            _ if self.is_honest() => {
                if self.arrival > self.now.max(until) {
                    self.now = self.now.max(until);
                    return Event::Silent;
                }
                self.now = self.now.max(self.arrival);
                // More often, it looks like a lie to a call that tells.
                let rare = !self.tells || self.now - self.theft >= 400 * MICROSECOND;
                self.stolen = self.thief && rare && !asks && self.chance.below(4) == 0;
                if self.stolen {
                    self.theft = self.now;
                }
                Event::Ready
            }
            // Of one that changes: nothing is ready before it is open.
            World::Honest => {
                let next = self.changes.min(self.open);
                self.now = self.now.max(until.min(next));
                match self.now >= until {
                    true => Event::Silent,
                    false => Event::Signal,
                }
            }
            World::Lying | World::Short | World::Aborted => Event::Ready,
            World::Early => Event::Silent,
            World::Signals => Event::Signal,
            World::Starved => Event::Starved,
            World::Flapping if asks => Event::Silent,
            World::Flapping => {
                self.now += self.chance.below(5) * MICROSECOND;
                Event::Ready
            }
            World::Hurried | World::Changing => unreachable!("it is one of the others"),
            World::Anything => {
                let most = until.min(self.open).saturating_sub(self.now);
                let most = most.min(2 * MILLISECOND);
                self.now += self.chance.part(most, 64);
                match self.chance.below(8) {
                    0..=3 => Event::Ready,
                    4..=5 => Event::Silent,
                    6 => Event::Signal,
                    _ => Event::Starved,
                }
            }
        }
    }

    /// What would-block is, although poll said ready.
    fn broken(&self) -> Answer {
        match self.tells {
            true => Answer::Broken,
            false => Answer::Doubtful,
        }
    }

    fn rests(&self) {
        let may = !self.is_honest() || self.world == World::Hurried && self.now < self.calm;
        assert!(may, "rests in an honest world");
    }

    fn sleep(&mut self, until: u64) {
        self.rests();
        let rest = until.checked_sub(self.now).expect("a time to come");
        assert!(rest <= REST, "{rest} is too long");
        self.late = if self.is_busy {
            MILLISECOND * self.chance.below(4)
        } else {
            0
        };
        self.now = until + self.late;
    }

    /// That it goes on was found out in time.
    fn is_in_time(&self, begin: u64) {
        let late = self.now - self.open.max(begin);
        let most = REST + self.late + AT_ONCE;
        assert!(late <= most, "{:?}: late by {late}", self.world);
    }
}

/// Replays one input.
pub fn run(data: &[u8]) {
    let state = data.iter().fold(0x9E37_79B9_7F4A_7C15, |state: u64, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x5851_F42D_4C95_7F2D) | 1
    });
    let input = Input(data);
    let mut chance = Chance { input, state };
    match chance.below(2) {
        0 => wait(Kernel::new(chance, false)),
        _ => entry(Kernel::new(chance, true)),
    }
}

/// A wait for one descriptor, which ends with a call that succeeds or on its deadline.
fn wait(mut kernel: Kernel<'_>) {
    let begin = kernel.now;
    let (deadline, end) = match kernel.chance.below(4) {
        0 => (u64::MAX, begin + 3 * SECOND),
        _ => {
            let time = kernel.chance.part(3 * SECOND, 256) + kernel.chance.below(256);
            (begin + time, u64::MAX)
        }
    };
    let mut wait = Wait::new(deadline, kernel.broken());
    let (mut calls, mut last_calls) = (0, 0);
    let mut action = Do::Call;
    while kernel.now < end {
        let event = match action {
            Do::Call => {
                calls += 1;
                last_calls += u32::from(kernel.now >= deadline);
                let Some(answer) = kernel.call() else {
                    if !kernel.is_honest() {
                        kernel.is_in_time(begin);
                    }
                    break;
                };
                Event::Answered(answer)
            }
            Do::Poll { until } => {
                assert!(until <= deadline && kernel.now < deadline);
                calls = 0;
                kernel.poll(until)
            }
            Do::Sleep { until } => {
                assert!(until <= deadline);
                calls = 0;
                kernel.sleep(until);
                Event::Slept
            }
            Do::GiveUp => {
                assert!(kernel.now >= deadline, "gives up too early");
                assert!(calls > 0, "no last call");
                break;
            }
        };
        assert!(last_calls <= 1, "{last_calls} last calls");
        action = wait.next(event, kernel.now);
        let short = event == Event::Answered(Answer::BackOff);
        let rests = matches!(action, Do::Sleep { .. } | Do::GiveUp);
        assert!(!short || rests, "a shortage is met at once again");
    }
}

/// One descriptor of a set, one direction, and a loop of `select`.
fn entry(mut kernel: Kernel<'_>) {
    let begin = kernel.now;
    let end = begin + 2 * SECOND;
    let mut pace = Pace::new();
    // Something that no call answers, such as a hang-up.
    let told = kernel.chance.below(8) == 0;
    kernel.tells &= !told;
    // Each hand-out is answered by one call, or by as many as there is progress.
    let drains = kernel.chance.below(2) == 0;
    kernel.needed = 1;
    let (mut turns, mut said) = (0, false);
    while let Some(mut promised) = select(&mut kernel, &mut pace, &mut said, end, told) {
        turns += 1;
        if told {
            pace.rest(false, kernel.now);
            continue;
        }
        let mut was_on_the_off_chance = false;
        loop {
            let Some(answer) = kernel.call() else {
                if !kernel.is_honest() {
                    return kernel.is_in_time(begin);
                }
                (kernel.needed, kernel.count) = (1, 0);
                promised = false;
                (pace, said) = (Pace::new(), false);
                match drains {
                    true => continue,
                    false => break,
                }
            };
            match answer {
                Answer::Done => (pace, said) = (Pace::new(), false),
                Answer::WouldBlock if promised => drop(pace.answered(kernel.broken(), kernel.now)),
                Answer::WouldBlock if pace.is_quiet() => {}
                answer => {
                    let next = pace.answered(answer, kernel.now);
                    let rests = matches!(next, Next::Rest { .. });
                    assert!(answer != Answer::BackOff || rests, "met at once again");
                }
            }
            promised = false;
            // A call on the off-chance, once.
            if was_on_the_off_chance || kernel.chance.below(8) != 0 {
                break;
            }
            was_on_the_off_chance = true;
        }
    }
    // In two seconds, and each is a poll at least, and a call.
    let few = if told && kernel.is_honest() {
        300
    } else {
        kernel.world.limit(true, kernel.tells)
    };
    assert!(turns <= few, "{:?}: {turns} turns", kernel.world);
}

/// What `PollSet::select` does for one entry: whether poll promised what is handed out.
/// `said` is whether it has when it was asked, and nobody has been told yet.
fn select(
    kernel: &mut Kernel<'_>,
    pace: &mut Pace,
    said: &mut bool,
    end: u64,
    told: bool,
) -> Option<bool> {
    let mut waits = Pace::new();
    while kernel.now < end {
        let (mut wake, mut watched, mut due) = (end, true, false);
        if !pace.is_quiet() {
            let next = match pace.next(kernel.now) {
                Next::Ask => match kernel.poll(kernel.now) {
                    Event::Silent if !*said => Next::Wait,
                    Event::Silent => {
                        *said = false;
                        pace.owes()
                    }
                    Event::Ready => {
                        *said = true;
                        pace.confirmed(kernel.now)
                    }
                    _ => match pace.confirmed(kernel.now) {
                        Next::Call if !*said => Next::Ask,
                        next => next,
                    },
                },
                next => next,
            };
            match next {
                Next::Rest { until } => {
                    assert!(until - kernel.now <= REST);
                    (wake, watched) = (until.min(end), false);
                }
                Next::Call => due = true,
                Next::Wait => pace.denied(),
                Next::Ask => {}
            }
        }
        let event = match watched {
            true => kernel.poll(if due { kernel.now } else { wake }),
            // poll of the others, who are idle.
            false => {
                if !told {
                    kernel.rests();
                }
                kernel.step(500);
                match kernel.world() {
                    World::Early => Event::Silent,
                    World::Signals => Event::Signal,
                    World::Starved => Event::Starved,
                    _ => {
                        kernel.now = kernel.now.max(wake);
                        Event::Silent
                    }
                }
            }
        };
        if due || event == Event::Ready {
            let promised = event == Event::Ready || due && *said;
            if due {
                pace.handed_out();
                *said = false;
            }
            return Some(promised);
        }
        let next = match event {
            Event::Silent if kernel.now >= wake => Next::Wait,
            Event::Silent | Event::Starved => waits.answered(Answer::Early, kernel.now),
            _ => waits.answered(Answer::Nudge, kernel.now),
        };
        if let (Next::Rest { until }, true) = (next, kernel.now < end) {
            kernel.sleep(until.min(wake).max(kernel.now));
        }
    }
    None
}
