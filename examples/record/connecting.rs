//! TCP connections that begin, or do not: over loopback.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::net::{
    AddressFamily, RecvFlags, Shutdown, SocketType, accept, acceptfrom, bind, connect, listen,
    shutdown, socket,
};

use crate::calls::{recv, set_nonblocking, settle};
use crate::recorder::Recorder;
use crate::sockets::{
    self, full_listener, is_connecting, listener, nobody, reset, says, start, tcp, wait_for,
};
use crate::{Group, lacking, system};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("tcp.listen", "tcp", listening),
    Group::new("tcp.inherits", "tcp", inherits),
    Group::new("tcp.connecting", "tcp", connecting),
    Group::new("tcp.connecting_blocking", "tcp", connecting_blocking),
    Group::new("tcp.backlog", "tcp", backlog),
    Group::new("tcp.refused", "tcp", refused),
    Group::new("tcp.listen_shut", "tcp", listen_shut),
    Group::new("tcp.accept_from", "tcp", accept_from),
    Group::new("tcp.accept_late", "tcp", accept_late).slow(),
    Group::new("tcp.noport", "tcp", noport),
    Group::new("tcp6", "tcp6", six),
];

fn listening(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = listener(8)?;
    set_nonblocking(&listener, true)?;
    let shown = if address.port() == 0 { "0" } else { "ok" };
    r.note("setup", "listen", format_args!("port={shown}"));
    r.accept("listen.empty.accept", "listen.empty.poll", &listener);
    r.poll("listen.empty.poll", &listener);
    r.recv("listen.recv", "", &listener, 1);
    r.send("listen.send", "", &listener, 1);
    let fresh = tcp()?;
    r.poll("fresh.poll", &fresh);
    r.recv("fresh.recv", "fresh.poll", &fresh, 1);
    r.send("fresh.send", "fresh.poll", &fresh, 1);
    drop(fresh);

    let client = tcp()?;
    r.connect("connect_nb", "", &client, &address);
    r.connect("connect_nb.again", "", &client, &address);
    settle();
    r.poll("connect_nb.poll", &client);
    r.so_error("connect_nb.soerror", &client)?;
    r.connect("connect_nb.third", "connect_nb.poll", &client, &address);
    r.poll("listen.pending.poll", &listener);
    let accepted = r.accept("listen_nb.accept", "listen.pending.poll", &listener);
    if let Some(accepted) = accepted {
        r.mode("accept.inherits_nonblock", &[&accepted])?;
    }
    let client = tcp()?;
    start(&client, &address)?;
    wait_for(&listener, PollFlags::IN)?;
    system::accept4(r, &listener)?;
    drop(client);

    let client = tcp()?;
    start(&client, &address)?;
    settle();
    reset(client)?;
    let state = "rst_before_accept.poll";
    r.poll(state, &listener);
    if let Some(accepted) = r.accept("rst_before_accept.accept", state, &listener) {
        r.recv("rst_before_accept.recv", "", &accepted, 10);
    }
    Ok(())
}

/// What a socket takes over from a blocking listener.
fn inherits(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = listener(8)?;
    let asked = system::set_no_sigpipe(&listener);
    let client = tcp()?;
    start(&client, &address)?;
    wait_for(&listener, PollFlags::IN)?;
    let accepted = accept(&listener)?;
    r.mode("accept_blocking.inherits_nonblock", &[&accepted])?;
    if asked.is_some() {
        let on = system::no_sigpipe(&accepted)?;
        let note = format!("nosigpipe={on}");
        r.note("mode", "accept.inherits_nosigpipe", &note);
        set_nonblocking(&accepted, true)?;
        reset(client)?;
        let _ = recv(&accepted, 1, RecvFlags::empty());
        r.send("accept_nosigpipe.peer_rst.send", "", &accepted, 1);
    }
    Ok(())
}

/// A connect that is under way, because the listener takes nobody for now.
fn connecting(r: &mut Recorder) -> io::Result<()> {
    let Some((listener, _queued, address)) = full_listener()? else {
        return Ok(());
    };
    let client = tcp()?;
    start(&client, &address)?;
    if !is_connecting(&client)? {
        return Ok(());
    }
    let state = "connecting.poll";
    r.poll(state, &client);
    r.recv("connecting.recv", state, &client, 1);
    r.recv("connecting.recv0", state, &client, 0);
    r.read("connecting.read", state, &client, 1);
    r.recv_with("connecting.peek", state, &client, 1, RecvFlags::PEEK);
    r.connect("connecting.connect", state, &client, &address);
    r.so_error("connecting.soerror", &client)?;
    r.send("connecting.send", state, &client, 1);
    r.write("connecting.write", state, &client, 1);
    r.poll("connecting.poll_after_send", &client);
    // Room for the next attempt of the client's system.
    while says(&listener, PollFlags::IN)? {
        accept(&listener)?;
    }
    if wait_for(&client, PollFlags::OUT).is_ok() {
        r.poll("connecting.done.poll", &client);
    }
    Ok(())
}

fn connecting_blocking(r: &mut Recorder) -> io::Result<()> {
    let Some((_listener, _queued, address)) = full_listener()? else {
        return Ok(());
    };
    let client = tcp()?;
    start(&client, &address)?;
    set_nonblocking(&client, false)?;
    if is_connecting(&client)? {
        r.may_sleep("connect", "connecting.connect_blocking_fd", "", || {
            connect(&client, &address)
        });
    }
    Ok(())
}

fn backlog(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = listener(1)?;
    set_nonblocking(&listener, true)?;
    let mut clients = Vec::new();
    for n in 0..6 {
        let client = tcp()?;
        r.connect(&format!("backlog1.connect{n}"), "", &client, &address);
        clients.push(client);
    }
    settle();
    for (n, client) in clients.iter().enumerate() {
        r.poll(&format!("backlog1.poll{n}"), client);
    }
    drop(listener);
    settle();
    let state = "listener_closed_pending.poll0";
    r.poll(state, &clients[0]);
    r.recv("listener_closed_pending.recv0", state, &clients[0], 10);
    r.recv("listener_closed_pending.recv0b", "", &clients[0], 10);
    Ok(())
}

fn refused(r: &mut Recorder) -> io::Result<()> {
    let address = nobody(SocketType::STREAM)?;
    let client = tcp()?;
    r.connect("refused.connect_nb", "", &client, &address);
    settle();
    r.poll("refused.poll", &client);
    r.poll_for("refused.poll_out", &client, PollFlags::OUT);
    r.poll("refused.poll2", &client);
    r.so_error("refused.soerror", &client)?;
    r.so_error("refused.soerror2", &client)?;
    r.poll("refused.poll3", &client);
    r.recv("refused.recv", "refused.poll3", &client, 10);
    r.send("refused.send", "refused.poll3", &client, 1);
    r.connect("refused.connect2", "", &client, &address);

    let again = || -> io::Result<_> {
        let (address, client) = (nobody(SocketType::STREAM)?, tcp()?);
        // On some systems it is refused before connect returns.
        let _ = connect(&client, &address);
        settle();
        Ok((client, address))
    };
    let (client, _) = again()?;
    r.recv("refused.recv_first", "refused.poll", &client, 10);
    r.recv("refused.recv_second", "", &client, 10);
    let (client, _) = again()?;
    r.send("refused.send_first", "refused.poll", &client, 1);
    r.send("refused.send_second", "", &client, 1);
    let (client, address) = again()?;
    r.connect("refused.connect_first", "refused.poll", &client, &address);
    Ok(())
}

fn listen_shut(r: &mut Recorder) -> io::Result<()> {
    let (one, _) = listener(8)?;
    set_nonblocking(&one, true)?;
    r.setup("listen.shutdown", || shutdown(&one, Shutdown::Both));
    r.poll("listen_shut.poll", &one);
    r.accept("listen_shut.accept", "listen_shut.poll", &one);
    let (one, _) = listener(8)?;
    let _ = shutdown(&one, Shutdown::Both);
    r.may_sleep("accept", "listen_shut.accept_blocking", "", || accept(&one));
    Ok(())
}

fn accept_from(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = listener(8)?;
    set_nonblocking(&listener, true)?;
    let client = tcp()?;
    start(&client, &address)?;
    wait_for(&listener, PollFlags::IN)?;
    accept_with_address(r, "accept_from", &listener, "");
    reset_in_the_queue(&listener, &address)?;
    accept_with_address(r, "rst_before_accept.accept_from", &listener, "");
    Ok(())
}

/// Long after the reset.
fn accept_late(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = listener(8)?;
    set_nonblocking(&listener, true)?;
    reset_in_the_queue(&listener, &address)?;
    thread::sleep(Duration::from_secs(120));
    let (scenario, note) = (
        "rst_before_accept_120s.accept_from",
        ", 120 s after the reset",
    );
    accept_with_address(r, scenario, &listener, note);
    Ok(())
}

fn reset_in_the_queue(listener: &OwnedFd, address: &SocketAddr) -> io::Result<()> {
    let client = tcp()?;
    start(&client, address)?;
    wait_for(listener, PollFlags::IN)?;
    reset(client)
}

fn accept_with_address(r: &mut Recorder, scenario: &str, listener: &OwnedFd, note: &str) {
    r.noted(
        "accept",
        scenario,
        "",
        || acceptfrom(listener),
        |(_, from)| {
            let length = from.as_ref().map_or(0, |from| from.addr_len());
            format!("addrlen={length}{note}")
        },
    );
}

/// `IP_LOCAL_PORT_RANGE` (Linux 6.3, include/uapi/linux/in.h): which ports the system may
/// choose for this socket. An option of this number means something else elsewhere.
fn has_one_port(fd: &OwnedFd, port: u16) -> bool {
    const LEVEL: i32 = libc::IPPROTO_IP;
    const IP_LOCAL_PORT_RANGE: i32 = 51;
    let range = i32::from_ne_bytes((u32::from(port) << 16 | u32::from(port)).to_ne_bytes());
    cfg!(target_os = "linux")
        && lacking::set_option(fd, LEVEL, IP_LOCAL_PORT_RANGE, range).is_ok()
        // gVisor takes it and forgets it.
        && lacking::option(fd, LEVEL, IP_LOCAL_PORT_RANGE) == Ok(range)
}

/// No local port is left, for a socket that may have one only.
fn noport(r: &mut Recorder) -> io::Result<()> {
    without_port(r, AddressFamily::INET, sockets::ANY)
}

fn six(r: &mut Recorder) -> io::Result<()> {
    let any = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let listener = socket(AddressFamily::INET6, SocketType::STREAM, None)?;
    bind(&listener, &any)?;
    listen(&listener, 8)?;
    let address = sockets::address(&listener)?;
    let client = sockets::new(AddressFamily::INET6, SocketType::STREAM)?;
    r.connect("connect_nb", "", &client, &address);
    without_port(r, AddressFamily::INET6, any)
}

fn without_port(r: &mut Recorder, family: AddressFamily, any: SocketAddr) -> io::Result<()> {
    let listener = socket(family, SocketType::STREAM, None)?;
    bind(&listener, &any)?;
    listen(&listener, 8)?;
    let address = sockets::address(&listener)?;
    // A port that is free, but for this one socket that has it without listening.
    let taken = socket(family, SocketType::STREAM, None)?;
    bind(&taken, &any)?;
    let port = sockets::address(&taken)?.port();
    let client = sockets::new(family, SocketType::STREAM)?;
    if has_one_port(&client, port) {
        r.poll("noport.poll", &client);
        r.connect("noport.connect", "noport.poll", &client, &address);
    }
    Ok(())
}
