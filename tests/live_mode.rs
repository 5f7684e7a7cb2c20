//! Non-blocking mode on real descriptors.

mod common;

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use wouldblock::{
    Io, ModeGuard, NonBlocking, is_nonblocking, read, replace_nonblocking, set_nonblocking,
};

#[test]
fn set_nonblocking_changes_the_mode_and_keeps_other_flags() {
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(tempfile::NamedTempFile::new().unwrap().path());
    let file = file.unwrap();
    let before = rustix::fs::fcntl_getfl(&file).unwrap();
    assert!(before.contains(rustix::fs::OFlags::APPEND));
    set_nonblocking(&file, true).unwrap();
    assert_eq!(is_nonblocking(&file), Ok(true));
    assert!(
        rustix::fs::fcntl_getfl(&file)
            .unwrap()
            .contains(rustix::fs::OFlags::APPEND)
    );
    set_nonblocking(&file, false).unwrap();
    assert_eq!(rustix::fs::fcntl_getfl(&file).unwrap(), before);
}

#[test]
fn replace_nonblocking_returns_the_mode_before() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    for (mode, before) in [(false, false), (true, false), (true, true), (false, true)] {
        assert_eq!(replace_nonblocking(&ours, mode), Ok(before));
        assert_eq!(is_nonblocking(&ours), Ok(mode));
    }
}

#[test]
fn set_nonblocking_on_a_duplicate_changes_the_original() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let duplicate = ours.try_clone().unwrap();
    set_nonblocking(&duplicate, true).unwrap();
    assert_eq!(is_nonblocking(&ours), Ok(true));
}

#[test]
#[cfg(target_os = "linux")]
fn set_nonblocking_refused_fails_with_the_errno() {
    use rustix::fs::{Mode, OFlags, open};
    let path_only = open("/", OFlags::PATH, Mode::empty()).unwrap();
    assert_eq!(
        set_nonblocking(&path_only, true),
        Err(wouldblock::Errno::BADF)
    );
}

#[test]
#[cfg(target_os = "linux")]
fn nonblocking_new_refused_hands_the_descriptor_back() {
    use rustix::fs::{Mode, OFlags, open};
    let path_only: OwnedFd = open("/", OFlags::PATH, Mode::empty()).unwrap();
    let number = path_only.as_raw_fd();
    let refused: wouldblock::Refused<OwnedFd> = NonBlocking::new(path_only).unwrap_err();
    assert_eq!(refused.fd.as_raw_fd(), number);
    assert_eq!(refused.errno, wouldblock::Errno::BADF);
    assert!(refused.to_string().contains("refused the mode"));
    assert_eq!(wouldblock::Errno::from(refused), wouldblock::Errno::BADF);
}

#[test]
#[cfg(target_os = "linux")]
fn refused_says_why_and_asks_nothing_of_the_descriptor() {
    use rustix::fs::{Mode, OFlags, open};
    let refused = || {
        let path_only = open("/", OFlags::PATH, Mode::empty()).unwrap();
        NonBlocking::new(path_only).unwrap_err()
    };
    assert!(format!("{:?}", refused()).starts_with("Refused { errno: "));
    #[cfg(feature = "std")]
    {
        let error = std::io::Error::from(refused());
        assert_eq!(
            error.raw_os_error(),
            Some(wouldblock::Errno::BADF.raw_os_error())
        );
    }
}

#[test]
fn nonblocking_of_a_reference_and_of_an_owned_descriptor_both_work() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let borrowed = NonBlocking::new(&ours).unwrap();
    assert_eq!(borrowed.read(&mut [0; 8]), Io::WouldBlock);
    let owned = NonBlocking::new(OwnedFd::from(theirs)).unwrap();
    assert_eq!(owned.read(&mut [0; 8]), Io::WouldBlock);
    assert_eq!(is_nonblocking(owned.into_inner()), Ok(true));
    assert_eq!(borrowed.get_ref().as_raw_fd(), ours.as_raw_fd());
}

#[test]
fn mode_guard_restores_the_mode_that_it_changed() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    {
        let guard = ModeGuard::new(&ours, true).unwrap();
        assert_eq!(read(&guard, &mut [0; 8]), Io::WouldBlock);
    }
    assert_eq!(is_nonblocking(&ours), Ok(false));
    theirs.write_all(b"!").unwrap();
    assert_eq!(read(&ours, &mut [0; 8]), Io::Ready(1));
}

#[test]
fn mode_guard_that_changed_nothing_restores_nothing() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    drop(ModeGuard::new(&ours, true).unwrap());
    assert_eq!(is_nonblocking(&ours), Ok(true));
    ModeGuard::new(&ours, true).unwrap().into_inner().unwrap();
    assert_eq!(is_nonblocking(&ours), Ok(true));
}

#[test]
fn mode_guard_for_blocking_mode_restores_non_blocking() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    let guard = ModeGuard::new(ours.as_fd(), false).unwrap();
    assert_eq!(is_nonblocking(&ours), Ok(false));
    assert_eq!(guard.into_inner().unwrap().as_raw_fd(), ours.as_raw_fd());
    assert_eq!(is_nonblocking(&ours), Ok(true));
}

#[test]
fn mode_guard_into_inner_of_an_owned_descriptor_gives_it_back_open() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let guard = ModeGuard::new(ours, true).unwrap();
    assert_eq!(is_nonblocking(&guard), Ok(true));
    let ours = guard.into_inner().unwrap();
    assert_eq!(is_nonblocking(&ours), Ok(false));
    // Nothing more is put back when the guard is gone.
    set_nonblocking(&ours, true).unwrap();
    assert_eq!(is_nonblocking(&ours), Ok(true));
}

#[test]
fn as_raw_fd_of_non_blocking_is_the_descriptors_own() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let ours = NonBlocking::new(ours).unwrap();
    assert_eq!(ours.as_raw_fd(), ours.get_ref().as_raw_fd());
}

#[test]
fn mode_guards_dropped_in_reverse_order_leave_the_first_mode() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let outer = ModeGuard::new(&ours, true).unwrap();
    let inner = ModeGuard::new(&ours, false).unwrap();
    drop(inner);
    assert_eq!(is_nonblocking(&ours), Ok(true));
    drop(outer);
    assert_eq!(is_nonblocking(&ours), Ok(false));
}

/// How a process can end without dropping what it holds.
#[test]
fn mode_guard_of_a_process_that_does_not_drop_it_restores_nothing() {
    #![allow(unsafe_code, reason = "a signal has no safe interface")]
    use rustix::process::{Resource, Rlimit, setrlimit};
    const END: &str = "WOULDBLOCK_TEST_END";
    let name = "mode_guard_of_a_process_that_does_not_drop_it_restores_nothing";
    if let Some(end) = std::env::var_os(END) {
        // An abort leaves no core behind.
        let none = Some(0);
        let limit = Rlimit {
            current: none,
            maximum: none,
        };
        setrlimit(Resource::Core, limit).unwrap();
        let shared = std::io::stdin();
        let guard = ModeGuard::new(&shared, true).unwrap();
        match end.to_str() {
            Some("exit") => std::process::exit(0),
            Some("abort") => std::process::abort(),
            // SAFETY: no pointer is passed.
            Some("signal") => drop(unsafe { libc::raise(libc::SIGKILL) }),
            _ => drop(guard),
        }
        return;
    }
    for (end, stays) in [
        ("exit", true),
        ("abort", true),
        ("signal", true),
        ("return", false),
    ] {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let given = OwnedFd::from(ours.try_clone().unwrap());
        let mut child = common::command(std::env::current_exe().unwrap());
        child.args(["--exact", name, "--test-threads=1"]);
        child.env(END, end).stdin(given);
        let child = child.stdout(Stdio::piped()).stderr(Stdio::null());
        let child = common::start(child);
        let output = common::within_deadline(|| child.wait_with_output().unwrap());
        assert_eq!(output.status.success(), end == "exit" || end == "return");
        assert_eq!(is_nonblocking(&ours), Ok(stays), "{end}");
    }
}
