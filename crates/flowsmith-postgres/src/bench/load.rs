//! Connections that start runs and process tasks like workers, without running handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use minijinja::{Value, context};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};
use tokio::task::{JoinError, JoinSet};

use super::events::Calls;
use super::{BenchError, Protocol, Scenario, TEMPLATES};
use crate::database::transaction::{Opening, send};
use crate::database::{DatabaseError, Failure, Target};

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
    pub(super) async fn connect(target: &Target, count: usize, name: &str) -> Result<Self, BenchError> {
        let mut workers = Vec::new();
        for _ in 0..count {
            let mut connection = target.connect().await?;
            let rows = call(&mut connection, "register_worker.sql", context! { name }).await?;
            let id = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get("worker_id")?;
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

/// Sends one call as a worker does: in one message.
async fn call(connection: &mut PgConnection, file: &str, context: Value) -> Result<Vec<PgRow>, BenchError> {
    Ok(send(connection, Opening::write().frequent(), &TEMPLATES.render(file, context)).await?)
}

async fn start_share(mut worker: Worker, flow: String, run_ids: Vec<String>) -> Result<Worker, BenchError> {
    for (number, run_id) in run_ids.into_iter().enumerate() {
        let input = format!("{{\"order\":{number},\"customer\":\"c-123\"}}");
        call(
            &mut worker.connection,
            "start_flow.sql",
            context! { flow => flow.as_str(), input, run_id => run_id.as_str() },
        )
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
        let read =
            context! { flow => job.flow.as_str(), visibility_timeout => VISIBILITY_TIMEOUT, quantity => job.batch };
        let messages = call(&mut self.connection, "read_messages.sql", read).await?;
        let messages: Vec<i64> = messages.iter().map(|row| row.try_get("msg_id")).collect::<Result<_, _>>()?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        self.claim("start_tasks.sql", context! { flow => job.flow.as_str(), worker => self.id.as_str(), messages })
            .await
    }

    async fn poll(&mut self, job: &Job) -> Result<Vec<Task>, BenchError> {
        self.claim(
            "poll_tasks.sql",
            context! { flow => job.flow.as_str(), worker => self.id.as_str(), quantity => job.batch },
        )
        .await
    }

    async fn claim(&mut self, file: &str, context: Value) -> Result<Vec<Task>, BenchError> {
        let rows = call(&mut self.connection, file, context).await?;
        Ok(rows.iter().map(Task::from_row).collect::<Result<_, _>>()?)
    }

    async fn complete(&mut self, job: &Job, task: &Task) -> Result<(), BenchError> {
        self.send_completion(job, std::slice::from_ref(task), false).await
    }

    async fn complete_all(&mut self, job: &Job, tasks: &[Task]) -> Result<(), BenchError> {
        self.send_completion(job, tasks, true).await
    }

    async fn send_completion(&mut self, job: &Job, tasks: &[Task], is_batch: bool) -> Result<(), BenchError> {
        let output = |task: &Task| job.scenario.output(&task.step_slug, &task.input);
        let context = context! {
            is_batch,
            run_ids => tasks.iter().map(|task| task.run_id.clone()).collect::<Vec<_>>(),
            steps => tasks.iter().map(|task| task.step_slug.clone()).collect::<Vec<_>>(),
            indexes => tasks.iter().map(|task| task.task_index).collect::<Vec<_>>(),
            outputs => tasks.iter().map(output).collect::<Vec<_>>(),
        };
        call(&mut self.connection, "complete_tasks.sql", context).await?;
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
