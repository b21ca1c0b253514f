//! `flowsmith worker --schedule`: runs that triggers start, beside the tasks or without any.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process::{Running, Silent};
use super::{PATIENCE, Scene};
use crate::engine::definitions::execute;
use crate::fixture::command::{Project, ours};
use crate::pgq::with_pgq;

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
    worker.says("watching schedules, consuming from pgmq:imports").await;
    scene.until(&format!("(select count(*) >= 1 from {RUNS} @> '{{\"by\": \"often\"}}')")).await;
    execute(&mut scene.c, "select pgmq.send('imports', jsonb_build_object('n', n)) from generate_series(1, 30) n")
        .await;
    scene.until(&format!("(select count(*) = 30 from {RUNS} ? 'n')")).await;

    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'flowsmith starter' \
               and datname = current_database()";
    execute(&mut scene.c, cut).await;
    worker.says("reconnected").await;
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
    worker.says("watching schedules").await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'flowsmith starter' \
               and datname = current_database()";
    let deadline = Instant::now() + PATIENCE;
    while !worker.said().contains("reconnecting in 0.8 s") {
        assert!(Instant::now() < deadline, "{}", worker.said());
        execute(&mut scene.c, cut).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(worker.said().contains("reconnecting in 0.4 s"), "{}", worker.said());
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
    worker.says("f:imported: cannot consume from queue imports").await;
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

#[tokio::test]
async fn one_signal_ends_it_also_where_the_server_falls_silent_while_it_takes_events() {
    let (mut scene, project) = triggered("{}").await;
    let mut holder = scene.database.connect().await;
    execute(&mut holder, "begin; lock table pgmq.q_imports in access exclusive mode").await;
    let mut worker = Running::start(&project, &["--schedule", "--poll-interval", "50ms"]);
    let takes = "(select count(*) = 1 from pg_stat_activity where application_name = 'flowsmith starter'
                  and datname = current_database() and wait_event_type = 'Lock' and query like '%pgmq.read(%')";
    scene.until(takes).await;
    let _silent = Silent::all(&mut scene).await;
    worker.signal(Signal::TERM);
    assert_eq!(worker.ends().await, Some(0), "{}", worker.said());
    assert!(worker.said().contains("connection lost: the database did not answer within 30 s"), "{}", worker.said());
}

/// The most memory that a process has had, in MiB.
#[cfg(target_os = "linux")]
fn peak(worker: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_batch_of_pgq_of_any_size_is_never_in_memory_at_once() {
    if with_pgq().await.is_none() {
        return;
    }
    let database = ours().await;
    let project = Project::on(&database);
    let trigger = "triggers:\n  - { name: imported, queue: 'pgq:imports', input_sql: 'to_jsonb(event.id)' }";
    project.write("flows/f.yaml", &format!("flow: f\nsteps:\n  a: {{}}\n{trigger}\n"));
    let mut scene = Scene::on(database, "create extension pgq").await;
    execute(&mut scene.c, "select pgq.create_queue('imports')").await;
    project.compile();
    project.done(&["apply"]);
    let worker = Running::start(&project, &["--schedule", "--poll-interval", "100ms"]);
    scene.until("(select count(*) = 1 from pgq.get_consumer_info())").await;
    let before = peak(&worker);
    // 1,500 events of 128 KiB: 188 MiB, which are kept several times while they are sent and received.
    let events = "select pgq.insert_event('imports', 'n', repeat('x', 131072)) from generate_series(1, 1500)";
    execute(&mut scene.c, events).await;
    execute(&mut scene.c, "select pgq.force_tick('imports')").await;
    execute(&mut scene.c, "select pgq.ticker('imports')").await;
    scene.until("(select count(*) = 1500 from pgflow.runs)").await;
    let after = peak(&worker);
    assert!(after - before < 120, "{before} MiB, then {after} MiB");
    worker.says("f:imported: 1500 runs started").await;
}
