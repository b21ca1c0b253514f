//! How a run stands.

use std::collections::BTreeMap;
use std::str::FromStr;

use futures_util::TryStreamExt as _;
use minijinja::{Environment, UndefinedBehavior};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Either, Row as _};

use super::introspect::unreadable;
use super::{LiveShape, RunStatus, StepStatus};
use crate::database::DatabaseError;
use crate::migration::quote::literal;

/// A run and its steps at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStates {
    /// Which run.
    pub run_id: String,
    /// Of which flow.
    pub database_slug: String,
    /// How it stands.
    pub status: RunStatus,
    /// Seconds since it started, until it ended where it has.
    pub seconds: f64,
    /// Its steps by slug.
    pub steps: BTreeMap<String, StepProgress>,
}

/// How a step of a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StepProgress {
    /// Its state.
    pub status: StepStatus,
    /// Dependencies that are not done.
    pub remaining_deps: i32,
    /// How many tasks it has; none where that is not known yet.
    pub tasks: Option<u64>,
    /// Tasks that wait for a worker.
    pub queued: u64,
    /// Tasks that a worker has.
    pub running: u64,
    /// Tasks that are done.
    pub completed: u64,
    /// Tasks whose attempts are used up.
    pub failed: u64,
    /// The most attempts that one of its tasks has had.
    pub attempts: i32,
    /// What went wrong, if anything did; a step that is completed may have an error of an earlier attempt.
    pub error: Option<String>,
    /// Why it was skipped: `condition_unmet`, `handler_failed`, `dependency_skipped`.
    pub skip_reason: Option<String>,
    /// Seconds since it started, until it ended where it has; none where it never started.
    pub seconds: Option<f64>,
}

/// Reads how a run stands, in one round trip and one snapshot; none where there is no such run. Writes nothing.
///
/// # Errors
/// Where the server refuses or the connection fails.
pub async fn run_states(
    connection: &mut PgConnection,
    run_id: &str,
    shape: LiveShape,
) -> Result<Option<RunStates>, DatabaseError> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_filter("literal", |text: &str| literal(text));
    let statements = templates
        .render_str(
            include_str!("../../templates/run_states.sql"),
            minijinja::context! { run => run_id, conditions => shape.conditions },
        )
        .expect("the template reads these two only");
    // As plain text: a bound value would take two round trips, which a transaction pooler may send to different servers.
    let text = format!("begin isolation level repeatable read, read only;\n{statements}\ncommit;");
    let mut run = None;
    let mut set = 0;
    let mut results = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(&mut *connection);
    while let Some(item) = results.try_next().await? {
        match (item, &mut run) {
            (Either::Left(_), _) => set += 1,
            // `begin` completes first, so the result sets count from 1.
            (Either::Right(row), _) if set == 1 => run = Some(read_run(&row, run_id)?),
            (Either::Right(row), Some(run)) => drop(run.steps.insert(row.try_get(0)?, step(&row)?)),
            (Either::Right(_), None) => {}
        }
    }
    Ok(run)
}

fn read_run(row: &PgRow, run_id: &str) -> Result<RunStates, DatabaseError> {
    Ok(RunStates {
        run_id: run_id.to_owned(),
        database_slug: row.try_get(0)?,
        status: status(row, 1, "status of a run")?,
        seconds: row.try_get(2)?,
        steps: BTreeMap::new(),
    })
}

fn status<T: FromStr>(row: &PgRow, column: usize, what: &str) -> Result<T, DatabaseError> {
    let word: &str = row.try_get(column)?;
    word.parse().map_err(|_| unreadable(what, word))
}

fn step(row: &PgRow) -> Result<StepProgress, DatabaseError> {
    let count = |name: &str| -> Result<u64, DatabaseError> {
        let value: i64 = row.try_get(name)?;
        u64::try_from(value).map_err(|_| unreadable(name, &value.to_string()))
    };
    let tasks: Option<i32> = row.try_get("initial_tasks")?;
    Ok(StepProgress {
        status: status(row, 1, "status of a step")?,
        remaining_deps: row.try_get("remaining_deps")?,
        tasks: tasks.and_then(|tasks| u64::try_from(tasks).ok()),
        queued: count("queued")?,
        running: count("started")?,
        completed: count("completed")?,
        failed: count("failed")?,
        attempts: row.try_get("attempts")?,
        error: row.try_get("error_message")?,
        skip_reason: row.try_get("skip_reason")?,
        seconds: row.try_get("seconds")?,
    })
}
