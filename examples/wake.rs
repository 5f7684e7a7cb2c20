//! Waking a thread that waits for descriptors, from any other: the self-pipe.
//!
//! A thread inside `poll` hears of nothing but descriptors, so it also waits for
//! the reading end of a pipe, and who has news for it writes a byte to the other.
//! The byte says only *look*; what there is to see is elsewhere, here in a channel.
//!
//! The same pipe serves descriptors that `poll` cannot watch: on macOS `/dev/tty`
//! and other devices are `Readiness::INVALID` at once (POLLNVAL; `until(…).ready`
//! says EBADF). Let a thread read such a one in blocking mode, and then wake.

mod common;

use std::io::{self, Write};
use std::{process::ExitCode, sync::Arc, sync::mpsc, thread};
use wouldblock::{Deadline, Errno, Io, OwnedFd, Retry, pipe, read, until, write};

/// The end that wakes, for any number of threads.
#[derive(Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

/// The end that is woken; in a `PollSet` it would stand next to the sockets.
pub(crate) struct Sleeper(OwnedFd);

pub(crate) fn wake_pair() -> Result<(Waker, Sleeper), Errno> {
    let (reader, writer) = pipe()?;
    Ok((Waker(Arc::new(writer)), Sleeper(reader)))
}

impl Waker {
    /// Ends the sleeper's present wait, or its next. Call it after the news is in its
    /// place, not before. It never waits.
    pub(crate) fn wake(&self) -> Result<(), Errno> {
        match write(&self.0, b"!") {
            // A full pipe is a readable one: the sleeper will wake without this byte.
            Io::Ready(_) | Io::WouldBlock => Ok(()),
            // EPIPE: the sleeper has gone. Where SIGPIPE is not ignored, as Rust
            // programs ignore it, take `socketpair` and `send` for a pipe.
            Io::Err(errno) => Err(errno),
        }
    }
}

impl Sleeper {
    /// Waits for a wake, and makes one of all that have come by now. Look for the
    /// news after it returns: what is put in its place later wakes again.
    pub(crate) fn sleep(&self, deadline: Deadline) -> Io<()> {
        until(&self.0, deadline).retry(Retry::Read, |pipe| {
            let mut woken = false;
            // Until it is empty: what is left would end every later wait at once.
            loop {
                match read(pipe, &mut [0; 512]) {
                    Io::Ready(1..) => woken = true,
                    // The last waker may have woken before it went.
                    Io::Ready(_) | Io::WouldBlock if woken => return Io::Ready(()),
                    // No waker is left.
                    Io::Ready(_) => return Io::Err(Errno::PIPE),
                    Io::WouldBlock => return Io::WouldBlock,
                    Io::Err(errno) => return Io::Err(errno),
                }
            }
        })
    }
}

const HELP: &str = "\
usage: wake

Four threads send 10 000 messages each and wake a fifth, which sleeps in between.
Prints how many it saw, and how often it was woken.";

fn main() -> ExitCode {
    common::run("wake", HELP, |arguments| {
        arguments.is_empty().then(count_wakes)
    })
}

fn count_wakes() -> common::Ended {
    let (waker, sleeper) = wake_pair()?;
    let (sender, news) = mpsc::channel();
    for _ in 0..4 {
        let (waker, sender) = (waker.clone(), sender.clone());
        thread::spawn(move || (0..10_000).all(|n| sender.send(n).is_ok() && waker.wake().is_ok()));
    }
    let (mut seen, mut wakes) = (0, 0);
    while seen < 40_000 {
        sleeper.sleep(Deadline::never()).into_result()?;
        wakes += 1;
        seen += news.try_iter().count();
    }
    writeln!(io::stdout(), "{seen} messages, woken {wakes} times")?;
    Ok(())
}
