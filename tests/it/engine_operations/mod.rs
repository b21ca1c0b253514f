//! What operators and workers have beyond pgflow's own functions: batches, cancelling, retrying, pausing, pruning, and the
//! engine's own search for what is wrong.

mod batches;
mod cancelling;
mod pausing;
mod pruning;
mod retrying;
mod violations;

use crate::engine_runtime::{rows, run, with_runtime};

const TWO_STEPS: &str = "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}');";

/// Whatever they do to the same runs, they take turns: no deadlock, no lost wake-up, nothing unsound.
#[tokio::test]
async fn everything_at_once_deadlocks_nowhere_and_leaves_every_run_sound() {
    let (database, mut c) = with_runtime().await;
    run(
        &mut c,
        "select pgflow.create_flow('f', max_attempts => 2, base_delay => 0); select pgflow.add_step('f', 'm', step_type => 'map', when_exhausted => 'skip');
         select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'n', '{m}', step_type => 'map'); select pgflow.add_step('f', 'b', '{a}', when_exhausted => 'skip-cascade');
         select pgflow.add_step('f', 'end', '{n,b}'); select pgflow.start_flow('f', '[1, 2, 3]', t.id(n)) from generate_series(1, 4) n",
    )
    .await;
    let task = "select r.run_id, r.step_slug, r.task_index from pgflow.step_tasks r where r.status = 'started' order by random() limit 1";
    let any_run = "('00000000-0000-0000-0000-00000000000' || 1 + floor(random() * 4)::integer)::uuid";
    let calls = [
        "select count(*) from pgflow.poll_tasks('f', t.worker(), 5)".to_owned(),
        format!("select pgflow.complete_task(k.run_id, k.step_slug, k.task_index, '1') from ({task}) k"),
        format!("select pgflow.fail_task(k.run_id, k.step_slug, k.task_index, 'boom') from ({task}) k"),
        "select pgflow.complete_tasks(array_agg(run_id), array_agg(step_slug), array_agg(task_index), array_agg('1'::jsonb))
         from (select * from pgflow.step_tasks where status = 'started' order by random() limit 8) k"
            .to_owned(),
        format!("select pgflow.cancel_run({any_run})"),
        format!("select pgflow.retry_run({any_run})"),
        "select pgflow.requeue_stalled_tasks()".to_owned(),
        "select pgflow.pause_flow('f'); select pgflow.resume_flow('f')".to_owned(),
    ];
    let mut workers = tokio::task::JoinSet::new();
    for call in calls {
        let mut c = database.connect().await;
        workers.spawn(async move {
            run(&mut c, "set lock_timeout = '20s'").await;
            for _ in 0..60 {
                run(&mut c, &call).await;
            }
        });
    }
    workers.join_all().await;
    assert_eq!(rows(&mut c, "select v from pgflow.violations() v").await, [""; 0]);

    // And every run can still be brought to its end.
    run(&mut c, "select pgflow.retry_run(t.id(n)) from generate_series(1, 4) n").await;
    for _ in 0..20 {
        run(
            &mut c,
            "update pgmq.q_f set vt = now(); select pgflow.poll_tasks('f', t.worker(), 1000);
             select pgflow.complete_tasks(array_agg(run_id), array_agg(step_slug), array_agg(task_index), array_agg('1'::jsonb)) from pgflow.step_tasks where status = 'started'",
        )
        .await;
    }
    assert_eq!(rows(&mut c, "select distinct status from pgflow.runs").await, ["completed"]);
    assert_eq!(rows(&mut c, "select v from pgflow.violations() v").await, [""; 0]);
}
