//! Messages with descriptors, and calls with many buffers.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Result;
use rustix::net::sockopt::socket_send_buffer_size;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, RecvMsg, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketType, bind, recvmsg, sendmsg,
    sendmsg_addr,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use wouldblock::platform::HOST;

use crate::calls::{all, data, fill, recv, send};
use crate::pipe::pipe;
use crate::recorder::Recorder;
use crate::sockets::{named, new, pair};
use crate::{Group, lacking, system};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("us.full1", "us", full_stream),
    Group::new("us.hiwat", "us", stream_hiwat),
    Group::new("ud.hiwat", "ud", datagram_hiwat),
    Group::new("und.hiwat", "und", named_hiwat),
    Group::new("us.rights", "us", rights),
    Group::new("ud.rights", "ud", rights),
    Group::new("us.in_flight", "us", in_flight),
    Group::new("ud.buffers1024", "ud", message_buffers),
    Group::new("pipe.buffers1024", "pipe", pipe_buffers),
];

/// One descriptor with these bytes.
fn send_fd(fd: &OwnedFd, n: usize, passed: BorrowedFd<'_>) -> Result<usize> {
    send_fds(fd, n, &[passed], None)
}

fn send_fds(
    fd: &OwnedFd,
    n: usize,
    passed: &[BorrowedFd<'_>],
    to: Option<&SocketAddrUnix>,
) -> Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(passed)));
    let bufs = [IoSlice::new(data(n))];
    let flags = SendFlags::from_bits_retain(HOST.msg_nosignal);
    match to {
        Some(address) => sendmsg_addr(fd, address, &bufs, &mut control, flags),
        None => sendmsg(fd, &bufs, &mut control, flags),
    }
}

/// Receives with room for so many descriptors, and tells how many came.
fn recv_fds(fd: &OwnedFd, room: usize) -> Result<(RecvMsg, usize)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut nothing = [];
    let mut control = RecvAncillaryBuffer::new(if room == 0 { &mut nothing } else { &mut space });
    let mut buf = [0; 100];
    let bufs = &mut [IoSliceMut::new(&mut buf)];
    let answer = recvmsg(fd, bufs, &mut control, RecvFlags::empty())?;
    Ok((answer, control.drain().count()))
}

fn full_stream(r: &mut Recorder) -> io::Result<()> {
    let flags = SendFlags::from_bits_retain(HOST.msg_nosignal);
    let (one, other) = pair(SocketType::STREAM)?;
    let mut bytes = 0;
    r.failed("send", "full1.fill", || {
        for shift in (0..=12).rev() {
            loop {
                match send(&other, 1 << shift, flags) {
                    Ok(n) => bytes += n,
                    Err(errno) if shift == 0 => return (errno, format!("bytes={bytes}")),
                    Err(_) => break,
                }
            }
        }
        unreachable!("the last of the sizes returns")
    });
    let state = "full1.poll_sender";
    r.poll(state, &other);
    r.send_with("full1.send1", state, &other, 1, flags);
    r.call("sendmsg", "full1.sendmsg_rights", state, || {
        send_fd(&other, 1, one.as_fd())
    });
    all(|| recv(&one, 4096, RecvFlags::empty()));
    r.call("sendmsg", "full1.drained.sendmsg_rights", "", || {
        send_fd(&other, 1, one.as_fd())
    });
    Ok(())
}

fn stream_hiwat(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(SocketType::STREAM)?;
    let size = socket_send_buffer_size(&one)?;
    r.poll("hiwat.poll", &one);
    r.call("send", "hiwat.sendmsg_fd", "hiwat.poll", || {
        send_fd(&one, size, other.as_fd())
    });
    Ok(())
}

fn datagram_hiwat(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(SocketType::DGRAM)?;
    let size = socket_send_buffer_size(&one)?.saturating_sub(4);
    for (scenario, state) in [
        ("hiwat-4.sendmsg_fd", "hiwat-4.poll"),
        ("hiwat-4.sendmsg_fd_again", "hiwat-4.poll_again"),
    ] {
        r.poll(state, &one);
        r.call("send", scenario, state, || {
            send_fd(&one, size, other.as_fd())
        });
    }
    Ok(())
}

fn named_hiwat(r: &mut Recorder) -> io::Result<()> {
    let kind = || new(AddressFamily::UNIX, SocketType::DGRAM);
    let (receiver, address) = (kind()?, named("h")?);
    bind(&receiver, &address)?;
    let sender = kind()?;
    let size = socket_send_buffer_size(&sender)?.saturating_sub(4);
    let state = "unconn.hiwat-4.poll";
    r.poll(state, &sender);
    r.call("send", "unconn.hiwat-4.sendto_fd", state, || {
        send_fds(&sender, size, &[receiver.as_fd()], Some(&address))
    });
    Ok(())
}

/// Descriptors that arrive, and that are lost.
fn rights(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(r.socket_type())?;
    let told = |(message, came): &(RecvMsg, usize)| {
        let cut = u8::from(message.flags.contains(ReturnFlags::CTRUNC));
        format!("messages={came} ctrunc={cut}")
    };
    r.noted(
        "recvmsg",
        "rights.empty.recvmsg",
        "rights.empty.poll",
        || recv_fds(&one, 1),
        told,
    );
    r.poll("rights.empty.poll", &one);
    r.call("sendmsg", "rights.sendmsg", "", || {
        send_fd(&other, 5, one.as_fd())
    });
    r.poll("rights.poll", &one);
    r.noted(
        "recvmsg",
        "rights.recvmsg",
        "rights.poll",
        || recv_fds(&one, 1),
        told,
    );
    send_fd(&other, 5, one.as_fd())?;
    r.noted(
        "recvmsg",
        "rights.recvmsg_without_room",
        "",
        || recv_fds(&one, 0),
        told,
    );
    send_fd(&other, 5, one.as_fd())?;
    r.recv("rights.recv", "", &one, 100);
    send_fd(&other, 5, one.as_fd())?;
    r.read("rights.read", "", &one, 100);
    // With no bytes: a stream has nothing to send, and a datagram is one all the same.
    r.call("sendmsg", "rights.sendmsg_no_bytes", "", || {
        send_fd(&other, 0, one.as_fd())
    });
    r.poll("rights.no_bytes.poll", &one);
    r.noted(
        "recvmsg",
        "rights.no_bytes.recvmsg",
        "rights.no_bytes.poll",
        || recv_fds(&one, 1),
        told,
    );
    fill(&other);
    let state = "rights.full.poll";
    r.poll(state, &other);
    r.call("sendmsg", "rights.full.sendmsg", state, || {
        send_fd(&other, 1, one.as_fd())
    });
    drop(one);
    let (one, _) = pair(r.socket_type())?;
    r.poll("rights.peer_closed.poll", &other);
    r.call(
        "sendmsg",
        "rights.peer_closed.sendmsg",
        "rights.peer_closed.poll",
        || send_fd(&other, 1, one.as_fd()),
    );
    Ok(())
}

/// More descriptors on their way than a process may have open.
fn in_flight(r: &mut Recorder) -> io::Result<()> {
    system::become_nobody()?;
    let (one, other) = pair(SocketType::STREAM)?;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(32);
    setrlimit(Resource::Nofile, limit)?;
    let many = [one.as_fd(); 30];
    let state = "in_flight.poll";
    // How many pass depends on what else is on its way.
    all(|| send_fds(&other, 1, &many, None));
    r.call("sendmsg", "in_flight.sendmsg_rights", state, || {
        send_fds(&other, 1, &many, None)
    });
    r.poll(state, &other);
    Ok(())
}

fn message_buffers(r: &mut Recorder) -> io::Result<()> {
    let (one, other) = pair(SocketType::DGRAM)?;
    for n in [1025, 1024] {
        let bufs = vec![IoSlice::new(data(1)); n];
        let scenario = format!("sendmsg{n}");
        r.call("sendmsg", &scenario, "", || {
            let mut control = SendAncillaryBuffer::default();
            sendmsg(&one, &bufs, &mut control, SendFlags::empty())
        });
    }
    for n in [1025, 1024] {
        let mut bytes = vec![[0]; n];
        let mut bufs: Vec<_> = bytes.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
        let scenario = format!("recvmsg{n}");
        r.call("recvmsg", &scenario, "", || {
            let mut control = RecvAncillaryBuffer::default();
            recvmsg(&other, &mut bufs, &mut control, RecvFlags::empty())
        });
    }
    Ok(())
}

fn pipe_buffers(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = pipe()?;
    for n in [1025, 1024, 0] {
        let bufs = vec![IoSlice::new(data(1)); n];
        let scenario = format!("writev{n}");
        r.call("writev", &scenario, "", || lacking::writev(&writer, &bufs));
    }
    for n in [1025, 0] {
        let mut bytes = vec![[0]; n];
        let mut bufs: Vec<_> = bytes.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
        let scenario = format!("readv{n}");
        r.call("readv", &scenario, "", || {
            lacking::readv(&reader, &mut bufs)
        });
    }
    Ok(())
}
