//! Workers and their health.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, RunsError, query};
use flowsmith_core::catalog::State;

/// The time without a heartbeat, in seconds, after which a worker counts as silent. Workers of pgflow send one every 5 seconds.
pub(super) const SILENT_AFTER: u32 = 30;

/// The health of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerHealth {
    /// The last heartbeat is recent.
    Alive,
    /// The last heartbeat is recent, and the worker was asked to claim no more tasks.
    Deprecated,
    /// The last heartbeat is more than 30 seconds old: the worker has crashed or hangs.
    Silent,
    /// The worker has shut down.
    Stopped,
}

impl WorkerHealth {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Deprecated => "deprecated",
            Self::Silent => "silent",
            Self::Stopped => "stopped",
        }
    }
}

/// A worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Worker {
    /// The id.
    pub worker_id: String,
    /// The queue, which has the slug of a flow version.
    pub queue: String,
    /// The name that the worker gives itself.
    pub function: String,
    /// The health.
    pub health: WorkerHealth,
    /// The start time, RFC 3339.
    pub started_at: String,
    /// The time of the last heartbeat, RFC 3339.
    pub last_heartbeat_at: String,
    /// The time since the last heartbeat, in seconds.
    pub silent_seconds: f64,
    /// The number of its running tasks.
    pub in_flight: u64,
}

/// The advice for a flow version without workers.
pub fn start_worker_advice(flow: &str, version: u32, slug: &str, state: State) -> String {
    match state {
        State::Current => format!("run `flowsmith worker {flow}`, or start your own worker for the queue {slug}"),
        State::Draining | State::Retired => format!(
            "run `flowsmith worker {flow}@{version}` in a checkout of the commit that has this version, because old versions are not in \
             the current flow files"
        ),
        State::Unmanaged => format!("start a worker for the queue {slug}"),
    }
}

/// A summary of the workers of some queues.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct QueueWorkers {
    /// The number of live workers.
    pub workers: u32,
    /// The time since the last heartbeat of any of them, in seconds; none if there never was a worker.
    pub heartbeat_seconds: Option<f64>,
    /// The health of that worker if none is alive.
    pub last_worker: Option<WorkerHealth>,
}

/// Summarizes the workers of these queues; none = all queues.
///
/// # Errors
/// If the connection fails or the role may not read workers.
pub async fn read_queue_workers(
    connection: &mut PgConnection,
    engine: Engine,
    queues: Option<Vec<String>>,
) -> Result<QueueWorkers, RunsError> {
    let context = context! { engine => engine.context(), queues, silent_after => SILENT_AFTER };
    let read: Vec<QueueWorkers> = query::read(connection, "queue_workers.sql", context).await?;
    Ok(read.into_iter().next().expect("the query aggregates into one row"))
}

/// Lists the workers of these queues (none = all queues), most recent heartbeat first. With `all`, includes workers that have
/// stopped or have been silent for a day.
///
/// # Errors
/// If the connection fails or the role may not read workers.
pub async fn read_workers(
    connection: &mut PgConnection,
    engine: Engine,
    queues: Option<Vec<String>>,
    all: bool,
) -> Result<Vec<Worker>, RunsError> {
    let context = context! { engine => engine.context(), queues, all, silent_after => SILENT_AFTER };
    query::read(connection, "workers.sql", context).await
}
