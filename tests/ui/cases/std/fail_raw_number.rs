//! A number as a descriptor, and a descriptor that is given away where it is lent.

use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use wouldblock::{Interest, NonBlocking, read, set_nonblocking, until};

fn main() {
    let _ = read(0, &mut [0; 64]);
    let _ = |socket: TcpStream| set_nonblocking(socket.as_raw_fd(), true);
    let _ = |fd: RawFd| NonBlocking::new(fd);
    let _ = |fd: RawFd| until(fd, Duration::from_secs(1)).read(&mut [0; 64]);
    let _ = Interest::READABLE.on(0);
    let _ = Interest::READABLE.on(&0);
    let _ = |socket: TcpStream| Interest::READABLE.on(socket);
}
