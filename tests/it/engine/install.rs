//! Installing into databases with and without an engine.

use flowsmith_core::diagnostic::Diagnostic as _;
use std::io::Write;
use std::time::Duration;

use flowsmith_core::level::Level;
use flowsmith_postgres::engine::detect::{EngineKind, EngineState, PgmqState, detect};
use flowsmith_postgres::engine::install::{
    EngineAction, InputStyle, InstallError, PgmqAction, install, install_script, install_within,
};
use flowsmith_postgres::engine::schema;
use flowsmith_postgres::engine::scripts::newest_engine;
use sqlx::{ConnectOptions, PgPool};

use crate::engine::definitions::{execute, text, with_engine};
use crate::fixture::Database;
use crate::fixture::command::psql_command;
use crate::fixture::official::{Official, official_install};

#[tokio::test]
async fn empty_database_gets_pgmq_ledger_and_engine_once() {
    let database = Database::create().await;
    let first = install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!((first.pgmq, first.engine), (PgmqAction::InstalledSql, EngineAction::Installed(newest_engine())));
    let c = &mut database.connect().await;
    let rows = "select (max(version), count(*), min(installed_by), count(tool_version)) from flowsmith.engine";
    let newest = newest_engine();
    assert_eq!(text(c, rows).await.unwrap(), format!("({newest},{newest},postgres,{newest})"));

    let second = install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!((second.pgmq, second.engine), (PgmqAction::Kept, EngineAction::UpToDate(newest)));
    assert_eq!(second.database, first.database);
}

#[tokio::test]
async fn concurrent_installs_create_one_engine() {
    let database = Database::create().await;
    let (a, b) = (database.options(), database.options());
    let (a, b) = tokio::join!(install(&a, InputStyle::Separate), install(&b, InputStyle::Separate));
    assert_eq!(a.unwrap().database, b.unwrap().database);
}

#[tokio::test]
async fn official_engine_is_unchanged() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let c = &mut database.connect().await;
    let before = schema::ENGINE.read(c).await.unwrap();
    let report = install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!((report.pgmq, report.engine), (PgmqAction::Kept, EngineAction::LeftOfficial(Level::V0_8_1)));
    assert_eq!(schema::ENGINE.read(c).await.unwrap(), before);
    assert_eq!(text(c, "to_regclass('flowsmith.engine')").await, None);
    assert_eq!(text(c, "to_regclass('flowsmith.migrations')").await.as_deref(), Some("flowsmith.migrations"));
    install(&database.options(), InputStyle::Separate).await.unwrap();
}

#[tokio::test]
async fn incomplete_engine_is_refused_with_missing_objects() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let c = &mut database.connect().await;
    execute(c, "drop function pgflow.start_tasks").await;
    let error = install(&database.options(), InputStyle::Separate).await.unwrap_err();
    assert!(matches!(error, InstallError::Incomplete { closest: Level::V0_8_1, .. }), "{error}");
    let lacks = "level 0.8.1 without function start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid)";
    assert!(error.to_string().contains(lacks), "{error}");
    assert_eq!(text(c, "to_regnamespace('flowsmith')").await, None);
}

#[tokio::test]
async fn edited_engine_script_is_refused() {
    let database = with_engine().await;
    execute(&mut database.connect().await, "update flowsmith.engine set checksum = 'abc' where version = 1").await;
    let error = install(&database.options(), InputStyle::Separate).await.unwrap_err();
    assert!(matches!(error, InstallError::Edited { name: "engine", .. }), "{error}");
}

/// `drop schema pgflow cascade` keeps realtime.send, so the next install replaces that function.
#[tokio::test]
async fn dropped_engine_is_installed_again() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let send = "pg_get_functiondef('realtime.send(jsonb, text, text, boolean)'::regprocedure)";
    let current = text(c, send).await;
    execute(
        c,
        "drop schema pgflow cascade;
         create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
         returns void language plpgsql as $$ begin perform pg_notify('pgflow_events', event); end $$",
    )
    .await;
    let report = install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!(report.engine, EngineAction::Installed(newest_engine()));
    assert_eq!(text(c, send).await, current);
}

#[tokio::test]
async fn missing_privilege_is_named() {
    let database = Database::create().await;
    execute(&mut database.connect().await, "create role \"in staller\" login").await;
    let name = database.options().get_database().unwrap().to_owned();
    let error = install(&database.options().username("in staller"), InputStyle::Separate).await.unwrap_err();
    assert_eq!(
        (error.to_string(), error.help()),
        (
            format!("role \"in staller\" lacks the privilege CREATE on database {name}"),
            Some(format!(
                "run `grant CREATE on database {name} to \"in staller\"` as an owner, or install as another role"
            ))
        )
    );
    execute(&mut database.connect().await, &format!("grant create on database {name} to \"in staller\"")).await;
    install(&database.options().username("in staller"), InputStyle::Separate).await.unwrap();
    // A repeated install creates nothing, so it does not need the privilege.
    execute(&mut database.connect().await, &format!("revoke create on database {name} from \"in staller\"")).await;
    install(&database.options().username("in staller"), InputStyle::Separate).await.unwrap();
}

#[tokio::test]
async fn input_style_is_fixed_by_first_install() {
    let database = Database::create().await;
    let merged = install(&database.options(), InputStyle::Merged).await.unwrap();
    assert_eq!(merged.database.input_style.as_deref(), Some("merged"));
    let again = install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!(again.database.input_style.as_deref(), Some("merged"));
    let public = again.database.public_functions;
    assert!(public.is_empty(), "{public:?}");
}

#[tokio::test]
async fn session_holding_the_lock_is_named() {
    let database = Database::create().await;
    let holder = &mut database.options().application_name("a long apply").connect().await.unwrap();
    // The schema flowsmith does not exist yet, so the function that returns the lock key does not either.
    execute(holder, "begin; select pg_advisory_xact_lock(7380396448181741940)").await;
    let pid = text(holder, "pg_backend_pid()").await.unwrap();
    // The setting of the session has no effect.
    let options = database.options().options([("lock_timeout", "1ms")]);
    let error = install_within(&options, InputStyle::Separate, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.code().as_str(), "FS913");
    let words = error.to_string();
    assert!(words.starts_with("an apply or another install still holds the lock after 0."), "{words}");
    assert!(words.contains(&format!(" s: postgres (a long apply, pid {pid}, local) since 20")), "{words}");
    assert_eq!(text(holder, "to_regnamespace('pgflow')").await, None);
    execute(holder, "commit").await;
    install(&options, InputStyle::Separate).await.unwrap();
}

/// Runs a script with psql in one transaction, and returns whether it succeeded and its output.
fn psql(database: &Database, script: &str) -> (bool, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(script.as_bytes()).unwrap();
    let output = psql_command()
        .args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(file.path())
        .arg(database.url())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn printed_script_equals_install() {
    let by_script = Database::create().await;
    let script = install_script(InputStyle::Separate);
    let (done, errors) = psql(&by_script, &script);
    assert!(!done && errors.contains("flowsmith: pgmq is not installed in this database"), "{errors}");

    let pool = PgPool::connect_with(by_script.options()).await.unwrap();
    pgmq::install::install_sql_from_embedded(&pool).await.unwrap();
    pool.close().await;
    for _ in 0..2 {
        let (done, errors) = psql(&by_script, &script);
        assert!(done, "{errors}");
    }
    let by_install = with_engine().await;
    let (script, install) = (&mut by_script.connect().await, &mut by_install.connect().await);
    assert_eq!(detect(script).await.unwrap(), detect(install).await.unwrap());
    assert_eq!(schema::ENGINE.read(script).await.unwrap(), schema::ENGINE.read(install).await.unwrap());
    assert_eq!(schema::LEDGER.read(script).await.unwrap(), schema::LEDGER.read(install).await.unwrap());
}

#[tokio::test]
async fn printed_script_leaves_official_engine_unchanged() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let (done, errors) = psql(&database, &install_script(InputStyle::Separate));
    assert!(done && errors.contains("left as it is"), "{errors}");
    let found = detect(&mut database.connect().await).await.unwrap();
    assert!(matches!(found.engine, EngineState::Present { kind: EngineKind::Official, .. }));
}

#[tokio::test]
async fn existing_realtime_send_is_used() {
    let database = Database::create().await;
    let c = &mut database.options().connect().await.unwrap();
    execute(c, include_str!("../fixture/official_realtime.sql")).await;
    install(&database.options(), InputStyle::Separate).await.unwrap();
    execute(c, "select realtime.send('{}', 'e', 't', false)").await;
    assert_eq!(text(c, "select count(*) from realtime.sent").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn old_pgmq_is_refused() {
    let database = Database::create().await;
    let pool = PgPool::connect_with(database.options()).await.unwrap();
    pgmq::install::install_sql_from_embedded(&pool).await.unwrap();
    pool.close().await;
    execute(&mut database.connect().await, "update pgmq.__pgmq_migrations set version = '1.4.3'").await;
    let error = install(&database.options(), InputStyle::Separate).await.unwrap_err();
    assert!(
        matches!(&error, InstallError::OldPgmq(PgmqState::Sql { version: Some(version), .. }) if version == "1.4.3"),
        "{error}"
    );
}

/// The dumps are committed so that reviews show every change of the schema.
#[tokio::test]
async fn installed_schemas_equal_committed_dumps() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    for (schema, folder) in [(schema::ENGINE, "engine"), (schema::LEDGER, "ledger")] {
        let live = schema.read(c).await.unwrap();
        if std::env::var_os("UPDATE").is_some() {
            let text: String = live.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            let path = format!("{}/crates/flowsmith-postgres/sql/{folder}/schema.txt", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, text).unwrap();
            continue;
        }
        let differences = schema.differences(&live);
        assert!(differences.is_empty(), "run the tests with UPDATE=1 and review:\n{differences}");
        assert_eq!(live.len(), schema.expected.lines().count(), "grants are no part of it");
    }
}
