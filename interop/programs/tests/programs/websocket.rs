use std::io::{ErrorKind, Read, Result, Write};
use std::thread;

use programs::websocket::{Noting, handshake, swap};
use rustix::net::{Shutdown, shutdown};
use tungstenite::handshake::{HandshakeError, HandshakeRole};
use tungstenite::{Error, Message, WebSocket, accept, client};
use wouldblock::{Deadline, Interest, Io, RecvFlags, SendFlags, until};

use crate::common::{DEADLINE, IDLE, Socket, assert_same, idle, pair, pattern};

const ADDRESS: &str = "ws://localhost/";

/// One byte for each write. (Of reads as short tungstenite suspects an attack.)
#[derive(Debug)]
struct Narrow<S>(S);

impl<S: Read> Read for Narrow<S> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.0.read(buf)
    }
}

impl<S: Write> Write for Narrow<S> {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        self.0.write(&buf[..1])
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

/// One way between two sockets. It is full of bytes that are nobody's, so that there is
/// room for one whenever one is taken out.
struct Relay {
    from: Socket,
    to: Socket,
    fillers: usize,
    /// What has come, and how much of it has been passed on.
    bytes: Vec<u8>,
    passed: usize,
    /// After so many bytes the others are held until all have come.
    cut: usize,
}

impl Relay {
    /// Takes one byte, if there is one.
    fn step(&mut self) {
        let mut byte = [0];
        match self.from.recv(&mut byte, RecvFlags::empty()) {
            Io::Ready(1) if self.fillers > 0 => self.fillers -= 1,
            Io::Ready(1) => {
                self.bytes.push(byte[0]);
                if self.bytes.len() == self.cut || self.bytes.ends_with(b"\r\n\r\n") {
                    let held = &self.bytes[self.passed..];
                    let sent = self.to.send(held, SendFlags::empty());
                    assert_eq!(sent, Io::Ready(held.len()));
                    self.passed = self.bytes.len();
                }
            }
            Io::WouldBlock => {}
            answer => panic!("{answer:?}"),
        }
    }
}

/// A socket without room.
fn full() -> (Socket, Socket, usize) {
    let [ours, theirs] = pair(false, true);
    let fillers = std::iter::repeat_with(|| ours.send(b"-", SendFlags::empty()));
    let fillers = fillers.take_while(|answer| answer.is_ready()).count();
    (ours, theirs, fillers)
}

enum State<R: HandshakeRole> {
    Middle(HandshakeError<R>),
    Done(R::FinalResult),
}

/// A turn; the direction that would have blocked, unless it is done.
fn turn<R, S>(state: State<R>) -> (State<R>, Option<Interest>)
where
    R: HandshakeRole<InternalStream = Noting<S>>,
{
    let next = match state {
        State::Done(_) => return (state, None),
        State::Middle(HandshakeError::Interrupted(middle)) => middle.handshake(),
        State::Middle(failure) => Err(failure),
    };
    match next {
        Ok(done) => (State::Done(done), None),
        Err(HandshakeError::Failure(error)) => panic!("{error}"),
        Err(HandshakeError::Interrupted(mut middle)) => {
            let (blocked, _) = middle.get_mut().get_mut().take();
            let state = State::Middle(HandshakeError::Interrupted(middle));
            (state, Some(blocked))
        }
    }
}

#[test]
fn handshake_that_would_block_at_every_byte_is_completed() {
    let mut cut = 0;
    loop {
        cut += 1;
        let longest = handshake_in_bytes(cut);
        if cut == longest {
            break;
        }
    }
    assert!(cut > 100, "{cut}");
}

/// Completes a handshake of which every byte waits for room, and which has nothing to
/// read for a while after `cut` bytes. Returns how many bytes the longer half has.
fn handshake_in_bytes(cut: usize) -> usize {
    let (ours, ours_relayed, fillers_there) = full();
    let (theirs, theirs_relayed, fillers_back) = full();
    let relay = |from: &Socket, to: &Socket, fillers| Relay {
        from: Socket::new(from.get_ref().try_clone().unwrap()).unwrap(),
        to: Socket::new(to.get_ref().try_clone().unwrap()).unwrap(),
        fillers,
        bytes: Vec::new(),
        passed: 0,
        cut,
    };
    let mut relays = [
        relay(&ours_relayed, &theirs_relayed, fillers_there),
        relay(&theirs_relayed, &ours_relayed, fillers_back),
    ];
    let [ours_wire, theirs_wire] = [&ours, &theirs].map(|s| Noting::new(Narrow(s.std_io())));
    let mut asking = State::Middle(client(ADDRESS, ours_wire).unwrap_err());
    let mut answering = State::Middle(accept(theirs_wire).unwrap_err());
    let mut blocked_writes = [0; 2];
    for _ in 0..10_000 {
        let mut blocked = [None; 2];
        (asking, blocked[0]) = turn(asking);
        (answering, blocked[1]) = turn(answering);
        for i in 0..2 {
            blocked_writes[i] += usize::from(blocked[i] == Some(Interest::WRITABLE));
            // Not before something is written, or there would be room.
            if blocked_writes[i] > 0 {
                relays[i].step();
            }
        }
        if matches!((&asking, &answering), (State::Done(_), State::Done(_))) {
            break;
        }
    }
    let (State::Done((mut web, response)), State::Done(_)) = (asking, answering) else {
        panic!("no end; {blocked_writes:?}")
    };
    assert_eq!(response.status(), 101);
    let nothing = web.read().unwrap_err();
    assert!(matches!(nothing, Error::Io(error) if error.kind() == ErrorKind::WouldBlock));
    let lengths = relays.map(|relay| relay.bytes.len());
    assert!(
        blocked_writes >= lengths,
        "{blocked_writes:?} of {lengths:?}"
    );
    lengths.into_iter().max().unwrap()
}

/// A message larger than all buffers, both ways at once, and then the closing handshake.
#[test]
fn swap_of_large_messages_delivers_both() {
    for (tcp, small) in [(false, true), (false, false), (true, true), (true, false)] {
        let [ours, theirs] = pair(tcp, small);
        let length = if small { 1 << 20 } else { 12 << 20 };
        let messages = [1, 2].map(|seed| pattern(seed, length));
        let deadline = Deadline::after(DEADLINE);
        thread::scope(|scope| {
            let server = scope.spawn(|| {
                let begun = accept(Noting::new(theirs.std_io()));
                let mut web = handshake(&theirs, deadline, begun).unwrap();
                let message = Message::binary(messages[1].clone());
                let came = swap(&theirs, deadline, &mut web, message).unwrap();
                assert_same(&came.into_data(), &messages[0]);
            });
            let begun = client(ADDRESS, Noting::new(ours.std_io()));
            let (mut web, _) = handshake(&ours, deadline, begun).unwrap();
            let message = Message::binary(messages[0].clone());
            let came = swap(&ours, deadline, &mut web, message).unwrap();
            assert_same(&came.into_data(), &messages[1]);
            server.join().unwrap();
        });
    }
}

#[test]
fn handshake_with_a_peer_that_stalls_or_leaves_ends() {
    let [ours, theirs] = pair(true, false);
    let begun = accept(Noting::new(theirs.std_io()));
    let error = idle(|| handshake(&theirs, Deadline::after(IDLE), begun)).unwrap_err();
    assert!(matches!(error, Error::Io(error) if error.kind() == ErrorKind::TimedOut));

    let begun = accept(Noting::new(theirs.std_io()));
    shutdown(&ours, Shutdown::Write).unwrap();
    let error = handshake(&theirs, Deadline::after(DEADLINE), begun).unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
}

/// tungstenite's own blocking calls, under one deadline.
#[test]
fn conversation_over_blocking_streams_ends_by_itself_or_on_time() {
    let [ours, theirs] = pair(true, true);
    let text = pattern(3, 1 << 20);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut web = accept(until(&theirs, DEADLINE).std_io()).unwrap();
            let message = web.read().unwrap();
            web.send(message).unwrap();
            assert!(web.read().unwrap().is_close());
            assert!(matches!(web.read(), Err(Error::ConnectionClosed)));
        });
        let (mut web, _): (WebSocket<_>, _) =
            client(ADDRESS, until(&ours, DEADLINE).std_io()).unwrap();
        web.send(Message::binary(text.clone())).unwrap();
        assert_same(&web.read().unwrap().into_data(), &text);
        // Nothing more comes: the deadline is the end, and the connection lives on.
        web.get_mut().set_deadline(IDLE);
        let error = idle(|| web.read()).unwrap_err();
        assert!(matches!(error, Error::Io(error) if error.kind() == ErrorKind::TimedOut));
        web.get_mut().set_deadline(DEADLINE);
        web.close(None).unwrap();
        assert!(web.read().unwrap().is_close());
    });
}
