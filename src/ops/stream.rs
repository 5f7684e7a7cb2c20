//! `recv`, `send`, `read` and `write`: bytes in, bytes out.

use core::mem::MaybeUninit;

use rustix::fd::AsFd;
use rustix::{io, net};

use super::{clamp, clamp_mut, retry_interrupted, retry_lending, send_flags};
use crate::mapping::classify::Op;
use crate::mapping::flags::{RecvFlags, SendFlags};
use crate::mapping::io::Io;
use crate::ops::descriptor::Descriptor;
use crate::ops::mode::NonBlocking;
use crate::platform::HOST;

/// `recv(fd, buf, flags)`—Receives bytes from a socket without waiting.
///
/// - `Ready(n)`: `n` bytes are in `buf[..n]`.
/// - `Ready(0)`: end of file on a stream, an empty message on a datagram or
///   sequenced-packet socket, or `buf` is empty; see [`Io`].
/// - `WouldBlock`: nothing has arrived. Wait for
///   [`Interest::READABLE`](crate::Interest::READABLE).
/// - `Err`: anything else, passed on unchanged. A reset connection is an `Err`
///   once and end of file afterwards; end of file alone, where [`send()`] was told.
///
/// The descriptor must be in non-blocking mode, or `flags` hold
/// [`RecvFlags::DONTWAIT`]; this function does not change it. In blocking mode
/// the call may sleep, sixteen signals end it, and `WouldBlock` may be `SO_RCVTIMEO`
/// running out.
///
/// A call that a signal interrupts is made again; `Err(EINTR)` says that it was
/// interrupted sixteen times running (see [`read()`]). More bytes than the system takes in one call (2 GiB on macOS) are asked for
/// up to that limit.
///
/// # Platform notes
///
/// | system | difference |
/// |---|---|
/// | Linux | with an empty `buf` and nothing to receive, `WouldBlock`; elsewhere `Ready(0)`. An empty `buf` takes a waiting datagram off the queue |
/// | Linux | while a connect is in progress, `WouldBlock`; on illumos `Err(ENOTCONN)` |
/// | Linux | an `AF_UNIX` peer that closed with unread bytes: `Err(ECONNRESET)` once, then `Ready(0)` |
/// | Linux | a TCP socket with `SO_RCVLOWAT` is not ready below it, although `recv` takes what there is; an `AF_UNIX` one is |
/// | macOS | a stream with `SO_RCVLOWAT` is not ready below it, and says `WouldBlock`, but with [`RecvFlags::DONTWAIT`] |
/// | OpenBSD | `WouldBlock` with data there, if another thread is inside `recv` on the same socket |
///
/// # Examples
///
/// ```
/// use wouldblock::{Io, RecvFlags, recv, set_nonblocking};
/// use std::os::unix::net::UnixStream;
/// use std::io::Write;
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// set_nonblocking(&ours, true)?;
/// let mut buf = [0; 8];
/// assert_eq!(recv(&ours, &mut buf, RecvFlags::empty()), Io::WouldBlock);
/// theirs.write_all(b"hello")?;
/// assert_eq!(recv(&ours, &mut buf, RecvFlags::empty()), Io::Ready(5));
/// assert_eq!(&buf[..5], b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/recv.html),
/// [Linux](https://man7.org/linux/man-pages/man2/recv.2.html)
#[inline]
pub fn recv<Fd: Descriptor>(fd: Fd, buf: &mut [u8], flags: RecvFlags) -> Io {
    let fd = fd.as_fd();
    let buf = clamp_mut(buf, HOST);
    // rustix's two counts differ only for a flag that `to_system` drops, and the
    // second costs nothing to compute.
    retry_interrupted(Op::Recv, fd, buf, move |fd, buf| {
        Ok(net::recv(fd, &mut **buf, flags.to_system())?.1)
    })
}

/// Like [`recv()`], into memory that need not be initialised.
///
/// `then` is given the bytes that arrived, at the start of `buf`, and its result
/// is the answer's value. It is not called unless the answer is `Ready`; given no bytes,
/// it is the end of file, or what else 0 means to `recv`.
///
/// ```
/// use core::mem::MaybeUninit;
/// use wouldblock::{Io, RecvFlags, recv_with, set_nonblocking};
/// # use std::os::unix::net::UnixStream;
/// # use std::io::Write;
///
/// # let (ours, mut theirs) = UnixStream::pair()?;
/// # set_nonblocking(&ours, true)?;
/// theirs.write_all(b"hello")?;
/// let mut buf = [MaybeUninit::uninit(); 4096];
/// let sum = recv_with(&ours, &mut buf, RecvFlags::empty(), |bytes| {
///     bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>()
/// });
/// assert_eq!(sum, Io::Ready(532));
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn recv_with<Fd: Descriptor, R>(
    fd: Fd,
    buf: &mut [MaybeUninit<u8>],
    flags: RecvFlags,
    then: impl FnOnce(&mut [u8]) -> R,
) -> Io<R> {
    let fd = fd.as_fd();
    let buf = clamp_mut(buf, HOST);
    retry_lending!(
        net::recv(fd, &mut *buf, flags.to_system()),
        ((bytes, _), _) => then(bytes)
    )
}

/// `send(fd, buf, flags)`—Sends bytes on a socket without waiting.
///
/// - `Ready(n)`: the first `n` bytes of `buf` were taken; on a stream `n` may be
///   less than `buf.len()`, on a datagram socket it is all or nothing.
/// - `Ready(0)`: `buf` is empty. A datagram socket sends an empty datagram, a
///   stream does nothing.
/// - `WouldBlock`: there is no room. Wait for
///   [`Interest::WRITABLE`](crate::Interest::WRITABLE). Or, under TCP Fast Open, the
///   connection is still being made; the wait is the same.
/// - `Err`: anything else. [`Op::Send`]`.outcome(errno)` is
///   [`Outcome::BackOff`](crate::Outcome::BackOff) for ENOBUFS, ENOMEM and what a
///   system says when too many descriptors are on their way: no event tells when
///   there is room, so pause, and do not poll.
///
/// A peer that is gone is `Err(EPIPE)`, never SIGPIPE: `MSG_NOSIGNAL` is passed
/// wherever the system has it. [`write()`] cannot promise that.
///
/// An `Err` here says nothing of the other direction. A server may answer and close
/// before it has read everything: what it sent can still be received, so receive until
/// the end. The reset is told once, to the call that comes first; if that is `send`,
/// `recv` sees an end like any other (on macOS `recv` is told all the same).
///
/// The descriptor must be in non-blocking mode, or `flags` hold
/// [`SendFlags::DONTWAIT`]; this function does not change it. `Err(EINTR)` is the end of sixteen interruptions, as for
/// [`read()`].
///
/// # Platform notes
///
/// | system | difference |
/// |---|---|
/// | the BSDs, macOS | a full `AF_UNIX` datagram queue is `Err(ENOBUFS)`, not `WouldBlock` |
/// | the BSDs, macOS | while a connect is in progress, `Err(ENOTCONN)`; on Linux `WouldBlock` |
/// | Linux | on an `AF_UNIX` datagram socket whose peer has closed, ECONNREFUSED once and then ENOTCONN; what the peer had sent and nobody has read is lost |
/// | macOS | there, ECONNRESET once, from `recv` or `send`, and then EDESTADDRREQ |
/// | FreeBSD 15 | without `MSG_EOR`, SEQPACKET records run together, may be taken in part, and cannot be empty |
/// | macOS | more than 2 GiB at once are shortened, where the system would say EINVAL. EPROTOTYPE may be answered while the peer closes: treat it like ECONNRESET |
/// | macOS before 11 | no `MSG_NOSIGNAL`: set `SO_NOSIGPIPE` on sockets that are not from this crate |
/// | Redox, VxWorks | no way to suppress SIGPIPE is known |
///
/// # Examples
///
/// ```
/// use wouldblock::{Io, SendFlags, send, set_nonblocking};
/// use std::os::unix::net::UnixStream;
///
/// let (ours, theirs) = UnixStream::pair()?;
/// set_nonblocking(&ours, true)?;
/// assert_eq!(send(&ours, b"hello", SendFlags::empty()), Io::Ready(5));
/// drop(theirs);
/// assert!(send(&ours, b"hello", SendFlags::empty()).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/send.html),
/// [Linux](https://man7.org/linux/man-pages/man2/send.2.html)
#[inline]
pub fn send<Fd: Descriptor>(fd: Fd, buf: &[u8], flags: SendFlags) -> Io {
    let fd = fd.as_fd();
    let buf = clamp(buf, HOST);
    retry_interrupted(Op::Send, fd, buf, move |fd, buf| {
        net::send(fd, buf, send_flags(fd, flags, HOST)?)
    })
}

/// `read(fd, buf, len)`—Reads bytes from any descriptor without waiting.
///
/// - `Ready(n)`: `n` bytes are in `buf[..n]`.
/// - `Ready(0)`: end of file (a pipe has no writer), an empty message, or `buf`
///   is empty; of a terminal or a FIFO also *nothing yet*, see [`Io`].
/// - `WouldBlock`: nothing to read. Wait for
///   [`Interest::READABLE`](crate::Interest::READABLE).
/// - `Err`: anything else, passed on unchanged.
///
/// The descriptor must be in non-blocking mode; this function does not change
/// it. Regular files never would block, whatever their mode.
///
/// # Interruptions
///
/// A call that a signal interrupts is made again. That need not end: a process in the
/// background that handles SIGTTIN is interrupted by every read of its terminal, and
/// by every write if it handles SIGTTOU and the terminal has `tostop`. So a call that
/// was interrupted sixteen times running answers `Err(EINTR)`, whose outcome is
/// [`Outcome::Interrupted`](crate::Outcome::Interrupted): pause before you call again.
/// Nothing else is known to do that to a descriptor in non-blocking mode. A handler with `SA_RESTART` is beyond help:
/// there the kernel itself begins again, for ever.
///
/// # Platform notes
///
/// A FIFO that was opened without a writer reads as `Ready(0)` until there has
/// been one, on every system. When the last writer has left, it reads as `Ready(0)`
/// again until another comes, and meanwhile polls as hung up on Linux and OpenBSD, where
/// a loop that waits for it spins, and not at all on macOS. While you keep a write end of
/// your own open, it is `WouldBlock`.
///
/// A terminal with VMIN above 1 is not ready below that many bytes, although `read` takes
/// what there is: read once more before you give up waiting.
///
/// # Examples
///
/// ```
/// use wouldblock::{Io, pipe, read, write};
///
/// let (reader, writer) = pipe()?;
/// let mut buf = [0; 8];
/// assert_eq!(read(&reader, &mut buf), Io::WouldBlock);
/// assert_eq!(write(&writer, b"hello"), Io::Ready(5));
/// assert_eq!(read(&reader, &mut buf), Io::Ready(5));
/// drop(writer);
/// assert_eq!(read(&reader, &mut buf), Io::Ready(0));
/// # Ok::<(), wouldblock::Errno>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/read.html),
/// [Linux](https://man7.org/linux/man-pages/man2/read.2.html)
#[inline]
pub fn read<Fd: Descriptor>(fd: Fd, buf: &mut [u8]) -> Io {
    let fd = fd.as_fd();
    let buf = clamp_mut(buf, HOST);
    retry_interrupted(Op::Read, fd, buf, move |fd, buf| io::read(fd, &mut **buf))
}

/// `write(fd, buf, len)`—Writes bytes to any descriptor without waiting.
///
/// - `Ready(n)`: the first `n` bytes of `buf` were taken, perhaps not all.
/// - `Ready(0)`: `buf` is empty.
/// - `WouldBlock`: there is no room. Wait for
///   [`Interest::WRITABLE`](crate::Interest::WRITABLE).
/// - `Err`: anything else. ENOBUFS and ENOMEM are
///   [`Outcome::BackOff`](crate::Outcome::BackOff), as for [`send()`].
///
/// The descriptor must be in non-blocking mode; this function does not change
/// it. `Err(EINTR)` is the end of sixteen interruptions, as for [`read()`].
///
/// # SIGPIPE
///
/// Writing to a pipe without a reader, or to a socket whose peer is gone, raises
/// SIGPIPE, which ends a process that does not ignore it (Rust programs do,
/// libraries called from C may not). No flag of this call prevents that. On a
/// socket use [`send()`].
///
/// # Platform notes
///
/// A pipe with room for some bytes may still answer `WouldBlock`: up to
/// `PIPE_BUF` bytes are written whole or not at all, and Linux counts its room
/// in pages. A FIFO whose last reader left answers EPIPE; it polls as writable on OpenBSD,
/// without a hang-up, and as nothing on macOS.
///
/// # Examples
///
/// ```
/// use wouldblock::{Io, pipe, write};
///
/// let (_reader, writer) = pipe()?;
/// let page = [7; 4096];
/// while write(&writer, &page).is_ready() {}
/// assert_eq!(write(&writer, &page), Io::WouldBlock);
/// # Ok::<(), wouldblock::Errno>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/write.html),
/// [Linux](https://man7.org/linux/man-pages/man2/write.2.html)
#[inline]
pub fn write<Fd: Descriptor>(fd: Fd, buf: &[u8]) -> Io {
    let fd = fd.as_fd();
    let buf = clamp(buf, HOST);
    retry_interrupted(Op::Write, fd, buf, move |fd, buf| io::write(fd, buf))
}

/// The operations of a stream as methods; see the functions of the same names.
impl<F: AsFd> NonBlocking<F> {
    /// See [`recv()`].
    #[inline]
    pub fn recv(&self, buf: &mut [u8], flags: RecvFlags) -> Io {
        recv(self, buf, flags)
    }

    /// See [`send()`].
    #[inline]
    pub fn send(&self, buf: &[u8], flags: SendFlags) -> Io {
        send(self, buf, flags)
    }

    /// See [`read()`].
    #[inline]
    pub fn read(&self, buf: &mut [u8]) -> Io {
        read(self, buf)
    }

    /// See [`write()`].
    #[inline]
    pub fn write(&self, buf: &[u8]) -> Io {
        write(self, buf)
    }
}
