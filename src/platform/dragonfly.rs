//! DragonFly BSD.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/bsd/freebsdlike/dragonfly/mod.rs`,
//! `src/unix/bsd/freebsdlike/mod.rs` and `src/unix/bsd/mod.rs`. Facts: `sys/kern` of the early
//! 2010s, and of July 2020 (f875a8eec7), which has `accept4` and `ppoll`.
//!
//! Quirks:
//! - `poll` ignores only the descriptor -1 (another negative one is `POLLNVAL`), reports nothing
//!   where no event was asked, and cuts a list that is too long: `sys/kern/sys_generic.c
//!   poll_copyin()`, `dopoll()`.
//! - A full queue of a connected `AF_UNIX` datagram socket is `ENOBUFS`.
//! - `accept` on a listener that was shut down is `ECONNABORTED` for ever, and it never polls as
//!   readable: `soaccept_predicate()` (f875a8eec7).
//! - `accept4` with no flags does *not* inherit the mode, `accept` does (f875a8eec7).

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[DRAGONFLY];

/// DragonFly BSD.
const DRAGONFLY: Platform = Platform {
    name: "dragonfly",
    targets: &[Target::os("dragonfly")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 35,
    ewouldblock: 35,
    eintr: 4,
    einprogress: 36,
    ealready: 37,
    enobufs: 55,
    enomem: 12,
    econnaborted: 53,
    eproto: 92,
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
    msg_nosignal: 0x400,
    msg_cmsg_cloexec: 0x1000,
    cmsg_cloexec_honoured: true, // `sys/kern` of July 2020 (f875a8eec7)
    accept_flags: 0x2000_0000 | 0x1000_0000, // SOCK_NONBLOCK | SOCK_CLOEXEC
    socket_flags: 0x2000_0000 | 0x1000_0000, // SOCK_NONBLOCK | SOCK_CLOEXEC: socketpair(2)
    pipe_flags: 0x4 | 0x2_0000,  // O_NONBLOCK | O_CLOEXEC
    // ---- facts that change what the crate does ----
    send_dontwait: true,   // `sys/kern/uipc_socket.c sosendtcp()`, `sosendudp()`
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: true,    // `sys/kern/uipc_syscalls.c kern_sendmsg()`
    accept_mode: AcceptMode::Inherited, // `sys/kern/uipc_syscalls.c kern_accept()`
    // a full queue is ENOBUFS, never EAGAIN: `sys/kern/uipc_usrreq.c uipc_send()`
    unix_queue_event: QueueEvent::Arrives,
    unix_connect_interrupted: Interrupted::GoesOn, // `sys/kern/uipc_syscalls.c kern_connect()`
    peek_rights: false,                            // unknown: nobody has read it
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false,           // unknown: nobody has read it
    poll_clock: PollClock::Nanoseconds, // ppoll
    // what a millisecond count holds; `sys/kern/kern_event.c kern_kevent()` sleeps an hour at a
    // time and takes more, but `sys_ppoll()` was not read
    poll_longest: 2_147_483,
    // SSIZE_MAX: EINVAL above it, `sys/kern/sys_generic.c sys_read()`, `sys_write()`
    io_max: isize::MAX as usize,
    iov_max: 1024, // IOV_MAX
};
