//! Facts that are seen only by calls without this crate's help: rustix makes them.

use std::io::{IoSlice, IoSliceMut, Result, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
};
use wouldblock::platform::{AcceptMode, HOST};
use wouldblock::{
    AddressFamily, Interest, SocketType, connect, is_nonblocking, set_nonblocking, socket, until,
};

use crate::report::Report;
use crate::soon;

/// `accept`, and not `accept4`, whose habit is its own.
pub(crate) fn accept_mode(report: &mut Report) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let _client = TcpStream::connect(listener.local_addr()?)?;
    let _hint = until(&listener, soon())
        .ready(Interest::READABLE)
        .into_io_result()?;
    let mode = if is_nonblocking(rustix::net::accept(&listener)?)? {
        AcceptMode::Inherited
    } else {
        AcceptMode::Blocking
    };
    let unknown = &AcceptMode::Unknown;
    report.saw_or_learned("accept_mode", HOST.accept_mode, unknown, mode);
    Ok(())
}

/// One descriptor, received with these flags. It is closed only if it is ours.
fn receive(flags: RecvFlags) -> Result<Option<OwnedFd>> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed = [theirs.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&passed));
    sendmsg(
        &theirs,
        &[IoSlice::new(b"!")],
        &mut control,
        SendFlags::empty(),
    )?;

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        &ours,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        flags,
    )?;
    let mut received = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let Some(received) = received.next().and_then(|mut fds| fds.next()) else {
        return Ok(None);
    };
    let [sent, came] = [rustix::fs::fstat(&theirs), rustix::fs::fstat(&received)];
    match (sent, came) {
        (Ok(sent), Ok(came)) if (sent.st_dev, sent.st_ino) == (came.st_dev, came.st_ino) => {
            Ok(Some(received))
        }
        _ => {
            // A number that is somebody else's, or nobody's.
            let _ = received.into_raw_fd();
            Ok(None)
        }
    }
}

pub(crate) fn received(report: &mut Report) -> Result<()> {
    let (fact, honoured) = ("cmsg_cloexec_honoured", HOST.cmsg_cloexec_honoured);
    if HOST.msg_cmsg_cloexec == 0 {
        report.saw_fact(fact, honoured, false);
    } else {
        let flag = RecvFlags::from_bits_retain(HOST.msg_cmsg_cloexec);
        let set = match receive(flag)? {
            Some(fd) => fcntl_getfd(&fd)?.contains(FdFlags::CLOEXEC),
            None => false,
        };
        if set && !honoured {
            // Setting it again does no harm, and an older version may not have it.
            report.unseen(
                fact,
                honoured,
                "it came close-on-exec: ask older versions, then enter it",
            );
        } else {
            report.saw_fact(fact, honoured, set);
        }
    }
    let (fact, duplicates) = ("peek_rights", HOST.peek_rights);
    if duplicates {
        report.saw(fact, true, receive(RecvFlags::PEEK)?.is_some());
    } else {
        report.unseen(fact, false, "asking may close what is another's");
    }
    Ok(())
}

/// The option, where rustix has it, which is where the table says so.
pub(crate) fn no_sigpipe(report: &mut Report) -> Result<()> {
    let fact = "so_nosigpipe";
    #[cfg(wouldblock_has = "so_nosigpipe")]
    {
        use rustix::net::sockopt::{set_socket_nosigpipe, socket_nosigpipe};
        let (ours, _theirs) = UnixStream::pair()?;
        set_socket_nosigpipe(&ours, true)?;
        report.saw(fact, HOST.so_nosigpipe, socket_nosigpipe(&ours)?);
    }
    #[cfg(not(wouldblock_has = "so_nosigpipe"))]
    report.unseen(
        fact,
        HOST.so_nosigpipe,
        "an option without a name cannot be asked for",
    );
    Ok(())
}

/// A blocking descriptor that is full. A call that sleeps is ended by its peer's leaving.
pub(crate) fn send_dontwait(report: &mut Report) -> Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    while (&ours).write(&[0; 4096]).is_ok() {}
    while (&ours).write(&[0]).is_ok() {}
    ours.set_nonblocking(false)?;
    let (done, answer) = mpsc::channel();
    let sender = thread::spawn(move || {
        let nosignal = SendFlags::from_bits_retain(HOST.msg_nosignal);
        let flags = SendFlags::DONTWAIT | nosignal;
        done.send(rustix::net::send(&ours, b"!", flags))
    });
    let seen = answer.recv_timeout(Duration::from_secs(2)).is_ok();
    drop(theirs);
    let _ = sender.join();
    if seen && !HOST.send_dontwait {
        report.unseen(
            "send_dontwait",
            false,
            "it did not sleep: read why, then enter it",
        );
    } else {
        report.saw_fact("send_dontwait", HOST.send_dontwait, seen);
    }
    Ok(())
}

/// Two messages in a pipe whose writer has `O_DIRECT`, by its name if there is one.
pub(crate) fn packet_pipes(report: &mut Report) -> Result<()> {
    let (reader, writer) = rustix::pipe::pipe()?;
    let direct = OFlags::from_name("DIRECT").unwrap_or(OFlags::empty());
    let set = !direct.is_empty() && rustix::fs::fcntl_setfl(&writer, direct).is_ok();
    rustix::io::write(&writer, b"ab")?;
    rustix::io::write(&writer, b"cd")?;
    let n = rustix::io::read(&reader, &mut [0; 8])?;
    report.saw_fact("packet_pipes", HOST.packet_pipes, set && n == 2);
    Ok(())
}

/// A datagram of five bytes, looked at without a buffer; by the flag's name if there is one.
pub(crate) fn peek_tells_length(report: &mut Report) -> Result<()> {
    let (ours, theirs) = UnixDatagram::pair()?;
    theirs.send(b"hello")?;
    let told = RecvFlags::from_name("TRUNC").map_or(0, |flag| {
        let none: &mut [u8] = &mut [];
        recv(&ours, none, flag | RecvFlags::PEEK).map_or(0, |(_, length)| length)
    });
    report.saw_fact("peek_tells_length", HOST.peek_tells_length, told == 5);
    Ok(())
}

/// A connection that cannot be made for now, because the listener's queue is full.
pub(crate) fn connects_early(report: &mut Report) -> Result<()> {
    let (fact, table) = ("connects_early", HOST.connects_early);
    let tcp = || socket(AddressFamily::INET, SocketType::STREAM, None);
    let listener = tcp()?;
    rustix::net::bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    rustix::net::listen(&listener, 0)?;
    let address = std::net::SocketAddr::try_from(rustix::net::getsockname(&listener)?)?;
    let mut queued = Vec::new();
    while let (true, Ok(client)) = (queued.len() < 64, tcp()) {
        let _ = connect(&client, &address);
        // Long enough for a handshake over loopback.
        thread::sleep(Duration::from_millis(50));
        if until(&client, Duration::ZERO)
            .ready(Interest::WRITABLE)
            .is_would_block()
        {
            let named = rustix::net::getpeername(&client).is_ok();
            report.saw_fact(fact, table, named);
            return Ok(());
        }
        queued.push(client);
    }
    report.unseen(fact, table, "the listener took them all");
    Ok(())
}

/// A full queue that is another's: `EAGAIN`, and room to write all the same.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn families(report: &mut Report) -> Result<()> {
    use rustix::net::netlink::{SocketAddrNetlink, USERSOCK};
    use rustix::net::{SocketFlags, bind, getsockname, sendto, socket_with};

    let (fact, table) = ("receiver_queue_families", HOST.receiver_queue_families);
    let family = AddressFamily::NETLINK;
    let port = || -> rustix::io::Result<OwnedFd> {
        let fd = socket_with(
            family,
            SocketType::DGRAM,
            SocketFlags::NONBLOCK,
            Some(USERSOCK),
        )?;
        bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        Ok(fd)
    };
    let (Ok(sender), Ok(receiver)) = (port(), port()) else {
        report.unseen(fact, table, "no netlink here");
        return Ok(());
    };
    let address = SocketAddrNetlink::try_from(getsockname(&receiver)?)?;
    let mut sends = (0..100_000).map(|_| sendto(&sender, &[0; 1024], SendFlags::empty(), &address));
    let full = sends.find_map(|answer| answer.err());
    let lies = full.is_some_and(|errno| errno.raw_os_error() == HOST.eagain)
        && until(&sender, Duration::ZERO)
            .ready(Interest::WRITABLE)
            .is_ready();
    let known = table.contains(&i32::from(family.as_raw()));
    report.saw_fact("receiver_queue_families (netlink)", known, lies);
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn families(report: &mut Report) -> Result<()> {
    let table = HOST.receiver_queue_families;
    report.unseen("receiver_queue_families", table, "no such family is known");
    Ok(())
}

/// A name that stands in no file system.
pub(crate) fn abstract_names(report: &mut Report) -> Result<()> {
    let fact = "abstract_names";
    #[cfg(wouldblock_has = "abstract_names")]
    {
        let name = format!("wouldblock-{}", std::process::id());
        let address = wouldblock::SocketAddrUnix::new_abstract_name(name.as_bytes())?;
        let fd = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
        let bound = rustix::net::bind(&fd, &address).is_ok();
        let file = std::path::Path::new(&name).exists();
        report.saw_fact(fact, HOST.abstract_names, bound && !file);
    }
    #[cfg(not(wouldblock_has = "abstract_names"))]
    report.unseen(fact, HOST.abstract_names, "rustix makes no such name here");
    Ok(())
}

/// `poll` as rustix makes it: who counts milliseconds sleeps for two.
pub(crate) fn quickest_poll(time: Duration) -> Result<Duration> {
    use rustix::event::{PollFd, PollFlags, poll};
    let (ours, _theirs) = UnixStream::pair()?;
    set_nonblocking(&ours, true)?;
    let timeout = time.try_into().ok();
    let mut quickest = Duration::MAX;
    for _ in 0..50 {
        let start = std::time::Instant::now();
        poll(&mut [PollFd::new(&ours, PollFlags::IN)], timeout.as_ref())?;
        quickest = quickest.min(start.elapsed());
    }
    Ok(quickest)
}
