//! Pairs of `AF_UNIX` sockets that keep records and their order: `SOCK_SEQPACKET`.

use std::io;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, shutdown, socketpair,
};
use wouldblock::platform::HOST;

use crate::Group;
use crate::calls::{all, recv, send, set_nonblocking};
use crate::recorder::Recorder;
use crate::sockets::pair;

pub(crate) const GROUPS: &[Group] = &[
    Group::new("seq.life", "seq", life),
    Group::new("seq.half", "seq", half),
    Group::new("seq.zero", "seq", zero),
];

const KIND: SocketType = SocketType::SEQPACKET;
const NONE: SendFlags = SendFlags::empty();

fn drain(fd: &std::os::fd::OwnedFd) {
    all(|| recv(fd, 4096, RecvFlags::empty()));
}

fn life(r: &mut Recorder) -> io::Result<()> {
    let made = r.call("mode", "socketpair", "", || {
        socketpair(AddressFamily::UNIX, KIND, SocketFlags::empty(), None)
    });
    let Some((one, other)) = made else {
        return Ok(());
    };
    set_nonblocking(&one, true)?;
    set_nonblocking(&other, true)?;
    r.recv("empty.recv", "empty.poll", &one, 100);
    r.read("empty.read", "empty.poll", &one, 100);
    r.recv("empty.recv0", "empty.poll", &one, 0);
    r.recv_with("empty.peek", "empty.poll", &one, 100, RecvFlags::PEEK);
    r.poll("empty.poll", &one);
    r.send("send0", "", &other, 0);
    r.poll("send0.poll_peer", &one);
    r.recv("send0.recv", "send0.poll_peer", &one, 100);
    r.send("send5.send", "", &other, 5);
    r.poll("send5.poll_peer", &one);
    r.recv("send5.recv2", "send5.poll_peer", &one, 2);
    r.recv("send5.recv_rest", "", &one, 100);
    drain(&one);
    let nosignal = SendFlags::from_bits_retain(HOST.msg_nosignal);
    r.until_it_fails("send", "fill1024", "", || send(&other, 1024, NONE));
    r.send_with("full.fill1024", "full.poll_sender", &other, 1024, nosignal);
    r.poll("full.poll_sender", &other);
    r.poll("full.poll_peer", &one);
    r.recv("full.recv1024", "full.poll_peer", &one, 1024);
    r.poll("full-1.poll_sender", &other);
    r.send_with("send_1M", "", &other, 1 << 20, nosignal);
    shutdown(&other, Shutdown::Write)?;
    drain(&one);
    r.poll("shut_wr_peer.poll", &one);
    r.recv("shut_wr_peer.recv", "shut_wr_peer.poll", &one, 100);
    let has_flag = HOST.msg_nosignal != 0;
    if has_flag {
        r.send_with("shut_wr.own_send_nosignal", "", &other, 1, nosignal);
    }
    drop(other);
    r.poll("peer_closed.poll", &one);
    r.recv("peer_closed.recv", "peer_closed.poll", &one, 100);
    r.send("peer_closed.send", "peer_closed.poll", &one, 1);
    if has_flag {
        let state = "peer_closed.poll";
        r.send_with("peer_closed.send_nosignal", state, &one, 1, nosignal);
    }
    Ok(())
}

/// Records of which a second, or a longer one, does not fit.
fn half(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(KIND)?;
    r.send("half.send3000", "", &other, 3000);
    r.poll("half.poll_sender", &other);
    r.send("half.send3000b", "half.poll_sender", &other, 3000);
    r.poll("half.b.poll_sender", &other);
    r.send("half.send6000", "half.b.poll_sender", &other, 6000);
    drain(&one);
    r.send("half.drained.send3000", "", &other, 3000);
    Ok(())
}

/// An empty record and the end look alike; poll may tell.
fn zero(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(KIND)?;
    send(&other, 0, NONE)?;
    send(&other, 3, NONE)?;
    drop(other);
    r.poll("zero_then_end.poll", &one);
    r.recv("zero_then_end.recv", "zero_then_end.poll", &one, 100);
    r.recv("zero_then_end.recv_data", "", &one, 100);
    r.poll("zero_then_end.end.poll", &one);
    r.recv(
        "zero_then_end.recv_end",
        "zero_then_end.end.poll",
        &one,
        100,
    );
    Ok(())
}
