//! Non-blocking I/O on every Unix, where *would block* is a value and not an
//! error.
//!
//! A read from a non-blocking socket with nothing to read is reported by Unix as
//! an error, next to real errors. Programs catch the wrong one, or call again in
//! a loop and waste CPU time. Here every call answers with [`Io`]:
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
//! The call did nothing, so another at once does nothing either. Wait for
//! [`Op::interest`], then call again; what to wait with depends on how many
//! descriptors there are.
//!
//! ## One socket
//!
//! [`until`] is its blocking view: the operations under their own names, which try, wait
//! and try again until a [`Deadline`]. They do not spin, even where the kernel's readiness
//! lies:
//!
//! ```
//! use std::time::Duration;
//! use wouldblock::{Deadline, Io, NonBlocking, RecvFlags};
//! # use std::{io::Write, os::unix::net::UnixStream, thread};
//! # let (ours, mut theirs) = UnixStream::pair().unwrap();
//! # let writer = thread::spawn(move || theirs.write_all(b"!"));
//!
//! let socket = NonBlocking::new(ours)?;
//! let mut buf = [0; 4096];
//! let deadline = Deadline::after(Duration::from_secs(10));
//! let answer = socket.until(deadline).recv(&mut buf, RecvFlags::empty());
//! assert_eq!(answer, Io::Ready(1)); // `WouldBlock` if the time had run out
//! # writer.join().unwrap().unwrap();
//! # Ok::<(), wouldblock::Errno>(())
//! ```
//!
//! ## Several sockets
//!
//! Give [`poll()`] an entry for each, made by [`Interest::on`], and ask each entry's
//! [`Readiness`] afterwards. It is one system call, so a signal ends it:
//!
//! ```
//! use std::time::Duration;
//! use wouldblock::{Io, Op, Outcome, Readiness, RecvFlags, poll, recv};
//! # use wouldblock::{Errno, set_nonblocking};
//! # use std::{io::Write, os::unix::net::UnixStream};
//! # let (one, _peer) = UnixStream::pair().unwrap();
//! # let (other, mut writer) = UnixStream::pair().unwrap();
//! # set_nonblocking(&one, true)?;
//! # set_nonblocking(&other, true)?;
//! # writer.write_all(b"!").unwrap();
//!
//! let sockets = [one, other];
//! let mut fds = [0, 1].map(|i| Op::Recv.interest().on(&sockets[i]));
//! match poll(&mut fds, Some(Duration::from_secs(10))) {
//!     Io::Ready(_) | Io::WouldBlock => {} // `WouldBlock`: the time ran out
//!     Io::Err(errno) if Op::Poll.outcome(errno) == Outcome::Interrupted => {}
//!     Io::Err(errno) => return Err(errno),
//! }
//! for (fd, socket) in fds.iter().zip(&sockets) {
//!     if Readiness::from(fd).is_readable() {
//!         // May still answer `WouldBlock`: then go on to the next.
//!         let answer = recv(socket, &mut [0; 4096], RecvFlags::empty());
//! #       assert_eq!(answer, Io::Ready(1));
//!     }
//! }
//! # assert!(Readiness::from(&fds[1]).is_readable());
//! # Ok::<(), Errno>(())
//! ```
//!
//! ## A server
//!
//! Keep the sockets in a [`PollSet`]. Accept as the example of [`accept`] does: it
//! does not spin when descriptors run out. Write with [`send_all`], and ask for
//! [`Interest::WRITABLE`] only while something is left. `examples/chat.rs` and
//! `examples/proxy.rs` are two whole ones.
//!
//! ## Async, or thousands of sockets
//!
//! `poll` takes time for every entry. Wait with the `tokio`, `async-io`, `mio` or
//! `polling` crate, and make the calls with this one: they work on the same
//! descriptors, and `interop/` has the same server on each. Whoever waits keeps a note
//! of what is ready, and the rule for it is: **clear it on `WouldBlock`, and on nothing
//! else.** [`Io::into_poll`] is the bridge to a `Future`:
//!
//! ```
//! use std::task::Poll;
//! use wouldblock::{AsFd, Errno, NonBlocking, RecvFlags};
//!
//! struct Source<Fd> {
//!     socket: NonBlocking<Fd>,
//!     /// Set when the wait reports it; true at first, which costs one call.
//!     readable: bool,
//! }
//!
//! impl<Fd: AsFd> Source<Fd> {
//!     /// `Pending` only when the next report will wake the task.
//!     fn poll_recv(&mut self, buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
//!         if !self.readable {
//!             return Poll::Pending;
//!         }
//!         let answer = self.socket.recv(buf, RecvFlags::empty());
//!         self.readable = !answer.is_would_block();
//!         answer.into_poll()
//!     }
//! }
//! # let (ours, theirs) = wouldblock::socketpair(
//! #     wouldblock::AddressFamily::UNIX, wouldblock::SocketType::STREAM, None)?;
//! # let send = |bytes| assert!(wouldblock::send(&theirs, bytes, Default::default()).is_ready());
//! # let mut source = Source { socket: NonBlocking::new(&ours)?, readable: true };
//! # let mut buf = [0; 2];
//! # send(b"abc");
//! # // A full buffer, and then a short count: neither says that nothing is left.
//! # assert_eq!((source.poll_recv(&mut buf), source.readable), (Poll::Ready(Ok(2)), true));
//! # assert_eq!((source.poll_recv(&mut buf), source.readable), (Poll::Ready(Ok(1)), true));
//! # assert_eq!((source.poll_recv(&mut buf), source.readable), (Poll::Pending, false));
//! # // Nothing is called before the next report.
//! # send(b"d");
//! # assert_eq!(source.poll_recv(&mut buf), Poll::Pending);
//! # source.readable = true;
//! # assert_eq!(source.poll_recv(&mut buf), Poll::Ready(Ok(1)));
//! # // An error is no news about readiness: the end of file behind it is not lost.
//! # let (ours, theirs) = wouldblock::socketpair(
//! #     wouldblock::AddressFamily::UNIX, wouldblock::SocketType::STREAM, None)?;
//! # let unread = wouldblock::send(&ours, b"unread", Default::default());
//! # assert!(unread.is_ready());
//! # drop(theirs);
//! # let mut source = Source { socket: NonBlocking::new(&ours)?, readable: true };
//! # let error = source.poll_recv(&mut buf);
//! # assert!(matches!(error, Poll::Ready(Err(_) | Ok(0))) && source.readable);
//! # assert!(source.poll_recv(&mut buf).is_ready());
//! # Ok::<(), Errno>(())
//! ```
//!
//! | | level-triggered: `poll`, `polling` | edge-triggered: `mio`, `EPOLLET`, `EV_CLEAR`, the note above |
//! |---|---|---|
//! | reported | as often as it is asked, while it is so | once, when it becomes so |
//! | after `Ready`, even of fewer bytes than there is room for | stop or go on, as you like | go on, now or later without being told again |
//! | after `WouldBlock` | wait | wait: this alone brings another report |
//! | after `Err` | by [`Op::outcome`]; the report comes back | by [`Op::outcome`]; the note stays |
//! | [`Outcome::BackOff`] | leave it out of the wait for a while | a timer: no report follows |
//!
//! # What every function promises
//!
//! - No `unsafe`, no allocation, and no panic of its own.
//! - A wait ends on its deadline, never early, and cannot spin.
//! - A data call that a signal interrupts is made again; only one that is interrupted
//!   sixteen times running returns `EINTR` ([`read()`] says when). [`poll()`] returns
//!   it at once, because only the caller knows how much of its time is left.
//! - [`send()`] and its kin never raise SIGPIPE where the system offers a way to
//!   prevent it; [`write()`] cannot help it.
//! - New descriptors are non-blocking and close-on-exec.
//!
//! This crate is for non-blocking descriptors. On a blocking one the calls sleep,
//! sixteen signals end them, and `WouldBlock` may be a timeout of the socket.
//!
//! # `nb` and `embedded-io`
//!
//! The `nb` crate has the same three answers in another order, three lines away:
//!
//! ```
//! use wouldblock::{Errno, Io};
//!
//! fn to_nb<T>(answer: Io<T>) -> nb::Result<T, Errno> {
//!     match answer {
//!         Io::Ready(value) => Ok(value),
//!         Io::WouldBlock => Err(nb::Error::WouldBlock),
//!         Io::Err(errno) => Err(nb::Error::Other(errno)),
//!     }
//! }
//! # assert_eq!(to_nb(Io::Ready(1)), Ok(1));
//! # assert_eq!(to_nb(Io::<usize>::WouldBlock), Err(nb::Error::WouldBlock));
//! # assert_eq!(to_nb(Io::<usize>::Err(Errno::PIPE)), Err(nb::Error::Other(Errno::PIPE)));
//! ```
//!
//! There is no adapter for `embedded-io`: the contract of its `Read` and `Write` is to
//! block until there is a byte, or room for one, and neither they nor their errors have
//! a would-block. (Its `ReadReady` and `WriteReady` ask what [`ready`] answers.)
//!
//! # `no_std`, features, and rustix
//!
//! The crate is always `no_std`. The default feature `std` lets std's sockets be a
//! [`Descriptor`] and adds `Io::into_io_result`. Nothing is allocated but by the growable
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

mod mapping;
mod ops;
pub mod platform;
mod wait;

/// The Rust half of its pairs are doc tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../docs/FROM_PYTHON.md")]
mod from_python {}

/// Its example is a doc test, too.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
mod readme {}

pub use mapping::classify::{Op, Outcome, classify};
pub use mapping::flags::{RecvFlags, SendFlags};
pub use mapping::io::Io;
pub use mapping::readiness::{Interest, Readiness};
pub use ops::address::{Address, PeerAddress};
pub use ops::connection::{accept, accept_from, connect, finish_connect};
pub use ops::creation::{pipe, socket, socketpair};
pub use ops::descriptor::{BorrowDescriptor, Descriptor};
pub use ops::descriptors::{recv_fds, send_fds};
pub use ops::message::{
    Message, recv_from, recv_msg, send_msg, send_msg_all, send_msg_to, send_to,
};
pub use ops::mode::{
    ModeGuard, NonBlocking, Refused, is_nonblocking, replace_nonblocking, set_nonblocking,
};
pub use ops::poll::{poll, ready};
#[cfg(feature = "std")]
pub use ops::std_io::StdIo;
pub use ops::stream::{read, read_with, recv, recv_with, send, write};
pub use ops::vectored::{readv, send_all, write_all, writev, writev_all};
pub use wait::deadline::Deadline;
pub use wait::set::{
    At, Growable, Inline, Key, NotRegistered, PollSet, Reason, Registration, Storage, UnknownKey,
};
#[cfg(feature = "std")]
pub use wait::std_io::StdIoUntil;
pub use wait::until::{Retry, Turn, Until, until};

pub use rustix::event::PollFd;
pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::{Errno, IoSlice, IoSliceMut};
pub use rustix::net::{
    AddressFamily, Protocol, SocketAddr, SocketAddrAny, SocketAddrUnix, SocketAddrV4, SocketAddrV6,
    SocketType,
};
