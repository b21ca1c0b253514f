//! `flowsmith worker --schedule`: runs that triggers start, beside the tasks or without any.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process::Running;
use super::{PATIENCE, Scene};
use crate::command::{Project, ours};
use crate::engine_definitions::execute;

/// A schedule that fires each second, where there is no pg_cron, and a queue of pgmq.
const TRIGGERS: &str = "triggers:
  - { name: often, cron: '1 seconds', input: { by: often } }
  - { name: imported, queue: 'pgmq:imports' }";

/// A flow `f` with these triggers, applied.
async fn triggered(step: &str) -> (Scene, Project) {
    let database = ours().await;
    let project = Project::on(&database);
    project.write("flows/f.yaml", &format!("flow: f\nsteps:\n  a: {step}\n{TRIGGERS}\n"));
    let mut scene = Scene::on(database, "select 1").await;
    execute(&mut scene.c, "select pgmq.create('imports')").await;
    project.compile();
    project.done(&["apply"]);
    (scene, project)
}

const RUNS: &str = "pgflow.runs r where r.flow_slug = 'f' and r.input";

#[tokio::test]
async fn schedules_and_queues_start_runs_where_no_task_is_done_and_through_a_cut() {
    let (mut scene, project) = triggered("{}").await;
    let worker = Running::start(&project, &["--schedule", "--poll-interval", "100ms"]);
    worker.says("runs schedules, takes from pgmq:imports").await;
    scene.until(&format!("(select count(*) >= 1 from {RUNS} @> '{{\"by\": \"often\"}}')")).await;
    execute(&mut scene.c, "select pgmq.send('imports', jsonb_build_object('n', n)) from generate_series(1, 30) n")
        .await;
    scene.until(&format!("(select count(*) = 30 from {RUNS} ? 'n')")).await;

    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'flowsmith starter' \
               and datname = current_database()";
    execute(&mut scene.c, cut).await;
    worker.says("connected again").await;
    execute(&mut scene.c, "select pgmq.send('imports', jsonb_build_object('n', n)) from generate_series(31, 60) n")
        .await;
    scene.until(&format!("(select count(*) = 60 and count(distinct r.input) = 60 from {RUNS} ? 'n')")).await;

    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("f:imported: ") && said.contains("connection lost"), "{said}");
    assert_eq!(scene.text("(select count(*) from pgflow.workers)").await, "0", "it does no tasks");
}

#[tokio::test]
async fn losses_that_follow_each_other_have_growing_pauses_between_them() {
    let (mut scene, project) = triggered("{}").await;
    let worker = Running::start(&project, &["--schedule", "--poll-interval", "50ms"]);
    worker.says("runs schedules").await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'flowsmith starter' \
               and datname = current_database()";
    let deadline = Instant::now() + PATIENCE;
    while !worker.said().contains("connects again in 0.8 s") {
        assert!(Instant::now() < deadline, "{}", worker.said());
        execute(&mut scene.c, cut).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(worker.said().contains("connects again in 0.4 s"), "{}", worker.said());
}

#[tokio::test]
async fn a_worker_does_the_tasks_of_the_runs_that_it_starts() {
    let (mut scene, project) = triggered("{ handler: { sql: 'select :input' } }").await;
    let worker = Running::start(&project, &["--schedule", "--poll-interval", "100ms"]);
    execute(&mut scene.c, "select pgmq.send('imports', '{\"n\": 1}')").await;
    scene.until(&format!("(select count(*) = 1 from {RUNS} ? 'n' and r.status = 'completed')")).await;
    // One that is told to leave starts no more runs either.
    execute(&mut scene.c, "update pgflow.workers set deprecated_at = now()").await;
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    scene.assert_sound().await;
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_and_keeps_no_schedule_from_its_turn() {
    let (mut scene, project) = triggered("{}").await;
    execute(&mut scene.c, "select pgmq.drop_queue('imports')").await;
    let worker = Running::start(&project, &["--schedule"]);
    worker.says("f:imported: cannot take from the queue imports").await;
    scene.until(&format!("(select count(*) >= 1 from {RUNS} @> '{{\"by\": \"often\"}}')")).await;
}

#[tokio::test]
async fn a_database_without_triggers_is_refused() {
    let (mut scene, project) = triggered("{}").await;
    execute(&mut scene.c, "drop schema flowsmith cascade").await;
    let outcome = project.run(&["worker", "--schedule"]);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.both().contains("FS997"), "{outcome}");
}
