//! The fourth floor: when to call again.

mod clock;
pub(crate) mod deadline;
mod drive;
mod operations;
mod pace;
pub(crate) mod set;
#[cfg(feature = "std")]
mod std_io;
pub(crate) mod until;
