//! Concurrent completions and failures of tasks of one run. A script forces each interleaving, whose outcome must equal that
//! of a serial order.

use super::isolation::play;
use super::{connect, engine, query};
use crate::fixture::Database;

/// Steps a and b, and c, which depends on both.
const JOIN: &str = "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
    select pgflow.add_step('f', 'c', '{a, b}'); select pgflow.start_flow('f', '{}', R1); select pgflow.poll_tasks('f', W);";

/// Two root maps of two started tasks each, and c, which depends on both.
const MAPS: &str =
    "select pgflow.create_flow('f', 1, 0); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'n', step_type => 'map');
    select pgflow.add_step('f', 'c', '{m, n}'); select pgflow.start_flow('f', '[1, 2]', R1); select pgflow.poll_tasks('f', W);";

/// The state of the run: its status and number of open steps, then its steps, then its tasks, by name.
async fn state(database: &Database) -> String {
    let sql = "select string_agg(line, ', ' order by level, line) from (
        select 1 as level, status || ' ' || remaining_steps as line from pgflow.runs
        union all select 2, step_slug || ' ' || status from pgflow.step_states
        union all select 3, step_slug || task_index || ' ' || status from pgflow.step_tasks) line";
    query(&mut connect(database.options()).await, sql).await.unwrap()
}

#[tokio::test]
async fn second_of_two_dependencies_starts_the_dependent_step() {
    let database = engine(JOIN).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.complete_task(R1, 'a', 0, '1') => completed
         other waits: select status from pgflow.complete_task(R1, 'b', 0, '2')
         one: commit
         other continues => completed
         other: select input from pgflow.poll_tasks('f', W) => {\"a\": 1, \"b\": 2}",
    )
    .await;
}

#[tokio::test]
async fn rolled_back_completion_does_not_start_the_dependent_step() {
    let database = engine(JOIN).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.complete_task(R1, 'a', 0, '1') => completed
         other waits: select status from pgflow.complete_task(R1, 'b', 0, '2')
         one: rollback
         other continues => completed
         other: select input from pgflow.poll_tasks('f', W) => nothing
         one: select status from pgflow.complete_task(R1, 'a', 0, '3') => completed
         one: select input from pgflow.poll_tasks('f', W) => {\"a\": 3, \"b\": 2}",
    )
    .await;
}

#[tokio::test]
async fn last_two_tasks_of_a_map_give_one_complete_output() {
    let database = engine(MAPS).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.complete_task(R1, 'm', 1, '20') => completed
         other waits: select status from pgflow.complete_task(R1, 'm', 0, '10')
         one: commit
         other continues => completed
         other: select status, output from pgflow.step_states where step_slug = 'm' => completed|[10, 20]",
    )
    .await;
}

#[tokio::test]
async fn task_completed_by_two_sessions_counts_once() {
    let database = engine(MAPS).await;
    play(
        &database,
        "one: begin
         one: select output from pgflow.complete_task(R1, 'm', 0, '1') => 1
         other waits: select output from pgflow.complete_task(R1, 'm', 0, '2')
         one: commit
         other continues => 1
         other: select status, remaining_tasks from pgflow.step_states where step_slug = 'm' => started|1",
    )
    .await;
}

#[tokio::test]
async fn first_of_concurrent_failure_and_completion_wins() {
    let database = engine(MAPS).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.complete_task(R1, 'm', 0, '1') => completed
         other waits: select status from pgflow.fail_task(R1, 'm', 0, 'no')
         one: commit
         other continues => completed
         other: begin
         other: select status from pgflow.fail_task(R1, 'm', 1, 'no') => failed
         one waits: select status from pgflow.complete_task(R1, 'm', 1, '1')
         other: commit
         one continues => failed",
    )
    .await;
}

/// The completion locks its task, and then waits for the step state that the failure has locked.
#[tokio::test]
async fn map_task_completes_while_its_sibling_fails_the_run() {
    let database = engine(MAPS).await;
    play(
        &database,
        "fail: begin
         fail: select status from pgflow.fail_task(R1, 'm', 0, 'no') => failed
         done waits: select status from pgflow.complete_task(R1, 'm', 1, '1')
         fail: commit
         done continues => completed",
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
async fn map_task_completes_while_its_sibling_skips_the_step() {
    let skip = MAPS.replace("'m', step_type", "'m', when_exhausted => 'skip', step_type");
    let database = engine(&skip).await;
    play(
        &database,
        "fail: begin
         fail: select status from pgflow.fail_task(R1, 'm', 0, 'no') => failed
         done waits: select status from pgflow.complete_task(R1, 'm', 1, '1')
         batch waits: select status from pgflow.complete_tasks(array[R1, R1]::uuid[], '{n, n}', '{0, 1}', '{1, 2}')
         fail: commit
         done continues => completed
         batch continues => completed completed
         batch: select input from pgflow.poll_tasks('f', W) => {\"n\": [1, 2]}",
    )
    .await;
    assert_eq!(
        state(&database).await,
        "started 1, c started, m skipped, n completed, c0 started, m0 failed, m1 completed, n0 completed, n1 completed"
    );
}

/// Both sessions have locked their task and step state when they reach the run. The second one finds a failed run, and
/// starts no step.
#[tokio::test]
async fn step_completes_while_another_fails_the_run() {
    let database = engine(&JOIN.replace("'f');", "'f', 1, 0);").replace("{a, b}", "{a}")).await;
    play(
        &database,
        "fail: begin
         fail: select status from pgflow.fail_task(R1, 'b', 0, 'no') => failed
         done waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         fail: commit
         done continues => completed",
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
async fn concurrent_step_failures_fail_the_run_once() {
    let database = engine(&JOIN.replace("'f');", "'f', 1, 0);")).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.fail_task(R1, 'a', 0, 'no') => failed
         other waits: select status from pgflow.fail_task(R1, 'b', 0, 'no')
         one: commit
         other continues => failed",
    )
    .await;
    assert_eq!(state(&database).await, "failed 3, a failed, b started, c created, a0 failed, b0 failed");
}

#[tokio::test]
async fn concurrent_skips_release_the_dependent_step_once() {
    let skip = JOIN.replace("'f');", "'f', 1, 0);").replace("'a')", "'a', when_exhausted => 'skip')");
    let database = engine(&skip.replace("'b')", "'b', when_exhausted => 'skip-cascade')")).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.fail_task(R1, 'a', 0, 'no') => failed
         other waits: select status from pgflow.fail_task(R1, 'b', 0, 'no')
         one: commit
         other continues => failed",
    )
    .await;
    assert_eq!(state(&database).await, "completed 0, a skipped, b skipped, c skipped, a0 failed, b0 failed");
}

#[tokio::test]
async fn batches_over_two_maps_in_opposite_orders_both_complete() {
    let database = engine(MAPS).await;
    play(
        &database,
        "gate: begin
         gate: select status from pgflow.complete_task(R1, 'm', 1, '20') => completed
         one waits: select status from pgflow.complete_tasks(array[R1, R1]::uuid[], '{m, n}', '{0, 0}', '{10, 10}')
         other waits: select status from pgflow.complete_tasks(array[R1, R1, R1]::uuid[], '{n, m, m}', '{1, 1, 0}', '{20, 9, 9}')
         gate: commit
         one continues => completed completed
         other continues => completed completed completed
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
         one continues => 4
         other continues => 3
         one: select input from pgflow.poll_tasks('f', W) => \
           {\"m\": [1, 2], \"n\": [1, 2]} {\"m\": [1, 2], \"n\": [1, 2]}",
    )
    .await;
}

#[tokio::test]
async fn batch_over_a_map_starts_the_dependent_map() {
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
