//! `AF_UNIX` stream sockets by name: listening, connecting, accepting.

use std::io;

use rustix::net::{
    AddressFamily, Shutdown, SocketType, accept, acceptfrom, bind, connect, listen, shutdown,
    socket,
};

use crate::calls::{nonblocking, set_nonblocking};
use crate::recorder::Recorder;
use crate::sockets::{named, unix, unix_listener};
use crate::{Group, system};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("unl.backlog", "unl", backlog),
    Group::new("unl.listener_closed", "unl", listener_closed),
    Group::new("unl.inherits", "unl", inherits),
    Group::new("unl.listener", "unl", listener),
    Group::new("unl.nobody", "unl", nobody),
    Group::new("unl.accept_from", "unl", accept_from),
];

fn backlog(r: &mut Recorder) -> io::Result<()> {
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    let address = named("l")?;
    r.setup("bind", || bind(&listener, &address));
    r.connect("not_listening.connect", "", unix()?, &address);
    let fresh = unix()?;
    r.poll("fresh.poll", &fresh);
    r.recv("fresh.recv", "fresh.poll", &fresh, 1);
    r.send("fresh.send", "fresh.poll", &fresh, 1);
    drop(fresh);

    set_nonblocking(&listener, true)?;
    listen(&listener, 1)?;
    r.accept("empty.accept", "empty.poll", &listener);
    r.poll("empty.poll", &listener);
    let mut clients = Vec::new();
    for n in 0..6 {
        let client = unix()?;
        let state = if n == 5 { "backlog_refused.poll" } else { "" };
        let scenario = format!("backlog1.connect{n}");
        r.connect(&scenario, state, &client, &address);
        clients.push(client);
    }
    r.poll("pending.poll", &listener);
    let (first, last) = (&clients[0], &clients[5]);
    r.poll("connected_unaccepted.poll", first);
    let state = "connected_unaccepted.poll";
    r.send("connected_unaccepted.send", state, first, 1);
    let refused = "backlog_refused.poll";
    r.poll(refused, last);
    r.so_error("backlog_refused.soerror", last)?;
    r.connect("backlog_refused.connect_again", refused, last, &address);
    if let Some(accepted) = r.accept("accept", "pending.poll", &listener) {
        r.mode("accept.inherits_nonblock", &[&accepted])?;
    }
    r.connect("backlog_refused.connect_after_accept", "", last, &address);
    Ok(())
}

fn listener_closed(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = unix_listener("l4", 4)?;
    let client = unix()?;
    connect(&client, &address)?;
    drop(listener);
    let state = "listener_closed.poll1";
    r.poll(state, &client);
    r.recv("listener_closed.recv1", state, &client, 10);
    r.send("listener_closed.send1", state, &client, 1);
    Ok(())
}

/// What an accepted socket takes over from its listener.
fn inherits(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = unix_listener("n", 4)?;
    let asked = system::set_no_sigpipe(&listener);
    set_nonblocking(&listener, true)?;
    let client = unix()?;
    connect(&client, &address)?;
    let accepted = accept(&listener)?;
    if asked.is_some() {
        let on = system::no_sigpipe(&accepted)?;
        let note = format!("nosigpipe={on}");
        r.note("mode", "accept.inherits_nosigpipe", &note);
        drop(client);
        r.send("accept_nosigpipe.peer_closed.send", "", &accepted, 1);
    }
    set_nonblocking(&listener, false)?;
    let client = unix()?;
    connect(&client, &address)?;
    let on = u8::from(nonblocking(accept(&listener)?)?);
    let note = format!("nb={on}");
    r.note("mode", "accept_blocking.inherits_nonblock", &note);
    Ok(())
}

fn listener(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = unix_listener("x", 4)?;
    set_nonblocking(&listener, true)?;
    r.poll("listen.poll", &listener);
    r.recv("listen.recv", "listen.poll", &listener, 1);
    r.send("listen.send", "listen.poll", &listener, 1);
    let client = unix()?;
    connect(&client, &address)?;
    let accepted = accept(&listener)?;
    drop(client);
    if let Some(set) = system::set_no_sigpipe(&accepted) {
        r.setup("accepted_peer_closed.set_so_nosigpipe", || set);
    }
    r.setup("listen.shutdown", || shutdown(&listener, Shutdown::Both));
    r.poll("listen_shut.poll", &listener);
    r.accept("listen_shut.accept", "listen_shut.poll", &listener);
    Ok(())
}

fn nobody(r: &mut Recorder) -> io::Result<()> {
    let (client, address) = (unix()?, named("nobody")?);
    let state = "no_such_name.poll";
    r.connect("no_such_name.connect", "", &client, &address);
    r.poll(state, &client);
    r.connect("no_such_name.connect_again", state, &client, &address);
    Ok(())
}

fn accept_from(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = unix_listener("f", 4)?;
    set_nonblocking(&listener, true)?;
    let client = unix()?;
    connect(&client, &address)?;
    r.noted(
        "accept",
        "accept_from_unnamed",
        "",
        || acceptfrom(&listener),
        |(_, from)| {
            format!(
                "addrlen={}",
                from.as_ref().map_or(0, |from| from.addr_len())
            )
        },
    );
    let client = unix()?;
    connect(&client, &address)?;
    drop(client);
    let state = "closed_before_accept.poll";
    r.poll(state, &listener);
    if let Some(accepted) = r.accept("closed_before_accept.accept", state, &listener) {
        r.recv("closed_before_accept.recv", "", &accepted, 1);
    }
    Ok(())
}
