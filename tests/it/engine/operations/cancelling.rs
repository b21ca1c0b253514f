//! Cancelling runs.

use super::TWO_STEPS;
use crate::fixture::runtime::{rows, run, value, with_runtime};

#[tokio::test]
async fn cancelled_run_fails_and_archives_messages() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'held'); select pgflow.add_step('f', 'b', '{a}')").await;
    run(c, "select pgflow.start_flow('f', '{}', t.id(n)) from generate_series(1, 2) n").await;
    run(c, "select pgflow.start_tasks('f', array_agg(message_id), t.worker()) from pgflow.step_tasks where step_slug = 'held'").await;
    let cancel =
        "select (r.run_id = t.id(), r.status, r.failed_at is not null) from pgflow.cancel_run(t.id(), 'not needed') r";
    assert_eq!(rows(c, cancel).await, ["(t,failed,t)"]);
    assert_eq!(rows(c, "select t.steps()").await, ["a started", "held started", "b created"]);
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 queued 0", "held 0 started 1"]);
    assert_eq!(rows(c, "select t.archive()").await, ["a 0", "held 0"]);
    assert_eq!(rows(c, "select t.queue()").await, ["a 0", "held 0"], "those of the other run");
    assert_eq!(value(c, "t.run(2)").await, "started 3");
    let output = "select payload ->> 'error_message' from realtime.sent where event = 'run:failed'";
    assert_eq!(value(c, output).await, "not needed");
    assert_eq!(value(c, "select count(*) from pgflow.violations()").await, "0");
}

#[tokio::test]
async fn ended_run_is_returned_unchanged() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('empty'); select pgflow.start_flow('empty', '{}', t.id(1))").await;
    run(c, TWO_STEPS).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id(2)); select pgflow.cancel_run(t.id(2))").await;
    let before = rows(c, "select r from pgflow.runs r order by run_id").await;
    let sent = value(c, "select count(*) from realtime.sent").await;
    for (n, status) in [(1, "completed"), (2, "failed")] {
        assert_eq!(rows(c, &format!("select r.status from pgflow.cancel_run(t.id({n}), 'again') r")).await, [status]);
    }
    assert_eq!(rows(c, "select r from pgflow.runs r order by run_id").await, before);
    assert_eq!(value(c, "select count(*) from realtime.sent").await, sent);
    assert_eq!(
        rows(c, "select r.status from pgflow.cancel_run(t.id(9)) r").await,
        [""; 0],
        "nor is an unknown one made up"
    );
}

#[tokio::test]
async fn missing_reason_gets_default() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, TWO_STEPS).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id()); select pgflow.cancel_run(t.id())").await;
    let output = "select length(payload ->> 'error_message') > 3 from realtime.sent where event = 'run:failed'";
    assert_eq!(value(c, output).await, "true");
}
