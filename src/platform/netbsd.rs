//! NetBSD.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/bsd/netbsdlike/netbsd/mod.rs`,
//! `src/unix/bsd/netbsdlike/mod.rs` and `src/unix/bsd/mod.rs`. Facts: `sys/kern` of 2016 to the
//! 2020s; the calls were also answered by NetBSD 7.99.34 kernel code.
//!
//! Quirks:
//! - `ppoll` came with NetBSD 10; rustix looks for it at run time and otherwise calls `poll` with
//!   milliseconds rounded up.
//! - `MSG_DONTWAIT` is ignored when sending: `sys/kern/uipc_socket.c sosend()`.
//! - Sockets never report `POLLHUP`: a refused connection is `POLLOUT` alone.
//! - `accept4` with no flags does *not* inherit the mode, `accept` does.
//! - `connect` answers `EAGAIN` when no local port is free: `sys/netinet/portalgo.c`.
//! - `accept` on a listener that was shut down is `EAGAIN` for ever, and it polls as readable:
//!   `do_sys_accept()`, `soreadable()`.
//! - Descriptors on a stream or record without room are `EMSGSIZE`: `sosend()` (measured).
//!   With more than maxfiles / 2 files in flight they are `EAGAIN`, and the socket polls as
//!   writable: `unp_internalize()`.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[NETBSD];

/// NetBSD.
const NETBSD: Platform = Platform {
    name: "netbsd",
    targets: &[Target::os("netbsd")],
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
    eproto: 96,
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
    msg_cmsg_cloexec: 0x800,
    cmsg_cloexec_honoured: true,             // measured on 7.99.34
    accept_flags: 0x2000_0000 | 0x1000_0000, // SOCK_NONBLOCK | SOCK_CLOEXEC
    // SOCK_NONBLOCK | SOCK_CLOEXEC: `sys/kern/uipc_syscalls.c makesocket()`
    socket_flags: 0x2000_0000 | 0x1000_0000,
    pipe_flags: 0x4 | 0x40_0000, // O_NONBLOCK | O_CLOEXEC
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // ignored: `sys/kern/uipc_socket.c sosend()`
    abstract_names: false, // only Linux has them: unix(7)
    // `sys/kern/uipc_syscalls.c do_sys_sendmsg_so()`, `sys/kern/sys_generic.c dofilewrite()`
    so_nosigpipe: true,
    accept_mode: AcceptMode::Inherited, // `sys/kern/uipc_syscalls.c do_sys_accept()`
    // a full queue is ENOBUFS, never EAGAIN: `sys/kern/uipc_usrreq.c unp_output()`
    unix_queue_event: QueueEvent::Arrives,
    // SS_ISCONNECTING is kept: `sys/kern/uipc_syscalls.c do_sys_connect()`
    unix_connect_interrupted: Interrupted::GoesOn,
    peek_rights: false, // kernel pointers: `sys/kern/uipc_socket.c soreceive()`; seen on 7.99.34
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    // It is ignored there: rustix, src/backend/libc/net/send_recv.rs
    peek_tells_length: false,
    // ppoll, or milliseconds before NetBSD 10: rustix `src/backend/libc/event/syscalls.rs
    // poll()`
    poll_clock: PollClock::Nanoseconds,
    poll_longest: 2_147_483, // i32::MAX / 1000 seconds, which both calls take
    // SSIZE_MAX: EINVAL above it, `sys/kern/sys_generic.c dofileread()`, `dofilewrite()`
    io_max: isize::MAX as usize,
    iov_max: 1024, // IOV_MAX
};
