//! What this crate is measured against: the same calls of rustix by hand.
//!
//! - `bare` is the `match` that people write: EAGAIN is would-block, anything
//!   else is an error, a signal included, and no flag is passed.
//! - `fair` does what this crate promises, and no more: the call is made again
//!   after a signal, SIGPIPE is kept away, the outcome table of the operation is
//!   followed. No operation of this crate may take more instructions than it.

use std::hint::black_box;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrAny, SocketAddrUnix, SocketAddrV4, SocketFlags,
};
use rustix::{event, fs, io, net};

use crate::ours::Late;
use crate::{To, WOULD_BLOCK, failed, ready};

const ZERO: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Descriptors with a number each, as a program keeps them that owns its sockets.
pub type Owned = [(OwnedFd, usize)];

pub mod bare {
    use super::*;

    #[inline(always)]
    fn answer(result: Result<usize, Errno>) -> u64 {
        match result {
            Ok(n) => ready(n),
            Err(Errno::AGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn recv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        match net::recv(fd, buf, RecvFlags::empty()) {
            Ok((n, _)) => ready(n),
            Err(Errno::AGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn send(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        answer(net::send(fd, buf, SendFlags::empty()))
    }

    #[inline(never)]
    pub fn read(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        answer(io::read(fd, buf))
    }

    #[inline(never)]
    pub fn write(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        answer(io::write(fd, buf))
    }

    #[inline(never)]
    pub fn readv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at_mut(1);
        answer(io::readv(
            fd,
            &mut [IoSliceMut::new(one), IoSliceMut::new(two)],
        ))
    }

    #[inline(never)]
    pub fn writev(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at(1);
        answer(io::writev(fd, &[IoSlice::new(one), IoSlice::new(two)]))
    }

    #[inline(never)]
    pub fn recv_from(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        match net::recvfrom(fd, buf, RecvFlags::empty()) {
            Ok((n, _, address)) => {
                std::hint::black_box(&address);
                ready(n)
            }
            Err(Errno::AGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn send_to(to: &To<OwnedFd, SocketAddrV4>, buf: &mut [u8]) -> u64 {
        answer(net::sendto(to.0, buf, SendFlags::empty(), &to.1))
    }

    #[inline(never)]
    pub fn recv_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at_mut(1);
        let mut bufs = [IoSliceMut::new(one), IoSliceMut::new(two)];
        let mut control = RecvAncillaryBuffer::default();
        match net::recvmsg(fd, &mut bufs, &mut control, RecvFlags::empty()) {
            Ok(message) => {
                std::hint::black_box(&message.address);
                ready(message.bytes)
            }
            Err(Errno::AGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn send_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at(1);
        let bufs = [IoSlice::new(one), IoSlice::new(two)];
        let mut control = SendAncillaryBuffer::default();
        answer(net::sendmsg(fd, &bufs, &mut control, SendFlags::empty()))
    }

    #[inline(never)]
    pub fn recv_from_with(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let mut buf = [MaybeUninit::uninit(); 64 * 1024];
        match net::recvfrom(fd, &mut buf[..], RecvFlags::empty()) {
            Ok(((bytes, _), _, address)) => {
                black_box(&address);
                ready(black_box(bytes).len())
            }
            Err(Errno::AGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    /// With room for one descriptor.
    #[inline(never)]
    pub fn recv_fds_with(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let mut bufs = [IoSliceMut::new(buf)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        match net::recvmsg(fd, &mut bufs, &mut control, RecvFlags::empty()) {
            Ok(message) => {
                for part in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                        descriptors.for_each(|fd| drop(black_box(fd)));
                    }
                }
                ready(message.bytes)
            }
            Err(Errno::AGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn send_fds((fd, fds): &(OwnedFd, Vec<OwnedFd>), buf: &mut [u8]) -> u64 {
        let bufs = [IoSlice::new(buf)];
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return failed(Errno::INVAL.raw_os_error());
        }
        answer(net::sendmsg(fd, &bufs, &mut control, SendFlags::empty()))
    }

    #[inline(never)]
    pub fn accept(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        match net::accept_with(fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(fd) => ready(fd.into_raw_fd() as usize),
            Err(Errno::AGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn connect(to: &To<OwnedFd, SocketAddrV4>, _: &mut [u8]) -> u64 {
        match net::connect(to.0, &to.1) {
            Ok(()) => ready(0),
            Err(Errno::INPROGRESS) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn connect_unix(to: &To<OwnedFd, SocketAddrUnix>, _: &mut [u8]) -> u64 {
        match net::connect(to.0, &to.1) {
            Ok(()) => ready(0),
            Err(Errno::INPROGRESS) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn connect_any(to: &To<OwnedFd, SocketAddrAny>, _: &mut [u8]) -> u64 {
        match net::connect(to.0, &to.1) {
            Ok(()) => ready(0),
            Err(Errno::INPROGRESS) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    /// What mio's documentation tells to do after the event.
    #[inline(never)]
    pub fn finish_connect(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        match net::sockopt::socket_error(fd) {
            Ok(Ok(())) => {}
            Ok(Err(errno)) | Err(errno) => return failed(errno.raw_os_error()),
        }
        match net::getpeername(fd) {
            Ok(_) => ready(0),
            Err(Errno::NOTCONN) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn poll(wait: &To<OwnedFd, Duration>, _: &mut [u8]) -> u64 {
        let timeout = Timespec {
            tv_sec: wait.1.as_secs() as i64,
            tv_nsec: i64::from(wait.1.subsec_nanos()),
        };
        let mut fds = [PollFd::new(wait.0, PollFlags::IN)];
        match event::poll(&mut fds, Some(&timeout)) {
            Ok(0) => WOULD_BLOCK,
            Ok(n) => ready(n),
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn poll_for_ever(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        match event::poll(&mut fds, None) {
            Ok(0) => WOULD_BLOCK,
            Ok(n) => ready(n),
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn set_nonblocking(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let result =
            fs::fcntl_getfl(fd).and_then(|flags| fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK));
        match result {
            Ok(()) => ready(0),
            Err(errno) => failed(errno.raw_os_error()),
        }
    }
}

pub mod fair {
    use super::*;

    /// Makes the call until no signal interrupts it.
    macro_rules! retry {
        ($call:expr, $($ready:pat => $value:expr),*) => {
            loop {
                match $call {
                    $(Ok($ready) => return $value,)*
                    Err(Errno::AGAIN) => return WOULD_BLOCK,
                    Err(Errno::INTR) => {}
                    Err(errno) => return failed(errno.raw_os_error()),
                }
            }
        };
    }

    #[inline(never)]
    pub fn recv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        retry!(net::recv(fd, &mut *buf, RecvFlags::empty()), (_, n) => ready(n))
    }

    /// With a wait, for as long as it takes.
    #[inline(never)]
    pub fn recv_late(fd: &&Late, buf: &mut [u8]) -> u64 {
        loop {
            match net::recv(fd, &mut *buf, RecvFlags::empty()) {
                Ok((_, n)) => return ready(n),
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return failed(errno.raw_os_error()),
            }
            let mut fds = [PollFd::new(fd, PollFlags::IN)];
            match event::poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return failed(errno.raw_os_error()),
            }
        }
    }

    #[inline(never)]
    pub fn send(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        retry!(net::send(fd, &*buf, SendFlags::NOSIGNAL), n => ready(n))
    }

    #[inline(never)]
    pub fn read(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        retry!(io::read(fd, &mut *buf), n => ready(n))
    }

    #[inline(never)]
    pub fn write(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        retry!(io::write(fd, &*buf), n => ready(n))
    }

    /// More buffers than the system takes are cut, where it would say EINVAL.
    #[inline(never)]
    pub fn readv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at_mut(1);
        let mut bufs = [IoSliceMut::new(one), IoSliceMut::new(two)];
        let count = bufs.len().min(1024);
        retry!(io::readv(fd, &mut bufs[..count]), n => ready(n))
    }

    #[inline(never)]
    pub fn writev(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at(1);
        let bufs = [IoSlice::new(one), IoSlice::new(two)];
        let count = bufs.len().min(1024);
        retry!(io::writev(fd, &bufs[..count]), n => ready(n))
    }

    #[inline(never)]
    pub fn recv_from(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        retry!(net::recvfrom(fd, &mut *buf, RecvFlags::empty()), (_, n, address) => {
            std::hint::black_box(&address);
            ready(n)
        })
    }

    #[inline(never)]
    pub fn send_to(to: &To<OwnedFd, SocketAddrV4>, buf: &mut [u8]) -> u64 {
        retry!(net::sendto(to.0, &*buf, SendFlags::NOSIGNAL, &to.1), n => ready(n))
    }

    /// Descriptors that come along are closed, and do not leak.
    #[inline(never)]
    pub fn recv_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at_mut(1);
        let mut bufs = [IoSliceMut::new(one), IoSliceMut::new(two)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        retry!(net::recvmsg(fd, &mut bufs, &mut control, flags), message => {
            let mut lost = message.flags.contains(ReturnFlags::CTRUNC);
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                    descriptors.for_each(drop);
                    lost = true;
                }
            }
            std::hint::black_box(&message.address);
            std::hint::black_box((message.flags.contains(ReturnFlags::TRUNC), lost));
            ready(message.bytes)
        })
    }

    /// More buffers than the system takes are cut on a stream, and only there.
    #[inline(never)]
    pub fn send_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at(1);
        let mut bufs = &[IoSlice::new(one), IoSlice::new(two)][..];
        if bufs.len() > 1024 {
            match net::sockopt::socket_type(fd) {
                Ok(net::SocketType::STREAM) => bufs = &bufs[..1024],
                Ok(_) => {}
                Err(errno) => return failed(errno.raw_os_error()),
            }
        }
        let mut control = SendAncillaryBuffer::default();
        retry!(net::sendmsg(fd, bufs, &mut control, SendFlags::NOSIGNAL), n => ready(n))
    }

    #[inline(never)]
    pub fn recv_from_with(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let mut buf = [MaybeUninit::uninit(); 64 * 1024];
        retry!(net::recvfrom(fd, &mut buf[..], RecvFlags::empty()), ((bytes, _), _, address) => {
            black_box(&address);
            ready(black_box(bytes).len())
        })
    }

    /// Close-on-exec, as many as can come, and it is known whether all did.
    #[inline(never)]
    pub fn recv_fds_with(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let mut bufs = [IoSliceMut::new(buf)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        retry!(net::recvmsg(fd, &mut bufs, &mut control, flags), message => {
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                    descriptors.for_each(|fd| drop(black_box(fd)));
                }
            }
            black_box(&message.address);
            black_box(message.flags.contains(ReturnFlags::TRUNC));
            black_box(message.flags.contains(ReturnFlags::CTRUNC));
            ready(message.bytes)
        })
    }

    /// As many as there are, which have to lie side by side; without any, it is `send`.
    #[inline(never)]
    pub fn send_fds((fd, fds): &(OwnedFd, Vec<OwnedFd>), buf: &mut [u8]) -> u64 {
        if fds.is_empty() {
            retry!(net::send(fd, &*buf, SendFlags::NOSIGNAL), n => ready(n));
        }
        let bufs = [IoSlice::new(buf)];
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return failed(Errno::INVAL.raw_os_error());
        }
        retry!(net::sendmsg(fd, &bufs, &mut control, SendFlags::NOSIGNAL), n => ready(n))
    }

    /// Connections that died in the queue are passed over, sixteen at most.
    #[inline(never)]
    pub fn accept(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let mut last = Errno::CONNABORTED;
        let mut dead = 0;
        while dead < 16 {
            match net::accept_with(fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(fd) => return ready(fd.into_raw_fd() as usize),
                Err(Errno::AGAIN) => return WOULD_BLOCK,
                Err(Errno::INTR) => {}
                Err(
                    errno @ (Errno::CONNABORTED
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::HOSTDOWN
                    | Errno::NONET
                    | Errno::HOSTUNREACH
                    | Errno::NETUNREACH),
                ) => {
                    last = errno;
                    dead += 1;
                }
                Err(errno) => return failed(errno.raw_os_error()),
            }
        }
        failed(last.raw_os_error())
    }

    /// A signal does not stop the attempt.
    #[inline(never)]
    pub fn connect(to: &To<OwnedFd, SocketAddrV4>, _: &mut [u8]) -> u64 {
        match net::connect(to.0, &to.1) {
            Ok(()) => ready(0),
            Err(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => WOULD_BLOCK,
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    /// On Linux a signal does stop an `AF_UNIX` attempt.
    #[inline(never)]
    pub fn connect_unix(to: &To<OwnedFd, SocketAddrUnix>, _: &mut [u8]) -> u64 {
        loop {
            match net::connect(to.0, &to.1) {
                Ok(()) => return ready(0),
                Err(Errno::INPROGRESS | Errno::ALREADY) => return WOULD_BLOCK,
                Err(Errno::INTR) => {}
                Err(errno) => return failed(errno.raw_os_error()),
            }
        }
    }

    /// One or the other, as the address says.
    #[inline(never)]
    pub fn connect_any(to: &To<OwnedFd, SocketAddrAny>, _: &mut [u8]) -> u64 {
        let is_unix = to.1.address_family() == net::AddressFamily::UNIX;
        loop {
            match net::connect(to.0, &to.1) {
                Ok(()) => return ready(0),
                Err(Errno::INPROGRESS | Errno::ALREADY) => return WOULD_BLOCK,
                Err(Errno::INTR) if is_unix => {}
                Err(Errno::INTR) => return WOULD_BLOCK,
                Err(errno) => return failed(errno.raw_os_error()),
            }
        }
    }

    /// Right at any time, not only after the event, and after the error has been
    /// taken: where `bare` then waits for ever.
    #[inline(never)]
    pub fn finish_connect(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        use net::AddressFamily as Family;
        let proves = |peer: &Option<SocketAddrAny>| {
            peer.as_ref().is_none_or(|peer| {
                matches!(
                    peer.address_family(),
                    Family::INET | Family::INET6 | Family::UNIX
                )
            })
        };
        let unnamed = match net::getpeername(fd) {
            Ok(peer) if proves(&peer) => return ready(0),
            Ok(_) => Errno::NOTCONN,
            Err(errno) => errno,
        };
        let mut fds = [PollFd::new(fd, PollFlags::OUT)];
        loop {
            match event::poll(&mut fds, Some(&ZERO)) {
                Ok(0) if unnamed == Errno::NOTCONN => return WOULD_BLOCK,
                Ok(0) => return failed(unnamed.raw_os_error()),
                Ok(_) if fds[0].revents().contains(PollFlags::NVAL) => {
                    return failed(Errno::BADF.raw_os_error());
                }
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return failed(errno.raw_os_error()),
            }
        }
        match net::sockopt::socket_error(fd) {
            Ok(Ok(())) => {}
            Ok(Err(errno)) | Err(errno) => return failed(errno.raw_os_error()),
        }
        match net::getpeername(fd) {
            Ok(_) => ready(0),
            Err(_) => failed(Errno::NOTCONN.raw_os_error()),
        }
    }

    /// A time longer than the system takes is cut, and not passed off as over.
    #[inline(never)]
    pub fn poll(wait: &To<OwnedFd, Duration>, _: &mut [u8]) -> u64 {
        const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);
        let timeout = wait.1.min(LONGEST);
        let timeout_as_is = timeout == wait.1;
        let timeout = Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let mut fds = [PollFd::new(wait.0, PollFlags::IN | PollFlags::RDHUP)];
        match event::poll(&mut fds, Some(&timeout)) {
            Ok(0) if timeout_as_is => WOULD_BLOCK,
            Ok(0) => failed(Errno::INTR.raw_os_error()),
            Ok(n) => ready(n),
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    #[inline(never)]
    pub fn poll_for_ever(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let mut fds = [PollFd::new(fd, PollFlags::IN | PollFlags::RDHUP)];
        match event::poll(&mut fds, None) {
            Ok(0) => failed(Errno::INTR.raw_os_error()),
            Ok(n) => ready(n),
            Err(errno) => failed(errno.raw_os_error()),
        }
    }

    /// The array is made anew each time, here in new memory, since it borrows
    /// the descriptors, which come and go; then what is ready is looked for.
    #[inline(never)]
    pub fn poll_set(set: &Owned, _: &mut [u8]) -> u64 {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(set.len());
        fds.extend(
            set.iter()
                .map(|(fd, _)| PollFd::new(fd, PollFlags::IN | PollFlags::RDHUP)),
        );
        let mut left = match event::poll(&mut fds, None) {
            Ok(n) => n,
            Err(errno) => return failed(errno.raw_os_error()),
        };
        let mut found = 0;
        for (fd, (_, number)) in fds.iter().zip(set) {
            if left == 0 {
                break;
            }
            let readable = PollFlags::IN
                | PollFlags::RDNORM
                | PollFlags::RDHUP
                | PollFlags::HUP
                | PollFlags::ERR;
            if !fd.revents().is_empty() {
                left -= 1;
                if fd.revents().intersects(readable) {
                    found += number;
                }
            }
        }
        ready(found)
    }

    /// No second call where the mode is right already.
    #[inline(never)]
    pub fn set_nonblocking(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let flags = match fs::fcntl_getfl(fd) {
            Ok(flags) => flags,
            Err(errno) => return failed(errno.raw_os_error()),
        };
        if flags.contains(OFlags::NONBLOCK) {
            return ready(0);
        }
        match fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK) {
            Ok(()) => ready(0),
            Err(errno) => {
                let _ = fs::fcntl_setfl(fd, flags);
                failed(errno.raw_os_error())
            }
        }
    }
}

/// Nothing: what the counting itself costs.
#[inline(never)]
pub fn nothing(fd: &OwnedFd, _: &mut [u8]) -> u64 {
    ready(fd.as_raw_fd() as usize)
}
