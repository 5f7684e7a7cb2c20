//! A call whose answer nobody looks at may have done nothing.

#![deny(unused_must_use)]

use wouldblock::{Deadline, Interest, ModeGuard, OwnedFd, SendFlags, send, until};

fn main() {
    let (one, other): (OwnedFd, OwnedFd) = wouldblock::pipe().unwrap();
    send(&one, b"hello", SendFlags::empty());
    Interest::READABLE.on(&one);
    send(&one, b"hello", SendFlags::empty()).is_ready();
    until(&one, Deadline::never());
    ModeGuard::new(&other, false).unwrap();
}
