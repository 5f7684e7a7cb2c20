//! Replays every checked-in input of every target, on a stable compiler.

use std::panic::catch_unwind;
use std::path::Path;

use wouldblock_fuzz::TARGETS;

#[test]
fn every_input_of_the_corpora_replays() {
    for (name, run) in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&directory).unwrap() {
            let file = entry.unwrap().path();
            let data = std::fs::read(&file).unwrap();
            let replayed = catch_unwind(|| run(&data));
            assert!(replayed.is_ok(), "{name}: {}", file.display());
            inputs += 1;
        }
        assert!(
            inputs >= 10,
            "{name}: {inputs} inputs in {}",
            directory.display()
        );
        println!("{name}: {inputs} inputs");
    }
}

/// Bytes from a simple generator: also without a fuzzer each target sees more
/// than its corpus.
#[test]
fn thousands_of_random_inputs_replay() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    for (name, run) in TARGETS {
        // The one that makes no system call.
        let rounds = if name == "pace" { 20_000 } else { 1000 };
        for round in 0..rounds {
            let length = usize::from(next()) % 64;
            let data: Vec<u8> = (0..length).map(|_| next()).collect();
            let replayed = catch_unwind(|| run(&data));
            assert!(replayed.is_ok(), "{name}, round {round}: {data:?}");
        }
    }
}
