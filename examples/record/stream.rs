//! TCP connections over loopback.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, SendFlags, Shutdown, shutdown};
use wouldblock::platform::HOST;

use crate::Group;
use crate::calls::{all, recv, send, set_nonblocking, settle};
use crate::recorder::Recorder;
use crate::sockets::{connection, reset};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("tcp.est", "tcp", established),
    Group::new("tcp.est.waitall", "tcp", waitall),
    Group::new("tcp.est.full", "tcp", full),
    Group::new("tcp.est.full_blocking", "tcp", full_blocking),
    Group::new("tcp.peer_fin", "tcp", peer_fin),
    Group::new("tcp.shut", "tcp", shut),
    Group::new("tcp.peer_rst", "tcp", peer_rst),
    Group::new("tcp.oob", "tcp", urgent),
    Group::new("tcp.urgent", "tcp", urgent_by_others),
    Group::new("tcp.oobinline", "tcp", urgent_inline),
];

const NONE: SendFlags = SendFlags::empty();

fn established(r: &mut Recorder) -> io::Result<()> {
    let (client, _server) = connection()?;
    let state = "est.poll";
    r.recv("est.recv", state, &client, 10);
    r.recv("est.recv0", state, &client, 0);
    r.recv_with("est.peek", state, &client, 10, RecvFlags::PEEK);
    r.read("est.read", state, &client, 10);
    r.recv_with("est.recv_oob", state, &client, 1, RecvFlags::OOB);
    r.poll(state, &client);
    r.send("est.send0", state, &client, 0);
    set_nonblocking(&client, false)?;
    let dontwait = RecvFlags::DONTWAIT;
    r.recv_with(
        "est.recv_dontwait_on_blocking",
        state,
        &client,
        10,
        dontwait,
    );
    Ok(())
}

fn waitall(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    send(&server, 5, NONE)?;
    settle();
    r.may_sleep("recv", "est.waitall_partial", "", || {
        recv(&client, 10, RecvFlags::WAITALL)
    });
    r.recv("est.waitall_partial.then_recv10", "", &client, 10);

    let (client, server) = connection()?;
    send(&server, 5, NONE)?;
    settle();
    r.may_sleep("recv", "est.waitall_partial_dontwait", "", || {
        recv(&client, 10, RecvFlags::WAITALL | RecvFlags::DONTWAIT)
    });
    Ok(())
}

/// Long enough for windows to open and to close.
fn settle_long() {
    for _ in 0..5 {
        settle();
    }
}

fn full(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    // How much fits is decided by what was read, and acknowledged, meanwhile.
    r.by_chance().send("est.send_4M", "", &client, 4 << 20);
    settle_long();
    let state = "est.full.poll";
    r.by_chance();
    for (scenario, poll_row, n) in [
        ("est.fill16k", "", 1 << 14),
        ("est.fill16k_b", "", 1 << 14),
        ("est.fill1", state, 1),
    ] {
        r.until_it_fails("send", scenario, poll_row, || send(&client, n, NONE));
        if n != 1 {
            settle_long();
        }
    }
    r.poll(state, &client);
    r.may_sleep("send", "est.full.send_dontwait", state, || {
        send(&client, 1, SendFlags::DONTWAIT)
    });
    r.write("est.full.write", state, &client, 1);
    r.send("est.full.send0", state, &client, 0);
    r.until_it_fails_for_good("recv", "est.drain", "", || {
        recv(&server, 1 << 20, RecvFlags::empty())
    });
    r.poll("est.drained.poll", &client);
    Ok(())
}

/// Fills both buffers, as far as time helps.
pub(crate) fn fill_connection(client: &OwnedFd) {
    for _ in 0..3 {
        all(|| send(client, 1 << 14, NONE));
        settle_long();
    }
    all(|| send(client, 1, NONE));
}

fn full_blocking(r: &mut Recorder) -> io::Result<()> {
    let (client, _server) = connection()?;
    fill_connection(&client);
    set_nonblocking(&client, false)?;
    let state = "est.full_blocking.poll";
    r.poll(state, &client);
    r.may_sleep("send", "est.full_blocking.send_dontwait", state, || {
        send(&client, 1, SendFlags::DONTWAIT)
    });
    Ok(())
}

fn peer_fin(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    drop(server);
    settle();
    let state = "peer_fin.poll";
    r.poll(state, &client);
    r.recv("peer_fin.recv", state, &client, 10);
    r.poll_for("peer_fin.poll_ev0", &client, PollFlags::empty());
    r.send("peer_fin.send", state, &client, 1);
    settle();
    r.poll("peer_fin.rst.poll", &client);
    r.send("peer_fin.rst.send", "peer_fin.rst.poll", &client, 1);
    r.send("peer_fin.rst.send2", "", &client, 1);
    r.recv("peer_fin.rst.recv", "", &client, 10);
    r.so_error("peer_fin.rst.soerror", &client)?;
    Ok(())
}

fn shut(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    shutdown(&client, Shutdown::Write)?;
    settle();
    let own = "shut_wr.own_poll";
    r.poll(own, &client);
    r.poll_for("shut_wr.own_poll_in", &client, PollFlags::IN);
    r.poll_for("shut_wr.own_poll_out", &client, PollFlags::OUT);
    r.recv("shut_wr.own_recv_in", "shut_wr.own_poll_in", &client, 10);
    r.send("shut_wr.own_send", own, &client, 1);
    if HOST.msg_nosignal != 0 {
        let nosignal = SendFlags::from_bits_retain(HOST.msg_nosignal);
        r.send_with("shut_wr.own_send_nosignal", own, &client, 1, nosignal);
    }
    r.recv("shut_wr.own_recv", own, &client, 10);
    r.poll("shut_wr.peer_poll", &server);
    r.poll_for("shut_wr.peer_poll_out", &server, PollFlags::OUT);
    r.recv("shut_wr.peer_recv", "shut_wr.peer_poll", &server, 10);
    shutdown(&server, Shutdown::Write)?;
    settle();
    r.poll("both_shut_wr.poll_c", &client);
    r.poll("both_shut_wr.poll_s", &server);

    let (client, server) = connection()?;
    shutdown(&client, Shutdown::Read)?;
    settle();
    r.recv("shut_rd.own_recv", "shut_rd.own_poll", &client, 10);
    r.poll("shut_rd.own_poll", &client);
    send(&server, 4, NONE)?;
    settle();
    r.recv("shut_rd.own_recv_after_peer_send", "", &client, 10);
    Ok(())
}

fn peer_rst(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    reset(server)?;
    let state = "peer_rst.poll";
    r.poll(state, &client);
    r.poll_for("peer_rst.poll_ev0", &client, PollFlags::empty());
    r.recv("peer_rst.recv", state, &client, 10);
    r.recv("peer_rst.recv2", "", &client, 10);
    r.send("peer_rst.send", "", &client, 1);
    r.poll("peer_rst.poll2", &client);

    let (client, server) = connection()?;
    reset(server)?;
    r.send("peer_rst_b.send", "", &client, 1);
    r.send("peer_rst_b.send2", "", &client, 1);
    r.recv("peer_rst_b.recv", "", &client, 10);
    Ok(())
}

const ALL: PollFlags = PollFlags::IN.union(PollFlags::PRI).union(PollFlags::OUT);

/// One urgent byte.
fn urgent(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    r.poll_for("oob.none.poll_in_pri", &client, ALL);
    send(&server, 1, SendFlags::OOB)?;
    settle();
    r.poll_for("oob.pending.poll_in_pri", &client, ALL);
    r.poll("oob.pending.poll", &client);
    r.recv("oob.pending.recv", "oob.pending.poll", &client, 10);
    r.recv_with("oob.pending.recv_oob", "", &client, 1, RecvFlags::OOB);
    r.recv_with("oob.read.recv_oob_again", "", &client, 1, RecvFlags::OOB);
    Ok(())
}

/// The same in another order, as two of the records have it.
fn urgent_by_others(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    r.send_with("urgent.send", "", &client, 1, SendFlags::OOB);
    settle();
    r.poll_for("urgent.poll_pri", &server, ALL);
    r.recv("urgent.recv", "", &server, 10);
    r.urgent("urgent.recv_oob", "", &server);
    r.poll_for("urgent.taken.poll_pri", &server, ALL);
    r.urgent("urgent.none.recv_oob", "urgent.taken.poll_pri", &server);
    Ok(())
}

/// Urgent among the rest: `SO_OOBINLINE`.
fn urgent_inline(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    rustix::net::sockopt::set_socket_oobinline(&server, true)?;
    send(&client, 2, NONE)?;
    send(&client, 1, SendFlags::OOB)?;
    settle();
    let state = "oobinline.pending.poll_in_pri";
    r.poll_for(state, &server, ALL);
    // Up to the mark, and then past it.
    r.recv("oobinline.recv", state, &server, 10);
    r.poll_for("oobinline.mark.poll_in_pri", &server, ALL);
    r.recv(
        "oobinline.mark.recv",
        "oobinline.mark.poll_in_pri",
        &server,
        10,
    );
    r.poll_for("oobinline.taken.poll_in_pri", &server, ALL);
    r.recv(
        "oobinline.taken.recv",
        "oobinline.taken.poll_in_pri",
        &server,
        10,
    );
    Ok(())
}
