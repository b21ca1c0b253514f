//! pgmq. A transaction locks the messages that it reads, so any number of workers can consume from one queue.

use sqlx::{PgConnection, Row as _};

use super::batch::{self, Batch, EventSource, QueueEvent};
use super::limits::{CALL_TIMEOUT, MAX_EVENTS};
use super::trigger::QueueTrigger;
use flowsmith_postgres::database::{DatabaseError, Opening, Transaction, with_timeout};

/// The visibility timeout of read messages in seconds. The transaction that reads a message also archives or delays it.
const VISIBILITY_TIMEOUT: i32 = 30;

/// Consumes visible messages.
pub(super) async fn consume(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Batch, DatabaseError> {
    let mut transaction = with_timeout(CALL_TIMEOUT, Transaction::begin(connection, Opening::write())).await?;
    let Some((queue, events)) = with_timeout(CALL_TIMEOUT, read(&mut transaction, trigger)).await? else {
        with_timeout(CALL_TIMEOUT, transaction.commit()).await?;
        return Ok(Batch::default());
    };
    let source = EventSource { trigger, queue: &queue, batch_id: None };
    let batch = batch::start_runs(&mut transaction, source, &events).await?;
    with_timeout(CALL_TIMEOUT, settle(&mut transaction, trigger, &events, &batch)).await?;
    with_timeout(CALL_TIMEOUT, transaction.commit()).await?;
    Ok(batch)
}

/// The key of the queue and its visible messages; none if no message is visible.
async fn read(
    transaction: &mut Transaction<'_>,
    trigger: &QueueTrigger,
) -> Result<Option<(String, Vec<QueueEvent>)>, DatabaseError> {
    let rows = transaction
        .query(include_str!("pgmq_read.sql"))
        .bind(&trigger.queue)
        .bind(VISIBILITY_TIMEOUT)
        .bind(MAX_EVENTS)
        .rows()
        .await?;
    let events: Vec<QueueEvent> = rows
        .iter()
        .map(|row| {
            // The count includes this read.
            let reads: i32 = row.try_get(3)?;
            Ok(QueueEvent {
                id: row.try_get(0)?,
                time: row.try_get(1)?,
                kind: None,
                data: row.try_get(2)?,
                attempts: u32::try_from(reads - 1).unwrap_or(0),
            })
        })
        .collect::<Result<_, DatabaseError>>()?;
    if events.is_empty() {
        return Ok(None);
    }
    Ok(Some((batch::queue_key(transaction, trigger).await?, events)))
}

/// Archives messages, and delays failed ones.
async fn settle(
    transaction: &mut Transaction<'_>,
    trigger: &QueueTrigger,
    events: &[QueueEvent],
    batch: &Batch,
) -> Result<(), DatabaseError> {
    let mut done: Vec<i64> = events.iter().map(|event| event.id).collect();
    for failed in &batch.failed {
        let Some(delay) = failed.retry_after else { continue };
        done.retain(|id| *id != failed.id);
        transaction
            .query(include_str!("pgmq_delay.sql"))
            .bind(&trigger.queue)
            .bind(failed.id)
            .bind(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
            .execute()
            .await?;
    }
    if !done.is_empty() {
        transaction
            .query("select pgmq.archive($1::text, $2::bigint[])")
            .bind(&trigger.queue)
            .bind(done)
            .execute()
            .await?;
    }
    Ok(())
}
