//! Chooses the platform table for the target. It probes, generates and
//! downloads nothing.

#[path = "src/platform/select.rs"]
mod select;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/platform/select.rs");
    let values = select::TABLES.map(|table| format!("{table:?}")).join(", ");
    println!("cargo::rustc-check-cfg=cfg(wouldblock_table, values({values}))");

    let cfg = |name: &str| std::env::var(format!("CARGO_CFG_{name}")).unwrap_or_default();
    let (os, arch, env) = (cfg("TARGET_OS"), cfg("TARGET_ARCH"), cfg("TARGET_ENV"));
    // A porter's `--cfg wouldblock_platform="posix"` arrives here like the
    // compiler's own cfgs.
    let asked = cfg("WOULDBLOCK_PLATFORM");
    let table = match asked.as_str() {
        "" => select::table(&os, &arch, &env),
        "posix" => Some("posix"),
        other => {
            println!(
                "cargo::error=wouldblock_platform={other:?} is not known; the only value is \"posix\""
            );
            return;
        }
    };
    let Some(table) = table else {
        println!(
            "cargo::error=wouldblock has no table for target_os = {os:?}, target_arch = {arch:?}. \
             docs/PORTING.md says how to write one in an afternoon. Until then, on a Unix, \
             RUSTFLAGS='--cfg wouldblock_platform=\"posix\"' builds with a conservative POSIX table."
        );
        return;
    };
    println!("cargo::rustc-cfg=wouldblock_table={table:?}");
    println!("cargo::rustc-env=WOULDBLOCK_TABLE={table}");
}
