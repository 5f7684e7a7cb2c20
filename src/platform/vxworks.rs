//! VxWorks, real-time processes.
//!
//! Numbers: the libc crate 0.2.191, `src/vxworks/mod.rs`.
//!
//! Quirks: `EAGAIN` (11) and `EWOULDBLOCK` (70) are different; which of them the network stack
//! answers is not known, so both are compared. The libc crate has no `accept4`, `pipe2`,
//! `SOCK_NONBLOCK` or `MSG_NOSIGNAL` for this system, and rustix 1.1.6 needs some of them: the
//! table serves the classifier, and is ready for a port.
//!
//! Unknown: every fact below that is marked so. Nobody has read this system.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[VXWORKS];

/// VxWorks.
const VXWORKS: Platform = Platform {
    name: "vxworks",
    targets: &[Target::os("vxworks")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 70, // not EAGAIN
    eintr: 4,
    einprogress: 68,
    ealready: 69,
    enobufs: 55,
    enomem: 12,
    econnaborted: 53,
    eproto: 76,
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
    pollwrnorm: 0x4, // POLLOUT
    pollrdhup: 0,    // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0,              // no such flag in the libc crate
    msg_cmsg_cloexec: 0,          // no such flag in the libc crate
    cmsg_cloexec_honoured: false, // there is no flag
    accept_flags: 0,              // no `accept4` in the libc crate
    socket_flags: 0,              // no such flags in the libc crate
    pipe_flags: 0,                // no `pipe2` in the libc crate
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // unknown: nobody has read it
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    accept_mode: AcceptMode::Unknown, // unknown: nobody has read it
    unix_queue_event: QueueEvent::Unknown, // unknown: nobody has read it
    unix_connect_interrupted: Interrupted::Unknown, // unknown: nobody has read it
    peek_rights: false,               // unknown: nobody has read it
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false, // unknown: nobody has read it
    poll_clock: PollClock::Milliseconds,
    // rustix has no ppoll here: an int of milliseconds, rounded up; i32::MAX / 1000 seconds
    poll_longest: 2_147_483,
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 16,         // unknown: the least that POSIX allows
};
