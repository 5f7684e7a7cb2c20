//! Which table the build script gives a target, and what it says to the developer.

#[allow(dead_code, unreachable_pub, reason = "most of it is for the library")]
#[path = "../src/platform/tables.rs"]
mod tables;

#[path = "../src/platform/choice.rs"]
mod choice;

use choice::{Choice, asked, choose};

const FREEBSD: [&str; 3] = ["freebsd", "x86_64", ""];
const ESPIDF: [&str; 3] = ["espidf", "riscv32", "newlib"];
/// A Unix that nobody has written a table for.
const UNKNOWN: [&str; 3] = ["managarm", "x86_64", "mlibc"];

#[track_caller]
fn chosen(target: [&str; 3], wanted: &str) -> Choice {
    choose(target, true, wanted, true).unwrap()
}

#[track_caller]
fn refused(target: [&str; 3], unix: bool, wanted: &str, std: bool) -> String {
    let error = choose(target, unix, wanted, std).unwrap_err();
    assert!(error.starts_with("wouldblock"), "{error}");
    error
}

#[test]
fn choose_with_a_table_takes_it_and_says_nothing() {
    for wanted in ["", "known"] {
        let choice = chosen(FREEBSD, wanted);
        assert_eq!((choice.table, choice.warning), ("freebsd", None));
        assert!(choice.has.contains(&"so_nosigpipe") && choice.has.contains(&"messages"));
    }
}

#[test]
fn choose_on_a_unix_without_a_table_takes_the_conservative_one_and_names_porting() {
    let choice = chosen(UNKNOWN, "");
    let warning = choice.warning.unwrap();
    assert_eq!(choice.table, "posix");
    assert!(warning.contains("docs/PORTING.md") && warning.contains("managarm"));
    assert!(
        warning.contains("wouldblock_platform=\"known\""),
        "{warning}"
    );
    // All of rustix, and no fact.
    assert!(choice.has.contains(&"messages") && !choice.has.contains(&"so_nosigpipe"));
}

#[test]
fn choose_where_only_known_tables_are_wanted_refuses_a_unix_without_one() {
    let error = refused(UNKNOWN, true, "known", true);
    assert!(
        error.contains("no table") && error.contains("docs/PORTING.md"),
        "{error}"
    );
}

#[test]
fn choose_of_the_conservative_table_by_name_says_nothing_and_keeps_what_rustix_lacks() {
    assert_eq!(chosen(UNKNOWN, "posix").warning, None);
    let choice = chosen(ESPIDF, "posix");
    assert_eq!((choice.table, choice.warning), ("posix", None));
    assert!(!choice.has.contains(&"messages"), "{:?}", choice.has);
    assert_eq!(chosen(FREEBSD, "posix").table, "posix");
}

#[test]
fn choose_where_no_table_can_serve_says_why() {
    for (target, unix, reason) in [
        (["windows", "x86_64", "msvc"], false, "no Unix"),
        (["unknown", "wasm32", ""], false, "no Unix"),
        (["wasi", "wasm32", "p1"], false, "no Unix"),
        (["horizon", "arm", "newlib"], true, "POLLOUT and POLLERR"),
    ] {
        for wanted in ["", "known", "posix"] {
            let error = refused(target, unix, wanted, true);
            assert!(error.contains(reason), "{error}");
            assert!(error.contains("docs/PORTING.md"), "{error}");
        }
    }
}

#[test]
fn choose_without_std_where_rustix_has_no_clock_asks_for_std() {
    assert_eq!(chosen(ESPIDF, "").table, "espidf");
    for wanted in ["", "known", "posix"] {
        let error = refused(ESPIDF, true, wanted, false);
        assert!(error.contains("`std`"), "{error}");
    }
    assert!(choose(["vita", "arm", "newlib"], true, "", false).is_ok());
}

#[test]
fn choose_by_another_word_refuses_it() {
    let error = refused(FREEBSD, true, "linux", true);
    assert!(error.contains("\"linux\" is not known"), "{error}");
}

/// A name that the build script does not know would gate nothing.
#[test]
fn asked_has_every_name_that_a_table_says_rustix_lacks() {
    for table in tables::ALL {
        for name in table.rustix_lacks {
            assert!(
                asked().any(|known| known == *name),
                "{}: {name}",
                table.name
            );
        }
    }
}

/// A stand-in is shown one buffer: `src/ops/stand_in.rs`.
#[test]
fn tables_without_messages_or_vectored_calls_take_one_buffer() {
    for table in tables::ALL {
        let lacks = |name| table.rustix_lacks.contains(&name);
        if lacks("messages") || lacks("vectored") {
            assert_eq!(table.iov_max, 1, "{}", table.name);
        }
    }
}
