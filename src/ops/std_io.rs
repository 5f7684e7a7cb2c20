//! std's `Read` and `Write` for a non-blocking descriptor, where code above wants
//! them. Only here, and in `wait/std_io.rs`, does would-block become an error again.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::net::sockopt::socket_type;

use crate::mapping::classify::Op;
use crate::mapping::flags::SendFlags;
use crate::mapping::io::Io;
use crate::ops::message::send_msg;
use crate::ops::mode::NonBlocking;
use crate::ops::stream::{read, send, write};
use crate::ops::vectored::{readv, writev};
use crate::platform::errnos::NO_SOCKET;

/// std's [`Read`] and [`Write`] of a descriptor.
///
/// - `StdIo<NonBlocking<F>>` is for code that wants them and waits by itself:
///   would-block is [`ErrorKind::WouldBlock`], and nothing waits. A call that stays
///   interrupted is [`ErrorKind::ResourceBusy`], never `Interrupted`, on which std's own
///   loops call again for ever. Made by [`NonBlocking::std_io`] and
///   [`NonBlocking::into_std_io`].
/// - `StdIo<Until<F>>` waits, and ends with [`ErrorKind::TimedOut`]. Made by
///   [`Until::std_io`](crate::Until::std_io), which says more.
///
/// The default methods of the traits lose count at an error: `read_exact` and
/// `write_all` do not say how far they came. [`send_all`](crate::send_all) and
/// [`write_all`](crate::write_all()) say it.
///
/// `Write` on a socket is [`send`](crate::send()), so no SIGPIPE is raised, and
/// elsewhere [`write`](crate::write()); which, the first write tells.
///
/// ```
/// use std::io::{ErrorKind, Read};
/// use wouldblock::NonBlocking;
/// # let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
///
/// let ours = NonBlocking::new(ours)?;
/// let error = ours.std_io().read(&mut [0; 8]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::WouldBlock);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct StdIo<T> {
    pub(crate) io: T,
    is_socket: Option<bool>,
}

/// How a call is made: once, or until a deadline.
#[doc(hidden)]
pub trait Calls {
    fn call(&self, op: Op, call: impl FnMut(BorrowedFd<'_>) -> Io) -> io::Result<usize>;
}

impl<T> StdIo<T> {
    pub(crate) const fn new(io: T) -> Self {
        let is_socket = None;
        Self { io, is_socket }
    }
}

impl<T: Calls> StdIo<T> {
    /// Sends, or writes to what is no socket. Which it is the first call tells.
    #[inline]
    fn put(
        &mut self,
        mut send: impl FnMut(BorrowedFd<'_>) -> Io,
        write: impl FnMut(BorrowedFd<'_>) -> Io,
    ) -> io::Result<usize> {
        let Self { io, is_socket } = self;
        if *is_socket != Some(false) {
            let sent = io.call(Op::Send, |fd| {
                let answer = send(fd);
                is_socket.get_or_insert_with(|| match answer {
                    Io::Err(NO_SOCKET) => false,
                    Io::Err(_) => socket_type(fd).is_ok(),
                    Io::Ready(_) | Io::WouldBlock => true,
                });
                answer
            });
            if *is_socket != Some(false) {
                return sent;
            }
        }
        io.call(Op::Write, write)
    }
}

impl<F: AsFd> NonBlocking<F> {
    /// std's [`Read`] and [`Write`], which report would-block as
    /// [`ErrorKind::WouldBlock`].
    pub fn std_io(&self) -> StdIo<NonBlocking<&F>> {
        StdIo::new(NonBlocking::already(self.get_ref()))
    }

    /// Like [`std_io`](Self::std_io), and keeps the descriptor.
    pub fn into_std_io(self) -> StdIo<Self> {
        StdIo::new(self)
    }
}

impl<F> StdIo<NonBlocking<F>> {
    /// What it reads from and writes to.
    pub const fn get_ref(&self) -> &NonBlocking<F> {
        &self.io
    }

    /// Back to the crate's own operations.
    pub fn into_inner(self) -> NonBlocking<F> {
        self.io
    }
}

impl<F: AsFd> Calls for NonBlocking<F> {
    #[inline]
    fn call(&self, _op: Op, mut call: impl FnMut(BorrowedFd<'_>) -> Io) -> io::Result<usize> {
        match call(self.as_fd()).into_io_result() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                Err(ErrorKind::ResourceBusy.into())
            }
            result => result,
        }
    }
}

impl<T: Calls> Read for StdIo<T> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.call(Op::Read, |fd| read(fd, buf))
    }

    #[inline]
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.io.call(Op::Read, |fd| readv(fd, bufs))
    }
}

impl<T: Calls> Write for StdIo<T> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::empty();
        self.put(|fd| send(fd, buf, flags), |fd| write(fd, buf))
    }

    #[inline]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::empty();
        self.put(|fd| send_msg(fd, bufs, flags), |fd| writev(fd, bufs))
    }

    /// Nothing is held back here.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
