//! Does this system do what the crate's table says? For a porter on a new machine:
//!
//! ```console
//! $ cargo run --example conformance            # to read, and to paste into an issue
//! $ cargo run --example conformance -- --tsv   # for a program: a title, then four columns
//! ```
//!
//! Every fact of the host's table has a line: what the table says, what was seen,
//! and a verdict. `agrees` and `DIFFERS` were run here and now; `asserted` was held
//! against the target's own constants while this was compiled; `not observable`
//! cannot be seen from a program that uses only std and this crate, so it stands on
//! the source that the table names. The exit status is 1 if a fact differs.

use std::env::consts;
use std::fmt::Debug;
use std::io::{Error, IoSlice, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use wouldblock::platform::{AcceptMode, HOST, PollClock, QueueEvent};
use wouldblock::{
    AddressFamily, Deadline, Interest, Io, IoSliceMut, Op, Outcome, PollFd, RecvFlags, SendFlags,
    SocketAddrUnix, SocketType, accept, connect, finish_connect, is_nonblocking, pipe, poll, ready,
    recv, recv_fds, recv_with, send, send_fds, send_to, set_nonblocking, socket, until, writev,
};

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Agrees,
    Differs,
    Asserted,
    NotObservable,
}

struct Line {
    fact: &'static str,
    expected: String,
    observed: String,
    verdict: Verdict,
}

#[derive(Default)]
struct Report(Vec<Line>);

impl Report {
    /// A fact that was run.
    fn saw<T: PartialEq + Debug>(&mut self, fact: &'static str, expected: T, observed: T) {
        let verdict = if expected == observed {
            Verdict::Agrees
        } else {
            Verdict::Differs
        };
        let (expected, observed) = (format!("{expected:?}"), format!("{observed:?}"));
        self.0.push(Line {
            fact,
            expected,
            observed,
            verdict,
        });
    }

    /// A fact that was run, of which not the value was seen but what follows from it.
    fn follows<T: Debug>(&mut self, fact: &'static str, value: impl Debug, holds: bool, seen: T) {
        self.saw(fact, true, holds);
        if let Some(line) = self.0.last_mut() {
            (line.expected, line.observed) = (format!("{value:?}"), format!("{seen:?}"));
        }
    }

    fn close_on_exec(&mut self, fact: &'static str, fd: impl AsFd) {
        match is_close_on_exec(fd) {
            Some(closed) => self.saw(fact, true, closed),
            None => self.unseen(fact, true, "no shell here can name so high a descriptor"),
        }
    }

    fn asserted(&mut self, fact: &'static str, expected: impl Debug) {
        let expected = format!("{expected:?}");
        let observed = String::from("the target's constant");
        self.0.push(Line {
            fact,
            expected,
            observed,
            verdict: Verdict::Asserted,
        });
    }

    fn unseen(&mut self, fact: &'static str, expected: impl Debug, why: &str) {
        let expected = format!("{expected:?}");
        let observed = why.into();
        self.0.push(Line {
            fact,
            expected,
            observed,
            verdict: Verdict::NotObservable,
        });
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

/// Whether a program that this one executes finds the descriptor closed, which is
/// what close-on-exec is for. `None` if no shell here can name so high a number; POSIX
/// wants one digit, of which a few do more.
fn is_close_on_exec(fd: impl AsFd) -> Option<bool> {
    let n = fd.as_fd().as_raw_fd();
    let succeeds = |shell: &str, script: String| {
        let mut shell = Command::new(shell);
        let status = shell.args(["-c", &script]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let mut shells = ["/bin/sh", "bash", "ksh", "zsh"].into_iter();
    let shell = shells.find(|shell| succeeds(shell, format!("exec {n}</dev/null; : <&{n}")))?;
    Some(!succeeds(shell, format!(": <&{n}")))
}

fn raw(error: &Error) -> i32 {
    error.raw_os_error().unwrap_or_default()
}

/// The bits that `poll` reports for `interest` within the deadline.
fn bits(fd: impl AsFd, interest: Interest) -> Result<u16> {
    let _hint = until(&fd, soon()).ready(interest).into_io_result()?;
    let mut entry: [PollFd<'_>; 1] = [interest.on(&fd)];
    poll(&mut entry, Some(Duration::ZERO)).into_io_result()?;
    Ok(u16::from_ne_bytes(entry[0].revents().bits().to_ne_bytes()))
}

fn numbers(report: &mut Report) -> Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let error = (&ours).read(&mut [0; 8]).expect_err("nothing was sent");
    report.saw("eagain (recv with nothing there)", HOST.eagain, raw(&error));
    drop(theirs);
    for (fact, number) in [
        ("ewouldblock", HOST.ewouldblock),
        ("eintr", HOST.eintr),
        ("einprogress", HOST.einprogress),
        ("ealready", HOST.ealready),
        ("enobufs", HOST.enobufs),
        ("enomem", HOST.enomem),
        ("econnaborted", HOST.econnaborted),
        ("eproto", HOST.eproto),
        ("emfile", HOST.emfile),
        ("enfile", HOST.enfile),
    ] {
        report.asserted(fact, number);
    }
    if HOST.accept_network_errors.is_empty() {
        report.unseen("accept_network_errors", "none", "needs a broken network");
    } else {
        report.asserted("accept_network_errors", HOST.accept_network_errors);
    }
    if HOST.in_flight_errors.is_empty() {
        report.unseen("in_flight_errors", "none", "needs a full system");
    } else {
        report.asserted("in_flight_errors", HOST.in_flight_errors);
    }
    let (families, early) = (HOST.receiver_queue_families, HOST.connects_early);
    report.unseen("send_emfile", HOST.send_emfile, "needs a full system");
    report.unseen("receiver_queue_families", families, "needs such a family");
    report.unseen("connects_early", early, "read in the source");
    report.unseen("packet_pipes", HOST.packet_pipes, "read in the source");
    report.unseen("abstract_names", HOST.abstract_names, "read in the manual");
    report.unseen("send_dontwait", HOST.send_dontwait, "might sleep for ever");
    report.unseen(
        "peek_rights",
        HOST.peek_rights,
        "may close what is another's",
    );
    Ok(())
}

fn poll_bits(report: &mut Report) -> Result<()> {
    let (ours, mut theirs) = UnixStream::pair()?;
    let seen = bits(&ours, Interest::WRITABLE)?;
    report.saw("pollout (room to write)", HOST.pollout, seen & HOST.pollout);
    theirs.write_all(b"!")?;
    let seen = bits(&ours, Interest::READABLE)?;
    let data = HOST.pollin & seen != 0;
    report.follows("pollin (data)", HOST.pollin, data, seen);
    theirs.shutdown(Shutdown::Write)?;
    let seen = bits(&ours, Interest::READABLE)?;
    if HOST.pollrdhup == 0 {
        report.unseen("pollrdhup", 0, "the table says that there is none");
    } else {
        report.saw(
            "pollrdhup (peer shut down)",
            HOST.pollrdhup,
            seen & HOST.pollrdhup,
        );
    }
    let (reader, writer) = pipe()?;
    drop(writer);
    let seen = bits(&reader, Interest::READABLE)?;
    let ends = [HOST.pollhup, HOST.pollin];
    let ended = seen & (ends[0] | ends[1]) != 0;
    report.follows(
        "pollhup or pollin (pipe without a writer)",
        ends,
        ended,
        seen,
    );
    for (fact, number) in [
        ("pollpri", HOST.pollpri),
        ("pollerr", HOST.pollerr),
        ("pollnval", HOST.pollnval),
        ("pollrdnorm", HOST.pollrdnorm),
        ("pollwrnorm", HOST.pollwrnorm),
    ] {
        report.asserted(fact, number);
    }
    Ok(())
}

fn births(report: &mut Report) -> Result<()> {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    report.saw("socket is non-blocking", true, is_nonblocking(&fd)?);
    report.close_on_exec("socket is close-on-exec", &fd);
    let (reader, writer) = pipe()?;
    let modes = is_nonblocking(&reader)? && is_nonblocking(&writer)?;
    report.saw("pipe is non-blocking", true, modes);
    report.close_on_exec("pipe is close-on-exec", &reader);

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let fd = accept(&listener).into_io_result()?;
    report.saw(
        "accept from a blocking listener is non-blocking",
        true,
        is_nonblocking(&fd)?,
    );
    report.close_on_exec("accept is close-on-exec", &fd);
    report.asserted("accept_flags", HOST.accept_flags);
    report.asserted("socket_flags", HOST.socket_flags);
    report.asserted("pipe_flags", HOST.pipe_flags);
    drop(client);
    accept_mode(report)?;

    let (ours, theirs) = UnixStream::pair()?;
    let sent = send_fds(
        &theirs,
        &[IoSlice::new(b"!")],
        &[ours.as_fd()],
        SendFlags::empty(),
    );
    report.saw("send_fds sends", Io::Ready(1), sent);
    let (mut into, mut byte) = ([None], [0]);
    let bufs = &mut [IoSliceMut::new(&mut byte)];
    recv_fds(&ours, bufs, &mut into, RecvFlags::empty()).into_io_result()?;
    let [received] = into;
    report.saw("a descriptor is received", true, received.is_some());
    if let Some(received) = received {
        report.close_on_exec("a received descriptor is close-on-exec", received);
    }
    report.asserted("msg_cmsg_cloexec", HOST.msg_cmsg_cloexec);
    report.unseen(
        "cmsg_cloexec_honoured",
        HOST.cmsg_cloexec_honoured,
        "its effect is above",
    );
    Ok(())
}

/// The mode is the kernel's where std accepts without flags, or where they change
/// nothing about it.
fn accept_mode(report: &mut Report) -> Result<()> {
    let fact = "accept_mode";
    if !["linux", "apple"]
        .iter()
        .any(|name| HOST.name.starts_with(name))
    {
        report.unseen(
            fact,
            HOST.accept_mode,
            "std may call accept4, whose habit is its own",
        );
        return Ok(());
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let _client = TcpStream::connect(listener.local_addr()?)?;
    let _hint = until(&listener, soon())
        .ready(Interest::READABLE)
        .into_io_result()?;
    let mode = if is_nonblocking(listener.accept()?.0)? {
        AcceptMode::Inherited
    } else {
        AcceptMode::Blocking
    };
    report.saw(fact, HOST.accept_mode, mode);
    Ok(())
}

fn signals_and_sizes(report: &mut Report) -> Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    set_nonblocking(&ours, true)?;
    drop(theirs);
    let answer = send(&ours, b"?", SendFlags::empty());
    report.saw(
        "send to a peer that is gone is an error",
        true,
        answer.is_err(),
    );
    report.asserted("msg_nosignal", HOST.msg_nosignal);
    report.unseen("so_nosigpipe", HOST.so_nosigpipe, "std ignores SIGPIPE");

    let (_reader, writer) = pipe()?;
    let bufs = vec![IoSlice::new(b"."); HOST.iov_max + 1];
    let answer = writev(&writer, &bufs);
    let fact = "iov_max: one buffer more, as this crate passes it on";
    report.follows(fact, HOST.iov_max, answer.is_ready(), answer);
    longest_buffer(report)
}

/// A call is asked for more than `INT_MAX` bytes, the limit of the systems that have
/// one. The memory is only reserved: nothing touches it, and one byte comes.
fn longest_buffer(report: &mut Report) -> Result<()> {
    let mut memory: Vec<u8> = Vec::new();
    let length = (1 << 31) + 1;
    if usize::BITS == 32 || memory.try_reserve_exact(length).is_err() {
        report.unseen("io_max", HOST.io_max, "no room for a buffer of 2 GiB");
        return Ok(());
    }
    let (ours, mut theirs) = UnixStream::pair()?;
    theirs.write_all(b"!")?;
    let buf = memory.spare_capacity_mut();
    let answer = recv_with(&ours, buf, RecvFlags::empty(), |filled| filled.len());
    let fact = "io_max: a buffer of 2 GiB, as this crate passes it on";
    report.follows(fact, HOST.io_max, answer == Io::Ready(1), answer);
    Ok(())
}

fn clocks(report: &mut Report) -> Result<()> {
    let (ours, _theirs) = UnixStream::pair()?;
    let time = |timeout| {
        let start = Instant::now();
        let answer = poll(&mut [Interest::READABLE.on(&ours)], Some(timeout));
        (answer, start.elapsed())
    };
    let short = Duration::from_micros(1100);
    let waits: Vec<_> = (0..50).map(|_| time(short)).collect();
    let early = waits.iter().filter(|wait| wait.1 < short).count();
    report.saw("poll is never early (of 50 waits of 1.1 ms)", 0, early);
    let all_timed_out = waits.iter().all(|wait| wait.0 == Io::WouldBlock);
    report.saw("poll with nothing ready is WouldBlock", true, all_timed_out);
    let quickest = waits.iter().map(|wait| wait.1).min().unwrap_or_default();
    let fact = "poll_clock (the quickest of them)";
    match HOST.poll_clock {
        // Nobody who counts milliseconds comes back before the second.
        PollClock::Nanoseconds if quickest < Duration::from_millis(2) => {
            report.follows(fact, PollClock::Nanoseconds, true, quickest);
        }
        PollClock::Nanoseconds => report.unseen(fact, HOST.poll_clock, "the timer is too coarse"),
        clock => report.unseen(fact, clock, "this crate rounds up"),
    }
    let answer = poll(&mut [Interest::WRITABLE.on(&ours)], Some(Duration::MAX));
    let taken = answer == Io::Ready(1);
    report.follows(
        "poll_longest, for which more is taken",
        HOST.poll_longest,
        taken,
        answer,
    );
    Ok(())
}

fn unix(report: &mut Report) -> Result<()> {
    let directory = std::env::temp_dir().join(format!("wouldblock-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let result = unix_in(report, &directory);
    std::fs::remove_dir_all(&directory)?;
    result
}

fn unix_in(report: &mut Report, directory: &std::path::Path) -> Result<()> {
    let name = directory.join("datagram");
    let receiver = UnixDatagram::bind(&name)?;
    let address = SocketAddrUnix::new(&name)?;
    // Several senders, so that the receiver's queue fills before their own.
    let senders: Vec<_> = (0..16)
        .map(|_| socket(AddressFamily::UNIX, SocketType::DGRAM, None))
        .collect::<core::result::Result<_, _>>()?;
    let full = senders.iter().cycle().take(100_000).find_map(|sender| {
        let answer = send_to(sender, b"one", SendFlags::empty(), &address);
        (!answer.is_ready()).then_some((sender, answer))
    });
    match full {
        None => report.unseen(
            "unix_queue_event",
            HOST.unix_queue_event,
            "the queue never filled",
        ),
        Some((_, Io::Err(errno))) if errno.raw_os_error() == HOST.enobufs => {
            report.saw(
                "a full AF_UNIX queue is to back off from",
                Outcome::BackOff,
                Op::SendToUnix.outcome(errno),
            );
            report.unseen(
                "unix_queue_event",
                HOST.unix_queue_event,
                "a full queue is ENOBUFS, and never EAGAIN",
            );
        }
        Some((sender, answer)) => {
            // An event must wait until there is room, and must then come.
            let event = match ready(sender, Interest::WRITABLE) {
                Io::WouldBlock => {
                    receiver.set_nonblocking(true)?;
                    while receiver.recv(&mut [0; 8]).is_ok() {}
                    let soon = Deadline::after(Duration::from_secs(1));
                    match until(sender, soon).ready(Interest::WRITABLE) {
                        Io::Ready(_) => QueueEvent::Arrives,
                        _ => QueueEvent::Never,
                    }
                }
                _ => QueueEvent::Never,
            };
            if HOST.unix_queue_event == QueueEvent::Unknown {
                report.unseen(
                    "unix_queue_event",
                    QueueEvent::Unknown,
                    &format!("{event:?} was seen: enter it"),
                );
            } else {
                report.saw("unix_queue_event", HOST.unix_queue_event, event);
            }
            let lawful = answer.is_would_block() == (event == QueueEvent::Arrives);
            report.saw(
                "a full AF_UNIX queue is WouldBlock only with an event",
                true,
                lawful,
            );
        }
    }
    drop(receiver);

    let name = directory.join("stream");
    let listener = UnixListener::bind(&name)?;
    let address = SocketAddrUnix::new(&name)?;
    // Whatever a full backlog is called, waiting for it must not be what makes it spin.
    let fact = "a full AF_UNIX backlog is not WouldBlock and ready";
    let mut clients = Vec::new();
    let full = loop {
        // Until no descriptor is left, or there is no end in sight.
        match socket(AddressFamily::UNIX, SocketType::STREAM, None) {
            Ok(client) if clients.len() < 8192 => match connect(&client, &address) {
                Io::Ready(()) => clients.push(client),
                answer => break Some((client, answer)),
            },
            _ => break None,
        }
    };
    match full {
        None => report.unseen(fact, false, "it never filled"),
        Some((client, answer)) => {
            let spins = answer.is_would_block() && ready(&client, Interest::WRITABLE).is_ready();
            report.saw(fact, false, spins);
        }
    }
    drop((listener, clients));
    report.unseen(
        "unix_connect_interrupted",
        HOST.unix_connect_interrupted,
        "needs a signal at the right moment",
    );
    Ok(())
}

fn connections(report: &mut Report) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let answer = until(&client, soon()).connect(&address);
    report.saw("connect to a listener", Io::Ready(()), answer);
    report.saw(
        "finish_connect of a connection",
        Io::Ready(()),
        finish_connect(&client),
    );
    let mut buf = [0; 8];
    let answer = recv(&client, &mut buf, RecvFlags::empty());
    report.saw("recv with nothing there", Io::WouldBlock, answer);
    report.saw(
        "and poll agrees",
        Io::WouldBlock,
        ready(&client, Interest::READABLE),
    );
    drop(listener);
    let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let answer = until(&client, soon()).connect(&address);
    report.saw("connect to nobody fails", true, answer.is_err());
    report.saw(
        "and goes on failing",
        true,
        finish_connect(&client).is_err(),
    );
    Ok(())
}

/// The running system, by its own name for it.
fn system() -> String {
    let uname = Command::new("uname").arg("-srm").output();
    let uname = uname.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!(
        "{}, built for {} on {}",
        uname.unwrap_or_default(),
        consts::OS,
        consts::ARCH
    )
}

fn main() -> ExitCode {
    let tsv = std::env::args().any(|argument| argument == "--tsv");
    let mut report = Report::default();
    for (name, group) in [
        ("numbers", numbers as fn(&mut Report) -> Result<()>),
        ("poll bits", poll_bits),
        ("births", births),
        ("signals and sizes", signals_and_sizes),
        ("clocks", clocks),
        ("AF_UNIX", unix),
        ("connections", connections),
    ] {
        // What was seen before, and the other groups, are worth reading all the same.
        if let Err(error) = group(&mut report) {
            report.follows(
                "every scenario runs to its end",
                "yes",
                false,
                (name, error),
            );
        }
    }
    let title = format!(
        "wouldblock {} on the table `{}`: {}",
        env!("CARGO_PKG_VERSION"),
        HOST.name,
        system(),
    );
    println!("{}{title}", if tsv { "# " } else { "" });
    for line in &report.0 {
        let verdict = match line.verdict {
            Verdict::Agrees => "agrees",
            Verdict::Differs => "DIFFERS",
            Verdict::Asserted => "asserted",
            Verdict::NotObservable => "not observable",
        };
        let (fact, expected, observed) = (line.fact, &line.expected, &line.observed);
        if tsv {
            println!("{fact}\t{expected}\t{observed}\t{verdict}");
        } else {
            println!("{verdict:<15}{fact:<56}table: {expected}; seen: {observed}");
        }
    }
    let count = |verdict| {
        report
            .0
            .iter()
            .filter(|line| line.verdict == verdict)
            .count()
    };
    let differ = count(Verdict::Differs);
    if !tsv {
        println!(
            "\n{} agree, {differ} differ, {} asserted when compiled, {} not observable\n\
             agrees, DIFFERS: run here and now. asserted: held against the target's constant when\n\
             compiled, if rustix has it. not observable: read, in the source that the table names.",
            count(Verdict::Agrees),
            count(Verdict::Asserted),
            count(Verdict::NotObservable),
        );
    }
    ExitCode::from(u8::from(differ > 0))
}
