//! The log of a worker: one line per event that cannot be forged, and a single line for events of several connections.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::WAIT_TIMEOUT;
use super::command::applied;
use super::process::WorkerProcess;
use crate::engine::definitions::execute;
use crate::fixture::command::flowsmith_engine;

#[tokio::test]
async fn loss_of_all_connections_is_logged_once() {
    let (mut fixture, project) = applied(flowsmith_engine().await, "  a: { handler: { exec: cat } }").await;
    let worker = WorkerProcess::spawn(project.command(&["worker", "--connections", "4"]), project.path("log"));
    worker.wait_for_log("listening for notifications").await;
    let start = "select pgflow.start_flow('f', to_jsonb(n)) from generate_series(1, 40) n";
    execute(&mut fixture.c, start).await;
    fixture.until("(select count(*) = 40 from pgflow.runs where status = 'completed')").await;
    let cut = "(select count(pg_terminate_backend(pid)) from pg_stat_activity
                where application_name = 'flowsmith worker' and datname = current_database())";
    assert!(fixture.text(cut).await.parse::<usize>().unwrap() >= 4);
    execute(&mut fixture.c, start).await;
    fixture.until("(select count(*) = 80 from pgflow.runs where status = 'completed')").await;
    worker.wait_for_log("reconnected").await;
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("connection lost").count(), 1, "{log}");
    assert_eq!(log.matches("reconnected").count(), 1, "{log}");
}

#[tokio::test]
async fn listener_reconnects_after_a_rejected_login() {
    let database = flowsmith_engine().await;
    let (mut fixture, project) = applied(database, "  a: { handler: { exec: cat } }").await;
    let role = format!("{}_rotated", fixture.text("current_database()").await);
    execute(&mut fixture.c, &format!("create role {role} login superuser")).await;
    let url = fixture.database.url().replace("user=postgres", &format!("user={role}"));
    let worker = WorkerProcess::start(&project, &["--database", &url]);
    worker.wait_for_log("listening for notifications").await;
    // The server rejects connections as it does for a wrong password.
    execute(&mut fixture.c, &format!("alter role {role} nologin")).await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
               where application_name = 'flowsmith worker' and datname = current_database()";
    execute(&mut fixture.c, cut).await;
    // By then, every connection has failed to reconnect.
    worker.wait_for_log("is not permitted to log in; retrying in 0.8 s").await;
    execute(&mut fixture.c, &format!("alter role {role} login")).await;
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while worker.log().matches("listening for notifications").count() < 2 {
        assert!(Instant::now() < deadline, "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let run = fixture.start("f", "7").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    worker.signal(Signal::TERM);
    assert_eq!(worker.exit().0, Some(0));
    execute(&mut fixture.c, &format!("drop role {role}")).await;
}

#[tokio::test]
async fn multiline_error_is_one_line_of_the_log() {
    let failing = r#"  a: { max_attempts: 1, handler: { exec: "echo no paper >&2; echo no ink >&2; exit 3" } }"#;
    let (mut fixture, project) = applied(flowsmith_engine().await, failing).await;
    let worker = WorkerProcess::start(&project, &[]);
    fixture.start("f", "7").await;
    worker.wait_for_log("will not be retried: sh exited with exit status: 3: no paper ↵ no ink\n").await;
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    // The database stores the original error.
    assert!(fixture.text("(select error_message from pgflow.step_tasks)").await.ends_with("no paper\nno ink"));
}

#[tokio::test]
async fn program_output_cannot_forge_log_lines() {
    let forging = r#"  a: { handler: { exec: "printf 'one\\r2026-01-01 forged\\033[2K\\n' >&2; cat" } }"#;
    let (mut fixture, project) = applied(flowsmith_engine().await, forging).await;
    let worker = WorkerProcess::start(&project, &[]);
    fixture.start("f", "7").await;
    worker.wait_for_log("forged").await;
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("one\\u{d}2026-01-01 forged"), "{log}");
    assert!(!log.contains(['\r', '\u{1b}']), "{log}");
}
