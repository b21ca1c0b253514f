//! Runs that are cancelled, retried, paused, requeued, pruned and deleted while workers work on them.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use futures_util::future::{join, join_all};
use sqlx::postgres::PgConnection;
use tokio::task::yield_now;

use super::ends::{assert_archived, ends};
use super::events::Events;
use super::shapes::{SHAPES, Shape};
use super::workers::{PATIENCE, Protocol, Tally, Task, Worker, is_all_over};
use super::{assert_sound, connect, engine, load, query};
use crate::fixture::Database;

/// Numbers without a pattern, the same in every test.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub(crate) fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// Makes tasks that are in hand look as if they had been so for hours.
pub(crate) const STALL: &str = "update pgflow.step_tasks t
    set queued_at = t.queued_at - interval '2 hours', started_at = t.started_at - interval '2 hours'
    from (select ctid from pgflow.step_tasks where status = 'started' and permanently_stalled_at is null
          order by random() limit 3 for update skip locked) picked
    where t.ctid = picked.ctid";

/// A run that is not over, or any where there is none.
const SOME_RUN: &str = "(select run_id from pgflow.runs order by status = 'completed', random() limit 1)";

/// Works until told that all is over. Some tasks go into a drawer, out of which they come late or never.
async fn work_carelessly(worker: &mut Worker<'_>, flows: &[&str], over: &Cell<bool>, errors: &[&str], seed: u64) {
    let mut dice = Dice::new(seed);
    let mut drawer: Vec<Task> = Vec::new();
    let bear = |result: Result<(), String>| {
        let Err(error) = result else { return };
        assert!(errors.iter().any(|expected| error.starts_with(expected)), "{error}");
    };
    while !over.get() {
        for flow in flows {
            let mut now = match worker.take(flow).await {
                Ok(taken) => taken,
                Err(error) => {
                    bear(Err(error));
                    continue;
                }
            };
            let late = now.len() - dice.throw(now.len() + 1).max(now.len() / 2);
            let late: Vec<Task> = now.drain(..late).collect();
            if dice.throw(3) == 0 {
                now.append(&mut drawer);
            }
            drawer.extend(late);
            bear(worker.hand_back(&now).await);
        }
        yield_now().await;
    }
}

/// What operators do, so many times, each time one of the statements.
async fn operate(connection: &mut PgConnection, times: usize, statements: &[&str], seed: u64) {
    let mut dice = Dice::new(seed);
    for _ in 0..times {
        let statement = statements[dice.throw(statements.len())];
        if let Err(error) = query(connection, statement).await {
            panic!("{statement}: {error}");
        }
    }
}

/// Sees to it that every run completes: nothing is paused, what failed is retried, what is in hand is requeued.
async fn calm_down(connection: &mut PgConnection) {
    let deadline = Instant::now() + PATIENCE;
    query(connection, "select pgflow.resume_flow(flow_slug) from pgflow.paused_flows").await.unwrap();
    while !is_all_over(connection).await.unwrap()
        || query(connection, "select count(*) from pgflow.runs where status = 'failed'").await.unwrap() != "0"
    {
        for statement in [
            STALL,
            "select pgflow.requeue_stalled_tasks()",
            // One run a transaction: several, in any order, may well deadlock with a batch.
            "select pgflow.cancel_run(run_id) from (
               select t.run_id from pgflow.step_tasks t
               join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug and s.status = 'started'
               join pgflow.runs r on r.run_id = t.run_id and r.status = 'started'
               where t.permanently_stalled_at is not null and t.status = 'started' limit 1) one",
            "select pgflow.retry_run(run_id) from (select run_id from pgflow.runs where status = 'failed' limit 1) one",
        ] {
            query(connection, statement).await.unwrap();
        }
        assert!(Instant::now() < deadline, "runs do not come to their end");
    }
}

/// Four careless workers and so many sessions of operators on runs of these shapes, until all runs have completed.
async fn disturb(database: &Database, shapes: &[&Shape], runs: usize, operators: &[&[&str]]) {
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

    let over = Cell::new(false);
    let working = pool.iter_mut().zip(1..).map(|(worker, seed)| work_carelessly(worker, &flows, &over, &[], seed));
    let operating = async {
        let all = sessions.iter_mut().zip(operators).zip(11..);
        join_all(all.map(|((session, statements), seed)| operate(session, 60 * load(), statements, seed))).await;
        calm_down(connection).await;
        over.set(true);
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
async fn runs_that_are_cancelled_retried_paused_and_requeued_complete_as_if_left_alone() {
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
    disturb(
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
    assert_sound(connection).await;
    events.assert_told_once(connection).await;
}

#[tokio::test]
async fn runs_are_pruned_whole_whoever_comes_late() {
    let shapes = determined();
    let database = define(&shapes).await;
    let cancel = format!("select pgflow.cancel_run({SOME_RUN})");
    let retry = format!("select pgflow.retry_run({SOME_RUN})");
    let retry_failed =
        "select pgflow.retry_run(run_id) from pgflow.runs where status = 'failed' order by random() limit 1";
    let prune = "select pgflow.prune_runs('0', null, 3)";
    let operators: &[&[&str]] = &[&[&cancel, prune], &[&retry, retry_failed], &[&retry, retry_failed], &[prune]];
    disturb(&database, &shapes, shapes.len() * 10 * load(), operators).await;

    let connection = &mut connect(database.options()).await;
    for shape in &shapes {
        let found = ends(connection, shape).await;
        assert!(found.is_empty() || found.starts_with(shape.ends) && !found.contains('\n'), "{found}");
        assert_archived(connection, shape.slug).await;
    }
    assert_sound(connection).await;
    query(connection, "select pgflow.prune_runs('0', null, 100000)").await.unwrap();
    let left = "select (select count(*) from pgflow.runs), (select count(*) from pgflow.step_states), (select count(*) from pgflow.step_tasks)";
    assert_eq!(query(connection, left).await.unwrap(), "0|0|0");
}

#[tokio::test]
async fn flow_can_be_recreated_while_workers_run() {
    // The flow or its queue is not there at the moment.
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

    let over = Cell::new(false);
    let working = pool.iter_mut().zip(1..).map(|(worker, seed)| work_carelessly(worker, &flows, &over, GONE, seed));
    let starting = async {
        while !over.get() {
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
        over.set(true);
    };
    join(join_all(working), join(starting, deleting)).await;

    let connection = &mut connect(database.options()).await;
    assert_sound(connection).await;
    for flow in flows {
        query(connection, &format!("select pgflow.delete_flow_and_data('{flow}')")).await.unwrap();
    }
    let left = "select (select count(*) from pgflow.runs), (select count(*) from pgflow.step_states),
                       (select count(*) from pgflow.step_tasks), (select count(*) from pgmq.meta)";
    assert_eq!(query(connection, left).await.unwrap(), "0|0|0|0");
}
