//! Connections that start runs and process tasks like workers, without running handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, FromRow};
use tokio::task::{JoinError, JoinSet};

use super::events::Calls;
use super::{BenchError, Protocol, Scenario};
use crate::database::{DatabaseError, Failure};

/// The visibility timeout of read messages in seconds; longer than any stall of the machine.
const VISIBILITY_TIMEOUT: i32 = 3600;

/// The pause after an empty read. New tasks appear when another worker completes one, which takes about as long.
const IDLE: Duration = Duration::from_millis(1);

/// The longest time without a finished task.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The work of all workers.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) scenario: Scenario,
    pub(super) flow: String,
    pub(super) tasks: usize,
    pub(super) protocol: Protocol,
    pub(super) batch: usize,
}

/// One connection with the times of its calls.
pub(super) struct Worker {
    connection: PgConnection,
    id: String,
    calls: Calls,
}

/// A claimed task.
#[derive(FromRow)]
struct Task {
    run_id: String,
    step_slug: String,
    task_index: i32,
    input: String,
}

/// The workers of a benchmark.
pub(super) struct Workers(Vec<Worker>);

impl Workers {
    /// Connects `count` workers and registers them, because tasks refer to their worker.
    pub(super) async fn connect(options: &PgConnectOptions, count: usize, name: &str) -> Result<Self, BenchError> {
        let mut workers = Vec::new();
        for _ in 0..count {
            let mut connection = PgConnection::connect_with(options).await?;
            let id =
                sqlx::query_scalar(include_str!("register_worker.sql")).bind(name).fetch_one(&mut connection).await?;
            workers.push(Worker { connection, id, calls: Calls::default() });
        }
        Ok(Self(workers))
    }

    /// Starts runs with these ids, distributed over the workers.
    pub(super) async fn start(&mut self, flow: &str, run_ids: &[String]) -> Result<(), BenchError> {
        let workers = std::mem::take(&mut self.0);
        let mut starting = JoinSet::new();
        let share = run_ids.len().div_ceil(workers.len());
        let mut shares = run_ids.chunks(share).map(<[String]>::to_vec);
        for worker in workers {
            starting.spawn(start_share(worker, flow.to_owned(), shares.next().unwrap_or_default()));
        }
        self.gather(starting).await
    }

    /// Processes tasks until all are finished.
    pub(super) async fn process(&mut self, job: &Job) -> Result<(), BenchError> {
        let finished = Arc::new(AtomicUsize::new(0));
        let mut working = JoinSet::new();
        for worker in std::mem::take(&mut self.0) {
            working.spawn(process_share(worker, job.clone(), Arc::clone(&finished)));
        }
        self.gather(working).await
    }

    /// Waits for all workers. The first error stops the others.
    async fn gather(&mut self, mut working: JoinSet<Result<Worker, BenchError>>) -> Result<(), BenchError> {
        while let Some(worker) = working.join_next().await {
            let broken = |error: JoinError| {
                DatabaseError::new(Failure::Lost, format!("a worker panicked: {error}")).with_source(error)
            };
            self.0.push(worker.map_err(broken)??);
        }
        Ok(())
    }

    /// The call times of all workers. Of several completions of one run, the last counts.
    pub(super) fn calls(self) -> Calls {
        let mut all = Calls::default();
        for worker in self.0 {
            all.start.extend(worker.calls.start);
            for (run_id, at) in worker.calls.completion {
                all.completion.entry(run_id).and_modify(|last| *last = at.max(*last)).or_insert(at);
            }
        }
        all
    }
}

async fn start_share(mut worker: Worker, flow: String, run_ids: Vec<String>) -> Result<Worker, BenchError> {
    for (number, run_id) in run_ids.into_iter().enumerate() {
        let input = format!("{{\"order\":{number},\"customer\":\"c-123\"}}");
        sqlx::query("select status from pgflow.start_flow($1, $2::jsonb, $3::uuid)")
            .bind(&flow)
            .bind(input)
            .bind(&run_id)
            .fetch_one(&mut worker.connection)
            .await?;
        worker.calls.start.insert(run_id, Instant::now());
    }
    Ok(worker)
}

async fn process_share(mut worker: Worker, job: Job, finished: Arc<AtomicUsize>) -> Result<Worker, BenchError> {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let so_far = finished.load(Ordering::Relaxed);
        if so_far >= job.tasks {
            return Ok(worker);
        }
        if so_far > seen {
            (seen, since) = (so_far, Instant::now());
        } else if since.elapsed() > STALL_TIMEOUT {
            let (scenario, tasks, waited) = (job.scenario, job.tasks, STALL_TIMEOUT.as_secs());
            return Err(BenchError::Stalled { scenario, finished: so_far, tasks, waited });
        }
        match worker.work(&job).await? {
            0 => tokio::time::sleep(IDLE).await,
            count => {
                finished.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

impl Worker {
    /// Claims a batch of tasks, completes them and returns their number.
    async fn work(&mut self, job: &Job) -> Result<usize, BenchError> {
        let tasks = match job.protocol {
            Protocol::Single => self.read_and_start(job).await?,
            Protocol::Batch => self.poll(job).await?,
        };
        match job.protocol {
            Protocol::Batch if !tasks.is_empty() => self.complete_all(job, &tasks).await?,
            Protocol::Batch => {}
            Protocol::Single => {
                for task in &tasks {
                    self.complete(job, task).await?;
                }
            }
        }
        Ok(tasks.len())
    }

    async fn read_and_start(&mut self, job: &Job) -> Result<Vec<Task>, BenchError> {
        let messages: Vec<i64> = sqlx::query_scalar("select msg_id from pgmq.read($1, $2, $3)")
            .bind(&job.flow)
            .bind(VISIBILITY_TIMEOUT)
            .bind(job.batch as i32)
            .fetch_all(&mut self.connection)
            .await?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as(include_str!("start_tasks.sql")).bind(&job.flow).bind(messages).bind(&self.id);
        Ok(query.fetch_all(&mut self.connection).await?)
    }

    async fn poll(&mut self, job: &Job) -> Result<Vec<Task>, BenchError> {
        let query =
            sqlx::query_as(include_str!("poll_tasks.sql")).bind(&job.flow).bind(&self.id).bind(job.batch as i32);
        Ok(query.fetch_all(&mut self.connection).await?)
    }

    async fn complete(&mut self, job: &Job, task: &Task) -> Result<(), BenchError> {
        sqlx::query("select status from pgflow.complete_task($1::uuid, $2, $3, $4::jsonb)")
            .bind(&task.run_id)
            .bind(&task.step_slug)
            .bind(task.task_index)
            .bind(job.scenario.output(&task.step_slug, &task.input))
            .fetch_one(&mut self.connection)
            .await?;
        self.record_completion(std::slice::from_ref(task));
        Ok(())
    }

    async fn complete_all(&mut self, job: &Job, tasks: &[Task]) -> Result<(), BenchError> {
        let output = |task: &Task| job.scenario.output(&task.step_slug, &task.input);
        sqlx::query("select status from pgflow.complete_tasks($1::text[]::uuid[], $2, $3, $4::text[]::jsonb[])")
            .bind(tasks.iter().map(|task| task.run_id.as_str()).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.step_slug.as_str()).collect::<Vec<_>>())
            .bind(tasks.iter().map(|task| task.task_index).collect::<Vec<_>>())
            .bind(tasks.iter().map(output).collect::<Vec<_>>())
            .fetch_all(&mut self.connection)
            .await?;
        self.record_completion(tasks);
        Ok(())
    }

    fn record_completion(&mut self, tasks: &[Task]) {
        let answered = Instant::now();
        for task in tasks {
            match self.calls.completion.get_mut(&task.run_id) {
                Some(last) => *last = answered,
                None => drop(self.calls.completion.insert(task.run_id.clone(), answered)),
            }
        }
    }
}
