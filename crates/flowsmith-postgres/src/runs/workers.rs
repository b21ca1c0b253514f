//! Workers, and whether they are well.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, OperateError, query};
use flowsmith_core::catalog::State;

/// A worker that has not been heard from for so many seconds is silent. pgflow's workers are heard from every 5.
pub(super) const SILENT_AFTER: u32 = 30;

/// How a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerHealth {
    /// Its last heartbeat is fresh.
    Alive,
    /// Its last heartbeat is fresh, and it is to take no more tasks.
    Deprecated,
    /// It has not been heard from for half a minute: it has ended without a word, or hangs.
    Silent,
    /// It has ended in order.
    Stopped,
}

impl WorkerHealth {
    /// The word for it in reports.
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
pub struct Worker {
    /// Its id.
    pub worker_id: String,
    /// The queue that it reads: a flow version's slug.
    pub queue: String,
    /// What it calls itself.
    pub function: String,
    /// How it is.
    pub health: WorkerHealth,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it was last heard from.
    pub last_heartbeat_at: String,
    /// How long ago that is, in seconds.
    pub silent_seconds: f64,
    /// How many tasks it has in hand.
    pub in_flight: u64,
}

/// How to have the tasks of a flow version done, where nobody does them: what to start.
pub fn start_worker(flow: &str, version: u32, slug: &str, state: State) -> String {
    match state {
        State::Current => format!("run `flowsmith worker {flow}`, or start your own worker for the queue {slug}"),
        State::Draining | State::Retired => format!(
            "run `flowsmith worker {flow}@{version}` in a checkout of the commit that has this version, because old versions are not in \
             the current flow files"
        ),
        State::Unmanaged => format!("start a worker for the queue {slug}"),
    }
}

/// Whether anybody works on some queues.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Crew {
    /// How many workers are alive.
    pub workers: u32,
    /// How long ago one was last heard from, in seconds; none where there never was one.
    pub heartbeat_seconds: Option<f64>,
    /// What became of that one, where none is alive.
    pub last_worker: Option<WorkerHealth>,
}

/// Looks who works on these queues; none = on any.
///
/// # Errors
/// Where the connection fails, or the role may not read workers.
pub async fn read_crew(
    connection: &mut PgConnection,
    engine: Engine,
    queues: Option<Vec<String>>,
) -> Result<Crew, OperateError> {
    let context = context! { engine => engine.context(), queues, silent_after => SILENT_AFTER };
    let read: Vec<Crew> = query::read(connection, include_str!("crew.sql"), &context).await?;
    // Grouped by one clock.
    Ok(read.into_iter().next().expect("an aggregate gives a row"))
}

/// Lists workers, those heard from last first. `all`: also those that have stopped, or been silent for a day.
///
/// # Errors
/// Where the connection fails, or the role may not read workers.
pub async fn read_workers(
    connection: &mut PgConnection,
    engine: Engine,
    queues: Option<Vec<String>>,
    all: bool,
) -> Result<Vec<Worker>, OperateError> {
    let context = context! { engine => engine.context(), queues, all, silent_after => SILENT_AFTER };
    query::read(connection, include_str!("workers.sql"), &context).await
}
