//! Unusable databases: each cause has its own message and advice, and no output contains a password.

use flowsmith_core::diagnostic::Diagnostic as _;
use flowsmith_postgres::database::{DatabaseError, Failure};
use flowsmith_worker::triggers::{clean_up, consume, queue_triggers, start_due_runs};
use sqlx::ConnectOptions;

use crate::engine::definitions::{execute, text};
use crate::fixture::command::{Project, flowsmith_engine, official_engine};
use crate::fixture::pooler::Pooler;
use crate::fixture::{self, Database};
use crate::migrate::safety::wait_until;

const PASSWORD: &str = "hunter2-Zq";

/// A project with one compiled flow.
fn project() -> Project {
    let project = Project::new();
    project.flow("order", "", "  load: {}\n  send: { depends_on: [load] }");
    project.compile();
    project
}

/// Asserts the exit code and the message of every command that needs a database.
fn all_end(project: &Project, url: &str, exit: i32, code: &str, words: &str) {
    for command in ["plan", "apply", "drift", "status", "pull"] {
        for flag in ["--verbose", "--quiet"] {
            let outcome = project.run(&[command, flag, "--database", url]);
            assert_eq!(outcome.code, exit, "{command}: {outcome}");
            let report = outcome.all_output();
            assert!(!report.contains(PASSWORD), "the password: {report}");
            assert!(outcome.stderr.contains(&format!("error[{code}]: ")), "{command}: {outcome}");
            assert!(outcome.stderr.contains("\n  = help: "), "{command}: {outcome}");
            assert!(report.contains(words), "{words}: {command}: {outcome}");
        }
    }
}

#[test]
fn stopped_server_is_reported() {
    let url = format!("postgres://app:{PASSWORD}@127.0.0.1:1/shop");
    all_end(&project(), &url, 1, "FS902", "cannot connect to app@127.0.0.1:1/shop");
    let url = format!("postgres:///shop?host=/nowhere/at/all&user=app&password={PASSWORD}");
    all_end(&project(), &url, 1, "FS902", "cannot connect to app@");
}

#[test]
fn invalid_url_is_reported() {
    for url in [
        format!("postgres://app:{PASSWORD}@host:port/shop"),
        format!("mysql://app:{PASSWORD}@host/shop"),
        format!("app:{PASSWORD}@host/shop"),
        format!("postgres://app:{PASSWORD}@[::1/shop"),
        format!("postgres://app:{PASSWORD}@host/shop?sslmode={PASSWORD}"),
        format!("host=localhost password={PASSWORD}"),
    ] {
        all_end(&project(), &url, 64, "FS901", "invalid database URL");
    }
    let project = project().with("DATABASE_URL", &format!("nonsense {PASSWORD}"));
    for command in [&["plan"][..], &["up", "--verbose"], &["plan", "--help"], &["nonsense"], &["doctor"], &["install"]]
    {
        let outcome = project.run(command);
        assert!(!outcome.all_output().contains(PASSWORD), "{outcome}");
    }
}

#[tokio::test]
async fn refused_password_is_reported() {
    let server = fixture::start_server(&fixture::new_folder("passwords"));
    let mut c = server.connect_options("postgres").connect().await.unwrap();
    execute(&mut c, "create role app login password 'the right one'").await;
    execute(&mut c, "create database shop owner app").await;
    let hba = text(&mut c, "current_setting('hba_file')").await.unwrap();
    std::fs::write(hba, "local all postgres trust\nlocal all all scram-sha-256\n").unwrap();
    execute(&mut c, "select pg_reload_conf()").await;
    let url = |password: &str| server.url("shop").replace("user=postgres", &format!("user=app&password={password}"));
    // The reload is complete when a wrong password is refused.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while url(PASSWORD).parse::<sqlx::postgres::PgConnectOptions>().unwrap().connect().await.is_ok() {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    all_end(&project(), &url(PASSWORD), 1, "FS903", "password authentication failed");
    let project = project();
    let right = url("the%20right%20one");
    let installed = project.run(&["install", "--verbose", "--database", &right]);
    assert_eq!(installed.code, 0, "{installed}");
    let applied = project.run(&["apply", "--verbose", "--database", &right]);
    assert_eq!(applied.code, 0, "{applied}");
    assert!(!applied.all_output().contains("right"), "{applied}");
    let up = project.run(&["up", "--database", &right]);
    assert_eq!(up.code, 0, "{up}");
    assert!(!up.all_output().contains("right"), "{up}");
    server.stop().unwrap();
}

#[tokio::test]
async fn missing_database_is_reported() {
    let database = Database::create().await;
    let url = format!("{}&password={PASSWORD}", database.url().replace("/test_", "/no_such_"));
    all_end(&project(), &url, 1, "FS904", "no_such_");
}

#[tokio::test]
async fn missing_privileges_are_reported() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let role =
            format!("stranger_{}", text(&mut database.connect().await, "md5(current_database())").await.unwrap());
        execute(&mut database.connect().await, &format!("create role {role} login")).await;
        let url = database.url().replace("user=postgres", &format!("user={role}&password={PASSWORD}"));
        all_end(&project(), &url, 1, "FS905", "permission denied");
    }
}

#[tokio::test]
async fn missing_engine_is_reported() {
    let database = Database::create().await;
    all_end(&project(), &database.url(), 1, "FS909", "flowsmith install");
}

#[tokio::test]
async fn missing_pgmq_is_reported() {
    let database = flowsmith_engine().await;
    execute(&mut database.connect().await, "drop schema pgmq cascade").await;
    all_end(&project(), &database.url(), 1, "FS909", "has no pgmq");
}

#[tokio::test]
async fn incomplete_install_is_reported() {
    let database = official_engine().await;
    execute(&mut database.connect().await, "drop function pgflow.start_tasks").await;
    all_end(&project(), &database.url(), 1, "FS918", "incomplete engine: level 0.8.1 without function start_tasks");
}

#[tokio::test]
async fn missing_ledger_is_reported() {
    let database = official_engine().await;
    execute(&mut database.connect().await, "drop schema flowsmith cascade").await;
    let project = project();
    let outcome = project.run(&["apply", "--database", &database.url()]);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.stderr.contains("FS919") && outcome.stderr.contains("flowsmith install"), "{outcome}");
    assert_eq!(project.run(&["plan", "--database", &database.url()]).code, 2);
}

#[tokio::test]
async fn insufficient_engine_level_is_reported() {
    let database = official_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: { if: { paid: true } }");
    project.compile();
    let plan = project.exits_with(5, &["plan"]);
    assert!(
        plan.contains("refused: the engine does not support conditions and skip modes; they require level 0.14"),
        "{plan}"
    );
    let refused = project.exits_with(1, &["apply"]);
    assert!(refused.contains("FS909") && refused.contains("which this engine does not support"), "{refused}");
    let refused = project.exits_with(4, &["compile", "--engine", "0.8.1"]);
    assert!(refused.contains("0.8.1"), "{refused}");
}

#[tokio::test]
async fn commands_work_through_a_transaction_pooler() {
    let database = flowsmith_engine().await;
    let Some(pooler) = Pooler::start(&database, "pooler").await else { return };
    // With several server connections, each transaction may use another one than the last.
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut c = pooler.options().connect().await.unwrap();
        execute(&mut c, "begin").await;
        open.push(c);
    }
    for c in &mut open {
        execute(c, "commit").await;
    }
    let project = project().with("DATABASE_URL", &pooler.url);
    assert!(project.exits_with(2, &["plan"]).contains("new flow, 2 steps"));
    project.succeeds(&["install"]);
    project.succeeds(&["apply"]);
    project.flow("order", "version: 2", "  load: {}");
    project.flow("signup", "", "  ask: {}");
    project.compile();
    project.exits_with(2, &["plan"]);
    let both = [project.start(&["apply"]), project.start(&["apply"])];
    for apply in both {
        let output = apply.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for command in [&["plan"][..], &["drift"], &["status"], &["doctor"], &["up"]] {
        project.succeeds(command);
    }
    wait_until(&database, "2 = (select count(*) from flowsmith.migrations)").await;

    // A worker starts runs for triggers; each transaction may use another server connection.
    project.write(
        "flows/signup.yaml",
        "flow: signup\nsteps: { ask: {} }\ntriggers:\n  - { name: daily, cron: \"@daily\" }\n  - { name: mail, queue: \"pgmq:mail\" }\n",
    );
    project.compile();
    project.succeeds(&["apply"]);
    execute(
        &mut database.connect().await,
        "update flowsmith.triggers set since = since - interval '2 days'; select pgmq.create('mail'); select pgmq.send('mail', '{}')",
    )
    .await;
    let c = &mut pooler.options().connect().await.unwrap();
    let trigger = queue_triggers(c).await.unwrap().remove(0);
    for started in [1, 0, 0] {
        assert_eq!(start_due_runs(c).await.unwrap().started.len(), started);
        assert_eq!(consume(c, &trigger).await.unwrap().started, started);
        clean_up(c).await.unwrap();
    }
    wait_until(&database, "2 = (select count(*) from pgflow.runs where flow_slug = 'signup')").await;
    wait_until(&database, "0 = (select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database()))").await;
}

/// A database may have a higher default isolation level.
#[tokio::test]
async fn interfering_transactions_are_reported() {
    let database = flowsmith_engine().await;
    let (a, b) = (&mut database.connect().await, &mut database.connect().await);
    execute(a, "create table counter as select 1 as n, 2 as m").await;
    execute(a, "begin isolation level repeatable read; select n from counter").await;
    execute(b, "update counter set n = 2").await;
    let error = sqlx::raw_sql("update counter set n = 3").execute(&mut *a).await.unwrap_err();
    let error = DatabaseError::from(error);
    assert_eq!((error.failure(), error.code().as_str()), (Failure::Conflict, "FS926"));
    assert_eq!(error.to_string(), "could not serialize access due to concurrent update");
    assert!(error.help().unwrap_or_default().starts_with("run the command again: the transaction was rolled back"));
}
