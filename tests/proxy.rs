//! The proxy of the examples, under the faults that a network has. Each test runs
//! the binary, with peers that the test itself plays.

#![cfg(feature = "std")]

mod common;

use std::fmt::Debug;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::{bound_tcp, habits::habits, reset};
use wouldblock::Errno;
#[cfg(target_os = "linux")]
use wouldblock::{AddressFamily, Io, SocketType, connect, socket};

/// No wait is longer. Longer than the other tests' because the bulk of one test is
/// moved beside all others.
const DEADLINE: Duration = Duration::from_secs(100);

// ---- the proxy ----

fn command() -> Command {
    common::command(common::example("proxy"))
}

struct Proxy {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it printed that it listens on.
    name: String,
}

/// What it printed at its end.
#[derive(Debug)]
struct Statistics {
    connections: u64,
    sent: u64,
    received: u64,
    /// On its other output.
    errors: String,
}

impl Proxy {
    fn new(target: impl ToString) -> Self {
        Self::start(command().args(["127.0.0.1:0", &target.to_string()]))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let mut out = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut name = String::new();
        out.read_line(&mut name).expect("the proxy prints");
        let name = name.trim().to_owned();
        assert_ne!(name, "", "the proxy did not say where it listens");
        Self { child, out, name }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.name).expect("the proxy listens");
        limited(&socket);
        socket
    }

    /// What a client is told that connects and reads. A reset may come before its
    /// connect has returned, which then tells of it.
    fn tells(&self) -> std::io::Result<usize> {
        let mut socket = TcpStream::connect(&self.name)?;
        limited(&socket);
        socket.read(&mut [0])
    }

    fn terminate(&self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let id = rustix::process::Pid::from_raw(id).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
    }

    /// Ends it by SIGTERM.
    fn end(mut self) -> Statistics {
        self.terminate();
        let line = self.rest();
        let mut numbers = line
            .split([' ', ','])
            .filter_map(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next().unwrap_or_else(|| panic!("{line:?}"));
        let statistics = Statistics {
            connections: next(),
            sent: next(),
            received: next(),
            errors: self.errors(),
        };
        assert!(line.contains("would-blocks, longest wait "), "{line:?}");
        statistics
    }

    /// What it has said on its other output, after its end. It is less than a pipe holds.
    fn errors(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().expect("it was asked for");
        stderr.read_to_string(&mut text).expect("its output");
        text
    }

    /// What it prints from here to its end, which must be a good one.
    fn rest(&mut self) -> String {
        let mut text = String::new();
        eventually("its end", || self.child.try_wait().expect("a child"));
        self.out.read_to_string(&mut text).expect("its output");
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}: {text}");
        text
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() && self.child.stderr.is_some() {
            eprintln!("the proxy said: {}", self.errors());
        }
    }
}

/// Only on Linux can a test look into another process.
#[cfg(target_os = "linux")]
impl Proxy {
    fn proc(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.child.id());
        std::fs::read_to_string(path).expect("it runs")
    }

    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).expect("it runs").count()
    }

    fn resident_kib(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|number| number.parse().ok()).expect("RSS")
    }

    /// How long it has run, and how long it could have run and had no processor, as far
    /// as the system tells.
    fn busy(&self) -> [Duration; 2] {
        let stat = self.proc("stat");
        let (_, fields) = stat.rsplit_once(") ").expect("the name's end");
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u64 = ticks
            .map(|field| field.parse::<u64>().expect("ticks"))
            .sum();
        // Some kernels do not tell (gVisor, Linux without CONFIG_SCHED_INFO).
        let waited = std::fs::read_to_string(format!("/proc/{}/schedstat", self.child.id()));
        let waited = waited.map_or(0, |waited| {
            let field = waited.split(' ').nth(1);
            let waited = field.and_then(|field| field.parse().ok());
            waited.expect("nanoseconds of waiting")
        });
        [
            Duration::from_millis(ticks * 10),
            Duration::from_nanos(waited),
        ]
    }

    /// Fails if it is busy while nothing happens. Who spins on a crowded machine
    /// gets little of a processor, and waits for one the rest of the time.
    #[track_caller]
    fn assert_rests(&self) {
        // Whatever is under way has a moment to come to its end: two quiet seconds
        // in a row count.
        let mut seconds = Vec::new();
        let mut quiet = 0;
        while quiet < 2 {
            assert!(seconds.len() < 12, "it ran, and waited to run: {seconds:?}");
            let before = self.busy();
            thread::sleep(Duration::from_secs(1));
            let after = self.busy();
            let [ran, waited] = [after[0] - before[0], after[1] - before[1]];
            let rests = ran < Duration::from_millis(50) && waited < Duration::from_millis(600);
            quiet = if rests { quiet + 1 } else { 0 };
            seconds.push((ran, waited));
        }
    }
}

// ---- the peers ----

/// No call on it takes longer.
fn limited(socket: &TcpStream) {
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    socket.set_write_timeout(Some(DEADLINE)).expect("a timeout");
}

fn limited_unix(socket: &UnixStream) {
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    socket.set_write_timeout(Some(DEADLINE)).expect("a timeout");
}

/// Asks until there is an answer.
#[track_caller]
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what} did not come");
        thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn accept(listener: &TcpListener) -> TcpStream {
    common::wait_to_read(listener);
    let (socket, _) = listener.accept().expect("a connection");
    limited(&socket);
    socket
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a name");
    (listener, address)
}

/// A proxy, and both ends of a connection through it.
fn connected() -> (Proxy, TcpStream, TcpStream) {
    let (listener, address) = listener();
    let proxy = Proxy::new(address);
    let client = proxy.connect();
    let server = accept(&listener);
    (proxy, client, server)
}

/// Sends back what comes, for any number of connections, until the process ends.
fn echo_on(listener: TcpListener) {
    thread::spawn(move || {
        for socket in listener.incoming() {
            thread::spawn(move || {
                let mut socket = socket?;
                std::io::copy(&mut socket.try_clone()?, &mut socket)?;
                socket.shutdown(Shutdown::Write)
            });
        }
    });
}

fn echo() -> SocketAddr {
    let (listener, address) = listener();
    echo_on(listener);
    address
}

#[track_caller]
fn assert_echoes(mut socket: impl Read + Write, text: &[u8]) {
    socket.write_all(text).expect("it takes the text");
    let mut back = vec![0; text.len()];
    socket.read_exact(&mut back).expect("the text comes back");
    assert!(back == text, "another text came back");
}

/// The end of file, or the reset that a system makes of it.
#[track_caller]
fn assert_gone(mut socket: impl Read) {
    match socket.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("a byte came"),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn assert_reset(answer: std::io::Result<impl Debug>) {
    let error = answer.expect_err("the connection was reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// Bytes without a pattern that a lost, doubled or swapped part would fit into.
struct Random(u64);

impl Random {
    fn fill(&mut self, buf: &mut [u8]) {
        for word in buf.chunks_mut(8) {
            // xorshift64*
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let bytes = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
            word.copy_from_slice(&bytes[..word.len()]);
        }
    }
}

/// FNV-1a, over words: a check that a debug build computes quickly.
struct Checksum(u64, u64);

impl Checksum {
    fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325, 0)
    }

    /// All but the last call get a multiple of 8 bytes.
    fn add(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut full = [0; 8];
            full[..word.len()].copy_from_slice(word);
            self.0 = (self.0 ^ u64::from_le_bytes(full)).wrapping_mul(0x0000_0100_0000_01B3);
            self.0 = self.0.rotate_left(29);
        }
        self.1 += bytes.len() as u64;
    }

    fn done(self) -> (u64, u64) {
        (self.0, self.1)
    }
}

const CHUNK: usize = 64 * 1024;

/// Sends `total` bytes and then the end of file.
fn send_random(mut socket: TcpStream, seed: u64, total: usize) -> JoinHandle<(u64, u64)> {
    thread::spawn(move || {
        let (mut random, mut sum) = (Random(seed), Checksum::new());
        let mut buf = vec![0; CHUNK];
        for _ in 0..total / CHUNK {
            random.fill(&mut buf);
            sum.add(&buf);
            socket.write_all(&buf).expect("it takes the bytes");
        }
        socket.shutdown(Shutdown::Write).expect("it is connected");
        sum.done()
    })
}

fn receive_all(mut socket: TcpStream) -> JoinHandle<(u64, u64)> {
    thread::spawn(move || {
        let mut sum = Checksum::new();
        let mut buf = vec![0; CHUNK];
        loop {
            // Whole chunks, so that the words do not depend on how they came.
            let mut filled = 0;
            while filled < CHUNK {
                match socket.read(&mut buf[filled..]).expect("bytes, or the end") {
                    0 => {
                        sum.add(&buf[..filled]);
                        return sum.done();
                    }
                    n => filled += n,
                }
            }
            sum.add(&buf);
        }
    })
}

fn joined<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("the thread did not fail")
}

fn copy_of(socket: &TcpStream) -> TcpStream {
    socket.try_clone().expect("a descriptor")
}

// ---- what it must do ----

#[test]
fn proxy_of_echo_passes_bytes_both_ways() {
    let proxy = Proxy::new(echo());
    let client = proxy.connect();
    assert_echoes(&client, b"hello");
    assert_echoes(&client, &[7; 300_000]);
    drop(client);
    let statistics = proxy.end();
    assert_eq!(statistics.connections, 1);
    assert_eq!((statistics.sent, statistics.received), (300_005, 300_005));
}

#[test]
fn proxy_of_bulk_both_ways_loses_nothing() {
    const TOTAL: usize = 64 << 20;
    let (proxy, client, server) = connected();
    let received = [receive_all(copy_of(&client)), receive_all(copy_of(&server))];
    let sent = [send_random(server, 1, TOTAL), send_random(client, 2, TOTAL)];
    assert_eq!(received.map(joined), sent.map(joined));
    let statistics = proxy.end();
    assert_eq!(statistics.sent, TOTAL as u64);
    assert_eq!(statistics.received, TOTAL as u64);
}

#[test]
fn proxy_of_single_bytes_passes_each_at_once() {
    let (_proxy, mut client, mut server) = connected();
    for byte in 0..=255 {
        client.write_all(&[byte]).unwrap();
        let mut came = [0];
        server.read_exact(&mut came).unwrap();
        assert_eq!(came, [byte]);
        server.write_all(&came).unwrap();
        client.read_exact(&mut came).unwrap();
        assert_eq!(came, [byte]);
    }
}

/// One side ends its direction; the other's goes on, and ends later.
fn half_close(mut first: TcpStream, mut second: TcpStream) {
    first.write_all(b"the last of me").unwrap();
    first.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    second.read_to_string(&mut text).unwrap();
    assert_eq!(text, "the last of me");
    // More than the buffers hold, so that the proxy must still read and write.
    let sent = send_random(second, 3, 16 << 20);
    assert_eq!(joined(receive_all(first)), joined(sent));
}

#[test]
fn proxy_of_half_closed_client_passes_answer() {
    let (proxy, client, server) = connected();
    half_close(client, server);
    assert_eq!(proxy.end().received, 16 << 20);
}

#[test]
fn proxy_of_half_closed_target_passes_request() {
    let (proxy, client, server) = connected();
    half_close(server, client);
    assert_eq!(proxy.end().sent, 16 << 20);
}

#[test]
fn proxy_of_refusing_target_resets_and_goes_on() {
    let (bound, address) = common::nobody_listens();
    let proxy = Proxy::new(address);
    for _ in 0..3 {
        assert_reset(proxy.tells());
    }
    let listener = match bound {
        Some(bound) => {
            rustix::net::listen(&bound, 16).unwrap();
            TcpListener::from(bound)
        }
        None => TcpListener::bind(address).unwrap(),
    };
    listener.set_nonblocking(false).unwrap();
    echo_on(listener);
    assert_echoes(proxy.connect(), b"now");
    let statistics = proxy.end();
    assert_eq!(statistics.connections, 4);
    // Once a second, however many are refused.
    let refused = format!(
        "proxy: cannot connect to {address}: {}\n",
        Errno::CONNREFUSED
    );
    assert!(
        statistics.errors.starts_with(&refused),
        "{}",
        statistics.errors
    );
}

#[test]
fn proxy_of_unreachable_target_resets_and_goes_on() {
    // The broadcast address: connect itself fails, without a packet.
    let proxy = Proxy::new("255.255.255.255:9");
    for _ in 0..3 {
        assert_reset(proxy.tells());
    }
    assert_eq!(proxy.end().connections, 3);
}

#[test]
fn proxy_of_unix_listener_and_target_passes_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    let named = |name| format!("unix:{}", path(name).display());
    let target = UnixListener::bind(path("target")).unwrap();
    let proxy = Proxy::start(command().args([named("proxy"), named("target")]));
    assert_eq!(proxy.name, named("proxy"));

    let mut client = UnixStream::connect(path("proxy")).unwrap();
    limited_unix(&client);
    common::wait_to_read(&target);
    let (mut server, _) = target.accept().unwrap();
    server.set_nonblocking(false).unwrap();
    limited_unix(&server);
    let text = vec![9; 3 << 20];
    let sent = {
        let (mut client, text) = (client.try_clone().unwrap(), text.clone());
        thread::spawn(move || {
            client.write_all(&text).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        })
    };
    let mut came = Vec::new();
    server.read_to_end(&mut came).unwrap();
    joined(sent);
    assert!(came == text, "another text came");
    server.write_all(b"thanks").unwrap();
    drop(server);
    let mut thanks = String::new();
    client.read_to_string(&mut thanks).unwrap();
    assert_eq!(thanks, "thanks");
    assert_eq!(proxy.end().sent, 3 << 20);
    assert!(!path("proxy").exists(), "its name is left behind");
}

/// Elsewhere a full backlog refuses, or polls as it should.
#[cfg(target_os = "linux")]
#[test]
fn proxy_of_full_unix_backlog_rests_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("target");
    let target = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&target, 0).unwrap();
    let name = rustix::net::SocketAddrUnix::new(&path).unwrap();
    let mut queued = Vec::new();
    loop {
        let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        match connect(&socket, &name) {
            Io::Ready(()) => queued.push(socket),
            answer => break assert_eq!(answer, Io::Err(Errno::AGAIN)),
        }
    }
    let proxy = Proxy::new(format!("unix:{}", path.display()));
    let mut client = proxy.connect();
    client.write_all(b"early").unwrap();
    proxy.assert_rests();

    for _ in &queued {
        drop(target.accept().unwrap());
    }
    common::wait_to_read(&target);
    let (mut server, _) = target.accept().unwrap();
    limited_unix(&server);
    let mut came = [0; 5];
    server.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"early");
    server.write_all(b"late!").unwrap();
    client.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"late!");
}

#[test]
fn proxy_of_reset_client_resets_target() {
    let (proxy, client, mut server) = connected();
    reset(client);
    assert_reset(server.read(&mut [0]));
    proxy.end();
}

#[test]
fn proxy_of_reset_target_resets_client() {
    let (proxy, mut client, server) = connected();
    reset(server);
    assert_reset(client.read(&mut [0]));
    proxy.end();
}

#[test]
fn proxy_of_vanished_client_ends_the_rest() {
    let (proxy, client, mut server) = connected();
    // Gone without reading what is under way: the target meets the end of file,
    // then an error, and never a block.
    drop(client);
    assert_gone(&server);
    let text = vec![1; 1 << 20];
    let error = loop {
        if let Err(error) = server.write_all(&text) {
            break error;
        }
    };
    let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(gone.contains(&error.kind()), "{error}");
    proxy.end();
}

/// A proxy, a client of it, and the Unix socket that it is connected to.
fn through_unix() -> (Proxy, TcpStream, UnixStream) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("target");
    let target = UnixListener::bind(&path).unwrap();
    let proxy = Proxy::new(format!("unix:{}", path.display()));
    let client = proxy.connect();
    common::wait_to_read(&target);
    let (server, _) = target.accept().unwrap();
    server.set_nonblocking(false).unwrap();
    limited_unix(&server);
    (proxy, client, server)
}

#[test]
fn proxy_of_target_that_reads_no_more_passes_its_answer() {
    let (proxy, mut client, mut server) = through_unix();
    // To send is EPIPE from now on, or is taken for nobody. To receive is not.
    server.shutdown(Shutdown::Read).unwrap();
    client.write_all(b"too late").unwrap();
    let text = vec![4; 8 << 20];
    let sent = thread::spawn({
        let text = text.clone();
        move || server.write_all(&text).map(|()| server)
    });
    let mut came = vec![0; text.len()];
    client.read_exact(&mut came).unwrap();
    assert!(came == text, "another text came");
    drop(joined(sent).expect("the answer is taken"));
    assert_gone(&client);
    let sent = proxy.end().sent;
    assert!(sent == 0 || !habits().shut_down_reader_refuses, "{sent}");
}

#[test]
fn proxy_of_slow_reader_serves_fast_one() {
    const TOTAL: usize = 16 << 20;
    // More than four of the kernel's buffers grow to.
    const SLOW: usize = 64 << 20;
    let (listener, address) = listener();
    let proxy = Proxy::new(address);
    // It does not read at all, while its target fills everything on the way.
    let slow = proxy.connect();
    let slow_server = accept(&listener);
    let slow_sent = send_random(slow_server, 5, SLOW);

    let fast = proxy.connect();
    let fast_server = accept(&listener);
    let fast_sent = send_random(fast_server, 6, TOTAL);
    assert_eq!(joined(receive_all(fast)), joined(fast_sent));
    assert!(
        !slow_sent.is_finished(),
        "{SLOW} bytes were held for a slow reader"
    );
    #[cfg(target_os = "linux")]
    proxy.assert_rests();

    assert_eq!(joined(receive_all(slow)), joined(slow_sent));
    assert_eq!(proxy.end().received, (SLOW + TOTAL) as u64);
}

/// A target that has heard enough: it answers, and closes with something unread, which
/// is a reset. The client sends until it fails or all is sent, and then reads.
#[test]
fn proxy_of_target_that_answers_early_and_closes_passes_its_answer() {
    const TIMES: usize = 200;
    let (listener, address) = listener();
    let proxy = Proxy::new(address);
    let target = thread::spawn(move || {
        for _ in 0..TIMES {
            let mut socket = accept(&listener);
            socket.read_exact(&mut [0; 1000]).expect("a request");
            socket.write_all(b"413 Too Large").expect("it is taken");
        }
    });
    let request = vec![b'x'; 4 << 20];
    let answers = (0..TIMES).filter(|_| {
        let mut client = proxy.connect();
        let _fails_or_not = client.write_all(&request);
        let mut answer = [0; 13];
        client.read_exact(&mut answer).is_ok() && &answer == b"413 Too Large"
    });
    assert_eq!(answers.count(), TIMES);
    joined(target);
    proxy.end();
}

/// Half of an answer must not look like a whole one.
#[test]
fn proxy_of_target_that_is_cut_in_its_answer_resets_client() {
    let (listener, address) = listener();
    let proxy = Proxy::new(address);
    for wait in [false, true] {
        let mut client = proxy.connect();
        let mut server = accept(&listener);
        client.write_all(&[1; 100_000]).unwrap();
        common::wait_to_read(&server);
        server.write_all(b"half").unwrap();
        if wait {
            // The reset meets a proxy that has nothing to do.
            let mut half = [0; 4];
            client.read_exact(&mut half).unwrap();
            assert_eq!(&half, b"half");
        }
        // Not every system makes a reset of what was not read.
        reset(server);
        // And one that sends. If that fails, it has told of the reset.
        let is_told = !wait && client.write_all(&vec![2; 4 << 20]).is_err();
        let mut came = Vec::new();
        let ended = client.read_to_end(&mut came);
        if !is_told {
            assert_reset(ended);
        }
        assert_eq!(came, if wait { &b""[..] } else { b"half" });
    }
    proxy.end();
}

/// Many send all that they have before they read. The target does not read it, is in no
/// hurry with its answer, and ends it as one should.
#[test]
fn proxy_of_target_that_reads_no_more_lets_the_client_come_to_its_end() {
    if !habits().shut_down_reader_refuses {
        return println!("skipped: the proxy may never be told here");
    }
    let (proxy, mut client, mut server) = through_unix();
    server.shutdown(Shutdown::Read).unwrap();
    client.write_all(&vec![1; 32 << 20]).expect("it is taken");
    #[cfg(target_os = "linux")]
    proxy.assert_rests();
    let sent = thread::spawn(move || server.write_all(&vec![4; 8 << 20]));
    let mut came = Vec::new();
    client.read_to_end(&mut came).unwrap();
    joined(sent).expect("the answer is taken");
    assert!(came == vec![4; 8 << 20], "another text came");
    drop(client);
    assert_eq!(proxy.end().sent, 0);
}

/// It has all, and does not go: whoever is connected to nobody has its time.
#[test]
fn proxy_of_target_that_is_gone_lets_the_client_go() {
    let (proxy, mut client, server) = through_unix();
    client.write_all(b"anybody?").unwrap();
    common::wait_to_read(&server);
    drop(server);
    assert_gone(&client);
    // The end of file may have been passed on before the rest was refused.
    let error = loop {
        if let Err(error) = client.write_all(b"anybody?") {
            break error;
        }
    };
    let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(gone.contains(&error.kind()), "{error}");
    drop(client);
    proxy.end();
}

/// What a program sees of a target that comes and goes.
#[test]
fn proxy_of_restarted_target_recovers_under_load() {
    let (listener, address) = listener();
    let proxy = Proxy::new(address);
    // Clients that come again whenever they are turned away.
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (name, done) = (proxy.name.clone(), done.clone());
            thread::spawn(move || {
                let mut answers = 0_u64;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let Ok(mut socket) = TcpStream::connect(&name) else {
                        continue;
                    };
                    limited(&socket);
                    let mut back = [0; 64];
                    while !done.load(std::sync::atomic::Ordering::Relaxed)
                        && socket.write_all(&[3; 64]).is_ok()
                        && socket.read_exact(&mut back).is_ok()
                    {
                        assert_eq!(back, [3; 64]);
                        answers += 1;
                    }
                }
                answers
            })
        })
        .collect();
    let mut listener = Some(listener);
    for _ in 0..5 {
        let listener = listener
            .take()
            .unwrap_or_else(|| eventually("the port", || TcpListener::bind(address).ok()));
        let mut served: Vec<_> = (0..4).map(|_| accept(&listener)).collect();
        for socket in &mut served {
            let mut text = [0; 64];
            for _ in 0..50 {
                // A client may have been turned away by the death before.
                if socket.read_exact(&mut text).is_err() || socket.write_all(&text).is_err() {
                    break;
                }
            }
        }
        // Killed: what it was connected to is reset, and the queue too.
        served.into_iter().for_each(reset);
        drop(listener);
    }
    // And back for good.
    echo_on(eventually("the port", || TcpListener::bind(address).ok()));
    assert_echoes(proxy.connect(), b"well again");
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    let answers: u64 = clients.into_iter().map(joined).sum();
    assert!(answers > 0, "nobody was ever answered");
    proxy.end();
}

#[cfg(target_os = "linux")]
#[test]
fn proxy_without_descriptors_rests_and_recovers() {
    let command = format!(
        "ulimit -n 24; exec '{}' 127.0.0.1:0 {}",
        common::example("proxy").display(),
        echo()
    );
    let proxy = Proxy::start(Command::new("/bin/sh").args(["-c", &command]));
    let mut clients: Vec<_> = (0..30).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.write_all(b"served?").unwrap();
    }
    // The first are served, the last wait in the queue.
    let served = |client: &TcpStream| {
        client.set_nonblocking(true).unwrap();
        let answer = client.peek(&mut [0]);
        client.set_nonblocking(false).unwrap();
        answer.is_ok()
    };
    eventually("an answer", || served(&clients[0]).then_some(()));
    eventually("a full table", || (proxy.descriptors() >= 23).then_some(()));
    proxy.assert_rests();
    assert!(!served(&clients[29]), "30 pairs on 24 descriptors");

    // As the ones go, the others come, and nobody was turned away.
    for mut client in clients {
        let mut back = [0; 7];
        client.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"served?");
    }
    assert_eq!(proxy.end().connections, 30);
}

#[cfg(target_os = "linux")]
#[test]
fn proxy_of_idle_connections_rests() {
    let proxy = Proxy::new(echo());
    let clients: Vec<_> = (0..50).map(|_| proxy.connect()).collect();
    for client in &clients {
        assert_echoes(client, b"here");
    }
    proxy.assert_rests();
}

/// Hung up on one side, which polls as an event for ever, while the other side has
/// not ended.
#[cfg(target_os = "linux")]
#[test]
fn proxy_of_hung_up_peer_rests() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxy");
    let (listener, address) = listener();
    let named = format!("unix:{}", path.display());
    let proxy = Proxy::start(command().args([named, address.to_string()]));
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"going").unwrap();
    let mut server = accept(&listener);
    drop(client);
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "going");
    proxy.assert_rests();
}

#[test]
fn proxy_after_sigterm_drains() {
    let (listener, address) = listener();
    let mut proxy = Proxy::new(address);
    let mut client = proxy.connect();
    let mut server = accept(&listener);
    // Whoever still comes in below is refused, and not left in a queue.
    drop(listener);
    client.write_all(b"before").unwrap();
    let mut text = [0; 6];
    server.read_exact(&mut text).unwrap();
    proxy.terminate();
    // It listens no more.
    eventually("its deafness", || TcpStream::connect(&proxy.name).err());
    // What is connected goes on.
    server.write_all(b"answer").unwrap();
    client.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"answer");
    assert_eq!(proxy.child.try_wait().unwrap(), None);
    drop((client, server));
    let line = proxy.rest();
    // One that came between the signal and its effect may have been counted.
    assert!(line.contains(" bytes to the target, 6 back, "), "{line:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn proxy_of_500_connections_gives_everything_back() {
    let proxy = Proxy::new(echo());
    // With the socket that waits for the next client.
    let idle = proxy.descriptors() + 1;
    let round = || {
        for _ in 0..5 {
            let clients: Vec<_> = (0..50).map(|_| proxy.connect()).collect();
            for client in &clients {
                assert_echoes(client, &[5; 1000]);
            }
            drop(clients);
            // Never more than 50 at once, so that the rounds need the same memory.
            eventually("its idleness", || {
                (proxy.descriptors() <= idle).then_some(())
            });
        }
    };
    // A heap takes some rounds to find its size. A leak does not end.
    let mut sizes = Vec::new();
    for done in 1.. {
        round();
        let size = proxy.resident_kib();
        if done >= 2 && sizes.last().is_some_and(|last| size < last + 200) {
            break;
        }
        sizes.push(size);
        assert!(done < 10, "KiB after each 250 connections: {sizes:?}");
    }
    let connections = 250 * (sizes.len() as u64 + 1);
    let statistics = proxy.end();
    assert_eq!(statistics.connections, connections);
    assert_eq!(statistics.sent, 1000 * connections);
    assert_eq!(statistics.received, 1000 * connections);
}

// ---- the command line ----

/// What it prints on its two outputs, and whether it was content.
#[track_caller]
fn told(arguments: &[&str]) -> (String, String, bool) {
    let mut command = command();
    command.args(arguments).stdin(Stdio::null());
    let output = common::within_deadline(move || command.output()).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let success = output.status.success();
    (text(output.stdout), text(output.stderr), success)
}

#[test]
fn help_is_told_and_is_no_error() {
    for option in ["--help", "-h"] {
        let (out, err, success) = told(&[option]);
        assert!(out.starts_with("usage: proxy LISTEN TARGET\n"), "{out}");
        assert!(out.contains("unix:/path") && out.contains("SIGTERM"));
        assert!(err.is_empty() && success, "{err}");
    }
}

#[test]
fn wrong_arguments_are_an_error_in_one_sentence() {
    let one = "127.0.0.1:0";
    let missing = "proxy: the arguments are missing: see proxy --help\n";
    assert_eq!(told(&[]), (String::new(), missing.into(), false));
    for arguments in [&[one][..], &[one, one, one], &["--fast", one]] {
        let (out, err, success) = told(arguments);
        let given = arguments.join(" ");
        let sentence = format!("proxy: cannot make sense of `{given}`: see proxy --help\n");
        assert_eq!((&*out, err, success), ("", sentence, false));
    }
}

#[test]
fn address_that_is_none_or_is_taken_is_an_error_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let long = format!("unix:{}/{}", directory.path().display(), "x".repeat(200));
    let (taken, address) = bound_tcp();
    rustix::net::listen(&taken, 1).unwrap();
    let address = address.to_string();
    let one = "127.0.0.1:0";
    for (from, to, wrong) in [
        ("unix:", one, "listen on unix:: the path is missing"),
        (one, "unix:", "forward to unix:: the path is missing"),
        (&long, one, &format!("listen on {long}: ")),
        (one, &long, &format!("forward to {long}: ")),
        ("nowhere", one, "listen on nowhere: "),
        (one, "nowhere", "forward to nowhere: "),
        (&address, one, &format!("listen on {address}: ")),
    ] {
        let (out, err, success) = told(&[from, to]);
        let begins = format!("proxy: cannot {wrong}");
        assert!(err.starts_with(&begins), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(!err.contains('{') && out.is_empty() && !success, "{err}");
    }
}
