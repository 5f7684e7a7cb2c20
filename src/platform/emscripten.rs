//! Emscripten: WebAssembly with a POSIX layer in JavaScript.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/linux_like/emscripten/mod.rs` and
//! `src/unix/linux_like/mod.rs`. The errno numbers are WASI's, in the order of the alphabet
//! (`system/lib/libc/musl/arch/emscripten/bits/errno.h`); the rest is musl's.
//!
//! Quirks: sockets are always non-blocking underneath (WebSockets, or Node's sockets). The flags
//! of `socket`, `accept4`, `recv` and `send` are dropped by the releases of 2025
//! (`src/lib/libsyscall.js`); later code looks at `SOCK_NONBLOCK` and `MSG_DONTWAIT`. So the mode
//! is set afterwards here. On WebSockets `accept` of an empty queue is `EINVAL`, not `EAGAIN`
//! (`src/lib/libsockfs.js`, a04d0beef3 of August 2026, which all facts are from).
//!
//! Unknown: everything that is marked so.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[EMSCRIPTEN];

/// Emscripten.
const EMSCRIPTEN: Platform = Platform {
    name: "emscripten",
    targets: &[Target::os("emscripten")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: 6,
    ewouldblock: 6,
    eintr: 27,
    einprogress: 26,
    ealready: 7,
    enobufs: 42,
    enomem: 48,
    econnaborted: 13,
    eproto: 65,
    emfile: 33,
    enfile: 41,
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
    pollwrnorm: 0x100,
    pollrdhup: 0, // the libc crate has 0x2000, rustix's `PollFlags` has no such bit here
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x4000, // accepted and dropped: `src/lib/libsyscall.js __syscall_sendto()`
    // accepted and dropped: `src/lib/libsyscall.js __syscall_recvmsg()`
    msg_cmsg_cloexec: 0x4000_0000,
    cmsg_cloexec_honoured: false, // unknown: set again
    accept_flags: 0,              // dropped: `src/lib/libsyscall.js __syscall_accept4()`
    socket_flags: 0,              // `socket` is not known to honour them
    // O_NONBLOCK, and O_CLOEXEC, which is taken and means nothing there: `src/lib/libsyscall.js`
    pipe_flags: 0x800 | 0x8_0000,
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // unknown: nobody has read it
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    accept_mode: AcceptMode::Inherited, // `src/lib/libsockfs.js`
    unix_queue_event: QueueEvent::Unknown, // unknown: nobody has read it
    unix_connect_interrupted: Interrupted::Unknown, // unknown: nobody has read it
    peek_rights: false,                 // unknown: nobody has read it
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: true, // `src/lib/libsockfs.js`
    packet_pipes: false,
    peek_tells_length: false, // unknown: nobody has read it
    poll_clock: PollClock::Milliseconds,
    // rustix has no ppoll here: an int of milliseconds, rounded up; i32::MAX / 1000 seconds
    poll_longest: 2_147_483,
    io_max: 0x7fff_fffe, // unknown: nobody has read it; a short count is always a legal answer
    iov_max: 1024,       // UIO_MAXIOV, `src/unix/linux_like/mod.rs`
};
