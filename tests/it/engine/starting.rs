//! Starting runs by `start_flow` and its variants.

use crate::fixture::runtime::{error, rows, run, value, with_runtime};

#[tokio::test]
async fn run_has_step_states_and_messages_of_ready_tasks() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}');
         select pgflow.add_step('f', 'm', '{a}', step_type => 'map'); select pgflow.add_step('f', 'join', '{b,m}')",
    )
    .await;
    let started = "select concat_ws(' ', r.run_id = t.id(), r.flow_slug, r.status, r.input, r.remaining_steps, r.started_at >= now(),
        num_nonnulls(r.output, r.completed_at, r.failed_at)) from pgflow.start_flow('f', '{\"n\": 1}', t.id()) r";
    assert_eq!(rows(c, started).await, [r#"t f started {"n": 1} 4 t 0"#]);
    let states = "select concat_ws(' ', step_slug, status, coalesce(remaining_tasks, -1), coalesce(initial_tasks, -1), remaining_deps,
        started_at is not null) from pgflow.step_states order by step_slug";
    assert_eq!(
        rows(c, states).await,
        ["a started 1 1 0 t", "b created -1 1 1 f", "join created -1 1 2 f", "m created -1 -1 1 f"]
    );
    let tasks = "select concat_ws(' ', t.flow_slug, t.step_slug, t.task_index, t.status, t.attempts_count, q.message, q.vt <= clock_timestamp())
        from pgflow.step_tasks t left join pgmq.q_f q on q.msg_id = t.message_id";
    let body =
        r#"{"run_id": "00000000-0000-0000-0000-000000000001", "flow_slug": "f", "step_slug": "a", "task_index": 0}"#;
    assert_eq!(rows(c, tasks).await, [format!("f a 0 queued 0 {body} t")]);
    assert_eq!(rows(c, "select t.events()").await, ["run:started", "step:a:started"]);
}

#[tokio::test]
async fn run_id_is_generated_if_missing() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    run(c, "select pgflow.start_flow('f', '1'); select pgflow.start_flow('f', '2', null)").await;
    assert_eq!(value(c, "select count(distinct run_id) from pgflow.runs").await, "2");
}

#[tokio::test]
async fn root_map_has_task_per_element() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map')").await;
    run(c, "select pgflow.start_flow('f', '[1, null, [2]]', t.id())").await;
    assert_eq!(rows(c, "select t.tasks()").await, ["m 0 queued 0", "m 1 queued 0", "m 2 queued 0"]);
    assert_eq!(rows(c, "select t.queue()").await, ["m 0", "m 1", "m 2"]);
    let bodies = "select count(*) from pgflow.step_tasks t join pgmq.q_f q on q.msg_id = t.message_id
        where (q.message ->> 'task_index')::integer = t.task_index";
    assert_eq!(value(c, bodies).await, "3");
    let state = "select (remaining_tasks, initial_tasks) from pgflow.step_states";
    assert_eq!(value(c, state).await, "(3,3)");
}

#[tokio::test]
async fn start_delay_hides_messages() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'later', start_delay => 300);
         select pgflow.add_step('f', 'm', '{a}', step_type => 'map', start_delay => 500);
         select pgflow.start_flow('f', '{}', t.id())",
    )
    .await;
    assert_eq!(value(c, "(t.hidden('a') <= 0, t.hidden('later') between 290 and 300)").await, "(t,t)");
    assert_eq!(rows(c, "select t.take()").await, ["a 0 {}"]);
    run(c, "select pgflow.complete_task(t.id(), 'a', 0, '[1, 2]')").await;
    assert_eq!(value(c, "(t.hidden('m', 0) between 490 and 500, t.hidden('m', 1) between 490 and 500)").await, "(t,t)");
}

#[tokio::test]
async fn root_map_refuses_non_array_input() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    run(c, "select pgflow.add_step('f', 'm', step_type => 'map')").await;
    for (input, message) in [
        ("null", "Flow f has root map steps but input is NULL"),
        ("'null'", "Flow f has root map steps but input is not an array (got null)"),
        ("'{}'", "Flow f has root map steps but input is not an array (got object)"),
        ("'1'", "Flow f has root map steps but input is not an array (got number)"),
        ("'\"[]\"'", "Flow f has root map steps but input is not an array (got string)"),
        ("'true'", "Flow f has root map steps but input is not an array (got boolean)"),
    ] {
        for function in ["start_flow", "start_flow_with_states"] {
            let sql = format!("select pgflow.{function}('f', {input})");
            assert_eq!(error(c, &sql).await, ("P0001".to_owned(), message.to_owned()), "{sql}");
        }
    }
    let left =
        "(select count(*) from pgflow.runs) + (select count(*) from realtime.sent) + (select count(*) from pgmq.q_f)";
    assert_eq!(value(c, left).await, "0");
}

#[tokio::test]
async fn invalid_run_is_refused_without_trace() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    for (arguments, state) in [("'nope', '{}'", "23503"), ("null, '{}'", "23502"), ("'f', null", "23502")] {
        let (found, message) = error(c, &format!("select pgflow.start_flow({arguments})")).await;
        assert_eq!(found, state, "{arguments}: {message}");
    }
    let left =
        "(select count(*) from pgflow.runs) + (select count(*) from realtime.sent) + (select count(*) from pgmq.q_f)";
    assert_eq!(value(c, left).await, "0");
}

#[tokio::test]
async fn existing_run_id_is_refused() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    run(c, "select pgflow.start_flow('f', '1', t.id())").await;
    let (state, message) = error(c, "select pgflow.start_flow('f', '2', t.id())").await;
    assert_eq!(
        (state.as_str(), message.as_str()),
        ("23505", "duplicate key value violates unique constraint \"runs_pkey\"")
    );
    assert_eq!(rows(c, "select t.queue()").await, ["a 0"]);
    assert_eq!(rows(c, "select t.events()").await, ["run:started", "step:a:started"]);
    assert_eq!(value(c, "select input from pgflow.runs").await, "1");
}

#[tokio::test]
async fn concurrent_starts_with_one_id_start_one_run() {
    let (database, mut c) = with_runtime().await;
    run(&mut c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    let mut second = database.connect().await;
    run(&mut c, "begin; select pgflow.start_flow('f', '1', t.id())").await;
    let waiting = tokio::spawn(async move { error(&mut second, "select pgflow.start_flow('f', '2', t.id())").await });
    run(&mut c, "commit").await;
    assert_eq!(waiting.await.unwrap().0, "23505");
    assert_eq!(rows(&mut c, "select t.queue()").await, ["a 0"]);
}

#[tokio::test]
async fn flow_without_steps_completes_at_start() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.start_flow('f', '{}', t.id())").await;
    // There are no leaf steps, so the output is null, as in the official engines.
    assert_eq!(value(c, "select (status, remaining_steps, output) from pgflow.runs").await, "(completed,0,)");
    assert_eq!(rows(c, "select t.events()").await, ["run:started", "run:completed"]);
}

#[tokio::test]
async fn empty_maps_complete_at_start_in_order() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map');
         select pgflow.add_step('f', 'n', '{m}', step_type => 'map'); select pgflow.add_step('f', 'o', '{n}', step_type => 'map');
         select pgflow.add_step('f', 'last', '{o,m}')",
    )
    .await;
    let returned = rows(c, "select (r.status, r.remaining_steps) from pgflow.start_flow('f', '[]', t.id()) r").await;
    assert_eq!(returned, ["(started,1)"]);
    assert_eq!(
        rows(c, "select t.steps()").await,
        ["m completed []", "n completed []", "o completed []", "last started"]
    );
    let counts =
        "select (bool_and(remaining_tasks = 0 and initial_tasks = 0 and remaining_deps = 0 and started_at is not null
        and completed_at is not null), count(*)) from pgflow.step_states where status = 'completed'";
    assert_eq!(value(c, counts).await, "(t,3)");
    assert_eq!(
        rows(c, "select t.events()").await,
        ["run:started", "step:m:completed", "step:n:completed", "step:o:completed", "step:last:started"]
    );
    assert_eq!(rows(c, "select t.take()").await, [r#"last 0 {"m": [], "o": []}"#]);
    run(c, "select pgflow.complete_task(t.id(), 'last', 0, '\"done\"')").await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"last": "done"}"#);
}

/// The official engines stop after 50 iterations; flowsmith's engine has no limit.
#[tokio::test]
async fn chain_of_5000_empty_maps_completes_in_one_call() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f');
         insert into pgflow.steps (flow_slug, step_slug, step_type, step_index, deps_count)
         select 'f', 's' || n, 'map', n, (n > 0)::integer from generate_series(0, 4999) n;
         insert into pgflow.deps (flow_slug, dep_slug, step_slug)
         select 'f', 's' || n - 1, 's' || n from generate_series(1, 4999) n;
         analyze pgflow.steps, pgflow.deps;
         set statement_timeout = '60s'; select pgflow.start_flow('f', '[]', t.id())",
    )
    .await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"s4999": []}"#);
    assert_eq!(value(c, "select (count(*), min(status)) from pgflow.step_states").await, "(5000,completed)");
    // Each step completes after its dependency.
    let in_order = "select (count(*), bool_and(n = place)) from (
        select substring(event from 's([0-9]+)')::integer n, row_number() over (order by id) - 1 as place
        from realtime.sent where event like 'step:%:completed') e";
    assert_eq!(value(c, in_order).await, "(5000,t)");
}

#[tokio::test]
async fn mixed_case_slug_runs() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('MyFlow'); select pgflow.add_step('MyFlow', 'First')").await;
    run(c, "select pgflow.start_flow('MyFlow', '{}', t.id())").await;
    assert_eq!(rows(c, "select t.take('MyFlow')").await, ["First 0 {}"]);
    run(c, "select pgflow.complete_task(t.id(), 'First', 0, '1')").await;
    assert_eq!(value(c, "t.run()").await, r#"completed 0 {"First": 1}"#);
    assert_eq!(value(c, "select count(*) from pgmq.a_myflow").await, "1");
}

#[tokio::test]
async fn run_with_states_is_returned_as_json() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}')")
        .await;
    let keys = "(select array_agg(key order by key) from jsonb_object_keys(x.j) key) = '{run,steps}'";
    let run_row = "x.j -> 'run' = (select to_jsonb(r) from pgflow.runs r)";
    let step_rows = "(select jsonb_agg(s order by s ->> 'step_slug') from jsonb_array_elements(x.j -> 'steps') s)
        = (select jsonb_agg(to_jsonb(s) order by s.step_slug) from pgflow.step_states s)";
    run(c, "create table started as select pgflow.start_flow_with_states('f', '{\"n\": 1}', t.id()) as j").await;
    for source in ["select j from started", "select pgflow.get_run_with_states(t.id())"] {
        let checks = format!("select ({keys}, {run_row}, {step_rows}) from ({source}) x (j)");
        assert_eq!(value(c, &checks).await, "(t,t,t)", "{source}");
    }
}

#[tokio::test]
async fn functions_fix_search_path_and_only_entry_points_are_security_definer() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    let definer =
        "select p.proname from pg_proc p where p.pronamespace = 'pgflow'::regnamespace and p.prosecdef order by 1";
    let entry_points = [
        "add_step",
        "complete_task",
        "complete_tasks",
        "create_flow",
        "fail_task",
        "get_run_with_states",
        "mark_worker_stopped",
        "poll_tasks",
        "requeue_stalled_tasks",
        "set_vt_batch",
        "start_flow_with_states",
        "start_tasks",
        "track_worker_function",
        "violations",
    ];
    assert_eq!(rows(c, definer).await, entry_points);
    // Names in a SQL-standard function body are resolved when the function is created.
    let open_path = "select p.oid::regprocedure from pg_proc p where p.pronamespace = 'pgflow'::regnamespace and p.prosqlbody is null
        and not coalesce(p.proconfig, '{}') && array['search_path=pg_catalog, pg_temp']";
    assert_eq!(rows(c, open_path).await, Vec::<String>::new());
}
