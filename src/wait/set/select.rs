//! The wait of a set, and what it found.

use core::cell::Cell;
use core::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::entry::{Plan, TROUBLED, UNWATCHED};
use super::list::{List, Storage};
use super::{Key, PollSet};
use crate::mapping::io::Io;
use crate::mapping::readiness::Readiness;
use crate::ops::descriptor::Descriptor;
use crate::ops::poll::poll;
use crate::ops::stand_in::no_descriptor;
use crate::wait::clock::now;
use crate::wait::deadline::Deadline;
use crate::wait::drive::{after_poll, time_left};
use crate::wait::pace::Pace;

impl<F: Descriptor, D, S: Storage> PollSet<F, D, S> {
    /// Waits until a descriptor is ready, or worth another try, or the deadline passes;
    /// signals do not end it, and neither does a kernel that ends its waits early.
    ///
    /// - `Ready(n)`: `n` descriptors have something to report;
    ///   [`next_ready`](Self::next_ready) hands them out. What the wait before
    ///   found and nobody has taken is forgotten: it is found again.
    /// - `WouldBlock`: the deadline passed. Never early. An empty set waits for the
    ///   time alone.
    /// - `Err`: as [`poll()`], but for `EINTR`. If the deadline passes while the system
    ///   has no memory for the wait, that is the answer.
    ///
    /// A [`Duration`] begins now; [`Deadline::never()`] is for ever, and asks for no clock
    /// where nothing rests.
    ///
    /// Each wait asks for all descriptors, and hands them out from after the last one that
    /// was handed out before: who takes but a few each time serves all in turn.
    #[inline]
    pub fn select(&mut self, deadline: impl Into<Deadline>) -> Io {
        let deadline = deadline.into();
        while self.found.pop().is_some() {}
        // In the hope that nobody rests, which asks for no clock.
        let mut answer = None;
        match self.look::<false>(deadline.remaining(), &mut answer) {
            0 => self.go_on(answer, deadline.at()),
            n => Io::Ready(n),
        }
    }

    /// Goes on after a first look: without an answer if somebody rests.
    #[cold]
    fn go_on(&mut self, mut answer: Option<Io>, deadline: u64) -> Io {
        let mut kernel = Pace::new();
        let mut wake = deadline;
        loop {
            match answer.map(|answer| after_poll(&mut kernel, answer, wake, deadline)) {
                None | Some(Io::Ready(())) => {}
                Some(Io::WouldBlock) => return Io::WouldBlock,
                Some(Io::Err(errno)) => return Io::Err(errno),
            }
            let now = now();
            let mut plan = Plan {
                wake: deadline,
                at_once: false,
            };
            for entry in self.entries.iter_mut() {
                entry.io.plan(now, &mut plan);
            }
            wake = if plan.at_once { now } else { plan.wake };
            match self.look::<true>(time_left(wake, now), &mut answer) {
                0 => {}
                n => return Io::Ready(n),
            }
            // A poll that only asked, and found nothing of what was there.
            if plan.at_once && answer == Some(Io::WouldBlock) {
                answer = Some(Io::Ready(0));
            }
        }
    }

    /// Polls once, and finds what is ready, or due; returns how many. Does not, and
    /// there is no answer, if somebody is in trouble and that is not planned for.
    #[inline(always)]
    fn look<const PLANNED: bool>(
        &mut self,
        timeout: Option<Duration>,
        answer: &mut Option<Io>,
    ) -> usize {
        let (entries, found, turn) = (&self.entries, &mut self.found, self.turn);
        let marks = Cell::new(0);
        let list = entries.iter().map(|entry| {
            marks.set(marks.get() | entry.io.mark);
            entry.io.entry()
        });
        S::with_pollfds(&mut self.scratch, list, |fds| {
            if marks.get() != 0 {
                if marks.get() & TROUBLED != 0 && !PLANNED {
                    return 0;
                }
                for (fd, entry) in fds.iter_mut().zip(entries.iter()) {
                    if entry.io.mark & UNWATCHED != 0 {
                        // A negative number, which poll does not look at.
                        *fd = PollFd::from_borrowed_fd(no_descriptor(), PollFlags::empty());
                    }
                }
            }
            let mut left = match poll(fds, timeout) {
                Io::Ready(n) if n > 0 && !PLANNED => n,
                other => {
                    *answer = Some(other);
                    if !PLANNED {
                        return 0;
                    }
                    // Of what is due, poll knows nothing.
                    fds.len()
                }
            };
            let (before, after) = fds.split_at_checked(turn).unwrap_or((fds, &[]));
            // Backwards, since the last that is found is handed out first.
            for (base, fds) in [(0, before), (before.len(), after)] {
                for (i, fd) in fds.iter().enumerate().rev() {
                    // Most report nothing, and are not worth a translation.
                    if fd.revents().is_empty() && !PLANNED {
                        continue;
                    }
                    if let Some(entry) = entries.get(base + i) {
                        let (key, readiness) = (entry.key, Readiness::from(fd));
                        if !PLANNED || !readiness.is_empty() || !entry.io.due.is_empty() {
                            found.push((key, readiness));
                        }
                    }
                    left -= 1;
                    if left == 0 {
                        return found.len();
                    }
                }
            }
            found.len()
        })
    }

    /// The next of what the last wait found; `None` when all has been handed out.
    ///
    /// The readiness is what the kernel said; a direction whose rest is over, and for
    /// which a call is due whatever poll says, is in it as if it were ready.
    ///
    /// Descriptors may be registered, modified and unregistered in between; one
    /// that is no longer registered is passed over. A descriptor that this system's
    /// `poll` cannot watch is handed out with [`Readiness::INVALID`], at a slowing pace:
    /// take it out of the set.
    #[inline]
    #[must_use]
    pub fn next_ready(&mut self) -> Option<(Key, Readiness)> {
        loop {
            let (key, readiness) = self.found.pop()?;
            if let Some(place) = self.place(key) {
                self.turn = place + 1;
                let io = &mut self.entries.get_mut(place)?.io;
                if io.hand_out(readiness) {
                    return Some((key, readiness));
                }
                if let Some(readiness) = io.hand_out_more(readiness) {
                    return Some((key, readiness));
                }
            }
        }
    }
}
