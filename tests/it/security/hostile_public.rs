//! A schema `public` in which every function, aggregate, operator, type and catalog has a double that beats the original:
//! nothing that flowsmith sends may call one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use flowsmith_core::sql::array;
use rustix::process::Signal;
use sqlx::PgConnection;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::Project;
use crate::program::connecting::{RUN, ways_to_connect};
use crate::shared::program::{Program, commands};
use crate::worker::process::WorkerProcess;

/// The time for which a command that has no end runs.
const ENDLESS: Duration = Duration::from_secs(3);

/// Every word in flowsmith's sources: the names that its SQL may use are among them.
fn words() -> BTreeSet<String> {
    fn collect(folder: &Path, words: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, words);
            } else if path.extension().is_some_and(|kind| kind == "sql" || kind == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                words.extend(text.split(|c| !is_part(c)).filter(|word| word.len() > 1).map(ToOwned::to_owned));
            }
        }
    }
    let mut words = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates"), &mut words);
    words
}

/// The probes that were called, in the server's log.
struct Probes {
    log: PathBuf,
    mark: String,
    seen: usize,
}

impl Probes {
    /// Creates the probes. `public` comes first in this database.
    async fn plant(database: &Database) -> Self {
        let c = &mut database.connect().await;
        let sql = include_str!("hostile_public.sql").replace(":words", &array(words(), "text"));
        execute(c, &sql).await;
        let name = text(c, "pg_catalog.current_database()").await.unwrap();
        execute(c, &format!("alter database {name} set search_path = public, pg_catalog")).await;
        let data = text(c, "pg_catalog.current_setting('data_directory')").await.unwrap();
        let mark = format!("flowsmith_probe {name} ");
        Self { log: Path::new(&data).with_file_name("server.log"), mark, seen: 0 }
    }

    /// The probes that were called since the last look.
    fn called(&mut self) -> Vec<String> {
        let log = String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned();
        let all: Vec<String> =
            log.lines().filter_map(|line| line.split_once(&self.mark)).map(|(_, probe)| probe.to_owned()).collect();
        let new = all[self.seen..].to_vec();
        self.seen = all.len();
        new
    }
}

/// Each kind of probe counts, under the default search_path too, and also in a read-only transaction that is rolled back.
async fn all_fire(probes: &mut Probes, c: &mut PgConnection) {
    for (statement, probe) in [
        ("set search_path = \"$user\", public; select format('%s', 'a'::text, 'b'::text)", "format(text, text, text)"),
        ("set search_path = \"$user\", public; select array['a'::text] = array['b'::text]", "operator text[] = text[]"),
        ("select lower('A'::pg_catalog.text)", "lower(text)"),
        ("select 'a'::pg_catalog.text || 'b'::pg_catalog.text", "operator text || text"),
        ("select count(*) from pg_catalog.pg_class", "aggregate count()"),
        ("select '1'::jsonb", "type jsonb"),
        ("select from pg_class", "view pg_class"),
    ] {
        execute(c, &format!("reset search_path; begin read only; {statement}; rollback")).await;
        let called = probes.called();
        assert!(called.iter().any(|one| one == probe), "{statement}: {called:?}");
    }
}

/// Runs a command to its end, or for some time if it has none. Returns whether it failed, with its output.
fn run(project: &Project, arguments: &[&str]) -> Option<String> {
    let mut command = project.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if arguments.contains(&"--watch") {
        let end = Instant::now() + ENDLESS;
        while child.try_wait().unwrap().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    let failed = output.status.code() == Some(1);
    failed.then(|| format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn no_command_and_no_worker_calls_a_double() {
    let database = Database::create().await;
    let mut probes = Probes::plant(&database).await;
    let c = &mut database.connect().await;
    all_fire(&mut probes, c).await;

    let project = Project::on(&database);
    let role_prefix = format!("hostile_{}", std::process::id());
    let mut failures: Vec<String> = Vec::new();
    let mut step = |probes: &mut Probes, arguments: &[&str]| {
        failures.extend(run(&project, arguments));
        let called = probes.called();
        assert!(called.is_empty(), "{arguments:?} called {}: {called:#?}", called.len());
    };
    step(&mut probes, &["install"]);
    execute(c, "set search_path = pg_catalog; create table public.orders (id int primary key, status text)").await;
    execute(c, "select pgmq.create('imports')").await;
    project.flow(
        "order",
        "triggers:
  - { name: often, cron: '1 seconds' }
  - { name: imported, queue: 'pgmq:imports', input_sql: event.data }
  - { name: paid, table: public.orders, on: [insert], when: \"new.status = 'paid'\" }",
        "  load: { handler: { exec: [\"echo\", \"[1]\"] } }
  each: { map: load, handler: { exec: [\"cat\"] } }
  last: { depends_on: [load], handler: { sql: \"select '{}'::pg_catalog.jsonb\" } }",
    );
    project.compile();
    step(&mut probes, &["apply"]);
    execute(c, "insert into public.orders values (1, 'paid'); select pgmq.send('imports', '{\"n\": 1}')").await;

    let mut worker = WorkerProcess::start(&project, &["--schedule", "--poll-interval", "100ms"]);
    step(&mut probes, &["start", "order", "--run-id", RUN, "--input", "{}", "--wait", "--timeout", "60s"]);
    // By the command, the table, the queue and the schedule.
    let end = Instant::now() + Duration::from_secs(60);
    while text(c, "(select count(*) >= 4 from pgflow.runs r where r.status = 'completed')").await.as_deref()
        != Some("true")
    {
        assert!(Instant::now() < end, "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = commands(&Program::in_folder(project.path("")));
    assert!(all.len() > 25, "{all:?}");
    for way in all.iter().flat_map(|command| ways_to_connect(command)) {
        match way[0] {
            // It runs already.
            "worker" => continue,
            "bench" => step(&mut probes, &["bench", "--runs", "2", "--repetitions", "1", "--warm-up", "0"]),
            "install" if way.len() > 1 => step(&mut probes, &["install", "--grants", "--role-prefix", &role_prefix]),
            "prune" => step(&mut probes, &["prune", "--older-than", "0s", "--yes"]),
            _ => step(&mut probes, way),
        }
    }
    worker.signal(Signal::TERM);
    worker.wait_for_exit().await;
    let called = probes.called();
    assert!(called.is_empty(), "the worker called {}: {called:#?}", called.len());
    let roles = ["deployer", "worker", "client"].map(|role| format!("{role_prefix}_{role}")).join(", ");
    execute(c, &format!("drop owned by {roles}; drop role {roles}")).await;
    assert!(failures.is_empty(), "{failures:#?}");
}
