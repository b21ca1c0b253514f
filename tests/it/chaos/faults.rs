//! Terminated connections and killed backends and servers: no acknowledged result is lost, and every run ends as it does
//! without faults.
//!
//! Only processes are killed, not the machine, so the server does not sync to disk. Commits must still be written before they
//! are acknowledged.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use flowsmith_devserver::Server;
use flowsmith_postgres::engine::install::{InputStyle, install};
use futures_util::future::{join, join_all};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::{sleep, timeout};

use crate::devserver::postmaster;
use crate::engine::concurrency::ends::{assert_archived, ends};
use crate::engine::concurrency::operators::Random;
use crate::engine::concurrency::shapes::{SHAPES, Shape};
use crate::engine::concurrency::workers::{Protocol, TIMEOUT, Tally, Worker, all_runs_have_ended};
use crate::engine::concurrency::{assert_no_violations, connect, load, query, try_connect};
use crate::fixture;

const WORKERS: usize = 4;

/// The errors, or SQLSTATEs, that calls may return if a connection is terminated or the server or pooler is killed. Any other
/// error fails the test.
const CUT: &[&str] = &[
    "57P01 ",
    "57P02 ",
    "57P03 ",
    "08P01 ",
    "error communicating",
    "error occurred",
    "expected to read",
    "encountered",
];

/// The state that the workers and the faults share.
struct Shared {
    /// The connection options of the current server.
    options: RefCell<PgConnectOptions>,
    tally: RefCell<Tally>,
    /// The number of acknowledged runs.
    runs: Cell<usize>,
    /// The number of calls that workers aborted.
    aborted: Cell<usize>,
    /// The number of calls that failed because of a fault.
    cut: Cell<usize>,
    done: Cell<bool>,
}

impl Shared {
    fn on(server: &Server) -> Self {
        Self {
            options: RefCell::new(options(server)),
            tally: RefCell::default(),
            runs: Cell::new(0),
            aborted: Cell::new(0),
            cut: Cell::new(0),
            done: Cell::new(false),
        }
    }

    fn options(&self) -> PgConnectOptions {
        self.options.borrow().clone()
    }

    fn completed(&self) -> usize {
        self.tally.borrow().completed.len()
    }

    /// Connects as soon as a server accepts connections.
    async fn connect(&self, name: &str) -> PgConnection {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match try_connect(self.options().application_name(name)).await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "no server: {error}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn server_is_gone(&self) {
        let deadline = Instant::now() + TIMEOUT;
        while try_connect(self.options()).await.is_ok() {
            assert!(Instant::now() < deadline, "the server still accepts connections");
        }
    }
}

fn options(server: &Server) -> PgConnectOptions {
    server.connect_options("load").options([("synchronous_commit", "on")])
}

pub(crate) fn is_cut(error: &str) -> bool {
    CUT.iter().any(|expected| error.starts_with(expected))
}

fn assert_cut(error: &str) {
    assert!(is_cut(error), "{error}");
}

/// Works, and reconnects after every loss. Aborts some calls by closing their connection.
async fn work_with_faults(shared: &Shared, worker: &mut Worker<'_>, flows: &[&str], seed: u64) {
    let mut random = Random::new(seed);
    while !shared.done.get() {
        let flow = flows[random.below(flows.len())];
        let turn = async {
            let tasks = worker.claim(flow).await?;
            worker.report_results(&tasks).await
        };
        let limit = if random.below(20) == 0 { Duration::from_micros(random.below(8000) as u64) } else { TIMEOUT };
        match timeout(limit, turn).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => {
                assert_cut(&error);
                shared.cut.set(shared.cut.get() + 1);
            }
            Err(_) => shared.aborted.set(shared.aborted.get() + 1),
        }
        worker.connection = shared.connect("worker").await;
    }
}

/// Starts runs while faults are injected, so that workers always have tasks.
async fn start_runs(shared: &Shared, shapes: &[&Shape]) {
    let mut connection = shared.connect("starter").await;
    for shape in shapes.iter().cycle() {
        if shared.done.get() {
            return;
        }
        let start = format!("select pgflow.start_flow('{}', '{}')", shape.slug, shape.input);
        match query(&mut connection, &start).await {
            Ok(_) => shared.runs.set(shared.runs.get() + 1),
            Err(error) => {
                assert_cut(&error);
                connection = shared.connect("starter").await;
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Terminates connections until the workers have completed this number of further tasks.
async fn cut_connections_for(shared: &Shared, tasks: usize) {
    let (deadline, until) = (Instant::now() + TIMEOUT, shared.completed() + tasks);
    let mut connection = shared.connect("cutter").await;
    while shared.completed() < until {
        let cut =
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('worker', 'starter')
                   order by random() limit 1";
        if let Err(error) = query(&mut connection, cut).await {
            assert_cut(&error);
            connection = shared.connect("cutter").await;
        }
        assert!(Instant::now() < deadline, "the workers complete no tasks");
        sleep(Duration::from_millis(15)).await;
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Lets all workers run without faults until no task is available.
async fn drain(pool: &mut [Worker<'_>], flows: &[&str]) {
    join_all(pool.iter_mut().map(async |worker| {
        loop {
            let mut done = 0;
            for flow in flows {
                let tasks = worker.claim(flow).await.unwrap();
                worker.report_results(&tasks).await.unwrap();
                done += tasks.len();
            }
            if done == 0 {
                return;
            }
        }
    }))
    .await;
}

/// Completes all runs after the faults. Moves timestamps back, so that tasks and messages of terminated sessions become
/// available.
async fn recover(connection: &mut PgConnection, pool: &mut [Worker<'_>], flows: &[&str]) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        drain(pool, flows).await;
        let failed = "select count(*) from pgflow.runs where status = 'failed'";
        if all_runs_have_ended(connection).await.unwrap() && query(connection, failed).await.unwrap() == "0" {
            return;
        }
        let stall = "update pgflow.step_tasks set queued_at = queued_at - interval '2 hours',
                       started_at = started_at - interval '2 hours' where status = 'started'";
        query(connection, stall).await.unwrap();
        for flow in flows {
            query(connection, &format!("update pgmq.q_{flow} set vt = vt - interval '2 hours'")).await.unwrap();
        }
        query(connection, "select pgflow.requeue_stalled_tasks()").await.unwrap();
        // The faults may have exhausted the attempts of a task.
        query(connection, "select pgflow.retry_run(run_id) from pgflow.runs where status = 'failed'").await.unwrap();
        assert!(Instant::now() < deadline, "some runs do not end");
    }
}

#[tokio::test]
async fn acknowledged_results_survive_kills_and_runs_end() {
    let folder = fixture::new_folder("faults");
    let server = fixture::start_server(&folder);
    server.ensure_database("load").await.unwrap();
    install(&options(&server), InputStyle::Separate).await.unwrap();
    let shapes: Vec<&Shape> = SHAPES.iter().filter(|shape| shape.is_determined()).collect();
    let flows: Vec<&str> = shapes.iter().map(|shape| shape.slug).collect();
    let shared = Shared::on(&server);
    let mut connection = shared.connect("setup").await;
    for shape in &shapes {
        query(&mut connection, &shape.define()).await.unwrap();
    }
    let mut pool = Vec::new();
    for n in 0..WORKERS {
        let protocol = if n % 2 == 0 { Protocol::Each } else { Protocol::Batches };
        let options = options(&server).application_name("worker");
        pool.push(Worker::connect(options, n, protocol, &shared.tally).await);
    }

    let mut servers = vec![server];
    let working = pool.iter_mut().zip(1..).map(|(worker, seed)| work_with_faults(&shared, worker, &flows, seed));
    let killing = async {
        for _ in 0..load() {
            cut_connections_for(&shared, 60).await;
            let mut connection = shared.connect("killer").await;
            let pid = "select pid from pg_stat_activity where application_name = 'worker' order by random() limit 1";
            let pid = query(&mut connection, pid).await.unwrap();
            // After this, the server terminates its other backends and restarts.
            if let Ok(pid) = pid.parse() {
                kill(pid);
            }
            cut_connections_for(&shared, 60).await;
            kill(postmaster(&folder));
            shared.server_is_gone().await;
            let again = folder.clone();
            let server = tokio::task::spawn_blocking(move || fixture::start_server(&again)).await.unwrap();
            assert!(server.started_here());
            shared.options.replace(options(&server));
            servers.push(server);
            cut_connections_for(&shared, 30).await;
        }
        shared.done.set(true);
    };
    join(join(join_all(working), start_runs(&shared, &shapes)), killing).await;

    let connection = &mut shared.connect("observer").await;
    for worker in &mut pool {
        worker.connection = connect(shared.options()).await;
    }
    for shape in &shapes {
        query(connection, &format!("select pgflow.start_flow('{}', '{}')", shape.slug, shape.input)).await.unwrap();
    }
    recover(connection, &mut pool, &flows).await;

    assert_no_violations(connection).await;
    for shape in &shapes {
        let found = ends(connection, shape).await;
        assert!(found.starts_with(&format!("{}|", shape.ends)) && !found.contains('\n'), "{found}");
        assert_archived(connection, shape.slug).await;
    }
    let runs: usize = query(connection, "select count(*) from pgflow.runs").await.unwrap().parse().unwrap();
    assert!(runs >= shared.runs.get() + shapes.len(), "{runs} runs of {} acknowledged ones", shared.runs.get());
    let lost = "select run_id, step_slug, task_index from pgflow.step_tasks where status = 'completed'";
    let mut acknowledged = shared.tally.take().completed;
    for row in query(connection, lost).await.unwrap().lines() {
        let columns: Vec<&str> = row.split('|').collect();
        acknowledged.remove(&(columns[0].to_owned(), columns[1].to_owned(), columns[2].parse().unwrap()));
    }
    assert!(acknowledged.is_empty(), "acknowledged but lost: {acknowledged:?}");
    assert!(shared.aborted.get() > 0 && shared.cut.get() > 0, "nothing was cut");
}
