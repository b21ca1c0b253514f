//! pgmq: messages are locked while they are taken, so any number of workers take from one queue.

use sqlx::{Connection as _, PgConnection, Row as _};

use super::batch::{self, Batch, Event, Source};
use super::{MOST_MESSAGES, QueueTrigger};
use crate::database::DatabaseError;

/// How long a message stays away that is read; it is archived or put off in the transaction that reads it.
const VISIBILITY_SECONDS: i32 = 30;

/// Takes messages that are visible.
pub(super) async fn take(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Batch, DatabaseError> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(include_str!("begin.sql")).execute(&mut *transaction).await?;
    let rows = sqlx::query(include_str!("pgmq_read.sql"))
        .persistent(false)
        .bind(&trigger.queue)
        .bind(VISIBILITY_SECONDS)
        .bind(MOST_MESSAGES)
        .fetch_all(&mut *transaction)
        .await?;
    let events: Vec<Event> = rows
        .iter()
        .map(|row| {
            // Reading it has counted this attempt.
            let reads: i32 = row.try_get(3)?;
            Ok(Event {
                id: row.try_get(0)?,
                time: row.try_get(1)?,
                kind: None,
                data: row.try_get(2)?,
                attempts: u32::try_from(reads - 1).unwrap_or(0),
            })
        })
        .collect::<Result<_, DatabaseError>>()?;
    if events.is_empty() {
        transaction.commit().await?;
        return Ok(Batch::default());
    }
    let queue = batch::queue_key(&mut transaction, trigger).await?;
    let source = Source { trigger, queue: &queue, batch_id: None };
    let batch = batch::start_runs(&mut transaction, source, &events).await?;
    let mut done: Vec<i64> = events.iter().map(|event| event.id).collect();
    for failed in &batch.failed {
        let Some(delay) = failed.retry_after else { continue };
        done.retain(|id| *id != failed.id);
        sqlx::query(include_str!("pgmq_put_off.sql"))
            .persistent(false)
            .bind(&trigger.queue)
            .bind(failed.id)
            .bind(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
            .execute(&mut *transaction)
            .await?;
    }
    if !done.is_empty() {
        sqlx::query("select pgmq.archive($1::text, $2::bigint[])")
            .persistent(false)
            .bind(&trigger.queue)
            .bind(done)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(batch)
}
