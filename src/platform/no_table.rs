//! Why a Unix that the compiler knows has no table, for `build.rs` and `ci/check targets`.
//! Not a part of the library.
//!
//! What rustix lacks was seen by compiling for a target of each system with rustix 1.1.6
//! and the libc crate 0.2.191.

/// By the compiler's `target_os`, what would have to come first.
pub(crate) const NO_TABLE: [(&str, &str); 9] = [
    (
        "espidf",
        "rustix has no messages, no clock and no POLLNVAL for it",
    ),
    (
        "horizon",
        "rustix has no messages for it, and POLLOUT and POLLERR are one bit there",
    ),
    ("l4re", "rustix does not build for it"),
    ("lynxos178", "rustix and the libc crate do not know it"),
    ("managarm", "rustix and the libc crate do not know it"),
    ("nuttx", "rustix does not build for it"),
    (
        "qurt",
        "rustix does not build for it, nor what it is built on",
    ),
    ("rtems", "rustix does not build for it"),
    (
        "vita",
        "rustix has no messages for it, and POLLIN and POLLPRI are one bit there",
    ),
];
