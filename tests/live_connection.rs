//! `socket`, `accept`, `connect` and `finish_connect` on real sockets.

#![allow(unsafe_code, reason = "signals have no safe interface")]

mod common;

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Instant;

use common::{
    DEADLINE, assert_prepared, bound_tcp, fill, habits::habits, nobody_listens, pipe, ready,
    tcp_pair, tcp_socket, wait_for, wait_to_read, within_deadline,
};
use wouldblock::{
    AddressFamily, Errno, Interest, Io, NonBlocking, Op, Outcome, RecvFlags, SendFlags,
    SocketAddrUnix, SocketType, accept, accept_from, connect, finish_connect, is_nonblocking, recv,
    send, set_nonblocking, socket, socketpair,
};

fn listener() -> (NonBlocking<TcpListener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (NonBlocking::new(listener).unwrap(), address)
}

fn unix_socket() -> OwnedFd {
    socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap()
}

/// A listener with a name, and the directory that the name is in.
fn unix_listener() -> (UnixListener, SocketAddrUnix, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    (listener, SocketAddrUnix::new(&path).unwrap(), directory)
}

/// Waits for the attempt's end as the documentation says.
#[track_caller]
fn finish(fd: impl AsFd) -> Io<()> {
    loop {
        assert!(wait_for(&fd, Op::Connect.interest()).is_writable());
        let answer = finish_connect(&fd);
        if !answer.is_would_block() {
            return answer;
        }
    }
}

#[test]
fn creation_gives_descriptors_that_are_non_blocking_and_close_on_exec() {
    for family in [AddressFamily::INET, AddressFamily::UNIX] {
        for kind in [SocketType::STREAM, SocketType::DGRAM] {
            assert_prepared(socket(family, kind, None).unwrap());
        }
    }
    let (one, other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    assert_prepared(&one);
    assert_prepared(&other);
    assert_eq!(send(&one, b"hello", SendFlags::empty()), Io::Ready(5));
    assert_eq!(
        recv(&other, &mut [0; 8], RecvFlags::empty()),
        Io::Ready(5),
        "not a pair"
    );
    let (reader, writer) = wouldblock::pipe().unwrap();
    assert_prepared(&reader);
    assert_prepared(&writer);
    assert_eq!(wouldblock::write(&writer, b"hello"), Io::Ready(5));
    assert_eq!(wouldblock::read(&reader, &mut [0; 8]), Io::Ready(5));
}

#[test]
fn creation_in_a_family_that_there_is_not_fails() {
    let nowhere = AddressFamily::from_raw(250);
    let answers = [
        socket(nowhere, SocketType::STREAM, None).map(drop),
        socketpair(nowhere, SocketType::STREAM, None).map(drop),
        socketpair(AddressFamily::INET, SocketType::STREAM, None).map(drop),
    ];
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    let linux = [Errno::AFNOSUPPORT, Errno::AFNOSUPPORT, Errno::OPNOTSUPP];
    assert!(
        !habits().errnos_of_linux || answers == linux.map(Err),
        "{answers:?}"
    );
}

#[test]
fn accept_with_nothing_queued_would_block() {
    let (listener, _) = listener();
    assert!(accept(&listener).is_would_block());
    assert!(accept_from(&listener).is_would_block());
    let (listener, _, _directory) = unix_listener();
    let listener = NonBlocking::new(listener).unwrap();
    assert!(listener.accept().is_would_block());
    assert!(listener.accept_from().is_would_block());
}

#[test]
fn accept_from_a_blocking_listener_gives_a_non_blocking_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _clients = [(); 2].map(|()| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let (one, other) = within_deadline(move || {
        wait_to_read(&listener);
        let one = accept(&listener).ready().unwrap();
        wait_to_read(&listener);
        let (other, _) = accept_from(&listener).ready().unwrap();
        assert_eq!(is_nonblocking(&listener), Ok(false));
        (one, other)
    });
    assert_prepared(one);
    assert_prepared(other);
}

#[test]
fn accept_from_a_non_blocking_listener_gives_a_non_blocking_connection() {
    let (listener, address) = listener();
    let _client = TcpStream::connect(address).unwrap();
    wait_to_read(&listener);
    let connection = listener.accept().ready().unwrap();
    assert_prepared(&connection);
    assert_eq!(
        connection.recv(&mut [0; 8], RecvFlags::empty()),
        Io::WouldBlock
    );
    assert!(listener.accept().is_would_block(), "one was queued");
    let _client = TcpStream::connect(address).unwrap();
    wait_to_read(&listener);
    let (connection, _) = listener.accept_from().ready().unwrap();
    assert_prepared(&connection);
    assert_eq!(
        connection.recv(&mut [0; 8], RecvFlags::empty()),
        Io::WouldBlock
    );
}

#[test]
fn accept_from_names_each_client() {
    let (listener, address) = listener();
    let clients = [(); 3].map(|()| TcpStream::connect(address).unwrap());
    for _ in &clients {
        wait_to_read(&listener);
        let (connection, peer) = accept_from(&listener).ready().unwrap();
        let peer = SocketAddr::try_from(peer.unwrap()).unwrap();
        let client = clients.iter().find(|c| c.local_addr().unwrap() == peer);
        // What this connection is sent arrives at that client.
        assert_eq!(send(&connection, b"!", SendFlags::empty()), Io::Ready(1));
        let client = client.expect("the address of one of them");
        wait_to_read(client);
        assert_eq!(recv(client, &mut [0], RecvFlags::empty()), Io::Ready(1));
    }
}

#[test]
fn accept_from_an_unnamed_unix_client_names_nobody() {
    let (listener, address, _directory) = unix_listener();
    let client = unix_socket();
    assert_eq!(connect(&client, &address), Io::Ready(()));
    let (connection, peer) = accept_from(&listener).ready().unwrap();
    assert_prepared(&connection);
    if let Some(peer) = peer {
        // By the bytes: as rustix 1.1 decodes it, `is_unnamed` is false.
        let peer = SocketAddrUnix::try_from(peer).unwrap();
        assert_eq!(peer.path_bytes().unwrap_or_default(), b"");
        #[cfg(wouldblock_has = "abstract_names")]
        assert_eq!(peer.abstract_name().unwrap_or_default(), b"");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn accept_of_a_connection_that_was_reset_in_the_queue_is_ready_and_tells_later() {
    let (listener, address) = listener();
    common::reset(TcpStream::connect(address).unwrap());
    wait_to_read(&listener);
    let connection = listener.accept().ready().unwrap();
    wait_to_read(&connection);
    let answer = connection.recv(&mut [0; 8], RecvFlags::empty());
    assert_eq!(answer, Io::Err(Errno::CONNRESET));
    assert!(listener.accept().is_would_block());
}

#[test]
fn accept_on_what_is_no_listener_fails() {
    #[track_caller]
    fn fails(fd: impl AsFd, linux: Errno) {
        let errno = accept(&fd).err().unwrap();
        // Either says so; which of them a kernel says differs.
        let known = [Errno::OPNOTSUPP, Errno::INVAL];
        let exact = habits().errnos_of_linux || !known.contains(&linux);
        assert!(
            errno == linux || !exact && known.contains(&errno),
            "{errno}"
        );
        assert_eq!(accept_from(&fd).err(), Some(errno));
        assert_eq!(Op::Accept.outcome(errno), Outcome::Failed);
    }
    let udp = NonBlocking::new(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    fails(udp, Errno::OPNOTSUPP);
    let (datagram, _other) = UnixDatagram::pair().unwrap();
    fails(NonBlocking::new(datagram).unwrap(), Errno::OPNOTSUPP);
    let (reader, writer) = pipe();
    fails(reader, Errno::NOTSOCK);
    fails(writer, Errno::NOTSOCK);
    fails(tcp_socket(), Errno::INVAL);
    fails(unix_socket(), Errno::INVAL);
    fails(tcp_pair().0, Errno::INVAL);
}

#[test]
#[cfg(target_os = "linux")]
fn accept_after_the_listener_was_shut_down_fails_and_polls_hung_up() {
    let (listener, address) = listener();
    let _client = TcpStream::connect(address).unwrap();
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
    assert_eq!(accept(&listener).err(), Some(Errno::INVAL));
    let readiness = wait_for(&listener, Interest::READABLE);
    assert!(readiness.is_hang_up(), "{readiness:?}");
}

#[test]
fn connect_to_a_unix_listener_is_ready_at_once() {
    let (listener, address, _directory) = unix_listener();
    let ours = NonBlocking::new(unix_socket()).unwrap();
    assert_eq!(connect(&ours, &address), Io::Ready(()));
    for _ in 0..3 {
        assert_eq!(finish_connect(&ours), Io::Ready(()));
    }
    let theirs = accept(&listener).ready().unwrap();
    assert_eq!(ours.send(b"hello", SendFlags::empty()), Io::Ready(5));
    assert_eq!(recv(&theirs, &mut [0; 8], RecvFlags::empty()), Io::Ready(5));
}

#[test]
#[cfg(target_os = "linux")]
fn connect_to_a_full_unix_backlog_starts_nothing_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let address = SocketAddrUnix::new(&path).unwrap();
    let listener = unix_socket();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let mut queued = Vec::new();
    let (ours, answer) = loop {
        let ours = unix_socket();
        match connect(&ours, &address) {
            Io::Ready(()) => queued.push(ours),
            answer => break (ours, answer),
        }
        assert!(queued.len() < 64, "the backlog never filled");
    };
    assert_eq!(answer, Io::Err(Errno::AGAIN));
    assert_eq!(Op::ConnectUnix.outcome(Errno::AGAIN), Outcome::BackOff);
    // The same address in the type for every family.
    let any = wouldblock::SocketAddrAny::from(address.clone());
    assert_eq!(connect(&ours, &any), Io::Err(Errno::AGAIN));
    // Waiting would be wrong: nothing is under way, and the socket looks ready.
    let readiness = ready(&ours, Interest::WRITABLE).ready().unwrap();
    assert!(
        readiness.is_writable() && readiness.is_hang_up(),
        "{readiness:?}"
    );
    for _ in 0..3 {
        assert_eq!(finish_connect(&ours), Io::Err(Errno::NOTCONN));
    }
    // Room in the backlog lets the next attempt through.
    assert!(accept(&listener).is_ready());
    assert_eq!(connect(&ours, &address), Io::Ready(()));
    assert_eq!(finish_connect(&ours), Io::Ready(()));
}

/// A blocking socket is what a signal can interrupt here.
#[test]
#[cfg(target_os = "linux")]
fn connect_to_a_unix_listener_interrupted_by_a_signal_is_made_again() {
    use wouldblock::platform::{HOST, Interrupted};
    if HOST.unix_connect_interrupted != Interrupted::NothingStarted {
        return println!("skipped: the attempt goes on, as far as the table knows");
    }
    use std::sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    static SIGNALS: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, SeqCst);
    }
    // SAFETY: all zeros is a valid sigaction: no mask, and no SA_RESTART, so that
    // calls are interrupted; and the handler only counts.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        assert_eq!(
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
            0
        );
    }

    let (listener, address, _directory) = unix_listener();
    rustix::net::listen(&listener, 0).unwrap();
    let first = unix_socket();
    assert_eq!(connect(&first, &address), Io::Ready(()));
    let (tell, thread) = mpsc::channel();
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || {
        let ours = unix_socket();
        set_nonblocking(&ours, false).unwrap();
        // SAFETY: it only asks who this thread is.
        tell.send(unsafe { libc::gettid() }).unwrap();
        done.send(connect(&ours, &address)).unwrap();
    });
    let id = thread.recv_timeout(DEADLINE).unwrap();
    let end = Instant::now() + DEADLINE;
    let mut interrupted = 0;
    // Fewer than are the end of it.
    while interrupted < 10 {
        assert!(Instant::now() < end, "it never slept");
        let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
        if stat.contains(") S ") {
            let before = SIGNALS.load(SeqCst);
            // By its id, which is no pointer to what may be gone.
            // SAFETY: the signal has a handler.
            let sent =
                unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, libc::SIGUSR1) };
            assert_eq!(sent, 0);
            while SIGNALS.load(SeqCst) == before {
                assert!(Instant::now() < end, "no signal came");
                std::thread::yield_now();
            }
            interrupted += 1;
        }
        assert!(result.try_recv().is_err(), "it came back");
    }
    assert!(accept(&listener).is_ready());
    assert_eq!(result.recv_timeout(DEADLINE), Ok(Io::Ready(())));
}

#[test]
fn connect_over_tcp_is_in_progress_and_then_ready() {
    let (listener, address) = listener();
    let ours = tcp_socket();
    assert_eq!(connect(&ours, &address), Io::WouldBlock);
    assert_eq!(finish(&ours), Io::Ready(()));
    assert_eq!(finish_connect(&ours), Io::Ready(()));
    wait_to_read(&listener);
    assert!(accept(&listener).is_ready());
}

#[test]
#[cfg(target_os = "linux")]
fn connect_of_a_socket_to_its_own_address_is_ready_without_a_listener() {
    let (ours, address) = common::bound_tcp();
    assert_eq!(connect(&ours, &address), Io::WouldBlock);
    assert_eq!(finish(&ours), Io::Ready(()));
    let name = rustix::net::getsockname(&ours).unwrap();
    assert_eq!(rustix::net::getpeername(&ours).unwrap(), Some(name));
    assert_eq!(send(&ours, b"hello", SendFlags::empty()), Io::Ready(5));
    wait_to_read(&ours);
    assert_eq!(recv(&ours, &mut [0; 8], RecvFlags::empty()), Io::Ready(5));
}

#[test]
fn connect_over_ipv6_is_in_progress_and_then_ready() {
    let listener = match TcpListener::bind("[::1]:0") {
        Ok(listener) => listener,
        Err(error) => {
            println!("skipped: no IPv6 here: {error}");
            return;
        }
    };
    let ours = socket(AddressFamily::INET6, SocketType::STREAM, None).unwrap();
    assert_eq!(
        connect(&ours, &listener.local_addr().unwrap()),
        Io::WouldBlock
    );
    assert_eq!(finish(&ours), Io::Ready(()));
    wait_to_read(&listener);
    let (_, peer) = accept_from(&listener).ready().unwrap();
    let peer = SocketAddr::try_from(peer.unwrap()).unwrap();
    let name = rustix::net::getsockname(&ours).unwrap();
    assert_eq!(peer, SocketAddr::try_from(name).unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn connect_while_the_queue_is_full_stays_in_progress_until_there_is_room() {
    let pending = common::pending_connect();
    for _ in 0..3 {
        assert_eq!(finish_connect(&pending.socket), Io::WouldBlock);
        // A second attempt is not refused, and starts nothing.
        assert_eq!(connect(&pending.socket, &pending.address), Io::WouldBlock);
    }
    // Linux tries again after a second and then after two more.
    for _ in &pending.queued {
        wait_to_read(&pending.listener);
        assert!(accept(&pending.listener).is_ready());
    }
    assert_eq!(finish(&pending.socket), Io::Ready(()));
}

#[test]
#[cfg(target_os = "linux")]
fn connect_again_after_success_is_ready_once_and_then_fails() {
    let (_listener, address) = listener();
    let ours = tcp_socket();
    assert_eq!(connect(&ours, &address), Io::WouldBlock);
    assert_eq!(finish(&ours), Io::Ready(()));
    assert_eq!(connect(&ours, &address), Io::Ready(()));
    for _ in 0..2 {
        assert_eq!(connect(&ours, &address), Io::Err(Errno::ISCONN));
    }
    assert_eq!(Op::Connect.outcome(Errno::ISCONN), Outcome::Failed);
    assert_eq!(finish_connect(&ours), Io::Ready(()));
}

#[test]
fn connect_refused_is_told_once_after_polling() {
    let (_nobody, address) = nobody_listens();
    let ours = tcp_socket();
    assert_eq!(connect(&ours, &address), Io::WouldBlock);
    assert_eq!(finish(&ours), Io::Err(Errno::CONNREFUSED));
    for _ in 0..3 {
        assert_eq!(finish_connect(&ours), Io::Err(Errno::NOTCONN));
        assert!(wait_for(&ours, Interest::WRITABLE).is_writable());
    }
}

#[test]
fn connect_refused_is_told_once_without_polling() {
    let (_nobody, address) = nobody_listens();
    let ours = tcp_socket();
    assert_eq!(connect(&ours, &address), Io::WouldBlock);
    let end = Instant::now() + DEADLINE;
    let answer = loop {
        let answer = finish_connect(&ours);
        if !answer.is_would_block() {
            break answer;
        }
        assert!(Instant::now() < end, "it was never refused");
        std::thread::yield_now();
    };
    assert_eq!(answer, Io::Err(Errno::CONNREFUSED));
    for _ in 0..3 {
        assert_eq!(finish_connect(&ours), Io::Err(Errno::NOTCONN));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn connect_again_after_a_refusal_is_a_new_attempt() {
    let (bound, address) = bound_tcp();
    let ours = tcp_socket();
    assert_eq!(connect(&ours, &address), Io::WouldBlock);
    assert_eq!(finish(&ours), Io::Err(Errno::CONNREFUSED));
    rustix::net::listen(&bound, 1).unwrap();
    // The attempt's end is taken by the first call, as POSIX allows.
    let answer = connect(&ours, &address);
    assert!(
        answer.is_would_block() || answer == Io::Err(Errno::CONNABORTED),
        "{answer:?}"
    );
    if !answer.is_would_block() {
        assert_eq!(connect(&ours, &address), Io::WouldBlock);
    }
    assert_eq!(finish(&ours), Io::Ready(()));
}

#[test]
fn connect_to_a_unix_name_where_nobody_listens_fails_at_once() {
    let (listener, address, directory) = unix_listener();
    drop(listener);
    let ours = unix_socket();
    assert_eq!(connect(&ours, &address), Io::Err(Errno::CONNREFUSED));
    assert_eq!(Op::ConnectUnix.outcome(Errno::CONNREFUSED), Outcome::Failed);
    let missing = SocketAddrUnix::new(directory.path().join("missing")).unwrap();
    assert_eq!(connect(&ours, &missing), Io::Err(Errno::NOENT));
    #[cfg(target_os = "linux")]
    assert_eq!(finish_connect(&ours), Io::Err(Errno::NOTCONN));
}

#[test]
fn connect_to_an_address_of_another_family_fails() {
    let (_nobody, v4) = bound_tcp();
    let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v4.port()));
    let name = SocketAddrUnix::new("/tmp/a path as long as an address of the internet").unwrap();
    let refused = [Errno::AFNOSUPPORT, Errno::INVAL];
    let answers = [
        connect(tcp_socket(), &v6),
        connect(tcp_socket(), &name),
        connect(unix_socket(), &v4),
        connect(unix_socket(), &v6),
    ];
    for answer in answers {
        let errno = answer.err().unwrap();
        assert!(refused.contains(&errno), "{errno}");
        assert_eq!(Op::Connect.outcome(errno), Outcome::Failed);
        assert_eq!(Op::ConnectUnix.outcome(errno), Outcome::Failed);
    }
    let (family, value) = (Errno::AFNOSUPPORT, Errno::INVAL);
    let linux = [family, family, value, value].map(Io::Err);
    assert!(!habits().errnos_of_linux || answers == linux, "{answers:?}");
}

#[test]
fn connect_to_a_path_that_is_too_long_is_no_address() {
    let answer = SocketAddrUnix::new("x".repeat(200)).map(drop);
    assert_eq!(answer, Err(Errno::NAMETOOLONG));
}

#[test]
fn connect_of_a_datagram_socket_is_ready_and_sets_the_peer() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ours = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    assert_eq!(connect(&ours, &peer.local_addr().unwrap()), Io::Ready(()));
    assert_eq!(finish_connect(&ours), Io::Ready(()));
    assert_eq!(send(&ours, b"hello", SendFlags::empty()), Io::Ready(5));
    wait_to_read(&peer);
    assert_eq!(recv(&peer, &mut [0; 8], RecvFlags::empty()), Io::Ready(5));
}

#[test]
fn connect_on_what_is_no_socket_fails() {
    let (_nobody, address) = bound_tcp();
    let (reader, _writer) = pipe();
    assert_eq!(connect(&reader, &address), Io::Err(Errno::NOTSOCK));
}

#[test]
#[cfg(target_os = "linux")]
fn connect_on_a_listener_fails() {
    let (listener, address) = listener();
    let answer = connect(&listener, &address);
    assert_eq!(answer, Io::Err(Errno::ISCONN));
}

#[test]
#[cfg(target_os = "linux")]
fn finish_connect_after_the_new_connection_was_reset_tells_it_once() {
    let (listener, address) = listener();
    let ours = tcp_socket();
    assert_eq!(connect(&ours, &address), Io::WouldBlock);
    wait_to_read(&listener);
    let theirs = accept(&listener).ready().unwrap();
    common::reset(TcpStream::from(theirs));
    let mut readiness = wait_for(&ours, Interest::READABLE | Interest::WRITABLE);
    while !readiness.is_error() {
        readiness = wait_for(&ours, Interest::READABLE);
    }
    assert_eq!(finish_connect(&ours), Io::Err(Errno::CONNRESET));
    assert_eq!(finish_connect(&ours), Io::Err(Errno::NOTCONN));
}

#[test]
fn finish_connect_after_the_peer_ended_its_side_is_ready() {
    let (listener, address) = listener();
    let ours = tcp_socket();
    assert_eq!(connect(&ours, &address), Io::WouldBlock);
    wait_to_read(&listener);
    let theirs = TcpStream::from(accept(&listener).ready().unwrap());
    theirs.shutdown(Shutdown::Write).unwrap();
    wait_to_read(&ours);
    assert_eq!(finish_connect(&ours), Io::Ready(()));
    assert_eq!(recv(&ours, &mut [0; 8], RecvFlags::empty()), Io::Ready(0));
}

#[test]
fn finish_connect_on_what_is_no_socket_fails_and_does_not_wait() {
    let (reader, writer) = pipe();
    assert_eq!(finish_connect(&reader), Io::Err(Errno::NOTSOCK));
    assert_eq!(finish_connect(&writer), Io::Err(Errno::NOTSOCK));
    let file = tempfile::tempfile().unwrap();
    assert_eq!(finish_connect(&file), Io::Err(Errno::NOTSOCK));
}

#[test]
#[cfg(target_os = "linux")]
fn finish_connect_on_a_socket_that_was_never_connected_says_so() {
    for _ in 0..2 {
        assert_eq!(finish_connect(tcp_socket()), Io::Err(Errno::NOTCONN));
        assert_eq!(finish_connect(unix_socket()), Io::Err(Errno::NOTCONN));
    }
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(finish_connect(&udp), Io::Err(Errno::NOTCONN));
}

#[test]
fn finish_connect_on_a_pair_is_ready_even_when_it_is_full() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert_eq!(finish_connect(&ours), Io::Ready(()));
    set_nonblocking(&ours, true).unwrap();
    fill(|buf| send(&ours, buf, SendFlags::empty()));
    assert!(ready(&ours, Interest::WRITABLE).is_would_block());
    assert_eq!(finish_connect(&ours), Io::Ready(()));
}

#[test]
#[cfg(target_os = "linux")]
fn finish_connect_on_a_listener_would_block_as_documented() {
    let (listener, address) = listener();
    assert_eq!(finish_connect(&listener), Io::WouldBlock);
    let _client = TcpStream::connect(address).unwrap();
    wait_to_read(&listener);
    assert_eq!(finish_connect(&listener), Io::WouldBlock);
}

/// TCP Fast Open: `connect` is put off until there is something to send, and without a
/// cookie the connection is made first after all.
#[test]
#[cfg(target_os = "linux")]
fn c01b_tfo_cookie_lost_send_would_block_and_goes_on() {
    // A thread of its own has a network of its own.
    std::thread::spawn(|| {
        // A client that does without a cookie at first, and then does not.
        if let Err(error) = own_network().and_then(|()| fast_open("5")) {
            println!("skipped: no network of its own: {error}");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ours = tcp_socket();
        common::set_option(&ours, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1);
        assert_eq!(connect(&ours, &address), Io::Ready(()));
        assert_eq!(finish_connect(&ours), Io::Err(Errno::NOTCONN));
        fast_open("1").unwrap();
        assert_eq!(send(&ours, b"hello", SendFlags::empty()), Io::WouldBlock);
        assert!(wait_for(&ours, Interest::WRITABLE).is_writable());
        assert_eq!(finish_connect(&ours), Io::Ready(()));
        assert_eq!(send(&ours, b"hello", SendFlags::empty()), Io::Ready(5));
        let (theirs, _) = listener.accept().unwrap();
        assert_eq!(common::read_exactly(&theirs, 5), b"hello");
    })
    .join()
    .unwrap();
}

#[cfg(target_os = "linux")]
fn fast_open(bits: &str) -> std::io::Result<()> {
    std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", bits)
}

/// Gives this thread a network of its own, with loopback alone.
#[cfg(target_os = "linux")]
fn own_network() -> std::io::Result<()> {
    // SAFETY: it changes what this thread sees of the network, and no memory.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let socket = tcp_socket();
    // SAFETY: zero is a value of every field; the call reads the structure.
    let done = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (place, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
            *place = byte.try_into().unwrap();
        }
        request.ifr_ifru.ifru_flags = libc::IFF_UP.try_into().unwrap();
        let number = libc::SIOCSIFFLAGS as _;
        libc::ioctl(
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            number,
            &raw mut request,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
