//! The records of kernels, as they lie in their folder, and whose table each is judged by.

use std::fs::{read_dir, read_to_string};
use std::path::Path;

const FOLDER: &str = "tests/data/kernel-traces";

/// One line for each record: its file, its table, and how much of it is judged.
pub(crate) const COUNTS: &str = "tests/data/kernel-traces.tsv";

pub(crate) struct Record {
    pub(crate) file: String,
    pub(crate) text: String,
}

impl Record {
    /// Every file of the folder, by name.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        let mut files: Vec<_> = read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort_by_key(|path| path.file_stem().map(ToOwned::to_owned));
        let record = |path: &Path| Self {
            file: path.file_name().unwrap().to_str().unwrap().to_owned(),
            text: read_to_string(path).unwrap(),
        };
        files.iter().map(|path| record(path)).collect()
    }

    /// What the first line says at its end; records from before it did have theirs in
    /// [`COUNTS`].
    pub(crate) fn table(&self) -> Option<String> {
        let title = self.text.lines().next()?;
        let told = title
            .rsplit_once(", table ")
            .map(|(_, name)| name.to_owned());
        told.or_else(|| Some(self.counts()?.split('\t').nth(1)?.to_owned()))
    }

    /// Its line of [`COUNTS`].
    pub(crate) fn counts(&self) -> Option<String> {
        let is_its = |line: &&str| line.split('\t').next() == Some(&self.file);
        counts().lines().find(is_its).map(String::from)
    }
}

pub(crate) fn counts() -> String {
    read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(COUNTS)).unwrap()
}
