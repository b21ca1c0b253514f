//! The queues of flows.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::workers::SILENT_AFTER;
use super::{Engine, FlowVersion, RunsError, query};

/// The number of queues in one query. The planning time grows faster than the number of queues.
const QUEUES_PER_QUERY: usize = 100;

/// The messages in the queue of a flow version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueueDepth {
    /// The slug of the flow version, which is the name of the queue.
    pub slug: String,
    /// The name in the flow files.
    pub flow: String,
    /// The version.
    pub version: u32,
    /// Whether the flow version is paused.
    pub is_paused: bool,
    /// The number of messages; none if the queue is missing.
    pub messages: Option<u64>,
    /// The number of messages that are visible to workers.
    pub waiting: u64,
    /// The time for which the oldest visible message has been visible, in seconds.
    pub longest_wait_seconds: Option<f64>,
    /// The number of messages that become visible later: after a start delay, before the next attempt, or at the end of a
    /// pause.
    pub delayed: u64,
    /// The number of running tasks.
    pub in_flight: u64,
    /// The age of the oldest message, in seconds.
    pub oldest_seconds: Option<f64>,
    /// The number of live workers of the queue.
    pub workers: u32,
}

/// Reads the queues of flow versions.
///
/// # Errors
/// If the connection fails or the role may not read queues.
pub async fn read_queues(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
) -> Result<Vec<QueueDepth>, RunsError> {
    let mut queues = Vec::new();
    for chunk in flows.chunks(QUEUES_PER_QUERY) {
        let named: Vec<_> = chunk
            .iter()
            .map(|flow| context! { slug => flow.slug.as_str(), table => flow.queue_table(), exists => flow.has_queue })
            .collect();
        let context = context! { engine => engine.context(), queues => named, silent_after => SILENT_AFTER };
        let mut read: Vec<QueueDepth> = query::read(connection, "queues.sql", context).await?;
        for (queue, flow) in read.iter_mut().zip(chunk) {
            queue.flow.clone_from(&flow.flow);
            queue.version = flow.version;
            queue.is_paused = flow.paused_at.is_some();
        }
        queues.extend(read);
    }
    Ok(queues)
}
