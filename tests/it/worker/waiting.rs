//! Workers that begin before their server does, or outlive it.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use flowsmith_devserver::Server;
use flowsmith_postgres::engine::install::{InputStyle, install};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::ConnectOptions as _;

use super::PATIENCE;
use super::process::Running;
use crate::devserver::postmaster;
use crate::fixture;
use crate::fixture::command::Project;
use crate::program::up::embedded;

#[tokio::test]
async fn a_worker_waits_at_its_start_for_a_server_that_is_away_and_for_nothing_else() {
    let folder = fixture::folder("started_after_a_worker");
    let server = fixture::start(&folder);
    server.ensure_database("late").await.unwrap();
    let options = server.connect_options("late");
    install(&options, InputStyle::Separate).await.unwrap();
    // Where the worker finds whichever server runs.
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
    project.done(&["apply"]);
    let wrong = project.ends(1, &["worker", "--database", &url("never")]);
    assert!(wrong.contains("error[FS904]") && !wrong.contains("retrying in"), "{wrong}");

    // What has been committed is not written at once here.
    let mut c = options.connect().await.unwrap();
    sqlx::raw_sql("checkpoint").execute(&mut c).await.unwrap();
    kill_process(Pid::from_raw(postmaster(&folder)).unwrap(), Signal::KILL).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while options.connect().await.is_ok() {
        assert!(Instant::now() < deadline);
    }
    let strict = project.ends(1, &["worker", "--wait-for-server", "0"]);
    assert!(strict.contains("error[FS902]: cannot connect to") && !strict.contains("retrying in"), "{strict}");
    let short = project.ends(1, &["worker", "--wait-for-server", "300ms"]);
    assert!(short.contains("retrying in 0.1 s") && short.contains("error[FS902]"), "{short}");

    let worker = Running::start(&project, &[]);
    worker.says("retrying in 0.2 s").await;
    let again = folder.clone();
    let second = tokio::task::spawn_blocking(move || fixture::start(&again)).await.unwrap();
    point(&second);
    worker.says("working on f").await;
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    // A server that is dropped takes its folder along.
    drop((server, second));
}

#[tokio::test]
async fn the_embedded_server_is_found_again_wherever_it_comes_back() {
    let embedded = embedded();
    let project = &embedded.0;
    project.flow("f", "", "  a: { handler: { sql: \"select 1\" } }");
    let first = project.done(&["up", "--url"]).stdout;
    let worker = Running::start(project, &[]);
    worker.says("working on f").await;
    project.done(&["down"]);
    worker.says("connection lost").await;
    let second = project.done(&["up", "--url"]).stdout;
    assert_ne!(first, second, "it has the same address again");
    worker.says("reconnected").await;
    let run = project.done(&["start", "f", "--input", "{}", "--wait"]);
    assert!(run.both().contains("run  completed"), "{run}");
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
}
