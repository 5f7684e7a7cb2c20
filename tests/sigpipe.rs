//! SIGPIPE: `send` never raises it; `write` does, and says so.

#![allow(unsafe_code, reason = "signal dispositions have no safe interface")]

mod common;

use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;

use common::{alone, habits::habits, in_a_child, is_alone, tcp_pair};
use wouldblock::{Errno, Io, NonBlocking, SendFlags, send_fds, send_msg, send_to, writev};

const NONE: SendFlags = SendFlags::empty();

/// Gives SIGPIPE its default action: ending the process. Rust's runtime ignores
/// the signal; a C program that links this crate may not.
fn let_sigpipe_kill() {
    // SAFETY: SIG_DFL is a valid disposition, and no handler runs.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

fn widow() -> NonBlocking<UnixStream> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    NonBlocking::new(ours).unwrap()
}

/// A connection that takes addresses along with what it may no longer send.
fn ended() -> (NonBlocking<TcpStream>, SocketAddr, TcpStream) {
    let (ours, theirs) = tcp_pair();
    ours.shutdown(Shutdown::Write).unwrap();
    let address = ours.peer_addr().unwrap();
    (NonBlocking::new(ours).unwrap(), address, theirs)
}

#[test]
fn send_to_a_peer_that_is_gone_raises_no_signal() {
    alone("send_to_a_peer_that_is_gone_raises_no_signal", || {
        let_sigpipe_kill();
        assert!(widow().send(b"?", NONE).is_err());
    });
}

#[test]
fn send_to_after_the_end_raises_no_signal() {
    alone("send_to_after_the_end_raises_no_signal", || {
        let_sigpipe_kill();
        let (ours, address, _theirs) = ended();
        let answer = send_to(&ours, b"?", NONE, &address);
        // Elsewhere it may be the address that is refused, on a connection.
        assert!(answer.is_err(), "{answer:?}");
        let linux = Io::Err(Errno::PIPE);
        assert!(!habits().errnos_of_linux || answer == linux, "{answer:?}");
    });
}

#[test]
fn send_msg_to_a_peer_that_is_gone_raises_no_signal() {
    alone("send_msg_to_a_peer_that_is_gone_raises_no_signal", || {
        let_sigpipe_kill();
        let bufs = [IoSlice::new(b"?")];
        assert_eq!(send_msg(widow(), &bufs, NONE), Io::Err(Errno::PIPE));
    });
}

#[test]
fn send_fds_to_a_peer_that_is_gone_raises_no_signal() {
    alone("send_fds_to_a_peer_that_is_gone_raises_no_signal", || {
        let_sigpipe_kill();
        let (ours, bufs) = (widow(), [IoSlice::new(b"?")]);
        let answer = send_fds(&ours, &bufs, [ours.as_fd()], NONE);
        assert_eq!(answer, Io::Err(Errno::PIPE));
    });
}

#[test]
fn send_all_to_a_peer_that_is_gone_raises_no_signal() {
    alone("send_all_to_a_peer_that_is_gone_raises_no_signal", || {
        let_sigpipe_kill();
        let mut rest = &b"?"[..];
        assert_eq!(widow().send_all(&mut rest, NONE), Io::Err(Errno::PIPE));
        assert_eq!(rest, b"?");
    });
}

#[cfg(feature = "std")]
#[test]
fn write_through_std_to_a_peer_that_is_gone_raises_no_signal() {
    use std::io::{ErrorKind, Write};
    alone(
        "write_through_std_to_a_peer_that_is_gone_raises_no_signal",
        || {
            let_sigpipe_kill();
            let deadline = std::time::Duration::from_secs(20);
            let bufs = [IoSlice::new(b"?")];
            let socket = widow();
            for error in [
                socket.std_io().write(b"?").unwrap_err(),
                socket.std_io().write_vectored(&bufs).unwrap_err(),
                socket.until(deadline).std_io().write(b"?").unwrap_err(),
                socket
                    .until(deadline)
                    .std_io()
                    .write_vectored(&bufs)
                    .unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            }
        },
    );
}

/// Also the proof that the tests above can fail.
#[test]
fn write_to_a_peer_that_is_gone_raises_sigpipe() {
    raises_sigpipe("write_to_a_peer_that_is_gone_raises_sigpipe", || {
        defenceless(widow()).write(b"?")
    });
}

#[test]
fn writev_to_a_peer_that_is_gone_raises_sigpipe() {
    raises_sigpipe("writev_to_a_peer_that_is_gone_raises_sigpipe", || {
        writev(defenceless(widow()), &[IoSlice::new(b"?")])
    });
}

/// Also for a connection that was ended at this side.
#[test]
fn write_after_the_end_raises_sigpipe() {
    raises_sigpipe("write_after_the_end_raises_sigpipe", || {
        defenceless(ended().0).write(b"?")
    });
}

/// Without `SO_NOSIGPIPE`, which std sets on sockets where there is such an option.
fn defenceless<F: AsFd>(socket: NonBlocking<F>) -> NonBlocking<F> {
    #[cfg(wouldblock_has = "so_nosigpipe")]
    rustix::net::sockopt::set_socket_nosigpipe(&socket, false).unwrap();
    socket
}

#[track_caller]
fn raises_sigpipe(test: &'static str, call: impl FnOnce() -> Io) {
    if is_alone() {
        let_sigpipe_kill();
        let _ = call();
        return;
    }
    let status = in_a_child(test).status;
    assert_eq!(status.signal(), Some(libc::SIGPIPE), "{status}");
}
