//! The scratch queue of the self-test, and the calls of a producer, a ticker and a consumer.
//!
//! PgQ assigns events to batches by the snapshots of ticks, so a tick covers only committed events: a single transaction
//! that is rolled back would see no event. The queue is therefore a real one with a unique name. Its ticker is paused
//! whenever other sessions can see it, so that no `pgqd` ticks it.

use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{Connection, FromRow, Transaction};

use super::LIMITS;
use crate::database::DatabaseError;

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
        let mut transaction = connection.begin().await?;
        let sql = "select format('flowsmith_doctor_scratch_%s_%s', pg_backend_pid(), left(md5(random()::text), 12))";
        let name = sqlx::query_scalar(sql).persistent(false).fetch_one(&mut *transaction).await?;
        transaction.rollback().await?;
        Ok(Self { connection, name })
    }

    /// Begins a transaction with short time limits.
    pub(super) async fn begin(&mut self) -> Answer<Transaction<'_, Postgres>> {
        let mut transaction = self.connection.begin().await?;
        sqlx::raw_sql(LIMITS).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Drops the scratch queues of interrupted doctors and returns their number.
    pub(super) async fn drop_abandoned(&mut self) -> Answer<i64> {
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar(include_str!("abandoned.sql")).persistent(false).bind(NAMES);
        let dropped = query.fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(dropped)
    }

    pub(super) async fn create(&mut self) -> Answer<i32> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar("select pgq.create_queue($1)").persistent(false).bind(&name);
        let created = query.fetch_one(&mut *transaction).await?;
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
        sqlx::query(sql).persistent(false).bind(name).execute(&mut *transaction).await?;
        transaction.commit().await.map_err(DatabaseError::from)
    }

    /// Inserts events with the numbers `first..first + count` as data and returns their ids.
    pub(super) async fn insert(&mut self, first: i32, count: i32) -> Answer<Vec<i64>> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let sql = "select pgq.insert_event($1, 'self-test', g.n::text) from generate_series($2, $3) g (n)";
        let query = sqlx::query_scalar(sql).persistent(false).bind(name).bind(first).bind(first + count - 1);
        let ids = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(ids)
    }

    pub(super) async fn tick(&mut self) -> Answer<Option<i64>> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        configure(&mut transaction, &name, "ticker_paused", "false").await?;
        let query = sqlx::query_scalar("select pgq.ticker($1)").persistent(false).bind(&name);
        let tick = query.fetch_one(&mut *transaction).await?;
        configure(&mut transaction, &name, "ticker_paused", "true").await?;
        transaction.commit().await?;
        Ok(tick)
    }

    /// Calls a function of PgQ with the queue and a consumer; it returns a number.
    pub(super) async fn call(&mut self, sql: &'static str, consumer: &str) -> Answer<i32> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar(sql).persistent(false).bind(name).bind(consumer);
        let answer = query.fetch_one(&mut *transaction).await?;
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
        let query = sqlx::query_scalar("select pgq.next_batch($1, $2)").persistent(false).bind(name).bind(consumer);
        let id: Option<i64> = query.fetch_one(&mut *transaction).await?;
        let Some(id) = id else { return Ok(None) };
        let sql = "select e.ev_id as id, e.ev_data as data, coalesce(e.ev_retry, 0) as retries from pgq.get_batch_events($1) e order by e.ev_id";
        let events = sqlx::query_as(sql).persistent(false).bind(id).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some(Batch { id, events }))
    }

    /// Schedules a retry in an hour, so that no `pgqd` returns the event before [`return_retries`](Self::return_retries).
    pub(super) async fn retry_event(&mut self, batch: &Batch, event: &Event) -> Answer<i32> {
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar("select pgq.event_retry($1, $2, 3600)").persistent(false);
        let answer = query.bind(batch.id).bind(event.id).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    pub(super) async fn retry_batch(&mut self, batch: &Batch) -> Answer<i32> {
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar("select pgq.batch_retry($1, 3600)").persistent(false).bind(batch.id);
        let answer = query.fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    pub(super) async fn finish(&mut self, batch: &Batch) -> Answer<i32> {
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar("select pgq.finish_batch($1)").persistent(false).bind(batch.id);
        let answer = query.fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    pub(super) async fn return_retries(&mut self) -> Answer<i64> {
        let name = self.name.clone();
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar(include_str!("return_retries.sql")).persistent(false).bind(name);
        let returned = query.fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(returned)
    }
}

async fn configure(connection: &mut PgConnection, queue: &str, setting: &str, value: &str) -> Answer<()> {
    let query = sqlx::query("select pgq.set_queue_config($1, $2, $3)").persistent(false);
    query.bind(queue).bind(setting).bind(value).execute(connection).await?;
    Ok(())
}
