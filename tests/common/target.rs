//! From a target's name to its table.

use wouldblock::platform::Platform;

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
    Platform::of_target(os, arch, env).expect(target)
}

fn known_os(word: &str) -> bool {
    Platform::of_target(word, "", "nto71").is_some()
}
