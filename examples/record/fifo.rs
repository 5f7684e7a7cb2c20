//! Named pipes.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags, open};

use crate::Group;
use crate::calls::{all, fill_by_write, read, write};
use crate::recorder::Recorder;

pub(crate) const GROUPS: &[Group] = &[
    Group::new("fifo.life", "fifo", life),
    Group::new("fifo.reader_closed", "fifo", reader_closed),
    Group::new("fifo.waits", "fifo", waits),
    Group::new("fifo.waits_full", "fifo", waits_full),
];

const NAME: &str = "fifo";

/// By the program of that name, because not every system has the call that rustix has.
fn make() -> io::Result<()> {
    match Command::new("mkfifo").arg(NAME).status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("mkfifo failed")),
    }
}

fn end(access: OFlags) -> rustix::io::Result<OwnedFd> {
    open(
        NAME,
        access | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn both() -> io::Result<(OwnedFd, OwnedFd)> {
    make()?;
    Ok((end(OFlags::RDONLY)?, end(OFlags::WRONLY)?))
}

fn life(r: &mut Recorder) -> io::Result<()> {
    let (both, only_in, only_out) = (
        PollFlags::IN | PollFlags::OUT,
        PollFlags::IN,
        PollFlags::OUT,
    );
    make()?;
    r.note("setup", "mkfifo", "");
    r.call("setup", "open_w_nb_noreader", "", || end(OFlags::WRONLY));
    let Some(reader) = r.call("setup", "open_r_nb_nowriter", "", || end(OFlags::RDONLY)) else {
        return Ok(());
    };
    r.poll_for("nowriter_yet.poll.inout", &reader, both);
    r.poll_for("nowriter_yet.poll.in", &reader, only_in);
    r.read("nowriter_yet.read", "nowriter_yet.poll.in", &reader, 10);
    let Some(writer) = r.call("setup", "open_w_nb_reader", "", || end(OFlags::WRONLY)) else {
        return Ok(());
    };
    r.poll_for("writer.poll_r.inout", &reader, both);
    r.poll_for("writer.poll_r.in", &reader, only_in);
    r.read("writer.read", "writer.poll_r.in", &reader, 10);
    r.poll_for("writer.poll_w.inout", &writer, both);
    r.poll_for("writer.poll_w.out", &writer, only_out);
    r.until_it_fails("write", "fill1024", "", || write(&writer, 1024));
    r.poll_for("full.poll_w.inout", &writer, both);
    r.poll_for("full.poll_w.out", &writer, only_out);
    r.write("full.write1", "full.poll_w.out", &writer, 1);
    read(&reader, 1)?;
    r.poll_for("full-1.poll_w.out", &writer, only_out);
    r.write("full-1.write1", "full-1.poll_w.out", &writer, 1);
    all(|| read(&reader, 1 << 16));
    write(&writer, 3)?;
    drop(writer);
    r.poll_for("writer_closed_data.poll_r.inout", &reader, both);
    r.poll_for("writer_closed_data.poll_r.in", &reader, only_in);
    let data = "writer_closed_data.poll_r.in";
    r.read("writer_closed_data.read", data, &reader, 10);
    r.poll_for("writer_closed.poll_r.inout", &reader, both);
    r.poll_for("writer_closed.poll_r.in", &reader, only_in);
    r.read("writer_closed.read", "writer_closed.poll_r.in", &reader, 10);
    // Another may come, on the same reader.
    let Some(writer) = r.call("setup", "open_w_nb_again", "", || end(OFlags::WRONLY)) else {
        return Ok(());
    };
    r.poll_for("writer_again.poll_r.in", &reader, only_in);
    r.read("writer_again.read", "writer_again.poll_r.in", &reader, 10);
    write(&writer, 3)?;
    r.poll_for("writer_again_data.poll_r.in", &reader, only_in);
    let data = "writer_again_data.poll_r.in";
    r.read("writer_again_data.read", data, &reader, 10);
    Ok(())
}

fn reader_closed(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = both()?;
    drop(reader);
    r.poll("reader_closed.poll_w.inout", &writer);
    r.poll_for("reader_closed.poll_w.out", &writer, PollFlags::OUT);
    r.write(
        "reader_closed.write",
        "reader_closed.poll_w.out",
        &writer,
        1,
    );
    Ok(())
}

fn waits(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = both()?;
    r.wait(
        "empty.poll_in_waits.writer_writes",
        &reader,
        PollFlags::IN,
        || {
            let _ = write(&writer, 1);
        },
    );
    read(&reader, 10)?;
    r.wait(
        "empty.poll_in_waits.writer_closes",
        &reader,
        PollFlags::IN,
        move || {
            drop(writer);
        },
    );
    r.read("empty.writer_closed.read", "", &reader, 10);
    Ok(())
}

fn waits_full(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = both()?;
    fill_by_write(&writer);
    r.wait(
        "full.poll_out_waits.reader_drains",
        &writer,
        PollFlags::OUT,
        || {
            all(|| read(&reader, 1 << 16));
        },
    );
    fill_by_write(&writer);
    r.wait(
        "full.poll_out_waits.reader_closes",
        &writer,
        PollFlags::OUT,
        move || {
            drop(reader);
        },
    );
    r.write("full.reader_closed.write", "", &writer, 1);
    Ok(())
}
