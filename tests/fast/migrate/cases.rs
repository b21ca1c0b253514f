//! The change in every folder under `tests/cases/migration` compiles to its snapshot, and replays to its result.

use flowsmith_core::migration::replay;

use crate::shared::migration_cases::{cases, root};
use crate::snapshots;

#[test]
fn migrations_equal_their_snapshots() {
    let cases = cases();
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    snapshots::assert_each(
        &cases,
        |case| case.name.clone(),
        |case| {
            let [migration] = case.change.as_slice() else { panic!("{}: one migration", case.name) };
            let written = format!("-- file: {}\n{}", migration.file_name(), migration.content);
            let settings = snapshots::settings(&root().join(&case.name));
            settings.bind(|| insta::assert_snapshot!("migration", snapshots::text(&written)));
        },
    );
}

#[test]
fn replaying_migrations_gives_the_compiled_catalog() {
    for case in cases() {
        assert_eq!(replay(case.migrations()).unwrap(), case.expected, "{}", case.name);
    }
}
