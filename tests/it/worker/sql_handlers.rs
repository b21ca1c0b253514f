//! `sql` handlers: types, connections, sessions and timeouts.

use std::time::{Duration, Instant};

use flowsmith_worker::Event;
use serde_json::{Value, json};

use super::Fixture;
use super::declared::{ERRORS, applied, declared};
use crate::engine::definitions::{execute, text};
use crate::fixture::command::flowsmith_engine;

async fn errors(fixture: &mut Fixture) -> Value {
    serde_json::from_str(&fixture.text(ERRORS).await).unwrap()
}

#[tokio::test]
async fn values_of_types_with_a_length_keep_it() {
    let steps = r#"  char: { handler: { sql: "select 'DE'::char(2)" } }
  chars: { handler: { sql: "select array['ab', 'cd']::char(2)[]" } }
  bit: { handler: { sql: "select b'101'" } }
  bits: { handler: { sql: "select array[b'10', b'01']" } }
  price: { handler: { sql: "select 12.50::numeric(8, 2)" } }
  day: { handler: { sql: "select date '2020-02-29'" } }"#;
    let (mut fixture, file) = applied(flowsmith_engine().await, steps).await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    let run = fixture.start("f", "{}").await;
    let expected = json!({ "char": "DE", "chars": ["ab", "cd"], "bit": "101", "bits": ["10", "01"], "price": 12.5, "day": "2020-02-29" });
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), expected));
    worker.stop().await;
}

#[tokio::test]
async fn invalid_query_results_fail_permanently() {
    let steps = r#"  record: { when_exhausted: skip, handler: { sql: "select row(1, 2)" } }
  zero: { when_exhausted: skip, handler: { sql: "select json '\"\\u0000\"'" } }
  many: { when_exhausted: skip, handler: { sql: "select n from generate_series(1, 100000000) n" } }
  wide: { when_exhausted: skip, handler: { sql: "select 1, 2" } }"#;
    let (mut fixture, file) = applied(flowsmith_engine().await, steps).await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    worker.stop().await;
    let errors = errors(&mut fixture).await;
    for (step, begins) in [
        ("record", "the output has the type record, which is not JSON: wrap it in to_jsonb(…)"),
        ("zero", "the database rejected the output: unsupported Unicode escape sequence"),
        ("many", "the query returned more than one row instead of one value"),
        ("wide", "the query returned a row of 2 columns instead of one value"),
    ] {
        assert_eq!(errors[step][0], 1, "{errors}");
        assert!(errors[step][1].as_str().unwrap().starts_with(begins), "{errors}");
    }
}

#[tokio::test]
async fn query_that_terminates_its_connection_fails_its_attempt() {
    let steps = r#"  kills: { when_exhausted: skip, handler: { sql: "select pg_terminate_backend(pg_backend_pid())" } }
  after: { depends_on: [], handler: { sql: "select 1" } }"#;
    let (mut fixture, file) = applied(flowsmith_engine().await, steps).await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "after": 1 })));
    worker.stop().await;
    let errors = errors(&mut fixture).await;
    assert_eq!(errors["kills"][0], 2, "{errors}");
    assert!(errors["kills"][1].as_str().unwrap().starts_with("the query has lost its connection: "), "{errors}");
}

#[tokio::test]
async fn lost_idle_connection_costs_no_attempt() {
    let (mut fixture, file) =
        applied(flowsmith_engine().await, "  one: { max_attempts: 1, handler: { sql: select 1 } }").await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    for _ in 0..3 {
        let run = fixture.start("f", "{}").await;
        assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "one": 1 })));
        // The session of the handler, identified by its last statement.
        let idle =
            "application_name = 'flowsmith worker' and datname = current_database() and query like '%discard temp%'";
        fixture.until(&format!("(select count(*) = 1 from pg_stat_activity where state = 'idle' and {idle})")).await;
        execute(&mut fixture.c, &format!("select pg_terminate_backend(pid) from pg_stat_activity where {idle}")).await;
    }
    worker.stop().await;
    assert_eq!(fixture.text("(select max(attempts_count) from pgflow.step_tasks)").await, "1");
}

#[tokio::test]
async fn waiting_for_a_connection_counts_neither_as_time_nor_as_an_attempt() {
    let steps = r#"  slow: { timeout: 3, max_attempts: 1, handler: { sql: "select 1 from pg_sleep(0.5)" } }"#;
    let (mut fixture, file) = applied(flowsmith_engine().await, steps).await;
    let worker = fixture.work(declared(fixture.builder().sql_connections(2), &file, &[])).await;
    // More tasks than two connections can run in three seconds.
    execute(&mut fixture.c, "select pgflow.start_flow('f', to_jsonb(n)) from generate_series(1, 24) n").await;
    fixture.until("(select count(*) = 24 from pgflow.runs where status <> 'started')").await;
    worker.stop().await;
    assert_eq!(fixture.text("(select count(*) from pgflow.runs where status = 'completed')").await, "24");
    assert_eq!(fixture.text("(select max(attempts_count) from pgflow.step_tasks)").await, "1");
}

#[tokio::test]
async fn unavailable_connections_are_retried_with_backoff() {
    let (mut fixture, file) = applied(flowsmith_engine().await, r#"  one: { handler: { sql: "select 1" } }"#).await;
    // The connection loop, the maintenance and the listener use all connections, so none is left for queries.
    execute(
        &mut fixture.c,
        "do $$ begin execute format('create role %I login superuser', current_database() || '_few'); end $$",
    )
    .await;
    let role = format!("{}_few", fixture.text("(select current_database())").await);
    let options = fixture.database.options().username(&role);
    let worker = fixture.work_at(declared(fixture.builder().connections(1), &file, &[]), options).await;
    fixture.until(&format!("(select count(*) >= 3 from pg_stat_activity where usename = '{role}')")).await;
    let limit = |limit: &str| format!("alter role \"{role}\" nosuperuser connection limit {limit}");
    let grant = format!(
        "grant pg_read_all_data, pg_write_all_data to \"{role}\";
         grant execute on all functions in schema pgflow, pgmq, realtime to \"{role}\""
    );
    execute(&mut fixture.c, &grant).await;
    execute(&mut fixture.c, &limit("1")).await;
    execute(&mut fixture.c, "select pgflow.start_flow('f', to_jsonb(n)) from generate_series(1, 8) n").await;
    let refused =
        |event: &Event| matches!(event, Event::Disconnected { error, .. } if error.contains("too many connections"));
    let began = Instant::now();
    let longest = |event: &Event| {
        refused(event) && matches!(event, Event::Disconnected { retry_in, .. } if *retry_in > Duration::from_secs(1))
    };
    fixture.events.wait(longest).await;
    // The pauses are 0.1, 0.2, 0.4, 0.8 and 1.6 s, with at most five attempts at a time.
    assert!(fixture.events.count(refused) <= 30, "{} in {:?}", fixture.events.count(refused), began.elapsed());
    execute(&mut fixture.c, &limit("-1")).await;
    fixture.until("(select count(*) = 8 from pgflow.runs where status = 'completed')").await;
    assert_eq!(fixture.text("(select max(attempts_count) from pgflow.step_tasks)").await, "1");
    worker.stop().await;
    execute(&mut fixture.c, &format!("drop owned by \"{role}\"; drop role \"{role}\"")).await;
}

#[tokio::test]
async fn session_is_reset_after_each_query() {
    let database = flowsmith_engine().await;
    execute(
        &mut database.connect().await,
        "create role somebody_else_entirely; create function leave() returns void language plpgsql as $$ begin
           perform set_config('my.tenant', 'a', false), set_config('search_path', 'nowhere', false), pg_catalog.pg_advisory_lock(42);
           execute 'create temp table left_behind ()';
           execute 'set session role somebody_else_entirely'; execute 'reset role';
         end $$",
    )
    .await;
    let look = "select jsonb_build_array(pg_backend_pid(), current_setting('my.tenant', true), current_setting('search_path'), (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()), to_regclass('pg_temp.left_behind'))";
    let steps = format!(
        r#"  leaves: {{ handler: {{ sql: "select jsonb_build_array(pg_backend_pid(), leave())" }} }}
  fails: {{ max_attempts: 1, when_exhausted: skip, depends_on: [leaves], handler: {{ sql: "select 1 / length(leave()::text)" }} }}
  finds: {{ depends_on: [leaves], handler: {{ sql: "{look}" }} }}
  after: {{ depends_on: [finds], handler: {{ sql: "{look}" }} }}"#
    );
    let (mut fixture, file) = applied(database, &steps).await;
    let worker = fixture.work(declared(fixture.builder().sql_connections(1), &file, &[])).await;
    let run = fixture.start("f", "{}").await;
    let (status, output) = fixture.end_of(&run).await;
    assert_eq!(status, "completed");
    worker.stop().await;
    let pid = fixture.text("(select output -> 0 from pgflow.step_tasks where step_slug = 'leaves')").await;
    // Both queries use the same session.
    assert_eq!(output["after"][0].to_string(), pid, "{output}");
    let clean = json!(["", "\"$user\", public", 0, null]);
    assert_eq!(Value::from(output["after"].as_array().unwrap()[1..].to_vec()), clean);
    execute(&mut fixture.c, "drop role somebody_else_entirely").await;
}

/// The calls before and after the query do not depend on these settings.
#[tokio::test]
async fn query_runs_with_the_settings_of_the_role() {
    let database = flowsmith_engine().await;
    let c = &mut database.connect().await;
    let name = text(c, "current_database()").await.unwrap();
    execute(
        c,
        &format!(
            "create schema tenant;
             create function tenant.greeting() returns text language sql as $$ select 'hello' $$;
             create domain tenant.text as pg_catalog.text check (value <> 'f');
             create operator tenant.= (function = pg_catalog.textne, leftarg = pg_catalog.text, rightarg = pg_catalog.text);
             alter database {name} set search_path = tenant, pg_catalog;
             alter database {name} set standard_conforming_strings = off;
             alter database {name} set extra_float_digits = -3;
             alter database {name} set lock_timeout = '1234ms'"
        ),
    )
    .await;
    let settings = "select jsonb_build_array(greeting(), current_setting('search_path'), current_setting('standard_conforming_strings'), current_setting('extra_float_digits'), current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('transaction_isolation'))";
    let steps = format!("  reads: {{ timeout: 60, handler: {{ sql: \"{settings}\" }} }}");
    let (mut fixture, file) = applied(database, &steps).await;
    let worker = fixture.work(declared(fixture.builder().sql_connections(1), &file, &[])).await;
    execute(&mut fixture.c, "set search_path = pg_catalog").await;
    let run = fixture.start("f", "{}").await;
    let (status, output) = fixture.end_of(&run).await;
    worker.stop().await;
    assert_eq!(status, "completed");
    let expected = json!(["hello", "tenant, pg_catalog", "off", "-3", "1234ms", "1min", "read committed"]);
    assert_eq!(output["reads"], expected);
}

#[tokio::test]
async fn batch_that_exceeds_statement_timeout_is_completed_one_by_one() {
    let steps = r#"  one: { handler: { exec: ["true"] } }"#;
    let (mut fixture, file) = applied(flowsmith_engine().await, steps).await;
    // Completing one task stays within the timeout; completing several does not.
    execute(
        &mut fixture.c,
        "alter function pgflow.complete_tasks(uuid[], text[], integer[], jsonb[]) rename to complete_tasks_of_old;
         create function pgflow.complete_tasks(run_ids uuid[], step_slugs text[], task_indexes integer[], outputs jsonb[])
         returns setof pgflow.step_tasks language plpgsql as $$ begin
           if cardinality(run_ids) > 1 then raise exception 'canceling statement due to statement timeout' using errcode = '57014'; end if;
           return query select * from pgflow.complete_tasks_of_old(run_ids, step_slugs, task_indexes, outputs);
         end $$;
         select pgflow.start_flow('f', to_jsonb(n)) from generate_series(1, 40) n",
    )
    .await;
    let worker = fixture.work(declared(fixture.builder().connections(1), &file, &[])).await;
    fixture.until("(select count(*) = 40 from pgflow.runs where status = 'completed')").await;
    worker.stop().await;
    let rejected = |event: &Event| matches!(event, Event::Rejected { operation, error } if operation.starts_with("cannot complete ") && error.contains("statement timeout"));
    let count = fixture.events.count(rejected);
    assert!((1..=80).contains(&count), "{count}");
}
