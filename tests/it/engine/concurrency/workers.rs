//! Workers that count their tasks, each with a separate connection.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection, Row};
use tokio::time::sleep;

use super::shapes::handle;
use super::{connect, describe, query};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// The functions by which a worker claims and completes tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// Reads messages, starts their tasks, and completes them one by one. Supported by every level.
    Each,
    /// Polls tasks and completes them in batches.
    Batches,
}

/// A task that a worker has claimed.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) key: Key,
    input: String,
    /// The number of the attempt, from 1.
    attempt: u32,
}

/// Run, step, index.
pub(crate) type Key = (String, String, i32);

/// How often workers started and completed each task.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) started: HashMap<Key, u32>,
    pub(crate) completed: HashMap<Key, u32>,
}

pub(crate) struct Worker<'t> {
    pub(crate) connection: PgConnection,
    /// A second connection, on which the worker repeats every completion.
    second: Option<PgConnection>,
    id: String,
    protocol: Protocol,
    tally: &'t RefCell<Tally>,
}

impl<'t> Worker<'t> {
    /// Registers a worker with the number `n`.
    pub(crate) async fn connect(
        options: PgConnectOptions,
        n: usize,
        protocol: Protocol,
        tally: &'t RefCell<Tally>,
    ) -> Self {
        let mut connection = connect(options).await;
        let id = format!("00000000-0000-0000-0000-{n:012}");
        let register = format!(
            "insert into pgflow.workers (worker_id, queue_name, function_name) values ('{id}', 'all', 'it') on conflict do nothing"
        );
        query(&mut connection, &register).await.unwrap();
        Self { connection, second: None, id, protocol, tally }
    }

    /// Repeats every completion in a second session.
    pub(crate) async fn with_second_session(mut self, options: PgConnectOptions) -> Self {
        self.second = Some(connect(options).await);
        self
    }

    /// Works until all runs have ended.
    pub(crate) async fn work(&mut self, flows: &[&str]) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let mut done = 0;
            for flow in flows {
                let tasks = self.claim(flow).await.unwrap();
                done += tasks.len();
                self.report_results(&tasks).await.unwrap();
            }
            if done == 0 {
                if all_runs_have_ended(&mut self.connection).await.unwrap() {
                    return;
                }
                assert!(Instant::now() < deadline, "some runs do not end");
                sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// Claims up to 10 tasks.
    pub(crate) async fn claim(&mut self, flow: &str) -> Result<Vec<Task>, String> {
        let columns = "run_id::text, step_slug, task_index, coalesce(flow_input, input)::text";
        let rows = match self.protocol {
            Protocol::Each => {
                let read: Vec<i64> = sqlx::query_scalar("select msg_id from pgmq.read($1, 30, 10)")
                    .bind(flow)
                    .fetch_all(&mut self.connection)
                    .await
                    .map_err(|error| describe(&error))?;
                let start = sqlx::AssertSqlSafe(format!("select {columns} from pgflow.start_tasks($1, $2, $3::uuid)"));
                sqlx::query(start).bind(flow).bind(read).bind(&self.id).fetch_all(&mut self.connection).await
            }
            Protocol::Batches => {
                let poll = sqlx::AssertSqlSafe(format!("select {columns} from pgflow.poll_tasks($1, $2::uuid, 10)"));
                sqlx::query(poll).bind(flow).bind(&self.id).fetch_all(&mut self.connection).await
            }
        };
        let rows = rows.map_err(|error| describe(&error))?;
        Ok(rows.iter().map(|row| self.received(row)).collect())
    }

    fn received(&self, row: &PgRow) -> Task {
        let key: Key = (row.get(0), row.get(1), row.get(2));
        let mut tally = self.tally.borrow_mut();
        let attempt = tally.started.entry(key.clone()).or_default();
        *attempt += 1;
        Task { key, input: row.get(3), attempt: *attempt }
    }

    /// Runs the handlers of tasks and reports their results.
    pub(crate) async fn report_results(&mut self, tasks: &[Task]) -> Result<(), String> {
        let mut outputs = Vec::new();
        for task in tasks {
            match handle(&task.key.1, task.key.2, &task.input, task.attempt) {
                Ok(output) => outputs.push((task, output)),
                Err(error) => {
                    sqlx::query("select from pgflow.fail_task($1::uuid, $2, $3, $4)")
                        .bind(&task.key.0)
                        .bind(&task.key.1)
                        .bind(task.key.2)
                        .bind(error)
                        .execute(&mut self.connection)
                        .await
                        .map_err(|error| describe(&error))?;
                }
            }
        }
        match self.protocol {
            Protocol::Each => {
                for one in &outputs {
                    self.complete(std::slice::from_ref(one)).await?;
                }
                Ok(())
            }
            Protocol::Batches if outputs.is_empty() => Ok(()),
            Protocol::Batches => self.complete(&outputs).await,
        }
    }

    async fn complete(&mut self, outputs: &[(&Task, String)]) -> Result<(), String> {
        let (protocol, connection) = (self.protocol, &mut self.connection);
        let statuses = match &mut self.second {
            None => complete(connection, protocol, outputs).await?,
            Some(second) => {
                let (one, other) =
                    join(complete(connection, protocol, outputs), complete(second, protocol, outputs)).await;
                other?;
                one?
            }
        };
        let mut tally = self.tally.borrow_mut();
        for ((task, _), status) in outputs.iter().zip(&statuses) {
            if status == "completed" {
                *tally.completed.entry(task.key.clone()).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// Completes tasks, and returns the resulting status of each.
async fn complete(
    connection: &mut PgConnection,
    protocol: Protocol,
    outputs: &[(&Task, String)],
) -> Result<Vec<String>, String> {
    let statuses = if protocol == Protocol::Each {
        let (task, output) = &outputs[0];
        sqlx::query_scalar("select status from pgflow.complete_task($1::uuid, $2, $3, $4::jsonb)")
            .bind(&task.key.0)
            .bind(&task.key.1)
            .bind(task.key.2)
            .bind(output)
            .fetch_all(connection)
            .await
    } else {
        sqlx::query_scalar("select status from pgflow.complete_tasks($1::uuid[], $2, $3, $4::jsonb[])")
            .bind(outputs.iter().map(|(task, _)| task.key.0.clone()).collect::<Vec<_>>())
            .bind(outputs.iter().map(|(task, _)| task.key.1.clone()).collect::<Vec<_>>())
            .bind(outputs.iter().map(|(task, _)| task.key.2).collect::<Vec<_>>())
            .bind(outputs.iter().map(|(_, output)| output.clone()).collect::<Vec<_>>())
            .fetch_all(connection)
            .await
    };
    statuses.map_err(|error| describe(&error))
}

/// Whether every run has ended.
pub(crate) async fn all_runs_have_ended(connection: &mut PgConnection) -> Result<bool, String> {
    Ok(query(connection, "select not exists (select from pgflow.runs where status = 'started')").await? == "t")
}

/// Runs this number of workers until all runs have ended.
pub(crate) async fn work(options: &PgConnectOptions, workers: usize, protocols: &[Protocol], flows: &[&str]) -> Tally {
    let tally = RefCell::default();
    let mut pool = Vec::new();
    for n in 0..workers {
        pool.push(Worker::connect(options.clone(), n, protocols[n % protocols.len()], &tally).await);
    }
    join_all(pool.iter_mut().map(|worker| worker.work(flows))).await;
    for worker in pool {
        worker.connection.close().await.unwrap();
    }
    tally.into_inner()
}
