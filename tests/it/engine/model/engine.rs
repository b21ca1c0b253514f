//! The engine beside the model: a database, what a call returns, what it sends and what it leaves.

use std::collections::HashMap;

use flowsmith_postgres::engine::install::{InputStyle, install};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};

use super::flow::{Flow, SLUG};
use super::rules::Event;
use crate::fixture::Database;

/// Situations that the walks must reach: otherwise they prove little.
pub(super) const SIGHTS: [&str; 11] = [
    ": completed, input",
    ": failed, input",
    "tasks 0 of 0",
    "reason condition_unmet",
    "reason dependency_skipped",
    "reason handler_failed",
    "error Condition not met",
    "error [TYPE_VIOLATION] Map",
    ": queued, attempts 2",
    "requeued 3, stalled f",
    "requeued 3, stalled t",
];

pub(super) struct Engine {
    connection: PgConnection,
    /// The last of the events that were looked at.
    seen: i64,
    started: String,
    /// Situations that no walk has reached yet.
    pub(super) unseen: Vec<&'static str>,
    _database: Database,
}

/// What the engine holds.
pub(super) struct Snapshot {
    /// Each with its number; several messages of one task may be in the archive.
    pub(super) lines: Vec<(String, Option<f64>)>,
    /// What was sent since the last time, in order. Every time in a payload is `"T"`.
    pub(super) events: Vec<Event>,
    /// The seconds that the walk really took until now.
    pub(super) elapsed: f64,
}

impl Engine {
    pub(super) async fn create(is_merged: bool) -> Self {
        let database = if is_merged {
            Database::from_template("model_merged", async |options| prepare(&options, InputStyle::Merged).await).await
        } else {
            Database::from_template("model", async |options| prepare(&options, InputStyle::Separate).await).await
        };
        let connection = database.connect().await;
        Self { connection, seen: 0, started: String::new(), unseen: SIGHTS.to_vec(), _database: database }
    }

    /// Nothing but this flow.
    pub(super) async fn reset(&mut self, flow: &Flow) {
        let sql = format!("select pgflow.delete_flow_and_data('{SLUG}');\n{}", flow.sql());
        self.execute(&sql).await;
        let row = sqlx::raw_sql("delete from realtime.sent; select clock_timestamp()::text");
        self.started = row.fetch_one(&mut self.connection).await.unwrap().get(0);
        // Plans must not outlive the tables of the queue they are for.
        self.connection.clear_cached_statements().await.unwrap();
    }

    async fn execute(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await.unwrap();
    }

    /// The rows that a call returns, sorted, or its error.
    pub(super) async fn call(&mut self, sql: &str) -> Vec<String> {
        match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await {
            Ok(rows) => {
                let mut lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
                lines.sort();
                lines
            }
            Err(error) => {
                let error = error.into_database_error().unwrap();
                vec![format!("error: {}", error.message())]
            }
        }
    }

    pub(super) async fn snapshot(&mut self, travelled: i64) -> Snapshot {
        let sql = "select line, number from model.facts($1::timestamptz, $2, $3)";
        let query = sqlx::query(sql).bind(&self.started).bind(i32::try_from(travelled).unwrap()).bind(self.seen);
        let rows = query.fetch_all(&mut self.connection).await.unwrap();
        let mut snapshot = Snapshot { lines: Vec::new(), events: Vec::new(), elapsed: 0.0 };
        let mut events = Vec::new();
        for row in rows {
            let (line, number): (String, Option<f64>) = (row.get(0), row.get(1));
            if line == "elapsed" {
                snapshot.elapsed = number.unwrap();
            } else if let Some(sent) = line.strip_prefix("event ") {
                let sent: Value = serde_json::from_str(sent).unwrap();
                events.push((sent["id"].as_i64().unwrap(), event(sent)));
            } else {
                snapshot.lines.push((line, number));
            }
        }
        self.unseen.retain(|sight| !snapshot.lines.iter().any(|(line, _)| line.contains(sight)));
        snapshot.lines.sort_by(|(a, _), (b, _)| a.cmp(b));
        events.sort_by_key(|(id, _)| *id);
        self.seen = events.last().map_or(self.seen, |(id, _)| *id);
        snapshot.events = events.into_iter().map(|(_, event)| event).collect();
        snapshot
    }

    /// What the engine itself finds wrong.
    pub(super) async fn violations(&mut self) -> Vec<String> {
        self.call("select v::text from pgflow.violations() v").await
    }
}

impl Snapshot {
    pub(super) fn numbers(&self) -> HashMap<&str, f64> {
        self.lines.iter().filter_map(|(line, number)| Some((line.as_str(), (*number)?))).collect()
    }
}

fn event(mut sent: Value) -> Event {
    let mut payload = sent["payload"].take();
    let run = payload["run_id"].as_str().unwrap().to_owned();
    assert_eq!(sent["topic"], format!("pgflow:run:{run}"));
    assert_eq!(sent["private"], false);
    for (key, value) in payload.as_object_mut().unwrap() {
        if key.ends_with("_at") && value.as_str().is_some_and(|time| time.starts_with("20")) {
            *value = json!("T");
        }
    }
    Event { run: run[run.len() - 1..].parse().unwrap(), name: sent["event"].as_str().unwrap().to_owned(), payload }
}

async fn prepare(options: &PgConnectOptions, style: InputStyle) {
    let mut connection = options.connect().await.unwrap();
    // Before the engine, which uses a realtime.send that is there.
    sqlx::raw_sql(include_str!("../../fixture/official_realtime.sql")).execute(&mut connection).await.unwrap();
    install(options, style).await.unwrap();
    let sql = format!("select pgflow.create_flow('{SLUG}'); {}", include_str!("facts.sql"));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    crate::fixture::transitions::record(&mut connection).await;
    connection.close().await.unwrap();
}
