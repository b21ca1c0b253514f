//! Calls about tasks: taking them, completing, failing, giving back.

use std::collections::HashSet;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::{COMPLETE, COMPLETE_ONE, Engine, FAIL, FAIL_FINALLY, HAND_BACK, ORPHANS, POLL, READ, START, STATUS, rows};
use crate::handler::HandlerError;
use crate::task::{Handed, TaskId};
use flowsmith_core::sql::quote::literal;
use flowsmith_core::sql::{Statement, array};
use flowsmith_postgres::database::DatabaseError;

/// What became of a task whose output did not complete it now.
pub(crate) enum Fate {
    /// It is completed.
    Completed,
    /// The engine refused the output, which fails the run: what it said.
    Refused(String),
    /// It is somebody else's, or its run is over.
    Other,
}

impl Engine {
    /// Takes up to so many tasks of a flow.
    pub(crate) async fn poll(
        &self,
        connection: &mut PgConnection,
        flow: &str,
        worker_id: &str,
        quantity: usize,
    ) -> Result<Vec<Handed>, DatabaseError> {
        let (queue, worker) = (literal(flow), literal(worker_id));
        let flow_input = if self.has_flow_input { "t.flow_input" } else { "null" };
        let quantity = quantity.to_string();
        let sql = if self.batches {
            let values =
                [("queue", queue.as_str()), ("worker", &worker), ("quantity", &quantity), ("flow_input", flow_input)];
            POLL.fill(&values)
        } else {
            let read = rows(connection, READ.fill(&[("queue", &queue), ("quantity", &quantity)])).await?;
            if read.is_empty() {
                return Ok(Vec::new());
            }
            let messages: Vec<String> =
                read.iter().map(|row| Ok(row.try_get::<i64, _>(0)?.to_string())).collect::<Result<_, sqlx::Error>>()?;
            let messages = array(messages, "bigint");
            let values =
                [("queue", queue.as_str()), ("worker", &worker), ("messages", &messages), ("flow_input", flow_input)];
            START.fill(&values)
        };
        rows(connection, sql).await?.iter().map(handed).collect()
    }

    /// Completes tasks; those that are completed then.
    pub(crate) async fn complete(
        &self,
        connection: &mut PgConnection,
        tasks: &[(&TaskId, &str)],
    ) -> Result<HashSet<TaskId>, DatabaseError> {
        if !self.batches {
            let mut completed = HashSet::new();
            for (task, output) in tasks {
                if self.complete_one(connection, task, output).await? {
                    completed.insert((*task).clone());
                }
            }
            return Ok(completed);
        }
        let (run_ids, step_slugs, task_indexes) = keys(tasks.iter().map(|(task, _)| *task));
        let sql = COMPLETE.fill(&[
            ("run_ids", &run_ids),
            ("step_slugs", &step_slugs),
            ("task_indexes", &task_indexes),
            ("outputs", &array(tasks.iter().map(|(_, output)| output), "jsonb")),
        ]);
        rows(connection, sql).await?.iter().map(|row| Ok(task_id(row)?)).collect()
    }

    /// Completes a task; whether it is completed then.
    pub(crate) async fn complete_one(
        &self,
        connection: &mut PgConnection,
        task: &TaskId,
        output: &str,
    ) -> Result<bool, DatabaseError> {
        let output = format!("{}::jsonb", literal(output));
        let sql = fill_one(&COMPLETE_ONE, task, &[("output", &output)]);
        Ok(rows(connection, sql).await?.iter().any(|row| is(row, "completed")))
    }

    /// Fails an attempt; whether the task is tried again, none where it was not this worker's any more.
    pub(crate) async fn fail(
        &self,
        connection: &mut PgConnection,
        worker_id: &str,
        task: &TaskId,
        error: &HandlerError,
    ) -> Result<Option<bool>, DatabaseError> {
        let statement = if error.is_final { &FAIL_FINALLY } else { &FAIL };
        // PostgreSQL has no text with NUL.
        let message = literal(&error.message.replace('\0', "\u{fffd}"));
        let values = [("worker", literal(worker_id)), ("message", message)];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        let rows = rows(connection, fill_one(statement, task, &values)).await?;
        // Of a script, the rows of all its statements come.
        let status = rows.iter().find_map(|row| row.try_get::<String, _>("status").ok());
        Ok(status.map(|status| status == "queued"))
    }

    /// What became of a task.
    pub(crate) async fn fate(&self, connection: &mut PgConnection, task: &TaskId) -> Result<Fate, DatabaseError> {
        let rows = rows(connection, fill_one(&STATUS, task, &[])).await?;
        let refusal = rows.first().map(|row| row.try_get(1)).transpose()?.flatten();
        Ok(match refusal {
            Some(error) => Fate::Refused(error),
            None if rows.iter().any(|row| is(row, "completed")) => Fate::Completed,
            None => Fate::Other,
        })
    }

    /// Gives tasks of a flow back to its queue; how many of them were still this worker's.
    pub(crate) async fn hand_back(
        &self,
        connection: &mut PgConnection,
        (flow, worker_id): (&str, &str),
        tasks: &[TaskId],
        begun: bool,
        delay: u32,
    ) -> Result<usize, DatabaseError> {
        let (run_ids, step_slugs, task_indexes) = keys(tasks);
        let sql = HAND_BACK.fill(&[
            ("queue", &literal(flow)),
            ("worker", &literal(worker_id)),
            ("begun", if begun { "1" } else { "0" }),
            ("delay", &delay.to_string()),
            ("run_ids", &run_ids),
            ("step_slugs", &step_slugs),
            ("task_indexes", &task_indexes),
        ]);
        let count: i64 = match rows(connection, sql).await?.first() {
            Some(row) => row.try_get(0)?,
            None => 0,
        };
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// What was started for this worker and has not ended.
    pub(crate) async fn held(
        &self,
        connection: &mut PgConnection,
        worker_id: &str,
    ) -> Result<Vec<TaskId>, DatabaseError> {
        let stalled = if self.recovers { "and t.permanently_stalled_at is null" } else { "" };
        let sql = ORPHANS.fill(&[("worker", &literal(worker_id)), ("stalled", stalled)]);
        rows(connection, sql).await?.iter().map(|row| Ok(task_id(row)?)).collect()
    }
}

/// The input is what the engine gives; for a root step that gets nothing else, the run's input.
fn handed(row: &PgRow) -> Result<Handed, DatabaseError> {
    let input: Option<String> = row.try_get(4)?;
    let run_input: Option<String> = row.try_get(5)?;
    let input = match (input, run_input) {
        (Some(input), Some(run_input)) if input == "{}" => run_input,
        (Some(input), _) => input,
        (None, _) => "null".to_owned(),
    };
    let attempt: Option<i32> = row.try_get(6)?;
    Ok(Handed {
        run_id: row.try_get(0)?,
        step_slug: row.try_get(1)?,
        task_index: row.try_get(2)?,
        input,
        attempt: attempt.unwrap_or(1).unsigned_abs(),
    })
}

fn task_id(row: &PgRow) -> Result<TaskId, sqlx::Error> {
    Ok(TaskId { run_id: row.try_get(0)?, step_slug: row.try_get(1)?, task_index: row.try_get(2)? })
}

fn is(row: &PgRow, status: &str) -> bool {
    row.try_get::<String, _>(0).is_ok_and(|found| found == status)
}

pub(crate) fn fill_one(statement: &Statement, task: &TaskId, more: &[(&str, &str)]) -> String {
    let (run_id, step_slug) = (format!("{}::uuid", literal(&task.run_id)), literal(&task.step_slug));
    let task_index = task.task_index.to_string();
    let mut values = vec![("run_id", run_id.as_str()), ("step_slug", &step_slug), ("task_index", &task_index)];
    values.extend(more);
    statement.fill(&values)
}

fn keys<'t>(tasks: impl IntoIterator<Item = &'t TaskId>) -> (String, String, String) {
    let tasks: Vec<&TaskId> = tasks.into_iter().collect();
    (
        array(tasks.iter().map(|task| &task.run_id), "uuid"),
        array(tasks.iter().map(|task| &task.step_slug), "text"),
        array(tasks.iter().map(|task| task.task_index.to_string()), "integer"),
    )
}
