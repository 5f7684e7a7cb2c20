//! std's `Read` and `Write` for a non-blocking descriptor, where code above wants
//! them. Only here, and in `wait/std_io.rs`, does would-block become an error again.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::net::sockopt::socket_type;

use crate::mapping::flags::SendFlags;
use crate::mapping::io::Io;
use crate::ops::message::send_msg;
use crate::ops::mode::NonBlocking;
use crate::ops::stream::{read, send, write};
use crate::ops::vectored::{readv, writev};

/// std's [`Read`] and [`Write`] of a [`NonBlocking`], for code that wants them and
/// waits by itself: would-block is [`ErrorKind::WouldBlock`], and nothing waits. Made by
/// [`NonBlocking::std_io`] and [`NonBlocking::into_std_io`].
///
/// The default methods of the traits lose count at the first would-block: `read_exact`
/// and `write_all` do not say how far they came. [`until(…).std_io()`](crate::Until::std_io)
/// waits instead, and [`send_all`](crate::send_all) and
/// [`write_all`](crate::write_all()) say it.
///
/// `Write` on a socket is [`send`](crate::send()), so no SIGPIPE is raised, and
/// elsewhere [`write`](crate::write()); which, is asked once. A call that stays
/// interrupted is [`ErrorKind::ResourceBusy`], never `Interrupted`, on which std's own
/// loops call again for ever.
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
    io: T,
    is_socket: IsSocket,
}

/// Whether a descriptor is a socket, asked once, before something is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IsSocket(Option<bool>);

impl IsSocket {
    #[inline]
    pub(crate) fn ask(&mut self, fd: BorrowedFd<'_>) -> bool {
        *self.0.get_or_insert_with(|| socket_type(fd).is_ok())
    }
}

impl<T> StdIo<T> {
    /// What it reads from and writes to.
    pub const fn get_ref(&self) -> &T {
        &self.io
    }

    /// Back to the crate's own operations.
    pub fn into_inner(self) -> T {
        self.io
    }
}

impl<F: AsFd> NonBlocking<F> {
    /// std's [`Read`] and [`Write`], which report would-block as
    /// [`ErrorKind::WouldBlock`].
    pub fn std_io(&self) -> StdIo<&Self> {
        let is_socket = IsSocket::default();
        StdIo {
            io: self,
            is_socket,
        }
    }

    /// Like [`std_io`](Self::std_io), and keeps the descriptor.
    pub fn into_std_io(self) -> StdIo<Self> {
        let is_socket = IsSocket::default();
        StdIo {
            io: self,
            is_socket,
        }
    }
}

/// std's own loops call again for ever when they are told of an interruption.
fn reported(answer: Io) -> io::Result<usize> {
    match answer.into_io_result() {
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(ErrorKind::ResourceBusy.into()),
        result => result,
    }
}

impl<T: AsFd> Read for StdIo<T> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        reported(read(&self.io, buf))
    }

    #[inline]
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        reported(readv(&self.io, bufs))
    }
}

impl<T: AsFd> Write for StdIo<T> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        reported(if self.is_socket.ask(self.io.as_fd()) {
            send(&self.io, buf, SendFlags::empty())
        } else {
            write(&self.io, buf)
        })
    }

    #[inline]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        reported(if self.is_socket.ask(self.io.as_fd()) {
            send_msg(&self.io, bufs, SendFlags::empty())
        } else {
            writev(&self.io, bufs)
        })
    }

    /// Nothing is held back here.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
