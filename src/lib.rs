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
pub use ops::{
    Address, Message, accept, accept_from, connect, finish_connect, pipe, poll, read, read_with,
    readv, ready, recv, recv_fds, recv_from, recv_msg, recv_with, send, send_all, send_fds,
    send_msg, send_msg_all, send_msg_to, send_to, socket, socketpair, write, write_all, writev,
    writev_all,
};
pub use readiness::{Interest, Readiness};
pub use rustix::event::PollFd;
pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::{Errno, IoSlice, IoSliceMut};
pub use rustix::net::{
    AddressFamily, Protocol, SocketAddr, SocketAddrAny, SocketAddrUnix, SocketAddrV4, SocketAddrV6,
    SocketType,
};
