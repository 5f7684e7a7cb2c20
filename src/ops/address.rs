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
/// it. It tells what it is, because the same errno means something else for some.
///
/// Implemented for std's and rustix's address types and for [`PeerAddress`]. For an
/// address in a text or a path there is `parse` and [`SocketAddrUnix::new`]; neither is
/// done here, because both can fail.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a socket address",
    label = "expected a `SocketAddr`, a `SocketAddrUnix`, or another socket address",
    note = "for an IP address in a text: `text.parse::<std::net::SocketAddr>()?`; host names: `std::net::ToSocketAddrs`",
    note = "for a path: `wouldblock::SocketAddrUnix::new(path)?`"
)]
pub trait Address {
    /// What rustix takes for it.
    type Rustix: SocketAddrArg;

    /// Calls `then` with what rustix takes, or says why there is none.
    fn with_rustix<R>(
        &self,
        then: impl FnOnce(&Self::Rustix) -> Result<R, Errno>,
    ) -> Result<R, Errno>;

    /// Whether the address family is `AF_UNIX`: for [`connect`](crate::connect).
    fn is_unix(&self) -> bool;

    /// Whether a datagram to it waits in its receiver's queue, so that a full one says
    /// nothing about the sender: `AF_UNIX`, and netlink on Linux
    /// ([`Platform::receiver_queue_families`](crate::platform::Platform::receiver_queue_families)).
    /// For [`send_to`](crate::send_to).
    #[inline]
    fn fills_its_receiver(&self) -> bool {
        self.is_unix()
    }
}

/// The types that rustix takes as they are, with what they are.
macro_rules! address {
    ($($kind:ty: $is_unix:expr, $fills:expr;)*) => {$(
        impl Address for $kind {
            type Rustix = Self;

            #[inline]
            fn with_rustix<R>(
&self,
then: impl FnOnce(&Self) -> Result<R, Errno>,
) -> Result<R, Errno> {
                then(self)
            }

            #[inline]
            fn is_unix(&self) -> bool {
                $is_unix(self)
            }

            #[inline]
            fn fills_its_receiver(&self) -> bool {
                $fills(self)
            }
        }
    )*};
}

address! {
    SocketAddr: |_| false, |_| false;
    SocketAddrV4: |_| false, |_| false;
    SocketAddrV6: |_| false, |_| false;
    SocketAddrUnix: |_| true, |_| true;
    SocketAddrAny: is_unix, any_fills_its_receiver;
}

#[cfg(wouldblock_has = "receiver_queue_families")]
address! { rustix::net::netlink::SocketAddrNetlink: |_| false, |_| true; }

#[cfg(feature = "std")]
impl Address for StdUnix {
    type Rustix = SocketAddrUnix;

    fn with_rustix<R>(
        &self,
        then: impl FnOnce(&SocketAddrUnix) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let path = self.as_pathname().map(SocketAddrUnix::new);
        #[cfg(wouldblock_has = "abstract_names")]
        let name = path.or_else(|| {
            self.as_abstract_name()
                .map(SocketAddrUnix::new_abstract_name)
        });
        #[cfg(not(wouldblock_has = "abstract_names"))]
        let name = path;
        then(&name.unwrap_or_else(|| SocketAddrUnix::new(&[][..]))?)
    }

    fn is_unix(&self) -> bool {
        true
    }
}

fn is_unix(address: &SocketAddrAny) -> bool {
    address.address_family() == AddressFamily::UNIX
}

fn any_fills_its_receiver(address: &SocketAddrAny) -> bool {
    let family = i32::from(address.address_family().as_raw());
    is_unix(address) || HOST.receiver_queue_families.contains(&family)
}

impl Address for PeerAddress {
    type Rustix = SocketAddrAny;

    #[inline]
    fn with_rustix<R>(
        &self,
        then: impl FnOnce(&SocketAddrAny) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        // Linux counts a terminator that is not there, and refuses its own address then.
        let longest = u32::try_from(LONGEST + 2).unwrap_or_default();
        if is_unix(&self.any) && self.any.addr_len() > longest {
            return then(&SocketAddrUnix::try_from(self.clone())?.into());
        }
        then(&self.any)
    }

    #[inline]
    fn is_unix(&self) -> bool {
        is_unix(&self.any)
    }

    #[inline]
    fn fills_its_receiver(&self) -> bool {
        any_fills_its_receiver(&self.any)
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
    any: SocketAddrAny,
}

static_assertions::assert_impl_all!(PeerAddress: Send, Sync, Unpin);

/// The bytes of an address. rustix keeps them to itself, but for what it gives a hasher.
struct Bytes {
    bytes: [u8; 128],
    length: usize,
}

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    /// How many bytes follow, which `write` sees for itself.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        0
    }
}

/// `sun_path` of Linux.
const LONGEST: usize = 108;

/// An `AF_UNIX` name.
enum UnixName<'a> {
    Unnamed,
    Path(&'a [u8]),
    /// Linux's, without the 0 before it.
    Abstract(&'a [u8]),
}

impl PeerAddress {
    /// What an operation was given by the system.
    #[inline]
    pub(crate) const fn new(any: SocketAddrAny) -> Self {
        Self { any }
    }

    /// The address family.
    #[inline]
    pub fn family(&self) -> AddressFamily {
        self.any.address_family()
    }

    /// Asks for the name among the bytes of an `AF_UNIX` address; `None` if it is
    /// another family, or rustix's bytes are not those of the length that it says.
    fn with_unix_name<R>(&self, then: impl FnOnce(UnixName<'_>) -> R) -> Option<R> {
        if self.family() != AddressFamily::UNIX {
            return None;
        }
        let mut bytes = Bytes {
            bytes: [0; 128],
            length: 0,
        };
        self.any.hash(&mut bytes);
        let length = usize::try_from(self.any.addr_len()).ok()?;
        if bytes.length != length {
            return None;
        }
        // The family, and its length on some systems, take two bytes everywhere.
        let name = bytes.bytes.get(2..length)?;
        Some(then(match name {
            [] => UnixName::Unnamed,
            [0, rest @ ..] if HOST.abstract_names && (1..LONGEST).contains(&rest.len()) => {
                UnixName::Abstract(rest)
            }
            _ => {
                let path = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if path.is_empty() {
                    UnixName::Unnamed
                } else {
                    UnixName::Path(path)
                }
            }
        }))
    }

    /// Whether the bytes are as many as an address of this kind has.
    fn is_as_long_as(&self, other: &impl SocketAddrArg) -> bool {
        self.any.addr_len() >= other.as_any().addr_len()
    }
}

/// An IP address as `address:port`, an `AF_UNIX` one as its name, with bytes that are
/// not ASCII escaped and an abstract one behind `@`; of others the family.
impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(address) = SocketAddr::try_from(self.clone()) {
            return fmt::Display::fmt(&address, f);
        }
        let named = self.with_unix_name(|name| match name {
            UnixName::Unnamed => f.write_str("unix:(unnamed)"),
            UnixName::Path(path) => write!(f, "unix:{}", path.escape_ascii()),
            UnixName::Abstract(name) => write!(f, "unix:@{}", name.escape_ascii()),
        });
        named.unwrap_or_else(|| write!(f, "{:?}", self.family()))
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

    fn try_from(address: PeerAddress) -> Result<Self, Errno> {
        let whole = match address.family() {
            AddressFamily::INET => {
                address.is_as_long_as(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))
            }
            AddressFamily::INET6 => {
                address.is_as_long_as(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0))
            }
            _ => return Err(OTHER_FAMILY),
        };
        if whole {
            address.any.try_into()
        } else {
            Err(NAME_NOT_TOLD)
        }
    }
}

impl TryFrom<PeerAddress> for SocketAddrUnix {
    type Error = Errno;

    fn try_from(address: PeerAddress) -> Result<Self, Errno> {
        let name = address.with_unix_name(|name| match name {
            // rustix makes an abstract one on Linux alone; decoding it does not panic.
            UnixName::Abstract(_) => address.any.clone().try_into(),
            UnixName::Path(path) => Self::new(path),
            UnixName::Unnamed => Self::new(&[][..]),
        });
        name.unwrap_or(Err(OTHER_FAMILY))
    }
}

#[cfg(feature = "std")]
impl TryFrom<PeerAddress> for StdUnix {
    type Error = std::io::Error;

    fn try_from(address: PeerAddress) -> std::io::Result<Self> {
        use std::os::unix::ffi::OsStrExt as _;

        let path = |path: &[u8]| Self::from_pathname(std::ffi::OsStr::from_bytes(path));
        let name = address.with_unix_name(|name| match name {
            #[cfg(wouldblock_has = "abstract_names")]
            UnixName::Abstract(name) => Self::from_abstract_name(name),
            #[cfg(not(wouldblock_has = "abstract_names"))]
            UnixName::Abstract(_) => Err(NAME_NOT_TOLD.into()),
            UnixName::Path(name) => path(name),
            UnixName::Unnamed => path(&[]),
        });
        name.unwrap_or(Err(OTHER_FAMILY.into()))
    }
}
