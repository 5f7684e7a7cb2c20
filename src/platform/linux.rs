//! Linux: the generic numbering, the two older ABIs that differ, and Android.
//!
//! Numbers: the libc crate 0.2.191, `src/unix/linux_like` (`mod.rs`,
//! `linux_l4re_shared.rs`, `linux/gnu/b32/{mips,sparc}/mod.rs`,
//! `linux/arch`), the same as the kernel's
//! `include/uapi/asm-generic/errno.h` and, for the two others,
//! `arch/{mips,sparc}/include/uapi/asm`. Facts marked *measured* were measured
//! on Linux 6.18; `tests/live_*.rs` measures them again on the machine at hand.
//!
//! The tables are chosen by architecture as well as by system: MIPS and SPARC
//! have errno numbers, flags and poll bits of their own.
//!
//! The libc crate 0.2.191 has the generic socket types and flags for 64-bit MIPS with
//! glibc (`src/new/glibc/sysdeps/unix/linux/mod.rs` names the 32-bit architectures twice),
//! so there the build stops at `accept_flags`; 0.2.189 is right.

use super::{AcceptMode, Interrupted, Platform, PollClock, QueueEvent, Target};

pub(super) const TABLES: &[Platform] = &[
    LINUX,
    LINUX_ANDROID,
    LINUX_ANDROID_X86,
    LINUX_MIPS,
    LINUX_SPARC,
];

/// Every architecture but MIPS and SPARC.
const LINUX: Platform = Platform {
    name: "linux",
    targets: &[Target::os("linux")],
    rustix_lacks: &[],

    eagain: 11,
    ewouldblock: 11,
    eintr: 4,
    einprogress: 115,
    ealready: 114,
    enobufs: 105,
    enomem: 12,
    econnaborted: 103,
    eproto: 71,
    emfile: 24,
    enfile: 23,
    // accept(2), "Error handling": these are the new socket's pending errors.
    // Of the page's list EPROTO has a field of its own; EOPNOTSUPP is left out
    // because a listener that cannot accept (UDP) answers it, and ENOPROTOOPT
    // because no kernel source for it was found.
    accept_network_errors: &[
        100, // ENETDOWN
        112, // EHOSTDOWN
        64,  // ENONET
        113, // EHOSTUNREACH
        101, // ENETUNREACH
    ],
    in_flight_errors: &[109], // ETOOMANYREFS: unix(7)

    pollin: 0x1,
    pollpri: 0x2,
    pollout: 0x4,
    pollerr: 0x8,
    pollhup: 0x10,
    pollnval: 0x20,
    pollrdnorm: 0x40,
    pollwrnorm: 0x100,
    pollrdhup: 0x2000,

    msg_nosignal: 0x4000,
    msg_cmsg_cloexec: 0x4000_0000,
    cmsg_cloexec_honoured: true, // since Linux 2.6.23: recvmsg(2); measured
    accept_flags: 0x800 | 0x8_0000, // accept4 since Linux 2.6.28: accept(2)
    socket_flags: 0x800 | 0x8_0000, // since Linux 2.6.27: socket(2)
    pipe_flags: 0x800 | 0x8_0000, // pipe2 since Linux 2.6.27: pipe(2)

    send_dontwait: true,                                   // measured
    abstract_names: true,                                  // unix(7), "Abstract sockets"
    so_nosigpipe: false,                                   // there is no such option
    accept_mode: AcceptMode::Blocking,                     // accept(2), "Linux notes"; measured
    unix_queue_event: QueueEvent::Never,                   // measured: POLLOUT at once
    unix_connect_interrupted: Interrupted::NothingStarted, // net/unix/af_unix.c unix_stream_connect()
    peek_rights: true, // duplicates: net/unix/af_unix.c unix_peek_fds(); measured
    send_emfile: false,
    receiver_queue_families: &[16], // AF_NETLINK: net/netlink/af_netlink.c netlink_attachskb()
    connects_early: false,
    packet_pipes: true,                 // since Linux 3.4: pipe(2)
    peek_tells_length: true,            // since Linux 3.4 for AF_UNIX, too: recv(2); measured
    poll_clock: PollClock::Nanoseconds, // ppoll(2), since Linux 2.6.16
    // Any non-negative 64-bit value is taken (fs/select.c
    // poll_select_set_timeout()); this is what a 32-bit time_t holds, which
    // rustix's 32-bit backends fall back on.
    poll_longest: i32::MAX as i64,
    // The kernel shortens larger requests itself, to 0x7ffff000: read(2), send
    // and recv by lib/iov_iter.c import_ubuf().
    io_max: usize::MAX,
    iov_max: 1024, // include/uapi/linux/uio.h UIO_MAXIOV
};

/// MIPS in every width and byte order.
const LINUX_MIPS: Platform = Platform {
    name: "linux-mips",
    targets: &[
        Target::os("linux").arch("mips"),
        Target::os("linux").arch("mips32r6"),
        Target::os("linux").arch("mips64"),
        Target::os("linux").arch("mips64r6"),
    ],

    einprogress: 150,
    ealready: 149,
    enobufs: 132,
    econnaborted: 130,
    accept_network_errors: &[
        127, // ENETDOWN
        147, // EHOSTDOWN
        64,  // ENONET
        148, // EHOSTUNREACH
        128, // ENETUNREACH
    ],
    in_flight_errors: &[144], // ETOOMANYREFS

    pollwrnorm: 0x4,

    accept_flags: 0x80 | 0x8_0000,
    socket_flags: 0x80 | 0x8_0000,
    pipe_flags: 0x80 | 0x8_0000,
    ..LINUX
};

/// SPARC in both widths, whose numbers are those of SunOS 4 and the BSDs.
const LINUX_SPARC: Platform = Platform {
    name: "linux-sparc",
    targets: &[
        Target::os("linux").arch("sparc"),
        Target::os("linux").arch("sparc64"),
    ],

    einprogress: 36,
    ealready: 37,
    enobufs: 55,
    econnaborted: 53,
    eproto: 86,
    accept_network_errors: &[
        50, // ENETDOWN
        64, // EHOSTDOWN
        80, // ENONET
        65, // EHOSTUNREACH
        51, // ENETUNREACH
    ],
    in_flight_errors: &[59], // ETOOMANYREFS

    pollwrnorm: 0x4,
    pollrdhup: 0x800,

    accept_flags: 0x4000 | 0x40_0000,
    socket_flags: 0x4000 | 0x40_0000,
    pipe_flags: 0x4000 | 0x40_0000,
    ..LINUX
};

/// Android, which is Linux with another C library.
const LINUX_ANDROID: Platform = Platform {
    name: "linux-android",
    targets: &[Target::os("android")],
    ..LINUX
};

/// Android on 32-bit x86.
const LINUX_ANDROID_X86: Platform = Platform {
    name: "linux-android-x86",
    targets: &[Target::os("android").arch("x86")],
    // Its seccomp profile kills a process that calls accept4: mio issue 1445,
    // and mio's `src/sys/unix/tcp.rs accept()`.
    accept_flags: 0,
    ..LINUX
};
