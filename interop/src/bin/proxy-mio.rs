//! The proxy of `examples/proxy.rs` on mio, for thousands of connections: `proxy-mio LISTEN
//! TARGET`, TCP alone. mio tells who is ready, this crate makes the calls.
//!
//! mio tells once of what has become ready, so each call is made until it would block; a
//! pair that others have to wait for goes on later by itself. It is simpler than that one:
//! an error on either side resets both at once.

use std::io::{Error, ErrorKind, Result};
use std::mem::take;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::net::sockopt::set_socket_linger;
use wouldblock::{
    AddressFamily, Io, Op, Outcome, OwnedFd, RecvFlags, SendFlags, SocketType, accept, connect,
    finish_connect, recv, send_all, socket,
};

const LISTENER: Token = Token(usize::MAX);
const BUFFER: usize = 64 * 1024;
/// How often bytes are moved for one direction before others have their turn.
const ROUNDS: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// One direction.
#[derive(Default)]
struct Half {
    /// What came and was not taken: only of a slow receiver.
    held: Vec<u8>,
    /// Nothing more comes.
    is_over: bool,
    /// mio has told so: a short count is followed by the end, of which it does not tell
    /// again.
    is_closing: bool,
}

/// A client (end 0) and its connection to the target (end 1). Half 0 comes from end 0.
struct Pair {
    ends: [TcpStream; 2],
    halves: [Half; 2],
    is_connected: bool,
    /// In the list of those that go on.
    is_listed: bool,
}

struct Proxy {
    poll: Poll,
    listener: TcpListener,
    target: SocketAddr,
    /// For the next client's connection to the target.
    server: Option<OwnedFd>,
    pairs: Vec<Option<Pair>>,
    unused: Vec<usize>,
    /// Those that stopped for the sake of others.
    going_on: Vec<usize>,
    /// What everybody receives into.
    buf: Box<[u8]>,
}

impl Half {
    /// Moves bytes until a call would block. True if there may be more to do.
    fn pump(&mut self, from: &TcpStream, to: &TcpStream, buf: &mut [u8]) -> Io<bool> {
        for _ in 0..ROUNDS {
            let mut rest = &self.held[..];
            let sent = send_all(to, &mut rest, SendFlags::empty());
            let n = self.held.len() - rest.len();
            self.held.drain(..n);
            // While the receiver does not read, the sender is not read from either.
            if sent != Io::Ready(()) {
                return sent.map(|()| false);
            }
            if self.is_over {
                return Io::Ready(false);
            }
            let n = match recv(from, buf, RecvFlags::empty()) {
                Io::Ready(n) => n,
                other => return other.map(|_| false),
            };
            if n == 0 {
                self.is_over = true;
                // ENOTCONN: it has gone, as its own direction will report.
                let _ = to.shutdown(Shutdown::Write);
                return Io::Ready(false);
            }
            let mut rest = &buf[..n];
            let sent = send_all(to, &mut rest, SendFlags::empty());
            if sent != Io::Ready(()) {
                self.held.extend_from_slice(rest);
                return sent.map(|()| false);
            }
            // A short count: there is no more now, and a call that would block is saved.
            if n < buf.len() && !self.is_closing {
                return Io::Ready(false);
            }
        }
        Io::Ready(true)
    }
}

impl Pair {
    /// Goes on in these halves. True if there may be more to do.
    fn go_on(&mut self, which: [bool; 2], buf: &mut [u8]) -> Io<bool> {
        let mut more = false;
        for way in (0..2).filter(|&way| which[way]) {
            let [from, to] = [&self.ends[way], &self.ends[1 - way]];
            match self.halves[way].pump(from, to, buf) {
                Io::Ready(again) => more |= again,
                Io::WouldBlock => {}
                Io::Err(errno) => return Io::Err(errno),
            }
        }
        Io::Ready(more)
    }

    fn is_over(&self) -> bool {
        let mut halves = self.halves.iter();
        halves.all(|half| half.is_over && half.held.is_empty())
    }
}

impl Proxy {
    fn run(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        // Clients may be left in the queue, of which mio does not tell again.
        let mut are_left = false;
        loop {
            let pause = match (self.going_on.is_empty(), are_left) {
                (false, _) => Some(Duration::ZERO),
                (true, true) => Some(PAUSE),
                (true, false) => None,
            };
            match self.poll.poll(&mut events, pause) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            let going_on = take(&mut self.going_on);
            for event in &events {
                let Token(number) = event.token();
                let (index, end) = (number / 2, number % 2);
                let Some(Some(pair)) = self.pairs.get_mut(index) else {
                    are_left |= event.token() == LISTENER;
                    continue;
                };
                pair.halves[end].is_closing |= event.is_read_closed();
                // It is nearly always writable, and told so beside all else.
                let is_held = !pair.halves[1 - end].held.is_empty();
                let mut which = [false; 2];
                which[end] = event.is_readable();
                which[1 - end] = event.is_writable() && is_held;
                if !pair.is_connected {
                    if end == 0 {
                        continue;
                    }
                    which = [true; 2];
                }
                self.serve(index, which);
            }
            for index in going_on {
                if let Some(pair) = &mut self.pairs[index] {
                    pair.is_listed = false;
                    self.serve(index, [true; 2]);
                }
            }
            // Last, so that no event of before is taken for one of a new pair.
            if are_left {
                are_left = self.accept_some()?;
            }
        }
    }

    fn serve(&mut self, index: usize, which: [bool; 2]) {
        let Some(Some(pair)) = self.pairs.get_mut(index) else {
            return;
        };
        let answer = match pair.is_connected {
            true => pair.go_on(which, &mut self.buf),
            false => finish_connect(&pair.ends[1]).and_then(|()| {
                pair.is_connected = true;
                pair.go_on([true; 2], &mut self.buf)
            }),
        };
        match answer {
            Io::Ready(true) if !pair.is_listed => {
                pair.is_listed = true;
                self.going_on.push(index);
            }
            Io::Ready(_) if pair.is_over() => self.close(index, false),
            Io::Ready(_) | Io::WouldBlock => {}
            Io::Err(_) => self.close(index, true),
        }
    }

    /// True if some may be left.
    fn accept_some(&mut self) -> Result<bool> {
        loop {
            match self.accept_one() {
                Io::Ready(()) => {}
                Io::WouldBlock => return Ok(false),
                Io::Err(errno) => match Op::Accept.outcome(errno) {
                    Outcome::TryNext => {}
                    Outcome::BackOff => return Ok(true),
                    _ => return Err(errno.into()),
                },
            }
        }
    }

    fn accept_one(&mut self) -> Io<()> {
        let family = match self.target {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        // The descriptor for the target comes first: if there is none, the client stays in
        // the queue.
        let server = match self.server.take() {
            Some(server) => Ok(server),
            None => socket(family, SocketType::STREAM, None),
        };
        let server = match server {
            Ok(server) => server,
            Err(errno) => return Io::Err(errno),
        };
        match accept(&self.listener) {
            Io::Ready(client) => self.open([client, server].map(TcpStream::from)),
            other => {
                self.server = Some(server);
                other.map(drop)
            }
        }
    }

    fn open(&mut self, ends: [TcpStream; 2]) -> Io<()> {
        let index = self.unused.pop().unwrap_or(self.pairs.len());
        for (end, stream) in ends.iter().enumerate() {
            // Small writes are passed on as they come.
            let _ = stream.set_nodelay(true);
            if register(self.poll.registry(), stream, 2 * index + end).is_err() {
                // No memory for it: this one is turned away.
                self.unused.push(index);
                return Io::Ready(());
            }
        }
        let answer = connect(&ends[1], &self.target);
        let pair = Pair {
            ends,
            halves: Default::default(),
            is_connected: answer.is_ready(),
            is_listed: false,
        };
        if index == self.pairs.len() {
            self.pairs.push(None);
        }
        self.pairs[index] = Some(pair);
        match answer {
            Io::Ready(()) => self.serve(index, [true; 2]),
            Io::WouldBlock => {}
            Io::Err(_) => self.close(index, true),
        }
        Io::Ready(())
    }

    fn close(&mut self, index: usize, is_reset: bool) {
        let Some(pair) = self.pairs[index].take() else {
            return;
        };
        self.unused.push(index);
        for end in &pair.ends {
            let _ = (self.poll.registry()).deregister(&mut SourceFd(&end.as_raw_fd()));
            if is_reset {
                // An end of file would make a whole message of half of one.
                let _ = set_socket_linger(end, Some(Duration::ZERO));
            }
        }
    }
}

fn register(registry: &Registry, stream: &TcpStream, number: usize) -> Result<()> {
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut SourceFd(&stream.as_raw_fd()), Token(number), both)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: proxy-mio LISTEN TARGET"));
    };
    let target = to.to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
    let listener = TcpListener::bind(from)?;
    listener.set_nonblocking(true)?;
    let poll = Poll::new()?;
    let mut source = SourceFd(&listener.as_raw_fd());
    let registry = poll.registry();
    registry.register(&mut source, LISTENER, Interest::READABLE)?;
    println!("{}", listener.local_addr()?);
    let mut proxy = Proxy {
        poll,
        listener,
        target,
        server: None,
        pairs: Vec::new(),
        unused: Vec::new(),
        going_on: Vec::new(),
        buf: vec![0; BUFFER].into(),
    };
    proxy.run()
}
