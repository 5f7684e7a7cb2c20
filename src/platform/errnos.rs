//! The errnos that operations answer with by themselves, each by what it says.

use rustix::io::Errno;

/// What a question about a socket answers for a descriptor that is none.
pub(crate) const NO_SOCKET: Errno = Errno::NOTSOCK;
/// What `finish_connect` answers for a socket that is in no state to finish.
pub(crate) const NOT_CONNECTED: Errno = Errno::NOTCONN;
/// What setting an option that a system does not have, or refuses, answers.
#[cfg(not(wouldblock_has = "so_nosigpipe"))]
pub(crate) const REFUSED: Errno = Errno::INVAL;
/// What more descriptors, or buffers, than one message can hold answers.
pub(crate) const TOO_MANY: Errno = Errno::INVAL;
/// What receiving a message, or sending descriptors, answers where rustix has no such call.
#[cfg(any(test, not(wouldblock_has = "messages")))]
pub(crate) const NO_MESSAGES: Errno = Errno::OPNOTSUPP;
/// What a message answers that cannot be sent whole.
#[cfg(any(test, not(wouldblock_has = "messages")))]
pub(crate) const TOO_LONG: Errno = Errno::MSGSIZE;
/// What would-block is to an operation that has but one errno for it.
pub(crate) const WOULD_BLOCK: Errno = Errno::AGAIN;
/// What a `_all` form answers when the system takes nothing and says nothing.
pub(crate) const NO_PROGRESS: Errno = Errno::IO;
/// What a wait answers for a descriptor that `poll` calls invalid.
pub(crate) const INVALID_DESCRIPTOR: Errno = Errno::BADF;
/// What `poll` answers when it waited for less than it was asked to.
pub(crate) const ENDED_EARLY: Errno = Errno::INTR;
/// What converting an address of another family answers.
pub(crate) const OTHER_FAMILY: Errno = Errno::AFNOSUPPORT;
/// What converting a name that the target type cannot hold answers.
pub(crate) const NAME_NOT_TOLD: Errno = Errno::INVAL;
/// What a send on a blocking descriptor answers that cannot be kept from waiting.
pub(crate) const WOULD_WAIT: Errno = Errno::OPNOTSUPP;
/// What a call for a new descriptor answers when the process may have no more.
pub(crate) const NO_NUMBER: Errno = Errno::MFILE;
/// What asking for a number answers that is above the limit.
pub(crate) const NO_SUCH_NUMBER: Errno = Errno::INVAL;
