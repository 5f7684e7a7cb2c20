//! What a group records with: it makes a call, and writes the row.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, Result};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{RecvFlags, RecvMsg, SendFlags, SocketType};

use crate::calls::{nonblocking, read, recv, send, settle, write};
use crate::lacking::BROKEN_PIPE;
use crate::row::{Row, revents_names};

/// What a group says to the process that started it, beside its rows.
pub(crate) mod word {
    /// A call begins: its scenario and its operation follow.
    pub(crate) const BEGINS: &str = "@begins";
    /// The same for a call that is expected to sleep, on some system.
    pub(crate) const MAY_SLEEP: &str = "@may-sleep";
    /// The same for a call that a signal is to end.
    pub(crate) const SIGNAL: &str = "@signal";
    /// One of many calls has come back.
    pub(crate) const GOES_ON: &str = "@goes-on";
}

/// When the other side acts, and how long a wait lasts in which nothing happens.
const ACTS_AFTER: Duration = Duration::from_millis(50);
const WAITS: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// What a call may return, as a column.
pub(crate) trait Value {
    fn ret(&self) -> usize;
}

impl Value for usize {
    fn ret(&self) -> usize {
        *self
    }
}

impl Value for RecvMsg {
    fn ret(&self) -> usize {
        self.bytes
    }
}

/// A descriptor's number says nothing.
impl Value for OwnedFd {
    fn ret(&self) -> usize {
        0
    }
}

impl Value for () {
    fn ret(&self) -> usize {
        0
    }
}

impl<T: Value, U> Value for (T, U) {
    fn ret(&self) -> usize {
        self.0.ret()
    }
}

pub(crate) struct Recorder {
    prefix: &'static str,
    /// The next row depends on what happens first.
    by_chance: bool,
    /// Calls that did not come back when they were made before: scenario and operation.
    hung: Vec<(String, String)>,
}

/// How a call is made.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Plainly,
    MaySleep,
    UnderSignals,
}

impl Recorder {
    pub(crate) fn new(prefix: &'static str, hung: Vec<(String, String)>) -> Self {
        Self {
            prefix,
            by_chance: false,
            hung,
        }
    }

    /// The whole name of a scenario.
    pub(crate) fn name(&self, scenario: &str) -> String {
        format!("{}.{scenario}", self.prefix)
    }

    /// What sockets of this prefix are.
    pub(crate) fn socket_type(&self) -> SocketType {
        match self.prefix {
            "ud" => SocketType::DGRAM,
            "seq" => SocketType::SEQPACKET,
            _ => SocketType::STREAM,
        }
    }

    /// Of the next row no two runs need to say the same, even if these do.
    pub(crate) fn by_chance(&mut self) -> &mut Self {
        self.by_chance = true;
        self
    }

    fn row(&mut self, op: &str, scenario: &str, poll_row: &str) -> Row {
        let mut row = Row::new(self.name(scenario), op);
        if std::mem::take(&mut self.by_chance) {
            row.stable = "no".into();
        }
        if !poll_row.is_empty() {
            row.poll_row = self.name(poll_row);
        }
        row
    }

    /// A line for the process that started this one. Nobody is left to tell if it fails.
    fn say(line: impl Display) {
        let mut out = io::stdout().lock();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            std::process::exit(1);
        }
    }

    /// Makes the call, unless it is known not to come back; the row is left to fill in.
    fn make<T: Value>(
        &mut self,
        row: &mut Row,
        how: How,
        call: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        let asked = (row.scenario.clone(), row.op.clone());
        if self.hung.contains(&asked) {
            row.ret = "HANG".into();
            row.note = "WOULD-SLEEP".into();
            return None;
        }
        let word = match how {
            How::Plainly => word::BEGINS,
            How::MaySleep => word::MAY_SLEEP,
            How::UnderSignals => word::SIGNAL,
        };
        Self::say(format_args!("{word}\t{}\t{}", row.scenario, row.op));
        BROKEN_PIPE.store(false, Ordering::Relaxed);
        let result = call();
        if BROKEN_PIPE.load(Ordering::Relaxed) {
            row.sigpipe = "yes".into();
        }
        match result {
            Ok(value) => {
                row.ret = value.ret().to_string();
                Some(value)
            }
            Err(errno) => {
                row.failed(errno);
                None
            }
        }
    }

    fn made<T: Value>(
        &mut self,
        mut row: Row,
        how: How,
        call: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        let value = self.make(&mut row, how, call);
        Self::say(&row);
        value
    }

    /// One call. `poll_row` is the scenario of the poll in the very same state, empty if
    /// there is none.
    pub(crate) fn call<T: Value>(
        &mut self,
        op: &str,
        scenario: &str,
        poll_row: &str,
        call: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        let row = self.row(op, scenario, poll_row);
        self.made(row, How::Plainly, call)
    }

    /// One call that sleeps on some system, or on all: less time is spent on it.
    pub(crate) fn may_sleep<T: Value>(
        &mut self,
        op: &str,
        scenario: &str,
        poll_row: &str,
        call: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        let row = self.row(op, scenario, poll_row);
        self.made(row, How::MaySleep, call)
    }

    /// One call that has to sleep, and what it says when signals come meanwhile.
    pub(crate) fn interrupted<T: Value>(
        &mut self,
        op: &str,
        scenario: &str,
        poll_row: &str,
        call: impl FnOnce() -> Result<T>,
    ) -> io::Result<Option<T>> {
        let row = self.row(op, scenario, poll_row);
        let hung = self.hung.contains(&(row.scenario.clone(), row.op.clone()));
        let value = self.made(row, How::UnderSignals, call);
        if !hung {
            // Until no more signals are on their way.
            io::stdin().read_exact(&mut [0])?;
        }
        Ok(value)
    }

    /// A call with a note that depends on what it gave.
    pub(crate) fn noted<T: Value>(
        &mut self,
        op: &str,
        scenario: &str,
        poll_row: &str,
        call: impl FnOnce() -> Result<T>,
        note: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let mut row = self.row(op, scenario, poll_row);
        let value = self.make(&mut row, How::Plainly, call);
        if let Some(value) = &value {
            row.note = note(value);
        }
        Self::say(&row);
        value
    }

    /// A call that is waited for in another direction than its kind.
    pub(crate) fn urgent(&mut self, scenario: &str, poll_row: &str, fd: impl AsFd) {
        let mut row = self.row("recv", scenario, poll_row);
        row.direction = "PRI".into();
        self.made(row, How::Plainly, || recv(fd, 10, RecvFlags::OOB));
    }

    /// Something to say, and no call.
    pub(crate) fn note(&mut self, op: &str, scenario: &str, note: impl Display) {
        let mut row = self.row(op, scenario, "");
        row.note = note.to_string();
        Self::say(row);
    }

    /// Makes the call until it fails, or gives nothing; the row is of the last.
    pub(crate) fn until_it_fails(
        &mut self,
        op: &str,
        scenario: &str,
        poll_row: &str,
        call: impl FnMut() -> Result<usize>,
    ) {
        let row = self.row(op, scenario, poll_row);
        self.repeat(row, 0, call, |n, bytes| format!("n={n} bytes={bytes}"));
    }

    /// The same where what goes through comes a little later: it fails once more after
    /// some time. How many calls it took says nothing then.
    pub(crate) fn until_it_fails_for_good(
        &mut self,
        op: &str,
        scenario: &str,
        poll_row: &str,
        call: impl FnMut() -> Result<usize>,
    ) {
        let row = self.row(op, scenario, poll_row);
        self.repeat(row, 3, call, |_, bytes| format!("bytes={bytes}"));
    }

    fn repeat(
        &mut self,
        mut row: Row,
        patience: usize,
        mut call: impl FnMut() -> Result<usize>,
        note: impl FnOnce(usize, usize) -> String,
    ) {
        // There are queues without an end.
        const ENOUGH: usize = 100_000;
        let (mut n, mut bytes, mut failures) = (0, 0, 0);
        self.make(&mut row, How::Plainly, || {
            loop {
                match call() {
                    Ok(one) if one == 0 || n == ENOUGH => return Ok(one),
                    Ok(one) => (n, bytes, failures) = (n + 1, bytes + one, 0),
                    Err(errno) if failures == patience => return Err(errno),
                    Err(_) => {
                        failures += 1;
                        settle();
                    }
                }
                if n % 1000 == 999 {
                    Self::say(word::GOES_ON);
                }
            }
        });
        if row.ret != "HANG" {
            row.note = note(n, bytes);
        }
        Self::say(row);
    }

    // ---- the calls ----

    pub(crate) fn read(&mut self, scenario: &str, poll_row: &str, fd: impl AsFd, n: usize) {
        self.call("read", scenario, poll_row, || read(fd, n));
    }

    pub(crate) fn write(&mut self, scenario: &str, poll_row: &str, fd: impl AsFd, n: usize) {
        self.call("write", scenario, poll_row, || write(fd, n));
    }

    pub(crate) fn recv(&mut self, scenario: &str, poll_row: &str, fd: impl AsFd, n: usize) {
        self.recv_with(scenario, poll_row, fd, n, RecvFlags::empty());
    }

    pub(crate) fn recv_with(
        &mut self,
        scenario: &str,
        poll_row: &str,
        fd: impl AsFd,
        n: usize,
        flags: RecvFlags,
    ) {
        self.call("recv", scenario, poll_row, || recv(fd, n, flags));
    }

    pub(crate) fn send(&mut self, scenario: &str, poll_row: &str, fd: impl AsFd, n: usize) {
        self.send_with(scenario, poll_row, fd, n, SendFlags::empty());
    }

    pub(crate) fn send_with(
        &mut self,
        scenario: &str,
        poll_row: &str,
        fd: impl AsFd,
        n: usize,
        flags: SendFlags,
    ) {
        self.call("send", scenario, poll_row, || send(fd, n, flags));
    }

    pub(crate) fn accept(
        &mut self,
        scenario: &str,
        poll_row: &str,
        fd: impl AsFd,
    ) -> Option<OwnedFd> {
        self.call("accept", scenario, poll_row, || rustix::net::accept(fd))
    }

    pub(crate) fn connect(
        &mut self,
        scenario: &str,
        poll_row: &str,
        fd: impl AsFd,
        address: &impl SocketAddrArg,
    ) {
        self.call("connect", scenario, poll_row, || {
            rustix::net::connect(fd, address)
        });
    }

    pub(crate) fn setup(&mut self, scenario: &str, call: impl FnOnce() -> Result<()>) {
        self.call("setup", scenario, "", call);
    }

    /// A step that a caller of an operation would wait for.
    pub(crate) fn setup_towards(
        &mut self,
        scenario: &str,
        poll_row: &str,
        direction: &str,
        call: impl FnOnce() -> Result<()>,
    ) {
        let mut row = self.row("setup", scenario, poll_row);
        row.direction = direction.into();
        self.made(row, How::Plainly, call);
    }

    /// Calls of which the last failed, by what it said, and what is to be said of all.
    pub(crate) fn failed(
        &mut self,
        op: &str,
        scenario: &str,
        calls: impl FnOnce() -> (Errno, String),
    ) {
        let mut row = self.row(op, scenario, "");
        let mut note = String::new();
        self.make::<()>(&mut row, How::Plainly, || {
            let (errno, told) = calls();
            note = told;
            Err(errno)
        });
        if row.note.is_empty() {
            row.note = note;
        }
        Self::say(row);
    }

    pub(crate) fn so_error(&mut self, scenario: &str, fd: impl AsFd) -> Result<()> {
        let error = rustix::net::sockopt::socket_error(fd)?;
        let mut row = Row::default();
        if let Err(errno) = error {
            row.failed(errno);
        }
        let (name, number) = match row.errno.as_str() {
            "" => ("0", "0"),
            name => (name, row.errno_number.as_str()),
        };
        self.note(
            "so_error",
            scenario,
            format_args!("SO_ERROR={name}({number})"),
        );
        Ok(())
    }

    /// Whether descriptors are in non-blocking mode, as far as they say so.
    pub(crate) fn mode(&mut self, scenario: &str, fds: &[&OwnedFd]) -> Result<()> {
        let modes: Result<Vec<_>> = fds.iter().map(nonblocking).collect();
        let shown: Vec<_> = modes?
            .iter()
            .map(|mode| u8::from(*mode).to_string())
            .collect();
        self.note("mode", scenario, format_args!("nb={}", shown.join(",")));
        Ok(())
    }

    /// Asks `poll` for room and for data, without waiting.
    pub(crate) fn poll(&mut self, scenario: &str, fd: impl AsFd) {
        self.poll_for(scenario, fd, PollFlags::IN | PollFlags::OUT);
    }

    pub(crate) fn poll_for(&mut self, scenario: &str, fd: impl AsFd, events: PollFlags) {
        let mut row = self.row("poll", scenario, "");
        let mut fds = [PollFd::new(&fd, events)];
        let now = Timespec::default();
        if self
            .make(&mut row, How::Plainly, || poll(&mut fds, Some(&now)))
            .is_some()
        {
            row.revents = revents_names(fds[0].revents());
        }
        Self::say(row);
    }

    /// A poll that waits for up to a second, while the other side acts. The note says
    /// whether that is what ended it, and what is so afterwards.
    pub(crate) fn wait(
        &mut self,
        scenario: &str,
        fd: impl AsFd,
        events: PollFlags,
        act: impl FnOnce() + Send,
    ) {
        let acted = AtomicBool::new(false);
        let mut row = self.row("poll", scenario, "");
        let mut fds = [PollFd::new(&fd, events)];
        let (mut answer, mut before) = (None, false);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(ACTS_AFTER);
                acted.store(true, Ordering::Relaxed);
                act();
            });
            answer = self.make(&mut row, How::Plainly, || poll(&mut fds, Some(&WAITS)));
            before = !acted.load(Ordering::Relaxed);
        });
        if let Some(answer) = answer {
            row.revents = revents_names(fds[0].revents());
            let ended = match (answer, before) {
                (0, _) => "waited 1000 ms in vain",
                (_, true) => "did not wait",
                (_, false) => "waited until the other side acted",
            };
            let mut again = [PollFd::new(&fd, events)];
            let after = poll(&mut again, Some(&Timespec::default())).map_or_else(
                |errno| errno.to_string(),
                |_n| revents_names(again[0].revents()),
            );
            // What it saw was a moment in the middle of what the other side did.
            if after != row.revents {
                row.stable = "no".into();
            }
            row.note = format!("{ended}; a new poll then says {after}");
        }
        Self::say(row);
    }
}
