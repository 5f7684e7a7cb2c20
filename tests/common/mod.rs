//! What the live tests share: a deadline on every wait, and a few sockets.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use wouldblock::{Interest, Io, Readiness, poll, set_nonblocking};

/// No wait in the tests is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `interest`, and fails the test if it does not come in time.
#[track_caller]
pub(crate) fn wait_for(fd: impl AsFd, interest: Interest) -> Readiness {
    let end = Instant::now() + DEADLINE;
    loop {
        let mut fds = [interest.on(&fd)];
        match poll(
            &mut fds,
            Some(end.saturating_duration_since(Instant::now())),
        ) {
            Io::Ready(_) => return Readiness::from(&fds[0]),
            Io::WouldBlock => panic!("{interest:?} did not come within {DEADLINE:?}"),
            Io::Err(errno) if errno == wouldblock::Errno::INTR => {}
            Io::Err(errno) => panic!("poll: {errno}"),
        }
    }
}

/// Runs `body` on a thread of its own and fails if it does not end in time: for
/// calls that would sleep for ever if they were wrong.
#[track_caller]
pub(crate) fn within_deadline<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(body()));
    match result.recv_timeout(DEADLINE) {
        Ok(value) => value,
        Err(error) => panic!("the call did not come back: {error}"),
    }
}

/// A connected TCP pair over loopback; the first is non-blocking.
pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    set_nonblocking(&ours, true).unwrap();
    (ours, theirs)
}

/// Ends the connection with a reset instead of an end of file.
pub(crate) fn reset(socket: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
}

/// Fills until the call would block; returns how many bytes fitted.
#[track_caller]
pub(crate) fn fill(mut write: impl FnMut(&[u8]) -> Io) -> usize {
    let mut total = 0;
    loop {
        match write(&[7; 4096]) {
            Io::Ready(n) => total += n,
            Io::WouldBlock => return total,
            Io::Err(errno) => panic!("filling: {errno}"),
        }
    }
}

/// The file descriptors that this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/dev/fd").unwrap().count()
}

/// The CPU time that this thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// A pipe, as files.
pub(crate) fn pipe() -> (File, File) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    (reader.into(), writer.into())
}
