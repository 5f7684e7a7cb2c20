//! [`Deadline`]: when a wait ends.

use core::time::Duration;

use super::clock::now;

/// A moment on the monotonic clock at which a wait ends, or never.
///
/// Made once, before the first call; every wait that follows computes what is
/// left from it, so that signals and spurious events do not stretch the time. A
/// deadline too far away to be represented is [`never`](Self::never).
///
/// ```
/// use std::time::Duration;
/// use wouldblock::Deadline;
///
/// let deadline = Deadline::after(Duration::from_millis(50));
/// assert!(deadline.remaining().unwrap() <= Duration::from_millis(50));
/// assert!(!deadline.has_passed());
/// assert_eq!(Deadline::never().remaining(), None);
/// assert!(deadline < Deadline::never());
/// ```
///
/// The clock is POSIX's `CLOCK_MONOTONIC`; on most systems it stands still while
/// the machine is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    /// In nanoseconds on the clock of `now`, of which 64 bits hold 584 years; the
    /// greatest value is never, a time that does not come. Not a `Duration`, whose
    /// arithmetic can panic.
    pub(super) at: u64,
}

static_assertions::assert_impl_all!(Deadline: Copy, Send, Sync, Unpin);

impl Deadline {
    /// The moment `time` from now.
    #[inline]
    #[must_use = "a deadline waits for nothing: give it to `until` or to a set"]
    pub fn after(time: Duration) -> Self {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            at: now().saturating_add(time),
        }
    }

    /// No moment: the wait ends only with what it waits for.
    #[inline]
    pub const fn never() -> Self {
        Self { at: u64::MAX }
    }

    /// How long it is until then: zero if it has passed, `None` for never.
    #[inline]
    pub fn remaining(self) -> Option<Duration> {
        (self.at != u64::MAX).then(|| Duration::from_nanos(self.at.saturating_sub(now())))
    }

    /// Whether the moment has come.
    #[inline]
    pub fn has_passed(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }
}

/// The same moment, as exactly as two clock readings allow, and not before it.
#[cfg(feature = "std")]
impl From<std::time::Instant> for Deadline {
    #[inline]
    fn from(instant: std::time::Instant) -> Self {
        Self::after(instant.saturating_duration_since(std::time::Instant::now()))
    }
}

/// That long from now.
impl From<Duration> for Deadline {
    #[inline]
    fn from(time: Duration) -> Self {
        Self::after(time)
    }
}

/// That long from now; `None` is never.
impl From<Option<Duration>> for Deadline {
    #[inline]
    fn from(time: Option<Duration>) -> Self {
        time.map_or(Self::never(), Self::after)
    }
}
