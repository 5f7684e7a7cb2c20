//! The fourth floor: when to call again.

mod clock;
pub(crate) mod deadline;
pub(crate) mod set;
pub(crate) mod until;
