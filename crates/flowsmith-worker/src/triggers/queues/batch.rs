//! A batch of events, whatever queue it is from: a run for each.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{ANSWER, MOST_ATTEMPTS, QueueTrigger, retry_delay};
use flowsmith_core::catalog::QueueKind;
use flowsmith_core::sql::Statement;
use flowsmith_postgres::database::{DatabaseError, within};
use flowsmith_postgres::runs::{DeclaredInput, InputValidator, RunsError};

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// How many events it had.
    pub events: usize,
    /// How many runs were started: fewer where events had been taken before.
    pub started: usize,
    /// How many had started their run, or been given up, before: they start none.
    pub known: usize,
    /// The events of which no run could be started.
    pub failed: Vec<FailedEvent>,
}

impl Batch {
    /// Adds another part of the same batch.
    pub(super) fn add(&mut self, part: Self) {
        let Self { events, started, known, failed } = part;
        self.events += events;
        self.started += started;
        self.known += known;
        self.failed.extend(failed);
    }
}

/// An event that started no run.
#[derive(Debug)]
pub struct FailedEvent {
    /// Its number in its queue.
    pub id: i64,
    /// Why not.
    pub error: RunsError,
    /// When it is tried again; none where it is given up.
    pub retry_after: Option<Duration>,
}

/// An event as its queue gives it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: i64,
    /// As PostgreSQL writes it.
    pub(super) time: String,
    pub(super) kind: Option<String>,
    pub(super) data: Option<String>,
    /// How often it was tried before.
    pub(super) attempts: u32,
}

/// Where events are from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'t> {
    pub(super) trigger: &'t QueueTrigger,
    /// The queue as `flowsmith.consumed_events` names it.
    pub(super) queue: &'t str,
    /// PgQ's batch.
    pub(super) batch_id: Option<i64>,
}

/// What tells the queue from every other, also from one that had its name before: `pgmq:imports:16432`. To be asked once the
/// transaction has read from the queue, so that nobody drops it meanwhile.
pub(super) async fn queue_key(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<String, DatabaseError> {
    let sql = match trigger.kind {
        QueueKind::Pgq => include_str!("pgq_queue.sql"),
        QueueKind::Pgmq => include_str!("pgmq_queue.sql"),
    };
    let table: i64 = sqlx::query_scalar(sql).persistent(false).bind(&trigger.queue).fetch_one(connection).await?;
    Ok(format!("{}:{}:{table}", trigger.kind.as_str(), trigger.queue))
}

/// Starts a run for each event: all in one statement, or, where that fails, one by one. Within the transaction that is
/// open, which the caller ends; what to do about those that failed is the caller's too.
pub(super) async fn start_runs(
    connection: &mut PgConnection,
    source: Source<'_>,
    events: &[Event],
) -> Result<Batch, DatabaseError> {
    let mut batch = Batch { events: events.len(), ..Batch::default() };
    if events.is_empty() {
        return Ok(batch);
    }
    let check = source.trigger.input.as_ref().map(DeclaredInput::compile);
    let check = check.as_ref();
    match within(ANSWER, attempt(connection, source, check, events)).await? {
        Ok(started) => batch.started = started,
        Err(_) => {
            for event in events {
                let event_alone = std::slice::from_ref(event);
                match within(ANSWER, attempt(connection, source, check, event_alone)).await? {
                    Ok(started) => batch.started += started,
                    Err(error) => {
                        batch.failed.push(within(ANSWER, failed(connection, source, event, error)).await?);
                    }
                }
            }
        }
    }
    batch.known = batch.events - batch.started - batch.failed.len();
    Ok(batch)
}

/// In a savepoint: how many runs were started, or why none was.
async fn attempt(
    connection: &mut PgConnection,
    source: Source<'_>,
    check: Option<&InputValidator>,
    events: &[Event],
) -> Result<Result<usize, RunsError>, DatabaseError> {
    let mut savepoint = connection.begin().await?;
    match start(&mut savepoint, source, check, events).await {
        Ok(started) => {
            savepoint.commit().await?;
            Ok(Ok(started))
        }
        Err(RunsError::Database(error)) if error.is_lost() => Err(error),
        Err(error) => {
            savepoint.rollback().await?;
            Ok(Err(error))
        }
    }
}

/// The inputs are made first, since they are held against what the flow declares, and only once, since an expression may give
/// another one the next time.
async fn start(
    connection: &mut PgConnection,
    source: Source<'_>,
    check: Option<&InputValidator>,
    events: &[Event],
) -> Result<usize, RunsError> {
    let inputs: Vec<(i64, Option<String>)> = sqlx::query_as(AssertSqlSafe(inputs(source.trigger)))
        .persistent(false)
        .bind(&source.trigger.flow)
        .bind(&source.trigger.name)
        .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.time.clone()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.kind.clone()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.data.clone()).collect::<Vec<_>>())
        .bind(source.queue)
        .fetch_all(&mut *connection)
        .await?;
    if let Some(check) = check {
        // That there is no input at all is refused by the engine.
        for input in inputs.iter().filter_map(|(_, input)| input.as_deref()) {
            check.validate(&serde_json::from_str(input)?)?;
        }
    }
    let (ids, inputs): (Vec<i64>, Vec<Option<String>>) = inputs.into_iter().unzip();
    let runs: Vec<Option<String>> = sqlx::query_scalar(include_str!("take.sql"))
        .persistent(false)
        .bind(&source.trigger.flow)
        .bind(&source.trigger.name)
        .bind(source.batch_id)
        .bind(ids)
        .bind(inputs)
        .bind(source.queue)
        .fetch_all(connection)
        .await?;
    Ok(runs.into_iter().flatten().count())
}

fn inputs(trigger: &QueueTrigger) -> String {
    static INPUTS: LazyLock<Statement> =
        LazyLock::new(|| Statement::parse(include_str!("inputs.sql")).expect("the file is valid SQL"));
    // The expression is part of the statement and cannot be a bound parameter.
    INPUTS.fill(&[("input", trigger.input_sql.as_deref().unwrap_or("event.data"))])
}

/// Says when the event comes again; records it where it has come often enough.
async fn failed(
    connection: &mut PgConnection,
    source: Source<'_>,
    event: &Event,
    error: RunsError,
) -> Result<FailedEvent, DatabaseError> {
    let failures = event.attempts + 1;
    let retry_after = (failures < MOST_ATTEMPTS).then(|| retry_delay(failures));
    if retry_after.is_none() {
        sqlx::query(include_str!("give_up.sql"))
            .persistent(false)
            .bind(&source.trigger.flow)
            .bind(&source.trigger.name)
            .bind(event.id)
            .bind(source.batch_id)
            .bind(event.data.as_deref())
            .bind(error.to_string())
            .bind(source.queue)
            .execute(connection)
            .await?;
    }
    Ok(FailedEvent { id: event.id, error, retry_after })
}
