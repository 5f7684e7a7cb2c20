//! Which table a target gets, and what follows from it, for `build.rs`. Not a part of
//! the library.

use super::tables::Platform;

/// By the compiler's `target_os`, why no table can serve it, not even the conservative
/// one. That rustix does not build is no reason here: rustix says so itself, until it
/// does (`docs/TARGETS.md` has them all).
pub(crate) const NO_TABLE: [(&str, &str); 1] =
    [("horizon", "POLLOUT and POLLERR are one bit there")];

/// What rustix may lack, as `Platform::rustix_lacks` names it.
const LACKING: [&str; 5] = ["clock", "cwd", "messages", "nanosleep", "vectored"];

/// A name, and whether a table has what it names.
type Fact = (&'static str, fn(&Platform) -> bool);

/// Facts on which it depends whether a function or a name of rustix exists.
const FACTS: [Fact; 6] = [
    ("abstract_names", |table| table.abstract_names),
    ("receiver_queue_families", |table| {
        !table.receiver_queue_families.is_empty()
    }),
    ("so_nosigpipe", |table| table.so_nosigpipe),
    ("pipe_flags", |table| table.pipe_flags != 0),
    ("accept_network_errors", |table| {
        !table.accept_network_errors.is_empty()
    }),
    ("in_flight_errors", |table| {
        !table.in_flight_errors.is_empty()
    }),
];

/// All values of the cfg `wouldblock_has`.
pub(crate) fn asked() -> impl Iterator<Item = &'static str> {
    FACTS.iter().map(|(name, _)| *name).chain(LACKING)
}

/// What a target gets.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The name of the table.
    pub(crate) table: &'static str,
    /// The values of `wouldblock_has`.
    pub(crate) has: Vec<&'static str>,
    /// What the developer should know.
    pub(crate) warning: Option<String>,
}

/// Chooses the table of a target: its own, or the conservative one on a Unix that has
/// none. `wanted` is the value of `wouldblock_platform`, if it is set.
pub(crate) fn choose(
    [os, arch, env]: [&str; 3],
    unix: bool,
    wanted: &str,
    std: bool,
) -> Result<Choice, String> {
    if !["", "known", "posix"].contains(&wanted) {
        return Err(format!(
            "wouldblock_platform={wanted:?} is not known; it may be \"known\" or \"posix\""
        ));
    }
    let its = Platform::of_target(os, arch, env);
    let lacks = its.map_or(&[][..], |table| table.rustix_lacks);
    let mut warning = None;
    if its.is_none() {
        let known = NO_TABLE.iter().find(|(name, _)| *name == os);
        let reason = match unix {
            true => known.map(|(_, reason)| *reason),
            false => Some("it is no Unix"),
        };
        if let Some(reason) = reason {
            return Err(format!(
                "wouldblock does not build for target_os = {os:?}: {reason}. docs/PORTING.md \
                 says what can be done about it"
            ));
        }
        let none = format!(
            "wouldblock has no table for target_os = {os:?}, target_arch = {arch:?}. \
             docs/PORTING.md says how to write one in an afternoon"
        );
        match wanted {
            "known" => return Err(none),
            "posix" => {}
            _ => {
                warning = Some(format!(
                    "{none}. Until then it takes the conservative one; \
                     RUSTFLAGS='--cfg wouldblock_platform=\"known\"' makes this an error"
                ));
            }
        }
    }
    if !std && (lacks.contains(&"clock") || lacks.contains(&"cwd")) {
        return Err(format!(
            "wouldblock needs its feature `std` for target_os = {os:?}, where rustix has no clock"
        ));
    }
    // The conservative table has none of the facts; what rustix lacks stays so.
    let table = its.filter(|_| wanted != "posix");
    let facts = FACTS.iter().filter(|(_, has)| table.is_some_and(has));
    let there = LACKING.iter().filter(|name| !lacks.contains(name));
    Ok(Choice {
        table: table.map_or("posix", |table| table.name),
        has: facts.map(|(name, _)| *name).chain(there.copied()).collect(),
        warning,
    })
}
