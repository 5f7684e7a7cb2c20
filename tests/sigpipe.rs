//! SIGPIPE: `send` never raises it; `write` does, and says so.

#![allow(unsafe_code, reason = "signal dispositions have no safe interface")]

use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use wouldblock::{Io, NonBlocking, SendFlags};

const ROLE: &str = "WOULDBLOCK_SIGPIPE_CHILD";

/// Runs the test of this name again, as a process of its own in which SIGPIPE
/// has its default action: ending the process.
fn in_a_child(test: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "1")
        .output()
        .unwrap()
        .status
}

fn is_the_child() -> bool {
    if std::env::var_os(ROLE).is_none() {
        return false;
    }
    // Rust's runtime ignores the signal; a C program that links this crate may
    // not.
    // SAFETY: SIG_DFL is a valid disposition, and no handler runs.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    true
}

fn widow() -> NonBlocking<UnixStream> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    NonBlocking::new(ours).unwrap()
}

#[test]
fn send_to_a_peer_that_is_gone_raises_no_signal() {
    if is_the_child() {
        assert!(matches!(widow().send(b"?", SendFlags::empty()), Io::Err(_)));
        return;
    }
    let status = in_a_child("send_to_a_peer_that_is_gone_raises_no_signal");
    assert!(status.success(), "{status}");
}

/// Also the proof that the test above can fail.
#[test]
fn write_to_a_peer_that_is_gone_raises_sigpipe() {
    if is_the_child() {
        let _ = widow().write(b"?");
        return;
    }
    let status = in_a_child("write_to_a_peer_that_is_gone_raises_sigpipe");
    assert_eq!(status.signal(), Some(libc::SIGPIPE), "{status}");
}
