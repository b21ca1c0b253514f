//! Operations on runs (start, cancel, retry, pause, recover, prune and delete) while their tasks start, complete and fail. A
//! script forces each interleaving, whose outcome must equal that of a serial order.

use super::isolation::play;
use super::{connect, engine, query};

/// Two runs with the step a started, and b, which depends on it.
const TWO_RUNS: &str = "select pgflow.create_flow('f', 1, 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}');
    select pgflow.start_flow('f', '{}', R1); select pgflow.start_flow('f', '{}', R2); select pgflow.poll_tasks('f', W);";

#[tokio::test]
async fn task_starts_only_before_its_run_is_cancelled() {
    let database = engine(&TWO_RUNS.replace("select pgflow.poll_tasks('f', W);", "")).await;
    play(
        &database,
        "op: begin
         op: select status from pgflow.cancel_run(R1) => failed
         worker tries: select run_id from pgflow.start_tasks('f', '{1, 2}', W)
         op: commit
         worker continues",
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
async fn cancelled_run_keeps_a_concurrent_completion() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "op: begin
         op: select status from pgflow.cancel_run(R1) => failed
         worker waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         op: commit
         worker continues => completed
         op: select status from pgflow.retry_run(R1) => started
         worker: select step_slug, input from pgflow.poll_tasks('f', W) => b|{\"a\": 1}",
    )
    .await;
}

#[tokio::test]
async fn retry_completes_a_run_whose_last_step_completed_during_cancel() {
    let database = engine(&TWO_RUNS.replace("select pgflow.add_step('f', 'b', '{a}');", "")).await;
    play(
        &database,
        "op: begin
         op: select status from pgflow.cancel_run(R1) => failed
         worker waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         op: commit
         worker continues => completed
         op: select status, output from pgflow.retry_run(R1) => completed|{\"a\": 1}",
    )
    .await;
}

#[tokio::test]
async fn completion_after_a_retry_changes_nothing() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "op: select status from pgflow.cancel_run(R1) => failed
         op: begin
         op: select status from pgflow.retry_run(R1) => started
         worker tries: select status from pgflow.complete_task(R1, 'a', 0, '1')
         op: commit
         worker continues
         worker: select status from pgflow.complete_task(R1, 'a', 0, '1') => queued
         worker: select step_slug from pgflow.poll_tasks('f', W) => a
         worker: select status from pgflow.complete_task(R1, 'a', 0, '2') => completed
         worker: select input from pgflow.poll_tasks('f', W) => {\"a\": 2}",
    )
    .await;
}

#[tokio::test]
async fn batch_after_a_cancellation_changes_nothing() {
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
async fn concurrent_retries_count_once() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "op: select status from pgflow.cancel_run(R1) => failed
         one: begin
         one: select status from pgflow.retry_run(R1) => started
         other waits: select status from pgflow.retry_run(R1)
         one: commit
         other continues => started
         worker: select run_id from pgflow.poll_tasks('f', W) => R1",
    )
    .await;
}

#[tokio::test]
async fn concurrent_starts_with_one_run_id_start_one_run() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "one: begin
         one: select status from pgflow.start_flow('f', '{}', R3) => started
         other waits: select status from pgflow.start_flow('f', '{}', R3)
         one: commit
         other continues => 23505 duplicate key value violates unique constraint \"runs_pkey\"
         one: select step_slug from pgflow.poll_tasks('f', W) => a",
    )
    .await;
}

#[tokio::test]
async fn late_completion_and_recovery_exclude_each_other() {
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
             later continues => queued
             later: select run_id, step_slug from pgflow.poll_tasks('f', W) order by 1 => R1|b R2|a"
        ),
    )
    .await;
}

#[tokio::test]
async fn message_deferred_during_a_resume_is_returned() {
    let database =
        engine(&TWO_RUNS.replace("select pgflow.poll_tasks('f', W);", "select pgflow.pause_flow('f');")).await;
    play(
        &database,
        "poll: begin
         poll: select step_slug from pgflow.start_tasks('f', '{1, 2}', W) => nothing
         resume waits: select pgflow.resume_flow('f')
         poll: commit
         resume continues => t
         poll: select run_id from pgflow.poll_tasks('f', W) order by 1 => R1 R2",
    )
    .await;
}

#[tokio::test]
async fn start_tasks_waits_for_a_resume_and_starts_the_read_messages() {
    let database =
        engine(&TWO_RUNS.replace("select pgflow.poll_tasks('f', W);", "select pgflow.pause_flow('f');")).await;
    play(
        &database,
        "resume: begin
         resume: select pgflow.resume_flow('f') => t
         start waits: select run_id from pgflow.start_tasks('f', '{1, 2}', W) order by 1
         resume: commit
         start continues => R1 R2",
    )
    .await;
}

#[tokio::test]
async fn prune_and_retry_exclude_each_other() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "op: select status from pgflow.cancel_run(R1); select status from pgflow.cancel_run(R2)
         retry: begin
         retry: select status from pgflow.retry_run(R1) => started
         prune waits: select pgflow.prune_runs('0')
         retry: commit
         prune continues => 1
         prune: begin
         retry: select status from pgflow.cancel_run(R1) => failed
         prune: select pgflow.prune_runs('0') => 1
         retry waits: select status from pgflow.retry_run(R1)
         late tries: select status from pgflow.fail_task(R1, 'a', 0, 'late')
         prune: commit
         retry continues => nothing
         late continues",
    )
    .await;
    let left = "select count(*) from pgflow.step_tasks union all select count(*) from pgmq.q_f union all select count(*) from pgmq.a_f";
    assert_eq!(query(&mut connect(database.options()).await, left).await.unwrap(), "0\n0\n0");
}

#[tokio::test]
async fn run_does_not_start_during_the_deletion_of_its_flow() {
    let database = engine(TWO_RUNS).await;
    play(
        &database,
        "delete: begin
         delete: select pgflow.delete_flow_and_data('f') => nothing
         start waits: select status from pgflow.start_flow('f', '{}', R3)
         late waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         delete: commit
         start continues => 23503 insert or update on table \"runs\" violates foreign key constraint \"runs_flow_slug_fkey\"
         late continues => nothing",
    )
    .await;
}

/// A late failure locks the row of the queued task, so the first poll may skip it. Its message must not stay hidden for the
/// whole timeout because of that.
#[tokio::test]
async fn late_failure_does_not_delay_the_next_attempt() {
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

/// The completion waits for the row of the task, and has it locked when it finds the task queued again.
#[tokio::test]
async fn late_completion_does_not_delay_the_next_attempt() {
    let database = engine(&TWO_RUNS.replace("'f', 1, 0", "'f', 3, 0")).await;
    play(
        &database,
        "worker: begin
         worker: select status from pgflow.fail_task(R1, 'a', 0, 'no') => queued
         late: begin
         late waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         worker: commit
         late continues => queued
         poll: select step_slug from pgflow.poll_tasks('f', W)
         late: commit",
    )
    .await;
    let connection = &mut connect(database.options()).await;
    let hidden = "select status = 'started' or vt < clock_timestamp() + interval '3 s'
                  from pgflow.step_tasks join pgmq.q_f on msg_id = message_id where step_slug = 'a' and attempts_count < 3
                    and run_id::text like '%1'";
    assert_eq!(query(connection, hidden).await.unwrap(), "t");
}
