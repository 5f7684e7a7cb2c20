//! The facts: one table for every Unix, all of them compiled on every host.
//!
//! A [`Platform`] is what the rest of the crate knows about a system. The
//! classifier reads its numbers, the operations read its flags; neither asks
//! which system it is on. [`HOST`] is the table of the system that the crate
//! was compiled for, and [`ALL`] is every table, so that a test or a fuzzer on
//! one machine can ask what another would do.
//!
//! A table states which targets it serves; `build.rs` looks the target up in the
//! tables. `host.rs` holds the chosen one against the target's own constants while
//! the crate compiles. A port is one file like `netbsd.rs` and its name in the list
//! in `tables.rs`; `docs/PORTING.md` leads there.
//!
//! # Stability
//!
//! The fields of [`Platform`] are exempt from semantic versioning: a system may
//! need a new one in any release. A corrected fact is a change of behaviour,
//! and the changelog lists it under *Platforms*.

pub(crate) mod errnos;
pub(crate) mod host;
mod posix;
// By its path, so that the tables are its neighbours here and in the build script.
#[path = "tables.rs"]
mod tables;

pub use host::HOST;
pub use posix::POSIX;
pub use tables::{ALL, AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};
