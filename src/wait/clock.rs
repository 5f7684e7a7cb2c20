//! The monotonic clock, and sleeping on it.

use core::time::Duration;

#[cfg(wouldblock_has = "nanosleep")]
use rustix::thread::{NanosleepRelativeResult, nanosleep};
#[cfg(wouldblock_has = "nanosleep")]
use rustix::time::Timespec;
use rustix::time::{ClockId, clock_gettime};

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

/// Sleeps for `time`, signals or not. What is left after a signal is computed from
/// one end: what `nanosleep` hands back would let every signal make it later. Not by
/// `poll` of nothing, which fails when the kernel has no memory, and used to return
/// at once on macOS.
#[cfg(wouldblock_has = "nanosleep")]
pub(crate) fn sleep(time: Duration) {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let end = now().saturating_add(time);
    let mut rest = time;
    while let Ok(request) = Timespec::try_from(Duration::from_nanos(rest)) {
        match nanosleep(&request) {
            NanosleepRelativeResult::Interrupted(_) => rest = end.saturating_sub(now()),
            _ => return,
        }
    }
}

/// rustix has no `nanosleep` for Redox, and `poll` of nothing takes a descriptor there
/// (relibc `src/header/poll/mod.rs poll_epoll()`): std's sleep where there is one, and
/// without it a wait that spins while descriptors are short, but ends on its time.
#[cfg(not(wouldblock_has = "nanosleep"))]
pub(crate) fn sleep(time: Duration) {
    #[cfg(feature = "std")]
    std::thread::sleep(time);
    #[cfg(not(feature = "std"))]
    {
        let end = super::deadline::Deadline::after(time);
        while let Some(rest) = end.remaining().filter(|rest| !rest.is_zero()) {
            let _ = crate::ops::poll::poll(&mut [], Some(rest));
        }
    }
}
