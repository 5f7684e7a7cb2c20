//! Cygwin: Unix calls over Winsock.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/cygwin/mod.rs`. Facts: `winsup/cygwin` of August
//! 2026.
//!
//! Quirks:
//! - `accept4` checks its flags and then ignores them: the new socket gets the *listener's* mode
//!   and close-on-exec flag, so the flags cannot be relied on.
//! - `POLLRDNORM` is `POLLIN`, and `POLLRDBAND` is `POLLPRI`.
//! - `WSAEWOULDBLOCK` becomes `EAGAIN`, and `EINPROGRESS` from `connect`:
//!   `fhandler/socket_inet.cc connect()`.
//! - `AF_UNIX` sockets are Winsock sockets in disguise, streams and datagrams alike.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[CYGWIN];

/// Cygwin.
const CYGWIN: Platform = Platform {
    name: "cygwin",
    targets: &[Target::os("cygwin")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 11,
    eintr: 4,
    einprogress: 119,
    ealready: 120,
    enobufs: 105,
    enomem: 12,
    econnaborted: 113,
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
    pollrdnorm: 0x1, // POLLIN
    pollwrnorm: 0x4, // POLLOUT
    pollrdhup: 0,    // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x20,           // `fhandler/socket_inet.cc send_internal()`
    msg_cmsg_cloexec: 0x1000,     // accepted and dropped: `fhandler/socket_inet.cc recv_internal()`
    cmsg_cloexec_honoured: false, // unknown: set again
    // ignored: `fhandler/socket_inet.cc accept4()` and `fhandler/socket_local.cc accept4()` take
    // the listener's, `get_socket_flags()`
    accept_flags: 0,
    // SOCK_NONBLOCK | SOCK_CLOEXEC: `fhandler/socket_inet.cc socket()` passes them to
    // `set_socket_handle()`
    socket_flags: 0x0100_0000 | 0x0200_0000,
    pipe_flags: 0x4000 | 0x4_0000, // O_NONBLOCK | O_CLOEXEC
    // ---- facts that change what the crate does ----
    send_dontwait: true,   // `fhandler/socket_inet.cc send_internal()`
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    accept_mode: AcceptMode::Inherited, // `net.cc cygwin_accept()`
    // a full receiver drops silently, so EAGAIN is one's own buffer: `fhandler/socket_local.cc`
    // (61b4866ba)
    unix_queue_event: QueueEvent::Arrives,
    unix_connect_interrupted: Interrupted::Unknown, // unknown: nobody has read it
    peek_rights: false,                             // unknown: nobody has read it
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false, // unknown: nobody has read it
    poll_clock: PollClock::Milliseconds,
    // rustix has no ppoll here: an int of milliseconds, rounded up; i32::MAX / 1000 seconds:
    // `poll.cc poll()`
    poll_longest: 2_147_483,
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 1024,       // IOV_MAX
};
