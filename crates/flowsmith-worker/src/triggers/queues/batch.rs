//! Starting a run for each event of a batch, whichever queue system it is from.

use std::time::Duration;

use sqlx::FromRow as _;

use super::limits::{CALL_TIMEOUT, MAX_ATTEMPTS, retry_delay};
use super::trigger::QueueTrigger;
use flowsmith_core::catalog::QueueKind;
use flowsmith_postgres::database::{DatabaseError, Transaction, with_timeout};
use flowsmith_postgres::runs::{DeclaredInput, InputValidator, RunsError};

/// A consumed batch.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    /// The number of events.
    pub events: usize,
    /// The number of started runs.
    pub started: usize,
    /// The number of events that start no run, because they had already started one or been discarded.
    pub already_handled: usize,
    /// The events whose runs could not be started.
    pub failed: Vec<FailedEvent>,
}

impl Batch {
    /// Adds another part of the same batch.
    pub(super) fn add(&mut self, part: Self) {
        let Self { events, started, already_handled, failed } = part;
        self.events += events;
        self.started += started;
        self.already_handled += already_handled;
        self.failed.extend(failed);
    }
}

/// An event whose run could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedEvent {
    /// The id in its queue.
    pub id: i64,
    /// The error.
    pub error: RunsError,
    /// The delay before the next attempt; none if the event was discarded.
    pub retry_after: Option<Duration>,
}

/// An event of a queue.
#[derive(Debug, Clone)]
pub(super) struct QueueEvent {
    pub(super) id: i64,
    /// In PostgreSQL's text format.
    pub(super) time: String,
    pub(super) kind: Option<String>,
    pub(super) data: Option<String>,
    /// The number of earlier attempts.
    pub(super) attempts: u32,
}

/// The source of events.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventSource<'t> {
    pub(super) trigger: &'t QueueTrigger,
    /// The queue as `flowsmith.consumed_events` names it.
    pub(super) queue: &'t str,
    /// The id of the PgQ batch.
    pub(super) batch_id: Option<i64>,
}

/// A key that distinguishes the queue from every other, including an earlier queue of the same name: `pgmq:imports:16432`. The
/// caller has read from the queue in the same transaction, so that it cannot be dropped in between.
pub(super) async fn queue_key(
    transaction: &mut Transaction<'_>,
    trigger: &QueueTrigger,
) -> Result<String, DatabaseError> {
    let sql = match trigger.kind {
        QueueKind::Pgq => include_str!("pgq_queue.sql"),
        QueueKind::Pgmq => include_str!("pgmq_queue.sql"),
    };
    let table: i64 = transaction.query(sql).bind(&trigger.queue).value().await?;
    Ok(format!("{}:{}:{table}", trigger.kind.as_str(), trigger.queue))
}

/// Starts a run for each event: all in one statement, or one by one if that fails. The caller ends the transaction, and returns
/// failed events to their queue.
pub(super) async fn start_runs(
    transaction: &mut Transaction<'_>,
    source: EventSource<'_>,
    events: &[QueueEvent],
) -> Result<Batch, DatabaseError> {
    let mut batch = Batch { events: events.len(), ..Batch::default() };
    if events.is_empty() {
        return Ok(batch);
    }
    let validator = source.trigger.input.as_ref().map(DeclaredInput::compile);
    let validator = validator.as_ref();
    match with_timeout(CALL_TIMEOUT, attempt(transaction, source, validator, events)).await? {
        Ok(started) => batch.started = started,
        Err(_) => {
            for event in events {
                let single = std::slice::from_ref(event);
                match with_timeout(CALL_TIMEOUT, attempt(transaction, source, validator, single)).await? {
                    Ok(started) => batch.started += started,
                    Err(error) => {
                        batch.failed.push(with_timeout(CALL_TIMEOUT, fail(transaction, source, event, error)).await?);
                    }
                }
            }
        }
    }
    batch.already_handled = batch.events - batch.started - batch.failed.len();
    Ok(batch)
}

/// Starts runs in a savepoint, and returns their number, or the error after which none was started.
async fn attempt(
    transaction: &mut Transaction<'_>,
    source: EventSource<'_>,
    validator: Option<&InputValidator>,
    events: &[QueueEvent],
) -> Result<Result<usize, RunsError>, DatabaseError> {
    let mut savepoint = transaction.savepoint().await?;
    match start(&mut savepoint, source, validator, events).await {
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

/// Computes the inputs of the runs, validates them, and starts the runs. Each input is computed only once, because an expression
/// may be volatile.
async fn start(
    transaction: &mut Transaction<'_>,
    source: EventSource<'_>,
    validator: Option<&InputValidator>,
    events: &[QueueEvent],
) -> Result<usize, RunsError> {
    let rows = transaction
        .query(include_str!("inputs.sql"))
        .bind(&source.trigger.flow)
        .bind(&source.trigger.name)
        .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.time.clone()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.kind.clone()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.data.clone()).collect::<Vec<_>>())
        .bind(source.queue)
        .rows()
        .await?;
    let inputs: Vec<(i64, Option<String>)> = rows.iter().map(<_>::from_row).collect::<Result<_, _>>()?;
    if let Some(validator) = validator {
        // The engine rejects a null input.
        for input in inputs.iter().filter_map(|(_, input)| input.as_deref()) {
            validator.validate(&serde_json::from_str(input)?)?;
        }
    }
    let (ids, inputs): (Vec<i64>, Vec<Option<String>>) = inputs.into_iter().unzip();
    let runs: Vec<Option<String>> = transaction
        .query(include_str!("consume_events.sql"))
        .bind(&source.trigger.flow)
        .bind(&source.trigger.name)
        .bind(source.batch_id)
        .bind(ids)
        .bind(inputs)
        .bind(source.queue)
        .values()
        .await?;
    Ok(runs.into_iter().flatten().count())
}

/// Computes the delay of a failed event, or discards the event after its last attempt.
async fn fail(
    transaction: &mut Transaction<'_>,
    source: EventSource<'_>,
    event: &QueueEvent,
    error: RunsError,
) -> Result<FailedEvent, DatabaseError> {
    let failures = event.attempts + 1;
    let retry_after = (failures < MAX_ATTEMPTS).then(|| retry_delay(failures));
    if retry_after.is_none() {
        transaction
            .query(include_str!("discard_event.sql"))
            .bind(&source.trigger.flow)
            .bind(&source.trigger.name)
            .bind(event.id)
            .bind(source.batch_id)
            .bind(event.data.as_deref())
            .bind(error.to_string())
            .bind(source.queue)
            .execute()
            .await?;
    }
    Ok(FailedEvent { id: event.id, error, retry_after })
}
