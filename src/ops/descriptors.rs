//! Descriptors that travel with a message (`SCM_RIGHTS`), without allocation.

use core::mem::MaybeUninit;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{IoSlice, IoSliceMut};

use super::message::{CONTROL_LENGTH, MOST_DESCRIPTORS, Message, receive, send_msg, send_msg_by};
use super::send_flags;
use super::stand_in::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
use crate::mapping::flags::{RecvFlags, SendFlags};
use crate::mapping::io::Io;
use crate::ops::descriptor::Descriptor;
use crate::platform::HOST;
use crate::platform::errnos::TOO_MANY;

/// `recvmsg(fd, …)` with `SCM_RIGHTS`—Receives a message and the descriptors
/// that came with it, without waiting.
///
/// Each descriptor is handed to `keep`, in the order in which it was sent, which does
/// with it what it likes: `|fd| queue.push_back(fd)`. [`Message::descriptors`] says how
/// many there were. Each is close-on-exec by then, on every system; their mode is the
/// sender's. If `keep` panics, the rest is closed. Those that did not arrive are reported
/// by [`Message::descriptors_lost`]. Nothing is allocated. Answers as
/// [`recv_msg`](crate::recv_msg) does.
///
/// With [`RecvFlags::PEEK`] the descriptors stay with the message, and duplicates of
/// them are received where the system makes some
/// ([`Platform::peek_rights`](crate::platform::Platform::peek_rights): Linux, illumos).
/// Elsewhere none are: FreeBSD and NetBSD would hand out pieces of kernel pointers as
/// descriptors, and macOS zeroes, which is standard input.
///
/// # Platform notes
///
/// On Linux, a socket with `SO_PASSPIDFD` also receives a descriptor of its peer's
/// process, which rustix does not know and nobody closes: leave that option off.
/// ESP-IDF and Vita, where rustix has no messages, answer `Err(EOPNOTSUPP)`.
///
/// Descriptors that come when this process has no number left for them are lost:
///
/// | system | answer |
/// |---|---|
/// | Linux | `Ready`, with as many as there were numbers for, `descriptors_lost`, and [`lost_because`](Message::lost_because) EMFILE |
/// | OpenBSD, NetBSD, macOS | `Err(EMSGSIZE)`, and none; the bytes of a stream are still to be read |
/// | FreeBSD, illumos | `Err(EMFILE)`, and none; on FreeBSD the bytes of a stream are still to be read |
///
/// Where the system cannot set close-on-exec while it receives (macOS, illumos and others:
/// [`Platform::cmsg_cloexec_honoured`](crate::platform::Platform::cmsg_cloexec_honoured)),
/// or does not do it (FreeBSD 13), it is set afterwards: a thread that forks and executes
/// in between can leak the descriptor. Of several, those that `keep` has not been given
/// yet are without it, so let it start no program.
///
/// # Examples
///
/// ```
/// use std::io::{IoSlice, IoSliceMut};
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use wouldblock::{Io, RecvFlags, SendFlags, recv_fds_with, send_fds, set_nonblocking};
///
/// let (ours, theirs) = UnixStream::pair()?;
/// set_nonblocking(&ours, true)?;
/// set_nonblocking(&theirs, true)?;
/// let file = std::fs::File::open("/dev/null")?;
/// let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [file.as_fd()], SendFlags::empty());
/// assert_eq!(sent, Io::Ready(1));
///
/// let mut received = Vec::new();
/// let mut byte = [0];
/// let bufs = &mut [IoSliceMut::new(&mut byte)];
/// let answer = recv_fds_with(&ours, bufs, RecvFlags::empty(), |fd| received.push(fd));
/// let message = answer.ready().unwrap();
/// assert_eq!((message.bytes, message.descriptors_lost), (1, false));
/// assert_eq!(received.len(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/recvmsg.html),
/// [Linux](https://man7.org/linux/man-pages/man7/unix.7.html)
#[inline]
pub fn recv_fds_with<Fd: Descriptor>(
    fd: Fd,
    bufs: &mut [IoSliceMut<'_>],
    flags: RecvFlags,
    keep: impl FnMut(OwnedFd),
) -> Io<Message> {
    receive(fd.as_fd(), bufs, flags, HOST, usize::MAX, keep)
}

/// Like [`recv_fds_with`], into places.
///
/// The descriptors are put into `into`, from its start, and what stood there is dropped.
/// More than there is room for are closed and reported by [`Message::descriptors_lost`].
/// For few: what takes time is to clear an array of 253 places, and to drop it.
///
/// ```
/// # use std::io::{IoSlice, IoSliceMut};
/// # use std::os::fd::AsFd;
/// # use wouldblock::{AddressFamily, Io, RecvFlags, SendFlags, SocketType, recv_fds, send_fds, socketpair};
/// # let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None)?;
/// # let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [ours.as_fd()], SendFlags::empty());
/// let mut into = [const { None }; 4];
/// let mut byte = [0];
/// let bufs = &mut [IoSliceMut::new(&mut byte)];
/// let message = recv_fds(&ours, bufs, &mut into, RecvFlags::empty()).ready().unwrap();
/// assert_eq!(message.descriptors, 1);
/// assert!(into[0].is_some());
/// # Ok::<(), wouldblock::Errno>(())
/// ```
#[inline]
pub fn recv_fds<Fd: Descriptor>(
    fd: Fd,
    bufs: &mut [IoSliceMut<'_>],
    into: &mut [Option<OwnedFd>],
    flags: RecvFlags,
) -> Io<Message> {
    let most = into.len();
    let mut places = into.iter_mut();
    let keep = |fd| drop(places.next().map(|place| place.replace(fd)));
    receive(fd.as_fd(), bufs, flags, HOST, most, keep)
}

/// `sendmsg(fd, …)` with `SCM_RIGHTS`—Sends bytes, and descriptors with them,
/// without waiting.
///
/// Without descriptors it is [`send_msg`](crate::send_msg), and it answers like that. The
/// descriptors travel with the first byte that is taken, once, so send the rest of a partly
/// taken message with `send_msg`. A stream must send at least one byte with them. They are
/// duplicated: the caller's stay open. More than 253 are `Err(EINVAL)`, and nothing is sent: that is what
/// Linux takes. Others may take fewer, so send them in small portions.
///
/// See [`recv_fds_with`] for an example.
///
/// # Platform notes
///
/// | system | difference |
/// |---|---|
/// | ESP-IDF, Vita | descriptors are `Err(EOPNOTSUPP)`: rustix has no messages there |
/// | OpenBSD, DragonFly | more than about 127 are `Err(E2BIG)` |
/// | NetBSD, macOS | a stream without room is `Err(EMSGSIZE)`, although it may be taken when the peer has read; a message that never fits is the same. Pause and call again, but a few times only |
/// | macOS | a datagram that only with its descriptors is longer than the send buffer is `WouldBlock` for ever, while the socket polls as writable: send fewer bytes with them |
/// | NetBSD | where there is just too little room, success, and bytes and descriptors are dropped: a fault of its kernel |
/// | FreeBSD 15 | where the room is just that of the descriptors, they go and `WouldBlock` comes: called again, they go twice |
///
/// # References
///
/// [Linux](https://man7.org/linux/man-pages/man7/unix.7.html)
#[inline]
pub fn send_fds<'fd, Fd: Descriptor>(
    fd: Fd,
    bufs: &[IoSlice<'_>],
    descriptors: impl IntoIterator<Item = BorrowedFd<'fd>>,
    flags: SendFlags,
) -> Io {
    let fd = fd.as_fd();
    let mut descriptors = descriptors.into_iter();
    let Some(first) = descriptors.next() else {
        return send_msg(fd, bufs, flags);
    };
    // They lie in one piece, as rustix takes them.
    let mut places = [first; MOST_DESCRIPTORS];
    let mut count = 1;
    for descriptor in descriptors {
        match places.get_mut(count) {
            Some(place) => *place = descriptor,
            None => return Io::Err(TOO_MANY),
        }
        count += 1;
    }
    let descriptors = places.get(..count).unwrap_or_default();
    let mut room = [MaybeUninit::uninit(); CONTROL_LENGTH];
    let mut control = SendAncillaryBuffer::new(&mut room);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Io::Err(TOO_MANY);
    }
    let control = &mut control;
    send_msg_by(fd, bufs, HOST, move |fd, bufs| {
        sendmsg(fd, bufs, control, send_flags(fd, flags, HOST)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::creation::socketpair;
    use rustix::fd::AsFd;
    use rustix::io::{FdFlags, fcntl_getfd};
    use rustix::net::{AddressFamily, SocketType};

    #[test]
    fn receive_into_one_buffer_above_the_platforms_limit_fills_the_head() {
        let mut platform = *HOST;
        platform.io_max = 3;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        assert_eq!(crate::ops::stream::write(&theirs, b"hello"), Io::Ready(5));
        let mut buf = [0; 8];
        let bufs = &mut [IoSliceMut::new(&mut buf)];
        let answer = receive(ours.as_fd(), bufs, RecvFlags::empty(), &platform, 0, drop);
        assert_eq!(answer.ready().unwrap().bytes, 3);
    }

    /// FreeBSD, NetBSD and macOS would name descriptors that are somebody else's.
    #[test]
    fn c40_peek_rights_where_they_are_none_receives_no_descriptor_and_loses_none() {
        let mut platform = *HOST;
        platform.peek_rights = false;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let flags = SendFlags::empty();
        let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [ours.as_fd()], flags);
        assert_eq!(sent, Io::Ready(1));
        let receive = |flags| {
            let (mut byte, mut given) = ([0], 0);
            let bufs = &mut [IoSliceMut::new(&mut byte)];
            let answer = receive(ours.as_fd(), bufs, flags, &platform, 9, |_| given += 1);
            let message = answer.ready().unwrap();
            assert_eq!((message.bytes, message.descriptors_lost), (1, false));
            assert_eq!((message.descriptors, message.lost_because), (given, None));
            given
        };
        assert_eq!(receive(RecvFlags::PEEK), 0);
        assert_eq!(receive(RecvFlags::PEEK), 0);
        assert_eq!(receive(RecvFlags::empty()), 1);
    }

    #[test]
    fn receive_where_the_system_does_not_set_close_on_exec_sets_it_before_they_are_seen() {
        let mut platform = *HOST;
        platform.msg_cmsg_cloexec = 0;
        platform.cmsg_cloexec_honoured = false;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let flags = SendFlags::empty();
        let sent = send_fds(&theirs, &[IoSlice::new(b"!")], [ours.as_fd(); 2], flags);
        assert_eq!(sent, Io::Ready(1));
        let mut byte = [0];
        let bufs = &mut [IoSliceMut::new(&mut byte)];
        let answer = receive(ours.as_fd(), bufs, RecvFlags::empty(), &platform, 9, |fd| {
            assert_eq!(fcntl_getfd(&fd), Ok(FdFlags::CLOEXEC));
        });
        let message = answer.ready().unwrap();
        assert_eq!((message.descriptors, message.descriptors_lost), (2, false));
    }

    #[test]
    fn receive_where_no_peek_tells_the_length_says_unknown() {
        let mut platform = *HOST;
        platform.peek_tells_length = false;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
        assert_eq!(crate::ops::stream::write(&theirs, b"hello"), Io::Ready(5));
        let length = |room: usize| {
            let mut buf = [0; 8];
            let bufs = &mut [IoSliceMut::new(&mut buf[..room])];
            let answer = receive(ours.as_fd(), bufs, RecvFlags::PEEK, &platform, 0, drop);
            answer.ready().unwrap().length
        };
        assert_eq!((length(1), length(4), length(5)), (None, None, Some(5)));
    }
}
