//! What workers tell the database, and that it is neither too much at once nor in the way of the heartbeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flowsmith_worker::{Event, HandlerError};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use tokio::sync::Barrier;

use super::{PATIENCE, Scene};
use crate::engine::definitions::execute;
use crate::fixture::command::{official, ours};

/// Tasks with outputs of 1 MiB each that end together.
const LARGE: usize = 24;

#[tokio::test]
async fn outputs_that_come_together_are_told_in_calls_of_8_mib() {
    let mut scene = Scene::with(
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
    execute(&mut scene.c, &format!("select pgflow.start_flow('f', to_jsonb(n)) from generate_series(1, {LARGE}) n"))
        .await;
    let together = Arc::new(Barrier::new(LARGE));
    let large = move |_: Value, _| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            Ok("x".repeat((1 << 20) - 2))
        }
    };
    let builder = scene.builder().batch(LARGE).concurrency(LARGE).connections(1);
    let worker = scene.work(builder.flow("f").step("a", large)).await;
    scene.until(&format!("(select count(*) = {LARGE} from pgflow.runs where status = 'completed')")).await;
    worker.stop().await;
    let calls = scene.text("(select jsonb_build_array(sum(tasks), max(bytes), max(tasks)) from calls)").await;
    let calls: [i64; 3] = serde_json::from_str(&calls).unwrap();
    // As many as fit, and no more.
    assert_eq!(calls, [LARGE as i64, 8 << 20, 8]);
    scene.assert_sound().await;
}

#[tokio::test]
async fn its_heart_beats_while_what_was_cut_off_cannot_be_cleared_up() {
    let mut scene = Scene::with("select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    let run = scene.start("f", "7").await;
    let name = scene.text("current_database()").await;
    // Whoever waits for tasks gives up after a while; the heartbeat does not need them.
    execute(&mut scene.c, &format!("set lock_timeout = '2s'; alter database {name} set lock_timeout = '2s'")).await;
    let mut holder = scene.database.options().connect().await.unwrap();
    execute(&mut holder, "begin; lock table pgflow.step_tasks in access exclusive mode").await;
    let echo = |input: Value, _| async move { Ok::<_, HandlerError>(input) };
    let worker = scene.work(scene.builder().connections(1).flow("f").step("a", echo)).await;
    let cut = "(select bool_or(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()
                and application_name = 'flowsmith worker' and wait_event_type = 'Lock' and query like '%poll_tasks%')";
    scene.until(cut).await;
    let refused = |event: &Event| matches!(event, Event::Refused { what, error } if what.contains("heartbeat") && error.contains("lock timeout"));
    scene.events.wait(refused).await;
    for _ in 0..2 {
        let last = scene.text("(select max(last_heartbeat_at)::text from pgflow.workers)").await;
        let count = scene.events.count(refused);
        scene.until(&format!("(select max(last_heartbeat_at) > '{last}' from pgflow.workers)")).await;
        let deadline = Instant::now() + PATIENCE;
        while scene.events.count(refused) == count {
            assert!(Instant::now() < deadline, "it does not try to clear up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    execute(&mut holder, "rollback").await;
    assert_eq!(scene.end_of(&run).await, ("completed".to_owned(), json!({ "a": 7 })));
    worker.stop().await;
    scene.assert_sound().await;
}

#[tokio::test]
async fn a_timeout_that_is_tuned_holds_for_tasks_that_begin_later() {
    let mut scene = Scene::with(
        "select pgflow.create_flow('f', max_attempts => 1000, base_delay => 0);
         select pgflow.add_step('f', 'a', timeout => 1); select pgflow.start_flow('f', '{}')",
    )
    .await;
    let hangs = |_: Value, _| async move { std::future::pending::<Result<(), HandlerError>>().await };
    let worker = scene.work(scene.builder().shutdown_timeout(Duration::ZERO).flow("f").step("a", hangs)).await;
    let timed_out = |words: &'static str| move |event: &Event| matches!(event, Event::TaskFailed { message, .. } if message == words);
    scene.events.wait(timed_out("timed out after 1 s")).await;
    execute(&mut scene.c, "update pgflow.steps set opt_timeout = 2").await;
    scene.events.wait(timed_out("timed out after 2 s")).await;
    worker.stop().await;
}

/// The engine fails the run of a step that gives something else than the array that a map is made of.
#[tokio::test]
async fn an_output_that_the_engine_refuses_is_told_with_its_reason() {
    let flow = "select pgflow.create_flow('f'); select pgflow.add_step('f', 'list');
                select pgflow.add_step('f', 'each', '{list}', step_type => 'map')";
    let one_by_one = format!("{flow}; drop function pgflow.complete_tasks(uuid[], text[], integer[], jsonb[])");
    for (database, definitions) in [(ours().await, flow), (ours().await, one_by_one.as_str()), (official().await, flow)]
    {
        let mut scene = Scene::on(database, definitions).await;
        let none = |_: Value, _| async move { Ok::<_, HandlerError>(Value::Null) };
        let echo = |input: Value, _| async move { Ok::<_, HandlerError>(input) };
        let worker = scene.work(scene.builder().flow("f").step("list", none).step("each", echo)).await;
        let run = scene.start("f", "7").await;
        assert_eq!(scene.end_of(&run).await.0, "failed");
        worker.stop().await;
        let told = scene.events.find(|event| matches!(event, Event::TaskFailed { .. } | Event::TaskLate(_)));
        let Some(Event::TaskFailed { message, retries: false, .. }) = told else { panic!("{told:?}") };
        assert!(message.contains("[TYPE_VIOLATION] Produced null instead of array"), "{message}");
    }
}
