//! The operations: thin functions, one system call each. Nothing here knows an
//! errno by name; [`retry_interrupted`] hands it to the classifier.

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod creation;
pub(crate) mod descriptor;
pub(crate) mod descriptors;
pub(crate) mod message;
pub(crate) mod mode;
pub(crate) mod poll;
pub(crate) mod stand_in;
#[cfg(feature = "std")]
pub(crate) mod std_io;
pub(crate) mod stream;
pub(crate) mod vectored;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::net;

use mode::is_nonblocking;

use crate::mapping::classify::{Op, Outcome};
use crate::mapping::flags::SendFlags;
use crate::mapping::io::Io;
use crate::platform::Platform;
use crate::platform::errnos::{WOULD_BLOCK, WOULD_WAIT};

/// How many calls one operation makes that come to nothing, before it says so. A
/// signal need not be the last one: a process in the background that handles SIGTTIN
/// gets one from every read of its terminal. Nor need a dead connection of a queue.
const TRIES: usize = 16;

/// Makes a call, again if a signal interrupts it, and answers what it means.
///
/// The call that no signal interrupts is the one to be cheap. So the others are made
/// elsewhere, and what travels there and back fits into registers: `call` captures two
/// words at most, what it works on is an argument, and a count comes back beside an
/// errno (docs/PERFORMANCE.md).
#[inline(always)]
fn retry_interrupted<A: Copy, B>(
    op: Op,
    fd: A,
    mut buf: B,
    mut call: impl FnMut(A, &mut B) -> Result<usize, Errno>,
) -> Io {
    match call(fd, &mut buf) {
        Err(errno) if is_interrupted(op, errno) => unpack(call_again(fd, buf, call, op)),
        result => Io::from_result(op, result),
    }
}

#[cold]
#[inline(never)]
fn call_again<A: Copy, B>(
    fd: A,
    mut buf: B,
    mut call: impl FnMut(A, &mut B) -> Result<usize, Errno>,
    op: Op,
) -> (usize, Errno) {
    pack(retry_for(op, TRIES - 1, || call(fd, &mut buf)))
}

/// No call counts so many, or one more.
const BLOCKED: usize = usize::MAX - 1;
const FAILED: usize = usize::MAX;

/// An answer as it comes back in registers.
#[inline(always)]
pub(crate) fn pack(answer: Io) -> (usize, Errno) {
    match answer {
        Io::Ready(n) => (n, WOULD_BLOCK),
        Io::WouldBlock => (BLOCKED, WOULD_BLOCK),
        Io::Err(errno) => (FAILED, errno),
    }
}

#[inline(always)]
pub(crate) fn unpack(packed: (usize, Errno)) -> Io {
    match packed {
        (n, _) if n < BLOCKED => Io::Ready(n),
        (BLOCKED, _) => Io::WouldBlock,
        (_, errno) => Io::Err(errno),
    }
}

/// Calls again while it is interrupted, `tries` calls at most. By itself for a value that
/// fits into no register: handed over by a function such as [`call_again`], it would be
/// copied by every call.
#[inline(always)]
fn retry_for<T>(op: Op, mut tries: usize, mut call: impl FnMut() -> Result<T, Errno>) -> Io<T> {
    loop {
        match call() {
            Err(errno) if is_interrupted(op, errno) && tries > 1 => tries -= 1,
            result => return Io::from_result(op, result),
        }
    }
}

/// Likewise, for a receive whose value is borrowed, which no closure can return twice.
macro_rules! retry_lending {
    ($call:expr, $ready:pat => $value:expr) => {{
        let mut left = $crate::ops::TRIES;
        loop {
            match $call {
                Ok($ready) => return Io::Ready($value),
                // If the compiler knew the number, it would unroll the loop so often.
                Err(errno) if left > 1 && $crate::ops::is_interrupted(Op::Recv, errno) => {
                    left = core::hint::black_box(left) - 1;
                }
                Err(errno) => return Io::from_result(Op::Recv, Err(errno)),
            }
        }
    }};
}
use retry_lending;

#[inline(always)]
fn is_interrupted(op: Op, errno: Errno) -> bool {
    matches!(op.outcome(errno), Outcome::Interrupted)
}

/// The flags of a send on `fd`. Where the system would wait in spite of
/// [`SendFlags::DONTWAIT`], a descriptor that may wait is refused.
#[inline(always)]
fn send_flags(
    fd: BorrowedFd<'_>,
    flags: SendFlags,
    platform: &Platform,
) -> Result<net::SendFlags, Errno> {
    if !platform.send_dontwait && flags.contains(SendFlags::DONTWAIT) && !is_nonblocking(fd)? {
        return Err(WOULD_WAIT);
    }
    Ok(flags.to_system(platform))
}

/// The part of `buf` that one call of `platform` may be asked to take. Where
/// there is no limit, this costs nothing.
#[inline(always)]
fn clamp<'a>(buf: &'a [u8], platform: &Platform) -> &'a [u8] {
    &buf[..buf.len().min(platform.io_max)]
}

/// The part of `buf` that one call of `platform` may be asked to fill.
#[inline(always)]
fn clamp_mut<'a, T>(buf: &'a mut [T], platform: &Platform) -> &'a mut [T] {
    let length = buf.len().min(platform.io_max);
    &mut buf[..length]
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::platform::HOST;
    use rustix::fd::AsFd;

    #[test]
    fn clamp_above_the_platforms_limit_keeps_the_head() {
        let mut platform = *HOST;
        platform.io_max = 3;
        assert_eq!(clamp(b"abcde", &platform), b"abc");
        assert_eq!(clamp(b"abc", &platform), b"abc");
        assert_eq!(clamp(b"", &platform), b"");
        assert_eq!(clamp_mut(&mut [1, 2, 3, 4], &platform), [1, 2, 3]);
        assert_eq!(clamp_mut(&mut [1, 2], &platform), [1, 2]);
    }

    #[test]
    fn clamp_without_a_limit_keeps_everything() {
        let mut platform = *HOST;
        platform.io_max = usize::MAX;
        assert_eq!(clamp(b"abcde", &platform), b"abcde");
        assert_eq!(clamp_mut(&mut [1, 2, 3, 4], &platform), [1, 2, 3, 4]);
    }

    /// Calls that are interrupted so often, and then answer.
    fn interrupted(times: usize) -> impl FnMut() -> Result<usize, Errno> {
        let mut left = times;
        move || match left {
            0 => Ok(7),
            _ => {
                left -= 1;
                Err(Errno::INTR)
            }
        }
    }

    #[test]
    fn retries_of_a_call_that_is_interrupted_end_and_say_so() {
        let (fd, _writer) = creation::pipe().unwrap();
        for times in 0..40 {
            let wanted = match times {
                0..TRIES => Io::Ready(7),
                _ => Io::Err(Errno::INTR),
            };
            let mut call = interrupted(times);
            let answer = retry_interrupted(Op::Read, fd.as_fd(), &mut call, |_, call| call());
            assert_eq!(answer, wanted, "{times}");
            let answer = retry_for(Op::Read, TRIES, interrupted(times));
            assert_eq!(answer, wanted, "{times}");
        }
    }

    #[test]
    fn send_flags_where_the_system_would_wait_refuse_a_blocking_descriptor() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut platform = *HOST;
        platform.send_dontwait = false;
        let asked = || send_flags(ours.as_fd(), SendFlags::DONTWAIT, &platform);
        assert_eq!(asked(), Err(WOULD_WAIT));
        let other = send_flags(ours.as_fd(), SendFlags::empty(), &platform);
        assert!(other.is_ok());
        mode::set_nonblocking(&ours, true).unwrap();
        assert!(asked().unwrap().contains(net::SendFlags::DONTWAIT));
    }
}
