//! The chat server of `examples/chat.rs`, as a process of its own, with clients that
//! talk, dawdle, leave and vanish.

#![cfg(feature = "std")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Once};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use wouldblock::{Deadline, Inline, Interest, Io, PollSet, RecvFlags, SendFlags};
use wouldblock::{poll, recv, send_all, set_nonblocking};

mod common;
use common::{DEADLINE, example, reset, wait_to_read, within_deadline};

// ---- the server ----

struct Server {
    process: Child,
    address: SocketAddr,
    /// As it was asked to.
    has_ended: bool,
}

impl Server {
    #[track_caller]
    fn start() -> Self {
        Self::from(common::command(example("chat")))
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it has ended, which must be a good end.
    #[track_caller]
    fn assert_ends(mut self) {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            match self.process.try_wait().unwrap() {
                Some(status) => break status,
                None => thread::yield_now(),
            }
            assert!(Instant::now() < end, "it has not ended");
        };
        assert!(status.success(), "{status}");
        self.has_ended = true;
    }

    #[track_caller]
    fn from(mut command: Command) -> Self {
        allow_many_descriptors();
        // How to talk to it is for people.
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let stdout = process.stdout.take().unwrap();
        let line = within_deadline(|| BufReader::new(stdout).lines().next());
        let line = line.expect("the server says where it listens").unwrap();
        let address = line.parse().unwrap_or_else(|_| panic!("{line:?}"));
        Self {
            process,
            address,
            has_ended: false,
        }
    }

    #[track_caller]
    fn connect(&self) -> Client {
        let stream = TcpStream::connect_timeout(&self.address, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client(BufReader::new(stream))
    }

    /// A client whose presence `witness` has heard of, so that the server has it.
    #[track_caller]
    fn join(&self, witness: &mut Client) -> Client {
        let mut client = self.connect();
        client.say("here I am");
        assert_eq!(witness.hear(), "here I am");
        client
    }

    /// A file of the server's under `/proc`.
    #[cfg(target_os = "linux")]
    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap()
    }

    /// The CPU time that it has used.
    #[cfg(target_os = "linux")]
    fn cpu_time(&self) -> Duration {
        let stat = self.proc("stat");
        // utime and stime are fields 14 and 15, and the name, field 2, ends in the
        // last parenthesis (proc_pid_stat(5)). A tick is 10 ms, whatever the kernel's
        // own is (USER_HZ).
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Fails if it uses the processor while nothing happens. What is under way has a
    /// moment to come to its end: two quiet seconds in a row count.
    #[track_caller]
    fn assert_idle(&self) {
        #[cfg(target_os = "linux")]
        {
            let (mut seconds, mut quiet) = (Vec::new(), 0);
            while quiet < 2 {
                assert!(seconds.len() < 8, "used in each second: {seconds:?}");
                let before = self.cpu_time();
                // Not to wait for anything: this is the time that is measured.
                thread::sleep(Duration::from_secs(1));
                let used = self.cpu_time() - before;
                quiet = if used <= Duration::from_millis(20) {
                    quiet + 1
                } else {
                    0
                };
                seconds.push(used);
            }
        }
    }

    /// The most memory that it has had at one time, in KiB. gVisor does not tell, so
    /// there it is what it has now.
    #[cfg(target_os = "linux")]
    fn peak_memory(&self) -> usize {
        let status = self.proc("status");
        let size = |field| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        };
        size("VmHWM:").or_else(|| size("VmRSS:")).unwrap()
    }

    #[cfg(target_os = "linux")]
    fn descriptors(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.process.id());
        std::fs::read_dir(directory).unwrap().count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        // It has not ended by itself.
        let running = matches!(self.process.try_wait(), Ok(None));
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        assert!(running || thread::panicking(), "the server has ended");
    }
}

/// Raises the soft limit of this process, which the servers inherit.
fn allow_many_descriptors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut limit = getrlimit(Resource::Nofile);
        let enough = limit.maximum.map_or(4096, |maximum| maximum.min(4096));
        if limit.current.is_some_and(|current| current < enough) {
            limit.current = Some(enough);
            setrlimit(Resource::Nofile, limit).unwrap();
        }
    });
}

/// Whether this test can have so many descriptors.
fn can_have(descriptors: u64) -> bool {
    allow_many_descriptors();
    let limit = getrlimit(Resource::Nofile).current;
    limit.is_none_or(|limit| limit >= descriptors)
}

// ---- the clients ----

struct Client(BufReader<TcpStream>);

impl Client {
    #[track_caller]
    fn say(&mut self, line: &str) {
        self.0
            .get_mut()
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// The next line, without its end.
    #[track_caller]
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line in time");
        assert_eq!(line.pop(), Some('\n'), "the end came instead of a line");
        line
    }

    /// All that comes until the end.
    #[track_caller]
    fn hear_out(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.0
            .read_to_end(&mut all)
            .expect("the end of file in time");
        all
    }

    /// The socket in non-blocking mode; nothing may have been read ahead.
    #[track_caller]
    fn into_nonblocking(self) -> TcpStream {
        assert!(self.0.buffer().is_empty());
        let stream = self.0.into_inner();
        set_nonblocking(&stream, true).unwrap();
        stream
    }
}

const FLOOD_LINE: usize = 64;
/// How long the flood goes on before it begins anew.
const FLOOD_PERIOD: usize = FLOOD_LINE << 15;

/// A piece of a stream of numbered lines: what is missing, doubled or out of order
/// in it shows. At most one period long.
fn flood(from: usize, length: usize) -> &'static [u8] {
    static TWICE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let lines = 0..FLOOD_PERIOD / FLOOD_LINE;
        let text: String = lines.map(|n| format!("{n:063}\n")).collect();
        text.repeat(2).into_bytes()
    });
    &TWICE[from % FLOOD_PERIOD..][..length]
}

fn is_flood(bytes: &[u8]) -> bool {
    let mut pieces = bytes.chunks(FLOOD_PERIOD);
    pieces.all(|piece| piece == flood(0, piece.len()))
}

/// Says as much of the flood as the kernel takes; returns how much that is by now.
#[track_caller]
fn say_flood(talker: &TcpStream, said: usize, end: usize) -> usize {
    let piece = flood(said, (end - said).min(1 << 20));
    let mut rest = piece;
    match send_all(talker, &mut rest, SendFlags::empty()) {
        Io::Ready(()) | Io::WouldBlock => said + piece.len() - rest.len(),
        Io::Err(errno) => panic!("the talker: {errno}"),
    }
}

/// Hears at most `most` bytes, which have to be the flood's; returns how much has
/// been heard by now.
#[track_caller]
fn hear_flood(reader: &TcpStream, heard: usize, most: usize) -> usize {
    let mut buf = vec![0; most];
    match recv(reader, &mut buf, RecvFlags::empty()) {
        Io::Ready(0) => panic!("let go after {heard} bytes"),
        Io::Ready(n) => {
            assert!(buf[..n] == *flood(heard, n), "not the flood at {heard}");
            heard + n
        }
        Io::WouldBlock => heard,
        Io::Err(errno) => panic!("after {heard} bytes: {errno}"),
    }
}

/// Waits until the reader or, if it has something to say, the talker can go on.
#[track_caller]
fn wait_for_either(talker: Option<&TcpStream>, reader: &TcpStream, begun: Instant) {
    assert!(begun.elapsed() < 3 * DEADLINE, "the flood is a trickle");
    let mut fds = vec![Interest::READABLE.on(reader)];
    fds.extend(talker.map(|talker| Interest::WRITABLE.on(talker)));
    let answer = poll(&mut fds, Some(DEADLINE));
    assert!(!answer.is_would_block(), "nothing goes on");
}

/// Sends the flood through the server, from the one to the other.
#[track_caller]
fn flood_through(talker: &TcpStream, reader: &TcpStream, mut said: usize, length: usize) {
    let begun = Instant::now();
    let mut heard = 0;
    while heard < length {
        said = say_flood(talker, said, length);
        wait_for_either((said < length).then_some(talker), reader, begun);
        heard = hear_flood(reader, heard, 1 << 20);
    }
}

/// Talks until the server has stopped reading: nothing more is taken although time
/// passes. Returns how much was said.
#[track_caller]
fn flood_until_held_back(talker: &TcpStream) -> usize {
    let mut said = 0;
    loop {
        said = say_flood(talker, said, usize::MAX / 2);
        // Far more than the kernels of both sides keep.
        assert!(said < 256 << 20, "not held back");
        let mut fds = [Interest::WRITABLE.on(talker)];
        if poll(&mut fds, Some(Duration::from_millis(200))).is_would_block() {
            return said;
        }
    }
}

// ---- talk ----

#[test]
fn line_from_one_reaches_all_others_and_not_itself() {
    let server = Server::start();
    let mut ann = server.connect();
    let mut bob = server.join(&mut ann);
    let mut cid = server.join(&mut ann);
    assert_eq!(bob.hear(), "here I am");
    ann.say("hello");
    assert_eq!(bob.hear(), "hello");
    assert_eq!(cid.hear(), "hello");
    bob.say("good day");
    assert_eq!(ann.hear(), "good day");
    assert_eq!(cid.hear(), "good day");
}

#[test]
fn lines_in_pieces_and_in_bunches_arrive_as_lines() {
    let server = Server::start();
    let mut ann = server.connect();
    let mut bob = server.join(&mut ann);
    let mut cid = server.join(&mut ann);
    assert_eq!(bob.hear(), "here I am");
    // Half a line is kept until it ends, so another's comes first.
    bob.0.get_mut().write_all(b"one").unwrap();
    cid.say("between");
    assert_eq!(ann.hear(), "between");
    bob.0
        .get_mut()
        .write_all(b", two\r\n\nthree\nfour")
        .unwrap();
    assert_eq!(ann.hear(), "one, two\r");
    assert_eq!(ann.hear(), "");
    assert_eq!(ann.hear(), "three");
    bob.say(", five");
    assert_eq!(ann.hear(), "four, five");
}

#[test]
fn line_without_an_end_is_cut() {
    let server = Server::start();
    let mut ann = server.connect();
    let mut bob = server.join(&mut ann);
    let long = "x".repeat(100_000);
    bob.say(&long);
    let mut heard = String::new();
    while heard.len() < long.len() {
        let line = ann.hear();
        assert!(line.len() <= 2 * 4096, "{} bytes in a line", line.len());
        heard += &line;
    }
    assert_eq!(heard, long);
}

#[test]
fn client_that_shuts_down_its_side_hears_what_was_said_and_then_the_end() {
    let server = Server::start();
    let mut ann = server.connect();
    let mut bob = server.join(&mut ann);
    let mut cid = server.join(&mut ann);
    assert_eq!(bob.hear(), "here I am");
    ann.say("before you go");
    assert_eq!(cid.hear(), "before you go");
    // The last line has no end.
    bob.0.get_mut().write_all(b"last words").unwrap();
    bob.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(ann.hear(), "last words");
    assert_eq!(bob.hear_out(), b"before you go\n");
    // The others go on.
    ann.say("he is gone");
    assert_eq!(cid.hear(), "last words");
    assert_eq!(cid.hear(), "he is gone");
}

#[test]
fn clients_that_come_and_go_leave_nothing() {
    let server = Server::start();
    let mut ann = server.connect();
    drop(server.join(&mut ann));
    #[cfg(target_os = "linux")]
    let before = server.descriptors();
    for n in 0..100 {
        let client = server.join(&mut ann);
        match n % 3 {
            0 => reset(client.0.into_inner()),
            1 => client.0.get_ref().shutdown(Shutdown::Both).unwrap(),
            _ => drop(client),
        }
    }
    // Nobody announces that somebody has left, so it can only be asked for.
    #[cfg(target_os = "linux")]
    {
        let end = Instant::now() + DEADLINE;
        while server.descriptors() > before {
            assert!(Instant::now() < end, "{} descriptors", server.descriptors());
            thread::yield_now();
        }
    }
    server.assert_idle();
}

// ---- slow readers ----

#[test]
fn slow_reader_slows_the_talker_and_loses_nothing() {
    const LENGTH: usize = 32 << 20;
    let server = Server::start();
    let mut talker = server.connect();
    let reader = server.join(&mut talker).into_nonblocking();
    let talker = talker.into_nonblocking();
    #[cfg(target_os = "linux")]
    let before = server.peak_memory();

    let begun = Instant::now();
    let (mut said, mut heard, mut held_back) = (0, 0, 0);
    while heard < LENGTH {
        let before = said;
        said = say_flood(&talker, said, LENGTH);
        if said == before && said < LENGTH {
            held_back += 1;
        } else if said < LENGTH {
            // The reader begins only when the talker cannot go on.
            continue;
        }
        wait_for_either((said < LENGTH).then_some(&talker), &reader, begun);
        heard = hear_flood(&reader, heard, 200_000);
    }
    assert!(held_back > 0, "the talker was never held back");
    #[cfg(target_os = "linux")]
    {
        let grown = server.peak_memory() - before;
        assert!(grown < 2048, "{grown} KiB more");
    }
}

/// Linux tells of room only when a third of the socket's buffer is free, which here
/// takes longer than the server's patience: it has to ask before it judges.
#[test]
fn reader_slower_than_readiness_is_kept() {
    let server = Server::start();
    let mut talker = server.connect();
    let reader = server.join(&mut talker).into_nonblocking();
    let talker = talker.into_nonblocking();
    let mut said = flood_until_held_back(&talker);
    let mut heard = 0;
    for _ in 0..30 {
        // The pace of the reader, half a megabyte a second; it waits for nothing.
        thread::sleep(Duration::from_millis(100));
        heard = hear_flood(&reader, heard, 50_000);
        said = say_flood(&talker, said, usize::MAX / 2);
    }
    let begun = Instant::now();
    // Half a line at the end stays with the server.
    while heard < said - said % FLOOD_LINE {
        wait_for_either(None, &reader, begun);
        heard = hear_flood(&reader, heard, 1 << 20);
    }
}

#[test]
fn client_that_never_reads_is_let_go_and_holds_nobody_up() {
    const LENGTH: usize = 32 << 20;
    let server = Server::start();
    let mut talker = server.connect();
    let mut dead = server.join(&mut talker);
    let reader = server.join(&mut talker).into_nonblocking();
    let talker = talker.into_nonblocking();
    assert_eq!(dead.hear(), "here I am");
    #[cfg(target_os = "linux")]
    let before = server.peak_memory();

    flood_through(&talker, &reader, 0, LENGTH);
    #[cfg(target_os = "linux")]
    {
        let grown = server.peak_memory() - before;
        assert!(grown < 2048, "{grown} KiB more");
    }
    // What the kernels had for it, and no more.
    let mut heard = Vec::new();
    let ended = dead.0.read_to_end(&mut heard);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert!(heard.len() < LENGTH, "it has heard all");
    assert!(is_flood(&heard), "not the flood");
}

#[test]
fn crowded_room_uses_no_processor() {
    let server = Server::start();
    let mut talker = server.connect();
    let dead = server.join(&mut talker);
    let talker = talker.into_nonblocking();
    #[cfg(target_os = "linux")]
    let (said, before) = (flood_until_held_back(&talker), server.cpu_time());
    #[cfg(not(target_os = "linux"))]
    let said = flood_until_held_back(&talker);
    // Until the patience with the dead one ends, after which the talker can go on.
    let mut fds = [Interest::WRITABLE.on(&talker)];
    assert!(poll(&mut fds, Some(DEADLINE)).is_ready());
    assert!(said > 0);
    #[cfg(target_os = "linux")]
    {
        // The last wait is followed by reading what the talker has said meanwhile.
        let used = server.cpu_time() - before;
        assert!(used <= Duration::from_millis(100), "{used:?}");
    }
    drop(dead);
}

#[test]
fn client_that_shuts_down_in_a_crowded_room_is_sent_what_was_said() {
    let server = Server::start();
    let mut talker = server.connect();
    let mut leaving = server.join(&mut talker);
    let talker = talker.into_nonblocking();
    let said = flood_until_held_back(&talker);
    leaving.0.get_ref().shutdown(Shutdown::Write).unwrap();
    let heard = leaving.hear_out();
    assert!(heard.len() <= said);
    assert!(heard.len() > 64 * 1024, "{} bytes", heard.len());
    assert_eq!(heard.len() % FLOOD_LINE, 0, "half a line");
    assert!(is_flood(&heard), "not the flood");
}

#[test]
fn client_that_vanishes_from_a_crowded_room_frees_it_at_once() {
    let server = Server::start();
    let mut talker = server.connect();
    let dead = server.join(&mut talker);
    let mut witness = server.join(&mut talker);
    let talker = talker.into_nonblocking();
    // The witness listens all the time, so that the dead one alone holds back.
    let listening = thread::spawn(move || {
        let mut line = String::new();
        while line != "after all\n" {
            line.clear();
            assert!(
                witness.0.read_line(&mut line).expect("in time") > 0,
                "let go"
            );
        }
    });
    flood_until_held_back(&talker);
    reset(dead.0.into_inner());
    let mut talker = Client(BufReader::new(talker));
    set_nonblocking(talker.0.get_ref(), false).unwrap();
    talker.say("");
    talker.say("after all");
    within_deadline(move || listening.join()).unwrap();
}

/// A reset is reported to a server that asked for nothing, and for ever.
#[test]
fn talker_that_vanishes_while_it_is_not_read_costs_nothing() {
    let server = Server::start();
    let mut talker = server.connect();
    let _dead = server.join(&mut talker);
    let talker = talker.into_nonblocking();
    flood_until_held_back(&talker);
    reset(talker);
    server.assert_idle();
}

// ---- many clients ----

/// The reads of one turn fill the room before all have had theirs.
#[test]
fn no_talker_is_left_out_of_a_crowded_room() {
    const TALKERS: usize = 40;
    let server = Server::start();
    let mut witness = server.connect();
    let talkers: Vec<_> = (0..TALKERS).map(|_| server.join(&mut witness)).collect();
    let talkers: Vec<_> = talkers
        .into_iter()
        .map(|client| client.0.into_inner())
        .collect();
    let end = Instant::now() + DEADLINE;
    // As fast as they can; all but the witness have a thread that hears nothing but
    // keeps up.
    let running: Vec<_> = (talkers.into_iter().enumerate())
        .map(|(number, stream)| {
            let hearing = stream.try_clone().unwrap();
            thread::spawn(move || {
                let mut talker = Client(BufReader::new(stream));
                let line = format!("{number}\n").repeat(4096);
                let write = |talker: &mut Client| talker.0.get_mut().write_all(line.as_bytes());
                while Instant::now() < end && write(&mut talker).is_ok() {}
            });
            thread::spawn(move || std::io::copy(&mut &hearing, &mut std::io::sink()))
        })
        .collect();
    let mut heard = [false; TALKERS];
    while heard.contains(&false) {
        assert!(Instant::now() < end, "{heard:?}");
        let number: usize = witness.hear().parse().unwrap();
        heard[number] = true;
    }
    drop(server);
    for thread in running {
        drop(thread.join());
    }
}

/// All in one turn of the server, which would multiply what waits for each.
#[cfg(target_os = "linux")]
#[test]
fn talkers_at_the_same_time_do_not_fill_memory() {
    const TALKERS: usize = 100;
    let server = Server::start();
    let mut witness = server.connect();
    let mut talkers: Vec<_> = (0..TALKERS).map(|_| server.join(&mut witness)).collect();
    let before = server.peak_memory();
    server.signal(Signal::STOP);
    for talker in &mut talkers {
        talker.say(&"x".repeat(4000));
    }
    server.signal(Signal::CONT);
    for _ in &talkers {
        assert_eq!(witness.hear().len(), 4000);
    }
    // 64 KiB for each, of twice that room; all at once would be 400 KiB of 512.
    let grown = server.peak_memory() - before;
    assert!(grown < TALKERS * 256, "{grown} KiB more");
}

#[test]
fn all_of_500_clients_hear_all_others() {
    const CLIENTS: usize = 500;
    if !can_have(CLIENTS as u64 + 100) {
        println!("skipped: so many descriptors are not allowed here");
        return;
    }
    let server = Server::start();
    let mut witness = server.connect();
    let mut set: Box<PollSet<TcpStream, Heard, Inline<CLIENTS>>> = Box::default();
    for number in 0..CLIENTS {
        let stream = server.join(&mut witness).into_nonblocking();
        let heard = Heard::new(number, CLIENTS);
        set.register(stream, Interest::READABLE | Interest::WRITABLE, heard)
            .unwrap();
    }
    let deadline = Deadline::after(DEADLINE);
    let mut missing = CLIENTS;
    while missing > 0 {
        assert!(
            set.select(deadline).is_ready(),
            "{missing} have not heard all"
        );
        while let Some((key, readiness)) = set.next_ready() {
            let (mut at, heard) = set.get_mut(key).unwrap();
            if readiness.is_writable() && !heard.has_spoken {
                let line = format!("I am {}\n", heard.number);
                let mut line = line.as_bytes();
                assert_eq!(at.send_all(&mut line, SendFlags::empty()), Io::Ready(()));
                heard.has_spoken = true;
            }
            if readiness.is_readable() && heard.takes_all(at.fd()) {
                missing -= 1;
            }
            set.modify(key, Interest::READABLE).unwrap();
        }
    }
    server.assert_idle();
}

/// What one of many clients has heard.
#[derive(Debug)]
struct Heard {
    number: usize,
    has_spoken: bool,
    half: Vec<u8>,
    from: Vec<bool>,
    missing: usize,
}

impl Heard {
    fn new(number: usize, clients: usize) -> Self {
        Self {
            number,
            has_spoken: false,
            half: Vec::new(),
            from: vec![false; clients],
            missing: clients - 1,
        }
    }

    /// Hears what there is. True if that completes it.
    #[track_caller]
    fn takes_all(&mut self, stream: &TcpStream) -> bool {
        let mut buf = [0; 16384];
        let before = self.missing;
        while let Io::Ready(n @ 1..) = recv(stream, &mut buf, RecvFlags::empty()) {
            self.half.extend_from_slice(&buf[..n]);
        }
        while let Some(end) = self.half.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.half.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            if line == "here I am\n" {
                continue;
            }
            let from = line
                .strip_prefix("I am ")
                .and_then(|rest| rest.trim_end().parse().ok());
            let from: usize = from.unwrap_or_else(|| panic!("{line:?}"));
            assert_ne!(from, self.number, "its own line");
            assert!(!self.from[from], "twice from {from}");
            self.from[from] = true;
            self.missing -= 1;
        }
        before > 0 && self.missing == 0
    }
}

#[test]
fn newcomer_to_a_full_room_waits_until_somebody_leaves() {
    const MOST: usize = 1023;
    if !can_have(2 * MOST as u64) {
        println!("skipped: so many descriptors are not allowed here");
        return;
    }
    let server = Server::start();
    let mut witness = server.connect();
    let mut clients: Vec<_> = (1..MOST).map(|_| server.join(&mut witness)).collect();
    let mut newcomer = server.connect();
    newcomer.say("is there room?");
    server.assert_idle();
    drop(clients.pop());
    assert_eq!(witness.hear(), "is there room?");
    witness.say("for you");
    assert_eq!(newcomer.hear(), "for you");
}

#[test]
fn newcomer_without_a_descriptor_left_waits_until_somebody_leaves() {
    if !common::habits::habits().emfile_keeps_the_connection {
        return println!("skipped: the clients may be lost here");
    }
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 10 && exec \"$0\""])
        .arg(example("chat"));
    let server = Server::from(command);
    #[cfg(target_os = "linux")]
    let before = server.descriptors();
    let mut witness = server.connect();
    // More than it can have.
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(&number.to_string());
    }
    server.assert_idle();
    #[cfg(target_os = "linux")]
    assert!(server.descriptors() - before < 11, "they all have a place");
    // Whoever is heard leaves, and makes room for another.
    let mut heard = [false; 10];
    while heard.contains(&false) {
        let number: usize = witness.hear().parse().unwrap();
        assert!(
            !std::mem::replace(&mut heard[number], true),
            "{number} twice"
        );
        clients[number]
            .0
            .get_ref()
            .shutdown(Shutdown::Both)
            .unwrap();
    }
}

// ---- the end ----

#[test]
fn sigterm_without_clients_ends_it_at_once() {
    let server = Server::start();
    server.terminate();
    let begun = Instant::now();
    server.assert_ends();
    // Nobody is there to have patience with.
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn sigterm_ends_the_listening_and_the_clients() {
    let server = Server::start();
    let mut ann = server.connect();
    let mut bob = server.join(&mut ann);
    let address = server.address;
    server.terminate();
    assert_eq!(ann.hear_out(), b"");
    assert_eq!(bob.hear_out(), b"");
    // With both gone it does not wait for its patience to end.
    drop((ann, bob));
    server.assert_ends();
    let refused = TcpStream::connect_timeout(&address, DEADLINE).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

/// More than the kernels take.
#[test]
fn sigterm_gives_a_slow_reader_what_waits_for_it() {
    let server = Server::start();
    let mut talker = server.connect();
    let reader = server.join(&mut talker);
    let talker = talker.into_nonblocking();
    let said = flood_until_held_back(&talker);
    server.terminate();
    let mut reader = reader;
    let heard = reader.hear_out();
    assert!(heard.len() > 64 * 1024, "{} bytes", heard.len());
    assert!(heard.len() <= said && heard.len() % FLOOD_LINE == 0);
    assert!(is_flood(&heard), "not the flood");
    server.assert_ends();
}

/// Many send all that they have before they read. To close a socket with something
/// unread in it would send them a reset.
#[test]
fn sigterm_lets_a_talker_that_is_held_back_come_to_its_end() {
    let server = Server::start();
    let mut talker = server.connect();
    let mut witness = server.join(&mut talker);
    let _dead = server.join(&mut talker);
    witness.say("before the end");
    wait_to_read(talker.0.get_ref());
    let talker = talker.into_nonblocking();
    let said = flood_until_held_back(&talker);
    server.terminate();
    set_nonblocking(&talker, false).unwrap();
    let mut talker = Client(BufReader::new(talker));
    let more = flood(said, FLOOD_PERIOD);
    talker.0.get_mut().write_all(more).expect("it is taken");
    assert_eq!(talker.hear_out(), b"before the end\n");
    drop(talker);
    server.assert_ends();
}

#[test]
fn sigterm_with_a_client_that_never_reads_ends_it_in_time() {
    let server = Server::start();
    let mut talker = server.connect();
    let _dead = server.join(&mut talker);
    flood_until_held_back(&talker.into_nonblocking());
    let begun = Instant::now();
    server.terminate();
    server.assert_ends();
    assert!(begun.elapsed() < DEADLINE / 2, "{:?}", begun.elapsed());
}

// ---- the command line ----

/// What it prints on its two outputs, and whether it was content.
#[track_caller]
fn told(arguments: &[&str]) -> (String, String, bool) {
    let mut command = common::command(example("chat"));
    command.args(arguments).stdin(Stdio::null());
    let output = within_deadline(move || command.output()).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let success = output.status.success();
    (text(output.stdout), text(output.stderr), success)
}

#[test]
fn help_is_told_and_is_no_error() {
    for option in ["--help", "-h"] {
        let (out, err, success) = told(&[option]);
        assert!(out.starts_with("usage: chat [ADDRESS]\n"), "{out}");
        assert!(out.contains("nc 127.0.0.1 7000") && out.contains("SIGTERM"));
        assert!(err.is_empty() && success, "{err}");
    }
}

#[test]
fn server_says_where_it_listens_and_how_to_talk_to_it() {
    let mut command = common::command(example("chat"));
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = piped.spawn().unwrap();
    let out = BufReader::new(process.stdout.take().unwrap());
    let err = BufReader::new(process.stderr.take().unwrap());
    let lines = within_deadline(|| [out.lines().next(), err.lines().next()]);
    process.kill().unwrap();
    process.wait().unwrap();
    let [address, hint] = lines.map(|line| line.unwrap().unwrap());
    let address: SocketAddr = address.parse().unwrap();
    let nc = format!("talk to it with: nc {} {}", address.ip(), address.port());
    assert_eq!(hint, nc);
}

#[test]
fn unknown_argument_is_an_error_in_one_sentence() {
    for arguments in [&["--verbose"][..], &["127.0.0.1:0", "more"]] {
        let (out, err, success) = told(arguments);
        let sentence = format!(
            "chat: cannot make sense of `{}`: see chat --help\n",
            arguments.join(" ")
        );
        assert_eq!((&*out, err, success), ("", sentence, false));
    }
}

#[test]
fn address_that_is_none_or_is_taken_is_an_error_in_one_sentence() {
    let (taken, address) = common::bound_tcp();
    rustix::net::listen(&taken, 1).unwrap();
    for address in ["nowhere", &address.to_string()] {
        let (out, err, success) = told(&[address]);
        let begins = format!("chat: cannot listen on {address}: ");
        assert!(
            err.starts_with(&begins) && err.lines().count() == 1,
            "{err}"
        );
        assert!(!err.contains('{') && out.is_empty() && !success, "{err}");
    }
}

// ---- programs that everybody has ----

/// Talks through a program that copies its input to the server, and what comes from
/// there to its output.
fn talk_through(name: &str, arguments: impl Fn(SocketAddr) -> Vec<String>) {
    let server = Server::start();
    let mut ann = server.connect();
    let mut command = Command::new(name);
    command.args(arguments(server.address));
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut program = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: {name} is not installed");
            return;
        }
        spawned => spawned.unwrap(),
    };
    let mut stdin = program.stdin.take().unwrap();
    let stdout = program.stdout.take().unwrap();
    stdin.write_all(b"hello\n").unwrap();
    assert_eq!(ann.hear(), "hello");
    ann.say("good day");
    let line = within_deadline(|| BufReader::new(stdout).lines().next());
    assert_eq!(line.unwrap().unwrap(), "good day");
    stdin.write_all(b"bye").unwrap();
    drop(stdin);
    // Not every netcat shuts its side down at the end of its input.
    program.kill().unwrap();
    program.wait().unwrap();
}

#[test]
fn netcat_can_chat() {
    talk_through("nc", |to| vec![to.ip().to_string(), to.port().to_string()]);
}

#[test]
fn socat_can_chat() {
    talk_through("socat", |to| vec!["-".to_owned(), format!("TCP:{to}")]);
}
