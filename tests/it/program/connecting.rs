//! If the connection fails, every command that connects reports the same message with the same code, without delay.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::engine::definitions::{execute, text};
use crate::fixture;
use crate::fixture::command::{Outcome, Project};
use crate::shared::program::Program;
use crate::shared::program::commands;

/// Less than the 30 seconds for which a pool of sqlx retries, much more than a busy machine needs.
const AT_ONCE: Duration = Duration::from_secs(20);

pub(crate) const RUN: &str = "0196b0a8-0000-7000-8000-000000000000";

/// The arguments with which a command connects to a database. Empty for commands that never connect.
pub(crate) fn ways_to_connect(command: &str) -> &'static [&'static [&'static str]] {
    match command {
        "init" | "down" | "check" | "explain" | "schema" | "completions" => &[],
        "compile" => &[&["compile", "--from-live"]],
        "graph" => &[&["graph", "order", "--from", "live"], &["graph", "--run", RUN]],
        "install" => &[&["install"], &["install", "--grants"]],
        // By default, a worker waits for the server.
        "worker" => &[&["worker", "--wait-for-server", "0s"], &["worker", "--schedule", "--wait-for-server", "0s"]],
        "start" => &[&["start", "order"], &["start", "order", "--wait"]],
        "runs" => &[&["runs"], &["runs", "--watch"]],
        "retire" => &[&["retire"], &["retire", "order@1", "--yes"]],
        "show" => &[&["show", RUN]],
        "watch" => &[&["watch", RUN]],
        "retry" => &[&["retry", RUN]],
        "cancel" => &[&["cancel", RUN, "--yes"]],
        "pause" => &[&["pause", "order"]],
        "resume" => &[&["resume", "order"]],
        "prune" => &[&["prune", "--older-than", "1d", "--yes"]],
        "up" => &[&["up"]],
        "plan" => &[&["plan"]],
        "apply" => &[&["apply"]],
        "drift" => &[&["drift"]],
        "status" => &[&["status"]],
        "pull" => &[&["pull"]],
        "doctor" => &[&["doctor"]],
        "bench" => &[&["bench"]],
        "queues" => &[&["queues"]],
        "workers" => &[&["workers"]],
        "stalled" => &[&["stalled"]],
        "stats" => &[&["stats"]],
        other => panic!("say here how `{other}` connects, or that it does not"),
    }
}

/// A project with one compiled flow, which has a handler.
pub(crate) fn project() -> Project {
    let project = Project::new();
    project.flow("order", "", "  load: { handler: { sql: \"select 1\" } }");
    project.compile();
    project
}

/// The message about the connection: stderr from `error` on.
fn complaint(outcome: &Outcome) -> String {
    let from = outcome.stderr.find("error").unwrap_or_else(|| panic!("{outcome}"));
    outcome.stderr[from..].to_owned()
}

/// Asserts the code and the message of every command that connects.
fn all_say(url: &str, code: &str, words: &str) {
    let project = project();
    let ways: Vec<_> =
        commands(&Program::in_folder(project.path(""))).iter().flat_map(|command| ways_to_connect(command)).collect();
    assert!(ways.len() > 25);
    let mut output = BTreeSet::new();
    for some in ways.chunks(6) {
        std::thread::scope(|scope| {
            let running: Vec<_> = some
                .iter()
                .map(|way| {
                    let project = &project;
                    scope.spawn(move || {
                        let began = Instant::now();
                        let outcome = project.run(&[way, &["--database", url][..]].concat());
                        let took = began.elapsed();
                        assert_eq!(outcome.code, 1, "{way:?}: {outcome}");
                        assert!(took < AT_ONCE, "{way:?} took {took:?}: {outcome}");
                        complaint(&outcome)
                    })
                })
                .collect();
            output.extend(running.into_iter().map(|each| each.join().unwrap()));
        });
    }
    assert_eq!(output.len(), 1, "all commands say the same: {output:#?}");
    let output = output.pop_first().unwrap();
    assert!(output.starts_with(&format!("error[{code}]: cannot connect to ")) && output.contains(words), "{output}");
}

#[test]
fn closed_port_is_reported() {
    all_say("postgres://app@127.0.0.1:1/shop", "FS902", "app@127.0.0.1:1/shop: the connection failed: ");
}

#[test]
fn unknown_host_is_reported() {
    all_say("postgres://app@nowhere.invalid/shop", "FS902", "app@nowhere.invalid:5432/shop: ");
}

#[tokio::test]
async fn wrong_password_database_and_role_are_reported() {
    let server = fixture::start_server(&fixture::new_folder("connecting"));
    let mut c = server.connect_options("postgres").connect().await.unwrap();
    execute(&mut c, "create role app login password 'the right one'").await;
    execute(&mut c, "create database shop owner app").await;
    let hba = text(&mut c, "current_setting('hba_file')").await.unwrap();
    fs::write(hba, "local all app scram-sha-256\nlocal all all trust\n").unwrap();
    execute(&mut c, "select pg_reload_conf()").await;
    let wrong_password = server.url("shop").replace("user=postgres", "user=app&password=wrong");
    // The reload is complete when a wrong password is refused.
    let end = Instant::now() + Duration::from_secs(20);
    while wrong_password.parse::<PgConnectOptions>().unwrap().connect().await.is_ok() {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    all_say(&wrong_password, "FS903", "password authentication failed");
    all_say(&server.url("shp"), "FS904", "database \"shp\" does not exist");
    let no_role = server.url("shop").replace("user=postgres", "user=nobody_here");
    all_say(&no_role, "FS903", "role \"nobody_here\" does not exist");
    server.stop().unwrap();
}
