//! The bodies of the fuzz targets: plain functions of some bytes, so that a
//! saved input replays without the fuzzer, in a test, on a stable compiler.
//!
//! Each one has an oracle: a second formulation of what the crate promises,
//! written from its documentation, and never from its source.

pub mod classify;
#[cfg(target_os = "linux")]
pub mod conversation;
/// The model is of Linux alone.
#[cfg(not(target_os = "linux"))]
pub mod conversation {
    /// Does nothing.
    pub fn run(_: &[u8]) {}
}
mod input;
pub mod pace;
pub mod poll_set;
pub mod readiness;

#[doc(hidden)]
#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// A target and its name, which is also the directory of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 5] = [
    ("classify", classify::run),
    ("readiness", readiness::run),
    ("conversation", conversation::run),
    ("poll_set", poll_set::run),
    ("pace", pace::run),
];

/// The program of one target: with the fuzzer it fuzzes, without it replays the
/// files that it is given.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name::run(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            for file in std::env::args_os().skip(1) {
                $crate::$name::run(&std::fs::read(&file)?);
                println!("{}: nothing wrong", file.display());
            }
            Ok(())
        }
    };
}
