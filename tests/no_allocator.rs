//! Every operation works where there is no memory to be had: the scenarios of
//! `allocation` again, with an allocator that refuses. What asked it for memory
//! would end the process; the counting allocator there then tells where.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[path = "allocation/scenarios.rs"]
mod scenarios;

struct Refusing;

thread_local! {
    static REFUSES: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every method passes its arguments on to the system's allocator, or
// answers, as it may, that there is no memory.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if REFUSES.get() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static REFUSING: Refusing = Refusing;

fn without_allocation<T>(body: impl FnOnce() -> T) -> T {
    scenarios::ask_the_clock();
    REFUSES.set(true);
    let value = body();
    REFUSES.set(false);
    value
}

#[test]
fn allocator_that_refuses_gives_no_memory() {
    let refused = without_allocation(|| Vec::<u8>::new().try_reserve_exact(1).is_err());
    assert!(refused);
    assert!(Vec::<u8>::new().try_reserve_exact(1).is_ok());
}
