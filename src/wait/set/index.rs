//! Which key is which descriptor, and where its entry stands: constant steps for
//! each question, expected over the descriptors' numbers.

use rustix::fd::RawFd;

use super::Key;
use super::list::{List, Storage};

/// How many chains there are at first; each doubling links all slots anew.
const INITIAL_CHAINS: usize = 16;

/// A place in a list, or none.
pub(super) type Link = Option<usize>;

pub(super) struct Index<S: Storage> {
    slots: S::List<Slot>,
    /// For each remainder of a descriptor's number, the slots that have it.
    chains: S::List<Link>,
    /// The first of the slots that are free.
    free: Link,
}

/// What a key points to, and stays in place while entries move.
pub(super) struct Slot {
    generation: u64,
    /// Where the entry stands, if the slot is taken.
    place: Link,
    /// The descriptor's number, read once: a type may change its mind.
    number: RawFd,
    /// The next slot of its chain, or of the free ones.
    next: Link,
}

impl<S: Storage> Index<S> {
    pub(super) fn new() -> Self {
        let mut index = Self {
            slots: Default::default(),
            chains: Default::default(),
            free: None,
        };
        index.make_chains(INITIAL_CHAINS);
        index
    }

    /// Where the entry of a key stands.
    #[inline]
    pub(super) fn place(&self, key: Key) -> Link {
        let slot = self.slots.get(key.slot)?;
        slot.place.filter(|_| slot.generation == key.generation)
    }

    /// The key of a slot that is taken.
    #[inline]
    pub(super) fn key(&self, slot: usize) -> Option<Key> {
        let generation = self.slots.get(slot)?.generation;
        Some(Key { slot, generation })
    }

    pub(super) fn find(&self, number: RawFd) -> Option<Key> {
        let mut next = *self.chains.get(self.chain(number))?;
        while let Some(slot) = next {
            let candidate = self.slots.get(slot)?;
            if candidate.number == number {
                return self.key(slot);
            }
            next = candidate.next;
        }
        None
    }

    /// Takes a slot for the entry at `place`. There must be room for it.
    pub(super) fn insert(&mut self, number: RawFd, place: usize) -> Key {
        let taken = |generation| Slot {
            generation,
            place: Some(place),
            number,
            next: None,
        };
        let slot = self.free.unwrap_or(self.slots.len());
        let generation = match self.slots.get_mut(slot) {
            Some(free) => {
                self.free = free.next;
                *free = taken(free.generation);
                free.generation
            }
            None => {
                self.slots.push(taken(0));
                0
            }
        };
        if self.slots.len() > self.chains.len() && self.chains.has_room() {
            self.make_chains(self.chains.len().saturating_mul(2));
        } else {
            self.link(slot);
        }
        Key { slot, generation }
    }

    /// Frees a slot; its key finds nothing from now on.
    pub(super) fn remove(&mut self, slot: usize) {
        self.unlink(slot);
        if let Some(freed) = self.slots.get_mut(slot) {
            freed.generation += 1;
            freed.place = None;
            freed.next = self.free;
            self.free = Some(slot);
        }
    }

    /// The entry of a slot stands elsewhere now.
    pub(super) fn moved(&mut self, slot: usize, place: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.place = Some(place);
        }
    }

    /// Descriptor numbers are small and dense, so their remainders are spread as
    /// well as any hash.
    fn chain(&self, number: RawFd) -> usize {
        let number = usize::try_from(number).unwrap_or_default();
        number.checked_rem(self.chains.len()).unwrap_or_default()
    }

    fn link(&mut self, slot: usize) {
        let Some(number) = self.slots.get(slot).map(|slot| slot.number) else {
            return;
        };
        let chain = self.chain(number);
        if let (Some(first), Some(linked)) = (self.chains.get_mut(chain), self.slots.get_mut(slot))
        {
            linked.next = first.replace(slot);
        }
    }

    fn unlink(&mut self, slot: usize) {
        let Some((number, after)) = self.slots.get(slot).map(|slot| (slot.number, slot.next))
        else {
            return;
        };
        let chain = self.chain(number);
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

    /// Makes `count` chains, as far as there is room, and links all slots anew.
    fn make_chains(&mut self, count: usize) {
        while self.chains.pop().is_some() {}
        while self.chains.len() < count && self.chains.has_room() {
            self.chains.push(None);
        }
        for slot in 0..self.slots.len() {
            if self
                .slots
                .get(slot)
                .is_some_and(|slot| slot.place.is_some())
            {
                self.link(slot);
            }
        }
    }
}
