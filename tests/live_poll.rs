//! `poll`, `ready`, interest and readiness on real descriptors.

mod common;

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{
    fill, habits::habits, pipe, ready, reset, tcp_pair, thread_cpu_time, wait_for, within_deadline,
};
use wouldblock::{
    Errno, Interest, Io, NonBlocking, Op, Outcome, PollFd, Readiness, RecvFlags, poll, recv,
    set_nonblocking,
};

const NOW: Option<Duration> = Some(Duration::ZERO);

#[test]
fn poll_with_nothing_ready_would_block_and_is_never_early() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut fds = [Interest::READABLE.on(&ours)];
    for micros in [0, 1, 100, 999, 1_000, 1_001, 20_000] {
        let timeout = Duration::from_micros(micros);
        let start = Instant::now();
        assert_eq!(poll(&mut fds, Some(timeout)), Io::WouldBlock);
        assert!(start.elapsed() >= timeout, "{timeout:?} ended early");
        assert!(Readiness::from(&fds[0]).is_empty());
    }
}

#[test]
fn poll_of_an_empty_slice_waits_for_the_time_alone() {
    let start = Instant::now();
    assert_eq!(
        poll(&mut [], Some(Duration::from_millis(5))),
        Io::WouldBlock
    );
    assert!(start.elapsed() >= Duration::from_millis(5));
}

#[test]
fn poll_of_many_short_waits_uses_no_cpu_to_speak_of() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let start = Instant::now();
    let before = thread_cpu_time();
    let mut calls = 0;
    while start.elapsed() < Duration::from_millis(200) {
        let mut fds = [Interest::READABLE.on(&ours)];
        assert_eq!(
            poll(&mut fds, Some(Duration::from_micros(900))),
            Io::WouldBlock
        );
        calls += 1;
    }
    // A timeout truncated to milliseconds would make this a busy loop of
    // hundreds of thousands of calls.
    assert!(calls <= 223, "{calls} calls of 900 microseconds in 200 ms");
    assert!(thread_cpu_time() - before < Duration::from_millis(100));
}

#[test]
fn poll_counts_the_descriptors_that_are_ready() {
    let pairs: Vec<_> = (0..5).map(|_| UnixStream::pair().unwrap()).collect();
    for i in [1, 3] {
        (&pairs[i].1).write_all(b"!").unwrap();
    }
    let mut fds: Vec<PollFd<'_>> = pairs.iter().map(|p| Interest::READABLE.on(&p.0)).collect();
    assert_eq!(poll(&mut fds, None), Io::Ready(2));
    let which: Vec<_> = fds
        .iter()
        .map(|fd| Readiness::from(fd).is_readable())
        .collect();
    assert_eq!(which, [false, true, false, true, false]);
}

#[test]
fn poll_with_any_duration_is_accepted() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"!").unwrap();
    for timeout in [
        None,
        Some(Duration::MAX),
        Some(Duration::from_secs(u64::MAX)),
        Some(Duration::from_secs(i64::MAX.unsigned_abs())),
        Some(Duration::from_secs(1 << 31)),
        Some(Duration::from_nanos(1)),
    ] {
        let mut fds = [Interest::READABLE.on(&ours)];
        assert_eq!(poll(&mut fds, timeout), Io::Ready(1), "{timeout:?}");
    }
}

#[test]
fn poll_of_the_longest_duration_still_waits() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (waiting, told) = std::sync::mpsc::channel();
    let answer = std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            waiting.send(()).unwrap();
            poll(&mut [Interest::READABLE.on(&ours)], Some(Duration::MAX))
        });
        told.recv().unwrap();
        theirs.write_all(b"!").unwrap();
        waiter.join().unwrap()
    });
    assert_eq!(answer, Io::Ready(1));
}

#[test]
fn poll_of_a_dead_descriptor_reports_invalid_and_nothing_else() {
    // The number is free again, and no later descriptor takes one so high.
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut fds = [dead_entry(), Interest::WRITABLE.on(&ours)];
    assert_eq!(poll(&mut fds, NOW), Io::Ready(2));
    let dead = Readiness::from(&fds[0]);
    assert_eq!(dead, Readiness::INVALID);
    assert!(dead.is_invalid() && !dead.is_readable() && !dead.is_writable());
    assert!(Readiness::from(&fds[1]).is_writable());
}

/// An entry whose descriptor is open nowhere: rustix's placeholder numbers are
/// ignored by poll, so this needs a real, unused one.
fn dead_entry() -> PollFd<'static> {
    #![allow(unsafe_code, reason = "safe code cannot name a closed descriptor")]
    // SAFETY: only poll sees it, for which a closed descriptor is an answer.
    let dead = unsafe { std::os::fd::BorrowedFd::borrow_raw(1 << 20) };
    PollFd::from_borrowed_fd(dead, rustix::event::PollFlags::IN)
}

#[test]
fn ready_of_a_dead_descriptor_fails_with_ebadf() {
    #![allow(unsafe_code, reason = "safe code cannot name a closed descriptor")]
    // SAFETY: only poll and recv see it, for which a closed descriptor is an
    // error.
    let dead = unsafe { std::os::fd::BorrowedFd::borrow_raw(1 << 20) };
    assert_eq!(ready(dead, Interest::READABLE), Io::Err(Errno::BADF));
    assert_eq!(
        recv(dead, &mut [0; 8], RecvFlags::empty()),
        Io::Err(Errno::BADF)
    );
    assert_eq!(set_nonblocking(dead, true), Err(Errno::BADF));
    assert_eq!(wouldblock::is_nonblocking(dead), Err(Errno::BADF));
    let refused = NonBlocking::new(dead).unwrap_err();
    assert_eq!(refused.errno, Errno::BADF);
}

#[test]
fn poll_of_more_descriptors_than_the_limit_fails_with_einval() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let Some(limit) = limit.current.and_then(|n| usize::try_from(n).ok()) else {
        return; // no limit, nothing to exceed
    };
    if limit > 4 << 20 {
        return; // the slice would take hundreds of megabytes
    }
    let mut fds = vec![Interest::READABLE.on(&ours); limit + 1];
    let answer = poll(&mut fds, NOW);
    // Elsewhere the limit may be the system's, and not the process's.
    let taken = answer.is_would_block() && !habits().errnos_of_linux;
    assert!(answer == Io::Err(Errno::INVAL) || taken, "{answer:?}");
    assert_eq!(Op::Poll.outcome(Errno::INVAL), Outcome::Failed);
}

#[test]
fn poll_interrupted_by_a_signal_fails_with_eintr() {
    #![allow(unsafe_code, reason = "a handler has no safe interface")]
    extern "C" fn ignore(_: libc::c_int) {}
    // SAFETY: the handler does nothing, and SA_RESTART shows that poll is not
    // restarted even so.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
            0
        );
    }
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        // SAFETY: asks for this thread's own handle.
        tell.send(unsafe { libc::pthread_self() }).unwrap();
        poll(&mut [Interest::READABLE.on(&ours)], Some(common::DEADLINE))
    });
    let thread = told.recv().unwrap();
    // The signal may come before the wait has begun, so it is sent until one
    // does its work.
    while !waiter.is_finished() {
        // SAFETY: the thread has not been joined, so its handle is valid.
        unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
        std::thread::yield_now();
    }
    assert_eq!(waiter.join().unwrap(), Io::Err(Errno::INTR));
    assert_eq!(Op::Poll.outcome(Errno::INTR), Outcome::Interrupted);
}

#[test]
fn readiness_of_a_stream_follows_its_peer() {
    let (ours, mut theirs) = tcp_pair();
    let both = Interest::READABLE | Interest::WRITABLE;
    assert_eq!(ready(&ours, Interest::READABLE), Io::WouldBlock);
    assert_eq!(ready(&ours, both), Io::Ready(Readiness::WRITABLE));
    theirs.write_all(b"!").unwrap();
    assert!(wait_for(&ours, Interest::READABLE).contains(Readiness::READABLE));
    recv(&ours, &mut [0; 8], RecvFlags::empty())
        .ready()
        .unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    let readiness = wait_for(&ours, Interest::READABLE);
    let hang_up = readiness.is_hang_up() && habits().half_close_is_no_hang_up;
    assert!(readiness.is_readable() && !hang_up, "{readiness:?}");
    // An older kernel may not have the bit that the table has.
    let told = wouldblock::platform::HOST.pollrdhup != 0;
    let closed = readiness.is_read_closed();
    assert!(
        closed == told || !closed && !habits().errnos_of_linux,
        "{readiness:?}"
    );
    // Both directions closed: where that is a hang-up it ends every wait.
    ours.shutdown(Shutdown::Write).unwrap();
    let asked = if habits().full_close_hangs_up {
        Interest::READABLE
    } else {
        both
    };
    let readiness = wait_for(&ours, asked);
    assert!(
        readiness.is_readable() && readiness.is_writable(),
        "{readiness:?}"
    );
}

#[test]
fn readiness_after_a_reset_has_the_error() {
    let (ours, theirs) = tcp_pair();
    reset(theirs);
    let readiness = wait_for(&ours, Interest::READABLE | Interest::WRITABLE);
    let told = readiness.is_error() && readiness.is_hang_up();
    assert!(told || !habits().reset_polls_error, "{readiness:?}");
    assert!(
        readiness.is_readable() && readiness.is_writable(),
        "{readiness:?}"
    );
}

#[test]
fn readiness_of_urgent_data_is_priority() {
    use rustix::net::{SendFlags, send as send_with};
    if !habits().urgent_is_priority {
        return println!("skipped: urgent data may not be told here");
    }
    let (ours, theirs) = tcp_pair();
    assert_eq!(ready(&ours, Interest::PRIORITY), Io::WouldBlock);
    send_with(&theirs, b"!", SendFlags::OOB).unwrap();
    let readiness = wait_for(&ours, Interest::PRIORITY);
    assert!(readiness.is_priority(), "{readiness:?}");
    if habits().urgent_ends_when_read {
        let flags = rustix::net::RecvFlags::OOB;
        rustix::net::recv(&ours, &mut [0; 1][..], flags).unwrap();
        assert_eq!(ready(&ours, Interest::PRIORITY), Io::WouldBlock);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn readiness_of_a_sysfs_file_is_an_error_until_it_was_read() {
    let Ok(file) = std::fs::File::open("/sys/class/net/lo/operstate") else {
        return println!("skipped: no sysfs here");
    };
    let both = Interest::READABLE | Interest::PRIORITY;
    let mut readiness = ready(&file, both).ready().unwrap();
    assert!(
        readiness.is_error() && readiness.is_priority(),
        "{readiness:?}"
    );
    // No call reports an error.
    assert!(wouldblock::read(&file, &mut [0; 64]).is_ready());
    readiness = ready(&file, both).ready().unwrap();
    assert_eq!(readiness, Readiness::READABLE);
}

#[test]
fn readiness_of_a_listener_is_the_queued_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(ready(&listener, Op::Accept.interest()), Io::WouldBlock);
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert!(wait_for(&listener, Op::Accept.interest()).is_readable());
}

#[test]
fn readiness_of_a_pipe_without_a_reader_is_writable() {
    let (reader, writer) = pipe();
    let writer = NonBlocking::new(writer).unwrap();
    fill(|buf| writer.write(buf));
    assert_eq!(ready(&writer, Interest::WRITABLE), Io::WouldBlock);
    drop(reader);
    let readiness = wait_for(&writer, Interest::WRITABLE);
    assert!(readiness.is_writable(), "{readiness:?}");
    assert_eq!(writer.write(b"?"), Io::Err(Errno::PIPE));
}

#[test]
fn readiness_of_a_regular_file_is_immediate() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    set_nonblocking(&file, true).unwrap();
    assert!(wait_for(&file, Interest::READABLE).is_readable());
    assert_eq!(wouldblock::read(&file, &mut [0; 4]), Io::Ready(4));
}

#[test]
fn ready_does_not_wait() {
    let answer = within_deadline(|| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ready(&ours, Interest::READABLE)
    });
    assert_eq!(answer, Io::WouldBlock);
}
