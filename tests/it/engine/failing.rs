//! Failing a task: retries, and steps with exhausted attempts.

use crate::fixture::runtime::{rows, run, value, with_runtime};

#[tokio::test]
async fn failed_task_is_retried_with_exponential_delay() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 3, base_delay => 100); select pgflow.add_step('f', 'a');
         select pgflow.start_flow('f', '{}', t.id())",
    )
    .await;
    for (attempt, delay) in [(1, 200), (2, 400)] {
        run(c, "select pgmq.set_vt('f', message_id, 0) from pgflow.step_tasks; select t.take()").await;
        let fail = format!(
            "select concat_ws(' ', k.status, k.attempts_count, k.error_message, k.started_at is null) from pgflow.fail_task(t.id(), 'a', 0, 'error {attempt}') k"
        );
        assert_eq!(rows(c, &fail).await, [format!("queued {attempt} error {attempt} t")]);
        assert_eq!(value(c, &format!("t.hidden('a') between {delay} - 10 and {delay}")).await, "true");
        assert_eq!(rows(c, "select t.take()").await, [""; 0]);
    }
    run(c, "select pgmq.set_vt('f', message_id, 0) from pgflow.step_tasks; select t.take()").await;
    run(c, "select pgflow.fail_task(t.id(), 'a', 0, 'the last')").await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 failed 3 the last"]);
    assert_eq!(rows(c, "select t.steps()").await, ["a failed the last"]);
    assert_eq!(value(c, "t.run()").await, "failed 1");
    assert_eq!(rows(c, "select t.events()").await, ["run:started", "step:a:started", "step:a:failed", "run:failed"]);
    assert_eq!(rows(c, "select t.archive()").await, ["a 0"]);
}

#[tokio::test]
async fn retried_task_can_complete() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', base_delay => 0); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id());
         select t.take(); select pgflow.fail_task(t.id(), 'a', 0, 'once'); select t.take(); select pgflow.complete_task(t.id(), 'a', 0, '1')",
    )
    .await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"a": 1}"#);
    assert_eq!(value(c, "select (status, attempts_count, output) from pgflow.step_tasks").await, "(completed,2,1)");
}

#[tokio::test]
async fn step_options_override_flow_options() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 1, base_delay => 100);
         select pgflow.add_step('f', 'a', max_attempts => 2, base_delay => 1000); select pgflow.add_step('f', 'b', when_exhausted => 'skip');
         select pgflow.start_flow('f', '{}', t.id()); select t.take();
         select pgflow.fail_task(t.id(), 'a', 0, 'boom'); select pgflow.fail_task(t.id(), 'b', 0, 'boom')",
    )
    .await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 queued 1 boom", "b 0 failed 1 boom"]);
    assert_eq!(value(c, "t.hidden('a') between 1990 and 2000").await, "true");
}

#[tokio::test]
async fn zero_max_attempts_allows_no_retry() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id());
         select t.take(); select pgflow.fail_task(t.id(), 'a', 0, 'boom')",
    )
    .await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 failed 1 boom"]);
}

#[tokio::test]
async fn huge_delay_is_capped() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 2000, base_delay => 2147483647); select pgflow.add_step('f', 'a');
         select pgflow.start_flow('f', '{}', t.id()); update pgflow.step_tasks set attempts_count = 1500;
         select t.take(); select pgflow.fail_task(t.id(), 'a', 0, 'boom')",
    )
    .await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 queued 1501 boom"]);
    assert_eq!(value(c, "t.hidden('a') > 2147483000").await, "true");
}

#[tokio::test]
async fn exhausted_step_fails_run_and_archives_messages() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'b', '{m}');
         select pgflow.add_step('f', 'other'); select pgflow.start_flow('f', '[1, 2]', t.id()); select pgflow.start_flow('f', '[1]', t.id(2));
         select pgflow.start_tasks('f', array_agg(message_id), t.worker()) from pgflow.step_tasks where run_id = t.id() and step_slug = 'm';
         select pgflow.fail_task(t.id(), 'm', 1, 'boom')",
    )
    .await;
    assert_eq!(rows(c, "select t.tasks()").await, ["m 0 started 1", "m 1 failed 1 boom", "other 0 queued 0"]);
    assert_eq!(rows(c, "select t.steps()").await, ["m failed boom", "b created", "other started"]);
    assert_eq!(value(c, "t.run()").await, "failed 3");
    assert_eq!(rows(c, "select t.archive()").await, ["m 0", "m 1", "other 0"]);
    assert_eq!(rows(c, "select t.queue()").await, ["m 0", "other 0"], "those of the other run");
    assert_eq!(rows(c, "select t.events()").await.split_off(3), ["step:m:failed", "run:failed"]);
}

#[tokio::test]
async fn exhausted_step_with_skip_mode_is_skipped() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'm', step_type => 'map', when_exhausted => 'skip');
         select pgflow.add_step('f', 'n', '{m}', step_type => 'map'); select pgflow.add_step('f', 'b', '{m}'); select pgflow.add_step('f', 'c', '{n,b}');
         select pgflow.start_flow('f', '[1, 2, 3]', t.id()); select t.take(quantity => 2); select pgflow.fail_task(t.id(), 'm', 1, 'boom')",
    )
    .await;
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["m skipped handler_failed boom", "n completed []", "b started", "c created"]
    );
    assert_eq!(
        rows(c, "select t.tasks()").await,
        ["b 0 queued 0", "m 0 started 1", "m 1 failed 1 boom", "m 2 queued 0"]
    );
    assert_eq!(rows(c, "select t.archive()").await, ["m 0", "m 1", "m 2"]);
    assert_eq!(value(c, "t.run()").await, "started 2");
    let counts =
        "select (remaining_tasks, initial_tasks, skipped_at is not null) from pgflow.step_states where step_slug = 'm'";
    assert_eq!(value(c, counts).await, "(,3,t)");
    assert_eq!(rows(c, "select t.take()").await, ["b 0 {}"], "what was skipped is absent");
    run(c, "select pgflow.complete_task(t.id(), 'b', 0, '1')").await;
    assert_eq!(rows(c, "select t.take()").await, [r#"c 0 {"b": 1, "n": []}"#]);
}

#[tokio::test]
async fn exhausted_step_with_cascade_skips_dependents() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a', when_exhausted => 'skip-cascade');
         select pgflow.add_step('f', 'b', '{a}'); select pgflow.add_step('f', 'm', '{a}', step_type => 'map'); select pgflow.add_step('f', 'free');
         select pgflow.add_step('f', 'c', '{b,free}'); select pgflow.add_step('f', 'after', '{free}');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.fail_task(t.id(), 'a', 0, 'boom')",
    )
    .await;
    let steps = [
        "a skipped handler_failed boom",
        "b skipped dependency_skipped",
        "m skipped dependency_skipped",
        "free started",
        "c skipped dependency_skipped",
        "after created",
    ];
    assert_eq!(rows(c, "select t.steps()").await, steps);
    assert_eq!(value(c, "t.run()").await, "started 2");
    assert_eq!(value(c, "select count(*) from realtime.sent where event like 'step:%:skipped'").await, "4");
    run(c, "select pgflow.complete_task(t.id(), 'free', 0, '1'); select t.take(); select pgflow.complete_task(t.id(), 'after', 0, '2')").await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"after": 2}"#);
}

#[tokio::test]
async fn run_with_all_steps_skipped_completes() {
    for when_exhausted in ["skip", "skip-cascade"] {
        let (_database, mut c) = with_runtime().await;
        let c = &mut c;
        run(
            c,
            &format!(
                "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a', when_exhausted => '{when_exhausted}');
                 select pgflow.start_flow('f', '{{}}', t.id()); select t.take(); select pgflow.fail_task(t.id(), 'a', 0, 'boom')"
            ),
        )
        .await;
        assert_eq!(value(c, "t.run()").await, "completed 0 {}");
        assert_eq!(rows(c, "select t.events()").await.split_off(2), ["step:a:skipped", "run:completed"]);
    }
}

#[tokio::test]
async fn task_of_failed_run_fails_without_retry() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 9); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', max_attempts => 0);
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.fail_task(t.id(), 'b', 0, 'boom')",
    )
    .await;
    let fail = "select concat_ws(' ', k.status, k.error_message, k.failed_at is not null) from pgflow.fail_task(t.id(), 'a', 0, 'too late') k";
    assert_eq!(rows(c, fail).await, ["failed too late t"]);
    assert_eq!(rows(c, "select t.steps()").await, ["a started", "b failed boom"]);
    assert_eq!(rows(c, "select t.archive()").await, ["a 0", "b 0"]);
    assert_eq!(value(c, "select count(*) from realtime.sent").await, "5", "no event more");
}

#[tokio::test]
async fn only_started_task_can_fail() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'm', step_type => 'map');
         select pgflow.start_flow('f', '[1, 2]', t.id())",
    )
    .await;
    run(c, "select pgflow.fail_task(t.id(), 'm', 0, 'boom')").await;
    assert_eq!(rows(c, "select t.tasks()").await, ["m 0 queued 0", "m 1 queued 0"]);
    run(c, "select t.take(quantity => 1); select pgflow.complete_task(t.id(), 'm', 0, '1'); select pgflow.fail_task(t.id(), 'm', 0, 'boom')").await;
    assert_eq!(rows(c, "select t.tasks()").await, ["m 0 completed 1 1", "m 1 queued 0"]);
    assert_eq!(value(c, "t.run()").await, "started 1");
}

#[tokio::test]
async fn null_error_message_fails_task() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id());
         select t.take(); select pgflow.fail_task(t.id(), 'a', 0, null)",
    )
    .await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 failed 1"]);
    assert_eq!(value(c, "t.run()").await, "failed 1");
}

/// A step is skipped while the other dependency of `join` completes. If neither session sees the other, the run never
/// continues.
#[tokio::test]
async fn concurrent_failures_and_completions_start_dependent_step() {
    let (database, mut c) = with_runtime().await;
    run(
        &mut c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a', when_exhausted => 'skip');
         select pgflow.add_step('f', 'b', when_exhausted => 'skip-cascade'); select pgflow.add_step('f', 'c'); select pgflow.add_step('f', 'of_b', '{b}');
         select pgflow.add_step('f', 'join', '{a,c}');
         select pgflow.start_flow('f', '{}', t.id(n)) from generate_series(1, 30) n; select t.take()",
    )
    .await;
    let mut workers = tokio::task::JoinSet::new();
    for call in [
        "fail_task(t.id(N), 'a', 0, 'boom')",
        "fail_task(t.id(N), 'b', 0, 'boom')",
        "complete_task(t.id(N), 'c', 0, '1')",
    ] {
        let mut c = database.connect().await;
        workers.spawn(async move {
            for n in 1..=30 {
                run(&mut c, &format!("select pgflow.{}", call.replace('N', &n.to_string()))).await;
            }
        });
    }
    workers.join_all().await;
    let states =
        "select (s.step_slug, s.status, count(*)) from pgflow.step_states s group by s.step_slug, s.status order by 1";
    let expected = ["(a,skipped,30)", "(b,skipped,30)", "(c,completed,30)", "(join,started,30)", "(of_b,skipped,30)"];
    assert_eq!(rows(&mut c, states).await, expected);
    assert_eq!(value(&mut c, "select (min(remaining_steps), max(remaining_steps)) from pgflow.runs").await, "(1,1)");
}
