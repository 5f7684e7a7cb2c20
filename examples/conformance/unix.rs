//! What hangs on `AF_UNIX` names, and on descriptors in messages.

use std::io::{IoSlice, Result};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
use rustix::process::{Resource, Signal, getpid, getrlimit, kill_process, setrlimit};
use wouldblock::platform::{HOST, Interrupted, QueueEvent};
use wouldblock::{
    AddressFamily, Deadline, Errno, Interest, Io, Op, Outcome, SendFlags, SocketAddrUnix,
    SocketType, connect, send_to, set_nonblocking, socket, until,
};

use crate::report::Report;

pub(crate) fn unix(report: &mut Report) -> Result<()> {
    let directory = std::env::temp_dir().join(format!("wouldblock-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let result = datagrams(report, &directory.join("datagram"))
        .and_then(|()| backlog(report, &directory.join("stream")));
    std::fs::remove_dir_all(&directory)?;
    result
}

fn datagrams(report: &mut Report, name: &Path) -> Result<()> {
    let fact = "unix_queue_event";
    let receiver = UnixDatagram::bind(name)?;
    let address = SocketAddrUnix::new(name)?;
    // Several senders, so that the receiver's queue fills before their own.
    let senders: Vec<_> = (0..16)
        .map(|_| socket(AddressFamily::UNIX, SocketType::DGRAM, None))
        .collect::<core::result::Result<_, _>>()?;
    let full = senders.iter().cycle().take(100_000).find_map(|sender| {
        let answer = send_to(sender, b"one", SendFlags::empty(), &address);
        (!answer.is_ready()).then_some((sender, answer))
    });
    match full {
        None => report.unseen(fact, HOST.unix_queue_event, "the queue never filled"),
        Some((_, Io::Err(errno))) if errno.raw_os_error() == HOST.enobufs => {
            report.saw(
                "a full AF_UNIX queue is to back off from",
                Outcome::BackOff,
                Op::SendToUnix.outcome(errno),
            );
            // There is no EAGAIN to wait for, and so none without an event.
            let seen = "a full queue is ENOBUFS, and never EAGAIN";
            if HOST.unix_queue_event == QueueEvent::Arrives {
                report.follows(fact, HOST.unix_queue_event, true, seen);
            } else {
                report.unseen(fact, HOST.unix_queue_event, seen);
            }
        }
        Some((sender, answer)) => {
            // An event must wait until there is room, and must then come.
            let event = match until(sender, Duration::ZERO).ready(Interest::WRITABLE) {
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
            let unknown = &QueueEvent::Unknown;
            report.saw_or_learned(fact, HOST.unix_queue_event, unknown, event);
            let lawful = answer.is_would_block() == (event == QueueEvent::Arrives);
            report.saw(
                "a full AF_UNIX queue is WouldBlock only with an event",
                true,
                lawful,
            );
        }
    }
    Ok(())
}

fn backlog(report: &mut Report, name: &Path) -> Result<()> {
    let listener = UnixListener::bind(name)?;
    let address = SocketAddrUnix::new(name)?;
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
        None => {
            let why = "it never filled";
            report.unseen(fact, false, why);
            let table = HOST.unix_connect_interrupted;
            report.unseen("unix_connect_interrupted", table, why);
        }
        Some((client, answer)) => {
            let spins = answer.is_would_block()
                && until(&client, Duration::ZERO)
                    .ready(Interest::WRITABLE)
                    .is_ready();
            report.saw(fact, false, spins);
            interrupted(report, &address)?;
        }
    }
    drop((listener, clients));
    Ok(())
}

/// A blocking connect to a full backlog sleeps on some systems. Signals end it, and a
/// second attempt tells what became of the first.
fn interrupted(report: &mut Report, address: &SocketAddrUnix) -> Result<()> {
    let fact = "unix_connect_interrupted";
    let client = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    // With a timeout of its own the call is not made again by the system.
    let client = UnixStream::from(client);
    client.set_write_timeout(Some(Duration::from_secs(5)))?;
    let _handler = signal_hook::flag::register(libc::SIGUSR1, Arc::default())?;
    let over = AtomicBool::new(false);
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
                let _ = kill_process(getpid(), Signal::USR1);
            }
        });
        let answer = rustix::net::connect(&client, address);
        over.store(true, Ordering::Relaxed);
        answer
    });
    if answer != Err(Errno::INTR) {
        let why = format!("a blocking connect was not interrupted: {answer:?}");
        report.unseen(fact, HOST.unix_connect_interrupted, &why);
        return Ok(());
    }
    set_nonblocking(&client, true)?;
    let seen = match rustix::net::connect(&client, address) {
        Err(Errno::ALREADY | Errno::INPROGRESS | Errno::ISCONN) => Interrupted::GoesOn,
        _ => Interrupted::NothingStarted,
    };
    let unknown = &Interrupted::Unknown;
    report.saw_or_learned(fact, HOST.unix_connect_interrupted, unknown, seen);
    Ok(())
}

/// More descriptors on their way than this process may have open.
pub(crate) fn descriptors(report: &mut Report) -> Result<()> {
    const FEW: usize = 20;
    let (ours, theirs) = UnixStream::pair()?;
    set_nonblocking(&theirs, true)?;
    let limit = getrlimit(Resource::Nofile);
    let mut low = limit;
    low.current = Some(FEW as u64 + 4);
    setrlimit(Resource::Nofile, low)?;
    let passed = [ours.as_fd(); FEW];
    let one = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FEW))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&passed));
        let flags = rustix::net::SendFlags::from_bits_retain(HOST.msg_nosignal);
        sendmsg(&theirs, &[IoSlice::new(b"!")], &mut control, flags)
    };
    let refused = (0..1000).find_map(|_| one().err());
    setrlimit(Resource::Nofile, limit)?;

    let raw = refused.map_or(0, Errno::raw_os_error);
    let (fact, known) = ("in_flight_errors", HOST.in_flight_errors);
    let privileged = format!("no such limit for this process: {refused:?}");
    if known.contains(&raw) {
        report.follows(fact, known, true, raw);
    } else if known.is_empty() {
        report.unseen(fact, known, &privileged);
    } else {
        report.asserted(fact, known);
    }
    let (fact, table) = ("send_emfile", HOST.send_emfile);
    if raw == HOST.emfile || !table {
        report.saw_fact(fact, table, raw == HOST.emfile);
    } else {
        report.unseen(fact, table, &privileged);
    }
    Ok(())
}
