//! Events: keys, values, order and delivery.

use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::PgPool;
use sqlx::postgres::PgListener;

use crate::fixture::Database;
use crate::fixture::runtime::{rows, run, value, with_runtime};

/// A query for the payload keys of an event, in alphabetical order.
fn keys(event: &str) -> String {
    format!(
        "select distinct (select string_agg(key, ' ' order by key) from jsonb_object_keys(payload) key) from realtime.sent where event = '{event}'"
    )
}

#[tokio::test]
async fn events_have_documented_keys() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'empty', '{a}', step_type => 'map');
         select pgflow.add_step('f', 'unmet', '{a}', required_input_pattern => '{\"a\": 1}', when_unmet => 'skip-cascade');
         select pgflow.add_step('f', 'along', '{unmet}'); select pgflow.add_step('f', 'weak', when_exhausted => 'skip'); select pgflow.add_step('f', 'strong', '{a}');
         select pgflow.start_flow('f', '{}', t.id(n)) from generate_series(1, 2) n; select t.take();
         select pgflow.complete_task(t.id(n), 'a', 0, '[]'), pgflow.fail_task(t.id(n), 'weak', 0, 'boom') from generate_series(1, 2) n; select t.take();
         select pgflow.complete_task(t.id(1), 'strong', 0, '1'); select pgflow.fail_task(t.id(2), 'strong', 0, 'boom')",
    )
    .await;
    for (event, expected) in [
        ("run:started", "event_type flow_slug input remaining_steps run_id started_at status"),
        ("step:a:started", "event_type remaining_deps remaining_tasks run_id started_at status step_slug"),
        ("step:a:completed", "completed_at event_type output run_id status step_slug"),
        (
            "step:empty:completed",
            "completed_at event_type output remaining_deps remaining_tasks run_id started_at status step_slug",
        ),
        ("step:unmet:skipped", "event_type flow_slug run_id skip_reason skipped_at status step_slug"),
        ("step:along:skipped", "event_type flow_slug run_id skip_reason skipped_at status step_slug"),
        ("step:weak:skipped", "error_message event_type run_id skip_reason skipped_at status step_slug"),
        ("step:strong:failed", "error_message event_type failed_at run_id status step_slug"),
        ("run:completed", "completed_at event_type flow_slug output run_id status"),
        ("run:failed", "error_message event_type failed_at flow_slug run_id status"),
    ] {
        assert_eq!(rows(c, &keys(event)).await, [expected], "{event}");
    }
}

#[tokio::test]
async fn events_match_tables() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.start_flow('f', '[1, 2]', t.id());
         create table run_then as select * from pgflow.runs; create table state_then as select * from pgflow.step_states; select t.take();
         select pgflow.complete_task(t.id(), 'm', n, '{\"n\": 1}') from generate_series(0, 1) n",
    )
    .await;
    let mut same = Vec::new();
    for (event, table, names) in [
        ("run:started", "run_then", "{run_id,flow_slug,input,status,remaining_steps,started_at}"),
        ("step:m:started", "state_then", "{run_id,step_slug,status,started_at,remaining_tasks,remaining_deps}"),
        ("step:m:completed", "pgflow.step_states", "{run_id,step_slug,status,output,completed_at}"),
        ("run:completed", "pgflow.runs", "{run_id,flow_slug,status,output,completed_at}"),
    ] {
        // Timestamps are compared as JSON, because to_jsonb formats both sides.
        let compare = format!(
            "select string_agg(name, ' ') from realtime.sent e, {table} r, unnest('{names}'::text[]) name
             where e.event = '{event}' and (e.payload -> name) is distinct from (to_jsonb(r) -> name)"
        );
        assert_eq!(value(c, &compare).await, "∅", "{event}");
        same.push(event);
    }
    assert_eq!(rows(c, "select t.events()").await, same);
    let types = "select string_agg(payload ->> 'event_type', ' ' order by id) from realtime.sent";
    assert_eq!(value(c, types).await, "run:started step:started step:completed run:completed");
}

#[tokio::test]
async fn events_are_public_and_sent_to_topic_of_their_run() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id(n)) from generate_series(1, 2) n;
         select t.take(); select pgflow.complete_task(t.id(n), 'a', 0, '1') from generate_series(1, 2) n",
    )
    .await;
    let sent = "select (bool_and(topic = 'pgflow:run:' || (payload ->> 'run_id')), bool_or(private), count(*)) from realtime.sent group by topic";
    assert_eq!(rows(c, sent).await, ["(t,f,4)", "(t,f,4)"]);
}

#[tokio::test]
async fn step_completed_event_precedes_events_of_dependents() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}'); select pgflow.add_step('f', 'm', '{a}', step_type => 'map');
         select pgflow.add_step('f', 'skipped', '{m}', forbidden_input_pattern => '{\"m\": []}'); select pgflow.add_step('f', 'end', '{b,skipped}');
         select pgflow.start_flow('f', '{}', t.id()); select t.take(); select pgflow.complete_task(t.id(), 'a', 0, '[]'); select t.take();
         select pgflow.complete_task(t.id(), 'b', 0, '1'); select t.take(); select pgflow.complete_task(t.id(), 'end', 0, '1')",
    )
    .await;
    assert_eq!(
        rows(c, "select t.events()").await,
        [
            "run:started",
            "step:a:started",
            "step:a:completed",
            "step:m:completed",
            "step:skipped:skipped",
            "step:b:started",
            "step:b:completed",
            "step:end:started",
            "step:end:completed",
            "run:completed",
        ]
    );
}

/// PostgreSQL refuses notifications of 8000 bytes or more.
#[tokio::test]
async fn oversized_values_are_truncated_in_notifications() {
    let database = Database::create().await;
    install(&database.options(), InputStyle::Separate).await.unwrap();
    let mut listener =
        PgListener::connect_with(&PgPool::connect_with(database.options()).await.unwrap()).await.unwrap();
    listener.listen("pgflow_events").await.unwrap();
    let mut c = database.connect().await;
    run(&mut c, include_str!("../fixture/runtime.sql")).await;
    run(
        &mut c,
        "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
         select pgflow.start_flow('f', jsonb_build_object('text', repeat('ü', 10000)), t.id()); select t.take();
         select pgflow.complete_task(t.id(), 'a', 0, to_jsonb(repeat('o', 10000))); select pgflow.fail_task(t.id(), 'b', 0, repeat('e', 10000))",
    )
    .await;
    let mut heard = Vec::new();
    for _ in 0..6 {
        let notification: serde_json::Value = serde_json::from_str(listener.recv().await.unwrap().payload()).unwrap();
        let payload = &notification["payload"];
        let has = ["input", "output", "truncated"].map(|key| payload.get(key).is_some());
        let error = payload["error_message"].as_str().map_or(0, str::len);
        assert_eq!(notification["topic"], "pgflow:run:00000000-0000-0000-0000-000000000001");
        heard.push((notification["event"].as_str().unwrap().to_owned(), has, error));
    }
    let truncated = [false, false, true];
    let whole = [false; 3];
    assert_eq!(
        heard,
        [
            ("run:started".to_owned(), truncated, 0),
            ("step:a:started".to_owned(), whole, 0),
            ("step:b:started".to_owned(), whole, 0),
            ("step:a:completed".to_owned(), truncated, 0),
            ("step:b:failed".to_owned(), truncated, 500),
            ("run:failed".to_owned(), truncated, 500),
        ]
    );
    let kept = "select length(error_message) from pgflow.step_states where step_slug = 'b'";
    assert_eq!(value(&mut c, kept).await, "10000");
}

#[tokio::test]
async fn existing_realtime_send_is_kept() {
    let (database, mut c) = with_runtime().await;
    let body = "select prosrc from pg_proc where oid = 'realtime.send(jsonb, text, text, boolean)'::regprocedure";
    assert!(value(&mut c, body).await.contains("insert into realtime.sent"));
    install(&database.options(), InputStyle::Separate).await.unwrap();
    assert!(value(&mut c, body).await.contains("insert into realtime.sent"));
}
