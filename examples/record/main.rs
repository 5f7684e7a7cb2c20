//! What does the running kernel answer? Records it, in the form of the files in
//! `tests/data/kernel-traces`:
//!
//! ```console
//! $ cargo run --example record > tests/data/kernel-traces/NAME.tsv
//! $ cargo run --example record -- pipe tcp     # the groups whose names begin so
//! $ cargo run --example record -- --slow       # also what takes minutes
//! ```
//!
//! Everything is asked by rustix's calls, never by this crate's: the record is what the
//! crate's mapping is then judged by (`tests/replay.rs`). What a scenario's name means is
//! in the code of its group, one function each. What a system lacks is left out.
//!
//! Each group runs in a process of its own, which is started again without a call that
//! did not come back, so that a hang costs a row. Each group runs three times (`--runs`);
//! a row on which the runs differed says so in its column `stable`. A number of bytes
//! depends on the machine, and an order of events on what else it does.

mod calls;
mod lacking;
mod recorder;
mod row;
mod run;

mod connecting;
mod descriptors;
mod fifo;
mod limits;
mod pair;
mod pipe;
mod sequenced;
mod signals;
mod sockets;
mod stream;
mod system;
mod terminal;
mod udp;
mod unix_datagram;
mod unix_listener;
mod wakes;

use std::io::{self, Write};
use std::process::ExitCode;

use wouldblock::platform::HOST;

use recorder::Recorder;

/// A part of the record that runs by itself.
struct Group {
    name: &'static str,
    /// What its scenarios' names begin with.
    prefix: &'static str,
    record: fn(&mut Recorder) -> io::Result<()>,
    /// It takes minutes.
    slow: bool,
}

impl Group {
    const fn new(
        name: &'static str,
        prefix: &'static str,
        record: fn(&mut Recorder) -> io::Result<()>,
    ) -> Self {
        Self {
            name,
            prefix,
            record,
            slow: false,
        }
    }

    const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }
}

const GROUPS: [&[Group]; 14] = [
    pipe::GROUPS,
    fifo::GROUPS,
    pair::GROUPS,
    sequenced::GROUPS,
    unix_listener::GROUPS,
    unix_datagram::GROUPS,
    connecting::GROUPS,
    stream::GROUPS,
    udp::GROUPS,
    descriptors::GROUPS,
    limits::GROUPS,
    wakes::GROUPS,
    signals::GROUPS,
    terminal::GROUPS,
];

/// The system's own name and version, and whose numbers it was built with.
fn title() -> String {
    let uname = rustix::system::uname();
    let words = [uname.sysname(), uname.release(), uname.machine()];
    let words = words.map(|word| word.to_string_lossy().into_owned());
    format!("# {}, table {}", words.join(" "), HOST.name)
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let Some(group) = arguments.strip_prefix(&[String::from(run::GROUP)][..]) {
        return run::child(group);
    }
    let mut runs = 3;
    let mut slow = false;
    let mut wanted = Vec::new();
    let mut words = arguments.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--slow" => slow = true,
            "--runs" => match words.next().and_then(|n| n.parse().ok()) {
                Some(n) if n > 0 => runs = n,
                _ => return usage(),
            },
            _ if word.starts_with('-') => return usage(),
            _ => wanted.push(word),
        }
    }
    let is_wanted = |group: &&Group| {
        let named = wanted.iter().any(|name| group.name.starts_with(name));
        (named || wanted.is_empty()) && (slow || !group.slow)
    };
    let groups: Vec<_> = GROUPS.into_iter().flatten().filter(is_wanted).collect();
    if groups.is_empty() {
        return usage();
    }
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}\n{}", title(), row::COLUMNS.join("\t"));
    let written = written.and_then(|()| {
        groups.iter().try_for_each(|group| {
            let rows = run::record(group, runs);
            rows.iter().try_for_each(|row| writeln!(out, "{row}"))
        })
    });
    // Somebody who reads the first rows only, and closes the pipe, has what they wanted.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("record: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: record [--runs N] [--slow] [GROUP...]; the groups:");
    for group in GROUPS.into_iter().flatten() {
        eprintln!(
            "    {}{}",
            group.name,
            if group.slow { " (slow)" } else { "" }
        );
    }
    ExitCode::from(2)
}
