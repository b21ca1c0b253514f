//! Functions of flowsmith's engine that the official one lacks: batches, cancel, retry, pause, prune, and the search for
//! violated rules.

mod batches;
mod cancelling;
mod pausing;
mod pruning;
mod retrying;
mod violations;

use crate::fixture::runtime::{rows, run, with_runtime};

const TWO_STEPS: &str = "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}');";

/// A flow with dependent maps, skipped steps and retries, and four runs of it.
const BUSY: &str = r#"
    select pgflow.create_flow('f', max_attempts => 2, base_delay => 0);
    select pgflow.add_step('f', 'm', step_type => 'map', when_exhausted => 'skip');
    select pgflow.add_step('f', 'a');
    select pgflow.add_step('f', 'n', '{m}', step_type => 'map');
    select pgflow.add_step('f', 'b', '{a}', when_exhausted => 'skip-cascade');
    select pgflow.add_step('f', 'each', '{b}', step_type => 'map', forbidden_input_pattern => '{"b": [2]}', when_unmet => 'skip-cascade');
    select pgflow.add_step('f', 'end', '{n,each}');
    select pgflow.start_flow('f', '[1, 2, 3]') from generate_series(1, 4)"#;

/// The calls that run concurrently, each in a loop.
const CALLS: [&str; 16] = [
    "select pgflow.start_flow('f', '[1, 2]') where (select count(*) from pgflow.runs) < 8",
    "select count(*) from pgflow.poll_tasks('f', t.worker(), 5)",
    "select count(*) from pgflow.poll_tasks('f', t.worker(), 20)",
    "select pgflow.start_tasks('f', array(select message_id from pgflow.step_tasks where status = 'queued' order by random() limit 9), t.worker())",
    "select pgmq.set_vt('f', msg_id, 0) from (select msg_id from pgmq.q_f order by random() limit 1) q",
    "select pgflow.complete_task(run_id, step_slug, task_index, '[1]') from t.any_started(1)",
    "select pgflow.complete_task(run_id, step_slug, task_index, '[]') from t.any_started(1)",
    "select pgflow.complete_tasks(array_agg(run_id), array_agg(step_slug), array_agg(task_index), array_agg('[2]'::jsonb)) from t.any_started(8)",
    "select pgflow.complete_tasks(array_agg(run_id), array_agg(step_slug), array_agg(task_index), array_agg('1'::jsonb)) from t.any_started(3)",
    "select pgflow.fail_task(run_id, step_slug, task_index, 'boom') from t.any_started(1)",
    "select t.stall(1)",
    "select pgflow.requeue_stalled_tasks()",
    "select pgflow.cancel_run(run_id) from (select run_id from pgflow.runs order by random() limit 1) r",
    "select pgflow.retry_run(run_id) from (select run_id from pgflow.runs order by random() limit 1) r",
    "select pgflow.prune_runs('20 milliseconds', 'f', 2)",
    "select pgflow.pause_flow('f'); select pgflow.resume_flow('f')",
];

/// All calls use the same runs. None may deadlock, lose a start of a dependent step, or violate a rule of the engine.
#[tokio::test]
async fn concurrent_calls_neither_deadlock_nor_violate_rules() {
    let (database, mut c) = with_runtime().await;
    run(&mut c, BUSY).await;
    let mut workers = tokio::task::JoinSet::new();
    for call in CALLS {
        let mut c = database.connect().await;
        workers.spawn(async move {
            for _ in 0..60 {
                run(&mut c, call).await;
            }
        });
    }
    workers.join_all().await;
    assert_eq!(rows(&mut c, "select v from pgflow.violations() v").await, [""; 0]);

    // Every run can still complete.
    run(&mut c, "select pgflow.start_flow('f', '[1]', t.id()); select pgflow.retry_run(run_id) from pgflow.runs").await;
    for _ in 0..20 {
        run(
            &mut c,
            "update pgmq.q_f set vt = now(); select pgflow.poll_tasks('f', t.worker(), 1000);
             select pgflow.complete_tasks(array_agg(run_id), array_agg(step_slug), array_agg(task_index), array_agg('[1]'::jsonb)) from t.any_started(1000)",
        )
        .await;
    }
    assert_eq!(rows(&mut c, "select distinct status from pgflow.runs").await, ["completed"]);
    assert_eq!(rows(&mut c, "select v from pgflow.violations() v").await, [""; 0]);
}
