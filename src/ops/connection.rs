//! `accept`, `connect` and what ends a connect.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrAny, SocketFlags};

use super::address::{Address, PeerAddress};
use super::creation::prepare_socket;
use super::poll::ready;
use super::{TRIES, retry_interrupted};
use crate::mapping::classify::{Op, Outcome, classify};
use crate::mapping::io::Io;
use crate::mapping::readiness::Interest;
use crate::ops::descriptor::Descriptor;
use crate::ops::mode::NonBlocking;
use crate::platform::errnos::NOT_CONNECTED;
use crate::platform::{HOST, Platform};

/// `accept(fd)`—Takes a connection off a listener's queue without waiting.
///
/// - `Ready(fd)`: the connection. It is non-blocking and close-on-exec on every
///   system, whatever the listener is, and has `SO_NOSIGPIPE` set where that
///   exists and the system lets it be.
/// - `WouldBlock`: nothing is queued. Wait for
///   [`Interest::READABLE`].
/// - `Err`: by [`Op::Accept`]`.outcome(errno)`:
///   - [`Outcome::BackOff`] for EMFILE, ENFILE, ENOBUFS and ENOMEM: the
///     connection stays queued (macOS drops it) and the listener stays ready, so
///     a loop that polls it spins. Stop polling the listener, close something or
///     pause, and call again.
///   - [`Outcome::TryNext`] after 16 connections in a row that had died in the
///     queue: call again, after a pause. Fewer are passed over in silence, since a
///     dead connection is no failure of the listener. OpenBSD and DragonFly answer so
///     for ever once the listener was shut down.
///   - [`Outcome::Failed`] otherwise: this is no listener, or one no more. Or it is
///     the trouble of one connection, which some systems report here (Linux's
///     accept(2) lists EPERM, ENOSR, ETIMEDOUT and more), so a server says it,
///     pauses, and goes on.
///
/// The listener must be in non-blocking mode; this function does not change it.
/// `Err(EINTR)` is the end of sixteen interruptions running.
///
/// # A loop that neither spins nor gives up
///
/// In a [`PollSet`](crate::PollSet) it is three lines, when the listener is handed out.
/// `At` answers only an error of the listener as `Err`, so a lack of descriptors does
/// not end a server:
///
/// ```
/// # use wouldblock::{Interest, Io, OwnedFd, PollSet};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # listener.set_nonblocking(true)?;
/// # let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
/// # let mut set: PollSet<OwnedFd, &str> = PollSet::new();
/// # set.register(listener.into(), Interest::READABLE, "the listener")?;
/// # set.select(None).into_io_result()?;
/// while let Some((key, _)) = set.next_ready() {
/// #   let Some((mut at, _)) = set.get_mut(key) else { continue };
///     // … it is the listener:
///     match at.accept() {
///         Io::Ready(fd) => drop(set.register(fd, Interest::READABLE, "a client")?),
///         Io::WouldBlock => {} // if descriptors are short, the set tries again after a rest
///         Io::Err(errno) => return Err(errno.into()),
///     }
/// }
/// # assert_eq!(set.len(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Where nothing else is waited for, [`until()`](crate::until()) waits, and rests, too:
///
/// ```
/// use wouldblock::until;
/// # use wouldblock::OwnedFd;
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # listener.set_nonblocking(true)?;
/// # let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
/// # fn serve(_: OwnedFd) {}
///
/// // `None` is no deadline, so it is never would-block.
/// while let Some(fd) = until(&listener, None).accept().into_result()? {
///     serve(fd);
/// #   break;
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// By hand:
///
/// ```
/// use std::time::Duration;
/// use wouldblock::{Interest, Io, Op, Outcome, accept, poll};
/// # use wouldblock::{Errno, OwnedFd, set_nonblocking};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # set_nonblocking(&listener, true)?;
/// # let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
/// # fn serve(_: OwnedFd) {}
///
/// let mut pause = None;
/// loop {
///     // During a pause the listener is left out.
///     let mut fds = [Interest::READABLE.on(&listener)];
///     let watched = if pause.is_some() { &mut fds[..0] } else { &mut fds[..] };
///     match poll(watched, pause.take()) {
///         Io::Ready(_) | Io::WouldBlock => {}
///         Io::Err(errno) => match Op::Poll.outcome(errno) {
///             Outcome::Interrupted => {}
///             Outcome::BackOff => std::thread::sleep(Duration::from_millis(10)),
///             _ => return Err(errno.into()),
///         },
///     }
///     loop {
///         match accept(&listener) {
///             Io::Ready(fd) => serve(fd),
///             Io::WouldBlock => break,
///             // No descriptor left, dead connections alone, or an errno that nobody
///             // thought of: no end of the server, and no reason to call at once.
///             Io::Err(errno) => {
///                 eprintln!("accept: {errno}");
///                 pause = Some(Duration::from_millis(100));
///                 break;
///             }
///         }
///     }
/// #   break;
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A listener that was shut down is would-block for ever on NetBSD, and polls as readable:
/// this loop spins there, and the two before rest.
///
/// # Platform notes
///
/// | system | difference |
/// |---|---|
/// | macOS, AIX, Haiku, QNX, Redox, Cygwin, Fuchsia | no usable `accept4`: mode and close-on-exec are set afterwards, so a thread that forks and executes in between can leak the descriptor |
/// | Linux, macOS | a connection that was reset in the queue is still `Ready`; its first `recv` reports ECONNRESET |
/// | the BSDs, illumos | it is taken off the queue, and the next one tried |
/// | Linux | so are network errors that the new connection has pending |
/// | Linux | after `shutdown` of the listener, `Err(EINVAL)`; it polls as hung up, not as readable |
/// | macOS, illumos | `shutdown` of a listener fails, and changes nothing |
/// | FreeBSD | after `shutdown` of the listener, one ECONNABORTED, which is passed over, and then `WouldBlock` |
/// | NetBSD | after it, `WouldBlock` for ever, and the listener polls as readable |
/// | OpenBSD, DragonFly | after it, ECONNABORTED for ever; OpenBSD's polls as readable |
/// | Emscripten | on WebSockets an empty queue is `Err(EINVAL)` |
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/accept.html),
/// [Linux](https://man7.org/linux/man-pages/man2/accept.2.html)
#[inline]
pub fn accept<Fd: Descriptor>(fd: Fd) -> Io<OwnedFd> {
    let fd = fd.as_fd();
    accept_by(HOST, |fd| fd, |flags| net::accept_with(fd, flags))
}

/// Like [`accept`], with the peer's address.
///
/// There is none for an unnamed `AF_UNIX` peer on some systems (Linux gives one with an
/// empty name).
///
/// ```
/// use wouldblock::{Io, accept_from, set_nonblocking};
/// # use std::net::{SocketAddr, TcpListener, TcpStream};
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # set_nonblocking(&listener, true)?;
/// # let client = TcpStream::connect(listener.local_addr()?)?;
/// if let Io::Ready((fd, Some(peer))) = accept_from(&listener) {
///     assert_eq!(SocketAddr::try_from(peer)?, client.local_addr()?);
///     let stream = TcpStream::from(fd);
/// # drop(stream);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn accept_from<Fd: Descriptor>(fd: Fd) -> Io<(OwnedFd, Option<PeerAddress>)> {
    let fd = fd.as_fd();
    let answer = accept_by(HOST, |(fd, _)| fd, |flags| net::acceptfrom_with(fd, flags));
    answer.map(|(fd, peer)| (fd, peer.map(|any| PeerAddress { any })))
}

/// Accepts by `call`, which is given the flags, on the rules of `platform`.
#[inline]
fn accept_by<T>(
    platform: &Platform,
    fd_of: impl Fn(&T) -> &OwnedFd,
    mut call: impl FnMut(SocketFlags) -> Result<T, Errno>,
) -> Io<T> {
    let mut tries = 0;
    loop {
        let errno = match call(SocketFlags::from_bits_retain(platform.accept_flags)) {
            Ok(accepted) => {
                let fd = fd_of(&accepted);
                return match prepare_socket(fd, platform.accept_flags, platform) {
                    Ok(()) => Io::Ready(accepted),
                    Err(errno) => Io::Err(errno),
                };
            }
            Err(errno) => errno,
        };
        match classify(Op::Accept, errno.raw_os_error(), platform) {
            Outcome::WouldBlock => return Io::WouldBlock,
            Outcome::Interrupted | Outcome::TryNext => tries += 1,
            _ => return Io::Err(errno),
        }
        if tries == TRIES {
            return Io::Err(errno);
        }
    }
}

/// `connect(fd, address)`—Starts a connection without waiting for it.
///
/// - `Ready(())`: connected, at once (usual for `AF_UNIX`); there is nothing to
///   finish. On a datagram socket: the peer is set. Under TCP Fast Open
///   (`TCP_FASTOPEN_CONNECT`): nothing was sent yet, and the first
///   [`send()`](crate::send()) starts the attempt.
/// - `WouldBlock`: the attempt is under way. Wait for
///   [`Interest::WRITABLE`], then call [`finish_connect`];
///   never `connect` a second time.
/// - `Err`: nothing is under way. [`Op::Connect`] or [`Op::ConnectUnix`]
///   `.outcome(errno)` is [`Outcome::BackOff`] if something ran out for which no
///   event tells when there is more: a local port, memory, room in the backlog.
///
/// A connect that a signal interrupts goes on, and is `WouldBlock`; on Linux an
/// `AF_UNIX` one does not, and is made again here. The descriptor must be in
/// non-blocking mode; this function does not change it.
///
/// # Platform notes
///
/// What a full `AF_UNIX` backlog answers:
///
/// | system | answer | outcome |
/// |---|---|---|
/// | Linux | EAGAIN; the socket polls as writable and hung up, `SO_ERROR` is 0 | `BackOff` |
/// | macOS, FreeBSD, NetBSD, OpenBSD, DragonFly | ECONNREFUSED, as if nobody listened | `Failed` |
/// | Haiku | ENOBUFS | `BackOff` |
/// | illumos | ECONNREFUSED | `Failed` |
///
/// EISCONN is `Failed`: the socket may be connected to another peer.
///
/// After an attempt that failed, take a new socket: on macOS the old one answers
/// ECONNREFUSED, then EINVAL.
///
/// What it answers when no local port is free:
///
/// | system | answer | outcome |
/// |---|---|---|
/// | Linux, OpenBSD, DragonFly | EADDRNOTAVAIL; Linux's datagram socket EAGAIN | `Failed`; `BackOff` |
/// | macOS | EADDRNOTAVAIL; over IPv6 EAGAIN | `Failed`; `BackOff` |
/// | FreeBSD | EADDRNOTAVAIL; EAGAIN where a port clashes | `Failed`; `BackOff` |
/// | NetBSD | EAGAIN | `BackOff` |
///
/// EADDRNOTAVAIL may also mean that the address is not there, and the number does not
/// tell: call again after a pause, a few times.
///
/// A TCP socket can connect to itself: to a port of this machine where nobody listens, if
/// the system chooses that very port for the socket. It is `Ready`, and receives what it
/// sends. Where that can happen, compare `getsockname` with `getpeername`.
///
/// # Examples
///
/// [`Until::connect`](crate::Until::connect) does all of it within a time:
///
/// ```
/// use std::time::Duration;
/// use wouldblock::{AddressFamily, Io, SocketType, socket, until};
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
/// let answer = until(&fd, Duration::from_secs(10)).connect(&listener.local_addr()?);
/// assert_eq!(answer, Io::Ready(()));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// By hand, with whatever waits:
///
/// ```
/// use std::time::Duration;
/// use wouldblock::{AddressFamily, Deadline, Interest, Io, SocketType};
/// use wouldblock::{connect, finish_connect, socket, until};
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
/// let deadline = Deadline::after(Duration::from_secs(10));
/// let mut answer = connect(&fd, &listener.local_addr()?);
/// while answer.is_would_block() {
///     until(&fd, deadline).ready(Interest::WRITABLE).or_timed_out()?;
///     answer = finish_connect(&fd);
/// }
/// assert_eq!(answer, Io::Ready(()));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/connect.html),
/// [Linux](https://man7.org/linux/man-pages/man2/connect.2.html)
#[inline]
pub fn connect<Fd: Descriptor>(fd: Fd, address: &(impl Address + ?Sized)) -> Io<()> {
    let fd = fd.as_fd();
    let op = op_of_connect(address);
    let answer = retry_interrupted(op, fd, address, move |fd, address| {
        address
            .with_rustix(|address| net::connect(fd, address))
            .map(|()| 0)
    });
    match answer {
        Io::Ready(_) if HOST.connects_early => finish_connect(fd),
        answer => answer.map(drop),
    }
}

#[inline]
pub(crate) fn op_of_connect(address: &(impl Address + ?Sized)) -> Op {
    if address.family() == AddressFamily::UNIX {
        Op::ConnectUnix
    } else {
        Op::Connect
    }
}

/// Returns the state of a connection attempt, without waiting.
///
/// - `Ready(())`: connected.
/// - `WouldBlock`: still under way. Wait for [`Interest::WRITABLE`].
/// - `Err`: the attempt failed, for this reason. The system reports a reason
///   once; asked again, this answers `ENOTCONN`.
///
/// It may be called any number of times, before or after the wait, and judges by
/// the socket, not by how it polled: some systems report a failed attempt as
/// writable alone, others as hung up alone. On a socket that was never
/// connected it answers `ENOTCONN` on Linux, and `WouldBlock` on the BSDs,
/// which do not report such a socket as ready; on a listener, which is never
/// writable, it is `WouldBlock` everywhere. After a [`connect`] that was `Ready` there
/// is nothing to ask; TCP Fast Open's is `ENOTCONN` until the first `send`.
///
/// A peer's name proves a connection of IP and `AF_UNIX`, and is asked for first. Some
/// families name a peer to which they are still connecting (Bluetooth, NFC); there
/// readiness and `SO_ERROR` decide, so that a connected socket without room for more
/// is `WouldBlock`, too.
///
/// # References
///
/// [POSIX, connect](https://pubs.opengroup.org/onlinepubs/9799919799/functions/connect.html);
/// the peer's name, not `SO_ERROR` alone, decides, because Linux has `SO_ERROR` 0
/// for a connection in progress and for one whose error has been taken.
#[inline]
pub fn finish_connect<Fd: Descriptor>(fd: Fd) -> Io<()> {
    finish_connect_by(fd.as_fd(), HOST)
}

#[inline]
fn finish_connect_by(fd: BorrowedFd<'_>, platform: &Platform) -> Io<()> {
    let unnamed = match net::getpeername(fd) {
        Ok(peer) if !platform.connects_early && proves_a_connection(peer.as_ref()) => {
            return Io::Ready(());
        }
        Ok(_) => NOT_CONNECTED,
        Err(errno) => errno,
    };
    match ready(fd, Interest::WRITABLE) {
        Io::Ready(_) => {}
        // Any other reason than a missing peer, such as that this is no socket,
        // will not go away by waiting.
        Io::WouldBlock if unnamed != NOT_CONNECTED => return Io::Err(unnamed),
        Io::WouldBlock => return Io::WouldBlock,
        Io::Err(errno) => return Io::Err(errno),
    }
    if let Ok(Err(reason)) | Err(reason) = net::sockopt::socket_error(fd) {
        return Io::Err(reason);
    }
    // It may have been established between the first question and the last.
    match net::getpeername(fd) {
        Ok(_) => Io::Ready(()),
        Err(_) => Io::Err(NOT_CONNECTED),
    }
}

/// Whether this peer can only be one to which a connection stands. rustix knows none
/// where an `AF_UNIX` peer has no name.
fn proves_a_connection(peer: Option<&SocketAddrAny>) -> bool {
    use AddressFamily as Family;
    peer.is_none_or(|peer| {
        matches!(
            peer.address_family(),
            Family::INET | Family::INET6 | Family::UNIX
        )
    })
}

/// The operations of connections as methods; see the functions of the same names.
impl<F: AsFd> NonBlocking<F> {
    /// See [`accept()`]. The connection is in non-blocking mode from birth, so
    /// wrapping it costs nothing.
    #[inline]
    pub fn accept(&self) -> Io<NonBlocking<OwnedFd>> {
        accept(self).map(NonBlocking::already)
    }

    /// See [`accept_from()`].
    #[inline]
    pub fn accept_from(&self) -> Io<(NonBlocking<OwnedFd>, Option<PeerAddress>)> {
        accept_from(self).map(|(fd, address)| (NonBlocking::already(fd), address))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::ops::creation::socketpair;
    use crate::ops::mode::{is_nonblocking, set_nonblocking};
    use crate::ops::poll::poll;
    use crate::ops::stream::{read, write};
    use core::time::Duration;
    use rustix::io::{FdFlags, fcntl_getfd};
    use rustix::net::SocketType;
    use std::net::{TcpListener, TcpStream};

    fn accept_of(mut error: impl FnMut() -> Errno) -> Io<OwnedFd> {
        accept_by(HOST, |fd| fd, |_| Err(error()))
    }

    fn any_fd() -> OwnedFd {
        crate::ops::creation::pipe().unwrap().0
    }

    #[test]
    fn accept_without_accept4_sets_the_mode_and_close_on_exec() {
        let mut platform = *HOST;
        platform.accept_flags = 0;
        platform.so_nosigpipe = true;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&listener, true).unwrap();
        let call = |flags| net::acceptfrom_with(&listener, flags);
        let accept = || accept_by(&platform, |(fd, _)| fd, call);
        assert!(accept().is_would_block());
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (fd, peer) = accept().ready().unwrap();
        assert_eq!(is_nonblocking(&fd), Ok(true));
        assert_eq!(fcntl_getfd(&fd), Ok(FdFlags::CLOEXEC));
        let peer = core::net::SocketAddr::try_from(peer.unwrap()).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }

    #[test]
    fn accept_of_a_dead_connection_takes_the_next() {
        let mut answers = [
            Err(Errno::CONNABORTED),
            Err(Errno::PROTO),
            Ok((any_fd(), 7)),
        ];
        let mut answers = answers
            .iter_mut()
            .map(|slot| core::mem::replace(slot, Err(Errno::IO)));
        let answer = accept_by(HOST, |(fd, _)| fd, |_| answers.next().unwrap());
        assert_eq!(answer.ready().unwrap().1, 7);
    }

    #[test]
    fn accept_of_dead_connections_alone_ends_and_says_so() {
        let mut calls = 0;
        let answer = accept_of(|| {
            calls += 1;
            Errno::CONNABORTED
        });
        assert_eq!(answer.err(), Some(Errno::CONNABORTED));
        assert_eq!(Op::Accept.outcome(Errno::CONNABORTED), Outcome::TryNext);
        assert_eq!(calls, TRIES);
    }

    /// macOS and an `AF_UNIX` client that has written and closed. `set_nosigpipe` fails
    /// here as it does there.
    #[test]
    #[cfg(not(wouldblock_has = "so_nosigpipe"))]
    fn accept_of_a_connection_that_refuses_an_option_delivers_it() {
        use std::io::Write;
        let mut platform = *HOST;
        platform.so_nosigpipe = true;
        for accept_flags in [HOST.accept_flags, 0] {
            platform.accept_flags = accept_flags;
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"all there is").unwrap();
            drop(client);
            let call = |flags| net::accept_with(&listener, flags);
            let fd = accept_by(&platform, |fd| fd, call).ready().unwrap();
            assert_eq!(is_nonblocking(&fd), Ok(true));
            // The handshake may be over before the data comes.
            let came = poll(
                &mut [Interest::READABLE.on(&fd)],
                Some(Duration::from_secs(20)),
            );
            assert_eq!(came, Io::Ready(1));
            let mut buf = [0; 16];
            let received = read(&fd, &mut buf);
            assert_eq!(
                (received, &buf[..12]),
                (Io::Ready(12), &b"all there is"[..])
            );
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn accept_of_a_connection_that_refuses_its_mode_says_why() {
        use rustix::fs::{Mode, OFlags, open};
        let mut platform = *HOST;
        platform.accept_flags = 0;
        let mut calls = 0;
        let call = |_| {
            calls += 1;
            // Such a descriptor has no mode to set.
            open("/", OFlags::PATH, Mode::empty())
        };
        let answer = accept_by(&platform, |fd| fd, call);
        assert_eq!((answer.err(), calls), (Some(Errno::BADF), 1));
    }

    #[test]
    fn accept_without_a_descriptor_fails_at_once() {
        let answer = accept_of(|| Errno::MFILE);
        assert_eq!(answer.err(), Some(Errno::MFILE));
    }

    /// Emscripten: the peer has a name, and readiness tells.
    #[test]
    fn finish_connect_where_connections_have_a_name_early_goes_by_readiness() {
        let mut early = *HOST;
        early.connects_early = true;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        assert_eq!(finish_connect_by(ours.as_fd(), &early), Io::Ready(()));
        while write(&ours, &[0; 4096]).is_ready() {}
        assert_eq!(finish_connect_by(ours.as_fd(), &early), Io::WouldBlock);
        assert_eq!(finish_connect_by(ours.as_fd(), HOST), Io::Ready(()));
        while read(&theirs, &mut [0; 4096]).is_ready() {}
        assert_eq!(finish_connect_by(ours.as_fd(), &early), Io::Ready(()));
    }

    #[test]
    fn accept_interrupted_calls_again() {
        let mut first = true;
        let answer = accept_of(|| match core::mem::take(&mut first) {
            true => Errno::INTR,
            false => Errno::AGAIN,
        });
        assert!(answer.is_would_block());
    }
}
