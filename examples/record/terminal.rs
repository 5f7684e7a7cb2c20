//! Pseudo-terminals: a master, and the terminal behind it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, unlockpt};
use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::calls::{all, read, set_nonblocking, settle, write};
use crate::recorder::Recorder;
use crate::{Group, lacking};

pub(crate) const GROUPS: &[Group] = &[
    Group::new("pty.lines", "pty", lines),
    Group::new("pty.raw", "pty", raw),
    Group::new("pty.full", "pty", full),
    Group::new("pty.closed", "pty", closed),
    Group::new("pty.signal", "pty", signal),
];

/// Both ends, non-blocking; neither becomes the one that controls this process.
fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = lacking::terminal_name(&master)?;
    let terminal = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    set_nonblocking(&master, true)?;
    set_nonblocking(&terminal, true)?;
    Ok((master, terminal))
}

fn change(terminal: &OwnedFd, change: impl FnOnce(&mut Termios)) -> io::Result<()> {
    let mut settings = tcgetattr(terminal)?;
    change(&mut settings);
    Ok(tcsetattr(terminal, OptionalActions::Now, &settings)?)
}

/// Every byte by itself, and no echo.
fn make_raw(terminal: &OwnedFd, at_least: u8) -> io::Result<()> {
    change(terminal, |settings| {
        settings.make_raw();
        settings.special_codes[SpecialCodeIndex::VMIN] = at_least;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    })
}

fn give(master: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    rustix::io::write(master, bytes)?;
    settle();
    Ok(())
}

/// Line by line, as a terminal is when it is opened.
fn lines(r: &mut Recorder) -> io::Result<()> {
    let (master, terminal) = terminal()?;
    r.note("setup", "open", "");
    r.read("line.empty.read", "line.empty.poll", &terminal, 10);
    r.read("line.empty.read0", "line.empty.poll", &terminal, 0);
    r.poll("line.empty.poll", &terminal);
    r.read("master.empty.read", "master.empty.poll", &master, 10);
    r.poll("master.empty.poll", &master);
    r.call("recv", "line.recv", "", || {
        crate::calls::recv(&terminal, 10, rustix::net::RecvFlags::empty())
    });
    give(&master, b"abc")?;
    r.poll("line.half.poll", &terminal);
    r.read("line.half.read", "line.half.poll", &terminal, 10);
    r.poll("master.echo.poll", &master);
    r.read("master.echo.read", "master.echo.poll", &master, 10);
    give(&master, b"\n")?;
    r.poll("line.whole.poll", &terminal);
    r.read("line.whole.read", "line.whole.poll", &terminal, 10);
    // The end, which is none: more may come.
    give(&master, b"\x04")?;
    r.poll("line.end.poll", &terminal);
    r.read("line.end.read", "line.end.poll", &terminal, 10);
    r.poll("line.after_end.poll", &terminal);
    r.read("line.after_end.read", "line.after_end.poll", &terminal, 10);
    Ok(())
}

fn raw(r: &mut Recorder) -> io::Result<()> {
    let (master, terminal) = terminal()?;
    make_raw(&terminal, 1)?;
    r.poll("raw.empty.poll", &terminal);
    r.read("raw.empty.read", "raw.empty.poll", &terminal, 10);
    give(&master, b"abc")?;
    r.poll("raw.data.poll", &terminal);
    r.read("raw.data.read2", "raw.data.poll", &terminal, 2);
    r.read("raw.data.read_rest", "", &terminal, 10);
    // Fewer than it is to be woken by.
    make_raw(&terminal, 10)?;
    give(&master, b"abc")?;
    r.poll("vmin10_has3.poll", &terminal);
    r.read("vmin10_has3.read", "vmin10_has3.poll", &terminal, 10);
    // Nothing is an answer.
    make_raw(&terminal, 0)?;
    r.poll("vmin0.empty.poll", &terminal);
    r.read("vmin0.empty.read", "vmin0.empty.poll", &terminal, 10);
    Ok(())
}

fn full(r: &mut Recorder) -> io::Result<()> {
    let (master, terminal) = terminal()?;
    make_raw(&terminal, 1)?;
    r.until_it_fails_for_good("write", "out.fill1024", "", || write(&terminal, 1024));
    r.until_it_fails_for_good("write", "out.full.fill1", "out.full.poll", || {
        write(&terminal, 1)
    });
    r.poll("out.full.poll", &terminal);
    r.write("out.full.write", "out.full.poll", &terminal, 1);
    all(|| read(&master, 4096));
    settle();
    r.poll("out.drained.poll", &terminal);
    r.write("out.drained.write", "out.drained.poll", &terminal, 1);

    r.until_it_fails_for_good("write", "master.fill1024", "", || write(&master, 1024));
    r.until_it_fails_for_good("write", "master.full.fill1", "master.full.poll", || {
        write(&master, 1)
    });
    r.poll("master.full.poll", &master);
    r.write("master.full.write", "master.full.poll", &master, 1);
    all(|| read(&terminal, 4096));
    settle();
    r.poll("master.drained.poll", &master);
    r.write("master.drained.write", "master.drained.poll", &master, 1);
    Ok(())
}

fn closed(r: &mut Recorder) -> io::Result<()> {
    let (master, other) = terminal()?;
    make_raw(&other, 1)?;
    write(&other, 3)?;
    drop(other);
    settle();
    r.poll("terminal_closed.data.poll", &master);
    r.read(
        "terminal_closed.data.read",
        "terminal_closed.data.poll",
        &master,
        10,
    );
    r.poll("terminal_closed.poll", &master);
    r.read("terminal_closed.read", "terminal_closed.poll", &master, 10);
    r.write("terminal_closed.write", "terminal_closed.poll", &master, 1);

    let (master, other) = terminal()?;
    make_raw(&other, 1)?;
    give(&master, b"abc")?;
    drop(master);
    settle();
    r.poll("master_closed.poll", &other);
    r.read("master_closed.read", "master_closed.poll", &other, 10);
    r.read("master_closed.read2", "", &other, 10);
    r.write("master_closed.write", "master_closed.poll", &other, 1);
    Ok(())
}

fn signal(r: &mut Recorder) -> io::Result<()> {
    let (_master, terminal) = terminal()?;
    set_nonblocking(&terminal, false)?;
    r.interrupted("read", "line.empty.read_blocking.signal", "", || {
        read(&terminal, 10)
    })?;
    Ok(())
}
