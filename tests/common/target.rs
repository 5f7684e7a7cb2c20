//! From a target's name to its table.

// The same file as in build.rs.
#[path = "../../src/platform/select.rs"]
#[allow(dead_code, reason = "the list of names is for build.rs")]
mod select;

use wouldblock::platform::{ALL, Platform};

/// The table of a target by Rust's name for it, such as `mips64el-unknown-linux-gnuabi64`,
/// or zig's, such as `mips-linux-musleabihf`.
#[track_caller]
pub(crate) fn table(target: &str) -> &'static Platform {
    let words: Vec<_> = target.split('-').collect();
    let arch = match words[0] {
        "mips64" | "mips64el" | "mipsel" => "mips",
        "i686" => "x86",
        other => other,
    };
    let is = |name: &&str| words.contains(name);
    // Android's names have Linux in them.
    let os = match ["android", "darwin", "macos", "maccatalyst"]
        .iter()
        .find(|name| is(name))
    {
        Some(&"android") => "android",
        Some(&"maccatalyst") => "ios",
        Some(_) => "macos",
        None => words.iter().find(|word| known_os(word)).expect(target),
    };
    let env = if is(&"qnx710") { "nto71" } else { "" };
    let name = select::table(os, arch, env).expect(target);
    ALL.iter().find(|table| table.name == name).expect(name)
}

fn known_os(word: &str) -> bool {
    select::table(word, "", "nto71").is_some()
}
