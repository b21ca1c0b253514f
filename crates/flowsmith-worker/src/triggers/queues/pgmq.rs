//! pgmq: messages are locked while they are taken, so any number of workers take from one queue.

use sqlx::{Connection as _, PgConnection, Row as _};

use super::batch::{self, Batch, Event, Source};
use super::{ANSWER, AT_ONCE, QueueTrigger};
use flowsmith_postgres::database::{DatabaseError, within};

/// How long a message stays away that is read; it is archived or put off in the transaction that reads it.
const VISIBILITY_SECONDS: i32 = 30;

/// Takes messages that are visible.
pub(super) async fn take(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Batch, DatabaseError> {
    let mut transaction = within(ANSWER, connection.begin()).await?;
    let Some((queue, events)) = within(ANSWER, read(&mut transaction, trigger)).await? else {
        within(ANSWER, transaction.commit()).await?;
        return Ok(Batch::default());
    };
    let source = Source { trigger, queue: &queue, batch_id: None };
    let batch = batch::start_runs(&mut transaction, source, &events).await?;
    within(ANSWER, settle(&mut transaction, trigger, &events, &batch)).await?;
    within(ANSWER, transaction.commit()).await?;
    Ok(batch)
}

/// Messages, and what tells their queue from every other; none where none is visible.
async fn read(
    connection: &mut PgConnection,
    trigger: &QueueTrigger,
) -> Result<Option<(String, Vec<Event>)>, DatabaseError> {
    sqlx::raw_sql(include_str!("begin.sql")).execute(&mut *connection).await?;
    let rows = sqlx::query(include_str!("pgmq_read.sql"))
        .persistent(false)
        .bind(&trigger.queue)
        .bind(VISIBILITY_SECONDS)
        .bind(AT_ONCE)
        .fetch_all(&mut *connection)
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
        return Ok(None);
    }
    Ok(Some((batch::queue_key(connection, trigger).await?, events)))
}

/// Archives messages, and puts those off that come again.
async fn settle(
    connection: &mut PgConnection,
    trigger: &QueueTrigger,
    events: &[Event],
    batch: &Batch,
) -> Result<(), DatabaseError> {
    let mut done: Vec<i64> = events.iter().map(|event| event.id).collect();
    for failed in &batch.failed {
        let Some(delay) = failed.retry_after else { continue };
        done.retain(|id| *id != failed.id);
        sqlx::query(include_str!("pgmq_put_off.sql"))
            .persistent(false)
            .bind(&trigger.queue)
            .bind(failed.id)
            .bind(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
            .execute(&mut *connection)
            .await?;
    }
    if !done.is_empty() {
        sqlx::query("select pgmq.archive($1::text, $2::bigint[])")
            .persistent(false)
            .bind(&trigger.queue)
            .bind(done)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
