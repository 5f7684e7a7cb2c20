//! The socket of an rtnetlink connection on tokio: its `AsyncFd` waits, this crate makes
//! the calls.

use std::cell::RefCell;
use std::io::{ErrorKind, Result};
use std::task::{Context, Poll, ready};

use netlink_sys::{AsyncSocket, Socket, SocketAddr};
use rustix::net::netlink::SocketAddrNetlink;
use tokio::io::unix::AsyncFd;
use wouldblock::{
    Io, PeerAddress, RecvFlags, SendFlags, SocketAddrAny, recv_from, send, send_to, set_nonblocking,
};

/// The kernel sends no longer message.
const LONGEST: usize = 64 * 1024;

/// For [`rtnetlink::new_connection_with_socket`].
pub struct Netlink {
    fd: AsyncFd<Socket>,
    /// What is received into: the caller's buffer is not initialised.
    buf: RefCell<Box<[u8]>>,
}

impl Netlink {
    /// Makes the call when the socket is ready; tokio's note that it is, is cleared on
    /// would-block, and on nothing else.
    fn reading<T>(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&Socket) -> Io<T>,
    ) -> Poll<Result<T>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            match call(self.fd.get_ref()).into_poll() {
                Poll::Ready(result) => return Poll::Ready(Ok(result?)),
                Poll::Pending => guard.clear_ready(),
            }
        }
    }

    fn writing<T>(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&Socket) -> Io<T>,
    ) -> Poll<Result<T>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            match call(self.fd.get_ref()).into_poll() {
                Poll::Ready(result) => return Poll::Ready(Ok(result?)),
                Poll::Pending => guard.clear_ready(),
            }
        }
    }
}

fn sender(address: Option<PeerAddress>) -> Result<SocketAddr> {
    let address = address.ok_or(ErrorKind::InvalidData)?;
    let address = SocketAddrNetlink::try_from(SocketAddrAny::from(address))?;
    Ok(SocketAddr::new(address.pid(), address.groups()))
}

impl AsyncSocket for Netlink {
    fn socket_ref(&self) -> &Socket {
        self.fd.get_ref()
    }

    fn socket_mut(&mut self) -> &mut Socket {
        self.fd.get_mut()
    }

    fn new(protocol: isize) -> Result<Self> {
        let socket = Socket::new(protocol)?;
        set_nonblocking(&socket, true)?;
        // SAFETY: the socket names one descriptor for as long as it lives.
        let fd = unsafe { AsyncFd::register(socket)? };
        let buf = RefCell::new(vec![0; LONGEST].into());
        Ok(Self { fd, buf })
    }

    fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.writing(cx, |fd| send(fd, buf, SendFlags::empty()))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: &SocketAddr,
    ) -> Poll<Result<usize>> {
        let to = SocketAddrNetlink::new(to.port_number(), to.multicast_groups());
        let to = SocketAddrAny::from(to);
        self.writing(cx, |fd| send_to(fd, buf, SendFlags::empty(), &to))
    }

    fn poll_recv<B: bytes::BufMut>(&self, cx: &mut Context<'_>, buf: &mut B) -> Poll<Result<()>> {
        self.poll_recv_from(cx, buf).map_ok(drop)
    }

    fn poll_recv_from<B: bytes::BufMut>(
        &self,
        cx: &mut Context<'_>,
        into: &mut B,
    ) -> Poll<Result<SocketAddr>> {
        let buf = &mut *self.buf.borrow_mut();
        let length = buf.len().min(into.remaining_mut());
        let buf = &mut buf[..length];
        let (n, from) = ready!(self.reading(cx, |fd| recv_from(fd, buf, RecvFlags::empty())))?;
        into.put_slice(&buf[..n]);
        Poll::Ready(sender(from))
    }

    fn poll_recv_from_full(&self, cx: &mut Context<'_>) -> Poll<Result<(Vec<u8>, SocketAddr)>> {
        let buf = &mut *self.buf.borrow_mut();
        let (n, from) = ready!(self.reading(cx, |fd| recv_from(fd, buf, RecvFlags::empty())))?;
        Poll::Ready(sender(from).map(|from| (buf[..n].to_vec(), from)))
    }
}
