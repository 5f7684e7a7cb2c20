//! Poll sets: what each method answers, for both kinds of storage, and random
//! sequences of calls against a naive model.

mod common;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use common::signals::under_fire;
use common::{DEADLINE, STARTS, alone, dead_descriptor, open_descriptors};
use rustix::event::{PollFd, PollFlags, Timespec};
use wouldblock::{
    Deadline, Errno, Inline, Interest, Io, Key, Op, PollSet, Readiness, Reason, RecvFlags,
    SendFlags, Storage, UnknownKey, recv,
};

fn now() -> Deadline {
    Deadline::after(Duration::ZERO)
}

fn soon() -> Deadline {
    Deadline::after(DEADLINE)
}

fn pairs(count: usize) -> Vec<(UnixStream, UnixStream)> {
    (0..count).map(|_| UnixStream::pair().unwrap()).collect()
}

/// All that the last wait found, sorted by key.
fn found<F: AsFd, D, S: Storage>(set: &mut PollSet<F, D, S>) -> Vec<(Key, Readiness)> {
    let mut found: Vec<_> = std::iter::from_fn(|| set.next_ready()).collect();
    found.sort_by_key(|(key, _)| *key);
    found
}

/// Each test once with each kind of storage.
macro_rules! with_each_storage {
    ($($test:ident)*) => {
        mod inline {
            $(#[test] fn $test() { super::$test::<wouldblock::Inline<24>>(); })*
        }
        #[cfg(feature = "alloc")]
        mod growable {
            $(#[test] fn $test() { super::$test::<wouldblock::Growable>(); })*
        }
    };
}

with_each_storage! {
    register_gives_a_key_that_finds_the_registration
    register_of_the_same_descriptor_twice_hands_it_back
    modify_changes_what_is_waited_for
    unregister_gives_the_descriptor_and_the_data_back
    unregister_of_any_keeps_the_others_findable
    a_late_key_is_unknown_after_its_slot_was_used_again
    select_finds_what_is_ready_and_nothing_else
    select_forgets_what_nobody_has_taken
    select_with_a_few_served_each_time_serves_all_in_turn
    next_ready_passes_over_what_was_unregistered
    next_ready_does_not_take_a_newcomer_for_its_predecessor
    select_of_an_empty_set_waits_for_the_time_alone
    select_under_fire_of_signals_is_not_ended_by_one
    select_of_a_dead_descriptor_hands_it_out_as_invalid
    drain_gives_back_what_it_is_asked_for
    a_set_that_is_dropped_closes_its_descriptors
    a_set_holds_references_as_well
    a_set_says_what_it_holds
    iter_mut_reaches_every_registration_once
    random_sequences_agree_with_a_naive_model
}

fn register_gives_a_key_that_finds_the_registration<S: Storage>() {
    let pairs = pairs(24);
    let mut set: PollSet<_, _, S> = PollSet::new();
    assert!(set.is_empty());
    let mut keys = Vec::new();
    for (i, (ours, _)) in pairs.iter().enumerate() {
        assert_eq!(set.key_of(ours), None);
        keys.push(set.register(ours, Interest::READABLE, i).unwrap());
        assert_eq!(set.len(), i + 1);
    }
    assert!(!set.is_empty());
    for (i, (key, (ours, theirs))) in keys.iter().zip(&pairs).enumerate() {
        assert_eq!(set.key_of(ours), Some(*key));
        assert_eq!(set.key_of(theirs), None);
        let entry = set.get(*key).unwrap();
        assert_eq!((entry.key, *entry.data), (*key, i));
        assert_eq!(entry.interest, Interest::READABLE);
        assert_eq!(entry.fd.as_raw_fd(), ours.as_raw_fd());
        let (at, data) = set.get_mut(*key).unwrap();
        assert_eq!(at.fd().as_raw_fd(), ours.as_raw_fd());
        *data += 100;
    }
    let mut all: Vec<_> = set.iter().map(|entry| (entry.key, *entry.data)).collect();
    all.sort();
    let expected: Vec<_> = keys.iter().copied().zip(100..).collect();
    assert_eq!(all, expected);
    assert_eq!(
        set.iter()
            .map(|entry| entry.key)
            .collect::<HashSet<_>>()
            .len(),
        24
    );
}

fn register_of_the_same_descriptor_twice_hands_it_back<S: Storage>() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let other = ours.try_clone().unwrap();
    let mut set: PollSet<_, _, S> = PollSet::new();
    let key = set
        .register(ours.as_fd(), Interest::READABLE, "first")
        .unwrap();
    let refused = set
        .register(ours.as_fd(), Interest::WRITABLE, "second")
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Registered(key));
    assert_eq!(refused.fd.as_raw_fd(), ours.as_raw_fd());
    assert_eq!(refused.data, "second");
    assert_eq!(refused.to_string(), "the descriptor is registered already");
    let shown = format!("NotRegistered {{ reason: {:?}, .. }}", refused.reason);
    assert_eq!(format!("{refused:?}"), shown);
    let entry = set.get(key).unwrap();
    assert_eq!((*entry.data, entry.interest), ("first", Interest::READABLE));
    assert_eq!(set.len(), 1);
    // A second descriptor of the same socket is another one.
    assert!(
        set.register(other.as_fd(), Interest::WRITABLE, "third")
            .is_ok()
    );
}

#[test]
fn register_in_a_full_set_hands_the_descriptor_back() {
    let pairs = pairs(3);
    let mut set: PollSet<_, _, Inline<2>> = PollSet::new();
    let first = set.register(&pairs[0].0, Interest::READABLE, 0).unwrap();
    set.register(&pairs[1].0, Interest::READABLE, 1).unwrap();
    let refused = set
        .register(&pairs[2].0, Interest::READABLE, 2)
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Full);
    assert_eq!(refused.fd.as_raw_fd(), pairs[2].0.as_raw_fd());
    assert_eq!(refused.data, 2);
    assert_eq!(refused.to_string(), "the poll set is full");
    // The better reason wins.
    let refused = set
        .register(&pairs[0].0, Interest::READABLE, 2)
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Registered(first));
    set.unregister(first).unwrap();
    let third = set.register(&pairs[2].0, Interest::READABLE, 2).unwrap();
    assert_eq!(set.key_of(&pairs[2].0), Some(third));
    assert_eq!((set.key_of(&pairs[0].0), set.len()), (None, 2));
}

#[test]
fn a_set_without_room_is_full_and_empty() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut set: PollSet<&UnixStream, (), Inline<0>> = PollSet::new();
    let refused = set.register(&ours, Interest::READABLE, ()).unwrap_err();
    assert_eq!(refused.reason, Reason::Full);
    assert_eq!(set.key_of(&ours), None);
    assert_eq!(set.select(now()), Io::WouldBlock);
    assert_eq!(set.next_ready(), None);
    assert_eq!(
        (set.len(), set.iter().count(), set.drain().count()),
        (0, 0, 0)
    );
}

fn modify_changes_what_is_waited_for<S: Storage>() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut set: PollSet<_, _, S> = PollSet::new();
    let key = set.register(&ours, Interest::READABLE, ()).unwrap();
    assert_eq!(set.select(now()), Io::WouldBlock);
    set.modify(key, Interest::READABLE | Interest::WRITABLE)
        .unwrap();
    assert_eq!(set.select(now()), Io::Ready(1));
    assert_eq!(found(&mut set), [(key, Readiness::WRITABLE)]);
    set.modify(key, Interest::empty()).unwrap();
    assert_eq!(set.get(key).unwrap().interest, Interest::empty());
    assert_eq!(set.select(now()), Io::WouldBlock);
    assert_eq!(set.len(), 1);
    set.unregister(key).unwrap();
    assert_eq!(set.modify(key, Interest::READABLE), Err(UnknownKey));
}

fn unregister_gives_the_descriptor_and_the_data_back<S: Storage>() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let number = ours.as_raw_fd();
    let mut set: PollSet<_, _, S> = PollSet::new();
    let key = set.register(ours, Interest::READABLE, vec![1, 2]).unwrap();
    let (mut ours, data) = set.unregister(key).unwrap();
    assert_eq!((ours.as_raw_fd(), data), (number, vec![1, 2]));
    theirs.write_all(b"!").unwrap();
    assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    assert!(set.is_empty());
    assert_eq!(set.unregister(key).unwrap_err(), UnknownKey);
    assert_eq!(
        UnknownKey.to_string(),
        "the poll set has no registration with this key"
    );
    assert!(set.get(key).is_none() && set.get_mut(key).is_none());
    assert_eq!(set.key_of(&ours), None);
    assert_eq!(set.select(now()), Io::WouldBlock);
}

fn unregister_of_any_keeps_the_others_findable<S: Storage>() {
    for gone in 0..20 {
        let pairs = pairs(20);
        let mut set: PollSet<_, _, S> = PollSet::new();
        let keys: Vec<_> = pairs
            .iter()
            .enumerate()
            .map(|(i, (ours, _))| set.register(ours, Interest::READABLE, i).unwrap())
            .collect();
        let (fd, data) = set.unregister(keys[gone]).unwrap();
        assert_eq!((fd.as_raw_fd(), data), (pairs[gone].0.as_raw_fd(), gone));
        for (i, (ours, theirs)) in pairs.iter().enumerate() {
            let (mut theirs, there) = (theirs, i != gone);
            theirs.write_all(b"!").unwrap();
            assert_eq!(set.key_of(ours), there.then_some(keys[i]));
            assert_eq!(
                set.get(keys[i]).map(|entry| *entry.data),
                there.then_some(i)
            );
            assert_eq!(set.modify(keys[i], Interest::READABLE).is_ok(), there);
        }
        assert_eq!(set.select(soon()), Io::Ready(19));
        let expected: Vec<_> = keys.iter().filter(|key| **key != keys[gone]).collect();
        let found = found(&mut set);
        assert_eq!(
            found.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            expected
        );
    }
}

fn a_late_key_is_unknown_after_its_slot_was_used_again<S: Storage>() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut set: PollSet<_, _, S> = PollSet::new();
    let mut late = Vec::new();
    for data in 0..100 {
        let key = set.register(&ours, Interest::READABLE, data).unwrap();
        for late in &late {
            assert_ne!(*late, key);
            assert!(set.get(*late).is_none() && set.get_mut(*late).is_none());
            assert_eq!(set.modify(*late, Interest::WRITABLE), Err(UnknownKey));
            assert_eq!(set.unregister(*late).unwrap_err(), UnknownKey);
        }
        assert_eq!(*set.get(key).unwrap().data, data);
        set.unregister(key).unwrap();
        late.push(key);
    }
}

#[test]
fn a_key_of_a_larger_set_is_unknown() {
    let pairs = pairs(2);
    let mut large: PollSet<_, _, Inline<2>> = PollSet::new();
    let mut small: PollSet<_, _, Inline<1>> = PollSet::new();
    large.register(&pairs[0].0, Interest::READABLE, ()).unwrap();
    let foreign = large.register(&pairs[1].0, Interest::READABLE, ()).unwrap();
    assert!(small.get(foreign).is_none());
    small.register(&pairs[0].0, Interest::READABLE, ()).unwrap();
    assert!(small.get(foreign).is_none() && small.get_mut(foreign).is_none());
    assert_eq!(small.modify(foreign, Interest::READABLE), Err(UnknownKey));
    assert_eq!(small.unregister(foreign).unwrap_err(), UnknownKey);
}

fn select_finds_what_is_ready_and_nothing_else<S: Storage>() {
    let pairs = pairs(20);
    let mut set: PollSet<_, _, S> = PollSet::new();
    let keys: Vec<_> = pairs
        .iter()
        .map(|(ours, _)| set.register(ours, Interest::READABLE, ()).unwrap())
        .collect();
    assert_eq!(set.select(Duration::ZERO), Io::WouldBlock);
    assert_eq!(set.next_ready(), None);
    for i in [3, 7, 19] {
        (&pairs[i].1).write_all(b"!").unwrap();
    }
    let expected = [3, 7, 19].map(|i| (keys[i], Readiness::READABLE));
    for _ in 0..3 {
        assert_eq!(set.select(Deadline::never()), Io::Ready(3));
        assert_eq!(found(&mut set), expected);
        assert_eq!(set.next_ready(), None);
    }
    for i in [3, 19] {
        assert_eq!((&pairs[i].0).read(&mut [0; 8]).unwrap(), 1);
    }
    assert_eq!(set.select(Deadline::never()), Io::Ready(1));
    assert_eq!(found(&mut set), [(keys[7], Readiness::READABLE)]);
}

fn select_forgets_what_nobody_has_taken<S: Storage>() {
    let pairs = pairs(2);
    let mut set: PollSet<_, _, S> = PollSet::new();
    for (ours, theirs) in &pairs {
        let mut theirs = theirs;
        set.register(ours, Interest::READABLE, ()).unwrap();
        theirs.write_all(b"!").unwrap();
    }
    assert_eq!(set.select(soon()), Io::Ready(2));
    assert!(set.next_ready().is_some());
    for (ours, _) in &pairs {
        let mut ours = ours;
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    }
    assert_eq!(set.select(now()), Io::WouldBlock);
    assert_eq!(set.next_ready(), None);
}

/// Three neighbours are ready all the time, and the caller has time for one, or two.
fn select_with_a_few_served_each_time_serves_all_in_turn<S: Storage>() {
    let pairs = pairs(20);
    let mut set: PollSet<_, _, S> = PollSet::new();
    for (i, (ours, _)) in pairs.iter().enumerate() {
        let busy = if (7..10).contains(&i) {
            Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        set.register(ours, busy, i).unwrap();
    }
    for few in 1..=3 {
        let mut served = [0; 20];
        for _ in 0..15 {
            assert_eq!(set.select(soon()), Io::Ready(3));
            for _ in 0..few {
                let (key, _) = set.next_ready().unwrap();
                served[*set.get(key).unwrap().data] += 1;
            }
        }
        assert_eq!(served[7..10], [5 * few; 3]);
        assert_eq!(served.iter().sum::<usize>(), 15 * few);
    }
}

fn next_ready_passes_over_what_was_unregistered<S: Storage>() {
    let pairs = pairs(6);
    let mut set: PollSet<_, _, S> = PollSet::new();
    for (ours, _) in &pairs {
        set.register(ours, Interest::WRITABLE, ()).unwrap();
    }
    assert_eq!(set.select(soon()), Io::Ready(6));
    let mut handed_out = 0;
    while let Some((key, _)) = set.next_ready() {
        handed_out += 1;
        // Itself, and one that may still be on the list.
        set.unregister(key).unwrap();
        let other = set.iter().next().map(|entry| entry.key);
        if let Some(other) = other {
            set.unregister(other).unwrap();
        }
    }
    assert_eq!((handed_out, set.len()), (3, 0));
}

fn next_ready_does_not_take_a_newcomer_for_its_predecessor<S: Storage>() {
    let pairs = pairs(2);
    let mut set: PollSet<_, _, S> = PollSet::new();
    let first = set.register(&pairs[0].0, Interest::WRITABLE, ()).unwrap();
    assert_eq!(set.select(soon()), Io::Ready(1));
    set.unregister(first).unwrap();
    // The same slot, and then even the same descriptor.
    let second = set.register(&pairs[1].0, Interest::READABLE, ()).unwrap();
    let third = set.register(&pairs[0].0, Interest::READABLE, ()).unwrap();
    assert_eq!(set.next_ready(), None);
    assert_eq!(set.select(now()), Io::WouldBlock);
    assert!(set.get(second).is_some() && set.get(third).is_some());
}

fn select_of_an_empty_set_waits_for_the_time_alone<S: Storage>() {
    let mut set: PollSet<UnixStream, (), S> = PollSet::new();
    let start = Instant::now();
    assert_eq!(
        set.select(Deadline::after(Duration::from_millis(5))),
        Io::WouldBlock
    );
    assert_eq!(set.select(Duration::from_millis(5)), Io::WouldBlock);
    assert!(start.elapsed() >= Duration::from_millis(10));
    assert_eq!(set.next_ready(), None);
}

fn select_under_fire_of_signals_is_not_ended_by_one<S: Storage>() {
    under_fire(|| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut set: PollSet<_, _, S> = PollSet::new();
        set.register(ours, Interest::READABLE, ()).unwrap();
        let start = Instant::now();
        let signals = common::signals::count();
        let deadline = Deadline::after(Duration::from_millis(50));
        assert_eq!(set.select(deadline), Io::WouldBlock);
        assert!(deadline.has_passed() && start.elapsed() >= Duration::from_millis(50));
        assert!(common::signals::count() > signals, "nothing to absorb");
    });
}

fn select_of_a_dead_descriptor_hands_it_out_as_invalid<S: Storage>() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut set: PollSet<_, _, S> = PollSet::new();
    let live = set.register(ours.as_fd(), Interest::WRITABLE, ()).unwrap();
    let dead = set
        .register(dead_descriptor(), Interest::READABLE, ())
        .unwrap();
    assert_eq!(set.select(Deadline::never()), Io::Ready(2));
    let expected = [(live, Readiness::WRITABLE), (dead, Readiness::INVALID)];
    assert_eq!(found(&mut set), expected);
    set.unregister(dead).unwrap();
    assert_eq!(set.select(Deadline::never()), Io::Ready(1));
}

fn drain_gives_back_what_it_is_asked_for<S: Storage>() {
    let mut set: PollSet<_, _, S> = PollSet::new();
    let mut keys = Vec::new();
    for (i, (ours, theirs)) in pairs(20).into_iter().enumerate() {
        keys.push(set.register(ours, Interest::READABLE, (i, theirs)).unwrap());
    }
    let mut taken: Vec<_> = set.drain().take(7).map(|(_, (i, _))| i).collect();
    assert_eq!((taken.len(), set.len()), (7, 13));
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(set.get(*key).is_none(), taken.contains(&i));
    }
    taken.extend(set.drain().map(|(_, (i, _))| i));
    taken.sort_unstable();
    assert_eq!(taken, (0..20).collect::<Vec<_>>());
    assert!(set.is_empty());
    assert!(keys.iter().all(|key| set.get(*key).is_none()));
    // It goes on as before.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let key = set
        .register(ours, Interest::WRITABLE, (20, theirs))
        .unwrap();
    assert!(!keys.contains(&key));
    assert_eq!(set.select(soon()), Io::Ready(1));
}

fn a_set_that_is_dropped_closes_its_descriptors<S: Storage>() {
    let mut set: PollSet<_, _, S> = PollSet::new();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    set.register(ours, Interest::READABLE, ()).unwrap();
    drop(set);
    theirs.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
}

fn a_set_holds_references_as_well<S: Storage>() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let owned = OwnedFd::from(theirs);
    let mut set: PollSet<BorrowedFd<'_>, (), S> = PollSet::default();
    let key = set.register(ours.as_fd(), Interest::WRITABLE, ()).unwrap();
    set.register(owned.as_fd(), Interest::WRITABLE, ()).unwrap();
    assert_eq!(set.select(soon()), Io::Ready(2));
    let (back, ()) = set.unregister(key).unwrap();
    drop(set);
    assert_eq!(back.as_raw_fd(), ours.as_raw_fd());
    let mut shared: PollSet<Rc<UnixStream>, (), S> = PollSet::default();
    let ours = Rc::new(ours);
    shared
        .register(Rc::clone(&ours), Interest::WRITABLE, ())
        .unwrap();
    assert_eq!(shared.select(soon()), Io::Ready(1));
}

fn a_set_says_what_it_holds<S: Storage>() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let number = ours.as_raw_fd();
    let mut set: PollSet<_, _, S> = PollSet::new();
    set.register(OwnedFd::from(ours), Interest::READABLE, "peer")
        .unwrap();
    assert_eq!(
        format!("{set:?}"),
        format!("{{OwnedFd {{ fd: {number} }}: \"peer\"}}")
    );
}

fn iter_mut_reaches_every_registration_once<S: Storage>() {
    let pairs = pairs(7);
    let mut set: PollSet<_, _, S> = PollSet::new();
    let keys: Vec<_> = pairs
        .iter()
        .map(|(ours, _)| set.register(ours, Interest::READABLE, 0).unwrap())
        .collect();
    set.unregister(keys[2]).unwrap();
    for (key, at, data) in set.iter_mut() {
        let i = keys.iter().position(|&known| known == key).unwrap();
        assert_eq!(at.fd().as_raw_fd(), pairs[i].0.as_raw_fd());
        *data += i;
    }
    for (i, &key) in keys.iter().enumerate() {
        let data = set.get(key).map(|entry| *entry.data);
        assert_eq!(data, (i != 2).then_some(i));
    }
}

#[test]
fn select_in_two_threads_on_two_sets_of_the_same_descriptors_finds_the_same() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut set: PollSet<_, _, Inline<1>> = PollSet::new();
                let key = set.register(&ours, Interest::READABLE, ()).unwrap();
                assert_eq!(set.select(soon()), Io::Ready(1));
                assert_eq!(set.next_ready(), Some((key, Readiness::READABLE)));
            });
        }
        theirs.write_all(b"!").unwrap();
    });
}

/// The search for a duplicate reads a list of numbers: it takes a small part of what a
/// wait for all of them takes, even where the compiler has not optimised it.
#[cfg(feature = "alloc")]
#[test]
fn register_among_ten_thousand_takes_a_small_part_of_a_wait() {
    let many = 10_000.min(common::raise_descriptor_limit().saturating_sub(1000));
    if many < 4_000 {
        return eprintln!("not checked: the limit of descriptors is too low");
    }
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let dup = |_| rustix::io::fcntl_dupfd_cloexec(&ours, 0).unwrap();
    let fds: Vec<OwnedFd> = (0..many).map(dup).collect();
    let mut best = [Duration::MAX; 3];
    for _ in 0..3 {
        let mut set: PollSet<_, _> = PollSet::new();
        let begun = common::thread_cpu_time();
        let mut keys = Vec::new();
        for (i, fd) in fds.iter().enumerate() {
            keys.push(set.register(fd.as_fd(), Interest::READABLE, i).unwrap());
        }
        let registered = common::thread_cpu_time();
        for i in (0..many).step_by(10) {
            set.unregister(keys[i]).unwrap();
            set.register(fds[i].as_fd(), Interest::READABLE, i).unwrap();
        }
        let churned = common::thread_cpu_time();
        let mut entries: Vec<_> = fds
            .iter()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        rustix::event::poll(&mut entries, Some(&Timespec::default())).unwrap();
        let waited = common::thread_cpu_time();
        let many = u32::try_from(many).unwrap();
        let times = [
            (registered - begun) / many,
            (churned - registered) / (many / 10),
            waited - churned,
        ];
        best = std::array::from_fn(|i| best[i].min(times[i]));
    }
    let [register, churn, wait] = best;
    eprintln!("{many}: register {register:?}, again {churn:?}; a wait {wait:?}");
    // Without optimisation the search takes several times as long, and the kernel does not.
    let most = if cfg!(debug_assertions) {
        4 * wait
    } else {
        wait
    };
    assert!(
        register + churn < most || wait.is_zero(),
        "{best:?}; or the system has no such clock"
    );

    // All of them are found, or one.
    let mut set: PollSet<_, _> = PollSet::new();
    for fd in &fds {
        set.register(fd.as_fd(), Interest::WRITABLE, ()).unwrap();
    }
    assert_eq!(set.select(soon()), Io::Ready(many));
    let keys: HashSet<_> = found(&mut set).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), many);
    for (i, key) in keys.iter().enumerate() {
        let interest = if i == many / 3 {
            Interest::READABLE
        } else {
            Interest::empty()
        };
        set.modify(*key, interest).unwrap();
    }
    theirs.write_all(b"!").unwrap();
    assert_eq!(set.select(soon()), Io::Ready(1));
}

// ---- the model ----

/// xorshift64*: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike, and zero never ends.
        Self((seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % limit
    }

    /// Most often of the two directions alone.
    fn interest(&mut self) -> Interest {
        let kinds = if self.below(3) == 0 { 16 } else { 4 };
        let bits = u8::try_from(self.below(kinds)).unwrap();
        Interest::from_bits(bits).unwrap()
    }
}

/// A descriptor as the model sees it.
struct Socket {
    ours: Rc<UnixStream>,
    /// None once it has been closed.
    theirs: Option<UnixStream>,
    /// Something can be read.
    data: bool,
    registered: Option<(Key, Interest, usize)>,
    /// The set was told something, or told of something, of which nothing came, so it
    /// may rest.
    may_rest: bool,
}

impl Socket {
    /// A pair whose first number is one of a few that fall into the same chains.
    fn new(random: &mut Random) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        static LIMIT: LazyLock<usize> = LazyLock::new(common::raise_descriptor_limit);
        let number = match *LIMIT < 512 {
            true => 0,
            false => [0, 64, 128, 192, 256][random.below(5)],
        };
        let ours = match number {
            0 => ours,
            _ => rustix::io::fcntl_dupfd_cloexec(&ours, number)
                .unwrap()
                .into(),
        };
        Self {
            ours: Rc::new(ours),
            theirs: Some(theirs),
            data: false,
            registered: None,
            may_rest: false,
        }
    }

    /// Closes the other end, and waits until that has come: a process that another
    /// test has started may hold a copy until it executes. Where nothing tells of it
    /// behind unread data, no process may start meanwhile.
    fn hang_up(&mut self) {
        let _alone = STARTS.read();
        self.theirs = None;
        let unasked = self.tells_of_hang_up();
        let interest = [Interest::READABLE, Interest::empty()][usize::from(unasked)];
        let readiness = common::wait_for(&*self.ours, interest);
        assert!(readiness.is_readable(), "{readiness:?}");
    }

    /// Whether a hang-up is reported to whoever did not ask to read.
    fn tells_of_hang_up(&self) -> bool {
        static TOLD: LazyLock<bool> = LazyLock::new(|| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            drop(theirs);
            common::wait_to_read(&ours);
            // Not by way of this crate, which is what is tested.
            let mut fds = [PollFd::new(&ours, PollFlags::empty())];
            rustix::event::poll(&mut fds, Some(&Timespec::default())) == Ok(1)
        });
        self.theirs.is_none() && *TOLD
    }

    /// Whether a wait has to find it; None where systems differ.
    fn is_ready(&self) -> Option<bool> {
        let (_, interest, _) = self.registered?;
        let ended = self.theirs.is_none();
        // Not watched.
        if interest.is_empty() {
            return Some(false);
        }
        let told = self.tells_of_hang_up();
        let readable = interest.contains(Interest::READABLE) && (self.data || ended);
        let ready = told || readable || interest.contains(Interest::WRITABLE);
        let unsure = ended && !told && !readable || ready && self.may_rest;
        (!unsure).then_some(ready)
    }
}

/// Prints how to run the sequence again.
struct Witness {
    seed: u64,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if thread::panicking() {
            let seed = self.seed;
            eprintln!("again: WOULDBLOCK_SEED={seed} WOULDBLOCK_SEQUENCES=1");
        }
    }
}

struct Model<S: Storage> {
    random: Random,
    set: PollSet<Rc<UnixStream>, usize, S>,
    sockets: Vec<Socket>,
    /// All keys that there ever were.
    keys: HashSet<Key>,
    late: Vec<Key>,
    capacity: usize,
    count: usize,
}

impl<S: Storage> Model<S> {
    fn run(seed: u64, capacity: usize) {
        let _witness = Witness { seed };
        let mut random = Random::new(seed);
        let mut sockets = Vec::new();
        let count = [1, 3, 8, 30][random.below(4)];
        sockets.resize_with(count, || Socket::new(&mut random));
        let steps = 5 + random.below(60);
        let mut model = Self {
            random,
            set: PollSet::new(),
            sockets,
            keys: HashSet::new(),
            late: Vec::new(),
            capacity,
            count: 0,
        };
        for i in 0..model.random.below(count + 1) {
            model.register(i);
        }
        for _ in 0..steps {
            model.step();
            // Which looks at everything.
            if count < 10 || model.random.below(4) == 0 {
                model.agrees();
            }
        }
    }

    fn step(&mut self) {
        let i = self.random.below(self.sockets.len());
        match self.random.below(20) {
            0..=3 => self.register(i),
            16..=18 => self.call(i),
            19 => self.call_two(i),
            4..=5 => self.modify(i),
            6..=7 => self.unregister(i),
            8..=9 => self.make_ready(i),
            10 => self.empty(i),
            11 => self.sockets[i].hang_up(),
            12 => self.replace(i),
            13 => self.late_key(),
            14 if self.random.below(4) == 0 => self.drain(),
            _ => self.select(),
        }
    }

    fn register(&mut self, i: usize) {
        let (interest, data) = (self.random.interest(), self.random.below(1000));
        let socket = &mut self.sockets[i];
        let answer = self.set.register(Rc::clone(&socket.ours), interest, data);
        match (answer, socket.registered) {
            (Ok(key), None) => {
                assert!(self.count < self.capacity);
                assert!(self.keys.insert(key), "{key:?} for the second time");
                socket.registered = Some((key, interest, data));
                socket.may_rest = false;
                self.count += 1;
            }
            (Err(refused), there) => {
                assert!(Rc::ptr_eq(&refused.fd, &socket.ours));
                assert_eq!(refused.data, data);
                match there {
                    Some((key, ..)) => assert_eq!(refused.reason, Reason::Registered(key)),
                    None => {
                        assert_eq!(refused.reason, Reason::Full);
                        assert_eq!(self.count, self.capacity);
                    }
                }
            }
            (Ok(_), Some(_)) => panic!("registered twice"),
        }
    }

    fn modify(&mut self, i: usize) {
        let interest = self.random.interest();
        if let Some((key, known, data)) = &mut self.sockets[i].registered {
            self.set.modify(*key, interest).unwrap();
            *known = interest;
            *data += 1;
            *self.set.get_mut(*key).unwrap().1 += 1;
        }
    }

    fn unregister(&mut self, i: usize) {
        let socket = &mut self.sockets[i];
        if let Some((key, _, data)) = socket.registered.take() {
            let (fd, given) = self.set.unregister(key).unwrap();
            assert!(Rc::ptr_eq(&fd, &socket.ours));
            assert_eq!(given, data);
            self.late.push(key);
            self.count -= 1;
        }
    }

    /// One call by way of the set, which answers what the socket itself would.
    fn call(&mut self, i: usize) {
        let kind = self.random.below(5);
        let socket = &mut self.sockets[i];
        let Some((key, ..)) = socket.registered else {
            return;
        };
        let (mut at, _) = self.set.get_mut(key).unwrap();
        assert!(Rc::ptr_eq(at.fd(), &socket.ours));
        let mut buf = [0; 8];
        let answer = match kind {
            0 | 1 => at.recv(&mut buf, RecvFlags::empty()),
            2 => at.read(&mut buf),
            3 => self
                .set
                .attempt(key, Op::Recv, |fd, _| {
                    recv(fd, &mut [0; 8], RecvFlags::empty())
                })
                .unwrap(),
            _ => {
                // Room for it there is; who would read it may be gone.
                let sent = at.send(b"!", SendFlags::empty());
                let expected = match socket.theirs {
                    Some(_) => Io::Ready(1),
                    None => Io::Err(Errno::PIPE),
                };
                // An error that stays is one that nothing comes of.
                socket.may_rest |= sent.is_err();
                return assert_eq!(sent, expected);
            }
        };
        let expected = match (socket.data, &socket.theirs) {
            (true, _) => Io::Ready(1),
            (false, Some(_)) => Io::WouldBlock,
            (false, None) => Io::Ready(0),
        };
        // On some systems, what was sent and nobody has read makes of the end an error.
        if answer != Io::Err(Errno::CONNRESET) || socket.theirs.is_some() {
            assert_eq!(answer, expected);
        }
        socket.data = false;
        // An end that is read again and again is nothing done.
        socket.may_rest |= answer == Io::Ready(0);
    }

    fn call_two(&mut self, i: usize) {
        let other = self.random.below(self.sockets.len());
        let [one, other] = [i, other].map(|i| self.sockets[i].registered);
        if let (Some((one, _, data)), Some((other, _, more))) = (one, other) {
            match self.set.get_disjoint_mut([one, other]) {
                None => assert_eq!(one, other),
                Some([(_, at_one), (_, at_other)]) => {
                    assert_ne!(one, other);
                    assert_eq!((*at_one, *at_other), (data, more));
                }
            }
        }
    }

    fn make_ready(&mut self, i: usize) {
        let socket = &mut self.sockets[i];
        if let (Some(theirs), false) = (&mut socket.theirs, socket.data) {
            theirs.write_all(b"!").unwrap();
            socket.data = true;
        }
    }

    fn empty(&mut self, i: usize) {
        let socket = &mut self.sockets[i];
        if socket.data {
            assert_eq!((&*socket.ours).read(&mut [0; 8]).unwrap(), 1);
            socket.data = false;
        }
    }

    /// Closes both ends, so that their numbers are used again.
    fn replace(&mut self, i: usize) {
        self.unregister(i);
        let old = self.sockets.swap_remove(i);
        assert_eq!(Rc::strong_count(&old.ours), 1, "the set holds it still");
        drop(old);
        let new = Socket::new(&mut self.random);
        self.sockets.push(new);
    }

    fn late_key(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let late = self.late[self.random.below(self.late.len())];
        assert!(self.set.get(late).is_none() && self.set.get_mut(late).is_none());
        assert_eq!(self.set.modify(late, Interest::READABLE), Err(UnknownKey));
        assert_eq!(self.set.unregister(late).unwrap_err(), UnknownKey);
    }

    fn drain(&mut self) {
        let some = self.random.below(self.sockets.len() + 1);
        for (fd, data) in self.set.drain().take(some) {
            let mut sockets = self.sockets.iter_mut();
            let socket = sockets
                .find(|socket| Rc::ptr_eq(&socket.ours, &fd))
                .unwrap();
            let (key, _, known) = socket.registered.take().unwrap();
            assert_eq!(data, known);
            self.late.push(key);
            self.count -= 1;
        }
    }

    fn select(&mut self) {
        let answer = self.set.select(now());
        let ready = |sure| {
            let sockets = self
                .sockets
                .iter()
                .filter(move |s| s.is_ready() == Some(sure));
            sockets
                .filter_map(|s| s.registered)
                .map(|(key, ..)| key)
                .collect::<HashSet<_>>()
        };
        let (mut must, must_not) = (ready(true), ready(false));
        let unsure = self.count - must.len() - must_not.len();
        let n = match answer {
            Io::Ready(n) => n,
            Io::WouldBlock => 0,
            Io::Err(errno) => panic!("{errno}"),
        };
        assert!(
            (must.len()..=must.len() + unsure).contains(&n),
            "{n}, not {must:?}"
        );
        // What is found is taken, all or in part, with changes in between.
        let changes = self.random.below(2) == 0;
        let mut left = self.random.below(2 * n + 2);
        while left > 0 {
            left -= 1;
            let Some((key, readiness)) = self.set.next_ready() else {
                assert!(must.is_empty(), "not handed out: {must:?}");
                break;
            };
            assert!(!must_not.contains(&key) && !readiness.is_empty());
            let mut sockets = self.sockets.iter();
            let at = |s: &Socket| s.registered.is_some_and(|(known, ..)| known == key);
            let i = sockets.position(at).expect("one that is registered");
            let socket = &mut self.sockets[i];
            assert!(must.remove(&key) || unsure > 0, "{key:?} twice, or new");
            let (_, interest, _) = socket.registered.unwrap();
            let [reads, writes] =
                [Interest::READABLE, Interest::WRITABLE].map(|bit| interest.contains(bit));
            assert!(reads || !readiness.contains(Readiness::READABLE));
            assert!(writes || !readiness.contains(Readiness::WRITABLE));
            let (ended, told) = (socket.theirs.is_none(), socket.tells_of_hang_up());
            assert!(!(reads && (socket.data || ended) || told) || readiness.is_readable());
            assert!(!(writes || told) || readiness.is_writable());
            // Nobody calls for what was not asked.
            socket.may_rest |= !reads && !writes;
            if changes {
                let gone = if self.random.below(2) == 0 {
                    i
                } else {
                    self.random.below(self.sockets.len())
                };
                if let Some((key, ..)) = self.sockets[gone].registered {
                    must.remove(&key);
                }
                self.unregister(gone);
                let new = self.random.below(self.sockets.len());
                self.register(new);
            }
        }
    }

    fn agrees(&self) {
        assert_eq!(self.set.len(), self.count);
        assert_eq!(self.set.is_empty(), self.count == 0);
        for socket in &self.sockets {
            let known = socket.registered;
            assert_eq!(self.set.key_of(&*socket.ours), known.map(|(key, ..)| key));
            if let Some((key, interest, data)) = known {
                let entry = self.set.get(key).expect("it is registered");
                assert!(Rc::ptr_eq(entry.fd, &socket.ours));
                assert_eq!(
                    (entry.key, entry.interest, *entry.data),
                    (key, interest, data)
                );
            }
        }
        let keys: HashSet<_> = self.set.iter().map(|entry| entry.key).collect();
        let known = self.sockets.iter().filter_map(|s| s.registered);
        assert_eq!(keys, known.map(|(key, ..)| key).collect());
        assert_eq!(self.set.iter().count(), self.count);
    }
}

fn number_from(variable: &str, default: u64) -> u64 {
    let set = std::env::var(variable).ok();
    set.map_or(default, |text| text.parse().expect(variable))
}

/// `WOULDBLOCK_SEQUENCES` sequences for each kind of storage, 1 000 if it is not
/// set; `ci/check test --long` asks for more. The seeds begin with `WOULDBLOCK_SEED`.
fn random_sequences_agree_with_a_naive_model<S: Storage>() {
    let first = number_from("WOULDBLOCK_SEED", 1);
    // The capacity of `Inline` above; more than there are sockets for `Growable`.
    let inline = std::any::type_name::<S>().contains("Inline");
    let capacity = if inline { 24 } else { usize::MAX };
    for seed in first..first + number_from("WOULDBLOCK_SEQUENCES", 1_000) {
        Model::<S>::run(seed, capacity);
    }
}

#[test]
fn descriptors_of_many_sets_are_all_closed() {
    alone("descriptors_of_many_sets_are_all_closed", || {
        let before = open_descriptors();
        for seed in 0..50 {
            Model::<Inline<24>>::run(seed, 24);
            #[cfg(feature = "alloc")]
            Model::<wouldblock::Growable>::run(seed, usize::MAX);
        }
        assert_eq!(open_descriptors(), before);
    });
}
