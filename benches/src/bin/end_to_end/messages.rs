//! A message of 64 bytes, received into memory of its own, with the sender's address.

use std::hint::black_box;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use wouldblock::RecvFlags;

use super::{Round, compare, heading, libc_send, timed};

const MESSAGES: usize = 2000;
const CHUNK: usize = 64 << 10;

pub fn compare_all(turns: usize) {
    let columns = [
        "libc by hand",
        "recv_from_with",
        "recv_from, zeroed",
        "recv_fds_with",
        "recv_fds, 253 places",
    ];
    heading("a message", &columns);
    let clock = libc::CLOCK_THREAD_CPUTIME_ID;
    let compare = |row: &str, contenders: fn() -> Vec<Round>| {
        let timed = |contender| timed(clock, MESSAGES, contender);
        let contenders = || contenders().into_iter().map(timed).collect();
        compare(row, &columns, &[("", 0.5)], turns, None, contenders);
    };
    compare("into 64 KiB (processor time)", datagrams);
    compare(
        "that may bring descriptors, and brings none (processor time)",
        descriptors,
    );
}

/// Sends `MESSAGES` messages of 64 bytes, each received by `receive` before the next.
fn each_message(mut receive: impl FnMut(&OwnedFd) -> usize + 'static) -> Box<dyn FnMut()> {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let (ours, theirs): (OwnedFd, OwnedFd) = (ours.into(), theirs.into());
    Box::new(move || {
        for _ in 0..MESSAGES {
            assert_eq!(libc_send(theirs.as_raw_fd(), &[7; 64]), 64);
            assert_eq!(receive(&ours), 64);
        }
    })
}

fn datagrams() -> Vec<Round> {
    let none = RecvFlags::empty();
    vec![
        (
            "libc by hand",
            each_message(|fd| {
                let mut buf = [MaybeUninit::<u8>::uninit(); CHUNK];
                // SAFETY: the buffer is valid for its length, the address for the one given.
                unsafe {
                    let mut from: libc::sockaddr_storage = std::mem::zeroed();
                    let mut length = size_of_val(&from) as libc::socklen_t;
                    let (fd, buf) = (fd.as_raw_fd(), black_box(&mut buf).as_mut_ptr().cast());
                    let from = (&raw mut from).cast();
                    libc::recvfrom(fd, buf, CHUNK, 0, from, &mut length) as usize
                }
            }),
        ),
        (
            "recv_from_with",
            each_message(move |fd| {
                let mut buf = [MaybeUninit::uninit(); CHUNK];
                let then = |bytes: &mut [u8], _| black_box(bytes).len();
                wouldblock::recv_from_with(fd, &mut buf, none, then)
                    .ready()
                    .unwrap()
            }),
        ),
        (
            "recv_from, zeroed",
            each_message(move |fd| {
                let mut buf = [0; CHUNK];
                let answer = wouldblock::recv_from(fd, black_box(&mut buf), none);
                answer.ready().unwrap().0
            }),
        ),
    ]
}

fn descriptors() -> Vec<Round> {
    const MOST: usize = 253;
    let none = RecvFlags::empty();
    vec![
        (
            "libc by hand",
            each_message(|fd| {
                let (mut buf, mut control) = ([0_u8; 64], [MaybeUninit::<u64>::uninit(); 160]);
                let mut into = libc::iovec {
                    iov_base: buf.as_mut_ptr().cast(),
                    iov_len: buf.len(),
                };
                // SAFETY: what the header points to is valid for the lengths in it.
                unsafe {
                    let mut from: libc::sockaddr_storage = std::mem::zeroed();
                    let mut header: libc::msghdr = std::mem::zeroed();
                    header.msg_name = (&raw mut from).cast();
                    header.msg_namelen = size_of_val(&from) as libc::socklen_t;
                    (header.msg_iov, header.msg_iovlen) = (&raw mut into, 1);
                    header.msg_control = control.as_mut_ptr().cast();
                    header.msg_controllen = size_of_val(&control);
                    let n = libc::recvmsg(fd.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC);
                    assert!(libc::CMSG_FIRSTHDR(&header).is_null());
                    n as usize
                }
            }),
        ),
        (
            "recv_fds_with",
            each_message(move |fd| {
                let (mut buf, mut fds) = ([0; 64], Vec::new());
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                let answer = wouldblock::recv_fds_with(fd, bufs, none, |fd| fds.push(fd));
                assert!(fds.is_empty());
                answer.ready().unwrap().bytes
            }),
        ),
        (
            "recv_fds, 253 places",
            each_message(move |fd| {
                let (mut buf, mut fds) = ([0; 64], [const { None }; MOST]);
                let bufs = &mut [IoSliceMut::new(&mut buf)];
                let answer = wouldblock::recv_fds(fd, bufs, black_box(&mut fds), none);
                assert!(fds.iter().all(Option::is_none));
                answer.ready().unwrap().bytes
            }),
        ),
    ]
}
