//! Connected pairs of `AF_UNIX` sockets: `us` is a stream, `ud` are datagrams.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, shutdown, socketpair,
};
use wouldblock::platform::HOST;

use crate::calls::{data, fill, nonblocking, recv, send, set_nonblocking};
use crate::recorder::Recorder;
use crate::sockets::{blocking_pair, pair};
use crate::{Group, lacking, system};

macro_rules! both_kinds {
    ($($name:literal $record:ident)*) => {
        &[$(
            Group::new(concat!("us.", $name), "us", $record),
            Group::new(concat!("ud.", $name), "ud", $record),
        )*]
    };
}

pub(crate) const GROUPS: &[Group] = both_kinds! {
    "empty" empty
    "waitall" waitall
    "full" full
    "big" big
    "shut_wr" shut_wr
    "shut_rd" shut_rd
    "peer_closed" peer_closed
    "modes" modes
    "timeouts" timeouts
    "closed" closed
    "full_blocking" full_blocking
    "nosigpipe" nosigpipe
    "data" given
    "lowat" lowat
    "partial" partial
    "drained" drained
    "buffers" buffers
};

fn empty(r: &mut Recorder) -> io::Result<()> {
    let kind = r.socket_type();
    let made = r.call("mode", "socketpair", "", || {
        socketpair(AddressFamily::UNIX, kind, SocketFlags::empty(), None)
    });
    let Some((one, other)) = made else {
        return Ok(());
    };
    let dontwait = RecvFlags::DONTWAIT;
    r.recv_with("empty.recv_dontwait_on_blocking", "", &one, 10, dontwait);
    set_nonblocking(&one, true)?;
    r.mode("setfl.peer_getfl", &[&other])?;
    set_nonblocking(&other, true)?;
    r.recv("empty.recv", "empty.poll", &one, 10);
    r.read("empty.read", "empty.poll", &one, 10);
    r.recv("empty.recv0", "empty.poll", &one, 0);
    r.read("empty.read0", "empty.poll", &one, 0);
    r.recv_with("empty.peek", "empty.poll", &one, 10, RecvFlags::PEEK);
    r.recv_with("empty.waitall", "empty.poll", &one, 10, RecvFlags::WAITALL);
    r.poll("empty.poll", &one);
    r.send("send0", "", &one, 0);
    r.poll("send0.poll_peer", &other);
    r.recv("send0.recv", "send0.poll_peer", &other, 10);
    r.send("send5.send", "", &one, 5);
    r.poll("send5.poll_peer", &other);
    r.recv("send5.recv2", "send5.poll_peer", &other, 2);
    r.recv("send5.recv_rest", "", &other, 10);

    r.poll("empty2.poll", &one);
    r.recv_with("empty.recv_oob", "empty2.poll", &one, 1, RecvFlags::OOB);
    Ok(())
}

/// With fewer bytes than were asked for.
fn waitall(r: &mut Recorder) -> io::Result<()> {
    let waitall = RecvFlags::WAITALL;
    let (one, other) = pair(r.socket_type())?;
    send(&one, 5, SendFlags::empty())?;
    r.may_sleep("recv", "send5.waitall10", "", || recv(&other, 10, waitall));
    r.recv("send5.waitall10.then_recv10", "", &other, 10);

    let (one, other) = blocking_pair(r.socket_type())?;
    send(&one, 5, SendFlags::empty())?;
    shutdown(&one, Shutdown::Write)?;
    r.may_sleep("recv", "send5_eof.waitall10_dontwait", "", || {
        recv(&other, 10, waitall | RecvFlags::DONTWAIT)
    });

    let (one, other) = blocking_pair(r.socket_type())?;
    send(&one, 5, SendFlags::empty())?;
    r.may_sleep("recv", "send5.waitall10_dontwait", "", || {
        recv(&other, 10, waitall | RecvFlags::DONTWAIT)
    });
    Ok(())
}

fn full(r: &mut Recorder) -> io::Result<()> {
    let none = SendFlags::empty();
    let (one, other) = pair(r.socket_type())?;
    r.until_it_fails("send", "fill1024", "", || send(&one, 1024, none));
    r.until_it_fails("send", "full.fill1", "full.poll_sender", || {
        send(&one, 1, none)
    });
    r.poll("full.poll_sender", &one);
    let state = "full.poll_sender";
    r.may_sleep("send", "full.send_dontwait", state, || {
        send(&one, 1, SendFlags::DONTWAIT)
    });
    r.write("full.write", state, &one, 1);
    r.send("full.send0", state, &one, 0);
    r.poll("full.poll_peer", &other);
    r.recv("full.recv1", "", &other, 1);
    r.poll("full-1.poll_sender", &one);
    r.send("full-1.send1", "full-1.poll_sender", &one, 1);
    r.until_it_fails("recv", "full.drain", "", || {
        recv(&other, 1 << 20, RecvFlags::empty())
    });
    r.poll("drained.poll_sender", &one);
    Ok(())
}

fn big(r: &mut Recorder) -> io::Result<()> {
    for (scenario, n) in [
        ("send_1M", 1 << 20),
        ("send_64K", 1 << 16),
        ("send_16K", 1 << 14),
    ] {
        let (one, _other) = pair(r.socket_type())?;
        r.send(scenario, "", &one, n);
    }
    let (one, _other) = pair(r.socket_type())?;
    r.poll("big.poll_sender", &one);
    r.send("big.send_64K", "big.poll_sender", &one, 1 << 16);
    Ok(())
}

fn shut_wr(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(r.socket_type())?;
    r.setup("shut_wr_peer", || shutdown(&other, Shutdown::Write));
    r.poll("shut_wr_peer.poll", &one);
    r.poll_for("shut_wr_peer.poll_in", &one, PollFlags::IN);
    r.poll_for("shut_wr_peer.poll_out", &one, PollFlags::OUT);
    r.recv("shut_wr_peer.recv", "shut_wr_peer.poll", &one, 10);
    let own = "shut_wr.own_poll";
    r.poll(own, &other);
    r.poll_for("shut_wr.own_poll_in", &other, PollFlags::IN);
    r.poll_for("shut_wr.own_poll_out", &other, PollFlags::OUT);
    r.recv("shut_wr.own_recv", own, &other, 10);
    r.recv("shut_wr.own_recv_in", "shut_wr.own_poll_in", &other, 10);
    r.send("shut_wr.own_send", own, &other, 1);
    if HOST.msg_nosignal != 0 {
        let nosignal = SendFlags::from_bits_retain(HOST.msg_nosignal);
        r.send_with("shut_wr.own_send_nosignal", own, &other, 1, nosignal);
    }
    r.send("shut_wr_peer.send_back", "", &one, 1);
    Ok(())
}

fn shut_rd(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(r.socket_type())?;
    r.setup("shut_rd", || shutdown(&one, Shutdown::Read));
    r.recv("shut_rd.own_recv", "shut_rd.own_poll", &one, 10);
    r.poll("shut_rd.own_poll", &one);
    r.poll("shut_rd.peer_poll", &other);
    r.send("shut_rd.peer_send", "shut_rd.peer_poll", &other, 1);

    let (one, other) = pair(r.socket_type())?;
    shutdown(&one, Shutdown::Both)?;
    r.poll("shut_rdwr.own_poll", &one);
    r.poll("shut_rdwr.peer_poll", &other);
    r.recv("shut_rdwr.peer_recv", "shut_rdwr.peer_poll", &other, 10);
    r.send("shut_rdwr.peer_send", "shut_rdwr.peer_poll", &other, 1);
    Ok(())
}

fn peer_closed(r: &mut Recorder) -> io::Result<()> {
    let none = SendFlags::empty();
    let (one, other) = pair(r.socket_type())?;
    drop(other);
    r.poll("peer_closed.poll", &one);
    r.poll_for("peer_closed.poll_ev0", &one, PollFlags::empty());
    r.recv("peer_closed.recv", "peer_closed.poll", &one, 10);
    r.send("peer_closed.send", "peer_closed.poll", &one, 1);
    r.send("peer_closed.send2", "", &one, 1);
    r.recv("peer_closed.recv2", "", &one, 10);

    let (one, other) = pair(r.socket_type())?;
    send(&one, 3, none)?;
    drop(other);
    r.poll("peer_closed_unread.poll", &one);
    r.recv(
        "peer_closed_unread.recv",
        "peer_closed_unread.poll",
        &one,
        10,
    );
    r.recv("peer_closed_unread.recv2", "", &one, 10);
    r.send("peer_closed_unread.send", "", &one, 1);

    let (one, other) = pair(r.socket_type())?;
    send(&other, 2, none)?;
    drop(other);
    r.poll("peer_closed_pending.poll", &one);
    r.recv(
        "peer_closed_pending.recv",
        "peer_closed_pending.poll",
        &one,
        10,
    );
    r.recv("peer_closed_pending.recv2", "", &one, 10);

    let (one, other) = pair(r.socket_type())?;
    fill(&one);
    drop(other);
    r.poll("full.peer_closed.poll", &one);
    r.send("full.peer_closed.send", "full.peer_closed.poll", &one, 1);
    Ok(())
}

fn modes(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = blocking_pair(r.socket_type())?;
    r.call("mode", "fionbio", "", || {
        rustix::io::ioctl_fionbio(&one, true)
    });
    let modes = [nonblocking(&one)?, nonblocking(&other)?].map(u8::from);
    r.note(
        "mode",
        "fionbio.getfl",
        format_args!("nb={} peer={}", modes[0], modes[1]),
    );
    r.mode("dup.getfl", &[&rustix::io::dup(&one)?])?;
    system::nonblocking_pair(r)
}

/// Blocking sockets whose calls end by themselves. The option is set by std: rustix has
/// a newer one on Linux, which gVisor takes and forgets.
fn timeouts(r: &mut Recorder) -> io::Result<()> {
    let time = Some(Duration::from_millis(50));
    let by_name = |fd: &OwnedFd| Ok::<_, io::Error>(UnixStream::from(fd.try_clone()?));
    let (one, _other) = blocking_pair(r.socket_type())?;
    let socket = by_name(&one)?;
    r.setup("rcvtimeo.set", || {
        let set = socket.set_read_timeout(time);
        set.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    });
    r.call("recv", "rcvtimeo.recv", "", || {
        recv(&one, 10, RecvFlags::empty())
    });

    let (one, _other) = blocking_pair(r.socket_type())?;
    by_name(&one)?.set_write_timeout(time)?;
    r.call("send", "sndtimeo.fill", "", || {
        for _ in 0..10_000 {
            send(&one, 1024, SendFlags::empty())?;
        }
        Ok(1024)
    });
    Ok(())
}

fn closed(r: &mut Recorder) -> io::Result<()> {
    let (one, _other) = blocking_pair(r.socket_type())?;
    let number = one.as_raw_fd();
    drop(one);
    let one = lacking::closed(number);
    r.poll("closedfd.poll", one);
    r.poll_for("closedfd.poll_ev0", one, PollFlags::empty());
    r.recv("closedfd.recv", "", one, 10);
    Ok(())
}

fn full_blocking(r: &mut Recorder) -> io::Result<()> {
    let (one, _other) = pair(r.socket_type())?;
    fill(&one);
    set_nonblocking(&one, false)?;
    let state = "full_blocking.poll_sender";
    r.poll(state, &one);
    r.may_sleep("send", "full_blocking.send_dontwait", state, || {
        send(&one, 1, SendFlags::DONTWAIT)
    });
    r.may_sleep("send", "full_blocking.send", "", || {
        send(&one, 1, SendFlags::empty())
    });
    Ok(())
}

fn nosigpipe(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(r.socket_type())?;
    if let Some(set) = system::set_no_sigpipe(&one) {
        set?;
        drop(other);
        r.send("peer_closed.send_so_nosigpipe", "", &one, 1);
        r.write("peer_closed.write_so_nosigpipe", "", &one, 1);
    }
    let (one, other) = pair(r.socket_type())?;
    drop(other);
    r.write("peer_closed.write", "", &one, 1);
    Ok(())
}

/// An empty buffer where there are two messages.
fn given(r: &mut Recorder) -> io::Result<()> {
    for by_recv in [true, false] {
        let (one, other) = pair(r.socket_type())?;
        send(&one, 5, SendFlags::empty())?;
        send(&one, 3, SendFlags::empty())?;
        if by_recv {
            r.poll("data.poll", &other);
            r.recv("data.recv0", "data.poll", &other, 0);
            r.recv("data.recv0.then_recv", "", &other, 10);
        } else {
            r.read("data.read0", "data.poll", &other, 0);
            r.recv("data.read0.then_recv", "", &other, 10);
        }
    }
    Ok(())
}

/// Five bytes where the socket is to be woken by ten.
fn lowat(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(r.socket_type())?;
    lacking::set_option(&other, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 10)?;
    send(&one, 5, SendFlags::empty())?;
    let state = "lowat10_has5.poll";
    r.poll(state, &other);
    let taken = r.call("recv", "lowat10_has5.recv", state, || {
        recv(&other, 100, RecvFlags::empty())
    });
    // Of the same state only if the first left it as it was.
    let state = if taken.is_none() { state } else { "" };
    let dontwait = RecvFlags::DONTWAIT;
    r.recv_with("lowat10_has5.recv_dontwait", state, &other, 100, dontwait);
    Ok(())
}

fn partial(r: &mut Recorder) -> io::Result<()> {
    let state = "partial.poll";
    for (scenario, flags) in [
        ("partial.waitall10", RecvFlags::WAITALL),
        (
            "partial.waitall10_dontwait_nb",
            RecvFlags::WAITALL | RecvFlags::DONTWAIT,
        ),
    ] {
        let (one, other) = pair(r.socket_type())?;
        send(&one, 5, SendFlags::empty())?;
        if flags == RecvFlags::WAITALL {
            r.poll(state, &other);
        }
        r.may_sleep("recv", scenario, state, || recv(&other, 10, flags));
    }
    Ok(())
}

/// When a queue that is read one by one has room again, and for poll too.
fn drained(r: &mut Recorder) -> io::Result<()> {
    if r.socket_type() != SocketType::DGRAM {
        let (one, other) = pair(r.socket_type())?;
        fill(&one);
        recv(&other, 3000, RecvFlags::empty())?;
        r.poll("full-3000.poll", &one);
        r.send("full-3000.send", "full-3000.poll", &one, 1);
        return Ok(());
    }
    let (one, other) = pair(SocketType::DGRAM)?;
    fill(&one);
    for n in 1..60 {
        if recv(&other, 2000, RecvFlags::empty()).is_err() {
            break;
        }
        if n <= 3 || n % 16 == 0 {
            r.poll(&format!("full-{n}msg.poll_sender"), &one);
        }
        if n == 1 {
            r.send("full-1msg.send1", "full-1msg.poll_sender", &one, 1);
        }
    }
    Ok(())
}

/// What is as long as the send buffer.
fn buffers(r: &mut Recorder) -> io::Result<()> {
    if r.socket_type() != SocketType::DGRAM {
        return Ok(());
    }
    let (one, _other) = pair(SocketType::DGRAM)?;
    let size = socket_send_buffer_size(&one)?;
    let room = socket_recv_buffer_size(&one)?;
    r.note(
        "mode",
        "bufs",
        format_args!("SO_SNDBUF={size} SO_RCVBUF={room}"),
    );
    r.poll("hiwat.poll", &one);
    r.call("send", "hiwat.send", "hiwat.poll", || {
        rustix::net::send(&one, data(size), SendFlags::empty())
    });
    let (one, _other) = pair(SocketType::DGRAM)?;
    r.call("send", "hiwat+1.send", "hiwat.poll", || {
        rustix::net::send(&one, data(size + 1), SendFlags::empty())
    });
    Ok(())
}
