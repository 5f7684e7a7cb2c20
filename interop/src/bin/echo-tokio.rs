//! The echo server on tokio: `AsyncFd` waits, this crate makes the calls.

use std::io::{Error, ErrorKind, Result};
use std::net::TcpListener;
use std::time::Duration;

use interop::{Echo, Next};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wouldblock::{Op, Outcome, OwnedFd, accept};

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve(listener))
}

async fn serve(listener: TcpListener) -> Result<()> {
    // SAFETY: std's listener names one descriptor, its own, for as long as it lives.
    let listener = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE)? };
    loop {
        // `async_io` clears tokio's readiness exactly when the kind is WouldBlock,
        // and `into_io_result` gives that kind to `Io::WouldBlock` alone. An EMFILE
        // keeps the readiness, as it should: the connection is still queued.
        let accepted = listener
            .async_io(Interest::READABLE, |listener| {
                Ok(accept(listener)).and_then(wait)
            })
            .await?;
        match accepted {
            Ok(fd) => drop(tokio::task::spawn_local(echo(fd))),
            Err(errno) => match Op::Accept.outcome(errno) {
                Outcome::TryNext | Outcome::BackOff => {
                    tokio::time::sleep(Duration::from_millis(50)).await
                }
                _ => return Err(errno.into()),
            },
        }
    }
}

/// Would-block as the error that tokio waits on; everything else as it is.
fn wait<T>(answer: wouldblock::Io<T>) -> Result<core::result::Result<T, wouldblock::Errno>> {
    match answer.into_result() {
        Ok(Some(value)) => Ok(Ok(value)),
        Ok(None) => Err(ErrorKind::WouldBlock.into()),
        Err(errno) => Ok(Err(errno)),
    }
}

async fn echo(fd: OwnedFd) -> Result<()> {
    // SAFETY: an owned descriptor names one descriptor for as long as it lives.
    let fd = unsafe { AsyncFd::register(fd)? };
    let mut echo = Echo::default();
    let mut interest = Interest::READABLE;
    loop {
        let next = fd.async_io(interest, |fd| match echo.go_on(fd) {
            Next::Wait(next) if same(next, interest) => Err(Error::from(ErrorKind::WouldBlock)),
            next => Ok(next),
        });
        match next.await? {
            // tokio's readiness for the other direction is untouched, so this asks
            // for it without clearing anything.
            Next::Wait(wouldblock::Interest::WRITABLE) => interest = Interest::WRITABLE,
            Next::Wait(_) => interest = Interest::READABLE,
            Next::Close(result) => return result.map_err(Error::from),
        }
    }
}

fn same(ours: wouldblock::Interest, tokios: Interest) -> bool {
    (ours == wouldblock::Interest::WRITABLE) == (tokios == Interest::WRITABLE)
}
