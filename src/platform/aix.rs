//! AIX, big-endian PowerPC.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/aix/mod.rs`. The poll bits are System V's, not
//! Linux's: `POLLOUT` is 2, `POLLPRI` 4, and `POLLNVAL` the sign bit of a short.
//!
//! Quirks: the system's name for `MSG_DONTWAIT` is `MSG_NONBLOCK`; rustix translates it
//! (`src/backend/libc/c.rs`). There is no `accept4` and no `pipe2` in rustix. AIX 4.3 and 5.1 had
//! 54 for `EWOULDBLOCK`; the libc crate's target has 11 for both names.
//!
//! Unknown: every fact below that is marked so. Nobody has read this kernel.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[AIX];

/// IBM AIX.
const AIX: Platform = Platform {
    name: "aix",
    targets: &[Target::os("aix")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 11,
    eintr: 4,
    einprogress: 55,
    ealready: 56,
    enobufs: 74,
    enomem: 12,
    econnaborted: 72,
    eproto: 121,
    emfile: 24,
    enfile: 23,
    accept_network_errors: &[], // only Linux reports them
    in_flight_errors: &[],
    // ---- poll bits ----
    pollin: 0x1,
    pollpri: 0x4,
    pollout: 0x2,
    pollerr: 0x4000,
    pollhup: 0x2000,
    pollnval: 0x8000, // POLLSYNC
    pollrdnorm: 0x10,
    pollwrnorm: 0x2, // POLLOUT
    pollrdhup: 0,    // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x100,
    msg_cmsg_cloexec: 0, // no such flag in rustix: `src/backend/libc/net/send_recv.rs`
    cmsg_cloexec_honoured: false, // there is no flag
    accept_flags: 0,     // rustix drops them: `src/backend/libc/net/syscalls.rs accept_with()`
    socket_flags: 0,     // rustix has no such flags: `src/net/types.rs`
    pipe_flags: 0,       // rustix has no `pipe_with`: `src/pipe.rs`
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // unknown: nobody has read it
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    // unknown: nobody has read it; mio sets the mode itself, `src/sys/unix/tcp.rs accept()`
    accept_mode: AcceptMode::Unknown,
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
    iov_max: 16,         // IOV_MAX; UIO_MAXIOV is 1024 there
};
