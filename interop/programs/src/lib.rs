//! Programs on `wouldblock` with crates as they are on the registry; README.md says
//! what each of them shows.

pub mod netlink;
pub mod rtnetlink;
pub mod serial;
pub mod tls;
pub mod tls_server;
pub mod websocket;
pub mod x11;
