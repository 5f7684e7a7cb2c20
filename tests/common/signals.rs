//! Signals for the tests: one that ends system calls early, at a thread of their
//! choice.

#![allow(unsafe_code, reason = "signals have no safe interface")]

use std::cell::Cell;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const SIGNAL: libc::c_int = libc::SIGUSR1;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static SHARED: Cell<Option<&'static AtomicUsize>> = const { Cell::new(None) };
}

/// How many signals this thread has had.
pub(crate) fn count() -> usize {
    COUNT.get()
}

/// The number of signals that this thread has had from now on, for other threads to
/// see. It is never freed, because a signal may still be on its way.
pub(crate) fn shared_count() -> &'static AtomicUsize {
    let count: &AtomicUsize = Box::leak(Box::default());
    SHARED.set(Some(count));
    count
}

/// Installs the handler, without `SA_RESTART`: every call that can fail with EINTR
/// does.
fn install() {
    extern "C" fn handler(_: libc::c_int) {
        COUNT.set(COUNT.get() + 1);
        if let Some(shared) = SHARED.get() {
            shared.fetch_add(1, Ordering::Relaxed);
        }
    }
    // SAFETY: the handler touches nothing but its thread's counters, which need no
    // initialisation, and leaves errno alone.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler as *const () as usize;
        assert_eq!(libc::sigaction(SIGNAL, &action, null_mut()), 0);
    }
}

/// Runs `body` on a thread of its own and sends it signals until it ends, about
/// ten in a millisecond. Fails if `body` lasts too long.
pub(crate) fn under_fire<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    install();
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let target = scope.spawn(move || {
            // SAFETY: asks for this thread's own handle.
            tell.send(unsafe { libc::pthread_self() }).unwrap();
            let value = body();
            assert!(count() > 0, "not one signal came");
            value
        });
        let handle = told.recv().unwrap();
        let start = std::time::Instant::now();
        while !target.is_finished() {
            assert!(start.elapsed() < 2 * super::DEADLINE, "it does not end");
            // SAFETY: the thread has not been joined, so its handle is valid.
            unsafe { libc::pthread_kill(handle, SIGNAL) };
            thread::sleep(Duration::from_micros(100));
        }
        target.join().unwrap()
    })
}

/// A timer that sends signals to the thread that made it.
#[cfg(target_os = "linux")]
pub(crate) struct Storm {
    timer: libc::timer_t,
}

#[cfg(target_os = "linux")]
impl Storm {
    /// One signal each `period`, which is less than a second.
    pub(crate) fn new(period: Duration) -> Self {
        install();
        let period = libc::timespec {
            tv_sec: 0,
            tv_nsec: i32::try_from(period.subsec_nanos()).unwrap().into(),
        };
        let periods = libc::itimerspec {
            it_interval: period,
            it_value: period,
        };
        let mut timer = null_mut();
        // SAFETY: both calls read the structures they are given; the second is
        // given the timer that the first made.
        unsafe {
            let mut event: libc::sigevent = zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = SIGNAL;
            event.sigev_notify_thread_id = libc::gettid();
            let made = libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer);
            assert_eq!(made, 0);
            assert_eq!(libc::timer_settime(timer, 0, &periods, null_mut()), 0);
        }
        Self { timer }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Storm {
    fn drop(&mut self) {
        // SAFETY: the timer was made by `new` and is deleted once.
        unsafe { libc::timer_delete(self.timer) };
    }
}

/// The kernel's own `ppoll` of nothing for `time`, which no signal ends.
#[cfg(target_os = "linux")]
pub(crate) fn kernel_wait(time: Duration) {
    // SAFETY: the set is made by sigfillset; no pollfd is passed.
    let answer = unsafe {
        let mut all: libc::sigset_t = zeroed();
        libc::sigfillset(&mut all);
        let time = libc::timespec {
            tv_sec: time.as_secs().try_into().unwrap(),
            tv_nsec: i32::try_from(time.subsec_nanos()).unwrap().into(),
        };
        libc::ppoll(null_mut(), 0, &time, &all)
    };
    assert_eq!(answer, 0);
}
