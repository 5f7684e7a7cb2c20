//! The conformance example runs here, agrees with the host's table, and says so in
//! both forms.

mod common;
#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../examples/conformance/report.rs"]
mod report;

use std::process::{Command, Output, Stdio};

use report::{Report, System, Verdict};

fn run(arguments: &[&str]) -> Output {
    let mut command = common::command(common::example("conformance"));
    command.args(arguments).output().unwrap()
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
fn conformance_for_a_program_has_five_columns_and_every_field() {
    let output = run(&["--tsv"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let (title, lines) = text.split_once('\n').unwrap();
    assert!(title.starts_with("# wouldblock "), "{title}");
    for line in lines.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        assert_eq!(columns.len(), 5, "{line}");
        assert!(!columns[4].is_empty(), "{line}");
        assert!(
            ["agrees", "asserted", "not observable", "older system"].contains(&columns[3]),
            "{line}"
        );
    }
    // The fields of a table, by its own Debug form, each have a line; but for those
    // that say which table it is.
    let which = ["name", "targets", "rustix_lacks"];
    let table = format!("{:#?}", wouldblock::platform::HOST);
    let fields = table.lines().filter_map(|line| {
        let field = line.strip_prefix("    ")?.split_once(':')?.0;
        (!field.starts_with(' ') && !which.contains(&field)).then_some(field)
    });
    for field in fields {
        let named = text
            .lines()
            .any(|line| line.split('\t').next().unwrap().contains(field));
        assert!(named, "no line for {field}");
    }
}

/// Fewer than it would take to fill a backlog.
#[test]
fn conformance_with_few_descriptors_says_what_it_could_not_see() {
    let conformance = common::command(common::example("conformance"));
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]);
    shell.arg(conformance.get_program());
    let output = shell.args(conformance.get_args()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("seen: it never filled"), "{text}");
    assert!(text.contains(" 0 differ, "), "{text}");
}

#[test]
fn conformance_for_a_reader_that_leaves_ends_quietly() {
    let mut command = common::command(common::example("conformance"));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = common::within_deadline(|| child.wait_with_output().unwrap());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // A fact may differ here, and no more.
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}",
        output.status
    );
}

/// `POLLRDHUP` came with FreeBSD 13.1.
#[test]
fn follows_on_a_system_that_is_older_than_the_fact_is_no_failure() {
    let (differs, fact) = (Verdict::Differs, "pollrdhup (peer shut down)");
    for (system, release, fact, holds, verdict) in [
        ("FreeBSD", "13.0-RELEASE", fact, false, Verdict::Older),
        ("FreeBSD", "12.4-STABLE", fact, false, Verdict::Older),
        ("FreeBSD", "13.1-RELEASE", fact, false, differs),
        ("FreeBSD", "14.0-CURRENT", fact, false, differs),
        ("FreeBSD", "13.0-RELEASE", fact, true, Verdict::Agrees),
        ("FreeBSD", "13.0-RELEASE", "pollhup", false, differs),
        ("Linux", "4.4.0", fact, false, differs),
    ] {
        let words = [system, release, "", ""].map(String::from);
        let mut report = Report::new(System::named(words));
        report.follows(fact, 1, holds, 0);
        assert_eq!(
            report.count(verdict),
            1,
            "{system} {release} {fact} {holds}"
        );
    }
}
