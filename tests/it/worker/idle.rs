//! What a worker asks of its database while there is nothing to do: at most one query every few seconds, however many flows it
//! works on.

use std::path::Path;
use std::time::{Duration, Instant};

use flowsmith_devserver::Server;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use super::PATIENCE;
use super::process::Running;
use crate::engine::definitions::{execute, text};
use crate::fixture;
use crate::fixture::command::Project;
use crate::fixture::pooler::Pooler;

/// Flows of the worker that has many.
const FLOWS: usize = 12;

/// Seconds, by the server's clock, that the worker is watched at least: its heartbeat comes every 5 s, other questions every 30 s.
const WATCHED: f64 = 30.0;

/// A worker in the database of this name, which has a worker's flows and nothing else.
async fn database(server: &Server, name: &str) -> String {
    let mut c = server.connect_options("postgres").connect().await.unwrap();
    execute(&mut c, &format!("create database {name} template flows")).await;
    server.url(name)
}

fn work(project: &Project, name: &str, url: &str, flows: &[&str]) -> Running {
    let command = project.command(&[&["worker", "--database", url], flows].concat());
    Running::spawn(command, project.path(name))
}

/// Heartbeats of a worker, read in one transaction that does not end, so that looking is not counted.
struct Heartbeats(PgConnection);

impl Heartbeats {
    async fn of(server: &Server, database: &str) -> Self {
        let mut c = server.connect_options(database).connect().await.unwrap();
        execute(&mut c, "begin").await;
        Self(c)
    }

    async fn next(&mut self) {
        let last = "(select max(last_heartbeat_at) from pgflow.workers)";
        let (before, deadline) = (text(&mut self.0, last).await, Instant::now() + PATIENCE);
        while text(&mut self.0, last).await == before {
            assert!(Instant::now() < deadline, "no heartbeat after {before:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Transactions in a database since its statistics began, and seconds of the server's clock.
async fn counters(observer: &mut PgConnection, database: &str) -> (i64, f64) {
    let sql = format!(
        "select xact_commit + xact_rollback, extract(epoch from clock_timestamp())::float8
         from pg_stat_database where datname = '{database}'"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(observer).await.unwrap();
    (row.get(0), row.get(1))
}

/// How many queries a second come to a database, over two heartbeats at least. A query of a worker is a transaction.
async fn queries_a_second(server: &Server, database: &str) -> f64 {
    let mut observer = server.connect_options("postgres").connect().await.unwrap();
    let mut heartbeats = Heartbeats::of(server, database).await;
    // What it asks at its start, and pauses that grow, are over.
    for _ in 0..3 {
        heartbeats.next().await;
    }
    let (before, began) = counters(&mut observer, database).await;
    let mut beats = 0;
    loop {
        heartbeats.next().await;
        beats += 1;
        let (after, now) = counters(&mut observer, database).await;
        if beats >= 2 && now - began >= WATCHED {
            // Each heartbeat but the last, which may not have been counted yet.
            assert!(after - before >= beats - 1, "{} queries in {beats} heartbeats", after - before);
            return (after - before) as f64 / (now - began);
        }
    }
}

#[tokio::test]
async fn an_idle_worker_makes_at_most_one_query_every_few_seconds() {
    // Of its own, so that nothing else is counted.
    let server = fixture::start(&fixture::folder("idle"));
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
    project.done(&["install"]);
    project.compile();
    project.done(&["apply"]);

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
        worker.says("listening for notifications").await;
    }
    for worker in [&polling, &many_polling].into_iter().chain(&pooled) {
        worker.says("polling at least every 3 s").await;
    }
    let mut names = vec!["listening", "many_listening", "polling", "many_polling"];
    names.extend(pooled.as_ref().map(|_| "pooled"));
    let rates = names.iter().map(|name| queries_a_second(&server, name));
    let rates = futures_util::future::join_all(rates).await;
    let said: Vec<String> = names.iter().zip(&rates).map(|(name, rate)| format!("{name} {rate:.2}")).collect();
    for (name, rate) in names.iter().zip(&rates) {
        // Every 3 s and 2 s; and two that fall to the edges of the time that was watched.
        let most = if name.contains("listening") { 1.0 / 3.0 } else { 1.0 / 2.0 } + 2.0 / WATCHED;
        assert!(*rate <= most, "more than {most:.2} queries a second: {}", said.join(", "));
    }
    // How many flows there are makes no difference.
    for (one, many) in [(0, 1), (2, 3)] {
        assert!((rates[one] - rates[many]).abs() <= 4.0 / WATCHED, "{}", said.join(", "));
    }
}
