//! The echo server on async-io, the reactor of smol: `Async` waits, this crate
//! makes the calls.

use std::io::{Error, Result};
use std::net::TcpListener;
use std::time::Duration;

use async_io::{Async, Timer, block_on};
use futures_lite::future;
use interop::{Echo, Next};
use wouldblock::{Interest, Io, Op, Outcome, OwnedFd, accept};

fn main() -> Result<()> {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    println!("{}", listener.get_ref().local_addr()?);
    block_on(serve(listener))
}

async fn serve(listener: Async<TcpListener>) -> Result<()> {
    let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = Result<()>>>>> = Vec::new();
    loop {
        let accepted = future::or(next(&listener), run(&mut tasks)).await?;
        tasks.push(Box::pin(echo(accepted)));
    }
}

/// The next connection. `poll_readable` is asked only after would-block.
async fn next(listener: &Async<TcpListener>) -> Result<OwnedFd> {
    loop {
        match accept(listener) {
            Io::Ready(fd) => return Ok(fd),
            Io::WouldBlock => listener.readable().await?,
            Io::Err(errno) => match Op::Accept.outcome(errno) {
                Outcome::TryNext | Outcome::BackOff => {
                    Timer::after(Duration::from_millis(50)).await;
                }
                _ => return Err(errno.into()),
            },
        }
    }
}

/// Polls every connection, and forgets those that have ended. Never returns.
async fn run(
    tasks: &mut Vec<std::pin::Pin<Box<dyn Future<Output = Result<()>>>>>,
) -> Result<OwnedFd> {
    future::poll_fn(|context| {
        tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
        std::task::Poll::Pending
    })
    .await
}

async fn echo(fd: OwnedFd) -> Result<()> {
    let fd = Async::new_nonblocking(fd)?;
    let mut echo = Echo::default();
    loop {
        match echo.go_on(&fd) {
            Next::Wait(Interest::WRITABLE) => fd.writable().await?,
            Next::Wait(_) => fd.readable().await?,
            Next::Close(result) => return result.map_err(Error::from),
        }
    }
}
