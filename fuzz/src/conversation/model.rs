//! What Linux answers, as far as a program that is alone on a pair can know.

use std::collections::VecDeque;

use wouldblock::{Errno, Interest, Io, Op, RecvFlags};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stream,
    Datagram,
    /// End 0 reads, end 1 writes.
    Pipe,
    OnePagePipe,
    Tcp,
}

/// One end.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) open: bool,
    pub(super) nonblocking: bool,
    pub(super) shut_rd: bool,
    pub(super) shut_wr: bool,
    /// The peer closed with bytes of ours unread: ECONNRESET, once.
    pub(super) reset: bool,
    /// A datagram to a dead peer dissolved the pair.
    pub(super) alone: bool,
}

/// What one end has sent to the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// The lengths of the datagrams under way.
    pub(super) messages: VecDeque<usize>,
    /// A reset may swallow what is under way (TCP).
    pub(super) lossy: bool,
}

impl Flow {
    pub(super) fn pending(&self) -> u64 {
        self.sent - self.received
    }

    /// How many bytes the next call can take, and whether there is something.
    pub(super) fn next(&self, kind: Kind) -> Option<usize> {
        match kind {
            Kind::Datagram => self.messages.front().copied(),
            _ => (self.pending() > 0).then_some(self.pending() as usize),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) ends: [End; 2],
    /// `flows[i]` goes from end `i` to the other.
    pub(super) flows: [Flow; 2],
}

impl Model {
    pub(super) fn new(kind: Kind) -> Self {
        let end = End {
            open: true,
            nonblocking: true,
            shut_rd: false,
            shut_wr: false,
            reset: false,
            alone: false,
        };
        Self {
            kind,
            ends: [end; 2],
            flows: Default::default(),
        }
    }

    pub(super) fn is_pipe(&self) -> bool {
        matches!(self.kind, Kind::Pipe | Kind::OnePagePipe)
    }

    pub(super) fn lossy(&self) -> bool {
        self.flows.iter().any(|flow| flow.lossy)
    }

    fn torn(&mut self) {
        self.flows.iter_mut().for_each(|flow| flow.lossy = true);
    }

    /// Whether `recv` or `read` may answer this.
    pub(super) fn may_receive(&self, op: Op, end: usize, size: usize, answer: Io) -> bool {
        let (ours, peer, flow) = (&self.ends[end], &self.ends[1 - end], &self.flows[1 - end]);
        let over = ours.shut_rd || peer.shut_wr || !peer.open;
        let pending = flow.pending();
        if self.is_pipe() && op == Op::Recv {
            answer == Io::Err(Errno::NOTSOCK)
        } else if self.is_pipe() && end == 1 {
            answer == Io::Err(Errno::BADF)
        } else if op == Op::Read && size == 0 {
            answer == Io::Ready(0)
        } else if self.kind == Kind::Tcp {
            // What was sent may still be under way.
            match answer {
                Io::Ready(0) => {
                    let empty = size == 0 && pending > 0;
                    empty || over && pending == 0 || ours.shut_rd || flow.lossy
                }
                Io::Ready(n) => n <= size && n as u64 <= pending,
                Io::WouldBlock => !ours.shut_rd,
                Io::Err(errno) => flow.lossy && [Errno::CONNRESET, Errno::PIPE].contains(&errno),
            }
        } else if let Some(next) = flow.next(self.kind) {
            answer == Io::Ready(size.min(next))
        } else if ours.reset {
            answer == Io::Err(Errno::CONNRESET)
        } else if over && self.kind != Kind::Datagram {
            answer == Io::Ready(0)
        } else {
            answer == Io::WouldBlock
        }
    }

    pub(super) fn received(
        &mut self,
        op: Op,
        end: usize,
        size: usize,
        flags: RecvFlags,
        answer: Io,
    ) {
        let flow = &mut self.flows[1 - end];
        match answer {
            Io::Ready(_) if flags.contains(RecvFlags::PEEK) || op == Op::Read && size == 0 => {}
            Io::Ready(_) if self.kind == Kind::Datagram => {
                flow.received += flow.messages.pop_front().unwrap() as u64;
            }
            Io::Ready(n) => flow.received += n as u64,
            Io::WouldBlock => {}
            Io::Err(errno) => self.ends[end].reset &= errno != Errno::CONNRESET,
        }
    }

    /// Whether `send` or `write` may answer this.
    pub(super) fn may_transmit(&self, op: Op, end: usize, size: usize, answer: Io) -> bool {
        let (ours, peer) = (&self.ends[end], &self.ends[1 - end]);
        let waiting = self.flows[end].next(self.kind).is_some();
        let deaf = peer.shut_rd || !peer.open;
        let fails = |errno| answer == Io::Err(errno);
        // The kernel may say nothing but zero of nothing.
        let taken = matches!(answer, Io::Ready(n) if n <= size && (n > 0 || size == 0));
        match self.kind {
            Kind::Pipe | Kind::OnePagePipe => {
                // Up to PIPE_BUF, all or nothing.
                let whole = size > 4096 || answer == Io::Ready(size);
                match (op, end) {
                    (Op::Send, _) => fails(Errno::NOTSOCK),
                    (_, 0) => fails(Errno::BADF),
                    _ if deaf && size > 0 => fails(Errno::PIPE),
                    _ => taken && whole || answer == Io::WouldBlock && waiting && size > 0,
                }
            }
            Kind::Stream if ours.shut_wr || deaf => fails(Errno::PIPE),
            Kind::Stream => taken || answer == Io::WouldBlock && waiting && size > 0,
            Kind::Datagram => {
                // Which of several reasons is reported is the kernel's affair.
                let reasons = [
                    (ours.alone, Errno::NOTCONN),
                    (size > 212_992, Errno::MSGSIZE),
                    (ours.shut_wr || peer.shut_rd, Errno::PIPE),
                    (!peer.open && !ours.alone, Errno::CONNREFUSED),
                ];
                match answer {
                    Io::Ready(n) => n == size && reasons.iter().all(|(holds, _)| !holds),
                    Io::WouldBlock => waiting && !ours.shut_wr,
                    Io::Err(errno) => reasons.contains(&(true, errno)),
                }
            }
            Kind::Tcp => {
                let torn = deaf || self.lossy();
                let broken = fails(Errno::PIPE) || torn && fails(Errno::CONNRESET);
                match answer {
                    Io::Err(_) => broken && (ours.shut_wr || torn),
                    Io::Ready(0) => size == 0 && !ours.shut_wr,
                    Io::Ready(_) => taken && !ours.shut_wr,
                    Io::WouldBlock => waiting && size > 0 && !ours.shut_wr,
                }
            }
        }
    }

    pub(super) fn transmitted(&mut self, end: usize, answer: Io) {
        let peer = self.ends[1 - end];
        match answer {
            Io::Ready(n) => {
                self.flows[end].sent += n as u64;
                if self.kind == Kind::Datagram {
                    self.flows[end].messages.push_back(n);
                }
                // A closed or deaf socket answers data with a reset, which ends
                // both directions.
                if self.kind == Kind::Tcp && (peer.shut_rd || !peer.open) {
                    self.torn();
                }
            }
            Io::Err(Errno::CONNREFUSED) => {
                // Linux, unix_dgram_disconnected(): what had arrived is thrown
                // away with the pair.
                self.ends[end].alone = true;
                let flow = &mut self.flows[1 - end];
                flow.received = flow.sent;
                flow.messages.clear();
            }
            Io::WouldBlock | Io::Err(_) => {}
        }
    }

    pub(super) fn shut_down(&mut self, end: usize, rd: bool, wr: bool) {
        self.ends[end].shut_rd |= rd;
        self.ends[end].shut_wr |= wr;
        let both = self.ends[end].shut_rd && self.ends[end].shut_wr;
        if self.kind == Kind::Tcp && both && self.flows[1 - end].pending() > 0 {
            self.torn();
        }
    }

    pub(super) fn closed(&mut self, end: usize) {
        self.ends[end].open = false;
        let unread = self.flows[1 - end].pending() > 0;
        match self.kind {
            Kind::Stream => self.ends[1 - end].reset |= unread,
            Kind::Tcp if unread => self.torn(),
            _ => {}
        }
    }

    /// Whether an end must be readable, or must not be; `None`: either.
    pub(super) fn readable(&self, end: usize) -> Option<bool> {
        let (ours, peer, flow) = (&self.ends[end], &self.ends[1 - end], &self.flows[1 - end]);
        match self.kind {
            Kind::Tcp => None,
            Kind::Pipe | Kind::OnePagePipe if end == 1 => None,
            Kind::Datagram => Some(flow.next(self.kind).is_some() || ours.shut_rd),
            _ => Some(flow.pending() > 0 || ours.shut_rd || peer.shut_wr || !peer.open),
        }
    }

    /// Whether an end must be writable: there is room in an empty queue.
    pub(super) fn must_be_writable(&self, end: usize) -> bool {
        let reads = self.is_pipe() && end == 0;
        self.kind != Kind::Tcp && !reads && self.flows[end].next(self.kind).is_none()
    }

    /// The lies of the kernel's `poll` for which the law makes an exception, by
    /// name: a would-block of this end may poll as ready.
    pub(super) fn leak(&self, end: usize, interest: Interest) -> Option<&'static str> {
        let reading = interest == Interest::READABLE;
        match self.kind {
            // net/core/datagram.c datagram_poll() and af_unix.c
            // unix_dgram_poll(): POLLIN for ever, and recv says EAGAIN.
            Kind::Datagram if reading && self.ends[end].shut_rd => {
                Some("a datagram socket shut down for reading polls readable")
            }
            // No lie, but another clock: it may have arrived in between.
            Kind::Tcp => Some("a segment arrived between the call and the poll"),
            _ => None,
        }
    }
}
