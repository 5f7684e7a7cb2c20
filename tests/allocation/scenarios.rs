//! Every operation, every wait and the poll sets, each inside of a
//! `without_allocation` that the including test defines.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use wouldblock::{
    AddressFamily, Deadline, Errno, Inline, Interest, Io, ModeGuard, NonBlocking, Op, PollSet,
    Readiness, RecvFlags, Retry, SendFlags, SocketAddrUnix, SocketType, accept, accept_from,
    connect, finish_connect, is_nonblocking, pipe, poll, readv, recv, recv_fds, recv_fds_with,
    recv_from, recv_from_with, recv_msg, recv_with, send_fds, send_msg, send_to, set_nonblocking,
    socket, socketpair, until, writev,
};

use super::without_allocation;

/// Waits without allocating, which `common::wait_for` may do.
#[track_caller]
fn await_one(interest: Interest, fd: impl AsFd) {
    let mut fds = [interest.on(&fd)];
    assert_eq!(poll(&mut fds, Some(Duration::from_secs(20))), Io::Ready(1));
}

const NONE: RecvFlags = RecvFlags::empty();
const SEND: SendFlags = SendFlags::empty();

#[test]
fn bytes_in_and_out_allocate_nothing() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    without_allocation(|| {
        let ours = NonBlocking::new(ours).unwrap();
        let theirs = NonBlocking::new(theirs).unwrap();
        let mut buf = [0; 16];
        let mut raw = [MaybeUninit::uninit(); 16];
        assert_eq!(ours.recv(&mut buf, NONE), Io::WouldBlock);
        assert_eq!(recv_with(&ours, &mut raw, NONE, |_| ()), Io::WouldBlock);
        assert_eq!(
            recv_from_with(&ours, &mut raw, NONE, |_, _| ()),
            Io::WouldBlock
        );
        assert_eq!(ours.read(&mut buf), Io::WouldBlock);
        assert_eq!(theirs.send(b"four", SendFlags::empty()), Io::Ready(4));
        assert_eq!(theirs.write(b"four"), Io::Ready(4));
        assert_eq!(ours.recv(&mut buf[..4], NONE), Io::Ready(4));
        assert_eq!(ours.read(&mut buf), Io::Ready(4));
        while theirs.send(&[0; 4096], SendFlags::empty()).is_ready() {}
        drop(ours);
        assert!(theirs.send(b"?", SendFlags::empty()).is_err());
    });
}

#[test]
fn modes_allocate_nothing() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    without_allocation(|| {
        set_nonblocking(&ours, true).unwrap();
        assert!(is_nonblocking(&ours).unwrap());
        let guard = ModeGuard::new(&ours, false).unwrap();
        guard.into_inner().unwrap();
    });
}

#[test]
fn poll_allocates_nothing() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    without_allocation(|| {
        let mut fds = [Interest::READABLE.on(&ours), Interest::READABLE.on(&theirs)];
        assert_eq!(
            poll(&mut fds, Some(Duration::from_micros(1))),
            Io::WouldBlock
        );
        assert_eq!(poll(&mut [], Some(Duration::ZERO)), Io::WouldBlock);
        assert_eq!(
            until(&ours, Duration::ZERO).ready(Interest::WRITABLE),
            Io::Ready(Readiness::WRITABLE)
        );
    });
}

#[test]
fn waits_allocate_nothing() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    without_allocation(|| {
        let short = || Deadline::after(Duration::from_millis(20));
        assert_eq!(
            until(&ours, short()).ready(Interest::READABLE),
            Io::WouldBlock
        );
        assert_eq!(
            until(&ours, short()).ready(Interest::READABLE),
            Io::WouldBlock
        );
        assert!(until(&ours, short()).ready(Interest::WRITABLE).is_ready());
        let honest = until(&ours, short()).retry(Retry::Recv, |fd| recv(fd, &mut [0; 8], NONE));
        assert_eq!(honest, Io::WouldBlock);
        let liar = until(&ours, short()).retry(Retry::Send, |_| Io::<()>::WouldBlock);
        assert_eq!(liar, Io::WouldBlock);
        let shortage = Io::<()>::Err(Errno::NOBUFS);
        let answer = until(&ours, short()).retry(Retry::Send, |_| shortage);
        assert_eq!(answer, shortage);
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let answer = until(fd, Deadline::after(Duration::from_secs(20))).connect(&address);
        assert_eq!(answer, Io::Ready(()));
    });
}

/// The first time, rustix's own backend looks for the clock in the auxiliary vector,
/// and with its feature `alloc`, which `std` turns on, it allocates for that where the
/// kernel has no `PR_GET_AUXV`: on Linux before 6.4. Once in a process, in
/// `src/backend/linux_raw/param/auxv.rs` of rustix 1.1.6.
pub(crate) fn ask_the_clock() {
    let _ = Deadline::after(Duration::ZERO);
}

/// Registers, waits, and takes everything out again.
fn use_set<S: wouldblock::Storage>(
    set: &mut PollSet<UnixStream, usize, S>,
    sockets: impl IntoIterator<Item = UnixStream>,
) {
    for (i, socket) in sockets.into_iter().enumerate() {
        let key = set.register(socket, Interest::READABLE, i).unwrap();
        set.modify(key, Interest::WRITABLE).unwrap();
        assert_eq!(set.get(key).map(|entry| *entry.data), Some(i));
        let (at, _) = set.get_mut(key).unwrap();
        let fd = at.fd().as_raw_fd();
        assert_eq!(
            set.iter_mut()
                .filter(|(_, other, _)| other.fd().as_raw_fd() == fd)
                .count(),
            1
        );
    }
    for _ in 0..3 {
        select_all(set);
    }
    for (_, data) in set.drain() {
        assert!(data < 100);
    }
}

fn select_all<S: wouldblock::Storage>(set: &mut PollSet<UnixStream, usize, S>) {
    assert_eq!(set.select(Deadline::never()), Io::Ready(set.len()));
    while let Some((key, _)) = set.next_ready() {
        assert_eq!(set.iter().filter(|entry| entry.key == key).count(), 1);
    }
    assert_eq!(set.select(Deadline::never()), Io::Ready(set.len()));
}

#[test]
fn inline_poll_sets_allocate_nothing() {
    let pairs = [(); 40].map(|()| UnixStream::pair().unwrap());
    without_allocation(|| {
        let mut set: PollSet<_, _, Inline<80>> = PollSet::new();
        for _ in 0..2 {
            let copies = pairs.iter().map(|(ours, _)| ours.try_clone().unwrap());
            use_set(&mut set, copies);
        }
        let mut full: PollSet<_, _, Inline<1>> = PollSet::new();
        let [(one, other), ..] = &pairs;
        assert!(full.register(one, Interest::READABLE, ()).is_ok());
        assert!(full.key_of(one).is_some());
        assert!(full.register(other, Interest::READABLE, ()).is_err());
        assert!(
            full.select(Deadline::after(Duration::ZERO))
                .is_would_block()
        );
    });
}

#[cfg(feature = "alloc")]
#[test]
fn growable_poll_sets_allocate_nothing_for_a_wait_but_the_first() {
    let mut set: PollSet<_, _, wouldblock::Growable> = PollSet::new();
    let mut sockets = Vec::new();
    for _ in 0..50 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        sockets.extend([ours, theirs]);
    }
    let more = sockets.split_off(80);
    for (i, socket) in sockets.into_iter().enumerate() {
        set.register(socket, Interest::WRITABLE, i).unwrap();
    }
    select_all(&mut set);
    without_allocation(|| (0..3).for_each(|_| select_all(&mut set)));
    // Nor for what takes the places of others.
    without_allocation(|| {
        let keys = set.iter().map(|entry| entry.key).take(20);
        let mut gone = [None; 20];
        gone.iter_mut()
            .zip(keys)
            .for_each(|(place, key)| *place = Some(key));
        for key in gone {
            set.unregister(key.unwrap()).unwrap();
        }
        use_set(&mut set, more);
    });
}

#[test]
fn conversions_allocate_nothing() {
    without_allocation(|| {
        #[cfg(feature = "std")]
        for answer in [
            Io::<usize>::WouldBlock,
            Io::Err(Errno::AGAIN),
            Io::Err(Errno::PIPE),
        ] {
            assert!(answer.into_io_result().is_err());
        }
        assert_eq!(
            Io::from_result(Op::Recv, Err::<usize, _>(Errno::AGAIN)),
            Io::WouldBlock
        );
    });
}

#[test]
fn connections_allocate_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&listener, true).unwrap();
    let address = listener.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let name = SocketAddrUnix::new(directory.path().join("nobody")).unwrap();
    let _clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
    without_allocation(|| {
        await_one(Interest::READABLE, &listener);
        assert!(accept(&listener).is_ready());
        await_one(Interest::READABLE, &listener);
        let (accepted, _) = accept_from(&listener).ready().unwrap();
        assert!(accept(&listener).is_would_block());
        assert!(accept(&accepted).is_err());

        let ours = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let mut answer = connect(&ours, &address);
        while answer.is_would_block() {
            await_one(Interest::WRITABLE, &ours);
            answer = finish_connect(&ours);
        }
        assert_eq!(answer, Io::Ready(()));
        let ours = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        assert!(connect(&ours, &name).is_err());
        assert!(!finish_connect(&ours).is_ready());
        assert!(socket(AddressFamily::from_raw(250), SocketType::STREAM, None).is_err());
    });
}

#[test]
fn messages_allocate_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let name = SocketAddrUnix::new(directory.path().join("socket")).unwrap();
    without_allocation(|| {
        let ours = socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
        rustix::net::bind(&ours, &name).unwrap();
        let ours = NonBlocking::new(ours).unwrap();
        let theirs = socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
        let theirs = NonBlocking::new(theirs).unwrap();
        let mut buf = [0; 16];
        assert!(recv_from(&ours, &mut buf, NONE).is_would_block());
        assert_eq!(send_to(&theirs, b"four", SEND, &name), Io::Ready(4));
        assert!(recv_from(&ours, &mut buf, NONE).is_ready());
        assert_eq!(send_to(&theirs, b"again", SEND, &name), Io::Ready(5));
        let into = &mut [IoSliceMut::new(&mut buf)];
        assert!(recv_msg(&ours, into, NONE).is_ready());
        assert!(recv_msg(&ours, into, NONE).is_would_block());
        while send_to(&theirs, b"four", SEND, &name).is_ready() {}
    });
    let udp: SocketAddr = "127.0.0.1:0".parse().unwrap();
    without_allocation(|| {
        let ours = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        rustix::net::bind(&ours, &udp).unwrap();
        let address = rustix::net::getsockname(&ours).unwrap();
        let ours = NonBlocking::new(ours).unwrap();
        assert_eq!(send_to(&ours, b"four", SEND, &address), Io::Ready(4));
        await_one(Interest::READABLE, &ours);
        let (n, sender) = recv_from(&ours, &mut [0; 8], NONE).ready().unwrap();
        assert!(n == 4 && sender.is_some());
    });
}

#[test]
fn descriptors_in_messages_allocate_nothing() {
    without_allocation(|| {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let (ours, theirs) = (
            NonBlocking::new(ours).unwrap(),
            NonBlocking::new(theirs).unwrap(),
        );
        let from = [IoSlice::new(b"!")];
        let mut buf = [0; 1];
        let into = &mut [IoSliceMut::new(&mut buf)];
        let mut room = [const { None }; 253];
        let many = [ours.as_fd(); 254];
        assert!(recv_fds(&ours, into, &mut room, NONE).is_would_block());
        assert_eq!(
            send_fds(&theirs, &from, many.into_iter().take(253), SEND),
            Io::Ready(1)
        );
        let message = recv_fds(&ours, into, &mut room, NONE).ready().unwrap();
        assert_eq!(message.descriptors, 253);
        assert_eq!(
            send_fds(&theirs, &from, [ours.as_fd(); 2], SEND),
            Io::Ready(1)
        );
        let message = recv_fds(&ours, into, &mut room[..1], NONE).ready().unwrap();
        assert!(message.descriptors == 1 && message.descriptors_lost);
        assert_eq!(
            send_fds(&theirs, &from, [ours.as_fd(); 9], SEND),
            Io::Ready(1)
        );
        let mut places = room.iter_mut();
        let keep = |fd| drop(places.next().map(|place| place.replace(fd)));
        let message = recv_fds_with(&ours, into, NONE, keep).ready().unwrap();
        assert_eq!(message.descriptors, 9);
        assert!(send_fds(&theirs, &from, many, SEND).is_err());
    });
}

#[test]
fn several_buffers_allocate_nothing() {
    let large = [7; 4096];
    // More than one call takes.
    let many = [IoSlice::new(&large); 1500];
    without_allocation(|| {
        let (reader, writer) = pipe().unwrap();
        let (reader, writer) = (
            NonBlocking::new(reader).unwrap(),
            NonBlocking::new(writer).unwrap(),
        );
        let mut buf = [0; 16];
        let into = &mut [IoSliceMut::new(&mut buf)];
        let from = [IoSlice::new(b"head"), IoSlice::new(b"body")];
        assert_eq!(readv(&reader, into), Io::WouldBlock);
        assert_eq!(writev(&writer, &from), Io::Ready(8));
        assert_eq!(writer.write_all(&mut &b"more"[..]), Io::Ready(()));
        assert_eq!(readv(&reader, into), Io::Ready(12));
        while writev(&writer, &many).is_ready() {}
        assert_eq!(writer.write_all(&mut &large[..]), Io::WouldBlock);

        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let ours = NonBlocking::new(ours).unwrap();
        assert_eq!(send_msg(&ours, &from, SEND), Io::Ready(8));
        assert_eq!(ours.send_all(&mut &b"more"[..], SEND), Io::Ready(()));
        while send_msg(&ours, &many, SEND).is_ready() {}
        assert_eq!(ours.send_all(&mut &large[..], SEND), Io::WouldBlock);
        drop(theirs);
        assert!(send_msg(&ours, &many, SEND).is_err());
    });
}
