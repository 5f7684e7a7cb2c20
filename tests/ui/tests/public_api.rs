//! The public items are those that docs/PUBLIC_API.txt lists, each with its signature
//! and the feature that it needs. rustdoc's JSON has another format in every release, so
//! `ci/check api` runs this with one of them; `ci/check api --write` writes the list.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// What the compiler adds to every type, or to what derives something.
const ADDED: [&str; 6] = [
    "::Freeze for ",
    "::RefUnwindSafe for ",
    "::StructuralPartialEq for ",
    "::Unpin for ",
    "::UnsafeUnpin for ",
    "::UnwindSafe for ",
];

/// The item without the paths of other crates' names: without std, rustix has types of
/// its own for the same.
fn simple(item: &str) -> String {
    let in_a_path = |c: char| c.is_alphanumeric() || "_:".contains(c);
    let mut simple = String::new();
    let mut path = String::new();
    for c in item.chars().chain([' ']) {
        if in_a_path(c) {
            path.push(c);
            continue;
        }
        if !path.starts_with("wouldblock::") && !path.starts_with("::") {
            // A name, and the type that it is a method or an item of.
            let mut names: Vec<_> = path.split("::").collect();
            let method = names
                .iter()
                .position(|name| name.starts_with(char::is_uppercase));
            names.drain(..method.unwrap_or(names.len() - 1));
            path = names.join("::");
        }
        simple += &path;
        path.clear();
        simple.push(c);
    }
    simple.trim_end().to_owned()
}

/// The items with these features, in the tool's order.
fn items(root: &Path, features: &[&str]) -> Vec<String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rustdoc");
    let mut rustdoc = Command::new("cargo");
    rustdoc
        .current_dir(root)
        // JSON is not stable.
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["rustdoc", "--quiet", "--lib", "--no-default-features"])
        .args(features)
        .arg("--target-dir")
        .arg(&directory)
        .args(["--", "-Zunstable-options", "--output-format=json"])
        .arg("--cap-lints=allow");
    assert!(rustdoc.status().unwrap().success(), "{rustdoc:?}");
    let api = public_api::Builder::from_rustdoc_json(directory.join("doc/wouldblock.json"))
        .omit_blanket_impls(true)
        .build()
        .unwrap();
    let items = api.items().map(ToString::to_string);
    let mut seen = BTreeSet::new();
    items
        .filter(|item| !ADDED.iter().any(|added| item.contains(added)))
        .map(|item| simple(&item))
        .filter(|item| seen.insert(item.clone()))
        .collect()
}

#[test]
fn public_items_are_those_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let list = root.join("docs/PUBLIC_API.txt");
    let [none, alloc, all] =
        [&[][..], &["--features=alloc"], &["--all-features"]].map(|f| items(&root, f));
    let lines = all.iter().map(|item| {
        let feature = match (none.contains(item), alloc.contains(item)) {
            (true, _) => "",
            (false, true) => "[alloc] ",
            (false, false) => "[std] ",
        };
        format!("{feature}{item}")
    });
    let found: Vec<_> = lines.collect();
    if std::env::var_os("UPDATE_PUBLIC_API").is_some() {
        fs::write(&list, found.join("\n") + "\n").unwrap();
    }

    // Features add to the interface, and take nothing away.
    let mut fewer = none.iter().chain(&alloc);
    assert_eq!(
        fewer.find(|item| !all.contains(item)),
        None,
        "gone with a feature"
    );

    let listed = fs::read_to_string(&list).unwrap();
    let listed: BTreeSet<_> = listed.lines().collect();
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    assert!(
        listed == found,
        "not in docs/PUBLIC_API.txt: {:#?}\nthere, and no longer in the crate: {:#?}\n\
         `ci/check api --write` writes the list. An item may be added in a minor release; \
         one that is gone or has changed wants a major one.",
        found.difference(&listed),
        listed.difference(&found),
    );
    println!("figure: {} public items", found.len());
}
