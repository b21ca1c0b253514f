//! Snapshots of the cases under `tests/cases`, compared by `insta`. A case is a folder, and its snapshots lie in it.
//!
//! `INSTA_UPDATE=always cargo test --test fast` writes them; read the diff, and look at the pictures (`*.snap.svg`,
//! `*.snap.html`). With `CI` set, `insta` writes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The folder of all cases of one kind: `check`, `graph` or `migration`.
pub(crate) fn cases(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(kind)
}

/// The folders of all cases of one kind, in the order of their names.
pub(crate) fn folders(kind: &str) -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(cases(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// Settings for snapshots that lie in the folder of a case.
pub(crate) fn settings(folder: &Path) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

/// A text as a snapshot compares it. `insta` ignores the end of a text and the difference between LF and CR LF, so
/// these are asserted here.
pub(crate) fn text(text: &str) -> &str {
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "the text must end with one newline: {text:?}");
    assert!(!text.contains("\r\n"), "the text must not contain CR LF: {text:?}");
    text
}

/// Runs an assertion for each case, and names every case that fails.
pub(crate) fn assert_each<T>(cases: &[T], name: impl Fn(&T) -> String, assert: impl Fn(&T)) {
    let fails = |case: &&T| catch_unwind(AssertUnwindSafe(|| assert(case))).is_err();
    let failed: Vec<String> = cases.iter().filter(fails).map(name).collect();
    assert!(failed.is_empty(), "these cases differ from their snapshots: {failed:#?}");
}

/// Files under a folder, without snapshots that wait for a review.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    nested.filter(|path| !path.to_string_lossy().contains(".snap.new")).collect()
}

fn is_snapshot(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".snap"))
}

/// The snapshots that the tests compare, in the order of their paths.
fn compared() -> BTreeSet<PathBuf> {
    const PICTURES: [&str; 4] = ["dot.snap", "mermaid.snap", "picture.snap", "picture.snap.svg"];
    const PAGE: [&str; 2] = ["page.snap", "page.snap.html"];
    let mut compared = BTreeSet::new();
    for folder in folders("check").into_iter().filter(|folder| files(folder).iter().any(|file| !is_snapshot(file))) {
        compared.insert(folder.join("report.snap"));
    }
    for folder in folders("migration").into_iter().filter(|folder| folder.join("after").is_dir()) {
        compared.insert(folder.join("migration.snap"));
    }
    let graphs = cases("graph");
    let flows = folders("graph").into_iter().filter(|folder| folder.join("flow.yaml").exists());
    // The tests build this case themselves.
    for folder in flows.chain([graphs.join("run")]) {
        compared.extend(PICTURES.map(|name| folder.join(name)));
    }
    for case in ["everything", "plan", "run"] {
        compared.extend(PAGE.map(|name| graphs.join(case).join(name)));
    }
    compared
}

/// `insta` fails if a snapshot is missing. It does not notice one that no test compares any more.
#[test]
fn every_snapshot_is_compared_by_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let found: BTreeSet<PathBuf> = files(&tests).into_iter().filter(|file| is_snapshot(file)).collect();
    let compared = compared();
    let stale: Vec<_> = found.difference(&compared).collect();
    let missing: Vec<_> = compared.difference(&found).collect();
    assert!(stale.is_empty(), "no test compares these snapshots; delete them with their cases: {stale:#?}");
    assert!(missing.is_empty(), "these snapshots are missing; INSTA_UPDATE=always writes them: {missing:#?}");
}
