//! A TLS echo server for many clients, on one thread and one [`PollSet`].

use std::io::{Error, ErrorKind, IoSlice, Read, Result, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};
use wouldblock::{
    At, Deadline, Descriptor, Interest, Op, OwnedFd, PollSet, RecvFlags, SendFlags, send_msg,
};

use crate::tls::Session;

/// How much of what a client sent is held while it does not read.
const HELD: usize = 64 * 1024;
/// How often something is done for one client before others have their turn.
const ROUNDS: usize = 8;

/// What has happened.
#[derive(Default)]
pub struct Counts {
    /// How often the server woke.
    pub wakes: AtomicU64,
    pub clients: AtomicU64,
    /// Clients that ended as TLS wants it, left without close_notify, were too slow, or
    /// failed otherwise.
    pub ended: AtomicU64,
    pub truncated: AtomicU64,
    pub timed_out: AtomicU64,
    pub failed: AtomicU64,
}

enum Who {
    Listener,
    Stop,
    Client(Box<Client>),
}

struct Client {
    session: Session,
    deadline: Deadline,
}

/// Serves until `stop` is readable. A client for which nothing can be done for as long
/// as `patience` is let go.
pub fn serve(
    listener: OwnedFd,
    stop: OwnedFd,
    config: &Arc<ServerConfig>,
    patience: Duration,
    counts: &Counts,
) -> Result<()> {
    let mut set: PollSet<OwnedFd, Who> = PollSet::new();
    set.register(listener, Interest::READABLE, Who::Listener)?;
    set.register(stop, Interest::READABLE, Who::Stop)?;
    loop {
        let deadlines = set.iter().filter_map(|entry| entry.data.deadline());
        let first = deadlines.min().unwrap_or(Deadline::never());
        // `None`: somebody's time is over.
        let _ready = set.select(first).into_result()?;
        counts.wakes.fetch_add(1, Relaxed);
        while let Some((key, _)) = set.next_ready() {
            let gone = match set.get_mut(key) {
                Some((_, Who::Stop)) => return Ok(()),
                Some((mut at, Who::Client(client))) => client.go_on(&mut at, patience).err(),
                Some((mut at, Who::Listener)) => {
                    // Without a descriptor left, the set waits for one.
                    if let Some(fd) = at.accept().into_result()? {
                        let tls = ServerConnection::new(Arc::clone(config));
                        let session = Session::new(tls.map_err(Error::other)?, HELD);
                        let deadline = Deadline::after(patience);
                        let client = Who::Client(Box::new(Client { session, deadline }));
                        set.register(fd, Interest::READABLE, client)?;
                        counts.clients.fetch_add(1, Relaxed);
                    }
                    None
                }
                None => None,
            };
            if let Some(gone) = gone {
                counts.count(&gone);
                drop(set.unregister(key));
            }
        }
        let late = set.iter().filter(|entry| entry.data.is_late());
        for key in late.map(|entry| entry.key).collect::<Vec<_>>() {
            counts.count(&Gone::TimedOut);
            drop(set.unregister(key));
        }
    }
}

/// Why a client is let go.
enum Gone {
    Ended,
    TimedOut,
    Failed(Error),
}

impl Who {
    fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Client(client) => Some(client.deadline),
            _ => None,
        }
    }

    fn is_late(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| deadline.has_passed())
    }
}

impl Client {
    fn go_on(
        &mut self,
        at: &mut At<'_, OwnedFd>,
        patience: Duration,
    ) -> std::result::Result<(), Gone> {
        for _ in 0..ROUNDS {
            if self.session.go_on(&mut Wire(at)).map_err(Gone::Failed)? {
                self.deadline = Deadline::after(patience);
            }
            if self.session.is_over() {
                return Err(Gone::Ended);
            }
            if !self.session.turn_around() {
                break;
            }
        }
        at.set_interest(self.session.wants());
        Ok(())
    }
}

impl Counts {
    fn count(&self, gone: &Gone) {
        let counter = match gone {
            Gone::Ended => &self.ended,
            Gone::TimedOut => &self.timed_out,
            Gone::Failed(error) if error.kind() == ErrorKind::UnexpectedEof => &self.truncated,
            Gone::Failed(_) => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// std's `Read` and `Write` of a set's entry, so that the set is told of every answer.
struct Wire<'a, 's, F>(&'a mut At<'s, F>);

impl<F: Descriptor> Read for Wire<'_, '_, F> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.0.recv(buf, RecvFlags::empty()).into_io_result()
    }
}

impl<F: Descriptor> Write for Wire<'_, '_, F> {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        self.0.send(buf, SendFlags::empty()).into_io_result()
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> Result<usize> {
        let send = |fd: &F| send_msg(fd, bufs, SendFlags::empty());
        self.0.attempt(Op::Send, send).into_io_result()
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
