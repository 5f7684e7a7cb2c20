//! The second floor: what an answer means. Pure: no system call is made here.

pub(crate) mod classify;
pub(crate) mod flags;
pub(crate) mod io;
pub(crate) mod readiness;
