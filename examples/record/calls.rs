//! The calls as the scenarios make them, without a row: on so many bytes, which mean
//! nothing.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Result;
use rustix::net::{RecvFlags, SendFlags};

/// What is written.
static DATA: [u8; 4 << 20] = [0; 4 << 20];

/// The first bytes of the data, which mean nothing.
pub(crate) fn data(n: usize) -> &'static [u8] {
    &DATA[..n.min(DATA.len())]
}

/// Lets time pass, for what the system does by itself: a network of two ends on one
/// machine, most of all.
pub(crate) fn settle() {
    thread::sleep(Duration::from_millis(30));
}

pub(crate) fn read(fd: impl AsFd, n: usize) -> Result<usize> {
    rustix::io::read(fd, &mut vec![0; n][..])
}

pub(crate) fn write(fd: impl AsFd, n: usize) -> Result<usize> {
    rustix::io::write(fd, data(n))
}

pub(crate) fn recv(fd: impl AsFd, n: usize, flags: RecvFlags) -> Result<usize> {
    rustix::net::recv(fd, &mut vec![0; n][..], flags).map(|(n, _)| n)
}

pub(crate) fn send(fd: impl AsFd, n: usize, flags: SendFlags) -> Result<usize> {
    rustix::net::send(fd, data(n), flags)
}

/// Makes the call until it fails, and says nothing about it.
pub(crate) fn all(mut call: impl FnMut() -> Result<usize>) {
    for _ in 0..10_000_000 {
        if matches!(call(), Err(_) | Ok(0)) {
            return;
        }
    }
}

/// Sends until there is no room for one byte more.
pub(crate) fn fill(fd: impl AsFd) {
    for n in [1024, 1] {
        all(|| send(&fd, n, SendFlags::empty()));
    }
}

/// The same by `write`.
pub(crate) fn fill_by_write(fd: impl AsFd) {
    for n in [4096, 1] {
        all(|| write(&fd, n));
    }
}

pub(crate) fn nonblocking(fd: impl AsFd) -> Result<bool> {
    let flags = fcntl_getfl(fd)?;
    Ok(flags.contains(OFlags::NONBLOCK))
}

pub(crate) fn set_nonblocking(fd: impl AsFd, on: bool) -> Result<()> {
    let mut flags = fcntl_getfl(&fd)?;
    flags.set(OFlags::NONBLOCK, on);
    fcntl_setfl(fd, flags)
}
