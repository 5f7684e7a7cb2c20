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
///
/// Made by [`Until::std_io`].
#[derive(Debug)]
pub struct StdIoUntil<F> {
    until: Until<F>,
    is_socket: IsSocket,
}

impl<F> Until<F> {
    /// std's [`Read`] and [`Write`], which wait, and end on the deadline with
    /// [`ErrorKind::TimedOut`].
    pub fn std_io(self) -> StdIoUntil<F> {
        let is_socket = IsSocket::default();
        StdIoUntil {
            until: self,
            is_socket,
        }
    }
}

impl<F: Descriptor> StdIoUntil<F> {
    /// Another deadline from now on.
    pub fn set_deadline(&mut self, deadline: impl Into<Deadline>) {
        self.until.deadline = deadline.into();
    }

    /// The descriptor.
    pub const fn get_ref(&self) -> &F {
        &self.until.fd
    }

    /// The descriptor.
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
