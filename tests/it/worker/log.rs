//! What a worker's log says: one line for each event, that nobody can forge, and one where several connections have the same to
//! say.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::PATIENCE;
use super::command::applied;
use super::process::Running;
use crate::engine::definitions::execute;
use crate::fixture::command::ours;

#[tokio::test]
async fn a_loss_of_all_connections_is_told_once_and_so_is_its_end() {
    let (mut scene, project) = applied(ours().await, "  a: { handler: { exec: cat } }").await;
    let worker = Running::spawn(project.command(&["worker", "--connections", "4"]), project.path("log"));
    worker.says("listening for notifications").await;
    let start = "select pgflow.start_flow('f', to_jsonb(n)) from generate_series(1, 40) n";
    execute(&mut scene.c, start).await;
    scene.until("(select count(*) = 40 from pgflow.runs where status = 'completed')").await;
    let cut = "(select count(pg_terminate_backend(pid)) from pg_stat_activity
                where application_name = 'flowsmith worker' and datname = current_database())";
    assert!(scene.text(cut).await.parse::<usize>().unwrap() >= 4);
    execute(&mut scene.c, start).await;
    scene.until("(select count(*) = 80 from pgflow.runs where status = 'completed')").await;
    worker.says("reconnected").await;
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("connection lost").count(), 1, "{said}");
    assert_eq!(said.matches("reconnected").count(), 1, "{said}");
}

#[tokio::test]
async fn a_password_that_is_changed_for_a_while_does_not_leave_it_polling() {
    let database = ours().await;
    let (mut scene, project) = applied(database, "  a: { handler: { exec: cat } }").await;
    let role = format!("{}_rotated", scene.text("current_database()").await);
    execute(&mut scene.c, &format!("create role {role} login superuser")).await;
    let url = scene.database.url().replace("user=postgres", &format!("user={role}"));
    let worker = Running::start(&project, &["--database", &url]);
    worker.says("listening for notifications").await;
    // What refuses a connection as a wrong password does.
    execute(&mut scene.c, &format!("alter role {role} nologin")).await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
               where application_name = 'flowsmith worker' and datname = current_database()";
    execute(&mut scene.c, cut).await;
    // By then each of its connections has tried.
    worker.says("is not permitted to log in; retrying in 0.8 s").await;
    execute(&mut scene.c, &format!("alter role {role} login")).await;
    let deadline = Instant::now() + PATIENCE;
    while worker.said().matches("listening for notifications").count() < 2 {
        assert!(Instant::now() < deadline, "{}", worker.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let run = scene.start("f", "7").await;
    assert_eq!(scene.end_of(&run).await.0, "completed");
    worker.signal(Signal::TERM);
    assert_eq!(worker.end().0, Some(0));
    execute(&mut scene.c, &format!("drop role {role}")).await;
}

#[tokio::test]
async fn an_error_of_several_lines_is_one_line_of_the_log() {
    let failing = r#"  a: { max_attempts: 1, handler: { exec: "echo no paper >&2; echo no ink >&2; exit 3" } }"#;
    let (mut scene, project) = applied(ours().await, failing).await;
    let worker = Running::start(&project, &[]);
    scene.start("f", "7").await;
    worker.says("will not be retried: sh exited with exit status: 3: no paper ↵ no ink\n").await;
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    // In the database it is as it was.
    assert!(scene.text("(select error_message from pgflow.step_tasks)").await.ends_with("no paper\nno ink"));
}

#[tokio::test]
async fn what_programs_say_forges_no_lines_of_the_log() {
    let forging = r#"  a: { handler: { exec: "printf 'one\\r2026-01-01 forged\\033[2K\\n' >&2; cat" } }"#;
    let (mut scene, project) = applied(ours().await, forging).await;
    let worker = Running::start(&project, &[]);
    scene.start("f", "7").await;
    worker.says("forged").await;
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("one\\u{d}2026-01-01 forged"), "{said}");
    assert!(!said.contains(['\r', '\u{1b}']), "{said}");
}
