//! GNU/Hurd.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/hurd/mod.rs`. An errno is `0x4000_0000` plus a
//! small number, the subsystem that Mach gives to the Hurd. Facts: glibc, `sysdeps/mach/hurd` and
//! `hurd/hurdselect.c`, of 2019; the servers `pflocal` and `pfinet` of June 2026 (d80222b9).
//!
//! Quirks, in `hurd/hurdselect.c _hurd_select()` of 2019:
//! - `poll` reports only `POLLIN`, `POLLOUT` and `POLLPRI`; an error of a descriptor counts as
//!   everything ready, and a closed descriptor fails the whole call with `EBADF`.
//! - A descriptor with no event asked is left out.
//! - The time is rounded up to milliseconds.
//! - `POLLRDNORM` is `POLLIN`, and `POLLRDBAND` is `POLLPRI`.
//!
//! A datagram that is larger than the room in the receiver's queue is answered `EAGAIN`, and
//! the socket polls as writable: `pflocal` `io_select`.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[HURD];

/// GNU/Hurd.
const HURD: Platform = Platform {
    name: "hurd",
    targets: &[Target::os("hurd")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 0x4000_0023,
    ewouldblock: 0x4000_0023,
    eintr: 0x4000_0004,
    einprogress: 0x4000_0024,
    ealready: 0x4000_0025,
    enobufs: 0x4000_0037,
    enomem: 0x4000_000c,
    econnaborted: 0x4000_0035,
    eproto: 0x4000_0074,
    emfile: 0x4000_0018,
    enfile: 0x4000_0017,
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
    msg_nosignal: 0x400,
    msg_cmsg_cloexec: 0x4000_0000,
    cmsg_cloexec_honoured: false, // unknown: set again
    // SOCK_NONBLOCK | SOCK_CLOEXEC: glibc `sysdeps/mach/hurd/accept4.c`
    accept_flags: 0x800 | 0x40_0000,
    // SOCK_NONBLOCK | SOCK_CLOEXEC: glibc `sysdeps/mach/hurd/socket.c`, `socketpair.c`
    socket_flags: 0x800 | 0x40_0000,
    pipe_flags: 0x8 | 0x40_0000, // O_NONBLOCK | O_CLOEXEC
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // unknown: nobody has read it
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    accept_mode: AcceptMode::Blocking, // `pflocal sock_clone()`, `pfinet S_socket_accept()`
    unix_queue_event: QueueEvent::Never, // `pflocal` pipe_send and io_select
    // `pflocal connq_connect()`, `S_socket_connect()`
    unix_connect_interrupted: Interrupted::NothingStarted,
    peek_rights: false, // unknown: nobody has read it
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false,           // unknown: nobody has read it
    poll_clock: PollClock::Nanoseconds, // ppoll
    // milliseconds in a 32-bit long: glibc `hurd/hurdselect.c _hurd_select()`
    poll_longest: 2_147_483,
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 16,         // unknown: the least that POSIX allows
};
