//! `Read` and `Write` of a non-blocking descriptor, as std's own code uses them:
//! without a wait, and with one that ends on a deadline.

#![cfg(feature = "std")]

mod common;

use std::io::{
    self, BufRead, BufReader, BufWriter, ErrorKind, IoSlice, IoSliceMut, Read, Write, copy, sink,
};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, thread_cpu_time};
use wouldblock::{Deadline, Interest, Io, NonBlocking, pipe, until};

fn pair() -> (NonBlocking<UnixStream>, NonBlocking<UnixStream>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (
        NonBlocking::new(ours).unwrap(),
        NonBlocking::new(theirs).unwrap(),
    )
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Makes a call that has to end with `TimedOut`, and not before that.
#[track_caller]
fn times_out<T>(time: Duration, call: impl FnOnce(Deadline) -> io::Result<T>) {
    let start = Instant::now();
    let answer = call(Deadline::after(time));
    let took = start.elapsed();
    assert_eq!(
        answer.err().map(|error| error.kind()),
        Some(ErrorKind::TimedOut)
    );
    assert!((time..DEADLINE).contains(&took), "{took:?}");
}

// ---- without a wait ----

#[test]
fn read_through_std_that_would_block_has_that_kind() {
    let (ours, _theirs) = pair();
    let error = ours.std_io().read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let mut ours = ours.into_std_io();
    let error = ours.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let number = ours.get_ref().as_fd().as_raw_fd();
    assert_eq!(ours.into_inner().as_fd().as_raw_fd(), number);
}

#[test]
fn write_through_std_until_full_has_that_kind() {
    let (ours, _theirs) = pair();
    let (_reader, writer) = pipe().unwrap();
    let writer = NonBlocking::new(writer).unwrap();
    let streams: [&mut dyn Write; 2] = [&mut ours.std_io(), &mut writer.std_io()];
    for stream in streams {
        let error = loop {
            if let Err(error) = stream.write(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        stream.flush().unwrap();
    }
}

#[test]
fn buffered_readers_and_writers_work_on_top() {
    let (ours, theirs) = pair();
    let mut writer = BufWriter::new(theirs.std_io());
    writer.write_all(b"one\ntwo\n").unwrap();
    writer.flush().unwrap();
    let lines: Vec<_> = BufReader::new(ours.into_std_io())
        .lines()
        .take(2)
        .map(Result::unwrap)
        .collect();
    assert_eq!(lines, ["one", "two"]);
}

#[test]
fn vectored_forms_move_all_buffers() {
    let (ours, theirs) = pair();
    let (reader, writer) = pipe().unwrap();
    let (reader, writer) = (
        NonBlocking::new(reader).unwrap(),
        NonBlocking::new(writer).unwrap(),
    );
    let ends: [(&mut dyn Write, &mut dyn Read); 4] = [
        (&mut theirs.std_io(), &mut ours.std_io()),
        (&mut writer.std_io(), &mut reader.std_io()),
        (
            &mut theirs.until(DEADLINE).std_io(),
            &mut ours.until(DEADLINE).std_io(),
        ),
        (
            &mut writer.until(DEADLINE).std_io(),
            &mut reader.until(DEADLINE).std_io(),
        ),
    ];
    for (to, from) in ends {
        let bufs = [IoSlice::new(b"head"), IoSlice::new(b"body")];
        assert_eq!(to.write_vectored(&bufs).unwrap(), 8);
        let (mut head, mut body) = ([0; 4], [0; 8]);
        let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
        assert_eq!(from.read_vectored(&mut bufs).unwrap(), 8);
        assert_eq!((&head, &body[..4]), (b"head", &b"body"[..]));
    }
}

#[test]
fn or_timed_out_makes_an_error_of_would_block() {
    let (ours, _theirs) = pair();
    times_out(millis(3), |end| {
        ours.until(end)
            .recv(&mut [0; 8], Default::default())
            .or_timed_out()
    });
    assert_eq!(Io::Ready(7).or_timed_out().unwrap(), 7);
    let busy = Io::<()>::Err(wouldblock::Errno::AGAIN).or_timed_out();
    assert_eq!(busy.unwrap_err().kind(), ErrorKind::ResourceBusy);
}

// ---- with a wait ----

#[test]
fn reads_through_std_wait_for_what_comes() {
    let (ours, theirs) = pair();
    let mut reader = BufReader::new(ours.until(DEADLINE).std_io());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut theirs = theirs.until(DEADLINE).std_io();
            for i in 0..100 {
                writeln!(theirs, "line {i}").unwrap();
            }
            theirs.write_all(&[b'x'; 100_000]).unwrap();
        });
        for i in 0..100 {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, format!("line {i}\n"));
        }
        let mut bulk = vec![0; 100_000];
        reader.read_exact(&mut bulk).unwrap();
        assert!(bulk.iter().all(|&byte| byte == b'x'));
    });
}

#[test]
fn reads_and_writes_through_std_time_out() {
    let (ours, theirs) = pair();
    times_out(millis(30), |end| ours.until(end).std_io().read(&mut [0; 8]));
    times_out(millis(30), |end| {
        ours.until(end).std_io().read_exact(&mut [0; 8])
    });
    times_out(millis(30), |end| {
        BufReader::new(ours.until(end).std_io()).read_line(&mut String::new())
    });
    times_out(millis(30), |end| {
        let mut buf = [0; 8];
        let mut bufs = [IoSliceMut::new(&mut buf)];
        ours.until(end).std_io().read_vectored(&mut bufs)
    });
    let large = vec![7; 1 << 20];
    times_out(millis(30), |end| {
        theirs.until(end).std_io().write_all(&large)
    });
    times_out(millis(30), |end| {
        let bufs = [IoSlice::new(&large)];
        theirs.until(end).std_io().write_vectored(&bufs)
    });
    let (_reader, writer) = pipe().unwrap();
    times_out(millis(30), |end| {
        until(&writer, end).std_io().write_all(&large)
    });
}

/// Nothing is begun after the deadline, or a stream that is always ready would keep
/// a copy going.
#[test]
fn copy_from_a_stream_that_is_always_ready_times_out() {
    let (ours, theirs) = pair();
    let (stop, stopped) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let zeros = [0; 65536];
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                let _ = theirs.until(millis(10)).send(&zeros, Default::default());
            }
        });
        times_out(millis(100), |end| {
            copy(&mut ours.until(end).std_io(), &mut sink())
        });
        // Not even what is there, and nobody reads it but this.
        assert!(ours.until(DEADLINE).ready(Interest::READABLE).is_ready());
        stop.send(()).unwrap();
        let mut late = ours.until(Duration::ZERO).std_io();
        assert_eq!(
            late.read(&mut [0; 1]).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(late.write(b"!").unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

/// What is dropped with something left in it does not wait again.
#[test]
fn buf_writer_dropped_after_the_deadline_does_not_wait() {
    let (ours, _theirs) = pair();
    let end = Deadline::after(millis(30));
    let mut writer = BufWriter::with_capacity(1 << 20, ours.until(end).std_io());
    writer.write_all(&vec![7; 1 << 19]).unwrap();
    assert_eq!(writer.flush().unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(!writer.buffer().is_empty());
    let start = thread_cpu_time();
    drop(writer);
    assert!(thread_cpu_time() - start < millis(30));
}

/// After a deadline, by `read_until`, which keeps all that has come.
#[test]
fn read_until_goes_on_after_a_deadline_and_loses_nothing() {
    let (ours, theirs) = pair();
    let mut reader = BufReader::new(ours.until(millis(10)).std_io());
    let mut line = Vec::new();
    let mut timeouts = 0;
    for piece in ["Gr\u{fc}".as_bytes(), b"\xc3", b"\xbc", b"\n", b"next\n"] {
        let deadline = Deadline::after(millis(10));
        reader.get_mut().set_deadline(deadline);
        match reader.read_until(b'\n', &mut line) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        }
        timeouts += 1;
        assert_eq!(theirs.write(piece), Io::Ready(piece.len()));
    }
    reader.get_mut().set_deadline(DEADLINE);
    if !line.ends_with(b"\n") {
        reader.read_until(b'\n', &mut line).unwrap();
    }
    assert_eq!(line, "Gr\u{fc}\u{fc}\n".as_bytes());
    assert!(timeouts >= 4);
}

#[test]
fn until_std_io_gives_the_descriptor_back() {
    let (ours, _theirs) = pair();
    let number = ours.as_fd().as_raw_fd();
    let io = until(ours, Deadline::never()).std_io();
    assert_eq!(io.get_ref().as_fd().as_raw_fd(), number);
    assert_eq!(io.into_inner().as_fd().as_raw_fd(), number);
}
