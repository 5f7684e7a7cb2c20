//! Looks the target up in the tables themselves. It probes, generates and downloads
//! nothing.

#[path = "src/platform/tables.rs"]
#[allow(dead_code, unreachable_pub, reason = "most of it is for the library")]
mod tables;

#[path = "src/platform/choice.rs"]
mod choice;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/platform");
    let names: Vec<_> = choice::asked().map(|name| format!("{name:?}")).collect();
    let names = names.join(", ");
    println!("cargo::rustc-check-cfg=cfg(wouldblock_has, values({names}))");

    // A `--cfg wouldblock_platform="posix"` arrives here like the compiler's own cfgs.
    let cfg = |name: &str| std::env::var(format!("CARGO_CFG_{name}")).ok();
    let value = |name: &str| cfg(name).unwrap_or_default();
    let (os, arch, env) = (
        value("TARGET_OS"),
        value("TARGET_ARCH"),
        value("TARGET_ENV"),
    );
    let wanted = value("WOULDBLOCK_PLATFORM");
    let std = std::env::var_os("CARGO_FEATURE_STD").is_some();
    match choice::choose([&os, &arch, &env], cfg("UNIX").is_some(), &wanted, std) {
        Err(error) => println!("cargo::error={error}."),
        Ok(choice) => {
            if let Some(warning) = choice.warning {
                println!("cargo::warning={warning}.");
            }
            println!("cargo::rustc-env=WOULDBLOCK_TABLE={}", choice.table);
            for name in choice.has {
                println!("cargo::rustc-cfg=wouldblock_has={name:?}");
            }
        }
    }
}
