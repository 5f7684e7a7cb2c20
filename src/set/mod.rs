//! [`PollSet`]: many descriptors, each with a key and data, waited for together.

mod list;

use core::fmt;
use core::time::Duration;

use rustix::event::PollFlags;
use rustix::fd::{AsFd, AsRawFd, RawFd};

#[cfg(feature = "alloc")]
pub use list::Growable;
use list::List;
pub use list::{Inline, Storage};

use crate::platform::HOST;
use crate::platform::host::poll_flags;
use crate::{Deadline, Interest, Io, Readiness, poll, poll_until};

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
/// use wouldblock::{Deadline, Inline, Interest, Io, PollSet};
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let mut set: PollSet<UnixStream, &str, Inline<16>> = PollSet::new();
/// let key = set.register(ours, Interest::READABLE, "a peer").unwrap();
///
/// theirs.write_all(b"!")?;
/// assert_eq!(set.select(Deadline::never()), Io::Ready(1));
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
pub struct PollSet<F, D, S: Storage> {
    /// In no order; what `poll` is given.
    entries: S::List<Entry<F, D>>,
    slots: S::List<Slot>,
    /// For each remainder of a descriptor's number, the slots that have it.
    chains: S::List<Link>,
    /// The first of the slots that are free.
    free: Link,
    /// What the last wait found and nobody has taken.
    ready: S::List<(Key, Readiness)>,
    scratch: S::Scratch,
}

/// Names one registration of one set, which never gives it out again: a late key
/// finds nothing instead of a stranger. To another set it means nothing, or a
/// registration of its own: keep keys with their set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    slot: usize,
    generation: u64,
}

/// The place of a slot in the list, or none.
type Link = Option<usize>;

struct Entry<F, D> {
    fd: F,
    data: D,
    interest: Interest,
    events: PollFlags,
    /// The number under which it is found, read once: a type may change its mind.
    number: RawFd,
    slot: usize,
}

/// What a key points to, and stays in place while entries move.
struct Slot {
    generation: u64,
    /// The entry, if the slot is taken.
    entry: Link,
    /// The next slot of its chain, or of the free ones.
    next: Link,
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

/// Why a descriptor was not registered; it is handed back.
#[non_exhaustive]
pub struct NotRegistered<F, D> {
    /// The descriptor.
    pub fd: F,
    /// The data.
    pub data: D,
    /// The reason.
    pub reason: Reason,
}

/// Why a descriptor was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is registered, under this key.
    Registered(Key),
    /// The set has no room.
    Full,
}

/// The set has no registration with this key: it was unregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey;

impl<F: AsFd, D, S: Storage> PollSet<F, D, S> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        let mut set = Self {
            entries: Default::default(),
            slots: Default::default(),
            chains: Default::default(),
            free: None,
            ready: Default::default(),
            scratch: Default::default(),
        };
        set.grow_chains(INITIAL_CHAINS);
        set
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
        let reason = match self.find(number) {
            Some(key) => Reason::Registered(key),
            None if self.entries.has_room() => {
                return Ok(self.insert(fd, number, interest, data));
            }
            None => Reason::Full,
        };
        Err(NotRegistered { fd, data, reason })
    }

    fn insert(&mut self, fd: F, number: RawFd, interest: Interest, data: D) -> Key {
        if self.entries.len() >= self.chains.len() {
            self.grow_chains(self.chains.len().saturating_mul(2));
        }
        let slot = match self.free {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    entry: None,
                    next: None,
                });
                self.slots.len() - 1
            }
        };
        let place = self.entries.len();
        let mut generation = 0;
        if let Some(taken) = self.slots.get_mut(slot) {
            self.free = taken.next;
            taken.entry = Some(place);
            generation = taken.generation;
        }
        self.entries.push(Entry {
            fd,
            data,
            interest,
            events: poll_flags(interest.to_events(HOST)),
            number,
            slot,
        });
        self.link(slot, number);
        Key { slot, generation }
    }

    /// Changes what is waited for. An empty interest keeps the registration and
    /// waits for nothing but, on most systems, hang-ups and errors.
    pub fn modify(&mut self, key: Key, interest: Interest) -> Result<(), UnknownKey> {
        let place = self.place(key).ok_or(UnknownKey)?;
        let entry = self.entries.get_mut(place).ok_or(UnknownKey)?;
        entry.interest = interest;
        entry.events = poll_flags(interest.to_events(HOST));
        Ok(())
    }

    /// Takes a descriptor out and gives it back with its data. What the last wait
    /// found for it is forgotten.
    pub fn unregister(&mut self, key: Key) -> Result<(F, D), UnknownKey> {
        let place = self.place(key).ok_or(UnknownKey)?;
        let entry = self.entries.swap_remove(place).ok_or(UnknownKey)?;
        self.unlink(entry.slot, entry.number);
        if let Some(slot) = self.slots.get_mut(entry.slot) {
            slot.generation += 1;
            slot.entry = None;
            slot.next = self.free;
        }
        self.free = Some(entry.slot);
        // The last entry now stands where this one stood.
        if let Some(moved) = self.entries.get(place) {
            if let Some(slot) = self.slots.get_mut(moved.slot) {
                slot.entry = Some(place);
            }
        }
        Ok((entry.fd, entry.data))
    }

    /// The registration of a key.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Registration<'_, F, D>> {
        let entry = self.entries.get(self.place(key)?)?;
        Some(Registration {
            key,
            fd: &entry.fd,
            interest: entry.interest,
            data: &entry.data,
        })
    }

    /// The descriptor and the data of a key, to change the data.
    #[must_use]
    pub fn get_mut(&mut self, key: Key) -> Option<(&F, &mut D)> {
        let place = self.place(key)?;
        let entry = self.entries.get_mut(place)?;
        Some((&entry.fd, &mut entry.data))
    }

    /// The key of a descriptor, if it is registered.
    #[must_use]
    pub fn key_of<Fd: AsFd>(&self, fd: Fd) -> Option<Key> {
        self.find(fd.as_fd().as_raw_fd())
    }

    /// Every registration, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Registration<'_, F, D>> {
        self.entries.iter().filter_map(|entry| {
            Some(Registration {
                key: self.key(entry.slot)?,
                fd: &entry.fd,
                interest: entry.interest,
                data: &entry.data,
            })
        })
    }

    /// How many descriptors are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
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
        core::iter::from_fn(|| {
            let last = self.entries.get(self.entries.len().checked_sub(1)?)?;
            self.unregister(self.key(last.slot)?).ok()
        })
    }

    /// Waits until a descriptor is ready or the deadline passes; signals do not end
    /// it.
    ///
    /// - `Ready(n)`: `n` descriptors have something to report;
    ///   [`next_ready`](Self::next_ready) hands them out. What the wait before
    ///   found and nobody has taken is forgotten: it is found again.
    /// - `WouldBlock`: the deadline passed. Never early. An empty set waits for the
    ///   time alone.
    /// - `Err`: as for [`poll_until`].
    ///
    /// The kernel decides in which order descriptors are found; a busy one cannot
    /// keep another from being found, since each wait asks for all.
    pub fn select(&mut self, deadline: Deadline) -> Io {
        self.wait(|fds| poll_until(fds, deadline))
    }

    /// Like [`select`](Self::select), as the one system call of [`poll()`]: a signal
    /// ends it with `Err(EINTR)`.
    pub fn poll(&mut self, timeout: Option<Duration>) -> Io {
        self.wait(|fds| poll(fds, timeout))
    }

    #[inline]
    fn wait(&mut self, call: impl FnOnce(&mut [crate::PollFd<'_>]) -> Io) -> Io {
        while self.ready.pop().is_some() {}
        let (entries, slots, found) = (&self.entries, &self.slots, &mut self.ready);
        let list = entries.iter().map(|entry| (entry.fd.as_fd(), entry.events));
        S::with_pollfds(&mut self.scratch, list, |fds| {
            let answer = call(fds);
            let mut left = answer.ready().unwrap_or(0);
            for (fd, entry) in fds.iter().zip(entries.iter()) {
                if left == 0 {
                    break;
                }
                // Most report nothing, and are not worth a translation.
                if fd.revents().is_empty() {
                    continue;
                }
                let readiness = Readiness::from(fd);
                if !readiness.is_empty() {
                    left -= 1;
                    let generation = slots.get(entry.slot).map_or(0, |slot| slot.generation);
                    let slot = entry.slot;
                    found.push((Key { slot, generation }, readiness));
                }
            }
            answer
        })
    }

    /// The next of what the last wait found, in no order; `None` when all has been
    /// handed out.
    ///
    /// Descriptors may be registered, modified and unregistered in between; one
    /// that is no longer registered is passed over. A descriptor that this
    /// system's `poll` cannot watch is handed out with [`Readiness::INVALID`]: take
    /// it out of the set, or every wait returns at once.
    #[must_use]
    pub fn next_ready(&mut self) -> Option<(Key, Readiness)> {
        loop {
            let (key, readiness) = self.ready.pop()?;
            if self.place(key).is_some() {
                return Some((key, readiness));
            }
        }
    }

    /// Where the entry of a key stands.
    fn place(&self, key: Key) -> Link {
        let slot = self.slots.get(key.slot)?;
        slot.entry.filter(|_| slot.generation == key.generation)
    }

    /// The key of a slot that is taken.
    fn key(&self, slot: usize) -> Option<Key> {
        let generation = self.slots.get(slot)?.generation;
        Some(Key { slot, generation })
    }

    fn find(&self, number: RawFd) -> Option<Key> {
        let mut next = *self.chains.get(self.chain(number))?;
        while let Some(slot) = next {
            let candidate = self.slots.get(slot)?;
            if self.entries.get(candidate.entry?)?.number == number {
                return self.key(slot);
            }
            next = candidate.next;
        }
        None
    }

    /// Descriptor numbers are small and dense, so their remainders are spread as
    /// well as any hash.
    fn chain(&self, number: RawFd) -> usize {
        let number = usize::try_from(number).unwrap_or_default();
        number.checked_rem(self.chains.len()).unwrap_or_default()
    }

    fn link(&mut self, slot: usize, number: RawFd) {
        let chain = self.chain(number);
        if let (Some(first), Some(linked)) = (self.chains.get_mut(chain), self.slots.get_mut(slot))
        {
            linked.next = first.replace(slot);
        }
    }

    fn unlink(&mut self, slot: usize, number: RawFd) {
        let chain = self.chain(number);
        let after = self.slots.get(slot).and_then(|slot| slot.next);
        let Some(mut link) = self.chains.get_mut(chain) else {
            return;
        };
        while let Some(at) = *link {
            if at == slot {
                *link = after;
                return;
            }
            match self.slots.get_mut(at) {
                Some(other) => link = &mut other.next,
                None => return,
            }
        }
    }

    /// Makes `count` chains, as far as there is room, and links all entries anew.
    fn grow_chains(&mut self, count: usize) {
        if !self.chains.has_room() {
            return;
        }
        while self.chains.pop().is_some() {}
        while self.chains.len() < count && self.chains.has_room() {
            self.chains.push(None);
        }
        for place in 0..self.entries.len() {
            if let Some((slot, number)) = self.entries.get(place).map(|e| (e.slot, e.number)) {
                self.link(slot, number);
            }
        }
    }
}

/// How many chains a set begins with; each doubling links all entries anew.
const INITIAL_CHAINS: usize = 16;

impl<F: AsFd, D, S: Storage> Default for PollSet<F, D, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: fmt::Debug, D: fmt::Debug, S: Storage> fmt::Debug for PollSet<F, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.entries.iter().map(|entry| (&entry.fd, &entry.data)))
            .finish()
    }
}

impl<F, D> fmt::Display for NotRegistered<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::Registered(_) => "the descriptor is registered already",
            Reason::Full => "the poll set is full",
        })
    }
}

/// Shows the reason only, so that an error asks nothing of the caller's types.
impl<F, D> fmt::Debug for NotRegistered<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotRegistered")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<F, D> core::error::Error for NotRegistered<F, D> {}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the poll set has no registration with this key")
    }
}

impl core::error::Error for UnknownKey {}
