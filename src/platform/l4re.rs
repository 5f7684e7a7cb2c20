//! L4Re, with uClibc.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/linux_like`, with `l4re/uclibc/x86_64`. rustix does
//! not build for it, so nothing holds them against a second source.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[L4RE];

/// L4Re.
const L4RE: Platform = Platform {
    name: "l4re",
    targets: &[Target::os("l4re")],
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
    in_flight_errors: &[],      // unknown: nobody has read it
    // ---- poll bits ----
    pollin: 0x1,
    pollpri: 0x2,
    pollout: 0x4,
    pollerr: 0x8,
    pollhup: 0x10,
    pollnval: 0x20,
    pollrdnorm: 0x40,
    pollwrnorm: 0x100,
    pollrdhup: 0x2000,
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x4000,
    msg_cmsg_cloexec: 0x4000_0000,
    cmsg_cloexec_honoured: false, // unknown: set again
    accept_flags: 0,              // unknown: what rustix will pass
    socket_flags: 0,              // unknown: likewise
    pipe_flags: 0,                // unknown: likewise
    // ---- facts that change what the crate does ----
    send_dontwait: false,                  // unknown: nobody has read it
    abstract_names: false,                 // only Linux has them: unix(7)
    so_nosigpipe: false,                   // only the BSDs and macOS have it
    accept_mode: AcceptMode::Unknown,      // unknown: nobody has read it
    unix_queue_event: QueueEvent::Unknown, // unknown: nobody has read it
    unix_connect_interrupted: Interrupted::Unknown, // unknown: nobody has read it
    peek_rights: false,                    // unknown: nobody has read it
    send_emfile: false,                    // unknown: nobody has read it
    receiver_queue_families: &[],          // unknown: nobody has read it
    connects_early: false,                 // unknown: nobody has read it
    packet_pipes: false,                   // only Linux has them: pipe(2)
    peek_tells_length: false,              // unknown: nobody has read it
    poll_clock: PollClock::Milliseconds,   // unknown: a count of milliseconds is right with either
    poll_longest: 2_147_483,               // an int of milliseconds: i32::MAX / 1000 seconds
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 16,         // unknown: nobody has read it
};
