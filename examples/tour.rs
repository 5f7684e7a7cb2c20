//! The story of Python's `BlockingIOError`, told by the kernel that runs this.
//!
//! Python raises `BlockingIOError` where a non-blocking call has nothing to do
//! yet, so programs catch it among the real errors, or call again in a loop and
//! burn a processor. Here it is the value `Io::WouldBlock`, and its operation
//! knows what to wait for. Each line is a call, its answer here, and the next step.

mod common;

use core::{fmt::Debug, time::Duration};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::{env, fs, process, process::ExitCode, thread, time::Instant};

use rustix::net::sockopt;
use wouldblock::{AsFd, Interest, Io, Op, Outcome, RecvFlags, SendFlags, SocketAddrUnix};
use wouldblock::{pipe, poll, read, recv, send, send_to, set_nonblocking, until, write};

/// Longer than any wait here takes: a mistake ends the tour and cannot hang it.
const DEADLINE: Duration = Duration::from_secs(10);

const HELP: &str = "\
usage: tour

Tells what it means that a call would block, by making such calls: prints each call, what
came back, and what to do next.";

fn main() -> ExitCode {
    common::run("tour", HELP, |arguments| {
        let told = || story(&mut io::stdout().lock()).map_err(Into::into);
        arguments.is_empty().then(told)
    })
}

pub(crate) fn story(out: &mut impl Write) -> io::Result<()> {
    row(out, "what was called", "what came back", "what to do next")?;
    let (tcp, peer) = connected()?;
    let (reader, writer) = pipe()?;
    let (mut buf, flags) = (vec![0; 65536], RecvFlags::empty());

    writeln!(out, "\n1. A TCP socket on which nothing has arrived")?;
    // The call that makes Python raise, although nothing is wrong.
    told(out, "recv(tcp)", Op::Recv, recv(&tcp, &mut buf, flags))?;

    writeln!(out, "\n2. A pipe into which nothing was written")?;
    // Not a matter of sockets: whatever can wait answers the same.
    told(out, "read(pipe)", Op::Read, read(&reader, &mut buf))?;

    writeln!(out, "\n3. Data")?;
    // The pattern of every program: wait for readiness, then make the call.
    let answer = send(&peer, b"hello", SendFlags::empty());
    told(out, "send(peer, \"hello\")", Op::Send, answer)?;
    told(out, "poll(tcp)", Op::Poll, wait(&tcp))?;
    told(out, "recv(tcp)", Op::Recv, recv(&tcp, &mut buf, flags))?;
    told(out, "write(pipe, \"hi\")", Op::Write, write(&writer, b"hi"))?;
    told(out, "read(pipe)", Op::Read, read(&reader, &mut buf))?;

    writeln!(out, "\n4. Sending until there is no room")?;
    // Nobody reads, so the buffers of both ends fill. What went is known to the
    // byte, where an exception in the middle leaves it to be guessed.
    let sent = || send(&tcp, &buf, SendFlags::empty());
    repeat(out, "send(tcp, 64 KiB)", Op::Send, sent)?;

    writeln!(out, "\n5. The end of file, after every byte that was sent")?;
    // A count of 0 is an answer like any other: no error, and not would-block.
    drop(tcp);
    let received = || wait(&peer).and_then(|_| recv(&peer, &mut buf, flags));
    repeat(out, "recv(peer)", Op::Recv, received)?;

    writeln!(out, "\n6. A connection that the peer has reset")?;
    // A real error, which must not look like would-block: waiting is over.
    // Closing with no time to linger sends a reset instead of an end of file.
    let (tcp, peer) = connected()?;
    sockopt::set_socket_linger(&peer, Some(Duration::ZERO))?;
    drop(peer);
    told(out, "poll(tcp)", Op::Poll, wait(&tcp))?;
    told(out, "recv(tcp)", Op::Recv, recv(&tcp, &mut buf, flags))?;

    writeln!(out, "\n7. A full queue of AF_UNIX datagrams")?;
    // Kernels say "full" with different errnos, or with one errno both where poll
    // tells of room and where it claims room at once: the operation decides.
    full_queue(out)?;

    writeln!(out, "\n8. A peer that answers after 300 ms")?;
    // The cure: sleep in the kernel. The spinning loop has its answer no sooner.
    answered_late(out, "recv(tcp), then poll(tcp)", |tcp| again(tcp, wait))?;
    answered_late(out, "recv(tcp), then again", |tcp| {
        again(tcp, |_| Io::Ready(0))
    })?;
    // The same cure in one call, with a deadline.
    answered_late(out, "until(tcp, 10 s).recv()", |tcp| {
        let answer = until(tcp, DEADLINE).recv(&mut [0; 64], RecvFlags::empty());
        (1, answer)
    })
}

fn full_queue(out: &mut impl Write) -> io::Result<()> {
    let (ours, _theirs) = UnixDatagram::pair()?;
    set_nonblocking(&ours, true)?;
    let sent = || send(&ours, b"!", SendFlags::empty());
    repeat(out, "send(pair, 1 byte)", Op::Send, sent)?;
    told_of_room(out, "poll(pair, WRITABLE)", &ours)?;

    // Many senders take turns: the queue is full before any one's own buffer.
    let senders: io::Result<Vec<_>> = (0..16).map(|_| UnixDatagram::unbound()).collect();
    let path = env::temp_dir().join(format!("wouldblock-tour-{}", process::id()));
    let (senders, name, mut turn) = (senders?, SocketAddrUnix::new(&path)?, 0);
    senders.iter().try_for_each(|s| set_nonblocking(s, true))?;
    let _receiver = UnixDatagram::bind(&path)?;
    let sent = || {
        turn = (turn + 1) % senders.len();
        send_to(&senders[turn], b"!", SendFlags::empty(), &name)
    };
    let filled = repeat(out, "send_to(name, 1 byte)", Op::SendToUnix, sent);
    filled.and(fs::remove_file(&path))?;
    told_of_room(out, "poll(sender, WRITABLE)", &senders[turn])
}

/// Has an answer received, by a number of calls, and tells what it cost.
fn answered_late(
    out: &mut impl Write,
    what: &str,
    receive: impl FnOnce(&TcpStream) -> (usize, Io),
) -> io::Result<()> {
    let (tcp, peer) = connected()?;
    let begun = Instant::now();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        send(&peer, b"answer", SendFlags::empty())
    });
    let cpu_begun = cpu_ms();
    let (calls, answer) = receive(&tcp);
    let (cpu, passed) = (cpu_ms() - cpu_begun, begun.elapsed().as_secs_f64() * 1e3);
    let percent = 100.0 * cpu / passed;
    let cost = format!("{calls} calls, {passed:.1} ms, {cpu:.3} ms of CPU time: {percent:.2} %");
    row(out, what, &came_back(answer), &cost)
}

/// Receives, for as long as it would block.
fn again(tcp: &TcpStream, meanwhile: fn(&TcpStream) -> Io) -> (usize, Io) {
    let (mut calls, end) = (0, Instant::now() + DEADLINE);
    loop {
        calls += 1;
        let answer = recv(tcp, &mut [0; 64], RecvFlags::empty());
        if !answer.is_would_block() || Instant::now() > end || meanwhile(tcp).is_err() {
            return (calls, answer);
        }
    }
}

/// What an answer says to do next.
fn next_step(op: Op, answer: Io) -> String {
    match answer {
        Io::Ready(n) if op == Op::Poll => format!("call: {n} descriptor is ready"),
        Io::Ready(0) if op.interest() == Interest::READABLE => "stop: end of file".into(),
        Io::Ready(n) => format!("go on: {n} bytes moved"),
        Io::WouldBlock if op == Op::Poll => "give up: the time ran out".into(),
        Io::WouldBlock => format!("wait: poll for {:?}", op.interest()),
        Io::Err(errno) => match op.outcome(errno) {
            Outcome::BackOff => "back off: call again after a pause".into(),
            outcome => format!("{outcome:?}: {errno}"),
        },
    }
}

/// Whether poll would be a wait, after a send that was refused.
fn told_of_room(out: &mut impl Write, call: &str, fd: &impl AsFd) -> io::Result<()> {
    let answer = until(fd, Duration::ZERO).ready(Interest::WRITABLE);
    let meaning = match answer {
        Io::WouldBlock => "poll would wait for room",
        _ => "poll would spin: it answers at once",
    };
    row(out, call, &came_back(answer), meaning)
}

/// Makes a call for as long as it moves bytes, and tells of the one that did not.
fn repeat(out: &mut impl Write, call: &str, op: Op, mut f: impl FnMut() -> Io) -> io::Result<()> {
    let (mut calls, mut bytes, mut answer) = (0, 0, f());
    while let Io::Ready(n @ 1..) = answer {
        (calls, bytes, answer) = (calls + 1, bytes + n, f());
    }
    let next = format!("go on: {calls} calls moved them");
    row(out, call, &format!("{bytes} bytes"), &next)?;
    told(out, call, op, answer)
}

fn told(out: &mut impl Write, call: &str, op: Op, answer: Io) -> io::Result<()> {
    row(out, call, &came_back(answer), &next_step(op, answer))
}

/// The value itself, but of an errno the number only: its text is a sentence.
fn came_back<T: Debug>(answer: Io<T>) -> String {
    match answer {
        Io::Err(errno) => format!("Err(errno {})", errno.raw_os_error()),
        answer => format!("{answer:?}"),
    }
}

fn row(out: &mut impl Write, call: &str, came_back: &str, next: &str) -> io::Result<()> {
    writeln!(out, "   {call:<25}  {came_back:<26}  {next}")
}

fn wait(fd: &impl AsFd) -> Io {
    poll(&mut [Interest::READABLE.on(fd)], Some(DEADLINE))
}

/// The two ends of a connection over loopback, in non-blocking mode.
fn connected() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let tcp = TcpStream::connect(listener.local_addr()?)?;
    let (peer, _) = listener.accept()?;
    set_nonblocking(&tcp, true).and(set_nonblocking(&peer, true))?;
    Ok((tcp, peer))
}

/// This thread's CPU time; NaN where rustix has no clock for it.
fn cpu_ms() -> f64 {
    #[cfg(not(any(target_os = "netbsd", target_os = "illumos", target_os = "solaris")))]
    if let Ok(time) = Duration::try_from(rustix::time::clock_gettime(
        rustix::time::ClockId::ThreadCPUTime,
    )) {
        return time.as_secs_f64() * 1e3;
    }
    f64::NAN
}
