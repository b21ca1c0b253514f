//! `flowsmith worker --schedule`: triggers, with and without handlers.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process::{StoppedSessions, WorkerProcess};
use super::{Fixture, WAIT_TIMEOUT};
use crate::engine::definitions::execute;
use crate::fixture::command::{Project, flowsmith_engine};
use crate::triggers::pgq::with_pgq;

/// A schedule that starts a run every second without pg_cron, and a pgmq queue.
const TRIGGERS: &str = "triggers:
  - { name: often, cron: '1 seconds', input: { by: often } }
  - { name: imported, queue: 'pgmq:imports' }";

/// The applied flow `f` with these triggers.
async fn triggered(step: &str) -> (Fixture, Project) {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.write("flows/f.yaml", &format!("flow: f\nsteps:\n  a: {step}\n{TRIGGERS}\n"));
    let mut fixture = Fixture::on(database, "select 1").await;
    execute(&mut fixture.c, "select pgmq.create('imports')").await;
    project.compile();
    project.succeeds(&["apply"]);
    (fixture, project)
}

const RUNS: &str = "pgflow.runs r where r.flow_slug = 'f' and r.input";

#[tokio::test]
async fn triggers_start_runs_without_handlers_and_after_a_reconnect() {
    let (mut fixture, project) = triggered("{}").await;
    let worker = WorkerProcess::start(&project, &["--schedule", "--poll-interval", "100ms"]);
    worker.wait_for_log("watching schedules, consuming from pgmq:imports").await;
    fixture.until(&format!("(select count(*) >= 1 from {RUNS} @> '{{\"by\": \"often\"}}')")).await;
    execute(&mut fixture.c, "select pgmq.send('imports', jsonb_build_object('n', n)) from generate_series(1, 30) n")
        .await;
    fixture.until(&format!("(select count(*) = 30 from {RUNS} ? 'n')")).await;

    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'flowsmith triggers' \
               and datname = current_database()";
    execute(&mut fixture.c, cut).await;
    worker.wait_for_log("reconnected").await;
    execute(&mut fixture.c, "select pgmq.send('imports', jsonb_build_object('n', n)) from generate_series(31, 60) n")
        .await;
    fixture.until(&format!("(select count(*) = 60 and count(distinct r.input) = 60 from {RUNS} ? 'n')")).await;

    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("f:imported: ") && log.contains("connection lost"), "{log}");
    assert_eq!(fixture.text("(select count(*) from pgflow.workers)").await, "0", "no worker registers");
}

#[tokio::test]
async fn repeated_losses_back_off() {
    let (mut fixture, project) = triggered("{}").await;
    let worker = WorkerProcess::start(&project, &["--schedule", "--poll-interval", "50ms"]);
    worker.wait_for_log("watching schedules").await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'flowsmith triggers' \
               and datname = current_database()";
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while !worker.log().contains("reconnecting in 0.8 s") {
        assert!(Instant::now() < deadline, "{}", worker.log());
        execute(&mut fixture.c, cut).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(worker.log().contains("reconnecting in 0.4 s"), "{}", worker.log());
}

#[tokio::test]
async fn worker_completes_the_runs_that_its_triggers_start() {
    let (mut fixture, project) = triggered("{ handler: { sql: 'select :input' } }").await;
    let worker = WorkerProcess::start(&project, &["--schedule", "--poll-interval", "100ms"]);
    execute(&mut fixture.c, "select pgmq.send('imports', '{\"n\": 1}')").await;
    fixture.until(&format!("(select count(*) = 1 from {RUNS} ? 'n' and r.status = 'completed')")).await;
    // The triggers runner ends with a deprecated worker.
    execute(&mut fixture.c, "update pgflow.workers set deprecated_at = now()").await;
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    fixture.assert_sound().await;
}

#[tokio::test]
async fn missing_queue_is_reported_and_does_not_block_schedules() {
    let (mut fixture, project) = triggered("{}").await;
    execute(&mut fixture.c, "select pgmq.drop_queue('imports')").await;
    let worker = WorkerProcess::start(&project, &["--schedule"]);
    worker.wait_for_log("f:imported: cannot consume from queue imports").await;
    fixture.until(&format!("(select count(*) >= 1 from {RUNS} @> '{{\"by\": \"often\"}}')")).await;
}

#[tokio::test]
async fn database_without_triggers_is_refused() {
    let (mut fixture, project) = triggered("{}").await;
    execute(&mut fixture.c, "drop schema flowsmith cascade").await;
    let outcome = project.run(&["worker", "--schedule"]);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.all_output().contains("FS997"), "{outcome}");
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn signal_ends_runner_with_unresponsive_server() {
    let (mut fixture, project) = triggered("{}").await;
    let mut holder = fixture.database.connect().await;
    execute(&mut holder, "begin; lock table pgmq.q_imports in access exclusive mode").await;
    let mut worker = WorkerProcess::start(&project, &["--schedule", "--poll-interval", "50ms"]);
    let takes = "(select count(*) = 1 from pg_stat_activity where application_name = 'flowsmith triggers'
                  and datname = current_database() and wait_event_type = 'Lock' and query like '%pgmq.read(%')";
    fixture.until(takes).await;
    let _silent = StoppedSessions::all(&mut fixture).await;
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait_for_exit().await, Some(0), "{}", worker.log());
    assert!(worker.log().contains("connection lost: the database did not answer within 30 s"), "{}", worker.log());
}

/// The peak memory of a process in MiB.
#[cfg(target_os = "linux")]
fn peak(worker: &WorkerProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn large_pgq_batch_is_never_held_in_memory() {
    if with_pgq().await.is_none() {
        return;
    }
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    let trigger = "triggers:\n  - { name: imported, queue: 'pgq:imports', input_sql: 'to_jsonb(event.id)' }";
    project.write("flows/f.yaml", &format!("flow: f\nsteps:\n  a: {{}}\n{trigger}\n"));
    let mut fixture = Fixture::on(database, "create extension pgq").await;
    execute(&mut fixture.c, "select pgq.create_queue('imports')").await;
    project.compile();
    project.succeeds(&["apply"]);
    let worker = WorkerProcess::start(&project, &["--schedule", "--poll-interval", "100ms"]);
    fixture.until("(select count(*) = 1 from pgq.get_consumer_info())").await;
    let before = peak(&worker);
    // 1,500 events of 128 KiB are 188 MiB, and sending and receiving them takes several copies.
    let events = "select pgq.insert_event('imports', 'n', repeat('x', 131072)) from generate_series(1, 1500)";
    execute(&mut fixture.c, events).await;
    execute(&mut fixture.c, "select pgq.force_tick('imports')").await;
    execute(&mut fixture.c, "select pgq.ticker('imports')").await;
    fixture.until("(select count(*) = 1500 from pgflow.runs)").await;
    let after = peak(&worker);
    assert!(after - before < 120, "{before} MiB, then {after} MiB");
    worker.wait_for_log("f:imported: 1500 runs started").await;
}
