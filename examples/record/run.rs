//! The processes: one for each group, watched from outside.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::recorder::{Recorder, word};
use crate::row::Row;
use crate::{GROUPS, Group, lacking};

/// The first argument of a process that records one group.
pub(crate) const GROUP: &str = "--group";

/// How long a group may say nothing. No scenario waits for more than a second or so,
/// on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for a call that is expected to sleep.
const NAP: Duration = Duration::from_secs(3);
/// The same for a group that is known to be slow.
const LONG: Duration = Duration::from_secs(200);
/// Signals come so often.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(20);

/// Records one group: its name, and then scenario and operation of each call to leave out.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    let mut words = arguments.iter();
    let name = words.next().map_or("", String::as_str);
    let mut groups = GROUPS.into_iter().flatten();
    let Some(group) = groups.find(|group| group.name == name) else {
        eprintln!("record: no group is called {name}");
        return ExitCode::from(2);
    };
    let mut hung = Vec::new();
    while let (Some(scenario), Some(op)) = (words.next(), words.next()) {
        hung.push((scenario.clone(), op.clone()));
    }
    let mut recorder = Recorder::new(group.prefix, hung);
    let recorded = lacking::handle_signals()
        .map_err(Into::into)
        .and_then(|()| (group.record)(&mut recorder));
    match recorded {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("record: the rest of {name} is left out: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The rows of a group, with a verdict on how stable they are.
pub(crate) fn record(group: &Group, runs: usize) -> Vec<Row> {
    let mut hung = Vec::new();
    let mut all: Vec<Vec<Row>> = if group.slow {
        // What a slow group does is wait.
        thread::scope(|scope| {
            let one = || scope.spawn(|| once(group, &mut Vec::new()));
            let runs: Vec<_> = (0..runs).map(|_| one()).collect();
            runs.into_iter().filter_map(|run| run.join().ok()).collect()
        })
    } else {
        (0..runs).map(|_| once(group, &mut hung)).collect()
    };
    // A run that ended early has the fewest.
    let fullest = (0..all.len()).max_by_key(|run| (all[*run].len(), usize::MAX - run));
    let mut rows = all.swap_remove(fullest.unwrap_or_default());
    for run in all {
        let mut others = numbered(&run);
        for (key, row) in keys(&rows).into_iter().zip(&mut rows) {
            // A row that says so already differs from itself.
            if others.remove(&key) != Some(&*row) {
                row.stable = "no".into();
            }
        }
    }
    rows
}

/// Two rows may have one name: which of them it is, is part of the key.
fn keys(rows: &[Row]) -> Vec<(String, String, usize)> {
    let mut seen = HashMap::new();
    let key = |row: &Row| {
        let name = (row.scenario.clone(), row.op.clone());
        let n = seen.entry(name.clone()).or_insert(0);
        *n += 1;
        (name.0, name.1, *n)
    };
    rows.iter().map(key).collect()
}

fn numbered(rows: &[Row]) -> HashMap<(String, String, usize), &Row> {
    keys(rows).into_iter().zip(rows).collect()
}

/// Runs a group until it ends with every call that hangs left out.
fn once(group: &Group, hung: &mut Vec<(String, String)>) -> Vec<Row> {
    loop {
        match attempt(group, hung) {
            Ok(Attempt { rows, hangs: None }) => return rows,
            Ok(Attempt {
                hangs: Some(call), ..
            }) if !hung.contains(&call) => hung.push(call),
            Ok(Attempt { rows, .. }) => {
                eprintln!("record: {} stopped where nothing was called", group.name);
                return rows;
            }
            Err(error) => {
                eprintln!("record: {} could not be run: {error}", group.name);
                return Vec::new();
            }
        }
    }
}

struct Attempt {
    rows: Vec<Row>,
    /// The call that did not come back.
    hangs: Option<(String, String)>,
}

/// What waits for the group to go on.
struct Open {
    call: (String, String),
    patience: Duration,
    signals: bool,
}

fn attempt(group: &Group, hung: &[(String, String)]) -> std::io::Result<Attempt> {
    let place = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(GROUP).arg(group.name);
    for (scenario, op) in hung {
        command.arg(scenario).arg(op);
    }
    // Names in it are short enough for any system's AF_UNIX addresses.
    command.current_dir(&place);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let lines = lines(&mut child);
    let attempt = watch(group, &mut child, &lines);
    // Dead already, but for one that hangs.
    let _ = child.kill();
    child.wait()?;
    attempt
}

/// The lines that the group says, as they come.
fn lines(child: &mut Child) -> Receiver<String> {
    let (tell, told) = channel();
    if let Some(out) = child.stdout.take() {
        thread::spawn(move || {
            let lines = BufReader::new(out).lines();
            lines
                .map_while(Result::ok)
                .try_for_each(|line| tell.send(line))
        });
    }
    told
}

fn watch(group: &Group, child: &mut Child, lines: &Receiver<String>) -> std::io::Result<Attempt> {
    let mut rows = Vec::new();
    let mut open: Option<Open> = None;
    loop {
        let quiet = match &open {
            _ if group.slow => LONG,
            Some(open) => open.patience,
            None => PATIENCE,
        };
        let signals = open.as_ref().is_some_and(|open| open.signals);
        let Some(line) = next(child, lines, quiet, signals) else {
            return Ok(Attempt {
                rows,
                // With nothing open there is no call to leave out the next time.
                hangs: Some(open.map_or_else(Default::default, |open| open.call)),
            });
        };
        let Some(line) = line else {
            return Ok(Attempt { rows, hangs: None });
        };
        if let Some(row) = Row::parse(&line) {
            rows.push(row);
            if signals {
                let acknowledged = child.stdin.as_mut().map(|stdin| stdin.write_all(b"\n"));
                acknowledged.transpose()?;
            }
            open = None;
        } else if let [kind, scenario, op] = line.split('\t').collect::<Vec<_>>()[..] {
            open = Some(Open {
                call: (scenario.into(), op.into()),
                patience: if kind == word::MAY_SLEEP {
                    NAP
                } else {
                    PATIENCE
                },
                signals: kind == word::SIGNAL,
            });
        }
    }
}

/// The next line; `Some(None)` at the end, `None` if nothing comes for so long.
#[allow(clippy::option_option, reason = "an end, and no end, and a line")]
fn next(
    child: &Child,
    lines: &Receiver<String>,
    quiet: Duration,
    signals: bool,
) -> Option<Option<String>> {
    let end = Instant::now() + quiet;
    loop {
        let left = end.checked_duration_since(Instant::now())?;
        let step = if signals {
            left.min(BETWEEN_SIGNALS)
        } else {
            left
        };
        match lines.recv_timeout(step) {
            Ok(line) => return Some(Some(line)),
            Err(RecvTimeoutError::Disconnected) => return Some(None),
            // It may end at just this moment.
            Err(RecvTimeoutError::Timeout) if signals => {
                let _ = kill_process(Pid::from_child(child), Signal::USR1);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
