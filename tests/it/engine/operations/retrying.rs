//! Retrying failed runs.

use super::TWO_STEPS;
use crate::fixture::runtime::{BlockingCall, rows, run, value, with_runtime};

#[tokio::test]
async fn failed_run_resumes_at_failed_step() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'm', '{a}', step_type => 'map');
         select pgflow.add_step('f', 'end', '{m}'); select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.complete_task(t.id(), 'a', 0, '[1, 2, 3]');
         select t.take(quantity => 2); select pgflow.complete_task(t.id(), 'm', 0, '\"kept\"'); select pgflow.fail_task(t.id(), 'm', 1, 'boom');
         create table old_ids as select task_index, message_id from pgflow.step_tasks where step_slug = 'm'",
    )
    .await;
    assert_eq!(value(c, "t.run()").await, "failed 2");
    let retried = "select (r.status, r.remaining_steps, r.failed_at is null) from pgflow.retry_run(t.id()) r";
    assert_eq!(rows(c, retried).await, ["(started,2,t)"]);
    assert_eq!(rows(c, "select t.steps()").await, ["a completed [1, 2, 3]", "m started", "end created"]);
    let state = "select (remaining_tasks, initial_tasks, failed_at) from pgflow.step_states where step_slug = 'm'";
    assert_eq!(value(c, state).await, "(2,3,)");
    let tasks = "select concat_ws(' ', k.task_index, k.status, k.attempts_count, k.message_id > o.message_id, k.output)
        from pgflow.step_tasks k join old_ids o using (task_index) where k.step_slug = 'm' order by 1";
    assert_eq!(rows(c, tasks).await, [r#"0 completed 1 f "kept""#, "1 queued 0 t", "2 queued 0 t"]);
    let events = rows(c, "select t.events()").await;
    assert_eq!(events[events.len() - 2..], ["run:started", "step:m:started"]);
    assert_eq!(value(c, "select count(*) from pgflow.violations()").await, "0");

    assert_eq!(rows(c, "select t.take()").await, ["m 1 2", "m 2 3"]);
    run(c, "select pgflow.complete_task(t.id(), 'm', n, to_jsonb(n)) from generate_series(1, 2) n; select t.take()")
        .await;
    run(c, "select pgflow.complete_task(t.id(), 'end', 0, '\"done\"')").await;
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["a completed [1, 2, 3]", r#"m completed ["kept", 1, 2]"#, r#"end completed "done""#]
    );
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"end": "done"}"#);
}

#[tokio::test]
async fn cancelled_run_resumes_at_open_steps() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b'); select pgflow.add_step('f', 'c', '{a,b}')").await;
    run(c, "select pgflow.start_flow('f', '{}', t.id()); select t.take(quantity => 1); select pgflow.cancel_run(t.id()); select pgflow.retry_run(t.id())").await;
    assert_eq!(value(c, "t.run()").await, "started 3");
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 queued 0", "b 0 queued 0"]);
    assert_eq!(rows(c, "select t.take()").await, ["a 0 {}", "b 0 {}"]);
    assert_eq!(value(c, "select count(*) from pgflow.violations()").await, "0");
}

#[tokio::test]
async fn type_violating_step_is_repeated() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list'); select pgflow.add_step('f', 'each', '{list}', step_type => 'map');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.complete_task(t.id(), 'list', 0, '1'); select pgflow.retry_run(t.id());
         select t.take(); select pgflow.complete_task(t.id(), 'list', 0, '[5]')",
    )
    .await;
    assert_eq!(rows(c, "select t.steps()").await, ["list completed [5]", "each started"]);
    assert_eq!(rows(c, "select t.take()").await, ["each 0 5"]);
}

#[tokio::test]
async fn failed_condition_is_evaluated_again() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}', required_input_pattern => '{\"a\": 1}', when_unmet => 'fail');
         select pgflow.add_step('f', 'c', '{b}'); select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.complete_task(t.id(), 'a', 0, '2')",
    )
    .await;
    run(c, "select pgflow.retry_run(t.id())").await;
    assert_eq!(rows(c, "select t.steps()").await, ["a completed 2", "b failed Condition not met", "c created"]);
    assert_eq!(value(c, "t.run()").await, "failed 2");
    run(c, "update pgflow.steps set required_input_pattern = '{\"a\": 2}' where step_slug = 'b'; select pgflow.retry_run(t.id())").await;
    assert_eq!(rows(c, "select t.steps()").await, ["a completed 2", "b started", "c created"]);
    assert_eq!(value(c, "t.run()").await, "started 2");
    assert_eq!(rows(c, "select t.take()").await, [r#"b 0 {"a": 2}"#]);
}

#[tokio::test]
async fn unfailed_run_is_returned_unchanged() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('empty'); select pgflow.start_flow('empty', '{}', t.id(1))").await;
    run(c, TWO_STEPS).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id(2))").await;
    let before = rows(c, "select r from pgflow.runs r order by run_id").await;
    let sent = value(c, "select count(*) from realtime.sent").await;
    for (n, status) in [(1, "completed"), (2, "started")] {
        assert_eq!(rows(c, &format!("select r.status from pgflow.retry_run(t.id({n})) r")).await, [status]);
    }
    assert_eq!(rows(c, "select r from pgflow.runs r order by run_id").await, before);
    assert_eq!(value(c, "select count(*) from realtime.sent").await, sent);
    assert_eq!(rows(c, "select t.queue()").await, ["a 0"]);
    assert_eq!(rows(c, "select r.status from pgflow.retry_run(t.id(9)) r").await, [""; 0]);
}

#[tokio::test]
async fn permanently_stalled_task_is_queued_as_new() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id());
         do $$ begin for n in 1..4 loop perform t.take(); perform t.age('a', 1000); perform pgflow.requeue_stalled_tasks(); end loop; end $$;
         select pgflow.cancel_run(t.id()); select pgflow.retry_run(t.id())",
    )
    .await;
    let task = "select concat_ws(' ', status, attempts_count, requeued_count, permanently_stalled_at is null) from pgflow.step_tasks";
    assert_eq!(rows(c, task).await, ["queued 0 0 t"]);
    run(c, "select t.take(); select t.age('a', 1000)").await;
    assert_eq!(value(c, "pgflow.requeue_stalled_tasks()").await, "1");
}

#[tokio::test]
async fn run_cancelled_after_last_step_completes() {
    let (database, mut c) = with_runtime().await;
    run(&mut c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id()); select t.take()")
        .await;
    run(&mut c, "begin; select pgflow.cancel_run(t.id())").await;
    let worker = BlockingCall::start(&database, &mut c, "select pgflow.complete_task(t.id(), 'a', 0, '1')").await;
    run(&mut c, "commit").await;
    worker.finish().await;
    assert_eq!(rows(&mut c, "select r.status from pgflow.retry_run(t.id()) r").await, ["completed"]);
    assert_eq!(rows(&mut c, "select t.steps()").await, ["a completed 1"]);
    assert_eq!(value(&mut c, "t.run()").await, r#"completed 0 {"a": 1}"#);
    assert_eq!(value(&mut c, "select count(*) from pgflow.violations()").await, "0");
}

/// The order of a run's messages may differ from the order of its tasks.
#[tokio::test]
async fn retry_and_worker_lock_tasks_in_order() {
    let (database, mut c) = with_runtime().await;
    run(
        &mut c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'first'); select pgflow.add_step('f', 'z'); select pgflow.add_step('f', 'a', '{first}');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(quantity => 1); select pgflow.complete_task(t.id(), 'first', 0, '1')",
    )
    .await;
    run(&mut c, "begin; select from pgflow.step_tasks where step_slug = 'a' for update").await;
    let retrying = BlockingCall::start(&database, &mut c, "select pgflow.retry_run(t.id())").await;
    let polling = BlockingCall::start(&database, &mut c, "select pgflow.poll_tasks('f', t.worker())").await;
    run(&mut c, "commit").await;
    retrying.finish().await;
    polling.finish().await;
    // The worker may have skipped locked tasks; the next poll claims them.
    run(&mut c, "update pgmq.q_f set vt = now(); select pgflow.poll_tasks('f', t.worker())").await;
    assert_eq!(rows(&mut c, "select t.tasks()").await, ["a 0 started 1", "first 0 completed 1 1", "z 0 started 1"]);
}

#[tokio::test]
async fn condition_failing_again_leaves_queue_empty() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        r#"select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'beside');
           select pgflow.add_step('f', 'b', '{a}', required_input_pattern => '{"a": true}', when_unmet => 'fail');
           select pgflow.start_flow('f', '{}', t.id()); select t.take(quantity => 1); select pgflow.complete_task(t.id(), 'a', 0, 'false')"#,
    )
    .await;
    assert_eq!(rows(c, "select t.queue()").await, [""; 0]);
    assert_eq!(rows(c, "select r.status from pgflow.retry_run(t.id()) r").await, ["failed"]);
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["a completed false", "beside started", "b failed Condition not met"]
    );
    assert_eq!(rows(c, "select t.queue()").await, [""; 0]);
    assert_eq!(value(c, "select count(*) from pgflow.violations()").await, "0");
}
