//! Fuchsia: Zircon with a POSIX layer, `sdk/lib/fdio`.
//!
//! Numbers: the libc crate 0.2.191, `src/fuchsia/mod.rs`; Linux's, but for `O_NONBLOCK` and
//! `O_CLOEXEC`.
//!
//! Quirks, all in `sdk/lib/fdio`:
//! - `accept4` of older releases takes `SOCK_NONBLOCK` alone and answers `EINVAL` to
//!   `SOCK_CLOEXEC`; that of 54139789 takes both (`bsdsocket.cc`). So no flags are passed.
//! - There is no `AF_UNIX` (`bsdsocket.cc`, 54139789).
//! - `socketpair` answers `EPROTOTYPE` to `SOCK_NONBLOCK`, and `socket` ignores `SOCK_CLOEXEC`
//!   (`unistd.cc`, `bsdsocket.cc`).
//! - `poll` takes at most 1024 descriptors, and a negative one is `POLLNVAL` in later releases
//!   instead of being ignored (`unistd.cc ppoll()`).
//! - There are no signals: `EINTR` and `SIGPIPE` do not arise.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[FUCHSIA];

/// Fuchsia.
const FUCHSIA: Platform = Platform {
    name: "fuchsia",
    targets: &[Target::os("fuchsia")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 11,
    eintr: 4,
    einprogress: 115,
    ealready: 114,
    enobufs: 105,
    enomem: 12,
    econnaborted: 103,
    eproto: 71,
    emfile: 24,
    enfile: 23,
    accept_network_errors: &[], // only Linux reports them
    in_flight_errors: &[],
    // ---- poll bits ----
    pollin: 0x1,
    pollpri: 0x2,
    pollout: 0x4,
    pollerr: 0x8,
    pollhup: 0x10,
    pollnval: 0x20,
    pollrdnorm: 0x40,
    pollwrnorm: 0x100,
    pollrdhup: 0, // no such bit in the libc crate
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x4000,
    msg_cmsg_cloexec: 0x4000_0000,
    cmsg_cloexec_honoured: false, // unknown: set again
    // EINVAL for SOCK_CLOEXEC in older releases: `sdk/lib/fdio/bsdsocket.cc accept4()`
    accept_flags: 0,
    socket_flags: 0, // EPROTOTYPE for SOCK_NONBLOCK: `sdk/lib/fdio/unistd.cc socketpair()`
    // O_NONBLOCK | O_CLOEXEC: `sdk/lib/fdio/unistd.cc socketpair_create()`
    pipe_flags: 0x10 | 0x100,
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // unknown: nobody has read it
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    accept_mode: AcceptMode::Blocking, // `sdk/lib/fdio/bsdsocket.cc` (54139789)
    unix_queue_event: QueueEvent::Unknown, // does not arise: no AF_UNIX
    unix_connect_interrupted: Interrupted::Unknown, // does not arise: no AF_UNIX
    peek_rights: false,                // does not arise: no AF_UNIX
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false,           // unknown: nobody has read it
    poll_clock: PollClock::Nanoseconds, // ppoll
    // what a millisecond count holds; no limit was found in `sdk/lib/fdio/unistd.cc ppoll()`,
    // the arithmetic of zx::duration was not read
    poll_longest: 2_147_483,
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 16,         // unknown: the least that POSIX allows
};
