//! [`Descriptor`], what an operation may be called on.

use rustix::fd::{AsFd, BorrowedFd};

/// What the operations can be called on: everything that implements [`AsFd`].
///
/// - [`OwnedFd`](crate::OwnedFd), [`BorrowedFd`](crate::BorrowedFd),
///   [`NonBlocking`](crate::NonBlocking), and references to them;
/// - with the feature `std`, also std's sockets, pipes and files, and whatever
///   else implements `std::os::fd::AsFd`, which then is the same trait.
///
/// Implement `AsFd` for a type of your own, and bound a function of your own by
/// either: they hold for the same types. This trait is there for the compiler's
/// message when neither does.
///
/// ```
/// use wouldblock::{AsFd, Io, read};
///
/// fn drain<Fd: AsFd>(fd: Fd) -> usize {
///     let mut sum = 0;
///     while let Io::Ready(n @ 1..) = read(&fd, &mut [0; 64]) {
///         sum += n;
///     }
///     sum
/// }
/// # let (reader, writer) = wouldblock::pipe()?;
/// # assert_eq!(wouldblock::write(&writer, b"hello"), Io::Ready(5));
/// # assert_eq!(drain(&reader), 5);
/// # Ok::<(), wouldblock::Errno>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a file descriptor",
    label = "expected a descriptor, or a reference to one",
    note = "for a plain number there is `BorrowedFd::borrow_raw`, where you say that it stays open"
)]
#[cfg_attr(
    not(feature = "std"),
    diagnostic::on_unimplemented(
        note = "std's sockets, pipes and files can be used with the feature `std` of `wouldblock`, which `default-features = false` turns off",
        note = "without it, use `OwnedFd` and `BorrowedFd`; `wouldblock::socket` and `wouldblock::pipe` make some"
    )
)]
pub trait Descriptor: AsFd {}

// Without this the compiler would tell about `AsFd`, of which there are two.
#[diagnostic::do_not_recommend]
impl<T: AsFd + ?Sized> Descriptor for T {}

/// What can be borrowed for as long as an entry of `poll` lives: a reference to a
/// [`Descriptor`], or a [`BorrowedFd`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be borrowed for an entry of `poll`",
    label = "expected a reference to a descriptor, or a `BorrowedFd`",
    note = "for a plain number there is `BorrowedFd::borrow_raw`, where you say that it stays open"
)]
#[cfg_attr(
    not(feature = "std"),
    diagnostic::on_unimplemented(
        note = "std's sockets, pipes and files can be used with the feature `std` of `wouldblock`"
    )
)]
pub trait BorrowDescriptor<'fd> {
    #[doc(hidden)]
    fn borrow_fd(self) -> BorrowedFd<'fd>;
}

#[diagnostic::do_not_recommend]
impl<'fd, T: Descriptor + ?Sized> BorrowDescriptor<'fd> for &'fd T {
    #[inline]
    fn borrow_fd(self) -> BorrowedFd<'fd> {
        self.as_fd()
    }
}

impl<'fd> BorrowDescriptor<'fd> for BorrowedFd<'fd> {
    #[inline]
    fn borrow_fd(self) -> BorrowedFd<'fd> {
        self
    }
}
