//! End to end, as ratios: what one round takes in each library, divided by what
//! the same round takes with libc by hand. The contenders take turns (A B C A B
//! C …), so that a busy machine meets all alike; the ratio is taken within a turn.
//! Prints the medians and quartiles in Markdown, and the load.
//!
//!     cargo run --release --features runtimes --bin end_to_end [TURNS]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use mio::{Events, Interest as MioInterest, Poll, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wouldblock::{Growable, Interest, Io, PollSet, RecvFlags, SendFlags};

const PINGS: usize = 500;
const BULK: usize = 16 << 20;
const CHUNK: usize = 64 << 10;
const WAITS: usize = 200;

type Sample = Box<dyn FnMut()>;

fn main() {
    let turns = std::env::args().nth(1).map_or(31, |n| n.parse().unwrap());
    let limit = libc::rlimit {
        rlim_cur: 16384,
        rlim_max: 16384,
    };
    // SAFETY: the structure is valid. Failing leaves the limit as it is.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    println!("| scenario | contender | median ratio | quartiles | median of one round |");
    println!("|---|---|---:|---:|---:|");
    let wall = libc::CLOCK_MONOTONIC;
    let processor = libc::CLOCK_THREAD_CPUTIME_ID;
    compare(
        "ping-pong, socketpair",
        wall,
        turns,
        PINGS,
        ping_pong(socketpair),
    );
    compare(
        "ping-pong, loopback TCP",
        wall,
        turns,
        PINGS,
        ping_pong(loopback),
    );
    compare("16 MiB through a socketpair", wall, turns, 1, bulk());
    for n in [1, 64, 1024] {
        let scenario = format!("wait for one of {n}, read it (processor time)");
        compare(&scenario, processor, turns, WAITS, poll_loop(n));
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("\n{turns} turns; load average at the end: {}", &load[..14]);
}

/// Seconds on a clock: of the day for what needs two threads, and of the thread's
/// own processor time for what one thread does alone, which others do not disturb.
fn now(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is valid.
    assert_eq!(unsafe { libc::clock_gettime(clock, &mut time) }, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn compare(
    scenario: &str,
    clock: libc::clockid_t,
    turns: usize,
    rounds: usize,
    mut contenders: Vec<(&str, Sample)>,
) {
    for (_, sample) in &mut contenders {
        sample();
    }
    let mut times = vec![Vec::new(); contenders.len()];
    for turn in 0..turns {
        // Another one begins each time, since the first finds other caches.
        for i in 0..contenders.len() {
            let i = (i + turn) % contenders.len();
            let start = now(clock);
            contenders[i].1();
            times[i].push((now(clock) - start) / rounds as f64);
        }
    }
    for ((name, _), of) in contenders.iter().zip(&times) {
        let ratios = of.iter().zip(&times[0]).map(|(a, b)| a / b).collect();
        let [low, median, high] = quartiles(ratios);
        let [_, typical, _] = quartiles(of.clone());
        println!(
            "| {scenario} | {name} | {median:.2} | {low:.2}–{high:.2} | {:.1} µs |",
            typical * 1e6
        );
    }
}

fn quartiles(mut of: Vec<f64>) -> [f64; 3] {
    of.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| of[(of.len() - 1) * quarter / 4])
}

// ---- the other side, the same for all: a thread with blocking calls ----

/// A connection as an owned descriptor, and a thread that sends back every byte.
fn echo(pair: fn() -> (OwnedFd, OwnedFd), nonblocking: bool) -> OwnedFd {
    let (ours, theirs) = pair();
    std::thread::spawn(move || {
        let mut buf = [0; 1];
        while let Ok(1..) = rustix::io::read(&theirs, &mut buf) {
            rustix::io::write(&theirs, &buf).unwrap();
        }
    });
    wouldblock::set_nonblocking(&ours, nonblocking).unwrap();
    ours
}

fn socketpair() -> (OwnedFd, OwnedFd) {
    let (one, other) = UnixStream::pair().unwrap();
    (one.into(), other.into())
}

fn loopback() -> (OwnedFd, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    one.set_nodelay(true).unwrap();
    other.set_nodelay(true).unwrap();
    (one.into(), other.into())
}

/// A socket whose other end a thread reads and throws away.
fn sink(nonblocking: bool) -> OwnedFd {
    let (ours, theirs) = socketpair();
    std::thread::spawn(move || {
        let mut buf = vec![0; CHUNK];
        while let Ok(1..) = rustix::io::read(&theirs, &mut buf[..]) {}
    });
    wouldblock::set_nonblocking(&ours, nonblocking).unwrap();
    ours
}

// ---- libc by hand ----

fn libc_recv(fd: i32, buf: &mut [u8]) -> isize {
    // SAFETY: the buffer is valid for its length.
    unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), 0) }
}

fn libc_send(fd: i32, buf: &[u8]) -> isize {
    // SAFETY: the buffer is valid for its length.
    unsafe { libc::send(fd, buf.as_ptr().cast(), buf.len(), libc::MSG_NOSIGNAL) }
}

fn libc_poll(fds: &mut [libc::pollfd]) {
    // SAFETY: the entries are valid for their number.
    let n = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, -1) };
    assert!(n > 0);
}

fn entry(fd: i32, events: i16) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

// ---- scenarios ----

fn ping_pong(pair: fn() -> (OwnedFd, OwnedFd)) -> Vec<(&'static str, Sample)> {
    let by_libc = echo(pair, true);
    let by_ours = echo(pair, true);
    let mut by_std = UnixStream::from(echo(pair, false));
    let mut by_mio = mio::net::UnixStream::from_std(echo(pair, true).into());
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(8);
    poll.registry()
        .register(&mut by_mio, Token(0), MioInterest::READABLE)
        .unwrap();
    let by_polling = UnixStream::from(echo(pair, true));
    let poller = polling::Poller::new().unwrap();
    let mut polled = polling::Events::new();
    // SAFETY: the socket lives as long as the poller, in the same closure.
    unsafe {
        poller
            .add(&by_polling, polling::Event::readable(0))
            .unwrap()
    };
    let runtime = runtime();
    let mut by_tokio = {
        let _inside = runtime.enter();
        tokio::net::UnixStream::from_std(echo(pair, true).into()).unwrap()
    };
    vec![
        (
            "libc by hand",
            Box::new(move || {
                let fd = by_libc.as_raw_fd();
                for _ in 0..PINGS {
                    assert_eq!(libc_send(fd, b"!"), 1);
                    let mut buf = [0; 1];
                    while libc_recv(fd, &mut buf) != 1 {
                        libc_poll(&mut [entry(fd, libc::POLLIN)]);
                    }
                }
            }),
        ),
        (
            "wouldblock",
            Box::new(move || {
                for _ in 0..PINGS {
                    assert_eq!(
                        wouldblock::send(&by_ours, b"!", SendFlags::empty()),
                        Io::Ready(1)
                    );
                    let mut buf = [0; 1];
                    while wouldblock::recv(&by_ours, &mut buf, RecvFlags::empty()) != Io::Ready(1) {
                        let answer = wouldblock::poll(&mut [Interest::READABLE.on(&by_ours)], None);
                        assert_eq!(answer, Io::Ready(1));
                    }
                }
            }),
        ),
        (
            "std, blocking",
            Box::new(move || {
                for _ in 0..PINGS {
                    by_std.write_all(b"!").unwrap();
                    by_std.read_exact(&mut [0; 1]).unwrap();
                }
            }),
        ),
        (
            "mio",
            Box::new(move || {
                for _ in 0..PINGS {
                    assert_eq!(by_mio.write(b"!").unwrap(), 1);
                    while by_mio.read(&mut [0; 1]).is_err() {
                        poll.poll(&mut events, None).unwrap();
                    }
                }
            }),
        ),
        (
            "polling",
            Box::new(move || {
                for _ in 0..PINGS {
                    assert_eq!((&by_polling).write(b"!").unwrap(), 1);
                    while (&by_polling).read(&mut [0; 1]).is_err() {
                        polled.clear();
                        poller.wait(&mut polled, None).unwrap();
                        let again = polling::Event::readable(0);
                        poller.modify(&by_polling, again).unwrap();
                    }
                }
            }),
        ),
        (
            "tokio",
            Box::new(move || {
                runtime.block_on(async {
                    for _ in 0..PINGS {
                        by_tokio.write_all(b"!").await.unwrap();
                        by_tokio.read_exact(&mut [0; 1]).await.unwrap();
                    }
                });
            }),
        ),
    ]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap()
}

fn bulk() -> Vec<(&'static str, Sample)> {
    let by_libc = sink(true);
    let by_ours = sink(true);
    let mut by_std = UnixStream::from(sink(false));
    let mut by_mio = mio::net::UnixStream::from_std(sink(true).into());
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(8);
    poll.registry()
        .register(&mut by_mio, Token(0), MioInterest::WRITABLE)
        .unwrap();
    let runtime = runtime();
    let mut by_tokio = {
        let _inside = runtime.enter();
        tokio::net::UnixStream::from_std(sink(true).into()).unwrap()
    };
    static DATA: [u8; CHUNK] = [7; CHUNK];
    vec![
        (
            "libc by hand",
            Box::new(move || {
                let fd = by_libc.as_raw_fd();
                let mut left = BULK;
                while left > 0 {
                    match libc_send(fd, &DATA[..left.min(CHUNK)]) {
                        -1 => libc_poll(&mut [entry(fd, libc::POLLOUT)]),
                        n => left -= n as usize,
                    }
                }
            }),
        ),
        (
            "wouldblock",
            Box::new(move || {
                let mut left = BULK;
                while left > 0 {
                    match wouldblock::send(&by_ours, &DATA[..left.min(CHUNK)], SendFlags::empty()) {
                        Io::Ready(n) => left -= n,
                        Io::WouldBlock => {
                            let mut fds = [Interest::WRITABLE.on(&by_ours)];
                            assert_eq!(wouldblock::poll(&mut fds, None), Io::Ready(1));
                        }
                        Io::Err(errno) => panic!("{errno}"),
                    }
                }
            }),
        ),
        (
            "std, blocking",
            Box::new(move || {
                for _ in 0..BULK / CHUNK {
                    by_std.write_all(&DATA).unwrap();
                }
            }),
        ),
        (
            "mio",
            Box::new(move || {
                let mut left = BULK;
                while left > 0 {
                    match by_mio.write(&DATA[..left.min(CHUNK)]) {
                        Ok(n) => left -= n,
                        Err(_) => poll.poll(&mut events, None).unwrap(),
                    }
                }
            }),
        ),
        (
            "tokio",
            Box::new(move || {
                runtime.block_on(async {
                    for _ in 0..BULK / CHUNK {
                        by_tokio.write_all(&DATA).await.unwrap();
                    }
                });
            }),
        ),
    ]
}

fn many(n: usize) -> (Vec<UnixStream>, Vec<UnixStream>) {
    let pair = || {
        let (one, other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        (one, other)
    };
    (0..n).map(|_| pair()).unzip()
}

/// Which of `n` is written to in the `i`th round.
fn chosen(i: usize, n: usize) -> usize {
    i * 7919 % n
}

fn poll_loop(n: usize) -> Vec<(&'static str, Sample)> {
    let (for_libc, libc_peers) = many(n);
    let mut entries: Vec<_> = for_libc
        .iter()
        .map(|socket| entry(socket.as_raw_fd(), libc::POLLIN))
        .collect();
    let (for_set, set_peers) = many(n);
    let mut set = PollSet::<_, _, Growable>::new();
    for (i, socket) in for_set.into_iter().enumerate() {
        set.register(socket, Interest::READABLE, i).unwrap();
    }
    let (for_poll, poll_peers) = many(n);
    let for_poll: &'static [UnixStream] = for_poll.leak();
    let mut fds: Vec<_> = for_poll
        .iter()
        .map(|socket| Interest::READABLE.on(socket))
        .collect();
    let (for_mio, mio_peers) = many(n);
    let mut for_mio: Vec<_> = for_mio
        .into_iter()
        .map(mio::net::UnixStream::from_std)
        .collect();
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(1024);
    for (i, socket) in for_mio.iter_mut().enumerate() {
        poll.registry()
            .register(socket, Token(i), MioInterest::READABLE)
            .unwrap();
    }
    let (for_polling, polling_peers) = many(n);
    let poller = polling::Poller::new().unwrap();
    let mut polled = polling::Events::new();
    for (i, socket) in for_polling.iter().enumerate() {
        // SAFETY: the socket lives as long as the poller, in the same closure.
        unsafe { poller.add(socket, polling::Event::readable(i)).unwrap() };
    }
    let write = move |peers: &[UnixStream], i| {
        assert_eq!((&peers[chosen(i, n)]).write(b"!").unwrap(), 1);
    };
    vec![
        (
            "libc by hand",
            Box::new(move || {
                for i in 0..WAITS {
                    write(&libc_peers, i);
                    libc_poll(&mut entries);
                    for (socket, entry) in for_libc.iter().zip(&entries) {
                        if entry.revents != 0 {
                            assert_eq!(libc_recv(socket.as_raw_fd(), &mut [0; 8]), 1);
                        }
                    }
                }
            }),
        ),
        (
            "wouldblock, poll",
            Box::new(move || {
                for i in 0..WAITS {
                    write(&poll_peers, i);
                    assert_eq!(wouldblock::poll(&mut fds, None), Io::Ready(1));
                    for (socket, fd) in for_poll.iter().zip(&fds) {
                        if wouldblock::Readiness::from(fd).is_readable() {
                            let answer = wouldblock::recv(socket, &mut [0; 8], RecvFlags::empty());
                            assert_eq!(answer, Io::Ready(1));
                        }
                    }
                }
            }),
        ),
        (
            "wouldblock, PollSet",
            Box::new(move || {
                for i in 0..WAITS {
                    write(&set_peers, i);
                    assert_eq!(set.select(Deadline::never()), Io::Ready(1));
                    while let Some((key, _)) = set.next_ready() {
                        let socket = set.get(key).unwrap().fd;
                        let answer = wouldblock::recv(socket, &mut [0; 8], RecvFlags::empty());
                        assert_eq!(answer, Io::Ready(1));
                    }
                }
            }),
        ),
        (
            "mio",
            Box::new(move || {
                for i in 0..WAITS {
                    write(&mio_peers, i);
                    poll.poll(&mut events, None).unwrap();
                    for event in &events {
                        assert_eq!((&for_mio[event.token().0]).read(&mut [0; 8]).unwrap(), 1);
                    }
                }
            }),
        ),
        (
            "polling",
            Box::new(move || {
                for i in 0..WAITS {
                    write(&polling_peers, i);
                    polled.clear();
                    poller.wait(&mut polled, None).unwrap();
                    for event in polled.iter() {
                        let socket = &for_polling[event.key];
                        assert_eq!((&*socket).read(&mut [0; 8]).unwrap(), 1);
                        let again = polling::Event::readable(event.key);
                        poller.modify(socket, again).unwrap();
                    }
                }
            }),
        ),
    ]
}
