//! Commands for operators, with flowsmith's engine and the official one.

mod listing;
mod official;
mod retiring;
mod run_control;
mod scale;
mod schemas;
mod stalled;
mod starting;
mod watching;

use serde_json::Value;
use sqlx::PgConnection;

use crate::fixture::Database;
use crate::fixture::command::{Outcome, Project, flowsmith_engine};
use crate::fixture::runtime::run;

/// The id of the worker that tests simulate.
const WORKER: &str = "00000000-0000-0000-0000-0000000000aa";
/// The id of a run that tests start.
const RUN: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
/// Another run id that begins with the same digit.
const OTHER: &str = "01d2c1a8-5a51-4b64-9d0c-6a3e1f0b9a77";

/// A database with flowsmith's engine, and an applied project whose flow `order` has two versions. The second one is
/// current.
async fn shop() -> (Database, Project, PgConnection) {
    let database = flowsmith_engine().await;
    let project = shop_on(&database);
    let connection = database.connect().await;
    (database, project, connection)
}

fn shop_on(database: &Database) -> Project {
    let project = Project::on(database);
    project.flow("order", "version: 1", "  load: {}");
    project.compile();
    project.flow(
        "order",
        "version: 2\ninput: { type: object, required: [id], properties: { id: { type: integer } } }",
        "  load: { max_attempts: 2, base_delay: 60 }\n  each: { map: load, timeout: 5 }\n  ship: { depends_on: [load, each] }",
    );
    project.compile();
    project.succeeds(&["apply"]);
    project
}

/// Starts a run of the current version.
fn start(project: &Project, run: &str) {
    let started = project.succeeds(&["start", "order", "--input", r#"{"id": 7}"#, "--run-id", run]);
    assert_eq!(started.stdout, format!("{run}\n"));
}

/// Claims all visible tasks of a queue, as a worker does.
async fn claim(c: &mut PgConnection, queue: &str) {
    heartbeat(c, queue).await;
    // By functions that exist in every engine.
    run(
        c,
        &format!(
            "select pgflow.start_tasks('{queue}', array(select msg_id from pgmq.read('{queue}', 60, 100)), '{WORKER}')"
        ),
    )
    .await;
}

/// Sends a heartbeat of the worker, and registers it at first.
async fn heartbeat(c: &mut PgConnection, queue: &str) {
    run(
        c,
        &format!(
            "insert into pgflow.workers (worker_id, queue_name, function_name) values ('{WORKER}', '{queue}', 'shop')
             on conflict (worker_id) do update set last_heartbeat_at = now()"
        ),
    )
    .await;
}

async fn complete(c: &mut PgConnection, run_id: &str, step: &str, index: u32, output: &str) {
    run(c, &format!("select pgflow.complete_task('{run_id}', '{step}', {index}, '{output}')")).await;
}

async fn fail(c: &mut PgConnection, run_id: &str, step: &str, index: u32, error: &str) {
    run(c, &format!("select pgflow.fail_task('{run_id}', '{step}', {index}, '{error}')")).await;
}

/// Parses a JSON report and validates it with its schema.
fn parse_report(name: &str, text: &str) -> Value {
    let report: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.v1.json"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {report:#}");
    report
}

/// Runs a command that must succeed, and returns its JSON report.
fn json(project: &Project, schema: &str, arguments: &[&str]) -> Value {
    let outcome = project.succeeds(&[arguments, &["--format", "json"]].concat());
    parse_report(schema, &outcome.stdout)
}

/// Runs a command that must fail with this exit code, error code and words in its message.
fn refused(project: &Project, exit: i32, code: &str, words: &[&str], arguments: &[&str]) -> Outcome {
    let outcome = project.run(arguments);
    assert_eq!(outcome.code, exit, "{arguments:?}: {outcome}");
    for word in [&[code][..], words].concat() {
        assert!(outcome.stderr.contains(word), "{arguments:?} does not say {word:?}: {outcome}");
    }
    assert_eq!(outcome.stdout, "", "{arguments:?}");
    outcome
}
