//! Calls that sleep, and are ended by a signal. Blocking descriptors, all of them.

use std::io::{self, IoSlice, IoSliceMut};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketType,
    accept, bind, connect, recvmsg, sendmsg, sendto, socket,
};

use crate::Group;
use crate::calls::{all, data, fill, fill_by_write, read, recv, send, set_nonblocking, write};
use crate::recorder::Recorder;
use crate::sockets::{
    blocking_pair, connection, full_listener, listener, named, pair, unix, unix_listener,
};
use crate::stream::fill_connection;

pub(crate) const GROUPS: &[Group] = &[
    Group::new("us.signal", "us", of_a_pair),
    Group::new("ud.signal", "ud", of_a_pair),
    Group::new("pipe.signal", "pipe", of_a_pipe),
    Group::new("tcp.signal", "tcp", of_a_connection),
    Group::new("tcp.connect_signal", "tcp", of_connect),
    Group::new("unl.signal", "unl", of_accept),
    Group::new("unl.connect_signal", "unl", of_unix_connect),
    Group::new("udn.signal", "udn", of_sendto),
];

const NONE: SendFlags = SendFlags::empty();

fn of_a_pair(r: &mut Recorder) -> io::Result<()> {
    let (one, _other) = blocking_pair(r.socket_type())?;
    r.interrupted("poll", "empty.poll.signal", "", || {
        let time = Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(&one, PollFlags::IN)], Some(&time))
    })?;
    r.interrupted("recv", "empty.recv_blocking.signal", "", || {
        recv(&one, 10, RecvFlags::empty())
    })?;
    r.interrupted("read", "empty.read_blocking.signal", "", || read(&one, 10))?;
    r.interrupted("recvmsg", "empty.recvmsg_blocking.signal", "", || {
        let mut buf = [0; 8];
        let bufs = &mut [IoSliceMut::new(&mut buf)];
        let mut control = RecvAncillaryBuffer::default();
        recvmsg(&one, bufs, &mut control, RecvFlags::empty())
    })?;
    let (one, _other) = pair(r.socket_type())?;
    fill(&one);
    set_nonblocking(&one, false)?;
    r.interrupted("send", "full.send_blocking.signal", "", || {
        send(&one, 1, NONE)
    })?;
    r.interrupted("write", "full.write_blocking.signal", "", || write(&one, 1))?;
    r.interrupted("sendmsg", "full.sendmsg_blocking.signal", "", || {
        let mut control = SendAncillaryBuffer::default();
        sendmsg(&one, &[IoSlice::new(data(1))], &mut control, NONE)
    })?;
    Ok(())
}

fn of_a_pipe(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = crate::pipe::pipe()?;
    set_nonblocking(&reader, false)?;
    r.interrupted("read", "empty.read_blocking.signal", "", || {
        read(&reader, 10)
    })?;
    fill_by_write(&writer);
    set_nonblocking(&writer, false)?;
    r.interrupted("write", "full.write_blocking.signal", "", || {
        write(&writer, 1)
    })?;
    // Of what was written before the signal came there is an answer, and no error.
    read(&reader, 8192)?;
    r.interrupted("write", "full-8192.write_1M_blocking.signal", "", || {
        write(&writer, 1 << 20)
    })?;
    Ok(())
}

fn of_a_connection(r: &mut Recorder) -> io::Result<()> {
    let (listener, _address) = listener(8)?;
    r.interrupted("accept", "listen.accept_blocking.signal", "", || {
        accept(&listener)
    })?;
    let (client, _server) = connection()?;
    fill_connection(&client);
    set_nonblocking(&client, false)?;
    r.interrupted("recv", "est.recv_blocking.signal", "", || {
        recv(&client, 10, RecvFlags::empty())
    })?;
    r.interrupted("send", "est.full.send_blocking.signal", "", || {
        send(&client, 1, NONE)
    })?;
    Ok(())
}

/// The attempt goes on, or it does not: what a second one says.
fn of_connect(r: &mut Recorder) -> io::Result<()> {
    let Some((_listener, _queued, address)) = full_listener()? else {
        return Ok(());
    };
    let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let state = "full.connect_blocking.signal.poll";
    r.interrupted("connect", "full.connect_blocking.signal", state, || {
        connect(&client, &address)
    })?;
    r.poll(state, &client);
    set_nonblocking(&client, true)?;
    let again = "full.connect_blocking.signal.again";
    r.connect(again, state, &client, &address);
    r.so_error("full.connect_blocking.signal.soerror", &client)?;
    Ok(())
}

fn of_accept(r: &mut Recorder) -> io::Result<()> {
    let (listener, _address) = unix_listener("s", 4)?;
    r.interrupted("accept", "empty.accept_blocking.signal", "", || {
        accept(&listener)
    })?;
    Ok(())
}

/// The same where a full backlog makes a blocking connect sleep; elsewhere it is refused,
/// and no signal has anything to end.
fn of_unix_connect(r: &mut Recorder) -> io::Result<()> {
    let (_listener, address) = unix_listener("c", 0)?;
    let mut queued = Vec::new();
    while queued.len() < 64 {
        let client = unix()?;
        if connect(&client, &address).is_err() {
            break;
        }
        queued.push(client);
    }
    let client = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    let state = "full.connect_blocking.signal.poll";
    r.interrupted("connect", "full.connect_blocking.signal", state, || {
        connect(&client, &address)
    })?;
    r.poll(state, &client);
    set_nonblocking(&client, true)?;
    let again = "full.connect_blocking.signal.again";
    r.connect(again, state, &client, &address);
    r.so_error("full.connect_blocking.signal.soerror", &client)?;
    Ok(())
}

fn of_sendto(r: &mut Recorder) -> io::Result<()> {
    let datagrams = || socket(AddressFamily::UNIX, SocketType::DGRAM, None);
    let (receiver, address) = (datagrams()?, named("s")?);
    bind(&receiver, &address)?;
    let sender = datagrams()?;
    set_nonblocking(&sender, true)?;
    all(|| sendto(&sender, data(100), NONE, &address));
    set_nonblocking(&sender, false)?;
    r.interrupted("sendto", "full.sendto_blocking.signal", "", || {
        sendto(&sender, data(100), NONE, &address)
    })?;
    Ok(())
}
