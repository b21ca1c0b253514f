//! `install --grants`: the roles that it creates, the privileges that it grants, and those that it needs.

use flowsmith_core::diagnostic::Diagnostic as _;
use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};
use flowsmith_postgres::engine::install::{InputStyle, InstallError, install, install_with_roles};
use flowsmith_postgres::engine::roles::{Role, audit, functions};
use sqlx::postgres::PgConnectOptions;

use crate::engine::definitions::{execute, text};
use crate::engine::roles::{FLOW, Team, prefix};
use crate::fixture::Database;
use crate::fixture::command::Project;
use crate::fixture::official::{Official, official_install};

#[tokio::test]
async fn every_function_is_listed_in_privileges() {
    let team = Team::new().await;
    let c = &mut team.database.connect().await;
    let sql = "(select string_agg(distinct n.nspname || '.' || p.proname, ' ' order by n.nspname || '.' || p.proname)
               from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('pgflow', 'flowsmith'))";
    let there = text(c, sql).await.unwrap();
    let mut known: Vec<_> = functions();
    known.retain(|name| !name.starts_with("realtime."));
    known.sort_unstable();
    known.dedup();
    let mut there: Vec<_> = there.split(' ').collect();
    there.sort_unstable();
    assert_eq!(
        there, known,
        "crates/flowsmith-postgres/src/engine/roles/rights.txt lists each function of the schemas"
    );
}

#[tokio::test]
async fn installed_privileges_equal_listed_ones() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", FLOW);
    project.compile();
    project.succeeds(&["apply"]);
    let c = &mut team.database.connect().await;
    let worker = team.prefix.name(Role::Worker);
    let found = audit(c).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].missing, &found[0].extra), (&vec![], &vec![]));

    execute(
        c,
        &format!(
            "revoke execute on function pgflow.fail_task from {worker};
             revoke update (status) on pgflow.step_tasks from {worker};
             revoke delete on pgmq.q_order from {worker};
             grant delete on pgflow.runs to {worker}"
        ),
    )
    .await;
    let found = audit(c).await.unwrap();
    assert_eq!(
        found[0].missing,
        [
            format!("{worker}: DELETE on table pgmq.q_order"),
            format!("{worker}: EXECUTE on function pgflow.fail_task"),
            format!("{worker}: UPDATE (status) on table pgflow.step_tasks"),
        ]
    );
    assert_eq!(found[0].extra, [format!("{worker}: DELETE on table pgflow.runs")]);
    let checks = doctor(c).await.unwrap();
    let roles = checks.iter().find(|check| check.name == "roles").unwrap();
    assert_eq!(roles.status, CheckStatus::Warning);
    assert!(roles.detail.contains("EXECUTE on function pgflow.fail_task"), "{}", roles.detail);

    install_with_roles(&team.database.options(), InputStyle::Separate, &team.prefix).await.unwrap();
    let found = audit(c).await.unwrap();
    assert_eq!((&found[0].missing, &found[0].extra), (&vec![], &vec![]));
}

#[tokio::test]
async fn installer_needs_database_ownership_and_createrole_only() {
    let database = Database::create().await;
    let name = database.options().get_database().unwrap().to_owned();
    let c = &mut database.connect().await;
    execute(c, &format!("create role {name}_owner login; grant create on database {name} to {name}_owner")).await;
    let options = database.options().username(&format!("{name}_owner"));
    let error = install_with_roles(&options, InputStyle::Separate, &prefix(&database)).await.unwrap_err();
    assert_eq!(error.code().as_str(), "FS905");
    assert_eq!(
        error.to_string(),
        format!(
            "the role {name}_owner cannot create roles, and these roles do not exist: {name}_deployer, {name}_worker, {name}_client, {name}_operator"
        )
    );
    let InstallError::Database(error) = error else { panic!("{error:?}") };
    assert_eq!(
        error.help().unwrap_or_default(),
        format!(
            "Let a role with CREATEROLE run `create role {name}_deployer; create role {name}_worker; create role \
             {name}_client; create role {name}_operator`, then run this again."
        )
    );
    assert_eq!(text(c, "to_regnamespace('pgflow')").await, None, "nothing is half done");

    execute(c, &format!("alter role {name}_owner createrole")).await;
    install_with_roles(&options, InputStyle::Separate, &prefix(&database)).await.unwrap();
    execute(c, &format!("alter role {name}_owner nocreaterole")).await;
    install_with_roles(&options, InputStyle::Separate, &prefix(&database)).await.unwrap();
    let found = audit(c).await.unwrap();
    assert_eq!((&found[0].missing, &found[0].extra), (&vec![], &vec![]));
}

#[tokio::test]
async fn queues_of_other_owners_are_named() {
    let database = Database::create().await;
    let name = database.options().get_database().unwrap().to_owned();
    let c = &mut database.connect().await;
    execute(c, &format!("create role {name}_owner login createrole; grant create on database {name} to {name}_owner"))
        .await;
    let options: PgConnectOptions = database.options().username(&format!("{name}_owner"));
    install(&options, InputStyle::Separate).await.unwrap();
    execute(c, "select pgflow.create_flow('order'); alter table pgmq.q_order owner to postgres").await;
    let error = install_with_roles(&options, InputStyle::Separate, &prefix(&database)).await.unwrap_err();
    assert_eq!(
        (error.code().as_str(), error.to_string()),
        (
            "FS905",
            format!("the role {name}_owner cannot grant privileges on these queues: pgmq.q_order (owned by postgres)")
        )
    );
}

#[tokio::test]
async fn official_engine_gets_no_roles() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let error = install_with_roles(&database.options(), InputStyle::Separate, &prefix(&database)).await.unwrap_err();
    assert!(matches!(error, InstallError::ForeignEngine) && error.code().as_str() == "FS927", "{error}");
    let c = &mut database.connect().await;
    assert_eq!(text(c, "to_regnamespace('flowsmith')").await, None);
    let roles = format!("select count(*) from pg_roles where rolname = '{}'", prefix(&database).name(Role::Worker));
    assert_eq!(text(c, &roles).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn command_creates_roles_and_prints_same_script() {
    let database = Database::create().await;
    let prefix = prefix(&database);
    let project = Project::on(&database);
    let name = database.options().get_database().unwrap().to_owned();
    let script = project.succeeds(&["install", "--print", "--grants", "--role-prefix", &name]).stdout;
    let output = project.succeeds(&["install", "--grants", "--role-prefix", &name]).stdout;
    assert!(
        output.contains(&format!(
            "the roles {name}_deployer, {name}_worker, {name}_client, {name}_operator have their privileges"
        )),
        "{output}"
    );
    project.write("install.sql", &script);
    crate::fixture::command::psql(&database, &project.path("install.sql")).unwrap();
    let found = audit(&mut database.connect().await).await.unwrap();
    assert_eq!((&found[0].prefix, &found[0].missing, &found[0].extra), (&name, &vec![], &vec![]));
    assert_eq!(prefix.name(Role::Worker), format!("{name}_worker"));
    project.exits_with(64, &["install", "--role-prefix", &name]);
    project.exits_with(64, &["install", "--grants", "--role-prefix", ""]);
}

/// With an empty search_path, PostgreSQL looks up type names in pg_temp first.
#[tokio::test]
async fn functions_search_pg_temp_last() {
    let team = Team::new().await;
    let c = &mut team.database.connect().await;
    let sql = "(select string_agg(p.oid::regprocedure::text, ', ') from pg_proc p
                where p.pronamespace::regnamespace::text in ('pgflow', 'flowsmith', 'realtime') and p.prosrc <> ''
                  and coalesce(array_to_string(p.proconfig, ' '), '') not like '%search_path=pg_catalog, pg_temp%')";
    assert_eq!(text(c, sql).await, None);
}
