//! illumos and Oracle Solaris.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/solarish/mod.rs`, with `illumos.rs` and
//! `solaris.rs` beside it. Facts about illumos: `usr/src/uts/common/fs/sockfs/socksyscalls.c` and
//! its neighbours; `AF_UNIX` goes through `socktpi.c` there and `io/tl.c`. Facts about Solaris:
//! manual pages and a quoted header only; it need not do what illumos does.
//!
//! Quirks of illumos:
//! - `accept4` adds its flags to the listener's mode; with no flags it inherits, unlike the BSDs.
//! - `connect` to an `AF_UNIX` stream completes without an `accept`; it is `EINPROGRESS` only
//!   while the serializer is busy, and `ECONNREFUSED` when the backlog is full: `tl.c
//!   tl_conn_req_ser()`, `tl_conn_req()`.
//! - `recv` answers `EAGAIN` although there is data, while another thread is in `recv` on the
//!   same socket: `so_lock_read_intr()`.
//! - `shutdown` of a listener is `ENOTCONN` and changes nothing: `sotpi_shutdown()`.
//! - `getpeername` is `EINVAL` once the socket cannot send any more: `sotpi_getpeername()`.
//! - While a connection is under way, `recv` answers `ENOTCONN`: `sockcommon_sops.c
//!   so_recvmsg()`.
//! - `poll` answers `EAGAIN` when it lacks memory, poll(2); `send` answers `EAGAIN` when memory
//!   is short, send(3SOCKET).
//! - `MSG_NOSIGNAL` is in the manual page of 2018; older systems lack it.
//! - `O_NDELAY` is another mode than `O_NONBLOCK`.
//! - illumos documents `ppoll`, which the libc crate does not bind.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[ILLUMOS, SOLARIS];

/// illumos.
const ILLUMOS: Platform = Platform {
    name: "illumos",
    targets: &[Target::os("illumos")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 11,
    eintr: 4,
    einprogress: 150,
    ealready: 149,
    enobufs: 132,
    enomem: 12,
    econnaborted: 130,
    eproto: 71,
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
    pollrdhup: 0x4000, // `src/unix/solarish/illumos.rs`
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x200,
    msg_cmsg_cloexec: 0, // no such flag in rustix: `src/backend/libc/net/send_recv.rs`
    cmsg_cloexec_honoured: false, // there is no flag
    // SOCK_NONBLOCK | SOCK_CLOEXEC: `socksyscalls.c accept()`
    accept_flags: 0x10_0000 | 0x8_0000,
    // SOCK_NONBLOCK | SOCK_CLOEXEC: `socksyscalls.c so_socket()`; `so_socketpair()` keeps both
    socket_flags: 0x10_0000 | 0x8_0000,
    pipe_flags: 0x80 | 0x80_0000, // O_NONBLOCK | O_CLOEXEC
    // ---- facts that change what the crate does ----
    send_dontwait: true,   // `sockcommon_sops.c so_sendmsg()`
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    accept_mode: AcceptMode::Inherited, // `socksyscalls.c accept()`
    // the message goes back on the sender's queue: `sosend_dgram()`, `tl_unitdata()`
    unix_queue_event: QueueEvent::Arrives,
    unix_connect_interrupted: Interrupted::GoesOn, // `sotpi_connect()`; connect(3SOCKET)
    peek_rights: true,                             // duplicates: `so_opt2cmsg()`, `fdbuf_extract()`
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    // It is ignored there: rustix, src/backend/libc/net/send_recv.rs
    peek_tells_length: false,
    poll_clock: PollClock::Milliseconds,
    // rustix has no ppoll here: an int of milliseconds, rounded up; i32::MAX / 1000 seconds
    poll_longest: 2_147_483,
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    // unknown for sockets: the least that POSIX allows; readv takes 1024,
    // `usr/src/uts/common/sys/limits.h`
    iov_max: 16,
};

/// Oracle Solaris 11.4.
const SOLARIS: Platform = Platform {
    name: "solaris",
    targets: &[Target::os("solaris")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 11,
    eintr: 4,
    einprogress: 150,
    ealready: 149,
    enobufs: 132,
    enomem: 12,
    econnaborted: 130,
    eproto: 71,
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
    pollrdhup: 0,    // no such bit in the libc crate
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x200, // since 11.4: `socket.h`, as a public report quotes it
    msg_cmsg_cloexec: 0, // no such flag in rustix: `src/backend/libc/net/send_recv.rs`
    cmsg_cloexec_honoured: false, // there is no flag
    // SOCK_NONBLOCK | SOCK_CLOEXEC: accept(3C) of Solaris 11.4; 11.3 has no accept4
    accept_flags: 0x10_0000 | 0x8_0000,
    // SOCK_NONBLOCK | SOCK_CLOEXEC, as the libc crate and rustix have them; the kernel was not
    // read
    socket_flags: 0x10_0000 | 0x8_0000,
    pipe_flags: 0x80 | 0x80_0000, // O_NONBLOCK | O_CLOEXEC
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
    // It is ignored there: rustix, src/backend/libc/net/send_recv.rs
    peek_tells_length: false,
    poll_clock: PollClock::Milliseconds,
    // rustix has no ppoll here: an int of milliseconds, rounded up; i32::MAX / 1000 seconds
    poll_longest: 2_147_483,
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 16,         // IOV_MAX, as a public report quotes the header
};
