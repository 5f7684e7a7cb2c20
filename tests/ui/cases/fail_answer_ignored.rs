//! A call whose answer nobody looks at may have done nothing.

#![deny(unused_must_use)]

use wouldblock::{Interest, ModeGuard, OwnedFd, SendFlags, ready, send};

fn main() {
    let (one, other): (OwnedFd, OwnedFd) = wouldblock::pipe().unwrap();
    send(&one, b"hello", SendFlags::empty());
    Interest::READABLE.on(&one);
    ready(&one, Interest::READABLE).ready().unwrap();
    ModeGuard::new(&other, false).unwrap();
}
