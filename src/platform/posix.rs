//! The fallback for a system that nobody has written a table for: POSIX, with
//! every fact unknown.
//!
//! Its numbers are the target's own, as rustix has them, so they are right
//! wherever rustix builds. It is used on a Unix without a table, and where a porter asks
//! for it (`docs/PORTING.md`), and is not in [`ALL`](super::ALL): it is no system.

use rustix::event::PollFlags;
use rustix::io::Errno;

use super::host::{INVALID, PRIORITY, named_flag, poll_bits};
use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent};

/// The conservative table: the target's numbers, and no fact beyond POSIX.1.
pub const POSIX: Platform = Platform {
    name: "posix",
    targets: &[],
    rustix_lacks: &[],

    eagain: Errno::AGAIN.raw_os_error(),
    ewouldblock: Errno::WOULDBLOCK.raw_os_error(),
    eintr: Errno::INTR.raw_os_error(),
    einprogress: Errno::INPROGRESS.raw_os_error(),
    ealready: Errno::ALREADY.raw_os_error(),
    enobufs: Errno::NOBUFS.raw_os_error(),
    enomem: Errno::NOMEM.raw_os_error(),
    econnaborted: Errno::CONNABORTED.raw_os_error(),
    eproto: Errno::PROTO.raw_os_error(),
    emfile: Errno::MFILE.raw_os_error(),
    enfile: Errno::NFILE.raw_os_error(),
    accept_network_errors: &[],
    in_flight_errors: &[],

    pollin: poll_bits(PollFlags::IN),
    pollpri: PRIORITY,
    pollout: poll_bits(PollFlags::OUT),
    pollerr: poll_bits(PollFlags::ERR),
    pollhup: poll_bits(PollFlags::HUP),
    pollnval: INVALID,
    pollrdnorm: poll_bits(PollFlags::RDNORM),
    pollwrnorm: poll_bits(PollFlags::WRNORM),
    pollrdhup: 0, // not in POSIX

    msg_nosignal: named_flag!(rustix::net::SendFlags, "NOSIGNAL"),
    msg_cmsg_cloexec: 0,          // since POSIX.1-2024: set afterwards
    cmsg_cloexec_honoured: false, // there is no flag
    accept_flags: 0,              // accept4 since POSIX.1-2024: set afterwards
    socket_flags: 0,              // likewise
    pipe_flags: 0,                // likewise

    send_dontwait: false,  // not in POSIX
    abstract_names: false, // not in POSIX
    so_nosigpipe: false,   // not in POSIX
    accept_mode: AcceptMode::Unknown,
    unix_queue_event: QueueEvent::Unknown,
    unix_connect_interrupted: Interrupted::Unknown,
    peek_rights: false, // not in POSIX
    send_emfile: false,
    receiver_queue_families: &[],
    connects_early: false,
    packet_pipes: false,
    peek_tells_length: false, // unknown: nobody has read it
    // ppoll since POSIX.1-2024; a count of milliseconds is right with either.
    poll_clock: PollClock::Milliseconds,
    poll_longest: i32::MAX as i64 / 1000,
    // A short count is always a legal answer.
    io_max: 0x7fff_fffe,
    // limits.h _XOPEN_IOV_MAX, the least that IOV_MAX may be; ops/stand_in.rs passes one
    iov_max: if cfg!(all(
        wouldblock_has = "messages",
        wouldblock_has = "vectored"
    )) {
        16
    } else {
        1
    },
};
