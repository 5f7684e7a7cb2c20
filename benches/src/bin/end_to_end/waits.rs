//! A read under a deadline: ready at once, waited for, timed out.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mio::{Events, Interest as MioInterest, Poll, Token};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use tokio::io::AsyncReadExt;
use wouldblock::{Interest, Io, Key, PollSet, RecvFlags, until};

use super::{Sample, compare, heading, now, runtime, socketpair};

/// Which round is measured.
#[derive(Clone, Copy, PartialEq)]
enum Situation {
    /// The processor time of a read, of what has come before.
    Ready,
    /// From *readable* to *returned*: what comes is the time at which it was sent.
    Waited,
    /// How long after the deadline.
    TimedOut,
}

use Situation::{Ready, TimedOut, Waited};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_micros(1500);
/// Long enough for the reader to fall asleep.
const PAUSE: Duration = Duration::from_micros(150);
const MESSAGE: [u8; 8] = [0; 8];

/// `None`: it timed out. All are driven by one runtime, which costs those nothing that
/// do not wait for it.
trait Receive {
    fn make(fd: OwnedFd, time: Duration) -> Self;
    async fn receive(&mut self, buf: &mut [u8]) -> Option<usize>;
}

pub fn compare_all(turns: usize) {
    let columns = [
        "rustix by hand",
        "`until`",
        "an entry of a set",
        "std, `set_read_timeout`",
        "mio",
        "polling",
        "tokio",
    ];
    heading("a read of 8 bytes", &columns);
    let typical = &[("median", 0.5)][..];
    let both = &[("median", 0.5), ("99th percentile", 0.99)][..];
    for (row, situation, quantiles) in [
        ("ready at once, processor time, ", Ready, typical),
        ("waited for, from readable to returned, ", Waited, both),
        (
            "timed out after 1.5 ms, later than that by, ",
            TimedOut,
            both,
        ),
    ] {
        let contenders = || {
            vec![
                (columns[0], sample::<ByHand>(situation)),
                (columns[1], sample::<Until>(situation)),
                (columns[2], sample::<Entry>(situation)),
                (columns[3], sample::<Std>(situation)),
                (columns[4], sample::<Mio>(situation)),
                (columns[5], sample::<Polling>(situation)),
                (columns[6], sample::<Tokio>(situation)),
            ]
        };
        compare(row, &columns, quantiles, turns, None, contenders);
    }
}

fn sample<R: Receive + 'static>(situation: Situation) -> Sample {
    let (ours, theirs) = socketpair();
    wouldblock::set_nonblocking(&ours, true).unwrap();
    let peer = theirs.try_clone().unwrap();
    if situation == Waited {
        std::thread::spawn(move || {
            // A byte asks for a message.
            while let Ok(1..) = rustix::io::read(&theirs, &mut [0; 1]) {
                std::thread::sleep(PAUSE);
                let sent = now(libc::CLOCK_MONOTONIC).to_ne_bytes();
                rustix::io::write(&theirs, &sent).unwrap();
            }
        });
    }
    let runtime = runtime();
    let socket = ours.try_clone().unwrap();
    let time = if situation == TimedOut { SHORT } else { LONG };
    let mut receiver = {
        let _inside = runtime.enter();
        R::make(ours, time)
    };
    Box::new(move || {
        let mut times = Vec::new();
        let mut buf = MESSAGE;
        runtime.block_on(async {
            match situation {
                Ready => {
                    for _ in 0..100 {
                        for _ in 0..64 {
                            assert_eq!(rustix::io::write(&peer, &MESSAGE), Ok(8));
                        }
                        let start = now(libc::CLOCK_THREAD_CPUTIME_ID);
                        for _ in 0..64 {
                            assert_eq!(receiver.receive(&mut buf).await, Some(8));
                        }
                        times.push((now(libc::CLOCK_THREAD_CPUTIME_ID) - start) / 64.);
                    }
                }
                Waited => {
                    for _ in 0..200 {
                        assert_eq!(rustix::io::write(&socket, &[0]), Ok(1));
                        assert_eq!(receiver.receive(&mut buf).await, Some(8));
                        times.push(now(libc::CLOCK_MONOTONIC) - f64::from_ne_bytes(buf));
                    }
                }
                TimedOut => {
                    for _ in 0..50 {
                        let start = now(libc::CLOCK_MONOTONIC);
                        assert_eq!(receiver.receive(&mut buf).await, None);
                        times.push(now(libc::CLOCK_MONOTONIC) - start - SHORT.as_secs_f64());
                    }
                }
            }
        });
        times
    })
}

/// The loop that one writes.
struct ByHand(OwnedFd, Duration);

impl Receive for ByHand {
    fn make(fd: OwnedFd, time: Duration) -> Self {
        Self(fd, time)
    }

    async fn receive(&mut self, buf: &mut [u8]) -> Option<usize> {
        let deadline = Instant::now() + self.1;
        loop {
            match rustix::net::recv(&self.0, &mut *buf, rustix::net::RecvFlags::empty()) {
                Ok((n, _)) => return Some(n),
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => panic!("{errno}"),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let left = Timespec::try_from(left).unwrap();
            let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => panic!("{errno}"),
            }
        }
    }
}

struct Until(OwnedFd, Duration);

impl Receive for Until {
    fn make(fd: OwnedFd, time: Duration) -> Self {
        Self(fd, time)
    }

    async fn receive(&mut self, buf: &mut [u8]) -> Option<usize> {
        match until(&self.0, self.1).recv(buf, RecvFlags::empty()) {
            Io::Ready(n) => Some(n),
            Io::WouldBlock => None,
            Io::Err(errno) => panic!("{errno}"),
        }
    }
}

struct Entry(PollSet<OwnedFd, ()>, Key, Duration);

impl Receive for Entry {
    fn make(fd: OwnedFd, time: Duration) -> Self {
        let mut set = PollSet::new();
        let key = set.register(fd, Interest::READABLE, ()).unwrap();
        Self(set, key, time)
    }

    async fn receive(&mut self, buf: &mut [u8]) -> Option<usize> {
        let Self(set, key, time) = self;
        let deadline = wouldblock::Deadline::after(*time);
        loop {
            let (mut entry, ()) = set.get_mut(*key).unwrap();
            match entry.recv(buf, RecvFlags::empty()) {
                Io::Ready(n) => return Some(n),
                Io::WouldBlock => {}
                Io::Err(errno) => panic!("{errno}"),
            }
            match set.select(deadline) {
                Io::Ready(_) => assert!(set.next_ready().is_some()),
                Io::WouldBlock => return None,
                Io::Err(errno) => panic!("{errno}"),
            }
        }
    }
}

/// A timeout instead of a deadline, which is said once.
struct Std(UnixStream);

impl Receive for Std {
    fn make(fd: OwnedFd, time: Duration) -> Self {
        let stream = UnixStream::from(fd);
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(time)).unwrap();
        Self(stream)
    }

    async fn receive(&mut self, buf: &mut [u8]) -> Option<usize> {
        or_would_block(self.0.read(buf))
    }
}

fn or_would_block(result: std::io::Result<usize>) -> Option<usize> {
    match result {
        Ok(n) => Some(n),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

struct Mio(mio::net::UnixStream, Poll, Events, Duration);

impl Receive for Mio {
    fn make(fd: OwnedFd, time: Duration) -> Self {
        let mut stream = mio::net::UnixStream::from_std(fd.into());
        let poll = Poll::new().unwrap();
        let registry = poll.registry();
        let readable = MioInterest::READABLE;
        registry.register(&mut stream, Token(0), readable).unwrap();
        Self(stream, poll, Events::with_capacity(8), time)
    }

    async fn receive(&mut self, buf: &mut [u8]) -> Option<usize> {
        let Self(stream, poll, events, time) = self;
        let deadline = Instant::now() + *time;
        loop {
            if let Some(n) = or_would_block(stream.read(buf)) {
                return Some(n);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            poll.poll(events, Some(left)).unwrap();
        }
    }
}

/// Oneshot: what is waited for is said before each wait.
struct Polling(polling::Poller, polling::Events, UnixStream, Duration);

impl Receive for Polling {
    fn make(fd: OwnedFd, time: Duration) -> Self {
        let stream = UnixStream::from(fd);
        let poller = polling::Poller::new().unwrap();
        // SAFETY: the poller is dropped before the socket, with which it stands.
        unsafe { poller.add(&stream, polling::Event::none(0)).unwrap() };
        Self(poller, polling::Events::new(), stream, time)
    }

    async fn receive(&mut self, buf: &mut [u8]) -> Option<usize> {
        let Self(poller, events, stream, time) = self;
        let deadline = Instant::now() + *time;
        loop {
            if let Some(n) = or_would_block((&*stream).read(buf)) {
                return Some(n);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            events.clear();
            poller
                .modify(stream.as_fd(), polling::Event::readable(0))
                .unwrap();
            poller.wait(events, Some(left)).unwrap();
        }
    }
}

struct Tokio(tokio::net::UnixStream, Duration);

impl Receive for Tokio {
    fn make(fd: OwnedFd, time: Duration) -> Self {
        Self(tokio::net::UnixStream::from_std(fd.into()).unwrap(), time)
    }

    async fn receive(&mut self, buf: &mut [u8]) -> Option<usize> {
        let read = tokio::time::timeout(self.1, self.0.read(buf)).await;
        read.ok().map(|result| result.unwrap())
    }
}
