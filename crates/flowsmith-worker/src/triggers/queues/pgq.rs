//! PgQ: a trigger is a consumer, and each batch is taken by one worker.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, ValueRef as _};

use super::batch::{self, Batch, Event, FailedEvent, Source};
use super::{ANSWER, AT_ONCE, Departure, QueueTrigger};
use flowsmith_postgres::database::{DatabaseError, within};

/// Takes the next batch, if there is one and nobody else is at it.
pub(super) async fn take(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Batch, DatabaseError> {
    let mut transaction = within(ANSWER, connection.begin()).await?;
    let Some((batch_id, queue)) = within(ANSWER, open(&mut transaction, trigger)).await? else {
        within(ANSWER, transaction.commit()).await?;
        return Ok(Batch::default());
    };
    let source = Source { trigger, queue: &queue, batch_id: Some(batch_id) };
    let mut batch = Batch::default();
    loop {
        let events = within(ANSWER, next(&mut transaction)).await?;
        if events.is_empty() {
            break;
        }
        let part = batch::start_runs(&mut transaction, source, &events).await?;
        for failed in &part.failed {
            within(ANSWER, put_off(&mut transaction, batch_id, failed)).await?;
        }
        batch.add(part);
    }
    let finish = "select pgq.finish_batch($1)";
    within(ANSWER, sqlx::query(finish).persistent(false).bind(batch_id).execute(&mut *transaction)).await?;
    within(ANSWER, transaction.commit()).await?;
    Ok(batch)
}

/// Opens the next batch, to be fetched by [`next`]: its number, and what tells its queue from every other.
async fn open(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Option<(i64, String)>, DatabaseError> {
    let consumer = trigger.consumer();
    sqlx::raw_sql(include_str!("begin.sql")).execute(&mut *connection).await?;
    // A batch belongs to its consumer, not to a session: two that asked at once would get the same.
    let alone: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended($1, 0))")
        .persistent(false)
        .bind(&consumer)
        .fetch_one(&mut *connection)
        .await?;
    if !alone {
        return Ok(None);
    }
    sqlx::query("select pgq.register_consumer($1, $2)")
        .persistent(false)
        .bind(&trigger.queue)
        .bind(&consumer)
        .execute(&mut *connection)
        .await
        .map_err(missing)?;
    let batch_id: Option<i64> = sqlx::query_scalar("select pgq.next_batch($1, $2)")
        .persistent(false)
        .bind(&trigger.queue)
        .bind(&consumer)
        .fetch_one(&mut *connection)
        .await?;
    let Some(batch_id) = batch_id else { return Ok(None) };
    sqlx::query(include_str!("pgq_cursor.sql")).persistent(false).bind(batch_id).execute(&mut *connection).await?;
    Ok(Some((batch_id, batch::queue_key(connection, trigger).await?)))
}

/// The next events of the batch that is open; none where there are no more.
async fn next(connection: &mut PgConnection) -> Result<Vec<Event>, DatabaseError> {
    let fetch = format!("fetch {AT_ONCE} from flowsmith_batch");
    let rows = sqlx::raw_sql(AssertSqlSafe(fetch)).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let retries: Option<i32> = row.try_get("ev_retry")?;
            let time = row.try_get_raw("ev_time")?;
            Ok(Event {
                id: row.try_get("ev_id")?,
                time: if time.is_null() { None } else { time.as_str().ok() }.unwrap_or_default().to_owned(),
                kind: row.try_get("ev_type")?,
                data: row.try_get("ev_data")?,
                attempts: retries.unwrap_or(0).unsigned_abs(),
            })
        })
        .collect()
}

/// Gives an event back to PgQ, unless it is given up.
async fn put_off(connection: &mut PgConnection, batch_id: i64, failed: &FailedEvent) -> Result<(), DatabaseError> {
    let Some(delay) = failed.retry_after else { return Ok(()) };
    sqlx::query("select pgq.event_retry($1, $2, $3::integer)")
        .persistent(false)
        .bind(batch_id)
        .bind(failed.id)
        .bind(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

/// See [`super::tidy`].
pub(super) async fn unregister(connection: &mut PgConnection) -> Result<Vec<Departure>, DatabaseError> {
    // A statement of its own: where there is no PgQ, its functions cannot even be named.
    let there = "select from pg_catalog.pg_extension e where e.extname = 'pgq'";
    if within(ANSWER, sqlx::raw_sql(there).fetch_optional(&mut *connection)).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = within(ANSWER, sqlx::raw_sql(include_str!("pgq_unregister.sql")).fetch_all(connection)).await?;
    let mut departures = Vec::new();
    for row in rows {
        // Else another worker was first.
        if row.try_get(3)? {
            let unread: i64 = row.try_get(2)?;
            departures.push(Departure {
                consumer: row.try_get(0)?,
                queue: row.try_get(1)?,
                unread: unread.unsigned_abs(),
            });
        }
    }
    Ok(departures)
}

/// Says what to do where there is no PgQ.
fn missing(error: sqlx::Error) -> DatabaseError {
    let is_missing = error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("3F000"));
    let error = DatabaseError::from(error);
    if is_missing {
        error.with_hint("run `create extension pgq`, create the queue with pgq.create_queue, and start pgqd")
    } else {
        error
    }
}
