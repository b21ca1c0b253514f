//! PgQ. Each trigger is a consumer, and one worker at a time consumes its batches.

use sqlx::{PgConnection, Row as _, ValueRef as _};

use super::batch::{self, Batch, EventSource, FailedEvent, QueueEvent};
use super::limits::{CALL_TIMEOUT, MAX_EVENTS};
use super::trigger::QueueTrigger;
use flowsmith_postgres::database::transaction::{Opening, Transaction, send};
use flowsmith_postgres::database::{DatabaseError, Failure, with_timeout};

/// Returns a row if PgQ is installed. Only a superuser can install the extension; functions in a schema `pgq` of another role are
/// never called.
const INSTALLED: &str = "select from pg_catalog.pg_extension e where e.extname = 'pgq'";

/// A consumer that was unregistered from a PgQ queue, because its trigger no longer exists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnregisteredConsumer {
    /// The consumer.
    pub consumer: String,
    /// The queue.
    pub queue: String,
    /// The approximate number of events that it had not consumed: PgQ counts assigned ids, not rows.
    pub unconsumed: u64,
}

/// Consumes the next batch, if there is one and no other worker consumes it.
pub(super) async fn consume(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Batch, DatabaseError> {
    let mut transaction = with_timeout(CALL_TIMEOUT, Transaction::begin(connection, Opening::write())).await?;
    let Some((batch_id, queue)) = with_timeout(CALL_TIMEOUT, open(&mut transaction, trigger)).await? else {
        with_timeout(CALL_TIMEOUT, transaction.commit()).await?;
        return Ok(Batch::default());
    };
    let source = EventSource { trigger, queue: &queue, batch_id: Some(batch_id) };
    let mut batch = Batch::default();
    loop {
        let events = with_timeout(CALL_TIMEOUT, fetch(&mut transaction)).await?;
        if events.is_empty() {
            break;
        }
        let part = batch::start_runs(&mut transaction, source, &events).await?;
        for failed in &part.failed {
            with_timeout(CALL_TIMEOUT, retry(&mut transaction, batch_id, failed)).await?;
        }
        batch.add(part);
    }
    let finish = "select pgq.finish_batch($1)";
    with_timeout(CALL_TIMEOUT, transaction.query(finish).bind(batch_id).execute()).await?;
    with_timeout(CALL_TIMEOUT, transaction.commit()).await?;
    Ok(batch)
}

/// Opens a cursor for the next batch, and returns the id of the batch and the key of the queue.
async fn open(
    transaction: &mut Transaction<'_>,
    trigger: &QueueTrigger,
) -> Result<Option<(i64, String)>, DatabaseError> {
    let consumer = trigger.consumer();
    // PgQ assigns a batch to a consumer, not to a session: two sessions would receive the same batch.
    let is_locked = transaction.query("select flowsmith.try_worker_lock($1)").bind(&consumer);
    let is_locked: bool = is_locked.value().await?;
    if !is_locked {
        return Ok(None);
    }
    if transaction.send(INSTALLED).await?.is_empty() {
        return Err(DatabaseError::new(Failure::Sql, "the extension pgq is not installed in this database")
            .with_hint("run `create extension pgq`, create the queue with pgq.create_queue, and start pgqd"));
    }
    let register = transaction.query("select pgq.register_consumer($1, $2)").bind(&trigger.queue).bind(&consumer);
    register.execute().await?;
    let batch_id = transaction.query("select pgq.next_batch($1, $2)").bind(&trigger.queue).bind(&consumer);
    let batch_id: Option<i64> = batch_id.value().await?;
    let Some(batch_id) = batch_id else { return Ok(None) };
    transaction.query(include_str!("pgq_cursor.sql")).bind(batch_id).execute().await?;
    Ok(Some((batch_id, batch::queue_key(transaction, trigger).await?)))
}

/// Fetches the next events of the open batch; none at the end.
async fn fetch(transaction: &mut Transaction<'_>) -> Result<Vec<QueueEvent>, DatabaseError> {
    let fetch = format!("fetch {MAX_EVENTS} from flowsmith_batch");
    let rows = transaction.send(fetch).await?;
    rows.iter()
        .map(|row| {
            let retries: Option<i32> = row.try_get("ev_retry")?;
            let time = row.try_get_raw("ev_time")?;
            Ok(QueueEvent {
                id: row.try_get("ev_id")?,
                time: if time.is_null() { None } else { time.as_str().ok() }.unwrap_or_default().to_owned(),
                kind: row.try_get("ev_type")?,
                data: row.try_get("ev_data")?,
                attempts: retries.unwrap_or(0).unsigned_abs(),
            })
        })
        .collect()
}

/// Returns a failed event to PgQ, unless it was discarded.
async fn retry(transaction: &mut Transaction<'_>, batch_id: i64, failed: &FailedEvent) -> Result<(), DatabaseError> {
    let Some(delay) = failed.retry_after else { return Ok(()) };
    transaction
        .query("select pgq.event_retry($1, $2, $3::integer)")
        .bind(batch_id)
        .bind(failed.id)
        .bind(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
        .execute()
        .await?;
    Ok(())
}

/// Unregisters consumers whose triggers no longer exist.
pub(super) async fn unregister_consumers(
    connection: &mut PgConnection,
) -> Result<Vec<UnregisteredConsumer>, DatabaseError> {
    if with_timeout(CALL_TIMEOUT, send(connection, Opening::snapshot(), INSTALLED)).await?.is_empty() {
        return Ok(Vec::new());
    }
    let unregister = include_str!("pgq_unregister_consumers.sql");
    let rows = with_timeout(CALL_TIMEOUT, send(connection, Opening::write(), unregister)).await?;
    let mut consumers = Vec::new();
    for row in rows {
        // False if another worker has unregistered the consumer first.
        if row.try_get(3)? {
            let unconsumed: i64 = row.try_get(2)?;
            consumers.push(UnregisteredConsumer {
                consumer: row.try_get(0)?,
                queue: row.try_get(1)?,
                unconsumed: unconsumed.unsigned_abs(),
            });
        }
    }
    Ok(consumers)
}
