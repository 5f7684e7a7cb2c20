//! The contract, what a table says, and the one list that names the tables.
//!
//! Everything in this file and in the tables needs `core` alone, because `build.rs`
//! compiles them too, to look the target up.

/// What one system answers, and with which numbers.
///
/// A field exists only if the classifier, an operation or a documented quirk
/// reads it. A fact that nobody has established has the value `Unknown`, and
/// the crate then takes the path that is right either way.
///
/// ```
/// use wouldblock::platform::{ALL, HOST};
///
/// assert!(ALL.iter().any(|table| table.name == HOST.name));
/// // Some systems number the two would-block names differently.
/// assert!(ALL.iter().any(|t| t.name == "redox" && t.eagain != t.ewouldblock));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Platform {
    /// The system's usual name in lower case, with what tells its tables apart:
    /// `linux`, `linux-mips`, `freebsd`.
    pub name: &'static str,
    /// The targets that the table serves.
    pub targets: &'static [Target],
    /// What the crate would use of rustix and rustix does not have there:
    ///
    /// | name | what is missing | the crate |
    /// |---|---|---|
    /// | `clock` | `time::clock_gettime` | wants its feature `std`, and takes std's clock |
    /// | `cwd` | `fs::CWD` | likewise, and has standard input stand where no descriptor does; nothing is asked of it |
    /// | `messages` | `recvmsg`, `sendmsg` | `recv_msg`, `recv_fds`, `recv_fds_with`, and `send_fds` with a descriptor, answer `Err(EOPNOTSUPP)`; `send_msg` sends one buffer, and refuses messages of more (EMSGSIZE) |
    /// | `nanosleep` | `thread::nanosleep` | sleeps by std, or by `poll` |
    /// | `vectored` | `readv`, `writev` | reads into, and writes from, one buffer for each call |
    pub rustix_lacks: &'static [&'static str],

    // ---- errno numbers that the classifier compares ----
    /// The number of `EAGAIN`.
    pub eagain: i32,
    /// The number of `EWOULDBLOCK`; the same as [`eagain`](Self::eagain) on
    /// most systems, and allowed to be.
    pub ewouldblock: i32,
    /// The number of `EINTR`.
    pub eintr: i32,
    /// The number of `EINPROGRESS`.
    pub einprogress: i32,
    /// The number of `EALREADY`.
    pub ealready: i32,
    /// The number of `ENOBUFS`.
    pub enobufs: i32,
    /// The number of `ENOMEM`.
    pub enomem: i32,
    /// The number of `ECONNABORTED`.
    pub econnaborted: i32,
    /// The number of `EPROTO`.
    pub eproto: i32,
    /// The number of `EMFILE`: this process has no descriptor left.
    pub emfile: i32,
    /// The number of `ENFILE`: the system has no descriptor left.
    pub enfile: i32,
    /// Errnos by which `accept` reports a network error of the connection that
    /// it has just taken off the queue. Empty where `accept` does not do so.
    pub accept_network_errors: &'static [i32],
    /// Errnos by which a send says that too many descriptors are on their way,
    /// received by nobody yet. Empty where none is known.
    pub in_flight_errors: &'static [i32],

    // ---- poll bits that `Interest` and `Readiness` translate ----
    /// `POLLIN`. May be more than one bit (QNX), so test for any of them.
    pub pollin: u16,
    /// `POLLPRI`, or 0 where it is `POLLIN`: nothing tells it apart.
    pub pollpri: u16,
    /// `POLLOUT`.
    pub pollout: u16,
    /// `POLLERR`.
    pub pollerr: u16,
    /// `POLLHUP`.
    pub pollhup: u16,
    /// `POLLNVAL`.
    pub pollnval: u16,
    /// `POLLRDNORM`, which a system may report for `POLLIN`.
    pub pollrdnorm: u16,
    /// `POLLWRNORM`, which a system may report for `POLLOUT`.
    pub pollwrnorm: u16,
    /// `POLLRDHUP`, or 0 where the system has no such bit.
    pub pollrdhup: u16,

    // ---- flag bits that the operations pass, as rustix can pass them ----
    /// `MSG_NOSIGNAL`, or 0 where the system has no such flag.
    pub msg_nosignal: u32,
    /// `MSG_CMSG_CLOEXEC`, or 0 where the system has no such flag.
    pub msg_cmsg_cloexec: u32,
    /// Does a descriptor received with that flag really come close-on-exec?
    /// Where it does not, the flag is set afterwards.
    pub cmsg_cloexec_honoured: bool,
    /// `SOCK_NONBLOCK | SOCK_CLOEXEC` as `accept4` takes them, or 0 where
    /// there is no `accept4` that honours them: then the mode is set afterwards.
    pub accept_flags: u32,
    /// `SOCK_NONBLOCK | SOCK_CLOEXEC` as `socket` and `socketpair` take them,
    /// or 0 where they do not: then the mode is set afterwards.
    pub socket_flags: u32,
    /// `O_NONBLOCK | O_CLOEXEC` as `pipe2` takes them, or 0 where there is no
    /// `pipe2`: then the mode is set afterwards.
    pub pipe_flags: u32,

    // ---- facts that change what the crate does ----
    /// Does `MSG_DONTWAIT` keep a `send` on a blocking descriptor from sleeping?
    pub send_dontwait: bool,
    /// Are there `AF_UNIX` names that begin with a 0 and stand in no file system?
    pub abstract_names: bool,
    /// Does the socket option `SO_NOSIGPIPE` exist? Where it does, sockets that
    /// this crate makes or accepts have it set.
    pub so_nosigpipe: bool,
    /// Does a descriptor from `accept` come with the listener's mode? Nothing
    /// here relies on the answer: the mode is always set.
    pub accept_mode: AcceptMode,
    /// When a datagram to a named `AF_UNIX` address fails with `EAGAIN` because
    /// the receiver's queue is full, does writability tell when it has room?
    pub unix_queue_event: QueueEvent,
    /// After `connect` to an `AF_UNIX` address was interrupted by a signal,
    /// does the attempt go on?
    pub unix_connect_interrupted: Interrupted,
    /// With `MSG_PEEK`, are the descriptors in the control data duplicates of those
    /// that wait? Where that is not known, no room for control data is passed: the
    /// numbers may be anybody's.
    pub peek_rights: bool,
    /// Does `send` say `EMFILE` when too many descriptors are on their way?
    pub send_emfile: bool,
    /// The numbers of families, besides `AF_UNIX`, where a datagram to an address
    /// waits in its receiver's queue, so that a full one is not the sender's.
    pub receiver_queue_families: &'static [i32],
    /// Do `connect` and `getpeername` say that a connection stands while it is still
    /// being made?
    pub connects_early: bool,
    /// Does a pipe whose writer has `O_DIRECT` keep messages?
    pub packet_pipes: bool,
    /// Does a peek with `MSG_TRUNC` into no buffer return the length of the whole
    /// message? Where that is not known, nobody asks.
    pub peek_tells_length: bool,
    /// How `poll`, as rustix reaches it, counts its timeout.
    pub poll_clock: PollClock,
    /// The longest timeout that `poll`, as rustix reaches it, takes, in seconds.
    pub poll_longest: i64,
    /// The most bytes that one call may be asked for; `usize::MAX` where there is no
    /// such limit. What several buffers hold together may be more than any slice.
    pub io_max: usize,
    /// The most buffers that one vectored call takes (`IOV_MAX`).
    pub iov_max: usize,
}

/// The mode of a descriptor that `accept` returned, before anybody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptMode {
    /// `O_NONBLOCK` of the listener is inherited.
    Inherited,
    /// The descriptor is blocking, whatever the listener is.
    Blocking,
    /// Nobody has established it.
    Unknown,
}

/// Whether readiness follows a full `AF_UNIX` datagram queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueEvent {
    /// `EAGAIN` is answered only where writability tells when to go on.
    Arrives,
    /// The socket polls as writable at once: waiting for it is a busy loop.
    Never,
    /// Nobody has established it. Treated like [`Never`](Self::Never): a
    /// timer is right in either case.
    Unknown,
}

/// What a signal does to a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupted {
    /// The attempt goes on: wait, then finish it.
    GoesOn,
    /// Nothing is in progress: call again.
    NothingStarted,
    /// Nobody has established it. Treated like [`GoesOn`](Self::GoesOn):
    /// finishing an attempt that was not started says so, while starting one
    /// twice may hit another's connection.
    Unknown,
}

/// The unit in which `poll` takes its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollClock {
    /// Nanoseconds (`ppoll`).
    Nanoseconds,
    /// Milliseconds: shorter parts are rounded up.
    Milliseconds,
}

/// A target, by the compiler's `target_os`; where that alone does not decide, also by
/// `target_arch` or `target_env`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The value of `target_os`.
    pub os: &'static str,
    /// The value of `target_arch`; empty is any.
    pub arch: &'static str,
    /// The value of `target_env`; empty is any.
    pub env: &'static str,
}

impl Target {
    /// Every target of a system.
    pub(crate) const fn os(os: &'static str) -> Self {
        Self {
            os,
            arch: "",
            env: "",
        }
    }

    /// Those of one architecture.
    pub(crate) const fn arch(self, arch: &'static str) -> Self {
        Self { arch, ..self }
    }

    /// Those of one environment.
    pub(crate) const fn env(self, env: &'static str) -> Self {
        Self { env, ..self }
    }

    /// How well it fits: `None` is not at all, and a named part counts more than any.
    fn fit(self, os: &str, arch: &str, env: &str) -> Option<usize> {
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let fit = self.os == os && fits(self.arch, arch) && fits(self.env, env);
        fit.then_some(usize::from(!self.arch.is_empty()) + usize::from(!self.env.is_empty()))
    }
}

impl Platform {
    /// The table of a target, by the values of its `target_os`, `target_arch` and
    /// `target_env`; `None` if no table serves it.
    ///
    /// ```
    /// use wouldblock::platform::Platform;
    ///
    /// let table = Platform::of_target("linux", "mips", "gnu").unwrap();
    /// assert_eq!(table.name, "linux-mips");
    /// assert!(Platform::of_target("windows", "x86_64", "msvc").is_none());
    /// ```
    pub fn of_target(os: &str, arch: &str, env: &str) -> Option<&'static Self> {
        let fit = |table: &&Self| {
            let fits = table
                .targets
                .iter()
                .filter_map(|target| target.fit(os, arch, env));
            fits.max()
        };
        let known = ALL.iter().copied().filter(|table| fit(table).is_some());
        known.max_by_key(fit)
    }
}

/// Names the files of the tables. rustfmt passes over a `mod` in a macro; `ci/check lint`
/// names these files to it.
macro_rules! tables {
    ($($file:ident)*) => {
        $(mod $file;)*

        const FILES: &[&[Platform]] = &[$($file::TABLES),*];
    };
}

tables! {
    aix
    apple
    cygwin
    dragonfly
    emscripten
    freebsd
    fuchsia
    haiku
    hermit
    hurd
    l4re
    linux
    netbsd
    newlib
    nuttx
    openbsd
    qnx
    redox
    solarish
    vxworks
}

/// Every table, in the order of the files and of the tables in each.
pub const ALL: &[&Platform] = &flattened();

const COUNT: usize = {
    let (mut count, mut file) = (0, 0);
    while file < FILES.len() {
        count += FILES[file].len();
        file += 1;
    }
    count
};

const fn flattened() -> [&'static Platform; COUNT] {
    let mut all = [&FILES[0][0]; COUNT];
    let (mut next, mut file) = (0, 0);
    while file < FILES.len() {
        let mut table = 0;
        while table < FILES[file].len() {
            all[next] = &FILES[file][table];
            next += 1;
            table += 1;
        }
        file += 1;
    }
    all
}
