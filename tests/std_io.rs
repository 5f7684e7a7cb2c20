//! `Read` and `Write` of a non-blocking descriptor, as std's own code uses them.

#![cfg(feature = "std")]

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use wouldblock::NonBlocking;

fn pair() -> (NonBlocking<UnixStream>, NonBlocking<UnixStream>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (
        NonBlocking::new(ours).unwrap(),
        NonBlocking::new(theirs).unwrap(),
    )
}

#[test]
fn read_through_std_that_would_block_has_that_kind() {
    let (ours, _theirs) = pair();
    let error = ours.std_io().read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let error = ours.into_std_io().read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn write_through_std_until_full_has_that_kind() {
    let (ours, _theirs) = pair();
    let mut ours = ours.std_io();
    let error = loop {
        if let Err(error) = ours.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    ours.flush().unwrap();
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
    let bufs = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    assert_eq!(theirs.std_io().write_vectored(&bufs).unwrap(), 8);
    let (mut head, mut body) = ([0; 4], [0; 8]);
    let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
    assert_eq!(ours.std_io().read_vectored(&mut bufs).unwrap(), 8);
    assert_eq!((&head, &body[..4]), (b"head", &b"body"[..]));
}

#[test]
fn as_raw_fd_is_the_descriptors_own() {
    let (ours, _theirs) = pair();
    assert_eq!(ours.as_raw_fd(), ours.get_ref().as_raw_fd());
}
