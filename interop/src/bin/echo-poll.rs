//! The echo server on this crate's own poll set.

use std::io::{Error, Result};
use std::net::TcpListener;

use interop::{Echo, Next};
use wouldblock::{Deadline, Inline, Interest, Io, Op, Outcome, OwnedFd, PollSet, accept};

/// Nothing for the listener, an echo for a connection.
type Set = PollSet<OwnedFd, Option<Echo>, Inline<1024>>;

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let mut set = Box::new(Set::new());
    set.register(listener.into(), Interest::READABLE, None)
        .map_err(Error::other)?;
    loop {
        set.select(Deadline::never()).into_io_result()?;
        while let Some((key, _)) = set.next_ready() {
            let next = match set.get_mut(key) {
                Some((fd, Some(echo))) => echo.go_on(fd),
                Some((listener, None)) => {
                    let accepted = accept(listener);
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
        Io::Err(errno) => match Op::Accept.outcome(errno) {
            Outcome::TryNext => {}
            // The listener stays ready: without a pause this would spin.
            Outcome::BackOff => std::thread::sleep(std::time::Duration::from_millis(50)),
            _ => return Err(errno.into()),
        },
    }
    Ok(())
}
