//! `socket`, `socketpair` and `pipe`: descriptors that are non-blocking and
//! close-on-exec from birth.

use rustix::fd::OwnedFd;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{self, AddressFamily, Protocol, SocketFlags, SocketType};
use rustix::pipe;

use crate::ops::mode::set_nonblocking;
#[cfg(not(wouldblock_has = "so_nosigpipe"))]
use crate::platform::errnos::REFUSED;
use crate::platform::{HOST, Platform};

/// `socket(family, kind, protocol)`—Makes a socket that is non-blocking and
/// close-on-exec.
///
/// Where `SO_NOSIGPIPE` exists (macOS, FreeBSD, NetBSD, DragonFly), it is set,
/// so that even `write` does not raise SIGPIPE.
///
/// Where the system takes no flags here (macOS, AIX, Haiku, QNX, Redox,
/// Fuchsia; [`Platform::socket_flags`]), they are set afterwards: a thread that
/// forks and executes in between can leak the descriptor into its child.
///
/// `Err` is the system's errno, unchanged: EMFILE and ENFILE when descriptors have run
/// out, ENOBUFS and ENOMEM when memory has, others for a kind that the system lacks.
///
/// # Examples
///
/// ```
/// use wouldblock::{AddressFamily, SocketType, is_nonblocking, socket};
///
/// let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
/// assert!(is_nonblocking(&fd)?);
/// # Ok::<(), wouldblock::Errno>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/socket.html),
/// [Linux](https://man7.org/linux/man-pages/man2/socket.2.html)
pub fn socket(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
) -> Result<OwnedFd, Errno> {
    socket_by(family, kind, protocol, HOST)
}

fn socket_by(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
    platform: &Platform,
) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::from_bits_retain(platform.socket_flags);
    let fd = net::socket_with(family, kind, flags, protocol)?;
    prepare_socket(&fd, platform.socket_flags, platform)?;
    Ok(fd)
}

/// `socketpair(family, kind, protocol)`—Makes two connected sockets, both
/// non-blocking and close-on-exec.
///
/// Like [`socket()`] in everything else.
///
/// # Examples
///
/// ```
/// use wouldblock::{AddressFamily, Io, SendFlags, SocketType, send, socketpair};
///
/// let (ours, _theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None)?;
/// assert_eq!(send(&ours, b"hello", SendFlags::empty()), Io::Ready(5));
/// # Ok::<(), wouldblock::Errno>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/socketpair.html)
pub fn socketpair(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
) -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair_by(family, kind, protocol, HOST)
}

fn socketpair_by(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
    platform: &Platform,
) -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SocketFlags::from_bits_retain(platform.socket_flags);
    let (one, other) = net::socketpair(family, kind, flags, protocol)?;
    prepare_socket(&one, platform.socket_flags, platform)?;
    prepare_socket(&other, platform.socket_flags, platform)?;
    Ok((one, other))
}

/// `pipe()`—Makes a pipe, both of whose ends are non-blocking and close-on-exec:
/// first the end to read from, then the end to write to.
///
/// Where there is no `pipe2` (macOS, AIX, Haiku, QNX), the flags are set
/// afterwards, as for [`socket()`]. `Err` is the system's errno: EMFILE and ENFILE when
/// descriptors have run out.
///
/// # Examples
///
/// ```
/// use wouldblock::{Io, pipe, read, write};
///
/// let (reader, writer) = pipe()?;
/// assert_eq!(read(&reader, &mut [0; 8]), Io::WouldBlock);
/// assert_eq!(write(&writer, b"hello"), Io::Ready(5));
/// # Ok::<(), wouldblock::Errno>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/pipe.html)
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe_by(HOST)
}

fn pipe_by(platform: &Platform) -> Result<(OwnedFd, OwnedFd), Errno> {
    if platform.pipe_flags != 0 {
        return pipe_with(platform.pipe_flags);
    }
    let (reader, writer) = pipe::pipe()?;
    prepare(&reader)?;
    prepare(&writer)?;
    Ok((reader, writer))
}

/// Makes a new socket what this crate promises of one. `flags` are those that
/// the system was given when it made it.
///
/// Nothing depends on `SO_NOSIGPIPE`: an accepted socket has its listener's, and `send`
/// passes a flag of its own. macOS refuses it, as every option, on a connection whose
/// client has closed, and what that client wrote is still to be read.
#[inline]
pub(super) fn prepare_socket(fd: &OwnedFd, flags: u32, platform: &Platform) -> Result<(), Errno> {
    if flags == 0 {
        prepare(fd)?;
    }
    if platform.so_nosigpipe {
        let _ = set_nosigpipe(fd);
    }
    Ok(())
}

fn prepare(fd: &OwnedFd) -> Result<(), Errno> {
    fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    set_nonblocking(fd, true)
}

#[cfg(wouldblock_has = "so_nosigpipe")]
fn set_nosigpipe(fd: &OwnedFd) -> Result<(), Errno> {
    net::sockopt::set_socket_nosigpipe(fd, true)
}

/// rustix has no such function here. A test that asks for it is refused, as a dead
/// connection is on macOS.
#[cfg(not(wouldblock_has = "so_nosigpipe"))]
fn set_nosigpipe(_fd: &OwnedFd) -> Result<(), Errno> {
    Err(REFUSED)
}

#[cfg(wouldblock_has = "pipe_flags")]
fn pipe_with(flags: u32) -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe::pipe_with(pipe::PipeFlags::from_bits_retain(flags))
}

/// rustix may have no such function here.
#[cfg(not(wouldblock_has = "pipe_flags"))]
fn pipe_with(_flags: u32) -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe::pipe()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::mode::is_nonblocking;
    use rustix::io::fcntl_getfd;

    #[track_caller]
    fn assert_prepared(fd: &OwnedFd) {
        assert_eq!(is_nonblocking(fd), Ok(true));
        assert_eq!(fcntl_getfd(fd), Ok(FdFlags::CLOEXEC));
    }

    /// The host's table, and the host's as a system without the flags would have it.
    fn both_ways() -> [Platform; 2] {
        let mut without = *HOST;
        without.socket_flags = 0;
        without.pipe_flags = 0;
        without.so_nosigpipe = true;
        [*HOST, without]
    }

    #[test]
    fn socket_with_and_without_flags_is_prepared() {
        for platform in both_ways() {
            let fd = socket_by(AddressFamily::INET, SocketType::STREAM, None, &platform);
            assert_prepared(&fd.unwrap());
        }
    }

    #[test]
    fn socketpair_with_and_without_flags_is_prepared() {
        for platform in both_ways() {
            let pair = socketpair_by(AddressFamily::UNIX, SocketType::STREAM, None, &platform);
            let (one, other) = pair.unwrap();
            assert_prepared(&one);
            assert_prepared(&other);
        }
    }

    #[test]
    fn pipe_with_and_without_flags_is_prepared() {
        for platform in both_ways() {
            let (reader, writer) = pipe_by(&platform).unwrap();
            assert_prepared(&reader);
            assert_prepared(&writer);
        }
    }
}
