//! A TLS session, over any stream that may answer would-block at any call, and the
//! wait for one.

use std::io::{Error, ErrorKind, Read, Result, Write};

use rustls::{ClientConnection, Connection, ServerConnection, StreamOwned};
use wouldblock::{AsFd, Deadline, Interest, Io, NonBlocking, Op, StdIo, Until, until};

/// How much of either kind of text rustls holds.
const TLS_BUFFER: usize = 64 * 1024;

/// Both directions of a TLS connection. Makes no call of its own and waits for nothing.
pub struct Session {
    tls: Connection,
    outgoing: Vec<u8>,
    sent: usize,
    no_more: bool,
    closed: bool,
    received: Vec<u8>,
    limit: usize,
    ended: bool,
}

impl Session {
    /// Of what comes, about `limit` bytes are held before the peer has to wait.
    pub fn new(tls: impl Into<Connection>, limit: usize) -> Self {
        let mut tls = tls.into();
        tls.set_buffer_limit(Some(TLS_BUFFER));
        Self {
            tls,
            outgoing: Vec::new(),
            sent: 0,
            no_more: false,
            closed: false,
            received: Vec::new(),
            limit,
            ended: false,
        }
    }

    /// Another limit from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// What is sent next; what was given before must have gone.
    pub fn say(&mut self, bytes: Vec<u8>) {
        assert!(self.has_said_all());
        (self.outgoing, self.sent) = (bytes, 0);
    }

    /// After what was given, close_notify. The peer may go on.
    pub fn say_no_more(&mut self) {
        self.no_more = true;
    }

    /// Whether rustls has all that was given.
    pub fn has_said_all(&self) -> bool {
        self.sent == self.outgoing.len()
    }

    /// What has come.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Sends back what has come, and the end after it. True if there was something to
    /// do: then [`go_on`](Self::go_on).
    pub fn turn_around(&mut self) -> bool {
        if !self.has_said_all() || self.no_more {
            return false;
        }
        if self.received.is_empty() {
            self.no_more = self.ended;
            return self.ended;
        }
        (self.outgoing, self.sent) = (std::mem::take(&mut self.received), 0);
        true
    }

    /// Whether both sides have said close_notify, and all has been sent.
    pub fn is_over(&self) -> bool {
        self.ended && self.closed && !self.tls.wants_write()
    }

    /// The directions that it waits for. While a handshake is under way, that is TLS's
    /// choice and not that of who wants to send or to receive.
    pub fn wants(&self) -> Interest {
        let mut wants = Interest::empty();
        wants.set(Interest::READABLE, self.wants_read());
        wants.set(Interest::WRITABLE, self.tls.wants_write());
        wants
    }

    fn wants_read(&self) -> bool {
        !self.ended && self.received.len() < self.limit && self.tls.wants_read()
    }

    /// Moves what can be moved, until each direction that it waits for would block.
    /// True if anything was moved.
    ///
    /// `UnexpectedEof` if the peer left without close_notify: what came may not be all.
    pub fn go_on(&mut self, wire: &mut (impl Read + Write)) -> Result<bool> {
        let mut progress = false;
        while self.send(wire)? | self.receive(wire)? {
            progress = true;
        }
        Ok(progress)
    }

    fn send(&mut self, wire: &mut impl Write) -> Result<bool> {
        self.sent += self.tls.writer().write(&self.outgoing[self.sent..])?;
        if self.no_more && self.has_said_all() && !self.closed && !self.tls.is_handshaking() {
            self.tls.send_close_notify();
            self.closed = true;
        }
        let mut progress = false;
        while self.tls.wants_write() && unless_blocked(self.tls.write_tls(wire))?.is_some() {
            progress = true;
        }
        Ok(progress)
    }

    fn receive(&mut self, wire: &mut (impl Read + Write)) -> Result<bool> {
        let mut progress = false;
        while self.wants_read() && unless_blocked(self.tls.read_tls(wire))?.is_some() {
            progress = true;
            if let Err(error) = self.tls.process_new_packets() {
                // The peer is told why, if there is room for it.
                let _ = self.tls.write_tls(wire);
                return Err(Error::new(ErrorKind::InvalidData, error));
            }
            let mut buf = [0; 16 * 1024];
            while let Some(n) = unless_blocked(self.tls.reader().read(&mut buf))? {
                self.received.extend_from_slice(&buf[..n]);
                if n == 0 {
                    self.ended = true;
                    break;
                }
            }
        }
        Ok(progress)
    }
}

fn unless_blocked(result: Result<usize>) -> Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Talks until both sides have said all: both ways at once, on one thread. Returns how
/// often it had a turn.
pub fn exchange(
    session: &mut Session,
    socket: &NonBlocking<impl AsFd>,
    deadline: Deadline,
) -> Result<usize> {
    let mut wire = socket.std_io();
    let mut turns = 0;
    // Of the two operations the one with the more outcomes.
    let over = until(socket, deadline).turns(Op::Send, |_, turn| {
        turns += 1;
        match session.go_on(&mut wire) {
            Ok(_) if session.is_over() => Io::Ready(Ok(())),
            Ok(progress) => {
                (turn.progress, turn.wants) = (progress, session.wants());
                Io::WouldBlock
            }
            Err(error) => Io::Ready(Err(error)),
        }
    });
    over.or_timed_out()??;
    Ok(turns)
}

/// A client that asks and then listens: rustls's own calls, which block until the
/// stream's deadline.
pub fn ask<F: AsFd>(
    tls: ClientConnection,
    wire: StdIo<Until<F>>,
    question: &[u8],
) -> Result<Vec<u8>> {
    let mut stream = StreamOwned::new(tls, wire);
    stream.write_all(question)?;
    stream.conn.send_close_notify();
    stream.flush()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(reply)
}

/// A server that listens to the end and then answers.
pub fn answer<F: AsFd>(
    tls: ServerConnection,
    wire: StdIo<Until<F>>,
    reply: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<()> {
    let mut stream = StreamOwned::new(tls, wire);
    let mut question = Vec::new();
    stream.read_to_end(&mut question)?;
    stream.write_all(&reply(&question))?;
    stream.conn.send_close_notify();
    stream.flush()
}
