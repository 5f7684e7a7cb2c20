//! What to wait for and what came: pure translations of `poll`'s bits.

use bitflags::bitflags;

use crate::platform::Platform;

bitflags! {
    /// What to wait for.
    ///
    /// ```
    /// use wouldblock::{Interest, Op};
    ///
    /// assert_eq!(Op::Recv.interest() | Op::Send.interest(), Interest::READABLE | Interest::WRITABLE);
    /// ```
    ///
    /// To [`poll`](crate::poll()), an empty interest still reports a hang-up and an error
    /// on most systems; nothing at all on macOS and DragonFly, and nothing of a socket on
    /// NetBSD. A [`PollSet`](crate::PollSet) does not watch it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Interest: u8 {
        /// Something can be read, received or accepted, or never will be. Where
        /// the system can report it, also that the peer has shut down its side
        /// ([`Readiness::READ_CLOSED`]).
        #[doc(alias = "POLLIN")]
        const READABLE = 1;
        /// Something can be written or sent, or never will be; a connection
        /// attempt has ended.
        #[doc(alias = "POLLOUT")]
        const WRITABLE = 1 << 1;
        /// Something exceptional, such as TCP's urgent byte. Never told on Vita, where poll
        /// has no bit of its own for it.
        #[doc(alias = "POLLPRI")]
        const PRIORITY = 1 << 2;
        /// That the other side has gone. Most systems report that whatever is asked,
        /// so no bit is; with nothing else, macOS and DragonFly report nothing, and NetBSD
        /// never reports it of a socket. For a
        /// [`PollSet`](crate::PollSet): to be told of that alone, which an empty
        /// interest is not.
        #[doc(alias = "POLLHUP")]
        const HANG_UP = 1 << 3;
    }
}

bitflags! {
    /// What `poll` reported for one descriptor.
    ///
    /// The flags are what the kernel said, and kernels say different things for
    /// the same state: a pipe whose writer has left is `HANG_UP` alone on Linux
    /// and illumos, `READABLE | HANG_UP` on FreeBSD. Ask
    /// [`is_readable`](Self::is_readable) and [`is_writable`](Self::is_writable)
    /// whether a call is worth making; they are right everywhere. Then make the
    /// call, and let it report the end of file or the error.
    ///
    /// Asked for both directions, kernels report:
    ///
    /// | state | Linux | macOS | FreeBSD | NetBSD |
    /// |---|---|---|---|---|
    /// | peer shut down its side | READABLE WRITABLE READ_CLOSED | READABLE HANG_UP | READABLE WRITABLE | READABLE WRITABLE |
    /// | connect refused | READABLE WRITABLE READ_CLOSED ERROR HANG_UP | READABLE HANG_UP | READABLE HANG_UP | READABLE WRITABLE |
    /// | pipe, writer gone | HANG_UP | READABLE HANG_UP | READABLE HANG_UP | READABLE WRITABLE HANG_UP |
    /// | pipe, reader gone | WRITABLE ERROR | READABLE HANG_UP | READABLE HANG_UP | READABLE WRITABLE HANG_UP |
    /// | own side shut down | WRITABLE | HANG_UP | WRITABLE | WRITABLE |
    ///
    /// FreeBSD never reports WRITABLE beside HANG_UP at once, but may where the hang-up
    /// wakes a call that slept.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wouldblock::{Interest, Readiness, poll};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// drop(theirs);
    /// let mut fds = [Interest::READABLE.on(&ours)];
    /// assert_eq!(poll(&mut fds, Some(Duration::ZERO)).ready(), Some(1));
    /// assert!(Readiness::from(&fds[0]).is_readable());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// Source: POSIX `poll`; the kernels' own `poll` routines, and their recorded
    /// answers in `tests/data`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    // Numbered as most systems number poll's bits, so that the translation is a
    // mask there; as wide as an errno of Linux, so that an `Io<Readiness>`
    // travels in two registers (docs/PERFORMANCE.md).
    pub struct Readiness: u16 {
        /// Data, a connection or an end of file is waiting.
        #[doc(alias = "POLLIN")]
        const READABLE = 0x01;
        /// There is room to write, or a connection attempt has ended.
        #[doc(alias = "POLLOUT")]
        const WRITABLE = 0x04;
        /// Something exceptional is waiting, such as TCP's urgent byte. Reported
        /// only where [`Interest::PRIORITY`] was asked for. Linux ends it when the
        /// byte was taken, or read past; FreeBSD and NetBSD still report it then; macOS
        /// never does. Some files of Linux tell of an event once, by poll itself
        /// (`/proc/self/mounts`, `/proc/sys/kernel/hostname`, PSI triggers): ask for nothing
        /// else beside it there, since any poll takes the event away.
        #[doc(alias = "POLLPRI")]
        const PRIORITY = 0x02;
        /// The peer has shut down its side; what it sent before can still be
        /// read. Only on systems that can tell (Linux, FreeBSD from 14,
        /// illumos), so its absence means nothing.
        #[doc(alias = "POLLRDHUP")]
        const READ_CLOSED = 0x2000;
        /// The other side has gone. What it sent before can still be read. On
        /// macOS also reported when only one side is shut down: the peer's, so do not
        /// stop writing because of it, the write tells; or, if you ask for
        /// [`Interest::WRITABLE`], your own, for ever, so stop asking for it then.
        #[doc(alias = "POLLHUP")]
        const HANG_UP = 0x10;
        /// An error is waiting for the next call to report it. Not so on Linux's
        /// sysfs and cgroup files, where this and `PRIORITY` say that the file has
        /// changed since it was read (or has not been read yet): read it again, from its
        /// start. A userfaultfd in blocking mode always has it.
        #[doc(alias = "POLLERR")]
        const ERROR = 0x08;
        /// Not an open descriptor, or one that this system's `poll` cannot
        /// watch (`/dev/tty` on macOS). This is not readiness: `is_readable` and
        /// `is_writable` are false, and `poll` goes on returning at once until
        /// the descriptor is taken out.
        #[doc(alias = "POLLNVAL")]
        const INVALID = 0x20;
    }
}

static_assertions::assert_impl_all!(Interest: Copy, Send, Sync, Unpin, core::hash::Hash);
static_assertions::assert_impl_all!(Readiness: Copy, Send, Sync, Unpin, core::hash::Hash);

impl Interest {
    /// The `events` bits for this on `platform`.
    #[inline]
    pub const fn to_events(self, platform: &Platform) -> u16 {
        let mut events = 0;
        if self.contains(Self::READABLE) {
            // Asking for the peer's shutdown cannot wake a reader for nothing:
            // it also makes the descriptor readable.
            events |= platform.pollin | platform.pollrdhup;
        }
        if self.contains(Self::WRITABLE) {
            events |= platform.pollout;
        }
        if self.contains(Self::PRIORITY) {
            events |= platform.pollpri;
        }
        events
    }
}

impl Readiness {
    /// Whether it is worth calling `read`, `recv` or `accept` now: there is
    /// something to read, or the call will report the end or the error.
    #[inline]
    pub const fn is_readable(self) -> bool {
        self.intersects(
            Self::READABLE
                .union(Self::READ_CLOSED)
                .union(Self::HANG_UP)
                .union(Self::ERROR),
        )
    }

    /// Whether it is worth calling `write`, `send` or `finish_connect` now:
    /// there is room, or the call will report the error.
    #[inline]
    pub const fn is_writable(self) -> bool {
        self.intersects(Self::WRITABLE.union(Self::HANG_UP).union(Self::ERROR))
    }

    /// Whether something exceptional is waiting.
    #[inline]
    pub const fn is_priority(self) -> bool {
        self.contains(Self::PRIORITY)
    }

    /// Whether the system reported that the peer shut down its side. False does
    /// not mean that it has not: only a read that returns 0 tells everywhere.
    #[inline]
    pub const fn is_read_closed(self) -> bool {
        self.contains(Self::READ_CLOSED)
    }

    /// Whether the other side has hung up.
    #[inline]
    pub const fn is_hang_up(self) -> bool {
        self.contains(Self::HANG_UP)
    }

    /// Whether an error is waiting for the next call.
    #[inline]
    pub const fn is_error(self) -> bool {
        self.contains(Self::ERROR)
    }

    /// Whether `poll` does not know this descriptor, or cannot watch it.
    #[inline]
    pub const fn is_invalid(self) -> bool {
        self.contains(Self::INVALID)
    }

    /// What the `revents` bits of `platform` mean. Bits that the table does not
    /// name are ignored.
    #[inline]
    pub const fn from_revents(revents: u16, platform: &Platform) -> Self {
        let mut readiness = Self::empty();
        // Any bit of a mask counts: QNX's POLLIN has two.
        macro_rules! told {
            ($($bits:expr => $flag:ident,)*) => {
                $(if revents & $bits != 0 {
                    readiness = readiness.union(Self::$flag);
                })*
            };
        }
        told! {
            (platform.pollin | platform.pollrdnorm) => READABLE,
            (platform.pollout | platform.pollwrnorm) => WRITABLE,
            platform.pollpri => PRIORITY,
            platform.pollrdhup => READ_CLOSED,
            platform.pollhup => HANG_UP,
            platform.pollerr => ERROR,
            platform.pollnval => INVALID,
        }
        readiness
    }
}
