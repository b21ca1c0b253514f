//! The shutdown of workers, deleted rows, and cut connections.

use std::sync::Arc;
use std::time::Duration;

use flowsmith_worker::Event;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Fixture, RunningWorker, WAIT_TIMEOUT};
use crate::engine::definitions::execute;

const MAP: &str = "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a', step_type => 'map')";

/// Where handlers wait for a permit.
struct Gate {
    permits: Semaphore,
    /// One permit for each handler that has begun.
    begun: Semaphore,
}

impl Gate {
    fn add_permits(&self, count: usize) {
        self.permits.add_permits(count);
    }

    /// Waits until `count` more handlers have begun: the row of a task says `started` a moment earlier.
    async fn handlers_begun(&self, count: u32) {
        tokio::time::timeout(WAIT_TIMEOUT, self.begun.acquire_many(count)).await.unwrap().unwrap().forget();
    }
}

/// A worker whose handlers wait for a permit.
async fn gated(fixture: &Fixture, shutdown_timeout: Option<Duration>) -> (RunningWorker, Arc<Gate>) {
    let gate = Arc::new(Gate { permits: Semaphore::new(0), begun: Semaphore::new(0) });
    let pass = Arc::clone(&gate);
    let handler = move |input: Value, _| {
        let pass = Arc::clone(&pass);
        async move {
            pass.begun.add_permits(1);
            pass.permits.acquire().await?.forget();
            Ok(input)
        }
    };
    let mut builder = fixture.builder().flow("f").step("a", handler).step_concurrency("a", 2);
    if let Some(timeout) = shutdown_timeout {
        builder = builder.shutdown_timeout(timeout);
    }
    (fixture.work(builder).await, gate)
}

#[tokio::test]
async fn shutdown_finishes_running_tasks_and_returns_unstarted_ones() {
    let mut fixture = Fixture::with(MAP).await;
    let (worker, gate) = gated(&fixture, None).await;
    let run = fixture.start("f", "[1, 2, 3, 4, 5]").await;
    fixture.until("(select count(*) = 5 from pgflow.step_tasks where status = 'started')").await;
    gate.handlers_begun(2).await;
    let ended = worker.begin_to_stop();
    assert_eq!(
        fixture.events.wait(|event| matches!(event, Event::Draining { .. })).await,
        Event::Draining { running: 2, unacknowledged: 0 }
    );
    // Unstarted tasks return to the queue, and the claim does not count as an attempt.
    let back = "(select count(*) = 3 from pgflow.step_tasks where status = 'queued' and attempts_count = 0 and started_at is null)";
    fixture.until(back).await;
    assert_eq!(fixture.text("(select count(*) from pgmq.q_f where vt <= clock_timestamp())").await, "3");
    assert!(!ended.is_finished());
    gate.add_permits(2);
    tokio::time::timeout(WAIT_TIMEOUT, ended).await.unwrap().unwrap().unwrap();
    assert_eq!(fixture.text("(select count(*) from pgflow.step_tasks where status = 'completed')").await, "2");
    assert_eq!(fixture.text("(select count(*) from pgflow.workers where stopped_at is not null)").await, "1");

    let (worker, gate) = gated(&fixture, None).await;
    gate.add_permits(5);
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "a": [1, 2, 3, 4, 5] })));
    worker.stop().await;
    assert_eq!(fixture.text("(select max(attempts_count) from pgflow.step_tasks)").await, "1");
    fixture.assert_sound().await;
}

#[tokio::test]
async fn shutdown_timeout_returns_running_tasks_to_the_queue() {
    let mut fixture = Fixture::with(MAP).await;
    let (worker, gate) = gated(&fixture, Some(Duration::from_millis(50))).await;
    fixture.start("f", "[1, 2, 3]").await;
    fixture.until("(select count(*) = 3 from pgflow.step_tasks where status = 'started')").await;
    gate.handlers_begun(2).await;
    worker.stop().await;
    // A started attempt counts.
    let tasks = "(select string_agg(status || attempts_count, ' ' order by attempts_count) from pgflow.step_tasks)";
    assert_eq!(fixture.text(tasks).await, "queued0 queued1 queued1");
    fixture.assert_sound().await;
}

#[tokio::test]
async fn deprecated_worker_drains_and_exits() {
    let mut fixture = Fixture::with(MAP).await;
    let (worker, gate) = gated(&fixture, None).await;
    fixture.start("f", "[1]").await;
    fixture.until("(select count(*) = 1 from pgflow.step_tasks where status = 'started')").await;
    execute(&mut fixture.c, "update pgflow.workers set deprecated_at = now()").await;
    fixture.events.wait(|event| *event == Event::Deprecated { flow: "f".to_owned() }).await;
    fixture.start("f", "[2]").await;
    gate.add_permits(2);
    tokio::time::timeout(WAIT_TIMEOUT, worker.ended).await.unwrap().unwrap().unwrap();
    let tasks = "(select string_agg(status, ' ' order by queued_at) from pgflow.step_tasks)";
    assert_eq!(fixture.text(tasks).await, "completed queued");
}

#[tokio::test]
async fn deleted_worker_row_is_inserted_again() {
    let mut fixture = Fixture::with(MAP).await;
    let (worker, gate) = gated(&fixture, None).await;
    gate.add_permits(10);
    fixture.until("(select count(*) = 1 from pgflow.workers)").await;
    execute(&mut fixture.c, "delete from pgflow.workers").await;
    fixture.until("(select count(*) = 1 from pgflow.workers)").await;
    let run = fixture.start("f", "[1]").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    worker.stop().await;
}

#[tokio::test]
async fn cut_connections_reconnect_and_lose_no_task() {
    let mut fixture = Fixture::with(
        "select pgflow.create_flow('f', max_attempts => 1); select pgflow.add_step('f', 'a', step_type => 'map');
         select pgflow.add_step('f', 'b', '{a}', step_type => 'map')",
    )
    .await;
    let short = |input: Value, _| async move {
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok(input)
    };
    let builder = fixture.builder().connections(3).batch(5).concurrency(10);
    let worker = fixture.work(builder.flow("f").step("a", short).step("b", short)).await;
    let items: Vec<u32> = (0..300).collect();
    let run = fixture.start("f", &json!(items).to_string()).await;
    // Cuts after each part of the work, so that a busy machine makes progress in between. More frequent cuts would increase the
    // back-off.
    let mut cuts = 0;
    for part in 1..=6 {
        fixture
            .until(&format!("(select count(*) >= {} from pgflow.step_tasks where status = 'completed')", part * 80))
            .await;
        let cut = "(select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where application_name = 'flowsmith worker' and datname = current_database())";
        cuts += fixture.text(cut).await.parse::<usize>().unwrap();
        assert!(fixture.events.find(|event| matches!(event, Event::Rejected { .. })).is_none());
    }
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "b": items })));
    assert!(cuts >= 10, "{cuts}");
    worker.stop().await;
    fixture.assert_sound().await;
}
