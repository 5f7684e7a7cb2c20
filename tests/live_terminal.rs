//! Interruptions without end: a process in the background that handles the signals of
//! job control and calls on its terminal.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "terminals and signals have no safe interface")]

mod common;

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{alone, command, start, within_deadline};
use wouldblock::{
    Deadline, Errno, Inline, Interest, Io, Op, Outcome, PollSet, read, readv, set_nonblocking,
    until, write, write_all, writev,
};

/// Set in the process that is in the background.
const ROLE: &str = "WOULDBLOCK_TEST_BACKGROUND";

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// A terminal that is this session's, and its other end. Writing to it in the
/// background is answered by a signal.
fn terminal() -> (File, OwnedFd) {
    // SAFETY: the calls fill in what they are given.
    unsafe {
        assert_ne!(libc::setsid(), -1);
        let (master, slave) = common::terminal(None);
        let fd = slave.as_raw_fd();
        assert_eq!(libc::ioctl(fd, libc::TIOCSCTTY, 0), 0);
        let mut modes: libc::termios = zeroed();
        assert_eq!(libc::tcgetattr(fd, &mut modes), 0);
        modes.c_lflag |= libc::TOSTOP;
        assert_eq!(libc::tcsetattr(fd, libc::TCSANOW, &modes), 0);
        (master, slave)
    }
}

const PATIENCE: Duration = Duration::from_millis(300);

/// Fails unless `call` lasts until its deadline, with rests in between: each call of
/// theirs is sixteen signals, and without rests there would be tens of thousands.
#[track_caller]
fn lasts_at_rest<T>(call: impl FnOnce(Duration) -> T) -> T {
    let before = SIGNALS.load(Ordering::Relaxed);
    let start = Instant::now();
    let answer = call(PATIENCE);
    assert!(start.elapsed() >= PATIENCE, "{:?}", start.elapsed());
    let signals = SIGNALS.load(Ordering::Relaxed) - before;
    assert!((32..16 * 100).contains(&signals), "{signals} signals");
    answer
}

/// Runs `body` in the background of a terminal, which it is given. Its group has a
/// parent in the same session: without one, the kernel says EIO.
fn in_the_background(test: &'static str, body: impl FnOnce(BorrowedFd<'_>)) {
    if std::env::var_os(ROLE).is_some() {
        // SAFETY: the handler touches a counter alone; the alarm, which ends the process,
        // is for a call that does not end.
        unsafe {
            libc::alarm(20);
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = count as *const () as usize;
            for signal in [libc::SIGTTIN, libc::SIGTTOU] {
                assert_eq!(libc::sigaction(signal, &action, null_mut()), 0);
            }
        }
        let terminal = std::io::stdin();
        set_nonblocking(&terminal, true).unwrap();
        return body(terminal.as_fd());
    }
    alone(test, move || {
        let (master, slave) = terminal();
        // Something to read, so that `poll` calls it ready while no call can have it.
        assert_eq!(write(&master, b"line\n"), Io::Ready(5));
        // Its end would be a hang-up, which ends this process.
        std::mem::forget(master);
        let mut child = command(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--test-threads=1"]);
        child.env(ROLE, "1").stdin(slave).stdout(Stdio::piped());
        let child = start(child.process_group(0));
        let output = within_deadline(|| child.wait_with_output().unwrap());
        let said = String::from_utf8_lossy(&output.stdout);
        let passed = output.status.success() && said.contains("1 passed");
        assert!(passed, "{}\n{said}", output.status);
    });
}

/// Fails unless the call was made again, sixteen times in all, and then said why. Of
/// the signals another thread may take some, and the kernel then begins anew.
#[track_caller]
fn assert_ends(op: Op, call: impl FnOnce() -> Io) {
    let before = SIGNALS.load(Ordering::Relaxed);
    assert_eq!(call(), Io::Err(Errno::INTR));
    assert!(SIGNALS.load(Ordering::Relaxed) - before >= 16);
    assert_eq!(op.outcome(Errno::INTR), Outcome::Interrupted);
}

#[test]
fn c06_sigttin_read_in_the_background_ends_and_says_so() {
    let name = "c06_sigttin_read_in_the_background_ends_and_says_so";
    in_the_background(name, |terminal| {
        let mut buf = [0; 8];
        assert_ends(Op::Read, || read(terminal, &mut buf));
        assert_ends(Op::Read, || {
            readv(terminal, &mut [IoSliceMut::new(&mut buf)])
        });
    });
}

#[test]
fn c06_sigttou_write_in_the_background_ends_and_says_so() {
    let name = "c06_sigttou_write_in_the_background_ends_and_says_so";
    in_the_background(name, |terminal| {
        assert_ends(Op::Write, || write(terminal, b"x"));
        assert_ends(Op::Write, || writev(terminal, &[IoSlice::new(b"x")]));
        let mut rest = &b"x"[..];
        assert_ends(Op::Write, || write_all(terminal, &mut rest).map(|()| 0));
        assert_eq!(rest, b"x");
    });
}

#[test]
fn c06_sigttin_a_wait_rests_and_ends_on_its_time() {
    let name = "c06_sigttin_a_wait_rests_and_ends_on_its_time";
    in_the_background(name, |terminal| {
        let mut buf = [0; 8];
        let answer = lasts_at_rest(|time| until(terminal, time).read(&mut buf));
        assert_eq!(answer, Io::Err(Errno::INTR));

        let mut set = PollSet::<_, (), Inline<1>>::new();
        let key = set.register(terminal, Interest::READABLE, ()).unwrap();
        let mut handed_out = 0;
        lasts_at_rest(|time| {
            let deadline = Deadline::after(time);
            while let Io::Ready(_) = set.select(deadline) {
                while let Some((key, _)) = set.next_ready() {
                    handed_out += 1;
                    let (mut at, ()) = set.get_mut(key).unwrap();
                    assert!(at.read(&mut buf).is_would_block());
                }
            }
        });
        assert!((2..100).contains(&handed_out), "{handed_out}");
        assert_eq!(set.get_mut(key).unwrap().0.resting_for(), Some(Errno::INTR));
    });
}

#[test]
fn c06_sigttou_write_all_ends_on_its_time() {
    let name = "c06_sigttou_write_all_ends_on_its_time";
    in_the_background(name, |terminal| {
        let mut rest = &b"x"[..];
        let ended = lasts_at_rest(|time| until(terminal, time).write_all(&mut rest));
        assert_eq!((ended, rest), (Io::Err(Errno::INTR), &b"x"[..]));
    });
}

/// std's own loops call again on `ErrorKind::Interrupted`, for ever.
#[cfg(feature = "std")]
mod std_io {
    use std::error::Error;
    use std::io::{self, ErrorKind, Read, Write};

    use super::{in_the_background, lasts_at_rest};
    use wouldblock::{Errno, NonBlocking, until};

    /// Fails unless that is the end of the time, and why nothing was done until then.
    #[track_caller]
    fn assert_timed_out(result: io::Result<()>) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let source = error.get_ref().and_then(Error::source).unwrap();
        assert_eq!(source.downcast_ref(), Some(&Errno::INTR));
    }

    #[track_caller]
    fn assert_busy(result: io::Result<()>) {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ResourceBusy);
    }

    #[test]
    fn c06_sigttin_read_exact_ends() {
        in_the_background("std_io::c06_sigttin_read_exact_ends", |terminal| {
            let mut buf = [0; 8];
            assert_timed_out(lasts_at_rest(|time| {
                until(terminal, time).std_io().read_exact(&mut buf)
            }));
            let terminal = NonBlocking::new(terminal).unwrap();
            assert_busy(terminal.std_io().read_exact(&mut buf));
        });
    }

    #[test]
    fn c06_sigttou_write_all_ends() {
        in_the_background("std_io::c06_sigttou_write_all_ends", |terminal| {
            assert_timed_out(lasts_at_rest(|time| {
                until(terminal, time).std_io().write_all(b"x")
            }));
            let terminal = NonBlocking::new(terminal).unwrap();
            assert_busy(terminal.std_io().write_all(b"x"));
        });
    }
}
