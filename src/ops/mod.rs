//! The operations: thin functions, one system call each. Nothing here knows an
//! errno by name; [`retry_interrupted`] hands it to the classifier.

pub(crate) mod connection;
pub(crate) mod creation;
pub(crate) mod descriptor;
pub(crate) mod descriptors;
pub(crate) mod message;
pub(crate) mod mode;
pub(crate) mod poll;
#[cfg(feature = "std")]
mod std_io;
pub(crate) mod stream;
pub(crate) mod vectored;

use rustix::io::Errno;
use rustix::net;

use crate::mapping::classify::{Op, Outcome, classify};
use crate::mapping::flags::{RecvFlags, SendFlags};
use crate::mapping::io::Io;
use crate::platform::{HOST, Platform};

/// Makes a call until no signal interrupts it, and answers what it means.
///
/// The plain loop is the cheapest form: inlined, it compares the errno with one
/// or two constants.
#[inline(always)]
pub(crate) fn retry_interrupted<T>(op: Op, mut call: impl FnMut() -> Result<T, Errno>) -> Io<T> {
    loop {
        match call() {
            Err(errno) if matches!(op.outcome(errno), Outcome::Interrupted) => {}
            result => return Io::from_result(op, result),
        }
    }
}

/// What a failed call answers; `None` says to make it again.
#[inline(always)]
pub(crate) fn answer_of_error<T>(op: Op, errno: Errno) -> Option<Io<T>> {
    match classify(op, errno.raw_os_error(), HOST) {
        Outcome::WouldBlock => Some(Io::WouldBlock),
        Outcome::Interrupted => None,
        _ => Some(Io::Err(errno)),
    }
}

#[inline(always)]
fn recv_flags(flags: RecvFlags) -> net::RecvFlags {
    net::RecvFlags::from_bits_retain(flags.to_system())
}

#[inline(always)]
fn send_flags(flags: SendFlags, platform: &Platform) -> net::SendFlags {
    net::SendFlags::from_bits_retain(flags.to_system(platform))
}

/// The part of `buf` that one call of `platform` may be asked to take. Where
/// there is no limit, the test is never true and folds away.
#[inline(always)]
fn clamp<'a>(buf: &'a [u8], platform: &Platform) -> &'a [u8] {
    if platform.io_max < buf.len() {
        &buf[..platform.io_max]
    } else {
        buf
    }
}

/// The part of `buf` that one call of `platform` may be asked to fill.
#[inline(always)]
fn clamp_mut<'a, T>(buf: &'a mut [T], platform: &Platform) -> &'a mut [T] {
    if platform.io_max < buf.len() {
        &mut buf[..platform.io_max]
    } else {
        buf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn retry_interrupted_interrupted_once_calls_again() {
        let mut answers = [Err(Errno::INTR), Err(Errno::INTR), Ok(7)].into_iter();
        assert_eq!(
            retry_interrupted(Op::Read, || answers.next().unwrap()),
            Io::Ready(7)
        );
        assert!(answers.next().is_none());
    }
}
