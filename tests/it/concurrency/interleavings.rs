//! The races that matter, each forced by a script, and each with the outcome of one of the serial orders.

use super::isolation::play;
use super::{connect, engine, query};
use crate::support::Database;

/// Steps a and b, and c on both.
const JOIN: &str = "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
    select pgflow.add_step('f', 'c', '{a, b}'); select pgflow.start_flow('f', '{}', R1); select pgflow.poll_tasks('f', W);";

/// Two root maps of two tasks, and c on both; all tasks started.
const MAPS: &str =
    "select pgflow.create_flow('f', 1, 0); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'n', step_type => 'map');
    select pgflow.add_step('f', 'c', '{m, n}'); select pgflow.start_flow('f', '[1, 2]', R1); select pgflow.poll_tasks('f', W);";

/// Single step a of two runs.
const TWO_RUNS: &str = "select pgflow.create_flow('f', 1, 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}');
    select pgflow.start_flow('f', '{}', R1); select pgflow.start_flow('f', '{}', R2); select pgflow.poll_tasks('f', W);";

/// How a run stands: its status and open steps, then its steps and then its tasks, by name.
async fn state(database: &Database) -> String {
    let sql = "select string_agg(line, ', ' order by level, line) from (
        select 1 as level, status || ' ' || remaining_steps as line from pgflow.runs
        union all select 2, step_slug || ' ' || status from pgflow.step_states
        union all select 3, step_slug || task_index || ' ' || status from pgflow.step_tasks) line";
    query(&mut connect(database.options()).await, sql).await.unwrap()
}

#[tokio::test]
async fn the_second_of_two_dependencies_starts_what_waits_for_both() {
    let database = engine(JOIN).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.complete_task(R1, 'a', 0, '1') => completed
         other waits: select status from pgflow.complete_task(R1, 'b', 0, '2')
         one: commit
         other goes on => completed
         other: select input from pgflow.poll_tasks('f', W) => {\"a\": 1, \"b\": 2}",
    )
    .await;
}

#[tokio::test]
async fn a_dependency_whose_completion_is_undone_is_still_waited_for() {
    let database = engine(JOIN).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.complete_task(R1, 'a', 0, '1') => completed
         other waits: select status from pgflow.complete_task(R1, 'b', 0, '2')
         one: rollback
         other goes on => completed
         other: select input from pgflow.poll_tasks('f', W) => nothing
         one: select status from pgflow.complete_task(R1, 'a', 0, '3') => completed
         one: select input from pgflow.poll_tasks('f', W) => {\"a\": 3, \"b\": 2}",
    )
    .await;
}

#[tokio::test]
async fn the_last_two_tasks_of_a_map_make_one_whole_output() {
    let database = engine(MAPS).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.complete_task(R1, 'm', 1, '20') => completed
         other waits: select status from pgflow.complete_task(R1, 'm', 0, '10')
         one: commit
         other goes on => completed
         other: select status, output from pgflow.step_states where step_slug = 'm' => completed|[10, 20]",
    )
    .await;
}

#[tokio::test]
async fn one_task_completed_from_two_sessions_counts_once() {
    let database = engine(MAPS).await;
    play(
        &database,
        "one: begin
         one: select output from pgflow.complete_task(R1, 'm', 0, '1') => 1
         other waits: select output from pgflow.complete_task(R1, 'm', 0, '2')
         one: commit
         other goes on => 1
         other: select status, remaining_tasks from pgflow.step_states where step_slug = 'm' => started|1",
    )
    .await;
}

#[tokio::test]
async fn a_task_that_fails_and_completes_at_once_does_what_came_first() {
    let database = engine(MAPS).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.complete_task(R1, 'm', 0, '1') => completed
         other waits: select status from pgflow.fail_task(R1, 'm', 0, 'no')
         one: commit
         other goes on => completed
         other: begin
         other: select status from pgflow.fail_task(R1, 'm', 1, 'no') => failed
         one waits: select status from pgflow.complete_task(R1, 'm', 1, '1')
         other: commit
         one goes on => failed",
    )
    .await;
}

/// The completion has its task before the failure has the state of the step, and waits for that.
#[tokio::test]
async fn a_map_task_completes_while_its_sibling_fails_the_run() {
    let database = engine(MAPS).await;
    play(
        &database,
        "fail: begin
         fail: select status from pgflow.fail_task(R1, 'm', 0, 'no') => failed
         done waits: select status from pgflow.complete_task(R1, 'm', 1, '1')
         fail: commit
         done goes on => completed",
    )
    .await;
    assert_eq!(
        state(&database).await,
        "failed 3, c created, m failed, n started, m0 failed, m1 completed, n0 started, n1 started"
    );
    play(
        &database,
        "op: select status from pgflow.retry_run(R1) => started
         done: select task_index from pgflow.poll_tasks('f', W) order by step_slug, task_index => 0 0 1
         done: select status from pgflow.complete_task(R1, 'm', 0, '0') => completed
         done: select output from pgflow.step_states where step_slug = 'm' => [0, 1]",
    )
    .await;
}

#[tokio::test]
async fn a_map_task_completes_while_its_sibling_has_the_step_skipped() {
    let skip = MAPS.replace("'m', step_type", "'m', when_exhausted => 'skip', step_type");
    let database = engine(&skip).await;
    play(
        &database,
        "fail: begin
         fail: select status from pgflow.fail_task(R1, 'm', 0, 'no') => failed
         done waits: select status from pgflow.complete_task(R1, 'm', 1, '1')
         batch waits: select status from pgflow.complete_tasks(array[R1, R1]::uuid[], '{n, n}', '{0, 1}', '{1, 2}')
         fail: commit
         done goes on => completed
         batch goes on => completed completed
         batch: select input from pgflow.poll_tasks('f', W) => {\"n\": [1, 2]}",
    )
    .await;
    assert_eq!(
        state(&database).await,
        "started 1, c started, m skipped, n completed, c0 started, m0 failed, m1 completed, n0 completed, n1 completed"
    );
}

/// Both hold their task and state when they come to the run: the second finds it failed, and starts nothing.
#[tokio::test]
async fn a_step_completes_while_another_fails_the_run() {
    let database = engine(&JOIN.replace("'f');", "'f', 1, 0);").replace("{a, b}", "{a}")).await;
    play(
        &database,
        "fail: begin
         fail: select status from pgflow.fail_task(R1, 'b', 0, 'no') => failed
         done waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         fail: commit
         done goes on => completed",
    )
    .await;
    assert_eq!(state(&database).await, "failed 2, a completed, b failed, c created, a0 completed, b0 failed");
    play(
        &database,
        "op: select status from pgflow.retry_run(R1) => started
         op: select step_slug from pgflow.poll_tasks('f', W) order by 1 => b c",
    )
    .await;
}

#[tokio::test]
async fn two_steps_that_fail_at_once_fail_the_run_once() {
    let database = engine(&JOIN.replace("'f');", "'f', 1, 0);")).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.fail_task(R1, 'a', 0, 'no') => failed
         other waits: select status from pgflow.fail_task(R1, 'b', 0, 'no')
         one: commit
         other goes on => failed",
    )
    .await;
    assert_eq!(state(&database).await, "failed 3, a failed, b started, c created, a0 failed, b0 failed");
}

#[tokio::test]
async fn two_steps_that_are_skipped_at_once_release_what_waits_for_both_once() {
    let skip = JOIN.replace("'f');", "'f', 1, 0);").replace("'a')", "'a', when_exhausted => 'skip')");
    let database = engine(&skip.replace("'b')", "'b', when_exhausted => 'skip-cascade')")).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.fail_task(R1, 'a', 0, 'no') => failed
         other waits: select status from pgflow.fail_task(R1, 'b', 0, 'no')
         one: commit
         other goes on => failed",
    )
    .await;
    assert_eq!(state(&database).await, "completed 0, a skipped, b skipped, c skipped, a0 failed, b0 failed");
}

#[tokio::test]
async fn a_batch_over_two_maps_and_one_in_the_opposite_order_both_complete() {
    let database = engine(MAPS).await;
    play(
        &database,
        "gate: begin
         gate: select status from pgflow.complete_task(R1, 'm', 1, '20') => completed
         one waits: select status from pgflow.complete_tasks(array[R1, R1]::uuid[], '{m, n}', '{0, 0}', '{10, 10}')
         other waits: select status from pgflow.complete_tasks(array[R1, R1, R1]::uuid[], '{n, m, m}', '{1, 1, 0}', '{20, 9, 9}')
         gate: commit
         one goes on => completed completed
         other goes on => completed completed completed
         one: select input from pgflow.poll_tasks('f', W) => {\"m\": [10, 20], \"n\": [10, 20]}",
    )
    .await;
}

#[tokio::test]
async fn batches_over_two_runs_in_opposite_orders_both_complete() {
    let database =
        engine(&MAPS.replace("select pgflow.poll", "select pgflow.start_flow('f', '[1, 2]', R2); select pgflow.poll"))
            .await;
    play(
        &database,
        "gate: begin
         gate: select status from pgflow.complete_task(R1, 'n', 0, '1') => completed
         one waits: select count(*) from pgflow.complete_tasks(array[R2, R2, R1, R1]::uuid[], '{m, n, m, n}', '{0, 0, 0, 1}', '{1, 1, 1, 2}')
         other tries: select count(*) from pgflow.complete_tasks(array[R1, R2, R2]::uuid[], '{m, n, m}', '{1, 1, 1}', '{2, 2, 2}')
         gate: commit
         one goes on => 4
         other goes on => 3
         one: select input from pgflow.poll_tasks('f', W) => \
           {\"m\": [1, 2], \"n\": [1, 2]} {\"m\": [1, 2], \"n\": [1, 2]}",
    )
    .await;
}

#[tokio::test]
async fn a_task_is_started_before_its_run_is_cancelled_or_not_at_all() {
    let database = engine(&TWO_RUNS.replace("select pgflow.poll_tasks('f', W);", "")).await;
    play(
        &database,
        "op: begin
         op: select status from pgflow.cancel_run(R1) => failed
         worker tries: select run_id from pgflow.start_tasks('f', '{1, 2}', W)
         op: commit
         worker goes on",
    )
    .await;
    play(
        &database,
        "worker: begin
         worker: select count(*) from pgflow.start_tasks('f', '{1, 2}', W) where run_id = R1 => 0
         op: select status from pgflow.cancel_run(R2) => failed
         worker: commit
         worker: select count(*) from pgflow.complete_task(R2, 'a', 0, '1') => 1
         worker: select status, (select count(*) from pgmq.q_f) from pgflow.step_states \
           where run_id = R2 and step_slug = 'a' => started|0",
    )
    .await;
}

#[tokio::test]
async fn a_cancelled_run_keeps_what_completes_in_that_moment() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "op: begin
         op: select status from pgflow.cancel_run(R1) => failed
         worker waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         op: commit
         worker goes on => completed
         op: select status from pgflow.retry_run(R1) => started
         worker: select step_slug, input from pgflow.poll_tasks('f', W) => b|{\"a\": 1}",
    )
    .await;
}

#[tokio::test]
async fn a_run_whose_last_step_completes_while_it_is_cancelled_is_completed_by_a_retry() {
    let database = engine(&TWO_RUNS.replace("select pgflow.add_step('f', 'b', '{a}');", "")).await;
    play(
        &database,
        "op: begin
         op: select status from pgflow.cancel_run(R1) => failed
         worker waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         op: commit
         worker goes on => completed
         op: select status, output from pgflow.retry_run(R1) => completed|{\"a\": 1}",
    )
    .await;
}

#[tokio::test]
async fn a_completion_that_comes_after_a_retry_changes_nothing() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "op: select status from pgflow.cancel_run(R1) => failed
         op: begin
         op: select status from pgflow.retry_run(R1) => started
         worker tries: select status from pgflow.complete_task(R1, 'a', 0, '1')
         op: commit
         worker goes on
         worker: select status from pgflow.complete_task(R1, 'a', 0, '1') => queued
         worker: select step_slug from pgflow.poll_tasks('f', W) => a
         worker: select status from pgflow.complete_task(R1, 'a', 0, '2') => completed
         worker: select input from pgflow.poll_tasks('f', W) => {\"a\": 2}",
    )
    .await;
}

#[tokio::test]
async fn a_batch_that_comes_after_a_cancellation_changes_nothing() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'm', '{a}', step_type => 'map');
         select pgflow.start_flow('f', '{}', R1); select pgflow.poll_tasks('f', W); select pgflow.cancel_run(R1)",
    )
    .await;
    play(
        &database,
        "worker: select status from pgflow.complete_tasks(array[R1]::uuid[], '{a}', '{0}', '{[1]}') => started
         worker: select status from pgflow.complete_tasks(array[R1]::uuid[], '{a}', '{0}', '{1}') => started",
    )
    .await;
}

#[tokio::test]
async fn two_retries_at_once_are_one() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "op: select status from pgflow.cancel_run(R1) => failed
         one: begin
         one: select status from pgflow.retry_run(R1) => started
         other waits: select status from pgflow.retry_run(R1)
         one: commit
         other goes on => started
         worker: select run_id from pgflow.poll_tasks('f', W) => R1",
    )
    .await;
}

#[tokio::test]
async fn one_run_id_given_in_two_sessions_starts_one_run() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.start_flow('f', '{}', R3) => started
         other waits: select status from pgflow.start_flow('f', '{}', R3)
         one: commit
         other goes on => 23505 duplicate key value violates unique constraint \"runs_pkey\"
         one: select step_slug from pgflow.poll_tasks('f', W) => a",
    )
    .await;
}

#[tokio::test]
async fn a_late_completion_and_the_recovery_do_not_both_have_a_task() {
    let database = engine(TWO_RUNS).await;
    let stall = "update pgflow.step_tasks set queued_at = now() - interval '2 h', started_at = now() - interval '1 h'";
    play(
        &database,
        &format!(
            "time: {stall}
             late: begin
             late: select status from pgflow.complete_task(R1, 'a', 0, '1') => completed
             recover: begin
             recover: select pgflow.requeue_stalled_tasks() => 1
             later waits: select status from pgflow.complete_task(R2, 'a', 0, '1')
             late: commit
             recover: commit
             later goes on => queued
             later: select run_id, step_slug from pgflow.poll_tasks('f', W) order by 1 => R1|b R2|a"
        ),
    )
    .await;
}

#[tokio::test]
async fn what_is_put_away_while_a_flow_resumes_comes_back() {
    let database =
        engine(&TWO_RUNS.replace("select pgflow.poll_tasks('f', W);", "select pgflow.pause_flow('f');")).await;
    play(
        &database,
        "poll: begin
         poll: select step_slug from pgflow.poll_tasks('f', W) => nothing
         resume waits: select pgflow.resume_flow('f')
         poll: commit
         resume goes on => t
         poll: select run_id from pgflow.poll_tasks('f', W) order by 1 => R1 R2",
    )
    .await;
}

#[tokio::test]
async fn a_poll_waits_for_a_resume_and_starts_what_it_read() {
    let database =
        engine(&TWO_RUNS.replace("select pgflow.poll_tasks('f', W);", "select pgflow.pause_flow('f');")).await;
    play(
        &database,
        "resume: begin
         resume: select pgflow.resume_flow('f') => t
         poll waits: select run_id from pgflow.poll_tasks('f', W) order by 1
         resume: commit
         poll goes on => R1 R2",
    )
    .await;
}

#[tokio::test]
async fn a_run_is_pruned_or_retried_and_never_half_of_each() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "op: select status from pgflow.cancel_run(R1); select status from pgflow.cancel_run(R2)
         retry: begin
         retry: select status from pgflow.retry_run(R1) => started
         prune waits: select pgflow.prune_runs('0')
         retry: commit
         prune goes on => 1
         prune: begin
         retry: select status from pgflow.cancel_run(R1) => failed
         prune: select pgflow.prune_runs('0') => 1
         retry waits: select status from pgflow.retry_run(R1)
         late waits: select status from pgflow.fail_task(R1, 'a', 0, 'late')
         prune: commit
         retry goes on => nothing
         late goes on => nothing",
    )
    .await;
    let left = "select count(*) from pgflow.step_tasks union all select count(*) from pgmq.q_f union all select count(*) from pgmq.a_f";
    assert_eq!(query(&mut connect(database.options()).await, left).await.unwrap(), "0\n0\n0");
}

#[tokio::test]
async fn a_run_does_not_start_in_a_flow_that_is_being_deleted() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "delete: begin
         delete: select pgflow.delete_flow_and_data('f') => nothing
         start waits: select status from pgflow.start_flow('f', '{}', R3)
         late waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         delete: commit
         start goes on => 23503 insert or update on table \"runs\" violates foreign key constraint \"runs_flow_slug_fkey\"
         late goes on => nothing",
    )
    .await;
}

#[tokio::test]
async fn a_batch_over_a_map_feeds_the_map_below() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map');
         select pgflow.add_step('f', 'n', '{m}', step_type => 'map'); select pgflow.start_flow('f', '[1, 2]', R1);
         select pgflow.poll_tasks('f', W)",
    )
    .await;
    play(
        &database,
        "worker: select status from pgflow.complete_tasks(array[R1, R1]::uuid[], '{m, m}', '{0, 1}', '{7, 8}') \
           => completed completed
         worker: select input from pgflow.poll_tasks('f', W) => 7 8",
    )
    .await;
}

/// Whoever holds the row of a queued task for a moment only must not keep it from its next worker for a whole timeout.
#[tokio::test]
async fn a_late_failure_does_not_put_off_the_next_attempt() {
    let database = engine(&TWO_RUNS.replace("'f', 1, 0", "'f', 3, 0")).await;
    play(
        &database,
        "worker: select status from pgflow.fail_task(R1, 'a', 0, 'no') => queued
         late: begin
         late: select status from pgflow.fail_task(R1, 'a', 0, 'late') => queued
         poll: select step_slug from pgflow.poll_tasks('f', W)
         late: commit
         poll: select step_slug from pgflow.poll_tasks('f', W)
         poll: select status, attempts_count from pgflow.step_tasks where run_id = R1 => started|2",
    )
    .await;
}
