//! What the audit finds.

use flowsmith::engine::doctor::{CheckStatus, DoctorCheck, doctor};

use crate::engine_definitions::{execute, text, with_engine};
use crate::official::{Official, official_install};
use crate::support::Database;

fn with_status(checks: &[DoctorCheck], status: CheckStatus) -> Vec<&str> {
    checks.iter().filter(|check| check.status == status).map(|check| check.name.as_str()).collect()
}

fn named<'a>(checks: &'a [DoctorCheck], name: &str) -> &'a DoctorCheck {
    checks.iter().find(|check| check.name == name).unwrap()
}

#[tokio::test]
async fn a_fresh_install_is_healthy_and_left_as_it_was() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let checks = doctor(c).await.unwrap();
    assert_eq!(with_status(&checks, CheckStatus::Failed), Vec::<&str>::new(), "{checks:#?}");
    assert_eq!(with_status(&checks, CheckStatus::Warning), Vec::<&str>::new(), "{checks:#?}");
    assert!(named(&checks, "engine schema").detail == "as installed");
    for part in ["flow creation", "options", "steps and dependencies", "map rule", "idempotency", "shapes", "cleanup"] {
        assert_eq!(named(&checks, &format!("self-test: {part}")).status, CheckStatus::Ok);
    }
    assert_eq!(text(c, "select count(*) from pgmq.meta").await.as_deref(), Some("0"));
    assert_eq!(text(c, "select count(*) from pgflow.flows").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn an_official_install_passes_the_self_test() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let checks = doctor(&mut database.connect().await).await.unwrap();
    assert_eq!(with_status(&checks, CheckStatus::Failed), Vec::<&str>::new(), "{checks:#?}");
    assert_eq!(with_status(&checks, CheckStatus::Warning), ["grants"]);
    assert_eq!(with_status(&checks, CheckStatus::Skipped), ["self-test: shapes", "self-test: cleanup"]);
    assert_eq!(named(&checks, "self-test: retrying").status, CheckStatus::Ok);
}

#[tokio::test]
async fn an_empty_database_fails_with_advice() {
    let database = Database::create().await;
    let checks = doctor(&mut database.connect().await).await.unwrap();
    assert_eq!(with_status(&checks, CheckStatus::Failed), ["pgmq version", "engine"]);
    assert_eq!(named(&checks, "engine").advice.as_deref(), Some("run `flowsmith install`"));
}

#[tokio::test]
async fn what_somebody_took_away_is_named() {
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
async fn a_function_that_was_edited_in_place_is_seen() {
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
async fn part_of_an_engine_fails_without_a_self_test() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let c = &mut database.connect().await;
    execute(c, "alter table pgflow.steps drop column deps_count").await;
    let checks = doctor(c).await.unwrap();
    assert_eq!(with_status(&checks, CheckStatus::Failed), ["engine"]);
    assert_eq!(named(&checks, "engine").detail, "part of one: of level 0.8.1 it lacks column steps.deps_count integer");
}

#[tokio::test]
async fn a_read_only_session_skips_the_self_test() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, "set default_transaction_read_only = on").await;
    let checks = doctor(c).await.unwrap();
    assert_eq!(named(&checks, "self-test: flow creation").status, CheckStatus::Skipped);
}
