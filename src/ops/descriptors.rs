//! Descriptors that travel with a message (`SCM_RIGHTS`), without allocation.

#![allow(
    unstable_name_collisions,
    reason = "`as_slice`: see `vectored::bytes`; std's own does the same"
)]

use core::mem::MaybeUninit;

use rustix::cmsg_space;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    self, RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage,
};

use super::creation::set_close_on_exec;
use super::message::{Message, send_msg_by, takes};
#[allow(unused_imports, reason = "used where rustix's `IoSlice` is std's")]
use super::vectored::{Bytes, BytesMut};
use super::{clamp_mut, settle};
use crate::platform::host::TOO_MANY;
use crate::platform::{HOST, Platform};
use crate::{Descriptor, Io, NonBlocking, Op, RecvFlags, SendFlags};

/// The most descriptors that one message can carry here: what Linux allows
/// (`SCM_MAX_FD` in `include/net/scm.h`).
const MOST_DESCRIPTORS: usize = 253;

/// What may stand before the descriptors if the caller turned it on: Linux puts
/// credentials, timestamps and labels first, and drops what no longer fits.
const OTHER_CONTROL: usize = 256;

const CONTROL_LENGTH: usize = cmsg_space!(ScmRights(MOST_DESCRIPTORS)) + OTHER_CONTROL;

/// Room for the control data of any message.
type Control = [MaybeUninit<u8>; CONTROL_LENGTH];

/// `recvmsg(fd, …)` with `SCM_RIGHTS`—Receives a message and the descriptors
/// that came with it, without waiting.
///
/// The descriptors are put into `into`, from its start;
/// [`Message::descriptors`] says how many. What stood there is dropped. All are
/// close-on-exec, on every system; their mode is the sender's. More than there
/// is room for are closed and reported by [`Message::descriptors_lost`]. Nothing
/// is allocated. Answers as [`recv_msg`](crate::recv_msg) does.
///
/// # Platform notes
///
/// On Linux, a socket with `SO_PASSPIDFD` also receives a descriptor of its peer's
/// process, which rustix does not know and nobody closes: leave that option off.
///
/// Where the system cannot set close-on-exec while it receives (macOS, illumos),
/// or does not do it (FreeBSD 13), it is set afterwards: a thread that forks and
/// executes in between can leak the descriptor.
///
/// # Examples
///
/// ```
/// use std::io::{IoSlice, IoSliceMut};
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use wouldblock::{Io, RecvFlags, SendFlags, recv_fds, send_fds, set_nonblocking};
///
/// let (ours, theirs) = UnixStream::pair()?;
/// set_nonblocking(&ours, true)?;
/// set_nonblocking(&theirs, true)?;
/// let file = std::fs::File::open("/dev/null")?;
/// let sent = send_fds(&theirs, &[IoSlice::new(b"!")], &[file.as_fd()], SendFlags::empty());
/// assert_eq!(sent, Io::Ready(1));
///
/// let mut into = [const { None }; 4];
/// let mut byte = [0];
/// let bufs = &mut [IoSliceMut::new(&mut byte)];
/// let message = recv_fds(&ours, bufs, &mut into, RecvFlags::empty()).ready().unwrap();
/// assert_eq!(message.descriptors, 1);
/// assert!(into[0].is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/recvmsg.html),
/// [Linux](https://man7.org/linux/man-pages/man7/unix.7.html)
#[doc(alias = "SCM_RIGHTS")]
#[doc(alias = "recvmsg")]
#[inline]
pub fn recv_fds<Fd: Descriptor>(
    fd: Fd,
    bufs: &mut [IoSliceMut<'_>],
    into: &mut [Option<OwnedFd>],
    flags: RecvFlags,
) -> Io<Message> {
    recv_fds_by(fd.as_fd(), bufs, into, flags, HOST)
}

#[inline]
fn recv_fds_by(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    into: &mut [Option<OwnedFd>],
    flags: RecvFlags,
    platform: &Platform,
) -> Io<Message> {
    // Room for all that a message can carry, not for `into` alone: what systems
    // do with descriptors that do not fit into the control data differs.
    let mut control: Control = [const { MaybeUninit::uninit() }; CONTROL_LENGTH];
    let mut control = RecvAncillaryBuffer::new(&mut control);
    let flags =
        net::RecvFlags::from_bits_retain(flags.to_system().bits() | platform.msg_cmsg_cloexec);
    let lengths = bufs.iter().map(|buf| buf.as_slice().len());
    let count = match takes(fd, lengths, platform) {
        Ok(count) => count,
        Err(errno) => return Io::Err(errno),
    };
    let answer = match bufs.first_mut() {
        Some(first) if count == 0 => {
            let head = &mut [IoSliceMut::new(clamp_mut(first.as_mut_slice(), platform))];
            settle(Op::Recv, || net::recvmsg(fd, head, &mut control, flags))
        }
        _ => {
            let bufs = bufs.get_mut(..count).unwrap_or_default();
            settle(Op::Recv, || net::recvmsg(fd, bufs, &mut control, flags))
        }
    };
    answer.map(|received| {
        let (descriptors, lost) = take_descriptors(&mut control, into, platform);
        Message {
            bytes: received.bytes,
            address: received.address,
            truncated: received.flags.contains(ReturnFlags::TRUNC),
            descriptors,
            descriptors_lost: lost || received.flags.contains(ReturnFlags::CTRUNC),
        }
    })
}

/// Moves the descriptors that came into `into`. Returns how many, and whether
/// one was closed instead.
#[inline]
fn take_descriptors(
    control: &mut RecvAncillaryBuffer<'_>,
    into: &mut [Option<OwnedFd>],
    platform: &Platform,
) -> (usize, bool) {
    let mut places = into.iter_mut();
    let mut count = 0;
    let mut lost = false;
    for message in control.drain() {
        let RecvAncillaryMessage::ScmRights(descriptors) = message else {
            continue;
        };
        for fd in descriptors {
            let safe = platform.cmsg_cloexec_holds || set_close_on_exec(&fd).is_ok();
            match places.next() {
                Some(place) if safe => {
                    *place = Some(fd);
                    count += 1;
                }
                // Dropped, and so closed.
                _ => lost = true,
            }
        }
    }
    (count, lost)
}

/// `sendmsg(fd, …)` with `SCM_RIGHTS`—Sends bytes, and descriptors with them,
/// without waiting.
///
/// Answers as [`send_msg`](crate::send_msg) does. The descriptors travel with the first byte that
/// is taken, once, so send the rest of a partly taken message with [`send_msg`](crate::send_msg). A
/// stream must send at least one byte with them. They are duplicated: the
/// caller's stay open. More than 253 are `Err(EINVAL)`, and nothing is sent.
///
/// See [`recv_fds`] for an example.
///
/// # References
///
/// [Linux](https://man7.org/linux/man-pages/man7/unix.7.html)
#[doc(alias = "SCM_RIGHTS")]
#[doc(alias = "sendmsg")]
pub fn send_fds<Fd: Descriptor>(
    fd: Fd,
    bufs: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Io {
    let mut control: Control = [const { MaybeUninit::uninit() }; CONTROL_LENGTH];
    let mut control = SendAncillaryBuffer::new(&mut control);
    let fits = descriptors.len() <= MOST_DESCRIPTORS
        && (descriptors.is_empty() || control.push(SendAncillaryMessage::ScmRights(descriptors)));
    if !fits {
        return Io::Err(TOO_MANY);
    }
    send_msg_by(fd.as_fd(), bufs, &mut control, flags, HOST)
}

/// The operations of descriptors as methods; see the functions of the same names.
impl<F: AsFd> NonBlocking<F> {
    /// See [`recv_fds()`].
    #[inline]
    pub fn recv_fds(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        into: &mut [Option<OwnedFd>],
        flags: RecvFlags,
    ) -> Io<Message> {
        recv_fds(self, bufs, into, flags)
    }

    /// See [`send_fds()`].
    #[inline]
    pub fn send_fds(
        &self,
        bufs: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Io {
        send_fds(self, bufs, descriptors, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddressFamily, SocketType, socketpair};
    use rustix::io::{FdFlags, fcntl_getfd};

    #[test]
    fn recv_fds_into_one_buffer_above_the_platforms_limit_fills_the_head() {
        let mut platform = *HOST;
        platform.io_max = 3;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        assert_eq!(crate::write(&theirs, b"hello"), Io::Ready(5));
        let mut buf = [0; 8];
        let bufs = &mut [IoSliceMut::new(&mut buf)];
        let answer = recv_fds_by(ours.as_fd(), bufs, &mut [], RecvFlags::empty(), &platform);
        assert_eq!(answer.ready().unwrap().bytes, 3);
    }
    #[test]
    fn recv_fds_where_the_system_does_not_set_close_on_exec_sets_it() {
        let mut platform = *HOST;
        platform.msg_cmsg_cloexec = 0;
        platform.cmsg_cloexec_holds = false;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let flags = SendFlags::empty();
        let sent = send_fds(&theirs, &[IoSlice::new(b"!")], &[ours.as_fd()], flags);
        assert_eq!(sent, Io::Ready(1));
        let mut into = [const { None }; 2];
        let mut byte = [0];
        let bufs = &mut [IoSliceMut::new(&mut byte)];
        let answer = recv_fds_by(ours.as_fd(), bufs, &mut into, RecvFlags::empty(), &platform);
        let message = answer.ready().unwrap();
        assert_eq!((message.descriptors, message.descriptors_lost), (1, false));
        let [Some(fd), None] = into else {
            panic!("one descriptor was sent")
        };
        assert_eq!(fcntl_getfd(&fd), Ok(FdFlags::CLOEXEC));
    }
}
