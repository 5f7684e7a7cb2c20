//! A forwarding proxy for TCP and Unix sockets: `proxy LISTEN TARGET`, as `proxy --help`
//! tells. One thread, plain `poll`, a fixed amount of memory for each connection.
//!
//! Each branch that is there because of a fact of non-blocking I/O names the fact. What
//! one side does, the other is to see as if there were no proxy:
//!
//! - **An end of file** is passed on, and ends one direction: the other may go on for
//!   hours.
//! - **A side that takes no more**, such as a target that answers early and closes, ends
//!   nothing: what it has sent is still to be read. What comes for it is read and dropped,
//!   so that who sends all before he reads comes to his end.
//! - **A reset** is passed on as a reset: an end of file instead would make a whole
//!   message of half of one. But a reset destroys what is under way, and so does closing a
//!   socket with something unread in it; so what was passed on has half a second to arrive.

mod common;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::Ended;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{Shutdown, SocketAddrAny, SocketAddrUnix, SocketType, shutdown, sockopt};
use wouldblock::{
    Address, AddressFamily, At, Deadline, Errno, Interest, Io, Key, Op, Outcome, OwnedFd, PollSet,
    RecvFlags, SendFlags, accept, set_nonblocking, socket,
};

const HELP: &str = "\
usage: proxy LISTEN TARGET

Takes connections on LISTEN and forwards each to TARGET. An address is 127.0.0.1:8080,
[::1]:8080, localhost:8080 or unix:/path; port 0 of LISTEN is a free one. Prints where it
listens, and on the other output why a target cannot be reached, once a second.

SIGTERM ends the listening. What is connected goes on to its end, then the program prints
what it did, and ends.";

/// How much of one direction is held while its receiver does not read.
const BUFFER: usize = 64 * 1024;
/// How often something is done for one descriptor before others have their turn.
const ROUNDS: usize = 8;
/// The pause after something ran out of which no event tells when there is more.
const PAUSE: Duration = Duration::from_millis(20);
/// How long what was passed on has to arrive before its connection is cut.
const LINGER: Duration = Duration::from_millis(500);

/// Whose descriptor it is. A pair stands with its client.
enum Who {
    Listener,
    /// With the listener that it ends.
    Signal(Key),
    Client(Box<Pair>),
    /// With its client.
    Target(Key),
}

/// One direction: what came from one end and has not gone to the other.
#[derive(Default)]
struct Half {
    buf: Box<[u8]>,
    held: std::ops::Range<usize>,
    /// Nothing more comes.
    is_over: bool,
    /// Nothing more is taken.
    is_refused: bool,
    /// When something was sent.
    sent: Option<Instant>,
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
    target: Key,
    halves: [Half; 2],
    phase: Phase,
    /// A call has told of it. The system tells it once: what looks like an end of file
    /// afterwards is none.
    is_reset: bool,
    /// When it is cut: all was passed on, and has until then to arrive.
    end: Option<Deadline>,
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
    /// When the last wait ended, and how long the longest was.
    woken: Option<Instant>,
    longest_wait: Duration,
}

struct Proxy<'a> {
    set: PollSet<OwnedFd, Who>,
    name: &'a str,
    target: SocketAddrAny,
    /// For the next client's connection to the target.
    server: Option<OwnedFd>,
    /// When to go on with a client for which no event will come.
    timers: BTreeSet<(Deadline, Key)>,
    /// Until when nothing is said of what the target answers.
    silence: Deadline,
    shared: Shared,
}

impl Pair {
    /// Moves bytes one way until a call would block, or it is somebody else's turn.
    fn pump(&mut self, way: usize, ends: &mut [At<'_, OwnedFd>; 2], shared: &mut Shared) {
        let [half, other] = &mut self.halves;
        let [from, to] = ends;
        let (half, other, from, to) = match way {
            0 => (half, other, from, to),
            _ => (other, half, to, from),
        };
        let mut short = false;
        for _ in 0..ROUNDS {
            // What is held goes first: while the receiver does not read, the sender
            // is not read from either, and its own kernel will hold it back.
            let mut rest = &half.buf[half.held.clone()];
            let sent = to.send_all(&mut rest, SendFlags::empty());
            if half.held.len() > rest.len() {
                shared.bytes[way] += (half.held.len() - rest.len()) as u64;
                (half.held.start, half.sent) = (half.held.end - rest.len(), shared.woken);
            }
            match sent {
                Io::Ready(()) if half.held.end > 0 => {
                    core::mem::swap(&mut half.buf, &mut shared.spare);
                    half.held = 0..0;
                }
                Io::Ready(()) => {}
                Io::WouldBlock => return shared.would_blocks += 1,
                // It takes no more; what it has sent is still to be read.
                Io::Err(errno) => {
                    (half.held, half.is_refused) = (0..0, true);
                    self.is_reset |= errno != Errno::PIPE;
                }
            }
            // A short count: there is no more now, and a call that would block is saved.
            if half.is_over || short {
                return;
            }
            match from.recv(&mut shared.spare, RecvFlags::empty()) {
                Io::Ready(0) => {
                    half.is_over = true;
                    if !self.is_reset {
                        // ENOTCONN: it has gone, as its own direction will report.
                        let _ = shutdown(to.fd(), Shutdown::Write);
                    }
                }
                Io::Ready(n) => {
                    short = n < BUFFER;
                    if !half.is_refused {
                        // Swapped back when all is sent: one buffer, warm in the cache,
                        // serves all, and only the slow touch their own.
                        core::mem::swap(&mut half.buf, &mut shared.spare);
                        half.held = 0..n;
                    }
                }
                Io::WouldBlock => return shared.would_blocks += 1,
                Io::Err(_) => {
                    (half.is_over, self.is_reset) = (true, true);
                    (other.held, other.is_refused) = (0..0, true);
                }
            }
        }
    }

    fn interests(&self) -> [Interest; 2] {
        let mut interests = [Interest::empty(); 2];
        for (from, half) in self.halves.iter().enumerate() {
            match self.phase {
                Phase::Idle => {}
                Phase::Connecting => interests[1] = Interest::WRITABLE,
                _ if half.is_over => {}
                _ if half.held.is_empty() => interests[from] |= Interest::READABLE,
                _ => interests[1 - from] |= Interest::WRITABLE,
            }
        }
        interests
    }
}

impl Proxy<'_> {
    fn run(&mut self) -> io::Result<()> {
        while !self.set.is_empty() {
            let wake = self
                .timers
                .first()
                .map_or(Deadline::never(), |timer| timer.0);
            let start = Instant::now();
            self.set.select(wake).into_result()?;
            let woken = Instant::now();
            self.shared.woken = Some(woken);
            self.shared.longest_wait = self.shared.longest_wait.max(woken - start);
            while let Some((key, ready)) = self.set.next_ready() {
                let (reads, writes) = (ready.is_readable(), ready.is_writable());
                match self.set.get(key).map(|entry| entry.data) {
                    Some(Who::Listener) => self.accept_some(key)?,
                    // No new connections; what there is goes on to its end.
                    Some(&Who::Signal(listener)) => {
                        drop((self.set.unregister(key), self.set.unregister(listener)));
                    }
                    // Half 0 is read from end 0, and half 1 is written to it.
                    Some(Who::Client(_)) => self.go_on(key, [reads, writes]),
                    Some(&Who::Target(client)) => self.go_on(client, [writes, reads]),
                    None => {}
                }
            }
            // On time, however many events there are meanwhile.
            while let Some(client) = self.next_due() {
                self.go_on(client, [true; 2]);
            }
        }
        Ok(())
    }

    fn next_due(&mut self) -> Option<Key> {
        let is_due = self.timers.first()?.0.has_passed();
        is_due
            .then(|| self.timers.pop_first())?
            .map(|timer| timer.1)
    }

    fn accept_some(&mut self, listener: Key) -> io::Result<()> {
        // More than for others: each turn is longer by those who were let in.
        for _ in 0..8 * ROUNDS {
            let Some((mut listener, _)) = self.set.get_mut(listener) else {
                break;
            };
            let (server, family) = (&mut self.server, self.target.address_family());
            // While descriptors are short the listener stays readable, and the set rests
            // before it asks again.
            let answer = listener.attempt(Op::Accept, |listener| {
                // The descriptor for the target comes first: if there is none, the
                // client stays in the queue, and nobody is turned away.
                if server.is_none() {
                    match socket(family, SocketType::STREAM, None) {
                        Ok(fd) => *server = Some(fd),
                        Err(errno) => return Io::Err(errno),
                    }
                }
                accept(listener)
            });
            match (answer.into_result()?, self.server.take()) {
                (Some(client), Some(server)) => self.open([client, server])?,
                (_, server) => {
                    self.server = server;
                    self.shared.would_blocks += 1;
                    break;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, ends: [OwnedFd; 2]) -> io::Result<()> {
        for fd in &ends {
            // Small writes are passed on as they come. A Unix socket refuses.
            let _ = sockopt::set_tcp_nodelay(fd, true);
        }
        let [client, server] = ends;
        let nothing = Interest::empty();
        // Whose target it is is known when its client is registered, too.
        let target = self.set.register(server, nothing, Who::Listener)?;
        let unused = &mut self.shared.unused;
        let pair = Pair {
            target,
            halves: [(); 2].map(|()| Half {
                buf: unused.pop().unwrap_or_else(|| vec![0; BUFFER].into()),
                ..Half::default()
            }),
            phase: Phase::Idle,
            is_reset: false,
            end: None,
        };
        let client = (self.set).register(client, nothing, Who::Client(Box::new(pair)))?;
        if let Some((_, who)) = self.set.get_mut(target) {
            *who = Who::Target(client);
        }
        self.shared.connections += 1;
        self.go_on(client, [true; 2]);
        Ok(())
    }

    /// Does what can be done for a pair now, in the halves that are named.
    fn go_on(&mut self, client: Key, which: [bool; 2]) {
        let Some(Who::Client(pair)) = self.set.get(client).map(|entry| entry.data) else {
            return;
        };
        let keys = [client, pair.target];
        let Some([(one, Who::Client(pair)), (other, _)]) = self.set.get_disjoint_mut(keys) else {
            return;
        };
        let mut ends = [one, other];
        let op = match self.target.family() {
            AddressFamily::UNIX => Op::ConnectUnix,
            _ => Op::Connect,
        };
        if pair.phase != Phase::Open {
            let answer = match pair.phase {
                Phase::Idle => ends[1].connect(&self.target),
                // Systems differ in how a failed attempt polls: ask the socket.
                _ => ends[1].finish_connect(),
            };
            if let (Io::Err(errno), true) = (&answer, self.silence.has_passed()) {
                eprintln!("proxy: cannot connect to {}: {errno}", self.name);
                self.silence = Deadline::after(Duration::from_secs(1));
            }
            match answer {
                Io::Ready(()) => pair.phase = Phase::Open,
                Io::WouldBlock => pair.phase = Phase::Connecting,
                // Nothing was started and the socket may be used again, but it
                // polls as ready at once: on a timer, then.
                Io::Err(errno)
                    if pair.phase == Phase::Idle && op.outcome(errno) == Outcome::BackOff =>
                {
                    self.timers.insert((Deadline::after(PAUSE), client));
                }
                Io::Err(_) => {
                    pair.is_reset = true;
                    return self.close(client);
                }
            }
        }
        if pair.phase == Phase::Open {
            for way in (0..2).filter(|&way| which[way]) {
                pair.pump(way, &mut ends, &mut self.shared);
            }
            let is_over = pair.halves.iter().all(|half| half.is_over);
            if is_over && !pair.is_reset || pair.end.is_some_and(Deadline::has_passed) {
                return self.close(client);
            }
            let is_done = |half: &Half| half.is_over || half.is_refused;
            if pair.end.is_none() && pair.halves.iter().all(is_done) {
                let sent = pair.halves.iter().filter_map(|half| half.sent).max();
                let end = sent.map_or(Duration::ZERO.into(), |sent| (sent + LINGER).into());
                self.timers.insert((end, client));
                pair.end = Some(end);
            }
        }
        for (end, interest) in ends.iter_mut().zip(pair.interests()) {
            end.set_interest(interest);
        }
    }

    fn close(&mut self, client: Key) {
        let Ok((client, Who::Client(pair))) = self.set.unregister(client) else {
            return;
        };
        let server = self.set.unregister(pair.target).map(|(fd, _)| fd);
        let bufs = pair.halves.map(|half| half.buf);
        self.shared.unused.extend(bufs);
        for fd in [Some(client), server.ok()].into_iter().flatten() {
            if pair.is_reset {
                let _ = sockopt::set_socket_linger(&fd, Some(Duration::ZERO));
            }
        }
    }
}

fn listen(address: &str) -> io::Result<(OwnedFd, String)> {
    let (listener, name): (OwnedFd, _) = match path_of(address)? {
        Some(path) => (UnixListener::bind(path)?.into(), address.into()),
        None => {
            let listener = TcpListener::bind(address)?;
            let name = listener.local_addr()?.to_string();
            (listener.into(), name)
        }
    };
    set_nonblocking(&listener, true)?;
    // More room than std asks for: who finds the queue full waits for a second.
    rustix::net::listen(&listener, 4096)?;
    Ok((listener, name))
}

fn target(address: &str) -> io::Result<SocketAddrAny> {
    if let Some(path) = path_of(address)? {
        return Ok(SocketAddrUnix::new(path)?.as_any());
    }
    let first = address.to_socket_addrs()?.next();
    Ok(first.ok_or(io::ErrorKind::NotFound)?.as_any())
}

fn path_of(address: &str) -> io::Result<Option<&str>> {
    match address.strip_prefix("unix:") {
        // The system would make up a name for it.
        Some("") => Err(io::Error::other("the path is missing")),
        path => Ok(path),
    }
}

fn serve(from: &str, to: &str) -> Ended {
    let target = target(to).map_err(|error| format!("cannot forward to {to}: {error}"))?;
    let (listener, name) =
        listen(from).map_err(|error| format!("cannot listen on {from}: {error}"))?;
    let signal = common::sigterm()?;
    let mut set = PollSet::new();
    let listener = set.register(listener, Interest::READABLE, Who::Listener)?;
    set.register(signal.into(), Interest::READABLE, Who::Signal(listener))?;
    let mut proxy = Proxy {
        set,
        name: to,
        target,
        server: None,
        timers: BTreeSet::new(),
        silence: Deadline::after(Duration::ZERO),
        shared: Shared {
            spare: vec![0; BUFFER].into(),
            ..Shared::default()
        },
    };
    writeln!(io::stdout(), "{name}")?;
    proxy.run()?;
    drop(path_of(from)?.map(std::fs::remove_file));
    let (shared, [sent, back]) = (&proxy.shared, proxy.shared.bytes);
    writeln!(
        io::stdout(),
        "{} connections, {sent} bytes to the target, {back} back, {} would-blocks, longest wait {:.1?}",
        shared.connections,
        shared.would_blocks,
        shared.longest_wait,
    )?;
    Ok(())
}

fn main() -> ExitCode {
    common::run("proxy", HELP, |arguments| match arguments {
        [from, to] => Some(serve(from, to)),
        _ => None,
    })
}
