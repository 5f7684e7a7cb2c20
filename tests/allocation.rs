//! Nothing in the library allocates: a counting allocator round every operation.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use wouldblock::{
    Interest, Io, ModeGuard, NonBlocking, Op, Readiness, RecvFlags, SendFlags, is_nonblocking,
    poll, ready, set_nonblocking,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every method passes its arguments on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Fails if `body` allocates.
#[track_caller]
fn without_allocation<T>(body: impl FnOnce() -> T) -> T {
    let before = ALLOCATIONS.get();
    let value = body();
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations");
    value
}

const NONE: RecvFlags = RecvFlags::empty();

#[test]
#[should_panic(expected = "allocations")]
fn an_allocation_is_noticed() {
    without_allocation(|| std::hint::black_box(Box::new(1)));
}

#[test]
fn bytes_in_and_out_allocate_nothing() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    without_allocation(|| {
        let ours = NonBlocking::new(ours).unwrap();
        let theirs = NonBlocking::new(theirs).unwrap();
        let mut buf = [0; 16];
        let mut raw = [MaybeUninit::uninit(); 16];
        assert_eq!(ours.recv(&mut buf, NONE), Io::WouldBlock);
        assert_eq!(ours.recv_with(&mut raw, NONE, |_| ()), Io::WouldBlock);
        assert_eq!(ours.read(&mut buf), Io::WouldBlock);
        assert_eq!(ours.read_with(&mut raw, |_| ()), Io::WouldBlock);
        assert_eq!(theirs.send(b"four", SendFlags::empty()), Io::Ready(4));
        assert_eq!(theirs.write(b"four"), Io::Ready(4));
        assert_eq!(ours.recv(&mut buf[..4], NONE), Io::Ready(4));
        assert_eq!(ours.read_with(&mut raw, |bytes| bytes.len()), Io::Ready(4));
        while theirs.send(&[0; 4096], SendFlags::empty()).is_ready() {}
        drop(ours);
        assert!(theirs.send(b"?", SendFlags::empty()).is_err());
    });
}

#[test]
fn modes_allocate_nothing() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    without_allocation(|| {
        set_nonblocking(&ours, true).unwrap();
        assert!(is_nonblocking(&ours).unwrap());
        let guard = ModeGuard::new(&ours, false).unwrap();
        guard.restore().unwrap();
    });
}

#[test]
fn poll_allocates_nothing() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    without_allocation(|| {
        let mut fds = [Interest::READABLE.on(&ours), Interest::READABLE.on(&theirs)];
        assert_eq!(
            poll(&mut fds, Some(Duration::from_micros(1))),
            Io::WouldBlock
        );
        assert_eq!(poll(&mut [], Some(Duration::ZERO)), Io::WouldBlock);
        assert_eq!(
            ready(&ours, Interest::WRITABLE),
            Io::Ready(Readiness::WRITABLE)
        );
    });
}

#[test]
fn conversions_allocate_nothing() {
    use wouldblock::Errno;
    without_allocation(|| {
        #[cfg(feature = "std")]
        for answer in [
            Io::<usize>::WouldBlock,
            Io::Err(Errno::AGAIN),
            Io::Err(Errno::PIPE),
        ] {
            assert!(answer.into_io_result().is_err());
        }
        assert_eq!(
            Io::from_result(Op::Recv, Err::<usize, _>(Errno::AGAIN)),
            Io::WouldBlock
        );
    });
}
