//! Many bytes: sent under a deadline, and copied from one descriptor to another.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wouldblock::{Deadline, Io, SendFlags, until};

use super::{Contender, Round, compare, heading, loopback, runtime, socketpair, timed};

/// How much a turn moves at least.
const LEAST: usize = 8 << 20;
const CHUNK: usize = 64 << 10;
const TIME: Duration = Duration::from_secs(60);

const STD: &str = "std, blocking";
const OURS: &str = "wouldblock";
const HAND: &str = "rustix by hand";
const TOKIO: &str = "tokio";
const SPLICE: &str = "std's own types";

#[derive(Clone, Copy)]
enum Way {
    Unix,
    Tcp,
    Pipe,
}

pub fn compare_all(turns: usize, clock: libc::clockid_t) {
    let columns = [STD, OURS, HAND, TOKIO, SPLICE];
    heading(
        match clock {
            libc::CLOCK_MONOTONIC => "bytes a second",
            _ => "bytes a second of a processor, all threads",
        },
        &columns,
    );
    for (name, way) in [
        ("AF_UNIX", Way::Unix),
        ("TCP", Way::Tcp),
        ("pipe", Way::Pipe),
    ] {
        for copies in [false, true] {
            for (size, bytes) in [
                ("1 KiB", 1 << 10),
                ("64 KiB", 64 << 10),
                ("1 MiB", 1 << 20),
                ("64 MiB", 64 << 20),
            ] {
                let what = if copies { "copy" } else { "send all of" };
                let row = format!("{what} {size}, {name}");
                let times = (LEAST / bytes).max(1);
                let all = if copies { all_copying } else { all_sending };
                let timed = |contender| timed(clock, times, contender);
                let contenders = || -> Vec<Contender> {
                    all(way, (times, bytes)).into_iter().map(timed).collect()
                };
                compare(&row, &columns, &[("", 0.5)], turns, Some(bytes), contenders);
            }
        }
    }
}

/// The end to read from, and the one to write to.
fn ends(way: Way) -> (OwnedFd, OwnedFd) {
    match way {
        Way::Unix => socketpair(),
        Way::Tcp => loopback(),
        Way::Pipe => rustix::pipe::pipe().unwrap(),
    }
}

/// What a thread reads from and throws away. It tells when it has a round.
fn sink(way: Way, nonblocking: bool, round: usize) -> (OwnedFd, Receiver<()>) {
    let (theirs, ours) = ends(way);
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let (mut buf, mut left) = (vec![0; CHUNK], round);
        while let Ok(n @ 1..) = rustix::io::read(&theirs, &mut buf[..]) {
            left -= n;
            if left == 0 {
                left = round;
                let _ = tell.send(());
            }
        }
    });
    wouldblock::set_nonblocking(&ours, nonblocking).unwrap();
    (ours, told)
}

/// What a thread fills with a round whenever it is told to.
fn source(way: Way, nonblocking: bool, round: usize) -> (OwnedFd, Sender<()>) {
    let (ours, theirs) = ends(way);
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let (buf, mut theirs) = (vec![7; CHUNK], Plain(theirs));
        while told.recv().is_ok() {
            for part in (0..round).step_by(CHUNK) {
                theirs.write_all(&buf[..CHUNK.min(round - part)]).unwrap();
            }
        }
    });
    wouldblock::set_nonblocking(&ours, nonblocking).unwrap();
    (ours, tell)
}

fn data(bytes: usize) -> &'static [u8] {
    static DATA: OnceLock<Vec<u8>> = OnceLock::new();
    &DATA.get_or_init(|| vec![7; 64 << 20])[..bytes]
}

/// A round that ends when all has been read. All are driven by one runtime, which costs
/// those nothing that do not wait for it.
fn sending<F: AsyncFnMut() + 'static>(
    way: Way,
    (times, bytes): (usize, usize),
    (name, nonblocking): (&'static str, bool),
    make: impl FnOnce(OwnedFd, &'static [u8]) -> F,
) -> Round {
    let (fd, told) = sink(way, nonblocking, times * bytes);
    let runtime = runtime();
    let mut send = {
        let _inside = runtime.enter();
        make(fd, data(bytes))
    };
    let round = move || {
        runtime.block_on(async {
            for _ in 0..times {
                send().await;
            }
        });
        told.recv().unwrap();
    };
    (name, Box::new(round))
}

fn all_sending(way: Way, size: (usize, usize)) -> Vec<Round> {
    vec![
        sending(way, size, (STD, false), |fd, data| {
            let mut to = Plain(fd);
            async move || to.write_all(data).unwrap()
        }),
        sending(way, size, (OURS, true), |fd, data| {
            async move || {
                let (until, mut rest) = (until(&fd, TIME), data);
                let answer = match way {
                    Way::Pipe => until.write_all(&mut rest),
                    _ => until.send_all(&mut rest, SendFlags::empty()),
                };
                assert_eq!(answer, Io::Ready(()));
            }
        }),
        sending(way, size, (HAND, true), |fd, data| {
            async move || {
                let (deadline, mut rest) = (Instant::now() + TIME, data);
                while !rest.is_empty() {
                    match rustix::io::write(&fd, rest) {
                        Ok(n) => rest = &rest[n..],
                        Err(Errno::AGAIN) => {
                            let left = deadline.saturating_duration_since(Instant::now());
                            let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
                            let left = Timespec::try_from(left).unwrap();
                            assert_eq!(rustix::event::poll(&mut fds, Some(&left)), Ok(1));
                        }
                        Err(errno) => panic!("{errno}"),
                    }
                }
            }
        }),
        sending(way, size, (TOKIO, true), |fd, data| {
            let mut to = writer(way, fd);
            async move || to.write_all(data).await.unwrap()
        }),
    ]
}

fn copying<F: AsyncFnMut() -> io::Result<u64> + 'static>(
    way: Way,
    (times, bytes): (usize, usize),
    (name, nonblocking): (&'static str, bool),
    make: impl FnOnce(OwnedFd, OwnedFd) -> F,
) -> Round {
    let (from, tell) = source(way, nonblocking, times * bytes);
    let (_, round) = sending(way, (times, bytes), (name, nonblocking), |to, _| {
        let mut copy = make(from, to);
        async move || assert_eq!(copy().await.unwrap(), bytes as u64)
    });
    let mut round = round;
    (
        name,
        Box::new(move || {
            tell.send(()).unwrap();
            round();
        }),
    )
}

fn all_copying(way: Way, size: (usize, usize)) -> Vec<Round> {
    let bytes = size.1 as u64;
    vec![
        copying(way, size, (STD, false), |from, to| {
            let (mut from, mut to) = (Plain(from), Plain(to));
            async move || io::copy(&mut (&mut from).take(bytes), &mut to)
        }),
        copying(way, size, (OURS, true), |from, to| {
            let mut from = until(from, None).std_io();
            let mut to = until(to, None).std_io();
            async move || {
                let deadline = Deadline::after(TIME);
                from.set_deadline(deadline);
                to.set_deadline(deadline);
                io::copy(&mut (&mut from).take(bytes), &mut to)
            }
        }),
        copying(way, size, (TOKIO, true), |from, to| {
            let (mut from, mut to) = (reader(way, from), writer(way, to));
            async move || tokio::io::copy(&mut (&mut from).take(bytes), &mut to).await
        }),
        match way {
            Way::Unix => own_types::<UnixStream>(way, size),
            Way::Tcp => own_types::<TcpStream>(way, size),
            Way::Pipe => own_types::<File>(way, size),
        },
    ]
}

/// std knows these types, and may have the kernel do it.
fn own_types<T: From<OwnedFd> + 'static>(way: Way, size: (usize, usize)) -> Round
where
    for<'a> &'a T: Read + Write,
{
    copying(way, size, (SPLICE, false), |from, to| {
        let (from, to) = (T::from(from), T::from(to));
        async move || io::copy(&mut (&from).take(size.1 as u64), &mut &to)
    })
}

/// std's calls without its types: through user space.
struct Plain(OwnedFd);

impl Read for Plain {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, buf)?)
    }
}

impl Write for Plain {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, buf)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reader(way: Way, fd: OwnedFd) -> Box<dyn AsyncRead + Unpin> {
    match way {
        Way::Unix => Box::new(tokio::net::UnixStream::from_std(fd.into()).unwrap()),
        Way::Tcp => Box::new(tokio::net::TcpStream::from_std(fd.into()).unwrap()),
        Way::Pipe => Box::new(tokio::net::unix::pipe::Receiver::from_owned_fd(fd).unwrap()),
    }
}

fn writer(way: Way, fd: OwnedFd) -> Box<dyn AsyncWrite + Unpin> {
    match way {
        Way::Unix => Box::new(tokio::net::UnixStream::from_std(fd.into()).unwrap()),
        Way::Tcp => Box::new(tokio::net::TcpStream::from_std(fd.into()).unwrap()),
        Way::Pipe => Box::new(tokio::net::unix::pipe::Sender::from_owned_fd(fd).unwrap()),
    }
}
