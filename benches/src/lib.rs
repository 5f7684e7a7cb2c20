//! The rounds that the benchmarks count, one function for each operation and
//! contender. All of an operation have the same shape: they take what the call
//! needs, make the call once, match on the answer and return it as one number.

pub mod baselines;
pub mod ours;
#[cfg(feature = "peers")]
pub mod peers;

/// What a round returns for *would block*. All of these are cheap to make, so
/// that the rounds differ by their calls alone.
pub const WOULD_BLOCK: u64 = u64::MAX;

/// What a round returns for a number of bytes, of descriptors, or the like.
#[inline(always)]
pub fn ready(n: usize) -> u64 {
    n as u64
}

/// What a round returns for an error.
#[inline(always)]
pub fn failed(errno: i32) -> u64 {
    !(errno as u64)
}

/// A connected socket and an address to connect or send to.
pub type To<'a, F, A> = (&'a F, A);
