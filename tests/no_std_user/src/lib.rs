//! A user without std and without an allocator. A static library has to be
//! complete, so an allocation anywhere below would not link: no allocator is
//! there.
#![no_std]

use core::time::Duration;

use wouldblock::{Interest, Io, RecvFlags, SendFlags};

/// Echoes once, and says how many bytes; −1 for would-block, −2 for an error.
#[unsafe(no_mangle)]
pub extern "C" fn echo_once(fd: wouldblock::BorrowedFd<'_>) -> isize {
    let mut buf = [0; 64];
    let answer = wouldblock::poll(
        &mut [Interest::READABLE.on(&fd)],
        Some(Duration::from_millis(5)),
    )
    .and_then(|_| wouldblock::recv(fd, &mut buf, RecvFlags::empty()))
    .and_then(|n| wouldblock::send(fd, buf.get(..n).unwrap_or_default(), SendFlags::empty()));
    match answer {
        Io::Ready(n) => n.try_into().unwrap_or(isize::MAX),
        Io::WouldBlock => -1,
        Io::Err(_) => -2,
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
