//! macOS, iOS, tvOS, watchOS, visionOS: every Apple target, one table.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/bsd/apple/mod.rs` and `src/unix/bsd/mod.rs`. Facts:
//! XNU, `xnu-11417` unless a comment says otherwise.
//!
//! Quirks:
//! - `MSG_NOSIGNAL` exists since `xnu-7195` (macOS 11) and is not in rustix's `SendFlags`;
//!   `xnu-6153` (10.15) has no such flag, and `SO_NOSIGPIPE` covers it.
//! - `MSG_DONTWAIT` is ignored when sending: `bsd/kern/uipc_socket.c sosendcheck()`.
//! - `poll` answers `EAGAIN` when it lacks memory, reports nothing for a closed descriptor with
//!   no events asked, and `POLLNVAL` for `/dev/tty`: `bsd/kern/sys_generic.c poll_nocancel()`.
//! - Writability may be missing on a half-closed socket that can be written.
//! - A connection whose client has closed refuses every socket option with `EINVAL`, and takes
//!   `F_SETFL` and `F_SETFD`: `sosetoptlock()`, `soioctl()`.
//! - `shutdown` of a listener is `ENOTCONN` and changes nothing (recorded).
//! - Descriptors on a stream without room are `EMSGSIZE`: `uipc_send()`.
//! - `accept` drops the connection when no descriptor is left: `accept_nocancel()`.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[APPLE];

/// Every Apple system.
const APPLE: Platform = Platform {
    name: "apple-macos",
    targets: &[
        Target::os("macos"),
        Target::os("ios"),
        Target::os("tvos"),
        Target::os("watchos"),
        Target::os("visionos"),
    ],
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
    eproto: 100,
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
    // macOS 11 and later: `bsd/sys/socket.h` of xnu-7195; older systems ignore it
    msg_nosignal: 0x8_0000,
    msg_cmsg_cloexec: 0,          // no such flag
    cmsg_cloexec_honoured: false, // there is no flag
    // no `accept4`; rustix drops them: `src/backend/libc/net/syscalls.rs accept_with()`
    accept_flags: 0,
    socket_flags: 0, // no such flags
    pipe_flags: 0,   // no `pipe2`
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // ignored: `bsd/kern/uipc_socket.c sosendcheck()`
    abstract_names: false, // only Linux has them: unix(7)
    // `bsd/kern/uipc_syscalls.c sendit()`, `bsd/kern/sys_socket.c soo_write()`; accepted sockets
    // inherit it, `bsd/kern/uipc_socket2.c sonewconn_internal()`
    so_nosigpipe: true,
    // the listener's whole f_flag: `bsd/kern/uipc_syscalls.c accept_nocancel()`
    accept_mode: AcceptMode::Inherited,
    // a full queue is ENOBUFS: `bsd/kern/uipc_usrreq.c uipc_send()`. EAGAIN comes for a message
    // that with its descriptors is larger than the send buffer, for ever, and it polls as
    // writable: `bsd/kern/uipc_socket.c sosendcheck()`, recorded on xnu-11417 and xnu-7195
    unix_queue_event: QueueEvent::Never,
    unix_connect_interrupted: Interrupted::GoesOn, // `bsd/kern/uipc_syscalls.c connectit()`
    peek_rights: false, // zeroes: `bsd/kern/uipc_socket.c sopeek_scm_rights()`
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    // It is ignored there: rustix, src/backend/libc/net/send_recv.rs
    peek_tells_length: false,
    poll_clock: PollClock::Milliseconds,
    // rustix has no ppoll here: an int of milliseconds, rounded up; i32::MAX / 1000 seconds
    poll_longest: 2_147_483,
    // EINVAL above INT_MAX: `bsd/kern/sys_generic.c dofileread()`; one less, as in rustix,
    // `src/backend/libc/io/syscalls.rs READ_LIMIT`, which says that INT_MAX fails too
    io_max: 0x7fff_fffe,
    iov_max: 1024, // IOV_MAX
};
