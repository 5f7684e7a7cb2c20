//! What a set answers when it cannot do what it is asked.

use core::fmt;

use super::Key;

/// Why a descriptor was not registered; it is handed back.
#[non_exhaustive]
pub struct NotRegistered<F, D> {
    /// The descriptor.
    pub fd: F,
    /// The data.
    pub data: D,
    /// The reason.
    pub reason: Reason,
}

/// Why a descriptor was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is registered, under this key.
    Registered(Key),
    /// The set has no room.
    Full,
}

/// The set has no registration with this key: it was unregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registered(_) => "the descriptor is registered already",
            Self::Full => "the poll set is full",
        })
    }
}

impl core::error::Error for Reason {}

impl<F, D> fmt::Display for NotRegistered<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// Shows the reason only, so that an error asks nothing of the caller's types.
impl<F, D> fmt::Debug for NotRegistered<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotRegistered")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<F, D> core::error::Error for NotRegistered<F, D> {}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the poll set has no registration with this key")
    }
}

impl core::error::Error for UnknownKey {}

/// `AlreadyExists` or `StorageFull`; the descriptor and the data are dropped.
#[cfg(feature = "std")]
impl<F, D> From<NotRegistered<F, D>> for std::io::Error {
    fn from(refused: NotRegistered<F, D>) -> Self {
        let kind = match refused.reason {
            Reason::Registered(_) => std::io::ErrorKind::AlreadyExists,
            Reason::Full => std::io::ErrorKind::StorageFull,
        };
        Self::new(kind, refused.reason)
    }
}

/// `NotFound`.
#[cfg(feature = "std")]
impl From<UnknownKey> for std::io::Error {
    fn from(unknown: UnknownKey) -> Self {
        Self::new(std::io::ErrorKind::NotFound, unknown)
    }
}
