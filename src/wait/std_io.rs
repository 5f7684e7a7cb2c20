//! std's `Read` and `Write` under one deadline.

use core::error::Error;
use core::fmt;
use std::io::{self, ErrorKind};

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::deadline::Deadline;
use super::pace::Answer;
use super::until::Until;
use crate::mapping::classify::Op;
use crate::mapping::io::Io;
use crate::ops::descriptor::Descriptor;
use crate::ops::std_io::{Calls, StdIo};

impl<F> Until<F> {
    /// std's [`Read`](io::Read) and [`Write`](io::Write), which wait, and end on the
    /// deadline with [`ErrorKind::TimedOut`]. One for reading and one for writing can be
    /// made of one reference.
    ///
    /// [`BufReader`](io::BufReader), [`read_exact`](io::Read::read_exact),
    /// [`copy`](io::copy()), `write!` and what else takes a stream run on it, and end
    /// when the deadline has passed: nothing is begun after it, not even on a stream that
    /// is always ready. If a shortage or an interruption lasted until then, its [`Errno`]
    /// is the error's source. `ErrorKind::WouldBlock` and `ErrorKind::Interrupted` are
    /// never reported: for the one there is nothing to wait for, and on the other std's
    /// own loops call again for ever. A terminal with VMIN = 0 reads nothing as an end, so
    /// set VMIN to 1.
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
    /// [`write_all`](io::Write::write_all) not how much it has written. To go on after a
    /// deadline, use `read_until`, and [`Until::send_all`] or [`Until::write_all`].
    pub fn std_io(self) -> StdIo<Self> {
        StdIo::new(self)
    }
}

impl<F> StdIo<Until<F>> {
    /// Another deadline from now on: after one that has passed, or for each request of a
    /// connection. Through a `BufReader`, by its `get_mut`.
    pub fn set_deadline(&mut self, deadline: impl Into<Deadline>) {
        self.io.deadline = deadline.into();
    }

    /// The descriptor, to wait for it otherwise.
    pub const fn get_ref(&self) -> &F {
        &self.io.fd
    }

    /// The descriptor, as [`until()`](crate::until()) was given it.
    pub fn into_inner(self) -> F {
        self.io.fd
    }
}

impl<F: Descriptor> Calls for Until<F> {
    fn call(&self, op: Op, mut call: impl FnMut(BorrowedFd<'_>) -> Io) -> io::Result<usize> {
        // A stream that is always ready would never end.
        if self.deadline.has_passed() {
            return Err(ErrorKind::TimedOut.into());
        }
        match self.wait(Answer::Broken, op, |fd, _| call(fd)) {
            // A wait goes on after these, until the deadline.
            Io::Err(errno) if Answer::of_error(op, errno).is_some() => {
                Err(io::Error::new(ErrorKind::TimedOut, TimedOut(errno)))
            }
            answer => answer.or_timed_out(),
        }
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
