//! What the example programs share: their arguments, errors that are sentences, and
//! SIGTERM as a descriptor.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::{env, error::Error, process::ExitCode};

pub(crate) type Ended = Result<(), Box<dyn Error>>;

/// Runs `body` with the arguments that are no options; it answers `None` if it cannot
/// make sense of them. There is one option, `--help`.
pub(crate) fn run(name: &str, help: &str, body: impl FnOnce(&[&str]) -> Option<Ended>) -> ExitCode {
    let given: Vec<_> = env::args_os().skip(1).collect();
    // What is no Unicode is no address either, and as a path it would be another.
    let arguments: Option<Vec<_>> = given.iter().map(|argument| argument.to_str()).collect();
    let ended = match arguments.as_deref() {
        Some(["-h" | "--help"]) => Some(writeln!(io::stdout(), "{help}").map_err(Into::into)),
        Some(all) if all.iter().all(|it| !it.starts_with('-')) => body(all),
        _ => None,
    };
    let ended = ended.unwrap_or_else(|| {
        let given: Vec<_> = given.iter().map(|it| it.to_string_lossy()).collect();
        let wrong = match &given[..] {
            [] => "the arguments are missing".to_owned(),
            given => format!("cannot make sense of `{}`", given.join(" ")),
        };
        Err(format!("{wrong}: see {name} --help").into())
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A socket that is ready to read when SIGTERM has come. The signal becomes a byte, and
/// that ends a wait.
pub(crate) fn sigterm() -> io::Result<UnixStream> {
    let (signal, raise) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, raise)?;
    Ok(signal)
}
