//! FreeBSD.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/bsd/freebsdlike/freebsd/mod.rs`,
//! `src/unix/bsd/freebsdlike/mod.rs` and `src/unix/bsd/mod.rs`. Facts: `sys` of FreeBSD 13 to 15.
//!
//! Quirks:
//! - `POLLRDHUP` came with FreeBSD 14; a 13.0 kernel never reports it, and `poll` for it alone
//!   then finds nothing.
//! - `POLLOUT` is taken away where `POLLHUP` is set: `sys/kern/sys_generic.c pollscan()`. A
//!   refused connection is `POLLHUP` alone.
//! - A descriptor received with `MSG_CMSG_CLOEXEC` came without close-on-exec on 13.0 (measured):
//!   set it again.
//! - `MSG_WAITALL` sleeps in spite of non-blocking mode.
//! - `accept4` with no flags does *not* inherit the mode, `accept` does.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[FREEBSD];

/// FreeBSD.
const FREEBSD: Platform = Platform {
    name: "freebsd",
    targets: &[Target::os("freebsd")],
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
    pollwrnorm: 0x4,   // POLLOUT
    pollrdhup: 0x4000, // FreeBSD 14 and later
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x2_0000,
    msg_cmsg_cloexec: 0x4_0000,
    cmsg_cloexec_honoured: false, // measured on 13.0: it came without the flag
    accept_flags: 0x2000_0000 | 0x1000_0000, // SOCK_NONBLOCK | SOCK_CLOEXEC
    // SOCK_NONBLOCK | SOCK_CLOEXEC: `sys/kern/uipc_syscalls.c kern_socketpair()`
    socket_flags: 0x2000_0000 | 0x1000_0000,
    pipe_flags: 0x4 | 0x10_0000, // O_NONBLOCK | O_CLOEXEC
    // ---- facts that change what the crate does ----
    send_dontwait: true,   // `sys/kern/uipc_socket.c sosend_generic()`
    abstract_names: false, // only Linux has them: unix(7)
    // `sys/kern/uipc_syscalls.c kern_sendit()`, `sys/kern/sys_socket.c soo_write()`; accepted
    // sockets inherit it, `sys/kern/uipc_socket.c sonewconn()`
    so_nosigpipe: true,
    // ACCEPT4_INHERIT: `sys/kern/uipc_syscalls.c kern_accept4()`
    accept_mode: AcceptMode::Inherited,
    // a full queue is ENOBUFS, never EAGAIN: `sys/kern/uipc_usrreq.c uipc_sosend_dgram()`,
    // `tests/sys/kern/unix_dgram.c`
    unix_queue_event: QueueEvent::Arrives,
    // SS_ISCONNECTING is kept: `sys/kern/uipc_syscalls.c kern_connectat()`
    unix_connect_interrupted: Interrupted::GoesOn,
    peek_rights: false, // kernel pointers: `sys/kern/uipc_usrreq.c`, 14 and 15; seen on 13.0
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    // recv(2) of FreeBSD 14, for datagrams; where the flag is ignored, 0 is returned,
    // which is taken for unknown.
    peek_tells_length: true,
    poll_clock: PollClock::Nanoseconds, // ppoll
    // INT32_MAX / 2; a longer one is cut to it, so it would end early: `sys/kern/sys_generic.c
    // kern_poll_kfds()`
    poll_longest: 1_073_741_823,
    // INT_MAX: devices answer EINVAL above it, `sys/fs/devfs/devfs_vnops.c devfs_read_f()` and
    // DEVFS_IOSIZE_MAX; the rest takes SSIZE_MAX unless `debug.iosize_max_clamp` is set,
    // `sys/kern/sys_generic.c iosize_max()`
    io_max: 0x7fff_ffff,
    iov_max: 1024, // IOV_MAX
};
