//! An address in a text, in a path, or in two halves.

use std::net::Ipv4Addr;
use std::path::Path;

use wouldblock::{BorrowedFd, SendFlags, connect, send_to};

fn main() {
    let _ = |fd: BorrowedFd<'_>| connect(fd, "127.0.0.1:80");
    let _ = |fd: BorrowedFd<'_>| connect(fd, Path::new("/run/server"));
    let _ = |fd: BorrowedFd<'_>| connect(fd, &(Ipv4Addr::LOCALHOST, 80));
    let _ = |fd: BorrowedFd<'_>| send_to(fd, b"!", SendFlags::empty(), &String::new());
}
