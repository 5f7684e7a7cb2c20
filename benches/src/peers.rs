//! What others offer for the same call, used as their documentation shows. A
//! signal is an error for all of them, and `accept` is completed to a
//! non-blocking, close-on-exec descriptor where they leave that to the caller.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};

use crate::{To, WOULD_BLOCK, failed, ready};

#[inline(always)]
fn answer(result: std::io::Result<usize>) -> u64 {
    match result {
        Ok(n) => ready(n),
        Err(error) if error.kind() == ErrorKind::WouldBlock => WOULD_BLOCK,
        Err(error) => failed(error.raw_os_error().unwrap_or(0)),
    }
}

#[inline(always)]
fn answer_from<A>(result: std::io::Result<(usize, A)>) -> u64 {
    match result {
        Ok((n, address)) => {
            std::hint::black_box(&address);
            ready(n)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => WOULD_BLOCK,
        Err(error) => failed(error.raw_os_error().unwrap_or(0)),
    }
}

/// The rounds of every type that has std's traits are the same but for the type.
macro_rules! read_and_write {
    ($read:ident, $readv:ident: $reader:ty; $write:ident, $writev:ident: $writer:ty) => {
        #[inline(never)]
        pub fn $read(fd: &$reader, buf: &mut [u8]) -> u64 {
            answer((&*fd).read(buf))
        }

        #[inline(never)]
        pub fn $readv(fd: &$reader, buf: &mut [u8]) -> u64 {
            let (one, two) = buf.split_at_mut(1);
            answer((&*fd).read_vectored(&mut [IoSliceMut::new(one), IoSliceMut::new(two)]))
        }

        #[inline(never)]
        pub fn $write(fd: &$writer, buf: &mut [u8]) -> u64 {
            answer((&*fd).write(buf))
        }

        #[inline(never)]
        pub fn $writev(fd: &$writer, buf: &mut [u8]) -> u64 {
            let (one, two) = buf.split_at(1);
            answer((&*fd).write_vectored(&[IoSlice::new(one), IoSlice::new(two)]))
        }
    };
}

pub mod std_ {
    use super::*;
    use std::fs::File;
    use std::net::{SocketAddrV4, TcpListener, UdpSocket};
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::UnixStream;

    read_and_write!(read, readv: File; write, writev: File);
    read_and_write!(recv, recvv: UnixStream; send, sendv: UnixStream);

    #[inline(never)]
    pub fn recv_from(fd: &UdpSocket, buf: &mut [u8]) -> u64 {
        answer_from(fd.recv_from(buf))
    }

    #[inline(never)]
    pub fn send_to(to: &To<UdpSocket, SocketAddrV4>, buf: &mut [u8]) -> u64 {
        answer(to.0.send_to(buf, to.1))
    }

    #[inline(never)]
    pub fn accept(fd: &TcpListener, _: &mut [u8]) -> u64 {
        let result = fd.accept().and_then(|(connection, _)| {
            connection.set_nonblocking(true)?;
            Ok(connection.into_raw_fd() as usize)
        });
        answer(result)
    }

    #[inline(never)]
    pub fn set_nonblocking(fd: &UnixStream, _: &mut [u8]) -> u64 {
        answer(fd.set_nonblocking(true).map(|()| 0))
    }
}

pub mod mio_ {
    use super::*;
    use mio::net::{TcpListener, UdpSocket, UnixStream};
    use mio::unix::pipe::{Receiver, Sender};
    use std::net::SocketAddr;
    use std::os::fd::IntoRawFd;

    read_and_write!(read, readv: Receiver; write, writev: Sender);
    read_and_write!(recv, recvv: UnixStream; send, sendv: UnixStream);

    #[inline(never)]
    pub fn recv_from(fd: &UdpSocket, buf: &mut [u8]) -> u64 {
        answer_from(fd.recv_from(buf))
    }

    #[inline(never)]
    pub fn send_to(to: &To<UdpSocket, SocketAddr>, buf: &mut [u8]) -> u64 {
        answer(to.0.send_to(buf, to.1))
    }

    #[inline(never)]
    pub fn accept(fd: &TcpListener, _: &mut [u8]) -> u64 {
        answer(
            fd.accept()
                .map(|(connection, _)| connection.into_raw_fd() as usize),
        )
    }
}

pub mod socket2_ {
    use super::*;
    use socket2::{MaybeUninitSlice, SockAddr, SockRef, Socket};
    use std::mem::MaybeUninit;
    use std::os::fd::IntoRawFd;

    read_and_write!(recv, recv_msg: Socket; send, send_msg: Socket);

    #[inline(never)]
    pub fn recv_from(fd: &Socket, buf: &mut [u8]) -> u64 {
        let mut into = [MaybeUninit::uninit(); 64];
        let n = buf.len().min(into.len());
        answer_from(fd.recv_from(&mut into[..n]))
    }

    /// With several buffers, an address and flags, as `recv_msg` has them.
    #[inline(never)]
    pub fn recv_from_vectored(fd: &Socket, _: &mut [u8]) -> u64 {
        let (mut one, mut two) = ([MaybeUninit::uninit(); 1], [MaybeUninit::uninit(); 7]);
        let mut bufs = [
            MaybeUninitSlice::new(&mut one),
            MaybeUninitSlice::new(&mut two),
        ];
        let result = fd.recv_from_vectored(&mut bufs);
        answer_from(result.map(|(n, flags, address)| (n, (flags, address))))
    }

    #[inline(never)]
    pub fn send_to(to: &To<Socket, SockAddr>, buf: &mut [u8]) -> u64 {
        answer(to.0.send_to(buf, &to.1))
    }

    #[inline(never)]
    pub fn connect(to: &To<Socket, SockAddr>, _: &mut [u8]) -> u64 {
        match to.0.connect(&to.1) {
            Ok(()) => ready(0),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINPROGRESS) => WOULD_BLOCK,
                errno => failed(errno.unwrap_or(0)),
            },
        }
    }

    #[inline(never)]
    pub fn accept(fd: &Socket, _: &mut [u8]) -> u64 {
        let result = fd.accept().and_then(|(connection, _)| {
            connection.set_nonblocking(true)?;
            Ok(connection.into_raw_fd() as usize)
        });
        answer(result)
    }

    #[inline(never)]
    pub fn set_nonblocking(fd: &Socket, _: &mut [u8]) -> u64 {
        answer(SockRef::from(fd).set_nonblocking(true).map(|()| 0))
    }
}

pub mod nix_ {
    use super::*;
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::sys::socket::{
        MsgFlags, SockFlag, SockaddrIn, SockaddrStorage, accept4, connect as nix_connect,
        recv as nix_recv, recvfrom, recvmsg, send as nix_send, sendmsg, sendto,
    };
    use std::os::fd::{AsRawFd, OwnedFd};

    #[inline(always)]
    fn answer(result: nix::Result<usize>) -> u64 {
        match result {
            Ok(n) => ready(n),
            Err(Errno::EAGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno as i32),
        }
    }

    #[inline(never)]
    pub fn recv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        answer(nix_recv(fd.as_raw_fd(), buf, MsgFlags::empty()))
    }

    #[inline(never)]
    pub fn send(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        answer(nix_send(fd.as_raw_fd(), buf, MsgFlags::MSG_NOSIGNAL))
    }

    #[inline(never)]
    pub fn read(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        answer(nix::unistd::read(fd, buf))
    }

    #[inline(never)]
    pub fn write(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        answer(nix::unistd::write(fd, buf))
    }

    #[inline(never)]
    pub fn readv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at_mut(1);
        let mut bufs = [IoSliceMut::new(one), IoSliceMut::new(two)];
        answer(nix::sys::uio::readv(fd, &mut bufs))
    }

    #[inline(never)]
    pub fn writev(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at(1);
        answer(nix::sys::uio::writev(
            fd,
            &[IoSlice::new(one), IoSlice::new(two)],
        ))
    }

    #[inline(never)]
    pub fn recv_from(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        match recvfrom::<SockaddrStorage>(fd.as_raw_fd(), buf) {
            Ok((n, address)) => {
                std::hint::black_box(&address);
                ready(n)
            }
            Err(Errno::EAGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno as i32),
        }
    }

    #[inline(never)]
    pub fn send_to(to: &To<OwnedFd, SockaddrIn>, buf: &mut [u8]) -> u64 {
        answer(sendto(to.0.as_raw_fd(), buf, &to.1, MsgFlags::MSG_NOSIGNAL))
    }

    #[inline(never)]
    pub fn recv_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at_mut(1);
        let mut bufs = [IoSliceMut::new(one), IoSliceMut::new(two)];
        let result = recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut bufs, None, MsgFlags::empty());
        match result {
            Ok(message) => {
                std::hint::black_box(&message.address);
                std::hint::black_box(message.flags);
                ready(message.bytes)
            }
            Err(Errno::EAGAIN) => WOULD_BLOCK,
            Err(errno) => failed(errno as i32),
        }
    }

    #[inline(never)]
    pub fn send_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let (one, two) = buf.split_at(1);
        let bufs = [IoSlice::new(one), IoSlice::new(two)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        answer(sendmsg::<SockaddrStorage>(
            fd.as_raw_fd(),
            &bufs,
            &[],
            flags,
            None,
        ))
    }

    #[inline(never)]
    pub fn accept(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        answer(accept4(fd.as_raw_fd(), flags).map(|fd| fd as usize))
    }

    #[inline(never)]
    pub fn connect(to: &To<OwnedFd, SockaddrIn>, _: &mut [u8]) -> u64 {
        match nix_connect(to.0.as_raw_fd(), &to.1) {
            Ok(()) => ready(0),
            Err(Errno::EINPROGRESS) => WOULD_BLOCK,
            Err(errno) => failed(errno as i32),
        }
    }

    #[inline(never)]
    pub fn set_nonblocking(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let result = fcntl(fd, FcntlArg::F_GETFL).and_then(|flags| {
            let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
            fcntl(fd, FcntlArg::F_SETFL(flags))
        });
        match result {
            Ok(_) => ready(0),
            Err(errno) => failed(errno as i32),
        }
    }
}

/// As in C. The descriptors and buffers are valid for each call.
pub mod libc_ {
    use super::*;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::ptr::null_mut;

    #[inline(always)]
    fn errno() -> i32 {
        // SAFETY: it is always callable, and its pointer always valid.
        unsafe { *libc::__errno_location() }
    }

    #[inline(always)]
    fn answer(n: isize) -> u64 {
        match usize::try_from(n) {
            Ok(n) => ready(n),
            Err(_) => match errno() {
                libc::EAGAIN => WOULD_BLOCK,
                errno => failed(errno),
            },
        }
    }

    #[inline(never)]
    pub fn recv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        // SAFETY: the buffer is valid for its length.
        answer(unsafe { libc::recv(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), 0) })
    }

    #[inline(never)]
    pub fn send(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let flags = libc::MSG_NOSIGNAL;
        // SAFETY: the buffer is valid for its length.
        answer(unsafe { libc::send(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len(), flags) })
    }

    #[inline(never)]
    pub fn read(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        // SAFETY: the buffer is valid for its length.
        answer(unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) })
    }

    #[inline(never)]
    pub fn write(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        // SAFETY: the buffer is valid for its length.
        answer(unsafe { libc::write(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len()) })
    }

    #[inline(always)]
    fn two(buf: &mut [u8]) -> [libc::iovec; 2] {
        let (one, two) = buf.split_at_mut(1);
        [one, two].map(|part| libc::iovec {
            iov_base: part.as_mut_ptr().cast(),
            iov_len: part.len(),
        })
    }

    #[inline(never)]
    pub fn readv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let bufs = two(buf);
        // SAFETY: the buffers are valid for their lengths.
        answer(unsafe { libc::readv(fd.as_raw_fd(), bufs.as_ptr(), 2) })
    }

    #[inline(never)]
    pub fn writev(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let bufs = two(buf);
        // SAFETY: the buffers are valid for their lengths.
        answer(unsafe { libc::writev(fd.as_raw_fd(), bufs.as_ptr(), 2) })
    }

    #[inline(never)]
    pub fn recv_from(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let mut address = MaybeUninit::<libc::sockaddr_storage>::uninit();
        let mut length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the buffer is valid for its length, and so is the address.
        let n = unsafe {
            libc::recvfrom(
                fd.as_raw_fd(),
                buf.as_mut_ptr().cast(),
                buf.len(),
                0,
                address.as_mut_ptr().cast(),
                &mut length,
            )
        };
        std::hint::black_box((&address, length));
        answer(n)
    }

    #[inline(never)]
    pub fn send_to(to: &To<OwnedFd, libc::sockaddr_in>, buf: &mut [u8]) -> u64 {
        // SAFETY: the buffer is valid for its length, and so is the address.
        answer(unsafe {
            libc::sendto(
                to.0.as_raw_fd(),
                buf.as_ptr().cast(),
                buf.len(),
                libc::MSG_NOSIGNAL,
                (&raw const to.1).cast(),
                size_of_val(&to.1) as libc::socklen_t,
            )
        })
    }

    #[inline(never)]
    pub fn recv_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let mut bufs = two(buf);
        let mut address = MaybeUninit::<libc::sockaddr_storage>::uninit();
        // SAFETY: all zeroes is a valid msghdr.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = address.as_mut_ptr().cast();
        message.msg_namelen = size_of_val(&address) as libc::socklen_t;
        message.msg_iov = bufs.as_mut_ptr();
        message.msg_iovlen = 2;
        // SAFETY: all that the message points to is valid for its length.
        let n = unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, 0) };
        std::hint::black_box((&address, message.msg_flags));
        answer(n)
    }

    #[inline(never)]
    pub fn send_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
        let mut bufs = two(buf);
        // SAFETY: all zeroes is a valid msghdr.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = bufs.as_mut_ptr();
        message.msg_iovlen = 2;
        // SAFETY: all that the message points to is valid for its length.
        answer(unsafe { libc::sendmsg(fd.as_raw_fd(), &message, libc::MSG_NOSIGNAL) })
    }

    #[inline(never)]
    pub fn accept(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no address is asked for.
        let fd = unsafe { libc::accept4(fd.as_raw_fd(), null_mut(), null_mut(), flags) };
        answer(fd as isize)
    }

    #[inline(never)]
    pub fn connect(to: &To<OwnedFd, libc::sockaddr_in>, _: &mut [u8]) -> u64 {
        let length = size_of_val(&to.1) as libc::socklen_t;
        // SAFETY: the address is valid for its length.
        match unsafe { libc::connect(to.0.as_raw_fd(), (&raw const to.1).cast(), length) } {
            0 => ready(0),
            _ => match errno() {
                libc::EINPROGRESS => WOULD_BLOCK,
                errno => failed(errno),
            },
        }
    }

    #[inline(never)]
    pub fn set_nonblocking(fd: &OwnedFd, _: &mut [u8]) -> u64 {
        let fd = fd.as_raw_fd();
        // SAFETY: it takes no argument.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        if flags < 0 {
            return failed(errno());
        }
        // SAFETY: it takes a number.
        match unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } {
            0 => ready(0),
            _ => failed(errno()),
        }
    }
}
