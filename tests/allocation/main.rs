//! Nothing in the library allocates: a counting allocator round every operation.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

mod scenarios;

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
    scenarios::ask_the_clock();
    let before = ALLOCATIONS.get();
    let value = body();
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations");
    value
}

#[test]
#[should_panic(expected = "allocations")]
fn an_allocation_is_noticed() {
    without_allocation(|| std::hint::black_box(Box::new(1)));
}
