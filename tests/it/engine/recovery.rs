//! Recovery of stalled tasks by `requeue_stalled_tasks`.

use crate::fixture::runtime::{rows, run, value, with_runtime};

const REQUEUE: &str = "pgflow.requeue_stalled_tasks()";

#[tokio::test]
async fn task_is_stalled_30s_after_timeout() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', timeout => 1000); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'queued', start_delay => 9999);
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select t.age('a', 1010)",
    )
    .await;
    assert_eq!(value(c, REQUEUE).await, "0", "20 s are left");
    run(c, "select t.age('a', 20)").await;
    assert_eq!(value(c, REQUEUE).await, "1");
    let task = "select concat_ws(' ', status, attempts_count, requeued_count, started_at is null, last_requeued_at > now() - interval '1 minute',
        permanently_stalled_at is null) from pgflow.step_tasks where step_slug = 'a'";
    assert_eq!(rows(c, task).await, ["queued 1 1 t t t"]);
    assert_eq!(value(c, "t.hidden('a') <= 0").await, "true");
    assert_eq!(value(c, REQUEUE).await, "0");
    assert_eq!(rows(c, "select t.take()").await, ["a 0 {}"]);
    run(c, "select pgflow.complete_task(t.id(), 'a', 0, '1')").await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 completed 2 1", "queued 0 queued 0"]);
}

/// The official engines use only the timeout of the flow.
#[tokio::test]
async fn step_timeout_overrides_flow_timeout() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', timeout => 1000); select pgflow.add_step('f', 'quick', timeout => 10); select pgflow.add_step('f', 'slow', timeout => 5000);
         select pgflow.add_step('f', 'usual'); select pgflow.start_flow('f', '{}', t.id()); select t.take();
         select t.age(s, 100) from unnest('{quick,slow,usual}'::text[]) s",
    )
    .await;
    assert_eq!(value(c, REQUEUE).await, "1");
    assert_eq!(rows(c, "select t.tasks()").await, ["quick 0 queued 1", "slow 0 started 1", "usual 0 started 1"]);
    run(c, "select t.age(s, 2000) from unnest('{quick,slow,usual}'::text[]) s").await;
    assert_eq!(value(c, REQUEUE).await, "1");
    assert_eq!(rows(c, "select t.tasks()").await, ["quick 0 queued 1", "slow 0 started 1", "usual 0 queued 1"]);
}

const STALLED_FOR_GOOD: &str = "select pgflow.create_flow('f', max_attempts => 9); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id());
    do $$
    begin
      for requeue in 1..4 loop
        perform t.take();
        perform t.age('a', 1000);
        perform pgflow.requeue_stalled_tasks();
      end loop;
    end
    $$";

#[tokio::test]
async fn fourth_stall_marks_task_permanently_stalled() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, STALLED_FOR_GOOD).await;
    let task = "select concat_ws(' ', status, attempts_count, requeued_count, permanently_stalled_at > now() - interval '1 minute') from pgflow.step_tasks";
    assert_eq!(rows(c, task).await, ["started 4 3 t"]);
    assert_eq!(rows(c, "select t.queue()").await, [""; 0]);
    assert_eq!(rows(c, "select t.archive()").await, ["a 0"]);
    assert_eq!(value(c, "t.run()").await, "started 1");
    let before = value(c, "select permanently_stalled_at from pgflow.step_tasks").await;
    assert_eq!(value(c, REQUEUE).await, "0");
    assert_eq!(value(c, "select permanently_stalled_at from pgflow.step_tasks").await, before, "it is marked once");
}

#[tokio::test]
async fn permanently_stalled_task_can_still_complete() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, STALLED_FOR_GOOD).await;
    run(c, "select pgflow.complete_task(t.id(), 'a', 0, '1')").await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"a": 1}"#);
}

/// A retry would wait forever, because the message of the task is archived.
#[tokio::test]
async fn permanently_stalled_task_fails_without_retry() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, STALLED_FOR_GOOD).await;
    run(c, "select pgflow.fail_task(t.id(), 'a', 0, 'late')").await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 failed 4 late"]);
    assert_eq!(value(c, "t.run()").await, "failed 1");
}

#[tokio::test]
async fn late_report_before_reclaim_changes_nothing() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id()); select t.take();
         select t.age('a', 1000); select pgflow.requeue_stalled_tasks(); select pgflow.complete_task(t.id(), 'a', 0, '\"late\"');
         select pgflow.fail_task(t.id(), 'a', 0, 'late')",
    )
    .await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 queued 1"]);
    run(c, "select t.take(); select pgflow.complete_task(t.id(), 'a', 0, '\"again\"')").await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"a": "again"}"#);
}

#[tokio::test]
async fn locked_tasks_are_left_to_next_recovery() {
    let (database, mut c) = with_runtime().await;
    run(
        &mut c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b'); select pgflow.start_flow('f', '{}', t.id());
         select t.take(); select t.age('a', 1000); select t.age('b', 1000)",
    )
    .await;
    let mut other = database.connect().await;
    run(&mut other, "begin; select from pgflow.step_tasks where step_slug = 'a' for update").await;
    run(&mut c, "set lock_timeout = '5s'").await;
    assert_eq!(value(&mut c, REQUEUE).await, "1");
    assert_eq!(rows(&mut c, "select t.tasks()").await, ["a 0 started 1", "b 0 queued 1"]);
    run(&mut other, "commit").await;
    assert_eq!(value(&mut c, REQUEUE).await, "1");
}

#[tokio::test]
async fn tasks_of_ended_runs_and_steps_become_permanently_stalled() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
         select pgflow.create_flow('g', max_attempts => 0); select pgflow.add_step('g', 'a', step_type => 'map', when_exhausted => 'skip'); select pgflow.add_step('g', 'b');
         select pgflow.start_flow('f', '{}', t.id(1)); select pgflow.start_flow('g', '[1, 2]', t.id(2)); select t.take('f'); select t.take('g');
         select pgflow.fail_task(t.id(1), 'a', 0, 'boom'); select pgflow.fail_task(t.id(2), 'a', 0, 'boom'); select t.age('a', 1000); select t.age('b', 1000)",
    )
    .await;
    // Only step b of the second run continues: the first run has failed, and step a of the second is skipped.
    assert_eq!(value(c, REQUEUE).await, "1");
    assert_eq!(rows(c, "select t.tasks(1)").await, ["a 0 failed 1 boom", "b 0 started 1"]);
    assert_eq!(rows(c, "select t.tasks(2)").await, ["a 0 failed 1 boom", "a 1 started 1", "b 0 queued 1"]);
    let given_up = "select concat_ws(' ', right(run_id::text, 1), step_slug, task_index) from pgflow.step_tasks where permanently_stalled_at is not null order by 1";
    assert_eq!(rows(c, given_up).await, ["1 b 0", "2 a 1"]);
    assert_eq!(
        (value(c, "t.run(1)").await, value(c, "t.run(2)").await),
        ("failed 2".to_owned(), "started 1".to_owned())
    );
    assert_eq!(value(c, REQUEUE).await, "0");
}

#[tokio::test]
async fn concurrent_recoveries_requeue_each_task_once() {
    let (database, mut c) = with_runtime().await;
    run(
        &mut c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a', step_type => 'map');
         select pgflow.start_flow('f', to_jsonb(array(select generate_series(1, 200))), t.id()); select t.take(); select t.age('a', 1000)",
    )
    .await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut c = database.connect().await;
        workers.spawn(async move { value(&mut c, REQUEUE).await.parse::<u32>().unwrap() });
    }
    // Each session skips the tasks that another one has locked; no task may be requeued twice afterwards.
    let requeued: u32 = workers.join_all().await.iter().sum();
    assert_eq!(requeued, 200);
    assert_eq!(
        value(&mut c, "select (min(requeued_count), max(requeued_count)) from pgflow.step_tasks").await,
        "(1,1)"
    );
}
