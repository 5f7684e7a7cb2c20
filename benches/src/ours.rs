//! The rounds of this crate.

use std::hint::black_box;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::{SocketAddrAny, SocketAddrUnix, SocketAddrV4};
use wouldblock::{Deadline, Growable, Interest, Io, Key, PollSet, RecvFlags, SendFlags};

use std::cell::{Cell, RefCell};

use crate::{To, WOULD_BLOCK, failed, ready};

macro_rules! answer {
    ($call:expr, $value:pat => $ready:expr) => {
        match $call {
            Io::Ready($value) => $ready,
            Io::WouldBlock => WOULD_BLOCK,
            Io::Err(errno) => failed(errno.raw_os_error()),
        }
    };
}

#[inline(never)]
pub fn recv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    answer!(wouldblock::recv(fd, buf, RecvFlags::empty()), n => ready(n))
}

#[inline(never)]
pub fn until_recv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    // The clock of rustix does not work in valgrind.
    let until = wouldblock::until(fd, Deadline::never());
    answer!(until.recv(buf, RecvFlags::empty()), n => ready(n))
}

/// One that is not ready when it is first asked for: another descriptor is.
pub struct Late {
    pub empty: OwnedFd,
    pub full: OwnedFd,
    pub is_asked: Cell<bool>,
}

impl AsFd for Late {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.is_asked.replace(true) {
            false => self.empty.as_fd(),
            true => self.full.as_fd(),
        }
    }
}

#[inline(never)]
pub fn until_recv_late(fd: &&Late, buf: &mut [u8]) -> u64 {
    let until = wouldblock::until(*fd, Deadline::never());
    answer!(until.recv(buf, RecvFlags::empty()), n => ready(n))
}

#[inline(never)]
pub fn entry_recv_late((set, key): &(RefCell<PollSet<&Late, usize>>, Key), buf: &mut [u8]) -> u64 {
    let mut set = set.borrow_mut();
    loop {
        let Some((mut at, _)) = set.get_mut(*key) else {
            return WOULD_BLOCK;
        };
        match at.recv(buf, RecvFlags::empty()) {
            Io::Ready(n) => return ready(n),
            Io::WouldBlock => {}
            Io::Err(errno) => return failed(errno.raw_os_error()),
        }
        if let Io::Err(errno) = set.select(Deadline::never()) {
            return failed(errno.raw_os_error());
        }
        let _ = std::hint::black_box(set.next_ready());
    }
}

/// A registered descriptor.
pub type Registered = (RefCell<PollSet<OwnedFd, usize>>, Key);

#[inline(never)]
pub fn entry_recv((set, key): &Registered, buf: &mut [u8]) -> u64 {
    let mut set = set.borrow_mut();
    let Some((mut at, _)) = set.get_mut(*key) else {
        return WOULD_BLOCK;
    };
    answer!(at.recv(buf, RecvFlags::empty()), n => ready(n))
}

#[inline(never)]
pub fn send(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    answer!(wouldblock::send(fd, buf, SendFlags::empty()), n => ready(n))
}

#[inline(never)]
pub fn read(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    answer!(wouldblock::read(fd, buf), n => ready(n))
}

#[inline(never)]
pub fn write(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    answer!(wouldblock::write(fd, buf), n => ready(n))
}

#[inline(never)]
pub fn readv(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    let (one, two) = buf.split_at_mut(1);
    let mut bufs = [IoSliceMut::new(one), IoSliceMut::new(two)];
    answer!(wouldblock::readv(fd, &mut bufs), n => ready(n))
}

#[inline(never)]
pub fn writev(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    let (one, two) = buf.split_at(1);
    let bufs = [IoSlice::new(one), IoSlice::new(two)];
    answer!(wouldblock::writev(fd, &bufs), n => ready(n))
}

#[inline(never)]
pub fn recv_from(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    answer!(wouldblock::recv_from(fd, buf, RecvFlags::empty()), (n, address) => {
        std::hint::black_box(&address);
        ready(n)
    })
}

#[inline(never)]
pub fn recv_from_with(fd: &OwnedFd, _: &mut [u8]) -> u64 {
    let mut buf = [MaybeUninit::uninit(); 64 * 1024];
    let answer = wouldblock::recv_from_with(fd, &mut buf, RecvFlags::empty(), |bytes, address| {
        black_box(&address);
        ready(black_box(bytes).len())
    });
    answer!(answer, n => n)
}

#[inline(never)]
pub fn send_to(to: &To<OwnedFd, SocketAddrV4>, buf: &mut [u8]) -> u64 {
    answer!(wouldblock::send_to(to.0, buf, SendFlags::empty(), &to.1), n => ready(n))
}

#[inline(never)]
pub fn recv_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    let (one, two) = buf.split_at_mut(1);
    let mut bufs = [IoSliceMut::new(one), IoSliceMut::new(two)];
    answer!(wouldblock::recv_msg(fd, &mut bufs, RecvFlags::empty()), message => {
        std::hint::black_box(&message.address);
        std::hint::black_box((message.truncated, message.descriptors_lost));
        ready(message.bytes)
    })
}

#[inline(never)]
pub fn recv_fds_with(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    let mut bufs = [IoSliceMut::new(buf)];
    let answer = wouldblock::recv_fds_with(fd, &mut bufs, RecvFlags::empty(), |fd| {
        drop(black_box(fd));
    });
    answer!(answer, message => {
        black_box(&message.address);
        black_box((message.truncated, message.descriptors_lost));
        ready(message.bytes)
    })
}

#[inline(never)]
pub fn send_fds((fd, fds): &(OwnedFd, Vec<OwnedFd>), buf: &mut [u8]) -> u64 {
    let bufs = [IoSlice::new(buf)];
    let fds = fds.iter().map(AsFd::as_fd);
    answer!(wouldblock::send_fds(fd, &bufs, fds, SendFlags::empty()), n => ready(n))
}

#[inline(never)]
pub fn send_msg(fd: &OwnedFd, buf: &mut [u8]) -> u64 {
    let (one, two) = buf.split_at(1);
    let bufs = [IoSlice::new(one), IoSlice::new(two)];
    answer!(wouldblock::send_msg(fd, &bufs, SendFlags::empty()), n => ready(n))
}

#[inline(never)]
pub fn accept(fd: &OwnedFd, _: &mut [u8]) -> u64 {
    answer!(wouldblock::accept(fd), fd => ready(fd.into_raw_fd() as usize))
}

#[inline(never)]
pub fn connect(to: &To<OwnedFd, SocketAddrV4>, _: &mut [u8]) -> u64 {
    answer!(wouldblock::connect(to.0, &to.1), () => ready(0))
}

#[inline(never)]
pub fn connect_unix(to: &To<OwnedFd, SocketAddrUnix>, _: &mut [u8]) -> u64 {
    answer!(wouldblock::connect(to.0, &to.1), () => ready(0))
}

#[inline(never)]
pub fn connect_any(to: &To<OwnedFd, SocketAddrAny>, _: &mut [u8]) -> u64 {
    answer!(wouldblock::connect(to.0, &to.1), () => ready(0))
}

#[inline(never)]
pub fn finish_connect(fd: &OwnedFd, _: &mut [u8]) -> u64 {
    answer!(wouldblock::finish_connect(fd), () => ready(0))
}

#[inline(never)]
pub fn poll(wait: &To<OwnedFd, Duration>, _: &mut [u8]) -> u64 {
    let mut fds = [Interest::READABLE.on(wait.0)];
    answer!(wouldblock::poll(&mut fds, Some(wait.1)), n => ready(n))
}

#[inline(never)]
pub fn poll_for_ever(fd: &OwnedFd, _: &mut [u8]) -> u64 {
    let mut fds = [Interest::READABLE.on(fd)];
    answer!(wouldblock::poll(&mut fds, None), n => ready(n))
}

#[inline(never)]
pub fn set_nonblocking(fd: &OwnedFd, _: &mut [u8]) -> u64 {
    match wouldblock::set_nonblocking(fd, true) {
        Ok(()) => ready(0),
        Err(errno) => failed(errno.raw_os_error()),
    }
}

/// All of a set: one is ready, and is asked for.
#[inline(never)]
pub fn poll_set(set: &RefCell<PollSet<OwnedFd, usize, Growable>>, _: &mut [u8]) -> u64 {
    let mut set = set.borrow_mut();
    match set.select(Deadline::never()) {
        Io::Ready(_) => {}
        Io::WouldBlock => return WOULD_BLOCK,
        Io::Err(errno) => return failed(errno.raw_os_error()),
    }
    let mut found = 0;
    while let Some((key, readiness)) = set.next_ready() {
        if readiness.is_readable() {
            found += set.get(key).map_or(0, |entry| *entry.data);
        }
    }
    ready(found)
}
