//! The facts: one table for every Unix, all of them compiled on every host.
//!
//! A [`Platform`] is what the rest of the crate knows about a system. The
//! classifier reads its numbers, the operations read its flags; neither asks
//! which system it is on. [`HOST`] is the table of the system that the crate
//! was compiled for, and [`ALL`] is every table, so that a test or a fuzzer on
//! one machine can ask what another would do.
//!
//! Which target gets which table is decided in `select.rs`, and nowhere else;
//! `build.rs` asks it.
//! `host.rs` holds the chosen table against the target's own constants while
//! the crate compiles. What a porter has to supply is one file like
//! `netbsd.rs` and one line in `select.rs`; `docs/PORTING.md` leads there.
//!
//! # Stability
//!
//! The fields of [`Platform`] are exempt from semantic versioning: a system may
//! need a new one in any release. A corrected fact is a change of behaviour,
//! and the changelog lists it under *Platforms*.

mod aix;
mod apple;
mod cygwin;
mod dragonfly;
mod emscripten;
pub(crate) mod errnos;
mod freebsd;
mod fuchsia;
mod haiku;
pub(crate) mod host;
mod hurd;
mod linux;
mod netbsd;
mod openbsd;
mod posix;
mod qnx;
mod redox;
mod solarish;
mod vxworks;

pub use host::HOST;
pub use posix::POSIX;

/// What one system answers, and with which numbers.
///
/// A field exists only if the classifier, an operation or a documented quirk
/// reads it. A fact that nobody has established has the value `Unknown`, and
/// the crate then takes the path that is right either way.
///
/// ```
/// use wouldblock::platform::{ALL, HOST};
///
/// assert!(ALL.iter().any(|table| table.name == HOST.name));
/// // Two systems number the two would-block names differently.
/// let two: Vec<_> = ALL.iter().filter(|t| t.eagain != t.ewouldblock).map(|t| t.name).collect();
/// assert_eq!(two, ["redox", "vxworks"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Platform {
    /// The system's usual name in lower case, with what tells its tables apart:
    /// `linux`, `linux-mips`, `freebsd`.
    pub name: &'static str,

    // ---- errno numbers that the classifier compares ----
    /// The number of `EAGAIN`.
    pub eagain: i32,
    /// The number of `EWOULDBLOCK`; the same as [`eagain`](Self::eagain) on
    /// most systems, and allowed to be.
    pub ewouldblock: i32,
    /// The number of `EINTR`.
    pub eintr: i32,
    /// The number of `EINPROGRESS`.
    pub einprogress: i32,
    /// The number of `EALREADY`.
    pub ealready: i32,
    /// The number of `ENOBUFS`.
    pub enobufs: i32,
    /// The number of `ENOMEM`.
    pub enomem: i32,
    /// The number of `ECONNABORTED`.
    pub econnaborted: i32,
    /// The number of `EPROTO`.
    pub eproto: i32,
    /// The number of `EMFILE`: this process has no descriptor left.
    pub emfile: i32,
    /// The number of `ENFILE`: the system has no descriptor left.
    pub enfile: i32,
    /// Errnos by which `accept` reports a network error of the connection that
    /// it has just taken off the queue. Empty where `accept` does not do so.
    pub accept_network_errors: &'static [i32],

    // ---- poll bits that `Interest` and `Readiness` translate ----
    /// `POLLIN`. May be more than one bit (QNX), so test for any of them.
    pub pollin: u16,
    /// `POLLPRI`.
    pub pollpri: u16,
    /// `POLLOUT`.
    pub pollout: u16,
    /// `POLLERR`.
    pub pollerr: u16,
    /// `POLLHUP`.
    pub pollhup: u16,
    /// `POLLNVAL`.
    pub pollnval: u16,
    /// `POLLRDNORM`, which a system may report for `POLLIN`.
    pub pollrdnorm: u16,
    /// `POLLWRNORM`, which a system may report for `POLLOUT`.
    pub pollwrnorm: u16,
    /// `POLLRDHUP`, or 0 where the system has no such bit.
    pub pollrdhup: u16,

    // ---- flag bits that the operations pass, as rustix can pass them ----
    /// `MSG_NOSIGNAL`, or 0 where the system has no such flag.
    pub msg_nosignal: u32,
    /// `MSG_CMSG_CLOEXEC`, or 0 where the system has no such flag.
    pub msg_cmsg_cloexec: u32,
    /// Does a descriptor received with that flag really come close-on-exec?
    /// Where it does not, the flag is set afterwards.
    pub cmsg_cloexec_honoured: bool,
    /// `SOCK_NONBLOCK | SOCK_CLOEXEC` as `accept4` takes them, or 0 where
    /// there is no `accept4` that honours them: then the mode is set afterwards.
    pub accept_flags: u32,
    /// `SOCK_NONBLOCK | SOCK_CLOEXEC` as `socket` and `socketpair` take them,
    /// or 0 where they do not: then the mode is set afterwards.
    pub socket_flags: u32,
    /// `O_NONBLOCK | O_CLOEXEC` as `pipe2` takes them, or 0 where there is no
    /// `pipe2`: then the mode is set afterwards.
    pub pipe_flags: u32,

    // ---- facts that change what the crate does ----
    /// Does the socket option `SO_NOSIGPIPE` exist? Where it does, sockets that
    /// this crate makes or accepts have it set.
    pub so_nosigpipe: bool,
    /// Does a descriptor from `accept` come with the listener's mode? Nothing
    /// here relies on the answer: the mode is always set.
    pub accept_mode: AcceptMode,
    /// When a datagram to a named `AF_UNIX` address fails with `EAGAIN` because
    /// the receiver's queue is full, does writability tell when it has room?
    pub unix_queue_event: QueueEvent,
    /// After `connect` to an `AF_UNIX` address was interrupted by a signal,
    /// does the attempt go on?
    pub unix_connect_interrupted: Interrupted,
    /// How `poll`, as rustix reaches it, counts its timeout.
    pub poll_clock: PollClock,
    /// The longest timeout that `poll`, as rustix reaches it, takes, in seconds.
    pub poll_longest: i64,
    /// The most bytes that one call may be asked for; `usize::MAX` where any
    /// Rust slice will do.
    pub io_max: usize,
    /// The most buffers that one vectored call takes (`IOV_MAX`).
    pub iov_max: usize,
}

/// The mode of a descriptor that `accept` returned, before anybody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptMode {
    /// `O_NONBLOCK` of the listener is inherited.
    Inherited,
    /// The descriptor is blocking, whatever the listener is.
    Blocking,
    /// Nobody has established it.
    Unknown,
}

/// Whether readiness follows a full `AF_UNIX` datagram queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueEvent {
    /// `EAGAIN` is answered only where writability tells when to go on.
    Arrives,
    /// The socket polls as writable at once: waiting for it is a busy loop.
    Never,
    /// Nobody has established it. Treated like [`Never`](Self::Never): a
    /// timer is right in either case.
    Unknown,
}

/// What a signal does to a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupted {
    /// The attempt goes on: wait, then finish it.
    GoesOn,
    /// Nothing is in progress: call again.
    NothingStarted,
    /// Nobody has established it. Treated like [`GoesOn`](Self::GoesOn):
    /// finishing an attempt that was not started says so, while starting one
    /// twice may hit another's connection.
    Unknown,
}

/// The unit in which `poll` takes its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollClock {
    /// Nanoseconds (`ppoll`).
    Nanoseconds,
    /// Milliseconds: shorter parts are rounded up.
    Milliseconds,
}

/// Every table, in alphabetical order of file and then of name.
pub const ALL: &[&Platform] = &[
    &aix::AIX,
    &apple::APPLE,
    &cygwin::CYGWIN,
    &dragonfly::DRAGONFLY,
    &emscripten::EMSCRIPTEN,
    &freebsd::FREEBSD,
    &fuchsia::FUCHSIA,
    &haiku::HAIKU,
    &hurd::HURD,
    &linux::LINUX,
    &linux::LINUX_ANDROID,
    &linux::LINUX_ANDROID_X86,
    &linux::LINUX_MIPS,
    &linux::LINUX_SPARC,
    &netbsd::NETBSD,
    &openbsd::OPENBSD,
    &qnx::QNX_IO_PKT,
    &qnx::QNX_IO_SOCK,
    &redox::REDOX,
    &solarish::ILLUMOS,
    &solarish::SOLARIS,
    &vxworks::VXWORKS,
];
