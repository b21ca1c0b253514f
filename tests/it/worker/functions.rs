//! Functions of a program as handlers.

use flowsmith_core::diagnostic::Diagnostic as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flowsmith_worker::{Context, Event, HandlerError, WorkerError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Fixture;
use crate::engine::definitions::execute;
use crate::fixture::command::{flowsmith_engine, official_engine, old_official_engine};

const ORDER: &str = "select pgflow.create_flow('order'); select pgflow.add_step('order', 'load');
     select pgflow.add_step('order', 'reserve', '{load}', step_type => 'map');
     select pgflow.add_step('order', 'ship', '{load,reserve}')";

#[derive(Deserialize)]
struct Order {
    id: u32,
    items: Vec<String>,
}

#[derive(Serialize)]
struct Reserved {
    item: String,
    by: i32,
}

#[tokio::test]
async fn function_handlers_run_a_flow_on_every_engine() {
    for (database, is_old) in
        [(flowsmith_engine().await, false), (official_engine().await, true), (old_official_engine().await, true)]
    {
        let mut fixture = Fixture::on(database, ORDER).await;
        let load = move |input: Value, _| async move {
            // Engines of levels 0.7 and 0.8 pass the input of the run under `run`.
            let order: Order = serde_json::from_value(if is_old { input["run"].clone() } else { input })?;
            assert_eq!(order.id, 7);
            Ok(order.items)
        };
        let reserve = |item: String, context: Context| async move { Ok(Reserved { item, by: context.task_index }) };
        let ship = |input: Value, context: Context| async move {
            Ok(json!({ "load": input["load"], "reserve": input["reserve"], "step": context.step }))
        };
        let builder = fixture.builder().flow("order").step("load", load).step("reserve", reserve).step("ship", ship);
        let worker = fixture.work(builder).await;
        let run = fixture.start("order", r#"{"id": 7, "items": ["a", "b", "it's \\ \"c\""]}"#).await;
        let items = json!(["a", "b", "it's \\ \"c\""]);
        let reserved =
            json!([{ "item": "a", "by": 0 }, { "item": "b", "by": 1 }, { "item": "it's \\ \"c\"", "by": 2 }]);
        let expected = json!({ "ship": { "load": items, "reserve": reserved, "step": "ship" } });
        assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), expected));
        worker.stop().await;
        let started = fixture.events.find(|event| matches!(event, Event::Started { .. })).unwrap();
        assert_eq!(started, Event::Started { flows: vec!["order".to_owned()], batches: !is_old });
        if is_old {
            assert!(fixture.events.find(|event| matches!(event, Event::NoRecovery)).is_some());
        } else {
            fixture.assert_sound().await;
            assert_eq!(fixture.text("(select count(*) from pgflow.workers where stopped_at is not null)").await, "1");
        }
    }
}

#[tokio::test]
async fn retryable_error_is_retried_until_max_attempts() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let mut fixture = Fixture::on(
            database,
            "select pgflow.create_flow('f', max_attempts => 3, base_delay => 0); select pgflow.add_step('f', 'a')",
        )
        .await;
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let fail = move |_: Value, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), _>(HandlerError::retry("out of \"paper\" \\ 'and' \0 ink")) }
        };
        let builder = fixture.builder().flow("f").step("a", fail);
        let worker = fixture.work(builder).await;
        let run = fixture.start("f", "{}").await;
        assert_eq!(fixture.end_of(&run).await.0, "failed");
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        let task =
            fixture.text("(select concat_ws('|', status, attempts_count, error_message) from pgflow.step_tasks)").await;
        assert_eq!(task, "failed|3|out of \"paper\" \\ 'and' \u{fffd} ink");
        worker.stop().await;
        assert_eq!(fixture.events.count(|event| matches!(event, Event::TaskFailed { retries: true, .. })), 2);
        assert_eq!(fixture.events.count(|event| matches!(event, Event::TaskFailed { retries: false, .. })), 1);
    }
}

#[tokio::test]
async fn permanent_error_fails_the_task_with_its_true_attempt_count() {
    for (database, exhausted) in [
        (flowsmith_engine().await, ", when_exhausted => 'skip'"),
        (flowsmith_engine().await, ""),
        (official_engine().await, ""),
    ] {
        let mut fixture = Fixture::on(
            database,
            &format!("select pgflow.create_flow('f', max_attempts => 5, base_delay => 0);
                      select pgflow.add_step('f', 'a', max_attempts => 7{exhausted}); select pgflow.add_step('f', 'b', '{{a}}')"),
        )
        .await;
        let builder = fixture.builder().flow("f");
        let builder = builder.step("a", |_: Value, _| async { Err::<(), _>(HandlerError::permanent("404 not found")) });
        let builder = builder.step("b", |input: Value, _| async move { Ok(input) });
        let worker = fixture.work(builder).await;
        let run = fixture.start("f", "{}").await;
        let expected = if exhausted.is_empty() { ("failed", Value::Null) } else { ("completed", json!({ "b": {} })) };
        assert_eq!(fixture.end_of(&run).await, (expected.0.to_owned(), expected.1));
        let task = "(select concat_ws('|', status, attempts_count, error_message) from pgflow.step_tasks where step_slug = 'a')";
        assert_eq!(fixture.text(task).await, "failed|1|404 not found");
        worker.stop().await;
        assert_eq!(fixture.events.count(|event| matches!(event, Event::TaskFailed { retries: false, .. })), 1);
    }
}

#[tokio::test]
async fn invalid_input_and_output_fail_permanently() {
    let mut fixture = Fixture::with(
        "select pgflow.create_flow('f', base_delay => 0); select pgflow.add_step('f', 'a', when_exhausted => 'skip');
         select pgflow.add_step('f', 'b', when_exhausted => 'skip'); select pgflow.add_step('f', 'c')",
    )
    .await;
    let builder = fixture.builder().flow("f").step("a", |_: u32, _| async { Ok(()) });
    // PostgreSQL does not support NUL in text. The other tasks of the batch are completed.
    let builder = builder.step("b", |_: Value, _| async { Ok("a \0 b") }).step("c", |_: Value, _| async { Ok("c") });
    let worker = fixture.work(builder).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "c": "c" })));
    let errors =
        "(select string_agg(error_message, e'\\n' order by step_slug) from pgflow.step_tasks where attempts_count = 1)";
    let errors = fixture.text(errors).await;
    let (a, b) = errors.split_once('\n').unwrap();
    assert!(a.starts_with("the handler does not accept the input: invalid type: map"), "{a}");
    assert!(b.starts_with("the database rejected the output: unsupported Unicode escape sequence"), "{b}");
    worker.stop().await;
}

#[tokio::test]
async fn panic_and_timeout_fail_the_attempt() {
    let mut fixture = Fixture::with(
        "select pgflow.create_flow('f', max_attempts => 1); select pgflow.add_step('f', 'a', when_exhausted => 'skip');
         select pgflow.add_step('f', 'b', timeout => 1, when_exhausted => 'skip')",
    )
    .await;
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&drops);
    let hang = move |_: Value, _| {
        let guard = Dropped(Arc::clone(&counted));
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(())
        }
    };
    let boom = |input: Value, _| async move { if input.is_object() { panic!("no {}", "paper") } else { Ok(()) } };
    let builder = fixture.builder().flow("f").step("a", boom).step("b", hang);
    let worker = fixture.work(builder).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({})));
    let errors = "(select string_agg(error_message, ', ' order by step_slug) from pgflow.step_tasks)";
    assert_eq!(fixture.text(errors).await, "the handler panicked: no paper, timed out after 1 s");
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    worker.stop().await;
}

#[tokio::test]
async fn concurrency_limits_are_respected() {
    let mut fixture = Fixture::with(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'few', step_type => 'map');
         select pgflow.add_step('f', 'many', step_type => 'map')",
    )
    .await;
    #[derive(Default)]
    struct Gauge(AtomicUsize, AtomicUsize);
    async fn pass(gauges: [Arc<Gauge>; 2]) -> Result<(), HandlerError> {
        for gauge in &gauges {
            let now = gauge.0.fetch_add(1, Ordering::Relaxed) + 1;
            gauge.1.fetch_max(now, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        for gauge in &gauges {
            gauge.0.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }
    let [all, few, many] = [(); 3].map(|()| Arc::new(Gauge::default()));
    let of = |gauge: &Arc<Gauge>| {
        let both = [Arc::clone(&all), Arc::clone(gauge)];
        move |_: Value, _: Context| pass(both.clone())
    };
    let builder = fixture.builder().concurrency(6).batch(4).flow("f").step("few", of(&few)).step("many", of(&many));
    let worker = fixture.work(builder.step_concurrency("few", 2)).await;
    let items: Vec<u32> = (0..60).collect();
    let run = fixture.start("f", &json!(items).to_string()).await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    worker.stop().await;
    let most = |gauge: &Gauge| gauge.1.load(Ordering::Relaxed);
    assert_eq!((most(&all), most(&few)), (6, 2));
    assert!(most(&many) > 2, "{}", most(&many));
    // Waiting tasks have used no attempt.
    assert_eq!(fixture.text("(select max(attempts_count) from pgflow.step_tasks)").await, "1");
    fixture.assert_sound().await;
}

#[tokio::test]
async fn delayed_tasks_start_without_a_notification() {
    let mut fixture = Fixture::with(
        "select pgflow.create_flow('f', base_delay => 1); select pgflow.add_step('f', 'a', start_delay => 1)",
    )
    .await;
    let calls = Arc::new(AtomicUsize::new(0));
    let once = move |_: Value, _| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        async move { if call == 0 { Err(HandlerError::retry("later")) } else { Ok(call) } }
    };
    // Polls are an hour apart, so only heartbeats and requested checks find the task.
    let builder = fixture.builder().flow("f").step("a", once).poll_interval(Duration::from_secs(3600));
    let worker = fixture.work(builder).await;
    fixture.events.wait(|event| matches!(event, Event::Listening)).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "a": 1 })));
    let pauses =
        "(select concat_ws('|', last_value(t.started_at) over () - r.started_at < interval '8 seconds', attempts_count)
                   from pgflow.runs r join pgflow.step_tasks t using (run_id))";
    assert_eq!(fixture.text(pauses).await, "t|2");
    worker.stop().await;
}

#[tokio::test]
async fn connect_refuses_unknown_flows_and_mismatched_handlers() {
    let fixture = Fixture::with(ORDER).await;
    let noop = |_: Value, _: Context| async { Ok(()) };
    let refused = async |builder: flowsmith_worker::Builder| {
        let error = builder.connect(&fixture.target()).await.err().expect("a refusal");
        assert!(!error.help().unwrap_or_default().is_empty());
        (error.code().as_str(), error.to_string())
    };
    let builder = || fixture.builder();
    assert_eq!(refused(builder()).await, ("FS986", "no flow to work on: no flow is named".to_owned()));
    let unknown = builder().flow("order").flow("odrer").flow("order_v2");
    assert_eq!(refused(unknown).await, ("FS981", "the database has no flow odrer, order_v2".to_owned()));
    let some =
        builder().flow("order").step("load", noop).step("load", noop).step("chip", noop).step_concurrency("x", 1);
    let expected = "order: step reserve has no handler; step ship has no handler; step load has two handlers; \
                    step chip has a handler but does not exist in the database; step x has a limit but no handler";
    let (code, message) = refused(some).await;
    assert_eq!(code, "FS983");
    let sorted = |text: &str| {
        let mut parts: Vec<String> = text.trim_start_matches("order: ").split("; ").map(str::to_owned).collect();
        parts.sort();
        parts
    };
    assert_eq!(sorted(&message), sorted(expected));
    let twice = builder().flow("order").step("load", noop).step("reserve", noop).step("ship", noop).flow("order");
    assert_eq!(refused(twice).await, ("FS983", "order: the flow is named twice".to_owned()));
    let empty = crate::fixture::Database::create().await;
    let target = flowsmith_postgres::database::Target::new(empty.options());
    let error = builder().flow("order").connect(&target).await.err().unwrap();
    assert_eq!(error.code().as_str(), "FS909", "{error}");
    let mut fixture = fixture;
    execute(&mut fixture.c, "alter function pgflow.fail_task(uuid, text, integer, text) rename to fail_no_task").await;
    let error = fixture.builder().flow("order").connect(&fixture.target()).await.err().unwrap();
    assert!(matches!(error, WorkerError::Engine { .. }), "{error}");
    assert_eq!(error.code().as_str(), "FS985");
}

#[tokio::test]
async fn worker_completes_runs_of_many_flows() {
    let mut fixture = Fixture::with(
        "select pgflow.create_flow('f' || n), pgflow.add_step('f' || n, 'a'), pgflow.add_step('f' || n, 'b', '{a}')
         from generate_series(1, 12) n",
    )
    .await;
    let gate = Arc::new(Semaphore::new(3));
    let mut builder = fixture.builder().connections(3).concurrency(8);
    for n in 1..=12 {
        let gate = Arc::clone(&gate);
        let gated = move |_: Value, _| {
            let gate = Arc::clone(&gate);
            async move { Ok(gate.acquire().await?.num_permits()) }
        };
        builder = builder.flow(format!("f{n}")).step("a", gated).step("b", |input: Value, _| async move { Ok(input) });
    }
    let worker = fixture.work(builder).await;
    let runs = "(select count(r.run_id) from generate_series(1, 12) n, generate_series(1, 20) i, pgflow.start_flow('f' || n, to_jsonb(i)) r)";
    assert_eq!(fixture.text(runs).await, "240");
    fixture.until("(select count(*) = 240 from pgflow.runs where status = 'completed')").await;
    worker.stop().await;
    fixture.assert_sound().await;
}
