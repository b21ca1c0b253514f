//! Databases that are unusual: other encodings, restored dumps, publications for all tables, standby servers.

use std::process::Command;

use flowsmith_devserver::{Durability, Lifetime, Server};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use super::assert_in_order;
use crate::engine::definitions::{execute, text};
use crate::fixture::command::{Outcome, Project, flowsmith_engine, psql_command};
use crate::fixture::runtime::rows;
use crate::fixture::{Database, binaries, new_folder, shared_server};
use crate::worker::process::WorkerProcess;

/// A database that is created with these options. It is dropped with the value.
struct Special {
    name: String,
    owner: Database,
}

impl Special {
    async fn create(name: &str, options: &str) -> Self {
        let owner = Database::create().await;
        let mut c = owner.connect().await;
        let name = format!("{}_{name}", text(&mut c, "current_database()").await.unwrap());
        execute(&mut c, &format!("create database {name} template template0 {options}")).await;
        Self { name, owner }
    }

    fn project(&self) -> Project {
        Project::new().with("DATABASE_URL", &shared_server().url(&self.name))
    }

    async fn drop(self) {
        execute(&mut self.owner.connect().await, &format!("drop database {} with (force)", self.name)).await;
    }
}

/// Whether the message says what is wrong.
fn assert_refused(outcome: &Outcome, code: &str, words: &str) {
    assert_in_order(words, outcome);
    assert!(outcome.code != 0 && outcome.stderr.contains(code) && outcome.stderr.contains(words), "{outcome}");
}

/// Processes one run.
async fn works(project: &Project) {
    let worker = WorkerProcess::start(project, &[]);
    worker.wait_for_log("working on order").await;
    let started = project.run(&["start", "order", "--input", r#"{"a": 1}"#, "--wait"]);
    assert_eq!(started.code, 0, "{started}\n{}", worker.log());
}

#[tokio::test]
async fn text_that_the_encoding_lacks_is_refused_as_a_whole() {
    let database = Special::create("latin1", "encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'").await;
    let project = database.project();
    project.flow("order", "description: größe\nlabels: { é: ü }", "  load: { handler: { sql: \"select 'größe'\" } }");
    project.compile();
    project.succeeds(&["install"]);
    project.succeeds(&["apply"]);
    for arguments in [&["status"][..], &["plan"], &["drift"], &["runs"], &["compile", "--from-live"]] {
        project.succeeds(arguments);
    }
    let doctor = project.run(&["doctor"]);
    assert_in_order("doctor", &doctor);
    works(&project).await;
    // Its output is stored as the database can.
    let shown = project.succeeds(&["runs", "--format", "json"]).stdout;
    assert!(shown.contains("completed"), "{shown}");

    project.flow("ship", "description: 日本", "  load: { handler: { sql: \"select '日本'\" } }");
    project.compile();
    let refused = project.run(&["apply"]);
    assert_refused(&refused, "FS930", "has no equivalent in encoding \"LATIN1\"");
    assert!(refused.stderr.contains("= help: "), "{refused}");
    let status = project.run(&["status"]).stdout;
    assert!(status.contains("1 pending"), "{status}");
    database.drop().await;
}

#[tokio::test]
async fn database_without_an_encoding_works() {
    let database = Special::create("ascii", "encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'").await;
    let project = database.project();
    project.flow("order", "description: größe 日本", "  load: { handler: { sql: \"select 'größe 日本'\" } }");
    project.compile();
    project.succeeds(&["install"]);
    project.succeeds(&["apply"]);
    for arguments in [&["status"][..], &["plan"], &["drift"], &["runs"]] {
        project.succeeds(arguments);
    }
    works(&project).await;
    // Bytes that are not UTF-8 come from other clients.
    let mut c = shared_server().connect_options(&database.name).connect().await.unwrap();
    execute(&mut c, "update pgflow.workers set function_name = convert_from('\\xff41'::bytea, 'SQL_ASCII')").await;
    for arguments in [&["workers", "--all"][..], &["workers", "--all", "--format", "json"], &["queues"], &["doctor"]] {
        assert_in_order(&format!("{arguments:?}"), &project.run(arguments));
    }
    drop(c);
    database.drop().await;
}

/// A program of the server beside psql.
fn program(name: &str) -> Command {
    let psql = std::path::PathBuf::from(psql_command().get_program());
    Command::new(psql.with_file_name(name))
}

/// Copies a database with pg_dump and psql.
fn restore(from: &str, to: &str, options: &[&str]) {
    let dump = program("pg_dump").args(options).arg(shared_server().url(from)).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.sql");
    std::fs::write(&file, dump.stdout).unwrap();
    let psql = psql_command()
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&file)
        .arg(shared_server().url(to))
        .output()
        .unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
}

#[tokio::test]
async fn restored_dump_is_in_sync_and_works() {
    let original = flowsmith_engine().await;
    let project = Project::on(&original);
    project.write("flows/order.yaml", "flow: order\nsteps: { load: { handler: { sql: \"select array[1, 2]\" } }, each: { map: load, handler: { exec: cat } } }\ntriggers: [{ name: t, cron: \"0 3 * * *\" }]\n");
    project.compile();
    project.succeeds(&["apply"]);
    works(&project).await;
    let name = text(&mut original.connect().await, "current_database()").await.unwrap();
    let restored = Special::create("restored", "").await;
    restore(&name, &restored.name, &[]);
    let project = project.with("DATABASE_URL", &shared_server().url(&restored.name));
    for arguments in [&["status"][..], &["plan"], &["drift"], &["apply"], &["install"], &["runs"], &["queues"]] {
        let ended = project.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended}");
    }
    let doctor = project.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor}");
    works(&project).await;
    project.flow("ship", "", "  load: { handler: { exec: cat } }");
    project.compile();
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
    restored.drop().await;
}

/// A dump of the schema has the tables of the queues and not their rows in pgmq's list, and an engine without its records, which
/// `install` asks for. Then `apply` creates what is missing.
#[tokio::test]
async fn restored_schema_needs_its_records_and_apply() {
    let original = flowsmith_engine().await;
    let project = Project::on(&original);
    project.flow("order", "triggers: [{ name: t, cron: \"0 3 * * *\" }]", "  load: { handler: { sql: \"select 1\" } }");
    project.compile();
    project.succeeds(&["apply"]);
    let name = text(&mut original.connect().await, "current_database()").await.unwrap();
    let restored = Special::create("schema", "").await;
    restore(&name, &restored.name, &["-s"]);
    let project = project.with("DATABASE_URL", &shared_server().url(&restored.name));
    for arguments in
        [&["status"][..], &["plan"], &["drift"], &["runs"], &["queues"], &["stalled"], &["workers"], &["doctor"]]
    {
        assert_in_order(&format!("{arguments:?}"), &project.run(arguments));
    }
    assert_refused(&project.run(&["install"]), "FS909", "no record of its installation");
    let records =
        ["flowsmith.engine", "flowsmith.ledger", "pgmq.__pgmq_migrations"].map(|table| format!("--table={table}"));
    restore(&name, &restored.name, &["--data-only", &records[0], &records[1], &records[2]]);
    let installed = project.run(&["install"]);
    assert_eq!(installed.code, 0, "{installed}");
    let applied = project.run(&["apply"]);
    assert_eq!(applied.code, 0, "{applied}");
    for arguments in [&["status"][..], &["plan"], &["drift"]] {
        let ended = project.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended}");
    }
    let doctor = project.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor}");
    works(&project).await;
    restored.drop().await;
}

/// Tables that are published with their updates need a replica identity.
#[tokio::test]
async fn publication_for_all_tables_does_not_stop_the_engine() {
    let database = flowsmith_engine().await;
    let mut c = database.connect().await;
    execute(&mut c, "create publication everything for all tables").await;
    let project = Project::on(&database);
    let steps = "  load: { handler: { sql: \"select array[1, 2]\" } }\n  each: { map: load, handler: { exec: cat } }\n  bad: { max_attempts: 2, base_delay: 0, when_exhausted: skip, handler: { exec: \"false\" } }";
    project.flow("order", "triggers: [{ name: t, cron: \"0 3 * * *\" }]", steps);
    project.compile();
    project.succeeds(&["apply"]);
    works(&project).await;
    let without = rows(
        &mut c,
        "select r.oid::regclass::text from pg_class r join pg_namespace n on n.oid = r.relnamespace
         where n.nspname in ('pgflow', 'flowsmith') and r.relkind in ('r', 'p') and r.relpersistence = 'p' and r.relreplident = 'd'
           and not exists (select from pg_index i where i.indrelid = r.oid and i.indisprimary) order by 1",
    )
    .await;
    assert!(without.is_empty(), "tables without a primary key: {without:?}");
    let run = project.succeeds(&["start", "order"]).stdout;
    for arguments in [
        &["pause", "order"][..],
        &["resume", "order"],
        &["cancel", run.trim(), "--yes"],
        &["retry", run.trim()],
        &["cancel", run.trim(), "--yes"],
        &["prune", "--older-than", "0s", "--yes"],
        &["install"],
    ] {
        let ended = project.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended}");
    }
    project.flow("order", "version: 2", "  load: { handler: { sql: \"select 2\" } }");
    project.compile();
    project.succeeds(&["apply"]);
    // pgmq's own list of queues has no replica identity until somebody gives it one, as the error says.
    let retire = ["retire", "order@1", "--yes"];
    let refused = project.run(&retire);
    assert_refused(&refused, "FS912", "it does not have a replica identity and publishes deletes");
    assert!(refused.stderr.contains("set REPLICA IDENTITY using ALTER TABLE"), "{refused}");
    project.succeeds(&["drift"]);
    execute(
        &mut c,
        "alter table pgmq.meta replica identity full; alter table pgmq.topic_bindings replica identity full",
    )
    .await;
    project.succeeds(&retire);
    project.succeeds(&["drift"]);
    project.succeeds(&["doctor"]);
}

#[tokio::test]
async fn standby_can_be_read_and_refuses_changes_clearly() {
    let folder = new_folder("standby");
    let start = || {
        Server::start(binaries(), &folder, Durability::Durable, Lifetime::Owner)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let server = start();
    let options = server.connect_options("postgres");
    let mut c = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe("create database app")).execute(&mut c).await.unwrap();
    let data = text(&mut c, "current_setting('data_directory')").await.unwrap();
    drop(c);
    let project = Project::new().with("DATABASE_URL", &server.url("app"));
    project.flow("order", "", "  load: { handler: { sql: \"select 1\" } }");
    project.compile();
    project.succeeds(&["install"]);
    project.succeeds(&["apply"]);
    let run = project.succeeds(&["start", "order"]).stdout.trim().to_owned();
    server.stop().unwrap();
    // A standby without a primary: it recovers for ever.
    std::fs::write(std::path::Path::new(&data).join("standby.signal"), "").unwrap();
    let server = start();
    let project = project.with("DATABASE_URL", &server.url("app"));
    for arguments in [
        &["status"][..],
        &["plan"],
        &["drift"],
        &["runs"],
        &["show", &run],
        &["queues"],
        &["workers"],
        &["stalled"],
        &["stats"],
        &["retire"],
        &["compile", "--from-live"],
        &["graph", "order", "--from", "live"],
        &["graph", "--run", &run],
        &["pull", "--files-only"],
    ] {
        let ended = project.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended}");
    }
    project.flow("ship", "", "  load: { handler: { exec: cat } }");
    project.compile();
    assert_eq!(project.run(&["plan"]).code, 2);
    assert_in_order("doctor", &project.run(&["doctor"]));
    for arguments in [
        &["apply"][..],
        &["install", "--grants"],
        &["worker", "order", "--accept-drift", "--wait-for-server", "0s"],
        &["start", "order"],
        &["retry", &run],
        &["cancel", &run, "--yes"],
        &["pause", "order"],
        &["bench"],
    ] {
        let ended = project.run(arguments);
        assert_refused(&ended, "FS929", "the server is read-only");
    }
    server.stop().unwrap();
}
