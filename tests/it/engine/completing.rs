//! Completing a task: the effects on its step, dependent steps and the run.

use crate::fixture::runtime::{error, rows, run, value, with_runtime};

#[tokio::test]
async fn completed_task_completes_step_and_starts_next() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}');
         select pgflow.start_flow('f', '{}', t.id()); select t.take()",
    )
    .await;
    let complete = "select concat_ws(' ', k.flow_slug, k.step_slug, k.task_index, k.status, k.attempts_count, k.output,
            k.completed_at >= k.started_at, k.last_worker_id = t.worker())
        from pgflow.complete_task(t.id(), 'a', 0, '{\"n\": 1}') k";
    assert_eq!(rows(c, complete).await, [r#"f a 0 completed 1 {"n": 1} t t"#]);
    assert_eq!(rows(c, "select t.steps()").await, [r#"a completed {"n": 1}"#, "b started"]);
    let state = "select (remaining_tasks, initial_tasks, completed_at >= started_at) from pgflow.step_states where step_slug = 'a'";
    assert_eq!(value(c, state).await, "(0,1,t)");
    assert_eq!(value(c, "t.run()").await, "started 1");
    assert_eq!(
        (rows(c, "select t.queue()").await, rows(c, "select t.archive()").await),
        (vec!["b 0".into()], vec!["a 0".into()])
    );

    assert_eq!(rows(c, "select t.take()").await, [r#"b 0 {"a": {"n": 1}}"#]);
    run(c, "select pgflow.complete_task(t.id(), 'b', 0, '\"out\"')").await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"b": "out"}"#);
    assert_eq!(value(c, "select completed_at >= started_at and failed_at is null from pgflow.runs").await, "true");
    assert_eq!(rows(c, "select t.queue()").await, [""; 0]);
}

#[tokio::test]
async fn map_outputs_are_ordered_by_index() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map');
         select pgflow.start_flow('f', to_jsonb(array(select generate_series(0, 11))), t.id()); select t.take()",
    )
    .await;
    for (index, output) in [(11, "'\"l\"'"), (3, "null"), (0, "'[0]'"), (10, "'null'")] {
        run(c, &format!("select pgflow.complete_task(t.id(), 'm', {index}, {output})")).await;
    }
    assert_eq!(value(c, "select (status, remaining_tasks) from pgflow.step_states").await, "(started,8)");
    run(
        c,
        "select pgflow.complete_task(t.id(), 'm', k.task_index, to_jsonb(k.task_index))
        from (select task_index from pgflow.step_tasks where status = 'started' order by 1 desc) k",
    )
    .await;
    let outputs = r#"[[0], 1, 2, null, 4, 5, 6, 7, 8, 9, null, "l"]"#;
    assert_eq!(value(c, "t.run()").await, format!(r#"completed 0 {{"m": {outputs}}}"#));
}

#[tokio::test]
async fn map_has_one_task_per_element_of_its_source() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'items', step_type => 'map');
         select pgflow.add_step('f', 'again', '{items}', step_type => 'map'); select pgflow.add_step('f', 'list');
         select pgflow.add_step('f', 'each', '{list}', step_type => 'map'); select pgflow.add_step('f', 'none', '{list}', step_type => 'map');
         select pgflow.start_flow('f', '[7, 8]', t.id()); select t.take();
         select pgflow.complete_task(t.id(), 'items', n, '[]') from generate_series(0, 1) n;
         select pgflow.complete_task(t.id(), 'list', 0, '[1, 2, 3]')",
    )
    .await;
    assert_eq!(
        rows(c, "select t.take()").await,
        ["again 0 []", "again 1 []", "each 0 1", "each 1 2", "each 2 3", "none 0 1", "none 1 2", "none 2 3"]
    );
    let counts = "select concat_ws(' ', step_slug, initial_tasks, remaining_tasks) from pgflow.step_states order by 1";
    assert_eq!(rows(c, counts).await, ["again 2 2", "each 3 3", "items 2 0", "list 1 0", "none 3 3"]);
}

#[tokio::test]
async fn empty_array_completes_maps_and_starts_dependents() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list'); select pgflow.add_step('f', 'm', '{list}', step_type => 'map');
         select pgflow.add_step('f', 'n', '{m}', step_type => 'map'); select pgflow.add_step('f', 'end', '{n,list}');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.complete_task(t.id(), 'list', 0, '[]')",
    )
    .await;
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["list completed []", "m completed []", "n completed []", "end started"]
    );
    let events = [
        "run:started",
        "step:list:started",
        "step:list:completed",
        "step:m:completed",
        "step:n:completed",
        "step:end:started",
    ];
    assert_eq!(rows(c, "select t.events()").await, events);
    assert_eq!(rows(c, "select t.take()").await, [r#"end 0 {"n": [], "list": []}"#]);
}

#[tokio::test]
async fn run_output_contains_outputs_of_completed_leaves() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'leaf', '{a}');
         select pgflow.add_step('f', 'silent', '{a}'); select pgflow.add_step('f', 'skipped', '{a}', required_input_pattern => '{\"a\": 0}');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.complete_task(t.id(), 'a', 0, '1'); select t.take();
         select pgflow.complete_task(t.id(), 'silent', 0, null); select pgflow.complete_task(t.id(), 'leaf', 0, '{\"k\": 1}')",
    )
    .await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"leaf": {"k": 1}, "silent": null}"#);
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["a completed 1", r#"leaf completed {"k": 1}"#, "silent completed", "skipped skipped condition_unmet"]
    );
}

#[tokio::test]
async fn started_task_completes_once_and_queued_task_does_not() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'b', '{m}');
         select pgflow.start_flow('f', '[1, 2]', t.id())",
    )
    .await;
    let complete = |index: u8, output: &str| {
        format!(
            "select concat_ws(' ', k.task_index, k.status, k.output) from pgflow.complete_task(t.id(), 'm', {index}, '{output}') k"
        )
    };
    assert_eq!(rows(c, &complete(0, "1")).await, ["0 queued"], "no worker has claimed it");
    run(c, "select t.take()").await;
    assert_eq!(rows(c, &complete(0, "1")).await, ["0 completed 1"]);
    assert_eq!(rows(c, &complete(0, "2")).await, ["0 completed 1"], "twice is once");
    assert_eq!(
        value(c, "select (status, remaining_tasks) from pgflow.step_states where step_slug = 'm'").await,
        "(started,1)"
    );
    assert_eq!(rows(c, &complete(1, "1")).await, ["1 completed 1"]);
    assert_eq!(rows(c, &complete(1, "2")).await, ["1 completed 1"], "nor after its step completed");
    assert_eq!(rows(c, "select t.steps()").await, ["m completed [1, 1]", "b started"]);
    assert_eq!(value(c, "t.run()").await, "started 1");
    assert_eq!(value(c, "select count(*) from realtime.sent where event = 'step:m:completed'").await, "1");
}

#[tokio::test]
async fn failed_run_completes_no_task() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.fail_task(t.id(), 'b', 0, 'boom')",
    )
    .await;
    let complete = "select concat_ws(' ', k.status, k.output) from pgflow.complete_task(t.id(), 'a', 0, '1') k";
    assert_eq!(rows(c, complete).await, ["started"]);
    assert_eq!(rows(c, "select t.steps()").await, ["a started", "b failed boom"]);
    assert_eq!(value(c, "t.run()").await, "failed 2");
}

#[tokio::test]
async fn late_result_of_skipped_step_changes_nothing() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'm', step_type => 'map', when_exhausted => 'skip');
         select pgflow.add_step('f', 'b', '{m}'); select pgflow.start_flow('f', '[1, 2]', t.id()); select t.take();
         select pgflow.fail_task(t.id(), 'm', 0, 'boom')",
    )
    .await;
    for call in ["complete_task(t.id(), 'm', 1, '1')", "fail_task(t.id(), 'm', 1, 'late')"] {
        let status = rows(c, &format!("select k.status from pgflow.{call} k")).await;
        assert_eq!(status, ["started"], "{call}");
    }
    assert_eq!(rows(c, "select t.steps()").await, ["m skipped handler_failed boom", "b started"]);
    assert_eq!(rows(c, "select t.queue()").await, ["b 0"]);
    assert_eq!(rows(c, "select t.archive()").await, ["m 0", "m 1"]);
    assert_eq!(value(c, "t.run()").await, "started 1");
}

#[tokio::test]
async fn unknown_task_returns_no_row() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id()); select t.take()",
    )
    .await;
    for task in [
        "t.id(9), 'a', 0",
        "t.id(), 'nope', 0",
        "t.id(), 'a', 1",
        "t.id(), 'a', -1",
        "null, 'a', 0",
        "t.id(), null, 0",
        "t.id(), 'a', null",
    ] {
        for call in [format!("complete_task({task}, '1')"), format!("fail_task({task}, 'boom')")] {
            assert_eq!(rows(c, &format!("select k.status from pgflow.{call} k")).await, [""; 0], "{call}");
        }
    }
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 started 1"]);
}

#[tokio::test]
async fn non_array_output_for_map_fails_run_with_reason() {
    for (output, found) in [
        ("null", "null"),
        ("'null'", "null"),
        ("'{\"k\": []}'", "object"),
        ("'\"[]\"'", "string"),
        ("'1'", "number"),
        ("'true'", "boolean"),
    ] {
        let (_database, mut c) = with_runtime().await;
        let c = &mut c;
        run(
            c,
            "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list'); select pgflow.add_step('f', 'each', '{list}', step_type => 'map');
             select pgflow.add_step('f', 'other'); select pgflow.add_step('f', 'waiting');
             select pgflow.start_flow('f', '{}', t.id()); select t.take(quantity => 2)",
        )
        .await;
        let complete = format!(
            "select concat_ws(' | ', k.status, k.error_message, k.output, k.failed_at is not null) from pgflow.complete_task(t.id(), 'list', 0, {output}) k"
        );
        let kept = if output == "null" { String::new() } else { format!("{} | ", output.trim_matches('\'')) };
        assert_eq!(
            rows(c, &complete).await,
            [format!("failed | [TYPE_VIOLATION] Produced {found} instead of array | {kept}t")]
        );
        let words = format!("[TYPE_VIOLATION] Map step each expects array input but dependency list produced {found}");
        assert_eq!(
            rows(c, "select t.steps()").await,
            [&format!("list failed {words}"), "each created", "other started", "waiting started"]
        );
        assert_eq!(value(c, "t.run()").await, "failed 4");
        assert_eq!(value(c, "select failed_at >= started_at and completed_at is null from pgflow.runs").await, "true");
        assert_eq!(rows(c, "select t.queue()").await, [""; 0]);
        assert_eq!(rows(c, "select t.archive()").await, ["list 0", "other 0", "waiting 0"]);
        let mut events = rows(c, "select t.events()").await.split_off(4);
        events.sort();
        assert_eq!(events, ["run:failed", "step:list:failed"]);
        let message = "select payload ->> 'error_message' from realtime.sent where event = 'step:list:failed'";
        assert_eq!(value(c, message).await, words);
    }
}

#[tokio::test]
async fn output_without_dependent_map_may_be_any_value() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'n', '{m}', step_type => 'map');
         select pgflow.add_step('f', 'b'); select pgflow.add_step('f', 'c', '{b}');
         select pgflow.start_flow('f', '[1]', t.id()); select t.take(); select pgflow.complete_task(t.id(), 'm', 0, '\"no array\"');
         select pgflow.complete_task(t.id(), 'b', 0, '\"no array\"')",
    )
    .await;
    assert_eq!(value(c, "t.run()").await, "started 2");
    assert_eq!(rows(c, "select t.take()").await, [r#"c 0 {"b": "no array"}"#, r#"n 0 "no array""#]);
}

/// If no concurrent completion detects that it is the last one, the run never continues.
#[tokio::test]
async fn concurrent_completions_start_dependent_step_once() {
    let (database, mut c) = with_runtime().await;
    run(
        &mut c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'x');
         select pgflow.add_step('f', 'y'); select pgflow.add_step('f', 'join', '{m,x,y}');
         select pgflow.start_flow('f', '[1, 2, 3, 4]', t.id(n)) from generate_series(1, 30) n; select t.take()",
    )
    .await;
    let mut workers = tokio::task::JoinSet::new();
    for task in ["'m', 0", "'m', 1", "'m', 2", "'m', 3", "'x', 0", "'y', 0"] {
        let mut c = database.connect().await;
        workers.spawn(async move {
            for n in 1..=30 {
                run(&mut c, &format!("select pgflow.complete_task(t.id({n}), {task}, '1')")).await;
            }
        });
    }
    workers.join_all().await;
    let states =
        "select (s.step_slug, s.status, count(*)) from pgflow.step_states s group by s.step_slug, s.status order by 1";
    assert_eq!(
        rows(&mut c, states).await,
        ["(join,started,30)", "(m,completed,30)", "(x,completed,30)", "(y,completed,30)"]
    );
    assert_eq!(value(&mut c, "select (min(remaining_steps), max(remaining_steps)) from pgflow.runs").await, "(1,1)");
    assert_eq!(value(&mut c, "select count(*) from pgmq.q_f").await, "30");
    assert_eq!(value(&mut c, "select count(*) from realtime.sent where event = 'step:join:started'").await, "30");
}

#[tokio::test]
async fn missing_queue_rolls_completion_back() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgmq.drop_queue('f')",
    )
    .await;
    // A missing queue is not an error of the worker, so the completion is rolled back and can be repeated.
    assert_eq!(error(c, "select pgflow.complete_task(t.id(), 'a', 0, '1')").await.0, "42P01");
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 started 1"]);
    run(c, "select pgmq.create('f'); select pgflow.complete_task(t.id(), 'a', 0, '1')").await;
    assert_eq!(rows(c, "select t.steps()").await, ["a completed 1", "b started"]);
}
