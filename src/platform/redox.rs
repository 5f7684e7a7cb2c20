//! Redox.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/redox/mod.rs`; Linux's, but for `EWOULDBLOCK` and
//! the `O_` flags. Facts: `redox-os/relibc` and `redox-os/kernel` of August 2026.
//!
//! Quirks:
//! - `EAGAIN` and `EWOULDBLOCK` are different, and both occur: the kernel answers the first
//!   (`src/scheme/pipe.rs`, `src/sync/wait_queue.rs`), relibc also the second
//!   (`src/platform/redox/ring.rs`).
//! - relibc has `MSG_NOSIGNAL` (0x4000) since June 2026, and `send` raises `SIGPIPE` without it
//!   since August 2026: `src/platform/redox/socket.rs sendto()`. Neither the libc crate nor
//!   rustix knows the flag, and an older relibc answers `EOPNOTSUPP` to any flag, so it is not
//!   passed.
//! - `socketpair` sets the flags of its type on a third descriptor, and not on both ends:
//!   `src/platform/redox/socket.rs socketpair()`.
//! - `poll` takes a descriptor for itself, reports 32 entries at most in one call, and cuts its
//!   timeout to milliseconds: `src/header/poll/mod.rs poll_epoll()`, `ppoll()`.
//! - `SO_ERROR` and the `recv` flags depend on the relibc version.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[REDOX];

/// Redox.
const REDOX: Platform = Platform {
    name: "redox",
    targets: &[Target::os("redox")],
    rustix_lacks: &["nanosleep"], // `src/thread/clock.rs`
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 41, // not EAGAIN
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
    pollrdhup: 0, // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0,              // not in the libc crate or rustix; see above
    msg_cmsg_cloexec: 0,          // no such flag in rustix: `src/backend/libc/net/send_recv.rs`
    cmsg_cloexec_honoured: false, // there is no flag
    accept_flags: 0, // rustix drops them: `src/backend/libc/net/syscalls.rs accept_with()`
    // `socket` takes them, but `socketpair` loses them: relibc `src/platform/redox/socket.rs`
    socket_flags: 0,
    // O_NONBLOCK | O_CLOEXEC: relibc `src/platform/redox/extra.rs pipe2()`
    pipe_flags: 0x4_0000 | 0x100_0000,
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // unknown: nobody has read it
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    // a dup of the listener, which keeps its flags: relibc `src/platform/redox/socket.rs`
    // (63599227), kernel `duplicate_file()` (663e6641)
    accept_mode: AcceptMode::Inherited,
    unix_queue_event: QueueEvent::Unknown, // unknown: nobody has read it
    unix_connect_interrupted: Interrupted::Unknown, // unknown: nobody has read it
    peek_rights: false,                    // unknown: nobody has read it
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false, // unknown: nobody has read it
    poll_clock: PollClock::Milliseconds,
    // rustix has no ppoll here: an int of milliseconds, rounded up; i32::MAX / 1000 seconds
    poll_longest: 2_147_483,
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 1024,       // IOV_MAX: relibc `src/header/limits/mod.rs`
};
