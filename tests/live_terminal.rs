//! Interruptions without end: a process in the background that handles the signals of
//! job control and calls on its terminal.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "terminals and signals have no safe interface")]

mod common;

use std::io::{IoSlice, IoSliceMut};
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{alone, start, within_deadline};
use wouldblock::{
    Errno, Io, Op, Outcome, read, read_with, readv, set_nonblocking, write, write_all, writev,
};

/// Set in the process that is in the background.
const ROLE: &str = "WOULDBLOCK_TEST_BACKGROUND";

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// A terminal that is this session's, and its other end. Writing to it in the
/// background is answered by a signal.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: the calls fill in what they are given, and the descriptors are new.
    unsafe {
        assert_ne!(libc::setsid(), -1);
        let made = libc::openpty(&mut master, &mut slave, null_mut(), null_mut(), null_mut());
        assert_eq!(made, 0);
        assert_eq!(libc::ioctl(slave, libc::TIOCSCTTY, 0), 0);
        let mut modes: libc::termios = zeroed();
        assert_eq!(libc::tcgetattr(slave, &mut modes), 0);
        modes.c_lflag |= libc::TOSTOP;
        assert_eq!(libc::tcsetattr(slave, libc::TCSANOW, &modes), 0);
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
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
        // Its end would be a hang-up, which ends this process.
        std::mem::forget(master);
        let mut child = Command::new(std::env::current_exe().unwrap());
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
        let buf = &mut [MaybeUninit::uninit(); 8];
        assert_ends(Op::Read, || read_with(terminal, buf, |bytes| bytes.len()));
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
