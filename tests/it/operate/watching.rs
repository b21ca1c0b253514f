//! `watch`: reports every change once, even without events or after a lost connection.

use std::process::Child;

use serde_json::Value;

use super::{RUN, claim, complete, fail, parse_report, refused, shop, start};
use crate::fixture::command::Project;
use crate::fixture::pooler::Pooler;
use crate::fixture::runtime::{run, value};

/// Waits for the command to exit, and returns its exit code, its events, and stderr.
fn finish(watching: Child) -> (Option<i32>, Vec<String>, String) {
    let ended = watching.wait_with_output().unwrap();
    let lines = String::from_utf8(ended.stdout).unwrap();
    let name = |event: Value| {
        let step = event["step"].as_str().map(|step| format!("{step} ")).unwrap_or_default();
        format!("{step}{}", event["event"].as_str().unwrap())
    };
    (
        ended.status.code(),
        lines.lines().map(|line| name(parse_report("watch", line))).collect(),
        String::from_utf8(ended.stderr).unwrap(),
    )
}

fn watch(project: &Project) -> Child {
    project.start(&["watch", RUN, "--format", "json", "--timeout", "60s"])
}

/// The events of a completed run of `order@2` whose map has one element.
const ALL_EVENTS: [&str; 8] = [
    "run:started",
    "load step:started",
    "load step:completed",
    "each step:started",
    "each step:completed",
    "ship step:started",
    "ship step:completed",
    "run:completed",
];

async fn work(c: &mut sqlx::PgConnection) {
    for (step, output) in [("load", "[1]"), ("each", "1"), ("ship", "1")] {
        claim(c, "order_v2").await;
        complete(c, RUN, step, 0, output).await;
    }
}

#[tokio::test]
async fn changes_are_reported_once() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    let watching = watch(&project);
    // Continue only after the command listens for events.
    while value(
        &mut c,
        "select count(*) from pg_stat_activity where query like 'LISTEN%' and datname = current_database()",
    )
    .await
        == "0"
    {
        tokio::task::yield_now().await;
    }
    work(&mut c).await;
    let (code, events, message) = finish(watching);
    assert_eq!((code, events), (Some(0), ALL_EVENTS.map(str::to_owned).to_vec()), "{message}");
    assert_eq!(message, "");
    // The events of a finished run are the same.
    assert_eq!(finish(watch(&project)).1, ALL_EVENTS);
}

#[tokio::test]
async fn watch_polls_without_events() {
    let (_database, project, mut c) = shop().await;
    run(&mut c, "do $$ begin execute format('alter database %I set pgflow.events = off', current_database()); end $$")
        .await;
    start(&project, RUN);
    let watching = watch(&project);
    work(&mut c).await;
    let (code, events, message) = finish(watching);
    assert_eq!((code, events), (Some(0), ALL_EVENTS.map(str::to_owned).to_vec()), "{message}");
    assert!(
        message.contains("note: polling twice a second, because events are disabled in this database"),
        "{message}"
    );
}

#[tokio::test]
async fn lost_connections_are_reopened() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    let watching = watch(&project);
    let others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name = 'flowsmith'";
    while value(&mut c, &format!("select count(*) {others} and query like 'LISTEN%'")).await == "0" {
        tokio::task::yield_now().await;
    }
    run(&mut c, &format!("select pg_terminate_backend(pid) {others}")).await;
    work(&mut c).await;
    let (code, events, message) = finish(watching);
    assert_eq!((code, events), (Some(0), ALL_EVENTS.map(str::to_owned).to_vec()), "{message}");
    assert!(message.contains("retrying"), "{message}");
}

#[tokio::test]
async fn failure_is_reported_with_reason_and_exit_code() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    let watching = watch(&project);
    claim(&mut c, "order_v2").await;
    fail(&mut c, RUN, "load", 0, "first").await;
    run(&mut c, "update pgmq.q_order_v2 set vt = now()").await;
    claim(&mut c, "order_v2").await;
    fail(&mut c, RUN, "load", 0, "out of paper").await;
    let (code, events, message) = finish(watching);
    assert_eq!(code, Some(1), "{message}");
    assert_eq!((events[0].as_str(), events.last().unwrap().as_str()), ("run:started", "run:failed"));
    assert!(events.contains(&"load step:failed".to_owned()), "{events:?}");
    assert!(message.contains("FS969") && message.contains("order@2 has failed: step load: out of paper"), "{message}");
    let text = project.run(&["watch", "0f8"]);
    assert!(text.stdout.contains("load  failed") && text.stdout.contains("out of paper"), "{text}");
    refused(&project, 1, "FS965", &[], &["watch", "ff"]);
}

#[tokio::test]
async fn watch_polls_behind_transaction_pooler() {
    let (database, project, mut c) = shop().await;
    let Some(pooler) = Pooler::start(&database, "operate_pooler").await else { return };
    let project = project.with("DATABASE_URL", &pooler.url);
    start(&project, RUN);
    let watching = watch(&project);
    work(&mut c).await;
    let (code, events, message) = finish(watching);
    assert_eq!((code, events), (Some(0), ALL_EVENTS.map(str::to_owned).to_vec()), "{message}");
    assert!(message.contains("note: polling twice a second, because a pooler in transaction mode"), "{message}");
    // Each transaction may use another session of the server.
    for arguments in [
        &["runs"][..],
        &["show", RUN],
        &["queues"],
        &["workers"],
        &["stalled"],
        &["stats"],
        &["pause", "order"],
        &["resume", "order"],
    ] {
        project.succeeds(arguments);
    }
    project.succeeds(&["prune", "--older-than", "0s", "--yes"]);
}
