//! A peer's address, whatever the peer has bound: nothing that can be done with it
//! panics.

#![cfg(feature = "std")]

mod common;

use std::mem::offset_of;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as StdUnix, UnixDatagram};
use std::path::{Path, PathBuf};

use rustix::net::{bind, connect, listen};
use wouldblock::{
    AddressFamily, Errno, Io, IoSliceMut, PeerAddress, RecvFlags, SendFlags, SocketAddrAny,
    SocketAddrUnix, SocketType, accept_from, recv_from, recv_msg, send_to, set_nonblocking, socket,
};

use common::{habits::habits, wait_for, wait_to_read};

/// What an address has room for.
const PLACE: usize = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path);

/// The longest path that can be bound, and is told in full.
fn longest() -> usize {
    PLACE - usize::from(!habits().names_need_no_terminator)
}

/// A path of so many bytes, which nobody has bound.
fn path_of(dir: &Path, length: usize) -> PathBuf {
    let room = length
        .checked_sub(dir.as_os_str().len() + 1)
        .expect("a short TMPDIR");
    dir.join("n".repeat(room))
}

/// What a receiver is told of a datagram's sender that is bound to this name.
fn seen_by_a_receiver(name: &SocketAddrUnix) -> PeerAddress {
    let (dir, ours) = receiver();
    let theirs = socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
    bind(&theirs, name).unwrap();
    let to = SocketAddrUnix::new(dir.path().join("r")).unwrap();
    assert_eq!(
        send_to(&theirs, b"!", SendFlags::empty(), &to),
        Io::Ready(1)
    );
    let (n, peer) = recv_from(&ours, &mut [0; 8], RecvFlags::empty())
        .ready()
        .unwrap();
    assert_eq!(n, 1);
    peer.unwrap()
}

fn receiver() -> (tempfile::TempDir, UnixDatagram) {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let ours = UnixDatagram::bind(dir.path().join("r")).unwrap();
    set_nonblocking(&ours, true).unwrap();
    (dir, ours)
}

/// Everything that a program may do with an address that it was given.
fn use_it(peer: &PeerAddress) -> (String, Result<SocketAddrUnix, Errno>) {
    let copy = || peer.clone();
    assert_eq!(peer, &copy());
    assert_eq!(peer.cmp(&copy()), std::cmp::Ordering::Equal);
    assert_eq!(SocketAddr::try_from(copy()), Err(Errno::AFNOSUPPORT));
    let _ = StdUnix::try_from(copy());
    assert_eq!(
        SocketAddrAny::from(copy()).address_family(),
        AddressFamily::UNIX
    );
    (format!("{peer:?}"), SocketAddrUnix::try_from(copy()))
}

#[test]
fn peer_address_of_a_path_of_every_length_is_told_in_full() {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    for length in (dir.path().as_os_str().len() + 2..=longest()).rev() {
        let path = path_of(dir.path(), length);
        let peer = seen_by_a_receiver(&SocketAddrUnix::new(path.as_path()).unwrap());
        let (debug, unix) = use_it(&peer);
        assert_eq!(debug, format!("unix:{}", path.display()), "{length}");
        // rustix 1.1.6 leaves the terminator in if one byte less is used.
        let told = unix.as_ref().unwrap().path_bytes().unwrap();
        let told = told.strip_suffix(b"\0").unwrap_or(told);
        assert_eq!(told, path.as_os_str().as_bytes(), "{length}");
        let std = StdUnix::try_from(peer);
        // std's own type wants a terminator.
        match length {
            PLACE => assert!(std.is_err()),
            _ => assert_eq!(std.unwrap().as_pathname(), Some(path.as_path())),
        }
    }
}

#[test]
#[cfg(wouldblock_has = "abstract_names")]
fn peer_address_of_an_abstract_name_of_every_length_is_told_in_full() {
    use std::os::linux::net::SocketAddrExt;
    for length in 1..=107 {
        // Not text, and a 0 within.
        let mut name = vec![0xff; length];
        name[length / 2] = 0;
        name.splice(
            ..length.min(4),
            std::process::id()
                .to_ne_bytes()
                .into_iter()
                .take(length.min(4)),
        );
        let bound = SocketAddrUnix::new_abstract_name(&name).unwrap();
        let peer = seen_by_a_receiver(&bound);
        let (debug, unix) = use_it(&peer);
        assert_eq!(debug, format!("unix:@{}", name.escape_ascii()));
        assert_eq!(unix.unwrap().abstract_name(), Some(&name[..]));
        let std = StdUnix::try_from(peer).unwrap();
        assert_eq!(std.as_abstract_name(), Some(&name[..]));
    }
}

/// Nothing behind the 0 is a name, too, of which there is one.
#[test]
#[cfg(wouldblock_has = "abstract_names")]
fn peer_address_of_the_empty_abstract_name_is_not_unnamed() {
    use std::os::linux::net::SocketAddrExt;
    let empty = SocketAddrUnix::new_abstract_name(b"").unwrap();
    let free = socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
    if bind(&free, &empty) == Err(Errno::ADDRINUSE) {
        println!("skipped: somebody else has the name");
        return;
    }
    drop(free);
    let peer = seen_by_a_receiver(&empty);
    let (debug, unix) = use_it(&peer);
    assert_eq!(debug, "unix:@");
    assert_eq!(unix.unwrap().abstract_name(), Some(&b""[..]));
    let std = StdUnix::try_from(peer).unwrap();
    assert_eq!(std.as_abstract_name(), Some(&b""[..]));
}

#[test]
fn peer_address_of_a_message_is_the_same_and_shows_itself() {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let path = path_of(dir.path(), longest());
    let (receivers, ours) = receiver();
    let theirs = socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
    bind(&theirs, &SocketAddrUnix::new(path.as_path()).unwrap()).unwrap();
    let to = SocketAddrUnix::new(receivers.path().join("r")).unwrap();
    assert_eq!(
        send_to(&theirs, b"!", SendFlags::empty(), &to),
        Io::Ready(1)
    );
    let mut byte = [0];
    let bufs = &mut [IoSliceMut::new(&mut byte)];
    let message = recv_msg(&ours, bufs, RecvFlags::empty()).ready().unwrap();
    assert!(format!("{message:?}").contains(path.to_str().unwrap()));
    // And it can be answered.
    let peer = message.address.unwrap();
    assert_eq!(
        send_to(&ours, b"yes", SendFlags::empty(), &peer),
        Io::Ready(3)
    );
    assert!(wait_for(&theirs, wouldblock::Interest::READABLE).is_readable());
}

#[test]
fn peer_address_of_an_accepted_client_with_a_full_name_does_not_panic() {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let path = path_of(dir.path(), longest());
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let at = SocketAddrUnix::new(dir.path().join("l")).unwrap();
    bind(&listener, &at).unwrap();
    listen(&listener, 1).unwrap();
    let client = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&client, &SocketAddrUnix::new(path.as_path()).unwrap()).unwrap();
    connect(&client, &at).unwrap();
    let (_fd, peer) = accept_from(&listener).ready().unwrap();
    assert_eq!(use_it(&peer.unwrap()).0, format!("unix:{}", path.display()));
}

#[test]
fn peer_address_of_an_unnamed_peer_says_so() {
    let (_dir, ours) = receiver();
    let theirs = socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
    let to = ours.local_addr().unwrap();
    // std's own address type, too.
    assert_eq!(
        send_to(&theirs, b"!", SendFlags::empty(), &to),
        Io::Ready(1)
    );
    let (_, peer) = recv_from(&ours, &mut [0; 8], RecvFlags::empty())
        .ready()
        .unwrap();
    if let Some(peer) = peer {
        assert_eq!(use_it(&peer).0, "unix:(unnamed)");
    }
}

#[test]
fn peer_address_of_an_ip_peer_is_stds() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(ours) = UdpSocket::bind(address) else {
            println!("skipped: no {address} on this machine");
            continue;
        };
        set_nonblocking(&ours, true).unwrap();
        let theirs = UdpSocket::bind(address).unwrap();
        theirs.send_to(b"!", ours.local_addr().unwrap()).unwrap();
        assert!(wait_for(ours.as_fd(), wouldblock::Interest::READABLE).is_readable());
        let (_, peer) = recv_from(&ours, &mut [0; 8], RecvFlags::empty())
            .ready()
            .unwrap();
        let peer = peer.unwrap();
        let sender = theirs.local_addr().unwrap();
        assert_eq!(format!("{peer:?}"), sender.to_string());
        assert_eq!(SocketAddr::try_from(peer.clone()), Ok(sender));
        assert!(matches!(
            SocketAddrUnix::try_from(peer.clone()),
            Err(Errno::AFNOSUPPORT)
        ));
        assert!(StdUnix::try_from(peer.clone()).is_err());
        assert_eq!(
            send_to(&ours, b"yes", SendFlags::empty(), &peer),
            Io::Ready(3)
        );
    }
}

#[test]
fn accept_from_of_an_ip_client_gives_stds_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&listener, true).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    wait_to_read(&listener);
    let (_fd, peer) = accept_from(&listener).ready().unwrap();
    assert_eq!(
        SocketAddr::try_from(peer.unwrap()),
        Ok(client.local_addr().unwrap())
    );
}
