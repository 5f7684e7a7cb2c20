//! std's `Read` and `Write` under one deadline.

use core::error::Error;
use core::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};

use rustix::io::Errno;

use super::deadline::Deadline;
use super::pace::Answer;
use super::until::{Retry, Until};
use crate::mapping::flags::SendFlags;
use crate::mapping::io::Io;
use crate::ops::descriptor::Descriptor;
use crate::ops::message::send_msg;
use crate::ops::std_io::IsSocket;
use crate::ops::vectored::{readv, writev};

/// std's [`Read`] and [`Write`] of a descriptor, which wait, and end on one deadline.
/// Made by [`Until::std_io`].
///
/// [`BufReader`](std::io::BufReader), [`read_exact`](Read::read_exact),
/// [`copy`](std::io::copy()), `write!` and what else takes a stream run on it, and end
/// with [`ErrorKind::TimedOut`] when the deadline has passed: nothing is begun after it,
/// not even on a stream that is always ready. If a shortage or an interruption lasted
/// until then, its [`Errno`] is the error's source. `ErrorKind::WouldBlock` and
/// `ErrorKind::Interrupted` are never reported: for the one there is nothing to wait
/// for, and on the other std's own loops call again for ever.
///
/// `Write` on a socket is [`send`](crate::send()), so no SIGPIPE is raised, and
/// elsewhere [`write`](crate::write()); which, is asked once.
///
/// ```
/// use std::io::{BufRead, BufReader, ErrorKind, Write};
/// use std::time::Duration;
/// use wouldblock::NonBlocking;
/// # use std::os::unix::net::UnixStream;
/// # let (ours, mut theirs) = UnixStream::pair()?;
///
/// let ours = NonBlocking::new(ours)?;
/// let mut reader = BufReader::new(ours.until(Duration::from_millis(20)).std_io());
/// theirs.write_all(b"half a li")?;
/// let mut line = Vec::new();
/// let error = reader.read_until(b'\n', &mut line).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
///
/// // `read_until` has lost nothing, and neither has the buffer.
/// theirs.write_all(b"ne\n")?;
/// reader.get_mut().set_deadline(Duration::from_secs(10));
/// reader.read_until(b'\n', &mut line)?;
/// assert_eq!(line, b"half a line\n");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # What an error loses
///
/// That is std's to say: `read_until` keeps in its vector all that has come, and a
/// `BufReader` what it holds. `read_line` drops what it has read if that ends
/// inside of a character, `read_exact` does not say how much it has read, and
/// [`write_all`](Write::write_all) not how much it has written. To go on after a
/// deadline, use `read_until`, and [`Until::send_all`] or [`Until::write_all`].
#[derive(Debug)]
pub struct StdIoUntil<F> {
    until: Until<F>,
    is_socket: IsSocket,
}

impl<F> Until<F> {
    /// std's [`Read`] and [`Write`], which wait, and end on the deadline with
    /// [`ErrorKind::TimedOut`]. One for reading and one for writing can be made of one
    /// reference.
    pub fn std_io(self) -> StdIoUntil<F> {
        let is_socket = IsSocket::default();
        StdIoUntil {
            until: self,
            is_socket,
        }
    }
}

impl<F: Descriptor> StdIoUntil<F> {
    /// Another deadline from now on: after one that has passed, or for each request of a
    /// connection. Through a `BufReader`, by its `get_mut`.
    pub fn set_deadline(&mut self, deadline: impl Into<Deadline>) {
        self.until.deadline = deadline.into();
    }

    /// The descriptor, to wait for it otherwise.
    pub const fn get_ref(&self) -> &F {
        &self.until.fd
    }

    /// The descriptor, as [`until()`](crate::until()) was given it.
    pub fn into_inner(self) -> F {
        self.until.fd
    }

    /// Nothing is begun after the deadline, or a stream that is always ready would
    /// never end.
    fn before_the_end(
        &mut self,
        op: Retry,
        call: impl FnOnce(&Until<F>) -> Io,
    ) -> io::Result<usize> {
        if self.until.deadline.has_passed() {
            return Err(ErrorKind::TimedOut.into());
        }
        match call(&self.until) {
            // A wait goes on after these, until the deadline.
            Io::Err(errno) if Answer::of_error(op.into(), errno).is_some() => {
                Err(io::Error::new(ErrorKind::TimedOut, TimedOut(errno)))
            }
            answer => answer.or_timed_out(),
        }
    }

    fn is_socket(&mut self) -> bool {
        self.is_socket.ask(self.until.fd.as_fd())
    }
}

/// The deadline passed, and this is why nothing was done until then.
#[derive(Debug)]
struct TimedOut(Errno);

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out: {}", self.0)
    }
}

impl Error for TimedOut {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl<F: Descriptor> Read for StdIoUntil<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.before_the_end(Retry::Read, |until| until.read(buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.before_the_end(Retry::Read, |until| {
            until.retry(Retry::Read, |fd| readv(fd, bufs))
        })
    }
}

impl<F: Descriptor> Write for StdIoUntil<F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.is_socket() {
            self.before_the_end(Retry::Send, |until| until.send(buf, SendFlags::empty()))
        } else {
            self.before_the_end(Retry::Write, |until| until.write(buf))
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_socket() {
            let call = |fd: rustix::fd::BorrowedFd<'_>| send_msg(fd, bufs, SendFlags::empty());
            self.before_the_end(Retry::Send, |until| until.retry(Retry::Send, call))
        } else {
            self.before_the_end(Retry::Write, |until| {
                until.retry(Retry::Write, |fd| writev(fd, bufs))
            })
        }
    }

    /// Nothing is held back here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
