//! The flags of `send`, on a blocking descriptor and on sequenced packets.

use std::os::unix::net::UnixStream;

use wouldblock::{
    AddressFamily, Errno, Io, Op, Outcome, RecvFlags, SendFlags, SocketType, is_nonblocking,
    platform::HOST, recv, send, send_msg, set_nonblocking, socketpair,
};

/// A pair whose first end blocks, with no room left.
fn full_blocking_pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    while send(&ours, &[7; 4096], SendFlags::empty()).is_ready() {}
    while send(&ours, &[7], SendFlags::empty()).is_ready() {}
    set_nonblocking(&ours, false).unwrap();
    (ours, theirs)
}

/// Were it to sleep, nobody would ever wake it, and the harness would end the run.
#[test]
fn send_dontwait_on_a_full_blocking_socket_does_not_sleep() {
    let (ours, _theirs) = full_blocking_pair();
    let expected = match HOST.send_dontwait {
        true => Io::WouldBlock,
        false => Io::Err(Errno::OPNOTSUPP),
    };
    assert_eq!(send(&ours, b"!", SendFlags::DONTWAIT), expected);
    let bufs = [wouldblock::IoSlice::new(b"!")];
    assert_eq!(send_msg(&ours, &bufs, SendFlags::DONTWAIT), expected);
    assert_eq!(is_nonblocking(&ours), Ok(false), "the mode is left alone");
    assert_eq!(Op::Send.outcome(Errno::OPNOTSUPP), Outcome::Failed);
}

#[test]
fn send_dontwait_on_a_nonblocking_socket_sends() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    assert_eq!(send(&ours, b"!", SendFlags::DONTWAIT), Io::Ready(1));
    assert_eq!(recv(&theirs, &mut [0; 8], RecvFlags::empty()), Io::Ready(1));
}

#[test]
fn send_end_of_record_keeps_records_apart() {
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, None);
    let Ok((ours, theirs)) = pair else {
        println!("skipped: no SEQPACKET on this system");
        return;
    };
    for record in [&b"one"[..], b"other"] {
        assert_eq!(send(&ours, record, SendFlags::EOR), Io::Ready(record.len()));
    }
    let mut buf = [0; 64];
    assert_eq!(recv(&theirs, &mut buf, RecvFlags::empty()), Io::Ready(3));
    assert_eq!(recv(&theirs, &mut buf, RecvFlags::empty()), Io::Ready(5));
}
