//! A chat server for many clients, in one thread: each line that a client sends goes
//! to all the others. `chat --help` tells how to start it, how to talk to it and how to
//! end it. What it decides:
//!
//! - **A slow reader** slows the room down instead of filling memory: while more than
//!   64 KiB wait for somebody, nobody is read, and TCP holds the talkers back. Who does
//!   not take half of it within a second is let go, so that a client that never reads
//!   holds the others up for a second, once.
//! - **One that has shut down its side** (`nc -N`) is sent what was said until then,
//!   has a second to take it, and is let go.
//! - **One that vanished** is let go when a call reports it; if it sent no reset, as
//!   without power, that is when what is said piles up for it.
//! - **With 1023 clients, or no descriptor left**, newcomers wait in the kernel's queue.
//! - **At SIGTERM** it stops listening, gives everybody what waits for them, and ends.

mod common;

use std::io::{self, Write};
use std::{net::TcpListener, process::ExitCode, time::Duration};

use common::Ended;
use rustix::net::{Shutdown, shutdown};
use wouldblock::{At, Deadline, Interest, Io, Key, OwnedFd, PollSet, RecvFlags, SendFlags};

const HELP: &str = "\
usage: chat [ADDRESS]

Listens on ADDRESS, such as 127.0.0.1:7000 or [::]:7000, or else on a free port of
127.0.0.1, and prints where. Talk to it with `nc 127.0.0.1 7000`: each line goes to
everybody else. SIGTERM ends it.";

/// The most clients at one time.
const CLIENTS: usize = 1023;
/// The longest line, and the most that is read at once.
const LINE: usize = 4096;
/// How many bytes may wait for a client before nobody is read any more. The read
/// before that may have added twice `LINE` and a newline: memory is bounded.
const HIGH: usize = 64 * 1024;
/// How long it has until no more than half of that waits and they are read again, or
/// to take the last of what it is sent.
const PATIENCE: Duration = Duration::from_secs(1);

struct Room {
    set: PollSet<OwnedFd, Who>,
    /// So much waits for somebody that nobody is read.
    is_crowded: bool,
    /// SIGTERM has come.
    is_closing: bool,
}

enum Who {
    Listener,
    Signal,
    Client(Client),
}

#[derive(Default)]
struct Client {
    /// A line whose end has not come.
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// It has shut down its side.
    is_leaving: bool,
    /// A call has said so.
    is_gone: bool,
    /// When it is let go, if it holds the others up or this is its end.
    patience: Option<Deadline>,
}

fn main() -> ExitCode {
    common::run("chat", HELP, |arguments| match arguments {
        [] => Some(serve("127.0.0.1:0")),
        [address] => Some(serve(address)),
        _ => None,
    })
}

fn serve(address: &str) -> Ended {
    let listener = TcpListener::bind(address)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    // What made it ready may have gone when it is asked, and it must not wait then.
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let mut room = Room {
        set: PollSet::new(),
        is_crowded: false,
        is_closing: false,
    };
    (room.set).register(listener.into(), Interest::READABLE, Who::Listener)?;
    (room.set).register(common::sigterm()?.into(), Interest::READABLE, Who::Signal)?;
    writeln!(io::stdout(), "{address}")?;
    eprintln!("talk to it with: nc {} {}", address.ip(), address.port());
    loop {
        room.settle();
        if room.set.is_empty() {
            return Ok(());
        }
        let wake = room.derive_interests();
        room.set.select(wake).into_result()?;
        room.serve_ready()?;
    }
}

impl Room {
    /// Does what can be done for each, and lets go who is through.
    fn settle(&mut self) {
        self.is_crowded = false;
        let mut through = Vec::new();
        for (key, mut at, who) in self.set.iter_mut() {
            let stays = match who {
                Who::Client(client) => client.settle(&mut at, self.is_closing),
                _ => !self.is_closing,
            };
            if !stays {
                through.push(key);
            } else if let Who::Client(client) = who {
                // Not by who is leaving: nothing is added for them.
                self.is_crowded |= client.patience.is_some() && !client.is_leaving;
            }
        }
        for key in through {
            // The only descriptor of the connection, so this closes it.
            drop(self.set.unregister(key));
        }
    }

    /// Sets every interest from the state, so that none is forgotten, after all have
    /// settled, since one may be read again because another is through. Returns when to
    /// wake in any case.
    fn derive_interests(&mut self) -> Deadline {
        let mut wake = Deadline::never();
        let is_full = self.set.len() >= CLIENTS + 2;
        for (_, mut at, who) in self.set.iter_mut() {
            let mut interest = Interest::empty();
            match who {
                Who::Client(client) => {
                    wake = wake.min(client.patience.unwrap_or(wake));
                    // After the end of file it is ready for ever.
                    let is_heard = !client.is_leaving && (self.is_closing || !self.is_crowded);
                    interest.set(Interest::READABLE, is_heard);
                    // Ready nearly always, so watched only after a refusal.
                    interest.set(Interest::WRITABLE, !client.outbox.is_empty());
                }
                // Ready as long as anybody queues.
                Who::Listener => interest.set(Interest::READABLE, !is_full),
                Who::Signal => interest = Interest::READABLE,
            }
            at.set_interest(interest);
        }
        wake
    }

    fn serve_ready(&mut self) -> Ended {
        while let Some((key, readiness)) = self.set.next_ready() {
            match self.set.get_mut(key) {
                Some((_, Who::Signal)) => self.is_closing = true,
                // Without a descriptor left, the set waits for one; the dead in the queue
                // are passed over. What is left to be an error is the listener's own.
                Some((mut at, Who::Listener)) => {
                    if let Some(fd) = at.accept().into_result()? {
                        let client = Who::Client(Client::default());
                        drop((self.set).register(fd, Interest::READABLE, client));
                    }
                }
                Some((mut at, Who::Client(client))) => {
                    let interest = at.interest();
                    if readiness.is_writable() {
                        // Settling makes the call.
                        at.set_interest(interest - Interest::WRITABLE);
                    }
                    if interest.contains(Interest::READABLE) && readiness.is_readable() {
                        let lines = client.hear(&mut at);
                        if self.crowds(key, &lines) {
                            // The next wait begins with those who were not heard.
                            break;
                        }
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Adds lines to what waits for all others. True if that is too much for somebody.
    fn crowds(&mut self, from: Key, lines: &[u8]) -> bool {
        let mut is_crowded = false;
        for (key, _, who) in self.set.iter_mut() {
            match who {
                Who::Client(it) if key != from && !it.is_leaving && !self.is_closing => {
                    it.outbox.extend_from_slice(lines);
                    is_crowded |= it.outbox.len() > HIGH;
                }
                _ => {}
            }
        }
        is_crowded
    }
}

impl Client {
    /// Sends what the kernel takes. False if it is to be let go.
    fn settle(&mut self, at: &mut At<'_, OwnedFd>, is_closing: bool) -> bool {
        let is_late = self.patience.is_some_and(Deadline::has_passed);
        // Who waits for room is told of it; but Linux tells when a third of its buffer is
        // free, so ask before judging.
        if is_late || !at.interest().contains(Interest::WRITABLE) {
            let mut rest = &self.outbox[..];
            // It vanished: EPIPE or ECONNRESET, and no SIGPIPE.
            self.is_gone |= at.send_all(&mut rest, SendFlags::empty()).is_err();
            // Whatever the answer, a part may have gone.
            let sent = self.outbox.len() - rest.len();
            self.outbox.drain(..sent);
        }
        if is_closing && self.outbox.is_empty() {
            // Not closed before it has taken the last and closes too: what it said and
            // nobody has read would make a reset of that, and destroy what is under way.
            let _it_has_gone = shutdown(at.fd(), Shutdown::Write);
        }
        if self.is_leaving || is_closing || self.outbox.len() > HIGH {
            (self.patience).get_or_insert_with(|| Deadline::after(PATIENCE));
        } else if self.outbox.len() <= HIGH / 2 {
            self.patience = None;
        }
        let is_through = self.is_gone || self.is_leaving && self.outbox.is_empty();
        !(is_through || is_late && self.patience.is_some())
    }

    /// The lines that have ended. One call, even if there is more: the next wait finds
    /// it, and a fast talker has no more turns than others.
    fn hear(&mut self, at: &mut At<'_, OwnedFd>) -> Vec<u8> {
        let mut buf = [0; LINE];
        match at.recv(&mut buf, RecvFlags::empty()) {
            // The end, which is no error.
            Io::Ready(0) => self.is_leaving = true,
            Io::Ready(n) => self.inbox.extend_from_slice(&buf[..n]),
            // Readiness is a hint.
            Io::WouldBlock => {}
            // It vanished: nobody is left to send to.
            Io::Err(_) => self.is_gone = true,
        }
        // One call may bring half of a line, or many.
        let end = self.inbox.iter().rposition(|&byte| byte == b'\n');
        let mut lines: Vec<u8> = self.inbox.drain(..end.map_or(0, |end| end + 1)).collect();
        // A line must not grow for ever, and the last one may lack its end.
        if !self.inbox.is_empty() && (self.is_leaving || self.inbox.len() >= LINE) {
            lines.append(&mut self.inbox);
            lines.push(b'\n');
        }
        lines
    }
}
