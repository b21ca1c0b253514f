//! The details of a run: its steps, tasks, inputs and outputs.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, Flows, Payload, RunFailure, RunStatus, RunSummary, RunsError, StepStatus, TaskStatus, query};
use crate::database::Failure;

/// The number of characters of an input or output in a preview.
const PREVIEW_LENGTH: u32 = 2_000;
/// The number of tasks of a step that are read without [`DetailLevel::Full`]: failed ones first, then unfinished and retried
/// ones.
const NOTABLE_TASKS: u32 = 10;

/// A run with its steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunDetail {
    /// The id.
    pub run_id: String,
    /// The name of the flow in the flow files.
    pub flow: String,
    /// The version of the flow.
    pub version: u32,
    /// The slug of the flow version in the database.
    pub slug: String,
    /// The status.
    pub status: RunStatus,
    /// The time of the query on the server's clock, RFC 3339.
    #[serde(skip_serializing)]
    pub read_at: String,
    /// The start time, RFC 3339.
    pub started_at: String,
    /// The time of the last retry.
    pub retried_at: Option<String>,
    /// The end time.
    pub ended_at: Option<String>,
    /// The time from the start or the last retry to the end or to the present, in seconds.
    pub seconds: f64,
    /// The reason given to `flowsmith cancel`; none if the run was not cancelled with it.
    pub cancelled: Option<String>,
    /// The input; none if it was not requested.
    pub input: Option<Payload>,
    /// The outputs of the last steps; none if they were not requested.
    pub output: Option<Payload>,
    /// The steps in the order of their definition, each after its dependencies.
    pub steps: Vec<StepDetail>,
}

impl RunDetail {
    /// The run without its steps.
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
    /// The slug.
    pub step: String,
    /// `single` or `map`.
    pub kind: String,
    /// The dependencies.
    pub depends_on: Vec<String>,
    /// The status.
    pub status: StepStatus,
    /// The reason why it was skipped.
    pub skip_reason: Option<String>,
    /// The error message if it failed.
    pub error: Option<String>,
    /// The time at which its tasks were queued.
    pub started_at: Option<String>,
    /// The time at which it completed, failed or was skipped.
    pub ended_at: Option<String>,
    /// The time from the start to the end or to the present, in seconds.
    pub seconds: Option<f64>,
    /// The number of tasks; none if it is not known yet.
    pub tasks: Option<u32>,
    /// The number of tasks that wait for a worker.
    pub queued: u32,
    /// The number of running tasks.
    pub started: u32,
    /// The number of completed tasks.
    pub completed: u32,
    /// The number of failed tasks without remaining attempts.
    pub failed: u32,
    /// The number of tasks that were unfinished when the run or the step ended.
    pub unfinished: u32,
    /// The number of unfinished tasks that were never attempted.
    pub not_run: u32,
    /// The largest number of attempts of a task.
    pub attempts: u32,
    /// The maximum number of attempts of a task; 0 if the role may not read definitions.
    pub max_attempts: u32,
    /// The input of its handler, for a map step the array; none if it was not requested or is not known yet.
    pub input: Option<Payload>,
    /// The output.
    pub output: Option<Payload>,
    /// The tasks: all with [`DetailLevel::Full`], otherwise some unfinished, failed and retried ones.
    pub task_list: Vec<TaskDetail>,
}

impl StepDetail {
    /// Whether the step has tasks of which none was ever started: it waits for a worker or for its start delay.
    pub fn is_queued(&self) -> bool {
        self.status == StepStatus::Started
            && self.queued > 0
            && self.attempts == 0
            && self.started + self.completed + self.failed == 0
    }

    /// The reason why it was skipped, in words.
    pub fn skip_reason_text(&self) -> Option<String> {
        self.skip_reason.as_deref().map(skip_reason_text)
    }

    /// The number of unfinished tasks that had been attempted.
    pub fn cut_off(&self) -> u32 {
        self.unfinished.saturating_sub(self.not_run)
    }
}

/// The engine's skip reason in words, such as `condition unmet` for `condition_unmet`. Other texts, such as error messages, are
/// returned unchanged.
pub fn skip_reason_text(reason: &str) -> String {
    let is_code = reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { reason.replace('_', " ") } else { reason.to_owned() }
}

/// A task of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskDetail {
    /// The index in the array of a map step; 0 for other steps.
    pub index: u32,
    /// The status.
    pub status: TaskStatus,
    /// The number of attempts.
    pub attempts: u32,
    /// The error message of the last failed attempt.
    pub error: Option<String>,
    /// The id of the worker of the last attempt.
    pub worker_id: Option<String>,
    /// The time at which it was queued.
    pub queued_at: String,
    /// The start time of the last attempt.
    pub started_at: Option<String>,
    /// The time at which it completed or failed.
    pub ended_at: Option<String>,
    /// The duration of the last attempt so far, in seconds.
    pub seconds: Option<f64>,
    /// The output.
    pub output: Option<Payload>,
}

/// The amount of detail to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailLevel {
    /// Statuses, counts and notable tasks.
    Status,
    /// Also the beginnings of the run's input and of outputs.
    Preview,
    /// All tasks, and complete inputs and outputs.
    Full,
}

/// Reads a run.
///
/// # Errors
/// If the run was deleted, the connection fails, or the role may not read runs.
pub async fn read_run(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
    run_id: &str,
    detail: DetailLevel,
) -> Result<RunDetail, RunsError> {
    let mut found = Vec::new();
    // A role that may read runs but not definitions (docs/roles.md) gets the run without them.
    for definitions in [true, false] {
        let context = context! {
            engine => engine.context(),
            definitions,
            run_id,
            payloads => detail != DetailLevel::Status,
            cut => (detail != DetailLevel::Full).then_some(PREVIEW_LENGTH),
            max_tasks => (detail != DetailLevel::Full).then_some(NOTABLE_TASKS),
        };
        match query::read(connection, "show.sql", context).await {
            Err(RunsError::Database(error)) if error.failure() == Failure::Permission && definitions => {}
            result => {
                found = result?;
                break;
            }
        }
    }
    let Some(mut run): Option<RunDetail> = found.pop() else {
        return Err(RunsError::NoRun {
            prefix: run_id.parse().expect("the id comes from the database"),
            database: None,
        });
    };
    if let Some(flow) = flows.by_slug(&run.slug) {
        run.flow.clone_from(&flow.flow);
        run.version = flow.version;
    }
    Ok(run)
}
