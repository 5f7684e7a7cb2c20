//! `poll_set`: a random program on a set of each storage, against a plain list.
//!
//! Input: the storage, and then one operation after the other: its kind, and its
//! argument. The descriptors are ends of real socket pairs, so what a wait finds
//! must be what `ready` says of each: but of those of which nothing came, so that the
//! set may rest.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use wouldblock::{
    AddressFamily, Deadline, Errno, Growable, Inline, Interest, Io, Key, Op, PollSet, Readiness,
    Reason, RecvFlags, SendFlags, SocketType, Storage, ready, recv, send, socketpair,
};

use crate::input::Input;

/// More than the chains that a set begins with.
const PAIRS: usize = 20;
const OPERATIONS: usize = 128;

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

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    fd: usize,
    interest: Interest,
    data: u32,
    /// Something came to nothing.
    may_rest: bool,
}

struct Program<'a, S: Storage> {
    fds: &'a [OwnedFd],
    capacity: usize,
    set: PollSet<&'a OwnedFd, u32, S>,
    /// What is registered.
    entries: Vec<Entry>,
    /// What the last wait found and nobody has taken.
    found: Vec<(Key, Readiness)>,
    /// Every key that there ever was.
    keys: Vec<Key>,
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
        let interest = Interest::from_bits_truncate(op >> 4);
        let key = self.keys.get(argument % self.keys.len().max(1)).copied();
        match (op % 16, key) {
            (0..=2, _) => self.register(which, interest, data),
            (3, Some(key)) => self.unregister(key),
            (4, Some(key)) => {
                let entry = self.entries.iter_mut().find(|entry| entry.key == key);
                let known = self.set.modify(key, interest).is_ok();
                assert_eq!(known, entry.is_some());
                entry
                    .into_iter()
                    .for_each(|entry| entry.interest = interest);
            }
            (5, Some(key)) => {
                let entry = self.entries.iter_mut().find(|entry| entry.key == key);
                let got = self.set.get_mut(key);
                assert_eq!(got.is_some(), entry.is_some());
                if let (Some((_, place)), Some(entry)) = (got, entry) {
                    (*place, entry.data) = (data, data);
                }
            }
            (6, _) => drop(send(fd, b"!", SendFlags::empty())),
            (7, _) => while matches!(recv(fd, &mut [0; 64], RecvFlags::empty()), Io::Ready(1..)) {},
            (8, _) => drop(rustix::net::shutdown(fd, rustix::net::Shutdown::Write)),
            (9, _) => self.wait(Duration::ZERO.into()),
            (10, _) => self.wait(Deadline::after(Duration::from_micros(argument as u64))),
            (11, _) => (0..argument % 8).for_each(|_| self.next_ready()),
            (12, _) => {
                let taken: Vec<_> = self.set.drain().take(argument % 4).collect();
                assert_eq!(taken.len(), self.entries.len().min(argument % 4));
                for (fd, data) in taken {
                    let i = self.entries.iter().position(|entry| entry.data == data);
                    let entry = self.entries.remove(i.expect("was registered"));
                    assert!(std::ptr::eq(fd, &self.fds[entry.fd]));
                }
            }
            (13 | 14, Some(key)) => self.call(key, op >> 4),
            (15, Some(key)) => {
                let other = self.keys[usize::from(op >> 4) % self.keys.len()];
                let there = |key| self.entries.iter().any(|entry| entry.key == key);
                let both = key != other && there(key) && there(other);
                let lent = self.set.get_disjoint_mut([key, other]);
                assert_eq!(lent.is_some(), both);
                if let Some([(one, _), (two, _)]) = lent {
                    assert!(!std::ptr::eq(*one.fd(), *two.fd()));
                }
            }
            _ => {}
        }
    }

    /// One call by way of the set, which answers what the socket itself does.
    fn call(&mut self, key: Key, kind: u8) {
        let entry = self.entries.iter_mut().find(|entry| entry.key == key);
        let (Some((mut at, _)), Some(entry)) = (self.set.get_mut(key), entry) else {
            let gone = self.set.attempt(key, Op::Recv, |_, _| Io::Ready(()));
            return assert!(gone.is_err());
        };
        let fd = &self.fds[entry.fd];
        let mut byte = [0];
        // A look that takes nothing.
        let expected = recv(fd, &mut byte, RecvFlags::PEEK);
        match kind {
            0..=3 => {
                let answer = at.recv(&mut byte, RecvFlags::empty());
                assert_eq!(answer, expected);
                entry.may_rest |= answer == Io::Ready(0);
            }
            4..=6 => {
                let answer = at.read(&mut byte);
                assert_eq!(answer, expected);
                entry.may_rest |= answer == Io::Ready(0);
            }
            7..=9 => {
                let answer = at.send(b"!", SendFlags::empty());
                assert_ne!(answer, Io::Ready(0));
                entry.may_rest |= answer.is_would_block();
            }
            // What the kernel did not say: final, or not.
            10 => {
                let answer = at.attempt(Op::Recv, |_| Io::<()>::Err(Errno::CONNRESET));
                assert_eq!(answer, Io::Err(Errno::CONNRESET));
            }
            11 => {
                let answer = at.attempt(Op::Send, |_| Io::<()>::Err(Errno::NOBUFS));
                assert_eq!(answer, Io::WouldBlock);
                assert!(at.resting_for().is_some());
                entry.may_rest = true;
            }
            12 => {
                let answer = at.attempt(Op::Accept, |_| Io::<()>::Err(Errno::INTR));
                assert_eq!(
                    (answer, at.resting_for()),
                    (Io::WouldBlock, Some(Errno::INTR))
                );
                entry.may_rest = true;
            }
            13 => {
                let answer = at.attempt(Op::Poll, |_| Io::<()>::Err(Errno::INTR));
                assert_eq!(answer, Io::Err(Errno::INTR));
            }
            _ => {
                let answer = at.attempt(Op::Recv, |_| Io::<()>::WouldBlock);
                assert_eq!(answer, Io::WouldBlock);
                entry.may_rest = true;
            }
        }
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
                    may_rest: false,
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

    /// A wait finds of each descriptor what `ready` says, and no other.
    fn wait(&mut self, deadline: Deadline) {
        // Nobody else does anything meanwhile, so a wait finds what is there now.
        self.found.clear();
        let mut unsure = 0;
        for entry in &self.entries {
            if entry.interest.is_empty() {
                continue;
            }
            match ready(self.fds[entry.fd].as_fd(), entry.interest) {
                _ if entry.may_rest => unsure += 1,
                Io::Ready(readiness) => self.found.push((entry.key, readiness)),
                Io::WouldBlock => {}
                Io::Err(errno) => panic!("ready: {errno}"),
            }
        }
        let found = match self.set.select(deadline) {
            Io::Ready(n) => n,
            Io::WouldBlock => {
                assert!(deadline.has_passed());
                0
            }
            Io::Err(errno) => panic!("select: {errno}"),
        };
        let sure = self.found.len();
        assert!(
            found >= sure && found <= sure + unsure,
            "{found}, of {:?}",
            self.entries
        );
    }

    fn next_ready(&mut self) {
        // Of what was found, what is no longer registered is passed over.
        match self.set.next_ready() {
            Some((key, readiness)) => {
                assert!(!readiness.is_empty());
                let entry = self.entries.iter_mut().find(|entry| entry.key == key);
                let entry = entry.expect("one that is registered");
                let place = self.found.iter().position(|one| *one == (key, readiness));
                match place {
                    Some(place) => drop(self.found.remove(place)),
                    None => assert!(entry.may_rest, "was not found, or handed out twice"),
                }
                // Of what no call answers, the set itself knows.
                let reads = entry.interest.contains(Interest::READABLE) && readiness.is_readable();
                let writes = entry.interest.contains(Interest::WRITABLE) && readiness.is_writable();
                entry.may_rest |= !reads && !writes;
            }
            None => {
                let entries = &self.entries;
                let registered = |key| entries.iter().any(|entry| entry.key == key);
                let left = self.found.iter().any(|(key, _)| registered(*key));
                assert!(!left, "{:?}", self.found);
                self.found.clear();
            }
        }
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
