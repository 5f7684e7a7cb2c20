//! std's `Read` and `Write` for a non-blocking descriptor, where code above wants
//! them. Only here does would-block become an error again.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use rustix::fd::AsFd;

use crate::ops::mode::NonBlocking;
use crate::ops::stream::{read, write};
use crate::ops::vectored::{readv, writev};

/// [`read()`] as std reports it: would-block is the one error of
/// [`ErrorKind::WouldBlock`](io::ErrorKind::WouldBlock), see
/// [`Io::into_io_result`](crate::Io::into_io_result).
///
/// The default methods of the trait, such as `read_to_end`, give up at the first
/// would-block and keep what they have read so far only if they say so.
///
/// ```
/// use std::io::{ErrorKind, Read};
/// use wouldblock::NonBlocking;
/// # let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
///
/// let mut ours = NonBlocking::new(ours)?;
/// let error = Read::read(&mut ours, &mut [0; 8]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::WouldBlock);
/// # Ok::<(), std::io::Error>(())
/// ```
impl<F: AsFd> Read for &NonBlocking<F> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read(*self, buf).into_io_result()
    }

    #[inline]
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        readv(*self, bufs).into_io_result()
    }
}

/// See the implementation for `&NonBlocking`.
impl<F: AsFd> Read for NonBlocking<F> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, buf)
    }

    #[inline]
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Read::read_vectored(&mut &*self, bufs)
    }
}

/// [`write()`] as std reports it; see [`Read`] for would-block.
///
/// The descriptor may be a pipe, so this is `write` and not `send`: with a peer
/// that is gone it raises SIGPIPE. Rust programs ignore that signal; a program in
/// another language that calls this must ignore it too, or use
/// [`send`](crate::send()) on its sockets.
///
/// The trait's `write_all` loses count at would-block: how much was taken is not
/// said. [`write_all`](crate::write_all) and [`send_all`](crate::send_all) say it.
impl<F: AsFd> Write for &NonBlocking<F> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        write(*self, buf).into_io_result()
    }

    #[inline]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        writev(*self, bufs).into_io_result()
    }

    /// Nothing is held back here.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// See the implementation for `&NonBlocking`.
impl<F: AsFd> Write for NonBlocking<F> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, buf)
    }

    #[inline]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        Write::write_vectored(&mut &*self, bufs)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: AsRawFd> AsRawFd for NonBlocking<F> {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}
