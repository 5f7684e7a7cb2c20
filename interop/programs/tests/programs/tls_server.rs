use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use programs::tls::{Session, exchange};
use programs::tls_server::{Counts, serve};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use wouldblock::{
    AddressFamily, Deadline, Io, NonBlocking, SocketType, set_nonblocking, socket, until,
};

use crate::common::{DEADLINE, IDLE, alone, assert_same, configs, pattern};

struct Server {
    address: SocketAddr,
    client: Arc<ClientConfig>,
    counts: Counts,
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Server {
    /// Runs `body` beside a server; returns what happened in it.
    fn run(patience: Duration, body: impl FnOnce(&Self)) -> Counts {
        let (client, config) = configs(&TLS13);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&listener, true).unwrap();
        let (stop, stopper) = UnixStream::pair().unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self {
            address,
            client,
            counts: Counts::default(),
        };
        thread::scope(|scope| {
            let counts = &server.counts;
            let (listener, stop) = (listener.into(), stop.into());
            let thread = scope.spawn(move || serve(listener, stop, &config, patience, counts));
            // Also where `body` panics.
            let stopper = stopper;
            body(&server);
            drop(stopper);
            thread.join().unwrap().unwrap();
        });
        server.counts
    }

    fn tls(&self) -> ClientConnection {
        let name = "localhost".try_into().unwrap();
        ClientConnection::new(Arc::clone(&self.client), name).unwrap()
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        socket
    }

    fn client(&self) -> Stream {
        StreamOwned::new(self.tls(), self.connect())
    }

    /// Runs `body`, for which the server has nothing to do, and fails if it was busy.
    fn idle<T>(&self, body: impl FnOnce() -> T) -> T {
        let before = self.counts.wakes.load(Relaxed);
        let result = body();
        let wakes = self.counts.wakes.load(Relaxed) - before;
        assert!(wakes < 60, "{wakes} wakes for nothing");
        result
    }
}

#[track_caller]
fn wait_for(counter: &AtomicU64, count: u64) {
    let end = Instant::now() + DEADLINE;
    while counter.load(Relaxed) < count {
        assert!(Instant::now() < end, "{counter:?} is not {count}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn echo(stream: &mut Stream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, text.as_bytes());
}

/// close_notify, and the server's.
fn end(mut stream: Stream) {
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn serve_of_many_clients_echoes_to_each_and_ends_with_close_notify() {
    let counts = Server::run(DEADLINE, |server| {
        let mut clients: Vec<_> = (0..60).map(|_| server.client()).collect();
        for round in 0..3 {
            for (i, client) in clients.iter_mut().enumerate() {
                echo(client, &format!("round {round}, client {i}"));
            }
        }
        server.idle(|| thread::sleep(IDLE));
        // Half of them one way: what they said last comes back after their end.
        for (i, mut client) in clients.into_iter().enumerate() {
            if i % 2 == 0 {
                client.write_all(b"last").unwrap();
                client.conn.send_close_notify();
                client.flush().unwrap();
                let mut back = Vec::new();
                client.read_to_end(&mut back).unwrap();
                assert_eq!(back, b"last");
            } else {
                end(client);
            }
        }
        wait_for(&server.counts.ended, 60);
    });
    assert_eq!(counts.clients.into_inner(), 60);
    assert_eq!(counts.failed.into_inner(), 0);
}

/// A client that does not read is not read from; then both ways at once.
#[test]
fn serve_of_a_client_that_does_not_read_waits_and_then_echoes_all() {
    let bytes = pattern(1, 32 << 20);
    Server::run(DEADLINE, |server| {
        let socket = NonBlocking::new(server.connect()).unwrap();
        // One byte held is one record.
        let mut session = Session::new(server.tls(), 1);
        session.say(bytes.clone());
        session.say_no_more();
        // Until all buffers between are full.
        let error = exchange(&mut session, &socket, Deadline::after(2 * IDLE)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(!session.has_said_all());
        let another = &mut server.client();
        server.idle(|| thread::sleep(IDLE));
        echo(another, "others are served");
        session.set_limit(usize::MAX);
        exchange(&mut session, &socket, Deadline::after(DEADLINE)).unwrap();
        assert_same(session.received(), &bytes);
    });
}

#[test]
fn serve_of_clients_that_fail_counts_each_and_serves_the_others() {
    let counts = Server::run(DEADLINE, |server| {
        let mut good = server.client();
        echo(&mut good, "before");

        let mut truncating = server.client();
        echo(&mut truncating, "half of it");
        // Without close_notify.
        truncating.sock.shutdown(std::net::Shutdown::Write).unwrap();
        wait_for(&server.counts.truncated, 1);

        let mut confused = server.connect();
        confused.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        wait_for(&server.counts.failed, 1);

        let mut old = configs(&TLS12).0;
        // Without a version in common, or a certificate that it trusts.
        Arc::get_mut(&mut old).unwrap().enable_sni = false;
        let name = "example.org".try_into().unwrap();
        let mut stranger =
            StreamOwned::new(ClientConnection::new(old, name).unwrap(), server.connect());
        let error = stranger.write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        drop(stranger);
        wait_for(&server.counts.failed, 2);

        echo(&mut good, "after");
        end(good);
        wait_for(&server.counts.ended, 1);
    });
    assert_eq!(counts.clients.into_inner(), 4);
    assert_eq!(counts.timed_out.into_inner(), 0);
}

#[test]
fn serve_of_a_client_that_says_nothing_lets_it_go_on_time() {
    let start = Instant::now();
    let counts = Server::run(IDLE, |server| {
        let mut silent = server.connect();
        server.idle(|| wait_for(&server.counts.timed_out, 1));
        assert!(start.elapsed() >= IDLE);
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    });
    assert_eq!(counts.clients.into_inner(), 1);
}

/// Clients that find no descriptor stay in the queue, at no cost, until there is one.
#[test]
fn serve_without_descriptors_waits_for_some() {
    let test = "tls_server::serve_without_descriptors_waits_for_some";
    alone(test, &[], || {
        let counts = Server::run(DEADLINE, |server| {
            let mut early = server.client();
            echo(&mut early, "early");
            let late = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            // As many as are open now.
            let next = early.sock.try_clone().unwrap().as_raw_fd();
            let mut limit = getrlimit(Resource::Nofile);
            limit.current = Some(next.try_into().unwrap());
            setrlimit(Resource::Nofile, limit).unwrap();

            let connected = until(&late, DEADLINE).connect(&server.address);
            assert_eq!(connected, Io::Ready(()));
            server.idle(|| thread::sleep(IDLE));
            assert_eq!(server.counts.clients.load(Relaxed), 1);
            echo(&mut early, "still here");
            end(early);

            let mut late = StreamOwned::new(server.tls(), until(&late, DEADLINE).std_io());
            late.write_all(b"late").unwrap();
            let mut back = [0; 4];
            late.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"late");
        });
        assert_eq!(counts.clients.into_inner(), 2);
    });
}
