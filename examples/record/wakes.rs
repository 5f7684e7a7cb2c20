//! A poll that sleeps, and what wakes it.

use std::io;

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, Shutdown, SocketType, connect, shutdown};

use crate::Group;
use crate::calls::{all, fill, fill_by_write, read, recv, write};
use crate::pipe::pipe;
use crate::recorder::Recorder;
use crate::sockets::{connection, listener, nobody, pair, start, tcp};
use crate::stream::fill_connection;

pub(crate) const GROUPS: &[Group] = &[
    Group::new("pipe.waits", "pipe", of_a_pipe),
    Group::new("us.waits", "us", of_a_pair),
    Group::new("ud.waits", "ud", of_a_pair),
    Group::new("tcp.waits", "tcp", of_a_connection),
];

const IN: PollFlags = PollFlags::IN;
const OUT: PollFlags = PollFlags::OUT;

fn of_a_pipe(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = pipe()?;
    r.wait("empty.poll_in_waits.writer_writes", &reader, IN, || {
        let _ = write(&writer, 1);
    });
    read(&reader, 10)?;
    r.wait(
        "empty.poll_in_waits.writer_closes",
        &reader,
        IN,
        move || drop(writer),
    );

    let (reader, writer) = pipe()?;
    fill_by_write(&writer);
    r.wait("full.poll_out_waits.reader_drains", &writer, OUT, || {
        all(|| read(&reader, 1 << 16));
    });
    fill_by_write(&writer);
    r.wait(
        "full.poll_out_waits.reader_closes",
        &writer,
        OUT,
        move || drop(reader),
    );
    Ok(())
}

fn of_a_pair(r: &mut Recorder) -> io::Result<()> {
    let new = |r: &Recorder| pair(r.socket_type());
    let (one, other) = new(r)?;
    r.wait("empty.poll_in_waits.peer_writes", &one, IN, || {
        let _ = write(&other, 1);
    });
    read(&one, 10)?;
    r.wait("empty.poll_in_waits.peer_closes", &one, IN, move || {
        drop(other)
    });

    let (one, other) = new(r)?;
    fill(&one);
    // Closing takes several steps, and the wait may end after any of them.
    r.by_chance()
        .wait("full.poll_out_waits.peer_closes", &one, OUT, move || {
            drop(other)
        });

    let (one, other) = new(r)?;
    // Not every system shuts datagrams down.
    let _ = shutdown(&other, Shutdown::Read);
    r.wait("shut_rd.peer_poll_out_waits", &one, OUT, || {});

    let (one, other) = new(r)?;
    fill(&one);
    r.wait("full.poll_out_waits.reader_drains", &one, OUT, || {
        all(|| recv(&other, 1 << 16, RecvFlags::empty()));
    });
    let (one, other) = new(r)?;
    fill(&one);
    r.wait("full.poll_out_waits.reader_reads_once", &one, OUT, || {
        let _ = recv(&other, 1 << 16, RecvFlags::empty());
    });
    Ok(())
}

fn of_a_connection(r: &mut Recorder) -> io::Result<()> {
    let (client, server) = connection()?;
    r.wait("est.poll_in_waits.peer_writes", &client, IN, || {
        let _ = write(&server, 1);
    });
    read(&client, 10)?;
    r.wait("est.poll_in_waits.peer_closes", &client, IN, move || {
        drop(server)
    });

    let (client, server) = connection()?;
    fill_connection(&client);
    r.wait(
        "est.full.poll_out_waits.reader_drains",
        &client,
        OUT,
        || {
            all(|| recv(&server, 1 << 16, RecvFlags::empty()));
        },
    );

    let (_listener, address) = listener(8)?;
    let client = tcp()?;
    start(&client, &address)?;
    r.wait("connecting.poll_out_waits", &client, OUT, || {});
    let (client, address) = (tcp()?, nobody(SocketType::STREAM)?);
    let _ = connect(&client, &address);
    r.wait("connecting_refused.poll_out_waits", &client, OUT, || {});
    Ok(())
}
