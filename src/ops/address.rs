//! Addresses: what `connect` and `send_to` take, and what a peer's is when a call hands
//! it out.

use core::fmt;
use core::hash::{Hash, Hasher};

use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{
    AddressFamily, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrAny, SocketAddrUnix, SocketAddrV4,
    SocketAddrV6,
};
#[cfg(feature = "std")]
use std::os::unix::net::SocketAddr as StdUnix;

use crate::platform::HOST;
use crate::platform::errnos::{NAME_NOT_TOLD, OTHER_FAMILY};
#[cfg(all(feature = "std", wouldblock_has = "abstract_names"))]
use crate::platform::host::SocketAddrExt;

/// A socket address, as [`connect`](crate::connect) and [`send_to`](crate::send_to) take
/// it. It tells its family, because the same errno means something else for some.
///
/// Implemented for std's and rustix's address types and for [`PeerAddress`]. For an
/// address in a text or a path there is `parse` and [`SocketAddrUnix::new`]; neither is
/// done here, because both can fail.
///
/// For a type of your own that implements rustix's `SocketAddrArg`, `Rustix` is the type
/// itself, and `with_rustix` calls `then` with it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a socket address",
    label = "expected a `SocketAddr`, a `SocketAddrUnix`, or another socket address",
    note = "for an IP address in a text: `text.parse::<std::net::SocketAddr>()?`; host names: `std::net::ToSocketAddrs`",
    note = "for a path: `wouldblock::SocketAddrUnix::new(path)?`"
)]
pub trait Address {
    /// What rustix takes for it.
    type Rustix: SocketAddrArg;

    /// The address family.
    fn family(&self) -> AddressFamily;

    /// Calls `then` with what rustix takes, or says why there is none.
    fn with_rustix<R>(
        &self,
        then: impl FnOnce(&Self::Rustix) -> Result<R, Errno>,
    ) -> Result<R, Errno>;
}

/// The types that rustix takes as they are, with their family.
macro_rules! address {
    ($($kind:ty: $family:expr;)*) => {$(
        impl Address for $kind {
            type Rustix = Self;

            #[inline]
            fn family(&self) -> AddressFamily {
                $family(self)
            }

            #[inline]
            fn with_rustix<R>(
                &self,
                then: impl FnOnce(&Self) -> Result<R, Errno>,
            ) -> Result<R, Errno> {
                then(self)
            }
        }
    )*};
}

address! {
    SocketAddr: |ip: &Self| if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    SocketAddrV4: |_| AddressFamily::INET;
    SocketAddrV6: |_| AddressFamily::INET6;
    SocketAddrUnix: |_| AddressFamily::UNIX;
    SocketAddrAny: Self::address_family;
}

#[cfg(wouldblock_has = "receiver_queue_families")]
address! { rustix::net::netlink::SocketAddrNetlink: |_| AddressFamily::NETLINK; }

#[cfg(feature = "std")]
impl Address for StdUnix {
    type Rustix = SocketAddrUnix;

    fn family(&self) -> AddressFamily {
        AddressFamily::UNIX
    }

    fn with_rustix<R>(
        &self,
        then: impl FnOnce(&SocketAddrUnix) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        #[cfg(wouldblock_has = "abstract_names")]
        if let Some(name) = self.as_abstract_name() {
            return then(&SocketAddrUnix::new_abstract_name(name)?);
        }
        let path = self.as_pathname().unwrap_or("".as_ref());
        then(&SocketAddrUnix::new(path)?)
    }
}

impl Address for PeerAddress {
    type Rustix = SocketAddrAny;

    #[inline]
    fn family(&self) -> AddressFamily {
        self.any.address_family()
    }

    #[inline]
    fn with_rustix<R>(
        &self,
        then: impl FnOnce(&SocketAddrAny) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        // Linux counts a terminator that is not there, and refuses its own address then.
        if self.family() == AddressFamily::UNIX && self.any.addr_len() > LONGEST + 2 {
            return then(&SocketAddrUnix::try_from(self.clone())?.into());
        }
        then(&self.any)
    }
}

/// The address of a peer, as the system gave it.
///
/// A peer chooses its own address, and an `AF_UNIX` name may fill all of its 108 bytes
/// without a terminator, at which rustix 1.1.6 panics. Nothing here does: not `Debug`,
/// not the comparisons, and none of the conversions:
///
/// | to | by | `Err` |
/// |---|---|---|
/// | `core`'s and std's `SocketAddr` | `try_from` | EAFNOSUPPORT: neither `AF_INET` nor `AF_INET6` |
/// | rustix's [`SocketAddrUnix`] | `try_from` | EAFNOSUPPORT: not `AF_UNIX`; EINVAL: a name that cannot be told |
/// | std's `unix::net::SocketAddr` (feature `std`) | `try_from` | as above, as an `io::Error` |
/// | rustix's [`SocketAddrAny`] | `from` | – |
///
/// It can be sent to as it is, as the answer to a datagram:
///
/// ```
/// use std::net::{SocketAddr, UdpSocket};
/// use wouldblock::{Io, RecvFlags, SendFlags, recv_from, send_to, set_nonblocking};
///
/// let ours = UdpSocket::bind("127.0.0.1:0")?;
/// let theirs = UdpSocket::bind("127.0.0.1:0")?;
/// set_nonblocking(&ours, true)?;
/// theirs.send_to(b"hello", ours.local_addr()?)?;
/// if let Io::Ready((n, Some(peer))) = recv_from(&ours, &mut [0; 8], RecvFlags::empty()) {
///     assert_eq!(send_to(&ours, b"yes", SendFlags::empty(), &peer), Io::Ready(3));
///     assert_eq!(SocketAddr::try_from(peer)?, theirs.local_addr()?);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// What an operation was given by the system.
    pub(super) any: SocketAddrAny,
}

static_assertions::assert_impl_all!(PeerAddress: Send, Sync, Unpin);

/// `sun_path` of Linux.
const LONGEST: u32 = 108;

/// The bytes of an address. rustix keeps them to itself, but for what it gives a hasher.
struct Bytes {
    bytes: [u8; 128],
    length: usize,
}

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.length).zip(bytes) {
            *place = *byte;
            self.length += 1;
        }
    }

    /// How many bytes follow, which `write` sees for itself.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        0
    }
}

/// An `AF_UNIX` name.
enum UnixName<'a> {
    /// Empty if there is none.
    Path(&'a [u8]),
    /// Linux's, without the 0 before it.
    Abstract(&'a [u8]),
}

impl Bytes {
    fn of(any: &SocketAddrAny) -> Self {
        let (bytes, length) = ([0; 128], 0);
        let mut hasher = Self { bytes, length };
        any.hash(&mut hasher);
        hasher
    }

    /// The name in them; an errno if they are of another family, or not as many as
    /// rustix says.
    fn unix_name(&self, any: &SocketAddrAny) -> Result<UnixName<'_>, Errno> {
        if any.address_family() != AddressFamily::UNIX
            || u32::try_from(self.length) != Ok(any.addr_len())
        {
            return Err(OTHER_FAMILY);
        }
        // The family, and its length on some systems, take two bytes everywhere.
        let name = self.bytes.get(2..self.length).unwrap_or_default();
        Ok(match name {
            [0, name @ ..] if HOST.abstract_names => UnixName::Abstract(name),
            _ => UnixName::Path(name.split(|byte| *byte == 0).next().unwrap_or_default()),
        })
    }
}

/// An IP address as `address:port`, an `AF_UNIX` one as its name, with bytes that are
/// not ASCII escaped and an abstract one behind `@`; of others the family.
impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(address) = SocketAddr::try_from(self.clone()) {
            return fmt::Display::fmt(&address, f);
        }
        match Bytes::of(&self.any).unix_name(&self.any) {
            Ok(UnixName::Path([])) => f.write_str("unix:(unnamed)"),
            Ok(UnixName::Path(path)) => write!(f, "unix:{}", path.escape_ascii()),
            Ok(UnixName::Abstract(name)) => write!(f, "unix:@{}", name.escape_ascii()),
            Err(_) => write!(f, "{:?}", self.family()),
        }
    }
}

impl From<PeerAddress> for SocketAddrAny {
    #[inline]
    fn from(address: PeerAddress) -> Self {
        address.any
    }
}

impl TryFrom<PeerAddress> for SocketAddr {
    type Error = Errno;

    fn try_from(PeerAddress { any }: PeerAddress) -> Result<Self, Errno> {
        let least = match any.address_family() {
            AddressFamily::INET => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).as_any(),
            AddressFamily::INET6 => SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0).as_any(),
            _ => return Err(OTHER_FAMILY),
        };
        if any.addr_len() < least.addr_len() {
            return Err(NAME_NOT_TOLD);
        }
        any.try_into()
    }
}

impl TryFrom<PeerAddress> for SocketAddrUnix {
    type Error = Errno;

    fn try_from(PeerAddress { any }: PeerAddress) -> Result<Self, Errno> {
        match Bytes::of(&any).unix_name(&any)? {
            // rustix makes an abstract one on Linux alone; decoding it does not panic.
            UnixName::Abstract(_) => any.try_into(),
            UnixName::Path(path) => Self::new(path),
        }
    }
}

#[cfg(feature = "std")]
impl TryFrom<PeerAddress> for StdUnix {
    type Error = std::io::Error;

    fn try_from(PeerAddress { any }: PeerAddress) -> std::io::Result<Self> {
        use std::os::unix::ffi::OsStrExt as _;

        match Bytes::of(&any).unix_name(&any)? {
            #[cfg(wouldblock_has = "abstract_names")]
            UnixName::Abstract(name) => Self::from_abstract_name(name),
            #[cfg(not(wouldblock_has = "abstract_names"))]
            UnixName::Abstract(_) => Err(NAME_NOT_TOLD.into()),
            UnixName::Path(path) => Self::from_pathname(std::ffi::OsStr::from_bytes(path)),
        }
    }
}
