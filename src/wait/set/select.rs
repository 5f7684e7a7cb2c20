//! The wait of a set, and what it found.

use core::cell::Cell;
use core::time::Duration;

use rustix::event::PollFlags;

use super::entry::{Plan, as_if_ready};
use super::list::{List, Storage};
use super::{Found, Key, PollSet};
use crate::mapping::io::Io;
use crate::mapping::readiness::Readiness;
use crate::ops::descriptor::Descriptor;
use crate::ops::poll::poll;
use crate::wait::clock::now;
use crate::wait::deadline::Deadline;
use crate::wait::drive::{after_poll, time_left};
use crate::wait::pace::Pace;

impl<F: Descriptor, D, S: Storage> PollSet<F, D, S> {
    /// Waits until a descriptor is ready or the deadline passes; signals do not end
    /// it.
    ///
    /// - `Ready(n)`: `n` descriptors have something to report;
    ///   [`next_ready`](Self::next_ready) hands them out. What the wait before
    ///   found and nobody has taken is forgotten: it is found again.
    /// - `WouldBlock`: the deadline passed. Never early. An empty set waits for the
    ///   time alone.
    /// - `Err`: as for [`Until::ready`](crate::Until::ready).
    ///
    /// Each wait asks for all descriptors, and hands them out from after the last that
    /// was handed out before: all are served in turn.
    pub fn select(&mut self, deadline: impl Into<Deadline>) -> Io {
        self.wait(deadline.into().at())
    }

    fn wait(&mut self, deadline: u64) -> Io {
        while self.found.pop().is_some() {}
        self.taken = 0;
        let mut kernel = Pace::new();
        // At first in the hope that nobody rests, which asks for no clock.
        let mut plan = None;
        loop {
            let (wake, at_once) = match &plan {
                Some(Plan { at_once: true, .. }) => (0, true),
                Some(Plan { wake, .. }) => (*wake, false),
                None => (deadline, false),
            };
            let timeout = match wake {
                0 => Some(Duration::ZERO),
                u64::MAX => None,
                _ => time_left(wake, now()),
            };
            let answer = self.look(timeout, plan.is_some());
            if self.found.len() > 0 {
                return Io::Ready(self.found.len());
            }
            if let Some(answer) = answer {
                // A poll that only asked did not end early.
                let answer = match answer {
                    Io::WouldBlock if at_once => Io::Ready(0),
                    answer => answer,
                };
                match after_poll(&mut kernel, answer, wake, deadline) {
                    Io::Ready(()) => {}
                    Io::WouldBlock => return Io::WouldBlock,
                    Io::Err(errno) => return Io::Err(errno),
                }
            }
            plan = Some(self.plan(deadline));
        }
    }

    /// What the entries want of the next wait.
    #[cold]
    fn plan(&mut self, deadline: u64) -> Plan {
        let now = now();
        let mut plan = Plan {
            wake: deadline,
            at_once: false,
        };
        for entry in self.slots.iter_mut().flatten() {
            entry.io.plan(now, &mut plan);
        }
        plan
    }

    /// Polls once, and finds what is ready, or due. Makes no call, and answers `None`,
    /// if there was no plan and somebody is in trouble.
    #[inline]
    fn look(&mut self, timeout: Option<Duration>, planned: bool) -> Option<Io> {
        let (slots, found, turn) = (&self.slots, &mut self.found, self.turn);
        let is_troubled = Cell::new(false);
        // One for each slot, so that a slot's number is its place.
        let list = slots.iter().map(|slot| {
            let entry = slot.as_ref().and_then(|entry| {
                is_troubled.set(is_troubled.get() | entry.io.is_troubled);
                entry.io.entry()
            });
            entry.unwrap_or((rustix::fs::CWD, PollFlags::empty()))
        });
        S::with_pollfds(&mut self.scratch, list, |fds| {
            if is_troubled.get() && !planned {
                return None;
            }
            let answer = poll(fds, timeout);
            // Of what is due, poll knows nothing.
            let mut left = answer.ready().unwrap_or(0);
            let fds = &*fds;
            let (before, after) = fds.split_at_checked(turn).unwrap_or((fds, &[]));
            for (first, fds) in [(before.len(), after), (0, before)] {
                for (i, fd) in fds.iter().enumerate() {
                    if left == 0 && !planned {
                        return Some(answer);
                    }
                    // Most report nothing, and are not worth a translation.
                    if fd.revents().is_empty() && !planned {
                        continue;
                    }
                    left = left.saturating_sub(1);
                    let slot = first + i;
                    let Some(Some(entry)) = slots.get(slot) else {
                        continue;
                    };
                    let (readiness, due) = (Readiness::from(fd), entry.io.due);
                    if !(readiness.is_empty() && due.is_empty()) {
                        let key = entry.key(slot);
                        found.push(Found {
                            key,
                            readiness,
                            due,
                        });
                    }
                }
            }
            Some(answer)
        })
    }

    /// The next of what the last wait found; `None` when all has been handed out.
    ///
    /// Descriptors may be registered, modified and unregistered in between; one
    /// that is no longer registered is passed over. A descriptor that this
    /// system's `poll` cannot watch is handed out with [`Readiness::INVALID`]: take
    /// it out of the set.
    #[must_use]
    pub fn next_ready(&mut self) -> Option<(Key, Readiness)> {
        loop {
            let Found {
                key,
                readiness,
                due,
            } = *self.found.get(self.taken)?;
            self.taken += 1;
            if let Some(entry) = self.entry_mut(key) {
                entry.io.hand_out(readiness, due);
                self.turn = key.slot + 1;
                return Some((key, readiness | as_if_ready(due)));
            }
        }
    }
}
