//! The queries of an idle worker: at most one every few seconds, whatever the number of its flows.

use std::path::Path;
use std::time::{Duration, Instant};

use flowsmith_devserver::Server;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use super::WAIT_TIMEOUT;
use super::process::WorkerProcess;
use crate::engine::definitions::{execute, text};
use crate::fixture;
use crate::fixture::command::Project;
use crate::fixture::pooler::Pooler;

/// The number of flows of the worker with many flows.
const FLOWS: usize = 12;

/// The shortest observation in seconds of the server's clock. The worker writes a heartbeat every 5 s, and makes other queries every
/// 30 s.
const OBSERVATION: f64 = 30.0;

/// Creates a database with the flows and without other sessions, and returns its URL.
async fn database(server: &Server, name: &str) -> String {
    let mut c = server.connect_options("postgres").connect().await.unwrap();
    execute(&mut c, &format!("create database {name} template flows")).await;
    server.url(name)
}

fn work(project: &Project, name: &str, url: &str, flows: &[&str]) -> WorkerProcess {
    let command = project.command(&[&["worker", "--database", url], flows].concat());
    WorkerProcess::spawn(command, project.path(name))
}

/// The heartbeats of a worker. They are read in one open transaction, so that reading them is not counted.
struct Heartbeats(PgConnection);

impl Heartbeats {
    async fn of(server: &Server, database: &str) -> Self {
        let mut c = server.connect_options(database).connect().await.unwrap();
        execute(&mut c, "begin").await;
        Self(c)
    }

    async fn next(&mut self) {
        let last = "(select max(last_heartbeat_at) from pgflow.workers)";
        let (before, deadline) = (text(&mut self.0, last).await, Instant::now() + WAIT_TIMEOUT);
        while text(&mut self.0, last).await == before {
            assert!(Instant::now() < deadline, "no heartbeat after {before:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The number of transactions in a database, and the server's clock in seconds.
async fn counters(observer: &mut PgConnection, database: &str) -> (i64, f64) {
    let sql = format!(
        "select xact_commit + xact_rollback, extract(epoch from clock_timestamp())::float8
         from pg_stat_database where datname = '{database}'"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(observer).await.unwrap();
    (row.get(0), row.get(1))
}

/// The number of queries per second in a database, over at least two heartbeats. Each query of a worker is a transaction.
async fn queries_a_second(server: &Server, database: &str) -> f64 {
    let mut observer = server.connect_options("postgres").connect().await.unwrap();
    let mut heartbeats = Heartbeats::of(server, database).await;
    // Skips the queries of the start and the growing poll intervals.
    for _ in 0..3 {
        heartbeats.next().await;
    }
    let (before, began) = counters(&mut observer, database).await;
    let mut beats = 0;
    loop {
        heartbeats.next().await;
        beats += 1;
        let (after, now) = counters(&mut observer, database).await;
        if beats >= 2 && now - began >= OBSERVATION {
            // The statistics may not include the last heartbeat yet.
            assert!(after - before >= beats - 1, "{} queries in {beats} heartbeats", after - before);
            return (after - before) as f64 / (now - began);
        }
    }
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn idle_worker_makes_at_most_one_query_every_few_seconds() {
    // A separate server, so that other tests are not counted.
    let server = fixture::start_server(&fixture::new_folder("idle"));
    server.ensure_database("flows").await.unwrap();
    let mut c = server.connect_options("postgres").connect().await.unwrap();
    execute(&mut c, "alter system set autovacuum = off").await;
    execute(&mut c, "select pg_reload_conf()").await;
    let project = Project::new().with("DATABASE_URL", &server.url("flows"));
    for n in 1..=FLOWS {
        project.flow(
            &format!("f{n}"),
            "",
            "  a: { handler: { sql: \"select 1\" } }\n  b: { depends_on: [a], handler: { exec: cat } }",
        );
    }
    project.succeeds(&["install"]);
    project.compile();
    project.succeeds(&["apply"]);

    let listening = work(&project, "listening", &database(&server, "listening").await, &["f1"]);
    let many_listening = work(&project, "many_listening", &database(&server, "many_listening").await, &[]);
    let silent = database(&server, "polling").await;
    execute(&mut c, "alter database polling set pgflow.events = off").await;
    let polling = work(&project, "polling", &silent, &["f1"]);
    let silent = database(&server, "many_polling").await;
    execute(&mut c, "alter database many_polling set pgflow.events = off").await;
    let many_polling = work(&project, "many_polling", &silent, &[]);
    database(&server, "pooled").await;
    let socket = text(&mut c, "current_setting('unix_socket_directories')").await.unwrap();
    let pooler = Pooler::in_front_of(Path::new(&socket), "pooled", "pooler_of_idle").await;
    let pooled = pooler.as_ref().map(|pooler| work(&project, "pooled", &pooler.url, &[]));

    for worker in [&listening, &many_listening] {
        worker.wait_for_log("listening for notifications").await;
    }
    for worker in [&polling, &many_polling].into_iter().chain(&pooled) {
        worker.wait_for_log("polling at least every 3 s").await;
    }
    let mut names = vec!["listening", "many_listening", "polling", "many_polling"];
    names.extend(pooled.as_ref().map(|_| "pooled"));
    let rates = names.iter().map(|name| queries_a_second(&server, name));
    let rates = futures_util::future::join_all(rates).await;
    let summary: Vec<String> = names.iter().zip(&rates).map(|(name, rate)| format!("{name} {rate:.2}")).collect();
    for (name, rate) in names.iter().zip(&rates) {
        // One query every 3 s or 2 s, plus two at the edges of the observation.
        let most = if name.contains("listening") { 1.0 / 3.0 } else { 1.0 / 2.0 } + 2.0 / OBSERVATION;
        assert!(*rate <= most, "more than {most:.2} queries a second: {}", summary.join(", "));
    }
    // The number of flows makes no difference.
    for (one, many) in [(0, 1), (2, 3)] {
        assert!((rates[one] - rates[many]).abs() <= 4.0 / OBSERVATION, "{}", summary.join(", "));
    }
}
