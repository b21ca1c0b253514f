//! Detection of the installed engine and its level.

use std::collections::BTreeMap;

use flowsmith_core::level::Level;
use flowsmith_postgres::engine::detect::{EngineKind, EngineState, PgmqState, detect};
use sqlx::{PgConnection, Row};

use crate::engine::definitions::{execute, with_engine};
use crate::fixture::Database;
use crate::fixture::official::{Official, official_install};

#[tokio::test]
async fn empty_database_is_detected_without_writing() {
    let database = Database::create().await;
    let c = &mut database.connect().await;
    let found = detect(c).await.unwrap();
    assert_eq!((&found.engine, &found.pgmq), (&EngineState::Missing, &PgmqState::Missing));
    assert!(found.server_version >= 140_000);
    assert!(!found.has_flowsmith_schema && !found.has_realtime_send && !found.has_pg_cron);
    execute(c, "begin read only").await;
    assert_eq!(detect(c).await.unwrap(), found);
}

#[tokio::test]
async fn official_engine_is_detected_with_its_level() {
    for (version, expected) in [(Official::V0_7_2, Level::V0_7_2), (Official::V0_8_1, Level::V0_8_1)] {
        let database = Database::create().await;
        official_install(&database.options(), version).await;
        let found = detect(&mut database.connect().await).await.unwrap();
        let EngineState::Present { level, kind, missing, .. } = found.engine else { panic!("{:?}", found.engine) };
        assert_eq!((level, kind, missing), (expected, EngineKind::Official, vec![]));
        assert!(matches!(found.pgmq, PgmqState::Sql { version: Some(_), has_headers: true }), "{:?}", found.pgmq);
        assert!(!found.public_functions.is_empty());
    }
}

#[tokio::test]
async fn flowsmith_engine_is_detected_by_its_record() {
    let database = with_engine().await;
    let found = detect(&mut database.connect().await).await.unwrap();
    let EngineState::Present { level, kind: EngineKind::Flowsmith { version }, missing, .. } = &found.engine else {
        panic!("{:?}", found.engine)
    };
    assert_eq!((*level, *version), (Level::V0_14, flowsmith_postgres::engine::scripts::newest_engine()));
    assert_eq!(missing.iter().filter(|fact| fact.starts_with("column")).count(), 0, "{missing:?}");
    assert_eq!(found.input_style.as_deref(), Some("separate"));
    assert!(found.has_flowsmith_schema && found.has_realtime_send && found.public_functions.is_empty());
}

#[tokio::test]
async fn partial_engine_is_incomplete() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let c = &mut database.connect().await;
    execute(c, "drop function pgflow.start_tasks; alter table pgflow.runs drop column output").await;
    let EngineState::Incomplete { closest, has, lacks } = detect(c).await.unwrap().engine else { panic!() };
    assert_eq!(closest, Level::V0_8_1);
    assert!(has.contains(&"column runs.input jsonb".to_owned()));
    assert_eq!(
        lacks,
        ["column runs.output jsonb", "function start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid)"]
    );
}

/// Type, nullability and default of each column, by `table.column`. Ignores the order of columns.
async fn columns(c: &mut PgConnection) -> BTreeMap<String, String> {
    let sql = "select table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default)
               from information_schema.columns where table_schema = 'pgflow'";
    sqlx::raw_sql(sql).fetch_all(c).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn constraints(c: &mut PgConnection) -> BTreeMap<String, String> {
    let sql = "select conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) from pg_constraint
               where connamespace = 'pgflow'::regnamespace and contype <> 'n'";
    sqlx::raw_sql(sql).fetch_all(c).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn flowsmith_tables_have_official_columns_and_constraints() {
    let official = Database::create().await;
    official_install(&official.options(), Official::V0_8_1).await;
    let flowsmith = with_engine().await;
    let (official, flowsmith) = (&mut official.connect().await, &mut flowsmith.connect().await);

    let flowsmith_columns = columns(flowsmith).await;
    for (name, column) in columns(official).await {
        assert_eq!(flowsmith_columns.get(&name), Some(&column), "{name}");
    }

    // Omitted, because the other foreign keys imply them, and PostgreSQL would check them for every row.
    let implied = [
        "pgflow.deps.deps_flow_slug_fkey",
        "pgflow.step_states.step_states_flow_slug_fkey",
        "pgflow.step_tasks.step_tasks_flow_slug_fkey",
        "pgflow.step_tasks.step_tasks_run_id_fkey",
    ];
    // These have the official names, but also allow skipped steps.
    let widened = [
        "pgflow.step_states.completed_at_or_failed_at",
        "pgflow.step_states.remaining_tasks_state_consistency",
        "pgflow.step_states.status_is_valid",
    ];
    let flowsmith_constraints = constraints(flowsmith).await;
    for (name, constraint) in constraints(official).await {
        let same = flowsmith_constraints.get(&name);
        if implied.contains(&name.as_str()) {
            assert_eq!(same, None, "{name}");
        } else if widened.contains(&name.as_str()) {
            assert!(same.is_some(), "{name}");
        } else {
            let same = same.unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(
                count_of_differing_rows(flowsmith, &constraint, same).await,
                0,
                "{name}: {constraint} and {same}"
            );
        }
    }
}

/// The number of sample rows for which two constraints differ. Check constraints may be written differently if they accept
/// the same rows; other constraints must be equal.
async fn count_of_differing_rows(c: &mut PgConnection, one: &str, other: &str) -> i64 {
    if one == other {
        return 0;
    }
    let conditions: Vec<_> = [one, other].iter().filter_map(|check| check.strip_prefix("CHECK ")).collect();
    let [one, other] = conditions[..] else { return 1 };
    let times = "null, timestamptz '2026-01-01', timestamptz '2026-01-02'";
    let values = [
        ("status", "null, 'created', 'queued', 'started', 'completed', 'failed', 'skipped', '', 'Started', 'another'"),
        ("remaining_tasks", "null, -1, 0, 1"),
        ("initial_tasks", "null, -1, 0, 1"),
        ("output", "null, jsonb '1', jsonb 'null'"),
        ("created_at", times),
        ("queued_at", times),
        ("started_at", times),
        ("completed_at", times),
        ("failed_at", times),
        ("skipped_at", times),
    ];
    // All combinations of values of the columns that the constraints mention.
    let columns = values.iter().filter(|(column, _)| one.contains(column) || other.contains(column));
    let rows: Vec<_> = columns.map(|(column, values)| format!("unnest(array[{values}]) {column}")).collect();
    let sql = format!(
        "select count(*) filter (where ({one}) is false <> (({other}) is false)), count(*) from {}",
        rows.join(" cross join ")
    );
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_one(c).await.unwrap();
    assert!(row.get::<i64, _>(1) > 2, "values for {one}");
    row.get(0)
}
