//! The echo server on this crate's own poll set.

use std::io::Result;
use std::net::TcpListener;

use interop::{Echo, Next};
use wouldblock::{Deadline, Inline, Interest, Io, OwnedFd, PollSet};

/// Nothing for the listener, an echo for a connection.
type Set = PollSet<OwnedFd, Option<Echo>, Inline<1024>>;

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let mut set = Box::new(Set::new());
    set.register(listener.into(), Interest::READABLE, None)?;
    loop {
        set.select(Deadline::never()).into_io_result()?;
        while let Some((key, _)) = set.next_ready() {
            let next = match set.get_mut(key) {
                Some((at, Some(echo))) => echo.go_on(at.fd()),
                Some((mut listener, None)) => {
                    let accepted = listener.accept();
                    take(&mut set, accepted)?;
                    continue;
                }
                None => continue,
            };
            let _gone = match next {
                Next::Wait(interest) => set.modify(key, interest).map(|()| None),
                Next::Close(_) => set.unregister(key).map(Some),
            };
        }
    }
}

/// One connection for each readiness: the others are found again.
fn take(set: &mut Set, accepted: Io<OwnedFd>) -> Result<()> {
    match accepted {
        // A full set hands the connection back, and it is closed.
        Io::Ready(fd) => drop(set.register(fd, Interest::READABLE, Some(Echo::default()))),
        Io::WouldBlock => {}
        // Without a descriptor left, the set waits for one.
        Io::Err(errno) => return Err(errno.into()),
    }
    Ok(())
}
