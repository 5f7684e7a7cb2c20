//! Where a set keeps its things: an array of fixed capacity, or a vector.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use rustix::event::PollFd;

use crate::mapping::readiness::Interest;
use crate::ops::stand_in::no_descriptor;

/// A kind of storage: [`Inline`] or, with the feature `alloc`, [`Growable`].
///
/// Not to be implemented elsewhere.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no storage of a `PollSet` here",
    note = "`Growable`, the default, wants the feature `alloc` of `wouldblock`; `Inline<N>` allocates nothing"
)]
pub trait Storage: sealed::Lists {
    /// Calls `body` with an array of the `entries`.
    #[doc(hidden)]
    fn with_pollfds<'a, R>(
        scratch: &'a mut Self::Scratch,
        entries: impl Iterator<Item = PollFd<'a>>,
        body: impl FnOnce(&mut [PollFd<'a>]) -> R,
    ) -> R;
}

/// A vector as far as a set needs one.
pub trait List: Default {
    type Item;

    /// Appends; does nothing if there is no room.
    fn push(&mut self, value: Self::Item);
    fn pop(&mut self) -> Option<Self::Item>;
    fn get(&self, index: usize) -> Option<&Self::Item>;
    fn get_mut(&mut self, index: usize) -> Option<&mut Self::Item>;
    fn len(&self) -> usize;
    fn iter(&self) -> impl Iterator<Item = &Self::Item>;
    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Self::Item>;

    /// Takes one out; the last takes its place.
    fn swap_remove(&mut self, index: usize) -> Option<Self::Item> {
        self.get(index)?;
        let last = self.pop()?;
        match self.get_mut(index) {
            Some(place) => Some(core::mem::replace(place, last)),
            None => Some(last),
        }
    }

    /// The first place of an equal one. Mostly there is none, and without an end to
    /// the loop the compiler looks at several at once.
    fn find(&self, value: &Self::Item) -> Option<usize>
    where
        Self::Item: PartialEq,
    {
        let equal = |item: &&Self::Item| *item == value;
        let count = self.iter().filter(equal).count();
        (count > 0).then(|| self.iter().position(|item| equal(&item)))?
    }
}

pub(super) mod sealed {
    /// What a set is made of. Of [`Growable`](super::Growable) too where that is no
    /// storage, so that it can be the default everywhere.
    pub trait Lists {
        type List<T>: super::List<Item = T>;
        type Scratch: Default;
        /// How many fit.
        const CAPACITY: usize;
    }

    impl<const N: usize> Lists for super::Inline<N> {
        type List<T> = super::Array<T, N>;
        type Scratch = ();
        const CAPACITY: usize = N;
    }

    #[cfg(not(feature = "alloc"))]
    impl Lists for super::Growable {
        type List<T> = super::Array<T, 0>;
        type Scratch = ();
        const CAPACITY: usize = 0;
    }

    #[cfg(feature = "alloc")]
    impl Lists for super::Growable {
        type List<T> = alloc::vec::Vec<T>;
        /// Kept for its allocation, always empty.
        type Scratch = alloc::vec::Vec<rustix::event::PollFd<'static>>;
        const CAPACITY: usize = usize::MAX;
    }
}

/// Storage for `N` descriptors inside the set itself. Nothing is allocated; the
/// array that `poll` is given stands on the stack during the call (8 bytes for
/// each of the `N`).
#[derive(Debug)]
pub enum Inline<const N: usize> {}

/// The storage of [`Inline`].
#[derive(Debug)]
pub struct Array<T, const N: usize> {
    /// The first `length` are occupied.
    items: [Option<T>; N],
    length: usize,
}

impl<T, const N: usize> Default for Array<T, N> {
    fn default() -> Self {
        Self {
            items: [const { None }; N],
            length: 0,
        }
    }
}

impl<T, const N: usize> List for Array<T, N> {
    type Item = T;

    fn push(&mut self, value: T) {
        if let Some(place) = self.items.get_mut(self.length) {
            *place = Some(value);
            self.length += 1;
        }
    }

    fn pop(&mut self) -> Option<T> {
        let last = self.length.checked_sub(1)?;
        self.length = last;
        self.items.get_mut(last)?.take()
    }

    fn get(&self, index: usize) -> Option<&T> {
        self.items.get(index)?.as_ref()
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.items.get_mut(index)?.as_mut()
    }

    fn len(&self) -> usize {
        self.length
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().take(self.length).flatten()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().take(self.length).flatten()
    }
}

impl<const N: usize> Storage for Inline<N> {
    #[inline]
    fn with_pollfds<'a, R>(
        (): &'a mut (),
        mut entries: impl Iterator<Item = PollFd<'a>>,
        body: impl FnOnce(&mut [PollFd<'a>]) -> R,
    ) -> R {
        let mut count = 0;
        let mut fds: [PollFd<'a>; N] = core::array::from_fn(|_| {
            let entry = entries.next();
            count += usize::from(entry.is_some());
            entry.unwrap_or_else(nobody)
        });
        body(fds.get_mut(..count).unwrap_or_default())
    }
}

/// What stands behind the last. The kernel is not shown it: to some, a negative number
/// is an invalid one (src/platform/dragonfly.rs).
fn nobody<'a>() -> PollFd<'a> {
    Interest::empty().on(no_descriptor())
}

/// Storage that grows on the heap: a [`Storage`] with the feature `alloc`, which `std`
/// brings.
#[derive(Debug)]
pub enum Growable {}

#[cfg(feature = "alloc")]
impl<T> List for Vec<T> {
    type Item = T;

    fn push(&mut self, value: T) {
        self.push(value);
    }

    fn pop(&mut self) -> Option<T> {
        self.pop()
    }

    fn get(&self, index: usize) -> Option<&T> {
        <[T]>::get(self, index)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        <[T]>::get_mut(self, index)
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        <[T]>::iter(self)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        <[T]>::iter_mut(self)
    }
}

#[cfg(feature = "alloc")]
impl Storage for Growable {
    #[inline]
    fn with_pollfds<'a, R>(
        scratch: &'a mut Vec<PollFd<'static>>,
        entries: impl Iterator<Item = PollFd<'a>>,
        body: impl FnOnce(&mut [PollFd<'a>]) -> R,
    ) -> R {
        let mut fds: Vec<PollFd<'a>> = core::mem::take(scratch);
        fds.extend(entries);
        let result = body(&mut fds);
        // Keeps the allocation, for entries that borrow something else: collecting a
        // vector's own elements, of the same size, reuses it. A test counts the
        // allocations.
        fds.clear();
        *scratch = fds.into_iter().map(|_| nobody()).collect();
        result
    }
}
