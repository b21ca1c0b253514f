//! With `--format json`, stdout is one JSON document or empty, whatever the error.

use std::path::Path;

use serde_json::Value;

use crate::fixture::command::{Outcome, Project, flowsmith_engine};
use crate::program::connecting::ways_to_connect;
use crate::shared::program::Program;
use crate::shared::program::commands;

const BAD_FLOW: &str = "flow: bad\nsteps: { load: { depends_on: [lod] } }\n";

/// The arguments of every command that connects and has `--format json`, except `watch` and `--watch`, which do not end.
fn json_commands() -> Vec<Vec<&'static str>> {
    let program = Program::in_folder(env!("CARGO_MANIFEST_DIR"));
    let has_json = |command: &String| program.run(&[command, "--help"]).stdout.contains("json");
    let mut found: Vec<Vec<&str>> = vec![vec!["check", "--format", "json"]];
    for command in commands(&program).iter().filter(|command| has_json(command)) {
        let ways = ways_to_connect(command).iter().filter(|way| !way.contains(&"--watch"));
        found.extend(ways.map(|way| [way, &["--format", "json"][..]].concat()));
    }
    found
}

/// The document on stdout, if any.
fn document(way: &[&str], outcome: &Outcome) -> Option<Value> {
    if outcome.stdout.is_empty() {
        return None;
    }
    Some(serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{way:?}: {error}: {outcome}")))
}

fn assert_findings(way: &[&str], outcome: &Outcome) {
    let found = document(way, outcome).unwrap_or_else(|| panic!("{way:?}: {outcome}"));
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/findings.v1.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&found), "{way:?}: {found:#}");
    assert_eq!(found["findings"][0]["code"], "FS301", "{way:?}: {found:#}");
}

#[test]
fn stdout_is_empty_if_the_settings_are_invalid() {
    let project = Project::new();
    project.write("flowsmith.toml", "flow = 1\n");
    for way in json_commands() {
        let outcome = project.run(&way);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{way:?}: {outcome}");
        assert!(outcome.stderr.contains("error[FS822]"), "{way:?}: {outcome}");
    }
}

#[test]
fn stdout_is_empty_if_the_server_is_unreachable() {
    let project = Project::new().with("DATABASE_URL", "postgres://127.0.0.1:1/away");
    project.write("flows/bad.yaml", BAD_FLOW);
    for way in json_commands() {
        let outcome = project.run(&way);
        if way[0] == "check" {
            assert_eq!(outcome.code, 4, "{outcome}");
            assert_findings(&way, &outcome);
        } else {
            assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{way:?}: {outcome}");
            assert!(outcome.stderr.contains("error[FS902]"), "{way:?}: {outcome}");
        }
    }
}

#[tokio::test]
async fn findings_are_json_if_a_flow_file_is_invalid() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: {}");
    project.compile();
    project.flow("order", "version: 2", "  load: {}");
    project.compile();
    project.succeeds(&["apply"]);
    project.write("flows/bad.yaml", BAD_FLOW);
    for way in json_commands() {
        let way = if way[0] == "bench" { [&way[..], &["--runs", "1", "--repetitions", "1"]].concat() } else { way };
        // No worker executes the tasks.
        let way = if way.contains(&"--wait") { [&way[..], &["--timeout", "1ms"]].concat() } else { way };
        let outcome = project.run(&way);
        let document = document(&way, &outcome);
        match outcome.code {
            4 => assert_findings(&way, &outcome),
            0 => assert!(document.is_some(), "{way:?}: {outcome}"),
            _ => assert!(document.is_some() || outcome.stderr.contains("error"), "{way:?}: {outcome}"),
        }
        let needs_files = ["check", "plan"].contains(&way[0]) || way.contains(&"order@1");
        assert_eq!(outcome.code == 4, needs_files, "{way:?}: {outcome}");
    }
}

#[tokio::test]
async fn other_documents_contain_no_findings() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.write("flows/bad.yaml", BAD_FLOW);
    for way in [["plan", "--format", "html"], ["plan", "--format", "markdown"], ["graph", "bad", "--format=svg"]] {
        let outcome = project.run(&[&way[..], &["--quiet"]].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (4, ""), "{way:?}: {outcome}");
        assert!(outcome.stderr.contains("error[FS301]"), "{way:?}: {outcome}");
    }
    let text = project.run(&["plan"]);
    assert!(text.stdout.contains("error[FS301]"), "{text}");
}
