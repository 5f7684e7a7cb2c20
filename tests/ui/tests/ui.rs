//! What the compiler says to a newcomer's mistakes, word for word. Its words
//! change from release to release, so `ci/check ui` runs this with one of them.

#[test]
fn mistakes_get_these_messages() {
    let cases = trybuild::TestCases::new();
    if cfg!(feature = "std") {
        cases.compile_fail("cases/std/fail_*.rs");
    } else {
        cases.pass("cases/any_descriptor.rs");
        cases.compile_fail("cases/fail_*.rs");
    }
}
