//! The conformance example runs here, agrees with the host's table, and says so in
//! both forms.

mod common;

use std::path::PathBuf;
use std::process::Output;

/// The example beside this test's own directory; cargo builds it with the tests.
fn run(arguments: &[&str]) -> Output {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/conformance");
    let missing = "build it with `cargo build --example conformance`";
    common::command(path)
        .args(arguments)
        .output()
        .expect(missing)
}

#[test]
fn conformance_on_this_system_agrees_with_its_table() {
    let output = run(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{error}");
    let name = wouldblock::platform::HOST.name;
    assert!(text.contains(&format!("on the table `{name}`")), "{text}");
    assert!(text.contains(" 0 differ, "), "{text}");
}

#[test]
fn conformance_for_a_program_has_four_columns_and_every_field() {
    let output = run(&["--tsv"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        assert_eq!(columns.len(), 4, "{line}");
        assert!(
            ["agrees", "asserted", "not observable"].contains(&columns[3]),
            "{line}"
        );
    }
    // The fields of a table, by its own Debug form, each have a line.
    let table = format!("{:#?}", wouldblock::platform::HOST);
    let fields = table.lines().filter_map(|line| {
        let field = line.strip_prefix("    ")?.split_once(':')?.0;
        (!field.starts_with(' ') && field != "name").then_some(field)
    });
    for field in fields {
        let named = text
            .lines()
            .any(|line| line.split('\t').next().unwrap().contains(field));
        assert!(named, "no line for {field}");
    }
}
