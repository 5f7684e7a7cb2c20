//! What the tests share.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use wouldblock::{NonBlocking, OwnedFd};

/// No wait is longer.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How long nothing happens where a program is watched for doing nothing.
pub const IDLE: Duration = Duration::from_millis(400);

/// Bytes that show when some are lost, doubled or out of order.
pub fn pattern(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Without printing megabytes.
#[track_caller]
pub fn assert_same(came: &[u8], expected: &[u8]) {
    let lengths = (came.len(), expected.len());
    assert!(came == expected, "{lengths:?} bytes, and not the same");
}

pub type Socket = NonBlocking<OwnedFd>;

/// A connected pair; with small buffers every few bytes would block.
pub fn pair(tcp: bool, small: bool) -> [Socket; 2] {
    let ends: [OwnedFd; 2] = if tcp {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        [ours.into(), listener.accept().unwrap().0.into()]
    } else {
        let (ours, theirs) = UnixStream::pair().unwrap();
        [ours.into(), theirs.into()]
    };
    ends.map(|end| {
        if small {
            shrink(&end);
        }
        NonBlocking::new(end).unwrap()
    })
}

/// The smallest buffer that the system allows. Not for what it receives: TCP over
/// loopback would then wait for timers.
pub fn shrink(socket: impl AsFd) {
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, 1).unwrap();
}

/// Lets this process have as many descriptors as the system allows it.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// The processor time of this thread.
pub fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Fails if this thread was busy, as long as nothing happened.
#[track_caller]
pub fn assert_idle_since(before: Duration) {
    let time = thread_time() - before;
    assert!(time < IDLE / 20, "{time:?} of processor time for nothing");
}

/// Runs `body`, during which nothing happens, and fails if this thread was busy.
#[track_caller]
pub fn idle<T>(body: impl FnOnce() -> T) -> T {
    let before = thread_time();
    let result = body();
    assert_idle_since(before);
    result
}

const ALONE: &str = "PROGRAMS_TEST_ALONE";

/// Runs `body` in a process of its own, which `with` starts: `[]`, or a command that
/// the test's own command line follows. `test` is the name of the test that calls.
#[track_caller]
pub fn alone(test: &str, with: &[&str], body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let program = std::env::current_exe().unwrap();
    let mut command = match with {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    // A name that is not the test's would run none, with success.
    let passed = status.success() && out.contains("1 passed");
    assert!(passed, "{status}\n{out}\n{err}");
}

type Configs = (Arc<ClientConfig>, Arc<ServerConfig>);

/// A certificate of our own, and a client that trusts it.
pub fn configs(version: &'static SupportedProtocolVersion) -> Configs {
    static KEY: OnceLock<rcgen::CertifiedKey<rcgen::KeyPair>> = OnceLock::new();
    let names = vec!["localhost".to_owned()];
    let key = KEY.get_or_init(|| rcgen::generate_simple_self_signed(names).unwrap());
    let certificate = key.cert.der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let client = ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(roots)
        .with_no_client_auth();
    let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let server = ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private.into())
        .unwrap();
    (Arc::new(client), Arc::new(server))
}

pub fn connections(
    version: &'static SupportedProtocolVersion,
) -> (ClientConnection, ServerConnection) {
    let (client, server) = configs(version);
    (
        ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap(),
        ServerConnection::new(server).unwrap(),
    )
}
