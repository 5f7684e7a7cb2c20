//! Non-blocking I/O on every Unix, where *would block* is a value and not an
//! error.
//!
//! A read from a non-blocking socket with nothing to read is reported by Unix as
//! an error, next to real errors. Programs catch the wrong one, or call again in
//! a loop and burn a processor. Here every call answers with [`Io`]:
//!
//! ```
//! # use wouldblock::{Io, RecvFlags, recv, set_nonblocking};
//! # use std::os::unix::net::UnixStream;
//! # let (socket, _peer) = UnixStream::pair()?;
//! set_nonblocking(&socket, true)?;
//! let mut buf = [0; 4096];
//! match recv(&socket, &mut buf, RecvFlags::empty()) {
//!     Io::Ready(0) => println!("the peer has closed"),
//!     Io::Ready(n) => println!("{n} bytes"),
//!     Io::WouldBlock => println!("nothing yet: wait, do not call again"),
//!     Io::Err(errno) => println!("failed: {errno}"),
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! and `WouldBlock` means the same on every system: *this call did nothing, and
//! readiness is the signal to go on*. Which errno that is depends on the
//! operation and on the system: EAGAIN means it for `recv`, not for `connect`;
//! 11 is EAGAIN on Linux and EDEADLK on a BSD. One pure function decides,
//! [`classify`], on tables of facts that name their sources ([`platform`]).
//!
//! # From "I got `WouldBlock`" to the right loop
//!
//! **One socket.** Wait for [`Op::interest`] with [`poll()`], then call again:
//!
//! ```
//! use wouldblock::{Errno, Io, Op, Outcome, RecvFlags, poll, recv};
//! # use wouldblock::set_nonblocking;
//! # use std::os::unix::net::UnixStream;
//! # use std::io::Write;
//!
//! fn receive(socket: &UnixStream, buf: &mut [u8]) -> Result<usize, Errno> {
//!     loop {
//!         match recv(socket, buf, RecvFlags::empty()) {
//!             Io::Ready(n) => return Ok(n),
//!             Io::Err(errno) => return Err(errno),
//!             Io::WouldBlock => {}
//!         }
//!         match poll(&mut [Op::Recv.interest().on(socket)], None) {
//!             Io::Ready(_) | Io::WouldBlock => {}
//!             Io::Err(errno) if Op::Poll.outcome(errno) == Outcome::Interrupted => {}
//!             Io::Err(errno) => return Err(errno),
//!         }
//!     }
//! }
//! # let (ours, mut theirs) = UnixStream::pair().unwrap();
//! # set_nonblocking(&ours, true)?;
//! # theirs.write_all(b"!").unwrap();
//! # assert_eq!(receive(&ours, &mut [0; 4]), Ok(1));
//! # Ok::<(), Errno>(())
//! ```
//!
//! **Some sockets.** Give [`poll()`] an entry for each, made by [`Interest::on`],
//! and ask each entry's [`Readiness`] afterwards.
//!
//! **Until a deadline.** [`retry_until`] tries, waits, and tries again until a
//! [`Deadline`]. It does not spin, even where the kernel's readiness lies.
//!
//! **A server.** Keep the sockets in a [`PollSet`]. Accept as the example of
//! [`accept`] does: it does not spin when descriptors run out. Write with
//! [`send_all`], and ask for [`Interest::WRITABLE`] only while something is left.
//! `examples/chat.rs` and `examples/proxy.rs` are two whole ones.
//!
//! **Thousands of sockets, or async.** `poll` costs time for every entry. Use
//! the `polling`, `mio` or `tokio` crate for the waiting, and this one for the
//! calls: they work on the same descriptors. Clear readiness only on
//! `WouldBlock`; an [`Io::Err`] says nothing about it. [`Io::into_poll`] is the
//! bridge to a `Future`.
//!
//! # What every function promises
//!
//! - No `unsafe`, no allocation, and no panic of its own.
//! - A wait ends on its deadline, never early, and cannot spin.
//! - The data calls never return `EINTR`: they are made again. [`poll()`] returns
//!   it, because only the caller knows how much of its time is left.
//! - [`send()`] and its kin never raise SIGPIPE where the system offers a way to
//!   prevent it; [`write()`] cannot help it.
//! - New descriptors are non-blocking and close-on-exec.
//!
//! This crate is for non-blocking descriptors. On a blocking one the calls sleep,
//! a signal does not end them, and `WouldBlock` may be a timeout of the socket.
//!
//! # `no_std`, features, and rustix
//!
//! The crate is always `no_std`. The default feature `std` lets std's sockets be
//! operands and adds `Io::into_io_result`. Nothing is allocated but by the growable
//! storage of a [`PollSet`], which the feature `alloc` adds.
//!
//! [rustix] 1.x is part of the interface: [`Errno`], [`AsFd`],
//! [`OwnedFd`], [`PollFd`] and the socket addresses are its types. The flags are
//! this crate's own, because rustix's differ from system to system; only what is
//! portable is in them.
#![no_std]
// On docs.rs: which feature an item needs, written beside it.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod adapters;
mod classify;
mod deadline;
mod descriptor;
mod flags;
mod io;
mod mode;
mod ops;
pub mod platform;
mod readiness;
mod set;
mod wait;

/// The Rust half of its pairs are doc tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../docs/FROM_PYTHON.md")]
mod from_python {}

/// Its example is a doc test, too.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
mod readme {}

pub use classify::{Op, Outcome, classify};
pub use deadline::Deadline;
pub use descriptor::Descriptor;
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
#[cfg(feature = "alloc")]
pub use set::Growable;
pub use set::{Inline, Key, NotRegistered, PollSet, Reason, Registration, Storage, UnknownKey};
pub use wait::{
    Retry, connect_until, poll_until, retry_until, wait_for, wait_readable, wait_writable,
};

pub use rustix::event::PollFd;
pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::{Errno, IoSlice, IoSliceMut};
pub use rustix::net::{
    AddressFamily, Protocol, SocketAddr, SocketAddrAny, SocketAddrUnix, SocketAddrV4, SocketAddrV6,
    SocketType,
};
