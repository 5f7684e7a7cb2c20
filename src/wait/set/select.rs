//! The wait of a set, and what it found.

use core::cell::Cell;
use core::time::Duration;

use super::list::{List, Storage};
use super::{FREE, Key, PollSet};
use crate::mapping::io::{Io, try_io};
use crate::mapping::readiness::Readiness;
use crate::ops::descriptor::Descriptor;
use crate::ops::poll::poll;
use crate::wait::clock::now;
use crate::wait::deadline::Deadline;
use crate::wait::drive::{after_poll, time_left};

impl<F: Descriptor, D, S: Storage> PollSet<F, D, S> {
    /// Waits until a descriptor is ready, or worth another try, or the deadline passes;
    /// signals do not end it, and neither does a kernel that ends its waits early.
    ///
    /// - `Ready(n)`: `n` descriptors have something to report;
    ///   [`next_ready`](Self::next_ready) hands them out. What the wait before
    ///   found and nobody has taken is forgotten: it is found again, unless the system
    ///   tells of it once ([`Readiness::PRIORITY`]).
    /// - `WouldBlock`: the deadline passed. Never early. An empty set waits for the
    ///   time alone. What rests is not looked at for that, or short waits would end its
    ///   rest: a later wait does.
    /// - `Err`: as [`poll()`], but for `EINTR`. If the deadline passes while the system
    ///   has no memory for the wait, that is the answer.
    ///
    /// A [`Duration`] begins now; [`Deadline::never()`] is for ever, and asks for no clock
    /// where nothing rests and everything is watched.
    ///
    /// Each wait asks for all descriptors, and hands them out from after the last one that
    /// was handed out before: who takes but a few each time serves all in turn.
    #[inline]
    pub fn select(&mut self, deadline: impl Into<Deadline>) -> Io {
        let deadline = deadline.into();
        while self.found.pop().is_some() {}
        match self.ask_all(deadline.remaining()) {
            Ok(n) => Io::Ready(n),
            Err(answer) => self.go_on(answer, deadline.at),
        }
    }

    /// Goes on after nothing was found: without an answer if somebody rests.
    #[cold]
    fn go_on(&mut self, mut answer: Option<Io>, deadline: u64) -> Io {
        let mut wake = deadline;
        loop {
            if let Some(answer) = answer {
                try_io!(after_poll(&mut self.kernel, answer, wake, deadline));
            }
            let now = now();
            let plans = self.entries.iter_mut().map(|entry| entry.io.plan(now));
            wake = plans.min().unwrap_or(u64::MAX).min(deadline);
            let last = self.ask_watched(time_left(wake, now));
            if self.found.len() > 0 {
                self.kernel.done();
                return Io::Ready(self.found.len());
            }
            answer = Some(last);
        }
    }

    /// Polls all, and finds what is ready; how much, or poll's answer if that is nothing.
    /// In the hope that nobody is in trouble, which asks for no clock: if somebody is, it
    /// does not poll, and has no answer.
    #[inline(always)]
    fn ask_all(&mut self, timeout: Option<Duration>) -> Result<usize, Option<Io>> {
        let (entries, found) = (&self.entries, &mut self.found);
        let is_troubled = Cell::new(false);
        let all = entries.iter().map(|entry| {
            is_troubled.set(is_troubled.get() | entry.io.is_troubled);
            entry.io.entry()
        });
        S::with_pollfds(&mut self.scratch, all, |fds| {
            if is_troubled.get() {
                return Err(None);
            }
            let n = match poll(fds, timeout) {
                Io::Ready(n) => n,
                answer => return Err(Some(answer)),
            };
            let (before, after) = fds.split_at_checked(self.turn).unwrap_or((fds, &[]));
            // Backwards, since the last that is found is handed out first.
            for (base, fds) in [(0, before), (before.len(), after)] {
                for (i, fd) in fds.iter().enumerate().rev() {
                    // Most report nothing, and are not worth a translation.
                    if fd.revents().is_empty() {
                        continue;
                    }
                    if let Some(entry) = entries.get(base + i) {
                        found.push((entry.key, Readiness::from(fd)));
                    }
                    if found.len() >= n {
                        return Ok(n);
                    }
                }
            }
            // Of less than it said.
            match found.len() {
                0 => Err(Some(Io::Ready(n))),
                found => Ok(found),
            }
        })
    }

    /// Polls those that are watched, and finds what is ready, or due.
    fn ask_watched(&mut self, timeout: Option<Duration>) -> Io {
        let (entries, found) = (&self.entries, &mut self.found);
        let (turn, end) = (self.turn.min(entries.len()), entries.len());
        let watched = || {
            let backwards = (0..turn).rev().chain((turn..end).rev());
            let all = backwards.filter_map(|place| entries.get(place));
            all.filter(|entry| !entry.io.watch.is_empty())
        };
        let fds = watched().map(|entry| entry.io.entry());
        S::with_pollfds(&mut self.scratch, fds, |fds| {
            let answer = poll(fds, timeout);
            for (fd, entry) in fds.iter().zip(watched()) {
                let readiness = Readiness::from(fd);
                if !readiness.is_empty() || !entry.io.due.is_empty() {
                    found.push((entry.key, readiness));
                }
            }
            answer
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
    #[must_use = "what is handed out is not handed out again before the next wait"]
    pub fn next_ready(&mut self) -> Option<(Key, Readiness)> {
        while let Some((key, readiness)) = self.found.pop() {
            let place = self.places.get(key.slot).copied().unwrap_or(FREE);
            let entry = self.entries.get_mut(place);
            let Some(entry) = entry.filter(|entry| entry.key.serial == key.serial) else {
                continue;
            };
            self.turn = place + 1;
            if entry.io.hand_out(readiness) {
                return Some((key, readiness));
            }
            if let Some(readiness) = entry.io.hand_out_more(readiness) {
                return Some((key, readiness));
            }
        }
        None
    }
}
