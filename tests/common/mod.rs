//! What the live tests share: a deadline on every wait, and a few sockets.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod habits;
pub(crate) mod signals;

use std::env::{self, consts::EXE_SUFFIX};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{RwLock, mpsc};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_getfd};
use wouldblock::{
    AddressFamily, Interest, Io, Readiness, SocketType, is_nonblocking, poll, set_nonblocking,
    socket, until,
};

/// No wait in the tests is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until there is something to receive or to accept.
#[track_caller]
pub(crate) fn wait_to_read(fd: impl AsFd) {
    let readiness = wait_for(fd, Interest::READABLE);
    assert!(readiness.is_readable(), "{readiness:?}");
}

/// Whether `interest` is ready now.
pub(crate) fn ready(fd: impl AsFd, interest: Interest) -> Io<Readiness> {
    until(fd, Duration::ZERO).ready(interest)
}

/// Waits for `interest`, and fails the test if it does not come in time.
#[track_caller]
pub(crate) fn wait_for(fd: impl AsFd, interest: Interest) -> Readiness {
    let end = Instant::now() + DEADLINE;
    loop {
        let mut fds = [interest.on(&fd)];
        match poll(
            &mut fds,
            Some(end.saturating_duration_since(Instant::now())),
        ) {
            Io::Ready(_) => return Readiness::from(&fds[0]),
            Io::WouldBlock => panic!("{interest:?} did not come within {DEADLINE:?}"),
            Io::Err(errno) if errno == wouldblock::Errno::INTR => {}
            Io::Err(errno) => panic!("poll: {errno}"),
        }
    }
}

/// Reads `n` bytes from a blocking reader, and fails the test if they do not come
/// in time.
#[track_caller]
pub(crate) fn read_exactly(mut reader: impl Read + AsFd, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    let mut filled = 0;
    while filled < n {
        wait_to_read(&reader);
        let more = reader.read(&mut bytes[filled..]).unwrap();
        assert_ne!(more, 0, "the end after {filled} bytes");
        filled += more;
    }
    bytes
}

/// Fails unless a blocking reader is, or soon will be, at its end.
#[track_caller]
pub(crate) fn assert_ends(mut reader: impl Read + AsFd) {
    wait_to_read(&reader);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "not the end");
}

/// Runs `body` on a thread of its own and fails if it does not end in time: for
/// calls that would sleep for ever if they were wrong.
#[track_caller]
pub(crate) fn within_deadline<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(body()));
    match result.recv_timeout(DEADLINE) {
        Ok(value) => value,
        Err(error) => panic!("the call did not come back: {error}"),
    }
}

/// A connected TCP pair over loopback; the first is non-blocking.
pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    set_nonblocking(&ours, true).unwrap();
    (ours, theirs)
}

/// Ends the connection with a reset instead of an end of file.
pub(crate) fn reset(socket: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
}

/// Closes one end of a pair when no process is starting, which would hold a copy.
pub(crate) fn close(socket: std::os::unix::net::UnixStream) {
    let _none_starts = STARTS.read();
    drop(socket);
}

/// Fills until the call would block; returns how many bytes fitted.
#[track_caller]
pub(crate) fn fill(mut write: impl FnMut(&[u8]) -> Io) -> usize {
    let mut total = 0;
    loop {
        match write(&[7; 4096]) {
            Io::Ready(n) => total += n,
            Io::WouldBlock => return total,
            Io::Err(errno) => panic!("filling: {errno}"),
        }
    }
}

/// How many descriptors this process has open. Not every system tells it in `/dev/fd`.
pub(crate) fn open_descriptors() -> usize {
    #![allow(
        unsafe_code,
        reason = "a number has to be asked for that may be nobody's"
    )]
    // The tests that count leave no more to themselves.
    const MOST: i32 = 4096;
    let is_open = |number: &i32| {
        // SAFETY: the call asks whether it is open, and does nothing else.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl_getfd(fd).is_ok()
    };
    (0..MOST).filter(is_open).count()
}

/// The CPU time that this thread has used.
#[cfg(not(any(
    target_os = "illumos",
    target_os = "netbsd",
    target_os = "redox",
    target_os = "solaris"
)))]
pub(crate) fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// rustix has no clock of a thread's own there, so that nothing is asserted of it.
#[cfg(any(
    target_os = "illumos",
    target_os = "netbsd",
    target_os = "redox",
    target_os = "solaris"
))]
pub(crate) fn thread_cpu_time() -> Duration {
    Duration::ZERO
}

/// A pipe, as files.
pub(crate) fn pipe() -> (File, File) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    (reader.into(), writer.into())
}

/// Set in a process that runs one test alone.
const ROLE: &str = "WOULDBLOCK_TEST_ALONE";

pub(crate) fn is_alone() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Runs this test once more below strace, where `body` is all it does, and gives the
/// trace; says why there is none where it cannot. Nothing in the run that is traced.
pub(crate) fn traced(name: &str, body: impl FnOnce()) -> Option<String> {
    const ROLE: &str = "WOULDBLOCK_STRACE_CHILD";
    if env::var_os(ROLE).is_some() {
        body();
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let mut strace = Command::new("strace");
    strace
        .arg("-fqo")
        .arg(&trace)
        .arg(env::current_exe().unwrap())
        .args(["--exact", name])
        .env(ROLE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = {
        let _alone = STARTS.write();
        strace.spawn()
    };
    let ended = started.and_then(|child| within_deadline(move || child.wait_with_output()));
    let child = match ended {
        Ok(child) => child,
        Err(error) => {
            eprintln!("not checked: no strace: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&child.stderr);
    if said.contains("ptrace") {
        eprintln!("not checked: strace may not trace here: {said}");
        return None;
    }
    assert!(child.status.success(), "{said}");
    Some(std::fs::read_to_string(trace).unwrap())
}

/// A process that starts holds copies of all descriptors until it executes. Held
/// for reading, this keeps processes from starting: for a test that closes a
/// descriptor and needs it closed at once.
pub(crate) static STARTS: RwLock<()> = RwLock::new(());

/// Starts a process, when no test minds.
pub(crate) fn start(command: &mut Command) -> Child {
    let _alone = STARTS.write();
    command.spawn().unwrap()
}

/// Runs the test of this name again, as a process of its own.
pub(crate) fn in_a_child(test: &'static str) -> Output {
    within_deadline(move || {
        let mut child = command(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--nocapture", "--test-threads=1"]);
        child.env(ROLE, "1").stdin(Stdio::null());
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped());
        start(child).wait_with_output().unwrap()
    })
}

/// Runs `body` where nobody else opens or closes descriptors, or is hurt by what
/// it does to the process. `test` is the name of the test that calls.
#[track_caller]
pub(crate) fn alone(test: &'static str, body: impl FnOnce()) {
    if is_alone() {
        return body();
    }
    let output = in_a_child(test);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    // A name that is not the test's would run none, with success.
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "{}\n{out}\n{err}", output.status);
    for line in out.lines().filter(|line| line.contains("skipped: ")) {
        println!("{line}");
    }
}

/// Fails unless the descriptor is what this crate promises of a new one.
#[track_caller]
pub(crate) fn assert_prepared(fd: impl AsFd) {
    assert_eq!(is_nonblocking(&fd), Ok(true));
    assert_eq!(fcntl_getfd(&fd), Ok(FdFlags::CLOEXEC));
}

/// Fails unless both are the same file.
#[track_caller]
pub(crate) fn assert_same_file(one: impl AsFd, other: impl AsFd) {
    let [one, other] = [
        rustix::fs::fstat(one).unwrap(),
        rustix::fs::fstat(other).unwrap(),
    ];
    assert_eq!((one.st_dev, one.st_ino), (other.st_dev, other.st_ino));
}

/// A TCP socket of this crate's making.
pub(crate) fn tcp_socket() -> OwnedFd {
    socket(AddressFamily::INET, SocketType::STREAM, None).unwrap()
}

/// A TCP socket with an address that nobody else can have while it lives; nobody
/// listens there yet.
pub(crate) fn bound_tcp() -> (OwnedFd, SocketAddr) {
    let bound = tcp_socket();
    rustix::net::bind(&bound, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = rustix::net::getsockname(&bound).unwrap();
    (bound, SocketAddr::try_from(address).unwrap())
}

/// An address that refuses who connects, and what keeps it from being another's, if
/// anything does.
pub(crate) fn nobody_listens() -> (Option<OwnedFd>, SocketAddr) {
    let (bound, address) = bound_tcp();
    // Some systems drop what comes to a port that is bound.
    (
        habits::habits().bound_port_refuses.then_some(bound),
        address,
    )
}

/// A connect that stays in progress, because the listener's queue is full.
#[cfg(target_os = "linux")]
pub(crate) struct Pending {
    pub(crate) listener: OwnedFd,
    pub(crate) address: SocketAddr,
    /// What fills the queue.
    pub(crate) queued: Vec<OwnedFd>,
    pub(crate) socket: OwnedFd,
}

#[cfg(target_os = "linux")]
pub(crate) fn pending_connect() -> Pending {
    let (listener, address) = bound_tcp();
    rustix::net::listen(&listener, 0).unwrap();
    let mut queued = Vec::new();
    loop {
        let socket = tcp_socket();
        assert!(wouldblock::connect(&socket, &address).is_would_block());
        // Long enough for a handshake over loopback.
        let mut fds = [Interest::WRITABLE.on(&socket)];
        if poll(&mut fds, Some(Duration::from_millis(200))).is_would_block() {
            return Pending {
                listener,
                address,
                queued,
                socket,
            };
        }
        queued.push(socket);
        assert!(queued.len() < 64, "the queue never filled");
    }
}

/// The binary of an example. Cargo builds the examples before it runs all the
/// tests of a package, but not for `--test` with one name.
#[track_caller]
pub(crate) fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the test has a path");
    let file = format!("examples/{name}{EXE_SUFFIX}");
    let mut places = test.ancestors().map(|directory| directory.join(&file));
    let built = places.find(|place| place.is_file());
    built.unwrap_or_else(|| {
        panic!("not built: `cargo test`, or `cargo build --example {name}` first")
    })
}

/// Starts `program`, one that was built for the machine under test. The kernel
/// cannot start it by itself if that is another architecture; `ci/check foreign` then
/// gives the emulator's command line.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let emulator = std::env::var("WOULDBLOCK_TEST_RUNNER").unwrap_or_default();
    let mut words = emulator.split_whitespace();
    let Some(first) = words.next() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(words).arg(program);
    command
}

/// A terminal's two ends; the second gives what is typed into the first, at once if it
/// is `raw`, and line by line if not. A raw one has this VMIN.
#[cfg(target_os = "linux")]
pub(crate) fn terminal(raw: Option<u8>) -> (File, OwnedFd) {
    #![allow(unsafe_code, reason = "terminals have no safe interface here")]
    use std::os::fd::FromRawFd;
    use std::ptr::null_mut;
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: the calls fill in what they are given, and the descriptors are new.
    let (master, slave) = unsafe {
        let made = libc::openpty(&mut master, &mut slave, null_mut(), null_mut(), null_mut());
        assert_eq!(made, 0);
        if let Some(least) = raw {
            let mut modes: libc::termios = std::mem::zeroed();
            assert_eq!(libc::tcgetattr(slave, &mut modes), 0);
            libc::cfmakeraw(&mut modes);
            modes.c_cc[libc::VMIN] = least;
            modes.c_cc[libc::VTIME] = 0;
            assert_eq!(libc::tcsetattr(slave, libc::TCSANOW, &modes), 0);
        }
        (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    };
    set_nonblocking(&slave, true).unwrap();
    (master, slave)
}

/// Makes the superuser's process one of a user that no other process has: the superuser
/// may have any number of descriptors in flight, and all processes of a user are counted
/// together. Returns whether it is no superuser's now.
#[cfg(wouldblock_has = "in_flight_errors")]
pub(crate) fn become_a_user_of_its_own() -> bool {
    #![allow(unsafe_code, reason = "rustix has no safe form for the whole process")]
    // Within the 65536 that a container may have.
    let id = 40_000 + std::process::id() % 20_000;
    // SAFETY: they change who this process is, and touch no memory.
    unsafe { libc::getuid() != 0 || (libc::setgid(id) == 0 && libc::setuid(id) == 0) }
}

/// A descriptor that is open nowhere, and whose number no other takes: rustix's
/// placeholders are negative, which `poll` ignores.
pub(crate) fn dead_descriptor() -> BorrowedFd<'static> {
    #![allow(unsafe_code, reason = "safe code cannot name a closed descriptor")]
    // SAFETY: the tests give it to calls for which a closed descriptor is an error.
    unsafe { BorrowedFd::borrow_raw(1 << 20) }
}

/// Lets this process have as many descriptors as the system allows it; returns how
/// many.
pub(crate) fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // macOS refuses more than its own limit, whatever the hard one is.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |n| n.try_into().unwrap_or(usize::MAX))
}

/// Many descriptors of one idle socket, each with a number of its own, and the
/// socket's peer. Fewer, if the limit is low.
pub(crate) fn idle(count: usize) -> (Vec<OwnedFd>, UnixStream) {
    let count = count.min(raise_descriptor_limit() - 64);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let fds = (0..count).map(|_| rustix::io::fcntl_dupfd_cloexec(&ours, 0).unwrap());
    (fds.collect(), theirs)
}

/// Sets a socket option that is an int, and that rustix lacks.
pub(crate) fn set_option(socket: impl AsFd, level: i32, name: i32, value: i32) {
    assert!(takes_option(socket, level, name, value));
}

/// Whether this system has the option.
pub(crate) fn takes_option(socket: impl AsFd, level: i32, name: i32, value: i32) -> bool {
    #![allow(unsafe_code, reason = "rustix lacks some of the socket options")]
    // SAFETY: the option's value is an int, and its size is given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            4,
        )
    };
    done == 0
}

/// Lets a socket choose its port from one alone (Linux 6.3), or says why it cannot.
#[cfg(target_os = "linux")]
pub(crate) fn only_port(fd: &OwnedFd, port: u16) -> bool {
    #![allow(unsafe_code, reason = "rustix lacks the option")]
    const IP_LOCAL_PORT_RANGE: i32 = 51;
    let range = u32::from(port) << 16 | u32::from(port);
    // SAFETY: the option's value is of the size that is given.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_IP,
            IP_LOCAL_PORT_RANGE,
            (&raw const range).cast(),
            4,
        )
    };
    if done == -1 {
        let error = std::io::Error::last_os_error();
        println!("skipped: no range of ports for one socket: {error}");
    }
    done == 0
}
