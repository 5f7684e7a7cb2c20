//! A forwarding proxy for TCP and Unix sockets: `proxy LISTEN TARGET`, where an
//! address is `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`. One thread, plain
//! `poll`, a fixed amount of memory for each connection.
//!
//! It prints the address it listens on. SIGTERM ends the listening; what is
//! connected goes on to its end, then the program prints what it did. Each branch
//! that is there because of a fact of non-blocking I/O names the fact.

use std::collections::HashMap;
use std::io::{Error, Result};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::addr::SocketAddrArg;
use rustix::net::{Shutdown, SocketAddrAny, SocketAddrUnix, SocketType, shutdown, sockopt};
use wouldblock::{
    AddressFamily, Deadline, Errno, Growable, Interest, Io, Key, Op, Outcome, OwnedFd, PollSet,
    RecvFlags, SendFlags, accept, connect, finish_connect, recv, send_all, set_nonblocking, socket,
};

/// How much of one direction is held while its receiver does not read.
const BUFFER: usize = 64 * 1024;
/// How often something is done for one descriptor before others have their turn.
const ROUNDS: usize = 8;
/// The pause after something ran out of which no event tells when there is more.
const PAUSE: Duration = Duration::from_millis(20);

type Set = PollSet<Rc<OwnedFd>, Who, Growable>;

/// Whose descriptor it is.
#[derive(Clone, Copy)]
enum Who {
    Listener,
    Signal,
    /// Of a pair: 0 is the client, 1 the target.
    End(u64, usize),
}

/// A descriptor, and its key while it waits. One that waits for nothing is not in the
/// set: poll reports a hang-up even to who asked for nothing, at once and for ever.
struct End {
    fd: Rc<OwnedFd>,
    key: Option<Key>,
}

/// One direction: what came from one end and has not gone to the other.
#[derive(Default)]
struct Half {
    buf: Box<[u8]>,
    held: std::ops::Range<usize>,
    over: bool,
    /// The kernel is short of memory; no event tells when it has some.
    paused: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing was started, or the backlog was full: no event tells when it is not.
    Idle,
    Connecting,
    Open,
}

/// A client and its connection to the target. Half 0 goes from the client (end 0)
/// to the target (end 1), half 1 comes back.
struct Pair {
    ends: [End; 2],
    halves: [Half; 2],
    phase: Phase,
}

/// What all pairs share.
#[derive(Default)]
struct Shared {
    /// What everybody receives into.
    spare: Box<[u8]>,
    /// Of pairs that are gone: clearing new ones would take memory, idle or not.
    unused: Vec<Box<[u8]>>,
    connections: u64,
    /// To the target, and back.
    bytes: [u64; 2],
    would_blocks: u64,
}

struct Proxy {
    set: Set,
    pairs: HashMap<u64, Pair>,
    /// None after SIGTERM.
    listener: Option<End>,
    target: SocketAddrAny,
    /// For the next client's connection to the target.
    server: Option<OwnedFd>,
    /// When to try again what no event announces.
    again: Deadline,
    shared: Shared,
}

impl Half {
    /// Moves bytes until a call would block, or it is somebody else's turn. An error
    /// is the end of both directions.
    fn pump(&mut self, from: &End, to: &End, shared: &mut Shared, way: usize) -> Io<()> {
        let mut short = false;
        for _ in 0..ROUNDS {
            // What is held goes first: while the receiver does not read, the sender
            // is not read from either, and its own kernel will hold it back.
            let mut rest = &self.buf[self.held.clone()];
            let sent = send_all(&to.fd, &mut rest, SendFlags::empty());
            shared.bytes[way] += (self.held.len() - rest.len()) as u64;
            self.held.start = self.held.end - rest.len();
            // ENOBUFS and ENOMEM: poll would say that there is room.
            let outcome = sent.err().map(|errno| Op::Send.outcome(errno));
            self.paused = outcome == Some(Outcome::BackOff);
            match sent {
                Io::Ready(()) if self.held.end > 0 => {
                    core::mem::swap(&mut self.buf, &mut shared.spare);
                    self.held = 0..0;
                }
                Io::Ready(()) => {}
                // The receiver takes no more; what it has sent is still to be read.
                Io::Err(Errno::PIPE) => (self.held, self.over) = (0..0, true),
                Io::Err(_) if self.paused => return Io::Ready(()),
                stopped => return stopped,
            }
            // A short count: there is no more now, and a call that would block is saved.
            if self.over || short {
                return Io::Ready(());
            }
            match recv(&from.fd, &mut shared.spare, RecvFlags::empty()) {
                // The end of file of one side is passed on, and no more than that:
                // the other direction may go on for hours.
                Io::Ready(0) => {
                    self.over = true;
                    // ENOTCONN: it has gone, as its own direction will report.
                    let _ = shutdown(&to.fd, Shutdown::Write);
                }
                Io::Ready(n) => {
                    // Swapped back when all is sent: one buffer, warm in the cache,
                    // serves all, and only the slow touch their own.
                    core::mem::swap(&mut self.buf, &mut shared.spare);
                    self.held = 0..n;
                    short = n < BUFFER;
                }
                stopped => return stopped.map(drop),
            }
        }
        Io::Ready(())
    }
}

impl Pair {
    /// Whether it waits for something that no event announces.
    fn is_stuck(&self) -> bool {
        self.phase == Phase::Idle || self.halves.iter().any(|half| half.paused)
    }

    fn interests(&self) -> [Interest; 2] {
        let mut interests = [Interest::empty(); 2];
        for (from, half) in self.halves.iter().enumerate() {
            match self.phase {
                Phase::Idle => {}
                Phase::Connecting => interests[1] = Interest::WRITABLE,
                Phase::Open if half.over || half.paused => {}
                Phase::Open if half.held.is_empty() => interests[from] |= Interest::READABLE,
                Phase::Open => interests[1 - from] |= Interest::WRITABLE,
            }
        }
        interests
    }
}

impl End {
    fn new(fd: OwnedFd) -> Self {
        let fd = Rc::new(fd);
        Self { fd, key: None }
    }

    fn wait_for(&mut self, set: &mut Set, interest: Interest, who: Who) {
        self.key = match self.key {
            Some(key) if interest.is_empty() => set.unregister(key).err().map(|_| key),
            Some(key) => set.modify(key, interest).ok().map(|()| key),
            None if interest.is_empty() => None,
            None => set.register(Rc::clone(&self.fd), interest, who).ok(),
        };
    }
}

impl Proxy {
    fn run(&mut self) -> Result<Duration> {
        let mut longest_wait = Duration::ZERO;
        while self.listener.is_some() || !self.pairs.is_empty() {
            let start = Instant::now();
            self.set.select(self.again).into_result()?;
            longest_wait = longest_wait.max(start.elapsed());
            while let Some((key, ready)) = self.set.next_ready() {
                let found = self.set.get(key);
                match found.map(|entry| (*entry.data, Rc::clone(entry.fd))) {
                    Some((Who::Listener, fd)) => self.accept_some(&fd)?,
                    // No new connections; what there is goes on to its end.
                    Some((Who::Signal, _)) => {
                        drop(self.set.unregister(key));
                        self.watch_listener(Interest::empty());
                        self.listener = None;
                    }
                    Some((Who::End(pair, end), _)) => {
                        // Half 0 is read from end 0, and half 1 is written to it.
                        let mut halves = [ready.is_readable(), ready.is_writable()];
                        halves.rotate_left(end);
                        self.go_on(pair, halves);
                    }
                    None => {}
                }
            }
            // On time, however many events there are meanwhile.
            if self.again.has_passed() {
                self.again = Deadline::never();
                self.watch_listener(Interest::READABLE);
                let stuck = self.pairs.iter().filter(|(_, pair)| pair.is_stuck());
                for pair in stuck.map(|(&id, _)| id).collect::<Vec<_>>() {
                    self.go_on(pair, [true; 2]);
                }
            }
        }
        Ok(longest_wait)
    }

    fn watch_listener(&mut self, interest: Interest) {
        if let Some(listener) = &mut self.listener {
            listener.wait_for(&mut self.set, interest, Who::Listener);
        }
    }

    fn accept_some(&mut self, listener: &OwnedFd) -> Result<()> {
        // More than for others: each turn is longer by those who were let in.
        for _ in 0..8 * ROUNDS {
            // The descriptor for the target comes first: if there is none, the
            // client stays in the queue, and nobody is turned away.
            let family = self.target.address_family();
            let server = match self.server {
                Some(_) => Ok(()),
                None => socket(family, SocketType::STREAM, None).map(|fd| self.server = Some(fd)),
            };
            let answer = server.map_or_else(Io::Err, |()| accept(listener));
            self.shared.would_blocks += u64::from(answer.is_would_block());
            match answer {
                Io::Ready(client) => self.open(client),
                Io::WouldBlock => break,
                Io::Err(errno) => match Op::Accept.outcome(errno) {
                    // A client that gave up while it was queued.
                    Outcome::TryNext => {}
                    // The listener stays readable while descriptors are short:
                    // watching it would burn a processor.
                    Outcome::BackOff => {
                        self.again = self.again.min(Deadline::after(PAUSE));
                        self.watch_listener(Interest::empty());
                        break;
                    }
                    _ => return Err(errno.into()),
                },
            }
        }
        Ok(())
    }

    fn open(&mut self, client: OwnedFd) {
        let Some(server) = self.server.take() else {
            return;
        };
        for fd in [&client, &server] {
            // Small writes are passed on as they come. A Unix socket refuses.
            let _ = sockopt::set_tcp_nodelay(fd, true);
        }
        let unused = &mut self.shared.unused;
        let pair = Pair {
            ends: [client, server].map(End::new),
            halves: [(); 2].map(|()| Half {
                buf: unused.pop().unwrap_or_else(|| vec![0; BUFFER].into()),
                ..Half::default()
            }),
            phase: Phase::Idle,
        };
        self.shared.connections += 1;
        self.pairs.insert(self.shared.connections, pair);
        self.go_on(self.shared.connections, [true; 2]);
    }

    /// Does what can be done for a pair now, in the halves that are named.
    fn go_on(&mut self, id: u64, which: [bool; 2]) {
        let Some(pair) = self.pairs.get_mut(&id) else {
            return;
        };
        let server = &pair.ends[1].fd;
        if pair.phase != Phase::Open {
            let answer = match pair.phase {
                // Systems differ in how a failed attempt polls: ask the socket.
                Phase::Connecting => finish_connect(server),
                _ => connect(server, &self.target),
            };
            let op = match self.target.address_family() {
                AddressFamily::UNIX => Op::ConnectUnix,
                _ => Op::Connect,
            };
            let outcome = answer.err().map(|errno| op.outcome(errno));
            match answer {
                Io::Ready(()) => pair.phase = Phase::Open,
                Io::WouldBlock => pair.phase = Phase::Connecting,
                // Nothing was started and the socket may be used again, but it
                // polls as ready at once: on a timer, then.
                Io::Err(_) if outcome == Some(Outcome::BackOff) => {}
                Io::Err(_) => return self.close(id, true),
            }
        }
        if pair.phase == Phase::Open {
            let mut failed = false;
            for way in (0..2).filter(|&way| which[way]) {
                let (from, to) = (&pair.ends[way], &pair.ends[1 - way]);
                let answer = pair.halves[way].pump(from, to, &mut self.shared, way);
                self.shared.would_blocks += u64::from(answer.is_would_block());
                failed |= answer.is_err();
            }
            if failed || pair.halves.iter().all(|half| half.over) {
                return self.close(id, failed);
            }
        }
        for (end, interest) in pair.interests().into_iter().enumerate() {
            pair.ends[end].wait_for(&mut self.set, interest, Who::End(id, end));
        }
        if pair.is_stuck() {
            self.again = self.again.min(Deadline::after(PAUSE));
        }
    }

    fn close(&mut self, id: u64, reset: bool) {
        let Some(pair) = self.pairs.remove(&id) else {
            return;
        };
        self.shared.unused.extend(pair.halves.map(|half| half.buf));
        for mut end in pair.ends {
            if reset {
                // An end of file instead would make a whole message of half of one.
                let _ = sockopt::set_socket_linger(&end.fd, Some(Duration::ZERO));
            }
            end.wait_for(&mut self.set, Interest::empty(), Who::Signal);
        }
    }
}

fn listen(address: &str) -> Result<(OwnedFd, String)> {
    if let Some(path) = address.strip_prefix("unix:") {
        return Ok((UnixListener::bind(path)?.into(), address.into()));
    }
    let listener = TcpListener::bind(address)?;
    let name = listener.local_addr()?.to_string();
    Ok((listener.into(), name))
}

fn target(address: &str) -> Result<SocketAddrAny> {
    if let Some(path) = address.strip_prefix("unix:") {
        return Ok(SocketAddrUnix::new(path)?.as_any());
    }
    let address: SocketAddr = address.parse().map_err(Error::other)?;
    Ok(address.as_any())
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        return Err(Error::other("usage: proxy LISTEN TARGET"));
    };
    let (listener, name) = listen(from)?;
    set_nonblocking(&listener, true)?;
    // More room than std asks for: who finds the queue full waits for a second.
    rustix::net::listen(&listener, 4096)?;
    // The signal becomes a byte in a socket, and the byte wakes the wait.
    let (signal, raise) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, raise)?;
    let mut proxy = Proxy {
        set: Set::new(),
        pairs: HashMap::new(),
        listener: Some(End::new(listener)),
        target: target(to)?,
        server: None,
        again: Deadline::never(),
        shared: Shared::default(),
    };
    proxy.shared.spare = vec![0; BUFFER].into();
    proxy.watch_listener(Interest::READABLE);
    End::new(signal.into()).wait_for(&mut proxy.set, Interest::READABLE, Who::Signal);
    println!("{name}");
    let longest_wait = proxy.run()?;
    drop(from.strip_prefix("unix:").map(std::fs::remove_file));
    let (shared, [sent, back]) = (&proxy.shared, proxy.shared.bytes);
    println!(
        "{} connections, {sent} bytes to the target, {back} back, {} would-blocks, longest wait {:.1?}",
        shared.connections, shared.would_blocks, longest_wait,
    );
    Ok(())
}
