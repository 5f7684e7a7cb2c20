//! What spun in the field, through `until` and through a set's entries: kernels whose
//! readiness lies, descriptors of which nothing comes, things that are short. Fewer than
//! a hundred turns and one percent of a processor in a second. `tests/waits.rs` and
//! `tests/entries.rs` have the cases that need no more than a socket, `tests/faults` the
//! answers that a kernel could give.

#![cfg(target_os = "linux")]

mod common;

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::{set_option, thread_cpu_time, wait_to_read};
use wouldblock::{
    At, Deadline, Errno, Inline, Interest, Io, Op, PollSet, Readiness, RecvFlags, SendFlags, recv,
    send, set_nonblocking,
};

const IN: RecvFlags = RecvFlags::empty();
const OUT: SendFlags = SendFlags::empty();
/// How long each case lasts.
const TIME: Duration = Duration::from_millis(500);

/// Goes round a set of one, and calls for each hand-out; returns how many there were.
#[track_caller]
fn set_does_not_spin<F: AsFd>(
    what: &str,
    fd: F,
    interest: Interest,
    mut call: impl FnMut(&mut At<'_, F>, Readiness),
) -> usize {
    let mut set: PollSet<F, (), Inline<1>> = PollSet::new();
    set.register(fd, interest, ()).unwrap();
    uses_little(what, |end| {
        let (mut waits, mut hand_outs) = (0, 0);
        while !end.has_passed() {
            waits += 1;
            assert!(!set.select(end).is_err());
            while let Some((key, readiness)) = set.next_ready() {
                hand_outs += 1;
                call(&mut set.get_mut(key).unwrap().0, readiness);
            }
        }
        assert!(
            waits <= 50 && hand_outs <= 50,
            "{what}: {hand_outs}, {waits} waits"
        );
        hand_outs
    })
}

/// One percent of a processor, or the least of three on a machine that is busy.
#[track_caller]
fn uses_little<T>(what: &str, mut turns: impl FnMut(Deadline) -> T) -> T {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let begun = thread_cpu_time();
        let result = turns(Deadline::after(TIME));
        least = least.min(thread_cpu_time() - begun);
        if least < TIME / 100 {
            eprintln!("{what}: {least:?} of processor time in {TIME:?}");
            return result;
        }
    }
    panic!("{what}: {least:?} of processor time in {TIME:?}");
}

// ---- hang-ups and errors beside a direction that rests ----

/// A datagram socket with an error that nobody drains: `recv` would block, and poll
/// tells of the error whatever it is asked.
fn error_queue() -> UdpSocket {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_option(&ours, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    ours.connect(nobody.local_addr().unwrap()).unwrap();
    let _none_starts = common::STARTS.read();
    drop(nobody);
    send(&ours, b"?", OUT).ready().unwrap();
    wait_to_read(&ours);
    assert_eq!(recv(&ours, &mut [0; 8], IN), Io::Err(Errno::CONNREFUSED));
    ours
}

#[test]
fn set_told_of_hang_ups_beside_a_liar_does_not_spin() {
    for interest in [
        Interest::READABLE | Interest::HANG_UP,
        Interest::READABLE | Interest::PRIORITY,
    ] {
        set_does_not_spin("error queue", error_queue(), interest, |at, readiness| {
            while readiness.is_readable() && at.recv(&mut [0; 8], IN).is_ready() {}
        });
    }
    for interest in [
        Interest::READABLE | Interest::HANG_UP,
        Interest::WRITABLE | Interest::HANG_UP,
        Interest::all(),
    ] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        common::close(theirs);
        set_does_not_spin("hang-up", ours, interest, |at, _| {
            for op in [Op::Recv, Op::Send] {
                if at.interest().intersects(op.interest()) {
                    let _ = at.attempt(op, |_| Io::<()>::WouldBlock);
                }
            }
        });
    }
}
