//! Pausing and resuming flows.

use super::TWO_STEPS;
use crate::fixture::runtime::{error, rows, run, value, with_runtime};

#[tokio::test]
async fn paused_flow_starts_no_task_and_resumes() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f', base_delay => 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}'); select pgflow.add_step('f', 'weak')").await;
    run(c, "select pgflow.start_flow('f', '{}', t.id()); select t.take()").await;
    let paused = value(c, "(pgflow.pause_flow('f'), pgflow.pause_flow('f'))").await;
    assert_eq!(paused, "(t,f)", "whether it changed anything");

    // Started tasks can complete and fail; queued tasks wait.
    run(c, "select pgflow.complete_task(t.id(), 'a', 0, '1'); select pgflow.fail_task(t.id(), 'weak', 0, 'boom'); select pgflow.start_flow('f', '{}', t.id(2))").await;
    assert_eq!(rows(c, "select t.steps()").await, ["a completed 1", "b started", "weak started"]);
    assert_eq!(value(c, "t.run(2)").await, "started 3");
    assert_eq!(rows(c, "select t.take()").await, [""; 0]);
    assert_eq!(value(c, "select count(*) from pgflow.poll_tasks('f', t.worker(), 100)").await, "0");
    let started = "select count(*) from pgflow.step_tasks where status = 'started'";
    assert_eq!(value(c, started).await, "0");

    assert_eq!(value(c, "(pgflow.resume_flow('f'), pgflow.resume_flow('f'))").await, "(t,f)");
    assert_eq!(rows(c, "select t.take()").await, ["a 0 {}", r#"b 0 {"a": 1}"#, "weak 0 {}", "weak 0 {}"]);
    assert_eq!(value(c, "select count(*) from pgflow.violations()").await, "0");
}

#[tokio::test]
async fn pause_affects_one_flow() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.create_flow('g'); select pgflow.add_step('g', 'a')").await;
    run(c, "select pgflow.pause_flow('g'); select pgflow.start_flow('f', '{}', t.id(1)); select pgflow.start_flow('g', '{}', t.id(2))").await;
    assert_eq!(rows(c, "select t.take('f')").await, ["a 0 {}"]);
    assert_eq!(rows(c, "select t.take('g')").await, [""; 0]);
}

#[tokio::test]
async fn remaining_delay_survives_pause() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a', start_delay => 1000); select pgflow.start_flow('f', '{}', t.id())").await;
    run(c, "select pgflow.pause_flow('f'); select t.take(); select pgflow.poll_tasks('f', t.worker()); select pgflow.resume_flow('f')").await;
    assert_eq!(value(c, "t.hidden('a') between 990 and 1000").await, "true");
}

#[tokio::test]
async fn unknown_flow_cannot_be_paused_or_resumed() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    assert_eq!(error(c, "select pgflow.pause_flow('nope')").await.0, "23503");
    assert_eq!(value(c, "pgflow.resume_flow('nope')").await, "false");
}

#[tokio::test]
async fn paused_flow_can_be_deleted() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, TWO_STEPS).await;
    run(c, "select pgflow.pause_flow('f'); select pgflow.delete_flow_and_data('f')").await;
    run(c, TWO_STEPS).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id())").await;
    assert_eq!(rows(c, "select t.take()").await, ["a 0 {}"], "a new flow of that name is not paused");
}
