//! The audit of PgQ by `doctor`: queues, ticker, consumers, and a self-test of its functions.

mod self_test;

use std::time::{Duration, Instant};

use flowsmith_postgres::engine::doctor::{CheckStatus, DoctorCheck, doctor};
use sqlx::{ConnectOptions, PgConnection};

use crate::engine::definitions::{execute, text};
use crate::fixture::command::Project;
use crate::fixture::{self, Database, has_extension};

const PARTS: [&str; 11] = [
    "create",
    "insert",
    "register",
    "tick",
    "next batch",
    "event retry",
    "batch retry",
    "monitoring",
    "unregister",
    "throughput",
    "two consumers",
];

/// The contents of PgQ, with the tables of its queues.
const CONTENTS: &str = "
    (select jsonb_build_array(
      (select jsonb_agg(q order by q.queue_name) from pgq.queue q), (select jsonb_agg(c order by c.co_name) from pgq.consumer c),
      (select jsonb_agg(s order by s.sub_id) from pgq.subscription s), (select jsonb_agg(t order by t.tick_queue, t.tick_id) from pgq.tick t),
      (select jsonb_agg(r order by r.ev_id) from pgq.retry_queue r), (select jsonb_agg(e order by e.ev_id) from pgq.event_template e),
      (select jsonb_agg(c.relname order by c.relname) from pg_class c where c.relnamespace = 'pgq'::regnamespace)))";

/// A database with PgQ and no engine; none if the server has no PgQ.
pub(crate) async fn with_pgq() -> Option<Database> {
    let mut c = fixture::shared_server().connect_options("postgres").connect().await.unwrap();
    if !has_extension(&mut c, "pgq").await {
        return None;
    }
    // Once, because PgQ creates roles, which are shared by all databases.
    let setup = async |options: sqlx::postgres::PgConnectOptions| {
        execute(&mut options.connect().await.unwrap(), "create extension pgq").await;
    };
    Some(Database::from_template("pgq", setup).await)
}

/// A queue with a consumer in a batch, an event that waits for a retry, and an event that is not ticked yet.
async fn existing_queue(c: &mut PgConnection) {
    execute(c, "select pgq.create_queue('imports'), pgq.register_consumer('imports', 'loader')").await;
    execute(c, "select pgq.insert_event('imports', 'a', n::text) from generate_series(1, 3) n").await;
    tick(c).await;
    execute(
        c,
        "select pgq.event_retry(b.id, (select min(e.ev_id) from pgq.get_batch_events(b.id) e), 0)
         from (select pgq.next_batch('imports', 'loader') as id) b",
    )
    .await;
    execute(c, "select pgq.insert_event('imports', 'a', '4')").await;
}

async fn tick(c: &mut PgConnection) {
    execute(c, "select pgq.force_tick('imports')").await;
    execute(c, "select pgq.ticker('imports')").await;
}

/// The checks of PgQ.
async fn checks(c: &mut PgConnection) -> Vec<DoctorCheck> {
    let mut checks = doctor(c).await.unwrap();
    checks.retain(|check| check.name.starts_with("pgq "));
    checks
}

fn named<'a>(checks: &'a [DoctorCheck], name: &str) -> &'a DoctorCheck {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}: {checks:#?}"))
}

/// Polls until the condition is true.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn database_without_pgq_is_not_audited_for_it() {
    let database = Database::create().await;
    let c = &mut database.connect().await;
    assert_eq!(checks(c).await, []);
    // A schema of that name need not be PgQ.
    execute(c, "create schema pgq; create function pgq.ticker() returns int return 1").await;
    assert_eq!(checks(c).await, []);
}

#[tokio::test]
async fn queue_without_ticks_fails_and_names_pgqd() {
    let Some(database) = with_pgq().await else { return };
    let c = &mut database.connect().await;
    assert_eq!(named(&checks(c).await, "pgq ticker").detail, "no queue");
    execute(c, "select pgq.create_queue('imports'), pgq.create_queue('other')").await;
    let age = |seconds| {
        format!(
            "update pgq.tick set tick_time = now() - interval '{seconds} seconds' where tick_queue = (select queue_id from pgq.queue where queue_name = 'imports')"
        )
    };
    execute(c, &age(60)).await;
    assert_eq!(named(&checks(c).await, "pgq ticker").detail, "every queue was ticked in the last 60 s");
    execute(c, &age(600)).await;
    let found = checks(c).await;
    let ticker = named(&found, "pgq ticker");
    assert_eq!(
        (ticker.status, &*ticker.detail),
        (CheckStatus::Failed, "imports: last ticked 10 min ago, due every 60 s")
    );
    assert!(ticker.advice.as_ref().unwrap().contains("`pgqd`"), "{ticker:?}");

    execute(c, "select pgq.set_queue_config('imports', 'ticker_idle_period', '1 hour')").await;
    assert_eq!(named(&checks(c).await, "pgq ticker").status, CheckStatus::Ok);
    execute(c, "select pgq.set_queue_config('imports', 'ticker_idle_period', '1 minute')").await;
    execute(c, "select pgq.set_queue_config('imports', 'external_ticker', 'true')").await;
    let found = checks(c).await;
    assert_eq!(named(&found, "pgq ticker").status, CheckStatus::Warning);
    assert!(named(&found, "pgq ticker").advice.as_ref().unwrap().contains("external ticker"));
    execute(c, "select pgq.set_queue_config('imports', 'ticker_paused', 'true')").await;
    let found = checks(c).await;
    let ticker = named(&found, "pgq ticker");
    assert_eq!((ticker.status, &*ticker.detail), (CheckStatus::Warning, "imports: the ticker is paused"));
}

#[tokio::test]
async fn lagging_consumers_and_rotations_are_warnings() {
    let Some(database) = with_pgq().await else { return };
    let c = &mut database.connect().await;
    existing_queue(c).await;
    tick(c).await;
    // Both ticks are old: the ticker is stopped, but the consumer does not lag behind it.
    execute(c, "update pgq.tick set tick_time = now() - interval '1 day'").await;
    assert_eq!(named(&checks(c).await, "pgq consumers").status, CheckStatus::Ok);
    execute(c, "update pgq.tick set tick_time = now() where tick_id = 3").await;
    execute(c, "update pgq.queue set queue_switch_time = now() - interval '5 hours'").await;
    let found = checks(c).await;
    let consumers = named(&found, "pgq consumers");
    assert_eq!(consumers.status, CheckStatus::Warning);
    assert!(consumers.detail.starts_with("loader of imports: 24 h behind, about "), "{consumers:?}");
    assert!(consumers.advice.as_ref().unwrap().contains("pgq.unregister_consumer"), "{consumers:?}");
    let queues = named(&found, "pgq queues");
    assert_eq!(queues.status, CheckStatus::Warning);
    assert!(queues.detail.ends_with("tables rotated 5 h ago, due every 2 h"), "{queues:?}");
}

#[tokio::test]
async fn outdated_extension_version_is_a_warning() {
    let Some(database) = with_pgq().await else { return };
    let c = &mut database.connect().await;
    execute(c, "update pg_extension set extversion = '3.4' where extname = 'pgq'").await;
    let found = checks(c).await;
    let version = named(&found, "pgq version");
    assert_eq!(
        (version.status, version.advice.as_deref()),
        (CheckStatus::Warning, Some("run `alter extension pgq update`"))
    );
}

#[tokio::test]
async fn roles_without_privileges_are_audited() {
    let Some(database) = with_pgq().await else { return };
    let c = &mut database.connect().await;
    existing_queue(c).await;
    let before = text(c, CONTENTS).await;
    execute(c, "create role pgq_watcher; create role pgq_operator; grant pgq_admin to pgq_operator").await;

    execute(c, "set role pgq_watcher").await;
    let found = checks(c).await;
    let self_test = named(&found, "pgq self-test");
    assert_eq!((self_test.status, &*self_test.detail), (CheckStatus::Skipped, "needs role pgq_admin"));
    assert_eq!(named(&found, "pgq ticker").status, CheckStatus::Ok);
    assert!(named(&found, "pgq consumers").detail.starts_with("loader of imports: "));

    execute(c, "reset role; revoke select on pgq.tick from public").await;
    execute(c, "set role pgq_watcher").await;
    let found = checks(c).await;
    assert_eq!(named(&found, "pgq queues").status, CheckStatus::Skipped);
    assert!(named(&found, "pgq consumers").detail.contains("permission denied"), "{found:#?}");
    execute(c, "reset role; revoke usage on schema pgq from public").await;
    execute(c, "set role pgq_watcher").await;
    assert_eq!(named(&checks(c).await, "pgq queues").detail, "this role may not use schema pgq");

    execute(c, "reset role; grant usage on schema pgq to public; grant select on pgq.tick to public").await;
    execute(c, "set role pgq_operator").await;
    let found = checks(c).await;
    let passed =
        found.iter().filter(|check| check.name.starts_with("pgq self-test: ") && check.status == CheckStatus::Ok);
    assert_eq!(passed.count(), PARTS.len(), "{found:#?}");
    execute(c, "reset role").await;
    assert_eq!(text(c, CONTENTS).await, before);
    execute(c, "drop role pgq_watcher, pgq_operator").await;
}

#[tokio::test]
async fn doctor_reports_pgq_as_text_and_json() {
    let Some(database) = with_pgq().await else { return };
    let project = Project::on(&database);
    // The audit fails because there is no engine.
    let text = project.run(&["doctor"]);
    assert_eq!(text.code, 1, "{text:?}");
    assert!(text.stdout.contains("\n  ok       pgq self-test: two consumers"), "{}", text.stdout);
    let json: serde_json::Value = serde_json::from_str(&project.run(&["doctor", "--format", "json"]).stdout).unwrap();
    let names = json["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("pgq ")).count(), 4 + PARTS.len());
}
