//! Workers that start before their server, or outlive it.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use flowsmith_devserver::Server;
use flowsmith_postgres::engine::install::{InputStyle, install};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::ConnectOptions as _;

use super::WAIT_TIMEOUT;
use super::process::WorkerProcess;
use crate::devserver::postmaster;
use crate::fixture;
use crate::fixture::command::Project;
use crate::program::up::embedded;

#[tokio::test]
async fn worker_waits_for_an_unavailable_server_and_for_nothing_else() {
    let folder = fixture::new_folder("started_after_a_worker");
    let server = fixture::start_server(&folder);
    server.ensure_database("late").await.unwrap();
    let options = server.connect_options("late");
    install(&options, InputStyle::Separate).await.unwrap();
    // A symbolic link to the socket folder of the current server.
    let socket = folder.with_extension("socket");
    let point = |server: &Server| {
        let _ = fs::remove_file(&socket);
        symlink(server.connect_options("late").get_socket().unwrap(), &socket).unwrap();
    };
    point(&server);
    let url = |database: &str| {
        format!("postgresql:///{database}?host={}&port={}&user=postgres", socket.display(), options.get_port())
    };
    let project = Project::new().with("DATABASE_URL", &url("late"));
    project.flow("f", "", "  a: { handler: { sql: \"select 1\" } }");
    project.compile();
    project.succeeds(&["apply"]);
    let wrong = project.exits_with(1, &["worker", "--database", &url("never")]);
    assert!(wrong.contains("error[FS904]") && !wrong.contains("retrying in"), "{wrong}");

    // The test servers do not sync each commit.
    let mut c = options.connect().await.unwrap();
    sqlx::raw_sql("checkpoint").execute(&mut c).await.unwrap();
    kill_process(Pid::from_raw(postmaster(&folder)).unwrap(), Signal::KILL).unwrap();
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while options.connect().await.is_ok() {
        assert!(Instant::now() < deadline);
    }
    let strict = project.exits_with(1, &["worker", "--wait-for-server", "0"]);
    assert!(strict.contains("error[FS902]: cannot connect to") && !strict.contains("retrying in"), "{strict}");
    let short = project.exits_with(1, &["worker", "--wait-for-server", "300ms"]);
    assert!(short.contains("retrying in 0.1 s") && short.contains("error[FS902]"), "{short}");

    let worker = WorkerProcess::start(&project, &[]);
    worker.wait_for_log("retrying in 0.2 s").await;
    let again = folder.clone();
    let second = tokio::task::spawn_blocking(move || fixture::start_server(&again)).await.unwrap();
    point(&second);
    worker.wait_for_log("working on f").await;
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    // Dropping a server deletes its data folder.
    drop((server, second));
}

#[tokio::test]
async fn worker_finds_the_restarted_embedded_server() {
    let embedded = embedded();
    let project = &embedded.0;
    project.flow("f", "", "  a: { handler: { sql: \"select 1\" } }");
    let first = project.succeeds(&["up", "--url"]).stdout;
    let worker = WorkerProcess::start(project, &[]);
    worker.wait_for_log("working on f").await;
    project.succeeds(&["down"]);
    worker.wait_for_log("connection lost").await;
    let second = project.succeeds(&["up", "--url"]).stdout;
    assert_ne!(first, second, "the address has not changed");
    worker.wait_for_log("reconnected").await;
    let run = project.succeeds(&["start", "f", "--input", "{}", "--wait"]);
    assert!(run.all_output().contains("run  completed"), "{run}");
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
}
