//! No method of the crate changes its meaning when std's traits are imported: that
//! `write_all` is std's would send everything again and again.

#![cfg(feature = "std")]
#![deny(unfulfilled_lint_expectations)]

mod common;

use std::os::unix::net::UnixStream;

use wouldblock::{
    Deadline, Inline, Interest, Io, NonBlocking, PollSet, RecvFlags, Until, recv, set_nonblocking,
    until,
};

use common::DEADLINE;

static_assertions::assert_not_impl_any!(NonBlocking<UnixStream>: std::io::Read, std::io::Write);
static_assertions::assert_not_impl_any!(&NonBlocking<UnixStream>: std::io::Read, std::io::Write);
static_assertions::assert_not_impl_any!(Until<&UnixStream>: std::io::Read, std::io::Write);
static_assertions::assert_not_impl_any!(&Until<&UnixStream>: std::io::Read, std::io::Write);
static_assertions::assert_not_impl_any!(
    wouldblock::At<'static, UnixStream>: std::io::Read, std::io::Write
);

/// More than a socket takes at once.
const LENGTH: usize = 1 << 20;

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    (ours, theirs)
}

/// A deadline that no call here meets.
fn late() -> Deadline {
    Deadline::after(DEADLINE)
}

/// What has arrived.
fn received(peer: &UnixStream) -> usize {
    let mut sum = 0;
    while let Io::Ready(n @ 1..) = recv(peer, &mut [0; 65536], RecvFlags::empty()) {
        sum += n;
    }
    sum
}

/// Writes all by `write_all`, and fails unless `rest` moves and just that arrives.
fn writes(peer: &UnixStream, mut write_all: impl FnMut(&mut &[u8]) -> Io<()>) {
    let bytes = vec![7; LENGTH];
    let mut rest = &bytes[..];
    let mut sum = 0;
    while write_all(&mut rest).is_would_block() {
        sum += received(peer);
        assert!(
            LENGTH - rest.len() >= sum,
            "sent {sum}, left {}",
            rest.len()
        );
    }
    assert!(rest.is_empty());
    assert_eq!(sum + received(peer), LENGTH);
}

/// Reads what the peer writes by `write`.
fn reads(peer: &UnixStream, mut read: impl FnMut(&mut [u8]) -> Io) {
    let mut buf = [0; 8];
    assert_eq!(wouldblock::write(peer, b"hello"), Io::Ready(5));
    assert_eq!(read(&mut buf), Io::Ready(5));
    assert_eq!(&buf[..5], b"hello");
}

/// The same calls, whatever is imported around them.
macro_rules! calls {
    () => {
        use super::*;

        #[test]
        fn read_and_write_all_of_non_blocking_are_the_crates() {
            let (ours, theirs) = pair();
            let mut ours = NonBlocking::new(ours).unwrap();
            reads(&theirs, |buf| ours.read(buf));
            reads(&theirs, |buf| (&ours).read(buf));
            reads(&theirs, |buf| (&mut ours).read(buf));
            writes(&theirs, |rest| ours.write_all(rest));
            writes(&theirs, |rest| (&ours).write_all(rest));
            writes(&theirs, |rest| (&mut ours).write_all(rest));
            let mut wrapped = NonBlocking::new(&ours).unwrap();
            reads(&theirs, |buf| (&mut wrapped).read(buf));
            writes(&theirs, |rest| (&mut wrapped).write_all(rest));
            assert_eq!(ours.write(b""), Io::Ready(0));
        }

        #[test]
        fn read_and_write_all_of_until_are_the_crates() {
            let (ours, theirs) = pair();
            let mut ours = until(&ours, late());
            reads(&theirs, |buf| ours.read(buf));
            reads(&theirs, |buf| (&ours).read(buf));
            reads(&theirs, |buf| (&mut ours).read(buf));
            // They would wait for a peer that reads: so little fits.
            let mut little = &[7; 8][..];
            assert_eq!(ours.write_all(&mut little), Io::Ready(()));
            assert!(little.is_empty());
            let mut little = &[7; 8][..];
            assert_eq!((&ours).write_all(&mut little), Io::Ready(()));
            assert!(little.is_empty());
            let mut little = &[7; 8][..];
            assert_eq!((&mut ours).write_all(&mut little), Io::Ready(()));
            assert!(little.is_empty());
            assert_eq!(received(&theirs), 24);
            assert_eq!(ours.write(b""), Io::Ready(0));
        }

        #[test]
        fn read_and_write_all_of_a_sets_entry_are_the_crates() {
            let (ours, theirs) = pair();
            let mut set: PollSet<UnixStream, (), Inline<1>> = PollSet::new();
            let key = set.register(ours, Interest::READABLE, ()).unwrap();
            let (mut at, ()) = set.get_mut(key).unwrap();
            reads(&theirs, |buf| at.read(buf));
            reads(&theirs, |buf| (&mut at).read(buf));
            writes(&theirs, |rest| at.write_all(rest));
            writes(&theirs, |rest| (&mut at).write_all(rest));
            assert_eq!(at.write(b""), Io::Ready(0));
        }
    };
}

#[allow(clippy::needless_borrow, reason = "the reference is what is tried")]
mod without_stds_traits {
    calls!();
}

/// That no call needs the imports, as the compiler says, is the proof for all of them.
#[allow(clippy::needless_borrow, reason = "the reference is what is tried")]
mod with_stds_traits {
    #[expect(unused_imports, reason = "no method below is std's")]
    use std::io::BufRead as _;
    #[expect(unused_imports, reason = "no method below is std's")]
    use std::io::Read as _;
    #[expect(unused_imports, reason = "no method below is std's")]
    use std::io::Seek as _;
    #[expect(unused_imports, reason = "no method below is std's")]
    use std::io::Write as _;

    calls!();
}
