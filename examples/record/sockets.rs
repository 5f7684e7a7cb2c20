//! Sockets in the states that several groups begin with.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, connect, getpeername,
    getsockname, listen, socket, socketpair, sockopt,
};

use crate::calls::{set_nonblocking, settle};

/// A connected pair of `AF_UNIX` sockets, both non-blocking.
pub(crate) fn pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = blocking_pair(kind)?;
    set_nonblocking(&one, true)?;
    set_nonblocking(&other, true)?;
    Ok((one, other))
}

pub(crate) fn blocking_pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        kind,
        SocketFlags::empty(),
        None,
    )?)
}

/// A non-blocking socket.
pub(crate) fn new(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    let fd = socket(family, kind, None)?;
    set_nonblocking(&fd, true)?;
    Ok(fd)
}

pub(crate) fn tcp() -> io::Result<OwnedFd> {
    new(AddressFamily::INET, SocketType::STREAM)
}

pub(crate) fn unix() -> io::Result<OwnedFd> {
    new(AddressFamily::UNIX, SocketType::STREAM)
}

/// Loopback, with a port of the system's choice.
pub(crate) const ANY: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

pub(crate) fn address(fd: impl AsFd) -> io::Result<SocketAddr> {
    Ok(getsockname(fd)?.try_into()?)
}

/// A blocking TCP listener.
pub(crate) fn listener(backlog: i32) -> io::Result<(OwnedFd, SocketAddr)> {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&fd, &ANY)?;
    listen(&fd, backlog)?;
    let address = address(&fd)?;
    Ok((fd, address))
}

/// A name in this process's own directory.
pub(crate) fn named(name: &str) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new(name)?)
}

/// A blocking `AF_UNIX` listener.
pub(crate) fn unix_listener(name: &str, backlog: i32) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    let address = named(name)?;
    bind(&fd, &address)?;
    listen(&fd, backlog)?;
    Ok((fd, address))
}

/// An address where nobody listens.
pub(crate) fn nobody(kind: SocketType) -> io::Result<SocketAddr> {
    let fd = socket(AddressFamily::INET, kind, None)?;
    bind(&fd, &ANY)?;
    let address = address(&fd)?;
    drop(fd);
    settle();
    Ok(address)
}

/// A TCP connection, both ends non-blocking: the client's, and the accepted one.
pub(crate) fn connection() -> io::Result<(OwnedFd, OwnedFd)> {
    let (listener, address) = listener(8)?;
    let client = tcp()?;
    start(&client, &address)?;
    wait_for(&listener, PollFlags::IN)?;
    let server = accept(&listener)?;
    set_nonblocking(&server, true)?;
    wait_for(&client, PollFlags::OUT)?;
    drop(listener);
    settle();
    Ok((client, server))
}

/// Begins to connect; that it is not done at once is no failure.
pub(crate) fn start(fd: impl AsFd, address: &SocketAddr) -> io::Result<()> {
    match connect(fd, address) {
        Err(rustix::io::Errno::INPROGRESS) => Ok(()),
        other => Ok(other?),
    }
}

/// Makes the end of the connection a reset.
pub(crate) fn reset(fd: OwnedFd) -> io::Result<()> {
    sockopt::set_socket_linger(&fd, Some(Duration::ZERO))?;
    drop(fd);
    settle();
    Ok(())
}

/// Waits for what comes in a moment on a system that is in order.
pub(crate) fn wait_for(fd: impl AsFd, events: PollFlags) -> io::Result<()> {
    const SOON: Timespec = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    match poll(&mut [PollFd::new(&fd, events)], Some(&SOON))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

/// What poll says without a wait.
pub(crate) fn says(fd: impl AsFd, events: PollFlags) -> io::Result<bool> {
    says_within(fd, events, 0)
}

fn says_within(fd: impl AsFd, events: PollFlags, tv_nsec: i64) -> io::Result<bool> {
    #[allow(
        clippy::useless_conversion,
        reason = "it is not 64 bits wide everywhere"
    )]
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: tv_nsec.try_into().unwrap_or_default(),
    };
    Ok(poll(&mut [PollFd::new(&fd, events)], Some(&time))? != 0)
}

/// A listener that is full, what fills it, and its address. `None` if it takes them all.
#[allow(clippy::type_complexity, reason = "there is no better name for it")]
pub(crate) fn full_listener() -> io::Result<Option<(OwnedFd, Vec<OwnedFd>, SocketAddr)>> {
    let (listener, address) = listener(0)?;
    let mut queued = Vec::new();
    while queued.len() < 64 {
        let client = tcp()?;
        start(&client, &address)?;
        // Long enough for a handshake over loopback.
        if !says_within(&client, PollFlags::OUT, 200_000_000)? {
            return Ok(Some((listener, queued, address)));
        }
        queued.push(client);
    }
    Ok(None)
}

/// Whether a connect is under way: neither connected nor refused.
pub(crate) fn is_connecting(fd: impl AsFd) -> io::Result<bool> {
    Ok(getpeername(&fd).is_err() && !says(fd, PollFlags::OUT)?)
}
