//! On a pseudo-terminal.

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use programs::serial::{Device, Lines};
use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use serialport::{SerialPort, TTYPort};
use wouldblock::{AsFd, BorrowedFd, Deadline, Io, until};

use crate::common::{DEADLINE, IDLE, assert_same, idle, pattern};

fn deadline() -> Deadline {
    Deadline::after(DEADLINE)
}

fn line() -> (Device, Lines, String) {
    let (master, slave) = TTYPort::pair().unwrap();
    let name = slave.name().unwrap();
    (
        Device::new(master).unwrap(),
        Lines::new(slave).unwrap(),
        name,
    )
}

fn reopened(name: &str) -> Lines {
    Lines::new(
        serialport::new(name, 0)
            .exclusive(false)
            .open_native()
            .unwrap(),
    )
    .unwrap()
}

#[track_caller]
fn times_out<T: std::fmt::Debug>(result: std::io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn line_in_pieces_survives_every_deadline_in_between() {
    let (device, mut lines, _) = line();
    for piece in [&b"$GP"[..], b"GGA,1", b"2\r"] {
        device.write(&mut &*piece, deadline()).unwrap();
        times_out(idle(|| lines.read(Deadline::after(IDLE / 4))));
    }
    device.write(&mut &b"\nnext\nand"[..], deadline()).unwrap();
    assert_eq!(lines.read(deadline()).unwrap().unwrap(), b"$GPGGA,12\r\n");
    assert_eq!(lines.read(deadline()).unwrap().unwrap(), b"next\n");
    times_out(lines.read(Deadline::after(Duration::ZERO)));
}

#[test]
fn lines_of_a_megabyte_both_ways_arrive() {
    let (mut device, mut lines, _) = line();
    // Raw, so that any byte goes; some are ends of lines.
    let (there, back) = (
        pattern(1, 1 << 20),
        [pattern(2, 1 << 20), b"\n".to_vec()].concat(),
    );
    thread::scope(|scope| {
        let device = scope.spawn(|| {
            let mut came = vec![0; there.len()];
            let mut n = 0;
            while n < came.len() {
                n += device.read(&mut came[n..], deadline()).unwrap();
            }
            assert_same(&came, &there);
            device.write(&mut &back[..], deadline()).unwrap();
            // Its end is a hang-up, which loses what has not been read.
            device
        });
        // First more than there is room for, and nobody reads: what is left is told.
        lines.write(&mut &there[..], deadline()).unwrap();
        let mut came = Vec::new();
        while came.len() < back.len() {
            came.extend(lines.read(deadline()).unwrap().unwrap());
        }
        assert_same(&came, &back);
        drop(device.join().unwrap());
    });
    assert_eq!(lines.read(deadline()).unwrap(), None);
}

#[test]
fn write_that_nobody_reads_ends_on_time_and_goes_on() {
    let (mut device, lines, _) = line();
    let bytes = pattern(3, 256 * 1024);
    let mut rest = &bytes[..];
    times_out(idle(|| lines.write(&mut rest, Deadline::after(IDLE))));
    assert!(!rest.is_empty() && rest.len() < bytes.len());
    thread::scope(|scope| {
        scope.spawn(|| lines.write(&mut rest, deadline()).unwrap());
        let mut came = vec![0; bytes.len()];
        let mut n = 0;
        while n < came.len() {
            n += device.read(&mut came[n..], deadline()).unwrap();
        }
        assert_same(&came, &bytes);
    });
}

#[test]
fn hang_up_of_the_device_ends_the_lines() {
    let (device, mut lines, _) = line();
    device.write(&mut &b"last\nhalf"[..], deadline()).unwrap();
    assert_eq!(lines.read(deadline()).unwrap().unwrap(), b"last\n");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(IDLE);
            drop(device);
        });
        let end = idle(|| lines.read(deadline())).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
    });
    assert_eq!(lines.read(deadline()).unwrap(), None);
    let error = lines.write(&mut &b"too late"[..], deadline()).unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::IO.raw_os_error())
    );
}

#[test]
fn device_that_nobody_has_open_waits_without_spinning_for_who_opens_it() {
    let (mut device, lines, name) = line();
    let mut buf = [0; 16];
    drop(lines);
    times_out(idle(|| device.read(&mut buf, Deadline::after(IDLE))));
    assert!(device.reads < 60, "{} reads for nothing", device.reads);

    let start = Instant::now();
    thread::scope(|scope| {
        let opened = scope.spawn(|| {
            thread::sleep(IDLE);
            let lines = reopened(&name);
            lines.write(&mut &b"hello\n"[..], deadline()).unwrap();
            lines
        });
        let n = idle(|| device.read(&mut buf, deadline())).unwrap();
        assert_eq!(&buf[..n], b"hello\n");
        assert!(start.elapsed() >= IDLE);
        device.write(&mut &b"welcome\n"[..], deadline()).unwrap();
        let mut lines = opened.join().unwrap();
        assert_eq!(lines.read(deadline()).unwrap().unwrap(), b"welcome\n");
    });
}

/// What VMIN is to a non-blocking read, and why [`Lines`] wants 1.
#[test]
fn vmin_decides_what_poll_reports_and_what_nothing_looks_like() {
    let set = |fd: BorrowedFd<'_>, least: u8| {
        let mut settings = tcgetattr(fd).unwrap();
        settings.special_codes[SpecialCodeIndex::VMIN] = least;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(fd, OptionalActions::Now, &settings).unwrap();
    };
    let (device, lines, _) = line();
    let slave = lines.as_fd();
    let mut buf = [0; 16];

    // One: nothing is nothing.
    set(slave, 1);
    let start = Instant::now();
    assert_eq!(idle(|| until(slave, IDLE).read(&mut buf)), Io::WouldBlock);
    assert!(start.elapsed() >= IDLE);

    // Five: three are not announced, and come with the last call at the deadline.
    set(slave, 5);
    device.write(&mut &b"abc"[..], deadline()).unwrap();
    let ready = until(slave, Duration::ZERO).ready(wouldblock::Interest::READABLE);
    assert!(ready.is_would_block());
    assert_eq!(until(slave, IDLE).read(&mut buf), Io::Ready(3));

    // None: nothing is 0, at once, as the end is.
    set(slave, 0);
    let start = Instant::now();
    assert_eq!(until(slave, DEADLINE).read(&mut buf), Io::Ready(0));
    assert!(start.elapsed() < DEADLINE);
}
