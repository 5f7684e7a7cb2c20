//! The echo server on mio: edge-triggered, so every readiness is used up before
//! the next wait.

use std::collections::HashMap;
use std::io::{ErrorKind, Result};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::Duration;

use interop::{Echo, Next};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use wouldblock::{Io, Op, Outcome, OwnedFd, accept};

const LISTENER: Token = Token(usize::MAX);

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let mut poll = Poll::new()?;
    poll.registry().register(
        &mut SourceFd(&listener.as_raw_fd()),
        LISTENER,
        Interest::READABLE,
    )?;
    let mut events = Events::with_capacity(256);
    let mut clients: HashMap<Token, (OwnedFd, Echo)> = HashMap::new();
    // Connections may be left in the queue, of which no new edge will tell.
    let mut left = false;
    loop {
        let pause = left.then_some(Duration::from_millis(50));
        match poll.poll(&mut events, pause) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        if left || events.iter().any(|event| event.token() == LISTENER) {
            left = accept_all(&listener, &poll, &mut clients)?;
        }
        for event in &events {
            let Some((fd, echo)) = clients.get_mut(&event.token()) else {
                continue;
            };
            // Until it would block: only then comes another edge. Both directions
            // are registered, so whichever it waits for will tell.
            if let Next::Close(_) = echo.go_on(&*fd) {
                poll.registry().deregister(&mut SourceFd(&fd.as_raw_fd()))?;
                clients.remove(&event.token());
            }
        }
    }
}

/// Takes the queue until it would block; true if something is left in it.
fn accept_all(
    listener: &TcpListener,
    poll: &Poll,
    clients: &mut HashMap<Token, (OwnedFd, Echo)>,
) -> Result<bool> {
    loop {
        match accept(listener) {
            Io::Ready(fd) => {
                let number = fd.as_raw_fd();
                let token = Token(usize::try_from(number).expect("an open descriptor"));
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry()
                    .register(&mut SourceFd(&number), token, both)?;
                clients.insert(token, (fd, Echo::default()));
            }
            Io::WouldBlock => return Ok(false),
            Io::Err(errno) => match Op::Accept.outcome(errno) {
                Outcome::TryNext | Outcome::BackOff => return Ok(true),
                _ => return Err(errno.into()),
            },
        }
    }
}
