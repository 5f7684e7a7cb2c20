//! `poll`: the wait, and the question without a wait.

use core::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::retry_interrupted;
use crate::mapping::classify::Op;
use crate::mapping::io::{Io, try_io};
use crate::mapping::readiness::{Interest, Readiness};
use crate::ops::descriptor::{BorrowDescriptor, Descriptor};
use crate::platform::errnos::{ENDED_EARLY, INVALID_DESCRIPTOR};
use crate::platform::host::{poll_bits, poll_flags};
use crate::platform::{HOST, Platform, PollClock};

/// `poll(fds, timeout)`—Waits until a descriptor is ready, once.
///
/// - `Ready(n)`: `n` descriptors have something to report; their entries in
///   `fds` say what, by [`Readiness::from`]. `n` is at least 1.
/// - `WouldBlock`: the time ran out and nothing was ready. Never early.
/// - `Err`: `EINTR` if a signal came first: the remaining time is the caller's to
///   compute. Any other errno as the system gave it;
///   [`Op::Poll`]`.outcome(errno)` tells a shortage from a mistake. After an
///   `Err`, the entries say nothing.
///
/// `None` waits for ever, a duration of zero only asks. An empty `fds` waits for
/// the time alone. The same entries may be used again and again.
///
/// This is one system call. `Ready` is a hint: the descriptor must be in
/// non-blocking mode, and the call that follows may still answer `WouldBlock`.
///
/// # Timeouts
///
/// Any duration may be given. Where the system counts in nanoseconds (Linux,
/// FreeBSD, DragonFly, Haiku, Hurd, Fuchsia, NetBSD from 10), it is passed as it
/// is; elsewhere it is rounded up to milliseconds, so that a short one does not
/// become a busy loop. A duration that is longer than the system takes
/// ([`Platform::poll_longest`]: 24 days where it counts in milliseconds, 68
/// years on Linux) waits as long as the system can, and then answers
/// `Err(EINTR)`, not `WouldBlock`, because the time has not run out.
///
/// # Errors
///
/// | errno | when |
/// |---|---|
/// | EINTR | a signal; even with `SA_RESTART` |
/// | EINVAL | more entries than the limit of open descriptors |
/// | ENOMEM, EAGAIN | no kernel memory (EAGAIN on macOS and illumos); pause and call again |
///
/// A closed descriptor does not make the call fail: its entry reports
/// [`Readiness::INVALID`].
///
/// # Platform notes
///
/// | system | difference |
/// |---|---|
/// | macOS | `/dev/tty` and other devices report `INVALID`, although they can be read |
/// | macOS, DragonFly | an empty interest reports nothing, not even a hang-up or a closed descriptor |
/// | NetBSD | a socket never reports a hang-up or an error, so with an empty interest nothing; a pipe does |
/// | FreeBSD | with an empty interest, a hang-up is reported, but wakes no call that sleeps |
/// | macOS | urgent data is never reported |
/// | OpenBSD, DragonFly | a descriptor that cannot be watched is silently never ready |
///
/// # Examples
///
/// ```
/// use wouldblock::{Interest, Io, Readiness, poll};
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let mut fds = [Interest::READABLE.on(&ours)];
/// assert_eq!(poll(&mut fds, Some(Duration::from_micros(200))), Io::WouldBlock);
/// theirs.write_all(b"!")?;
/// assert_eq!(poll(&mut fds, Some(Duration::from_secs(10))), Io::Ready(1));
/// assert!(Readiness::from(&fds[0]).is_readable());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/poll.html),
/// [Linux](https://man7.org/linux/man-pages/man2/poll.2.html)
#[inline]
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Io {
    let (timeout, whole) = timeout.map_or((None, false), |timeout| {
        let (timeout, whole) = in_kernel_units(timeout, HOST);
        (Timespec::try_from(timeout).ok(), whole)
    });
    match rustix::event::poll(fds, timeout.as_ref()) {
        Ok(0) if whole => Io::WouldBlock,
        Ok(0) => Io::Err(ENDED_EARLY),
        Ok(n) => Io::Ready(n),
        Err(errno) => Io::Err(errno),
    }
}

/// `poll` of one descriptor, without waiting: is it ready now?
#[inline]
pub(crate) fn ready<Fd: Descriptor>(fd: Fd, interest: Interest) -> Io<Readiness> {
    let mut fds = [interest.on(&fd)];
    let answer = retry_interrupted(Op::Poll, (), &mut fds, |(), fds| {
        rustix::event::poll(&mut **fds, Some(&Timespec::default()))
    });
    if try_io!(answer) == 0 {
        return Io::WouldBlock;
    }
    reported(&fds[0])
}

/// What an entry reports. A descriptor that `poll` cannot watch is an error of a wait for
/// it alone.
#[inline]
pub(crate) fn reported(fd: &PollFd<'_>) -> Io<Readiness> {
    match Readiness::from(fd) {
        readiness if readiness.is_invalid() => Io::Err(INVALID_DESCRIPTOR),
        readiness => Io::Ready(readiness),
    }
}

impl Interest {
    /// The entry for [`poll`](crate::poll()) that waits for this on `fd`.
    ///
    /// `fd` is a reference to a descriptor, or a [`BorrowedFd`](crate::BorrowedFd). The entry borrows the
    /// descriptor, so that it cannot be closed while it is waited for. One entry may be
    /// used for any number of calls.
    ///
    /// ```
    /// use wouldblock::{AsFd, BorrowedFd, Interest, PollFd};
    /// # use std::os::unix::net::UnixStream;
    /// # let (one, other) = UnixStream::pair()?;
    /// let list: Vec<BorrowedFd<'_>> = vec![one.as_fd(), other.as_fd()];
    /// let entries: Vec<PollFd<'_>> = list.iter().map(|fd| Interest::READABLE.on(*fd)).collect();
    /// let entry = Interest::READABLE.on(&one);
    /// # assert_eq!((entries.len(), entry.revents().is_empty()), (2, true));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    #[must_use = "an entry waits for nothing: give it to `poll`"]
    pub fn on<'fd>(self, fd: impl BorrowDescriptor<'fd>) -> PollFd<'fd> {
        PollFd::from_borrowed_fd(fd.borrow_fd(), poll_flags(self.to_events(HOST)))
    }
}

impl From<PollFlags> for Readiness {
    #[inline]
    fn from(revents: PollFlags) -> Self {
        Self::from_revents(poll_bits(revents), HOST)
    }
}

impl From<&PollFd<'_>> for Readiness {
    #[inline]
    fn from(fd: &PollFd<'_>) -> Self {
        Self::from(fd.revents())
    }
}

/// The timeout to ask `platform` for, and whether that is all of it.
#[inline]
fn in_kernel_units(timeout: Duration, platform: &Platform) -> (Duration, bool) {
    let longest = Duration::from_secs(platform.poll_longest.unsigned_abs());
    if timeout > longest {
        return (longest, false);
    }
    match platform.poll_clock {
        PollClock::Nanoseconds => (timeout, true),
        PollClock::Milliseconds => {
            let millis = Duration::from_millis(timeout.subsec_nanos().div_ceil(1_000_000).into());
            let rounded = Duration::from_secs(timeout.as_secs()).saturating_add(millis);
            (rounded.min(longest), true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::ALL;

    #[test]
    fn in_kernel_units_of_a_millisecond_clock_rounds_up() {
        let mut platform = *HOST;
        platform.poll_clock = PollClock::Milliseconds;
        let rounded = |nanos| in_kernel_units(Duration::from_nanos(nanos), &platform);
        assert_eq!(rounded(0), (Duration::ZERO, true));
        assert_eq!(rounded(1), (Duration::from_millis(1), true));
        assert_eq!(rounded(1_000_000), (Duration::from_millis(1), true));
        assert_eq!(rounded(1_000_001), (Duration::from_millis(2), true));
        assert_eq!(rounded(999_000_001), (Duration::from_secs(1), true));
    }

    #[test]
    fn in_kernel_units_of_any_platform_is_never_early_and_always_fits() {
        for platform in ALL {
            let longest = Duration::from_secs(platform.poll_longest.unsigned_abs());
            let nanosecond = Duration::from_nanos(1);
            for timeout in [
                Duration::ZERO,
                nanosecond,
                Duration::from_micros(999),
                Duration::from_secs(3600),
                longest - nanosecond,
                longest,
                longest + nanosecond,
                Duration::MAX - nanosecond,
                Duration::MAX,
            ] {
                let (asked, whole) = in_kernel_units(timeout, platform);
                let name = platform.name;
                assert!(asked <= longest, "{name}: {timeout:?}");
                assert_eq!(whole, asked >= timeout, "{name}: {timeout:?}");
                assert!(Timespec::try_from(asked).is_ok(), "{name}: {timeout:?}");
                if platform.poll_clock == PollClock::Milliseconds {
                    assert_eq!(asked.subsec_nanos() % 1_000_000, 0, "{name}: {timeout:?}");
                    // What rustix converts to, and the system call takes.
                    assert!(
                        i32::try_from(asked.as_millis()).is_ok(),
                        "{name}: {timeout:?}"
                    );
                }
            }
        }
    }
}
