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
//! ```toml
//! [dependencies]
//! wouldblock = "0.1"
//! ```
//!
//! # What do you want to do?
//!
//! The descriptor has to be in non-blocking mode, by [`set_nonblocking`] or
//! [`NonBlocking`]; what this crate makes, and what it accepts, is so from birth.
//!
//! | to do | call | example |
//! |---|---|---|
//! | receive, send, read, write within a time | [`until()`]: [`recv`](Until::recv), [`send_all`](Until::send_all), … | [one descriptor](#one-descriptor) |
//! | connect within a time | [`until()`]: [`connect`](Until::connect) | [`connect()`](connect#examples) |
//! | accept connections | [`At::accept`] in a set, [`until()`], [`accept()`] | [`accept()`](accept#a-loop-that-neither-spins-nor-gives-up) |
//! | UDP, and other datagrams | [`send_to()`], [`recv_from()`] | [`send_to()`](send_to#examples) |
//! | pass descriptors to another process | [`send_fds()`], [`recv_fds_with()`] | [`recv_fds_with()`](recv_fds_with#examples) |
//! | serve many sockets | [`PollSet`] | [a server](PollSet#a-server); `examples/chat.rs`, `examples/proxy.rs` |
//! | wait for a few | [`poll()`] | [several descriptors](#several-descriptors) |
//! | read from a terminal, within a time | [`ModeGuard`], [`until()`]: [`read`](Until::read) | [a terminal](#a-terminal) |
//! | talk to a subprocess | [`until()`], or a [`PollSet`] | [a subprocess](#a-subprocess) |
//! | `BufReader`, `read_exact`, `write!` with a timeout | `Until::std_io` | `StdIo` |
//! | TLS | `Until::std_io`, [`Until::turns`] | [TLS](#tls) |
//! | async, or thousands of sockets | [`Io::into_poll`] | [async](#async-or-thousands-of-sockets) |
//! | wake a thread that waits | [`pipe()`] in the set | `examples/wake.rs` |
//! | know what an errno means | [`Op::outcome`], [`classify()`] | [`classify()`] |
//! | bind, listen, shut down, set options | rustix's functions | [not here](#not-here) |
//!
//! From Python? `docs/FROM_PYTHON.md` has `socket`, `selectors`, `subprocess` and
//! `asyncio` beside this, in pairs that run.
//!
//! # From "I got `WouldBlock`" to the right loop
//!
//! The call did nothing, so another at once does nothing either. Wait for
//! [`Op::interest`], then call again. What waits depends on how many descriptors there
//! are; it neither spins nor stalls, even where the kernel's readiness lies.
//!
//! ## One descriptor
//!
//! [`until()`] is its blocking view: the operations under their own names, which try, wait
//! and try again until a [`Deadline`]:
//!
//! ```
//! use std::time::Duration;
//! use wouldblock::{Deadline, NonBlocking, RecvFlags, SendFlags};
//! # use std::{io::{Read, Write}, os::unix::net::UnixStream, thread};
//! # let (ours, mut theirs) = UnixStream::pair()?;
//! # let peer = thread::spawn(move || {
//! #     let mut question = [0; 9];
//! #     theirs.read_exact(&mut question).unwrap();
//! #     theirs.write_all(b"42").unwrap();
//! # });
//!
//! let socket = NonBlocking::new(ours)?;
//! // Made once, so that all calls share the ten seconds.
//! let in_time = socket.until(Deadline::after(Duration::from_secs(10)));
//! let mut rest = &b"question\n"[..];
//! in_time.send_all(&mut rest, SendFlags::empty()).or_timed_out()?;
//! let mut buf = [0; 4096];
//! let n = in_time.recv(&mut buf, RecvFlags::empty()).or_timed_out()?;
//! assert_eq!(&buf[..n], b"42");
//! # peer.join().unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! ## Several descriptors
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
//! These are the parts alone: in a loop, they are busy where readiness lies. A
//! [`PollSet`] is the whole.
//!
//! ## A server
//!
//! Keep the sockets in a [`PollSet`], and let its entries make the calls: the set
//! remembers what they answered. It has [the skeleton of a server](PollSet#a-server):
//! handle what is ready, settle everybody, and only then derive what each waits for.
//! `examples/chat.rs` and `examples/proxy.rs` are two whole ones.
//!
//! ## A terminal
//!
//! Others have it, too: the shell, for one. A [`ModeGuard`] puts its mode back.
//!
//! ```
//! use std::time::Duration;
//! use wouldblock::{Io, ModeGuard, until};
//! # // A terminal of its own, with somebody who types.
//! # use rustix::{fs, pty};
//! # let keyboard = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY)?;
//! # pty::grantpt(&keyboard).and(pty::unlockpt(&keyboard))?;
//! # let name = pty::ptsname(&keyboard, Vec::new())?;
//! # let typed = fs::open(name, fs::OFlags::RDWR | fs::OFlags::NOCTTY, fs::Mode::empty())?;
//! # assert_eq!(wouldblock::write(&keyboard, b"yes\n"), Io::Ready(4));
//!
//! let stdin = std::io::stdin();
//! # let stdin = typed;
//! let terminal = ModeGuard::new(stdin, true)?;
//! let mut line = [0; 256];
//! let answer = until(&terminal, Duration::from_secs(10)).read(&mut line);
//! match answer {
//!     Io::Ready(0) => println!("no more: Ctrl-D, or the end of a file"),
//!     Io::Ready(n) => println!("{:?}", str::from_utf8(&line[..n])),
//!     Io::WouldBlock => println!("nobody has typed a line"),
//!     // EIO: it has hung up, or this process is in the background.
//!     Io::Err(errno) => println!("{errno}"),
//! }
//! # assert_eq!(answer, Io::Ready(4));
//! # Ok::<(), wouldblock::Errno>(())
//! ```
//!
//! macOS cannot poll `/dev/tty` (`EBADF`): there let a thread read, and wake
//! (`examples/wake.rs`).
//!
//! ## A subprocess
//!
//! Its pipes are descriptors like others. std's own functions on them, and a deadline:
//!
//! ```
//! use std::io::Read;
//! use std::process::{Command, Stdio};
//! use std::time::Duration;
//! use wouldblock::NonBlocking;
//!
//! let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
//! let stdout = NonBlocking::new(child.stdout.take().unwrap())?;
//! let mut said = String::new();
//! let heard = stdout.until(Duration::from_secs(10)).std_io().read_to_string(&mut said);
//! if heard.is_err() {
//!     child.kill()?; // `ErrorKind::TimedOut`: it has not come to its end
//! }
//! child.wait()?;
//! assert_eq!(said, "hello\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Who writes to its input while it writes to its output needs both at once, or each
//! waits for the other: `communicate` in `docs/FROM_PYTHON.md`, on a [`PollSet`].
//!
//! ## TLS
//!
//! A TLS library takes a stream and makes the calls itself. `Until::std_io` is that
//! stream, with a deadline: rustls's `StreamOwned::new(connection,
//! socket.until(deadline).std_io())` is a blocking connection that times out. In a
//! [`PollSet`], `NonBlocking::std_io` is the stream, which reports
//! `ErrorKind::WouldBlock`, and the library says what to wait for (`wants_read`,
//! `wants_write`). That is not always what the caller wants, so [`Until::turns`] lets each
//! turn say it. `interop/programs` has a client, a server on a set and their tests, with
//! rustls as it is, and a WebSocket with tungstenite.
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
//! a would-block. (Its `ReadReady` and `WriteReady` ask what [`Until::ready`] answers.)
//!
//! # Not here
//!
//! | | where |
//! |---|---|
//! | `bind`, `listen`, `shutdown`, `getsockname`, `getpeername` | [`rustix::net`], or std's sockets, whose descriptors these are |
//! | socket options: `SO_REUSEADDR`, `TCP_NODELAY`, buffers, `SO_LINGER` | [`rustix::net::sockopt`] |
//! | `dup`, `ioctl`, close-on-exec of a descriptor that somebody else made | [`rustix::io`] |
//! | opening files, FIFOs, terminals and their settings | [`rustix::fs`], `rustix::pty`, `rustix::termios` |
//! | host names | `std::net::ToSocketAddrs`, which blocks: on a thread |
//! | signals | the `signal-hook` crate makes descriptors of them, as in the examples |
//! | epoll, kqueue, io_uring, event ports | `polling`, `mio`, `tokio`, `io-uring` |
//! | regular files and disks | they never would block, and wait all the same: on a thread |
//! | `sendfile`, `splice`, `sendmmsg`, urgent data | [`rustix::fs`], [`rustix::pipe`], [`rustix::net`] |
//! | Windows | `mio`, `tokio` |
//!
//! They go together, since the descriptors are the same:
//!
//! ```
//! use std::net::SocketAddrV4;
//!
//! use rustix::net::{Shutdown, bind, getsockname, listen, shutdown, sockopt};
//! use wouldblock::{AddressFamily, Io, SocketType, accept, connect, socket};
//!
//! let listener = socket(AddressFamily::INET, SocketType::STREAM, None)?;
//! sockopt::set_socket_reuseaddr(&listener, true)?;
//! bind(&listener, &SocketAddrV4::new([127, 0, 0, 1].into(), 0))?;
//! listen(&listener, 128)?;
//! assert!(accept(&listener).is_would_block());
//!
//! let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
//! sockopt::set_tcp_nodelay(&client, true)?;
//! let answer = connect(&client, &getsockname(&listener)?);
//! # assert!(!answer.is_err());
//! # let connected = wouldblock::until(&client, None).finish_connect();
//! # assert_eq!(connected, Io::Ready(()));
//! // … and at the end, no more is sent, and the answer can still be received:
//! shutdown(&client, Shutdown::Write)?;
//! # Ok::<(), wouldblock::Errno>(())
//! ```
//!
//! # `no_std`, features, and rustix
//!
//! The crate is always `no_std`. The default feature `std` lets std's sockets, pipes and
//! files be a [`Descriptor`], adds `Read` and `Write` (`StdIo`) and the conversions to
//! `std::io::Error`, and brings `alloc`, without which nothing is allocated: that is the
//! storage of a [`PollSet`] that grows. Without features a set has the storage [`Inline`].
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

// The names under which people look for an item. rustdoc 1.95 finds one by them only if
// they stand here, and not where the item is written; `ci/aliases` asks it.
#[doc(alias("errno"))]
pub use mapping::classify::classify;
pub use mapping::classify::{Op, Outcome};
pub use mapping::flags::{RecvFlags, SendFlags};
#[doc(alias("BlockingIOError", "EAGAIN", "EWOULDBLOCK"))]
pub use mapping::io::Io;
pub use mapping::readiness::{Interest, Readiness};
pub use ops::address::{Address, PeerAddress};
#[doc(alias("accept4"))]
pub use ops::connection::accept;
#[doc(alias("accept"))]
pub use ops::connection::accept_from;
#[doc(alias("EINPROGRESS", "EALREADY"))]
pub use ops::connection::connect;
#[doc(alias("EINPROGRESS", "SO_ERROR", "getpeername"))]
pub use ops::connection::finish_connect;
#[doc(alias("pipe2"))]
pub use ops::creation::pipe;
#[doc(alias("SOCK_NONBLOCK", "SOCK_CLOEXEC"))]
pub use ops::creation::socket;
pub use ops::creation::socketpair;
pub use ops::descriptor::{BorrowDescriptor, Descriptor};
pub use ops::descriptors::recv_fds;
#[doc(alias("SCM_RIGHTS", "recvmsg"))]
pub use ops::descriptors::recv_fds_with;
#[doc(alias("SCM_RIGHTS", "sendmsg"))]
pub use ops::descriptors::send_fds;
#[doc(alias("recvfrom"))]
pub use ops::message::recv_from_with;
pub use ops::message::{Message, recv_from, recv_msg, send_msg, send_to};
pub use ops::mode::Refused;
#[doc(alias("O_NONBLOCK", "F_GETFL"))]
pub use ops::mode::is_nonblocking;
#[doc(alias("O_NONBLOCK", "F_SETFL", "FIONBIO", "fcntl", "setblocking"))]
pub use ops::mode::set_nonblocking;
#[doc(alias("O_NONBLOCK"))]
pub use ops::mode::{ModeGuard, NonBlocking, replace_nonblocking};
#[doc(alias("ppoll", "select"))]
pub use ops::poll::poll;
#[cfg(feature = "std")]
#[doc(alias("makefile"))]
pub use ops::std_io::StdIo;
pub use ops::stream::read;
#[doc(alias("recv_into"))]
pub use ops::stream::recv;
#[doc(alias("recv"))]
pub use ops::stream::recv_with;
#[doc(alias("SIGPIPE", "MSG_NOSIGNAL"))]
pub use ops::stream::send;
#[doc(alias("SIGPIPE"))]
pub use ops::stream::write;
pub use ops::vectored::{readv, send_all, write_all, writev};
#[doc(alias("timeout"))]
pub use wait::deadline::Deadline;
#[doc(alias("selectors", "DefaultSelector", "select"))]
pub use wait::set::PollSet;
pub use wait::set::{
    At, Growable, Inline, Key, NotRegistered, Reason, Registration, Storage, UnknownKey,
};
#[doc(alias("timeout", "settimeout", "TimeoutError"))]
pub use wait::until::until;
pub use wait::until::{Retry, Turn, Until};

pub use rustix::event::PollFd;
pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::{Errno, IoSlice, IoSliceMut};
pub use rustix::net::{AddressFamily, Protocol, SocketAddrAny, SocketAddrUnix, SocketType};
