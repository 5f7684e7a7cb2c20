//! The monotonic clock, and sleeping on it.

use core::time::Duration;

/// The time on a clock that never goes back, in nanoseconds since some moment in
/// the past.
#[cfg(wouldblock_has = "clock")]
#[inline]
pub(crate) fn now() -> u64 {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// std's clock, where rustix has none. The build script sees to it that there is std.
#[cfg(not(wouldblock_has = "clock"))]
pub(crate) fn now() -> u64 {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let since = FIRST.get_or_init(std::time::Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Sleeps until `end`, signals or not. What is left after a signal is computed from
/// the end: what `nanosleep` hands back would let every signal make it later. Not by
/// `poll` of nothing, which fails when the kernel has no memory, and used to return
/// at once on macOS.
pub(crate) fn sleep_until(end: u64) {
    while let rest @ 1.. = end.saturating_sub(now()) {
        sleep(Duration::from_nanos(rest));
    }
}

/// Sleeps for that long, or less. A sandbox may refuse it, and allow to wait
/// for nothing.
#[cfg(wouldblock_has = "nanosleep")]
fn sleep(time: Duration) {
    use crate::ops::poll::poll;
    use rustix::event::Timespec;
    use rustix::thread::{NanosleepRelativeResult, nanosleep};

    let slept = Timespec::try_from(time).map(|request| nanosleep(&request));
    if let Ok(NanosleepRelativeResult::Err(_)) = slept {
        let _ = poll(&mut [], Some(time));
    }
}

/// rustix has no `nanosleep` for Redox, and `poll` of nothing takes a descriptor there
/// (relibc `src/header/poll/mod.rs poll_epoll()`): std's sleep where there is one, and
/// without it a wait that spins while descriptors are short, but ends on its time.
#[cfg(not(wouldblock_has = "nanosleep"))]
fn sleep(time: Duration) {
    #[cfg(feature = "std")]
    std::thread::sleep(time);
    #[cfg(not(feature = "std"))]
    let _ = crate::ops::poll::poll(&mut [], Some(time));
}
