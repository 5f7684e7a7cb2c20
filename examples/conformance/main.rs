//! Does this system do what the crate's table says? For a porter on a new machine:
//!
//! ```console
//! $ cargo run --example conformance            # to read, and to paste into an issue
//! $ cargo run --example conformance -- --tsv   # for a program: a title, then five columns
//! ```
//!
//! Every fact of the host's table has a line: what the table says, what was seen, a
//! verdict, and what a wrong value would have cost. `agrees` and `DIFFERS` were run here
//! and now; `asserted` was held against the target's own constants while this was
//! compiled; `older system` came with a later version than the one that runs, and is no
//! failure; `not observable` cannot be seen by calls that do no harm, so it stands on the
//! source that the table names. The exit status is 1 if a fact differs.

mod kernel;
mod report;
mod unix;

use std::io::{Error, ErrorKind, IoSlice, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wouldblock::platform::{HOST, PollClock};
use wouldblock::{
    AddressFamily, Deadline, Interest, Io, IoSliceMut, PollFd, RecvFlags, SendFlags, SocketType,
    accept, finish_connect, is_nonblocking, pipe, poll, recv, recv_fds, recv_with, send, send_fds,
    set_nonblocking, socket, until, writev,
};

use report::{Report, System, Verdict};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
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
    // Where there is none, no bit may come that the table does not know.
    let known = [
        HOST.pollin,
        HOST.pollpri,
        HOST.pollout,
        HOST.pollerr,
        HOST.pollhup,
        HOST.pollrdnorm,
        HOST.pollwrnorm,
    ];
    let rest = known.iter().fold(seen, |rest, bits| rest & !bits);
    report.saw_fact("pollrdhup (peer shut down)", HOST.pollrdhup, rest);
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
    kernel::accept_mode(report)?;

    let (ours, theirs) = UnixStream::pair()?;
    let sent = send_fds(
        &theirs,
        &[IoSlice::new(b"!")],
        [ours.as_fd()],
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
    kernel::received(report)
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
    kernel::no_sigpipe(report)?;
    kernel::send_dontwait(report)?;
    kernel::packet_pipes(report)?;
    kernel::peek_tells_length(report)?;

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
    let fact = "poll_clock (the quickest of 50, by rustix alone)";
    let quickest = kernel::quickest_poll(short)?;
    // Nobody who counts milliseconds comes back before the second.
    let seen = if quickest < Duration::from_millis(2) {
        PollClock::Nanoseconds
    } else {
        PollClock::Milliseconds
    };
    match (HOST.poll_clock, seen) {
        (PollClock::Nanoseconds, PollClock::Milliseconds) => {
            report.unseen(fact, HOST.poll_clock, "the timer is too coarse");
        }
        (clock, seen) => report.saw_fact(fact, clock, seen),
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
        until(&client, Duration::ZERO).ready(Interest::READABLE),
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

fn main() -> ExitCode {
    let tsv = std::env::args().any(|argument| argument == "--tsv");
    let mut report = Report::new(System::running());
    for (name, group) in [
        ("numbers", numbers as fn(&mut Report) -> Result<()>),
        ("poll bits", poll_bits),
        ("births", births),
        ("signals and sizes", signals_and_sizes),
        ("clocks", clocks),
        ("AF_UNIX", unix::unix),
        ("descriptors", unix::descriptors),
        ("connections", connections),
        ("a connection under way", kernel::connects_early),
        ("another family", kernel::families),
        ("abstract names", kernel::abstract_names),
    ] {
        // What was seen before, and the other groups, are worth reading all the same.
        if let Err(error) = group(&mut report) {
            let fact = "every scenario runs to its end";
            report.follows(fact, "yes", false, (name, error));
        }
    }
    let differ = report.count(Verdict::Differs) > 0;
    match report.print(tsv) {
        // Whoever closes the pipe has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("conformance: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::from(differ)),
    }
}
