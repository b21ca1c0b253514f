//! Tasks that do not progress, and the causes.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::workers::{SILENT_AFTER, WorkerHealth};
use super::{Engine, FlowVersion, RunsError, query, start_worker_advice};
use crate::introspection::RECREATE_QUEUE;
use flowsmith_core::catalog::State;

/// The cause of a stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StallCause {
    /// Queued; no worker of the queue is alive.
    NoWorker,
    /// Queued; the live workers have not claimed it yet.
    Busy,
    /// Queued; the flow is paused.
    Paused,
    /// Queued; hidden by a pause that has ended.
    Parked,
    /// Queued; its start delay has not elapsed.
    Delayed,
    /// Queued; waits for its next attempt.
    Retrying,
    /// Queued; another client has read its message without starting the task.
    MessageHidden,
    /// Queued; its message is not in the queue.
    MessageMissing,
    /// Queued; the queue does not exist.
    QueueMissing,
    /// Started; its timeout has elapsed.
    TimedOut,
    /// Started; not requeued any more after three recoveries.
    GivenUp,
    /// Started; its worker has stopped or sends no heartbeats.
    WorkerGone,
    /// The run is running, but none of its tasks is queued or started.
    NothingUnderWay,
}

/// Stalled tasks of a step with the same cause.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StalledTasks {
    /// The slug of the flow version.
    pub slug: String,
    /// The name of the flow in the flow files.
    pub flow: String,
    /// The version of the flow.
    pub version: u32,
    /// The lifecycle state of the version.
    pub state: State,
    /// The slug of the step; none if no step of the run is running.
    pub step: Option<String>,
    /// The cause.
    pub cause: StallCause,
    /// The number of tasks, or of runs if there is no step.
    pub tasks: u64,
    /// The time without progress of the oldest of them, in seconds.
    pub seconds: f64,
    /// The time until the next of them progresses by itself, in seconds, if it is known.
    pub moves_in_seconds: Option<f64>,
    /// The run of the oldest of them.
    pub run_id: String,
    /// The index of the oldest task in its step.
    pub task_index: Option<u32>,
    /// The id of its message.
    pub message_id: Option<i64>,
    /// The timeout of the step, in seconds.
    pub timeout: Option<u32>,
    /// The number of live workers of the queue.
    pub workers: u32,
    /// The time since the last heartbeat of a worker of the queue, in seconds; none if it never had a worker.
    pub heartbeat_seconds: Option<f64>,
    /// The health of that worker if no worker is alive; none if the queue never had a worker.
    pub last_worker: Option<WorkerHealth>,
}

impl StalledTasks {
    /// Whether the delay is intended, so that no action is needed.
    pub fn is_expected(&self) -> bool {
        matches!(self.cause, StallCause::Delayed | StallCause::Retrying)
    }

    /// The recommended action.
    pub fn fix(&self, engine: Engine) -> String {
        let Self { slug, flow, version, run_id, .. } = self;
        let resend = if engine.has_operations() {
            format!("run `flowsmith cancel {run_id}`, then `flowsmith retry {run_id}`, to send it again")
        } else {
            "see docs/operating.md for how to send it again on this engine".to_owned()
        };
        match self.cause {
            StallCause::NoWorker => start_worker_advice(flow, *version, slug, self.state),
            StallCause::Busy => {
                "start more workers, or raise their --concurrency; `flowsmith queues` shows the backlog".to_owned()
            }
            StallCause::Paused => format!("run `flowsmith resume {flow}@{version}`"),
            StallCause::Parked => {
                format!("run `flowsmith pause {flow}@{version}`, then `flowsmith resume {flow}@{version}`")
            }
            StallCause::Delayed | StallCause::Retrying => "no action needed".to_owned(),
            StallCause::MessageHidden => match self.message_id {
                Some(id) if self.tasks == 1 => {
                    format!("wait; or, if no worker processes it, run: select pgmq.set_vt('{slug}', {id}, 0)")
                }
                Some(id) => format!("wait; or, if no worker processes them, run for each: select pgmq.set_vt('{slug}', {id}, 0)"),
                None => "wait".to_owned(),
            },
            StallCause::MessageMissing | StallCause::GivenUp => resend,
            StallCause::QueueMissing => RECREATE_QUEUE.to_owned(),
            StallCause::TimedOut if engine.has_conditions() => {
                "run `flowsmith stalled --requeue`; a running `flowsmith worker` does so every 15 seconds, as does the pg_cron job of `flowsmith install`"
                    .to_owned()
            }
            StallCause::TimedOut => format!(
                "run `select pgflow.fail_task('{run_id}', '{}', {}, 'timed out')` to give it its next attempt",
                self.step.as_deref().unwrap_or_default(),
                self.task_index.unwrap_or_default()
            ),
            StallCause::WorkerGone if engine.has_conditions() => {
                "wait: it is queued again 30 seconds after its timeout; see `flowsmith workers`".to_owned()
            }
            StallCause::WorkerGone => {
                "see `flowsmith workers`; after its timeout, `flowsmith stalled` shows the fix".to_owned()
            }
            StallCause::NothingUnderWay => format!("run `flowsmith doctor` and report this; {resend}"),
        }
    }
}

/// Finds the tasks of flow versions that have not progressed for `at_least` seconds. Unexpected stalls come first, then the
/// longest ones.
///
/// # Errors
/// If the connection fails or the role may not read tasks and queues.
pub async fn find_stalled(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
    at_least: f64,
) -> Result<Vec<StalledTasks>, RunsError> {
    #[derive(Deserialize)]
    struct Active {
        slug: String,
    }
    let slugs: Vec<String> = flows.iter().map(|flow| flow.slug.clone()).collect();
    let active: Vec<Active> = query::read(connection, "active.sql", context! { slugs }).await?;
    let mut stalls = Vec::new();
    for active in active {
        let Some(flow) = flows.iter().find(|flow| flow.slug == active.slug) else { continue };
        let context = context! {
            engine => engine.context(),
            slug => flow.slug.as_str(),
            queues => vec![flow.slug.clone()],
            table => flow.queue_table(),
            has_queue => flow.has_queue,
            is_paused => flow.paused_at.is_some(),
            silent_after => SILENT_AFTER,
            at_least,
        };
        let mut found: Vec<StalledTasks> = query::read(connection, "stalled.sql", context).await?;
        for stall in &mut found {
            stall.flow.clone_from(&flow.flow);
            stall.version = flow.version;
            stall.state = flow.state;
        }
        stalls.extend(found);
    }
    stalls.sort_by(|a, b| a.is_expected().cmp(&b.is_expected()).then(b.seconds.total_cmp(&a.seconds)));
    Ok(stalls)
}

/// Requeues the tasks whose timeout elapsed more than 30 seconds ago, and returns their number.
///
/// # Errors
/// If the engine does not support it (levels before 0.14) or the database reports an error.
pub async fn requeue_stalled(connection: &mut PgConnection, engine: Engine) -> Result<u64, RunsError> {
    #[derive(Deserialize)]
    struct Requeued {
        tasks: u64,
    }
    if !engine.has_conditions() {
        return Err(RunsError::NeedsRecovery(engine.level));
    }
    let requeued: Vec<Requeued> =
        query::write(connection, &[], "requeue.sql", context! { engine => engine.context() }).await?;
    Ok(requeued.first().map_or(0, |requeued| requeued.tasks))
}
