//! The self-pipe of `examples/wake.rs`: no wake is lost, none is left over, and
//! nobody waits for room.

use std::time::Duration;

use wouldblock::{Deadline, Errno, Io};

mod common;
use common::{DEADLINE, example, within_deadline};

#[expect(dead_code, reason = "`main` is the binary's")]
#[path = "../examples/wake.rs"]
mod wake;
use wake::wake_pair;

/// Long enough to tell a wait from an answer at once.
fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(20))
}

#[test]
fn sleep_without_a_wake_ends_on_its_deadline() {
    let (_waker, sleeper) = wake_pair().unwrap();
    let deadline = soon();
    assert_eq!(sleeper.sleep(deadline), Io::WouldBlock);
    assert!(deadline.has_passed());
}

#[test]
fn wake_before_the_sleep_is_not_lost() {
    let (waker, sleeper) = wake_pair().unwrap();
    assert_eq!(waker.wake(), Ok(()));
    assert_eq!(sleeper.sleep(Deadline::after(DEADLINE)), Io::Ready(()));
}

#[test]
fn wake_beyond_a_full_pipe_does_not_wait_and_is_one_wake() {
    let (waker, sleeper) = wake_pair().unwrap();
    // More than any pipe holds, in pieces, since some kernels take 10 µs for a call.
    for _ in 0..32 {
        let waker = waker.clone();
        let all = within_deadline(move || (0..1 << 16).all(|_| waker.wake().is_ok()));
        assert!(all);
    }
    assert_eq!(sleeper.sleep(Deadline::after(DEADLINE)), Io::Ready(()));
    assert_eq!(sleeper.sleep(soon()), Io::WouldBlock);
    // It works as before.
    assert_eq!(waker.wake(), Ok(()));
    assert_eq!(sleeper.sleep(Deadline::after(DEADLINE)), Io::Ready(()));
}

#[test]
fn wake_of_a_sleeping_thread_ends_its_sleep() {
    let (waker, sleeper) = wake_pair().unwrap();
    let (answer_waker, answer) = wake_pair().unwrap();
    let sleeping = std::thread::spawn(move || {
        let mut woken = 0;
        while woken < 100 && sleeper.sleep(Deadline::after(DEADLINE)).is_ready() {
            woken += 1;
            answer_waker.wake().unwrap();
        }
        woken
    });
    // One at a time, so each has to end a sleep of its own.
    for _ in 0..100 {
        waker.wake().unwrap();
        assert_eq!(answer.sleep(Deadline::after(DEADLINE)), Io::Ready(()));
    }
    assert_eq!(sleeping.join().unwrap(), 100);
}

#[test]
fn wake_of_nobody_and_sleep_without_wakers_are_errors() {
    let (waker, sleeper) = wake_pair().unwrap();
    drop(sleeper);
    assert_eq!(waker.wake(), Err(Errno::PIPE));

    // The last wake is not lost with its waker.
    let (waker, sleeper) = wake_pair().unwrap();
    waker.wake().unwrap();
    drop(waker);
    assert_eq!(sleeper.sleep(Deadline::after(DEADLINE)), Io::Ready(()));
    assert_eq!(
        sleeper.sleep(Deadline::after(DEADLINE)),
        Io::Err(Errno::PIPE)
    );
}

#[test]
fn wake_binary_sees_every_message() {
    let ran = within_deadline(|| common::command(example("wake")).output().unwrap());
    assert!(ran.status.success(), "{ran:?}");
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.starts_with("40000 messages, woken "), "{said}");
}

#[test]
fn wake_binary_with_arguments_tells_how_it_is_called() {
    let run = |argument: &str| {
        let mut command = common::command(example("wake"));
        command.arg(argument).output().unwrap()
    };
    let help = run("--help");
    assert!(help.status.success() && help.stdout.starts_with(b"usage: wake\n"));
    let wrong = run("up");
    let errors = String::from_utf8(wrong.stderr).unwrap();
    assert!(!wrong.status.success() && wrong.stdout.is_empty());
    assert_eq!(errors, "wake: cannot make sense of `up`: see wake --help\n");
}
