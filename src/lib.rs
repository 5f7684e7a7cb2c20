//! Non-blocking I/O on every Unix, with *would block* as a value.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]

#[cfg(feature = "std")]
extern crate std;

mod classify;
mod flags;
mod io;
mod mode;
mod ops;
pub mod platform;
mod readiness;

pub use classify::{Op, Outcome, classify};
pub use flags::{RecvFlags, SendFlags};
pub use io::Io;
pub use mode::{ModeGuard, NonBlocking, Refused, is_nonblocking, set_nonblocking};
pub use ops::{poll, read, read_with, ready, recv, recv_with, send, write};
pub use readiness::{Interest, Readiness};
pub use rustix::event::PollFd;
pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::Errno;
