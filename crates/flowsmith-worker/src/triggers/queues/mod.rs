//! Events of queues that start runs: a worker calls [`take`] again and again, and each event starts one run.
//!
//! A batch is taken, its runs are started and the batch is finished in one transaction, with a row for each event: whoever
//! dies when, an event has started its run and is gone from the queue, or neither. An event of which no run can be started
//! (because its input is none that the flow's file declares, or for any other reason) goes back to its queue, by the queue's own means, and comes again later; after [`MOST_ATTEMPTS`] it is given up and
//! recorded in `flowsmith.events`. The others of its batch are not held up.
//!
//! ```text
//! PgQ    register → next_batch → get_batch_cursor → (fetch → inputs → take → event_retry)* → finish_batch
//! pgmq   read → inputs → take → set_vt → archive
//! ```
//!
//! `input_sql` runs with the rights of the session, which sees the schema `pg_catalog` alone.

mod batch;
mod pgmq;
mod pgq;

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

pub use batch::{Batch, FailedEvent};

use flowsmith_core::catalog::QueueKind;
use flowsmith_postgres::database::{DatabaseError, Failure, within};
use flowsmith_postgres::runs::DeclaredInput;

/// How often an event is tried before it is given up.
pub const MOST_ATTEMPTS: u32 = 10;

/// Events that are in memory, and in one statement, at once: after an outage of its ticker, a batch of PgQ is everything that
/// came since.
const AT_ONCE: i32 = 100;

/// How long the database may take for a part of a batch, as the runs of so many events; the connection counts as lost then.
const ANSWER: Duration = Duration::from_secs(30);

/// A trigger that takes events of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueTrigger {
    /// The flow's slug.
    pub flow: String,
    /// The trigger's name.
    pub name: String,
    /// Whose queue.
    pub kind: QueueKind,
    /// The queue's name.
    pub queue: String,
    /// Expression on `event` for the run's input; none = the event's data.
    pub input_sql: Option<String>,
    /// What the flow's file says about its input; none where it says nothing.
    pub input: Option<DeclaredInput>,
}

impl QueueTrigger {
    /// The consumer that it is in PgQ.
    pub fn consumer(&self) -> String {
        format!("flowsmith:{}:{}", self.flow, self.name)
    }
}

/// The triggers in force that take events of queues.
///
/// # Errors
/// Where the connection fails or the role may not see them.
pub async fn queue_triggers(connection: &mut PgConnection) -> Result<Vec<QueueTrigger>, DatabaseError> {
    let rows = sqlx::raw_sql(include_str!("triggers.sql")).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let kind = match row.try_get("kind")? {
                "pgq" => QueueKind::Pgq,
                "pgmq" => QueueKind::Pgmq,
                other => return Err(DatabaseError::new(Failure::Sql, format!("unknown kind of queue `{other}`"))),
            };
            Ok(QueueTrigger {
                flow: row.try_get("flow")?,
                name: row.try_get("name")?,
                kind,
                queue: row.try_get("queue")?,
                input_sql: row.try_get("input_sql")?,
                input: declared(row)?,
            })
        })
        .collect()
}

fn declared(row: &PgRow) -> Result<Option<DeclaredInput>, DatabaseError> {
    let (flow, schema): (Option<String>, Option<String>) = (row.try_get("version")?, row.try_get("schema")?);
    let (Some(flow), Some(schema)) = (flow, schema) else { return Ok(None) };
    let unreadable =
        |error| DatabaseError::new(Failure::Sql, format!("cannot read the input schema of {flow}: {error}"));
    Ok(Some(DeclaredInput { schema: serde_json::from_str(&schema).map_err(unreadable)?, flow }))
}

/// Takes one batch of a trigger's queue, in a transaction of its own. One that had events is worth another call at once.
/// The first call for a queue of PgQ registers the consumer, which sees the events from then on.
///
/// # Errors
/// Where the queue is not there, the role may not use it, or the connection fails, as one that is silent for 30 seconds; nothing
/// is taken then.
pub async fn take(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Batch, DatabaseError> {
    match trigger.kind {
        QueueKind::Pgq => pgq::take(connection, trigger).await,
        QueueKind::Pgmq => pgmq::take(connection, trigger).await,
    }
}

/// A consumer that left a queue of PgQ, as its trigger is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The consumer.
    pub consumer: String,
    /// The queue.
    pub queue: String,
    /// About how many events there it had not taken: PgQ counts numbers that it has given out, not rows.
    pub unread: u64,
}

/// Takes leave of PgQ for triggers that are no more, since PgQ keeps every event that a registered consumer has not seen;
/// and forgets events that were taken long ago. To be called now and then. Gives those that left.
///
/// # Errors
/// Where the connection fails, as one that is silent for 30 seconds, or a right is missing.
pub async fn tidy(connection: &mut PgConnection) -> Result<Vec<Departure>, DatabaseError> {
    let departures = pgq::unregister(connection).await?;
    within(ANSWER, sqlx::raw_sql(include_str!("prune.sql")).execute(connection)).await?;
    Ok(departures)
}

/// How long an event that has failed so often stays away: 5 s, doubled each time, an hour at most.
fn retry_delay(failures: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(3600);
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    Duration::from_secs(5).saturating_mul(doubled).min(LONGEST)
}
