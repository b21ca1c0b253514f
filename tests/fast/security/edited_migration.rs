//! A migration is a function of its plan: any other byte is refused, and the error shows it.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::migration::{Migration, ReplayError, verify};

use crate::shared::migration_cases::cases;

/// The migration of a case.
fn migration(name: &str) -> Migration {
    let mut case = cases().into_iter().find(|case| case.name == name).expect("a case");
    case.change.remove(0)
}

/// The error for a file with a replaced part.
fn refused(migration: &Migration, part: &str, by: &str) -> ReplayError {
    assert!(migration.content.contains(part), "{part}");
    let edited = Migration { content: migration.content.replacen(part, by, 1), ..migration.clone() };
    verify(&edited).expect_err(by)
}

#[test]
fn every_case_is_as_compiled() {
    for case in cases() {
        for migration in case.migrations() {
            assert_eq!(verify(migration), Ok(()), "{}", case.name);
        }
    }
}

#[test]
fn added_sql_is_refused_with_its_line() {
    let migration = migration("tune_flow_options");
    let error = refused(
        &migration,
        "    perform flowsmith.end_migration(plan);",
        "    grant flowsmith_owner to mallory;\n    perform flowsmith.end_migration(plan);",
    );
    assert_eq!((error.code(), error.kind()), (Code::MigrationNotAsCompiled, Kind::Refused));
    let line = 1 + migration.content.lines().position(|line| line.contains("end_migration(plan);")).unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "{} differs from its plan in line {line}: the file has `    grant flowsmith_owner to mallory;`, \
             the plan gives `    perform flowsmith.end_migration(plan);`",
            migration.file_name()
        )
    );
    let end = refused(&migration, "$flowsmith$;\n", "$flowsmith$;\ndrop schema pgflow cascade;\n").to_string();
    assert!(end.ends_with("the file has `drop schema pgflow cascade;`, the plan gives ``"), "{end}");
}

#[test]
fn header_and_markers_are_part_of_the_function() {
    let migration = migration("tune_flow_options");
    for (part, by) in [
        ("[tune]", "[safe]"),
        ("flows/order.yaml)", "flows/other.yaml)"),
        ("-- Project default;", "-- Project default; reviewed;"),
        ("engine level 0.7.2", "engine level 0.7.1"),
        ("'pg_catalog, pg_temp'", "'public, pg_catalog'"),
        ("do $flowsmith$", "do $flowsmith$ "),
        ("\"environment\": null", "\"environment\": \"production\""),
        ("\"format\": 1,", "\"format\": 1, "),
    ] {
        assert_eq!(refused(&migration, part, by).code(), Code::MigrationNotAsCompiled, "{by}");
    }
    let other_tag = refused(&migration, "  plan constant pg_catalog.text", "  plan  constant pg_catalog.text");
    assert_eq!(other_tag.code(), Code::ForeignMigration);
    let other_name = Migration { name: "other".to_owned(), ..migration };
    assert!(matches!(verify(&other_name), Err(ReplayError::OtherName { .. })));
}

#[test]
fn plan_that_contradicts_itself_is_refused() {
    let migration = migration("tune_flow_options");
    for (part, by, code) in [
        ("\"class\": \"tune\"", "\"class\": \"safe\"", Code::MalformedMigration),
        ("\"engine\": \"0.7.2\"", "\"engine\": \"0.14\"", Code::MalformedMigration),
        ("\"base\": \"", "\"base\": \"0", Code::MalformedMigration),
        ("{\"slug\": \"load\"}", "{\"slug\": \"load\", \"timeout\": 1}", Code::DigestMismatch),
    ] {
        assert_eq!(refused(&migration, part, by).code(), code, "{by}");
    }
    let difference = migration.content.lines().find(|line| line.contains("{\"options\": ")).unwrap();
    let lie = difference.replace("{\"options\": {", "{\"options\": {\"max_attempts\": [1, 2], ");
    assert!(verify(&Migration { content: migration.content.replace(difference, &lie), ..migration }).is_err());
}

#[test]
fn characters_that_do_not_show_are_escaped_in_the_error() {
    let migration = migration("tune_flow_options");
    let crlf = Migration { content: migration.content.replace('\n', "\r\n"), ..migration.clone() };
    let error = verify(&crlf).unwrap_err().to_string();
    assert!(error.contains("in line 1: the file has `-- flowsmith migration") && error.contains("\\r`"), "{error}");
    let hidden = refused(&migration, "-- ~ order@1", "-- ~ \u{202e}\u{9b}2J\u{1b}[order@1").to_string();
    assert!(hidden.contains("`-- ~ \\u{202e}\\u{9b}2J\\u{1b}[order@1"), "{hidden}");
    assert!(!hidden.contains(['\u{202e}', '\u{9b}', '\u{1b}']));
    let long = refused(&migration, "begin\n", &format!("begin -- {}\n", "x".repeat(10_000))).to_string();
    assert!(long.len() < 400 && long.contains("..."), "{long}");
}
