//! Looks the target up in the tables themselves. It probes, generates and downloads
//! nothing.

#[path = "src/platform/tables.rs"]
#[allow(dead_code, unreachable_pub, reason = "most of it is for the library")]
mod tables;

#[path = "src/platform/no_table.rs"]
mod no_table;

use no_table::NO_TABLE;
use tables::Platform;

/// A name, and whether the table has what it names.
type Asked = (&'static str, fn(&Platform) -> bool);

/// What the code asks of the chosen table where a constant cannot decide, because a
/// function or a name of rustix does not exist everywhere.
const ASKED: [Asked; 7] = [
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
    ("nanosleep", |table| {
        !table.rustix_lacks.contains(&"nanosleep")
    }),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/platform");
    let names = ASKED.map(|(name, _)| format!("{name:?}")).join(", ");
    println!("cargo::rustc-check-cfg=cfg(wouldblock_has, values({names}))");

    let cfg = |name: &str| std::env::var(format!("CARGO_CFG_{name}")).unwrap_or_default();
    let (os, arch, env) = (cfg("TARGET_OS"), cfg("TARGET_ARCH"), cfg("TARGET_ENV"));
    let table = Platform::of_target(&os, &arch, &env);
    // Not even the conservative table helps there.
    let reason = NO_TABLE.iter().find(|(name, _)| *name == os);
    if let (None, Some((_, reason))) = (table, reason) {
        println!(
            "cargo::error=wouldblock does not build for target_os = {os:?}: {reason}. \
             docs/PORTING.md says what can be done about it."
        );
        return;
    }
    // A porter's `--cfg wouldblock_platform="posix"` arrives here like the
    // compiler's own cfgs.
    let name = match (cfg("WOULDBLOCK_PLATFORM").as_str(), table) {
        ("", Some(table)) => table.name,
        ("", None) => {
            println!(
                "cargo::error=wouldblock has no table for target_os = {os:?}, target_arch = {arch:?}. \
                 docs/PORTING.md says how to write one in an afternoon. Until then, on a Unix, \
                 RUSTFLAGS='--cfg wouldblock_platform=\"posix\"' builds with a conservative POSIX table."
            );
            return;
        }
        ("posix", _) => "posix",
        (other, _) => {
            println!(
                "cargo::error=wouldblock_platform={other:?} is not known; the only value is \"posix\""
            );
            return;
        }
    };
    println!("cargo::rustc-env=WOULDBLOCK_TABLE={name}");
    for (asked, has) in ASKED {
        // The conservative table has none of the facts; what rustix lacks stays so.
        let posix = name == "posix" && asked != "nanosleep";
        if !posix && table.is_none_or(has) {
            println!("cargo::rustc-cfg=wouldblock_has={asked:?}");
        }
    }
}
