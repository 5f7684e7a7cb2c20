//! The example that records a kernel, against the record of a kernel that was made by
//! another program.

mod common;

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wouldblock::platform::HOST;

/// Rows on which the two may differ: scenario, operation, reason.
const MAY_DIFFER: [(&str, &str, &str); 2] = [
    (
        "tcp.est.send_4M",
        "send",
        "how much fits depends on the machine",
    ),
    (
        "tcp.est.drain",
        "recv",
        "the other recorded no errno for it",
    ),
];

/// What the other program asked for.
const GROUPS: [&str; 6] = ["pipe", "tcp", "ud.", "udp", "unl", "us."];

type Rows = BTreeMap<(String, String, usize), Vec<String>>;

/// The rows of a record, by scenario, operation, and which of that name it is.
fn rows(text: &str) -> Rows {
    let mut rows = Rows::new();
    let mut lines = text.lines();
    assert!(lines.next().is_some_and(|title| title.starts_with("# ")));
    let columns = lines.next().unwrap().split('\t').count();
    for line in lines {
        let cells: Vec<_> = line.split('\t').map(String::from).collect();
        assert_eq!(cells.len(), columns, "{line}");
        let name = |n| (cells[0].clone(), cells[1].clone(), n);
        let n = (0..).find(|n| !rows.contains_key(&name(*n))).unwrap();
        rows.insert(name(n), cells);
    }
    rows
}

/// Runs the example, which has a deadline for each row, but not for all of them.
fn record(arguments: &'static [&'static str]) -> Output {
    let (done, output) = mpsc::channel();
    thread::spawn(move || {
        let mut command = common::command(common::example("record"));
        done.send(command.args(arguments).output().unwrap())
    });
    output.recv_timeout(Duration::from_secs(180)).unwrap()
}

fn text(output: &Output) -> &str {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    std::str::from_utf8(&output.stdout).unwrap()
}

/// Without what depends on a machine: how much fits is in notes of calls.
fn answer(row: &[String]) -> Vec<&str> {
    let [_, op, ret, errno, number, revents, sigpipe, note, ..] = row else {
        panic!("{row:?}");
    };
    let note = if ["mode", "so_error", "setup"].contains(&&**op) {
        note
    } else {
        ""
    };
    vec![ret, errno, number, revents, sigpipe, note]
}

#[test]
fn record_of_this_kernel_is_what_another_program_recorded() {
    let recorded = rows(include_str!("data/kernel-traces/linux-6.18.tsv"));
    // At once: they wait most of the time.
    let outputs = thread::scope(|scope| {
        let runs = GROUPS.map(|group| {
            let arguments = Box::leak(Box::new(["--runs", "1", group]));
            scope.spawn(|| record(arguments))
        });
        runs.map(|run| run.join().unwrap())
    });
    let mut ours = Rows::new();
    for output in &outputs {
        let text = text(output);
        let title = text.lines().next().unwrap();
        let words: Vec<_> = title.split([' ', ',']).collect();
        if !words[2].starts_with("6.18.") || words[3] != "x86_64" || HOST.name != "linux" {
            // Another kernel may answer otherwise, and deserves a record of its own; with
            // another table, some calls are not made.
            assert!(title.contains(", table "), "{title}");
            return;
        }
        ours.append(&mut rows(text));
    }
    // A poll that a row names as its own is there.
    for row in ours.values() {
        let poll = (row[9].clone(), "poll".into(), 0);
        assert!(row[9].is_empty() || ours.contains_key(&poll), "{row:?}");
    }
    let mut wrong = String::new();
    for (name, row) in &recorded {
        let excused = |(scenario, op, _): &(&str, &str, &str)| name.0 == *scenario && name.1 == *op;
        let Some(ours) = ours.get(name) else {
            wrong += &format!("{name:?} is missing\n");
            continue;
        };
        let differs = answer(ours) != answer(row) && ours[8] == "yes";
        if differs && !MAY_DIFFER.iter().any(excused) {
            wrong += &format!("recorded {row:?}\nhere     {ours:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A blocking send on a full socket, which is the last of three rows.
#[test]
fn record_of_a_call_that_sleeps_costs_its_row() {
    let output = record(&["--runs", "1", "us.full_blocking"]);
    let rows = rows(text(&output));
    let name = |name: &str, op: &str| (name.into(), op.into(), 0);
    let send = &rows[&name("us.full_blocking.send", "send")];
    assert_eq!((&*send[2], &*send[7]), ("HANG", "WOULD-SLEEP"));
    // Some systems sleep in this one too.
    assert!(rows.contains_key(&name("us.full_blocking.send_dontwait", "send")));
    assert!(rows.contains_key(&name("us.full_blocking.poll_sender", "poll")));
    assert_eq!(rows.len(), 3);
}

#[test]
fn record_for_a_reader_that_leaves_ends_quietly() {
    let mut command = common::command(common::example("record"));
    command.args(["--runs", "1", "pipe.empty"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = common::within_deadline(|| child.wait_with_output().unwrap());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success(), "{}", output.status);
}
