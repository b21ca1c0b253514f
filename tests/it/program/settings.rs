//! The precedence of settings.

use std::fs;

use crate::fixture::command::{Outcome, sql_files};
use crate::program::connecting::{self, ways_to_connect};
use crate::shared::program::Program;
use crate::shared::program::commands;

#[test]
fn environment_ignores_an_exported_database_url() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[environments.production]\ndatabase_url_env = \"PRODUCTION_URL\"\n";
    fs::write(folder.path().join("flowsmith.toml"), settings).unwrap();
    let program = Program::in_folder(folder.path());
    let elsewhere = "postgres://localhost:1/elsewhere";
    let output = program.shell(&format!("DATABASE_URL={elsewhere} flowsmith status --env production"));
    assert_eq!(output.exit, Some(64), "{output:?}");
    assert!(output.stderr.starts_with("error[FS823]: the variable PRODUCTION_URL,"), "{output:?}");
    // The variable of the environment is used, and the flag has precedence over it.
    let wanted = "PRODUCTION_URL=postgres://localhost:1/wanted";
    for (flags, database) in [("", "wanted"), ("--database postgres://localhost:1/flag", "flag")] {
        let line = format!("DATABASE_URL={elsewhere} {wanted} flowsmith status --env production {flags}");
        let output = program.shell(&line);
        assert!(output.stderr.contains(&format!("localhost:1/{database}:")), "{output:?}");
    }
}

/// Runs a command for an environment that is missing in `flowsmith.toml`, if that file exists.
fn refused(settings: Option<&str>, arguments: &[&str]) -> Outcome {
    // The command must not connect to this database.
    let project = connecting::project().with("DATABASE_URL", "postgres://127.0.0.1:1/elsewhere");
    if let Some(settings) = settings {
        project.write("flowsmith.toml", settings);
    }
    project.write("flows/b.yaml", "flow: b\nsteps: { a: {} }\nenvironments: { production: { description: B } }\n");
    project.run(arguments)
}

#[test]
fn mistyped_environment_is_refused_with_and_without_settings() {
    for settings in [None, Some("flows = \"flows\"\n"), Some("[environments.production]\ndatabase_url_env = \"X\"\n")] {
        for command in commands(&Program::in_folder(".")) {
            for way in ways_to_connect(&command) {
                let outcome = refused(settings, &[way, &["--env", "prodction"][..]].concat());
                // Findings of the files may come first; the command never connects.
                assert!(matches!(outcome.code, 64 | 4), "{way:?}: {outcome}");
                assert!(!outcome.all_output().contains("cannot connect"), "{way:?}: {outcome}");
                assert!(outcome.all_output().contains("did you mean `production`?"), "{way:?}: {outcome}");
                assert!(outcome.all_output().contains("environment `prodction`"), "{way:?}: {outcome}");
            }
        }
    }
}

#[test]
fn environment_of_flow_files_needs_an_explicit_database() {
    let outcome = refused(None, &["plan", "--env", "production"]);
    assert!(outcome.stderr.contains("help: add [environments.production] with database_url_env = "), "{outcome}");
    let url = "postgres://127.0.0.1:1/named";
    let outcome = refused(None, &["plan", "--env", "production", "--database", url]);
    assert!(outcome.stderr.contains("cannot connect to ") && outcome.stderr.contains("/named"), "{outcome}");
    // A mistyped environment is refused with an explicit database too.
    for command in ["plan", "apply", "status", "drift", "runs", "doctor"] {
        let outcome = refused(None, &[command, "--env", "prodction", "--database", url]);
        assert!(matches!(outcome.code, 64 | 4) && outcome.stderr.contains("did you mean `production`?"), "{outcome}");
        assert!(command == "plan" || outcome.stderr.contains("FS830"), "{outcome}");
    }
    assert_eq!(refused(None, &["check", "--env", "production"]).code, 0);
    let outcome = refused(
        Some("[environments.production]\ndatabase_url_env = \"DATABASE_URL\"\n"),
        &["status", "--env", "production"],
    );
    assert!(outcome.stderr.contains("/elsewhere"), "{outcome}");
}

#[test]
fn offline_commands_need_no_secret() {
    let project = connecting::project();
    project.write("flowsmith.toml", "[environments.production]\ndatabase_url_env = \"PRODUCTION_URL\"\n");
    let at = ["--env", "production", "--migrations", "migrations/production"];
    let with = |command: &[&'static str]| [command, &at[..]].concat();
    for command in
        [&["check"][..], &["compile"], &["compile", "--check"], &["compile", "--rehash"], &["graph", "order"]]
    {
        project.succeeds(&with(command));
    }
    assert_eq!(sql_files(&project.path("migrations/production")).len(), 1);
    for command in [&["compile", "--from-live"][..], &["plan"], &["apply"], &["status"], &["up"]] {
        let refused = project.run(&with(command));
        assert!(
            refused.code == 64 && refused.stderr.contains("error[FS823]: the variable PRODUCTION_URL"),
            "{refused}"
        );
    }
    assert_eq!(project.exits_with(64, &["up", "--url", "--env", "production"]).matches("FS823").count(), 2);
}
