//! Differences between flowsmith's engine and the official one where the official one has a bug. docs/engine-differences.md
//! lists each of them with its test, which runs on both engines.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::engine::definitions::execute;
use crate::engine::differential::{merged_engine, official_engine};
use crate::fixture::Database;

const RUN: &str = "00000000-0000-4000-8000-00000000000a";
const WORKER: &str = "00000000-0000-4000-8000-000000000000";

/// Two databases, one with each engine, in which the same statements were executed.
struct Both {
    databases: [Database; 2],
    connections: [PgConnection; 2],
}

impl Both {
    async fn after(statements: &[&str]) -> Self {
        let databases = [official_engine().await, merged_engine().await];
        let mut connections = [databases[0].connect().await, databases[1].connect().await];
        for connection in &mut connections {
            for statement in statements {
                execute(connection, statement).await;
            }
        }
        Self { databases, connections }
    }

    /// Creates the flow `f` and starts a run. Each step is a list of arguments for `add_step`.
    async fn running(steps: &[&str], input: &str) -> Self {
        let start = format!("select pgflow.start_flow('f', '{input}', '{RUN}')");
        let steps: Vec<_> = steps.iter().map(|step| format!("select pgflow.add_step('f', {step})")).collect();
        let statements = ["select pgflow.create_flow('f')"].into_iter().chain(steps.iter().map(String::as_str));
        Self::after(&statements.chain([start.as_str()]).collect::<Vec<_>>()).await
    }

    /// The results of the official engine and of flowsmith's: the first column of the last row, or the error message.
    async fn answer(&mut self, sql: &str) -> [String; 2] {
        let [official, ours] = &mut self.connections;
        [answer(official, sql).await, answer(ours, sql).await]
    }
}

async fn answer(connection: &mut PgConnection, sql: &str) -> String {
    match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await {
        Ok(rows) => rows.last().unwrap().get::<Option<String>, _>(0).unwrap_or("null".to_owned()),
        Err(error) => error.into_database_error().unwrap().message().to_owned(),
    }
}

fn start(messages: &str) -> String {
    format!("select from pgflow.start_tasks('f', '{{{messages}}}', '{WORKER}');")
}

fn complete(step: &str, index: i32, output: &str) -> String {
    format!("select from pgflow.complete_task('{RUN}', '{step}', {index}, '{output}');")
}

fn fail(step: &str) -> String {
    format!("select from pgflow.fail_task('{RUN}', '{step}', 0, 'broken');")
}

#[test]
fn documented_differences_have_tests() {
    let documented = include_str!("../../../docs/engine-differences.md")
        .lines()
        .filter_map(|line| line.strip_prefix('`')?.strip_suffix('`'));
    let tests = include_str!("differences.rs").split("#[tokio::test]\nasync fn ").skip(1);
    let tests = tests.map(|test| test.split('(').next().unwrap());
    assert_eq!(documented.collect::<BTreeSet<_>>(), tests.collect());
}

#[tokio::test]
async fn step_tasks_columns_are_ordered_as_in_level_0_14() {
    let both = &mut Both::after(&[]).await;
    let columns = "select string_agg(attname, ' ' order by attnum) from pg_attribute
        where attrelid = 'pgflow.step_tasks'::regclass and attnum > (
          select attnum from pg_attribute where attrelid = 'pgflow.step_tasks'::regclass and attname = 'output')";
    let official = "queued_at completed_at failed_at started_at last_worker_id";
    let ours = "queued_at started_at completed_at failed_at last_worker_id requeued_count last_requeued_at permanently_stalled_at";
    assert_eq!(both.answer(columns).await, [official, ours]);
}

#[tokio::test]
async fn messages_of_started_tasks_are_hidden_for_their_timeout() {
    let both = &mut Both::running(&["'a', timeout => 100"], "{}").await;
    let hidden = start("1") + "select (vt > now() + interval '100 seconds')::text from pgmq.q_f";
    assert_eq!(both.answer(&hidden).await, ["false", "true"]);
}

#[tokio::test]
async fn step_sends_one_completed_event() {
    let both = &mut Both::running(&["'a'", "'b'"], "{}").await;
    let outputs = start("1")
        + &complete("a", 0, "1")
        + &complete("a", 0, "2")
        + "select string_agg(payload ->> 'output', ', ' order by id) from realtime.sent where event = 'step:a:completed'";
    assert_eq!(both.answer(&outputs).await, ["1, 2", "1"]);
}

#[tokio::test]
async fn queued_task_cannot_violate_type() {
    for index in [0, 99] {
        let both = &mut Both::running(&["'a'", "'m', '{a}', step_type => 'map'"], "{}").await;
        let status = complete("a", index, "1") + "select status from pgflow.runs";
        assert_eq!(both.answer(&status).await, ["failed", "started"]);
    }
}

#[tokio::test]
async fn type_violating_task_is_returned() {
    let both = &mut Both::running(&["'a'", "'m', '{a}', step_type => 'map'"], "{}").await;
    let returned = start("1") + &format!("select count(*)::text from pgflow.complete_task('{RUN}', 'a', 0, '1')");
    assert_eq!(both.answer(&returned).await, ["0", "1"]);
}

#[tokio::test]
async fn failing_queued_task_leaves_its_message_visible() {
    let both = &mut Both::running(&["'a', base_delay => 1000"], "{}").await;
    let visible = fail("a") + "select (vt <= clock_timestamp())::text from pgmq.q_f";
    assert_eq!(both.answer(&visible).await, ["false", "true"]);
}

#[tokio::test]
async fn task_with_huge_delay_can_fail() {
    let both = &mut Both::running(&["'a', base_delay => 2000000000"], "{}").await;
    let status = start("1") + &fail("a") + "select status from pgflow.step_tasks";
    assert_eq!(both.answer(&status).await, ["integer out of range", "queued"]);
}

#[tokio::test]
async fn concurrent_step_failures_fail_the_run_once() {
    let both = &mut Both::running(&["'a', max_attempts => 1", "'b', max_attempts => 1"], "{}").await;
    for (database, connection) in both.databases.iter().zip(&mut both.connections) {
        execute(connection, &start("1, 2")).await;
        execute(connection, &format!("begin; {}", fail("a"))).await;
        let mut other = database.connect().await;
        let pid = answer(&mut other, "select pg_backend_pid()::text").await;
        let waiting = tokio::spawn(async move { execute(&mut other, &fail("b")).await });
        let waits = format!("select (cardinality(pg_blocking_pids({pid})) > 0)::text");
        while !waiting.is_finished() && answer(connection, &waits).await != "true" {
            tokio::task::yield_now().await;
        }
        execute(connection, "commit").await;
        waiting.await.unwrap();
    }
    let sent = "select count(*)::text from realtime.sent where event = 'run:failed'";
    assert_eq!(both.answer(sent).await, ["2", "1"]);
}

#[tokio::test]
async fn chain_of_empty_maps_has_no_length_limit() {
    let mut steps = vec!["'m0', step_type => 'map'".to_owned()];
    steps.extend((1..60).map(|n| format!("'m{n}', '{{m{}}}', step_type => 'map'", n - 1)));
    let both = &mut Both::running(&steps.iter().map(String::as_str).collect::<Vec<_>>(), "[1]").await;
    let status = "select status from pgflow.start_flow('f', '[]')";
    assert_eq!(both.answer(status).await, ["Cascade loop exceeded safety limit of 50 iterations", "completed"]);
}

#[tokio::test]
async fn duplicate_dependency_counts_once() {
    let both = &mut Both::running(&["'a'", "'b', '{a,a}'"], "{}").await;
    let status = start("1") + &complete("a", 0, "1") + "select status from pgflow.step_states where step_slug = 'b'";
    assert_eq!(both.answer(&status).await, ["created", "started"]);
    let map = "select deps_count::text from pgflow.add_step('f', 'm', '{a,a}', step_type => 'map')";
    let official = "Map step \"m\" can have at most one dependency, but 2 were provided: a, a";
    assert_eq!(both.answer(map).await, [official, "1"]);
}

#[tokio::test]
async fn adding_existing_step_adds_no_dependencies() {
    let both = &mut Both::running(&["'a'", "'b', '{a}'", "'a', '{b}'"], "{}").await;
    let deps = "select string_agg(dep_slug || '>' || step_slug, ' ' order by dep_slug) from pgflow.deps";
    assert_eq!(both.answer(deps).await, ["a>b b>a", "a>b"]);
}

#[tokio::test]
async fn flow_slugs_differing_only_in_case_are_refused() {
    let both = &mut Both::after(&["select pgflow.create_flow('f')"]).await;
    let ours = "flow slug \"F\" differs only in case from the existing flow \"f\"";
    assert_eq!(both.answer("select flow_slug from pgflow.create_flow('F')").await, ["F", ours]);
}

#[tokio::test]
async fn slug_too_long_for_queue_is_named() {
    let both = &mut Both::after(&[]).await;
    let slug = "a".repeat(48);
    let expected = [
        "queue name is too long, maximum length is 47 characters".to_owned(),
        format!("flow slug \"{slug}\" has 48 characters, but a queue name can have at most 47"),
    ];
    assert_eq!(both.answer(&format!("select pgflow.create_flow('{slug}')")).await, expected);
}

#[tokio::test]
async fn existing_queue_is_not_adopted() {
    let both = &mut Both::after(&["select pgmq.create('f')"]).await;
    let refused = "cannot create flow \"f\": queue \"f\" is already in use by another owner";
    assert_eq!(both.answer("select flow_slug from pgflow.create_flow('f')").await, ["f", refused]);
}

#[tokio::test]
async fn null_options_get_defaults() {
    let both = &mut Both::after(&[]).await;
    let attempts = "select opt_max_attempts::text from pgflow.create_flow('f', null)";
    let official = "null value in column \"opt_max_attempts\" of relation \"flows\" violates not-null constraint";
    assert_eq!(both.answer(attempts).await, [official, "3"]);
}

#[tokio::test]
async fn empty_visibility_batch_changes_nothing() {
    let both = &mut Both::running(&["'a'"], "{}").await;
    let count = "select count(*)::text from pgflow.set_vt_batch('f', '{1}', '{}')";
    assert_eq!(both.answer(count).await, ["msg_ids length (1) must equal vt_offsets length (<NULL>)", "0"]);
}

#[tokio::test]
async fn task_of_dead_worker_is_restarted() {
    let both = &mut Both::running(&["'a', timeout => 1"], "{}").await;
    let long_ago =
        "update pgflow.step_tasks set queued_at = now() - interval '1 hour', started_at = now() - interval '1 hour'";
    let died = start("1") + long_ago;
    both.answer(&(died + "; select ''")).await;
    let recover = "select pgflow.requeue_stalled_tasks()::text";
    assert_eq!(both.answer(recover).await, ["function pgflow.requeue_stalled_tasks() does not exist", "1"]);
    let again = format!("select count(*)::text from pgflow.start_tasks('f', '{{1}}', '{WORKER}')");
    assert_eq!(both.answer(&again).await, ["0", "1"]);
}

#[tokio::test]
async fn durations_within_one_transaction_are_positive() {
    let both = &mut Both::running(&["'a'"], "{}").await;
    let taken = "select (completed_at > started_at)::text from pgflow.step_tasks";
    let duration = format!("begin; {}{} commit; {taken}", start("1"), complete("a", 0, "1"));
    assert_eq!(both.answer(&duration).await, ["false", "true"]);
}
