//! The contenders, and how their workers claim and complete tasks.

use clap::ValueEnum;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use crate::shape::Shape;

/// An engine and the calls of its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    /// pgmq alone: read 10, archive one at a time.
    Raw,
    /// pgmq alone: read 10, archive 10 in one call.
    RawBatch,
    /// The official 0.8.1: read, start, complete one at a time.
    Official,
    /// flowsmith's engine, the same calls.
    Ours,
    /// flowsmith's engine: poll 10, complete 10, in two calls.
    OursBatch,
}

/// A task that a worker has claimed.
pub(crate) struct Task {
    run_id: String,
    step_slug: String,
    task_index: i32,
    input: String,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "pgmq, one by one",
            Self::RawBatch => "pgmq, batches",
            Self::Official => "official 0.8.1",
            Self::Ours => "ours, same calls",
            Self::OursBatch => "ours, batch calls",
        }
    }

    /// The template of its databases.
    pub(crate) fn template(self) -> &'static str {
        match self {
            Self::Raw | Self::RawBatch => "template_raw",
            Self::Official => "template_official",
            Self::Ours | Self::OursBatch => "template_ours",
        }
    }

    /// Whether it has runs and tasks, or messages only.
    pub(crate) fn has_engine(self) -> bool {
        !matches!(self, Self::Raw | Self::RawBatch)
    }

    /// The functions that it calls, in the notation of `to_regprocedure`.
    pub(crate) fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Raw | Self::RawBatch => &[],
            Self::Official | Self::Ours => &[
                "pgflow.start_flow(text,jsonb,uuid)",
                "pgflow.start_tasks(text,bigint[],uuid)",
                "pgflow.complete_task(uuid,text,integer,jsonb)",
            ],
            Self::OursBatch => &[
                "pgflow.start_flow(text,jsonb,uuid)",
                "pgflow.poll_tasks(text,uuid,integer)",
                "pgflow.complete_tasks(uuid[],text[],integer[],jsonb[])",
            ],
        }
    }

    /// Claims and completes up to `batch` tasks; returns their number.
    pub(crate) async fn work(
        self,
        connection: &mut PgConnection,
        worker: &str,
        queue: &str,
        (shape, batch): (Shape, i32),
    ) -> Result<usize, sqlx::Error> {
        match self {
            Self::Raw => {
                let messages = read(connection, queue, batch).await?;
                for message in &messages {
                    sqlx::query("select pgmq.archive($1, $2::bigint)")
                        .bind(queue)
                        .bind(message)
                        .fetch_one(&mut *connection)
                        .await?;
                }
                Ok(messages.len())
            }
            Self::RawBatch => {
                let messages = read(connection, queue, batch).await?;
                if !messages.is_empty() {
                    sqlx::query("select pgmq.archive($1, $2::bigint[])")
                        .bind(queue)
                        .bind(&messages)
                        .fetch_all(connection)
                        .await?;
                }
                Ok(messages.len())
            }
            Self::Official | Self::Ours => {
                let messages = read(connection, queue, batch).await?;
                if messages.is_empty() {
                    return Ok(0);
                }
                let tasks = start(connection, queue, &messages, worker).await?;
                for task in &tasks {
                    complete(connection, shape, task).await?;
                }
                Ok(tasks.len())
            }
            Self::OursBatch => {
                let tasks = poll(connection, queue, worker, batch).await?;
                if !tasks.is_empty() {
                    complete_all(connection, shape, &tasks).await?;
                }
                Ok(tasks.len())
            }
        }
    }
}

pub(crate) async fn read(connection: &mut PgConnection, queue: &str, batch: i32) -> Result<Vec<i64>, sqlx::Error> {
    let read = "select msg_id, message::text from pgmq.read($1, 3600, $2)";
    sqlx::query_scalar(read).bind(queue).bind(batch).fetch_all(connection).await
}

/// Claims the tasks of messages that were read.
pub(crate) async fn start(
    connection: &mut PgConnection,
    queue: &str,
    messages: &[i64],
    worker: &str,
) -> Result<Vec<Task>, sqlx::Error> {
    let start = "select run_id::text, step_slug, task_index, input::text from pgflow.start_tasks($1, $2, $3::uuid)";
    let rows = sqlx::query(start).bind(queue).bind(messages).bind(worker).fetch_all(connection).await?;
    rows.iter().map(task).collect()
}

async fn poll(connection: &mut PgConnection, queue: &str, worker: &str, batch: i32) -> Result<Vec<Task>, sqlx::Error> {
    let poll = "select run_id::text, step_slug, task_index, input::text from pgflow.poll_tasks($1, $2::uuid, $3)";
    let rows = sqlx::query(poll).bind(queue).bind(worker).bind(batch).fetch_all(connection).await?;
    rows.iter().map(task).collect()
}

fn task(row: &PgRow) -> Result<Task, sqlx::Error> {
    Ok(Task {
        run_id: row.try_get(0)?,
        step_slug: row.try_get(1)?,
        task_index: row.try_get(2)?,
        input: row.try_get(3)?,
    })
}

pub(crate) async fn complete(connection: &mut PgConnection, shape: Shape, task: &Task) -> Result<(), sqlx::Error> {
    let complete = "select status from pgflow.complete_task($1::uuid, $2, $3, $4::jsonb)";
    sqlx::query(complete)
        .bind(&task.run_id)
        .bind(&task.step_slug)
        .bind(task.task_index)
        .bind(shape.output(&task.step_slug, &task.input))
        .fetch_one(connection)
        .await
        .map(|_| ())
}

async fn complete_all(connection: &mut PgConnection, shape: Shape, tasks: &[Task]) -> Result<(), sqlx::Error> {
    let complete = "select status from pgflow.complete_tasks($1::text[]::uuid[], $2, $3, $4::text[]::jsonb[])";
    sqlx::query(complete)
        .bind(tasks.iter().map(|task| task.run_id.as_str()).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| task.step_slug.as_str()).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| task.task_index).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| shape.output(&task.step_slug, &task.input)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map(|_| ())
}
