//! The monotonic clock, and sleeping on it.

use core::time::Duration;

use rustix::thread::{NanosleepRelativeResult, nanosleep};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The time on a clock that never goes back, in nanoseconds since some moment in
/// the past.
#[inline]
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// Sleeps for `time`, signals or not. Not by `poll` of nothing, which fails when
/// the kernel has no memory, and used to return at once on macOS.
pub(crate) fn sleep(time: Duration) {
    let Ok(mut request) = Timespec::try_from(time) else {
        return;
    };
    while let NanosleepRelativeResult::Interrupted(rest) = nanosleep(&request) {
        request = rest;
    }
}
