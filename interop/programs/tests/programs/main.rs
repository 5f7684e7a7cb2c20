//! Every program, with a deadline on every wait, its bytes compared, and the processor
//! time that it takes while nothing happens.

mod common;
mod netlink;
mod serial;
mod tls;
mod tls_server;
mod websocket;
mod x11;
