//! Messages: datagrams with addresses, and several buffers. Descriptors that
//! travel with the bytes are in `descriptors.rs`.

use core::mem::{ManuallyDrop, MaybeUninit};

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, FdFlags, IoSlice, IoSliceMut, fcntl_setfd};
use rustix::net::{self, AddressFamily, ReturnFlags};

use super::address::{Address, PeerAddress};
use super::stand_in::{
    RecvAncillaryBuffer, RecvAncillaryMessage, SendAncillaryBuffer, cmsg_space,
    fcntl_dupfd_cloexec, recvmsg, sendmsg,
};
use super::stream::send;
use super::vectored::{PASSED, fill, only, take};
use super::{TRIES, clamp, clamp_mut, retry_for, retry_interrupted, retry_lending, send_flags};
use crate::mapping::classify::{Op, leaves_open_whose_queue};
use crate::mapping::flags::{RecvFlags, SendFlags};
use crate::mapping::io::Io;
use crate::mapping::readiness::Interest;
use crate::ops::descriptor::Descriptor;
use crate::ops::poll::ready;
use crate::platform::errnos::{NO_NUMBER, NO_SUCH_NUMBER};
use crate::platform::host::MSG_TRUNC;
use crate::platform::{HOST, Platform};

/// `recvfrom(fd, buf, flags)`—Receives a message and its sender's address,
/// without waiting.
///
/// - `Ready((n, address))`: `n` bytes are in `buf[..n]`. A datagram that is
///   longer than `buf` is cut off, and this call cannot tell: [`recv_msg`] can.
///   There is no address on a connected stream, or where the sender has none.
/// - `Ready((0, address))`: an empty message, or what else 0 means; see [`Io`].
/// - `WouldBlock`, `Err`: as for [`recv()`](crate::recv()).
///
/// ```
/// use wouldblock::{Io, RecvFlags, recv_from, set_nonblocking};
/// use std::net::{SocketAddr, UdpSocket};
///
/// let ours = UdpSocket::bind("127.0.0.1:0")?;
/// let theirs = UdpSocket::bind("127.0.0.1:0")?;
/// set_nonblocking(&ours, true)?;
/// theirs.send_to(b"hello", ours.local_addr()?)?;
/// let mut buf = [0; 8];
/// if let Io::Ready((n, Some(sender))) = recv_from(&ours, &mut buf, RecvFlags::empty()) {
///     assert_eq!(&buf[..n], b"hello");
///     assert_eq!(SocketAddr::try_from(sender)?, theirs.local_addr()?);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/recvfrom.html)
#[inline]
pub fn recv_from<Fd: Descriptor>(
    fd: Fd,
    buf: &mut [u8],
    flags: RecvFlags,
) -> Io<(usize, Option<PeerAddress>)> {
    let fd = fd.as_fd();
    let buf = clamp_mut(buf, HOST);
    retry_for(Op::Recv, TRIES, || {
        let (_, n, address) = net::recvfrom(fd, &mut *buf, flags.to_system())?;
        Ok((n, address))
    })
    .map(|(n, address)| (n, address.map(|any| PeerAddress { any })))
}

/// Like [`recv_from`], into memory that need not be initialised.
///
/// `then` is given the bytes that arrived, at the start of `buf`, and the sender's
/// address, and its result is the answer's value. It is not called unless the answer is
/// `Ready`.
///
/// A datagram is whole if it is shorter than `buf`: bring one byte more than the longest
/// has. There is no such form of [`recv_msg`], which would say whether it was cut: what
/// rustix 1 passes to `recvmsg` are slices of initialised bytes.
///
/// ```
/// use core::mem::MaybeUninit;
/// use wouldblock::{Io, RecvFlags, recv_from_with, set_nonblocking};
/// use std::net::{SocketAddr, UdpSocket};
///
/// let ours = UdpSocket::bind("127.0.0.1:0")?;
/// let theirs = UdpSocket::bind("127.0.0.1:0")?;
/// set_nonblocking(&ours, true)?;
/// theirs.send_to(b"hello", ours.local_addr()?)?;
/// let mut buf = [MaybeUninit::uninit(); 65536];
/// let answer = recv_from_with(&ours, &mut buf, RecvFlags::empty(), |bytes, sender| {
///     (bytes.to_vec(), sender)
/// });
/// if let Io::Ready((bytes, Some(sender))) = answer {
///     assert_eq!(bytes, b"hello");
///     assert_eq!(SocketAddr::try_from(sender)?, theirs.local_addr()?);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn recv_from_with<Fd: Descriptor, R>(
    fd: Fd,
    buf: &mut [MaybeUninit<u8>],
    flags: RecvFlags,
    then: impl FnOnce(&mut [u8], Option<PeerAddress>) -> R,
) -> Io<R> {
    let fd = fd.as_fd();
    let buf = clamp_mut(buf, HOST);
    retry_lending!(
        net::recvfrom(fd, &mut *buf, flags.to_system()),
        ((bytes, _), _, address) => then(bytes, address.map(|any| PeerAddress { any }))
    )
}

/// `sendto(fd, buf, flags, address)`—Sends a message to an address, without
/// waiting.
///
/// - `Ready(n)`: `n` bytes were taken; a datagram is taken whole or not at all.
/// - `Ready(0)`: `buf` is empty, and an empty datagram was sent.
/// - `WouldBlock`: there is no room in the socket's own buffer. Wait for
///   [`Interest::WRITABLE`].
/// - `Err`: as for [`send()`](crate::send()). With an `AF_UNIX` address, or one of
///   netlink, the operation is [`Op::SendToUnix`], for which a full queue *at the
///   receiver* is [`Outcome::BackOff`](crate::Outcome::BackOff) on most systems: the
///   socket polls as writable at once, so pause instead of polling. Where the errno
///   does not say which of the two it is, this function asks how the socket polls.
///
/// An unbound internet socket gets its local port from its first `send_to`. Linux says
/// EAGAIN if none is free, which is `WouldBlock` here, while the socket polls as
/// writable: bind first, and hear of it there (EADDRINUSE). It then also has an address
/// to receive at before it has sent anything.
///
/// # Platform notes
///
/// What a full `AF_UNIX` receiver answers:
///
/// | system | answer |
/// |---|---|
/// | Linux | `Err(EAGAIN)`, outcome `BackOff`; netlink's likewise |
/// | the BSDs, macOS | `Err(ENOBUFS)`, outcome `BackOff` |
/// | illumos | `WouldBlock` |
/// | Cygwin | `Ready`, and the datagram is lost |
/// | Haiku, Hurd, and where nobody has looked | `Err` of the system's number, outcome `BackOff` |
///
/// Linux ignores the address on a sequenced-packet socket: there only its own buffer
/// can be full.
///
/// # Examples
///
/// A question, and its answer within a time:
///
/// ```
/// use std::net::UdpSocket;
/// use std::time::Duration;
/// use wouldblock::{Deadline, Io, NonBlocking, RecvFlags, SendFlags};
/// # let theirs = UdpSocket::bind("127.0.0.1:0")?;
/// # let server = theirs.local_addr()?;
/// # std::thread::spawn(move || {
/// #     let mut buf = [0; 8];
/// #     let (_, client) = theirs.recv_from(&mut buf).unwrap();
/// #     theirs.send_to(b"!", client).unwrap();
/// # });
///
/// let ours = NonBlocking::new(UdpSocket::bind("127.0.0.1:0")?)?;
/// let in_time = ours.until(Deadline::after(Duration::from_secs(10)));
/// assert_eq!(in_time.send_to(b"?", SendFlags::empty(), &server), Io::Ready(1));
/// let mut buf = [0; 512];
/// // `ErrorKind::TimedOut`, if none comes: a datagram may get lost, so ask again.
/// let (n, _sender) = in_time.recv_from(&mut buf, RecvFlags::empty()).or_timed_out()?;
/// assert_eq!(&buf[..n], b"!");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Of the end of a full `AF_UNIX` queue no event tells, so [`until()`](crate::until())
/// rests and tries again:
///
/// ```
/// use std::os::unix::net::UnixDatagram;
/// use std::time::Duration;
/// use wouldblock::{Io, NonBlocking, SendFlags, SocketAddrUnix};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("queue");
/// # let queue = UnixDatagram::bind(&path)?;
/// # let reader = std::thread::spawn(move || {
/// #     (0..100).all(|n| queue.recv(&mut [0; 8]).is_ok_and(|read| (n, read) != (0, 0)))
/// # });
///
/// let name = SocketAddrUnix::new(&path)?;
/// let ours = NonBlocking::new(UnixDatagram::unbound()?)?;
/// // More than the queue holds.
/// for _ in 0..100 {
///     let in_time = ours.until(Duration::from_secs(10));
///     assert_eq!(in_time.send_to(b"!", SendFlags::empty(), &name), Io::Ready(1));
/// }
/// # assert!(reader.join().unwrap());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/sendto.html)
#[inline]
pub fn send_to<Fd: Descriptor>(
    fd: Fd,
    buf: &[u8],
    flags: SendFlags,
    address: &(impl Address + ?Sized),
) -> Io {
    let fd = fd.as_fd();
    let buf = clamp(buf, HOST);
    let op = op_to(address);
    let answer = retry_interrupted(op, fd, buf, move |fd, buf| {
        address.with_rustix(|address| net::sendto(fd, buf, send_flags(fd, flags, HOST)?, address))
    });
    match answer {
        // Where the socket does not poll as writable, it was its own queue that was full,
        // and the event will come.
        Io::Err(errno)
            if leaves_open_whose_queue(op, errno.raw_os_error(), HOST)
                && ready(fd, Interest::WRITABLE).is_would_block() =>
        {
            Io::WouldBlock
        }
        answer => answer,
    }
}

/// Of a datagram, whose queue fills: the receiver's, or one's own.
#[inline]
pub(crate) fn op_to(address: &(impl Address + ?Sized)) -> Op {
    let family = address.family();
    let families = HOST.receiver_queue_families;
    if family == AddressFamily::UNIX || families.contains(&family.as_raw().into()) {
        Op::SendToUnix
    } else {
        Op::Send
    }
}

/// The most descriptors that one message can carry here: what Linux allows
/// (`SCM_MAX_FD` in `include/net/scm.h`).
pub(super) const MOST_DESCRIPTORS: usize = 253;

/// What may stand before the descriptors if the caller turned it on: Linux puts
/// credentials, timestamps and labels first, and drops what no longer fits.
const OTHER_CONTROL: usize = 256;

/// Room for the control data of any message.
pub(super) const CONTROL_LENGTH: usize = cmsg_space!(ScmRights(MOST_DESCRIPTORS)) + OTHER_CONTROL;

/// A message that was received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message {
    /// How many bytes are in the buffers.
    pub bytes: usize,
    /// The sender, where the system names one.
    pub address: Option<PeerAddress>,
    /// The message was longer than the buffers, and the rest of it is lost, or, with
    /// [`RecvFlags::PEEK`], not shown.
    #[doc(alias = "MSG_TRUNC")]
    pub truncated: bool,
    /// How long the whole message is, if that is known: of one that was not cut, and of a
    /// stream, it is [`bytes`](Self::bytes). How long one was that was cut, a peek alone
    /// can tell, on the systems of [`Platform::peek_tells_length`] (Linux, FreeBSD 14); it
    /// asks once more for that, so nobody else may receive meanwhile. With Linux's
    /// `SO_PEEK_OFF` it counts from there.
    pub length: Option<usize>,
    /// How many descriptors the caller was given.
    pub descriptors: usize,
    /// Not all descriptors that were sent reached the caller, and the others are closed.
    /// Which are missing is not said, so who counts on descriptors ends the conversation.
    #[doc(alias = "MSG_CTRUNC")]
    pub descriptors_lost: bool,
    /// Why they were lost, as far as the system tells. EMFILE: this process had no number
    /// left for them, which is its own shortage and not its peer's fault (on Linux; what
    /// other systems answer is at [`recv_fds_with`](crate::recv_fds_with)). `None`: there
    /// was no place for them, or nobody knows: other control data that
    /// the caller turned on may have taken the room, or a security module refused them.
    pub lost_because: Option<Errno>,
}

/// `recvmsg(fd, …)`—Receives a message into several buffers, without waiting.
///
/// - `Ready(message)`: what came; [`Message::truncated`] says whether all of it
///   did. Descriptors that came with it are closed, and
///   [`Message::descriptors_lost`] says so. With [`RecvFlags::PEEK`] they stay with
///   the message; where peeking duplicates them ([`Platform::peek_rights`]), it is the
///   duplicates that are closed.
/// - `WouldBlock`, `Err`: as for [`recv()`](crate::recv()).
///
/// Of more buffers than the system takes in one call ([`Platform::iov_max`]), a
/// stream uses only the first; for a datagram socket, which would lose the rest
/// of the message, the system's error is passed on. Into empty buffers, with nothing
/// there, it is `WouldBlock` on OpenBSD as on Linux.
///
/// ```
/// use std::io::IoSliceMut;
/// use std::os::unix::net::UnixDatagram;
/// use wouldblock::{RecvFlags, recv_msg, set_nonblocking};
///
/// let (ours, theirs) = UnixDatagram::pair()?;
/// set_nonblocking(&ours, true)?;
/// theirs.send(b"headbody and more")?;
/// let (mut head, mut body) = ([0; 4], [0; 4]);
/// let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
/// let message = recv_msg(&ours, &mut bufs, RecvFlags::empty()).ready().unwrap();
/// assert_eq!((message.bytes, message.truncated), (8, true));
/// assert_eq!((&head, &body), (b"head", b"body"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A peek, where the system tells, says how long the message is before it is received:
///
/// ```
/// # use std::io::IoSliceMut;
/// # use std::os::unix::net::UnixDatagram;
/// # use wouldblock::{RecvFlags, recv_msg, set_nonblocking};
/// # let (ours, theirs) = UnixDatagram::pair()?;
/// # set_nonblocking(&ours, true)?;
/// # theirs.send(b"headbody and more")?;
/// let mut byte = [0];
/// let first = &mut [IoSliceMut::new(&mut byte)];
/// let seen = recv_msg(&ours, first, RecvFlags::PEEK).ready().unwrap();
/// let mut buf = vec![0; seen.length.unwrap_or(64 * 1024)];
/// let bufs = &mut [IoSliceMut::new(&mut buf)];
/// let message = recv_msg(&ours, bufs, RecvFlags::empty()).ready().unwrap();
/// assert_eq!(&buf[..message.bytes], b"headbody and more");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Platform notes
///
/// ESP-IDF and Vita, where rustix has no messages, answer `Err(EOPNOTSUPP)`.
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/recvmsg.html)
#[inline]
pub fn recv_msg<Fd: Descriptor>(
    fd: Fd,
    bufs: &mut [IoSliceMut<'_>],
    flags: RecvFlags,
) -> Io<Message> {
    receive(fd.as_fd(), bufs, flags, HOST, 0, drop)
}

/// Receives a message, and hands each descriptor that came with it to `keep`, of which it
/// keeps the first `most`. Each is close-on-exec by then.
#[inline]
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    flags: RecvFlags,
    platform: &Platform,
    most: usize,
    keep: impl FnMut(OwnedFd),
) -> Io<Message> {
    let peeks = flags.contains(RecvFlags::PEEK);
    // Room for all that a message can carry: what systems do with descriptors that do
    // not fit into the control data differs. But for none where a peek would hand out
    // numbers that are no descriptors of ours.
    let with_rights = platform.peek_rights || !peeks;
    let mut room = [MaybeUninit::uninit(); CONTROL_LENGTH];
    // `hand_out` takes everything out of it, so its drop has nothing to look for.
    let mut control = ManuallyDrop::new(match with_rights {
        true => RecvAncillaryBuffer::new(&mut room),
        false => RecvAncillaryBuffer::default(),
    });
    let flags = flags.to_system() | net::RecvFlags::from_bits_retain(platform.msg_cmsg_cloexec);
    let answer = fill(fd, bufs, platform, PASSED, |bufs| {
        retry_for(Op::Recv, TRIES, || recvmsg(fd, bufs, &mut control, flags))
    });
    answer.map(|received| {
        let cut = received.flags.contains(ReturnFlags::TRUNC);
        let control_cut = with_rights && received.flags.contains(ReturnFlags::CTRUNC);
        // Before the caller has closed any, or received from it.
        let shortage = if control_cut { shortage(fd) } else { None };
        let length = match cut {
            false => Some(received.bytes),
            true if peeks && platform.peek_tells_length => whole_length(fd, received.bytes),
            true => None,
        };
        let (given, refused) = hand_out(&mut control, platform, keep);
        Message {
            bytes: received.bytes,
            address: received.address.map(|any| PeerAddress { any }),
            truncated: cut,
            length,
            descriptors: given.min(most),
            descriptors_lost: control_cut || refused.is_some() || given > most,
            lost_because: shortage.or(refused),
        }
    })
}

/// What `keep` has not been given when it panics, which is closed. A second `drain` would
/// not do: rustix 1 begins it where the last message ends, and not where the next begins.
struct Rest<I: Iterator>(I);

impl<I: Iterator> Drop for Rest<I> {
    fn drop(&mut self) {
        self.0.by_ref().for_each(drop);
    }
}

/// Hands over the descriptors that came. Returns how many, and why one was closed
/// instead.
#[inline]
fn hand_out(
    control: &mut RecvAncillaryBuffer<'_>,
    platform: &Platform,
    mut keep: impl FnMut(OwnedFd),
) -> (usize, Option<Errno>) {
    let mut given = 0;
    let mut refused = None;
    let mut messages = Rest(control.drain());
    for message in messages.0.by_ref() {
        let RecvAncillaryMessage::ScmRights(descriptors) = message else {
            continue;
        };
        for fd in descriptors {
            if !platform.cmsg_cloexec_honoured {
                if let Err(errno) = fcntl_setfd(&fd, FdFlags::CLOEXEC) {
                    refused = Some(errno);
                    continue;
                }
            }
            given += 1;
            keep(fd);
        }
    }
    core::mem::forget(messages);
    (given, refused)
}

/// Why this process can be given no descriptor now, if that is a shortage of its own.
#[cold]
fn shortage(fd: BorrowedFd<'_>) -> Option<Errno> {
    match fcntl_dupfd_cloexec(fd, 0).err() {
        // A limit of 0 forbids even the number that is asked for.
        Some(NO_NUMBER | NO_SUCH_NUMBER) => Some(NO_NUMBER),
        _ => None,
    }
}

/// How long the message is of which a peek has shown so much.
#[cold]
fn whole_length(fd: BorrowedFd<'_>, shown: usize) -> Option<usize> {
    let flags = net::RecvFlags::PEEK | net::RecvFlags::DONTWAIT | MSG_TRUNC;
    let nothing: &mut [u8] = &mut [];
    let (_, length) = net::recv(fd, nothing, flags).ok()?;
    // Less is of another message, or of a family that does not tell.
    (length > shown).then_some(length)
}

/// `sendmsg(fd, …)`—Sends several buffers as one message, without waiting.
///
/// - `Ready(n)`: `n` bytes of all buffers were taken; on a datagram socket all or
///   none.
/// - `Ready(0)`: the buffers are empty. A datagram socket sends an empty datagram.
/// - `WouldBlock`, `Err`: as for [`send()`](crate::send()).
///
/// The vectored form of `send`: it never raises SIGPIPE where the system can help
/// it, as [`writev`](crate::writev) does. Of more buffers than the system takes in
/// one call ([`Platform::iov_max`]), a stream takes the first; for a datagram
/// socket, on which that would cut the message, the system's error is passed on
/// (EMSGSIZE).
///
/// ```
/// use std::io::IoSlice;
/// use wouldblock::{AddressFamily, Io, SendFlags, SocketType, send_msg, socketpair};
///
/// let (ours, _theirs) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, None)?;
/// let bufs = [IoSlice::new(b"head"), IoSlice::new(b"body")];
/// assert_eq!(send_msg(&ours, &bufs, SendFlags::empty()), Io::Ready(8));
/// # Ok::<(), wouldblock::Errno>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/sendmsg.html)
#[inline]
pub fn send_msg<Fd: Descriptor>(fd: Fd, bufs: &[IoSlice<'_>], flags: SendFlags) -> Io {
    let fd = fd.as_fd();
    if let Some(only) = only(bufs) {
        return send(fd, only, flags);
    }
    send_msg_by(fd, bufs, HOST, move |fd, bufs| {
        let mut control = SendAncillaryBuffer::default();
        sendmsg(fd, bufs, &mut control, send_flags(fd, flags, HOST)?)
    })
}

/// Sends by `call`, as much as may be asked for at once.
#[inline]
pub(super) fn send_msg_by(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    platform: &Platform,
    call: impl FnMut(BorrowedFd<'_>, &mut &[IoSlice<'_>]) -> Result<usize, Errno>,
) -> Io {
    take(fd, bufs, platform, PASSED, |bufs| {
        retry_interrupted(Op::Send, fd, bufs, call)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::creation::socketpair;
    use rustix::fd::AsFd;
    use rustix::net::SocketType;

    /// Another thread took the message that was shown, or the family does not tell.
    #[test]
    fn whole_length_that_is_not_above_what_was_shown_is_unknown() {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
        assert_eq!(whole_length(ours.as_fd(), 0), None);
        assert_eq!(send(&theirs, b"hello", SendFlags::empty()), Io::Ready(5));
        if HOST.peek_tells_length {
            assert_eq!(whole_length(ours.as_fd(), 4), Some(5));
        }
        assert_eq!(whole_length(ours.as_fd(), 5), None);
        assert_eq!(whole_length(ours.as_fd(), 6), None);
    }

    #[test]
    fn send_msg_of_one_buffer_above_the_platforms_limit_takes_the_head() {
        let mut platform = *HOST;
        platform.io_max = 3;
        let (ours, _theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let bufs = [IoSlice::new(b"hello")];
        let answer = send_msg_by(ours.as_fd(), &bufs, &platform, |fd, bufs| {
            rustix::io::writev(fd, bufs)
        });
        assert_eq!(answer, Io::Ready(3));
    }
}
