//! What rustix has not everywhere: its own, or a stand-in of the same name. A table says
//! which, in `rustix_lacks`.
//!
//! A stand-in never does half of what was asked. Where rustix lacks any of these but
//! `cwd`, a table says `iov_max: 1`, so that of several buffers a stream is given the
//! first that is not empty, and a message that would be cut is refused before it gets here.

#[cfg(not(wouldblock_has = "cwd"))]
use rustix::fd::AsFd;
use rustix::fd::BorrowedFd;
#[cfg(wouldblock_has = "vectored")]
pub(super) use rustix::io::{readv, writev};
#[cfg(wouldblock_has = "messages")]
pub(super) use rustix::{
    cmsg_space,
    io::fcntl_dupfd_cloexec,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, SendAncillaryBuffer, SendAncillaryMessage,
        recvmsg, sendmsg,
    },
};

#[cfg(not(wouldblock_has = "messages"))]
pub(super) use messages::*;
#[cfg(not(wouldblock_has = "vectored"))]
pub(super) use vectored::*;

#[cfg(any(test, not(wouldblock_has = "vectored")))]
mod vectored {
    use rustix::fd::BorrowedFd;
    use rustix::io::{Errno, IoSlice, IoSliceMut, read, write};

    #[allow(unused_imports, reason = "used where the types are std's")]
    use crate::ops::vectored::{Bytes as _, BytesMut as _};

    pub(crate) fn readv(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        let buf = bufs.first_mut();
        read(fd, buf.map(|buf| buf.as_mut_slice()).unwrap_or_default())
    }

    pub(crate) fn writev(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let buf = bufs.first();
        write(fd, buf.map(|buf| buf.as_slice()).unwrap_or_default())
    }
}

/// No control data, so no room for any.
#[cfg(not(wouldblock_has = "messages"))]
macro_rules! cmsg_space {
    ($($messages:tt)*) => {
        0
    };
}
#[cfg(not(wouldblock_has = "messages"))]
pub(super) use cmsg_space;

#[cfg(any(test, not(wouldblock_has = "messages")))]
mod messages {
    use core::iter::{Empty, empty};
    use core::marker::PhantomData;
    use core::mem::MaybeUninit;

    use rustix::fd::{BorrowedFd, OwnedFd};
    use rustix::io::{Errno, IoSlice, IoSliceMut};
    use rustix::net::{RecvFlags, ReturnFlags, SendFlags, SocketAddrAny, send};

    #[allow(unused_imports, reason = "used where the types are std's")]
    use crate::ops::vectored::Bytes as _;
    use crate::platform::errnos::{NO_MESSAGES, TOO_LONG};

    #[derive(Default)]
    pub(crate) struct RecvAncillaryBuffer<'a>(PhantomData<&'a mut ()>);

    #[allow(dead_code, reason = "none is ever received")]
    pub(crate) enum RecvAncillaryMessage {
        ScmRights(Empty<OwnedFd>),
        Other,
    }

    impl<'a> RecvAncillaryBuffer<'a> {
        pub(crate) fn new(_room: &'a mut [MaybeUninit<u8>]) -> Self {
            Self::default()
        }

        pub(crate) fn drain(&mut self) -> impl Iterator<Item = RecvAncillaryMessage> {
            empty()
        }
    }

    pub(crate) struct RecvMsg {
        pub(crate) bytes: usize,
        pub(crate) flags: ReturnFlags,
        pub(crate) address: Option<SocketAddrAny>,
    }

    /// Whether a message was cut, `recvfrom` of these systems does not say, and to say
    /// nothing would be to say no.
    pub(crate) fn recvmsg(
        _fd: BorrowedFd<'_>,
        _bufs: &mut [IoSliceMut<'_>],
        _control: &mut RecvAncillaryBuffer<'_>,
        _flags: RecvFlags,
    ) -> Result<RecvMsg, Errno> {
        Err(NO_MESSAGES)
    }

    /// Asked after a message alone, of which there is none.
    #[cfg(not(wouldblock_has = "messages"))]
    pub(crate) fn fcntl_dupfd_cloexec(_fd: BorrowedFd<'_>, _min: i32) -> Result<OwnedFd, Errno> {
        Err(NO_MESSAGES)
    }

    pub(crate) enum SendAncillaryMessage<'a> {
        ScmRights(&'a [BorrowedFd<'a>]),
    }

    #[derive(Default)]
    pub(crate) struct SendAncillaryBuffer<'a> {
        any: bool,
        room: PhantomData<&'a mut ()>,
    }

    impl<'a> SendAncillaryBuffer<'a> {
        pub(crate) fn new(_room: &'a mut [MaybeUninit<u8>]) -> Self {
            Self::default()
        }

        pub(crate) fn push(&mut self, message: SendAncillaryMessage<'_>) -> bool {
            let SendAncillaryMessage::ScmRights(descriptors) = message;
            self.any |= !descriptors.is_empty();
            true
        }
    }

    /// With one buffer, and nothing beside it, it is `send`.
    pub(crate) fn sendmsg(
        fd: BorrowedFd<'_>,
        bufs: &[IoSlice<'_>],
        control: &mut SendAncillaryBuffer<'_>,
        flags: SendFlags,
    ) -> Result<usize, Errno> {
        match bufs {
            _ if control.any => Err(NO_MESSAGES),
            [] => send(fd, &[], flags),
            [buf] => send(fd, buf.as_slice(), flags),
            _ => Err(TOO_LONG),
        }
    }
}

/// A descriptor that is none, for a place where none stands. Nothing is asked of it.
#[cfg(wouldblock_has = "cwd")]
#[inline(always)]
pub(crate) const fn no_descriptor() -> BorrowedFd<'static> {
    rustix::fs::CWD
}

/// Standard input. The build script sees to it that there is std.
#[cfg(not(wouldblock_has = "cwd"))]
pub(crate) fn no_descriptor() -> BorrowedFd<'static> {
    static STDIN: std::sync::OnceLock<std::io::Stdin> = std::sync::OnceLock::new();
    STDIN.get_or_init(std::io::stdin).as_fd()
}

#[cfg(test)]
mod tests {
    use core::mem::MaybeUninit;

    use rustix::fd::{AsFd, OwnedFd};
    use rustix::io::{Errno, IoSlice, IoSliceMut};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv};

    use super::messages::{
        RecvAncillaryBuffer, SendAncillaryBuffer, SendAncillaryMessage, recvmsg, sendmsg,
    };
    use super::vectored::{readv, writev};
    use crate::ops::creation::{pipe, socketpair};
    use crate::platform::errnos::{NO_MESSAGES, TOO_LONG};

    fn datagrams() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap()
    }

    fn sent(fd: &OwnedFd, bufs: &[&[u8]], descriptors: bool) -> Result<usize, Errno> {
        let slices = [0, 1].map(|i| IoSlice::new(bufs.get(i).copied().unwrap_or_default()));
        let mut room = [MaybeUninit::uninit(); 8];
        let mut control = SendAncillaryBuffer::new(&mut room);
        let fds = [fd.as_fd()];
        let fds = if descriptors { &fds[..] } else { &[] };
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        sendmsg(
            fd.as_fd(),
            &slices[..bufs.len()],
            &mut control,
            SendFlags::empty(),
        )
    }

    /// Nothing is left out without a word.
    #[test]
    fn sendmsg_stand_in_sends_one_buffer_and_refuses_what_is_more() {
        let (ours, theirs) = datagrams();
        assert_eq!(sent(&ours, &[b"he", b"llo"], false), Err(TOO_LONG));
        assert_eq!(sent(&ours, &[b"hello"], true), Err(NO_MESSAGES));
        assert_eq!(sent(&ours, &[b"hello"], false), Ok(5));
        let mut control = SendAncillaryBuffer::default();
        assert_eq!(
            sendmsg(ours.as_fd(), &[], &mut control, SendFlags::empty()),
            Ok(0)
        );
        for length in [5, 0] {
            let got = recv(&theirs, &mut [0; 8], RecvFlags::empty());
            assert_eq!(got.map(|(_, n)| n), Ok(length));
        }
    }

    #[test]
    fn recvmsg_stand_in_refuses_and_leaves_the_message() {
        let (ours, theirs) = datagrams();
        assert_eq!(sent(&ours, &[b"hello"], false), Ok(5));
        let mut buf = [0; 8];
        let mut control = RecvAncillaryBuffer::new(&mut []);
        let bufs = &mut [IoSliceMut::new(&mut buf)];
        let answer = recvmsg(theirs.as_fd(), bufs, &mut control, RecvFlags::empty());
        assert_eq!(
            answer
                .map(|message| (message.bytes, message.flags, message.address))
                .err(),
            Some(NO_MESSAGES)
        );
        assert_eq!(control.drain().count(), 0);
        let got = recv(&theirs, &mut buf, RecvFlags::empty());
        assert_eq!(got.map(|(_, n)| n), Ok(5));
    }

    #[test]
    fn readv_and_writev_stand_ins_use_the_first_buffer() {
        let (reader, writer) = pipe().unwrap();
        let bufs = [IoSlice::new(b"hello"), IoSlice::new(b"more")];
        assert_eq!(writev(writer.as_fd(), &bufs), Ok(5));
        assert_eq!(writev(writer.as_fd(), &[]), Ok(0));
        let (mut one, mut other) = ([0; 3], [0; 3]);
        let bufs = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
        assert_eq!(readv(reader.as_fd(), bufs), Ok(3));
        assert_eq!((&one, &other), (b"hel", &[0; 3]));
        assert_eq!(readv(reader.as_fd(), &mut []), Ok(0));
    }
}
