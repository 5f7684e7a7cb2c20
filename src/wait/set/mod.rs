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
pub use list::{Growable, Inline, Storage};
use list::{List, sealed::Lists};
pub use refusals::{NotRegistered, Reason, UnknownKey};

use crate::mapping::classify::Op;
use crate::mapping::io::Io;
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::descriptor::Descriptor;
use crate::wait::pace::Pace;

/// Descriptors to wait for together, each with an interest and data of the caller's:
/// what Python's `selectors` gives, on `poll`. Its entries make the calls, and
/// remember what they answered, so that a loop round it neither spins nor stalls.
///
/// The set holds the descriptors: `F` is an owned socket, or a reference to one.
/// A descriptor can therefore not be closed while it is registered, and
/// [`unregister`](Self::unregister) gives it back. The storage `S` is
/// [`Growable`], where the feature `alloc` is on, or [`Inline<N>`](Inline), which
/// allocates nothing.
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
/// use wouldblock::{Inline, Interest, Io, PollSet, RecvFlags};
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let mut set: PollSet<UnixStream, &str, Inline<16>> = PollSet::new();
/// let key = set.register(ours, Interest::READABLE, "a peer").unwrap();
///
/// theirs.write_all(b"!")?;
/// assert_eq!(set.select(Duration::from_secs(10)), Io::Ready(1));
/// while let Some((key, readiness)) = set.next_ready() {
///     let (mut at, name) = set.get_mut(key).unwrap();
///     assert!(readiness.is_readable() && *name == "a peer");
///     assert_eq!(at.recv(&mut [0; 64], RecvFlags::empty()), Io::Ready(1));
/// }
/// let (ours, _) = set.unregister(key).unwrap();
/// # drop(ours);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # It neither spins nor stalls
///
/// [`get_mut`](Self::get_mut) lends an entry as [`At`], which has the operations under
/// their own names: each makes one call, or one drain, and the set remembers the
/// answer. [`attempt`](Self::attempt) does the same for a call of one's own. So the
/// set knows when readiness has lied (it handed a descriptor out, and the first call
/// would have blocked, or failed, twice running; or, if poll takes it back, five times in a
/// millisecond, of an attempt more than thirty times), and when an errno came that no event
/// follows: that direction rests for 1 ms, 2, 4, … up to 16 ms, while the other is served
/// as before. A wait wakes when a rest ends. Until then a hang-up of a descriptor that rests
/// in all directions is not reported either.
///
/// What is handed out and not answered by a call is handed out again by the next wait:
/// ask for [`Interest::WRITABLE`] only while something waits to be written. A hang-up
/// ([`Interest::HANG_UP`]), or something exceptional, is answered by no call, so it is
/// reported again at a slowing pace, and so is the next. An empty interest is not watched
/// at all.
///
/// # A server
///
/// One descriptor's state decides about another's interest: nobody is heard while
/// somebody's outbox is full, and nobody is accepted while the set is. So handle the
/// events first, then settle everybody, and only then derive every interest from the
/// state. Who sets interests where things happen forgets one, and that is a stall.
///
/// ```
/// use wouldblock::{At, Deadline, Interest, Io, OwnedFd, PollSet, RecvFlags, SendFlags};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # listener.set_nonblocking(true)?;
/// # let address = listener.local_addr()?;
/// # let client = std::thread::spawn(move || {
/// #     use std::io::{Read, Write};
/// #     let mut client = std::net::TcpStream::connect(address).unwrap();
/// #     client.write_all(b"echo").unwrap();
/// #     client.shutdown(std::net::Shutdown::Write).unwrap();
/// #     let mut echo = String::new();
/// #     client.read_to_string(&mut echo).unwrap();
/// #     assert_eq!(echo, "echo");
/// # });
///
/// #[derive(Default)]
/// struct Client {
///     outbox: Vec<u8>,
///     leaving: bool,
/// }
///
/// impl Client {
///     fn flush(&mut self, at: &mut At<'_, OwnedFd>) {
///         let mut rest = &self.outbox[..];
///         if at.send_all(&mut rest, SendFlags::empty()).is_err() {
///             // Nobody is left to send it to.
///             (rest, self.leaving) = (&[], true);
///         }
///         let sent = self.outbox.len() - rest.len();
///         self.outbox.drain(..sent);
///     }
/// }
///
/// // The listener has no client.
/// let mut set: PollSet<OwnedFd, Option<Client>> = PollSet::new();
/// set.register(listener.into(), Interest::READABLE, None)?;
/// loop {
///     set.select(Deadline::never()).into_io_result()?;
///     while let Some((key, readiness)) = set.next_ready() {
///         let Some((mut at, client)) = set.get_mut(key) else { continue };
///         let Some(client) = client else {
///             match at.accept() {
///                 Io::Ready(fd) => drop(set.register(fd, Interest::empty(), Some(Client::default()))?),
///                 // Or no descriptor is left: then the set tries again after a rest.
///                 Io::WouldBlock => {}
///                 // The listener itself is at its end.
///                 Io::Err(errno) => return Err(errno.into()),
///             }
///             continue;
///         };
///         if readiness.is_readable() && !client.leaving {
///             let mut buf = [0; 4096];
///             match at.recv(&mut buf, RecvFlags::empty()) {
///                 Io::Ready(0) | Io::Err(_) => client.leaving = true,
///                 Io::Ready(n) => client.outbox.extend_from_slice(&buf[..n]),
///                 Io::WouldBlock => {}
///             }
///         }
///         client.flush(&mut at);
///     }
///
///     // Settle everybody.
///     let through = |client: &Client| client.leaving && client.outbox.is_empty();
///     let gone: Vec<_> = set
///         .iter()
///         .filter(|entry| entry.data.as_ref().is_some_and(through))
///         .map(|entry| entry.key)
///         .collect();
///     for key in &gone {
///         set.unregister(*key)?; // and closed
///     }
///
///     // Then derive every interest.
///     let full = set.len() > 1000;
///     for (_, mut at, client) in set.iter_mut() {
///         let mut interest = Interest::empty();
///         match client {
///             None => interest.set(Interest::READABLE, !full),
///             Some(client) => {
///                 interest.set(Interest::READABLE, !client.leaving && client.outbox.len() < 65536);
///                 interest.set(Interest::WRITABLE, !client.outbox.is_empty());
///             }
///         }
///         at.set_interest(interest);
///     }
/// #   if !gone.is_empty() { break }
/// }
/// # client.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
///
/// A wait takes a step for each registered descriptor, as `poll` itself does; what it
/// found is then handed out without looking at the others. Registering, and
/// [`key_of`](Self::key_of), search a list of numbers, 2 µs at 10 000; all else takes a
/// constant number of steps. For many thousands of descriptors use `polling` or `mio`.
///
/// # Threads
///
/// A set is for one thread at a time. To wake it from another, register the
/// reading end of a [`pipe()`](crate::pipe()) and write to the other:
/// `examples/wake.rs`.
pub struct PollSet<F, D, S: Lists = Growable> {
    /// In no order; what `poll` is given.
    entries: S::List<Entry<F, D>>,
    /// The numbers of their descriptors, read once: a type may change its mind. What
    /// the search for a duplicate reads.
    numbers: S::List<RawFd>,
    /// Where the entry of each slot stands; [`FREE`] of none.
    places: S::List<usize>,
    /// Of the last registration.
    serial: u64,
    /// What the last wait found and nobody has taken; the last is the next.
    found: S::List<(Key, Readiness)>,
    /// Where the next hand-out begins: after the last entry that was handed out.
    turn: usize,
    /// How its waits have ended.
    kernel: Pace,
    scratch: S::Scratch,
}

struct Entry<F, D> {
    key: Key,
    io: Watched<F>,
    data: D,
}

/// The place of a slot that is free.
const FREE: usize = usize::MAX;

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
    pub fn new() -> Self {
        Self {
            entries: Default::default(),
            numbers: Default::default(),
            places: Default::default(),
            serial: 0,
            found: Default::default(),
            turn: 0,
            kernel: Pace::new(),
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
        let reason = match self.key_of_number(number) {
            Some(key) => Reason::Registered(key),
            None if self.entries.len() < S::CAPACITY => {
                let place = self.entries.len();
                let slot = self.places.find(&FREE).unwrap_or(self.places.len());
                match self.places.get_mut(slot) {
                    Some(free) => *free = place,
                    None => self.places.push(place),
                }
                self.serial += 1;
                let key = Key {
                    slot,
                    serial: self.serial,
                };
                let io = Watched::new(fd, interest);
                self.entries.push(Entry { key, io, data });
                self.numbers.push(number);
                return Ok(key);
            }
            None => Reason::Full,
        };
        Err(NotRegistered { fd, data, reason })
    }

    /// Changes what is waited for, from the next wait on. What the set remembers of the
    /// descriptor, it keeps.
    ///
    /// An [empty](Interest::empty) interest keeps the registration and waits for
    /// nothing: not even a hang-up is reported, which [`Interest::HANG_UP`] alone is.
    pub fn modify(&mut self, key: Key, interest: Interest) -> Result<(), UnknownKey> {
        let entry = self.entry_mut(key).ok_or(UnknownKey)?;
        entry.io.set_interest(interest);
        Ok(())
    }

    /// Takes a descriptor out and gives it back with its data. What the last wait
    /// found for it is forgotten.
    pub fn unregister(&mut self, key: Key) -> Result<(F, D), UnknownKey> {
        let place = self.place(key).ok_or(UnknownKey)?;
        let entry = self.entries.swap_remove(place).ok_or(UnknownKey)?;
        self.numbers.swap_remove(place);
        if let Some(free) = self.places.get_mut(key.slot) {
            *free = FREE;
        }
        // The last entry now stands where this one stood.
        let moved = self.entries.get(place);
        if let Some(at) = moved.and_then(|moved| self.places.get_mut(moved.key.slot)) {
            *at = place;
        }
        Ok((entry.io.fd, entry.data))
    }

    /// Where the entry of a key stands.
    fn place(&self, key: Key) -> Option<usize> {
        let place = *self.places.get(key.slot)?;
        (self.entries.get(place)?.key.serial == key.serial).then_some(place)
    }

    fn entry_mut(&mut self, key: Key) -> Option<&mut Entry<F, D>> {
        self.entries.get_mut(self.place(key)?)
    }

    /// The registration of a key.
    pub fn get(&self, key: Key) -> Option<Registration<'_, F, D>> {
        self.entries.get(self.place(key)?).map(Entry::registration)
    }

    /// A registered descriptor, to make calls that the set remembers, and its data.
    pub fn get_mut(&mut self, key: Key) -> Option<(At<'_, F>, &mut D)> {
        self.entry_mut(key).map(Entry::parts)
    }

    /// Two at once, such as the two sides of a connection. `None` if one of the keys
    /// is unknown, or both are the same.
    pub fn get_disjoint_mut(&mut self, keys: [Key; 2]) -> Option<[(At<'_, F>, &mut D); 2]> {
        let [one, other] = [self.place(keys[0])?, self.place(keys[1])?];
        let (low, high) = (one.min(other), one.max(other));
        let between = high.checked_sub(low + 1)?;
        let mut entries = self.entries.iter_mut();
        let mut both = [entries.nth(low)?.parts(), entries.nth(between)?.parts()];
        if one > other {
            both.reverse();
        }
        Some(both)
    }

    /// Makes one call of the caller's own on a registered descriptor, and remembers what
    /// it answered: as [`At::attempt`], with the data at hand.
    ///
    /// ```
    /// use wouldblock::{Inline, Interest, Io, Op, PollSet, read};
    /// # let (reader, writer) = wouldblock::pipe()?;
    /// # assert_eq!(wouldblock::write(&writer, b"data"), Io::Ready(4));
    /// let mut set: PollSet<_, [u8; 16], Inline<4>> = PollSet::new();
    /// let key = set.register(reader, Interest::READABLE, [0; 16]).unwrap();
    /// let answer = set.attempt(key, Op::Read, |fd, buf| read(fd, buf));
    /// assert_eq!(answer, Ok(Io::Ready(4)));
    /// # Ok::<(), wouldblock::Errno>(())
    /// ```
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
    pub fn key_of<Fd: Descriptor>(&self, fd: Fd) -> Option<Key> {
        self.key_of_number(fd.as_fd().as_raw_fd())
    }

    fn key_of_number(&self, number: RawFd) -> Option<Key> {
        Some(self.entries.get(self.numbers.find(&number)?)?.key)
    }

    /// Every registration, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Registration<'_, F, D>> {
        self.entries.iter().map(Entry::registration)
    }

    /// Every registration, in no order, as [`get_mut`](Self::get_mut) lends it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, At<'_, F>, &mut D)> {
        self.entries
            .iter_mut()
            .map(|entry| (entry.key, At(&mut entry.io), &mut entry.data))
    }

    /// How many descriptors are registered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all descriptors out, one after the other. What is left when the
    /// iterator is dropped stays registered; dropping the set closes it.
    #[doc(alias = "close")]
    pub fn drain(&mut self) -> impl Iterator<Item = (F, D)> {
        core::iter::from_fn(|| {
            let last = self.entries.get(self.len().checked_sub(1)?)?;
            self.unregister(last.key).ok()
        })
    }
}

impl<F, D> Entry<F, D> {
    fn registration(&self) -> Registration<'_, F, D> {
        Registration {
            key: self.key,
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
            .entries(self.entries.iter().map(|entry| (&entry.io.fd, &entry.data)))
            .finish()
    }
}
