//! Calls about tasks: claiming, completing, failing, returning.

use std::collections::HashSet;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::call::{fetch, fetch_in_handler};
use super::capabilities::Engine;
use super::statements::{
    BEGIN_TASK, CLAIMED_TASKS, COMPLETE_TASK, COMPLETE_TASKS, COMPLETION_STATUS, FAIL_ATTEMPT, FAIL_PERMANENTLY,
    POLL_TASKS, READ_MESSAGES, RETURN_TASKS, START_TASKS,
};
use crate::outcome::HandlerError;
use flowsmith_core::sql::quote::literal;
use flowsmith_core::sql::{Statement, array};
use flowsmith_postgres::database::{DatabaseError, transaction};

/// The key of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TaskId {
    pub(crate) run_id: String,
    pub(crate) step_slug: String,
    pub(crate) task_index: i32,
}

/// A task as the engine returns it when a worker claims it.
#[derive(Debug)]
pub(crate) struct ClaimedTask {
    pub(crate) id: TaskId,
    /// JSON.
    pub(crate) input: String,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
}

/// Why a completion did not complete a task.
pub(crate) enum CompletionStatus {
    /// The task is completed after all.
    Completed,
    /// The engine rejected the output with this error, and failed the run.
    OutputRejected(String),
    /// The task belongs to another worker, or its run has ended.
    LeaseLost,
}

/// How claimed tasks return to their queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReturnOptions {
    /// Whether their handlers have started, so that the attempt counts.
    pub(crate) started: bool,
    /// Seconds until their messages become visible.
    pub(crate) delay: u32,
}

impl Engine {
    /// Claims up to `quantity` tasks of a flow.
    pub(crate) async fn claim(
        &self,
        connection: &mut PgConnection,
        flow: &str,
        worker_id: &str,
        quantity: usize,
    ) -> Result<Vec<ClaimedTask>, DatabaseError> {
        let (queue, worker) = (literal(flow), literal(worker_id));
        let flow_input = if self.has_flow_input { "t.flow_input" } else { "null" };
        let quantity = quantity.to_string();
        let values = [("queue", queue.as_str()), ("worker", &worker), ("flow_input", flow_input)];
        let sql = if self.has_batches {
            POLL_TASKS.fill(&[&values[..], &[("quantity", &quantity)]].concat())
        } else {
            let messages = READ_MESSAGES.fill(&[("queue", &queue), ("quantity", &quantity)]);
            let messages = fetch(connection, messages).await?;
            if messages.is_empty() {
                return Ok(Vec::new());
            }
            let ids = messages.iter().map(|row| Ok(row.try_get::<i64, _>("msg_id")?.to_string()));
            let ids = array(ids.collect::<Result<Vec<_>, sqlx::Error>>()?, "bigint");
            START_TASKS.fill(&[&values[..], &[("messages", &ids)]].concat())
        };
        fetch(connection, sql).await?.iter().map(claimed_task).collect()
    }

    /// Completes tasks, and returns those that are completed afterwards.
    pub(crate) async fn complete(
        &self,
        connection: &mut PgConnection,
        tasks: &[(&TaskId, &str)],
    ) -> Result<HashSet<TaskId>, DatabaseError> {
        if !self.has_batches {
            let mut completed = HashSet::new();
            for (task, output) in tasks {
                if self.complete_one(connection, task, output).await? {
                    completed.insert((*task).clone());
                }
            }
            return Ok(completed);
        }
        let (run_ids, step_slugs, task_indexes) = key_arrays(tasks.iter().map(|(task, _)| *task));
        let sql = COMPLETE_TASKS.fill(&[
            ("run_ids", &run_ids),
            ("step_slugs", &step_slugs),
            ("task_indexes", &task_indexes),
            ("outputs", &array(tasks.iter().map(|(_, output)| output), "jsonb")),
        ]);
        fetch(connection, sql).await?.iter().map(|row| Ok(task_id(row)?)).collect()
    }

    /// Completes a task, and returns whether it is completed afterwards.
    pub(crate) async fn complete_one(
        &self,
        connection: &mut PgConnection,
        task: &TaskId,
        output: &str,
    ) -> Result<bool, DatabaseError> {
        let rows = fetch(connection, completion(task, output)).await?;
        Ok(rows.iter().any(|row| has_status(row, "completed")))
    }

    /// Completes a task in the open transaction of its `sql` handler, and returns whether it is completed afterwards.
    pub(crate) async fn complete_in_handler(
        &self,
        connection: &mut PgConnection,
        task: &TaskId,
        output: &str,
    ) -> Result<bool, DatabaseError> {
        let rows = fetch_in_handler(connection, &completion(task, output)).await?;
        Ok(rows.iter().any(|row| has_status(row, "completed")))
    }

    /// Reads the status of a task that a completion did not complete.
    pub(crate) async fn completion_status(
        &self,
        connection: &mut PgConnection,
        task: &TaskId,
    ) -> Result<CompletionStatus, DatabaseError> {
        let rows = fetch(connection, fill_for_task(&COMPLETION_STATUS, task, &[])).await?;
        let rejection = rows.first().map(|row| row.try_get("rejection")).transpose()?.flatten();
        Ok(match rejection {
            Some(error) => CompletionStatus::OutputRejected(error),
            None if rows.iter().any(|row| has_status(row, "completed")) => CompletionStatus::Completed,
            None => CompletionStatus::LeaseLost,
        })
    }

    /// Fails an attempt, and returns whether the task is retried; none if it no longer belonged to this worker.
    pub(crate) async fn fail(
        &self,
        connection: &mut PgConnection,
        worker_id: &str,
        task: &TaskId,
        error: &HandlerError,
    ) -> Result<Option<bool>, DatabaseError> {
        let statement = if error.is_permanent { &FAIL_PERMANENTLY } else { &FAIL_ATTEMPT };
        // PostgreSQL does not support NUL in text.
        let message = literal(&error.message.replace('\0', "\u{fffd}"));
        let worker = literal(worker_id);
        let sql = fill_for_task(statement, task, &[("worker", &worker), ("message", &message)]);
        let rows = fetch(connection, sql).await?;
        // FAIL_PERMANENTLY is a script: the rows of all its statements come together.
        let status = rows.iter().find_map(|row| row.try_get::<String, _>("status").ok());
        Ok(status.map(|status| status == "queued"))
    }

    /// Returns tasks of a flow to its queue, and returns how many of them still belonged to this worker.
    pub(crate) async fn return_tasks(
        &self,
        connection: &mut PgConnection,
        (flow, worker_id): (&str, &str),
        tasks: &[TaskId],
        ReturnOptions { started, delay }: ReturnOptions,
    ) -> Result<usize, DatabaseError> {
        let (run_ids, step_slugs, task_indexes) = key_arrays(tasks);
        let sql = RETURN_TASKS.fill(&[
            ("queue", &literal(flow)),
            ("worker", &literal(worker_id)),
            ("started", if started { "1" } else { "0" }),
            ("delay", &delay.to_string()),
            ("run_ids", &run_ids),
            ("step_slugs", &step_slugs),
            ("task_indexes", &task_indexes),
        ]);
        let count: i64 = match fetch(connection, sql).await?.first() {
            Some(row) => row.try_get("tasks")?,
            None => 0,
        };
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Tasks that this worker has claimed according to the database, and that have not ended.
    pub(crate) async fn claimed_tasks(
        &self,
        connection: &mut PgConnection,
        worker_id: &str,
    ) -> Result<Vec<TaskId>, DatabaseError> {
        let stalled = if self.has_recovery { "and t.permanently_stalled_at is null" } else { "" };
        let sql = CLAIMED_TASKS.fill(&[("worker", &literal(worker_id)), ("stalled", stalled)]);
        fetch(connection, sql).await?.iter().map(|row| Ok(task_id(row)?)).collect()
    }

    /// Begins the transaction of a `sql` handler and locks its task. Afterwards the settings are those of the role, and
    /// `timeout` limits each statement. Returns whether the task still belongs to this worker.
    pub(crate) async fn begin_task(
        &self,
        connection: &mut PgConnection,
        worker_id: &str,
        task: &TaskId,
        timeout: std::time::Duration,
    ) -> Result<bool, DatabaseError> {
        let sql = fill_for_task(&BEGIN_TASK, task, &[("worker", &literal(worker_id))]);
        Ok(!transaction::begin_handler(connection, timeout, &sql).await?.is_empty())
    }
}

/// The engine gives a root step without dependencies an empty object, which stands for the input of the run.
fn claimed_task(row: &PgRow) -> Result<ClaimedTask, DatabaseError> {
    let input: Option<String> = row.try_get("input")?;
    let run_input: Option<String> = row.try_get("flow_input")?;
    let input = match (input, run_input) {
        (Some(input), Some(run_input)) if input == "{}" => run_input,
        (Some(input), _) => input,
        (None, _) => "null".to_owned(),
    };
    let attempt: Option<i32> = row.try_get("attempt")?;
    Ok(ClaimedTask { id: task_id(row)?, input, attempt: attempt.unwrap_or(1).unsigned_abs() })
}

fn completion(task: &TaskId, output: &str) -> String {
    let output = format!("{}::jsonb", literal(output));
    fill_for_task(&COMPLETE_TASK, task, &[("output", &output)])
}

fn task_id(row: &PgRow) -> Result<TaskId, sqlx::Error> {
    Ok(TaskId {
        run_id: row.try_get("run_id")?,
        step_slug: row.try_get("step_slug")?,
        task_index: row.try_get("task_index")?,
    })
}

fn has_status(row: &PgRow, status: &str) -> bool {
    row.try_get::<String, _>("status").is_ok_and(|found| found == status)
}

fn fill_for_task(statement: &Statement, task: &TaskId, more: &[(&str, &str)]) -> String {
    let (run_id, step_slug) = (format!("{}::uuid", literal(&task.run_id)), literal(&task.step_slug));
    let task_index = task.task_index.to_string();
    let mut values = vec![("run_id", run_id.as_str()), ("step_slug", &step_slug), ("task_index", &task_index)];
    values.extend(more);
    statement.fill(&values)
}

fn key_arrays<'t>(tasks: impl IntoIterator<Item = &'t TaskId>) -> (String, String, String) {
    let tasks: Vec<&TaskId> = tasks.into_iter().collect();
    (
        array(tasks.iter().map(|task| &task.run_id), "uuid"),
        array(tasks.iter().map(|task| &task.step_slug), "text"),
        array(tasks.iter().map(|task| task.task_index.to_string()), "integer"),
    )
}
