//! Workers on a queue: measured from the first read to the last completion.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use crate::args::Args;
use crate::contender::Contender;
use crate::flow::{define, start_runs};
use crate::functions;
use crate::server::Place;
use crate::shape::Shape;
use crate::sql::run;

/// The pause after an empty read: about as long as another worker's completion takes.
const IDLE: Duration = Duration::from_millis(1);

/// The time without any completed task after which the measurement counts as hung.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Tasks that workers process before the measurement, to fill caches and plan statements.
const WARM_UP: usize = 200;

/// The id of the first worker.
pub(crate) const FIRST_WORKER: &str = "00000000-0000-4000-8000-000000000000";

/// The result of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Tasks per second.
    pub(crate) rate: f64,
    /// Bytes of write-ahead log per task.
    pub(crate) wal: f64,
    /// Processor time of the server's backends per task, in milliseconds: the figure that a busy machine disturbs least. `None`
    /// without `/proc`.
    pub(crate) cpu: Option<f64>,
}

/// A worker with its connection and its row in `pgflow.workers`.
pub(crate) struct Worker {
    connection: PgConnection,
    id: String,
    backend: i32,
}

/// Creates a database with a flow and a flow to warm up with, and measures workers on it.
pub(crate) async fn measure(place: &Place, args: &Args, contender: Contender, shape: Shape) -> Measured {
    let database = "measured";
    let mut connection = place.database(contender, database).await;
    for (flow, shape) in [("warm", shape.to_warm_up()), ("flow", shape)] {
        define(&mut connection, contender, shape, flow).await;
    }
    drop(connection);
    let measured = measure_in(place, args, contender, shape, database).await;
    place.drop(database).await;
    measured
}

/// Starts runs, lets workers warm up on other runs of the same shape, and measures them.
pub(crate) async fn measure_in(
    place: &Place,
    args: &Args,
    contender: Contender,
    shape: Shape,
    database: &str,
) -> Measured {
    let mut connection = place.connect(database).await;
    let had = counts(&mut connection, contender, "flow").await;
    let runs = (args.tasks() / shape.tasks_of_a_run()).max(1);
    let small = shape.to_warm_up();
    let warm_up = (WARM_UP / small.tasks_of_a_run()).max(1);
    start_runs(&mut connection, contender, small, "warm", warm_up).await;
    start_runs(&mut connection, contender, shape, "flow", runs).await;
    run(&mut connection, "vacuum analyze").await;
    let workers = workers(place, args, contender, database).await;
    let warm_up = Job { queue: "warm", shape: small, tasks: warm_up * small.tasks_of_a_run() };
    let (workers, _) = process(workers, args, contender, warm_up).await;

    let tasks = runs * shape.tasks_of_a_run();
    let backends: Vec<i32> = workers.iter().map(|worker| worker.backend).collect();
    let (before, cpu_before) = (wal(&mut connection).await, cpu(&backends));
    let (workers, took) = process(workers, args, contender, Job { queue: "flow", shape, tasks }).await;
    let (wal, cpu) = (wal(&mut connection).await - before, cpu(&backends));
    drop(workers);
    if args.functions {
        functions::print(&mut connection, contender, shape).await;
    }
    check(&mut connection, contender, "flow", had.and(runs, tasks)).await;
    Measured {
        rate: tasks as f64 / took.as_secs_f64(),
        wal: wal as f64 / tasks as f64,
        cpu: millis_each(cpu_before, cpu, tasks),
    }
}

/// As many as the arguments say, connected.
pub(crate) async fn workers(place: &Place, args: &Args, contender: Contender, database: &str) -> Vec<Worker> {
    let mut workers = Vec::new();
    for number in 0..args.workers {
        let mut connection = place.connect(database).await;
        let id = format!("00000000-0000-4000-8000-{number:012}");
        if contender.has_engine() {
            let register = format!(
                "insert into pgflow.workers (worker_id, queue_name, function_name) \
                 values ('{id}', 'flow', 'bench') on conflict do nothing"
            );
            run(&mut connection, &register).await;
        }
        let backend = backend(&mut connection).await;
        workers.push(Worker { connection, id, backend });
    }
    workers
}

/// What workers are to process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    queue: &'static str,
    shape: Shape,
    /// As many as there are.
    tasks: usize,
}

/// Lets workers process a queue until so many tasks are finished.
pub(crate) async fn process(
    workers: Vec<Worker>,
    args: &Args,
    contender: Contender,
    job: Job,
) -> (Vec<Worker>, Duration) {
    let done = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let working: Vec<_> = workers
        .into_iter()
        .map(|worker| tokio::spawn(work(worker, contender, job, args.batch, Arc::clone(&done))))
        .collect();
    let mut workers = Vec::new();
    for worker in working {
        workers.push(worker.await.expect("a worker ends in order"));
    }
    let took = start.elapsed();
    assert_eq!(done.load(Ordering::Relaxed), job.tasks, "{}: tasks finished", contender.name());
    (workers, took)
}

async fn work(
    mut worker: Worker,
    contender: Contender,
    Job { queue, shape, tasks }: Job,
    batch: i32,
    done: Arc<AtomicUsize>,
) -> Worker {
    let mut last = Instant::now();
    while done.load(Ordering::Relaxed) < tasks {
        let finished = contender
            .work(&mut worker.connection, &worker.id, queue, (shape, batch))
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", contender.name()));
        if finished > 0 {
            done.fetch_add(finished, Ordering::Relaxed);
            last = Instant::now();
        } else {
            let finished = done.load(Ordering::Relaxed);
            assert!(last.elapsed() < STALL_TIMEOUT, "{} hangs at {finished} of {tasks} tasks", contender.name());
            tokio::time::sleep(IDLE).await;
        }
    }
    worker
}

/// Where the write-ahead log is, in bytes.
pub(crate) async fn wal(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint")
        .fetch_one(connection)
        .await
        .expect("the place in the log")
}

/// The server's process of a connection.
pub(crate) async fn backend(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await.expect("a process")
}

/// How long processes have been on a processor together, in nanoseconds.
pub(crate) fn cpu(processes: &[i32]) -> Option<u64> {
    let of = |process: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
        line.split(' ').next()?.parse::<u64>().ok()
    };
    processes.iter().map(of).sum()
}

pub(crate) fn millis_each(before: Option<u64>, after: Option<u64>, count: usize) -> Option<f64> {
    Some((after? - before?) as f64 / 1e6 / count as f64)
}

/// How many of a flow there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub(crate) struct Counts {
    pub(crate) messages_left: i64,
    pub(crate) messages_archived: i64,
    pub(crate) runs: i64,
    pub(crate) completed_runs: i64,
    pub(crate) unfinished_steps: i64,
    pub(crate) tasks: i64,
    pub(crate) tasks_completed_at_once: i64,
}

impl Counts {
    /// These and so many completed ones more.
    pub(crate) fn and(self, runs: usize, tasks: usize) -> Self {
        let (runs, tasks) = (runs as i64, tasks as i64);
        Self {
            messages_archived: self.messages_archived + tasks,
            runs: self.runs + runs,
            completed_runs: self.completed_runs + runs,
            tasks: self.tasks + tasks,
            tasks_completed_at_once: self.tasks_completed_at_once + tasks,
            ..self
        }
    }
}

async fn counts(connection: &mut PgConnection, contender: Contender, flow: &str) -> Counts {
    let sql = if contender.has_engine() { include_str!("counts.sql") } else { include_str!("raw_counts.sql") };
    sqlx::query_as(sqlx::AssertSqlSafe(sql.replace(":flow", flow))).fetch_one(connection).await.expect("counts")
}

/// Every run is completed, every task too and at its first attempt, and all messages are in the archive.
pub(crate) async fn check(connection: &mut PgConnection, contender: Contender, flow: &str, expected: Counts) {
    let mut found = counts(connection, contender, flow).await;
    if !contender.has_engine() {
        found = Counts { messages_left: found.messages_left, messages_archived: found.messages_archived, ..expected };
    }
    assert_eq!(found, expected, "{}: what is there afterwards", contender.name());
}
