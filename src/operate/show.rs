//! Looking at one run: its steps, their tasks, inputs and outputs.

use std::fmt;

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, Flows, OperateError, Payload, RunStatus, query};
use crate::database::Failure;

/// How many characters of an input or output are fetched for a look.
const GLANCE: u32 = 2_000;
/// How many tasks of a step are fetched for a look: those that say most about it.
const NOTABLE_TASKS: u32 = 10;

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// It waits for steps that it depends on.
    Created,
    /// Its tasks are queued or under way.
    Started,
    /// Every task is done.
    Completed,
    /// A task has failed for good, or its condition was not met.
    Failed,
    /// It was left out.
    Skipped,
}

impl StepStatus {
    /// The word in `pgflow.step_states.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for StepStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskStatus {
    /// It waits for a worker.
    Queued,
    /// A worker has it.
    Started,
    /// Done.
    Completed,
    /// Its attempts are used up.
    Failed,
}

impl TaskStatus {
    /// The word in `pgflow.step_tasks.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// A run with its steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunDetail {
    /// Its id.
    pub run_id: String,
    /// The flow, as the flow files call it.
    pub flow: String,
    /// The flow's version.
    pub version: u32,
    /// The slug of both in the database.
    pub slug: String,
    /// How far it has come.
    pub status: RunStatus,
    /// When it was started, RFC 3339.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How long it took, or has taken so far, in seconds.
    pub seconds: f64,
    /// Why somebody has cancelled it, where `flowsmith cancel` did.
    pub cancelled: Option<String>,
    /// What it was started with; none where it was not asked for.
    pub input: Option<Payload>,
    /// The outputs of its last steps.
    pub output: Option<Payload>,
    /// In the order of their definition: each after those that it depends on.
    pub steps: Vec<StepDetail>,
}

/// A step of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepDetail {
    /// Its slug.
    pub step: String,
    /// `single` or `map`.
    pub kind: String,
    /// The steps that it waits for.
    pub depends_on: Vec<String>,
    /// How far it has come.
    pub status: StepStatus,
    /// Why it was left out.
    pub skip_reason: Option<String>,
    /// What failed it.
    pub error: Option<String>,
    /// When its tasks were queued.
    pub started_at: Option<String>,
    /// When it completed, failed or was skipped.
    pub ended_at: Option<String>,
    /// How long it took, or has taken so far, in seconds.
    pub seconds: Option<f64>,
    /// How many tasks it has; none where that is not known yet.
    pub tasks: Option<u32>,
    /// How many of them wait for a worker.
    pub queued: u32,
    /// How many are in a worker's hands.
    pub started: u32,
    /// How many are done.
    pub completed: u32,
    /// How many have failed for good.
    pub failed: u32,
    /// The most attempts that one of them has taken.
    pub attempts: u32,
    /// How many attempts each has; 0 where the role may not read definitions.
    pub max_attempts: u32,
    /// What its handler is given; of a map, the array. None where it was not asked for or is not known yet.
    pub input: Option<Payload>,
    /// What it gave.
    pub output: Option<Payload>,
    /// Its tasks: all where everything was asked for, else some that are under way, have failed or were tried again.
    pub task_list: Vec<TaskDetail>,
}

/// A task of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskDetail {
    /// Its place in the array that a map maps; 0 in other steps.
    pub index: u32,
    /// How far it has come.
    pub status: TaskStatus,
    /// How often it was started.
    pub attempts: u32,
    /// What the last attempt that failed said.
    pub error: Option<String>,
    /// The worker that had it last.
    pub worker_id: Option<String>,
    /// When it was queued.
    pub queued_at: String,
    /// When its last attempt began.
    pub started_at: Option<String>,
    /// When it completed or failed.
    pub ended_at: Option<String>,
    /// How long its last attempt took, or has taken so far, in seconds.
    pub seconds: Option<f64>,
    /// What it gave.
    pub output: Option<Payload>,
}

/// How much to read of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// States and counts, and the tasks that say most.
    States,
    /// Also the beginnings of the run's input and of outputs.
    Glance,
    /// Everything.
    Full,
}

/// What a role may read beside runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sees {
    /// Who has done what, in `flowsmith.events`.
    events: bool,
    /// The steps of flows and what they depend on.
    definitions: bool,
}

impl Sees {
    const WITHOUT_EVENTS: Self = Self { events: false, definitions: true };
    const RUNS_ONLY: Self = Self { events: false, definitions: false };
}

/// Reads a run.
///
/// # Errors
/// Where the run is gone, the connection fails, or the role may not read it.
pub async fn read_run(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
    run_id: &str,
    depth: Depth,
) -> Result<RunDetail, OperateError> {
    let mut found = Vec::new();
    // Roles differ in what they may read (docs/roles.md): whoever may read runs is shown them, with what else there is.
    for sees in [Sees { events: engine.has_ledger, definitions: true }, Sees::WITHOUT_EVENTS, Sees::RUNS_ONLY] {
        let context = context! {
            engine => engine.context(),
            sees => context! { events => sees.events, definitions => sees.definitions },
            run_id,
            payloads => depth != Depth::States,
            cut => (depth != Depth::Full).then_some(GLANCE),
            max_tasks => (depth != Depth::Full).then_some(NOTABLE_TASKS),
        };
        match query::read(connection, include_str!("show.sql"), &context).await {
            Err(OperateError::Database(error)) if error.failure() == Failure::Permission && sees != Sees::RUNS_ONLY => {
            }
            result => {
                found = result?;
                break;
            }
        }
    }
    let Some(mut run): Option<RunDetail> = found.pop() else {
        return Err(OperateError::NoRun(run_id.parse().expect("an id that the database gave")));
    };
    if let Some(flow) = flows.by_slug(&run.slug) {
        run.flow.clone_from(&flow.flow);
        run.version = flow.version;
    }
    Ok(run)
}
