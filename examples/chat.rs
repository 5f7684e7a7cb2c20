//! A chat server for many clients, in one thread: each line that a client sends goes
//! to all the others. `chat [ADDR]` listens on ADDR, or else on a free port of
//! 127.0.0.1, and prints where. Talk to it with `nc`. What it decides:
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

use std::io::{self, Write};
use std::{env, iter, net::TcpListener, time::Duration};
use wouldblock::{Deadline, Errno, Interest, Io, OwnedFd, Readiness, RecvFlags, SendFlags};
use wouldblock::{Inline, Key, Op, Outcome, PollSet, accept, recv, send_all, set_nonblocking};

/// The clients and the listener. The set holds them inside itself, 200 bytes each.
const CAPACITY: usize = 1024;
/// The longest line, and the most that is read at once.
const LINE: usize = 4096;
/// How many bytes may wait for a client before nobody is read any more. The read
/// before that may have added twice `LINE` and a newline: memory is bounded.
const HIGH: usize = 64 * 1024;
/// How long it has until no more than half of that waits and they are read again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait where no event tells when to go on.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Server {
    /// The listener is the one without a client.
    set: PollSet<OwnedFd, Option<Client>, Inline<CAPACITY>>,
    /// Until when nobody is accepted.
    closed: Option<Deadline>,
    /// Whether so much waits for somebody that nobody is read.
    crowded: bool,
    turns: usize,
}

#[derive(Default)]
struct Client {
    /// A line whose end has not come.
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    output: Output,
    /// It has shut down its side.
    leaving: bool,
    /// When it is let go, if it holds the others up or is leaving.
    patience: Option<Deadline>,
}

/// Whether it is worth calling `send`.
#[derive(Clone, Copy, Default)]
enum Output {
    #[default]
    Open,
    /// Not before it is ready.
    Full,
    /// Not before then: it may be ready all the time.
    Paused(Deadline),
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:0".into()))?;
    // What made it ready may have gone when it is asked, and it must not wait then.
    set_nonblocking(&listener, true)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    let mut server = Server::default();
    let registered = (server.set).register(listener.into(), Interest::READABLE, None);
    registered.map_err(|refused| io::Error::other(refused.to_string()))?;
    loop {
        server.turn()?;
    }
}

impl Server {
    fn turn(&mut self) -> Result<(), Errno> {
        let wake = self.prepare();
        // No signal ends it, and no shortage of memory.
        self.set.select(wake).into_result()?;
        let mut ready: Vec<_> = iter::from_fn(|| self.set.next_ready()).collect();
        // The room may be crowded before all were heard: each time others begin.
        self.turns = self.turns.wrapping_add(1);
        let first = self.turns % ready.len().max(1);
        ready.rotate_left(first);
        for (key, readiness) in ready {
            match self.set.get(key) {
                Some(it) if it.data.is_none() => self.accept(key)?,
                Some(it) => self.serve(key, readiness, it.interest),
                None => {}
            }
        }
        Ok(())
    }

    /// Sends what can be sent, lets go who is through, and sets every interest from
    /// the state, so that none is forgotten. Returns when to wake in any case.
    fn prepare(&mut self) -> Deadline {
        self.crowded = false;
        for key in self.keys() {
            if let Some((at, Some(client))) = self.set.get_mut(key) {
                if !client.settle(at.fd()) {
                    // The only descriptor of the connection, so this closes it.
                    drop(self.set.unregister(key));
                } else if client.patience.is_some() && !client.leaving {
                    self.crowded = true;
                }
            }
        }
        self.closed = self.closed.filter(|until| !until.has_passed());
        let mut wake = self.closed.unwrap_or(Deadline::never());
        // Ready as long as anybody queues, so not watched while nobody can be accepted.
        let open = self.closed.is_none() && self.set.len() < CAPACITY;
        for key in self.keys() {
            let mut interest = Interest::empty();
            match self.set.get_mut(key) {
                Some((_, Some(client))) => {
                    // After the end of file it is ready for ever.
                    interest.set(Interest::READABLE, !self.crowded && !client.leaving);
                    wake = wake.min(client.patience.unwrap_or(wake));
                    match client.output {
                        // Ready nearly always, so watched only after a refusal.
                        Output::Full => interest |= Interest::WRITABLE,
                        Output::Paused(until) => wake = wake.min(until),
                        Output::Open => {}
                    }
                }
                _ => interest.set(Interest::READABLE, open),
            }
            let _it_is_known = self.set.modify(key, interest);
        }
        wake
    }

    fn accept(&mut self, listener: Key) -> Result<(), Errno> {
        while self.closed.is_none() && self.set.len() < CAPACITY {
            match self.set.get(listener).map(|it| accept(it.fd)) {
                // Non-blocking from birth, whatever the listener is.
                Some(Io::Ready(fd)) => {
                    drop((self.set).register(fd, Interest::READABLE, Some(Client::default())));
                }
                Some(Io::Err(errno)) => match Op::Accept.outcome(errno) {
                    // Dead in the queue, which is no failure of the listener.
                    Outcome::TryNext => {}
                    // No descriptor left, and no event tells when there is one.
                    Outcome::BackOff => self.closed = Some(Deadline::after(PAUSE)),
                    _ => return Err(errno),
                },
                Some(Io::WouldBlock) | None => break,
            }
        }
        Ok(())
    }

    fn serve(&mut self, key: Key, readiness: Readiness, asked: Interest) {
        let Some((at, Some(client))) = self.set.get_mut(key) else {
            return;
        };
        if readiness.is_writable() {
            // Or broken: the call will say so.
            client.output = Output::Open;
        }
        if !asked.contains(Interest::READABLE) {
            // What it did not ask for is a reset, reported at every wait. Sending meets
            // it; with nothing to send there is no call to make.
            if !readiness.is_empty() && client.outbox.is_empty() {
                drop(self.set.unregister(key));
            }
        } else if readiness.is_readable() && !self.crowded {
            // One call, even if there is more: the next wait finds it, and a fast
            // talker has no more turns than others.
            let mut buf = [0; LINE];
            match recv(at.fd(), &mut buf, RecvFlags::empty()) {
                // The end, which is no error.
                Io::Ready(0) => client.leaving = true,
                Io::Ready(n) => client.inbox.extend_from_slice(&buf[..n]),
                // Readiness is a hint.
                Io::WouldBlock => {}
                // It vanished: nobody is left to send to.
                Io::Err(_) => return drop(self.set.unregister(key)),
            }
            let lines = client.take_lines();
            for to in self.keys().into_iter().filter(|&to| to != key) {
                if let Some((_, Some(client))) = self.set.get_mut(to) {
                    if !client.leaving {
                        client.outbox.extend_from_slice(&lines);
                        self.crowded |= client.outbox.len() > HIGH;
                    }
                }
            }
        }
    }

    fn keys(&self) -> Vec<Key> {
        self.set.iter().map(|it| it.key).collect()
    }
}

impl Client {
    /// Sends what the kernel takes. False if it is to be let go.
    fn settle(&mut self, fd: &OwnedFd) -> bool {
        let late = self.patience.is_some_and(Deadline::has_passed);
        let worth_a_call = match self.output {
            Output::Open => true,
            // Linux tells of room when a third of its buffer is free. Ask before judging.
            Output::Full => late,
            Output::Paused(until) => until.has_passed(),
        };
        if worth_a_call {
            let mut rest = &self.outbox[..];
            let answer = send_all(fd, &mut rest, SendFlags::empty());
            // Whatever the answer, a part may have gone.
            let sent = self.outbox.len() - rest.len();
            self.outbox.drain(..sent);
            self.output = match answer {
                Io::Ready(()) => Output::Open,
                Io::WouldBlock => Output::Full,
                // Memory ran out, and no event tells when there is more.
                Io::Err(errno) if Op::Send.outcome(errno) == Outcome::BackOff => {
                    Output::Paused(Deadline::after(PAUSE))
                }
                // It vanished: EPIPE or ECONNRESET, and no SIGPIPE.
                Io::Err(_) => return false,
            };
        }
        if self.leaving || self.outbox.len() > HIGH {
            (self.patience).get_or_insert_with(|| Deadline::after(PATIENCE));
        } else if self.outbox.len() <= HIGH / 2 {
            self.patience = None;
        }
        let through = self.leaving && self.outbox.is_empty();
        !(through || late && self.patience.is_some())
    }

    /// The lines that have ended. One call may bring half of one, or many.
    fn take_lines(&mut self) -> Vec<u8> {
        let end = self.inbox.iter().rposition(|&byte| byte == b'\n');
        let mut lines: Vec<u8> = self.inbox.drain(..end.map_or(0, |end| end + 1)).collect();
        // A line must not grow for ever, and the last one may lack its end.
        if !self.inbox.is_empty() && (self.leaving || self.inbox.len() >= LINE) {
            lines.append(&mut self.inbox);
            lines.push(b'\n');
        }
        lines
    }
}
