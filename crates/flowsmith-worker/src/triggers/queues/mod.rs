//! Queues whose events start runs. Each event starts one run.
//!
//! One transaction consumes a batch, starts its runs, records its events and finishes the batch. If it is interrupted, it is
//! rolled back as a whole, so an event has started its run and has left the queue, or neither. An event whose run cannot be
//! started, for example because the flow does not accept its input, returns to its queue with a delay; after [`MAX_ATTEMPTS`] it
//! is discarded and recorded in `flowsmith.events`. The other events of its batch are not affected.
//!
//! ```text
//! PgQ    register → next_batch → get_batch_cursor → (fetch → inputs → consume → event_retry)* → finish_batch
//! pgmq   read → inputs → consume → set_vt → archive
//! ```
//!
//! The database evaluates `input_sql`, with the privileges of the role that declared the trigger: see `flowsmith.event_inputs`.

mod batch;
mod limits;
mod pgmq;
mod pgq;
mod trigger;

use sqlx::postgres::PgConnection;

pub use batch::{Batch, FailedEvent};
pub use limits::MAX_ATTEMPTS;
pub use pgq::UnregisteredConsumer;
pub use trigger::{QueueTrigger, queue_triggers};

use flowsmith_core::catalog::QueueKind;
use flowsmith_postgres::database::transaction::{Opening, send};
use flowsmith_postgres::database::{DatabaseError, with_timeout};

use limits::CALL_TIMEOUT;

/// Consumes one batch of a trigger's queue in one transaction. If the batch has events, there may be another one. The first call
/// for a PgQ queue registers the consumer, which receives later events only.
///
/// # Errors
/// If the queue does not exist, the role may not use it, or the connection is lost or does not respond for 30 seconds. Nothing is
/// consumed then.
pub async fn consume(connection: &mut PgConnection, trigger: &QueueTrigger) -> Result<Batch, DatabaseError> {
    match trigger.kind {
        QueueKind::Pgq => pgq::consume(connection, trigger).await,
        QueueKind::Pgmq => pgmq::consume(connection, trigger).await,
    }
}

/// Unregisters PgQ consumers whose triggers no longer exist, because PgQ keeps every event until all consumers have received it,
/// and deletes old records of consumed events. To be called from time to time. Returns the unregistered consumers.
///
/// # Errors
/// If the connection is lost or does not respond for 30 seconds, or the role lacks a privilege.
pub async fn clean_up(connection: &mut PgConnection) -> Result<Vec<UnregisteredConsumer>, DatabaseError> {
    let consumers = pgq::unregister_consumers(connection).await?;
    with_timeout(CALL_TIMEOUT, send(connection, Opening::write(), "select flowsmith.prune_consumed_events()")).await?;
    Ok(consumers)
}
