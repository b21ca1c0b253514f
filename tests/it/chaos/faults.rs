//! Connections are cut, backends and the server killed in the middle of work: what was acknowledged is there afterwards,
//! and every run comes to the end that it has when nothing happens.
//!
//! Only processes are killed, not the machine, so the server need not sync to disk; commits must have left it, though.

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
use crate::engine::concurrency::operators::Dice;
use crate::engine::concurrency::shapes::{SHAPES, Shape};
use crate::engine::concurrency::workers::{PATIENCE, Protocol, Tally, Worker, is_all_over};
use crate::engine::concurrency::{assert_sound, connect, load, query, try_connect};
use crate::fixture;

const WORKERS: usize = 4;

/// What a cut connection, a killed server or a pooler that is cut off may end a call with, SQLSTATE first. No other error is
/// borne.
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

/// Everybody's view of the server and of what is going on.
struct Scene {
    /// How to connect to the server that runs at present.
    options: RefCell<PgConnectOptions>,
    tally: RefCell<Tally>,
    /// Runs that were acknowledged.
    runs: Cell<usize>,
    /// Calls that a worker broke off, and calls that were broken off for it.
    broken_off: Cell<usize>,
    cut: Cell<usize>,
    over: Cell<bool>,
}

impl Scene {
    fn on(server: &Server) -> Self {
        Self {
            options: RefCell::new(options(server)),
            tally: RefCell::default(),
            runs: Cell::new(0),
            broken_off: Cell::new(0),
            cut: Cell::new(0),
            over: Cell::new(false),
        }
    }

    fn options(&self) -> PgConnectOptions {
        self.options.borrow().clone()
    }

    fn completed(&self) -> usize {
        self.tally.borrow().completed.len()
    }

    /// A connection, as soon as there is a server to connect to.
    async fn connect(&self, name: &str) -> PgConnection {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match try_connect(self.options().application_name(name)).await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "no server: {error}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn server_is_gone(&self) {
        let deadline = Instant::now() + PATIENCE;
        while try_connect(self.options()).await.is_ok() {
            assert!(Instant::now() < deadline, "the server outlives its process");
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

/// Works, with a new connection where one was cut; breaks off some calls itself, by closing the socket under them.
async fn work_on_thin_ice(scene: &Scene, worker: &mut Worker<'_>, flows: &[&str], seed: u64) {
    let mut dice = Dice::new(seed);
    while !scene.over.get() {
        let flow = flows[dice.throw(flows.len())];
        let turn = async {
            let tasks = worker.take(flow).await?;
            worker.hand_back(&tasks).await
        };
        let patience = if dice.throw(20) == 0 { Duration::from_micros(dice.throw(8000) as u64) } else { PATIENCE };
        match timeout(patience, turn).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => {
                assert_cut(&error);
                scene.cut.set(scene.cut.get() + 1);
            }
            Err(_) => scene.broken_off.set(scene.broken_off.get() + 1),
        }
        worker.connection = scene.connect("worker").await;
    }
}

/// Starts runs as long as the faults go on, so that there is always work.
async fn start_runs(scene: &Scene, shapes: &[&Shape]) {
    let mut connection = scene.connect("starter").await;
    for shape in shapes.iter().cycle() {
        if scene.over.get() {
            return;
        }
        let start = format!("select pgflow.start_flow('{}', '{}')", shape.slug, shape.input);
        match query(&mut connection, &start).await {
            Ok(_) => scene.runs.set(scene.runs.get() + 1),
            Err(error) => {
                assert_cut(&error);
                connection = scene.connect("starter").await;
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the workers have completed so many tasks more; cuts connections meanwhile.
async fn cut_connections_for(scene: &Scene, tasks: usize) {
    let (deadline, until) = (Instant::now() + PATIENCE, scene.completed() + tasks);
    let mut connection = scene.connect("cutter").await;
    while scene.completed() < until {
        let cut =
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('worker', 'starter')
                   order by random() limit 1";
        if let Err(error) = query(&mut connection, cut).await {
            assert_cut(&error);
            connection = scene.connect("cutter").await;
        }
        assert!(Instant::now() < deadline, "the workers get nothing done");
        sleep(Duration::from_millis(15)).await;
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Everybody works, undisturbed, until no task can be had.
async fn drain(pool: &mut [Worker<'_>], flows: &[&str]) {
    join_all(pool.iter_mut().map(async |worker| {
        loop {
            let mut done = 0;
            for flow in flows {
                let tasks = worker.take(flow).await.unwrap();
                worker.hand_back(&tasks).await.unwrap();
                done += tasks.len();
            }
            if done == 0 {
                return;
            }
        }
    }))
    .await;
}

/// Takes up what the faults have left, by moving time: tasks in the hands of the dead, messages that the dead have read.
async fn recover(connection: &mut PgConnection, pool: &mut [Worker<'_>], flows: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        drain(pool, flows).await;
        let failed = "select count(*) from pgflow.runs where status = 'failed'";
        if is_all_over(connection).await.unwrap() && query(connection, failed).await.unwrap() == "0" {
            return;
        }
        let stall = "update pgflow.step_tasks set queued_at = queued_at - interval '2 hours',
                       started_at = started_at - interval '2 hours' where status = 'started'";
        query(connection, stall).await.unwrap();
        for flow in flows {
            query(connection, &format!("update pgmq.q_{flow} set vt = vt - interval '2 hours'")).await.unwrap();
        }
        query(connection, "select pgflow.requeue_stalled_tasks()").await.unwrap();
        // The faults may have cost a task all its attempts.
        query(connection, "select pgflow.retry_run(run_id) from pgflow.runs where status = 'failed'").await.unwrap();
        assert!(Instant::now() < deadline, "runs do not come to their end");
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
    let scene = Scene::on(&server);
    let mut connection = scene.connect("setup").await;
    for shape in &shapes {
        query(&mut connection, &shape.define()).await.unwrap();
    }
    let mut pool = Vec::new();
    for n in 0..WORKERS {
        let protocol = if n % 2 == 0 { Protocol::Each } else { Protocol::Batches };
        let options = options(&server).application_name("worker");
        pool.push(Worker::connect(options, n, protocol, &scene.tally).await);
    }

    let mut servers = vec![server];
    let working = pool.iter_mut().zip(1..).map(|(worker, seed)| work_on_thin_ice(&scene, worker, &flows, seed));
    let killing = async {
        for _ in 0..load() {
            cut_connections_for(&scene, 60).await;
            let mut connection = scene.connect("killer").await;
            let pid = "select pid from pg_stat_activity where application_name = 'worker' order by random() limit 1";
            let pid = query(&mut connection, pid).await.unwrap();
            // The server itself ends its other backends then, and starts anew.
            if let Ok(pid) = pid.parse() {
                kill(pid);
            }
            cut_connections_for(&scene, 60).await;
            kill(postmaster(&folder));
            scene.server_is_gone().await;
            let again = folder.clone();
            let server = tokio::task::spawn_blocking(move || fixture::start_server(&again)).await.unwrap();
            assert!(server.started_here());
            scene.options.replace(options(&server));
            servers.push(server);
            cut_connections_for(&scene, 30).await;
        }
        scene.over.set(true);
    };
    join(join(join_all(working), start_runs(&scene, &shapes)), killing).await;

    let connection = &mut scene.connect("observer").await;
    for worker in &mut pool {
        worker.connection = connect(scene.options()).await;
    }
    for shape in &shapes {
        query(connection, &format!("select pgflow.start_flow('{}', '{}')", shape.slug, shape.input)).await.unwrap();
    }
    recover(connection, &mut pool, &flows).await;

    assert_sound(connection).await;
    for shape in &shapes {
        let found = ends(connection, shape).await;
        assert!(found.starts_with(&format!("{}|", shape.ends)) && !found.contains('\n'), "{found}");
        assert_archived(connection, shape.slug).await;
    }
    let runs: usize = query(connection, "select count(*) from pgflow.runs").await.unwrap().parse().unwrap();
    assert!(runs >= scene.runs.get() + shapes.len(), "{runs} runs of {} acknowledged ones", scene.runs.get());
    let lost = "select run_id, step_slug, task_index from pgflow.step_tasks where status = 'completed'";
    let mut acknowledged = scene.tally.take().completed;
    for row in query(connection, lost).await.unwrap().lines() {
        let columns: Vec<&str> = row.split('|').collect();
        acknowledged.remove(&(columns[0].to_owned(), columns[1].to_owned(), columns[2].parse().unwrap()));
    }
    assert!(acknowledged.is_empty(), "acknowledged, and lost: {acknowledged:?}");
    assert!(scene.broken_off.get() > 0 && scene.cut.get() > 0, "nothing was cut");
}
