//! Tasks that do not move, and why.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::workers::{SILENT_AFTER, WorkerHealth};
use super::{Engine, FlowVersion, OperateError, query, start_worker};
use flowsmith_core::catalog::State;

/// Why tasks do not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StallCause {
    /// Queued, and no worker of the queue is alive.
    NoWorker,
    /// Queued, and the workers that are alive have not come to it.
    Busy,
    /// Queued, and the flow is paused.
    Paused,
    /// Queued, put away by a pause that is over.
    Parked,
    /// Queued, until its start delay is over.
    Delayed,
    /// Queued, until the next attempt.
    Retrying,
    /// Queued; somebody has read its message and not started it.
    MessageHidden,
    /// Queued, and its message is not in the queue.
    MessageMissing,
    /// Queued, and there is no queue.
    QueueMissing,
    /// Started, for longer than its timeout.
    TimedOut,
    /// Started; recovered three times, and then given up.
    GivenUp,
    /// Started by a worker that has gone silent or ended.
    WorkerGone,
    /// The run is under way, and none of its tasks is.
    NothingUnderWay,
}

/// Tasks of a step that do not move for the same reason.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stall {
    /// The flow version's slug.
    pub slug: String,
    /// The flow, as the flow files call it.
    pub flow: String,
    /// The flow's version.
    pub version: u32,
    /// Where the version stands in its life.
    pub state: State,
    /// The step; none where no step of a run is under way.
    pub step: Option<String>,
    /// Why.
    pub cause: StallCause,
    /// How many tasks; runs where there is no step.
    pub tasks: u64,
    /// For how long the first of them has not moved, in seconds.
    pub seconds: f64,
    /// When the next of them moves by itself, in seconds from now, where that is known.
    pub moves_in_seconds: Option<f64>,
    /// The run of the one that has not moved for longest.
    pub run_id: String,
    /// Its place in its step.
    pub task_index: Option<u32>,
    /// Its message.
    pub message_id: Option<i64>,
    /// Seconds that the step gives its tasks.
    pub timeout: Option<u32>,
    /// How many workers of the queue are alive.
    pub workers: u32,
    /// How long ago a worker of the queue was heard from, in seconds; none where none ever was.
    pub heartbeat_seconds: Option<f64>,
    /// What became of that worker, where none is alive; none where none ever was.
    pub last_worker: Option<WorkerHealth>,
}

/// What to do where a flow's queue is gone.
pub(crate) const QUEUE_ANEW: &str =
    "run `flowsmith compile --from-live`, then `flowsmith apply --accept-drift`, to recreate the queue";

impl Stall {
    /// Whether nobody need do anything.
    pub fn is_meant(&self) -> bool {
        matches!(self.cause, StallCause::Delayed | StallCause::Retrying)
    }

    /// What to do about it: a command, where there is one.
    pub fn fix(&self, engine: Engine) -> String {
        let Self { slug, flow, version, run_id, .. } = self;
        let anew = if engine.has_operations() {
            format!("run `flowsmith cancel {run_id}`, then `flowsmith retry {run_id}`, to send it again")
        } else {
            "see docs/operating.md for how to send it again on this engine".to_owned()
        };
        match self.cause {
            StallCause::NoWorker => start_worker(flow, *version, slug, self.state),
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
            StallCause::MessageMissing | StallCause::GivenUp => anew,
            StallCause::QueueMissing => {
                QUEUE_ANEW.to_owned()
            }
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
            StallCause::NothingUnderWay => format!("run `flowsmith doctor` and report this; {anew}"),
        }
    }
}

/// Finds tasks of these flow versions that have not moved for so many seconds, the longest first.
///
/// # Errors
/// Where the connection fails, or the role may not read tasks and queues.
pub async fn find_stalled(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
    at_least: f64,
) -> Result<Vec<Stall>, OperateError> {
    #[derive(Deserialize)]
    struct Active {
        slug: String,
    }
    let slugs: Vec<String> = flows.iter().map(|flow| flow.slug.clone()).collect();
    let context = context! { slugs };
    let active: Vec<Active> = query::read(connection, include_str!("active.sql"), &context).await?;
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
        let mut found: Vec<Stall> = query::read(connection, include_str!("stalled.sql"), &context).await?;
        for stall in &mut found {
            stall.flow.clone_from(&flow.flow);
            stall.version = flow.version;
            stall.state = flow.state;
        }
        stalls.extend(found);
    }
    stalls.sort_by(|a, b| a.is_meant().cmp(&b.is_meant()).then(b.seconds.total_cmp(&a.seconds)));
    Ok(stalls)
}

/// Queues tasks again that have been started for longer than their timeout and 30 seconds. Returns how many.
///
/// # Errors
/// Where the engine cannot (levels before 0.14), or the database fails.
pub async fn requeue_stalled(connection: &mut PgConnection, engine: Engine) -> Result<u64, OperateError> {
    #[derive(Deserialize)]
    struct Requeued {
        tasks: u64,
    }
    if !engine.has_conditions() {
        return Err(OperateError::NeedsRecovery(engine.level));
    }
    let requeued: Vec<Requeued> = query::write(connection, include_str!("requeue.sql"), &context! {}).await?;
    Ok(requeued.first().map_or(0, |requeued| requeued.tasks))
}
