//! PgQ: a trigger is a consumer, and each batch is taken by one worker.

use sqlx::{Connection as _, PgConnection, Row as _};

use super::QueueTrigger;
use super::batch::{self, Batch, Event, Source};
use crate::database::DatabaseError;

/// Takes the next batch, if there is one and nobody else is at it.
pub(super) async fn take(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Batch, DatabaseError> {
    let consumer = trigger.consumer();
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(include_str!("begin.sql")).execute(&mut *transaction).await?;
    // A batch belongs to its consumer, not to a session: two that asked at once would get the same.
    let alone: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended($1, 0))")
        .persistent(false)
        .bind(&consumer)
        .fetch_one(&mut *transaction)
        .await?;
    if !alone {
        transaction.rollback().await?;
        return Ok(Batch::default());
    }
    let batch_id: Option<i64> = {
        sqlx::query("select pgq.register_consumer($1, $2)")
            .persistent(false)
            .bind(&trigger.queue)
            .bind(&consumer)
            .execute(&mut *transaction)
            .await
            .map_err(missing)?;
        sqlx::query_scalar("select pgq.next_batch($1, $2)")
            .persistent(false)
            .bind(&trigger.queue)
            .bind(&consumer)
            .fetch_one(&mut *transaction)
            .await?
    };
    let Some(batch_id) = batch_id else {
        transaction.commit().await?;
        return Ok(Batch::default());
    };
    let events = events(&mut transaction, batch_id).await?;
    let queue = batch::queue_key(&mut transaction, trigger).await?;
    let source = Source { trigger, queue: &queue, batch_id: Some(batch_id) };
    let batch = batch::start_runs(&mut transaction, source, &events).await?;
    for failed in &batch.failed {
        let Some(delay) = failed.retry_after else { continue };
        sqlx::query("select pgq.event_retry($1, $2, $3::integer)")
            .persistent(false)
            .bind(batch_id)
            .bind(failed.id)
            .bind(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query("select pgq.finish_batch($1)").persistent(false).bind(batch_id).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(batch)
}

async fn events(connection: &mut PgConnection, batch_id: i64) -> Result<Vec<Event>, DatabaseError> {
    let rows =
        sqlx::query(include_str!("pgq_events.sql")).persistent(false).bind(batch_id).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let retries: i32 = row.try_get(4)?;
            Ok(Event {
                id: row.try_get(0)?,
                time: row.try_get(1)?,
                kind: row.try_get(2)?,
                data: row.try_get(3)?,
                attempts: u32::try_from(retries).unwrap_or(0),
            })
        })
        .collect()
}

/// See [`super::tidy`].
pub(super) async fn unregister(connection: &mut PgConnection) -> Result<(), DatabaseError> {
    sqlx::raw_sql(include_str!("pgq_unregister.sql")).execute(connection).await?;
    Ok(())
}

/// Says what to do where there is no PgQ.
fn missing(error: sqlx::Error) -> DatabaseError {
    let is_missing = error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("3F000"));
    let error = DatabaseError::from(error);
    if is_missing { error.with_hint("`create extension pgq`, then pgq.create_queue, and let pgqd run") } else { error }
}
