//! A poll set's own share of a wait, at 1, 64, 1 024 and 10 000 descriptors.
//!
//! Without arguments: the time of `select`, and of the same `ppoll` on an array that
//! stands ready, taken by turns in one run. With `count N`: one `select` of `N` for
//! callgrind, which `--toggle-collect='*one_select*'` counts.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit, setrlimit};
use wouldblock::{Deadline, Growable, Interest, Io, PollFd, PollSet, poll};

type Set<'a> = PollSet<&'a OwnedFd, usize, Growable>;

#[inline(never)]
fn one_select(set: &mut Set<'_>) -> Io {
    set.select(Deadline::never())
}

#[inline(never)]
fn one_poll(fds: &mut [PollFd<'_>]) -> Io {
    poll(fds, None)
}

/// `n` descriptors of an idle socket, but for the last, which can be written.
fn descriptors(n: usize) -> (Vec<(OwnedFd, Interest)>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let all = (1..=n).map(|i| {
        let interest = if i == n {
            Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        (fcntl_dupfd_cloexec(&ours, 0).unwrap(), interest)
    });
    (all.collect(), theirs)
}

fn set_of(all: &[(OwnedFd, Interest)]) -> Set<'_> {
    let mut set = Set::new();
    for (i, (fd, interest)) in all.iter().enumerate() {
        set.register(fd, *interest, i).unwrap();
    }
    set
}

fn main() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, _, n] = &arguments[..] {
        let (all, _peer) = descriptors(n.parse().unwrap());
        let mut set = set_of(&all);
        // The first grows the storage.
        assert!(set.select(Deadline::never()).is_ready());
        assert!(one_select(&mut set).is_ready());
        return;
    }
    println!("| descriptors | `select` | bare `ppoll` | the set's share |\n|---|---|---|---|");
    for n in [1, 64, 1_024, 10_000] {
        let (all, _peer) = descriptors(n);
        let mut fds: Vec<_> = all.iter().map(|(fd, interest)| interest.on(fd)).collect();
        let mut set = set_of(&all);
        let rounds = 400_000 / (n + 200);
        let time = |body: &mut dyn FnMut() -> Io| {
            let start = Instant::now();
            assert!(body().is_ready());
            start.elapsed()
        };
        let mut times: Vec<(Duration, Duration)> = (0..rounds)
            .map(|_| {
                (
                    time(&mut || one_select(&mut set)),
                    time(&mut || one_poll(&mut fds)),
                )
            })
            .collect();
        let mut median = |of: fn(&(Duration, Duration)) -> Duration| {
            times.sort_by_key(of);
            of(&times[times.len() / 2]).as_secs_f64() * 1e6
        };
        let (set, bare) = (median(|t| t.0), median(|t| t.1));
        println!(
            "| {n} | {set:.1} µs | {bare:.1} µs | {:.1} % |",
            (set - bare) / set * 100.0
        );
    }
}
