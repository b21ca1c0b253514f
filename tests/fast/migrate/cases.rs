//! Every folder under `tests/cases/migration` compiles to its `expected.sql`.

use std::fs;

use flowsmith_core::migration::replay;

use crate::shared::migration_cases::{cases, root};

#[test]
fn migrations_are_what_is_expected() {
    let cases = cases();
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let [migration] = case.change.as_slice() else { panic!("{}: one migration", case.name) };
        let written = format!("-- file: {}\n{}", migration.file_name(), migration.content);
        let expected = root().join(&case.name).join("expected.sql");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, written).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != written {
            wrong.push(format!("{}:\n{written}", case.name));
        }
        assert_eq!(replay(case.migrations()).unwrap(), case.wanted, "{}", case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
