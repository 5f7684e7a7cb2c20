//! What the tour prints is what the kernel said: each line is held against the
//! others, against what must hold on every system, and on Linux against Linux.

mod common;

use core::str::FromStr;
use std::sync::LazyLock;
use std::{env, fs, process};

use wouldblock::{Errno, Op, Outcome};

#[expect(dead_code, reason = "`main` is the binary's")]
#[path = "../examples/tour.rs"]
mod tour;

/// One run serves all tests: the tour spins for 300 ms, and the socket that it
/// binds is named by the process.
static STORY: LazyLock<String> = LazyLock::new(|| {
    let mut out = Vec::new();
    tour::story(&mut out).expect("the tour reaches its end");
    String::from_utf8(out).expect("the tour is text")
});

// ---- reading it ----

/// Where the columns begin.
const COLUMNS: [usize; 3] = [3, 30, 58];

#[derive(Debug)]
struct Line {
    step: usize,
    call: String,
    answer: String,
    next: String,
}

/// The lines that tell of a call, each with the number of its step.
fn lines(story: &str) -> Vec<Line> {
    let mut step = 0;
    let mut lines = Vec::new();
    for line in story.lines().skip(1).filter(|line| !line.is_empty()) {
        if !line.starts_with(' ') {
            step = between(line, "", ". ");
            continue;
        }
        let [call, answer, next] = COLUMNS;
        let column = |from, to| line.get(from..to).unwrap_or_default().trim().to_owned();
        lines.push(Line {
            step,
            call: column(call, answer),
            answer: column(answer, next),
            next: column(next, line.len()),
        });
    }
    lines
}

/// The lines of a step about one call; there must be as many as are named.
#[track_caller]
fn told<const N: usize>(step: usize, call: &str) -> [Line; N] {
    let lines = lines(&STORY).into_iter();
    let found: Vec<_> = lines
        .filter(|line| line.step == step && line.call == call)
        .collect();
    found.try_into().unwrap_or_else(|found: Vec<_>| {
        panic!(
            "{} and not {N} lines of {call} in step {step}:\n{}",
            found.len(),
            *STORY
        )
    })
}

/// A call that was repeated: the bytes that it moved, by how many calls, and the
/// line of the call that moved none.
#[track_caller]
fn repeated(step: usize, call: &str) -> (usize, usize, Line) {
    let [moved, last] = told(step, call);
    let bytes = between(&moved.answer, "", " bytes");
    let calls = between(&moved.next, "go on: ", " calls");
    (bytes, calls, last)
}

/// The number that stands in `text` between two others.
#[track_caller]
fn between<T: FromStr>(text: &str, before: &str, after: &str) -> T {
    let start = text.find(before).map(|at| at + before.len());
    let rest = start.and_then(|start| text.get(start..));
    let number = rest.and_then(|rest| rest.split_once(after));
    let number = number.and_then(|(number, _)| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number between {before:?} and {after:?} in {text:?}"))
}

#[track_caller]
fn count(line: &Line) -> usize {
    between(&line.answer, "Ready(", ")")
}

#[track_caller]
fn errno(line: &Line) -> Errno {
    Errno::from_raw_os_error(between(&line.answer, "Err(errno ", ")"))
}

// ---- what it says ----

#[test]
fn recv_on_quiet_socket_would_block() {
    let [recv] = told(1, "recv(tcp)");
    assert_eq!(recv.answer, "WouldBlock");
    assert_eq!(recv.next, "wait: poll for Interest(READABLE)");
}

#[test]
fn read_on_empty_pipe_would_block() {
    let [read] = told(2, "read(pipe)");
    assert_eq!(read.answer, "WouldBlock");
    assert_eq!(read.next, "wait: poll for Interest(READABLE)");
}

#[test]
fn recv_and_read_after_data_count_what_was_sent() {
    let [sent] = told(3, "send(peer, \"hello\")");
    let [ready] = told(3, "poll(tcp)");
    let [received] = told(3, "recv(tcp)");
    assert_eq!(count(&sent), "hello".len());
    assert_eq!(count(&ready), 1);
    assert_eq!(count(&received), count(&sent));

    let [written] = told(3, "write(pipe, \"hi\")");
    let [read] = told(3, "read(pipe)");
    assert_eq!(count(&written), "hi".len());
    assert_eq!(count(&read), count(&written));

    for line in [sent, received, written, read] {
        assert_eq!(line.next, format!("go on: {} bytes moved", count(&line)));
    }
}

#[test]
fn send_until_full_would_block() {
    let (bytes, calls, last) = repeated(4, "send(tcp, 64 KiB)");
    assert!(bytes > 0 && calls > 0, "{bytes} bytes by {calls} calls");
    assert!(bytes <= calls * 65536, "{bytes} bytes by {calls} calls");
    assert_eq!(last.answer, "WouldBlock");
    assert_eq!(last.next, "wait: poll for Interest(WRITABLE)");
}

#[test]
fn recv_after_close_is_every_byte_and_then_0() {
    let (sent, _, _) = repeated(4, "send(tcp, 64 KiB)");
    let (received, _, last) = repeated(5, "recv(peer)");
    assert_eq!(received, sent);
    assert_eq!(count(&last), 0);
    assert_eq!(last.next, "stop: end of file");
}

#[test]
fn recv_on_reset_connection_has_failed() {
    let [ready] = told(6, "poll(tcp)");
    assert_eq!(count(&ready), 1);
    let [recv] = told(6, "recv(tcp)");
    assert_eq!(errno(&recv), Errno::CONNRESET);
    assert_eq!(Op::Recv.outcome(errno(&recv)), Outcome::Failed);
    assert_eq!(recv.next, format!("Failed: {}", Errno::CONNRESET));
}

/// Systems differ in how they refuse a datagram; what is to be done about it
/// follows from what they said.
#[track_caller]
fn refused(op: Op, line: &Line) {
    let next = match &*line.answer {
        "WouldBlock" => "wait: poll for Interest(WRITABLE)",
        _ => {
            assert_eq!(op.outcome(errno(line)), Outcome::BackOff, "{line:?}");
            "back off: call again after a pause"
        }
    };
    assert_eq!(line.next, next);
}

#[test]
fn send_on_full_datagram_pair_is_refused() {
    let (bytes, calls, last) = repeated(7, "send(pair, 1 byte)");
    assert!(bytes > 0);
    assert_eq!(bytes, calls);
    refused(Op::Send, &last);
    if cfg!(target_os = "linux") {
        assert_eq!(last.answer, "WouldBlock");
        let [room] = told(7, "poll(pair, WRITABLE)");
        assert_eq!(room.answer, "WouldBlock");
        assert_eq!(room.next, "poll would wait for room");
    }
}

#[test]
fn send_to_full_datagram_name_is_refused() {
    let (bytes, calls, last) = repeated(7, "send_to(name, 1 byte)");
    assert!(bytes > 0);
    assert_eq!(bytes, calls);
    refused(Op::SendToUnix, &last);
    if cfg!(target_os = "linux") {
        assert_eq!(errno(&last), Errno::AGAIN);
        let [room] = told(7, "poll(sender, WRITABLE)");
        assert_eq!(room.answer, "Ready(Readiness(WRITABLE))");
        assert_eq!(room.next, "poll would spin: it answers at once");
    }
}

/// Calls, milliseconds that passed and milliseconds of CPU time.
#[track_caller]
fn cost(call: &str) -> (u64, f64, f64) {
    let [line] = told(8, call);
    assert_eq!(count(&line), "answer".len());
    let calls = between(&line.next, "", " calls, ");
    let passed: f64 = between(&line.next, " calls, ", " ms, ");
    let cpu: f64 = between(&line.next, " ms, ", " ms of CPU time");
    let percent: f64 = between(&line.next, "time: ", " %");
    // The numbers it was computed from had more digits.
    assert!(
        cpu.is_nan() || (percent - 100.0 * cpu / passed).abs() < 0.1,
        "{line:?}"
    );
    (calls, passed, cpu)
}

#[test]
fn poll_for_late_peer_waits_without_cpu_time() {
    let (calls, passed, cpu) = cost("recv(tcp), then poll(tcp)");
    // Before the wait and after it; a readiness may be spurious.
    assert!((2..10).contains(&calls), "{calls} calls");
    assert!(passed >= 300.0, "{passed} ms");
    // NaN is a system without the clock.
    assert!(
        cpu.is_nan() || cpu < 3.0,
        "{cpu} ms of CPU time are 1 % or more of 300 ms"
    );
}

#[test]
fn until_for_late_peer_is_one_call_without_cpu_time() {
    let (calls, passed, cpu) = cost("until(tcp, 10 s).recv()");
    assert_eq!(calls, 1);
    assert!(passed >= 300.0, "{passed} ms");
    assert!(
        cpu.is_nan() || cpu < 3.0,
        "{cpu} ms of CPU time are 1 % or more of 300 ms"
    );
}

#[test]
fn recv_for_late_peer_spins_without_poll() {
    let (calls, passed, cpu) = cost("recv(tcp), then again");
    assert!(calls > 1000, "{calls} calls");
    assert!(passed >= 300.0, "{passed} ms");
    let (_, _, waiting) = cost("recv(tcp), then poll(tcp)");
    assert!(
        cpu.is_nan() || cpu > waiting,
        "{cpu} ms of CPU time, and {waiting} ms"
    );
}

// ---- how it says it ----

#[test]
fn every_line_has_its_columns() {
    let table = STORY.lines().filter(|line| line.starts_with(' '));
    for line in table {
        for column in COLUMNS {
            let before = line.get(..column).unwrap_or_default();
            let after = line.get(column..).unwrap_or_default();
            let aligned = before.ends_with("  ") && !after.starts_with([' ', '\0']);
            assert!(aligned && !after.is_empty(), "column {column} of {line:?}");
        }
    }
    let steps: Vec<_> = lines(&STORY).iter().map(|line| line.step).collect();
    assert!(steps.is_sorted());
    assert!((1..=8).all(|step| steps.contains(&step)), "{steps:?}");
}

#[test]
fn story_into_full_output_is_an_error() {
    // Ends before step 7, so that two runs do not bind one name.
    let mut room = [0; 400];
    assert!(tour::story(&mut room.as_mut_slice()).is_err());
}

#[test]
fn tour_with_arguments_tells_how_it_is_called() {
    let run = |argument: &str| {
        let mut command = common::command(common::example("tour"));
        command.arg(argument).output().expect("the tour starts")
    };
    let help = run("--help");
    assert!(help.status.success() && help.stdout.starts_with(b"usage: tour\n"));
    let wrong = run("france");
    let errors = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success() && wrong.stdout.is_empty());
    let sentence = "tour: cannot make sense of `france`: see tour --help\n";
    assert_eq!(errors, sentence);
}

#[test]
fn tour_binary_tells_the_same_and_leaves_nothing() {
    let temporary = env::temp_dir().join(format!("wouldblock-{}", process::id()));
    fs::create_dir(&temporary).expect("a directory of its own");
    let ran = common::command(common::example("tour"))
        .env("TMPDIR", &temporary)
        .output();
    let left: Vec<_> = fs::read_dir(&temporary).into_iter().flatten().collect();
    fs::remove_dir_all(&temporary).expect("the directory can go");
    let ran = ran.expect("the tour starts");

    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {errors}", ran.status);
    assert_eq!(errors, "");
    assert!(left.is_empty(), "{left:?}");
    let told = |story: &str| -> Vec<_> {
        lines(story)
            .into_iter()
            .map(|line| (line.step, line.call))
            .collect()
    };
    let printed = String::from_utf8(ran.stdout).expect("the tour is text");
    assert_eq!(
        told(&printed),
        told(&STORY),
        "an old binary? `cargo build --example tour`"
    );
}
