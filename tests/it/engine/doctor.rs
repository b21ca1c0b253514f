//! The audit of an installed engine by `doctor`.

use std::time::Duration;

use flowsmith_postgres::engine::doctor::{CheckStatus, DoctorCheck, doctor};
use flowsmith_postgres::engine::install::{InputStyle, install};

use crate::engine::definitions::{execute, text, with_engine};
use crate::fixture::Database;
use crate::fixture::command::{flowsmith_engine, official_engine, old_official_engine};
use crate::fixture::official::{Official, official_install};

/// The parts of the self-test, in order.
const PARTS: [&str; 18] = [
    "schema",
    "flow creation",
    "options",
    "steps and dependencies",
    "map rule",
    "idempotency",
    "shapes",
    "start",
    "poll",
    "failure and retry",
    "dependency chain",
    "map",
    "completion",
    "exhausted attempts",
    "conditions",
    "batches",
    "invariants",
    "cleanup",
];

fn with_status(checks: &[DoctorCheck], status: CheckStatus) -> Vec<&str> {
    checks.iter().filter(|check| check.status == status).map(|check| check.name.as_str()).collect()
}

fn named<'a>(checks: &'a [DoctorCheck], name: &str) -> &'a DoctorCheck {
    checks.iter().find(|check| check.name == name).unwrap()
}

#[tokio::test]
async fn fresh_install_is_healthy_and_unchanged() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let checks = doctor(c).await.unwrap();
    assert_eq!(with_status(&checks, CheckStatus::Failed), Vec::<&str>::new(), "{checks:#?}");
    assert_eq!(with_status(&checks, CheckStatus::Warning), Vec::<&str>::new(), "{checks:#?}");
    assert!(named(&checks, "engine schema").detail == "as installed");
    assert!(named(&checks, "flowsmith schema").detail == "as installed");
    assert_eq!(with_status(&checks, CheckStatus::Skipped), Vec::<&str>::new(), "{checks:#?}");
    let parts: Vec<_> = checks.iter().filter_map(|check| check.name.strip_prefix("self-test: ")).collect();
    assert_eq!(parts, PARTS);
    assert_eq!(text(c, "select count(*) from pgmq.meta").await.as_deref(), Some("0"));
    assert_eq!(text(c, "select count(*) from pgflow.flows").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn official_installs_pass_checks_of_their_level() {
    for database in [old_official_engine().await, official_engine().await] {
        let c = &mut database.connect().await;
        let checks = doctor(c).await.unwrap();
        assert_eq!(with_status(&checks, CheckStatus::Failed), Vec::<&str>::new(), "{checks:#?}");
        assert_eq!(with_status(&checks, CheckStatus::Warning), ["grants"]);
        assert_eq!(
            with_status(&checks, CheckStatus::Skipped),
            [
                "recovery of stalled tasks",
                "self-test: shapes",
                "self-test: conditions",
                "self-test: batches",
                "self-test: invariants",
                "self-test: cleanup"
            ]
        );
        assert_eq!(named(&checks, "self-test: shapes").detail, "this level has no ensure_flow_compiled");
        assert_eq!(named(&checks, "self-test: completion").status, CheckStatus::Ok);
        assert_eq!(named(&checks, "flowsmith schema").detail, "as installed");
        assert_eq!(text(c, "select count(*) from pgflow.runs").await.as_deref(), Some("0"));
    }
}

/// Breaks each function in turn: the part that tests it fails, and dependent parts are skipped.
#[tokio::test]
async fn self_test_names_broken_function() {
    let broken = [
        ("start_flow(flow_slug text, input jsonb, run_id uuid default null) returns setof pgflow.runs", "start", 9),
        (
            "start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid) returns setof pgflow.step_task_record",
            "poll",
            4,
        ),
        (
            "fail_task(run_id uuid, step_slug text, task_index integer, error_message text) returns setof pgflow.step_tasks",
            "failure and retry",
            3,
        ),
        (
            "complete_task(run_id uuid, step_slug text, task_index integer, output jsonb) returns setof pgflow.step_tasks",
            "dependency chain",
            2,
        ),
        (
            "complete_tasks(run_ids uuid[], step_slugs text[], task_indexes integer[], outputs jsonb[]) returns setof pgflow.step_tasks",
            "batches",
            0,
        ),
        ("delete_flow_and_data(p_flow_slug text) returns void", "cleanup", 0),
    ];
    for (function, part, skipped) in broken {
        let database = flowsmith_engine().await;
        let c = &mut database.connect().await;
        let name = function.split('(').next().unwrap();
        // The replacement has the same signature and does nothing.
        execute(
            c,
            &format!("create or replace function pgflow.{function} language plpgsql as $$ begin return; end $$"),
        )
        .await;
        let checks = doctor(c).await.unwrap();
        let found = named(&checks, &format!("self-test: {part}"));
        assert_eq!(found.status, CheckStatus::Failed, "{name}: {checks:#?}");
        let skips = checks.iter().filter(|check| check.detail.ends_with(" did not pass")).count();
        assert_eq!(skips, skipped, "{name}: {checks:#?}");
        assert!(named(&checks, "engine schema").detail.contains(&format!("has: function {name}(")));
    }
}

#[tokio::test]
async fn flow_without_queue_is_named() {
    for database in [flowsmith_engine().await, old_official_engine().await] {
        let c = &mut database.connect().await;
        execute(c, "select pgflow.create_flow('Order'), pgflow.create_flow('ship'), pgflow.create_flow('bill')").await;
        let before = doctor(c).await.unwrap();
        assert_eq!(
            (named(&before, "queues").status, named(&before, "queues").detail.as_str()),
            (CheckStatus::Ok, "every flow has its queue: 3")
        );
        execute(c, "select pgmq.drop_queue('Order'), pgmq.drop_queue('bill')").await;
        let checks = doctor(c).await.unwrap();
        let found = named(&checks, "queues");
        assert_eq!(
            (found.status, found.detail.as_str()),
            (CheckStatus::Failed, "the queues of these flows are missing: Order, bill")
        );
        assert!(found.advice.as_ref().unwrap().contains("compile --from-live"), "{found:?}");
    }
}

#[tokio::test]
async fn inconsistent_run_is_found() {
    let database = flowsmith_engine().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "select pgflow.create_flow('order'), pgflow.add_step('order', 'load');
         select pgflow.start_flow('order', '{}') from generate_series(1, 3)",
    )
    .await;
    let recent = "recent runs";
    assert_eq!(named(&doctor(c).await.unwrap(), recent).detail, "3 checked, no violation");
    execute(c, "update pgflow.runs set remaining_steps = 7 where ctid = '(0,1)'::tid or true").await;
    let checks = doctor(c).await.unwrap();
    let found = named(&checks, recent);
    assert_eq!(found.status, CheckStatus::Failed, "{found:?}");
    assert!(found.detail.starts_with("violations in 3 checked runs\n"), "{}", found.detail);
}

#[tokio::test]
async fn changed_ledger_schema_is_reported() {
    let database = flowsmith_engine().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "drop function flowsmith.drop_flow; alter table flowsmith.events add column mine text;
         alter function flowsmith.start_flow security invoker",
    )
    .await;
    let checks = doctor(c).await.unwrap();
    let schema = named(&checks, "flowsmith schema");
    assert_eq!(schema.status, CheckStatus::Failed);
    for part in ["lacks: function drop_flow(", "has: column events.06 mine text", "lacks: function start_flow("] {
        assert!(schema.detail.contains(part), "{part}: {}", schema.detail);
    }
    execute(c, "drop function flowsmith.start_flow; alter table flowsmith.events drop column mine").await;
    install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!(named(&doctor(c).await.unwrap(), "flowsmith schema").detail, "as installed");

    execute(c, "update flowsmith.ledger set version = 9 where version = 1").await;
    let checks = doctor(c).await.unwrap();
    let schema = named(&checks, "flowsmith schema");
    assert_eq!((schema.status, schema.advice.as_deref()), (CheckStatus::Warning, Some("use a newer flowsmith")));
}

#[tokio::test]
async fn empty_database_fails_with_advice() {
    let database = Database::create().await;
    let checks = doctor(&mut database.connect().await).await.unwrap();
    assert_eq!(with_status(&checks, CheckStatus::Failed), ["pgmq version", "engine"]);
    assert_eq!(named(&checks, "engine").advice.as_deref(), Some("run `flowsmith install`"));
}

#[tokio::test]
async fn removed_objects_are_named() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "drop function pgflow.add_step; alter table pgflow.runs drop column output; drop index pgflow.runs_by_flow",
    )
    .await;
    execute(c, "drop function realtime.send").await;
    let checks = doctor(c).await.unwrap();
    let schema = named(&checks, "engine schema");
    assert_eq!(schema.status, CheckStatus::Failed);
    for part in ["lacks: function add_step(", "lacks: column runs.05 output jsonb", "lacks: index runs_by_flow"] {
        assert!(schema.detail.contains(part), "{part}: {}", schema.detail);
    }
    assert_eq!(named(&checks, "events").status, CheckStatus::Failed);
    assert_eq!(named(&checks, "self-test: steps and dependencies").status, CheckStatus::Failed);
}

#[tokio::test]
async fn edited_function_is_reported() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "create or replace function pgflow._create_flow_from_shape(p_flow_slug text, p_shape jsonb) returns void
         language plpgsql set search_path = '' as $$ begin end $$;
         grant execute on function pgflow.create_flow to public",
    )
    .await;
    let checks = doctor(c).await.unwrap();
    assert!(named(&checks, "engine schema").detail.contains("has: function _create_flow_from_shape("));
    assert_eq!(named(&checks, "grants").detail, "PUBLIC may execute create_flow");
}

#[tokio::test]
async fn partial_engine_fails_without_self_test() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let c = &mut database.connect().await;
    execute(c, "alter table pgflow.steps drop column deps_count").await;
    let checks = doctor(c).await.unwrap();
    assert_eq!(with_status(&checks, CheckStatus::Failed), ["engine"]);
    assert_eq!(named(&checks, "engine").detail, "incomplete: level 0.8.1 without column steps.deps_count integer");
}

#[tokio::test]
async fn read_only_default_does_not_skip_the_self_test() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, "set default_transaction_read_only = on").await;
    let checks = doctor(c).await.unwrap();
    assert_eq!(named(&checks, "self-test: flow creation").status, CheckStatus::Ok);
}

/// Deleting a flow locks the table of tasks, and every later statement queues behind a session that waits for that lock. So
/// `doctor` skips its clean-up while another session works on a task.
#[tokio::test]
async fn doctor_blocks_neither_writers_nor_another_doctor() {
    let database = with_engine().await;
    let mut writer = database.connect().await;
    execute(
        &mut writer,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); begin; select pgflow.start_flow('f', '1')",
    )
    .await;
    let (mut one, mut other) = (database.connect().await, database.connect().await);
    let both = async { tokio::join!(doctor(&mut one), doctor(&mut other)) };
    let (one, other) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("neither waits");
    for checks in [one.unwrap(), other.unwrap()] {
        assert_eq!(with_status(&checks, CheckStatus::Failed), Vec::<&str>::new(), "{checks:#?}");
        assert_eq!(with_status(&checks, CheckStatus::Skipped), ["self-test: cleanup"]);
        assert!(
            named(&checks, "self-test: cleanup").detail.contains("another session is working on a task"),
            "{checks:#?}"
        );
    }
    execute(&mut writer, "commit").await;
    let checks = doctor(&mut writer).await.unwrap();
    assert_eq!(with_status(&checks, CheckStatus::Skipped), Vec::<&str>::new(), "{checks:#?}");
}
