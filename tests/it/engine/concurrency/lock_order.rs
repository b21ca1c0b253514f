//! Pairs of functions that lock the same rows. Each script deadlocked before the functions locked rows in one order.

use super::isolation::play;
use super::{connect, engine, query};

/// A heartbeat has locked message 1 when start_tasks locks the tasks; poll_tasks locks message 2 before its task.
#[tokio::test]
async fn start_tasks_and_poll_tasks_do_not_wait_for_each_other() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
         select pgflow.start_flow('f', '{}', R1)",
    )
    .await;
    play(
        &database,
        "heart: begin
         heart: select msg_id from pgflow.set_vt_batch('f', '{1}', '{0}') => 1
         start tries: select step_slug from pgflow.start_tasks('f', '{1, 2}', W)
         poll tries: select step_slug from pgflow.poll_tasks('f', W)
         heart: commit
         start continues => a b
         poll continues => nothing",
    )
    .await;
}

/// Tasks are ordered differently by primary key and by message, because x is queued before a.
#[tokio::test]
async fn retry_of_a_run_that_has_not_failed_does_not_block_start_tasks() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'y'); select pgflow.add_step('f', 'z');
         select pgflow.add_step('f', 'g', '{y}'); select pgflow.add_step('f', 'x', '{y}'); select pgflow.add_step('f', 'a', '{g}');
         select pgflow.start_flow('f', '{}', R1);
         select pgflow.start_tasks('f', '{1}', W); select pgflow.complete_task(R1, 'y', 0, '1');
         select pgflow.start_tasks('f', '{3}', W); select pgflow.complete_task(R1, 'g', 0, '1')",
    )
    .await;
    play(
        &database,
        "first: begin
         first: select step_slug from pgflow.start_tasks('f', '{4}', W) => x
         start tries: select step_slug from pgflow.start_tasks('f', '{2, 4, 5}', W)
         retry tries: select status from pgflow.retry_run(R1)
         first: commit
         start continues => z a
         retry continues => started",
    )
    .await;
}

#[tokio::test]
async fn flow_can_be_deleted_while_its_queue_is_polled() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
         select pgflow.start_flow('f', '{}', R1); select pgflow.start_tasks('f', '{2}', W)",
    )
    .await;
    play(
        &database,
        "worker: begin
         worker: select status from pgflow.complete_task(R1, 'b', 0, '1') => completed
         delete waits: select pgflow.delete_flow_and_data('f')
         poll tries: select step_slug from pgflow.poll_tasks('f', W)
         worker: commit
         delete continues => nothing
         poll continues => 42P01 relation \"pgmq.q_f\" does not exist",
    )
    .await;
    let left = "select count(*) from pgflow.step_tasks union all select count(*) from pgmq.meta";
    assert_eq!(query(&mut connect(database.options()).await, left).await.unwrap(), "0\n0");
}

/// The deletion waits for a completion. Later calls would create tasks that the deletion has not seen, so they must wait for
/// the deletion.
#[tokio::test]
async fn calls_during_a_deletion_find_no_flow() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a', step_type => 'map'); select pgflow.add_step('f', 'm');
         select pgflow.add_step('f', 'n', '{m}'); select pgflow.add_step('f', 'p', '{m}', step_type => 'map');
         select pgflow.start_flow('f', '[1, 2]', R1); select pgflow.poll_tasks('f', W)",
    )
    .await;
    play(
        &database,
        "gate: begin
         gate: select status from pgflow.complete_task(R1, 'a', 0, '1') => completed
         delete waits: select pgflow.delete_flow_and_data('f')
         m tries: select status from pgflow.complete_task(R1, 'm', 0, '[1, 2]')
         poll tries: begin; select step_slug from pgflow.poll_tasks('f', W)
         start tries: select status from pgflow.start_flow('f', '[3]')
         gate: commit
         delete continues => nothing
         m continues => nothing
         poll continues => 42P01 relation \"pgmq.q_f\" does not exist
         start continues => 23503 insert or update on table \"runs\" violates foreign key constraint \"runs_flow_slug_fkey\"",
    )
    .await;
    let left = "select count(*) from pgflow.step_tasks union all select count(*) from pgmq.meta";
    assert_eq!(query(&mut connect(database.options()).await, left).await.unwrap(), "0\n0");
}

/// Recovery archives message 1, whose task was requeued too often, and queues the task of message 3 again.
#[tokio::test]
async fn recovery_and_run_end_lock_messages_in_one_order() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
         select pgflow.add_step('f', 'c'); select pgflow.start_flow('f', '{}', R1); select pgflow.poll_tasks('f', W);
         update pgflow.step_tasks set queued_at = now() - interval '2 h', started_at = now() - interval '1 h' where step_slug <> 'b';
         update pgflow.step_tasks set requeued_count = 3 where step_slug = 'a'",
    )
    .await;
    play(
        &database,
        "heart: begin
         heart: select msg_id from pgflow.set_vt_batch('f', '{2}', '{60}') => 2
         cancel waits: select status from pgflow.cancel_run(R1)
         recover tries: select pgflow.requeue_stalled_tasks()
         heart: commit
         cancel continues => failed
         recover continues => 1",
    )
    .await;
}

/// One batch ends R1, because the output of R1.a is refused, and archives its messages; it has yet to lock R2.z, which the
/// other batch has locked.
#[tokio::test]
async fn batch_with_a_refused_output_keeps_the_lock_order() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a');
         select pgflow.add_step('f', 'm', '{a}', step_type => 'map'); select pgflow.add_step('f', 'z');
         select pgflow.start_flow('f', '{}', R1); select pgflow.start_flow('f', '{}', R2); select pgflow.poll_tasks('f', W)",
    )
    .await;
    play(
        &database,
        "heart: begin
         heart: select msg_id from pgflow.set_vt_batch('f', '{1}', '{60}') => 1
         one waits: select status from pgflow.complete_tasks(array[R1, R2]::uuid[], '{a, z}', '{0, 0}', '{1, 1}')
         other tries: select status from pgflow.complete_tasks(array[R1, R2]::uuid[], '{z, z}', '{0, 0}', '{1, 1}')
         heart: commit
         one continues => failed completed
         other continues",
    )
    .await;
}

/// An update keeps its lock on a row that no longer matches, so tasks to complete and tasks to start can overlap.
#[tokio::test]
async fn completions_of_requeued_tasks_do_not_block_their_start() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', R5);
         select pgflow.start_flow('f', '{}', R9); select pgflow.start_flow('f', '{}', R4); select pgflow.start_flow('f', '{}', R1);
         select pgflow.start_tasks('f', '{1, 3, 4}', W)",
    )
    .await;
    play(
        &database,
        "fail: begin
         fail: select status from pgflow.fail_task(R1, 'a', 0, 'no') => queued
         done waits: select status from pgflow.complete_tasks(array[R1, R4, R5]::uuid[], '{a, a, a}', '{0, 0, 0}', '{1, 1, 1}')
         time: update pgflow.step_tasks set queued_at = now() - interval '2 h', started_at = now() - interval '1 h' \
                 where run_id in (R4, R5)
         time: select pgflow.requeue_stalled_tasks() => 2
         first: begin
         first: select run_id from pgflow.start_tasks('f', '{2}', W) => R9
         start tries: select run_id from pgflow.start_tasks('f', '{1, 2, 3}', W)
         fail: commit
         first: commit
         done continues
         start continues",
    )
    .await;
}

/// The completion fails the run and archives its messages. A heartbeat locks some of them, including that of the task.
#[tokio::test]
async fn completion_and_heartbeat_lock_messages_in_one_order() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b'); select pgflow.add_step('f', 'd');
         select pgflow.add_step('f', 'c', '{a}', required_input_pattern => '{\"a\": 7}', when_unmet => 'fail');
         select pgflow.start_flow('f', '{}', R1); select pgflow.poll_tasks('f', W)",
    )
    .await;
    play(
        &database,
        "gate: begin
         gate: select msg_id from pgflow.set_vt_batch('f', '{3}', '{60}') => 3
         done waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
         heart tries: select msg_id from pgflow.set_vt_batch('f', '{1, 2}', '{60, 60}')
         gate: commit
         done continues => completed
         heart continues",
    )
    .await;
}

/// The caller gets PostgreSQL's serialization failure, because a retry within the same snapshot cannot succeed.
#[tokio::test]
async fn prune_in_a_snapshot_fails_if_a_run_has_changed() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', R1);
         select pgflow.cancel_run(R1)",
    )
    .await;
    play(
        &database,
        "prune: begin isolation level repeatable read
         prune: select status from pgflow.runs => failed
         retry: select status from pgflow.retry_run(R1) => started
         prune: select pgflow.prune_runs('0') => 40001 could not serialize access due to concurrent update
         prune: rollback",
    )
    .await;
}

/// Both functions defer messages of a paused flow, and must lock these and the row of the flow in one order.
#[tokio::test]
async fn start_tasks_and_poll_tasks_defer_messages_of_a_paused_flow() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
         select pgflow.start_flow('f', '{}', R1); select pgflow.pause_flow('f')",
    )
    .await;
    play(
        &database,
        "heart: begin
         heart: select msg_id from pgflow.set_vt_batch('f', '{1}', '{0}') => 1
         start tries: select step_slug from pgflow.start_tasks('f', '{1, 2}', W)
         poll tries: select step_slug from pgflow.poll_tasks('f', W)
         heart: commit
         start continues => nothing
         poll continues => nothing
         op: select pgflow.resume_flow('f') => t
         op: select step_slug from pgflow.poll_tasks('f', W) => a b",
    )
    .await;
}

/// One batch has its output for R1.a refused before it updates the map R2.z; the other one updates R2.z first and then locks
/// R1.
#[tokio::test]
async fn refused_output_and_map_of_another_run_lock_in_one_order() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a');
         select pgflow.add_step('f', 'm', '{a}', step_type => 'map'); select pgflow.add_step('f', 'y');
         select pgflow.add_step('f', 'z', step_type => 'map');
         select pgflow.start_flow('f', '[1, 2]', R1); select pgflow.start_flow('f', '[1, 2]', R2); select pgflow.poll_tasks('f', W)",
    )
    .await;
    play(
        &database,
        "heart: begin
         heart: select count(*) from pgflow.set_vt_batch('f', array(select message_id from pgflow.step_tasks \
           where run_id = R1 and step_slug = 'a'), '{60}') => 1
         one waits: select status from pgflow.complete_tasks(array[R1, R2]::uuid[], '{a, z}', '{0, 0}', '{1, 1}')
         other tries: select status from pgflow.complete_tasks(array[R1, R2]::uuid[], '{y, z}', '{0, 1}', '{1, 1}')
         heart: commit
         one continues => failed completed
         other continues => completed completed",
    )
    .await;
}

/// One batch has its output for R2.a refused before it locks R1; the other one locks R1 first.
#[tokio::test]
async fn refused_output_and_another_run_lock_in_one_order() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a');
         select pgflow.add_step('f', 'm', '{a}', step_type => 'map'); select pgflow.add_step('f', 'y');
         select pgflow.add_step('f', 'z'); select pgflow.start_flow('f', '{}', R1); select pgflow.start_flow('f', '{}', R2);
         select pgflow.poll_tasks('f', W)",
    )
    .await;
    play(
        &database,
        "heart: begin
         heart: select count(*) from pgflow.set_vt_batch('f', array(select message_id from pgflow.step_tasks \
           where run_id = R2 and step_slug = 'a'), '{60}') => 1
         one waits: select status from pgflow.complete_tasks(array[R2, R1]::uuid[], '{a, z}', '{0, 0}', '{1, 1}')
         other tries: select status from pgflow.complete_tasks(array[R1, R2]::uuid[], '{y, y}', '{0, 0}', '{1, 1}')
         heart: commit
         one continues => failed completed
         other continues",
    )
    .await;
}

/// One batch ends both runs and archives their messages run by run; the other one completes a task of each run. R1 was
/// started last.
#[tokio::test]
async fn batches_archive_messages_of_several_runs_in_one_order() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'm', step_type => 'map');
         select pgflow.add_step('f', 'n'); 
         select pgflow.add_step('f', 'c', '{a}', required_input_pattern => '{\"a\": 7}', when_unmet => 'fail');
         select pgflow.start_flow('f', '[1, 2]', R2); select pgflow.start_flow('f', '[1, 2]', R1); select pgflow.poll_tasks('f', W)",
    )
    .await;
    play(
        &database,
        "heart: begin
         heart: select count(*) from pgflow.set_vt_batch('f', array(select message_id from pgflow.step_tasks \
           where run_id = R1 and step_slug = 'n'), '{60}') => 1
         one waits: select status from pgflow.complete_tasks(array[R1, R2]::uuid[], '{a, a}', '{0, 0}', '{1, 1}')
         other tries: select status from pgflow.complete_tasks(array[R1, R2]::uuid[], '{m, m}', '{0, 0}', '{1, 1}')
         heart: commit
         one continues => completed completed
         other continues",
    )
    .await;
}

/// Both functions retry internally, but must still report a lock timeout of the session.
#[tokio::test]
async fn retry_and_prune_respect_the_lock_timeout() {
    let database = engine(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', R1);
         select pgflow.poll_tasks('f', W); select pgflow.cancel_run(R1)",
    )
    .await;
    play(
        &database,
        "late: begin
         late: select status from pgflow.fail_task(R1, 'a', 0, 'late') => failed
         retry: set lock_timeout = '10ms'
         retry: select status from pgflow.retry_run(R1) => 55P03 canceling statement due to lock timeout
         retry: select pgflow.prune_runs('0') => 55P03 canceling statement due to lock timeout
         late: rollback
         retry: reset lock_timeout
         retry: select status from pgflow.retry_run(R1) => started",
    )
    .await;
}
