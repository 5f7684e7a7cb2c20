//! The host's table, held against the target's own constants while the crate
//! compiles.
//!
//! rustix takes its constants from the system's headers by way of the libc
//! crate or linux-raw-sys; the tables were typed in from other sources. A
//! target on which the two disagree does not build, and the message names the
//! fact.

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::{ALL, POSIX, Platform};

#[cfg(all(
    feature = "std",
    wouldblock_has = "abstract_names",
    target_os = "android"
))]
pub(crate) use std::os::android::net::SocketAddrExt;
#[cfg(all(
    feature = "std",
    wouldblock_has = "abstract_names",
    target_os = "linux"
))]
pub(crate) use std::os::linux::net::SocketAddrExt;

/// The table of the system that the crate was compiled for.
///
/// Its name is `posix` where that system has none yet, and its facts are then the
/// conservative ones ([`POSIX`]): slower in places, and right.
///
/// A constant, so that every decision on it is made by the compiler.
///
/// ```
/// println!("compiled for {}", wouldblock::platform::HOST.name);
/// ```
pub const HOST: &Platform = find(env!("WOULDBLOCK_TABLE"));

const fn find(name: &str) -> &'static Platform {
    if same(name, POSIX.name) {
        return &POSIX;
    }
    let mut i = 0;
    while i < ALL.len() {
        if same(name, ALL[i].name) {
            return ALL[i];
        }
        i += 1;
    }
    panic!("the build script chose a table that ALL does not hold")
}

pub(super) const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// `PollFlags` is signed in one of rustix's backends and unsigned in the other.
pub(crate) const fn poll_bits(flags: PollFlags) -> u16 {
    u16::from_ne_bytes(flags.bits().to_ne_bytes())
}

/// The other way round.
#[allow(
    clippy::cast_possible_wrap,
    reason = "the bits are the same in both, and the type cannot be named"
)]
pub(crate) const fn poll_flags(bits: u16) -> PollFlags {
    PollFlags::from_bits_retain(bits as _)
}

/// The bits of a rustix flag by its name, or 0 on a target where rustix does
/// not have it. A constant of that name would need rustix's own cfgs here.
macro_rules! named_flag {
    ($flags:ty, $name:literal) => {{
        let all = <$flags as bitflags::Flags>::FLAGS;
        let mut bits = 0;
        let mut i = 0;
        while i < all.len() {
            if $crate::platform::host::same(all[i].name(), $name) {
                bits = all[i].value().bits();
            }
            i += 1;
        }
        bits
    }};
}
pub(super) use named_flag;

/// Some systems have no bit of its own for it.
pub(super) const PRIORITY: u16 = {
    let bits = poll_bits(PollFlags::PRI);
    if bits & poll_bits(PollFlags::IN) == 0 {
        bits
    } else {
        0
    }
};

/// 0 where rustix has no such name.
pub(super) const INVALID: u16 =
    poll_bits(PollFlags::from_bits_retain(named_flag!(PollFlags, "NVAL")));

/// What puts a pipe into packet mode, where there is such a mode; nothing where rustix
/// has no such flag.
pub(crate) const O_DIRECT: OFlags = OFlags::from_bits_retain(named_flag!(OFlags, "DIRECT"));

/// With a peek, what asks for the length of the whole message, where that is answered;
/// nothing where rustix has no such flag.
pub(crate) const MSG_TRUNC: RecvFlags =
    RecvFlags::from_bits_retain(named_flag!(RecvFlags, "TRUNC"));

/// Stops the build, with a sentence that names the fact, where the target has another
/// number. 0: rustix does not know it there, so nothing is compared.
macro_rules! hold {
    ($($fact:ident == $target:expr;)*) => {$(
        const _: () = {
            let known = $target;
            assert!(
                known == 0 || HOST.$fact == known || same(HOST.name, POSIX.name),
                concat!("the platform table is wrong for this target: ", stringify!($fact)),
            );
        };
    )*};
}

hold! {
    eagain == Errno::AGAIN.raw_os_error();
    ewouldblock == Errno::WOULDBLOCK.raw_os_error();
    eintr == Errno::INTR.raw_os_error();
    einprogress == Errno::INPROGRESS.raw_os_error();
    ealready == Errno::ALREADY.raw_os_error();
    enobufs == Errno::NOBUFS.raw_os_error();
    enomem == Errno::NOMEM.raw_os_error();
    econnaborted == Errno::CONNABORTED.raw_os_error();
    eproto == Errno::PROTO.raw_os_error();
    emfile == Errno::MFILE.raw_os_error();
    enfile == Errno::NFILE.raw_os_error();
    pollin == poll_bits(PollFlags::IN);
    pollpri == PRIORITY;
    pollout == poll_bits(PollFlags::OUT);
    pollerr == poll_bits(PollFlags::ERR);
    pollhup == poll_bits(PollFlags::HUP);
    pollnval == INVALID;
    pollrdnorm == poll_bits(PollFlags::RDNORM);
    pollwrnorm == poll_bits(PollFlags::WRNORM);
    pollrdhup == poll_bits(PollFlags::from_bits_retain(named_flag!(PollFlags, "RDHUP")));
    msg_nosignal == named_flag!(rustix::net::SendFlags, "NOSIGNAL");
    msg_cmsg_cloexec == named_flag!(RecvFlags, "CMSG_CLOEXEC");
}

/// Both flags are passed, or neither: one alone would be a descriptor that is
/// half of what was promised.
#[allow(
    dead_code,
    reason = "Rust 1.85 does not count its use by the assertions below"
)]
const fn both_or_neither(fact: u32, nonblock: u32, cloexec: u32) -> bool {
    fact == 0 || (nonblock != 0 && cloexec != 0 && fact == nonblock | cloexec)
}

const _: () = {
    let nonblock = named_flag!(rustix::net::SocketFlags, "NONBLOCK");
    let cloexec = named_flag!(rustix::net::SocketFlags, "CLOEXEC");
    assert!(
        both_or_neither(HOST.accept_flags, nonblock, cloexec),
        "the platform table is wrong for this target: accept_flags",
    );
    assert!(
        both_or_neither(HOST.socket_flags, nonblock, cloexec),
        "the platform table is wrong for this target: socket_flags",
    );
    assert!(
        both_or_neither(
            HOST.pipe_flags,
            OFlags::NONBLOCK.bits(),
            OFlags::CLOEXEC.bits()
        ),
        "the platform table is wrong for this target: pipe_flags",
    );
};

/// Whether the first of these errnos have these numbers, in this order.
#[cfg(wouldblock_has = "accept_network_errors")]
#[allow(
    dead_code,
    reason = "Rust 1.85 does not count its use by the assertion below"
)]
const fn begin_with(errnos: &[Errno], numbers: &[i32]) -> bool {
    if numbers.len() > errnos.len() {
        return false;
    }
    let mut i = 0;
    while i < numbers.len() {
        if numbers[i] != errnos[i].raw_os_error() {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(wouldblock_has = "accept_network_errors")]
const _: () = {
    let known = [
        Errno::NETDOWN,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
    ];
    assert!(
        begin_with(&known, HOST.accept_network_errors),
        "the platform table is wrong for this target: accept_network_errors",
    );
};

#[cfg(wouldblock_has = "in_flight_errors")]
const _: () = assert!(
    begin_with(&[Errno::TOOMANYREFS], HOST.in_flight_errors),
    "the platform table is wrong for this target: in_flight_errors",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_or_neither_of_one_alone_or_of_another_is_neither() {
        let (nonblock, cloexec) = (4, 2);
        assert!(both_or_neither(0, nonblock, cloexec));
        assert!(both_or_neither(6, nonblock, cloexec));
        for half in [nonblock, cloexec, 6 | 1] {
            assert!(!both_or_neither(half, nonblock, cloexec), "{half}");
        }
        // Where rustix has one of them only.
        assert!(!both_or_neither(nonblock, nonblock, 0));
        assert!(!both_or_neither(cloexec, 0, cloexec));
    }

    #[cfg(wouldblock_has = "accept_network_errors")]
    #[test]
    fn begin_with_other_numbers_or_more_of_them_does_not() {
        let errnos = [Errno::AGAIN, Errno::INTR];
        let [again, interrupted] = errnos.map(Errno::raw_os_error);
        for numbers in [&[][..], &[again], &[again, interrupted]] {
            assert!(begin_with(&errnos, numbers), "{numbers:?}");
        }
        for numbers in [
            &[interrupted][..],
            &[again, again],
            &[interrupted, interrupted],
            &[again, interrupted, again],
        ] {
            assert!(!begin_with(&errnos, numbers), "{numbers:?}");
        }
    }
}
