//! How workers end, and what they do where connections do.

use std::sync::Arc;
use std::time::Duration;

use flowsmith_worker::Event;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{PATIENCE, Scene, Working};
use crate::engine::definitions::execute;

const MAP: &str = "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a', step_type => 'map')";

/// A worker whose handlers end when they are let through.
async fn gated(scene: &Scene, shutdown_timeout: Option<Duration>) -> (Working, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let pass = Arc::clone(&gate);
    let handler = move |input: Value, _| {
        let pass = Arc::clone(&pass);
        async move {
            pass.acquire().await?.forget();
            Ok(input)
        }
    };
    let mut builder = scene.builder().flow("f").step("a", handler).step_concurrency("a", 2);
    if let Some(timeout) = shutdown_timeout {
        builder = builder.shutdown_timeout(timeout);
    }
    (scene.work(builder).await, gate)
}

#[tokio::test]
async fn it_finishes_what_runs_and_hands_back_what_has_not_begun() {
    let mut scene = Scene::with(MAP).await;
    let (worker, gate) = gated(&scene, None).await;
    let run = scene.start("f", "[1, 2, 3, 4, 5]").await;
    scene.until("(select count(*) = 5 from pgflow.step_tasks where status = 'started')").await;
    let ended = worker.begin_to_stop();
    assert_eq!(
        scene.events.wait(|event| matches!(event, Event::Draining { .. })).await,
        Event::Draining { running: 2, untold: 0 }
    );
    // Those that it has not begun are there for others, as if it had never had them.
    let back = "(select count(*) = 3 from pgflow.step_tasks where status = 'queued' and attempts_count = 0 and started_at is null)";
    scene.until(back).await;
    assert_eq!(scene.text("(select count(*) from pgmq.q_f where vt <= clock_timestamp())").await, "3");
    assert!(!ended.is_finished());
    gate.add_permits(2);
    tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap();
    assert_eq!(scene.text("(select count(*) from pgflow.step_tasks where status = 'completed')").await, "2");
    assert_eq!(scene.text("(select count(*) from pgflow.workers where stopped_at is not null)").await, "1");

    let (worker, gate) = gated(&scene, None).await;
    gate.add_permits(5);
    assert_eq!(scene.end_of(&run).await, ("completed".to_owned(), json!({ "a": [1, 2, 3, 4, 5] })));
    worker.stop().await;
    assert_eq!(scene.text("(select max(attempts_count) from pgflow.step_tasks)").await, "1");
    scene.assert_sound().await;
}

#[tokio::test]
async fn shutdown_timeout_returns_running_tasks_to_the_queue() {
    let mut scene = Scene::with(MAP).await;
    let (worker, _gate) = gated(&scene, Some(Duration::from_millis(50))).await;
    scene.start("f", "[1, 2, 3]").await;
    scene.until("(select count(*) = 3 from pgflow.step_tasks where status = 'started')").await;
    worker.stop().await;
    // An attempt that had begun counts.
    let tasks = "(select string_agg(status || attempts_count, ' ' order by attempts_count) from pgflow.step_tasks)";
    assert_eq!(scene.text(tasks).await, "queued0 queued1 queued1");
    scene.assert_sound().await;
}

#[tokio::test]
async fn a_worker_that_is_deprecated_drains_and_ends() {
    let mut scene = Scene::with(MAP).await;
    let (worker, gate) = gated(&scene, None).await;
    scene.start("f", "[1]").await;
    scene.until("(select count(*) = 1 from pgflow.step_tasks where status = 'started')").await;
    execute(&mut scene.c, "update pgflow.workers set deprecated_at = now()").await;
    scene.events.wait(|event| *event == Event::Deprecated { flow: "f".to_owned() }).await;
    scene.start("f", "[2]").await;
    gate.add_permits(2);
    tokio::time::timeout(PATIENCE, worker.ended).await.unwrap().unwrap().unwrap();
    let tasks = "(select string_agg(status, ' ' order by queued_at) from pgflow.step_tasks)";
    assert_eq!(scene.text(tasks).await, "completed queued");
}

#[tokio::test]
async fn its_row_comes_back_where_somebody_deletes_it() {
    let mut scene = Scene::with(MAP).await;
    let (worker, gate) = gated(&scene, None).await;
    gate.add_permits(10);
    scene.until("(select count(*) = 1 from pgflow.workers)").await;
    execute(&mut scene.c, "delete from pgflow.workers").await;
    scene.until("(select count(*) = 1 from pgflow.workers)").await;
    let run = scene.start("f", "[1]").await;
    assert_eq!(scene.end_of(&run).await.0, "completed");
    worker.stop().await;
}

#[tokio::test]
async fn connections_that_are_cut_come_back_and_nothing_is_lost() {
    let mut scene = Scene::with(
        "select pgflow.create_flow('f', max_attempts => 1); select pgflow.add_step('f', 'a', step_type => 'map');
         select pgflow.add_step('f', 'b', '{a}', step_type => 'map')",
    )
    .await;
    let short = |input: Value, _| async move {
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok(input)
    };
    let builder = scene.builder().connections(3).batch(5).concurrency(10);
    let worker = scene.work(builder.flow("f").step("a", short).step("b", short)).await;
    let items: Vec<u32> = (0..300).collect();
    let run = scene.start("f", &json!(items).to_string()).await;
    // After each part of the work, so that also a busy machine gets somewhere between two cuts. Not more often: the pauses
    // between losses that follow each other grow.
    let mut cuts = 0;
    for part in 1..=6 {
        scene
            .until(&format!("(select count(*) >= {} from pgflow.step_tasks where status = 'completed')", part * 80))
            .await;
        let cut = "(select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where application_name = 'flowsmith worker' and datname = current_database())";
        cuts += scene.text(cut).await.parse::<usize>().unwrap();
        assert!(scene.events.find(|event| matches!(event, Event::Refused { .. })).is_none());
    }
    assert_eq!(scene.end_of(&run).await, ("completed".to_owned(), json!({ "b": items })));
    assert!(cuts >= 10, "{cuts}");
    worker.stop().await;
    scene.assert_sound().await;
}
