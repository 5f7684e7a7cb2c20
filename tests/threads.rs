//! Several threads on the same descriptors: nobody gets what another got, nothing is
//! torn, and no wait is left asleep.
//!
//! What is not here is a thread that closes the descriptor on which another waits:
//! the one who waits borrows it, so safe code cannot. What it can do, and what is
//! here, is to close the peer, to close a duplicate, and to shut the socket down.

mod common;

use std::io::IoSlice;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::{Barrier, mpsc};
use std::thread;

use common::{DEADLINE, habits::habits, pipe, tcp_pair, within_deadline};
use wouldblock::{
    Deadline, Inline, Interest, Io, PollSet, Readiness, RecvFlags, Retry, SendFlags, accept,
    accept_from, is_nonblocking, poll, read, recv, recv_from, recv_msg, send, send_all,
    set_nonblocking, until, write, write_all, writev,
};

const NONE: RecvFlags = RecvFlags::empty();
const SEND: SendFlags = SendFlags::empty();

fn soon() -> Deadline {
    Deadline::after(DEADLINE)
}

/// The value, or the test fails.
#[track_caller]
fn done<T>(answer: Io<T>) -> T {
    answer.into_result().unwrap().expect("the deadline passed")
}

fn unix_pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&ours, true).unwrap();
    set_nonblocking(&theirs, true).unwrap();
    (ours, theirs)
}

// ---- two readers ----

#[test]
fn recv_by_two_threads_at_once_gives_one_the_byte_and_the_other_would_block() {
    const ROUNDS: u8 = 250;
    within_deadline(|| {
        let (ours, theirs) = unix_pair();
        let barrier = &Barrier::new(3);
        let answers = thread::scope(|scope| {
            let ours = &ours;
            let readers = [(); 2].map(|()| {
                scope.spawn(move || {
                    let rounds = (0..ROUNDS).map(|_| {
                        let mut buf = [0; 4];
                        barrier.wait();
                        let answer = recv(ours, &mut buf, NONE);
                        barrier.wait();
                        (answer, buf[0])
                    });
                    rounds.collect::<Vec<_>>()
                })
            });
            for round in 1..=ROUNDS {
                assert_eq!(send(&theirs, &[round], SEND), Io::Ready(1));
                // Both call at once, and have, before the next is sent.
                barrier.wait();
                barrier.wait();
            }
            readers.map(|reader| reader.join().unwrap())
        });
        for (round, (one, other)) in (1..).zip(answers[0].iter().zip(&answers[1])) {
            let (got, lost) = ((Io::Ready(1), round), (Io::WouldBlock, 0));
            assert!(
                (*one, *other) == (got, lost) || (*one, *other) == (lost, got),
                "{round}: {one:?}, {other:?}"
            );
        }
    });
}

/// Lets `count` threads do the same, and returns what each returned.
fn together<T: Send>(count: usize, body: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (barrier, body) = (&Barrier::new(count), &body);
    thread::scope(|scope| {
        let threads = (0..count).map(|i| {
            scope.spawn(move || {
                barrier.wait();
                body(i)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

/// Fails unless each of the numbers below `count` is there once.
#[track_caller]
fn assert_each_once(numbers: impl IntoIterator<Item = u32>, count: u32) {
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..count), "lost or doubled");
}

/// Words of four bytes, of which no reader ever sees a part: both sides count in
/// words, and a socket's lock keeps each call's bytes together.
#[test]
fn two_readers_of_a_stream_share_every_byte_once() {
    const WORDS: u32 = 200_000;
    within_deadline(|| {
        let (ours, theirs) = unix_pair();
        let writer = thread::spawn(move || {
            let bytes: Vec<u8> = (0..WORDS).flat_map(u32::to_be_bytes).collect();
            for chunk in bytes.chunks(4000) {
                let mut rest = chunk;
                done(until(&theirs, soon()).retry(Retry::Send, |fd| send_all(fd, &mut rest, SEND)));
            }
        });
        let words = together(2, |reader| {
            let mut words = Vec::new();
            let mut buf = [0; 400];
            loop {
                let n = done(until(&ours, soon()).retry(Retry::Recv, |fd| match reader {
                    0 => recv(fd, &mut buf, NONE),
                    _ => read(fd, &mut buf),
                }));
                if n == 0 {
                    return words;
                }
                assert_eq!(n % 4, 0, "a torn word");
                let before = words.len();
                words.extend(
                    buf[..n]
                        .chunks(4)
                        .map(|word| u32::from_be_bytes(word.try_into().unwrap())),
                );
                assert!(words[before..].is_sorted());
            }
        });
        writer.join().unwrap();
        assert_each_once(words.concat(), WORDS);
    });
}

/// Over TCP a call may end anywhere, so the bytes are counted by their value.
#[test]
fn two_readers_of_a_tcp_stream_share_every_byte_once() {
    const EACH: usize = 3000;
    within_deadline(|| {
        let (ours, theirs) = tcp_pair();
        set_nonblocking(&theirs, true).unwrap();
        let writer = thread::spawn(move || {
            let bytes: Vec<u8> = (0..=255).cycle().take(256 * EACH).collect();
            let mut rest = &bytes[..];
            done(until(&theirs, soon()).retry(Retry::Send, |fd| send_all(fd, &mut rest, SEND)));
        });
        let counts = together(2, |_| {
            let mut counts = [0; 256];
            let mut buf = [0; 1000];
            loop {
                let n =
                    done(until(&ours, soon()).retry(Retry::Recv, |fd| recv(fd, &mut buf, NONE)));
                if n == 0 {
                    return counts;
                }
                for &byte in &buf[..n] {
                    counts[usize::from(byte)] += 1;
                }
            }
        });
        writer.join().unwrap();
        let sums = counts[0]
            .iter()
            .zip(&counts[1])
            .map(|(one, other)| one + other);
        assert!(sums.eq([EACH; 256]));
    });
}

/// A datagram of this number: its length and every byte of it tell which it is.
fn datagram(number: u32) -> Vec<u8> {
    let [.., high, low] = number.to_be_bytes();
    let mut bytes = vec![high ^ low; 4 + (number % 700) as usize];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

#[test]
fn two_readers_of_datagrams_get_each_whole_and_once() {
    const COUNT: u32 = 5000;
    const END: u32 = u32::MAX;
    within_deadline(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        set_nonblocking(&ours, true).unwrap();
        set_nonblocking(&theirs, true).unwrap();
        let writer = thread::spawn(move || {
            for number in (0..COUNT).chain([END; 2]) {
                let bytes = datagram(number);
                let call = |fd: BorrowedFd<'_>| send(fd, &bytes, SEND);
                assert_eq!(
                    done(until(&theirs, soon()).retry(Retry::Send, call)),
                    bytes.len()
                );
            }
            theirs
        });
        let numbers = together(2, |reader| {
            let mut numbers = Vec::new();
            let mut buf = [0; 1000];
            for turn in reader.. {
                let call = |fd: BorrowedFd<'_>| match turn % 3 {
                    0 => recv(fd, &mut buf, NONE),
                    1 => recv_from(fd, &mut buf, NONE).map(|(n, _)| n),
                    _ => {
                        let bufs = &mut [std::io::IoSliceMut::new(&mut buf)];
                        recv_msg(fd, bufs, NONE).map(|message| message.bytes)
                    }
                };
                let n = done(until(&ours, soon()).retry(Retry::Recv, call));
                let number = u32::from_be_bytes(buf[..4].try_into().unwrap());
                assert!(buf[..n] == datagram(number), "datagram {number} is torn");
                if number == END {
                    break;
                }
                assert!(numbers.last().is_none_or(|&before| before < number));
                numbers.push(number);
            }
            numbers
        });
        writer.join().unwrap();
        assert_each_once(numbers.concat(), COUNT);
    });
}

// ---- two writers ----

/// Lets two threads write to a pipe; returns all that comes out.
fn from_two_writers(write: impl Fn(usize, BorrowedFd<'_>) + Sync) -> Vec<u8> {
    let (reader, writer) = wouldblock::pipe().unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut all = Vec::new();
            let mut buf = [0; 10_000];
            loop {
                let call = |fd: BorrowedFd<'_>| read(fd, &mut buf);
                match done(until(&reader, soon()).retry(Retry::Read, call)) {
                    0 => return all,
                    n => all.extend_from_slice(&buf[..n]),
                }
            }
        });
        together(2, |number| write(number, writer.as_fd()));
        drop(writer);
        reader.join().unwrap()
    })
}

/// The record of this number: its header is its length, its writer and its number,
/// and every byte of the rest follows from them.
fn record(writer: usize, number: usize) -> Vec<u8> {
    let lengths = [6, 100, PIPE_BUF, 511, PIPE_BUF - 1, PIPE_BUF - 96];
    let length = lengths[(number + writer) % lengths.len()];
    let header = [length, writer, number].map(|n| u16::try_from(n).unwrap().to_be_bytes());
    let mut bytes = header.concat();
    let [_, fill] = header[2];
    bytes.resize(length, fill ^ u8::try_from(writer).unwrap());
    bytes
}

/// What one write puts in whole or not at all, in any thread's presence.
#[allow(
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "it is an int on illumos"
)]
const PIPE_BUF: usize = libc::PIPE_BUF as usize;

#[test]
fn two_writers_of_short_records_to_a_pipe_tear_none() {
    const EACH: usize = 3000;
    within_deadline(|| {
        let all = from_two_writers(|writer, fd| {
            for number in 0..EACH {
                let bytes = record(writer, number);
                let n = done(until(fd, soon()).retry(Retry::Write, |fd| {
                    let (head, tail) = bytes.split_at(bytes.len() / 2);
                    match number % 3 {
                        0 => writev(fd, &[IoSlice::new(head), IoSlice::new(tail)]),
                        _ => write(fd, &bytes),
                    }
                }));
                assert_eq!(n, bytes.len(), "a part of a short record");
            }
        });
        let mut next = [0; 2];
        let mut rest = &all[..];
        while let [_, _, _, writer, ..] = *rest {
            let writer = usize::from(writer);
            let bytes = record(writer, next[writer]);
            assert!(rest.starts_with(&bytes), "record {next:?} is torn");
            rest = &rest[bytes.len()..];
            next[writer] += 1;
        }
        assert_eq!((next, rest.len()), ([EACH; 2], 0));
    });
}

/// What does not fit into one write may mix with the other's, but each writer's bytes
/// arrive, once and in their order.
#[test]
fn two_writers_of_long_blocks_to_a_pipe_lose_and_double_nothing() {
    const BLOCK: usize = 100_000;
    const BLOCKS: usize = 20;
    within_deadline(|| {
        let all = from_two_writers(|writer, fd| {
            // The highest bit says whose it is.
            let count = (0..0x7F).map(|n: u8| if writer == 0 { n } else { n | 0x80 });
            let bytes: Vec<u8> = count.cycle().take(BLOCK * BLOCKS).collect();
            for block in bytes.chunks(BLOCK) {
                let mut rest = block;
                done(until(fd, soon()).retry(Retry::Write, |fd| write_all(fd, &mut rest)));
            }
        });
        let (ones, others): (Vec<u8>, Vec<u8>) = all.iter().partition(|&&byte| byte < 0x80);
        for (bytes, mark) in [(ones, 0), (others, 0x80)] {
            let expected = (0..0x7F).map(|n: u8| n | mark).cycle();
            assert!(bytes.into_iter().eq(expected.take(BLOCK * BLOCKS)));
        }
    });
}

// ---- a closer beside a poller ----

type Wait = fn(BorrowedFd<'_>, Interest) -> Io<Readiness>;

/// Every wait that says what it found.
const WAITS: [(&str, Wait); 3] = [
    ("poll", |fd, interest| {
        let mut fds = [interest.on(fd)];
        poll(&mut fds, Some(DEADLINE)).map(|_| Readiness::from(&fds[0]))
    }),
    ("until.ready", |fd, interest| {
        until(fd, soon()).ready(interest)
    }),
    ("select", |fd, interest| {
        let mut set: PollSet<_, (), Inline<1>> = PollSet::new();
        set.register(fd, interest, ()).unwrap();
        set.select(soon()).map(|_| set.next_ready().unwrap().1)
    }),
];

/// Lets each wait run beside a thread that does something to what `make` made, soon
/// or late: before the wait, while it falls asleep, or when it sleeps.
#[track_caller]
fn beside<T: Send + 'static>(
    make: impl Fn() -> (OwnedFd, T),
    act: impl Fn(T) + Send + 'static,
    interest: Interest,
    check: impl Fn(&str, BorrowedFd<'_>, Readiness),
) {
    const ROUNDS: usize = 60;
    let (tell, told) = mpsc::channel::<(usize, T)>();
    let actor = thread::spawn(move || {
        for (delay, what) in told {
            (0..delay * 4000).for_each(|_| std::hint::spin_loop());
            act(what);
        }
    });
    for round in 0..ROUNDS {
        for (name, wait) in WAITS {
            let (ours, what) = make();
            tell.send((round % 5, what)).unwrap();
            let readiness = done(wait(ours.as_fd(), interest));
            check(name, ours.as_fd(), readiness);
        }
    }
    drop(tell);
    actor.join().unwrap();
}

fn assert_at_its_end(name: &str, fd: BorrowedFd<'_>, readiness: Readiness) {
    assert!(readiness.is_readable(), "{name}: {readiness:?}");
    assert_eq!(read(fd, &mut [0; 8]), Io::Ready(0), "{name}");
}

#[test]
fn poller_beside_the_one_who_closes_the_peer_wakes_up() {
    within_deadline(|| {
        beside(
            || {
                let (ours, theirs) = unix_pair();
                (ours.into(), theirs)
            },
            drop,
            Interest::READABLE,
            assert_at_its_end,
        );
    });
}

#[test]
fn poller_beside_the_one_who_closes_a_tcp_peer_wakes_up() {
    within_deadline(|| {
        beside(
            || {
                let (ours, theirs) = tcp_pair();
                (ours.into(), theirs)
            },
            drop,
            Interest::READABLE,
            assert_at_its_end,
        );
    });
}

#[test]
fn poller_of_a_pipe_beside_the_one_who_closes_the_other_end_wakes_up() {
    within_deadline(|| {
        beside(
            || wouldblock::pipe().unwrap(),
            drop,
            Interest::READABLE,
            assert_at_its_end,
        );
        beside(
            || {
                let (reader, writer) = wouldblock::pipe().unwrap();
                common::fill(|bytes| write(&writer, bytes));
                (writer, reader)
            },
            drop,
            Interest::WRITABLE,
            |name, fd, readiness| {
                assert!(readiness.is_writable(), "{name}: {readiness:?}");
                let told = readiness.is_error() || !habits().errnos_of_linux;
                assert!(told, "{name}: {readiness:?}");
                assert_eq!(write(fd, b"!"), Io::Err(wouldblock::Errno::PIPE), "{name}");
            },
        );
    });
}

#[test]
fn poller_beside_the_one_who_shuts_the_peer_down_wakes_up() {
    within_deadline(|| {
        beside(
            || {
                let (ours, theirs) = unix_pair();
                (ours.into(), theirs)
            },
            // The peer stays open for as long as it is looked at.
            |theirs| {
                theirs.shutdown(Shutdown::Write).unwrap();
                std::mem::forget(theirs);
            },
            Interest::READABLE,
            assert_at_its_end,
        );
    });
}

#[test]
fn poller_beside_the_one_who_shuts_its_own_socket_down_wakes_up() {
    within_deadline(|| {
        beside(
            || {
                let (ours, theirs) = unix_pair();
                let shared = ours.try_clone().unwrap();
                (ours.into(), (shared, theirs))
            },
            |(shared, _theirs)| shared.shutdown(Shutdown::Both).unwrap(),
            Interest::READABLE,
            assert_at_its_end,
        );
    });
}

/// To close a duplicate is no event; what comes afterwards is.
#[test]
fn poller_beside_the_one_who_closes_a_duplicate_waits_for_the_data() {
    within_deadline(|| {
        beside(
            || {
                let (ours, theirs) = unix_pair();
                let duplicate = ours.try_clone().unwrap();
                (ours.into(), (duplicate, theirs))
            },
            |(duplicate, theirs)| {
                drop(duplicate);
                assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
            },
            Interest::READABLE,
            |name, fd, readiness| {
                assert!(readiness.is_readable(), "{name}: {readiness:?}");
                assert_eq!(read(fd, &mut [0; 8]), Io::Ready(1), "{name}");
            },
        );
    });
}

#[test]
fn two_pollers_of_one_socket_both_wake_up() {
    within_deadline(|| {
        for (name, wait) in WAITS {
            for _ in 0..60 {
                let (ours, theirs) = unix_pair();
                let answers = together(3, |i| match i {
                    0 => {
                        assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
                        None
                    }
                    _ => Some(wait(ours.as_fd(), Interest::READABLE)),
                });
                let woken = Some(Io::Ready(Readiness::READABLE));
                assert_eq!(answers[1..], [woken, woken], "{name}");
            }
        }
    });
}

/// Each waits for the other's byte a thousand times: one lost wake-up is the end.
#[test]
fn threads_that_wait_for_each_other_never_miss_a_wake_up() {
    const ROUNDS: usize = 1000;
    within_deadline(|| {
        let (ours, theirs) = unix_pair();
        let ends = [&ours, &theirs];
        together(2, |i| {
            let mut buf = [0; 2];
            for round in 0..ROUNDS {
                if i == 0 {
                    assert_eq!(send(&ours, b"!", SEND), Io::Ready(1));
                }
                let receive = |fd: BorrowedFd<'_>| recv(fd, &mut buf, NONE);
                if round % 4 == 0 {
                    let answer = until(ends[i], soon()).retry(Retry::Recv, receive);
                    assert_eq!(answer, Io::Ready(1));
                } else {
                    let (name, wait) = WAITS[round % WAITS.len()];
                    assert!(done(wait(ends[i].as_fd(), Interest::READABLE)).is_readable());
                    assert_eq!(recv(ends[i], &mut buf, NONE), Io::Ready(1), "{name}");
                }
                if i == 1 {
                    assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
                }
            }
        });
    });
}

// ---- several who accept ----

#[test]
fn threads_that_accept_on_one_listener_share_every_connection_once() {
    const ACCEPTORS: usize = 4;
    const CONNECTIONS: u32 = 400;
    const END: u32 = u32::MAX;
    within_deadline(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&listener, true).unwrap();
        let address = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            for number in (0..CONNECTIONS).chain([END; ACCEPTORS]) {
                let stream = TcpStream::connect(address).unwrap();
                assert_eq!(send(&stream, &number.to_be_bytes(), SEND), Io::Ready(4));
                // Until it is taken, so that the queue never overflows.
                common::assert_ends(&stream);
            }
        });
        let numbers = together(ACCEPTORS, |i| {
            let mut numbers = Vec::new();
            loop {
                let accepted =
                    done(
                        until(&listener, soon()).retry(Retry::Accept, |fd| match i % 2 {
                            0 => accept(fd),
                            _ => accept_from(fd).map(|(fd, _)| fd),
                        }),
                    );
                assert_eq!(is_nonblocking(&accepted), Ok(true));
                let mut buf = [0; 8];
                let receive = |fd: BorrowedFd<'_>| recv(fd, &mut buf, NONE);
                let n = done(until(&accepted, soon()).retry(Retry::Recv, receive));
                assert_eq!(n, 4);
                match u32::from_be_bytes(buf[..4].try_into().unwrap()) {
                    END => return numbers,
                    number => numbers.push(number),
                }
            }
        });
        client.join().unwrap();
        assert_each_once(numbers.concat(), CONNECTIONS);
        assert!(accept(&listener).is_would_block());
    });
}

/// All of them see the one connection; one gets it.
#[test]
fn accept_by_several_threads_at_once_gives_one_the_connection() {
    within_deadline(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_nonblocking(&listener, true).unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..100 {
            let client = TcpStream::connect(address).unwrap();
            let woken = Barrier::new(3);
            let answers = together(3, |_| {
                assert!(
                    until(&listener, soon())
                        .ready(Interest::READABLE)
                        .is_ready()
                );
                // Who comes late would find nothing to wait for.
                woken.wait();
                let answer = accept(&listener);
                assert!(answer.is_ready() || answer.is_would_block(), "{answer:?}");
                answer
            });
            assert_eq!(answers.iter().filter(|answer| answer.is_ready()).count(), 1);
            drop(answers);
            common::reset(client);
        }
    });
}

// ---- mode changes beside readers ----

/// `DONTWAIT` asks for one call what the mode asks for all; whatever another thread
/// does to the mode meanwhile, no call sleeps and nothing is lost.
#[cfg(target_os = "linux")]
#[test]
fn reader_with_dontwait_beside_mode_changes_never_sleeps() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use wouldblock::ModeGuard;

    const WORDS: u32 = 10_000;
    within_deadline(|| {
        let (ours, theirs) = unix_pair();
        let (over, changes) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    set_nonblocking(&ours, false).unwrap();
                    let guard = ModeGuard::new(&ours, true).unwrap();
                    guard.into_inner().unwrap();
                    set_nonblocking(&ours, true).unwrap();
                    changes.fetch_add(1, Ordering::Relaxed);
                }
            });
            let mut next = 0;
            // At least as many changes, so that a call that sleeps would be met.
            while next < WORDS || changes.load(Ordering::Relaxed) < 1000 {
                let word = next.to_be_bytes();
                let mut buf = [0; 8];
                // It would sleep for ever.
                assert_eq!(recv(&ours, &mut buf, RecvFlags::DONTWAIT), Io::WouldBlock);
                assert_eq!(send(&theirs, &word, SEND), Io::Ready(4));
                let readiness = until(&ours, soon()).ready(Interest::READABLE);
                assert_eq!(readiness, Io::Ready(Readiness::READABLE));
                assert_eq!(recv(&ours, &mut buf, RecvFlags::DONTWAIT), Io::Ready(4));
                assert_eq!(buf[..4], word);
                next += 1;
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(is_nonblocking(&ours), Ok(true));
    });
}

/// A wait does not depend on the mode: it sleeps and wakes up as ever.
#[test]
fn poller_beside_mode_changes_wakes_up_for_the_data() {
    within_deadline(|| {
        beside(
            || {
                let (ours, theirs) = unix_pair();
                let shared = ours.try_clone().unwrap();
                (ours.into(), (shared, theirs))
            },
            |(shared, theirs)| {
                for nonblocking in [false, true, false, true] {
                    set_nonblocking(&shared, nonblocking).unwrap();
                }
                assert_eq!(send(&theirs, b"!", SEND), Io::Ready(1));
            },
            Interest::READABLE,
            |name, fd, readiness| {
                assert!(readiness.is_readable(), "{name}: {readiness:?}");
                assert_eq!(read(fd, &mut [0; 8]), Io::Ready(1), "{name}");
            },
        );
    });
}

/// Who asks for a mode and who asks for the other: one of them has it at the end, and
/// neither is refused.
#[test]
fn mode_changes_by_two_threads_end_in_one_of_the_modes() {
    let (reader, _writer) = pipe();
    let flags = || rustix::fs::fcntl_getfl(&reader).unwrap() - rustix::fs::OFlags::NONBLOCK;
    let before = flags();
    together(2, |i| {
        for _ in 0..2000 {
            set_nonblocking(&reader, i == 0).unwrap();
        }
    });
    assert!(is_nonblocking(&reader).is_ok());
    assert_eq!(flags(), before);
}
