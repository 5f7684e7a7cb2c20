//! `poll_set`: a random program on a set of each storage, against a plain list.
//!
//! Input: the storage, and then one operation after the other: its kind, with an
//! interest or an answer in the upper half, and its argument. The descriptors are ends
//! of real socket pairs, so what a wait finds must be what `ready` says of each; but
//! what came to nothing twice may rest, and is found again when it has.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use wouldblock::{
    AddressFamily, Errno, Growable, Inline, Interest, Io, Key, Op, PollSet, Readiness, Reason,
    RecvFlags, SendFlags, SocketType, Storage, recv, send, socketpair, until,
};

use crate::input::Input;

const PAIRS: usize = 20;
const OPERATIONS: usize = 128;
/// The set forgives more than so many wakes for nothing in a millisecond.
const FLURRY: u32 = 12;
const TOLD: Interest = Interest::PRIORITY.union(Interest::HANG_UP);

/// Replays one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut fds = Vec::new();
    for _ in 0..PAIRS {
        // The machine may be short of descriptors.
        let Ok((one, other)) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None) else {
            return;
        };
        fds.extend([one, other]);
    }
    match input.byte() % 6 {
        0 => Program::<Inline<0>>::new(&fds, 0).run(input),
        1 => Program::<Inline<1>>::new(&fds, 1).run(input),
        2 => Program::<Inline<3>>::new(&fds, 3).run(input),
        3 => Program::<Inline<17>>::new(&fds, 17).run(input),
        _ => Program::<Growable>::new(&fds, usize::MAX).run(input),
    }
}

/// What came of one direction of an entry.
#[derive(Clone, Copy, Debug, Default)]
struct Direction {
    /// It was handed out, and no call has answered.
    promised: bool,
    /// How often nothing came of that, running; from two on it may rest.
    broken: u32,
    /// And since anything came at all.
    wakes: u32,
    /// A call is to be made again, whatever poll says.
    due: bool,
    /// poll said ready when it was asked, so it is handed out once whatever it says then.
    said: bool,
}

impl Direction {
    fn may_rest(self) -> bool {
        self.broken >= 2 || self.wakes > FLURRY
    }

    /// Nothing was done; how much that weighs, since a call is believed sooner than a
    /// closure or an error.
    fn blocked(&mut self, weight: u32) {
        self.due = false;
        if std::mem::take(&mut self.promised) {
            self.broken += 1;
            self.wakes += weight;
        }
    }

    fn rests(&mut self) {
        (self.promised, self.broken) = (false, 2);
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    fd: usize,
    interest: Interest,
    data: u32,
    reading: Direction,
    writing: Direction,
    /// Something was handed out that no call answers.
    told: bool,
}

impl Entry {
    fn direction(&mut self, op: Op) -> &mut Direction {
        match op.interest() {
            Interest::READABLE => &mut self.reading,
            _ => &mut self.writing,
        }
    }

    /// What of its interest the set cannot but watch.
    fn watched(&self) -> Interest {
        let mut watched = self.interest;
        watched.set(
            Interest::READABLE,
            watched.contains(Interest::READABLE) && !self.reading.may_rest(),
        );
        watched.set(
            Interest::WRITABLE,
            watched.contains(Interest::WRITABLE) && !self.writing.may_rest(),
        );
        if self.told {
            watched.remove(TOLD);
        }
        watched
    }
}

/// What a wait may have found for an entry, and whether it must have.
#[derive(Clone, Copy, Debug)]
struct Found {
    key: Key,
    readiness: Readiness,
    /// That and nothing else.
    exactly: bool,
    must: bool,
}

struct Program<'a, S: Storage> {
    fds: &'a [OwnedFd],
    capacity: usize,
    set: PollSet<&'a OwnedFd, u32, S>,
    /// What is registered.
    entries: Vec<Entry>,
    /// What the last wait found and nobody has taken.
    found: Vec<Found>,
    /// Every key that there ever was.
    keys: Vec<Key>,
    /// How many of the operations that take milliseconds are left.
    patience: u32,
}

impl<'a, S: Storage> Program<'a, S> {
    fn new(fds: &'a [OwnedFd], capacity: usize) -> Self {
        Self {
            fds,
            capacity,
            set: PollSet::new(),
            entries: Vec::new(),
            found: Vec::new(),
            keys: Vec::new(),
            patience: 3,
        }
    }

    fn run(mut self, mut input: Input<'_>) {
        for data in 0..OPERATIONS as u32 {
            if input.is_empty() {
                break;
            }
            let (op, argument) = (input.byte(), input.byte());
            self.step(op, usize::from(argument), data);
            self.look();
        }
    }

    fn step(&mut self, op: u8, argument: usize, data: u32) {
        let which = argument % self.fds.len();
        let fd = &self.fds[which];
        let (kind, upper) = (op & 15, op >> 4);
        let interest = Interest::from_bits_truncate(upper);
        let key = self.keys.get(argument % self.keys.len().max(1)).copied();
        match (kind, key) {
            (0..=1, _) => self.register(which, interest, data),
            (2, Some(key)) => self.unregister(key),
            (3, Some(key)) => {
                let known = self.set.modify(key, interest).is_ok();
                assert_eq!(known, self.entry(key).is_some());
                if let Some(entry) = self.entry(key) {
                    entry.interest = interest;
                }
            }
            (4, Some(key)) => self.change_two(key, usize::from(upper), data),
            (5, _) => drop(send(fd, b"!", SendFlags::empty())),
            // Another thread, so to say, which is faster.
            (6, _) => while matches!(recv(fd, &mut [0; 64], RecvFlags::empty()), Io::Ready(1..)) {},
            (7, _) => drop(rustix::net::shutdown(fd, rustix::net::Shutdown::Write)),
            (8, _) => self.wait(),
            (9, _) => self.serve_in_turn(),
            (10, _) => {
                for _ in 0..argument % 8 {
                    self.next_ready();
                }
            }
            (11, Some(key)) => self.call(key, upper),
            (12, Some(key)) => self.attempt(key, upper),
            (13, _) => self.drain(argument % 4),
            (14, _) if self.patience > 0 => self.wait_patiently(),
            (15, _) if self.patience > 0 => self.serve_with_lies(),
            _ => {}
        }
    }

    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }

    fn register(&mut self, which: usize, interest: Interest, data: u32) {
        let fd = &self.fds[which];
        let there = self.entries.iter().find(|entry| entry.fd == which);
        match self.set.register(fd, interest, data) {
            Ok(key) => {
                assert!(there.is_none() && self.entries.len() < self.capacity);
                assert!(!self.keys.contains(&key), "a key is never used again");
                self.keys.push(key);
                self.entries.push(Entry {
                    key,
                    fd: which,
                    interest,
                    data,
                    reading: Direction::default(),
                    writing: Direction::default(),
                    told: false,
                });
            }
            Err(refused) => {
                assert!(
                    std::ptr::eq(refused.fd, fd) && refused.data == data,
                    "handed back"
                );
                let wanted = match there {
                    Some(entry) => Reason::Registered(entry.key),
                    None => Reason::Full,
                };
                assert_eq!(refused.reason, wanted);
                assert!(there.is_some() || self.entries.len() == self.capacity);
            }
        }
    }

    fn unregister(&mut self, key: Key) {
        let place = self.entries.iter().position(|entry| entry.key == key);
        match (self.set.unregister(key), place) {
            (Ok((fd, data)), Some(place)) => {
                let entry = self.entries.remove(place);
                assert!(std::ptr::eq(fd, &self.fds[entry.fd]));
                assert_eq!(data, entry.data);
            }
            (Err(_), None) => {}
            (answer, place) => panic!("{:?}, but {place:?}", answer.is_ok()),
        }
    }

    /// Changes the data of this and of another entry, both at once if they are two.
    fn change_two(&mut self, key: Key, other: usize, data: u32) {
        let other = self.keys[other % self.keys.len()];
        let known = self.entry(key).is_some() && self.entry(other).is_some();
        match self.set.get_disjoint_mut([key, other]) {
            Some([(_, one), (_, two)]) => {
                assert!(known && key != other);
                (*one, *two) = (data, data + 1000);
                self.entry(key).unwrap().data = data;
                self.entry(other).unwrap().data = data + 1000;
            }
            None => {
                assert!(!known || key == other);
                let place = self.set.get_mut(key).map(|(_, place)| *place = data);
                let entry = self.entry(key).map(|entry| entry.data = data);
                assert_eq!(place, entry);
            }
        }
    }

    fn drain(&mut self, count: usize) {
        let taken: Vec<_> = self.set.drain().take(count).collect();
        assert_eq!(taken.len(), self.entries.len().min(count));
        for (fd, data) in taken {
            let i = self.entries.iter().position(|entry| entry.data == data);
            let entry = self.entries.remove(i.expect("was registered"));
            assert!(std::ptr::eq(fd, &self.fds[entry.fd]));
        }
    }

    /// A call by the set answers what the descriptor itself would.
    fn call(&mut self, key: Key, how: u8) {
        let Some(place) = self.entries.iter().position(|entry| entry.key == key) else {
            return assert!(self.set.get_mut(key).is_none());
        };
        let entry = &mut self.entries[place];
        let fd = &self.fds[entry.fd];
        let (mut at, _) = self.set.get_mut(key).expect("it is registered");
        if how % 4 == 0 {
            return match at.send(b"!", SendFlags::empty()) {
                Io::Ready(1) => entry.writing = Direction::default(),
                // It may stay.
                Io::Err(Errno::PIPE) => entry.writing.blocked(1),
                sent => panic!("{sent:?}"),
            };
        }
        let (there, mut buf) = (until(fd, Duration::ZERO).ready(Interest::READABLE), [0; 3]);
        let answer = match how % 4 {
            1 => at.recv(&mut buf, RecvFlags::empty()),
            2 => at.read(&mut buf),
            _ => at.attempt(Op::Recv, |fd| recv(fd, &mut buf, RecvFlags::empty())),
        };
        match answer {
            // An end that is read again and again is nothing done.
            Io::Ready(0) => entry.reading.rests(),
            Io::Ready(_) => entry.reading = Direction::default(),
            Io::WouldBlock if how % 4 == 3 => entry.reading.blocked(1),
            Io::WouldBlock => entry.reading.blocked(8),
            Io::Err(errno) => panic!("recv: {errno}"),
        }
        assert_eq!(answer.is_would_block(), there.is_would_block());
    }

    /// An answer that the descriptor itself would not give.
    fn attempt(&mut self, key: Key, how: u8) {
        let op = if how & 1 == 0 { Op::Recv } else { Op::Send };
        let said = match how >> 1 {
            0..=2 => Io::WouldBlock,
            3 => Io::Ready(()),
            4 => Io::Err(Errno::INTR),
            5 => Io::Err(Errno::NOBUFS),
            _ => Io::Err(Errno::CONNRESET),
        };
        let answer = self.set.attempt(key, op, |_, _| said);
        let Some(entry) = self.entry(key) else {
            return assert!(answer.is_err());
        };
        let direction = entry.direction(op);
        // To receive, a shortage is final.
        let rests = match said {
            Io::Err(errno) if errno == Errno::INTR => Some(errno),
            Io::Err(errno) if errno == Errno::NOBUFS && op == Op::Send => Some(errno),
            _ => None,
        };
        match said {
            Io::Ready(()) => *direction = Direction::default(),
            _ if rests.is_some() => {
                direction.rests();
                direction.due = true;
            }
            _ => direction.blocked(1),
        }
        let other = if op == Op::Recv {
            entry.writing
        } else {
            entry.reading
        };
        match rests {
            Some(errno) => {
                assert_eq!(answer, Ok(Io::WouldBlock));
                let (at, _) = self.set.get_mut(key).expect("it is registered");
                let shown = at.resting_for();
                assert!(shown == Some(errno) || other.may_rest(), "{shown:?}");
            }
            None => assert_eq!(answer, Ok(said)),
        }
    }

    /// What there is to be found: of each descriptor what `ready` says, and no other.
    fn expect(&mut self) {
        self.found.clear();
        for entry in &mut self.entries {
            let fd = self.fds[entry.fd].as_fd();
            let says = |interest: Interest| match until(fd, Duration::ZERO).ready(interest) {
                _ if interest.is_empty() => Readiness::empty(),
                Io::Ready(readiness) => readiness,
                Io::WouldBlock => Readiness::empty(),
                Io::Err(errno) => panic!("ready: {errno}"),
            };
            let (readiness, watched) = (says(entry.interest), entry.watched());
            // Asked after one lie, poll says that it is not ready: it is honest.
            let mut owed = false;
            for (part, direction) in [
                (Interest::READABLE, &mut entry.reading),
                (Interest::WRITABLE, &mut entry.writing),
            ] {
                let asked = watched.contains(part) && direction.broken == 1;
                if asked && !says(part).is_empty() {
                    direction.said = true;
                } else if asked {
                    direction.broken = 0;
                }
                owed |= direction.said;
            }
            let must = !says(watched).is_empty();
            if must || owed || watched != entry.interest {
                self.found.push(Found {
                    key: entry.key,
                    readiness,
                    exactly: !owed && watched == entry.interest,
                    must,
                });
            }
        }
    }

    fn wait(&mut self) {
        let answer = self.set.select(Duration::ZERO);
        self.expect();
        let must = self.found.iter().filter(|found| found.must).count();
        let n = match answer {
            Io::Ready(n) => n,
            Io::WouldBlock => 0,
            Io::Err(errno) => panic!("select: {errno}"),
        };
        let may = must..=self.found.len();
        assert!(may.contains(&n), "{n}, not {may:?}: {:?}", self.entries);
        assert!(answer != Io::Ready(0));
    }

    fn next_ready(&mut self) -> Option<(Key, Readiness)> {
        // Of what was found, what is no longer registered is passed over.
        let entries = &mut self.entries;
        let registered = |key| entries.iter().any(|entry| entry.key == key);
        let Some((key, readiness)) = self.set.next_ready() else {
            let left = |found: &Found| found.must && registered(found.key);
            assert!(!self.found.iter().any(left), "{:?}", self.found);
            self.found.clear();
            return None;
        };
        let place = self.found.iter().position(|found| found.key == key);
        let found = self.found.remove(place.expect("is handed out once"));
        let as_if = Readiness::READABLE | Readiness::WRITABLE;
        let known = (found.readiness | as_if).contains(readiness);
        assert!(known && !readiness.is_empty(), "{readiness:?}: {found:?}");
        assert!(
            !found.exactly || readiness == found.readiness,
            "{readiness:?}: {found:?}"
        );
        let entry = entries.iter_mut().find(|entry| entry.key == key);
        let entry = entry.expect("it is registered");
        let reads = entry.interest.contains(Interest::READABLE) && readiness.is_readable();
        let writes = entry.interest.contains(Interest::WRITABLE) && readiness.is_writable();
        // Though it may be asked for only later.
        entry.reading.promised = readiness.is_readable();
        entry.writing.promised = readiness.is_writable();
        entry.reading.said &= !readiness.is_readable();
        entry.writing.said &= !readiness.is_writable();
        entry.reading.due &= !reads;
        entry.writing.due &= !writes;
        entry.told |= !reads && !writes || !found.exactly;
        Some((key, readiness))
    }

    /// One at a time, and everybody twice.
    fn serve_in_turn(&mut self) {
        self.wait();
        let calls = |found: &Found| {
            found.must && (found.readiness.is_readable() || found.readiness.is_writable())
        };
        if self.entries.iter().any(|entry| entry.told) || !self.found.iter().all(calls) {
            return;
        }
        let ready: Vec<_> = self.found.iter().map(|found| found.key).collect();
        let mut served = Vec::new();
        for _ in 0..2 * ready.len() {
            self.wait();
            served.extend(self.next_ready().map(|(key, _)| key));
        }
        // Who has been told of something that no call answers may rest, in turns that
        // the others then have.
        let told = self.entries.iter().any(|entry| entry.told);
        for key in ready {
            if self.entry(key).is_some_and(|entry| entry.told) {
                continue;
            }
            let times = served.iter().filter(|one| **one == key).count();
            let in_turn = times == 2 || told && times > 2;
            assert!(in_turn, "{times} times: {:?}", self.entries);
        }
    }

    /// What rests is found when it has.
    fn wait_patiently(&mut self) {
        self.patience -= 1;
        self.wait();
        let mut found = self.found.iter();
        let mut due = self.entries.iter().filter(|entry| {
            let reads = entry.interest.contains(Interest::READABLE) && entry.reading.due;
            reads || entry.interest.contains(Interest::WRITABLE) && entry.writing.due
        });
        if found.any(|found| !found.readiness.is_empty()) || due.next().is_some() {
            let answer = self.set.select(Duration::from_secs(2));
            assert!(answer.is_ready(), "{:?}", self.entries);
        }
        self.expect();
        self.found.iter_mut().for_each(|found| found.must = false);
    }

    /// Two milliseconds of hand-outs, of which nothing comes.
    fn serve_with_lies(&mut self) {
        self.patience -= 1;
        let mut turns = vec![0; self.entries.len()];
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2) {
            assert!(!self.set.select(Duration::from_millis(1)).is_err());
            while let Some((key, _)) = self.set.next_ready() {
                for op in [Op::Recv, Op::Send] {
                    let lie = self.set.attempt(key, op, |_, _| Io::<()>::WouldBlock);
                    assert_eq!(lie, Ok(Io::WouldBlock));
                }
                let place = self.entries.iter().position(|entry| entry.key == key);
                let place = place.expect("it is registered");
                let entry = &mut self.entries[place];
                (entry.reading, entry.writing, entry.told) = Default::default();
                entry.reading.rests();
                entry.writing.rests();
                entry.told = true;
                turns[place] += 1;
            }
        }
        self.found.clear();
        // Two lies of each direction, and two when each rest is over, of which the first
        // takes a millisecond, unless it was one already.
        let most = 8 + 4 * begun.elapsed().as_millis();
        assert!(turns.iter().all(|&n| n <= most), "{turns:?} in {most}");
    }

    /// The set says what the list says.
    fn look(&self) {
        assert_eq!(self.set.len(), self.entries.len());
        assert_eq!(self.set.is_empty(), self.entries.is_empty());
        assert_eq!(self.set.iter().count(), self.entries.len());
        for (which, fd) in self.fds.iter().enumerate() {
            let entry = self.entries.iter().find(|entry| entry.fd == which);
            assert_eq!(self.set.key_of(fd), entry.map(|entry| entry.key));
        }
        for &key in &self.keys {
            let entry = self.entries.iter().find(|entry| entry.key == key);
            let there = self.set.get(key);
            assert_eq!(there.is_some(), entry.is_some(), "{key:?}");
            if let (Some(there), Some(entry)) = (there, entry) {
                assert!(std::ptr::eq(*there.fd, &self.fds[entry.fd]));
                let same = (there.key, there.interest, *there.data);
                assert_eq!(same, (entry.key, entry.interest, entry.data));
                let listed = self.set.iter().filter(|one| one.key == key).count();
                assert_eq!(listed, 1);
            }
        }
    }
}
