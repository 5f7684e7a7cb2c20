//! What kernels do beyond what this crate promises, as far as tests look at it.
//!
//! A field is true where that was seen, in a record of `tests/data/kernel-traces` whose
//! scenario stands beside it, or by these tests. Where it is false, or the system is not
//! known, a test asserts only what holds everywhere.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use wouldblock::platform::HOST;

#[derive(Clone, Copy)]
pub(crate) struct Habits {
    /// A use that makes no sense is refused with the errno that Linux gives.
    pub(crate) errnos_of_linux: bool,
    /// After a reset `poll` says POLLERR and POLLHUP: `tcp.peer_fin.rst.poll`.
    pub(crate) reset_polls_error: bool,
    /// A peer that ended one direction is no hang-up: `tcp.peer_fin.poll`.
    pub(crate) half_close_is_no_hang_up: bool,
    /// The end of both directions is one: `tcp.both_shut_wr.poll_c`.
    pub(crate) full_close_hangs_up: bool,
    /// An urgent byte is POLLPRI: `tcp.urgent.poll_pri`.
    pub(crate) urgent_is_priority: bool,
    /// And is none any more once it was read: `tcp.urgent.taken.poll_pri`.
    pub(crate) urgent_ends_when_read: bool,
    /// The read end of a pipe cannot be written to: `pipe.write_on_r`. Else a call on the
    /// wrong end may sleep.
    pub(crate) pipes_have_one_direction: bool,
    /// A connection that could not be accepted for want of a descriptor stays queued:
    /// `tcp.emfile.after.poll`.
    pub(crate) emfile_keeps_the_connection: bool,
    /// Who connects to a port that is bound and that nobody listens at is refused.
    pub(crate) bound_port_refuses: bool,
    /// One buffer more than the table's `iov_max` is too many for the kernel:
    /// `ud.sendmsg1025`.
    pub(crate) iov_max_is_the_kernels: bool,
    /// A message may be made of no buffers at all.
    pub(crate) no_buffers_are_taken: bool,
    /// Descriptors for which a stream has no room would block: `us.full1.sendmsg_rights`.
    pub(crate) full_stream_takes_rights_later: bool,
    /// Who sends to a stream that was shut down for reading is told: `us.shut_rd.peer_send`.
    pub(crate) shut_down_reader_refuses: bool,
    /// A name may fill all of its place, without a 0 at its end.
    pub(crate) names_need_no_terminator: bool,
}

const NOTHING: Habits = Habits {
    errnos_of_linux: false,
    reset_polls_error: false,
    half_close_is_no_hang_up: false,
    full_close_hangs_up: false,
    urgent_is_priority: false,
    urgent_ends_when_read: false,
    pipes_have_one_direction: false,
    emfile_keeps_the_connection: false,
    bound_port_refuses: false,
    iov_max_is_the_kernels: false,
    no_buffers_are_taken: false,
    full_stream_takes_rights_later: false,
    shut_down_reader_refuses: false,
    names_need_no_terminator: false,
};

const LINUX: Habits = Habits {
    errnos_of_linux: true,
    reset_polls_error: true,
    half_close_is_no_hang_up: true,
    full_close_hangs_up: true,
    urgent_is_priority: true,
    urgent_ends_when_read: true,
    pipes_have_one_direction: true,
    emfile_keeps_the_connection: true,
    bound_port_refuses: true,
    iov_max_is_the_kernels: true,
    no_buffers_are_taken: true,
    full_stream_takes_rights_later: true,
    shut_down_reader_refuses: true,
    names_need_no_terminator: true,
};

/// 13.0.
const FREEBSD: Habits = Habits {
    half_close_is_no_hang_up: true,
    full_close_hangs_up: true,
    urgent_is_priority: true,
    emfile_keeps_the_connection: true,
    bound_port_refuses: true,
    iov_max_is_the_kernels: true,
    no_buffers_are_taken: true,
    full_stream_takes_rights_later: true,
    ..NOTHING
};

/// 7.99.34. `writev` of no buffers is EINVAL; a SYN to a port where nobody listens is
/// dropped if the port is bound.
const NETBSD: Habits = Habits {
    half_close_is_no_hang_up: true,
    urgent_is_priority: true,
    pipes_have_one_direction: true,
    emfile_keeps_the_connection: true,
    iov_max_is_the_kernels: true,
    ..NOTHING
};

/// macOS 11 and 15.
const APPLE: Habits = Habits {
    full_close_hangs_up: true,
    pipes_have_one_direction: true,
    ..NOTHING
};

/// Those of the system that the crate was compiled for.
pub(crate) fn habits() -> Habits {
    match HOST.name {
        "freebsd" => FREEBSD,
        "netbsd" => NETBSD,
        name if name.starts_with("linux") => LINUX,
        name if name.starts_with("apple") => APPLE,
        _ => NOTHING,
    }
}
