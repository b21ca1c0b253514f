//! Conditions: steps that run, are skipped, or fail the run.

use crate::fixture::runtime::{rows, run, value, with_runtime};

#[tokio::test]
async fn root_condition_matches_run_input() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    let conditions = [
        // input, required, forbidden, met
        (r#"{"k": 1, "l": 2}"#, Some(r#"{"k": 1}"#), None, true),
        (r#"{"k": 2}"#, Some(r#"{"k": 1}"#), None, false),
        (r#"{"k": {"deep": [1, {"x": 1}], "y": 0}}"#, Some(r#"{"k": {"deep": [{"x": 1}]}}"#), None, true),
        (r#"{"k": {"deep": [1]}}"#, Some(r#"{"k": {"deep": 1}}"#), None, false),
        (r#"{"k": null}"#, Some(r#"{"k": null}"#), None, true),
        ("{}", Some(r#"{"k": null}"#), None, false),
        ("{}", Some("{}"), None, true),
        ("[1]", Some("{}"), None, false),
        ("null", Some("{}"), None, false),
        ("{}", None, None, true),
        (r#"{"k": 1}"#, None, Some(r#"{"k": 1}"#), false),
        (r#"{"k": 2}"#, None, Some(r#"{"k": 1}"#), true),
        ("[1]", None, Some("{}"), true),
        ("{}", None, Some("{}"), false),
        (r#"{"k": 1, "l": 2}"#, Some(r#"{"k": 1}"#), Some(r#"{"l": 1}"#), true),
        (r#"{"k": 1, "l": 1}"#, Some(r#"{"k": 1}"#), Some(r#"{"l": 1}"#), false),
    ];
    for (n, (input, required, forbidden, met)) in conditions.into_iter().enumerate() {
        let literal =
            |pattern: Option<&str>| pattern.map_or_else(|| "null".to_owned(), |pattern| format!("'{pattern}'"));
        let flow = format!(
            "select pgflow.create_flow('f{n}'); select pgflow.add_step('f{n}', 'a', required_input_pattern => {}, forbidden_input_pattern => {});
             select pgflow.start_flow('f{n}', '{input}', t.id({n}))",
            literal(required),
            literal(forbidden)
        );
        run(c, &flow).await;
        let expected = if met { "a started" } else { "a skipped condition_unmet" };
        assert_eq!(rows(c, &format!("select t.steps({n})")).await, [expected], "{flow}");
    }
}

#[tokio::test]
async fn condition_matches_outputs_of_completed_dependencies() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'm', step_type => 'map');
         select pgflow.add_step('f', 'gone', required_input_pattern => '{\"no\": 1}');
         select pgflow.add_step('f', 'met', '{a,m,gone}', required_input_pattern => '{\"a\": {\"k\": 1}, \"m\": [2]}');
         select pgflow.add_step('f', 'unmet', '{a,m,gone}', required_input_pattern => '{\"a\": {\"k\": 2}}');
         select pgflow.add_step('f', 'needs_gone', '{a,gone}', required_input_pattern => '{\"gone\": null}');
         select pgflow.add_step('f', 'without_gone', '{a,gone}', forbidden_input_pattern => '{\"gone\": null}');
         select pgflow.add_step('f', 'not_the_input', '{a}', forbidden_input_pattern => '{\"input\": 1}');
         select pgflow.add_step('f', 'a_null', '{a,null_output}', required_input_pattern => '{\"null_output\": null}')
           from pgflow.add_step('f', 'null_output');
         select pgflow.start_flow('f', '[1, 2]', t.id()); select t.take();
         select pgflow.complete_task(t.id(), 'null_output', 0, null); select pgflow.complete_task(t.id(), 'm', n, to_jsonb(n + 1)) from generate_series(1, 0, -1) n",
    )
    .await;
    // A condition is evaluated only after all dependencies have ended.
    let undecided =
        "select string_agg(step_slug, ' ' order by step_slug) from pgflow.step_states where status = 'created'";
    assert_eq!(value(c, undecided).await, "a_null met needs_gone not_the_input unmet without_gone");
    run(c, "select pgflow.complete_task(t.id(), 'a', 0, '{\"k\": 1, \"l\": 2}')").await;
    let decided = "select concat_ws(' ', step_slug, status) from pgflow.step_states where step_slug not in ('a', 'm', 'gone', 'null_output') order by 1";
    assert_eq!(
        rows(c, decided).await,
        [
            "a_null started",
            "met started",
            "needs_gone skipped",
            "not_the_input started",
            "unmet skipped",
            "without_gone started"
        ]
    );
}

#[tokio::test]
async fn condition_of_map_applies_to_all_elements() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list'); select pgflow.add_step('f', 'some', '{list}', step_type => 'map', required_input_pattern => '{\"list\": [1]}');
         select pgflow.add_step('f', 'none', '{list}', step_type => 'map', forbidden_input_pattern => '{\"list\": [1]}'); select pgflow.add_step('f', 'after', '{none}', step_type => 'map');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.complete_task(t.id(), 'list', 0, '[1, 2]')",
    )
    .await;
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["list completed [1, 2]", "some started", "none skipped condition_unmet", "after completed []"]
    );
    assert_eq!(rows(c, "select t.take()").await, ["some 0 1", "some 1 2"]);
}

#[tokio::test]
async fn condition_is_evaluated_before_empty_map_completes() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map', forbidden_input_pattern => '{}');
         select pgflow.add_step('f', 'n', step_type => 'map', required_input_pattern => '{}');
         select pgflow.add_step('f', 'after_m', '{m}', forbidden_input_pattern => '{\"m\": []}'); select pgflow.add_step('f', 'after_n', '{n}', required_input_pattern => '{\"n\": []}');
         select pgflow.start_flow('f', '[]', t.id())",
    )
    .await;
    let steps = [
        "m completed []",
        "n skipped condition_unmet",
        "after_m skipped condition_unmet",
        "after_n skipped condition_unmet",
    ];
    assert_eq!(rows(c, "select t.steps()").await, steps);
    assert_eq!(value(c, "t.run()").await, "completed 0 {}");
}

#[tokio::test]
async fn unmet_condition_fails_run_at_start() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'free'); select pgflow.add_step('f', 'second', required_input_pattern => '{\"k\": 1}', when_unmet => 'fail');
         select pgflow.add_step('f', 'a_third', required_input_pattern => '{\"k\": 1}', when_unmet => 'fail')",
    )
    .await;
    let returned =
        rows(c, "select (r.status, r.failed_at is not null) from pgflow.start_flow('f', '{}', t.id()) r").await;
    assert_eq!(returned, ["(failed,t)"]);
    // The step with the lowest index fails, regardless of slugs.
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["free created", "second failed Condition not met", "a_third created"]
    );
    assert_eq!(rows(c, "select t.queue()").await, [""; 0]);
    assert_eq!(rows(c, "select t.events()").await, ["run:started", "step:second:failed", "run:failed"]);
    let message = "select string_agg(distinct payload ->> 'error_message', ' ') from realtime.sent";
    assert_eq!(value(c, message).await, "Condition not met");
}

#[tokio::test]
async fn unmet_condition_fails_started_run_and_archives_messages() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'other');
         select pgflow.add_step('f', 'b', '{a}', required_input_pattern => '{\"a\": 1}', when_unmet => 'fail'); select pgflow.add_step('f', 'c', '{a}');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(quantity => 1); select pgflow.complete_task(t.id(), 'a', 0, '2')",
    )
    .await;
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["a completed 2", "other started", "b failed Condition not met", "c created"]
    );
    assert_eq!(value(c, "t.run()").await, "failed 3");
    assert_eq!(rows(c, "select t.queue()").await, [""; 0]);
    assert_eq!(rows(c, "select t.archive()").await, ["a 0", "other 0"]);
}

#[tokio::test]
async fn dependents_run_without_skipped_step() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a', required_input_pattern => '{\"k\": 1}'); select pgflow.add_step('f', 'b', '{a}');
         select pgflow.add_step('f', 'm', '{a}', step_type => 'map'); select pgflow.add_step('f', 'end', '{b,m}'); select pgflow.start_flow('f', '{}', t.id())",
    )
    .await;
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["a skipped condition_unmet", "b started", "m completed []", "end created"]
    );
    let counts = "select concat_ws(' ', step_slug, remaining_deps, coalesce(remaining_tasks, -1), coalesce(initial_tasks, -1), skipped_at is not null) from pgflow.step_states order by 1";
    assert_eq!(rows(c, counts).await, ["a 0 -1 1 t", "b 0 1 1 f", "end 1 -1 1 f", "m 0 0 0 f"]);
    assert_eq!(rows(c, "select t.take()").await, ["b 0 {}"]);
}

#[tokio::test]
async fn cascading_skip_skips_only_dependents() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'top', required_input_pattern => '{\"k\": 1}', when_unmet => 'skip-cascade');
         select pgflow.add_step('f', 'left', '{top}'); select pgflow.add_step('f', 'right', '{top}', step_type => 'map'); select pgflow.add_step('f', 'bottom', '{left,right}');
         select pgflow.add_step('f', 'other'); select pgflow.add_step('f', 'both', '{bottom,other}'); select pgflow.start_flow('f', '{}', t.id())",
    )
    .await;
    let along = "skipped dependency_skipped";
    assert_eq!(
        rows(c, "select t.steps()").await,
        [
            "top skipped condition_unmet",
            &format!("left {along}"),
            &format!("right {along}"),
            &format!("bottom {along}"),
            "other started",
            &format!("both {along}")
        ]
    );
    assert_eq!(value(c, "t.run()").await, "started 1");
    run(c, "select t.take(); select pgflow.complete_task(t.id(), 'other', 0, '1')").await;
    assert_eq!(value(c, "t.run()").await, "completed 0 {}", "the leaf was skipped");
}

#[tokio::test]
async fn run_with_all_steps_skipped_completes_at_start() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a', required_input_pattern => '{\"k\": 1}', when_unmet => 'skip-cascade'); select pgflow.add_step('f', 'b', '{a}')",
    )
    .await;
    assert_eq!(
        rows(c, "select (r.status, r.output) from pgflow.start_flow('f', '{}', t.id()) r").await,
        ["(completed,{})"]
    );
    let mut events = rows(c, "select t.events()").await;
    assert_eq!((events.remove(0), events.pop().unwrap()), ("run:started".to_owned(), "run:completed".to_owned()));
    events.sort();
    assert_eq!(events, ["step:a:skipped", "step:b:skipped"]);
}

/// A chain of COUNT steps with conditions: the first on the input of the run, each other one on the previous step.
const CHAIN: &str = "select pgflow.create_flow('f');
    insert into pgflow.steps (flow_slug, step_slug, step_index, deps_count, required_input_pattern, when_unmet)
    select 'f', 's' || n, n, (n > 0)::integer,
           case when n = 0 then '{\"go\": true}' else jsonb_build_object('s' || n - 1, 'some output') end, WHEN_UNMET
    from generate_series(0, COUNT - 1) n;
    insert into pgflow.deps (flow_slug, dep_slug, step_slug) select 'f', 's' || n - 1, 's' || n from generate_series(1, COUNT - 1) n;
    analyze pgflow.steps, pgflow.deps; set statement_timeout = '60s';";

/// The official engines stop after 50 iterations; flowsmith's engine has no limit.
#[tokio::test]
async fn chain_of_5000_unmet_conditions_resolves_in_one_call() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, &CHAIN.replace("COUNT", "5000").replace("WHEN_UNMET", "'skip'")).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id())").await;
    assert_eq!(value(c, "t.run()").await, "completed 0 {}");
    let reasons = "select (skip_reason, count(*)) from pgflow.step_states group by skip_reason";
    assert_eq!(rows(c, reasons).await, ["(condition_unmet,5000)"]);
}

#[tokio::test]
async fn chain_of_5000_cascading_skips_resolves_in_one_call() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, &CHAIN.replace("COUNT", "5000").replace("WHEN_UNMET", "'skip-cascade'")).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id())").await;
    assert_eq!(value(c, "t.run()").await, "completed 0 {}");
    let reasons = "select (skip_reason, count(*)) from pgflow.step_states group by skip_reason order by 1";
    assert_eq!(rows(c, reasons).await, ["(condition_unmet,1)", "(dependency_skipped,4999)"]);
}

#[tokio::test]
async fn long_chain_failing_at_its_end_fails_run() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, &CHAIN.replace("COUNT", "300").replace("WHEN_UNMET", "case when n = 299 then 'fail' else 'skip' end")).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id())").await;
    assert_eq!(value(c, "t.run()").await, "failed 1");
    let statuses = "select (status, count(*)) from pgflow.step_states group by status order by 1";
    assert_eq!(rows(c, statuses).await, ["(failed,1)", "(skipped,299)"]);
}
