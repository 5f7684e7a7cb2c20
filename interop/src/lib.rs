//! What the echo servers share: one connection, which knows nothing of how it is
//! waited for.

use wouldblock::{AsFd, At, Errno, Interest, Io, OwnedFd, RecvFlags, SendFlags, recv, send_all};

/// How much of what a client sent is held while it does not read.
const BUFFER: usize = 16 * 1024;

/// An echo: bytes that came and have not gone back yet.
pub struct Echo {
    buf: Box<[u8; BUFFER]>,
    start: usize,
    end: usize,
    ended: bool,
}

/// What a connection wants next.
pub enum Next {
    /// To be called again when this is ready.
    Wait(Interest),
    /// To be closed: everything has gone back, or the connection failed.
    Close(Result<(), Errno>),
}

/// The two calls of an echo: of a descriptor, or of an entry of a set, which remembers
/// what they answered.
pub trait Socket {
    /// Sends until `rest` is empty, or the call would block.
    fn send_all(&mut self, rest: &mut &[u8]) -> Io<()>;
    /// Receives once.
    fn recv(&mut self, buf: &mut [u8]) -> Io;
}

impl<T: AsFd> Socket for &T {
    fn send_all(&mut self, rest: &mut &[u8]) -> Io<()> {
        send_all(self, rest, SendFlags::empty())
    }

    fn recv(&mut self, buf: &mut [u8]) -> Io {
        recv(self, buf, RecvFlags::empty())
    }
}

impl Socket for At<'_, OwnedFd> {
    fn send_all(&mut self, rest: &mut &[u8]) -> Io<()> {
        self.send_all(rest, SendFlags::empty())
    }

    fn recv(&mut self, buf: &mut [u8]) -> Io {
        self.recv(buf, RecvFlags::empty())
    }
}

impl Default for Echo {
    fn default() -> Self {
        let buf = Box::new([0; BUFFER]);
        Self {
            buf,
            start: 0,
            end: 0,
            ended: false,
        }
    }
}

impl Echo {
    /// Moves bytes until a call would block.
    ///
    /// While something is left to send, nothing is read: a client that does not
    /// read is not read from, and that is all the memory it costs. A client that
    /// shut down its side still gets everything back.
    pub fn go_on(&mut self, mut socket: impl Socket) -> Next {
        loop {
            let mut rest = &self.buf[self.start..self.end];
            let sent = socket.send_all(&mut rest);
            self.start = self.end - rest.len();
            match sent {
                Io::Ready(()) if self.ended => return Next::Close(Ok(())),
                Io::Ready(()) => {}
                Io::WouldBlock => return Next::Wait(Interest::WRITABLE),
                Io::Err(errno) => return Next::Close(Err(errno)),
            }
            match socket.recv(&mut self.buf[..]) {
                Io::Ready(0) => self.ended = true,
                Io::Ready(n) => (self.start, self.end) = (0, n),
                Io::WouldBlock => return Next::Wait(Interest::READABLE),
                Io::Err(errno) => return Next::Close(Err(errno)),
            }
        }
    }
}
