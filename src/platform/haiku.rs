//! Haiku.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/haiku/mod.rs`. Facts: the sources of August 2026.
//!
//! An errno is a negative number, built in `headers/os/support/Errors.h` on
//! `B_GENERAL_ERROR_BASE`, which is `i32::MIN`. `ENOMEM` *is* `i32::MIN`: do not negate it. The
//! poll bits are Haiku's own.
//!
//! Quirks:
//! - The time of `ppoll` is rounded up to microseconds: `headers/private/libroot/time_private.h
//!   timespec_to_bigtime()`.
//! - A connected `AF_UNIX` datagram socket polls as writable although the receiver's queue is
//!   full: see `unix_queue_event`. The same holds for `send`.
//! - Two threads that write to one `AF_UNIX` socket can get `EAGAIN` with room left:
//!   `src/add-ons/kernel/network/protocols/unix/UnixFifo.cpp _WriteNonBlocking()`.
//! - `connect` to an `AF_UNIX` stream completes at once and does not wait, so `EINTR` does not
//!   arise: `UnixStreamEndpoint.cpp Connect()`. A full backlog is `ENOBUFS`:
//!   `src/add-ons/kernel/network/stack/net_socket.cpp socket_spawn_pending()`.
//! - `accept4` and the socket flags exist (`src/system/kernel/fs/socket.cpp`), but rustix does
//!   not reach them.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[HAIKU];

/// Haiku.
const HAIKU: Platform = Platform {
    name: "haiku",
    targets: &[Target::os("haiku")],
    rustix_lacks: &[],
    // ---- errno numbers ----
    eagain: i32::MIN + 11,          // B_WOULD_BLOCK
    ewouldblock: i32::MIN + 11,     // B_WOULD_BLOCK
    eintr: i32::MIN + 10,           // B_INTERRUPTED
    einprogress: i32::MIN + 0x7024, // B_POSIX_ERROR_BASE is 0x7000 above the general one
    ealready: i32::MIN + 0x7025,
    enobufs: i32::MIN + 0x7023,
    enomem: i32::MIN, // B_NO_MEMORY
    econnaborted: i32::MIN + 0x701b,
    eproto: i32::MIN + 0x7039,
    // B_NO_MORE_FDS, on B_STORAGE_ERROR_BASE, 0x6000 above the general one
    emfile: i32::MIN + 0x600a,
    enfile: i32::MIN + 0x7006,  // on B_POSIX_ERROR_BASE
    accept_network_errors: &[], // only Linux reports them
    in_flight_errors: &[],
    // ---- poll bits ----
    pollin: 0x1,
    pollpri: 0x20,
    pollout: 0x2,
    pollerr: 0x4,
    pollhup: 0x80,
    pollnval: 0x1000,
    pollrdnorm: 0x1, // POLLIN
    pollwrnorm: 0x2, // POLLOUT
    pollrdhup: 0,    // no such bit
    // ---- flag bits, as rustix can pass them ----
    msg_nosignal: 0x800, // `src/add-ons/kernel/network/stack/net_socket.cpp socket_send()`
    msg_cmsg_cloexec: 0, // no such flag
    cmsg_cloexec_honoured: false, // there is no flag
    accept_flags: 0,     // rustix drops them: `src/backend/libc/net/syscalls.rs accept_with()`
    socket_flags: 0,     // rustix has no such flags: `src/net/types.rs`
    pipe_flags: 0,       // rustix has no `pipe_with`: `src/pipe.rs`
    // ---- facts that change what the crate does ----
    send_dontwait: false,  // unknown: nobody has read it
    abstract_names: false, // only Linux has them: unix(7)
    so_nosigpipe: false,
    // as the listener was when the connection arrived:
    // `src/add-ons/kernel/network/stack/net_socket.cpp socket_spawn_pending()`,
    // `src/system/kernel/fs/socket.cpp create_socket_fd()`
    accept_mode: AcceptMode::Inherited,
    // `UnixDatagramEndpoint.cpp Sendable()` is EOPNOTSUPP, and `net_socket.cpp
    // socket_request_notification()` reports a negative answer as writable
    unix_queue_event: QueueEvent::Never,
    unix_connect_interrupted: Interrupted::Unknown, // unknown; does not arise, see above
    peek_rights: false,                             // unknown: nobody has read it
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false,           // unknown: nobody has read it
    poll_clock: PollClock::Nanoseconds, // ppoll
    // what a 32-bit time_t holds; the kernel takes more, overflow becomes "for ever":
    // `src/system/kernel/events/wait_for_objects.cpp _user_poll()`
    poll_longest: 2_147_483_647,
    io_max: usize::MAX, // the kernel shortens: `src/system/kernel/fs/fd.cpp` (47136e7183)
    iov_max: 1024,      // IOV_MAX: `headers/posix/limits.h`, `src/system/kernel/fs/fd.cpp`
};
