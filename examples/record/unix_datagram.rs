//! Datagrams to a named `AF_UNIX` socket, whose queue is the receiver's: `und` and `udn`;
//! and on Linux to a netlink port, where it is the same: `nl`.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::PollFlags;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, bind, connect, sendto,
};

use crate::Group;
use crate::calls::{all, data, fill, recv};
use crate::recorder::Recorder;
use crate::sockets::{named, new};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("und.life", "und", life),
    Group::new("und.wakes", "und", wakes),
    Group::new("udn.life", "udn", many),
    Group::new("udn.own_buffer", "udn", own_buffer),
    Group::new("udn.too_long", "udn", too_long),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Group::new("nl.unicast", "nl", netlink::unicast),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Group::new("nl.overrun", "nl", netlink::overrun),
];

fn datagrams() -> io::Result<OwnedFd> {
    new(AddressFamily::UNIX, SocketType::DGRAM)
}

fn receiver(name: &str) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let (fd, address) = (datagrams()?, named(name)?);
    bind(&fd, &address)?;
    Ok((fd, address))
}

fn to(fd: &OwnedFd, n: usize, address: &SocketAddrUnix) -> rustix::io::Result<usize> {
    sendto(fd, data(n), SendFlags::empty(), address)
}

fn life(r: &mut Recorder) -> io::Result<()> {
    let (receiver, address) = receiver("d")?;
    let sender = datagrams()?;
    r.poll("unconn.fresh_poll", &sender);
    r.until_it_fails("send", "unconn.fill100", "", || to(&sender, 100, &address));
    let state = "unconn.full.poll_sender";
    r.call("send", "unconn.full.sendto", state, || {
        to(&sender, 100, &address)
    });
    r.poll(state, &sender);
    r.connect("conn", "", &sender, &address);
    r.poll("conn.full.poll_sender", &sender);
    r.send("conn.full.send", "conn.full.poll_sender", &sender, 100);
    recv(&receiver, 1000, RecvFlags::empty())?;
    r.poll("conn.full-1.poll_sender", &sender);
    r.send("conn.full-1.send", "conn.full-1.poll_sender", &sender, 100);
    drop(receiver);
    r.poll("peer_closed.poll", &sender);
    r.send("peer_closed.send", "peer_closed.poll", &sender, 1);
    r.send("peer_closed.send2", "", &sender, 1);
    r.recv("peer_closed.recv", "", &sender, 10);
    let sender = datagrams()?;
    r.call("send", "sendto_dead", "", || to(&sender, 1, &address));
    Ok(())
}

/// Whether a sender that waits for room is told of it.
fn wakes(r: &mut Recorder) -> io::Result<()> {
    let (receiver, address) = receiver("w")?;
    let drain = || all(|| recv(&receiver, 2000, RecvFlags::empty()));
    let sender = datagrams()?;
    connect(&sender, &address)?;
    fill(&sender);
    let state = "conn2.full.poll_sender";
    r.poll(state, &sender);
    r.send("conn2.full.send", state, &sender, 100);
    let out = PollFlags::OUT;
    r.wait(
        "conn2.full.poll_out_waits.reader_drains",
        &sender,
        out,
        drain,
    );
    drain();
    let sender = datagrams()?;
    all(|| to(&sender, 100, &address));
    r.wait(
        "unconn.full.poll_out_waits.reader_drains",
        &sender,
        out,
        drain,
    );
    Ok(())
}

fn many(r: &mut Recorder) -> io::Result<()> {
    let address = named("m")?;
    let (receiver, sender) = (datagrams()?, datagrams()?);
    r.call("sendto", "noname.sendto", "", || to(&sender, 1, &address));
    r.setup("bind", || bind(&receiver, &address));
    r.until_it_fails("sendto", "fill100", "", || to(&sender, 100, &address));
    r.poll("full.poll_sender", &sender);
    r.call("sendto", "full.sendto", "full.poll_sender", || {
        to(&sender, 100, &address)
    });
    let other = datagrams()?;
    r.call("sendto", "full.other_sender", "", || {
        to(&other, 1, &address)
    });
    r.connect("full.connect", "", &other, &address);
    r.poll("full.connected.poll", &other);
    r.send("full.connected.send", "full.connected.poll", &other, 1);
    drop(other);
    r.poll("full.poll_receiver", &receiver);
    r.recv("full.recv", "full.poll_receiver", &receiver, 200);
    r.call("sendto", "full-1.sendto", "", || to(&sender, 100, &address));
    drop(receiver);
    r.poll("receiver_closed.poll", &sender);
    r.call(
        "sendto",
        "receiver_closed.sendto",
        "receiver_closed.poll",
        || to(&sender, 1, &address),
    );
    Ok(())
}

/// A sender whose own buffer is full before the receiver's queue is.
fn own_buffer(r: &mut Recorder) -> io::Result<()> {
    let (receiver, address) = receiver("o")?;
    let sender = datagrams()?;
    let state = "own_full.poll_sender";
    r.until_it_fails("sendto", "own_full.fill64K", "", || {
        to(&sender, 1 << 16, &address)
    });
    r.poll(state, &sender);
    r.call("sendto", "own_full.sendto", state, || {
        to(&sender, 1 << 16, &address)
    });
    let other = datagrams()?;
    r.call("sendto", "own_full.other_sender", "", || {
        to(&other, 1, &address)
    });
    // It is empty where so long a datagram is refused.
    let _ = recv(&receiver, 1 << 16, RecvFlags::empty());
    r.poll("own_full-1.poll_sender", &sender);
    r.call(
        "sendto",
        "own_full-1.sendto",
        "own_full-1.poll_sender",
        || to(&sender, 1 << 16, &address),
    );
    Ok(())
}

fn too_long(r: &mut Recorder) -> io::Result<()> {
    let (_receiver, address) = receiver("t")?;
    let sender = datagrams()?;
    r.poll("too_long.poll", &sender);
    r.call("sendto", "too_long.sendto", "too_long.poll", || {
        to(&sender, 1 << 20, &address)
    });
    r.send("noname.send", "too_long.poll", &sender, 1);
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod netlink {
    use super::{
        AddressFamily, OwnedFd, Recorder, RecvFlags, SendFlags, bind, data, io, recv, sendto,
    };
    use rustix::net::netlink::{SocketAddrNetlink, USERSOCK};
    use rustix::net::{SocketAddrAny, SocketType, getsockname, socket};

    use crate::calls::set_nonblocking;

    fn port(groups: u32) -> io::Result<(OwnedFd, SocketAddrNetlink)> {
        let fd = socket(AddressFamily::NETLINK, SocketType::DGRAM, Some(USERSOCK))?;
        set_nonblocking(&fd, true)?;
        bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        let address: SocketAddrAny = getsockname(&fd)?;
        Ok((fd, address.try_into()?))
    }

    /// From one process's port to another's.
    pub(super) fn unicast(r: &mut Recorder) -> io::Result<()> {
        let (receiver, address) = port(0)?;
        let (sender, _) = port(0)?;
        let address = SocketAddrNetlink::new(address.pid(), 0);
        let send = |n| sendto(&sender, data(n), SendFlags::empty(), &address);
        r.recv("empty.recv", "empty.poll", &receiver, 100);
        r.poll("empty.poll", &receiver);
        r.until_it_fails("sendto", "fill1024", "", || send(1024));
        r.poll("full.poll_sender", &sender);
        r.call("sendto", "full.sendto", "full.poll_sender", || send(1024));
        r.poll("full.poll_receiver", &receiver);
        r.recv("full.recv", "full.poll_receiver", &receiver, 2000);
        // It stays congested until it is empty.
        r.call("sendto", "full-1.sendto", "", || send(1024));
        crate::calls::all(|| recv(&receiver, 2000, RecvFlags::empty()));
        r.poll("drained.poll_sender", &sender);
        r.call("sendto", "drained.sendto", "drained.poll_sender", || {
            send(1024)
        });
        drop(receiver);
        r.poll("receiver_closed.poll", &sender);
        r.call(
            "sendto",
            "receiver_closed.sendto",
            "receiver_closed.poll",
            || send(1),
        );
        Ok(())
    }

    /// A receiver of multicasts that was too slow is told once.
    pub(super) fn overrun(r: &mut Recorder) -> io::Result<()> {
        let (receiver, _) = port(1)?;
        let (sender, _) = port(0)?;
        let group = SocketAddrNetlink::new(0, 1);
        for _ in 0..5000 {
            // Refused by the system itself, to which it goes as well.
            let _ = sendto(&sender, data(1024), SendFlags::empty(), &group);
        }
        r.poll("overrun.poll", &receiver);
        r.recv("overrun.recv", "overrun.poll", &receiver, 2000);
        r.poll("overrun.told.poll", &receiver);
        r.recv("overrun.told.recv", "overrun.told.poll", &receiver, 2000);
        Ok(())
    }
}
