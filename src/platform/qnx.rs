//! QNX Neutrino, with either of its network stacks: io-pkt (`target_env` `nto70` and `nto71`) and
//! io-sock (`nto71_iosock` and `nto80`), as the libc crate divides them.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/nto/mod.rs`, with `io_pkt/mod.rs` and
//! `io_sock/mod.rs` beside it. The two stacks differ in `MSG_NOSIGNAL`, and in nothing else that
//! is here.
//!
//! Quirks: the poll bits are QNX's own. `POLLIN` is two bits, `POLLRDNORM` and `POLLRDBAND`, so
//! test for any of them. Reads and writes above `INT_MAX` bytes are done, but report a wrong
//! count.
//!
//! Unknown: every fact below that is marked so. Nobody has read this system.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[QNX_IO_PKT, QNX_IO_SOCK];

/// QNX with the io-pkt stack.
const QNX_IO_PKT: Platform = Platform {
    name: "qnx-io-pkt",
    targets: &[
        Target::os("nto").env("nto70"),
        Target::os("nto").env("nto71"),
    ],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 11,
    eintr: 4,
    einprogress: 236,
    ealready: 237,
    enobufs: 255,
    enomem: 12,
    econnaborted: 253,
    eproto: 71,
    emfile: 24,
    enfile: 23,
    accept_network_errors: &[], // only Linux reports them
    in_flight_errors: &[],
    // ---- poll bits ----
    pollin: 0x5, // POLLRDNORM | POLLRDBAND
    pollpri: 0x8,
    pollout: 0x2,
    pollerr: 0x20,
    pollhup: 0x40,
    pollnval: 0x1000,
    pollrdnorm: 0x1,
    pollwrnorm: 0x2, // POLLOUT
    pollrdhup: 0,    // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x800,          // `src/unix/nto/io_pkt/mod.rs`
    msg_cmsg_cloexec: 0,          // no such flag in rustix: `src/backend/libc/net/send_recv.rs`
    cmsg_cloexec_honoured: false, // there is no flag
    accept_flags: 0, // rustix drops them: `src/backend/libc/net/syscalls.rs accept_with()`
    socket_flags: 0, // no SOCK_NONBLOCK in the libc crate or rustix
    pipe_flags: 0,   // rustix has no `pipe_with`: `src/pipe.rs`
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
    // larger calls return a wrong count: rust-lang/rust issue 115325, and READ_LIMIT in
    // `library/std/src/sys/fd/unix.rs`
    io_max: 0x7fff_fffe,
    iov_max: 1024, // UIO_MAXIOV
};

/// QNX with the io-sock stack.
const QNX_IO_SOCK: Platform = Platform {
    name: "qnx-io-sock",
    targets: &[
        Target::os("nto").env("nto71_iosock"),
        Target::os("nto").env("nto80"),
    ],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 11,
    ewouldblock: 11,
    eintr: 4,
    einprogress: 236,
    ealready: 237,
    enobufs: 255,
    enomem: 12,
    econnaborted: 253,
    eproto: 71,
    emfile: 24,
    enfile: 23,
    accept_network_errors: &[], // only Linux reports them
    in_flight_errors: &[],
    // ---- poll bits ----
    pollin: 0x5, // POLLRDNORM | POLLRDBAND
    pollpri: 0x8,
    pollout: 0x2,
    pollerr: 0x20,
    pollhup: 0x40,
    pollnval: 0x1000,
    pollrdnorm: 0x1,
    pollwrnorm: 0x2, // POLLOUT
    pollrdhup: 0,    // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x2_0000,       // `src/unix/nto/io_sock/mod.rs`
    msg_cmsg_cloexec: 0,          // no such flag in rustix: `src/backend/libc/net/send_recv.rs`
    cmsg_cloexec_honoured: false, // there is no flag
    accept_flags: 0, // rustix drops them: `src/backend/libc/net/syscalls.rs accept_with()`
    socket_flags: 0, // no SOCK_NONBLOCK in the libc crate or rustix
    pipe_flags: 0,   // rustix has no `pipe_with`: `src/pipe.rs`
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
    // larger calls return a wrong count: rust-lang/rust issue 115325, and READ_LIMIT in
    // `library/std/src/sys/fd/unix.rs`
    io_max: 0x7fff_fffe,
    iov_max: 1024, // UIO_MAXIOV
};
