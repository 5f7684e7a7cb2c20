//! What was found, fact by fact.

use std::fmt::Debug;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};

use wouldblock::platform::{HOST, POSIX};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Agrees,
    Differs,
    Older,
    Asserted,
    NotObservable,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs => "DIFFERS",
            Self::Older => "older system",
            Self::Asserted => "asserted",
            Self::NotObservable => "not observable",
        }
    }
}

pub(crate) struct Line {
    fact: &'static str,
    expected: String,
    observed: String,
    verdict: Verdict,
}

/// Facts that came with a version: field, system, first version that has it. The table
/// is right on an older one too, which reports less.
const SINCE: [(&str, &str, [u32; 2]); 1] = [("pollrdhup", "FreeBSD", [13, 1])];

/// What a wrong value would have cost, by how a line begins: the field, or what was seen
/// of one.
#[rustfmt::skip]
const COSTS: [(&str, &str); 53] = [
    ("eagain", "would-block is an error: the first idle moment ends a connection"),
    ("ewouldblock", "would-block by this name is an error: an idle moment ends a connection"),
    ("eintr", "a signal ends a call with an error"),
    ("einprogress", "a connection that is being made counts as refused"),
    ("ealready", "a connection that is still being made counts as refused"),
    ("enobufs", "a full queue is an error, and what was to be sent is lost"),
    ("enomem", "a moment without memory is an error"),
    ("econnaborted", "one client that gave up ends a server's accept loop"),
    ("eproto", "one client that gave up ends a server's accept loop"),
    ("emfile", "a server without a descriptor left ends, instead of resting"),
    ("enfile", "a server on a system without a descriptor left ends, instead of resting"),
    ("accept_network_errors", "an error of one client's network ends a server's accept loop"),
    ("in_flight_errors", "descriptors that could be sent a moment later are given up"),
    ("send_emfile", "descriptors that could be sent a moment later are given up"),
    ("pollin", "a reader is not woken, or spins"),
    ("pollout", "a writer is not woken, or spins"),
    ("pollpri", "urgent data is not seen, or something else is taken for it"),
    ("pollerr", "an error is not seen before the next call"),
    ("pollhup", "a peer that left is not seen before the next call"),
    ("pollnval", "waiting for a closed descriptor spins"),
    ("pollrdnorm", "data that is reported by this name alone is not seen"),
    ("pollwrnorm", "room that is reported by this name alone is not seen"),
    ("pollrdhup", "a peer that will send no more is seen late, or another bit is taken for that"),
    ("msg_nosignal", "sending to a peer that left kills the process, or every send fails"),
    ("send to a peer", "sending to a peer that left kills the process"),
    ("so_nosigpipe", "sending to a peer that left kills the process"),
    ("send_dontwait", "a send that must not wait does"),
    ("msg_cmsg_cloexec", "a received descriptor is inherited by programs, or none can be received"),
    ("cmsg_cloexec_honoured", "a received descriptor is inherited by programs"),
    ("a received descriptor", "a received descriptor is inherited by programs"),
    ("a descriptor is received", "descriptors are lost"),
    ("send_fds", "descriptors are lost"),
    ("accept", "an accepted socket blocks, or is inherited by programs; or none can be accepted"),
    ("accept_mode", "nothing: the mode is set, whatever it was"),
    ("socket", "a new socket blocks, or is inherited by programs; or none can be made"),
    ("pipe", "a new pipe blocks, or is inherited by programs; or none can be made"),
    ("unix_queue_event", "a sender to a full AF_UNIX queue spins, or sleeps for ever"),
    ("a full AF_UNIX queue", "a sender to a full AF_UNIX queue spins, or sleeps for ever"),
    ("receiver_queue_families", "a sender to a full queue of that family spins"),
    ("unix_connect_interrupted", "a signal makes a program wait for a connection that nobody makes"),
    ("a full AF_UNIX backlog", "a client spins, or takes an unconnected socket for a connected one"),
    ("peek_rights", "peeking closes a descriptor that is another's"),
    ("connects_early", "a connection that is being made counts as made"),
    ("packet_pipes", "a message is cut where it has to be refused"),
    ("peek_tells_length", "how long a cut message is stays unknown"),
    ("poll_clock", "a wait ends up to a millisecond early, or sleeps one too long"),
    ("poll_longest", "a long wait is an error, or ends early"),
    ("poll", "a wait ends early, never, or with an error"),
    ("io_max", "a request of gigabytes fails, or reports a wrong number of bytes"),
    ("iov_max", "a call with many buffers fails"),
    ("connect to nobody", "a program takes an unconnected socket for a connected one"),
    ("every scenario", "what was not asked is not known"),
    ("abstract_names", "a name that the system has is refused, or one is made that is a file"),
];

/// Lines that are not about one field.
const PLAIN: &str = "a program that relies on it waits for ever, spins, or sees an error";

fn cost(fact: &str) -> &'static str {
    // `pollin` is not `poll`: the longest beginning counts.
    let known = COSTS.iter().filter(|(begin, _)| fact.starts_with(begin));
    let known = known.max_by_key(|(begin, _)| begin.len());
    known.map_or(PLAIN, |(_, cost)| cost)
}

/// The running kernel.
pub(crate) struct System {
    name: String,
    pub(crate) whole: String,
    release: [u32; 2],
}

impl System {
    /// By its own words, and not by those of a program.
    pub(crate) fn running() -> Self {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let whole = [
            uname.sysname(),
            uname.release(),
            uname.machine(),
            uname.version(),
        ];
        Self::named(whole.map(text))
    }

    pub(crate) fn named([name, release, machine, version]: [String; 4]) -> Self {
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|number| number.parse().unwrap_or_default());
        let release_numbers = [(); 2].map(|()| numbers.next().unwrap_or_default());
        Self {
            whole: format!("{name} {release} {machine} ({})", version.trim()),
            name,
            release: release_numbers,
        }
    }
}

pub(crate) struct Report {
    lines: Vec<Line>,
    system: System,
}

impl Report {
    pub(crate) fn new(system: System) -> Self {
        Self {
            lines: Vec::new(),
            system,
        }
    }

    fn push(
        &mut self,
        verdict: Verdict,
        fact: &'static str,
        expected: impl Debug,
        observed: String,
    ) {
        self.lines.push(Line {
            fact,
            expected: format!("{expected:?}"),
            observed,
            verdict,
        });
    }

    /// A fact that was run.
    pub(crate) fn saw<T: PartialEq + Debug>(&mut self, fact: &'static str, expected: T, seen: T) {
        let holds = expected == seen;
        self.follows(fact, expected, holds, seen);
    }

    /// A fact that was run, of which not the value was seen but what follows from it.
    pub(crate) fn follows(
        &mut self,
        fact: &'static str,
        value: impl Debug,
        holds: bool,
        seen: impl Debug,
    ) {
        let since = SINCE
            .iter()
            .find(|(field, system, _)| fact.starts_with(field) && *system == self.system.name);
        match since {
            _ if holds => self.push(Verdict::Agrees, fact, value, format!("{seen:?}")),
            Some((_, system, [major, minor])) if self.system.release < [*major, *minor] => {
                let seen = format!("{seen:?}; it came with {system} {major}.{minor}");
                self.push(Verdict::Older, fact, value, seen);
            }
            _ => self.push(Verdict::Differs, fact, value, format!("{seen:?}")),
        }
    }

    /// A fact of the system whose value was seen. The conservative table has none, only
    /// what is right either way.
    pub(crate) fn saw_fact<T: PartialEq + Debug>(
        &mut self,
        fact: &'static str,
        expected: T,
        seen: T,
    ) {
        if HOST.name == POSIX.name && expected != seen {
            self.unseen(fact, expected, &format!("{seen:?} was seen: enter it"));
        } else {
            self.saw(fact, expected, seen);
        }
    }

    /// A fact whose value was seen, and which the table may not know.
    pub(crate) fn saw_or_learned<T: PartialEq + Debug>(
        &mut self,
        fact: &'static str,
        expected: T,
        unknown: &T,
        seen: T,
    ) {
        if expected == *unknown {
            self.unseen(fact, expected, &format!("{seen:?} was seen: enter it"));
        } else {
            self.saw(fact, expected, seen);
        }
    }

    pub(crate) fn close_on_exec(&mut self, fact: &'static str, fd: impl AsFd) {
        match is_close_on_exec(fd) {
            Some(closed) => self.saw(fact, true, closed),
            None => self.unseen(fact, true, "no shell here can name so high a descriptor"),
        }
    }

    pub(crate) fn asserted(&mut self, fact: &'static str, expected: impl Debug) {
        let observed = String::from("the target's constant");
        self.push(Verdict::Asserted, fact, expected, observed);
    }

    pub(crate) fn unseen(&mut self, fact: &'static str, expected: impl Debug, why: &str) {
        self.push(Verdict::NotObservable, fact, expected, why.into());
    }

    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        let lines = self.lines.iter();
        lines.filter(|line| line.verdict == verdict).count()
    }

    /// Five columns for a program: fact, table, seen, verdict, and what a wrong value
    /// would have cost.
    pub(crate) fn print(&self, tsv: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{}wouldblock {} on the table `{}`{}: {}, built for {} on {}",
            if tsv { "# " } else { "" },
            env!("CARGO_PKG_VERSION"),
            HOST.name,
            if HOST.name == POSIX.name {
                ", for this target has none of its own (docs/PORTING.md)"
            } else {
                ""
            },
            self.system.whole,
            std::env::consts::OS,
            std::env::consts::ARCH,
        )?;
        for line in &self.lines {
            let Line {
                fact,
                expected,
                observed,
                verdict,
            } = line;
            let (verdict, cost) = (verdict.name(), cost(fact));
            if tsv {
                writeln!(out, "{fact}\t{expected}\t{observed}\t{verdict}\t{cost}")?;
            } else {
                writeln!(
                    out,
                    "{verdict:<15}{fact:<56}table: {expected}; seen: {observed}\n\
                     {:<15}if it were wrong: {cost}",
                    "",
                )?;
            }
        }
        if tsv {
            return Ok(());
        }
        writeln!(
            out,
            "\n{} agree, {} differ, {} asserted when compiled, {} not observable, {} of a later system\n\
             agrees, DIFFERS: run here and now. asserted: held against the target's constant when\n\
             compiled, if rustix has it. not observable: read, in the source that the table names.\n\
             older system: the fact came later, and costs nothing here.",
            self.count(Verdict::Agrees),
            self.count(Verdict::Differs),
            self.count(Verdict::Asserted),
            self.count(Verdict::NotObservable),
            self.count(Verdict::Older),
        )
    }
}

/// Whether a program that this one executes finds the descriptor closed, which is
/// what close-on-exec is for. `None` if no shell here can name so high a number; POSIX
/// wants one digit, of which a few do more.
fn is_close_on_exec(fd: impl AsFd) -> Option<bool> {
    let n = fd.as_fd().as_raw_fd();
    let succeeds = |shell: &str, script: String| {
        let mut shell = Command::new(shell);
        let status = shell.args(["-c", &script]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let mut shells = ["/bin/sh", "bash", "ksh", "zsh"].into_iter();
    let shell = shells.find(|shell| succeeds(shell, format!("exec {n}</dev/null; : <&{n}")))?;
    Some(!succeeds(shell, format!(": <&{n}")))
}
