//! Queues whose events start runs: each event starts one run, even if workers are killed.

use flowsmith_core::diagnostic::Diagnostic as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flowsmith_postgres::database::Target;
use flowsmith_postgres::engine::roles::Role;
use flowsmith_worker::triggers::{
    Batch, MAX_ATTEMPTS, QueueTrigger, Runner, TriggerEvent, clean_up, consume, queue_triggers,
};
use sqlx::PgConnection;

use super::{Stopped, deploy, order, runs};
use crate::engine::definitions::{execute, text};
use crate::engine::roles::Team;
use crate::fixture::command::{Project, flowsmith_engine};
use crate::fixture::{Database, shared_server};
use crate::shared::skip;
use crate::triggers::pgq::with_pgq;

const TICK: [&str; 2] = ["select pgq.force_tick('imports')", "select pgq.ticker('imports')"];

/// A flow that consumes from the queue `imports` with this input; none if the server has no PgQ.
async fn consuming(kind: &str, input_sql: &str) -> Option<(Database, Project, PgConnection, QueueTrigger)> {
    let database = flowsmith_engine().await;
    let mut c = database.connect().await;
    if kind == "pgq" {
        // PgQ creates roles, which are shared by all databases, so two sessions must not create them at once.
        with_pgq().await?;
        execute(&mut c, "create extension pgq").await;
    }
    let project = Project::on(&database);
    order(&project, "", &format!("  - {{ name: imported, queue: \"{kind}:imports\", input_sql: \"{input_sql}\" }}"));
    deploy(&project);
    project.succeeds(&["drift"]);
    let trigger = queue_triggers(&mut c).await.unwrap().remove(0);
    Some((database, project, c, trigger))
}

async fn consuming_pgq(input_sql: &str) -> Option<(Database, Project, PgConnection, QueueTrigger)> {
    let (database, project, mut c, trigger) = consuming("pgq", input_sql).await?;
    execute(&mut c, "select pgq.create_queue('imports')").await;
    // Registers the consumer.
    assert_eq!(consume(&mut c, &trigger).await.unwrap().events, 0);
    Some((database, project, c, trigger))
}

/// Ticks, so that the inserted events become a batch, and consumes it.
async fn tick_and_consume(c: &mut PgConnection, trigger: &QueueTrigger) -> Batch {
    for sql in TICK {
        execute(c, sql).await;
    }
    // Earlier ticks may form batches without events.
    for _ in 0..10 {
        let batch = consume(c, trigger).await.unwrap();
        if batch.events > 0 {
            return batch;
        }
    }
    Batch::default()
}

/// Asserts that each of this number of events has started one run.
async fn assert_each_started_once(c: &mut PgConnection, events: usize) {
    let counts = "(select concat_ws(' ', (select count(*) from pgflow.runs), count(*), count(distinct run_id)) from flowsmith.consumed_events)";
    assert_eq!(text(c, counts).await.unwrap(), format!("{events} {events} {events}"));
}

/// A pgqd process that is killed at the end of the test.
struct Ticker(Child);

impl Drop for Ticker {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[tokio::test]
async fn pgq_event_starts_one_run_with_pgqd() {
    let input = "jsonb_build_array(event.type, event.data, event.id > 0, event.time <= now())";
    let Some((database, _project, mut c, trigger)) = consuming_pgq(input).await else { return };
    if Command::new("pgqd").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skip("there is no pgqd on this machine");
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pgqd.ini");
    let socket = shared_server().connect_options("postgres").get_socket().unwrap().display().to_string();
    let name = database.options().get_database().unwrap().to_owned();
    let port = shared_server().connect_options("postgres").get_port();
    std::fs::write(
        &config,
        format!("[pgqd]\nbase_connstr = host={socket} port={port} user=postgres\ninitial_database = {name}\ndatabase_list = {name}\nlogfile = {0}/log\npidfile = {0}/pid\nticker_period = 0.1\ncheck_period = 1\n", folder.path().display()),
    )
    .unwrap();
    let _pgqd = Ticker(Command::new("pgqd").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    execute(&mut c, "select pgq.set_queue_config('imports', 'ticker_max_lag', '0.1 seconds')").await;
    for event in ["'order', '{\"id\": 1}'", "'order', 'no json'", "'other', null"] {
        execute(&mut c, &format!("select pgq.insert_event('imports', {event})")).await;
    }
    let end = Instant::now() + Duration::from_secs(60);
    let mut started = 0;
    while started < 3 && Instant::now() < end {
        started += consume(&mut c, &trigger).await.unwrap().started;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        runs(&mut c).await,
        "order [\"order\", \"no json\", true, true]\norder [\"order\", {\"id\": 1}, true, true]\norder [\"other\", null, true, true]"
    );
    assert_each_started_once(&mut c, 3).await;
}

#[tokio::test]
async fn pgq_event_starts_one_run_despite_killed_workers_and_repeated_batches() {
    let Some((database, _project, mut c, trigger)) = consuming_pgq("event.data").await else { return };
    execute(&mut c, "select pgq.insert_event('imports', 'n', n::text) from generate_series(1, 20) n").await;
    for sql in TICK {
        execute(&mut c, sql).await;
    }
    // A worker consumes the batch and is killed before its transaction ends; another one gets nothing meanwhile.
    let mut stopped = Stopped::before_commit(&database, "flowsmith.consumed_events").await;
    let (mut dying, consumed) = (database.connect().await, trigger.clone());
    let killed = tokio::spawn(async move { consume(&mut dying, &consumed).await });
    let pid = stopped.session().await;
    assert_eq!(consume(&mut c, &trigger).await.unwrap().events, 0);
    stopped.kill(&pid).await;
    assert!(killed.await.unwrap().is_err());
    let end = Instant::now() + Duration::from_secs(20);
    while consume(&mut c, &trigger).await.unwrap().events == 0 {
        assert!(Instant::now() < end, "the batch is still locked");
    }
    assert_each_started_once(&mut c, 20).await;

    // The consumer is moved back to the beginning.
    let again = format!(
        "select pgq.unregister_consumer('imports', '{0}'); select pgq.register_consumer_at('imports', '{0}', (select min(tick_id) from pgq.tick))",
        trigger.consumer()
    );
    execute(&mut c, &again).await;
    let batch = tick_and_consume(&mut c, &trigger).await;
    assert_eq!((batch.events, batch.started, batch.failed.len()), (20, 0, 0));
    assert_each_started_once(&mut c, 20).await;
}

/// Drains a queue with four workers, and returns the number of started runs.
async fn drain_with_four_workers(database: &Database, trigger: &QueueTrigger, events: usize) -> usize {
    let end = Instant::now() + Duration::from_secs(60);
    let worker = async || {
        let mut c = database.connect().await;
        let mut started = 0;
        while text(&mut c, "(select count(*) from flowsmith.consumed_events)").await.unwrap() != events.to_string() {
            assert!(Instant::now() < end, "not drained");
            if trigger.kind == flowsmith_core::catalog::QueueKind::Pgq {
                for sql in TICK {
                    execute(&mut c, sql).await;
                }
            }
            let batch = consume(&mut c, trigger).await.unwrap();
            assert!(batch.failed.is_empty(), "{batch:?}");
            started += batch.started;
        }
        started
    };
    let (a, b, c, d) = tokio::join!(worker(), worker(), worker(), worker());
    a + b + c + d
}

#[tokio::test]
async fn event_starts_one_run_with_many_workers() {
    const EVENTS: usize = 300;
    if let Some((database, _project, mut c, trigger)) = consuming_pgq("event.data").await {
        execute(
            &mut c,
            &format!("select pgq.insert_event('imports', 'n', n::text) from generate_series(1, {EVENTS}) n"),
        )
        .await;
        assert_eq!(drain_with_four_workers(&database, &trigger, EVENTS).await, EVENTS);
        assert_each_started_once(&mut c, EVENTS).await;
    }
    let (database, _project, mut c, trigger) = consuming("pgmq", "event.data").await.unwrap();
    execute(&mut c, &format!("select pgmq.create('imports'); select pgmq.send('imports', to_jsonb(n)) from generate_series(1, {EVENTS}) n")).await;
    assert_eq!(drain_with_four_workers(&database, &trigger, EVENTS).await, EVENTS);
    assert_each_started_once(&mut c, EVENTS).await;
    let left = "(select concat_ws(' ', (select count(*) from pgmq.q_imports), (select count(*) from pgmq.a_imports)))";
    assert_eq!(text(&mut c, left).await.unwrap(), format!("0 {EVENTS}"));
}

const PICKY: &str = "to_jsonb(1 / (event.data -> 'n')::int)";
const GIVEN_UP: &str = "(select string_agg(concat_ws(' ', detail ->> 'flow', detail ->> 'trigger', detail ->> 'data', detail ->> 'error'), ', ') from flowsmith.events where kind = 'trigger-failed')";

#[tokio::test]
async fn pgq_event_that_starts_no_run_is_retried_and_discarded() {
    let Some((_database, _project, mut c, trigger)) = consuming_pgq(PICKY).await else { return };
    execute(
        &mut c,
        "select pgq.insert_event('imports', 'n', jsonb_build_object('n', n)::text) from generate_series(-1, 1) n",
    )
    .await;
    for attempt in 1..=MAX_ATTEMPTS {
        let batch = tick_and_consume(&mut c, &trigger).await;
        assert_eq!((batch.events, batch.started), if attempt == 1 { (3, 2) } else { (1, 0) }, "{attempt}");
        let [failed] = batch.failed.as_slice() else { panic!("{batch:?}") };
        assert!(failed.error.to_string().contains("division by zero"), "{}", failed.error);
        assert_eq!(failed.retry_after.is_none(), attempt == MAX_ATTEMPTS, "{attempt}");
        execute(
            &mut c,
            "update pgq.retry_queue set ev_retry_after = now() - interval '1 second'; select pgq.maint_retry_events()",
        )
        .await;
    }
    assert_eq!(tick_and_consume(&mut c, &trigger).await.events, 0);
    assert_eq!(text(&mut c, GIVEN_UP).await.unwrap(), "order imported {\"n\": 0} division by zero [SQLSTATE 22012]");
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "2");
}

#[tokio::test]
async fn pgmq_message_that_starts_no_run_is_retried_and_discarded() {
    let (_database, _project, mut c, trigger) = consuming("pgmq", PICKY).await.unwrap();
    execute(&mut c, "select pgmq.create('imports'); select pgmq.send('imports', jsonb_build_object('n', n)) from generate_series(-1, 1) n").await;
    for attempt in 1..=MAX_ATTEMPTS {
        let batch = consume(&mut c, &trigger).await.unwrap();
        assert_eq!((batch.events, batch.started), if attempt == 1 { (3, 2) } else { (1, 0) }, "{attempt}");
        let [failed] = batch.failed.as_slice() else { panic!("{batch:?}") };
        assert_eq!(failed.retry_after.is_none(), attempt == MAX_ATTEMPTS, "{attempt}");
        assert_eq!(consume(&mut c, &trigger).await.unwrap().events, 0, "it is delayed");
        execute(&mut c, "update pgmq.q_imports set vt = now() - interval '1 second'").await;
    }
    assert_eq!(consume(&mut c, &trigger).await.unwrap().events, 0);
    assert_eq!(text(&mut c, GIVEN_UP).await.unwrap(), "order imported {\"n\": 0} division by zero [SQLSTATE 22012]");
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "2");
}

#[tokio::test]
async fn event_with_an_invalid_input_is_retried_and_discarded() {
    let schema = "input: { type: object, required: [id], properties: { id: { type: integer } } }";
    for kind in ["pgmq", "pgq"] {
        let Some((_database, project, mut c, _)) = consuming(kind, "event.data").await else { continue };
        let declared = |trigger: &str| order(&project, schema, trigger);
        declared(&format!("  - {{ name: imported, queue: \"{kind}:imports\" }}"));
        deploy(&project);
        let trigger = queue_triggers(&mut c).await.unwrap().remove(0);
        let next = async |c: &mut PgConnection| match kind {
            "pgq" => tick_and_consume(c, &trigger).await,
            _ => consume(c, &trigger).await.unwrap(),
        };
        let (send, again) = match kind {
            "pgq" => {
                execute(&mut c, "select pgq.create_queue('imports')").await;
                consume(&mut c, &trigger).await.unwrap();
                (
                    "select pgq.insert_event('imports', 'n', d) from unnest(array['{\"id\": 1}', '{\"id\": \"x\"}', '{\"id\": 2}']) d",
                    "update pgq.retry_queue set ev_retry_after = now() - interval '1 second'; select pgq.maint_retry_events()",
                )
            }
            _ => {
                execute(&mut c, "select pgmq.create('imports')").await;
                (
                    "select pgmq.send('imports', d::jsonb) from unnest(array['{\"id\": 1}', '{\"id\": \"x\"}', '{\"id\": 2}']) d",
                    "update pgmq.q_imports set vt = now() - interval '1 second'",
                )
            }
        };
        execute(&mut c, send).await;
        let reason = "flow order@1 does not accept this input: /id: \"x\" is not of type \"integer\"";
        for attempt in 1..=MAX_ATTEMPTS {
            let batch = next(&mut c).await;
            assert_eq!((batch.events, batch.started), if attempt == 1 { (3, 2) } else { (1, 0) }, "{kind} {attempt}");
            let [failed] = batch.failed.as_slice() else { panic!("{batch:?}") };
            assert_eq!((failed.error.code().as_str(), failed.error.to_string().as_str()), ("FS964", reason));
            execute(&mut c, again).await;
        }
        assert_eq!(next(&mut c).await.events, 0);
        assert_eq!(text(&mut c, GIVEN_UP).await.unwrap(), format!("order imported {{\"id\": \"x\"}} {reason}"));
        assert_eq!(runs(&mut c).await, "order {\"id\": 1}\norder {\"id\": 2}");
    }
}

#[tokio::test]
async fn consumer_is_unregistered_with_its_trigger() {
    let Some((_database, project, mut c, trigger)) = consuming_pgq("event.data").await else { return };
    execute(&mut c, "select pgq.register_consumer('imports', 'somebody else')").await;
    let consumers = "(select string_agg(consumer_name, ', ' order by consumer_name) from pgq.get_consumer_info())";
    clean_up(&mut c).await.unwrap();
    assert_eq!(text(&mut c, consumers).await.unwrap(), "flowsmith:order:imported, somebody else");
    std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
    deploy(&project);
    assert!(consume(&mut c, &trigger).await.is_ok_and(|batch| batch.events == 0));
    clean_up(&mut c).await.unwrap();
    assert_eq!(text(&mut c, consumers).await.unwrap(), "somebody else");
}

#[tokio::test]
async fn unregistered_consumer_reports_unconsumed_events() {
    let Some((database, project, mut c, trigger)) = consuming_pgq("event.data").await else { return };
    execute(&mut c, "select pgq.insert_event('imports', 'n', '0')").await;
    assert_eq!(tick_and_consume(&mut c, &trigger).await.started, 1);
    execute(&mut c, "select pgq.insert_event('imports', 'n', n::text) from generate_series(1, 50) n").await;
    // PgQ counts a forced tick as thousands of events.
    execute(&mut c, "select pgq.set_queue_config('imports', 'ticker_max_count', '1')").await;
    execute(&mut c, "select pgq.ticker('imports')").await;
    execute(&mut c, "select pgq.insert_event('imports', 'n', '51')").await;

    let leaves = "imported stops consuming pgq:imports: its unconsumed events start no run";
    let trigger = |name: &str| format!("  - {{ name: {name}, queue: \"pgq:imports\", input_sql: event.data }}");
    order(&project, "version: 2", &trigger("imported"));
    let compiled = project.succeeds(&["compile"]).all_output();
    assert!(!compiled.contains("leaves") && !project.exits_with(2, &["plan"]).contains("leaves"), "{compiled}");
    project.succeeds(&["apply"]);
    order(&project, "version: 2", &trigger("renamed"));
    let compiled = project.succeeds(&["compile"]).all_output();
    assert!(compiled.contains(leaves), "{compiled}");
    let plan = project.exits_with(2, &["plan"]);
    assert!(plan.contains(leaves), "{plan}");
    project.succeeds(&["apply"]);

    let output = Mutex::new(Vec::new());
    let observe = |event: &TriggerEvent| output.lock().unwrap().push(event.to_string());
    let left = "consumer flowsmith:order:imported was unregistered from PgQ queue imports, because its trigger no longer exists: about 51 unconsumed events start no run";
    let runner = Runner::connect(&Target::new(database.options()), Duration::from_secs(1), observe).await.unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    runner
        .run(async {
            while Instant::now() < end && !output.lock().unwrap().iter().any(|line| line == left) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    assert!(output.lock().unwrap().iter().any(|line| line == left), "{output:?}");
}

#[tokio::test]
async fn missing_queue_is_an_error_that_names_it() {
    let (_database, project, mut c, trigger) = consuming("pgmq", "event.data").await.unwrap();
    let error = consume(&mut c, &trigger).await.unwrap_err();
    assert!(error.to_string().contains("q_imports"), "{error}");
    order(&project, "", "  - { name: imported, queue: \"pgq:imports\" }");
    deploy(&project);
    let pgq = queue_triggers(&mut c).await.unwrap().remove(0);
    let error = consume(&mut c, &pgq).await.unwrap_err();
    assert!(
        error.to_string().contains("pgq") && error.help().unwrap_or_default().contains("create extension pgq"),
        "{error}"
    );
    clean_up(&mut c).await.unwrap();
    if with_pgq().await.is_some() {
        execute(&mut c, "create extension pgq").await;
        let error = consume(&mut c, &pgq).await.unwrap_err();
        assert!(error.to_string().to_lowercase().contains("queue"), "{error}");
    }
}

#[tokio::test]
async fn worker_role_can_consume_from_queues() {
    let team = Team::new().await;
    let mut c = team.database.connect().await;
    let project = team.project();
    order(&project, "", "  - { name: imported, queue: \"pgmq:imports\" }");
    deploy(&project);
    let role = team.prefix.name(Role::Worker);
    execute(&mut c, r#"select pgmq.create('imports'); select pgmq.send('imports', '{"a": 1}')"#).await;
    execute(&mut c, &format!("grant select, insert, update, delete on pgmq.q_imports, pgmq.a_imports to {role}")).await;
    let mut worker = team.session(Role::Worker).await;
    let trigger = queue_triggers(&mut worker).await.unwrap().remove(0);
    assert_eq!(consume(&mut worker, &trigger).await.unwrap().started, 1);
    clean_up(&mut worker).await.unwrap();
    assert_eq!(runs(&mut c).await, "order {\"a\": 1}");
}

/// Creates a queue with five messages.
async fn fill(c: &mut PgConnection, queue: &str) {
    let sql =
        format!("select pgmq.create('{queue}'); select pgmq.send('{queue}', to_jsonb(n)) from generate_series(1, 5) n");
    execute(c, &sql).await;
}

#[tokio::test]
async fn event_ids_of_another_or_recreated_queue_are_new_events() {
    let (_database, project, mut c, trigger) = consuming("pgmq", "event.data").await.unwrap();
    fill(&mut c, "imports").await;
    assert_eq!(consume(&mut c, &trigger).await.unwrap().started, 5);
    execute(&mut c, "select pgmq.drop_queue('imports')").await;
    fill(&mut c, "imports").await;
    assert_eq!(consume(&mut c, &trigger).await.unwrap().started, 5, "the same name");

    order(&project, "", "  - { name: imported, queue: \"pgmq:Others\", input_sql: event.data }");
    deploy(&project);
    let trigger = queue_triggers(&mut c).await.unwrap().remove(0);
    fill(&mut c, "others").await;
    assert_eq!(consume(&mut c, &trigger).await.unwrap().started, 5, "another name");
    assert_each_started_once(&mut c, 15).await;

    // A repeated message of the same queue starts no run and is reported.
    execute(&mut c, "delete from pgmq.a_others where msg_id = 3; insert into pgmq.q_others (msg_id, vt, message) overriding system value select 3, now(), '3'").await;
    let batch = consume(&mut c, &trigger).await.unwrap();
    assert_eq!((batch.events, batch.started, batch.already_handled), (1, 0, 1));
    assert_each_started_once(&mut c, 15).await;
}

#[tokio::test]
async fn event_ids_of_a_recreated_pgq_queue_are_new_events() {
    let Some((_database, _project, mut c, trigger)) = consuming_pgq("event.data").await else { return };
    for _ in 0..2 {
        let sql = "select pgq.insert_event('imports', 'n', n::text) from generate_series(1, 5) n";
        execute(&mut c, sql).await;
        assert_eq!(tick_and_consume(&mut c, &trigger).await.started, 5);
        execute(&mut c, "select pgq.drop_queue('imports', true); select pgq.create_queue('imports')").await;
        consume(&mut c, &trigger).await.unwrap();
    }
    assert_each_started_once(&mut c, 10).await;
}

#[tokio::test]
async fn large_batch_is_consumed_in_portions() {
    let Some((_database, _project, mut c, trigger)) = consuming_pgq("to_jsonb(1 / (event.data)::int)").await else {
        return;
    };
    // One event starts no run, so the events of its portion are consumed one by one.
    let sql = "select pgq.insert_event('imports', 'n', n::text) from generate_series(-600, 600) n";
    execute(&mut c, sql).await;
    let batch = tick_and_consume(&mut c, &trigger).await;
    assert_eq!((batch.events, batch.started, batch.already_handled, batch.failed.len()), (1201, 1200, 0, 1));
    assert_each_started_once(&mut c, 1200).await;
}

#[tokio::test]
async fn trigger_on_the_queue_of_another_flow_is_refused() {
    let (_database, project, mut c, _trigger) = consuming("pgmq", "event.data").await.unwrap();
    // A flow that is not in the files of this project.
    execute(&mut c, "select pgflow.create_flow('Victim'); select pgflow.add_step('Victim', 'a')").await;
    order(&project, "", "  - { name: imported, queue: \"pgmq:VICTIM\" }");
    project.compile();
    let plan = project.exits_with(5, &["plan"]);
    assert!(plan.contains("the queue VICTIM belongs to flow Victim"), "{plan}");
    let refused = project.exits_with(5, &["apply"]);
    assert!(refused.contains("FS996") && refused.contains("belongs to flow Victim"), "{refused}");
    assert!(queue_triggers(&mut c).await.unwrap().iter().all(|trigger| trigger.queue == "imports"));
}
