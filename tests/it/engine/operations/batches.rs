//! Completing several tasks in one call.

use super::TWO_STEPS;
use crate::fixture::runtime::{BlockingCall, error, rows, run, value, with_runtime};

#[tokio::test]
async fn batch_has_effect_of_single_completions() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'end', '{m,a}');
         select pgflow.start_flow('f', '[1, 2, 3]', t.id(n)) from generate_series(1, 2) n; select t.take()",
    )
    .await;
    let complete = "select concat_ws(' ', k.run_id = t.id(1), k.step_slug, k.task_index, k.status, k.output) from pgflow.complete_tasks(
        array[t.id(1), t.id(2), t.id(1), t.id(1), t.id(1), t.id(9)], '{m,a,a,m,m,a}', '{2,0,0,0,1,0}', array['\"c\"', '2', null, '\"a\"', '\"b\"', '1']::jsonb[]) k";
    assert_eq!(
        rows(c, complete).await,
        [
            r#"t m 2 completed "c""#,
            "f a 0 completed 2",
            "t a 0 completed",
            r#"t m 0 completed "a""#,
            r#"t m 1 completed "b""#
        ],
        "in the order given, and nothing for what does not exist"
    );
    assert_eq!(rows(c, "select t.steps(1)").await, [r#"m completed ["a", "b", "c"]"#, "a completed", "end started"]);
    assert_eq!(rows(c, "select t.steps(2)").await, ["m started", "a completed 2", "end created"]);
    assert_eq!(rows(c, "select t.queue()").await, ["end 0", "m 0", "m 1", "m 2"]);
    assert_eq!(rows(c, "select t.take()").await, [r#"end 0 {"a": null, "m": ["a", "b", "c"]}"#]);
}

#[tokio::test]
async fn arrays_of_different_length_are_refused() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, TWO_STEPS).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id()); select t.take()").await;
    for arguments in [
        "array[t.id(), t.id()], '{a}', '{0}', '{1}'",
        "array[t.id()], '{a,a}', '{0}', '{1}'",
        "array[t.id()], '{a}', '{0,0}', '{1}'",
        "array[t.id()], '{a}', '{0}', '{}'",
        "array[t.id()], '{a}', '{0}', null",
        "null, '{a}', '{0}', '{1}'",
    ] {
        let (state, message) = error(c, &format!("select pgflow.complete_tasks({arguments})")).await;
        assert_eq!(state, "P0001", "{arguments}: {message}");
    }
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 started 1"]);
}

#[tokio::test]
async fn empty_batch_changes_nothing() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    for arguments in ["'{}', '{}', '{}', '{}'", "null, null, null, null"] {
        assert_eq!(
            value(c, &format!("select count(*) from pgflow.complete_tasks({arguments})")).await,
            "0",
            "{arguments}"
        );
    }
}

#[tokio::test]
async fn duplicate_task_in_batch_keeps_first_output() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list'); select pgflow.add_step('f', 'each', '{list}', step_type => 'map')").await;
    run(c, "select pgflow.start_flow('f', '[1, 2]', t.id()); select t.take()").await;
    run(c, "select pgflow.complete_tasks(array[t.id(), t.id()], '{list,list}', '{0,0}', array['[1]', '\"no array\"']::jsonb[])").await;
    assert_eq!(rows(c, "select t.steps()").await, ["list completed [1]", "each started"]);
}

#[tokio::test]
async fn type_violation_in_batch_fails_only_its_run() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list'); select pgflow.add_step('f', 'each', '{list}', step_type => 'map')").await;
    run(c, "select pgflow.start_flow('f', '{}', t.id(n)) from generate_series(1, 2) n; select t.take()").await;
    run(c, "select pgflow.complete_tasks(array[t.id(1), t.id(2)], '{list,list}', '{0,0}', array['1', '[1]']::jsonb[])")
        .await;
    assert_eq!(
        (value(c, "t.run(1)").await, value(c, "t.run(2)").await),
        ("failed 2".to_owned(), "started 1".to_owned())
    );
    assert_eq!(rows(c, "select t.queue()").await, ["each 0"]);
}

#[tokio::test]
async fn result_survives_concurrent_worker_deletion() {
    let (database, mut c) = with_runtime().await;
    run(&mut c, TWO_STEPS).await;
    run(&mut c, "select pgflow.start_flow('f', '{}', t.id(n)) from generate_series(1, 2) n; select t.take()").await;
    // Deleting a worker sets the worker id of its tasks to null.
    run(&mut c, "begin; delete from pgflow.workers").await;
    let many = "select pgflow.complete_tasks(array[t.id(1)], '{a}', '{0}', array['1']::jsonb[])";
    let batch = BlockingCall::start(&database, &mut c, many).await;
    let single = BlockingCall::start(&database, &mut c, "select pgflow.complete_task(t.id(2), 'a', 0, '2')").await;
    run(&mut c, "commit").await;
    batch.finish().await;
    single.finish().await;
    assert_eq!(rows(&mut c, "select t.steps(1)").await, ["a completed 1", "b started"]);
    assert_eq!(rows(&mut c, "select t.steps(2)").await, ["a completed 2", "b started"]);
}

/// Both batches complete tasks of the same two runs. One of them fails the first run, in which the other one completes a
/// step; in the second run, both complete tasks of one map.
#[tokio::test]
async fn batches_sharing_two_runs_do_not_deadlock() {
    let (database, mut c) = with_runtime().await;
    run(
        &mut c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list'); select pgflow.add_step('f', 'each', '{list}', step_type => 'map');
         select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'x');
         select pgflow.start_flow('f', '[1, 2]', t.id(n)) from generate_series(1, 2) n; select t.take()",
    )
    .await;
    run(&mut c, "begin; select from pgflow.runs where run_id = t.id(1) for update").await;
    let refused =
        "select pgflow.complete_tasks(array[t.id(1), t.id(2)], '{list,m}', '{0,0}', array['1', '1']::jsonb[])";
    let refused = BlockingCall::start(&database, &mut c, refused).await;
    let finishing = "select pgflow.complete_tasks(array[t.id(1), t.id(2)], '{x,m}', '{0,1}', array['1', '1']::jsonb[])";
    let finishing = BlockingCall::start(&database, &mut c, finishing).await;
    run(&mut c, "commit").await;
    refused.finish().await;
    finishing.finish().await;
    assert_eq!(value(&mut c, "select status from pgflow.runs where run_id = t.id(1)").await, "failed");
    assert_eq!(
        rows(&mut c, "select t.steps(2)").await,
        ["list started", "each created", "m completed [1, 1]", "x started"]
    );
    assert_eq!(value(&mut c, "select count(*) from pgflow.violations()").await, "0");
}
