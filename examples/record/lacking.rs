//! What rustix lacks, by way of libc. All that is unsafe in this example is here.

#![allow(
    unsafe_code,
    reason = "signals, some socket options, a name for a terminal, a closed descriptor, and as \
              many buffers as are asked for have no safe interface here"
)]

use std::ffi::{CStr, CString, c_int};
use std::io::{Error, IoSlice, IoSliceMut};
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, Result};

/// Set by SIGPIPE.
pub(crate) static BROKEN_PIPE: AtomicBool = AtomicBool::new(false);

/// Handles SIGPIPE, and SIGUSR1 as a signal that ends system calls: both without
/// `SA_RESTART`, so that a call that can say EINTR does.
pub(crate) fn handle_signals() -> Result<()> {
    extern "C" fn handler(signal: c_int) {
        if signal == libc::SIGPIPE {
            BROKEN_PIPE.store(true, Ordering::Relaxed);
        }
    }
    for signal in [libc::SIGPIPE, libc::SIGUSR1] {
        // SAFETY: all zeroes are no flags and an empty mask; the handler stores into an
        // atomic and does nothing else.
        let answer = unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = handler as *const () as usize;
            libc::sigaction(signal, &raw const action, null_mut())
        };
        count(answer as isize)?;
    }
    Ok(())
}

fn count(answer: isize) -> Result<usize> {
    usize::try_from(answer)
        .map_err(|_negative| Errno::from_io_error(&Error::last_os_error()).unwrap_or(Errno::IO))
}

/// A descriptor that was closed a moment ago.
pub(crate) fn closed(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: this process has one thread, so nobody has opened another of this number;
    // it is handed to calls for which a closed descriptor is an error.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// `setsockopt` of an int.
pub(crate) fn set_option(fd: impl AsFd, level: c_int, name: c_int, value: c_int) -> Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the value is an int, and its size is given.
    let answer = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), 4) };
    count(answer as isize).map(drop)
}

/// `getsockopt` of an int.
pub(crate) fn option(fd: impl AsFd, level: c_int, name: c_int) -> Result<c_int> {
    let fd = fd.as_fd().as_raw_fd();
    let (mut value, mut size) = (0, 4);
    // SAFETY: there is room for an int, and its size is given.
    let answer =
        unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut size) };
    count(answer as isize).map(|_| value)
}

/// `writev` of all these buffers; rustix passes on no more than the system is said to
/// take.
pub(crate) fn writev(fd: impl AsFd, bufs: &[IoSlice<'_>]) -> Result<usize> {
    let n = c_int::try_from(bufs.len()).map_err(|_too_many| Errno::INVAL)?;
    // SAFETY: IoSlice is promised to have the layout of iovec.
    count(unsafe { libc::writev(fd.as_fd().as_raw_fd(), bufs.as_ptr().cast(), n) })
}

/// `readv`, likewise.
pub(crate) fn readv(fd: impl AsFd, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
    let n = c_int::try_from(bufs.len()).map_err(|_too_many| Errno::INVAL)?;
    // SAFETY: IoSliceMut is promised to have the layout of iovec, and is ours alone.
    count(unsafe { libc::readv(fd.as_fd().as_raw_fd(), bufs.as_mut_ptr().cast(), n) })
}

/// The name of the terminal behind a master.
pub(crate) fn terminal_name(master: impl AsFd) -> Result<CString> {
    // SAFETY: ptsname gives a string that it keeps until it is called again, or null.
    let name = unsafe {
        let name = libc::ptsname(master.as_fd().as_raw_fd());
        (!name.is_null()).then(|| CStr::from_ptr(name).to_owned())
    };
    name.ok_or(Errno::NOTTY)
}

/// `fcntl(F_SETNOSIGPIPE)`, which macOS has.
#[cfg(target_vendor = "apple")]
pub(crate) fn set_no_sigpipe(fd: impl AsFd) -> Result<()> {
    // SAFETY: the argument is an int.
    let answer = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETNOSIGPIPE, 1) };
    count(answer as isize).map(drop)
}

/// Sends `data` with a control message that names no interface and no address, which
/// changes nothing but how much is sent.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn send_with_packet_info(fd: impl AsFd, data: &[u8]) -> Result<usize> {
    /// Aligned as a control message has to be.
    #[repr(align(8))]
    struct Control([u8; 64]);

    let mut control = Control([0; 64]);
    let mut iov = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    let size = u32::try_from(size_of::<libc::in_pktinfo>()).map_err(|_long| Errno::INVAL)?;
    // SAFETY: the first message lies in `control`, which is longer than CMSG_SPACE of an
    // in_pktinfo; sendmsg only reads `data`.
    unsafe {
        let mut message: libc::msghdr = zeroed();
        (message.msg_iov, message.msg_iovlen) = (&raw mut iov, 1);
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        (*header).cmsg_level = libc::IPPROTO_IP;
        (*header).cmsg_type = libc::IP_PKTINFO;
        count(libc::sendmsg(fd.as_fd().as_raw_fd(), &raw const message, 0))
    }
}
