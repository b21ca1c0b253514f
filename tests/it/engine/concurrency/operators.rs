//! Runs that are cancelled, retried, paused, requeued, pruned and deleted while workers run.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use futures_util::future::{join, join_all};
use sqlx::postgres::PgConnection;
use tokio::task::yield_now;

use super::ends::{assert_archived, ends};
use super::events::Events;
use super::shapes::{SHAPES, Shape};
use super::workers::{Protocol, TIMEOUT, Tally, Task, Worker, all_runs_have_ended};
use super::{assert_no_violations, connect, engine, load, query};
use crate::fixture::Database;

/// Pseudo-random numbers from a fixed seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Moves the timestamps of some started tasks back by hours, so that they count as stalled.
pub(crate) const STALL: &str = "update pgflow.step_tasks t
    set queued_at = t.queued_at - interval '2 hours', started_at = t.started_at - interval '2 hours'
    from (select ctid from pgflow.step_tasks where status = 'started' and permanently_stalled_at is null
          order by random() limit 3 for update skip locked) picked
    where t.ctid = picked.ctid";

/// A random run that has not completed; any run if all have.
const SOME_RUN: &str = "(select run_id from pgflow.runs order by status = 'completed', random() limit 1)";

/// Works until `done` is set. Reports the results of some tasks late or never.
async fn work_unreliably(worker: &mut Worker<'_>, flows: &[&str], done: &Cell<bool>, errors: &[&str], seed: u64) {
    let mut random = Random::new(seed);
    let mut delayed: Vec<Task> = Vec::new();
    let expect_error = |result: Result<(), String>| {
        let Err(error) = result else { return };
        assert!(errors.iter().any(|expected| error.starts_with(expected)), "{error}");
    };
    while !done.get() {
        for flow in flows {
            let mut now = match worker.claim(flow).await {
                Ok(taken) => taken,
                Err(error) => {
                    expect_error(Err(error));
                    continue;
                }
            };
            let late = now.len() - random.below(now.len() + 1).max(now.len() / 2);
            let late: Vec<Task> = now.drain(..late).collect();
            if random.below(3) == 0 {
                now.append(&mut delayed);
            }
            delayed.extend(late);
            expect_error(worker.report_results(&now).await);
        }
        yield_now().await;
    }
}

/// Executes this number of statements, chosen at random.
async fn operate(connection: &mut PgConnection, times: usize, statements: &[&str], seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..times {
        let statement = statements[random.below(statements.len())];
        if let Err(error) = query(connection, statement).await {
            panic!("{statement}: {error}");
        }
    }
}

/// Makes every run complete: resumes paused flows, retries failed runs, and requeues started tasks.
async fn complete_all_runs(connection: &mut PgConnection) {
    let deadline = Instant::now() + TIMEOUT;
    query(connection, "select pgflow.resume_flow(flow_slug) from pgflow.paused_flows").await.unwrap();
    while !all_runs_have_ended(connection).await.unwrap()
        || query(connection, "select count(*) from pgflow.runs where status = 'failed'").await.unwrap() != "0"
    {
        for statement in [
            STALL,
            "select pgflow.requeue_stalled_tasks()",
            // One run per transaction, because several runs in any order can deadlock with a batch.
            "select pgflow.cancel_run(run_id) from (
               select t.run_id from pgflow.step_tasks t
               join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug and s.status = 'started'
               join pgflow.runs r on r.run_id = t.run_id and r.status = 'started'
               where t.permanently_stalled_at is not null and t.status = 'started' limit 1) one",
            "select pgflow.retry_run(run_id) from (select run_id from pgflow.runs where status = 'failed' limit 1) one",
        ] {
            query(connection, statement).await.unwrap();
        }
        assert!(Instant::now() < deadline, "some runs do not end");
    }
}

/// Runs flows of these shapes with four unreliable workers and concurrent sessions of operators until all runs have
/// completed.
async fn run_with_operators(database: &Database, shapes: &[&Shape], runs: usize, operators: &[&[&str]]) {
    let connection = &mut connect(database.options()).await;
    for n in 0..runs {
        let shape = shapes[n % shapes.len()];
        query(connection, &format!("select pgflow.start_flow('{}', '{}')", shape.slug, shape.input)).await.unwrap();
    }
    let flows: Vec<&str> = shapes.iter().map(|shape| shape.slug).collect();
    let tally: RefCell<Tally> = RefCell::default();
    let mut pool = Vec::new();
    for n in 0..4 {
        let protocol = if n % 2 == 0 { Protocol::Each } else { Protocol::Batches };
        pool.push(Worker::connect(database.options(), n, protocol, &tally).await);
    }
    let mut sessions = Vec::new();
    for _ in operators {
        sessions.push(connect(database.options()).await);
    }

    let done = Cell::new(false);
    let working = pool.iter_mut().zip(1..).map(|(worker, seed)| work_unreliably(worker, &flows, &done, &[], seed));
    let operating = async {
        let all = sessions.iter_mut().zip(operators).zip(11..);
        join_all(all.map(|((session, statements), seed)| operate(session, 60 * load(), statements, seed))).await;
        complete_all_runs(connection).await;
        done.set(true);
    };
    join(join_all(working), operating).await;
}

fn determined() -> Vec<&'static Shape> {
    SHAPES.iter().filter(|shape| shape.is_determined()).collect()
}

async fn define(shapes: &[&Shape]) -> Database {
    let define: Vec<String> = shapes.iter().map(|shape| shape.define()).collect();
    engine(&define.join(";")).await
}

#[tokio::test]
async fn runs_complete_despite_cancel_retry_pause_and_requeue() {
    let shapes = determined();
    let database = define(&shapes).await;
    let events = Events::listen(&database).await;
    let cancel = format!("select pgflow.cancel_run({SOME_RUN})");
    let retry = format!("select pgflow.retry_run({SOME_RUN})");
    let retry_failed =
        "select pgflow.retry_run(run_id) from pgflow.runs where status = 'failed' order by random() limit 1";
    let pause = "select pgflow.pause_flow(flow_slug) from pgflow.flows order by random() limit 1";
    let resume = "select pgflow.resume_flow(flow_slug) from pgflow.paused_flows order by random() limit 1";
    let runs = 6 * load();
    run_with_operators(
        &database,
        &shapes,
        shapes.len() * runs,
        &[
            &[&cancel],
            &[&retry, retry_failed],
            &[&retry, retry_failed],
            &[pause, resume, resume],
            &[STALL, "select pgflow.requeue_stalled_tasks()"],
            &["select pgflow.requeue_stalled_tasks()"],
        ],
    )
    .await;

    let connection = &mut connect(database.options()).await;
    for shape in &shapes {
        let found = ends(connection, shape).await;
        assert!(found.starts_with(&format!("{}|", shape.ends)) && found.ends_with(&format!("|{runs}")), "{found}");
        assert_archived(connection, shape.slug).await;
    }
    assert_no_violations(connection).await;
    events.assert_received_once(connection).await;
}

#[tokio::test]
async fn prune_deletes_whole_runs_despite_late_workers() {
    let shapes = determined();
    let database = define(&shapes).await;
    let cancel = format!("select pgflow.cancel_run({SOME_RUN})");
    let retry = format!("select pgflow.retry_run({SOME_RUN})");
    let retry_failed =
        "select pgflow.retry_run(run_id) from pgflow.runs where status = 'failed' order by random() limit 1";
    let prune = "select pgflow.prune_runs('0', null, 3)";
    let operators: &[&[&str]] = &[&[&cancel, prune], &[&retry, retry_failed], &[&retry, retry_failed], &[prune]];
    run_with_operators(&database, &shapes, shapes.len() * 10 * load(), operators).await;

    let connection = &mut connect(database.options()).await;
    for shape in &shapes {
        let found = ends(connection, shape).await;
        assert!(found.is_empty() || found.starts_with(shape.ends) && !found.contains('\n'), "{found}");
        assert_archived(connection, shape.slug).await;
    }
    assert_no_violations(connection).await;
    query(connection, "select pgflow.prune_runs('0', null, 100000)").await.unwrap();
    let left = "select (select count(*) from pgflow.runs), (select count(*) from pgflow.step_states), (select count(*) from pgflow.step_tasks)";
    assert_eq!(query(connection, left).await.unwrap(), "0|0|0");
}

#[tokio::test]
async fn flow_can_be_deleted_and_created_again_while_workers_run() {
    // The flow or its queue does not exist at the moment.
    const GONE: &[&str] = &["42P01 ", "23503 "];
    let shapes: Vec<&Shape> = SHAPES.iter().filter(|shape| ["maps", "retries"].contains(&shape.slug)).collect();
    let database = define(&shapes).await;
    let flows: Vec<&str> = shapes.iter().map(|shape| shape.slug).collect();
    let tally: RefCell<Tally> = RefCell::default();
    let mut pool = Vec::new();
    for n in 0..4 {
        let protocol = if n % 2 == 0 { Protocol::Each } else { Protocol::Batches };
        pool.push(Worker::connect(database.options(), n, protocol, &tally).await);
    }
    let (mut starter, mut deleter) = (connect(database.options()).await, connect(database.options()).await);

    let done = Cell::new(false);
    let working = pool.iter_mut().zip(1..).map(|(worker, seed)| work_unreliably(worker, &flows, &done, GONE, seed));
    let starting = async {
        while !done.get() {
            for shape in &shapes {
                let start = format!("select pgflow.start_flow('{}', '{}')", shape.slug, shape.input);
                if let Err(error) = query(&mut starter, &start).await {
                    assert!(GONE.iter().any(|expected| error.starts_with(expected)), "{error}");
                }
            }
        }
    };
    let deleting = async {
        for n in 0..12 * load() {
            let shape = shapes[n % shapes.len()];
            query(&mut deleter, &format!("select pgflow.delete_flow_and_data('{}')", shape.slug)).await.unwrap();
            query(&mut deleter, &shape.define()).await.unwrap();
            let busy = format!("select count(*) > 2 from pgflow.step_tasks where flow_slug = '{}'", shape.slug);
            while query(&mut deleter, &busy).await.unwrap() != "t" {
                yield_now().await;
            }
        }
        done.set(true);
    };
    join(join_all(working), join(starting, deleting)).await;

    let connection = &mut connect(database.options()).await;
    assert_no_violations(connection).await;
    for flow in flows {
        query(connection, &format!("select pgflow.delete_flow_and_data('{flow}')")).await.unwrap();
    }
    let left = "select (select count(*) from pgflow.runs), (select count(*) from pgflow.step_states),
                       (select count(*) from pgflow.step_tasks), (select count(*) from pgmq.meta)";
    assert_eq!(query(connection, left).await.unwrap(), "0|0|0|0");
}
