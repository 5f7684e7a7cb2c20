//! Anonymous pipes.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::PollFlags;
use rustix::net::RecvFlags;

use crate::calls::{fill_by_write, read, recv, set_nonblocking, write};
use crate::recorder::Recorder;
use crate::{Group, system};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("pipe.modes", "pipe", modes),
    Group::new("pipe.empty", "pipe", empty),
    Group::new("pipe.full", "pipe", full),
    Group::new("pipe.atomic", "pipe", atomic),
    Group::new("pipe.big", "pipe", big),
    Group::new("pipe.writer_closed", "pipe", writer_closed),
    Group::new("pipe.reader_closed", "pipe", reader_closed),
    Group::new("pipe.nosigpipe", "pipe", system::pipe_without_sigpipe),
    Group::new("kqueue", "kqueue", system::kqueue),
];

pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    set_nonblocking(&reader, true)?;
    set_nonblocking(&writer, true)?;
    Ok((reader, writer))
}

fn modes(r: &mut Recorder) -> io::Result<()> {
    if let Some((reader, writer)) = system::nonblocking_pipe(r) {
        r.mode("pipe2.getfl.r", &[&reader])?;
        r.mode("pipe2.getfl.w", &[&writer])?;
    }
    let (reader, writer) = rustix::pipe::pipe()?;
    set_nonblocking(&reader, true)?;
    r.mode("setfl_r.getfl_w", &[&writer])?;
    Ok(())
}

fn empty(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = pipe()?;
    r.read("empty.read", "empty.poll_r", &reader, 10);
    r.read("empty.read0", "empty.poll_r", &reader, 0);
    r.poll("empty.poll_r", &reader);
    r.poll("empty.poll_w", &writer);
    // A pipe of two directions sleeps here.
    r.may_sleep("read", "read_on_w", "", || read(&writer, 1));
    r.write("write_on_r", "", &reader, 1);
    r.call("recv", "recv", "", || recv(&reader, 1, RecvFlags::empty()));
    Ok(())
}

fn full(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = pipe()?;
    r.until_it_fails("write", "fill4096", "", || write(&writer, 4096));
    r.until_it_fails("write", "full.fill1", "full.poll_w", || write(&writer, 1));
    r.write("full.write0", "full.poll_w", &writer, 0);
    r.poll("full.poll_w", &writer);
    r.poll("full.poll_r", &reader);
    r.read("full.read1", "", &reader, 1);
    r.poll("full-1.poll_w", &writer);
    r.write("full-1.write1", "full-1.poll_w", &writer, 1);
    r.read("full.read100", "", &reader, 100);
    r.poll("full-101.poll_w", &writer);
    r.write("full-101.write512", "full-101.poll_w", &writer, 512);
    r.write("full-101.write5000", "", &writer, 5000);
    r.read("full.read4096", "", &reader, 4096);
    r.poll("full-4096.poll_w", &writer);
    r.write("full-4096.write8192", "full-4096.poll_w", &writer, 8192);
    Ok(())
}

/// Where poll says that there is room, what has to be written whole must fit.
fn atomic(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = pipe()?;
    fill_by_write(&writer);
    read(&reader, 511)?;
    r.poll("full-511.poll_w", &writer);
    r.write("full-511.write512", "full-511.poll_w", &writer, 512);
    read(&reader, 1)?;
    r.poll("full-512.poll_w", &writer);
    r.write("full-512.write512", "full-512.poll_w", &writer, 512);
    Ok(())
}

fn big(r: &mut Recorder) -> io::Result<()> {
    let (_reader, writer) = pipe()?;
    r.write("big_write_1M", "", &writer, 1 << 20);
    Ok(())
}

fn writer_closed(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = pipe()?;
    write(&writer, 3)?;
    drop(writer);
    r.poll("wclosed.data.poll_r", &reader);
    r.read("wclosed.data.read", "wclosed.data.poll_r", &reader, 10);
    r.poll("wclosed.empty.poll_r", &reader);
    r.poll_for("wclosed.empty.poll_r_ev0", &reader, PollFlags::empty());
    r.read("wclosed.empty.read", "wclosed.empty.poll_r", &reader, 10);
    Ok(())
}

fn reader_closed(r: &mut Recorder) -> io::Result<()> {
    let (reader, writer) = pipe()?;
    drop(reader);
    r.poll("rclosed.poll_w", &writer);
    r.poll_for("rclosed.poll_w_out", &writer, PollFlags::OUT);
    r.poll_for("rclosed.poll_w_in", &writer, PollFlags::IN);
    r.poll_for("rclosed.poll_w_ev0", &writer, PollFlags::empty());
    r.write("rclosed.write", "rclosed.poll_w", &writer, 1);
    r.write("rclosed.write0", "rclosed.poll_w", &writer, 0);

    let (reader, writer) = pipe()?;
    fill_by_write(&writer);
    drop(reader);
    r.poll("full.rclosed.poll_w", &writer);
    r.poll_for("full.rclosed.poll_w_out", &writer, PollFlags::OUT);
    r.write("full.rclosed.write", "full.rclosed.poll_w", &writer, 1);
    Ok(())
}
