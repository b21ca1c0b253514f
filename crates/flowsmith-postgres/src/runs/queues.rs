//! The queues of flows: what waits, what is in hand.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::workers::SILENT_AFTER;
use super::{Engine, FlowVersion, RunsError, query};

/// How many queues are read in one statement: planning takes longer with each.
const AT_ONCE: usize = 100;

/// What is in a flow version's queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueueDepth {
    /// The flow version's slug, which is the queue's name.
    pub slug: String,
    /// The flow, as the flow files call it.
    pub flow: String,
    /// The flow's version.
    pub version: u32,
    /// Whether the flow is paused.
    pub is_paused: bool,
    /// How many messages there are; none where the queue is gone.
    pub messages: Option<u64>,
    /// How many of them a worker could take now.
    pub waiting: u64,
    /// For how long the one that waits longest has waited, in seconds.
    pub longest_wait_seconds: Option<f64>,
    /// How many come later: after a start delay, before the next attempt, or at the end of a pause.
    pub delayed: u64,
    /// How many tasks are in workers' hands.
    pub in_flight: u64,
    /// How long ago the oldest message was sent, in seconds.
    pub oldest_seconds: Option<f64>,
    /// How many workers of the queue are alive.
    pub workers: u32,
}

/// Looks at the queues of these flow versions.
///
/// # Errors
/// Where the connection fails, or the role may not read queues.
pub async fn read_queues(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
) -> Result<Vec<QueueDepth>, RunsError> {
    let mut queues = Vec::new();
    for chunk in flows.chunks(AT_ONCE) {
        let named: Vec<_> = chunk
            .iter()
            .map(
                |flow| context! { slug => flow.slug.as_str(), table => flow.queue_table(), is_there => flow.has_queue },
            )
            .collect();
        let context = context! { engine => engine.context(), queues => named, silent_after => SILENT_AFTER };
        let mut read: Vec<QueueDepth> = query::read(connection, include_str!("queues.sql"), &context).await?;
        for (queue, flow) in read.iter_mut().zip(chunk) {
            queue.flow.clone_from(&flow.flow);
            queue.version = flow.version;
            queue.is_paused = flow.paused_at.is_some();
        }
        queues.extend(read);
    }
    Ok(queues)
}
