//! Schedules of databases without pg_cron. Workers call [`start_due_runs`] repeatedly.
//!
//! One worker at a time is the leader: it holds a lock until its transaction ends. The transaction that starts a run also
//! records its scheduled time, so each scheduled time starts one run, even if a worker is killed.
//!
//! If no worker was running at several scheduled times, only the latest of them starts a run. A new or changed schedule does not
//! start runs for earlier times. Times are UTC by the clock of the database, as in pg_cron.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row as _};

use flowsmith_core::cron;
use flowsmith_postgres::database::{DatabaseError, Failure, Opening, Transaction};

/// The longest pause between two calls, and so the longest delay of a new schedule.
pub const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The result of [`start_due_runs`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DueRuns {
    /// Whether this session was the leader. If not, it did nothing.
    pub is_leader: bool,
    /// The started runs.
    pub started: Vec<ScheduledRun>,
    /// The runs that could not be started. Each is retried by the next call, until the next scheduled time replaces it.
    pub failed: Vec<FailedScheduledRun>,
    /// The pause until the next scheduled time, at most [`MAX_PAUSE`].
    pub pause: Duration,
}

/// A run that a schedule started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledRun {
    /// The flow's slug.
    pub flow: String,
    /// The trigger's name.
    pub trigger: String,
    /// The scheduled time.
    pub scheduled_for: DateTime<Utc>,
    /// The id of the run, a UUID.
    pub run_id: String,
}

/// A run that could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedScheduledRun {
    /// The flow's slug.
    pub flow: String,
    /// The trigger's name.
    pub trigger: String,
    /// The error.
    pub error: DatabaseError,
}

/// A row of `schedules.sql`.
struct Schedule {
    flow: String,
    trigger: String,
    expression: String,
    /// Scheduled times up to this one have been handled.
    handled_until: DateTime<Utc>,
}

/// Starts every run that is due, in one transaction.
///
/// # Errors
/// If the connection is lost, or the role may not read schedules. Nothing is started then, unless the connection was lost after
/// the commit, which the next call detects.
pub async fn start_due_runs(connection: &mut PgConnection) -> Result<DueRuns, DatabaseError> {
    let mut transaction = Transaction::begin(connection, Opening::write()).await?;
    let is_leader: bool = transaction.query("select flowsmith.try_worker_lock('schedules')").value().await?;
    if !is_leader {
        transaction.rollback().await?;
        return Ok(DueRuns { pause: MAX_PAUSE, ..DueRuns::default() });
    }
    let mut runs = DueRuns { is_leader, pause: MAX_PAUSE, ..DueRuns::default() };
    let (now, schedules) = read(&mut transaction).await?;
    for schedule in schedules {
        let times = match cron::parse(&schedule.expression) {
            Ok(times) => times,
            Err(error) => {
                let error = DatabaseError::new(Failure::Sql, error.message).with_hint(error.help);
                let Schedule { flow, trigger, .. } = schedule;
                runs.failed.push(FailedScheduledRun { flow, trigger, error });
                continue;
            }
        };
        let until = |next: DateTime<Utc>| (next - now).to_std().unwrap_or_default();
        runs.pause = times.next_after(now).map_or(runs.pause, |next| runs.pause.min(until(next)));
        if let Some(time) = times.latest_until(now).filter(|time| *time > schedule.handled_until) {
            start_run(&mut transaction, schedule, time, &mut runs).await?;
        }
    }
    transaction.send("select flowsmith.prune_firings()").await?;
    transaction.commit().await?;
    Ok(runs)
}

/// The current time of the database, and its schedules.
async fn read(transaction: &mut Transaction<'_>) -> Result<(DateTime<Utc>, Vec<Schedule>), DatabaseError> {
    let rows = transaction.send(include_str!("schedules.sql")).await?;
    let time = |seconds: i64| {
        let wrong =
            || DatabaseError::new(Failure::Sql, format!("the database returned a time out of range: {seconds} s"));
        DateTime::from_timestamp(seconds, 0).ok_or_else(wrong)
    };
    let now = rows.first().map_or(Ok(DateTime::UNIX_EPOCH), |row| time(row.try_get("now")?))?;
    let schedule = |row: &sqlx::postgres::PgRow| {
        Ok(Schedule {
            flow: row.try_get("flow")?,
            trigger: row.try_get("name")?,
            expression: row.try_get("schedule")?,
            handled_until: time(row.try_get("done")?)?,
        })
    };
    Ok((now, rows.iter().map(schedule).collect::<Result<_, DatabaseError>>()?))
}

/// Starts one run in a savepoint, so that its failure does not affect the others.
async fn start_run(
    transaction: &mut Transaction<'_>,
    schedule: Schedule,
    scheduled_for: DateTime<Utc>,
    runs: &mut DueRuns,
) -> Result<(), DatabaseError> {
    let mut savepoint = transaction.savepoint().await?;
    let started: Result<Option<String>, _> = savepoint
        .query(include_str!("fire.sql"))
        .bind(&schedule.flow)
        .bind(&schedule.trigger)
        .bind(scheduled_for.timestamp())
        .value()
        .await;
    let Schedule { flow, trigger, .. } = schedule;
    match started {
        Ok(run_id) => {
            savepoint.commit().await?;
            runs.started.extend(run_id.map(|run_id| ScheduledRun { flow, trigger, scheduled_for, run_id }));
        }
        Err(error @ sqlx::Error::Database(_)) => {
            savepoint.rollback().await?;
            runs.failed.push(FailedScheduledRun { flow, trigger, error: error.into() });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
