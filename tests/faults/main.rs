//! Faults at the system-call boundary: whatever the kernel answers, an operation
//! says what the classifier says.

#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![allow(unsafe_code, reason = "seccomp has no safe interface")]
#![allow(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "addresses of 64 bits, and a request whose type differs"
)]

mod kernel;
mod lies;
mod waits;

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use kernel::{Answer, answered, is_available};
use libc::c_long;
use wouldblock::platform::HOST;
use wouldblock::{
    AddressFamily, Errno, Interest, Io, IoSlice, Op, Outcome, RecvFlags, SendFlags, SocketAddrUnix,
    SocketType, classify,
};

/// The descriptors that the sweep uses.
struct World {
    ours: UnixStream,
    theirs: UnixStream,
    udp: UdpSocket,
    datagrams: UnixDatagram,
    _receiver: UnixDatagram,
    reader: OwnedFd,
    writer: OwnedFd,
    listener: TcpListener,
    unix_listener: UnixListener,
    connected: TcpStream,
    fresh: OwnedFd,
    names: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let names = tempfile::tempdir().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, writer) = wouldblock::pipe().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().unwrap());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let world = Self {
            ours,
            theirs,
            udp,
            datagrams: UnixDatagram::unbound().unwrap(),
            _receiver: UnixDatagram::bind(names.path().join("datagrams")).unwrap(),
            reader,
            writer,
            unix_listener: UnixListener::bind(names.path().join("listener")).unwrap(),
            listener,
            connected,
            fresh: fresh(AddressFamily::INET),
            names,
        };
        let sockets: [BorrowedFd<'_>; 5] = [
            world.ours.as_fd(),
            world.udp.as_fd(),
            world.datagrams.as_fd(),
            world.listener.as_fd(),
            world.unix_listener.as_fd(),
        ];
        for fd in sockets {
            wouldblock::set_nonblocking(fd, true).unwrap();
        }
        world
    }

    fn udp_address(&self) -> SocketAddr {
        self.udp.local_addr().unwrap()
    }

    fn name(&self, file: &str) -> SocketAddrUnix {
        SocketAddrUnix::new(self.names.path().join(file)).unwrap()
    }
}

/// A socket that is not connected.
fn fresh(family: AddressFamily) -> OwnedFd {
    wouldblock::socket(family, SocketType::STREAM, None).unwrap()
}

/// A row of the sweep: an operation, and the system call that fails.
struct Row {
    name: &'static str,
    /// What decides; `None` if every errno is passed on.
    op: Option<Op>,
    number: c_long,
    /// How many calls of this number come before the one that fails.
    before: usize,
    call: fn(&World) -> Io<()>,
}

const IN: RecvFlags = RecvFlags::empty();
const OUT: SendFlags = SendFlags::empty();

fn done<T>(result: Result<T, Errno>) -> Io<()> {
    result.map_or_else(Io::Err, |_| Io::Ready(()))
}

macro_rules! rows {
    ($($name:literal, $op:expr, $number:ident, $before:literal, |$w:ident| $call:expr;)*) => {
        [$(Row {
            name: $name,
            op: $op,
            number: libc::$number,
            before: $before,
            call: |$w| $call,
        }),*]
    };
}

#[rustfmt::skip]
const ROWS: [Row; 41] = {
    use wouldblock::*;
    rows! {
        "recv", Some(Op::Recv), SYS_recvfrom, 0, |w| recv(&w.ours, &mut [0; 8], IN).map(drop);
        "recv_with", Some(Op::Recv), SYS_recvfrom, 0, |w| recv_with(&w.ours, &mut [core::mem::MaybeUninit::uninit(); 8], IN, |_| ());
        "recv_from", Some(Op::Recv), SYS_recvfrom, 0, |w| recv_from(&w.udp, &mut [0; 8], IN).map(drop);
        "recv_from_with", Some(Op::Recv), SYS_recvfrom, 0, |w| recv_from_with(&w.udp, &mut [core::mem::MaybeUninit::uninit(); 8], IN, |_, _| ());
        "recv_msg", Some(Op::Recv), SYS_recvmsg, 0, |w| recv_msg(&w.ours, &mut [IoSliceMut::new(&mut [0; 8])], IN).map(drop);
        "recv_fds", Some(Op::Recv), SYS_recvmsg, 0, |w| recv_fds(&w.ours, &mut [IoSliceMut::new(&mut [0; 8])], &mut [None], IN).map(drop);
        "recv_fds_with", Some(Op::Recv), SYS_recvmsg, 0, |w| recv_fds_with(&w.ours, &mut [IoSliceMut::new(&mut [0; 8])], IN, drop).map(drop);
        "read", Some(Op::Read), SYS_read, 0, |w| read(&w.reader, &mut [0; 8]).map(drop);
        "readv", Some(Op::Read), SYS_readv, 0, |w| readv(&w.reader, &mut [IoSliceMut::new(&mut [0; 8])]).map(drop);
        "send", Some(Op::Send), SYS_sendto, 0, |w| send(&w.ours, b"!", OUT).map(drop);
        "send_all", Some(Op::Send), SYS_sendto, 0, |w| send_all(&w.ours, &mut &b"!"[..], OUT);
        "send_to (UDP)", Some(Op::Send), SYS_sendto, 0, |w| send_to(&w.udp, b"!", OUT, &w.udp_address()).map(drop);
        "send_to (AF_UNIX)", Some(Op::SendToUnix), SYS_sendto, 0, |w| send_to(&w.datagrams, b"!", OUT, &w.name("datagrams")).map(drop);
        "send_msg", Some(Op::Send), SYS_sendmsg, 0, |w| send_msg(&w.ours, &[IoSlice::new(b"!"); 2], OUT).map(drop);
        "send_fds", Some(Op::Send), SYS_sendmsg, 0, |w| send_fds(&w.ours, &[IoSlice::new(b"!")], [w.udp.as_fd()], OUT).map(drop);
        "recv_msg of 1025 buffers: SO_TYPE", None, SYS_getsockopt, 0, |w| recv_msg(&w.ours, &mut [(); 1025].map(|()| IoSliceMut::new(&mut [])), IN).map(drop);
        "send_msg of 1025 buffers: SO_TYPE", None, SYS_getsockopt, 0, |w| send_msg(&w.ours, &[IoSlice::new(b"!"); 1025], OUT).map(drop);
        "readv of 1025 buffers: SO_TYPE", None, SYS_getsockopt, 0, |w| readv(&w.ours, &mut [(); 1025].map(|()| IoSliceMut::new(&mut []))).map(drop);
        "writev of 1025 buffers: SO_TYPE", None, SYS_getsockopt, 0, |w| writev(&w.ours, &[IoSlice::new(b"!"); 1025]).map(drop);
        "writev of 1025 buffers to a pipe: F_GETFL", None, SYS_fcntl, 0, |w| writev(&w.writer, &[IoSlice::new(b"!"); 1025]).map(drop);
        "write", Some(Op::Write), SYS_write, 0, |w| write(&w.writer, b"!").map(drop);
        "write_all", Some(Op::Write), SYS_write, 0, |w| write_all(&w.writer, &mut &b"!"[..]);
        "writev", Some(Op::Write), SYS_writev, 0, |w| writev(&w.writer, &[IoSlice::new(b"!")]).map(drop);
        "accept", Some(Op::Accept), SYS_accept4, 0, |w| accept(&w.listener).map(drop);
        "accept (AF_UNIX)", Some(Op::Accept), SYS_accept4, 0, |w| accept(&w.unix_listener).map(drop);
        "accept_from", Some(Op::Accept), SYS_accept4, 0, |w| accept_from(&w.listener).map(drop);
        "connect (TCP)", Some(Op::Connect), SYS_connect, 0, |w| connect(fresh(AddressFamily::INET), &w.listener.local_addr().unwrap());
        "connect (AF_UNIX)", Some(Op::ConnectUnix), SYS_connect, 0, |w| connect(fresh(AddressFamily::UNIX), &w.name("listener"));
        "connect (TCP, any)", Some(Op::Connect), SYS_connect, 0, |w| connect(fresh(AddressFamily::INET), &SocketAddrAny::from(w.listener.local_addr().unwrap()));
        "connect (AF_UNIX, any)", Some(Op::ConnectUnix), SYS_connect, 0, |w| connect(fresh(AddressFamily::UNIX), &SocketAddrAny::from(w.name("listener")));
        "finish_connect: poll", Some(Op::Poll), SYS_ppoll, 0, |w| finish_connect(&w.fresh);
        "finish_connect: SO_ERROR", None, SYS_getsockopt, 0, |w| finish_connect(&w.fresh);
        "finish_connect: 2nd getpeername", None, SYS_getpeername, 1, |w| finish_connect(&w.fresh);
        "is_nonblocking", None, SYS_fcntl, 0, |w| done(is_nonblocking(&w.ours));
        "set_nonblocking: F_GETFL", None, SYS_fcntl, 0, |w| done(set_nonblocking(&w.connected, true));
        "set_nonblocking: F_SETFL", None, SYS_fcntl, 1, |w| done(set_nonblocking(&w.connected, true));
        "ModeGuard::new: F_SETFL", None, SYS_fcntl, 1, |w| done(ModeGuard::new(&w.connected, true));
        "ModeGuard::into_inner: F_GETFL", None, SYS_fcntl, 2, |w| { rustix::io::ioctl_fionbio(&w.fresh, true).unwrap(); done(ModeGuard::new(&w.fresh, false).unwrap().into_inner().map_err(Errno::from)) };
        "socket", None, SYS_socket, 0, |_w| done(socket(AddressFamily::INET, SocketType::STREAM, None));
        "socketpair", None, SYS_socketpair, 0, |_w| done(socketpair(AddressFamily::UNIX, SocketType::STREAM, None));
        "pipe", None, SYS_pipe2, 0, |_w| done(pipe());
    }
};

#[test]
fn every_operation_answers_every_errno_as_the_classifier_says() {
    if !is_available() {
        return;
    }
    let mut checked = 0;
    for row in &ROWS {
        let real = {
            let world = World::new();
            let (real, calls) = answered(&[row.number], |_| Answer::Real, || (row.call)(&world));
            assert!(
                calls > row.before,
                "{}: not made by this system call",
                row.name
            );
            real
        };
        let mut counts = [0; 3];
        let world = World::new();
        for errno in 1..=133 {
            let outcome = row.op.map(|op| classify(op, errno, HOST));
            let passed_on = Io::Err(Errno::from_raw_os_error(errno));
            let (wanted, again) = match outcome {
                Some(Outcome::WouldBlock) => (Io::WouldBlock, false),
                Some(Outcome::Interrupted | Outcome::TryNext) => (real, true),
                // The last question is whether there is a peer, whatever the
                // reason is.
                None if row.name.contains("2nd") => (Io::Err(Errno::NOTCONN), false),
                // What is no socket is asked whether it is a pipe in packet mode.
                None if errno == libc::ENOTSOCK && row.name.ends_with("SO_TYPE") => (real, false),
                _ => (passed_on, false),
            };
            let mut made = 0;
            let kernel = |_: &_| {
                made += 1;
                match made == row.before + 1 {
                    true => Answer::Errno(errno),
                    false => Answer::Real,
                }
            };
            let (answer, _) = answered(&[row.number], kernel, || (row.call)(&world));
            let what = format!("{} with errno {errno}", row.name);
            assert_eq!(answer, wanted, "{what}: {outcome:?}");
            // Once more, or back to the mode that was.
            let more = again || row.name.ends_with(": F_SETFL");
            assert_eq!(made, row.before + 1 + usize::from(more), "{what}: calls");
            counts[if again {
                1
            } else {
                usize::from(wanted == Io::WouldBlock) * 2
            }] += 1;
            checked += 1;
        }
        let [failed, again, would_block] = counts;
        println!("| `{}` | {would_block} | {again} | {failed} |", row.name);
    }
    println!("{} operations, {checked} answers", ROWS.len());
}

/// `poll` alone reports EINTR: how much time is left is the caller's to say.
#[test]
fn poll_passes_every_errno_on() {
    if !is_available() {
        return;
    }
    for errno in 1..=133 {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let body = || wouldblock::poll(&mut [Interest::READABLE.on(&ours)], Some(Duration::ZERO));
        let (answer, calls) = answered(&[libc::SYS_ppoll], |_| Answer::Errno(errno), body);
        assert_eq!(answer, Io::Err(Errno::from_raw_os_error(errno)));
        assert_eq!(calls, 1);
    }
}

/// A refused first question of `finish_connect` is answered by the others.
#[test]
fn finish_connect_without_a_name_asks_further() {
    if !is_available() {
        return;
    }
    for errno in 1..=133 {
        let world = World::new();
        let mut first = true;
        let kernel = |_: &_| match std::mem::take(&mut first) {
            true => Answer::Errno(errno),
            false => Answer::Real,
        };
        let body = || wouldblock::finish_connect(&world.connected);
        let (answer, calls) = answered(&[libc::SYS_getpeername], kernel, body);
        assert_eq!((answer, calls), (Io::Ready(()), 2), "{errno}");
    }
}

/// Bluetooth and NFC name the peer of a socket that is still connecting: there the
/// name comes last.
#[test]
fn finish_connect_of_a_family_that_names_its_peer_early_goes_by_readiness() {
    if !is_available() {
        return;
    }
    const CALLS: [c_long; 2] = [libc::SYS_getpeername, libc::SYS_ppoll];
    let finish = |fd: &OwnedFd, poll: Answer| {
        let mut made = 0;
        let kernel = |call: &kernel::Call| {
            made += 1;
            match made {
                1 => {
                    call.name_peer(libc::AF_BLUETOOTH as u16);
                    Answer::Value(0)
                }
                2 => poll,
                _ => Answer::Real,
            }
        };
        answered(&CALLS, kernel, || wouldblock::finish_connect(fd))
    };
    let world = World::new();
    let nothing_yet = Answer::Value(0);
    assert_eq!(finish(&world.fresh, nothing_yet), (Io::WouldBlock, 2));
    let connected = OwnedFd::from(world.connected);
    assert_eq!(finish(&connected, Answer::Real), (Io::Ready(()), 3));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    assert_eq!(wouldblock::connect(&world.fresh, &address), Io::WouldBlock);
    let mut fds = [Interest::WRITABLE.on(&world.fresh)];
    assert!(wouldblock::poll(&mut fds, Some(Duration::from_secs(20))).is_ready());
    let refused = Io::Err(Errno::CONNREFUSED);
    assert_eq!(finish(&world.fresh, Answer::Real), (refused, 2));
}

/// macOS and FreeBSD change the bit, and then say that they cannot.
#[test]
fn modes_that_a_descriptor_refuses_are_put_back() {
    if !is_available() {
        return;
    }
    let world = World::new();
    let refuse: [fn(&World) -> Option<Errno>; 3] = [
        |w| wouldblock::set_nonblocking(&w.connected, true).err(),
        |w| {
            wouldblock::NonBlocking::new(&w.connected)
                .err()
                .map(|refused| refused.errno)
        },
        |w| wouldblock::ModeGuard::new(&w.connected, true).err(),
    ];
    for refuse in refuse {
        let mut asked = Vec::new();
        let kernel = |call: &kernel::Call| {
            if call.args[1] as i32 != libc::F_SETFL {
                return Answer::Real;
            }
            asked.push(call.args[2] as i32 & libc::O_NONBLOCK);
            Answer::Errno(libc::ENOTTY)
        };
        let (answer, _) = answered(&[libc::SYS_fcntl], kernel, || refuse(&world));
        assert_eq!(answer, Some(Errno::NOTTY));
        assert_eq!(asked, [libc::O_NONBLOCK, 0]);
    }
}

/// What fits into one call needs no second one to ask how to cut it.
#[test]
fn messages_of_as_many_buffers_as_fit_do_not_ask_for_the_type() {
    use wouldblock::{IoSliceMut, recv_msg, send_msg};
    if !is_available() {
        return;
    }
    let world = World::new();
    // The table that a porter begins with has fewer.
    let most = HOST.iov_max;
    for (count, questions) in [(1, 0), (most, 0), (most + 1, 1)] {
        let body = || {
            let sent = send_msg(&world.ours, &vec![IoSlice::new(b"!"); count], OUT);
            assert_eq!(sent, Io::Ready(count.min(most)));
        };
        let ((), calls) = answered(&[libc::SYS_getsockopt], |_| Answer::Real, body);
        assert_eq!(calls, questions, "send_msg of {count}");
        let body = || {
            let mut bytes = vec![[0]; count];
            let mut bufs: Vec<_> = bytes.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
            let message = recv_msg(&world.theirs, &mut bufs, IN).ready().unwrap();
            assert_eq!(message.bytes, count.min(most));
        };
        let ((), calls) = answered(&[libc::SYS_getsockopt], |_| Answer::Real, body);
        assert_eq!(calls, questions, "recv_msg of {count}");
    }
}

/// The loop of `accept`'s documentation, for a while; returns how many it served.
fn serve_for(listener: &TcpListener, time: Duration) -> usize {
    let (end, mut served) = (Instant::now() + time, 0);
    let mut pause = None;
    while Instant::now() < end {
        let mut fds = [Interest::READABLE.on(listener)];
        let watched = if pause.is_some() {
            &mut fds[..0]
        } else {
            &mut fds[..]
        };
        let rest = end.saturating_duration_since(Instant::now());
        assert!(!wouldblock::poll(watched, Some(pause.take().unwrap_or(rest))).is_err());
        loop {
            match wouldblock::accept(listener) {
                Io::Ready(_) => served += 1,
                Io::WouldBlock => break,
                Io::Err(_) => {
                    pause = Some(Duration::from_millis(100));
                    break;
                }
            }
        }
    }
    served
}

/// OpenBSD's and DragonFly's listener after `shutdown`, and what Linux's accept(2)
/// lists: the loop of the documentation pauses, and serves who comes afterwards.
#[test]
fn accept_loop_under_errnos_without_end_pauses_and_goes_on() {
    if !is_available() {
        return;
    }
    for errno in [
        libc::ECONNABORTED,
        libc::EMFILE,
        libc::EPERM,
        libc::ENOSR,
        libc::ETIMEDOUT,
    ] {
        let world = World::new();
        let _client = TcpStream::connect(world.listener.local_addr().unwrap()).unwrap();
        let start = Instant::now();
        let kernel = |_: &_| match start.elapsed() < Duration::from_millis(250) {
            true => Answer::Errno(errno),
            false => Answer::Real,
        };
        let body = || serve_for(&world.listener, Duration::from_millis(600));
        let (served, calls) = answered(&[libc::SYS_accept4], kernel, body);
        assert_eq!(served, 1, "{errno}");
        // Sixteen at a time, and a pause; the last ones serve, and find no more.
        assert!(calls <= 3 * 16 + 8, "{errno}: {calls} calls");
    }
}

#[test]
fn accept_of_nothing_but_dead_connections_ends() {
    if !is_available() {
        return;
    }
    for errno in (1..=133).filter(|&errno| classify(Op::Accept, errno, HOST) == Outcome::TryNext) {
        let world = World::new();
        let body = || wouldblock::accept(&world.listener).err();
        let (answer, calls) = answered(&[libc::SYS_accept4], |_| Answer::Errno(errno), body);
        assert_eq!(answer, Some(Errno::from_raw_os_error(errno)));
        assert!((2..100).contains(&calls), "{calls}");
    }
}

/// As many interruptions as a call bears, and more: every call ends.
#[test]
fn interrupted_less_than_sixteen_times_goes_through_and_then_says_so() {
    if !is_available() {
        return;
    }
    for row in ROWS.iter() {
        let Some(op) = row.op else { continue };
        if op.outcome(Errno::INTR) != Outcome::Interrupted {
            continue;
        }
        let real = {
            let world = World::new();
            (row.call)(&world)
        };
        for (interruptions, wanted) in [
            (15, (real, 16)),
            (16, (Io::Err(Errno::INTR), 16)),
            (usize::MAX, (Io::Err(Errno::INTR), 16)),
        ] {
            let world = World::new();
            let mut left = interruptions;
            let kernel = |_: &_| match left {
                0 => Answer::Real,
                _ => {
                    left -= 1;
                    Answer::Errno(libc::EINTR)
                }
            };
            let got = answered(&[row.number], kernel, || (row.call)(&world));
            assert_eq!(got, wanted, "{}: {interruptions}", row.name);
        }
    }
}

/// Takes a few bytes at a time, says that it would block, is interrupted: what
/// it took is the whole, once and in order.
#[test]
fn short_counts_lose_and_double_nothing() {
    use wouldblock::{send_all, write_all};
    if !is_available() {
        return;
    }
    let whole: Vec<u8> = (0..=255).collect();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    type Drive = fn(&OwnedFd, &mut &[u8]) -> Io<()>;
    let cases: [(c_long, Drive); 2] = [
        (libc::SYS_sendto, |fd, buf| send_all(fd, buf, OUT)),
        (libc::SYS_write, |fd, buf| write_all(fd, buf)),
    ];
    let fd = OwnedFd::from(ours);
    for (number, drive) in cases {
        for seed in 1..50_usize {
            let (mut taken, mut state) = (Vec::new(), seed);
            let kernel = |call: &kernel::Call| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let offer = call.plain();
                assert!(whole.ends_with(&offer), "neither skipped nor repeated");
                match state >> 33 & 7 {
                    0 => Answer::Errno(libc::EAGAIN),
                    1 => Answer::Errno(libc::EINTR),
                    n => {
                        let n = (n * n).min(offer.len());
                        taken.extend_from_slice(&offer[..n]);
                        Answer::Value(n as i64)
                    }
                }
            };
            let body = || {
                let mut buf = &whole[..];
                let mut waits = 0;
                loop {
                    match drive(&fd, &mut buf) {
                        Io::Ready(()) => return waits,
                        Io::WouldBlock => waits += 1,
                        Io::Err(errno) => panic!("{errno}"),
                    }
                }
            };
            let _waits = answered(&[number], kernel, body);
            assert_eq!(taken, whole, "system call {number}, seed {seed}");
        }
    }
}

/// A system call that says it took nothing would make a loop spin.
#[test]
fn a_kernel_that_takes_nothing_fails_instead_of_spinning() {
    if !is_available() {
        return;
    }
    let world = World::new();
    for row in ROWS.iter().filter(|row| row.name.ends_with("_all")) {
        let (answer, calls) = answered(&[row.number], |_| Answer::Value(0), || (row.call)(&world));
        assert_eq!((answer, calls), (Io::Err(Errno::IO), 1), "{}", row.name);
    }
}

#[test]
fn a_late_answer_is_the_answer() {
    if !is_available() {
        return;
    }
    let world = World::new();
    let start = Instant::now();
    let kernel = |_: &_| {
        std::thread::sleep(Duration::from_millis(20));
        Answer::Errno(libc::EAGAIN)
    };
    let body = || wouldblock::recv(&world.ours, &mut [0; 8], IN);
    let (answer, calls) = answered(&[libc::SYS_recvfrom], kernel, body);
    assert_eq!((answer, calls), (Io::WouldBlock, 1));
    assert!(start.elapsed() >= Duration::from_millis(20));
}
