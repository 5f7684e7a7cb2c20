//! The Python half of the pairs in `docs/FROM_PYTHON.md`, run by Python; the Rust half
//! are doc tests.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

mod common;
use common::within_deadline;

const PAGE: &str = include_str!("../docs/FROM_PYTHON.md");

/// The blocks of code of the page: language, line on which it begins, text.
fn blocks() -> Vec<(&'static str, usize, String)> {
    let mut blocks: Vec<(&str, usize, String)> = Vec::new();
    let mut inside = false;
    for (line, number) in PAGE.lines().zip(1..) {
        match line.strip_prefix("```") {
            Some(language) if !inside => {
                let language = language.split(',').next().unwrap_or_default();
                blocks.push((language, number, String::new()));
            }
            Some(_) => {}
            None if inside => {
                let (_, _, text) = blocks.last_mut().expect("a block is open");
                text.push_str(line);
                text.push('\n');
            }
            None => continue,
        }
        inside ^= line.starts_with("```");
    }
    blocks
}

#[test]
fn every_python_block_has_its_rust_block() {
    let blocks = blocks();
    let languages: Vec<_> = blocks.iter().map(|(language, ..)| *language).collect();
    assert!(languages.len() >= 26, "{languages:?}");
    for pair in languages.chunks(2) {
        assert_eq!(pair, ["python", "rust"]);
    }
    // A claim that is not checked is none.
    for (language, line, text) in &blocks {
        assert!(
            text.contains("assert"),
            "the {language} block on line {line}"
        );
    }
}

#[test]
fn every_python_block_runs() {
    match Command::new("python3").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: python3 is not installed");
            return;
        }
        version => assert!(version.expect("python3 starts").status.success()),
    }
    for (language, line, text) in blocks() {
        if language != "python" {
            continue;
        }
        let mut command = Command::new("python3");
        // Without what the environment adds to it; warnings of unclosed sockets are off.
        command.args(["-I", "-c", &text]).stdin(Stdio::null());
        let ran = within_deadline(move || command.output()).expect("python3 starts");
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "the block on line {line}: {errors}");
        assert_eq!(errors, "", "the block on line {line}");
    }
}
