//! The only place that decides what an errno means: a pure function of the
//! operation, the number and the platform's table.

use rustix::io::Errno;

use crate::mapping::readiness::Interest;
use crate::platform::{HOST, Interrupted, Platform, QueueEvent};

/// An operation, as far as its errnos mean something of their own.
///
/// Not every function of this crate has one: `recv_with` is a `Recv`. The names
/// ending in `Unix` are the same system call with an `AF_UNIX` address (or, for a
/// datagram, one of another family that queues alike), whose errnos mean something
/// else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// `read` and `readv`.
    Read,
    /// `write` and `writev`.
    Write,
    /// `recv`, `recvfrom` and `recvmsg`.
    Recv,
    /// `send` and `sendmsg`, and `sendto` where a datagram waits in one's own buffer.
    Send,
    /// `sendto` and `sendmsg` of a datagram to an address where it waits in the
    /// receiver's queue: a named `AF_UNIX` one, and on Linux one of netlink.
    SendToUnix,
    /// `accept`.
    Accept,
    /// `connect` to an address that is not `AF_UNIX`.
    Connect,
    /// `connect` to an `AF_UNIX` address.
    ConnectUnix,
    /// `poll`.
    Poll,
}

/// What a failed call means for the caller.
///
/// # Errors that pass
///
/// [`Failed`](Self::Failed) is said of the call, not of the descriptor. After these
/// errors the same descriptor works again: at once where the table says *told once*,
/// else when the reason is gone.
///
/// | errno | from | why | do | source |
/// |---|---|---|---|---|
/// | EPIPE, ECONNRESET | `send` on a stream | the connection was reset, or the peer receives no more | receive until the end: what the peer sent before can still be read | tested |
/// | ECONNREFUSED | UDP's `send`, `send_to`, `recv` | an *earlier* datagram found nobody; a `send` that says so sent nothing; told once | call again | udp(7); tested |
/// | ECONNREFUSED, ENOENT | `send_to` an `AF_UNIX` name | nobody is bound to it now | call again later: servers restart | unix(7); tested |
/// | ENETUNREACH, EHOSTUNREACH, ENETDOWN; EPERM on Linux | UDP's `send`, `send_to` | there is no way to the address now; EPERM: the firewall dropped it | take the datagram for lost | POSIX, `sendto`; netfilter's `nf_hook_slow()`; tested |
/// | EAGAIN ([`BackOff`](Self::BackOff)) | `connect` | no local port is free, or no room in an `AF_UNIX` backlog | pause, call again | connect(2); tested |
/// | EADDRNOTAVAIL | `connect` | no local port is free; or the address is not there, which does not pass | pause, call again, a few times | connect(2); tested |
/// | EPERM, ETIMEDOUT, ENOPROTOOPT and others | Linux's `accept` | the firewall, or a network error of the new connection | log it, pause, call again: it is no reason to end the server | accept(2) |
/// | ETOOMANYREFS on Linux, EMFILE on OpenBSD (`BackOff`) | `send_fds` | too many descriptors are on their way | pause, call again: receivers make room | unix(7); `unp_internalize()` |
/// | EMSGSIZE on NetBSD and macOS | `send_fds`, and `send` on NetBSD's SEQPACKET | no room now, or never | pause, call again, a few times | recorded: `tests/data`; XNU's `sosendcheck()` |
/// | EMSGSIZE on OpenBSD, NetBSD, macOS; EMFILE on FreeBSD, illumos | `recv_fds` | no number was free for the descriptors, which are lost | close something, call again: a stream's bytes are still there (illumos: nobody has looked) | `unp_externalize()`; illumos's `fdbuf_extract()` |
/// | ENOBUFS | netlink's `recv` | messages were lost; told once | ask for the whole state anew | netlink(7); tested |
/// | ENETDOWN | `recv` on `AF_PACKET`, `AF_CAN` | the device went down; told once | go on: more comes when it is up | packet(7); `raw_notify()` in `net/can/raw.c`; tested |
/// | EIO | `read` of a terminal's master | no slave is open; it polls as hung up meanwhile (macOS: `Ready(0)`) | pause, call again; or keep a slave open yourself | Linux's `n_tty_read()`, XNU's `ptcread()`; tested |
/// | EIO | `read` of the process's own terminal | it runs in the background, and ignores SIGTTIN or has lost its shell | pause, call again | read(2); tested |
/// | EIO | `write` to a tun device | the device is down | wait until it is writable | `tun_get_user()`; tested |
/// | ECANCELED | `read` of a timerfd | the clock was set (`TFD_TIMER_CANCEL_ON_SET`); told once | look at the clock, set the timer anew | timerfd_create(2); tested |
/// | EPIPE | `read` of `/dev/kmsg` | records were overwritten before they were read; told once | go on | Linux's `Documentation/ABI/testing/dev-kmsg` |
///
/// *Tested*: on Linux, by `tests/errors_that_pass.rs`. A number does not tell an error
/// that passes from one that stays. So a program that serves many does not end on an
/// errno that it does not know: it logs it, pauses, and gives the descriptor up after
/// some tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The call did nothing, and readiness for [`Op::interest`] is the signal to
    /// go on. After `connect`: the attempt is under way, and readiness is the
    /// signal for `finish_connect`.
    #[doc(alias = "EAGAIN")]
    #[doc(alias = "EWOULDBLOCK")]
    WouldBlock,
    /// A signal came first: call again. The operations have done that, sixteen times,
    /// before they say so: then pause first.
    #[doc(alias = "EINTR")]
    Interrupted,
    /// The queued connection died; try the next one: call again. [`accept()`](crate::accept())
    /// has done that, sixteen times, before it says so: then pause first.
    TryNext,
    /// Something ran out, and no event will tell when there is more: call again
    /// after a pause. Polling for it is a busy loop, or a wait without end.
    BackOff,
    /// The call failed, for the reason that the errno gives. That need not be the end
    /// of the descriptor: see [*errors that pass*](Self#errors-that-pass).
    Failed,
}

static_assertions::assert_impl_all!(Op: Copy, Send, Sync, Unpin, core::hash::Hash);
static_assertions::assert_impl_all!(Outcome: Copy, Send, Sync, Unpin, core::hash::Hash);

impl Op {
    /// The readiness to wait for when this operation would block.
    ///
    /// Empty for [`Op::Poll`], which is itself the wait.
    ///
    /// ```
    /// use wouldblock::{Interest, Op};
    ///
    /// assert_eq!(Op::Accept.interest(), Interest::READABLE);
    /// assert_eq!(Op::Connect.interest(), Interest::WRITABLE);
    /// ```
    #[inline]
    pub const fn interest(self) -> Interest {
        match self {
            Self::Read | Self::Recv | Self::Accept => Interest::READABLE,
            Self::Write | Self::Send | Self::SendToUnix | Self::Connect | Self::ConnectUnix => {
                Interest::WRITABLE
            }
            Self::Poll => Interest::empty(),
        }
    }

    /// What an errno of this operation means on this host: for a caller that
    /// holds an [`Io::Err`](crate::Io::Err).
    ///
    /// ```
    /// use wouldblock::{Errno, Op, Outcome};
    ///
    /// // accept without a descriptor left: the connection stays queued and the
    /// // listener stays ready, so stop accepting for a while.
    /// assert_eq!(Op::Accept.outcome(Errno::MFILE), Outcome::BackOff);
    /// assert_eq!(Op::Recv.outcome(Errno::CONNRESET), Outcome::Failed);
    /// ```
    #[inline]
    pub const fn outcome(self, errno: Errno) -> Outcome {
        classify(self, errno.raw_os_error(), HOST)
    }
}

/// What errno `raw` of operation `op` means on `platform`.
///
/// The law: an errno is [`Outcome::WouldBlock`] if it says that the call did
/// nothing and that readiness for the operation's interest is the platform's
/// signal to go on. An errno known to come with a descriptor that is ready at
/// once, or never will be, has another outcome. This is a rule about the
/// mapping and no promise about the next `poll`: readiness can be spurious, so
/// loops call again in non-blocking mode.
///
/// | op | `WouldBlock` | `Interrupted` | `TryNext` | `BackOff` |
/// |---|---|---|---|---|
/// | `Read`, `Recv` | EAGAIN | EINTR | | |
/// | `Write` | EAGAIN | EINTR | | ENOBUFS, ENOMEM |
/// | `Send` | EAGAIN, EINPROGRESS | EINTR | | ENOBUFS, ENOMEM, [too much in flight](Platform::in_flight_errors); [EMFILE on OpenBSD](Platform::send_emfile) |
/// | `SendToUnix` | EAGAIN where [the queue's event arrives](Platform::unix_queue_event) | EINTR | | ENOBUFS, ENOMEM, [too much in flight](Platform::in_flight_errors); EAGAIN elsewhere |
/// | `Accept` | EAGAIN | EINTR | ECONNABORTED, EPROTO, [network errors](Platform::accept_network_errors) | EMFILE, ENFILE, ENOBUFS, ENOMEM |
/// | `Connect` | EINPROGRESS, EALREADY, EINTR | | | EAGAIN, ENOBUFS, ENOMEM |
/// | `ConnectUnix` | EINPROGRESS, EALREADY; EINTR where [the attempt goes on](Platform::unix_connect_interrupted) | EINTR elsewhere | | EAGAIN, ENOBUFS, ENOMEM |
/// | `Poll` | | EINTR | | EAGAIN, ENOMEM |
///
/// EAGAIN stands for both of its names, EAGAIN and EWOULDBLOCK. Everything that
/// a row does not name is [`Outcome::Failed`]. If a number occurs twice, the leftmost
/// column wins.
///
/// It is total: any `i32` has an outcome, and nothing panics. Numbers are
/// `i32`, not [`Errno`], because a foreign table's numbers need not fit into the
/// host's.
///
/// # Corners
///
/// - `send`'s EINPROGRESS is TCP Fast Open without a cookie: nothing was sent, the
///   connection is being made, and writability tells when it is.
/// - `send`'s EMSGSIZE is `Failed`, although NetBSD and macOS also answer it to
///   descriptors for which there is no room now: the number cannot tell them from a
///   message that never fits.
/// - `recv`'s ENOBUFS is `Failed`: a netlink socket lost messages, and the next
///   `recv` works. It is one of the [errors that pass](Outcome#errors-that-pass).
/// - `connect`'s EISCONN is `Failed`: the peer may be another one.
/// - `accept`'s EOPNOTSUPP is `Failed`: a UDP socket answers it for ever.
/// - On a *blocking* descriptor, EAGAIN may be `SO_RCVTIMEO` running out.
///
/// # Examples
///
/// What a full `AF_UNIX` backlog means on another system than this one:
///
/// ```
/// use wouldblock::{Op, Outcome, classify, platform::ALL};
///
/// let linux = ALL.iter().find(|table| table.name == "linux").unwrap();
/// assert_eq!(classify(Op::ConnectUnix, linux.eagain, linux), Outcome::BackOff);
/// // 11 is EAGAIN on Linux, and EDEADLK on a BSD.
/// let freebsd = ALL.iter().find(|table| table.name == "freebsd").unwrap();
/// assert_eq!(classify(Op::Recv, 11, freebsd), Outcome::Failed);
/// ```
///
/// # References
///
/// [POSIX, XSH 2.3 Error Numbers](https://pubs.opengroup.org/onlinepubs/9799919799/functions/V2_chap02.html#tag_16_03)
/// and the ERRORS section of each call; the tables in [`platform`](crate::platform)
/// name the source of every difference.
#[inline]
pub const fn classify(op: Op, raw: i32, platform: &Platform) -> Outcome {
    // Compared, not matched: the two names are one number on most systems, and
    // two patterns of one value do not compile cleanly.
    let again = raw == platform.eagain || raw == platform.ewouldblock;
    let under_way = raw == platform.einprogress || raw == platform.ealready;
    let no_memory = raw == platform.enobufs || raw == platform.enomem;
    let in_flight = is_one_of(raw, platform.in_flight_errors);
    let would_block = match op {
        Op::Read | Op::Recv | Op::Write | Op::Accept => again,
        Op::Send => again || raw == platform.einprogress,
        Op::SendToUnix => again && matches!(platform.unix_queue_event, QueueEvent::Arrives),
        Op::Connect => under_way || raw == platform.eintr,
        Op::ConnectUnix => under_way || raw == platform.eintr && unix_attempt_goes_on(platform),
        Op::Poll => false,
    };
    if would_block {
        return Outcome::WouldBlock;
    }
    if raw == platform.eintr {
        return Outcome::Interrupted;
    }
    if matches!(op, Op::Accept) && connection_is_gone(raw, platform) {
        return Outcome::TryNext;
    }
    let back_off = match op {
        Op::Read | Op::Recv => false,
        Op::Write => no_memory,
        Op::Send => no_memory || in_flight || platform.send_emfile && raw == platform.emfile,
        Op::Accept => no_memory || raw == platform.emfile || raw == platform.enfile,
        Op::SendToUnix => again || no_memory || in_flight,
        Op::Connect | Op::ConnectUnix => again || no_memory,
        Op::Poll => again || raw == platform.enomem,
    };
    if back_off {
        Outcome::BackOff
    } else {
        Outcome::Failed
    }
}

const fn unix_attempt_goes_on(platform: &Platform) -> bool {
    matches!(
        platform.unix_connect_interrupted,
        Interrupted::GoesOn | Interrupted::Unknown
    )
}

const fn connection_is_gone(raw: i32, platform: &Platform) -> bool {
    raw == platform.econnaborted
        || raw == platform.eproto
        || is_one_of(raw, platform.accept_network_errors)
}

const fn is_one_of(raw: i32, numbers: &[i32]) -> bool {
    let mut i = 0;
    while i < numbers.len() {
        if raw == numbers[i] {
            return true;
        }
        i += 1;
    }
    false
}

/// Whether a failed send leaves open whose queue is full, the receiver's, which sends
/// no event, or one's own buffer, which does. How the socket polls tells.
pub(crate) const fn leaves_open_whose_queue(op: Op, raw: i32, platform: &Platform) -> bool {
    matches!(op, Op::SendToUnix)
        && !matches!(platform.unix_queue_event, QueueEvent::Arrives)
        && (raw == platform.eagain || raw == platform.ewouldblock)
}
