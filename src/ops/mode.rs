//! Non-blocking mode: asking for it, setting it, and a type that has it.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::ops::descriptor::Descriptor;
use crate::ops::stand_in::no_descriptor;

/// `fcntl(fd, F_SETFL, …)`—Switches non-blocking mode on or off.
///
/// One system call if the mode is right already, two if it is changed. Other
/// status flags are kept. Returns `Err` with the errno of `fcntl`; some
/// descriptors refuse (see below).
///
/// The flag belongs to the *open file description*, not to the descriptor:
/// every duplicate of it, here or in another process that inherited it, changes
/// with it. Setting it on standard input changes it for the shell, too. For a
/// descriptor that others share, use [`ModeGuard`], or
/// [`RecvFlags::DONTWAIT`](crate::RecvFlags::DONTWAIT) for one call. To put the mode back
/// by yourself, begin with [`replace_nonblocking`].
///
/// # Platform notes
///
/// | system | refuses with |
/// |---|---|
/// | Linux | EBADF for an `O_PATH` descriptor |
/// | macOS | ENOTTY for a kqueue, a POSIX semaphore or shared memory, and for a pseudo-terminal master before its slave is open |
/// | FreeBSD | ENOTTY for a process descriptor, a message queue, a semaphore |
///
/// macOS and FreeBSD change the bit all the same; it is put back here, so that after an
/// `Err` the mode is as it was. Regular files and block devices accept the mode and
/// ignore it: they never would block.
///
/// # Examples
///
/// ```
/// use wouldblock::{is_nonblocking, set_nonblocking};
/// use std::os::unix::net::UnixStream;
///
/// let (ours, theirs) = UnixStream::pair()?;
/// set_nonblocking(&ours, true)?;
/// assert!(is_nonblocking(&ours)?);
/// assert!(!is_nonblocking(&theirs)?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/fcntl.html),
/// [Linux](https://man7.org/linux/man-pages/man2/F_GETFL.2const.html)
#[inline]
pub fn set_nonblocking<Fd: Descriptor>(fd: Fd, nonblocking: bool) -> Result<(), Errno> {
    replace_nonblocking(fd, nonblocking).map(drop)
}

/// Like [`set_nonblocking`], and returns the mode before.
///
/// ```
/// use wouldblock::{replace_nonblocking, set_nonblocking};
/// # let (reader, _writer) = std::os::unix::net::UnixStream::pair()?;
///
/// let before = replace_nonblocking(&reader, true)?;
/// // Calls that must not wait.
/// set_nonblocking(&reader, before)?;
/// # assert!(!before && !replace_nonblocking(&reader, true)?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn replace_nonblocking<Fd: Descriptor>(fd: Fd, nonblocking: bool) -> Result<bool, Errno> {
    let fd = fd.as_fd();
    let flags = fcntl_getfl(fd)?;
    let before = flags.contains(OFlags::NONBLOCK);
    // Not only to save a call: character devices on macOS and the BSDs may
    // refuse even a change to what they are.
    if before != nonblocking {
        fcntl_setfl(fd, flags ^ OFlags::NONBLOCK).map_err(|errno| put_back(fd, flags, errno))?;
    }
    Ok(before)
}

/// macOS and FreeBSD change the bit before they ask the driver, which refuses; they do so
/// once more. Out of line: it is for nobody else.
#[cold]
#[inline(never)]
fn put_back(fd: BorrowedFd<'_>, flags: OFlags, errno: Errno) -> Errno {
    let _ = fcntl_setfl(fd, flags);
    errno
}

/// `fcntl(fd, F_GETFL)`—Tells whether a descriptor is in non-blocking mode.
///
/// One system call. Returns `Err` with the errno of `fcntl`.
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/fcntl.html)
#[inline]
pub fn is_nonblocking<Fd: Descriptor>(fd: Fd) -> Result<bool, Errno> {
    Ok(fcntl_getfl(fd)?.contains(OFlags::NONBLOCK))
}

/// A descriptor in non-blocking mode, with the operations as methods.
///
/// It can be made only by setting the mode, so a function that takes one need
/// not ask. `F` is an owned socket, or a reference to one. The functions of this crate
/// take a `&NonBlocking` like any descriptor; those of plain bytes are methods as well,
/// and so is `accept`, whose connection has the mode from birth.
///
/// That the mode *stays* is not in this type's power: the flag is shared through
/// `dup` and `fork`, and whoever holds a duplicate can clear it. Dropping or
/// unwrapping the value leaves the mode as it is; [`ModeGuard`] restores it.
///
/// # Examples
///
/// ```
/// use wouldblock::{Io, NonBlocking, RecvFlags};
/// # use wouldblock::{AddressFamily, SocketType};
///
/// # let (ours, _theirs) = rustix::net::socketpair(
/// #     AddressFamily::UNIX, SocketType::STREAM, rustix::net::SocketFlags::empty(), None)?;
/// let ours = NonBlocking::new(ours)?;
/// assert_eq!(ours.recv(&mut [0; 8], RecvFlags::empty()), Io::WouldBlock);
/// # Ok::<(), wouldblock::Errno>(())
/// ```
#[derive(Debug)]
pub struct NonBlocking<F> {
    fd: F,
}

static_assertions::assert_impl_all!(NonBlocking<rustix::fd::OwnedFd>: Send, Sync, Unpin);
static_assertions::assert_impl_all!(ModeGuard<rustix::fd::OwnedFd>: Send, Sync, Unpin);

impl<F: Descriptor> NonBlocking<F> {
    /// Sets the mode and wraps the descriptor, or hands it back with the errno.
    ///
    /// ```
    /// use wouldblock::{NonBlocking, Refused};
    /// # use std::os::unix::net::UnixStream;
    /// # let (socket, _peer) = UnixStream::pair()?;
    /// match NonBlocking::new(socket) {
    ///     Ok(socket) => drop(socket),
    ///     Err(Refused { fd, errno }) => eprintln!("{fd:?} stays as it was: {errno}"),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(fd: F) -> Result<Self, Refused<F>> {
        match set_nonblocking(&fd, true) {
            Ok(()) => Ok(Self { fd }),
            Err(errno) => Err(Refused { fd, errno }),
        }
    }
}

impl<F> NonBlocking<F> {
    /// For a descriptor that an operation made non-blocking.
    #[inline]
    pub(crate) const fn already(fd: F) -> Self {
        Self { fd }
    }

    /// The descriptor.
    #[inline]
    pub const fn get_ref(&self) -> &F {
        &self.fd
    }

    /// The descriptor, still in non-blocking mode.
    pub fn into_inner(self) -> F {
        self.fd
    }
}

impl<F: AsFd> AsFd for NonBlocking<F> {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// For tokio's `AsyncFd` and for `polling`, which ask for it.
impl<F: AsRawFd> AsRawFd for NonBlocking<F> {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// A descriptor that refused a mode and keeps the one it had, and why.
pub struct Refused<F> {
    /// The descriptor, handed back.
    pub fd: F,
    /// What `fcntl` answered.
    pub errno: Errno,
}

impl<F> From<Refused<F>> for Errno {
    fn from(refused: Refused<F>) -> Self {
        refused.errno
    }
}

#[cfg(feature = "std")]
impl<F> From<Refused<F>> for std::io::Error {
    fn from(refused: Refused<F>) -> Self {
        refused.errno.into()
    }
}

impl<F> core::fmt::Display for Refused<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the descriptor refused the mode: {}", self.errno)
    }
}

/// Shows the errno only, so that an error asks nothing of the caller's type.
impl<F> core::fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Refused")
            .field("errno", &self.errno)
            .finish_non_exhaustive()
    }
}

impl<F> core::error::Error for Refused<F> {}

/// Non-blocking mode, or blocking mode, for a while: puts the old mode back when
/// dropped, if it changed it.
///
/// For a descriptor that is not ours alone, such as standard input. Other
/// holders of the same open file description see the mode while the guard
/// lives; two guards on one description put back what each of them found, so
/// drop them in reverse order.
///
/// A process that ends without dropping it puts nothing back: by `exit`, by a signal, by
/// an abort. A shell then finds its own standard input non-blocking. Leave `main` by
/// returning, and handle the signals that you expect.
///
/// # Examples
///
/// ```
/// use wouldblock::{ModeGuard, is_nonblocking};
/// use std::os::unix::net::UnixStream;
///
/// let (ours, _theirs) = UnixStream::pair()?;
/// {
///     let _guard = ModeGuard::new(&ours, true)?;
///     assert!(is_nonblocking(&ours)?);
/// }
/// assert!(!is_nonblocking(&ours)?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the old mode comes back when this is dropped: keep it in a variable, `_guard`, not `_`"]
pub struct ModeGuard<F: Descriptor> {
    /// Nothing once it was given back.
    fd: Option<F>,
    /// The mode to put back, if it was changed.
    before: Option<bool>,
}

impl<F: Descriptor> ModeGuard<F> {
    /// Switches the mode of `fd` until the guard is dropped.
    pub fn new(fd: F, nonblocking: bool) -> Result<Self, Errno> {
        let before = replace_nonblocking(&fd, nonblocking)?;
        let before = (before != nonblocking).then_some(before);
        let fd = Some(fd);
        Ok(Self { fd, before })
    }

    /// Puts the old mode back now, and gives the descriptor back; with the errno if that
    /// failed, which dropping the guard could not say.
    pub fn into_inner(mut self) -> Result<F, Refused<F>> {
        loop {
            // It is taken here alone, so the first round is the last.
            if let Some(fd) = self.fd.take() {
                return match self.put_back(&fd) {
                    Ok(()) => Ok(fd),
                    Err(errno) => Err(Refused { fd, errno }),
                };
            }
        }
    }

    fn put_back(&self, fd: &F) -> Result<(), Errno> {
        self.before
            .map_or(Ok(()), |before| set_nonblocking(fd, before))
    }
}

impl<F: Descriptor> AsFd for ModeGuard<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().map_or(no_descriptor(), AsFd::as_fd)
    }
}

impl<F: Descriptor> Drop for ModeGuard<F> {
    fn drop(&mut self) {
        if let Some(fd) = &self.fd {
            // Nobody is left to tell; `into_inner` is for who wants to know.
            let _ = self.put_back(fd);
        }
    }
}
