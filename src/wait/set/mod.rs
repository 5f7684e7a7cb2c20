//! [`PollSet`]: many descriptors, each with a key and data, waited for together.

mod at;
mod entry;
mod list;
mod refusals;
mod select;

use core::fmt;

use rustix::fd::{AsRawFd, RawFd};

pub use at::At;
use entry::Watched;
use list::List;
use list::sealed::Lists;
pub use list::{Growable, Inline, Storage};
pub use refusals::{NotRegistered, Reason, UnknownKey};

use crate::mapping::classify::Op;
use crate::mapping::io::Io;
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::descriptor::Descriptor;

/// Descriptors to wait for together, each with an interest and data of the
/// caller's: what Python's `selectors` gives, on `poll`.
///
/// The set holds the descriptors: `F` is an owned socket, or a reference to one.
/// A descriptor can therefore not be closed while it is registered, and
/// [`unregister`](Self::unregister) gives it back. The storage `S` is
/// [`Inline<N>`](Inline), which allocates nothing, or, with the feature `alloc`,
/// `Growable`.
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
/// use wouldblock::{Deadline, Inline, Interest, Io, PollSet};
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let mut set: PollSet<UnixStream, &str, Inline<16>> = PollSet::new();
/// let key = set.register(ours, Interest::READABLE, "a peer").unwrap();
///
/// theirs.write_all(b"!")?;
/// assert_eq!(set.select(Deadline::after(Duration::from_secs(10))), Io::Ready(1));
/// while let Some((key, readiness)) = set.next_ready() {
///     assert!(readiness.is_readable());
///     assert_eq!(set.get(key).map(|entry| *entry.data), Some("a peer"));
/// }
/// let (ours, _) = set.unregister(key).unwrap();
/// # drop(ours);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Cost
///
/// Registering, modifying, unregistering and looking up take a constant number of
/// steps, expected over the numbers of the descriptors, which systems give out
/// densely. A wait takes a step for each registered descriptor, as `poll` itself
/// does; what it found is then handed out without looking at the others. For many
/// thousands of descriptors use `polling` or `mio`.
///
/// # Threads
///
/// A set is for one thread at a time. To wake it from another, register the
/// reading end of a [`pipe()`](crate::pipe()) and write to the other:
/// `examples/wake.rs`.
#[doc(alias = "selectors")]
#[doc(alias = "DefaultSelector")]
pub struct PollSet<F, D, S: Lists = Growable> {
    /// A descriptor stays in its slot.
    slots: S::List<Option<Entry<F, D>>>,
    /// The numbers of the descriptors, by slot, read once: a type may change its mind.
    /// What the search for a duplicate reads.
    numbers: S::List<RawFd>,
    /// How many slots are taken.
    count: usize,
    /// Of the registration before.
    serial: u64,
    /// What the last wait found.
    found: S::List<Found>,
    /// How much of that has been handed out.
    taken: usize,
    /// The slot at which the next wait begins to look: after the last that was handed
    /// out.
    turn: usize,
    scratch: S::Scratch,
}

struct Entry<F, D> {
    io: Watched<F>,
    data: D,
}

#[derive(Clone, Copy)]
struct Found {
    key: Key,
    readiness: Readiness,
    due: Interest,
}

/// The number of a slot that is free.
const FREE: RawFd = -1;

/// Names one registration of one set, which never gives it out again: a late key
/// finds nothing instead of a stranger. To another set it means nothing, or a
/// registration of its own: keep keys with their set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    slot: usize,
    serial: u64,
}

/// A registration, as the set has it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Registration<'a, F, D> {
    /// Its key.
    pub key: Key,
    /// The descriptor.
    pub fd: &'a F,
    /// What is waited for.
    pub interest: Interest,
    /// The caller's data.
    pub data: &'a D,
}

impl<F: Descriptor, D, S: Storage> PollSet<F, D, S> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: Default::default(),
            numbers: Default::default(),
            count: 0,
            serial: 0,
            found: Default::default(),
            taken: 0,
            turn: 0,
            scratch: Default::default(),
        }
    }

    /// Adds a descriptor.
    ///
    /// Fails, and hands both back, if the descriptor is registered
    /// ([`Reason::Registered`], with the key) or the set is full
    /// ([`Reason::Full`]).
    pub fn register(
        &mut self,
        fd: F,
        interest: Interest,
        data: D,
    ) -> Result<Key, NotRegistered<F, D>> {
        let number = fd.as_fd().as_raw_fd();
        let free = match self.key_of_number(number) {
            Some(key) => Err(Reason::Registered(key)),
            None if self.count < self.slots.len() => self.numbers.find(&FREE).ok_or(Reason::Full),
            None if self.slots.has_room() => {
                self.slots.push(None);
                self.numbers.push(FREE);
                Ok(self.slots.len() - 1)
            }
            None => Err(Reason::Full),
        };
        let place = free.map(|slot| (slot, self.slots.get_mut(slot), self.numbers.get_mut(slot)));
        match place {
            Ok((slot, Some(place), Some(known))) => {
                self.serial += 1;
                self.count += 1;
                let serial = self.serial;
                let io = Watched::new(fd, serial, interest);
                (*place, *known) = (Some(Entry { io, data }), number);
                Ok(Key { slot, serial })
            }
            place => {
                let reason = place.err().unwrap_or(Reason::Full);
                Err(NotRegistered { fd, data, reason })
            }
        }
    }

    /// Changes what is waited for.
    ///
    /// An [empty](Interest::empty) interest keeps the registration and waits for
    /// nothing: not even a hang-up is reported.
    pub fn modify(&mut self, key: Key, interest: Interest) -> Result<(), UnknownKey> {
        let entry = self.entry_mut(key).ok_or(UnknownKey)?;
        entry.io.set_interest(interest);
        Ok(())
    }

    /// Takes a descriptor out and gives it back with its data. What the last wait
    /// found for it is forgotten.
    pub fn unregister(&mut self, key: Key) -> Result<(F, D), UnknownKey> {
        self.entry(key).ok_or(UnknownKey)?;
        self.take(key.slot).ok_or(UnknownKey)
    }

    fn take(&mut self, slot: usize) -> Option<(F, D)> {
        let entry = self.slots.get_mut(slot)?.take()?;
        if let Some(number) = self.numbers.get_mut(slot) {
            *number = FREE;
        }
        self.count -= 1;
        // A wait takes a step for each slot up to the last that is taken.
        while let Some(None) = self
            .slots
            .len()
            .checked_sub(1)
            .and_then(|i| self.slots.get(i))
        {
            self.slots.pop();
            self.numbers.pop();
        }
        Some((entry.io.fd, entry.data))
    }

    #[inline]
    fn entry(&self, key: Key) -> Option<&Entry<F, D>> {
        let entry = self.slots.get(key.slot)?.as_ref()?;
        (entry.io.serial == key.serial).then_some(entry)
    }

    #[inline]
    fn entry_mut(&mut self, key: Key) -> Option<&mut Entry<F, D>> {
        let entry = self.slots.get_mut(key.slot)?.as_mut()?;
        (entry.io.serial == key.serial).then_some(entry)
    }

    /// The registration of a key.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Registration<'_, F, D>> {
        self.entry(key).map(|entry| entry.registration(key))
    }

    /// A registered descriptor, with the operations that the set remembers, and its
    /// data.
    #[inline]
    #[must_use]
    pub fn get_mut(&mut self, key: Key) -> Option<(At<'_, F>, &mut D)> {
        self.entry_mut(key).map(Entry::parts)
    }

    /// Two at once, such as the two sides of a connection. `None` if one of the keys
    /// is unknown, or both are the same.
    #[must_use]
    pub fn get_disjoint_mut(&mut self, keys: [Key; 2]) -> Option<[(At<'_, F>, &mut D); 2]> {
        let [one, other] = keys;
        let (low, high) = (one.slot.min(other.slot), one.slot.max(other.slot));
        self.entry(one)?;
        self.entry(other)?;
        let between = high.checked_sub(low)?.checked_sub(1)?;
        let mut slots = self.slots.iter_mut();
        let first = slots.nth(low)?.as_mut()?.parts();
        let second = slots.nth(between)?.as_mut()?.parts();
        Some(if one.slot == low {
            [first, second]
        } else {
            [second, first]
        })
    }

    /// Makes one call of the caller's own on a registered descriptor.
    #[inline]
    pub fn attempt<T>(
        &mut self,
        key: Key,
        op: Op,
        call: impl FnOnce(&F, &mut D) -> Io<T>,
    ) -> Result<Io<T>, UnknownKey> {
        let (mut at, data) = self.get_mut(key).ok_or(UnknownKey)?;
        Ok(at.attempt(op, |fd| call(fd, data)))
    }

    /// The key of a descriptor, if it is registered.
    #[must_use]
    pub fn key_of<Fd: Descriptor>(&self, fd: Fd) -> Option<Key> {
        self.key_of_number(fd.as_fd().as_raw_fd())
    }

    fn key_of_number(&self, number: RawFd) -> Option<Key> {
        let slot = self.numbers.find(&number)?;
        let serial = self.slots.get(slot)?.as_ref()?.io.serial;
        Some(Key { slot, serial })
    }

    /// Every registration, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Registration<'_, F, D>> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, entry)| {
            let entry = entry.as_ref()?;
            Some(entry.registration(entry.key(slot)))
        })
    }

    /// Every registration, as [`get_mut`](Self::get_mut) gives it, with its key.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, At<'_, F>, &mut D)> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(|(slot, entry)| {
            let entry = entry.as_mut()?;
            let key = entry.key(slot);
            let (at, data) = entry.parts();
            Some((key, at, data))
        })
    }

    /// How many descriptors are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all descriptors out, one after the other. What is left when the
    /// iterator is dropped stays registered; dropping the set closes it.
    #[doc(alias = "close")]
    pub fn drain(&mut self) -> impl Iterator<Item = (F, D)> {
        core::iter::from_fn(|| self.take(self.slots.len().checked_sub(1)?))
    }
}

impl<F: Descriptor, D> Entry<F, D> {
    fn key(&self, slot: usize) -> Key {
        let serial = self.io.serial;
        Key { slot, serial }
    }

    fn registration(&self, key: Key) -> Registration<'_, F, D> {
        Registration {
            key,
            fd: &self.io.fd,
            interest: self.io.interest,
            data: &self.data,
        }
    }

    fn parts(&mut self) -> (At<'_, F>, &mut D) {
        (At(&mut self.io), &mut self.data)
    }
}

impl<F: Descriptor, D, S: Storage> Default for PollSet<F, D, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: fmt::Debug, D: fmt::Debug, S: Storage> fmt::Debug for PollSet<F, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.slots
                    .iter()
                    .flatten()
                    .map(|entry| (&entry.io.fd, &entry.data)),
            )
            .finish()
    }
}
