//! The feature `std` is off, and the socket is std's.

use std::net::TcpStream;

use wouldblock::{Interest, NonBlocking, RecvFlags, recv};

fn receive(socket: &TcpStream) {
    let _ = recv(socket, &mut [0; 64], RecvFlags::empty());
    let _ = Interest::READABLE.on(socket);
}

fn wrap(socket: TcpStream) {
    let _ = NonBlocking::new(socket);
}

fn main() {
    let _ = (receive, wrap);
}
