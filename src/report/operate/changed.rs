//! Results of commands that change runs or flows.

use serde::Serialize;

use super::super::Subject;
use super::super::format::json;
use flowsmith_postgres::runs::FlowPause;

#[derive(Serialize)]
struct PausedJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    flows: &'a [FlowPause],
}

/// The report as JSON: `schema/pause.v1.json`.
pub fn paused_json(flows: &[FlowPause], subject: &Subject) -> String {
    json(&PausedJson { version: 1, database: &subject.database, engine: &subject.engine, flows })
}

#[derive(Serialize)]
struct PrunedJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    deleted_runs: u64,
}

/// The report as JSON: `schema/prune.v1.json`.
pub fn pruned_json(deleted_runs: u64, subject: &Subject) -> String {
    json(&PrunedJson { version: 1, database: &subject.database, engine: &subject.engine, deleted_runs })
}
