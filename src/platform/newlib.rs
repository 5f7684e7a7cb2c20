//! newlib's systems: ESP-IDF, and the PlayStation Vita.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/newlib/mod.rs`, with `espidf/mod.rs` and
//! `vita/mod.rs`. Facts: `espressif/esp-idf` at cf1fc166, `espressif/esp-lwip` at
//! 02048871.
//!
//! Quirks:
//! - Both have `sendmsg` and `recvmsg`, and rustix has them for neither.
//! - ESP-IDF's `poll` asks for readable, writable or exceptional alone, so it never reports a
//!   hang-up, and passes over an entry that asks for nothing: `components/newlib/poll.c`.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[ESPIDF, VITA];

/// ESP-IDF, with the sockets of lwIP.
const ESPIDF: Platform = Platform {
    name: "espidf",
    targets: &[Target::os("espidf")],
    rustix_lacks: &["clock", "cwd", "messages", "vectored"],
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
    in_flight_errors: &[],      // unknown: nobody has read it
    // ---- poll bits ----
    pollin: 0x1,
    pollpri: 0x4,
    pollout: 0x8,
    pollerr: 0x20,
    pollhup: 0x40,
    pollnval: 0x80, // rustix has no name for it: `esp_libc/platform_include/sys/poll.h`
    pollrdnorm: 0x2,
    pollwrnorm: 0x8, // POLLOUT
    pollrdhup: 0,    // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x20,
    msg_cmsg_cloexec: 0,          // no such flag
    cmsg_cloexec_honoured: false, // unknown: set again
    accept_flags: 0,              // rustix has no such flag there: src/net/types.rs
    socket_flags: 0,              // likewise
    pipe_flags: 0,                // rustix has no `pipe_with` there: src/pipe.rs
    // ---- facts that change what the crate does ----
    send_dontwait: true,                   // `src/api/sockets.c lwip_send()`
    abstract_names: false,                 // only Linux has them: unix(7)
    so_nosigpipe: false,                   // rustix has no such function here
    accept_mode: AcceptMode::Unknown,      // unknown: not by `lwip_accept()`
    unix_queue_event: QueueEvent::Unknown, // unknown: lwIP has no such sockets
    unix_connect_interrupted: Interrupted::Unknown, // unknown: lwIP has no such sockets
    peek_rights: false,                    // unknown: nobody has read it
    send_emfile: false,                    // unknown: nobody has read it
    receiver_queue_families: &[],          // unknown: nobody has read it
    connects_early: false,                 // unknown: nobody has read it
    packet_pipes: false,                   // only Linux has them: pipe(2)
    peek_tells_length: false,              // unknown: nobody has read it
    poll_clock: PollClock::Milliseconds,   // `components/newlib/poll.c poll()`
    poll_longest: 2_147_483,               // an int of milliseconds: i32::MAX / 1000 seconds
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 1,          // rustix has no `readv` here
};

/// The PlayStation Vita.
const VITA: Platform = Platform {
    name: "vita",
    targets: &[Target::os("vita")],
    rustix_lacks: &["messages"],
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
    in_flight_errors: &[],      // unknown: nobody has read it
    // ---- poll bits ----
    pollin: 0x1,
    pollpri: 0, // POLLIN
    pollout: 0x4,
    pollerr: 0x8,
    pollhup: 0x10,
    pollnval: 0x20,
    pollrdnorm: 0x1, // POLLIN
    pollwrnorm: 0x4, // POLLOUT
    pollrdhup: 0,    // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0,              // no such flag
    msg_cmsg_cloexec: 0,          // no such flag
    cmsg_cloexec_honoured: false, // unknown: set again
    accept_flags: 0,              // rustix has no such flag there: src/net/types.rs
    socket_flags: 0,              // likewise
    pipe_flags: 0,                // unknown: by fcntl, which is right in any case
    // ---- facts that change what the crate does ----
    send_dontwait: false,                  // unknown: nobody has read it
    abstract_names: false,                 // only Linux has them: unix(7)
    so_nosigpipe: false,                   // rustix has no such function here
    accept_mode: AcceptMode::Unknown,      // unknown: nobody has read it
    unix_queue_event: QueueEvent::Unknown, // unknown: nobody has read it
    unix_connect_interrupted: Interrupted::Unknown, // unknown: nobody has read it
    peek_rights: false,                    // unknown: nobody has read it
    send_emfile: false,                    // unknown: nobody has read it
    receiver_queue_families: &[],          // unknown: nobody has read it
    connects_early: false,                 // unknown: nobody has read it
    packet_pipes: false,                   // only Linux has them: pipe(2)
    peek_tells_length: false,              // unknown: nobody has read it
    poll_clock: PollClock::Milliseconds,   // rustix has no ppoll here
    poll_longest: 2_147_483,               // an int of milliseconds: i32::MAX / 1000 seconds
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 1,          // rustix has no `sendmsg` here
};
