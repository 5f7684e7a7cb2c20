//! [`PollSet`]: many descriptors, each with a key and data, waited for together.

mod index;
mod list;

use core::fmt;
use core::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fd::AsRawFd;

use index::Index;

#[cfg(feature = "alloc")]
pub use list::Growable;
use list::List;
pub use list::{Inline, Storage};

use crate::mapping::io::Io;
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::descriptor::Descriptor;
use crate::ops::poll::poll;
use crate::platform::HOST;
use crate::platform::host::poll_flags;
use crate::wait::deadline::Deadline;
use crate::wait::until::poll_until;

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
pub struct PollSet<F, D, S: Storage> {
    /// In no order; what `poll` is given.
    entries: S::List<Entry<F, D>>,
    index: Index<S>,
    /// What the last wait found.
    ready: S::List<(Key, Readiness)>,
    /// How much of that has been handed out.
    taken: usize,
    /// Where the next wait begins to look.
    turn: usize,
    scratch: S::Scratch,
}

struct Entry<F, D> {
    fd: F,
    data: D,
    interest: Interest,
    events: PollFlags,
    slot: usize,
}

/// Names one registration of one set, which never gives it out again: a late key
/// finds nothing instead of a stranger. To another set it means nothing, or a
/// registration of its own: keep keys with their set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    slot: usize,
    generation: u64,
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

impl<F: Descriptor, D, S: Storage> PollSet<F, D, S> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: Default::default(),
            index: Index::new(),
            ready: Default::default(),
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
        let reason = match self.index.find(number) {
            Some(key) => Reason::Registered(key),
            None if self.entries.has_room() => {
                let key = self.index.insert(number, self.entries.len());
                self.entries.push(Entry {
                    fd,
                    data,
                    interest,
                    events: poll_flags(interest.to_events(HOST)),
                    slot: key.slot,
                });
                return Ok(key);
            }
            None => Reason::Full,
        };
        Err(NotRegistered { fd, data, reason })
    }

    /// Changes what is waited for.
    ///
    /// An empty interest keeps the registration, and on most systems a hang-up or an
    /// error is reported all the same, at once and by every wait: act on it, or
    /// unregister a descriptor that waits for nothing.
    pub fn modify(&mut self, key: Key, interest: Interest) -> Result<(), UnknownKey> {
        let place = self.index.place(key).ok_or(UnknownKey)?;
        let entry = self.entries.get_mut(place).ok_or(UnknownKey)?;
        entry.interest = interest;
        entry.events = poll_flags(interest.to_events(HOST));
        Ok(())
    }

    /// Takes a descriptor out and gives it back with its data. What the last wait
    /// found for it is forgotten.
    pub fn unregister(&mut self, key: Key) -> Result<(F, D), UnknownKey> {
        let place = self.index.place(key).ok_or(UnknownKey)?;
        let entry = self.entries.swap_remove(place).ok_or(UnknownKey)?;
        self.index.remove(entry.slot);
        // The last entry now stands where this one stood.
        if let Some(moved) = self.entries.get(place) {
            self.index.moved(moved.slot, place);
        }
        Ok((entry.fd, entry.data))
    }

    /// The registration of a key.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Registration<'_, F, D>> {
        let entry = self.entries.get(self.index.place(key)?)?;
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
        let place = self.index.place(key)?;
        let entry = self.entries.get_mut(place)?;
        Some((&entry.fd, &mut entry.data))
    }

    /// The key of a descriptor, if it is registered.
    #[must_use]
    pub fn key_of<Fd: Descriptor>(&self, fd: Fd) -> Option<Key> {
        self.index.find(fd.as_fd().as_raw_fd())
    }

    /// Every registration, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Registration<'_, F, D>> {
        self.entries.iter().filter_map(|entry| {
            Some(Registration {
                key: self.index.key(entry.slot)?,
                fd: &entry.fd,
                interest: entry.interest,
                data: &entry.data,
            })
        })
    }

    /// Every registration's key, descriptor and data, to change the data.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &F, &mut D)> {
        let index = &self.index;
        self.entries
            .iter_mut()
            .filter_map(|entry| Some((index.key(entry.slot)?, &entry.fd, &mut entry.data)))
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
            self.unregister(self.index.key(last.slot)?).ok()
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
    /// Each wait asks for all descriptors, and hands them out from another beginning:
    /// a busy one cannot keep another from being served.
    pub fn select(&mut self, deadline: Deadline) -> Io {
        self.wait(|fds| poll_until(fds, deadline))
    }

    /// Like [`select`](Self::select), as the one system call of [`poll()`]: a signal
    /// ends it with `Err(EINTR)`.
    pub fn poll(&mut self, timeout: Option<Duration>) -> Io {
        self.wait(|fds| poll(fds, timeout))
    }

    #[inline]
    fn wait(&mut self, call: impl FnOnce(&mut [PollFd<'_>]) -> Io) -> Io {
        while self.ready.pop().is_some() {}
        self.taken = 0;
        let (entries, index, found) = (&self.entries, &self.index, &mut self.ready);
        // Each wait begins one further on, so that a caller who serves only some of
        // what is found serves all in turn.
        let first = self.turn.checked_rem(entries.len()).unwrap_or_default();
        self.turn = first + 1;
        let list = entries.iter().map(|entry| (entry.fd.as_fd(), entry.events));
        S::with_pollfds(&mut self.scratch, list, |fds| {
            let answer = call(fds);
            let ready = answer.ready().unwrap_or(0);
            let mut left = ready;
            let (before, after) = fds.split_at_checked(first).unwrap_or_default();
            // True when all that is ready has been found.
            let mut look = |begin: usize, fds: &[PollFd<'_>]| {
                for (i, fd) in fds.iter().enumerate() {
                    // Most report nothing, and are not worth a translation.
                    if fd.revents().is_empty() {
                        continue;
                    }
                    let entry = entries.get(begin + i);
                    if let Some(key) = entry.and_then(|entry| index.key(entry.slot)) {
                        found.push((key, Readiness::from(fd)));
                    }
                    left -= 1;
                    if left == 0 {
                        return true;
                    }
                }
                false
            };
            if ready > 0 && !look(first, after) {
                look(0, before);
            }
            answer
        })
    }

    /// The next of what the last wait found; `None` when all has been handed out.
    ///
    /// Each wait hands out from another beginning, so that a caller who serves only
    /// the first few serves all in turn.
    ///
    /// Descriptors may be registered, modified and unregistered in between; one
    /// that is no longer registered is passed over. A descriptor that this
    /// system's `poll` cannot watch is handed out with [`Readiness::INVALID`]: take
    /// it out of the set, or every wait returns at once.
    #[must_use]
    pub fn next_ready(&mut self) -> Option<(Key, Readiness)> {
        loop {
            let (key, readiness) = *self.ready.get(self.taken)?;
            self.taken += 1;
            if self.index.place(key).is_some() {
                return Some((key, readiness));
            }
        }
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
