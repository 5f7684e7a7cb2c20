//! The monotonic clock, and sleeping on it.

use core::time::Duration;

use rustix::thread::{NanosleepRelativeResult, nanosleep};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The time on a clock that never goes back, since some moment in the past.
#[inline]
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds))
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
