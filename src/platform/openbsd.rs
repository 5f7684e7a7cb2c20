//! OpenBSD.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/bsd/netbsdlike/openbsd/mod.rs`,
//! `src/unix/bsd/netbsdlike/mod.rs` and `src/unix/bsd/mod.rs`. Facts: `sys/kern` of 2025
//! (uipc_socket.c 1.385, uipc_usrreq.c 1.221, uipc_syscalls.c 1.226, sys_generic.c 1.160).
//!
//! Quirks:
//! - `O_NONBLOCK` is passed down as `MSG_DONTWAIT`, so `send` and `recv` answer `EAGAIN` also
//!   while another thread holds the buffer's lock: `sys/kern/uipc_syscalls.c sendit()`,
//!   `sys/kern/uipc_socket.c sosend()`.
//! - There is no `SO_NOSIGPIPE`: `write` to a closed stream raises `SIGPIPE`, `send` with
//!   `MSG_NOSIGNAL` does not.
//! - The kernel has `ppoll`, but rustix calls `poll` here.
//! - A refused connection is `POLLHUP` alone; a file that `poll` cannot watch is ignored:
//!   `sys/kern/sys_generic.c ppollregister_evts()`.
//! - `accept` on a listener that was shut down is `ECONNABORTED` for ever, and it polls as
//!   readable: `doaccept()`, `filt_soread()`.
//! - `recvmsg` with room for control data and none for bytes is `EAGAIN`: `soreceive()`.
//! - More than about 127 descriptors in one message are `E2BIG`: `unp_internalize()`. Those for
//!   which the receiver has no number are lost, with `EMSGSIZE`: `unp_externalize()`.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[OPENBSD];

/// OpenBSD.
const OPENBSD: Platform = Platform {
    name: "openbsd",
    targets: &[Target::os("openbsd")],
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
    eproto: 95,
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
    cmsg_cloexec_honoured: true, // `sys/kern/uipc_usrreq.c unp_externalize()`
    accept_flags: 0x4000 | 0x8000, // SOCK_NONBLOCK | SOCK_CLOEXEC
    // SOCK_NONBLOCK | SOCK_CLOEXEC: `sys/kern/uipc_syscalls.c sys_socketpair()`
    socket_flags: 0x4000 | 0x8000,
    pipe_flags: 0x4 | 0x1_0000, // O_NONBLOCK | O_CLOEXEC
    // ---- facts that change what the crate does ----
    send_dontwait: true,   // `sys/kern/uipc_socket.c sosend()`
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,   // no such option
    // SOCK_NONBLOCK_INHERIT: `sys/kern/uipc_syscalls.c doaccept()`
    accept_mode: AcceptMode::Inherited,
    // a full queue is ENOBUFS, never EAGAIN: `sys/kern/uipc_usrreq.c uipc_dgram_send()`; EAGAIN
    // comes from the buffer's lock, which is soon free
    unix_queue_event: QueueEvent::Arrives,
    // does not arise, since it completes at once: `sys/kern/uipc_usrreq.c unp_connect()`; over
    // TCP, SS_ISCONNECTING is kept: `sys/kern/uipc_syscalls.c sys_connect()`
    unix_connect_interrupted: Interrupted::GoesOn,
    peek_rights: false, // none are handed out: `sys/kern/uipc_socket.c soreceive()`
    send_emfile: true,  // over maxfiles / 10: `sys/kern/uipc_usrreq.c unp_internalize()`
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false, // unknown: nobody has read it
    poll_clock: PollClock::Milliseconds,
    // rustix has no ppoll here: an int of milliseconds, rounded up; i32::MAX / 1000 seconds
    poll_longest: 2_147_483,
    // SSIZE_MAX: EINVAL above it, `sys/kern/sys_generic.c dofileread()`, `dofilewrite()`
    io_max: isize::MAX as usize,
    iov_max: 1024, // IOV_MAX
};
