//! The scratch queue of the self-test, and the calls of a producer, a ticker and a consumer.
//!
//! PgQ assigns events to batches by the snapshots of ticks, so a tick covers only committed events: a single transaction
//! that is rolled back would see no event. The queue is therefore a real one with a unique name. Its ticker is paused
//! whenever other sessions can see it, so that no `pgqd` ticks it.

use sqlx::postgres::PgConnection;
use sqlx::{FromRow, Row as _};

use super::limited;
use crate::database::DatabaseError;
use crate::database::transaction::{Opening, Transaction, send};

/// The pattern of the names of scratch queues: the process id of a backend and a random suffix.
pub(super) const NAMES: &str = "^flowsmith_doctor_scratch_[0-9]+_[0-9a-f]{12}$";

/// An event of a batch.
#[derive(Debug, PartialEq, Eq, FromRow)]
pub(super) struct Event {
    pub(super) id: i64,
    pub(super) data: String,
    pub(super) retries: i32,
}

/// A batch that a consumer has opened and not finished.
pub(super) struct Batch {
    pub(super) id: i64,
    pub(super) events: Vec<Event>,
}

impl Batch {
    pub(super) fn data(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.data.as_str()).collect()
    }
}

/// A scratch queue, which may not exist yet.
pub(super) struct Scratch<'c> {
    connection: &'c mut PgConnection,
    pub(super) name: String,
}

type Answer<T> = Result<T, DatabaseError>;

impl<'c> Scratch<'c> {
    pub(super) async fn named(connection: &'c mut PgConnection) -> Answer<Self> {
        let sql = "select format('flowsmith_doctor_scratch_%s_%s', pg_backend_pid(), left(md5(random()::text), 12))";
        let rows = send(connection, Opening::snapshot(), sql).await?;
        let name = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        Ok(Self { connection, name })
    }

    /// Begins a transaction with short time limits.
    pub(super) async fn begin(&mut self) -> Answer<Transaction<'_>> {
        Transaction::begin(self.connection, limited(Opening::write())).await
    }

    /// Drops the scratch queues of interrupted doctors and returns their number.
    pub(super) async fn drop_abandoned(&mut self) -> Answer<i64> {
        let mut transaction = self.begin().await?;
        let dropped = transaction.query(include_str!("abandoned.sql")).bind(NAMES).value().await?;
        transaction.commit().await?;
        Ok(dropped)
    }

    pub(super) async fn create(&mut self) -> Answer<i32> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let created = transaction.query("select pgq.create_queue($1)").bind(&name).value().await?;
        // Ticks happen only on request, and immediately.
        for (setting, value) in [("ticker_paused", "true"), ("ticker_max_lag", "0"), ("ticker_idle_period", "0")] {
            configure(&mut transaction, &name, setting, value).await?;
        }
        transaction.commit().await?;
        Ok(created)
    }

    /// Drops the queue and its consumers, if it exists.
    pub(super) async fn drop(&mut self) -> Answer<()> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let sql = "select pgq.drop_queue(q.queue_name, true) from pgq.queue q where q.queue_name = $1";
        transaction.query(sql).bind(name).execute().await?;
        transaction.commit().await
    }

    /// Inserts events with the numbers `first..first + count` as data and returns their ids.
    pub(super) async fn insert(&mut self, first: i32, count: i32) -> Answer<Vec<i64>> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let sql = "select pgq.insert_event($1, 'self-test', g.n::text) from generate_series($2, $3) g (n)";
        let ids = transaction.query(sql).bind(name).bind(first).bind(first + count - 1).values().await?;
        transaction.commit().await?;
        Ok(ids)
    }

    pub(super) async fn tick(&mut self) -> Answer<Option<i64>> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        configure(&mut transaction, &name, "ticker_paused", "false").await?;
        let tick = transaction.query("select pgq.ticker($1)").bind(&name).value().await?;
        configure(&mut transaction, &name, "ticker_paused", "true").await?;
        transaction.commit().await?;
        Ok(tick)
    }

    /// Calls a function of PgQ with the queue and a consumer; it returns a number.
    pub(super) async fn call(&mut self, sql: &'static str, consumer: &str) -> Answer<i32> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let answer = transaction.query(sql).bind(name).bind(consumer).value().await?;
        transaction.commit().await?;
        Ok(answer)
    }

    pub(super) async fn register(&mut self, consumer: &str) -> Answer<i32> {
        self.call("select pgq.register_consumer($1, $2)", consumer).await
    }

    pub(super) async fn unregister(&mut self, consumer: &str) -> Answer<i32> {
        self.call("select pgq.unregister_consumer($1, $2)", consumer).await
    }

    /// The open batch of the consumer or the next one; none without a new tick.
    pub(super) async fn next_batch(&mut self, consumer: &str) -> Answer<Option<Batch>> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let id: Option<i64> =
            transaction.query("select pgq.next_batch($1, $2)").bind(name).bind(consumer).value().await?;
        let Some(id) = id else { return Ok(None) };
        let sql = "select e.ev_id as id, e.ev_data as data, coalesce(e.ev_retry, 0) as retries from pgq.get_batch_events($1) e order by e.ev_id";
        let rows = transaction.query(sql).bind(id).rows().await?;
        let events = rows.iter().map(Event::from_row).collect::<Result<_, _>>()?;
        transaction.commit().await?;
        Ok(Some(Batch { id, events }))
    }

    /// Schedules a retry in an hour, so that no `pgqd` returns the event before [`return_retries`](Self::return_retries).
    pub(super) async fn retry_event(&mut self, batch: &Batch, event: &Event) -> Answer<i32> {
        let mut transaction = self.begin().await?;
        let answer =
            transaction.query("select pgq.event_retry($1, $2, 3600)").bind(batch.id).bind(event.id).value().await?;
        transaction.commit().await?;
        Ok(answer)
    }

    pub(super) async fn retry_batch(&mut self, batch: &Batch) -> Answer<i32> {
        let mut transaction = self.begin().await?;
        let answer = transaction.query("select pgq.batch_retry($1, 3600)").bind(batch.id).value().await?;
        transaction.commit().await?;
        Ok(answer)
    }

    pub(super) async fn finish(&mut self, batch: &Batch) -> Answer<i32> {
        let mut transaction = self.begin().await?;
        let answer = transaction.query("select pgq.finish_batch($1)").bind(batch.id).value().await?;
        transaction.commit().await?;
        Ok(answer)
    }

    pub(super) async fn return_retries(&mut self) -> Answer<i64> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let returned = transaction.query(include_str!("return_retries.sql")).bind(name).value().await?;
        transaction.commit().await?;
        Ok(returned)
    }
}

async fn configure(transaction: &mut Transaction<'_>, queue: &str, setting: &str, value: &str) -> Answer<()> {
    let query = transaction.query("select pgq.set_queue_config($1, $2, $3)");
    query.bind(queue).bind(setting).bind(value).execute().await?;
    Ok(())
}
