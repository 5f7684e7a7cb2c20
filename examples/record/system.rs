//! What not every system has: every condition on the target stands here. A function that
//! records nothing is for a system without it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{SocketFlags, accept_with, socketpair};
use wouldblock::platform::HOST;

use crate::calls::nonblocking;
use crate::recorder::Recorder;

/// A pipe that is non-blocking from birth.
#[cfg(wouldblock_has = "pipe_flags")]
pub(crate) fn nonblocking_pipe(r: &mut Recorder) -> Option<(OwnedFd, OwnedFd)> {
    use rustix::pipe::{PipeFlags, pipe_with};
    r.call("mode", "create2_nonblock", "", || {
        pipe_with(PipeFlags::NONBLOCK)
    })
}

#[cfg(not(wouldblock_has = "pipe_flags"))]
pub(crate) fn nonblocking_pipe(_: &mut Recorder) -> Option<(OwnedFd, OwnedFd)> {
    None
}

/// A pair that is non-blocking from birth.
pub(crate) fn nonblocking_pair(r: &mut Recorder) -> io::Result<()> {
    if HOST.socket_flags == 0 {
        return Ok(());
    }
    let (family, kind) = (rustix::net::AddressFamily::UNIX, r.socket_type());
    let flags = SocketFlags::from_bits_retain(HOST.socket_flags);
    let pair = r.call("mode", "socketpair_nonblock", "", || {
        socketpair(family, kind, flags, None)
    });
    if let Some((one, other)) = pair {
        r.mode("socketpair_nonblock", &[&one, &other])?;
    }
    Ok(())
}

/// `accept4` with no flags, which is not `accept`.
pub(crate) fn accept4(r: &mut Recorder, listener: impl AsFd) -> io::Result<()> {
    // Without the system's own accept4, rustix calls accept.
    if HOST.accept_flags != 0 {
        let accepted = accept_with(listener, SocketFlags::empty())?;
        let on = u8::from(nonblocking(accepted)?);
        r.note("mode", "accept4_0.nonblock", format_args!("nb={on}"));
    }
    Ok(())
}

/// `SO_NOSIGPIPE`; `None` where there is no such option.
#[cfg(wouldblock_has = "so_nosigpipe")]
pub(crate) fn set_no_sigpipe(fd: impl AsFd) -> Option<rustix::io::Result<()>> {
    Some(rustix::net::sockopt::set_socket_nosigpipe(fd, true))
}

#[cfg(not(wouldblock_has = "so_nosigpipe"))]
pub(crate) fn set_no_sigpipe(_: impl AsFd) -> Option<rustix::io::Result<()>> {
    None
}

#[cfg(wouldblock_has = "so_nosigpipe")]
pub(crate) fn no_sigpipe(fd: impl AsFd) -> rustix::io::Result<u8> {
    rustix::net::sockopt::socket_nosigpipe(fd).map(u8::from)
}

#[cfg(not(wouldblock_has = "so_nosigpipe"))]
pub(crate) fn no_sigpipe(_: impl AsFd) -> rustix::io::Result<u8> {
    Err(rustix::io::Errno::NOPROTOOPT)
}

/// A pipe whose writer asked not to be killed.
#[cfg(target_vendor = "apple")]
pub(crate) fn pipe_without_sigpipe(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = crate::pipe::pipe()?;
    r.setup("f_setnosigpipe", || crate::lacking::set_no_sigpipe(&writer));
    drop(reader);
    r.write("rclosed.write_f_setnosigpipe", "", &writer, 1);
    Ok(())
}

#[cfg(not(target_vendor = "apple"))]
pub(crate) fn pipe_without_sigpipe(_: &mut Recorder) -> io::Result<()> {
    Ok(())
}

/// Modes of a descriptor that is neither a socket nor a pipe.
#[cfg(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
))]
pub(crate) fn kqueue(r: &mut Recorder) -> io::Result<()> {
    use rustix::event::kqueue::kqueue;
    use rustix::fs::{OFlags, fcntl_setfl};

    if let Some(queue) = r.call("mode", "create", "", kqueue) {
        r.call("mode", "setfl_nonblock", "", || {
            fcntl_setfl(&queue, OFlags::NONBLOCK)
        });
        r.mode("getfl", &[&queue])?;
        r.call("mode", "fionbio", "", || {
            rustix::io::ioctl_fionbio(&queue, false)
        });
        r.mode("fionbio.getfl", &[&queue])?;
    }
    Ok(())
}

#[cfg(not(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
)))]
pub(crate) fn kqueue(_: &mut Recorder) -> io::Result<()> {
    Ok(())
}

/// Gives up what a privileged process may do beyond its limits.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn become_nobody() -> rustix::io::Result<()> {
    use rustix::process::{Uid, getuid};
    const NOBODY: u32 = 65_534;
    if getuid().is_root() {
        // This process has no other thread.
        rustix::thread::set_thread_uid(Uid::from_raw(NOBODY))?;
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it may fail")]
pub(crate) fn become_nobody() -> rustix::io::Result<()> {
    Ok(())
}
