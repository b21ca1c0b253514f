//! The calls to the engine, each one round trip without prepared statements, so that they work behind any pooler.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::handler::HandlerError;
use super::task::{Handed, StepFacts, TaskId};
use crate::database::{DatabaseError, Failure, Statement, array};
use crate::migration::quote::{identifier, literal};

/// What the engine can do, and how to talk to it.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    /// Functions for running flows that are not there.
    pub(super) lacks: String,
    /// Whether tasks are polled and completed in batches.
    pub(super) batches: bool,
    /// Whether stalled tasks can be recovered.
    pub(super) recovers: bool,
    /// Whether tasks come with the run's input.
    has_flow_input: bool,
    /// Whether it notes when workers end.
    notes_ends: bool,
    /// Why no event goes out; none where they do.
    pub(super) silent: Option<String>,
}

macro_rules! statements {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Statement> =
            LazyLock::new(|| Statement::parse(include_str!(concat!("sql/", $file))).expect("our own SQL"));)*
    };
}

statements! {
    FLOWS = "flows.sql";
    REGISTER = "register.sql";
    BEAT = "beat.sql";
    STOP = "stop.sql";
    POLL = "poll.sql";
    READ = "read.sql";
    START = "start.sql";
    COMPLETE = "complete.sql";
    COMPLETE_ONE = "complete_one.sql";
    FAIL = "fail.sql";
    FAIL_FINALLY = "fail_finally.sql";
    STATUS = "status.sql";
    HAND_BACK = "hand_back.sql";
    ORPHANS = "orphans.sql";
    RECOVER = "recover.sql";
    BEGIN = "begin.sql";
    OLDER = "older.sql";
    GONE = "gone.sql";
}

/// What a heartbeat or a look says of a queue.
#[derive(Debug)]
pub(super) struct News {
    pub(super) flow: String,
    /// Seconds until its next message is visible, less than 0 where one is; none where no message is there.
    pub(super) due: Option<f64>,
    pub(super) is_deprecated: bool,
}

/// The shortest time after which a call that has had no answer is given up, and the connection with it: a network that
/// swallows everything does not say so.
const CALL: Duration = Duration::from_secs(30);

/// As many bytes of a statement as the slowest network takes in a second.
const BYTES_A_SECOND: usize = 256 << 10;

async fn rows(connection: &mut PgConnection, sql: String) -> Result<Vec<PgRow>, DatabaseError> {
    let patience = CALL + Duration::from_secs((sql.len() / BYTES_A_SECOND) as u64);
    let call = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection);
    match tokio::time::timeout(patience, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(unanswered(patience)),
    }
}

/// The failure of a call that got no answer in this time.
pub(super) fn unanswered(patience: Duration) -> DatabaseError {
    DatabaseError::new(Failure::Lost, format!("the database gave no answer within {} s", patience.as_secs()))
}

impl Engine {
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, DatabaseError> {
        let row = sqlx::raw_sql(include_str!("sql/abilities.sql")).fetch_one(connection).await?;
        let silent: String = row.try_get("silent")?;
        Ok(Self {
            lacks: row.try_get("lacks")?,
            batches: row.try_get("batches")?,
            recovers: row.try_get("recovers")?,
            has_flow_input: row.try_get("flow_input")?,
            notes_ends: row.try_get("stopped_at")?,
            silent: Some(silent).filter(|silent| !silent.is_empty()),
        })
    }

    /// The steps of those of the flows that there are.
    pub(super) async fn flows(
        &self,
        connection: &mut PgConnection,
        flows: &[&str],
    ) -> Result<BTreeMap<String, Vec<(String, StepFacts)>>, DatabaseError> {
        let sql = FLOWS.fill(&[("flows", &array(flows, "text"))]);
        let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in rows(connection, sql).await? {
            let steps = found.entry(row.try_get("flow_slug")?).or_default();
            if let Some(step) = row.try_get::<Option<String>, _>("step_slug")? {
                let timeout: i32 = row.try_get("timeout")?;
                steps.push((
                    step,
                    StepFacts {
                        timeout: timeout.unsigned_abs(),
                        has_dependents: row.try_get("has_dependents")?,
                        is_delayed: row.try_get("is_delayed")?,
                    },
                ));
            }
        }
        Ok(found)
    }

    /// Ids of the worker's new rows by queue.
    pub(super) async fn register(
        &self,
        connection: &mut PgConnection,
        name: &str,
        flows: &[&str],
    ) -> Result<BTreeMap<String, String>, DatabaseError> {
        let sql = REGISTER.fill(&[("name", &literal(name)), ("queues", &array(flows, "text"))]);
        rows(connection, sql).await?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Writes the heartbeat, in the same round trip as a look at these queues.
    pub(super) async fn beat(
        &self,
        connection: &mut PgConnection,
        name: &str,
        flows: &[(&str, &str)],
        queues: &[&str],
    ) -> Result<Vec<News>, DatabaseError> {
        let beat = BEAT.fill(&[
            ("name", &literal(name)),
            ("ids", &array(flows.iter().map(|(_, id)| id), "uuid")),
            ("queues", &array(flows.iter().map(|(flow, _)| flow), "text")),
        ]);
        let look = look(queues.iter().copied());
        let mut news: Vec<News> = Vec::new();
        for row in rows(connection, format!("{beat};\n{look}")).await? {
            if row.len() == 3 {
                news.push(heard(&row)?);
            } else if row.try_get(1)? {
                news.push(News { flow: row.try_get(0)?, due: None, is_deprecated: true });
            }
        }
        Ok(news)
    }

    /// When each queue has its next message.
    pub(super) async fn look(&self, connection: &mut PgConnection, flows: &[&str]) -> Result<Vec<News>, DatabaseError> {
        rows(connection, look(flows.iter().copied())).await?.iter().map(heard).collect()
    }

    /// Those of the flows whose queue is not there.
    pub(super) async fn gone(
        &self,
        connection: &mut PgConnection,
        flows: &[&str],
    ) -> Result<Vec<String>, DatabaseError> {
        let sql = GONE.fill(&[("flows", &array(flows, "text"))]);
        rows(connection, sql).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Of these flows, those with runs under way that no worker works on: how many runs.
    pub(super) async fn left_alone(
        &self,
        connection: &mut PgConnection,
        flows: &[String],
    ) -> Result<BTreeMap<String, i64>, DatabaseError> {
        let not_stopped = if self.notes_ends { "and w.stopped_at is null" } else { "" };
        let sql = OLDER.fill(&[("flows", &array(flows, "text")), ("not_stopped", not_stopped)]);
        let mut alone = BTreeMap::new();
        for row in rows(connection, sql).await? {
            if row.try_get::<i64, _>(2)? == 0 {
                alone.insert(row.try_get(0)?, row.try_get(1)?);
            }
        }
        Ok(alone)
    }

    /// Takes up to so many tasks of a flow.
    pub(super) async fn poll(
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
    pub(super) async fn complete(
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
    pub(super) async fn complete_one(
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
    pub(super) async fn fail(
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

    /// Whether a task is completed.
    pub(super) async fn is_completed(
        &self,
        connection: &mut PgConnection,
        task: &TaskId,
    ) -> Result<bool, DatabaseError> {
        let rows = rows(connection, fill_one(&STATUS, task, &[])).await?;
        Ok(rows.iter().any(|row| is(row, "completed")))
    }

    /// Gives tasks of a flow back to its queue; how many of them were still this worker's.
    pub(super) async fn hand_back(
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
    pub(super) async fn held(
        &self,
        connection: &mut PgConnection,
        worker_id: &str,
    ) -> Result<Vec<TaskId>, DatabaseError> {
        let stalled = if self.recovers { "and t.permanently_stalled_at is null" } else { "" };
        let sql = ORPHANS.fill(&[("worker", &literal(worker_id)), ("stalled", stalled)]);
        rows(connection, sql).await?.iter().map(|row| Ok(task_id(row)?)).collect()
    }

    /// Queues tasks of silent workers again; how many.
    pub(super) async fn recover(&self, connection: &mut PgConnection) -> Result<i64, DatabaseError> {
        let rows = rows(connection, RECOVER.fill(&[])).await?;
        let count: i32 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        Ok(count.into())
    }

    /// Notes that the worker has ended.
    pub(super) async fn stop(&self, connection: &mut PgConnection, ids: &[&str]) -> Result<(), DatabaseError> {
        let column = if self.notes_ends { "stopped_at" } else { "last_heartbeat_at" };
        rows(connection, STOP.fill(&[("column", column), ("ids", &array(ids, "uuid"))])).await.map(drop)
    }
}

/// `min` goes through the queue's index on `vt`; a paused flow's messages are visible never.
fn look<'f>(flows: impl Iterator<Item = &'f str>) -> String {
    let each = flows.map(|flow| {
        let table = identifier(&format!("q_{}", flow.to_lowercase()));
        let flow = literal(flow);
        format!(
            "select {flow}, false, (select extract(epoch from min(q.vt)) - extract(epoch from clock_timestamp()) \
             from pgmq.{table} q where q.vt < 'infinity')::double precision"
        )
    });
    each.collect::<Vec<_>>().join("\nunion all ")
}

fn heard(row: &PgRow) -> Result<News, DatabaseError> {
    Ok(News { flow: row.try_get(0)?, is_deprecated: row.try_get(1)?, due: row.try_get(2)? })
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

pub(super) fn fill_one(statement: &Statement, task: &TaskId, more: &[(&str, &str)]) -> String {
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
