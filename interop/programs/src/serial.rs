//! Both ends of a serial line: lines of text from a port that `serialport` opened, and
//! the device at the other end of a pseudo-terminal, which nobody may have open.

use std::io::{BufRead, BufReader, ErrorKind, Result};
use std::os::fd::{FromRawFd, IntoRawFd};

use serialport::TTYPort;
use wouldblock::{
    AsFd, BorrowedFd, Deadline, Errno, Io, NonBlocking, OwnedFd, Retry, StdIo, Until, read, until,
};

type Fd = NonBlocking<OwnedFd>;

fn nonblocking(port: TTYPort) -> Result<Fd> {
    // SAFETY: the port gives up a descriptor that is its own.
    let fd = unsafe { OwnedFd::from_raw_fd(port.into_raw_fd()) };
    Ok(NonBlocking::new(fd)?)
}

/// Lines, in and out.
pub struct Lines {
    reader: BufReader<StdIo<Until<Fd>>>,
    line: Vec<u8>,
}

impl Lines {
    /// `serialport` has set that a read wants one byte at least (VMIN). With 0 it would
    /// answer 0 where nothing has come yet, which is what it answers at the end.
    pub fn new(port: TTYPort) -> Result<Self> {
        let io = until(nonblocking(port)?, Deadline::never()).std_io();
        Ok(Self {
            reader: BufReader::new(io),
            line: Vec::new(),
        })
    }

    /// The next line, or `None` after a hang-up. What has come of a line when the time
    /// is over, `TimedOut`, stays for the next call.
    pub fn read(&mut self, deadline: Deadline) -> Result<Option<Vec<u8>>> {
        self.reader.get_mut().set_deadline(deadline);
        self.reader.read_until(b'\n', &mut self.line)?;
        match std::mem::take(&mut self.line) {
            line if line.ends_with(b"\n") => Ok(Some(line)),
            line if line.is_empty() => Ok(None),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Writes; on `TimedOut`, `rest` is what is left.
    pub fn write(&self, rest: &mut &[u8], deadline: Deadline) -> Result<()> {
        let fd = self.reader.get_ref().get_ref();
        fd.until(deadline).write_all(rest).or_timed_out()
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.get_ref().get_ref().as_fd()
    }
}

/// The device.
pub struct Device {
    fd: Fd,
    /// How often it has looked.
    pub reads: usize,
}

impl Device {
    /// On the master's side of a pseudo-terminal.
    pub fn new(master: TTYPort) -> Result<Self> {
        let fd = nonblocking(master)?;
        Ok(Self { fd, reads: 0 })
    }

    /// Waits for bytes, also while nobody has the other side open: a read fails with EIO
    /// then, poll reports a hang-up for ever, and nothing announces who opens it. To the
    /// wait that is readiness that lies, and it rests.
    pub fn read(&mut self, buf: &mut [u8], deadline: Deadline) -> Result<usize> {
        let until = self.fd.until(deadline);
        let answer = until.retry(Retry::Read, |fd| {
            self.reads += 1;
            match read(fd, buf) {
                Io::Err(Errno::IO) => Io::WouldBlock,
                answer => answer,
            }
        });
        answer.or_timed_out()
    }

    /// Writes; on `TimedOut`, `rest` is what is left.
    pub fn write(&self, rest: &mut &[u8], deadline: Deadline) -> Result<()> {
        self.fd.until(deadline).write_all(rest).or_timed_out()
    }
}
