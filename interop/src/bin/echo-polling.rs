//! The echo server on polling: oneshot, so what a connection waits for is said
//! anew after each event.

use std::collections::HashMap;
use std::io::{ErrorKind, Result};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::Duration;

use interop::{Echo, Next};
use polling::{Event, Events, Poller};
use wouldblock::{Interest, Io, Op, Outcome, OwnedFd, accept};

const LISTENER: usize = usize::MAX - 1;

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let poller = Poller::new()?;
    let mut clients: HashMap<usize, (OwnedFd, Echo)> = HashMap::new();
    let mut events = Events::new();
    #[allow(
        unsafe_code,
        reason = "polling asks for it: the source outlives its registration"
    )]
    // SAFETY: the listener lives as long as the poller.
    unsafe {
        poller.add(&listener, Event::readable(LISTENER))?;
    }
    loop {
        events.clear();
        match poller.wait(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        };
        for event in events.iter() {
            if event.key == LISTENER {
                accept_all(&listener, &poller, &mut clients)?;
                poller.modify(&listener, Event::readable(LISTENER))?;
            } else if let Some((fd, echo)) = clients.get_mut(&event.key) {
                match echo.go_on(&*fd) {
                    Next::Wait(Interest::WRITABLE) => {
                        poller.modify(&*fd, Event::writable(event.key))?;
                    }
                    Next::Wait(_) => poller.modify(&*fd, Event::readable(event.key))?,
                    Next::Close(_) => {
                        poller.delete(&*fd)?;
                        clients.remove(&event.key);
                    }
                }
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    poller: &Poller,
    clients: &mut HashMap<usize, (OwnedFd, Echo)>,
) -> Result<()> {
    loop {
        match accept(listener) {
            Io::Ready(fd) => {
                let key = usize::try_from(fd.as_raw_fd()).expect("an open descriptor");
                // SAFETY: a client is deleted from the poller before it is dropped.
                unsafe {
                    poller.add(&fd, Event::readable(key))?;
                }
                clients.insert(key, (fd, Echo::default()));
            }
            Io::WouldBlock => return Ok(()),
            Io::Err(errno) => match Op::Accept.outcome(errno) {
                Outcome::TryNext | Outcome::BackOff => {
                    std::thread::sleep(Duration::from_millis(50));
                    return Ok(());
                }
                _ => return Err(errno.into()),
            },
        }
    }
}
