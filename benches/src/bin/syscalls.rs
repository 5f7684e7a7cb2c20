//! Does one task after another, each between two marks that strace sees: a write
//! to descriptor -1 of `begin task<tab>who` and of `end`. `ci/check bench syscalls` counts
//! what lies between. `syscalls.py` does the same for Python.

use std::future::poll_fn;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mio::{Events, Interest as MioInterest, Poll, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wouldblock::{Deadline, Growable, Interest, Io, PollSet, RecvFlags, SendFlags, until};

const MODE: &str = "make a descriptor non-blocking";
const ACCEPT: &str = "accept a connection ready for use";
const READ: &str = "read when data is there";
const WAIT: &str = "read that must wait: wait, then read";
const TRY: &str = "read that must wait, for 10 s at most: try, wait, read";
const OUT: &str = "read that times out";
const WRITE: &str = "write that fits";
const FIRST: &str = "wait for one of 64, the first time";
const AGAIN: &str = "wait for one of 64, again";
const ENTRY: &str = "wait for one of 64, and read it";

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(20);

fn mark(text: &str) {
    // SAFETY: the text is valid for its length; the descriptor never is.
    unsafe { libc::write(-1, text.as_ptr().cast(), text.len()) };
}

/// What `work` returns lives on beyond the second mark.
fn task<T>(task: &str, who: &str, work: impl FnOnce() -> T) {
    let begin = format!("begin {task}\t{who}");
    mark(&begin);
    let kept = work();
    mark("end");
    drop(black_box(kept));
}

fn pair(nonblocking: bool) -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(nonblocking).unwrap();
    (one, other)
}

/// Writes a byte in a while, from another thread, which is not counted.
fn later(mut peer: UnixStream) {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        peer.write_all(b"!").unwrap();
        // The socket is closed after the count.
        std::thread::sleep(Duration::from_millis(50));
    });
}

/// Started before the mark, since starting a thread takes calls.
fn waiting(how: &str, who: &str, nonblocking: bool, work: impl FnOnce(&mut UnixStream)) {
    let (mut ours, theirs) = pair(nonblocking);
    later(theirs);
    task(how, who, || work(&mut ours));
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn many() -> (Vec<UnixStream>, Vec<UnixStream>) {
    let pairs: (Vec<_>, Vec<_>) = (0..64).map(|_| pair(true)).unzip();
    (&pairs.1[40]).write_all(b"!").unwrap();
    pairs
}

fn ours() {
    let who = "wouldblock";
    let (one, other) = pair(false);
    task(MODE, who, || {
        wouldblock::set_nonblocking(&one, true).unwrap()
    });
    let (listening, address) = listener();
    let _client = TcpStream::connect(address).unwrap();
    task(ACCEPT, who, || {
        wouldblock::accept(&listening).ready().unwrap()
    });
    (&other).write_all(b"!").unwrap();
    let mut buf = [0; 8];
    task(READ, who, || {
        assert_eq!(
            wouldblock::recv(&one, &mut buf, RecvFlags::empty()),
            Io::Ready(1)
        );
    });
    task(WRITE, who, || {
        assert_eq!(
            wouldblock::send(&one, b"!", SendFlags::empty()),
            Io::Ready(1)
        );
    });
    waiting(WAIT, who, true, |socket| {
        let wait = until(&*socket, None).ready(Interest::READABLE);
        assert!(wait.is_ready());
        let answer = wouldblock::recv(&*socket, &mut [0; 8], RecvFlags::empty());
        assert_eq!(answer, Io::Ready(1));
    });
    waiting(TRY, who, true, |socket| {
        let answer = until(&*socket, LONG).recv(&mut [0; 8], RecvFlags::empty());
        assert_eq!(answer, Io::Ready(1));
    });
    let (quiet, _peer) = pair(true);
    task(OUT, who, || {
        let answer = until(&quiet, SHORT).recv(&mut [0; 8], RecvFlags::empty());
        assert_eq!(answer, Io::WouldBlock);
    });
    let (sockets, _peers) = many();
    let mut set = PollSet::<_, _, Growable>::new();
    task(FIRST, who, || {
        for (i, socket) in sockets.iter().enumerate() {
            set.register(socket, Interest::READABLE, i).unwrap();
        }
        assert_eq!(set.select(Deadline::never()), Io::Ready(1));
    });
    task(AGAIN, who, || {
        assert_eq!(set.select(Deadline::never()), Io::Ready(1))
    });
    task(ENTRY, who, || {
        assert_eq!(set.select(LONG), Io::Ready(1));
        let (key, _) = set.next_ready().unwrap();
        let (mut entry, _) = set.get_mut(key).unwrap();
        let answer = entry.recv(&mut [0; 8], RecvFlags::empty());
        assert_eq!(answer, Io::Ready(1));
    });
}

fn std_() {
    let who = "std";
    let (mut one, other) = pair(false);
    task(MODE, who, || one.set_nonblocking(true).unwrap());
    let (listening, address) = listener();
    let _client = TcpStream::connect(address).unwrap();
    task(ACCEPT, who, || {
        let (connection, _) = listening.accept().unwrap();
        connection.set_nonblocking(true).unwrap();
        connection
    });
    (&other).write_all(b"!").unwrap();
    task(READ, who, || assert_eq!(one.read(&mut [0; 8]).unwrap(), 1));
    task(WRITE, who, || assert_eq!(one.write(b"!").unwrap(), 1));
    let who = "std, blocking";
    waiting(WAIT, who, false, |socket| {
        assert_eq!(socket.read(&mut [0; 8]).unwrap(), 1);
    });
    waiting(TRY, who, false, |socket| {
        socket.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(socket.read(&mut [0; 8]).unwrap(), 1);
    });
    let (mut quiet, _peer) = pair(false);
    task(OUT, who, || {
        quiet.set_read_timeout(Some(SHORT)).unwrap();
        assert!(quiet.read(&mut [0; 8]).is_err());
    });
}

/// By hand: who is told that nothing was ready does not try once more.
fn rustix_() {
    let who = "rustix";
    let read = |socket: &UnixStream, time: Duration| {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let recv = || rustix::net::recv(socket, &mut [0; 8][..], rustix::net::RecvFlags::empty());
        let mut fds = [PollFd::new(socket, PollFlags::IN)];
        let time = Timespec::try_from(time).unwrap();
        recv().is_ok() || poll(&mut fds, Some(&time)).unwrap() > 0 && recv().is_ok()
    };
    waiting(TRY, who, true, |socket| assert!(read(socket, LONG)));
    let (quiet, _peer) = pair(true);
    task(OUT, who, || assert!(!read(&quiet, SHORT)));
}

fn polling_() {
    let who = "polling";
    let mut events = polling::Events::new();
    let mut read = |poller: &polling::Poller, socket: &UnixStream, time: Duration| {
        let recv = || (&*socket).read(&mut [0; 8]).is_ok();
        recv() || {
            let readable = polling::Event::readable(0);
            poller.modify(socket, readable).unwrap();
            poller.wait(&mut events, Some(time)).unwrap() > 0 && recv()
        }
    };
    for (how, time) in [(TRY, LONG), (OUT, SHORT)] {
        let (socket, peer) = pair(true);
        let poller = polling::Poller::new().unwrap();
        // SAFETY: the poller is dropped before the socket.
        unsafe { poller.add(&socket, polling::Event::none(0)).unwrap() };
        let _open = peer.try_clone();
        if how == TRY {
            later(peer);
        }
        task(how, who, || {
            assert_eq!(read(&poller, &socket, time), how == TRY)
        });
    }
}

fn socket2_() {
    let who = "socket2";
    let (one, other) = pair(false);
    let one = socket2::Socket::from(OwnedFd::from(one));
    task(MODE, who, || one.set_nonblocking(true).unwrap());
    let (listening, address) = listener();
    let listening = socket2::Socket::from(listening);
    let _client = TcpStream::connect(address).unwrap();
    task(ACCEPT, who, || {
        let (connection, _) = listening.accept().unwrap();
        connection.set_nonblocking(true).unwrap();
        connection
    });
    (&other).write_all(b"!").unwrap();
    task(READ, who, || {
        assert_eq!((&one).read(&mut [0; 8]).unwrap(), 1)
    });
    task(WRITE, who, || assert_eq!(one.send(b"!").unwrap(), 1));
}

fn mio_() {
    let who = "mio";
    let (listening, address) = listener();
    let listening = mio::net::TcpListener::from_std(listening);
    let _client = TcpStream::connect(address).unwrap();
    task(ACCEPT, who, || listening.accept().unwrap());
    let (one, other) = pair(true);
    let mut one = mio::net::UnixStream::from_std(one);
    (&other).write_all(b"!").unwrap();
    task(READ, who, || assert_eq!(one.read(&mut [0; 8]).unwrap(), 1));
    task(WRITE, who, || assert_eq!(one.write(b"!").unwrap(), 1));

    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(64);
    for how in [WAIT, TRY] {
        let (socket, peer) = pair(true);
        let mut socket = mio::net::UnixStream::from_std(socket);
        poll.registry()
            .register(&mut socket, Token(0), MioInterest::READABLE)
            .unwrap();
        later(peer);
        task(how, who, || {
            if how == TRY {
                assert!(socket.read(&mut [0; 8]).is_err());
            }
            poll.poll(&mut events, Some(LONG)).unwrap();
            assert_eq!(socket.read(&mut [0; 8]).unwrap(), 1);
        });
    }

    let (quiet, _peer) = pair(true);
    let mut quiet = mio::net::UnixStream::from_std(quiet);
    let mut alone = Poll::new().unwrap();
    let registry = alone.registry();
    registry
        .register(&mut quiet, Token(0), MioInterest::READABLE)
        .unwrap();
    task(OUT, who, || {
        assert!(quiet.read(&mut [0; 8]).is_err());
        alone.poll(&mut events, Some(SHORT)).unwrap();
        assert!(events.is_empty());
    });

    let (sockets, _peers) = many();
    let mut sockets: Vec<_> = sockets
        .into_iter()
        .map(mio::net::UnixStream::from_std)
        .collect();
    let poll = task_first_mio(who, &mut sockets, &mut events);
    let mut poll = poll;
    (&_peers[40]).write_all(b"!").unwrap();
    task(AGAIN, who, || poll.poll(&mut events, None).unwrap());
    assert!(!events.is_empty());
    (&_peers[40]).write_all(b"!").unwrap();
    task(ENTRY, who, || {
        poll.poll(&mut events, Some(LONG)).unwrap();
        assert!(sockets[40].read(&mut [0; 8]).is_ok());
    });
}

fn task_first_mio(who: &str, sockets: &mut [mio::net::UnixStream], events: &mut Events) -> Poll {
    let mut kept = None;
    task(FIRST, who, || {
        let mut poll = Poll::new().unwrap();
        for (i, socket) in sockets.iter_mut().enumerate() {
            poll.registry()
                .register(socket, Token(i), MioInterest::READABLE)
                .unwrap();
        }
        poll.poll(events, None).unwrap();
        kept = Some(poll);
    });
    assert_eq!(events.iter().count(), 1);
    kept.unwrap()
}

fn tokio_() {
    let who = "tokio";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let (listening, address) = listener();
    let listening = tokio::net::TcpListener::from_std(listening).unwrap();
    let _client = TcpStream::connect(address).unwrap();
    task(ACCEPT, who, || {
        runtime.block_on(listening.accept()).unwrap()
    });

    let (one, other) = pair(true);
    let mut one = tokio::net::UnixStream::from_std(one).unwrap();
    let mut buf = [0; 8];
    // Twice, so that the runtime knows the socket; the second is counted.
    (&other).write_all(b"!").unwrap();
    assert_eq!(runtime.block_on(one.read(&mut buf)).unwrap(), 1);
    assert_eq!(runtime.block_on(one.write(b"!")).unwrap(), 1);
    (&other).write_all(b"!").unwrap();
    task(READ, who, || {
        assert_eq!(runtime.block_on(one.read(&mut buf)).unwrap(), 1);
    });
    task(OUT, who, || {
        let read = async { tokio::time::timeout(SHORT, one.read(&mut buf)).await };
        assert!(runtime.block_on(read).is_err());
    });
    task(WRITE, who, || {
        assert_eq!(runtime.block_on(one.write(b"!")).unwrap(), 1);
    });
    later(other);
    task(WAIT, who, || {
        assert_eq!(runtime.block_on(one.read(&mut buf)).unwrap(), 1);
    });

    let (sockets, peers) = many();
    let mut watched = Vec::new();
    let wait = |watched: &[tokio::net::UnixStream]| {
        runtime.block_on(poll_fn(|context| {
            let ready =
                |socket: &&tokio::net::UnixStream| socket.poll_read_ready(context).is_ready();
            match watched.iter().filter(ready_once(ready)).count() {
                0 => std::task::Poll::Pending,
                _ => std::task::Poll::Ready(()),
            }
        }));
    };
    task(FIRST, who, || {
        watched.extend(
            sockets
                .into_iter()
                .map(|socket| tokio::net::UnixStream::from_std(socket).unwrap()),
        );
        wait(&watched);
    });
    let mut buf = [0; 8];
    assert_eq!(watched[40].try_read(&mut buf).unwrap(), 1);
    assert!(watched[40].try_read(&mut buf).is_err());
    (&peers[40]).write_all(b"!").unwrap();
    task(AGAIN, who, || wait(&watched));
    assert_eq!(watched[40].try_read(&mut buf).unwrap(), 1);
    assert!(watched[40].try_read(&mut buf).is_err());
    (&peers[40]).write_all(b"!").unwrap();
    task(ENTRY, who, || {
        wait(&watched);
        assert_eq!(watched[40].try_read(&mut buf).unwrap(), 1);
    });
}

/// Only gives the closure its type.
fn ready_once<T, F: FnMut(&T) -> bool>(ready: F) -> F {
    ready
}

fn main() {
    // rustix looks for the clock of the vDSO, once in a process.
    black_box(Deadline::after(LONG));
    ours();
    std_();
    socket2_();
    mio_();
    polling_();
    tokio_();
    rustix_();
}
