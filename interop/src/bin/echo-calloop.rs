//! The echo server on calloop: a connection is an event source of its own.

use std::io::Result;
use std::net::TcpListener;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{
    EventLoop, EventSource, Interest, LoopHandle, Mode, Poll, PostAction, Readiness,
    RegistrationToken, Token, TokenFactory,
};
use interop::{Echo, Next};
use wouldblock::{Io, Op, Outcome, OwnedFd, accept};

struct Server<'l> {
    handle: LoopHandle<'l, Self>,
    listener: Option<RegistrationToken>,
}

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let mut events: EventLoop<'_, Server<'_>> = EventLoop::try_new()?;
    let mut server = Server {
        handle: events.handle(),
        listener: None,
    };
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    let token = server.insert(source, |_, listener, server| server.accept(listener))?;
    server.listener = Some(token);
    events.run(None, &mut server, |_| {})?;
    Ok(())
}

impl<'l> Server<'l> {
    fn insert<S: EventSource + 'l>(
        &self,
        source: S,
        called: impl FnMut(S::Event, &mut S::Metadata, &mut Self) -> S::Ret + 'l,
    ) -> Result<RegistrationToken> {
        let inserted = self.handle.insert_source(source, called);
        Ok(inserted.map_err(|refused| refused.error)?)
    }

    /// One connection for each readiness: the others are reported again.
    fn accept(&mut self, listener: &TcpListener) -> Result<PostAction> {
        match accept(listener) {
            Io::Ready(fd) => {
                let client = Client {
                    fd: Generic::new(fd, Interest::READ, Mode::Level),
                    echo: Echo::default(),
                };
                self.insert(client, |(), (), _| {})?;
            }
            Io::WouldBlock => {}
            Io::Err(errno) => match Op::Accept.outcome(errno) {
                // The listener stays readable: it is left alone for a while.
                Outcome::TryNext | Outcome::BackOff => {
                    let timer = Timer::from_duration(Duration::from_millis(50));
                    let again = |_, (): &mut (), server: &mut Self| {
                        if let Some(listener) = &server.listener {
                            let _ = server.handle.enable(listener);
                        }
                        TimeoutAction::Drop
                    };
                    self.insert(timer, again)?;
                    return Ok(PostAction::Disable);
                }
                _ => return Err(errno.into()),
            },
        }
        Ok(PostAction::Continue)
    }
}

struct Client {
    fd: Generic<OwnedFd>,
    echo: Echo,
}

impl EventSource for Client {
    type Event = ();
    type Metadata = ();
    type Ret = ();
    type Error = std::io::Error;

    fn process_events<F>(&mut self, readiness: Readiness, token: Token, _: F) -> Result<PostAction>
    where
        F: FnMut((), &mut ()),
    {
        let mut next = None;
        self.fd.process_events(readiness, token, |_, fd| {
            next = Some(self.echo.go_on(&*fd));
            Ok(PostAction::Continue)
        })?;
        let interest = match next {
            Some(Next::Wait(wouldblock::Interest::WRITABLE)) => Interest::WRITE,
            Some(Next::Wait(_)) => Interest::READ,
            Some(Next::Close(_)) => return Ok(PostAction::Remove),
            None => return Ok(PostAction::Continue),
        };
        if self.fd.interest.writable == interest.writable {
            return Ok(PostAction::Continue);
        }
        self.fd.interest = interest;
        Ok(PostAction::Reregister)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.fd.register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.fd.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.fd.unregister(poll)
    }
}
