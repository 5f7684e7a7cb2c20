//! A forwarding proxy for TCP and Unix sockets: `proxy LISTEN TARGET`, where an
//! address is `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`. One thread, plain
//! `poll`, a fixed amount of memory for each connection.
//!
//! It prints the address it listens on. SIGTERM ends the listening; what is
//! connected goes on to its end, then the program prints what it did.
//!
//! Each branch that is there because of a fact of non-blocking I/O names the fact.

use std::io::{Error, Result};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::net::addr::SocketAddrArg;
use rustix::net::{Shutdown, SocketAddrAny, SocketAddrUnix, SocketType, shutdown, sockopt};
use wouldblock::{
    AddressFamily, AsFd, BorrowedFd, Deadline, Errno, Growable, Interest, Io, Key, Op, Outcome,
    OwnedFd, PollSet, RecvFlags, SendFlags, accept, connect, finish_connect, recv, send_all,
    socket,
};

/// How much of one direction is held while its receiver does not read.
const BUFFER: usize = 64 * 1024;
/// How often one connection may fill its buffer before others have their turn.
const ROUNDS: usize = 8;
/// The pause after something ran out of which no event tells when there is more.
const PAUSE: Duration = Duration::from_millis(20);

type Set = PollSet<OwnedFd, Who, Growable>;

/// Whose descriptor it is.
#[derive(Clone, Copy)]
enum Who {
    Listener,
    Signal,
    End { pair: usize },
}

/// One direction: bytes that came from one end and have not gone to the other.
struct Half {
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
    passed_on: bool,
}

/// A descriptor that waits for something, or one that waits for nothing. The
/// latter is kept out of the set: poll reports a hang-up even to who asked for
/// nothing, at once and for ever.
enum End {
    Watched(Key, Interest),
    Parked(Option<OwnedFd>),
}

enum Phase {
    /// The target's backlog was full; no event tells when it has room.
    Again,
    Connecting,
    Open,
}

/// A client (end 0) and its connection to the target (end 1). Half 0 goes from the
/// client to the target.
struct Pair {
    ends: [End; 2],
    halves: [Half; 2],
    phase: Phase,
}

#[derive(Default)]
struct Statistics {
    connections: u64,
    bytes: [u64; 2],
    would_blocks: u64,
    longest_wait: Duration,
}

struct Proxy {
    set: Set,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    /// Out of the set while descriptors are short, or for good after SIGTERM.
    listener: Option<OwnedFd>,
    draining: bool,
    target: SocketAddrAny,
    statistics: Statistics,
}

impl Half {
    fn new() -> Self {
        let buf = vec![0; BUFFER].into_boxed_slice();
        Self {
            buf,
            start: 0,
            end: 0,
            ended: false,
            passed_on: false,
        }
    }

    /// Moves bytes until a call would block, and says what each end waits for.
    /// `Ok(None)` if this direction is done.
    fn pump(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        statistics: (&mut u64, &mut u64),
    ) -> core::result::Result<Option<(Interest, Interest)>, Errno> {
        let (bytes, would_blocks) = statistics;
        for _ in 0..ROUNDS {
            // What is held goes first: while the receiver does not read, the sender
            // is not read from either, and its own kernel will hold it back.
            let mut rest = &self.buf[self.start..self.end];
            let sent = send_all(to, &mut rest, SendFlags::empty());
            *bytes += (self.end - self.start - rest.len()) as u64;
            self.start = self.end - rest.len();
            match sent {
                Io::Ready(()) => {}
                Io::WouldBlock => {
                    *would_blocks += 1;
                    return Ok(Some((Interest::empty(), Interest::WRITABLE)));
                }
                // ENOBUFS and ENOMEM: level-triggered poll asks again at once, but
                // the bytes are safe; give the others a turn first.
                Io::Err(errno) if Op::Send.outcome(errno) == Outcome::BackOff => {
                    std::thread::sleep(Duration::from_millis(1));
                    return Ok(Some((Interest::empty(), Interest::WRITABLE)));
                }
                Io::Err(errno) => return Err(errno),
            }
            if self.ended {
                // The end of file of one side is passed on, and no more than that:
                // the other direction may go on for hours.
                if !self.passed_on {
                    self.passed_on = true;
                    // ENOTCONN if the receiver has gone meanwhile, which its own
                    // direction reports.
                    let _ = shutdown(to, Shutdown::Write);
                }
                return Ok(None);
            }
            match recv(from, &mut self.buf, RecvFlags::empty()) {
                Io::Ready(0) => self.ended = true,
                Io::Ready(n) => (self.start, self.end) = (0, n),
                Io::WouldBlock => {
                    *would_blocks += 1;
                    return Ok(Some((Interest::READABLE, Interest::empty())));
                }
                Io::Err(errno) => return Err(errno),
            }
        }
        // Enough for one turn. Whatever is ready is reported again.
        if self.start < self.end {
            return Ok(Some((Interest::empty(), Interest::WRITABLE)));
        }
        Ok(Some((Interest::READABLE, Interest::empty())))
    }
}

impl Proxy {
    fn run(&mut self) -> Result<()> {
        while !self.draining || self.pairs.iter().any(Option::is_some) {
            let parked = self.listener.is_some() && !self.draining;
            let again = |pair: &Option<Pair>| {
                matches!(
                    pair,
                    Some(Pair {
                        phase: Phase::Again,
                        ..
                    })
                )
            };
            let retries = self.pairs.iter().any(again);
            let pause = (parked || retries).then_some(PAUSE);
            let start = Instant::now();
            self.set
                .select(Deadline::from(pause))
                .into_io_result()
                .or_else(|error| {
                    // Nothing became ready within the pause: time to try again.
                    if pause.is_some() { Ok(0) } else { Err(error) }
                })?;
            let waited = start.elapsed();
            self.statistics.longest_wait = self.statistics.longest_wait.max(waited);
            while let Some((key, _)) = self.set.next_ready() {
                match self.set.get(key).map(|entry| *entry.data) {
                    Some(Who::Listener) => self.accept_all(key)?,
                    Some(Who::Signal) => self.drain(key),
                    Some(Who::End { pair }) => self.go_on(pair),
                    None => {}
                }
            }
            if retries {
                let waiting = (0..self.pairs.len()).filter(|&i| again(&self.pairs[i]));
                for pair in waiting.collect::<Vec<_>>() {
                    self.dial(pair);
                }
            }
            if parked {
                if let Some(listener) = self.listener.take() {
                    self.watch_listener(listener)?;
                }
            }
        }
        Ok(())
    }

    fn watch_listener(&mut self, listener: OwnedFd) -> Result<()> {
        let added = self
            .set
            .register(listener, Interest::READABLE, Who::Listener);
        added.map(drop).map_err(Error::other)
    }

    fn accept_all(&mut self, key: Key) -> Result<()> {
        loop {
            // The descriptor for the target comes first: if there is none, the
            // client stays in the queue, and nobody is turned away.
            let server = socket(self.target.address_family(), SocketType::STREAM, None);
            let accepted = match (&server, self.set.get(key)) {
                (Ok(_), Some(listener)) => accept(listener.fd),
                (Err(errno), _) => Io::Err(*errno),
                (_, None) => return Ok(()),
            };
            match (accepted, server) {
                (Io::Ready(client), Ok(server)) => self.open(client, server),
                (Io::WouldBlock, _) => {
                    self.statistics.would_blocks += 1;
                    return Ok(());
                }
                (Io::Err(errno), _) => match Op::Accept.outcome(errno) {
                    Outcome::TryNext => {}
                    // The listener stays readable while descriptors are short:
                    // watching it would burn a processor.
                    Outcome::BackOff => {
                        self.listener = self.set.unregister(key).ok().map(|(fd, _)| fd);
                        return Ok(());
                    }
                    _ => return Err(errno.into()),
                },
                (Io::Ready(_), Err(errno)) => return Err(errno.into()),
            }
        }
    }

    fn open(&mut self, client: OwnedFd, server: OwnedFd) {
        for fd in [&client, &server] {
            // Small writes are passed on as they come. A Unix socket refuses.
            let _ = sockopt::set_tcp_nodelay(fd, true);
        }
        let index = self.free.pop().unwrap_or(self.pairs.len());
        if index == self.pairs.len() {
            self.pairs.push(None);
        }
        self.pairs[index] = Some(Pair {
            ends: [client, server].map(|fd| End::Parked(Some(fd))),
            halves: [Half::new(), Half::new()],
            phase: Phase::Again,
        });
        self.statistics.connections += 1;
        self.dial(index);
    }

    /// Starts the connection to the target.
    fn dial(&mut self, index: usize) {
        let Some(Some(pair)) = self.pairs.get_mut(index) else {
            return;
        };
        let answer = connect(pair.ends[1].fd(&self.set), &self.target);
        let op = if self.target.address_family() == AddressFamily::UNIX {
            Op::ConnectUnix
        } else {
            Op::Connect
        };
        match answer {
            Io::Ready(()) => {
                pair.phase = Phase::Open;
                self.go_on(index);
            }
            Io::WouldBlock => {
                pair.phase = Phase::Connecting;
                self.wait_for(index, [Interest::empty(), Interest::WRITABLE]);
            }
            // Nothing was started and the socket may be used again, but it polls
            // as ready at once: on a timer, then.
            Io::Err(errno) if op.outcome(errno) == Outcome::BackOff => {}
            Io::Err(_) => self.close(index),
        }
    }

    fn go_on(&mut self, index: usize) {
        let Some(Some(pair)) = self.pairs.get_mut(index) else {
            return;
        };
        if let Phase::Connecting = pair.phase {
            // Some systems report a failed attempt as writable, some as hung up:
            // only the socket itself knows.
            match finish_connect(pair.ends[1].fd(&self.set)) {
                Io::Ready(()) => pair.phase = Phase::Open,
                Io::WouldBlock => return,
                Io::Err(_) => return self.close(index),
            }
        }
        let (client, server) = (pair.ends[0].fd(&self.set), pair.ends[1].fd(&self.set));
        let [up, down] = &mut pair.halves;
        let Statistics {
            bytes: [sent, received],
            would_blocks,
            ..
        } = &mut self.statistics;
        let up = up.pump(client, server, (sent, &mut *would_blocks));
        let down = down.pump(server, client, (received, would_blocks));
        match (up, down) {
            (Ok(None), Ok(None)) => self.close(index),
            (Ok(up), Ok(down)) => {
                let (client_in, server_out) = up.unwrap_or_default();
                let (server_in, client_out) = down.unwrap_or_default();
                self.wait_for(index, [client_in | client_out, server_in | server_out]);
            }
            // One side was reset. Closing with unread bytes resets the other.
            (Err(_), _) | (_, Err(_)) => self.close(index),
        }
    }

    /// Watches the two ends of a pair for what they wait for, if anything.
    fn wait_for(&mut self, index: usize, interests: [Interest; 2]) {
        let Some(Some(pair)) = self.pairs.get_mut(index) else {
            return;
        };
        for (end, interest) in interests.into_iter().enumerate() {
            let who = Who::End { pair: index };
            match &mut pair.ends[end] {
                End::Watched(_, before) if *before == interest => {}
                End::Watched(key, _) if interest.is_empty() => {
                    let taken = self.set.unregister(*key).ok();
                    pair.ends[end] = End::Parked(taken.map(|(fd, _)| fd));
                }
                End::Watched(key, before) => {
                    *before = interest;
                    let _known = self.set.modify(*key, interest);
                }
                End::Parked(_) if interest.is_empty() => {}
                End::Parked(fd) => {
                    let added = fd.take().map(|fd| self.set.register(fd, interest, who));
                    if let Some(Ok(key)) = added {
                        pair.ends[end] = End::Watched(key, interest);
                    }
                }
            }
        }
    }

    fn close(&mut self, index: usize) {
        let Some(pair) = self.pairs.get_mut(index).and_then(Option::take) else {
            return;
        };
        for end in pair.ends {
            if let End::Watched(key, _) = end {
                drop(self.set.unregister(key));
            }
        }
        self.free.push(index);
    }

    /// After SIGTERM: no new connections; what there is goes on to its end.
    fn drain(&mut self, signal: Key) {
        self.draining = true;
        self.listener = None;
        drop(self.set.unregister(signal));
        let listener = self
            .set
            .iter()
            .find(|entry| matches!(entry.data, Who::Listener));
        if let Some(key) = listener.map(|entry| entry.key) {
            drop(self.set.unregister(key));
        }
    }
}

impl End {
    fn fd<'a>(&'a self, set: &'a Set) -> BorrowedFd<'a> {
        match self {
            Self::Watched(key, _) => set
                .get(*key)
                .expect("a watched end is in the set")
                .fd
                .as_fd(),
            Self::Parked(fd) => fd
                .as_ref()
                .expect("a parked end has its descriptor")
                .as_fd(),
        }
    }
}

fn listen(address: &str) -> Result<(OwnedFd, String)> {
    if let Some(path) = address.strip_prefix("unix:") {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        return Ok((listener.into(), address.into()));
    }
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let name = listener.local_addr()?.to_string();
    Ok((listener.into(), name))
}

fn target(address: &str) -> Result<SocketAddrAny> {
    match address.strip_prefix("unix:") {
        Some(path) => Ok(SocketAddrUnix::new(path)?.as_any()),
        None => Ok(address
            .parse::<SocketAddr>()
            .map_err(Error::other)?
            .as_any()),
    }
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        return Err(Error::other("usage: proxy LISTEN TARGET"));
    };
    let (listener, name) = listen(from)?;
    // The signal becomes a byte in a socket, and the byte wakes the wait.
    let (signal, raise) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, raise)?;
    let mut proxy = Proxy {
        set: Set::new(),
        pairs: Vec::new(),
        free: Vec::new(),
        listener: None,
        draining: false,
        target: target(to)?,
        statistics: Statistics::default(),
    };
    proxy.watch_listener(listener)?;
    let added = proxy
        .set
        .register(signal.into(), Interest::READABLE, Who::Signal);
    added.map_err(Error::other)?;
    println!("{name}");
    let result = proxy.run();
    let Statistics {
        connections,
        bytes,
        would_blocks,
        longest_wait,
    } = proxy.statistics;
    println!(
        "{connections} connections, {} bytes to the target, {} back, {would_blocks} would-blocks, \
         longest wait {longest_wait:.1?}",
        bytes[0], bytes[1],
    );
    result
}
