//! A deployer cannot write the audit trail, rows of others and checksums, and no other role can stop its deployments.

use flowsmith_postgres::engine::roles::Role;
use sqlx::AssertSqlSafe;
use sqlx::PgConnection;
use sqlx::postgres::PgDatabaseError;

use crate::engine::definitions::{execute, text};
use crate::engine::roles::{Team, refused};

/// The SQLSTATE with which a statement fails.
async fn sqlstate(connection: &mut PgConnection, sql: &str) -> String {
    let error = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect_err(sql);
    error.into_database_error().unwrap().downcast::<PgDatabaseError>().code().to_owned()
}

#[tokio::test]
async fn deployer_cannot_write_the_ledger() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", "  load: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let owner = &mut team.database.connect().await;
    let version = text(owner, "(select version from flowsmith.migrations)").await.unwrap();
    let plan = text(owner, "(select plan from flowsmith.migrations)").await.unwrap();
    let dump = "(select jsonb_build_array((select jsonb_agg(m) from flowsmith.migrations m), (select jsonb_agg(v) from flowsmith.flow_versions v), (select jsonb_agg(e) from flowsmith.events e)))";
    let before = text(owner, dump).await.unwrap();

    let c = &mut team.session(Role::Deployer).await;
    for sql in [
        "insert into flowsmith.events (kind) values ('mine')",
        "insert into flowsmith.events (kind, actor) values ('mine', 'postgres')",
        "update flowsmith.migrations set applied_by = 'postgres'",
        "update flowsmith.migrations set checksum = repeat('0', 64)",
        "insert into flowsmith.migrations (version, name) values ('20990101000000', 'mine')",
        "delete from flowsmith.migrations",
        "update flowsmith.flow_versions set definition = '1'",
        "delete from flowsmith.flow_versions",
        "select from flowsmith.apply_lock",
        "update flowsmith.apply_lock set transaction = pg_current_xact_id()",
        "select flowsmith.record_definitions('{}')",
        "select flowsmith.set_states('{}')",
        "select flowsmith.begun_plan('{}')",
        "select flowsmith.drop_flow('order')",
        "select flowsmith.reset_flow('order')",
        "select flowsmith.pause_flow('order')",
    ] {
        refused(c, sql).await;
    }
    // A migration of another transaction, even of the deployer's own.
    let record = format!("flowsmith.record_migration('{version}', repeat('0', 64), 1, 'mine')");
    assert_eq!(text(c, &format!("(select {record})")).await.as_deref(), Some("false"));
    let edited = format!("select flowsmith.record_edited_migration('{version}', 'nothing')");
    assert_eq!(sqlstate(c, &edited).await, "FL004");
    // The parts of a migration alone, or with another plan than the one that was begun.
    let drop = plan.replace("\"create\"", "\"drop\"");
    for function in ["create_flows", "tune_flows", "reset_flows", "drop_flows", "end_migration"] {
        assert_eq!(sqlstate(c, &format!("select flowsmith.{function}($p${drop}$p$)")).await, "FL004", "{function}");
    }
    let next = plan.replace(&version, "20990101000000");
    let swapped =
        format!("begin; select flowsmith.begin_migration($p${next}$p$); select flowsmith.drop_flows($p${drop}$p$)");
    assert_eq!(sqlstate(c, &swapped).await, "FL004");
    execute(c, "rollback").await;
    for malformed in ["{}", "{\"format\": 1}", "{\"format\": 1, \"version\": \"20990101000000\", \"name\": \"x; y\"}"] {
        assert_eq!(sqlstate(c, &format!("select flowsmith.begin_migration('{malformed}')")).await, "FL004");
    }
    assert_eq!(text(owner, dump).await.unwrap(), before);
}

#[tokio::test]
async fn actor_is_the_role_that_is_logged_in() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", "  load: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let owner = &mut team.database.connect().await;
    let actors = "(select string_agg(distinct actor, ' ') from (select applied_by as actor from flowsmith.migrations union all select actor from flowsmith.events) a)";
    assert_eq!(text(owner, actors).await.unwrap(), team.login(Role::Deployer));
    assert_eq!(text(owner, "(select count(checksum) from flowsmith.migrations)").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn malformed_definition_breaks_the_report_of_its_flow_only() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("broken", "description: Mine", "  load: { handler: { sql: select 1 } }");
    project.flow("other", "", "  load: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let owner = &mut team.database.connect().await;
    let definition =
        text(owner, "(select definition from flowsmith.flow_versions where flow = 'broken')").await.unwrap();
    let set = |value: &str| format!("update flowsmith.flow_versions set definition = '{value}' where flow = 'broken'");
    for (round, malformed) in [
        "1",
        "null",
        "[]",
        "{}",
        "{\"steps\": 1}",
        "{\"steps\": [1]}",
        "{\"steps\": [{\"slug\": \"load\"}], \"triggers\": 1}",
        "{\"steps\": [{\"slug\": \"load\"}], \"triggers\": [{\"name\": 1}]}",
        "{\"steps\": [{\"slug\": \"load\"}], \"options\": 1}",
        "{\"steps\": [{\"slug\": \"load\"}], \"labels\": 1}",
        "{\"steps\": [{\"slug\": \"load\"}], \"unknown\": 1}",
    ]
    .into_iter()
    .enumerate()
    {
        execute(owner, &set(malformed)).await;
        project.succeeds(&["status"]);
        let drift = project.exits_with(3, &["drift"]);
        assert!(drift.contains("broken: the definition in the ledger cannot be read"), "{malformed}: {drift}");
        assert!(!drift.contains("other"), "{malformed}: {drift}");
        project.succeeds(&["plan"]);
        // Another flow can still be deployed.
        project.flow("other", "", &format!("  load: {{ timeout: {} }}", round + 1));
        project.compile();
        project.succeeds(&["apply"]);
    }
    project.flow("broken", "description: Mine", "  load: { timeout: 1 }");
    project.compile();
    let refused = project.exits_with(5, &["apply"]);
    assert!(refused.contains("FS940") && refused.contains("cannot be read: broken\n"), "{refused}");
    execute(owner, &set(&definition.replace('\'', "''"))).await;
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
}

/// Before, any role could hold the advisory lock for ever.
#[tokio::test]
async fn no_other_role_can_hold_the_lock() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", "  load: {}");
    project.compile();
    let stranger = &mut team.connect(&team.name("stranger")).await;
    let worker = &mut team.session(Role::Worker).await;
    let client = &mut team.session(Role::Client).await;
    for c in [stranger, worker, client] {
        for sql in [
            "select from flowsmith.apply_lock for update",
            "select from flowsmith.apply_lock for key share",
            "do $$ begin lock table flowsmith.apply_lock in access share mode; end $$",
            "do $$ begin lock table flowsmith.apply_lock; end $$",
            "select flowsmith.acquire_lock()",
            "select flowsmith.lock_holder()",
        ] {
            refused(c, sql).await;
        }
        execute(c, "begin; select pg_advisory_xact_lock_shared(7380396448181741940)").await;
    }
    let deployer = &mut team.session(Role::Deployer).await;
    refused(deployer, "select from flowsmith.apply_lock for update").await;
    refused(deployer, "do $$ begin lock table flowsmith.apply_lock; end $$").await;
    project.succeeds(&["apply", "--lock-timeout", "1s"]);

    execute(deployer, "begin; set application_name = 'mine'; select flowsmith.acquire_lock()").await;
    project.flow("order", "", "  load: { timeout: 1 }");
    project.compile();
    let locked = project.exits_with(1, &["apply", "--lock-timeout", "200ms"]);
    assert!(locked.contains("FS913") && locked.contains(&team.login(Role::Deployer)), "{locked}");
    assert!(locked.contains("(mine, pid "), "{locked}");
    execute(deployer, "rollback").await;
    project.succeeds(&["apply"]);
}
