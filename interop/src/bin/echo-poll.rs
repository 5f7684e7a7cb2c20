//! The echo server on this crate's own poll set.

use std::io::Result;
use std::net::TcpListener;

use interop::{Echo, Next};
use wouldblock::{Interest, Io, OwnedFd, PollSet};

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    // Nothing for the listener, an echo for a connection.
    let mut set: PollSet<OwnedFd, Option<Echo>> = PollSet::new();
    set.register(listener.into(), Interest::READABLE, None)?;
    loop {
        set.select(None).into_io_result()?;
        while let Some((key, _)) = set.next_ready() {
            match set.get_mut(key) {
                Some((at, Some(echo))) => match echo.go_on(at) {
                    Next::Wait(interest) => set.modify(key, interest)?,
                    Next::Close(_) => drop(set.unregister(key)?),
                },
                // One for each readiness: the others are found again. Without a
                // descriptor left, the set waits for one.
                Some((mut at, None)) => match at.accept() {
                    Io::Ready(fd) => {
                        set.register(fd, Interest::READABLE, Some(Echo::default()))?;
                    }
                    Io::WouldBlock => {}
                    Io::Err(errno) => return Err(errno.into()),
                },
                None => {}
            }
        }
    }
}
