//! Counts the instructions that a call takes in user space, and compares.
//!
//! Under callgrind, which counts exactly and knows no load: every round runs
//! once to warm up, then `ROUNDS` times between two dumps of the counter, which
//! runs only inside `counted_round`. What an empty round takes is subtracted.
//!
//!     cargo run --release --features peers --bin instructions
//!
//! prints a table in Markdown and fails if a round of this crate takes more than
//! the same round of `fair`. The kernel's instructions are not in the numbers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketAddrV4, SocketType};
use wouldblock::{Growable, Interest, Io, PollSet, SendFlags};
use wouldblock_benches::baselines::{bare, fair, nothing};
use wouldblock_benches::ours::Late;
#[cfg(feature = "peers")]
use wouldblock_benches::peers::{libc_, mio_, nix_, socket2_, std_};
use wouldblock_benches::{WOULD_BLOCK, failed, ours, ready};

const ROUNDS: u64 = 8;

/// Every answer of a `ready` round that is a descriptor.
const ANY_DESCRIPTOR: u64 = 1 << 40;

const OURS: &str = "wouldblock";
const FAIR: &str = "fair";
/// Where this crate may take more than `fair`, by how much at most, and why.
/// Errors and questions, not data: each is far below what the system call takes.
#[cfg(not(rustix_use_libc))]
const EXCEPTIONS: &[(&str, &str, u64)] = &[
    // The compiler lets the error exits share their end.
    // The mode before is kept, and what was refused is put back: one call more.
    ("set_nonblocking", "no change", 1),
    ("set_nonblocking", "error", 10),
    // Fast Open's EINPROGRESS, which is an error by hand.
    ("send", "error", 1),
    // The tries after a signal are counted, or what they need is kept in a register;
    // by hand they never end.
    ("readv", "ready", 1),
    ("writev", "ready", 1),
    ("recv_from", "would block", 2),
    ("recv_from", "ready", 2),
    ("recv_from", "error", 2),
    ("recv_from_with", "would block", 1),
    ("recv_from_with", "ready", 3),
    ("send_to", "ready", 3),
    ("send_to", "error", 5),
    ("send_msg", "would block", 1),
    ("send_msg", "ready", 3),
    ("send_msg", "error", 4),
    // They are counted.
    ("recv_fds_with", "ready, one", 5),
    ("finish_connect", "ready", 1),
    ("finish_connect", "would block", 3),
    ("finish_connect", "error", 4),
    // The deadline, and the way to the wait: what is promised is 8.
    ("until, recv", "ready", 8),
    // The key is looked up, and the answer remembered.
    ("entry, recv", "ready", 56),
    // Beside a sleep: a step for each descriptor, and the hand-out.
    ("entry, recv", "waits once", 340),
    // The test for a cut timeout stays, though there was none.
    ("poll for ever", "ready", 1),
    // For each descriptor its interest is loaded, which may change, and whether it
    // rests; and some for handing out in turn. Where the last is ready, a set that
    // begins to look there is faster than who begins at the first.
    ("PollSet", "ready, 1 of them", 8),
    ("PollSet", "the first of 1 ready", 8),
    ("PollSet", "the first of 64 ready", 5 * 64),
    ("PollSet", "the first of 512 ready", 4 * 512),
];
#[cfg(rustix_use_libc)]
const EXCEPTIONS: &[(&str, &str, u64)] = &[
    // rustix's call is not inlined here, and its answer is copied once more, with
    // the address, into a `Message`.
    ("recv_msg", "ready", 2),
    ("recv_from", "ready", 16),
    ("recv_from_with", "would block", 7),
    ("recv_from_with", "ready", 23),
    // They are counted.
    ("recv_fds_with", "ready, one", 14),
    // The compiler lets the error exits share their end.
    // What was refused is put back: one call more.
    ("set_nonblocking", "error", 7),
    ("entry, recv", "ready", 48),
    // Beside a sleep: the clock, twice, and the decision when to call again; a step for
    // each descriptor, and the hand-out.
    ("until, recv", "waits once", 340),
    ("entry, recv", "waits once", 320),
    ("PollSet", "ready, 1 of them", 8),
    ("PollSet", "the first of 1 ready", 8),
    ("PollSet", "the first of 64 ready", 5 * 64),
    ("PollSet", "the first of 512 ready", 4 * 512),
];

const CONTENDERS: [&str; 8] = [OURS, FAIR, "bare", "libc", "std", "socket2", "nix", "mio"];

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("count") {
        return count_all();
    }
    compare()
}

// ---- under callgrind ----

/// The counter runs in here, and in what it calls.
#[inline(never)]
fn counted_round<V>(round: fn(&V, &mut [u8]) -> u64, view: &V, buf: &mut [u8]) -> u64 {
    black_box(round(view, buf))
}

/// At the end of this function the counter is dumped and set to zero.
#[inline(never)]
fn dump_now(of: &str) {
    black_box(of);
}

/// One situation: what is done before and after each round, and what its answer
/// has to be.
struct Case<'a> {
    name: &'a str,
    path: &'a str,
    expected: u64,
    before: &'a dyn Fn(),
    after: &'a dyn Fn(),
    length: usize,
}

impl Case<'_> {
    fn run<V>(&self, contender: &str, view: V, round: fn(&V, &mut [u8]) -> u64) -> &Self {
        let mut buf = [b'x'; 4096];
        let mut huge = Vec::new();
        let buf = if self.length <= buf.len() {
            &mut buf[..self.length]
        } else {
            huge.resize(self.length, b'x');
            &mut huge[..]
        };
        let what = format!("{}\t{}\t{contender}", self.name, self.path);
        let mut once = |counted: bool| {
            (self.before)();
            let (round, view) = (black_box(round), black_box(&view));
            let answer = if counted {
                counted_round(round, view, buf)
            } else {
                round(view, buf)
            };
            if self.expected == ANY_DESCRIPTOR {
                assert!(answer < 1 << 31, "{what}: {answer:#x}");
                // SAFETY: the round has just made it, and left it to us.
                drop(unsafe { OwnedFd::from_raw_fd(answer as i32) });
            } else {
                assert_eq!(answer, self.expected, "{what}: {answer:#x}");
            }
            (self.after)();
        };
        once(false);
        for _ in 0..ROUNDS {
            once(true);
        }
        dump_now(&what);
        println!("{what}");
        self
    }
}

/// A duplicate, as the type that a contender wants.
fn view<T: From<OwnedFd>>(fd: &impl AsFd) -> T {
    fd.as_fd().try_clone_to_owned().unwrap().into()
}

fn no_op() {}

fn case<'a>(name: &'a str, path: &'a str, expected: u64) -> Case<'a> {
    Case {
        name,
        path,
        expected,
        before: &no_op,
        after: &no_op,
        length: 8,
    }
}

fn count_all() -> ExitCode {
    let idle: OwnedFd = UnixStream::pair().unwrap().0.into();
    case("nothing", "", 0).count_nothing(&idle);
    streams();
    pipes();
    datagrams();
    messages();
    connections();
    polls();
    modes();
    for n in [1, 64, 512] {
        set(n);
    }
    ExitCode::SUCCESS
}

impl Case<'_> {
    fn count_nothing(&self, idle: &OwnedFd) {
        use std::os::fd::AsRawFd;
        Case {
            expected: ready(idle.as_raw_fd() as usize),
            ..*self
        }
        .run("nothing", idle, |fd, buf| nothing(fd, buf));
    }
}

/// Runs a case with the contenders of these names; peers only where compiled in.
macro_rules! contenders {
    ($case:expr, $fd:expr, $op:ident; $($module:ident :: $round:ident ($kind:ty) $label:literal),*) => {{
        let case = $case;
        case.run(OURS, view::<OwnedFd>($fd), ours::$op)
            .run(FAIR, view::<OwnedFd>($fd), fair::$op)
            .run("bare", view::<OwnedFd>($fd), bare::$op);
        #[cfg(feature = "peers")]
        {
            $(case.run($label, view::<$kind>($fd), $module::$round);)*
        }
    }};
}

/// mio's types are made from std's.
#[cfg(feature = "peers")]
mod made {
    use super::*;
    use std::process::{ChildStdin, ChildStdout};

    macro_rules! made {
        ($($name:ident: $mio:ty = $make:expr;)*) => {$(
            pub struct $name(pub $mio);
            impl From<OwnedFd> for $name {
                fn from(fd: OwnedFd) -> Self {
                    Self($make(fd))
                }
            }
        )*};
    }

    made! {
        Stream: mio::net::UnixStream = |fd| mio::net::UnixStream::from_std(UnixStream::from(fd));
        Listener: mio::net::TcpListener = |fd| mio::net::TcpListener::from_std(TcpListener::from(fd));
        Datagram: mio::net::UdpSocket = |fd| mio::net::UdpSocket::from_std(UdpSocket::from(fd));
        Receiver: mio::unix::pipe::Receiver = |fd| mio::unix::pipe::Receiver::from(ChildStdout::from(fd));
        Sender: mio::unix::pipe::Sender = |fd| mio::unix::pipe::Sender::from(ChildStdin::from(fd));
    }
}

fn streams() {
    let (socket, peer) = UnixStream::pair().unwrap();
    let (full, _unread) = UnixStream::pair().unwrap();
    let (gone, closed) = UnixStream::pair().unwrap();
    drop(closed);
    for socket in [&socket, &full, &gone, &peer] {
        socket.set_nonblocking(true).unwrap();
    }
    while (&full).write(&[0; 4096]).is_ok() {}
    while (&full).write(&[0]).is_ok() {}
    let (reader, _writer) = pipe();
    let drain = || while (&peer).read(&mut [0; 64]).is_ok() {};
    let fill = || (&peer).write_all(b"12345678").unwrap();

    macro_rules! recv {
        ($case:expr, $fd:expr) => {{
            contenders!($case, $fd, recv;
                libc_::recv(OwnedFd) "libc", std_::recv(UnixStream) "std",
                socket2_::recv(socket2::Socket) "socket2", nix_::recv(OwnedFd) "nix");
            #[cfg(feature = "peers")]
            $case.run("mio", view::<made::Stream>($fd).0, mio_::recv);
        }};
    }
    recv!(case("recv", "would block", WOULD_BLOCK), &socket);
    let receive = |length| Case {
        before: &fill,
        length,
        ..case("recv", "ready", ready(8))
    };
    recv!(receive(8), &socket);
    // Beside the call by hand, which neither waits nor remembers.
    let with_memory = |name| Case { name, ..receive(8) };
    with_memory("until, recv")
        .run(OURS, view::<OwnedFd>(&socket), ours::until_recv)
        .run(FAIR, view::<OwnedFd>(&socket), fair::recv);
    let mut set = PollSet::new();
    let key = set.register(view(&socket), Interest::READABLE, 0).unwrap();
    with_memory("entry, recv")
        .run(OURS, (RefCell::new(set), key), ours::entry_recv)
        .run(FAIR, view::<OwnedFd>(&socket), fair::recv);
    let late = Late {
        empty: view(&full),
        full: view(&socket),
        is_asked: Cell::new(false),
    };
    let fill_later = || {
        fill();
        late.is_asked.set(false);
    };
    let late_with_memory = |name| Case {
        path: "waits once",
        before: &fill_later,
        ..with_memory(name)
    };
    let mut set = PollSet::new();
    let key = set.register(&late, Interest::READABLE, 0).unwrap();
    // A wait for one descriptor reads the clock, and rustix's own way to it dies in valgrind.
    if cfg!(rustix_use_libc) {
        late_with_memory("until, recv")
            .run(OURS, &late, ours::until_recv_late)
            .run(FAIR, &late, fair::recv_late);
    }
    late_with_memory("entry, recv")
        .run(OURS, (RefCell::new(set), key), ours::entry_recv_late)
        .run(FAIR, &late, fair::recv_late);
    recv!(case("recv", "end of file", 0), &gone);
    recv!(
        case("recv", "error", failed(Errno::NOTSOCK.raw_os_error())),
        &reader
    );

    macro_rules! send {
        ($case:expr, $fd:expr) => {{
            contenders!($case, $fd, send;
                libc_::send(OwnedFd) "libc", std_::send(UnixStream) "std",
                socket2_::send(socket2::Socket) "socket2", nix_::send(OwnedFd) "nix");
            #[cfg(feature = "peers")]
            $case.run("mio", view::<made::Stream>($fd).0, mio_::send);
        }};
    }
    send!(case("send", "would block", WOULD_BLOCK), &full);
    send!(
        Case {
            after: &drain,
            ..case("send", "ready", ready(8))
        },
        &socket
    );
    send!(
        Case {
            after: &drain,
            length: 4096,
            ..case("send", "ready, 4 KiB", ready(4096))
        },
        &socket
    );
    send!(
        case("send", "error", failed(Errno::PIPE.raw_os_error())),
        &gone
    );
}

fn pipe() -> (OwnedFd, OwnedFd) {
    wouldblock::pipe().unwrap()
}

fn pipes() {
    let (reader, writer) = pipe();
    let (_unread, full) = pipe();
    let (broken, closed) = pipe();
    drop(broken);
    let broken = closed;
    while rustix::io::write(&full, &[0; 4096]).is_ok() {}
    let directory: OwnedFd = std::fs::File::open("/").unwrap().into();
    let fill = || assert_eq!(rustix::io::write(&writer, b"12345678"), Ok(8));
    let drain = || while rustix::io::read(&reader, &mut [0; 64]).is_ok() {};
    let is_directory = failed(Errno::ISDIR.raw_os_error());
    let broken_pipe = failed(Errno::PIPE.raw_os_error());

    macro_rules! row {
        ($op:ident, $mio:ident, $case:expr, $fd:expr) => {{
            contenders!($case, $fd, $op;
                libc_::$op(OwnedFd) "libc", std_::$op(std::fs::File) "std",
                nix_::$op(OwnedFd) "nix");
            #[cfg(feature = "peers")]
            $case.run("mio", view::<made::$mio>($fd).0, mio_::$op);
        }};
    }
    row!(
        read,
        Receiver,
        case("read", "would block", WOULD_BLOCK),
        &reader
    );
    row!(
        read,
        Receiver,
        Case {
            before: &fill,
            ..case("read", "ready", ready(8))
        },
        &reader
    );
    row!(
        read,
        Receiver,
        case("read", "error", is_directory),
        &directory
    );
    row!(
        write,
        Sender,
        case("write", "would block", WOULD_BLOCK),
        &full
    );
    row!(
        write,
        Sender,
        Case {
            after: &drain,
            ..case("write", "ready", ready(8))
        },
        &writer
    );
    row!(write, Sender, case("write", "error", broken_pipe), &broken);
    row!(
        readv,
        Receiver,
        case("readv", "would block", WOULD_BLOCK),
        &reader
    );
    row!(
        readv,
        Receiver,
        Case {
            before: &fill,
            ..case("readv", "ready", ready(8))
        },
        &reader
    );
    row!(
        readv,
        Receiver,
        case("readv", "error", is_directory),
        &directory
    );
    row!(
        writev,
        Sender,
        case("writev", "would block", WOULD_BLOCK),
        &full
    );
    row!(
        writev,
        Sender,
        Case {
            after: &drain,
            ..case("writev", "ready", ready(8))
        },
        &writer
    );
    row!(
        writev,
        Sender,
        case("writev", "error", broken_pipe),
        &broken
    );
}

fn datagrams() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    for socket in [&socket, &peer] {
        socket.set_nonblocking(true).unwrap();
    }
    let here = socket.local_addr().unwrap();
    let there = peer.local_addr().unwrap();
    let fill = || assert_eq!(peer.send_to(b"12345678", here).unwrap(), 8);
    let drain = || while peer.recv(&mut [0; 64]).is_ok() {};
    let (no_socket, _writer) = pipe();

    macro_rules! recv_from {
        ($case:expr, $fd:expr) => {{
            contenders!($case, $fd, recv_from;
                libc_::recv_from(OwnedFd) "libc", std_::recv_from(UdpSocket) "std",
                socket2_::recv_from(socket2::Socket) "socket2", nix_::recv_from(OwnedFd) "nix");
            #[cfg(feature = "peers")]
            $case.run("mio", view::<made::Datagram>($fd).0, mio_::recv_from);
        }};
    }
    recv_from!(case("recv_from", "would block", WOULD_BLOCK), &socket);
    recv_from!(
        Case {
            before: &fill,
            ..case("recv_from", "ready", ready(8))
        },
        &socket
    );
    recv_from!(
        case("recv_from", "error", failed(Errno::NOTSOCK.raw_os_error())),
        &no_socket
    );

    let recv_from_with = |case: Case<'_>| {
        case.run(OURS, view(&socket), ours::recv_from_with)
            .run(FAIR, view(&socket), fair::recv_from_with)
            .run("bare", view(&socket), bare::recv_from_with);
    };
    recv_from_with(case("recv_from_with", "would block", WOULD_BLOCK));
    recv_from_with(Case {
        before: &fill,
        ..case("recv_from_with", "ready", ready(8))
    });

    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, there.port());
    let fd: OwnedFd = view(&socket);
    let send_to = |case: Case<'_>| {
        case.run(OURS, (&fd, to), ours::send_to)
            .run(FAIR, (&fd, to), fair::send_to)
            .run("bare", (&fd, to), bare::send_to);
        #[cfg(feature = "peers")]
        case.run("libc", (&fd, sockaddr_in(to)), libc_::send_to)
            .run("std", (&socket, to), std_::send_to)
            .run("socket2", (&view(&fd), to.into()), socket2_::send_to)
            .run("nix", (&fd, to.into()), nix_::send_to)
            .run(
                "mio",
                (&view::<made::Datagram>(&fd).0, there),
                mio_::send_to,
            );
    };
    send_to(Case {
        after: &drain,
        ..case("send_to", "ready", ready(8))
    });
    send_to(Case {
        length: 1 << 17,
        ..case("send_to", "error", failed(Errno::MSGSIZE.raw_os_error()))
    });
}

#[cfg(feature = "peers")]
fn sockaddr_in(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(address.ip().octets()),
        },
        sin_zero: [0; 8],
    }
}

fn messages() {
    let (socket, peer) = UnixStream::pair().unwrap();
    let (full, _unread) = UnixStream::pair().unwrap();
    let (gone, closed) = UnixStream::pair().unwrap();
    drop(closed);
    for socket in [&socket, &full, &gone, &peer] {
        socket.set_nonblocking(true).unwrap();
    }
    while (&full).write(&[0; 4096]).is_ok() {}
    while (&full).write(&[0]).is_ok() {}
    let (no_socket, _writer) = pipe();
    let fill = || (&peer).write_all(b"12345678").unwrap();
    let drain = || while (&peer).read(&mut [0; 64]).is_ok() {};

    macro_rules! row {
        ($op:ident, $socket2:ident, $case:expr, $fd:expr) => {
            contenders!($case, $fd, $op;
                libc_::$op(OwnedFd) "libc", socket2_::$socket2(socket2::Socket) "socket2",
                nix_::$op(OwnedFd) "nix")
        };
    }
    let no = failed(Errno::NOTSOCK.raw_os_error());
    row!(
        recv_msg,
        recv_from_vectored,
        case("recv_msg", "would block", WOULD_BLOCK),
        &socket
    );
    row!(
        recv_msg,
        recv_from_vectored,
        Case {
            before: &fill,
            ..case("recv_msg", "ready", ready(8))
        },
        &socket
    );
    row!(
        recv_msg,
        recv_from_vectored,
        case("recv_msg", "error", no),
        &no_socket
    );
    row!(
        send_msg,
        send_msg,
        case("send_msg", "would block", WOULD_BLOCK),
        &full
    );
    row!(
        send_msg,
        send_msg,
        Case {
            after: &drain,
            ..case("send_msg", "ready", ready(8))
        },
        &socket
    );
    row!(
        send_msg,
        send_msg,
        case("send_msg", "error", failed(Errno::PIPE.raw_os_error())),
        &gone
    );

    let recv_fds_with = |case: Case<'_>| {
        case.run(OURS, view(&socket), ours::recv_fds_with)
            .run(FAIR, view(&socket), fair::recv_fds_with)
            .run("bare", view(&socket), bare::recv_fds_with);
    };
    recv_fds_with(case("recv_fds_with", "would block", WOULD_BLOCK));
    recv_fds_with(Case {
        before: &fill,
        ..case("recv_fds_with", "ready, none", ready(8))
    });
    let pass = || {
        let bufs = [wouldblock::IoSlice::new(b"12345678")];
        let sent = wouldblock::send_fds(&peer, &bufs, [peer.as_fd()], SendFlags::empty());
        assert_eq!(sent, Io::Ready(8));
    };
    recv_fds_with(Case {
        before: &pass,
        ..case("recv_fds_with", "ready, one", ready(8))
    });
    for (path, count) in [("ready, none", 0), ("ready, one", 1)] {
        let view = || (view(&socket), (0..count).map(|_| view(&socket)).collect());
        Case {
            after: &drain,
            ..case("send_fds", path, ready(8))
        }
        .run(OURS, view(), ours::send_fds)
        .run(FAIR, view(), fair::send_fds)
        .run("bare", view(), bare::send_fds);
    }
}

fn connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port());
    let no_listener: OwnedFd = socket(AddressFamily::INET, SocketType::STREAM);
    let call = || drop(std::net::TcpStream::connect(address).unwrap());

    macro_rules! accept {
        ($case:expr, $fd:expr) => {{
            contenders!($case, $fd, accept;
                libc_::accept(OwnedFd) "libc", std_::accept(TcpListener) "std",
                socket2_::accept(socket2::Socket) "socket2", nix_::accept(OwnedFd) "nix");
            #[cfg(feature = "peers")]
            $case.run("mio", view::<made::Listener>($fd).0, mio_::accept);
        }};
    }
    accept!(case("accept", "would block", WOULD_BLOCK), &listener);
    accept!(
        Case {
            before: &call,
            ..case("accept", "ready", ANY_DESCRIPTOR)
        },
        &listener
    );
    accept!(
        case("accept", "error", failed(Errno::INVAL.raw_os_error())),
        &no_listener
    );

    // A TCP socket that is disconnected again after each round.
    let stream = socket(AddressFamily::INET, SocketType::STREAM);
    let disconnect = || {
        rustix::net::connect_unspec(&stream).unwrap();
        while listener.accept().is_ok() {}
    };
    // A datagram socket connects at once, any number of times.
    let datagram = socket(AddressFamily::INET, SocketType::DGRAM);
    let broadcast = SocketAddrV4::new(Ipv4Addr::BROADCAST, 9);
    let connect = |case: Case<'_>, fd: &OwnedFd, to: SocketAddrV4| {
        case.run(OURS, (fd, to), ours::connect)
            .run(FAIR, (fd, to), fair::connect)
            .run("bare", (fd, to), bare::connect);
        #[cfg(feature = "peers")]
        case.run("libc", (fd, sockaddr_in(to)), libc_::connect)
            .run("socket2", (&view(fd), to.into()), socket2_::connect)
            .run("nix", (fd, to.into()), nix_::connect);
    };
    let under_way = Case {
        after: &disconnect,
        ..case("connect", "would block", WOULD_BLOCK)
    };
    connect(under_way, &stream, address);
    connect(case("connect", "ready", 0), &datagram, address);
    let denied = case("connect", "error", failed(Errno::ACCESS.raw_os_error()));
    connect(denied, &datagram, broadcast);

    let unix = socket(AddressFamily::UNIX, SocketType::STREAM);
    let nowhere = || SocketAddrUnix::new("/nonexistent/socket").unwrap();
    case(
        "connect, AF_UNIX",
        "error",
        failed(Errno::NOENT.raw_os_error()),
    )
    .run(OURS, (&unix, nowhere()), ours::connect_unix)
    .run(FAIR, (&unix, nowhere()), fair::connect_unix)
    .run("bare", (&unix, nowhere()), bare::connect_unix);
    let any = || SocketAddrAny::from(address);
    case("connect, any family", "ready", 0)
        .run(OURS, (&datagram, any()), ours::connect_any)
        .run(FAIR, (&datagram, any()), fair::connect_any)
        .run("bare", (&datagram, any()), bare::connect_any);

    let finish = |case: Case<'_>, fd: &OwnedFd| {
        case.run(OURS, view(fd), ours::finish_connect)
            .run(FAIR, view(fd), fair::finish_connect)
            .run("bare", view(fd), bare::finish_connect);
    };
    let connected: OwnedFd = std::net::TcpStream::connect(address).unwrap().into();
    finish(case("finish_connect", "ready", 0), &connected);

    // A listener with a full queue leaves the next one waiting.
    let deaf = socket(AddressFamily::INET, SocketType::STREAM);
    rustix::net::bind(&deaf, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    rustix::net::listen(&deaf, 0).unwrap();
    let busy = SocketAddrV4::try_from(rustix::net::getsockname(&deaf).unwrap()).unwrap();
    let callers: Vec<OwnedFd> = (0..4)
        .map(|_| {
            let caller = socket(AddressFamily::INET, SocketType::STREAM);
            assert_eq!(rustix::net::connect(&caller, &busy), Err(Errno::INPROGRESS));
            caller
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    finish(
        case("finish_connect", "would block", WOULD_BLOCK),
        callers.last().unwrap(),
    );

    let closed = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, gone.local_addr().unwrap().port())
    };
    let refused = socket(AddressFamily::INET, SocketType::STREAM);
    let try_again = || {
        let again = || rustix::net::connect(&refused, &closed);
        let tries = (0..8).take_while(|_| again() != Err(Errno::INPROGRESS));
        assert!(tries.count() < 8);
        let mut fds = [rustix::event::PollFd::new(
            &refused,
            rustix::event::PollFlags::OUT,
        )];
        rustix::event::poll(&mut fds, None).unwrap();
    };
    finish(
        Case {
            before: &try_again,
            ..case(
                "finish_connect",
                "error",
                failed(Errno::CONNREFUSED.raw_os_error()),
            )
        },
        &refused,
    );
}

fn socket(family: AddressFamily, kind: SocketType) -> OwnedFd {
    wouldblock::socket(family, kind, None).unwrap()
}

fn polls() {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    let (quiet, _peer) = UnixStream::pair().unwrap();
    peer.write_all(b"!").unwrap();
    let (socket, quiet): (OwnedFd, OwnedFd) = (socket.into(), quiet.into());

    let poll = |case: Case<'_>, fd: &OwnedFd, timeout| {
        case.run(OURS, (fd, timeout), ours::poll)
            .run(FAIR, (fd, timeout), fair::poll)
            .run("bare", (fd, timeout), bare::poll);
    };
    poll(
        case("poll", "would block", WOULD_BLOCK),
        &quiet,
        Duration::from_nanos(1),
    );
    poll(
        case("poll", "ready", ready(1)),
        &socket,
        Duration::from_secs(1),
    );
    case("poll for ever", "ready", ready(1))
        .run(OURS, view(&socket), ours::poll_for_ever)
        .run(FAIR, view(&socket), fair::poll_for_ever)
        .run("bare", view(&socket), bare::poll_for_ever);
}

/// A descriptor that can neither be polled nor change its mode.
fn path_only() -> OwnedFd {
    rustix::fs::open("/", OFlags::PATH, Mode::empty()).unwrap()
}

/// The share of a poll set for each descriptor; the last of them is ready, or the
/// first.
fn set(n: usize) {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"!").unwrap();
    let (quiet, _peer) = UnixStream::pair().unwrap();
    let (socket, quiet) = (&socket, &quiet);
    let members =
        |which| (1..=n).map(move |i| (view::<OwnedFd>(if i == which { socket } else { quiet }), i));
    let filled = |which| {
        let mut set = PollSet::<_, _, Growable>::new();
        for (fd, i) in members(which) {
            set.register(fd, Interest::READABLE, i).unwrap();
        }
        RefCell::new(set)
    };
    let path = format!("ready, {n} of them");
    let last = case("PollSet", &path, ready(n));
    last.run(OURS, filled(n), ours::poll_set);
    let owned: Vec<(OwnedFd, usize)> = members(n).collect();
    last.run(FAIR, owned, |owned, buf| fair::poll_set(owned, buf));
    let path = format!("the first of {n} ready");
    let first = case("PollSet", &path, ready(1));
    first.run(OURS, filled(1), ours::poll_set);
    let owned: Vec<(OwnedFd, usize)> = members(1).collect();
    first.run(FAIR, owned, |owned, buf| fair::poll_set(owned, buf));
}

fn modes() {
    let (socket, _peer) = UnixStream::pair().unwrap();
    let blocking = || socket.set_nonblocking(false).unwrap();
    let path = path_only();

    macro_rules! row {
        ($case:expr, $fd:expr) => {
            contenders!($case, $fd, set_nonblocking;
                libc_::set_nonblocking(OwnedFd) "libc", std_::set_nonblocking(UnixStream) "std",
                socket2_::set_nonblocking(socket2::Socket) "socket2",
                nix_::set_nonblocking(OwnedFd) "nix")
        };
    }
    row!(
        Case {
            before: &blocking,
            ..case("set_nonblocking", "change", 0)
        },
        &socket
    );
    row!(case("set_nonblocking", "no change", 0), &socket);
    row!(
        case(
            "set_nonblocking",
            "error",
            failed(Errno::BADF.raw_os_error())
        ),
        &path
    );
}

// ---- the comparison ----

fn compare() -> ExitCode {
    let directory = std::env::temp_dir().join(format!("wouldblock-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let counts = measure(&directory);
    std::fs::remove_dir_all(&directory).unwrap();
    print_table(&counts);

    let mut worse = 0;
    for ((name, path), of) in &counts {
        let allowed = EXCEPTIONS
            .iter()
            .find(|(operation, on, _)| operation == name && on == path)
            .map_or(0, |(_, _, more)| *more);
        let (ours, fair) = (of[OURS], of[FAIR]);
        if ours > fair {
            eprintln!(
                "{name}, {path}: {ours} instructions, fair takes {fair}, {allowed} more allowed"
            );
        }
        if ours > fair + allowed {
            worse += 1;
        }
    }
    eprintln!("{} cases, {worse} fail", counts.len());
    ExitCode::from(u8::from(worse > 0))
}

type Counts = Vec<((String, String), BTreeMap<String, u64>)>;

/// Runs this program under callgrind and reads the dumps, one for each line that
/// it printed.
fn measure(directory: &Path) -> Counts {
    let dumps = directory.join("callgrind");
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=*instructions::counted_round*")
        .arg("--dump-after=*instructions::dump_now*")
        .arg(format!("--callgrind-out-file={}", dumps.display()))
        .arg(std::env::current_exe().unwrap())
        .arg("count")
        .stderr(Stdio::inherit())
        .output()
        .expect("valgrind is installed");
    assert!(output.status.success(), "the rounds failed");

    let mut counts: Counts = Vec::new();
    let mut overhead = 0;
    for (i, line) in String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .enumerate()
    {
        let dump = std::fs::read_to_string(format!("{}.{}", dumps.display(), i + 1)).unwrap();
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: "));
        let total: u64 = total.expect("a dump has a total").trim().parse().unwrap();
        // A poll set begins to look elsewhere each time, so there the mean counts.
        assert!(
            total.is_multiple_of(ROUNDS) || line.starts_with("PollSet"),
            "{line}: not every round took the same: {total}"
        );
        let [name, path, contender] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        if name == "nothing" {
            overhead = total / ROUNDS;
            continue;
        }
        let count = total / ROUNDS - overhead;
        let key = (name.to_owned(), path.to_owned());
        match counts.last_mut() {
            Some((last, of)) if *last == key => {
                of.insert(contender.to_owned(), count);
            }
            _ => counts.push((key, BTreeMap::from([(contender.to_owned(), count)]))),
        }
    }
    counts
}

fn print_table(counts: &Counts) {
    let measured = |contender: &&str| counts.iter().any(|(_, of)| of.contains_key(*contender));
    let contenders: Vec<_> = CONTENDERS.into_iter().filter(measured).collect();
    println!("| operation | path | {} |", contenders.join(" | "));
    println!("|---|---|{}", "---:|".repeat(contenders.len()));
    for ((name, path), of) in counts {
        print!("| {name} | {path} |");
        for contender in &contenders {
            match of.get(*contender) {
                Some(count) => print!(" {count} |"),
                None => print!(" |"),
            }
        }
        println!();
    }
}
