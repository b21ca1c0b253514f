//! Reporting results: the size of calls, the heartbeat meanwhile, and rejected outputs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flowsmith_worker::{Event, HandlerError};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use tokio::sync::Barrier;

use super::{Fixture, WAIT_TIMEOUT};
use crate::engine::definitions::execute;
use crate::fixture::command::{flowsmith_engine, official_engine};

/// The number of tasks that finish at the same time with outputs of 1 MiB each.
const LARGE: usize = 24;

#[tokio::test]
async fn outputs_are_reported_in_calls_of_8_mib() {
    let mut fixture = Fixture::with(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a');
         create table calls (tasks int not null, bytes bigint not null);
         alter function pgflow.complete_tasks(uuid[], text[], integer[], jsonb[]) rename to complete_tasks_of_old;
         create function pgflow.complete_tasks(run_ids uuid[], step_slugs text[], task_indexes integer[], outputs jsonb[])
         returns setof pgflow.step_tasks language plpgsql as $$ begin
           insert into public.calls select count(*), sum(octet_length(o::text)) from unnest(outputs) o;
           return query select * from pgflow.complete_tasks_of_old(run_ids, step_slugs, task_indexes, outputs);
         end $$",
    )
    .await;
    execute(&mut fixture.c, &format!("select pgflow.start_flow('f', to_jsonb(n)) from generate_series(1, {LARGE}) n"))
        .await;
    let together = Arc::new(Barrier::new(LARGE));
    let large = move |_: Value, _| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            Ok("x".repeat((1 << 20) - 2))
        }
    };
    let builder = fixture.builder().batch(LARGE).concurrency(LARGE).connections(1);
    let worker = fixture.work(builder.flow("f").step("a", large)).await;
    fixture.until(&format!("(select count(*) = {LARGE} from pgflow.runs where status = 'completed')")).await;
    worker.stop().await;
    let calls = fixture.text("(select jsonb_build_array(sum(tasks), max(bytes), max(tasks)) from calls)").await;
    let calls: [i64; 3] = serde_json::from_str(&calls).unwrap();
    // Each call holds as many outputs as fit.
    assert_eq!(calls, [LARGE as i64, 8 << 20, 8]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn heartbeat_continues_while_an_interrupted_claim_cannot_be_resolved() {
    let mut fixture = Fixture::with("select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    let run = fixture.start("f", "7").await;
    let mut holder = fixture.database.options().connect().await.unwrap();
    execute(&mut holder, "begin; lock table pgflow.step_tasks in access exclusive mode").await;
    let echo = |input: Value, _| async move { Ok::<_, HandlerError>(input) };
    let worker = fixture.work(fixture.builder().connections(1).flow("f").step("a", echo)).await;
    let cut = "(select bool_or(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()
                and application_name = 'flowsmith worker' and wait_event_type = 'Lock' and query like '%poll_tasks%')";
    fixture.until(cut).await;
    // Calls that need this table fail now; the heartbeat does not need it.
    execute(&mut holder, "alter table pgflow.step_tasks rename to hidden_tasks; commit").await;
    let rejected = |event: &Event| matches!(event, Event::Rejected { operation, error } if operation.contains("heartbeat") && error.contains("does not exist"));
    fixture.events.wait(rejected).await;
    for _ in 0..2 {
        let last = fixture.text("(select max(last_heartbeat_at)::text from pgflow.workers)").await;
        let count = fixture.events.count(rejected);
        fixture.until(&format!("(select max(last_heartbeat_at) > '{last}' from pgflow.workers)")).await;
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while fixture.events.count(rejected) == count {
            assert!(Instant::now() < deadline, "the interrupted claim is not resolved");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    execute(&mut holder, "alter table pgflow.hidden_tasks rename to step_tasks").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "a": 7 })));
    worker.stop().await;
    fixture.assert_sound().await;
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn tuned_timeout_applies_to_later_tasks() {
    let mut fixture = Fixture::with(
        "select pgflow.create_flow('f', max_attempts => 1000, base_delay => 0);
         select pgflow.add_step('f', 'a', timeout => 1); select pgflow.start_flow('f', '{}')",
    )
    .await;
    let hangs = |_: Value, _| async move { std::future::pending::<Result<(), HandlerError>>().await };
    let worker = fixture.work(fixture.builder().shutdown_timeout(Duration::ZERO).flow("f").step("a", hangs)).await;
    let timed_out =
        |text: &'static str| move |event: &Event| matches!(event, Event::TaskFailed { message, .. } if message == text);
    fixture.events.wait(timed_out("timed out after 1 s")).await;
    execute(&mut fixture.c, "update pgflow.steps set opt_timeout = 2").await;
    fixture.events.wait(timed_out("timed out after 2 s")).await;
    worker.stop().await;
}

/// The engine fails the run if the output of a mapped step is not an array.
#[tokio::test]
async fn output_rejected_by_the_engine_is_reported_with_its_reason() {
    let flow = "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list');
                select pgflow.add_step('f', 'each', '{list}', step_type => 'map')";
    let one_by_one = format!("{flow}; drop function pgflow.complete_tasks(uuid[], text[], integer[], jsonb[])");
    for (database, definitions) in [
        (flowsmith_engine().await, flow),
        (flowsmith_engine().await, one_by_one.as_str()),
        (official_engine().await, flow),
    ] {
        let mut fixture = Fixture::on(database, definitions).await;
        let none = |_: Value, _| async move { Ok::<_, HandlerError>(Value::Null) };
        let echo = |input: Value, _| async move { Ok::<_, HandlerError>(input) };
        let worker = fixture.work(fixture.builder().flow("f").step("list", none).step("each", echo)).await;
        let run = fixture.start("f", "7").await;
        assert_eq!(fixture.end_of(&run).await.0, "failed");
        worker.stop().await;
        let event = fixture.events.find(|event| matches!(event, Event::TaskFailed { .. } | Event::TaskLate(_)));
        let Some(Event::TaskFailed { message, retries: false, .. }) = event else { panic!("{event:?}") };
        assert!(message.contains("[TYPE_VIOLATION] Produced null instead of array"), "{message}");
    }
}
