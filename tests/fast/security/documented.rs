//! The page on security: every promise names tests that exist.

use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../docs/security.md");

/// The names of tests on the page, such as `it::security::looking`.
fn named() -> Vec<&'static str> {
    let quoted = PAGE.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.starts_with("it::") || text.starts_with("fast::")).collect()
}

/// The file of a module, if it exists.
fn file(module: &[&str]) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(module.iter().collect::<PathBuf>());
    [path.with_extension("rs"), path.join("mod.rs")].into_iter().find(|file| file.is_file())
}

/// Whether a name is that of a module or of a test.
fn exists(name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let Some((test, module)) = parts.split_last() else { return false };
    let has_test = |file: PathBuf| fs::read_to_string(file).unwrap().contains(&format!("fn {test}("));
    file(&parts).is_some() || file(module).is_some_and(has_test)
}

#[test]
fn promises_name_existing_tests() {
    let missing: Vec<&str> = named().into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "docs/security.md names tests that do not exist: {missing:#?}");
    assert!(!exists("it::security::looking::no_such_test") && !exists("it::security::no_such_module"));
}

#[test]
fn every_promise_names_a_test() {
    let (_, promises) = PAGE.split_once("## Promises").unwrap();
    let (promises, _) = promises.split_once("## Limits").unwrap();
    let rows = promises.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attacker"));
    let without: Vec<&str> = rows.filter(|row| !row.contains("::")).collect();
    assert!(without.is_empty(), "{without:#?}");
}
