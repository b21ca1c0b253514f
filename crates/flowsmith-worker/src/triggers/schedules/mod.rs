//! Schedules of a database without pg_cron: a worker calls [`fire_due`] again and again, and what is due is started.
//!
//! Of all that call it at the same time one does the work: it holds an advisory lock until its transaction ends, the
//! others find that taken. A firing is recorded with its planned time in the transaction that starts its run, so it is
//! started once, whoever dies when.
//!
//! Missed firings, while no worker ran: of those that are due, the latest is started, one run for all of them. A schedule
//! that is new or has changed has no firings before that. Times are UTC, by the database's clock, as pg_cron's are.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, Row as _};

use flowsmith_core::cron;
use flowsmith_postgres::database::{DatabaseError, Failure};

/// Held by the one that starts what is due; the bytes of `flowsche`.
const LEADER_KEY: i64 = i64::from_be_bytes(*b"flowsche");

/// The longest pause between two looks, so that a schedule which is new is not missed by more.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What one look gave.
#[derive(Debug, Default)]
pub struct Tick {
    /// Whether this session was the one that looked; else another was at it.
    pub leads: bool,
    /// What was started.
    pub fired: Vec<Firing>,
    /// What could not be started. It is tried again at the next look, until its next firing takes its place.
    pub failed: Vec<FailedFiring>,
    /// How long until there is something to do.
    pub pause: Duration,
}

/// A firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The flow's slug.
    pub flow: String,
    /// The trigger's name.
    pub trigger: String,
    /// When it was to happen.
    pub planned_at: DateTime<Utc>,
    /// The run, as PostgreSQL writes its id.
    pub run_id: String,
}

/// A firing that did not start a run, and left nothing behind.
#[derive(Debug)]
pub struct FailedFiring {
    /// The flow's slug.
    pub flow: String,
    /// The trigger's name.
    pub trigger: String,
    /// Why not.
    pub error: DatabaseError,
}

/// A schedule as `due.sql` gives it.
struct Entry {
    flow: String,
    trigger: String,
    schedule: String,
    done: DateTime<Utc>,
}

/// Starts every run that is due, in one transaction.
///
/// # Errors
/// Where the connection fails or the role may not see the schedules; nothing is started then, or, where the connection
/// was lost during the commit, all of it: the next look tells by what is recorded.
pub async fn fire_due(connection: &mut PgConnection) -> Result<Tick, DatabaseError> {
    let mut transaction = connection.begin().await?;
    let leads: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock($1)")
        .persistent(false)
        .bind(LEADER_KEY)
        .fetch_one(&mut *transaction)
        .await?;
    if !leads {
        transaction.rollback().await?;
        return Ok(Tick { pause: LONGEST_PAUSE, ..Tick::default() });
    }
    let mut tick = Tick { leads, pause: LONGEST_PAUSE, ..Tick::default() };
    let (now, entries) = read(&mut transaction).await?;
    for entry in entries {
        let schedule = match cron::parse(&entry.schedule) {
            Ok(schedule) => schedule,
            Err(error) => {
                let error = DatabaseError::new(Failure::Sql, error.message).with_hint(error.help);
                tick.failed.push(FailedFiring { flow: entry.flow, trigger: entry.trigger, error });
                continue;
            }
        };
        let until = |next: DateTime<Utc>| (next - now).to_std().unwrap_or_default();
        tick.pause = schedule.next_after(now).map_or(tick.pause, |next| tick.pause.min(until(next)));
        if let Some(planned_at) = schedule.latest_until(now).filter(|planned_at| *planned_at > entry.done) {
            fire(&mut transaction, entry, planned_at, &mut tick).await?;
        }
    }
    sqlx::raw_sql(include_str!("prune.sql")).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(tick)
}

/// The time in the database, and the schedules.
async fn read(connection: &mut PgConnection) -> Result<(DateTime<Utc>, Vec<Entry>), DatabaseError> {
    let rows = sqlx::raw_sql(include_str!("due.sql")).fetch_all(connection).await?;
    let time = |seconds: i64| {
        let wrong =
            || DatabaseError::new(Failure::Sql, format!("the database returned a time out of range: {seconds} s"));
        DateTime::from_timestamp(seconds, 0).ok_or_else(wrong)
    };
    let now = rows.first().map_or(Ok(DateTime::UNIX_EPOCH), |row| time(row.try_get("now")?))?;
    let entry = |row: &sqlx::postgres::PgRow| {
        Ok(Entry {
            flow: row.try_get("flow")?,
            trigger: row.try_get("name")?,
            schedule: row.try_get("schedule")?,
            done: time(row.try_get("done")?)?,
        })
    };
    Ok((now, rows.iter().map(entry).collect::<Result<_, DatabaseError>>()?))
}

/// Starts one run, in a savepoint, so that one that fails takes nothing along.
async fn fire(
    connection: &mut PgConnection,
    entry: Entry,
    planned_at: DateTime<Utc>,
    tick: &mut Tick,
) -> Result<(), DatabaseError> {
    let mut savepoint = connection.begin().await?;
    let started: Result<Option<String>, _> = sqlx::query_scalar(include_str!("fire.sql"))
        .persistent(false)
        .bind(&entry.flow)
        .bind(&entry.trigger)
        .bind(planned_at.timestamp())
        .fetch_one(&mut *savepoint)
        .await;
    let Entry { flow, trigger, .. } = entry;
    match started {
        Ok(run_id) => {
            savepoint.commit().await?;
            tick.fired.extend(run_id.map(|run_id| Firing { flow, trigger, planned_at, run_id }));
        }
        Err(error @ sqlx::Error::Database(_)) => {
            savepoint.rollback().await?;
            tick.failed.push(FailedFiring { flow, trigger, error: error.into() });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
