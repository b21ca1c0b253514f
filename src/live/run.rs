//! How a run stands.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use futures_util::TryStreamExt as _;
use minijinja::{Environment, UndefinedBehavior};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Either, Row as _};

use super::LiveShape;
use super::introspect::unreadable;
use crate::database::DatabaseError;
use crate::migration::quote::literal;

/// The id of a run, a UUID in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(String);

impl FromStr for RunId {
    type Err = String;

    /// Reads the form that PostgreSQL prints, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths == [8, 4, 4, 4, 12] && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err("a run is named by its whole id, such as 7d0e2c7e-3c3c-4a9f-9d4e-0c1f2a3b4c5d".to_owned())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A run and its steps at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStates {
    /// Which run.
    pub run_id: RunId,
    /// Of which flow.
    pub database_slug: String,
    /// How it stands.
    pub status: RunStatus,
    /// Seconds since it started, until it ended where it has.
    pub seconds: f64,
    /// Its steps by slug.
    pub steps: BTreeMap<String, StepProgress>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// It goes on.
    Started,
    /// It ended well.
    Completed,
    /// A step failed, or it was cancelled.
    Failed,
}

impl RunStatus {
    /// The word in `pgflow.runs.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
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

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepStatus {
    /// It waits for others.
    Created,
    /// It has tasks.
    Started,
    /// All its tasks are done.
    Completed,
    /// A task failed for good, or a condition was not met.
    Failed,
    /// It does not take part.
    Skipped,
}

impl StepStatus {
    /// The word in `pgflow.step_states.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing more becomes of it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
    }
}

/// Reads how a run stands, in one round trip and one snapshot; none where there is no such run. Writes nothing.
///
/// # Errors
/// Where the server refuses or the connection fails.
pub async fn run_states(
    connection: &mut PgConnection,
    run_id: &RunId,
    shape: LiveShape,
) -> Result<Option<RunStates>, DatabaseError> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_filter("literal", |text: &str| literal(text));
    let statements = templates
        .render_str(
            include_str!("../../templates/run_states.sql"),
            minijinja::context! { run => run_id.to_string(), conditions => shape.conditions },
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

fn read_run(row: &PgRow, run_id: &RunId) -> Result<RunStates, DatabaseError> {
    let status = match row.try_get(1)? {
        "started" => RunStatus::Started,
        "completed" => RunStatus::Completed,
        "failed" => RunStatus::Failed,
        other => return Err(unreadable("status of a run", other)),
    };
    Ok(RunStates {
        run_id: run_id.clone(),
        database_slug: row.try_get(0)?,
        status,
        seconds: row.try_get(2)?,
        steps: BTreeMap::new(),
    })
}

fn step(row: &PgRow) -> Result<StepProgress, DatabaseError> {
    let count = |name: &str| -> Result<u64, DatabaseError> {
        let value: i64 = row.try_get(name)?;
        u64::try_from(value).map_err(|_| unreadable(name, &value.to_string()))
    };
    let tasks: Option<i32> = row.try_get("initial_tasks")?;
    Ok(StepProgress {
        status: match row.try_get("status")? {
            "created" => StepStatus::Created,
            "started" => StepStatus::Started,
            "completed" => StepStatus::Completed,
            "failed" => StepStatus::Failed,
            "skipped" => StepStatus::Skipped,
            other => return Err(unreadable("status of a step", other)),
        },
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

#[cfg(test)]
mod tests {
    use super::RunId;

    #[test]
    fn a_run_id_is_a_whole_uuid() {
        let id = "7D0E2C7E-3c3c-4a9f-9d4e-0c1f2a3b4c5d";
        assert_eq!(id.parse::<RunId>().map(|id| id.to_string()), Ok(id.to_lowercase()));
        for wrong in ["", "7d0e", "7d0e2c7e-3c3c-4a9f-9d4e-0c1f2a3b4c5g", "' or true --", &id.replace('-', "")] {
            assert!(wrong.parse::<RunId>().is_err(), "{wrong}");
        }
    }
}
