//! The echo server on smol: a task for each connection, on one thread.

use std::io::{Error, Result};
use std::net::TcpListener;
use std::time::Duration;

use interop::{Echo, Next};
use smol::{Async, LocalExecutor, Timer};
use wouldblock::{Interest, Io, Op, Outcome, OwnedFd, accept};

fn main() -> Result<()> {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    println!("{}", listener.get_ref().local_addr()?);
    let tasks = LocalExecutor::new();
    smol::block_on(tasks.run(serve(listener, &tasks)))
}

async fn serve(listener: Async<TcpListener>, tasks: &LocalExecutor<'_>) -> Result<()> {
    loop {
        match accept(&listener) {
            Io::Ready(fd) => tasks.spawn(echo(fd)).detach(),
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
