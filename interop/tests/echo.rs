//! Each server holds the same conversations: half-close, back-pressure, many at
//! once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(program: &str) -> Self {
        Self::run(&mut Command::new(program))
    }

    /// One that soon has no descriptor left.
    fn start_short_of_descriptors(program: &str, arguments: &[&str]) -> Self {
        let script = "ulimit -n 32 && exec \"$0\" \"$@\"";
        Self::run(
            Command::new("sh")
                .args(["-c", script, program])
                .args(arguments),
        )
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().parse().unwrap();
        Self { child, address }
    }

    /// Fails if the server is busy while nothing happens. Only Linux can be asked.
    fn assert_idle(&self) {
        let before = self.processor_time();
        std::thread::sleep(Duration::from_millis(500));
        if let (Some(before), Some(after)) = (before, self.processor_time()) {
            let hundredths = after - before;
            assert!(
                hundredths < 8,
                "busy for {hundredths} hundredths of a second"
            );
        }
    }

    /// In hundredths of a second.
    fn processor_time(&self) -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut next = || fields.next()?.parse::<u64>().ok();
        Some(next()? + next()?)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }
}

/// Bytes that show when some are lost, doubled or out of order.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}

/// A client that shuts down its side still gets everything, then the end.
fn half_close(server: &Server) {
    let mut stream = server.connect();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"hello");
}

/// A client that sends far more than any buffer holds before it reads: the server
/// has to stop reading, and every byte has to come back.
fn back_pressure(server: &Server) {
    let mut stream = server.connect();
    let sent = pattern(32 << 20);
    let mut writer = stream.try_clone().unwrap();
    let expected = sent.clone();
    let (stuck, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        // More than the buffers of both ends take is not swallowed unread.
        writer
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut n = 0;
        while let Ok(step) = writer.write(&sent[n..]) {
            n += step;
            assert!(
                step > 0 && n < sent.len(),
                "the server swallowed everything"
            );
        }
        stuck.send(()).unwrap();
        writer.set_write_timeout(Some(DEADLINE)).unwrap();
        writer.write_all(&sent[n..]).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    told.recv_timeout(DEADLINE).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    thread.join().unwrap();
    assert!(back == expected, "{} bytes came back", back.len());
}

fn many(server: &Server) {
    let mut streams: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for (i, stream) in streams.iter_mut().enumerate() {
        stream
            .write_all(format!("client {i:02}").as_bytes())
            .unwrap();
    }
    for (i, stream) in streams.iter_mut().enumerate() {
        let mut back = [0; 9];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, format!("client {i:02}").as_bytes());
    }
}

fn conversations(program: &str) {
    holds_all(
        &Server::start(program),
        &Server::start_short_of_descriptors(program, &[]),
    );
}

fn holds_all(server: &Server, short: &Server) {
    half_close(server);
    many(server);
    server.assert_idle();
    back_pressure(server);
    half_close(server);
    short_of_descriptors(short);
}

/// Who finds no descriptor stays in the queue, at no cost, until there is one.
fn short_of_descriptors(server: &Server) {
    let mut streams: Vec<_> = (0..40).map(|_| server.connect()).collect();
    let echo = |stream: &mut TcpStream| {
        let mut back = [0; 4];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"ping");
    };
    for stream in &mut streams {
        stream.write_all(b"ping").unwrap();
    }
    echo(&mut streams[0]);
    server.assert_idle();
    let late = streams.split_off(20);
    drop(streams);
    for mut stream in late {
        echo(&mut stream);
    }
}

#[test]
fn echo_on_poll_sets_holds_every_conversation() {
    conversations(env!("CARGO_BIN_EXE_echo-poll"));
}

#[test]
fn echo_on_tokio_holds_every_conversation() {
    conversations(env!("CARGO_BIN_EXE_echo-tokio"));
}

#[test]
fn echo_on_async_io_holds_every_conversation() {
    conversations(env!("CARGO_BIN_EXE_echo-async-io"));
}

#[test]
fn echo_on_mio_holds_every_conversation() {
    conversations(env!("CARGO_BIN_EXE_echo-mio"));
}

#[test]
fn echo_on_polling_holds_every_conversation() {
    conversations(env!("CARGO_BIN_EXE_echo-polling"));
}

#[test]
fn echo_on_calloop_holds_every_conversation() {
    conversations(env!("CARGO_BIN_EXE_echo-calloop"));
}

#[test]
fn echo_on_smol_holds_every_conversation() {
    conversations(env!("CARGO_BIN_EXE_echo-smol"));
}

#[test]
fn proxy_on_mio_of_an_echo_holds_every_conversation() {
    let program = env!("CARGO_BIN_EXE_proxy-mio");
    let echo = Server::start(env!("CARGO_BIN_EXE_echo-mio"));
    let arguments = ["127.0.0.1:0", &echo.address.to_string()];
    holds_all(
        &Server::run(Command::new(program).args(arguments)),
        &Server::start_short_of_descriptors(program, &arguments),
    );
}

#[test]
fn proxy_on_mio_of_a_target_that_refuses_or_resets_resets_its_client() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let program = env!("CARGO_BIN_EXE_proxy-mio");
    let proxy = Server::run(Command::new(program).args(["127.0.0.1:0", &target]));
    let is_reset = |answer: std::io::Result<usize>| {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    };
    let mut client = proxy.connect();
    client.write_all(b"lost").unwrap();
    let (server, _) = listener.accept().unwrap();
    server.peek(&mut [0]).unwrap();
    // With something unread in it: that is a reset.
    drop(server);
    is_reset(client.read(&mut [0]));
    drop(listener);
    // It may come before connect has returned, which then tells of it.
    is_reset(TcpStream::connect(proxy.address).and_then(|mut client| client.read(&mut [0])));
    proxy.assert_idle();
}
