//! Upgrades from this version of the engine to a simulated later one.

use flowsmith_postgres::engine::detect::{EngineKind, EngineState, detect};
use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};
use flowsmith_postgres::engine::install::{EngineAction, InputStyle, install, install_with_roles, script_of};
use flowsmith_postgres::engine::roles::{Role, RolePrefix, audit};
use flowsmith_postgres::engine::schema;
use flowsmith_postgres::engine::scripts::{ENGINE, LEDGER, Script, newest_engine};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use crate::engine::definitions::{execute, text, with_engine};
use crate::fixture::command::Project;

/// The install script of a release with one more engine version, in one transaction.
fn next_release(sql: &'static str) -> String {
    let next = Script { version: newest_engine() + 1, name: "next", sql };
    let engine: Vec<Script> = ENGINE.iter().copied().chain([next]).collect();
    format!("begin; {} commit", script_of(&engine, LEDGER, InputStyle::Separate))
}

const NEXT: &str = "create function pgflow.added() returns integer language sql return 1;
    revoke execute on function pgflow.added from public;";

async fn recorded(c: &mut PgConnection) -> Option<String> {
    text(c, "select string_agg(version || ' ' || length(checksum), ', ' order by version) from flowsmith.engine").await
}

#[tokio::test]
async fn next_version_is_installed_once_and_keeps_runs() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "select pgflow.create_flow('f'), pgflow.add_step('f', 'a'), pgflow.start_flow('f', '{}');
         insert into pgflow.workers (worker_id, queue_name, function_name) values (gen_random_uuid(), 'f', 'test')",
    )
    .await;
    let before = schema::ENGINE.read(c).await.unwrap();

    // The function cannot be created twice, so the second run proves that the script was not executed again.
    for _ in 0..2 {
        execute(c, &next_release(NEXT)).await;
    }
    let newest = newest_engine();
    assert_eq!(recorded(c).await, Some(format!("{newest} 64, {} 64", newest + 1)));
    let mut after = schema::ENGINE.read(c).await.unwrap();
    after.retain(|line| !line.starts_with("function added()"));
    assert_eq!(after, before);
    let completed = "select (select pgflow.complete_task(t.run_id, t.step_slug, t.task_index, '1')).status
        from pgflow.poll_tasks('f', (select w.worker_id from pgflow.workers w)) t";
    assert_eq!(text(c, completed).await.as_deref(), Some("completed"));
    assert_eq!(text(c, "select status from pgflow.runs").await.as_deref(), Some("completed"));
}

#[tokio::test]
async fn newer_engine_is_unchanged() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, &next_release(NEXT)).await;
    let before = schema::ENGINE.read(c).await.unwrap();

    let report = install(&database.options(), InputStyle::Separate).await.unwrap();
    let newer = newest_engine() + 1;
    assert_eq!(report.engine, EngineAction::UpToDate(newer));
    assert_eq!(schema::ENGINE.read(c).await.unwrap(), before);
    let engine = detect(c).await.unwrap().engine;
    let kind = EngineKind::Flowsmith { version: newer };
    assert!(matches!(engine, EngineState::Present { kind: found, .. } if found == kind), "{engine:?}");

    let checks = doctor(c).await.unwrap();
    let check = |name: &str| checks.iter().find(|check| check.name == name).unwrap();
    let version = check("engine version");
    assert_eq!((version.status, version.advice.as_deref()), (CheckStatus::Warning, Some("use a newer flowsmith")));
    assert_eq!(check("engine schema").status, CheckStatus::Skipped);
}

#[tokio::test]
async fn edited_script_is_refused_and_transaction_rolled_back() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, &next_release(NEXT)).await;
    let before = (recorded(c).await, schema::ENGINE.read(c).await.unwrap());
    let edited = next_release("create function pgflow.another() returns integer language sql return 2;");
    let error = c.execute(sqlx::raw_sql(AssertSqlSafe(edited))).await.unwrap_err();
    let error = error.into_database_error().unwrap();
    assert_eq!(error.code().as_deref(), Some("FL002"));
    assert_eq!(error.message(), "flowsmith: the installed engine script next has a different content");
    execute(c, "rollback").await;
    assert_eq!((recorded(c).await, schema::ENGINE.read(c).await.unwrap()), before);
}

/// An install without `--grants` reports the roles that lack privileges on the functions of this version.
#[tokio::test]
async fn install_reports_roles_that_lack_privileges() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let prefix = RolePrefix::new(database.options().get_database().unwrap()).unwrap();
    let report = install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
    assert_eq!(report.outdated_roles, Vec::<String>::new());
    execute(c, &format!("revoke execute on function pgflow.fail_task from {}", prefix.name(Role::Worker))).await;
    let name = database.options().get_database().unwrap().to_owned();
    let output = Project::on(&database).succeeds(&["install"]).stderr;
    assert!(output.contains(&format!("the roles of {name} lack privileges that this version needs: run `flowsmith install --grants --role-prefix {name}`")), "{output}");
    let report = install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
    assert_eq!(report.outdated_roles, Vec::<String>::new());
}

#[tokio::test]
async fn install_with_grants_restores_privileges_on_new_schema() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let prefix = RolePrefix::new(database.options().get_database().unwrap()).unwrap();
    install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
    // Simulates an upgrade that changes the signature of a function: the new function has no grants.
    execute(c, "drop schema pgflow cascade").await;
    install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!(audit(c).await.unwrap(), [], "no role has privileges on the new schema");
    let missing = "select has_schema_privilege(rolname, 'pgflow', 'usage') from pg_roles where rolname like '%\\_worker' and rolname like current_database() || '%'";
    assert_eq!(text(c, missing).await.as_deref(), Some("false"));
    install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
    let found = audit(c).await.unwrap();
    assert_eq!((found.len(), &found[0].missing, &found[0].extra), (1, &vec![], &vec![]));
}
