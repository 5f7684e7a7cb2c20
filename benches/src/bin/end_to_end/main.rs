//! End to end, as ratios: what each library takes, beside the first contender in the
//! same turn. The contenders take turns (A B C, B C A, …), so that a busy machine meets
//! all alike; the ratio is taken within a turn. Prints a table in Markdown, of medians
//! with quartiles, and the load.
//!
//!     cargo run --release --features runtimes --bin end_to_end WHICH [TURNS [ROW]]
//!
//! WHICH is rounds, messages, waits, transfers or transfers-processor, and ROW a part of the names
//! of the rows to measure.

mod messages;
mod transfers;
mod waits;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use mio::{Events, Interest as MioInterest, Poll, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wouldblock::{Deadline, Growable, Interest, Io, PollSet, RecvFlags, SendFlags};

const PINGS: usize = 500;
const WAITS: usize = 200;

/// What one turn of a contender took, in seconds: once or many times.
type Sample = Box<dyn FnMut() -> Vec<f64>>;
type Contender = (&'static str, Sample);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().unwrap_or_default();
    let turns = arguments.next().map_or(31, |n| n.parse().unwrap());
    let limit = libc::rlimit {
        rlim_cur: 16384,
        rlim_max: 16384,
    };
    // SAFETY: the structure is valid. Failing leaves the limit as it is.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    match &which[..] {
        "rounds" => rounds(turns),
        "messages" => messages::compare_all(turns),
        "waits" => waits::compare_all(turns),
        "transfers" => transfers::compare_all(turns, libc::CLOCK_MONOTONIC),
        // Of all threads, which a busy machine disturbs less.
        "transfers-processor" => transfers::compare_all(turns, libc::CLOCK_PROCESS_CPUTIME_ID),
        _ => panic!("one of: rounds, messages, waits, transfers, transfers-processor"),
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load: Vec<_> = load.split(' ').take(3).collect();
    println!(
        "\n{turns} turns; load average at the end: {}",
        load.join(" ")
    );
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

/// The heading of a table whose first contender is what the others are divided by.
fn heading(what: &str, columns: &[&str]) {
    println!("| {what} | {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
}

/// A row for each quantile of what a turn took: of the first contender in its unit, and
/// of the others the ratio to it. With `bytes`, both are of bytes in a second.
fn compare(
    row: &str,
    columns: &[&str],
    quantiles: &[(&str, f64)],
    turns: usize,
    bytes: Option<usize>,
    contenders: impl Fn() -> Vec<Contender>,
) {
    if std::env::args()
        .nth(3)
        .is_some_and(|part| !row.contains(&part))
    {
        return;
    }
    let names: Vec<_> = contenders().iter().map(|(name, _)| *name).collect();
    let mut taken = vec![Vec::new(); names.len()];
    for turn in 0..turns {
        // Anew, since the threads of one may stand well or badly on the processors for as
        // long as they live. Another one begins each time, since the first finds other
        // caches.
        let mut contenders = contenders();
        for i in 0..contenders.len() {
            let i = (i + turn) % contenders.len();
            contenders[i].1();
            let mut times = contenders[i].1();
            times.sort_by(f64::total_cmp);
            let at = |&(_, at): &(_, f64)| times[((times.len() - 1) as f64 * at).round() as usize];
            taken[i].push(quantiles.iter().map(at).collect::<Vec<_>>());
        }
    }
    for (i, (name, _)) in quantiles.iter().enumerate() {
        print!("| {row}{name} |");
        for column in columns {
            let Some(of) = names.iter().position(|name| name == column) else {
                print!(" |");
                continue;
            };
            if of == 0 {
                let [_, median, _] = quartiles(taken[0].iter().map(|times| times[i]));
                match bytes {
                    Some(bytes) => print!(" {:.0} MiB/s |", bytes as f64 / median / f64::exp2(20.)),
                    None => print!(" {:.2} µs |", median * 1e6),
                }
                continue;
            }
            let turns = taken[of].iter().zip(&taken[0]);
            let [low, median, high] = quartiles(turns.map(|(time, first)| match bytes {
                Some(_) => first[i] / time[i],
                None => time[i] / first[i],
            }));
            print!(" {median:.2} ({low:.2}–{high:.2}) |");
        }
        println!();
    }
}

fn quartiles(of: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut of: Vec<_> = of.collect();
    of.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| of[(of.len() - 1) * quarter / 4])
}

/// A contender that is timed from outside, over so many rounds.
fn timed(
    clock: libc::clockid_t,
    rounds: usize,
    (name, mut work): (&'static str, Box<dyn FnMut()>),
) -> Contender {
    let sample = move || {
        let start = now(clock);
        work();
        vec![(now(clock) - start) / rounds as f64]
    };
    (name, Box::new(sample))
}

fn rounds(turns: usize) {
    let columns = [
        "libc by hand",
        "wouldblock, poll",
        "wouldblock, PollSet",
        "std, blocking",
        "mio",
        "polling",
        "tokio",
    ];
    heading("round", &columns);
    let compare = |row: &str, clock, rounds, contenders: &dyn Fn() -> Vec<Round>| {
        let timed = |contender| timed(clock, rounds, contender);
        let contenders = || contenders().into_iter().map(timed).collect();
        compare(row, &columns, &[("", 0.5)], turns, None, contenders);
    };
    let wall = libc::CLOCK_MONOTONIC;
    compare("ping-pong, socketpair", wall, PINGS, &|| {
        ping_pong(socketpair)
    });
    compare("ping-pong, loopback TCP", wall, PINGS, &|| {
        ping_pong(loopback)
    });
    for n in [1, 64, 1024] {
        let row = format!("wait for one of {n}, read it (processor time)");
        compare(&row, libc::CLOCK_THREAD_CPUTIME_ID, WAITS, &|| poll_loop(n));
    }
}

type Round = (&'static str, Box<dyn FnMut()>);

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

fn ping_pong(pair: fn() -> (OwnedFd, OwnedFd)) -> Vec<Round> {
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
            "wouldblock, poll",
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
        .enable_all()
        .build()
        .unwrap()
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

fn poll_loop(n: usize) -> Vec<Round> {
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
    let mut fds: Vec<_> = for_poll
        .iter()
        // SAFETY: the socket lives as long as the entry, in the same closure.
        .map(|socket| Interest::READABLE.on(unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }))
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
