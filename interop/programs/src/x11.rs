//! The stream of an X11 connection, with the descriptors that travel on it.

use std::io::{Error, IoSlice, IoSliceMut, Result};
use std::os::fd::AsFd;
use std::time::Duration;

use wouldblock::{Interest, NonBlocking, OwnedFd, RecvFlags, SendFlags, recv_fds_with, send_fds};
use x11rb::rust_connection::{self, PollMode};

/// What one message can carry.
const MOST: usize = 253;

/// For [`RustConnection`](x11rb::rust_connection::RustConnection).
pub struct Stream {
    socket: NonBlocking<OwnedFd>,
    patience: Duration,
}

impl Stream {
    /// No wait for the server is longer than `patience`.
    pub fn new(socket: impl Into<OwnedFd>, patience: Duration) -> Result<Self> {
        let socket = NonBlocking::new(socket.into())?;
        Ok(Self { socket, patience })
    }
}

impl rust_connection::Stream for Stream {
    fn poll(&self, mode: PollMode) -> Result<()> {
        let mut interest = Interest::empty();
        interest.set(Interest::READABLE, mode.readable());
        interest.set(Interest::WRITABLE, mode.writable());
        let ready = self.socket.until(self.patience).ready(interest);
        ready.or_timed_out().map(drop)
    }

    fn read(&self, buf: &mut [u8], fds: &mut Vec<OwnedFd>) -> Result<usize> {
        let bufs = &mut [IoSliceMut::new(buf)];
        let received = recv_fds_with(&self.socket, bufs, RecvFlags::empty(), |fd| fds.push(fd));
        let message = received.into_io_result()?;
        if message.descriptors_lost {
            return Err(Error::other("descriptors were lost"));
        }
        Ok(message.bytes)
    }

    fn write(&self, buf: &[u8], fds: &mut Vec<OwnedFd>) -> Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)], fds)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>], fds: &mut Vec<OwnedFd>) -> Result<usize> {
        // A descriptor may not come later than its bytes: those that are left for the
        // next message hold the bytes back.
        let most = fds.len().min(MOST);
        let bytes = bufs.iter().find_map(|buf| buf.get(..1));
        let byte = [IoSlice::new(bytes.unwrap_or_default())];
        let bufs = if most < fds.len() { &byte } else { bufs };
        let these = fds[..most].iter().map(AsFd::as_fd);
        let sent = send_fds(&self.socket, bufs, these, SendFlags::empty());
        let n = sent.into_io_result()?;
        fds.drain(..most);
        Ok(n)
    }
}
