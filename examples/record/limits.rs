//! No descriptor is left.

use std::io;

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, accept, connect};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Group;
use crate::calls::{set_nonblocking, settle};
use crate::recorder::Recorder;
use crate::sockets::{listener, start, tcp, unix, unix_listener, wait_for};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("tcp.emfile", "tcp", emfile),
    Group::new("tcp.emfile.lost", "tcp", lost),
    Group::new("unl.emfile", "unl", unix_emfile),
];

/// Runs `body` with no descriptor left.
fn without_descriptors<T>(body: impl FnOnce() -> T) -> io::Result<T> {
    let limit = getrlimit(Resource::Nofile);
    let mut low = limit;
    low.current = Some(64);
    setrlimit(Resource::Nofile, low)?;
    let mut hoard = Vec::new();
    while let Ok(one) = rustix::io::dup(io::stderr()) {
        hoard.push(one);
    }
    let result = body();
    drop(hoard);
    setrlimit(Resource::Nofile, limit)?;
    Ok(result)
}

fn emfile(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = listener(10)?;
    set_nonblocking(&listener, true)?;
    let client = tcp()?;
    start(&client, &address)?;
    wait_for(&listener, PollFlags::IN)?;
    without_descriptors(|| {
        r.poll("emfile.poll", &listener);
        r.accept("emfile.accept", "emfile.poll", &listener);
        r.poll("emfile.after.poll", &listener);
        r.call("setup", "emfile.socket", "", || {
            rustix::net::socket(
                rustix::net::AddressFamily::INET,
                rustix::net::SocketType::STREAM,
                None,
            )
        });
    })?;
    r.setup_towards("emfile.over.accept", "emfile.after.poll", "IN", || {
        accept(&listener).map(drop)
    });
    Ok(())
}

/// Whether the one that could not be accepted is still there.
fn lost(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = listener(8)?;
    set_nonblocking(&listener, true)?;
    let client = tcp()?;
    start(&client, &address)?;
    wait_for(&listener, PollFlags::IN)?;
    // The row of this call is in the group above.
    without_descriptors(|| accept(&listener).map(drop).unwrap_or_default())?;
    settle();
    r.poll("emfile.poll_after", &listener);
    r.accept("emfile.accept_after", "emfile.poll_after", &listener);
    r.poll("emfile.client_poll", &client);
    let state = "emfile.client_poll";
    r.recv_with("emfile.client_recv", state, &client, 1, RecvFlags::empty());
    Ok(())
}

fn unix_emfile(r: &mut Recorder) -> io::Result<()> {
    let (listener, address) = unix_listener("e", 4)?;
    set_nonblocking(&listener, true)?;
    let client = unix()?;
    connect(&client, &address)?;
    without_descriptors(|| {
        r.poll("emfile.poll", &listener);
        r.accept("emfile.accept", "emfile.poll", &listener);
    })?;
    r.poll("emfile.poll_after", &listener);
    r.accept("emfile.accept_after", "emfile.poll_after", &listener);
    Ok(())
}
