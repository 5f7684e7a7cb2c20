use std::io::{Error, ErrorKind, Read, Write};
use std::thread;
use std::time::Instant;

use programs::tls::{Session, answer, ask, exchange};
use rustix::net::{Shutdown, shutdown};
use rustls::version::{TLS12, TLS13};
use rustls::{Connection, StreamOwned};
use wouldblock::{Deadline, until};

use crate::common::{DEADLINE, IDLE, Socket, assert_same, connections, idle, pair, pattern};

const LARGE: usize = 32 << 20;
const SMALL: usize = 1 << 20;

fn deadline() -> Deadline {
    Deadline::after(DEADLINE)
}

/// Every version, socket and size of the kernel's buffers, with as many bytes as take a
/// while.
fn each(mut body: impl FnMut([Connection; 2], [Socket; 2], usize)) {
    for version in [&TLS12, &TLS13] {
        for (tcp, small) in [(false, false), (false, true), (true, false), (true, true)] {
            let (client, server) = connections(version);
            let length = if small { SMALL } else { LARGE };
            body([client.into(), server.into()], pair(tcp, small), length);
        }
    }
}

/// Says `bytes`, and returns what came and the number of turns.
fn talk(tls: Connection, socket: &Socket, bytes: Vec<u8>) -> (Vec<u8>, usize) {
    let mut session = Session::new(tls, usize::MAX);
    session.say(bytes);
    session.say_no_more();
    let turns = exchange(&mut session, socket, deadline()).unwrap();
    (session.received().to_vec(), turns)
}

#[test]
fn exchange_of_megabytes_both_ways_at_once_delivers_both() {
    each(|[client, server], [ours, theirs], length| {
        let (one, other) = (pattern(1, length), pattern(2, length));
        thread::scope(|scope| {
            let server = scope.spawn(|| talk(server, &theirs, other.clone()));
            let (came, turns) = talk(client, &ours, one.clone());
            assert_same(&came, &other);
            let (came, _) = server.join().unwrap();
            assert_same(&came, &one);
            // A turn for nothing would be one for each byte and more.
            assert!(turns < length / 256, "{turns} turns");
        });
    });
}

#[test]
fn ask_and_answer_of_megabytes_over_blocking_streams_deliver_both() {
    each(|[client, server], [ours, theirs], length| {
        let (Connection::Client(client), Connection::Server(server)) = (client, server) else {
            unreachable!()
        };
        let (question, reply) = (pattern(1, length), pattern(2, length));
        thread::scope(|scope| {
            let (asked, back) = (&question, &reply);
            let server = scope.spawn(move || {
                let wire = until(&theirs, deadline()).std_io();
                answer(server, wire, |came| {
                    assert_same(came, asked);
                    back.clone()
                })
            });
            let came = ask(client, until(&ours, deadline()).std_io(), &question).unwrap();
            assert_same(&came, &reply);
            server.join().unwrap().unwrap();
        });
    });
}

/// What a client says before it leaves without a word. It takes what the server sends,
/// or its leaving would be a reset.
fn leave_early(tls: Connection, socket: Socket, bytes: &[u8]) {
    let Connection::Client(tls) = tls else {
        unreachable!()
    };
    let mut stream = StreamOwned::new(tls, until(socket, deadline()).std_io());
    stream.write_all(bytes).unwrap();
    stream.flush().unwrap();
    shutdown(stream.sock.get_ref(), Shutdown::Write).unwrap();
    stream.sock.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn exchange_with_a_peer_that_leaves_without_close_notify_reports_the_truncation() {
    each(|[client, server], [ours, theirs], length| {
        let bytes = &pattern(1, length)[..];
        thread::scope(|scope| {
            let client = scope.spawn(|| leave_early(client, ours, bytes));
            let mut session = Session::new(server, usize::MAX);
            let error = exchange(&mut session, &theirs, deadline()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
            assert_same(session.received(), bytes);
            drop(theirs);
            client.join().unwrap();
        });
    });
}

#[test]
fn answer_to_a_peer_that_leaves_without_close_notify_reports_the_truncation() {
    each(|[client, server], [ours, theirs], length| {
        let Connection::Server(server) = server else {
            unreachable!()
        };
        let bytes = &pattern(1, length)[..];
        thread::scope(|scope| {
            let client = scope.spawn(|| leave_early(client, ours, bytes));
            let wire = until(&theirs, deadline()).std_io();
            let error = answer(server, wire, |_| panic!("half a question")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
            drop(theirs);
            client.join().unwrap();
        });
    });
}

/// An end of the time in the middle of a handshake, in both forms; another deadline, and
/// the same session goes on.
#[test]
fn handshake_with_a_peer_that_stalls_ends_on_time_and_goes_on_later() {
    for version in [&TLS12, &TLS13] {
        let (client, server) = connections(version);
        let [ours, theirs] = pair(true, false);

        let start = Instant::now();
        let mut stream = StreamOwned::new(client, until(&ours, IDLE).std_io());
        let error: Error = idle(|| stream.write_all(b"hello")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(start.elapsed() >= IDLE);

        // The server takes the hello, answers, and has nothing to go on with.
        let mut session = Session::new(server, usize::MAX);
        let mut turns = 0;
        let error = idle(|| exchange(&mut session, &theirs, Deadline::after(IDLE))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(session.received().is_empty());

        stream.sock.set_deadline(deadline());
        thread::scope(|scope| {
            let server = scope.spawn(|| {
                session.say(b"and welcome".to_vec());
                session.say_no_more();
                turns += exchange(&mut session, &theirs, deadline()).unwrap();
                session.received().to_vec()
            });
            stream.write_all(b"hello").unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            let mut came = Vec::new();
            stream.read_to_end(&mut came).unwrap();
            assert_eq!(came, b"and welcome");
            assert_eq!(server.join().unwrap(), b"hello");
        });
        assert!(turns < 8, "{turns} turns");
    }
}

/// Two peers that both send before they listen: blocking calls cannot do that, and end
/// on their deadline; what they have not sent can still be sent both ways at once.
#[test]
fn both_sides_in_a_blocking_write_end_on_time_and_lose_nothing() {
    let (client, server) = connections(&TLS13);
    let [ours, theirs] = pair(false, true);
    let (one, other) = (pattern(1, SMALL), pattern(2, SMALL));
    fn push(stream: &mut impl Write, bytes: &[u8]) -> usize {
        let mut n = 0;
        let error = loop {
            match stream.write(&bytes[n..]) {
                Ok(more) => n += more,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        n
    }
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut stream = StreamOwned::new(server, until(&theirs, IDLE * 2).std_io());
            stream.conn.complete_io(&mut stream.sock).unwrap();
            let n = push(&mut stream, &other);
            assert!(n < SMALL);
            talk(stream.conn.into(), &theirs, other[n..].to_vec()).0
        });
        let mut stream = StreamOwned::new(client, until(&ours, IDLE * 2).std_io());
        stream.conn.complete_io(&mut stream.sock).unwrap();
        let n = push(&mut stream, &one);
        assert!(n < SMALL);
        let came = talk(stream.conn.into(), &ours, one[n..].to_vec()).0;
        assert_same(&came, &other);
        assert_same(&server.join().unwrap(), &one);
    });
}
