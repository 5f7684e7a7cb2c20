//! A WebSocket on a non-blocking socket. tungstenite says that something would block,
//! and not what; so the stream takes notes.

use std::io::{ErrorKind, Read, Result as IoResult, Write};

use tungstenite::handshake::{HandshakeError, HandshakeRole};
use tungstenite::{Error, Message, WebSocket};
use wouldblock::{AsFd, Deadline, Interest, Io, NonBlocking, Op, StdIo, until};

/// A stream that knows which of its directions would have blocked.
#[derive(Debug)]
pub struct Noting<S> {
    stream: S,
    blocked: Interest,
    progress: bool,
}

/// What a [`NonBlocking`] reads and writes by.
pub type Wire<'a, F> = Noting<StdIo<NonBlocking<&'a F>>>;

impl<S> Noting<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            blocked: Interest::empty(),
            progress: false,
        }
    }

    /// What would have blocked, and whether anything was moved, since the last time.
    pub fn take(&mut self) -> (Interest, bool) {
        let blocked = std::mem::replace(&mut self.blocked, Interest::empty());
        (blocked, std::mem::take(&mut self.progress))
    }

    fn note(&mut self, interest: Interest, result: IoResult<usize>) -> IoResult<usize> {
        match &result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked |= interest,
            _ => self.progress = true,
        }
        result
    }
}

impl<S: Read> Read for Noting<S> {
    fn read(&mut self, buf: &mut [u8]) -> IoResult<usize> {
        let result = self.stream.read(buf);
        self.note(Interest::READABLE, result)
    }
}

impl<S: Write> Write for Noting<S> {
    fn write(&mut self, buf: &[u8]) -> IoResult<usize> {
        let result = self.stream.write(buf);
        self.note(Interest::WRITABLE, result)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.stream.flush()
    }
}

/// Goes on with what `tungstenite::client` or `tungstenite::accept` began.
pub fn handshake<'a, F: AsFd, R>(
    socket: &'a NonBlocking<F>,
    deadline: Deadline,
    begun: Result<R::FinalResult, HandshakeError<R>>,
) -> Result<R::FinalResult, Error>
where
    R: HandshakeRole<InternalStream = Wire<'a, F>>,
{
    let mut state = Some(begun);
    let done = until(socket, deadline).turns(Op::Send, |_, turn| {
        let next = match state.take() {
            Some(Err(HandshakeError::Interrupted(middle))) => middle.handshake(),
            Some(result) => result,
            None => Err(HandshakeError::Failure(Error::AlreadyClosed)),
        };
        match next {
            Ok(done) => Io::Ready(Ok(done)),
            Err(HandshakeError::Failure(error)) => Io::Ready(Err(error)),
            Err(HandshakeError::Interrupted(mut middle)) => {
                (turn.wants, turn.progress) = middle.get_mut().get_mut().take();
                state = Some(Err(HandshakeError::Interrupted(middle)));
                Io::WouldBlock
            }
        }
    });
    done.or_timed_out()?
}

/// Sends a message and receives one, at once.
pub fn swap<F: AsFd>(
    socket: &NonBlocking<F>,
    deadline: Deadline,
    web: &mut WebSocket<Wire<'_, F>>,
    message: Message,
) -> Result<Message, Error> {
    let mut outgoing = Some(message);
    let mut incoming = None;
    let done = until(socket, deadline).turns(Op::Send, |_, turn| {
        let mut step = || {
            let sent = match outgoing.take() {
                // It is held where it would block, and sent by `flush`.
                Some(message) => {
                    unless_blocked(web.write(message))?.and(unless_blocked(web.flush())?)
                }
                None => unless_blocked(web.flush())?,
            };
            if incoming.is_none() {
                incoming = unless_blocked(web.read())?;
            }
            Ok::<_, Error>(sent.is_some())
        };
        let sent = match step() {
            Ok(sent) => sent,
            Err(error) => return Io::Ready(Err(error)),
        };
        (turn.wants, turn.progress) = web.get_mut().take();
        match incoming.take() {
            Some(message) if sent => Io::Ready(Ok(message)),
            held => {
                incoming = held;
                Io::WouldBlock
            }
        }
    });
    done.or_timed_out()?
}

fn unless_blocked<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
