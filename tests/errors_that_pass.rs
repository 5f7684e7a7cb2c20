//! The errors of `Outcome`'s table *Errors that pass*, from the kernel at hand: each is
//! answered, and then the same descriptor works again.

#![cfg(target_os = "linux")]
#![allow(
    unsafe_code,
    reason = "terminals, netlink and network devices have no safe interface here"
)]

mod common;

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::mem::{size_of, zeroed};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::ptr::null_mut;

use common::{
    STARTS, alone, only_port, ready, set_option, start, tcp_pair, tcp_socket, wait_for,
    wait_to_read,
};
use wouldblock::{
    AddressFamily, Errno, Interest, Io, Op, Outcome, RecvFlags, SendFlags, SocketAddrUnix,
    SocketType, connect, finish_connect, read, recv, send, send_to, set_nonblocking, socket, write,
};

const NONE: RecvFlags = RecvFlags::empty();
const SEND: SendFlags = SendFlags::empty();

fn udp() -> OwnedFd {
    socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap()
}

/// A descriptor that the system has just made.
fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[test]
fn recv_after_a_netlink_overrun_fails_once() {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointer is passed.
    let fd = owned(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) });
    let fd = fd.unwrap();
    set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, 1);
    // A `struct nlmsghdr` of no operation that asks for an acknowledgement: the kernel
    // answers each at once.
    let mut message = [0; 16];
    message[..4].copy_from_slice(&16_u32.to_ne_bytes());
    message[4..6].copy_from_slice(&1_u16.to_ne_bytes());
    message[6..8].copy_from_slice(&5_u16.to_ne_bytes());
    let mut asked = 0;
    while !ready(&fd, Interest::READABLE)
        .ready()
        .unwrap_or_default()
        .is_error()
    {
        assert_eq!(send(&fd, &message, SEND), Io::Ready(16));
        asked += 1;
        assert!(asked < 10_000, "it never overran");
    }
    let mut buf = [0; 4096];
    assert_eq!(recv(&fd, &mut buf, NONE), Io::Err(Errno::NOBUFS));
    assert_eq!(Op::Recv.outcome(Errno::NOBUFS), Outcome::Failed);
    let mut answers = 0;
    loop {
        match recv(&fd, &mut buf, NONE) {
            Io::Ready(n) => answers += n.div_ceil(36),
            Io::WouldBlock => break,
            Io::Err(errno) => panic!("{errno}"),
        }
    }
    assert!(0 < answers && answers < asked, "{answers} of {asked}");
    assert_eq!(send(&fd, &message, SEND), Io::Ready(16));
    wait_to_read(&fd);
    assert!(recv(&fd, &mut buf, NONE).is_ready());
}

/// A terminal: its master, and the path of its slave.
fn terminal() -> (OwnedFd, std::path::PathBuf) {
    let mut name = [0; 128];
    // SAFETY: the name has the length that is said, and ends with a zero.
    unsafe {
        let master = owned(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY)).unwrap();
        assert_eq!(libc::grantpt(master.as_raw_fd()), 0);
        assert_eq!(libc::unlockpt(master.as_raw_fd()), 0);
        let named = libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len());
        assert_eq!(named, 0);
        let name = CStr::from_ptr(name.as_ptr()).to_str().unwrap();
        set_nonblocking(&master, true).unwrap();
        (master, name.into())
    }
}

fn open_terminal(path: &std::path::Path) -> File {
    let mut options = File::options();
    options.read(true).write(true);
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    options.custom_flags(flags).open(path).unwrap()
}

#[test]
fn read_of_a_master_whose_slave_is_closed_fails_until_one_is_opened() {
    let _none_starts = STARTS.read();
    let (master, path) = terminal();
    let mut buf = [0; 8];
    let slave = open_terminal(&path);
    assert_eq!(read(&master, &mut buf), Io::WouldBlock);
    drop(slave);
    for _ in 0..3 {
        assert_eq!(read(&master, &mut buf), Io::Err(Errno::IO));
        // So whoever polls it spins.
        assert!(wait_for(&master, Interest::READABLE).is_hang_up());
    }
    assert_eq!(Op::Read.outcome(Errno::IO), Outcome::Failed);
    let mut slave = open_terminal(&path);
    assert_eq!(read(&master, &mut buf), Io::WouldBlock);
    slave.write_all(b"!").unwrap();
    wait_to_read(&master);
    assert_eq!(read(&master, &mut buf), Io::Ready(1));
}

#[test]
fn read_of_the_terminal_in_the_background_fails_until_it_is_in_front() {
    let name = "read_of_the_terminal_in_the_background_fails_until_it_is_in_front";
    alone(name, || {
        let (master, path) = terminal();
        let slave = open_terminal(&path);
        let fd = slave.as_raw_fd();
        let in_front = |group| {
            // SAFETY: no pointer is passed.
            assert_eq!(unsafe { libc::tcsetpgrp(fd, group) }, 0);
        };
        // SAFETY: no pointer is passed; the signal, by which the system would stop a
        // process in the background, is ignored in this process alone.
        let ours = unsafe {
            assert_ne!(libc::setsid(), -1);
            assert_eq!(libc::ioctl(fd, libc::TIOCSCTTY, 0), 0);
            assert_ne!(libc::signal(libc::SIGTTOU, libc::SIG_IGN), libc::SIG_ERR);
            libc::getpgrp()
        };
        let mut other = Command::new("cat");
        let other = other.process_group(0).stdin(Stdio::piped());
        let mut other = start(other.stdout(Stdio::null()));
        in_front(other.id().try_into().unwrap());
        assert_eq!(read(&slave, &mut [0; 8]), Io::Err(Errno::IO));
        in_front(ours);
        assert_eq!(read(&slave, &mut [0; 8]), Io::WouldBlock);
        assert_eq!(write(&master, b"!\n"), Io::Ready(2));
        wait_to_read(&slave);
        assert_eq!(read(&slave, &mut [0; 8]), Io::Ready(2));
        drop(other.stdin.take());
        assert!(other.wait().unwrap().success());
        // Its end would be a hang-up, which ends this process.
        std::mem::forget(master);
    });
}

#[test]
fn read_of_a_timer_fails_once_after_the_clock_was_set() {
    let move_clock = |seconds, nanoseconds| {
        // SAFETY: all zeros is a valid `timex`, and the call reads and fills it.
        unsafe {
            let mut change: libc::timex = zeroed();
            change.modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO;
            change.time.tv_sec = seconds;
            change.time.tv_usec = nanoseconds;
            libc::adjtimex(&mut change)
        }
    };
    let clock = libc::CLOCK_REALTIME;
    // SAFETY: all zeros is a valid `itimerspec`, and the calls read it.
    let (timer, set) = unsafe {
        let timer = owned(libc::timerfd_create(clock, libc::TFD_NONBLOCK)).unwrap();
        let mut end: libc::itimerspec = zeroed();
        // Tomorrow.
        assert_eq!(libc::clock_gettime(clock, &mut end.it_value), 0);
        end.it_value.tv_sec += 86_400;
        let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        let set = libc::timerfd_settime(timer.as_raw_fd(), flags, &end, null_mut());
        (timer, set)
    };
    if set == -1 {
        let error = io::Error::last_os_error();
        return println!("skipped: no timer that a new time cancels: {error}");
    }
    let canceled = Io::Err(Errno::CANCELED);
    // Somebody else may set the clock, too.
    let in_peace = || loop {
        let answer = read(&timer, &mut [0; 8]);
        if answer != canceled {
            return answer;
        }
    };
    assert_eq!(in_peace(), Io::WouldBlock);
    // By a nanosecond, and back.
    if move_clock(0, 1) == -1 {
        let error = io::Error::last_os_error();
        return println!("skipped: the clock cannot be set here: {error}");
    }
    wait_to_read(&timer);
    assert_eq!(read(&timer, &mut [0; 8]), canceled);
    assert_eq!(Op::Read.outcome(Errno::CANCELED), Outcome::Failed);
    assert_eq!(in_peace(), Io::WouldBlock);
    assert_ne!(move_clock(-1, 999_999_999), -1);
}

#[test]
fn send_to_a_healthy_peer_fails_once_for_an_earlier_refusal() {
    let _none_starts = STARTS.read();
    let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
    set_nonblocking(&theirs, true).unwrap();
    let nobody = UdpSocket::bind("127.7.15.2:0").unwrap();
    let [healthy, dead] = [&theirs, &nobody].map(|peer| peer.local_addr().unwrap());
    drop(nobody);
    let ours = udp();
    set_option(&ours, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
    assert_eq!(send_to(&ours, b"lost", SEND, &dead), Io::Ready(4));
    assert!(wait_for(&ours, Interest::READABLE).is_error());
    let refused = Io::Err(Errno::CONNREFUSED);
    assert_eq!(send_to(&ours, b"healthy", SEND, &healthy), refused);
    assert_eq!(Op::Send.outcome(Errno::CONNREFUSED), Outcome::Failed);
    // It was not sent, and the next is.
    assert_eq!(send_to(&ours, b"again", SEND, &healthy), Io::Ready(5));
    wait_to_read(&theirs);
    assert_eq!(recv(&theirs, &mut [0; 8], NONE), Io::Ready(5));
    assert_eq!(recv(&theirs, &mut [0; 8], NONE), Io::WouldBlock);
}

#[test]
fn send_to_a_server_that_restarts_fails_until_it_is_back() {
    let _none_starts = STARTS.read();
    // A connected UDP socket: the refusal of one datagram fails the next. The address is
    // one that nobody else takes meanwhile.
    let server = UdpSocket::bind("127.7.15.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let ours = udp();
    assert_eq!(connect(&ours, &address), Io::Ready(()));
    drop(server);
    assert_eq!(send(&ours, b"lost", SEND), Io::Ready(4));
    assert!(wait_for(&ours, Interest::READABLE).is_error());
    let server = UdpSocket::bind(address).unwrap();
    assert_eq!(send(&ours, b"lost", SEND), Io::Err(Errno::CONNREFUSED));
    assert_eq!(send(&ours, b"kept", SEND), Io::Ready(4));
    wait_to_read(&server);

    // A name in the file system: nobody, nobody any more, and somebody again.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let name = SocketAddrUnix::new(&path).unwrap();
    let ours = socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
    let missing = Io::Err(Errno::NOENT);
    assert_eq!(send_to(&ours, b"lost", SEND, &name), missing);
    drop(UnixDatagram::bind(&path).unwrap());
    let refused = Io::Err(Errno::CONNREFUSED);
    assert_eq!(send_to(&ours, b"lost", SEND, &name), refused);
    for errno in [Errno::NOENT, Errno::CONNREFUSED] {
        assert_eq!(Op::SendToUnix.outcome(errno), Outcome::Failed);
    }
    std::fs::remove_file(&path).unwrap();
    let server = UnixDatagram::bind(&path).unwrap();
    assert_eq!(send_to(&ours, b"kept", SEND, &name), Io::Ready(4));
    wait_to_read(&server);
}

/// What the peer sent, which then closed without reading what we had sent: a reset.
fn answered_and_reset() -> std::net::TcpStream {
    let (ours, mut theirs) = tcp_pair();
    assert_eq!(send(&ours, b"a request", SEND), Io::Ready(9));
    wait_to_read(&theirs);
    theirs.write_all(b"answer").unwrap();
    drop(theirs);
    let mut readiness = wait_for(&ours, Interest::READABLE);
    while !readiness.is_error() {
        readiness = wait_for(&ours, Interest::READABLE);
    }
    ours
}

#[test]
fn send_after_a_reset_fails_and_the_answer_can_still_be_received() {
    let _none_starts = STARTS.read();
    let ours = answered_and_reset();
    assert_eq!(send(&ours, b"more", SEND), Io::Err(Errno::CONNRESET));
    assert_eq!(send(&ours, b"more", SEND), Io::Err(Errno::PIPE));
    // `send` took the reset: `recv` sees the answer, and then an end like any other.
    let mut buf = [0; 8];
    assert_eq!(recv(&ours, &mut buf, NONE), Io::Ready(6));
    assert_eq!(&buf[..6], b"answer");
    assert_eq!(recv(&ours, &mut buf, NONE), Io::Ready(0));
}

#[test]
fn recv_after_a_reset_gives_the_answer_and_then_the_reset() {
    let _none_starts = STARTS.read();
    let ours = answered_and_reset();
    let mut buf = [0; 8];
    assert_eq!(recv(&ours, &mut buf, NONE), Io::Ready(6));
    assert_eq!(recv(&ours, &mut buf, NONE), Io::Err(Errno::CONNRESET));
    assert_eq!(recv(&ours, &mut buf, NONE), Io::Ready(0));
    assert_eq!(send(&ours, b"more", SEND), Io::Err(Errno::PIPE));
}

/// How many ports are tried: when one is given up, somebody else may take it.
const PORTS: usize = 64;

#[test]
fn connect_of_a_datagram_socket_without_a_port_left_backs_off() {
    let _none_starts = STARTS.read();
    let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = theirs.local_addr().unwrap();
    for _ in 0..PORTS {
        let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
        let ours = udp();
        if !only_port(&ours, taken.local_addr().unwrap().port()) {
            return;
        }
        assert_eq!(connect(&ours, &address), Io::Err(Errno::AGAIN));
        assert_eq!(Op::Connect.outcome(Errno::AGAIN), Outcome::BackOff);
        drop(taken);
        match connect(&ours, &address) {
            Io::Err(Errno::AGAIN) => {}
            answer => return assert_eq!(answer, Io::Ready(())),
        }
    }
    panic!("somebody else took every port");
}

#[test]
fn connect_of_a_stream_without_a_port_left_fails_until_there_is_one() {
    let _none_starts = STARTS.read();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..PORTS {
        let (taken, port) = common::bound_tcp();
        let ours = tcp_socket();
        if !only_port(&ours, port.port()) {
            return;
        }
        for _ in 0..3 {
            assert_eq!(connect(&ours, &address), Io::Err(Errno::ADDRNOTAVAIL));
        }
        assert_eq!(Op::Connect.outcome(Errno::ADDRNOTAVAIL), Outcome::Failed);
        drop(taken);
        match connect(&ours, &address) {
            Io::Err(Errno::ADDRNOTAVAIL) => continue,
            answer => assert_eq!(answer, Io::WouldBlock),
        }
        assert!(wait_for(&ours, Op::Connect.interest()).is_writable());
        assert_eq!(finish_connect(&ours), Io::Ready(()));
        return;
    }
    panic!("somebody else took every port");
}

/// Gives this process a network of its own, with a loopback device that is down.
/// For a test that runs alone.
fn own_network() -> bool {
    // SAFETY: it changes what this process sees, and touches no memory.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNET) == 0
            || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) == 0
    };
    if !done {
        let error = io::Error::last_os_error();
        println!("skipped: no network namespace: {error}");
    }
    done
}

fn device(name: &[u8]) -> libc::ifreq {
    // SAFETY: all zeros is a valid `ifreq`.
    let mut device: libc::ifreq = unsafe { zeroed() };
    for (to, from) in device.ifr_name.iter_mut().zip(name) {
        *to = libc::c_char::try_from(*from).unwrap();
    }
    device
}

fn set_up(name: &[u8], up: bool) {
    let mut device = device(name);
    let fd = udp();
    // SAFETY: the calls read the name and the flags, and fill the flags in.
    unsafe {
        let call = |request, device: &mut libc::ifreq| {
            assert_eq!(libc::ioctl(fd.as_raw_fd(), request, device), 0);
        };
        call(libc::SIOCGIFFLAGS as _, &mut device);
        let flag = libc::c_short::try_from(libc::IFF_UP).unwrap();
        let flags = device.ifr_ifru.ifru_flags & !flag;
        device.ifr_ifru.ifru_flags = if up { flags | flag } else { flags };
        call(libc::SIOCSIFFLAGS as _, &mut device);
    }
}

#[test]
fn recv_of_packets_fails_once_when_the_device_goes_down() {
    let name = "recv_of_packets_fails_once_when_the_device_goes_down";
    alone(name, || {
        if !own_network() {
            return;
        }
        // Before there is a way to the address.
        let ours = udp();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let unreachable = Io::Err(Errno::NETUNREACH);
        assert_eq!(send_to(&ours, b"!", SEND, &address), unreachable);
        assert_eq!(Op::Send.outcome(Errno::NETUNREACH), Outcome::Failed);

        set_up(b"lo", true);
        let every = 3_u16.to_be(); // ETH_P_ALL
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: all zeros is a valid `sockaddr_ll`, and its size is given.
        let packets = unsafe {
            let packets = owned(libc::socket(libc::AF_PACKET, kind, every.into())).unwrap();
            let mut address: libc::sockaddr_ll = zeroed();
            address.sll_family = libc::AF_PACKET.try_into().unwrap();
            address.sll_protocol = every;
            address.sll_ifindex = libc::if_nametoindex(c"lo".as_ptr()).try_into().unwrap();
            let size = size_of::<libc::sockaddr_ll>().try_into().unwrap();
            let bound = libc::bind(packets.as_raw_fd(), (&raw const address).cast(), size);
            assert_eq!(bound, 0);
            packets
        };
        let mut buf = [0; 128];
        while recv(&packets, &mut buf, NONE).is_ready() {}
        set_up(b"lo", false);
        assert!(wait_for(&packets, Interest::READABLE).is_error());
        assert_eq!(recv(&packets, &mut buf, NONE), Io::Err(Errno::NETDOWN));
        assert_eq!(Op::Recv.outcome(Errno::NETDOWN), Outcome::Failed);
        assert_eq!(recv(&packets, &mut buf, NONE), Io::WouldBlock);

        set_up(b"lo", true);
        assert_eq!(send_to(&ours, b"!", SEND, &address), Io::Ready(1));
        wait_to_read(&packets);
        assert!(recv(&packets, &mut buf, NONE).is_ready());
    });
}

#[test]
fn write_to_a_tunnel_that_is_down_fails_until_it_is_up() {
    let name = "write_to_a_tunnel_that_is_down_fails_until_it_is_up";
    alone(name, || {
        if !own_network() {
            return;
        }
        let mut options = File::options();
        options.read(true).write(true);
        let tunnel = match options.custom_flags(libc::O_NONBLOCK).open("/dev/net/tun") {
            Ok(tunnel) => tunnel,
            Err(error) => return println!("skipped: no /dev/net/tun: {error}"),
        };
        let mut device = device(b"tun0");
        device.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI).try_into().unwrap();
        // SAFETY: the call reads the name and the flags.
        let made = unsafe { libc::ioctl(tunnel.as_raw_fd(), libc::TUNSETIFF as _, &mut device) };
        assert_eq!(made, 0, "{}", io::Error::last_os_error());
        // The header of a packet of IPv4 that is empty.
        let mut packet = [0; 20];
        packet[0] = 0x45;
        for _ in 0..3 {
            assert_eq!(write(&tunnel, &packet), Io::Err(Errno::IO));
            assert_eq!(ready(&tunnel, Interest::WRITABLE), Io::WouldBlock);
        }
        assert_eq!(Op::Write.outcome(Errno::IO), Outcome::Failed);
        set_up(b"tun0", true);
        assert!(wait_for(&tunnel, Interest::WRITABLE).is_writable());
        assert_eq!(write(&tunnel, &packet), Io::Ready(20));
    });
}
