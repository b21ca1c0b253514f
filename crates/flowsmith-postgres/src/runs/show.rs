//! Looking at one run: its steps, their tasks, inputs and outputs.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, Flows, OperateError, Payload, RunFailure, RunSummary, query};
use super::{RunStatus, StepStatus, TaskStatus};
use crate::database::Failure;

/// How many characters of an input or output are fetched for a look.
const GLANCE: u32 = 2_000;
/// How many tasks of a step are fetched for a look: those that say most about it.
const NOTABLE_TASKS: u32 = 10;

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
    /// When it was looked at, by the server's clock, RFC 3339.
    #[serde(skip_serializing)]
    pub read_at: String,
    /// When it was started, RFC 3339.
    pub started_at: String,
    /// When it was last retried.
    pub retried_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How long it took, or has taken so far, in seconds, since it was started or last retried.
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

impl RunDetail {
    /// The run as lists have it.
    pub fn summary(&self) -> RunSummary {
        let failed = self.steps.iter().filter(|step| step.status == StepStatus::Failed);
        RunSummary {
            run_id: self.run_id.clone(),
            flow: self.flow.clone(),
            version: self.version,
            slug: self.slug.clone(),
            status: self.status,
            started_at: self.started_at.clone(),
            retried_at: self.retried_at.clone(),
            ended_at: self.ended_at.clone(),
            seconds: self.seconds,
            steps: u32::try_from(self.steps.len()).unwrap_or(u32::MAX),
            remaining_steps: u32::try_from(self.steps.iter().filter(|step| !step.status.is_done()).count())
                .unwrap_or(u32::MAX),
            failure: failed
                .min_by(|a, b| a.ended_at.cmp(&b.ended_at))
                .map(|step| RunFailure { step: step.step.clone(), error: step.error.clone() }),
        }
    }
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
    /// How many the end of the run, or of the step, has left unfinished.
    pub unfinished: u32,
    /// How many of those were never tried.
    pub not_run: u32,
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

impl StepDetail {
    /// Whether it waits for a worker, or for its delay: it has tasks, and none of them was ever started.
    pub fn is_queued(&self) -> bool {
        self.status == StepStatus::Started
            && self.queued > 0
            && self.attempts == 0
            && self.started + self.completed + self.failed == 0
    }

    /// Why it was left out, in words.
    pub fn skip_words(&self) -> Option<String> {
        self.skip_reason.as_deref().map(skip_words)
    }

    /// Of the tasks that were left unfinished, how many were cut off.
    pub fn cut_off(&self) -> u32 {
        self.unfinished.saturating_sub(self.not_run)
    }
}

/// The engine's code for why a step was left out, in words: `condition unmet`, `dependency skipped`, `handler failed`. A text that is
/// no code, such as an error, stays.
pub fn skip_words(reason: &str) -> String {
    let is_code = reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { reason.replace('_', " ") } else { reason.to_owned() }
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
    for definitions in [true, false] {
        let context = context! {
            engine => engine.context(),
            definitions,
            run_id,
            payloads => depth != Depth::States,
            cut => (depth != Depth::Full).then_some(GLANCE),
            max_tasks => (depth != Depth::Full).then_some(NOTABLE_TASKS),
        };
        match query::read(connection, include_str!("show.sql"), &context).await {
            Err(OperateError::Database(error)) if error.failure() == Failure::Permission && definitions => {}
            result => {
                found = result?;
                break;
            }
        }
    }
    let Some(mut run): Option<RunDetail> = found.pop() else {
        return Err(OperateError::NoRun {
            prefix: run_id.parse().expect("an id that the database gave"),
            database: None,
        });
    };
    if let Some(flow) = flows.by_slug(&run.slug) {
        run.flow.clone_from(&flow.flow);
        run.version = flow.version;
    }
    Ok(run)
}
