//! The flags of `recv` and `send` that mean the same on every Unix.

use bitflags::bitflags;
use rustix::net;

use crate::platform::Platform;

bitflags! {
    /// How [`recv`](crate::recv()) receives.
    ///
    /// Only what every system honours is here. Left out on purpose:
    /// `MSG_WAITALL`, for which FreeBSD sleeps in spite of non-blocking mode;
    /// `MSG_OOB`, whose readiness is not readability; `MSG_ERRQUEUE`, likewise
    /// and Linux's alone; `MSG_TRUNC`, which as an input means different
    /// things.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct RecvFlags: u32 {
        /// Leave the data in the queue: the next call receives it again.
        #[doc(alias = "MSG_PEEK")]
        const PEEK = net::RecvFlags::PEEK.bits();
        /// Do not wait in this call, whatever the descriptor's mode. Not needed
        /// on a non-blocking descriptor; for a descriptor whose mode must not be
        /// changed because others share it.
        #[doc(alias = "MSG_DONTWAIT")]
        const DONTWAIT = net::RecvFlags::DONTWAIT.bits();
    }
}

bitflags! {
    /// How [`send`](crate::send()) sends.
    ///
    /// `MSG_NOSIGNAL` is always passed where the system has it. Left out on
    /// purpose: `MSG_OOB`; `MSG_MORE`, which is Linux's alone.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SendFlags: u32 {
        /// The bytes end a record of a sequenced-packet socket (`SOCK_SEQPACKET`).
        ///
        /// FreeBSD 15 joins records that are sent without it, and may then take a part
        /// of one: the rest is to be sent with it too. Elsewhere every send is a record,
        /// with the flag or without. It is an error on streams: EINVAL on OpenBSD,
        /// DragonFly, macOS and FreeBSD before 15, EOPNOTSUPP on Haiku; and on Cygwin
        /// everywhere. So it is never set for you.
        #[doc(alias = "MSG_EOR")]
        const EOR = net::SendFlags::EOR.bits();
        /// Do not wait in this call, whatever the descriptor's mode. Not needed on a
        /// non-blocking descriptor; for a descriptor whose mode must not be changed
        /// because others share it.
        ///
        /// Where the system ignores the flag (macOS and NetBSD), or nobody knows
        /// ([`Platform::send_dontwait`]), a blocking descriptor gets
        /// `Err(EOPNOTSUPP)`, because a call that sleeps in spite of it would be worse.
        #[doc(alias = "MSG_DONTWAIT")]
        const DONTWAIT = net::SendFlags::DONTWAIT.bits();
    }
}

impl RecvFlags {
    /// The system's flags. An unknown bit is dropped: one like `MSG_TRUNC` would
    /// make the returned count a lie.
    #[inline]
    pub(crate) const fn to_system(self) -> net::RecvFlags {
        net::RecvFlags::from_bits_retain(self.intersection(Self::all()).bits())
    }
}

impl SendFlags {
    /// The system's flags, with what keeps SIGPIPE away.
    #[inline]
    pub(crate) const fn to_system(self, platform: &Platform) -> net::SendFlags {
        let bits = self.intersection(Self::all()).bits();
        net::SendFlags::from_bits_retain(bits | platform.msg_nosignal)
    }
}
