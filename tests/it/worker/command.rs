//! The command `flowsmith worker`: signals, refusals, rights, poolers and metrics.

use std::fs;

use rustix::process::Signal;

use super::Fixture;
use super::process::{StoppedSessions, WorkerProcess};
use crate::engine::definitions::execute;
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine, official_engine};
use crate::fixture::pooler::Pooler;

/// A step whose program records its start in the file `begun`, and ends when the file `go` exists.
const GATED: &str =
    r#"  a: { timeout: 60, handler: { exec: "echo $$ >> begun; while [ ! -e go ]; do sleep 0.02; done; cat" } }"#;

/// A project with the applied flow `f`.
pub(super) async fn applied(database: Database, steps: &str) -> (Fixture, Project) {
    let project = Project::on(&database);
    project.flow("f", "defaults: { max_attempts: 2, base_delay: 0 }", steps);
    project.compile();
    project.succeeds(&["apply"]);
    (Fixture::on(database, "select 1").await, project)
}

const STARTED: &str = "(select count(*) = 1 from pgflow.step_tasks where status = 'started')";

#[tokio::test]
async fn sigterm_lets_a_running_program_finish() {
    let (mut fixture, project) = applied(flowsmith_engine().await, GATED).await;
    let worker = WorkerProcess::start(&project, &[]);
    fixture.until("(select count(*) = 1 from pgflow.workers)").await;
    fixture.start("f", "7").await;
    fixture.until(STARTED).await;
    worker.signal(Signal::TERM);
    worker
        .wait_for_log("claiming no more tasks, 1 task is still running; a second signal returns them to the queue")
        .await;
    fixture.start("f", "8").await;
    fs::write(project.path("go"), "").unwrap();
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("claiming no more tasks, 1 task is still running"), "{log}");
    let tasks =
        "(select string_agg(status || coalesce(output #>> '{}', ''), ' ' order by queued_at) from pgflow.step_tasks)";
    assert_eq!(fixture.text(tasks).await, "completed7 queued");
    assert_eq!(fixture.text("(select count(*) from pgflow.workers where stopped_at is not null)").await, "1");
}

#[tokio::test]
async fn second_signal_cancels_running_tasks_and_returns_them() {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut fixture, project) = applied(flowsmith_engine().await, GATED).await;
        let mut worker = WorkerProcess::start(&project, &[]);
        fixture.start("f", "7").await;
        fixture.until(STARTED).await;
        while !project.path("begun").exists() || project.read("begun").is_empty() {
            tokio::task::yield_now().await;
        }
        worker.signal(signal);
        // Without this wait, both signals could be received as one.
        worker.wait_for_log("claiming no more tasks, 1 task is still running").await;
        worker.signal(signal);
        assert_eq!(worker.wait_for_exit().await, Some(0), "{}", worker.log());
        let log = worker.log();
        assert!(log.contains("f: 1 task returned to the queue"), "{log}");
        super::declared::until_dead(&[project.read("begun").trim().parse().unwrap()]).await;
        // The attempt counts, because its handler had started, and another worker can claim the task at once.
        let back = "(select count(*) = 1 from pgflow.step_tasks t join pgmq.q_f q on q.msg_id = t.message_id
                     where t.status = 'queued' and t.attempts_count = 1 and q.vt <= clock_timestamp())";
        assert_eq!(fixture.text(back).await, "true");
        fixture.assert_sound().await;
    }
}

#[tokio::test]
async fn tasks_of_a_killed_worker_are_recovered_by_another() {
    let (mut fixture, project) = applied(flowsmith_engine().await, GATED).await;
    let worker = WorkerProcess::start(&project, &[]);
    let run = fixture.start("f", "7").await;
    fixture.until(STARTED).await;
    worker.signal(Signal::KILL);
    assert_eq!(worker.exit().0, None);
    fs::write(project.path("go"), "").unwrap();
    // Moves the timestamps back, so that the task is stalled.
    execute(
        &mut fixture.c,
        "update pgflow.step_tasks set queued_at = queued_at - interval '2 minutes', started_at = started_at - interval '2 minutes'",
    )
    .await;
    let worker = WorkerProcess::start(&project, &[]);
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), serde_json::json!({ "a": 7 })));
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert!(code == Some(0) && log.contains("1 stalled task requeued"), "{log}");
    assert_eq!(fixture.text("(select concat(attempts_count, requeued_count) from pgflow.step_tasks)").await, "21");
}

#[tokio::test]
async fn drift_is_refused_unless_accepted() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let (mut fixture, project) =
            applied(database, "  a: { handler: { sql: \"select 1\" } }\n  b: { handler: { exec: [\"true\"] } }").await;
        execute(&mut fixture.c, "update pgflow.steps set opt_timeout = 9 where step_slug = 'b'").await;
        let refused = project.exits_with(3, &["worker"]);
        assert!(
            refused.contains(
                "error[FS982]: the flow files differ from the database: f@1: step b: timeout 9 s → inherited"
            ),
            "{refused}"
        );
        assert_eq!(fixture.text("(select count(*) from pgflow.workers)").await, "0");
        let worker = WorkerProcess::start(&project, &["--accept-drift"]);
        let run = fixture.start("f", "{}").await;
        assert_eq!(fixture.end_of(&run).await.0, "completed");
        worker.signal(Signal::TERM);
        let (code, log) = worker.exit();
        assert!(code == Some(0) && log.contains("accepted: f@1: step b: timeout 9 s → inherited"), "{log}");
        // The engine does not store handlers, so a changed handler is not drift.
        execute(&mut fixture.c, "update pgflow.steps set opt_timeout = null where step_slug = 'b'").await;
        project.flow(
            "f",
            "defaults: { max_attempts: 2, base_delay: 0 }",
            "  a: { handler: { sql: \"select 2\" } }\n  b: { handler: { exec: [\"true\"] } }",
        );
        let worker = WorkerProcess::start(&project, &["f@1"]);
        let run = fixture.start("f", "{}").await;
        assert_eq!(fixture.end_of(&run).await.1["a"], 2);
        worker.signal(Signal::TERM);
        assert_eq!(worker.exit().0, Some(0));
    }
}

#[tokio::test]
async fn refusals_have_a_code_and_help() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("plain", "", "  a: {}");
    assert!(
        project
            .exits_with(4, &["worker"])
            .contains("error[FS986]: no flow to work on: no flow file declares a handler")
    );
    project.flow("half", "", "  a: { handler: { exec: [\"true\"] } }\n  b: {}");
    let missing = project.exits_with(2, &["worker"]);
    assert!(
        missing.contains("plain@1: left to other workers")
            && missing.contains("error[FS981]: the database has no flow half"),
        "{missing}"
    );
    project.compile();
    project.succeeds(&["apply"]);
    let half = project.exits_with(4, &["worker", "half"]);
    assert!(half.contains("error[FS983]: half: step b has no handler") && half.contains("  = help: "), "{half}");
    let unknown = project.exits_with(1, &["worker", "hafl"]);
    assert!(
        unknown.contains("error[FS961]: there is no flow `hafl` in the flow files")
            && unknown.contains("did you mean `half`?"),
        "{unknown}"
    );
    project.flow(
        "secret",
        "",
        "  a: { handler: { http: { url: \"https://x.test\", headers: { A: \"${env:NO_SUCH}\" } } } }",
    );
    let unset = project.exits_with(1, &["worker", "secret"]);
    assert!(unset.contains("error[FS984]: secret, step a: environment variable NO_SUCH is not set"), "{unset}");
}

#[tokio::test]
async fn missing_engine_is_the_same_error_for_every_command() {
    let database = Database::create().await;
    let project = Project::on(&database);
    project.flow("f", "", "  a: { handler: { exec: [\"true\"] } }");
    for command in [&["worker"][..], &["worker", "--schedule"], &["runs"]] {
        let missing = project.exits_with(1, command);
        assert!(missing.contains("error[FS909]") && missing.contains("has no workflow engine"), "{missing}");
    }
}

#[tokio::test]
async fn files_with_errors_do_not_block_other_requested_flows() {
    let (mut fixture, project) = applied(flowsmith_engine().await, "  a: { handler: { sql: \"select 1\" } }").await;
    project.write("flows/broken.yaml", "flow: broken\nsteps:\n  a: { depends_on: [nobody] }\n");
    for wanted in [&["worker"][..], &["worker", "broken"], &["worker", "f", "broken"]] {
        let refused = project.exits_with(4, wanted);
        assert!(refused.contains("FS301") && refused.contains("the flow files have errors"), "{refused}");
    }
    let worker = WorkerProcess::start(&project, &["f"]);
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("FS301") && log.contains("files with errors are skipped"), "{log}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn programs_end_with_a_killed_worker() {
    let (mut fixture, project) = applied(flowsmith_engine().await, GATED).await;
    let worker = WorkerProcess::start(&project, &[]);
    fixture.start("f", "7").await;
    fixture.until(STARTED).await;
    while !project.path("begun").exists() || project.read("begun").is_empty() {
        tokio::task::yield_now().await;
    }
    worker.signal(Signal::KILL);
    assert_eq!(worker.exit().0, None);
    super::declared::until_dead(&[project.read("begun").trim().parse().unwrap()]).await;
}

#[tokio::test]
async fn worker_role_suffices() {
    let (mut fixture, project) = applied(
        flowsmith_engine().await,
        "  a: { handler: { sql: \"select 1\" } }\n  b: { handler: { exec: [\"true\"] } }\n  c: { when_exhausted: skip, handler: { exec: [\"false\"] } }\n  d: { when_exhausted: skip, handler: { sql: \"select 1 union all select 2\" } }",
    )
    .await;
    let name = fixture.text("current_database()").await;
    let prefix = format!("w_{name}");
    project.succeeds(&["install", "--grants", "--role-prefix", &prefix]);
    execute(&mut fixture.c, &format!("create role {prefix}_login login; grant {prefix}_worker to {prefix}_login"))
        .await;
    let url = fixture.database.url().replace("user=postgres", &format!("user={prefix}_login"));
    assert!(url.contains("_login"));
    let worker = WorkerProcess::start(&project, &["--database", &url]);
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), serde_json::json!({ "a": 1, "b": null })));
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert!(code == Some(0) && !log.contains("permission denied"), "{log}");
    assert_eq!(fixture.text("(select count(*) from pgflow.workers where stopped_at is not null)").await, "1");
    execute(&mut fixture.c, &format!("drop role {prefix}_login")).await;
}

#[tokio::test]
async fn transaction_pooler_makes_the_worker_poll() {
    let (mut fixture, project) = applied(
        flowsmith_engine().await,
        "  a: { handler: { sql: \"select jsonb_agg(n) from generate_series(1, 30) n\" } }\n  b: { map: a, handler: { sql: \"select :input\" } }\n  c: { map: b, handler: { exec: [\"cat\"] } }\n  d: { when_exhausted: skip, handler: { exec: [\"false\"] } }\n  e: { when_exhausted: skip, handler: { sql: \"values (1), (2)\" } }",
    )
    .await;
    let Some(pooler) = Pooler::start(&fixture.database, "pooler_of_workers").await else { return };
    let worker = WorkerProcess::start(&project, &["--database", &pooler.url, "--connections", "3"]);
    fixture.until("(select count(*) = 1 from pgflow.workers)").await;
    for _ in 0..3 {
        let run = fixture.start("f", "{}").await;
        let (status, output) = fixture.end_of(&run).await;
        assert_eq!((status.as_str(), output["c"].as_array().map(Vec::len)), ("completed", Some(30)));
    }
    worker.wait_for_log("polling at least every 3 s: notifications do not arrive, as behind a pooler").await;
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("prepared statement") && !log.contains("connection lost"), "{log}");
    fixture.assert_sound().await;
}

#[tokio::test]
async fn metrics_are_served_at_the_given_address() {
    let (mut fixture, project) = applied(flowsmith_engine().await, "  a: { handler: { sql: \"select 1\" } }").await;
    let name = fixture.text("current_database()").await;
    let prefix = format!("m_{name}");
    project.succeeds(&["install", "--grants", "--role-prefix", &prefix]);
    execute(&mut fixture.c, &format!("create role {prefix}_login login; grant {prefix}_worker to {prefix}_login"))
        .await;
    let url = fixture.database.url().replace("user=postgres", &format!("user={prefix}_login"));
    let worker = WorkerProcess::start(&project, &["--database", &url, "--metrics", "127.0.0.1:0"]);
    worker.wait_for_log("/metrics").await;
    let log = worker.log();
    let (_, address) = log.split_once("serving metrics at http://").unwrap();
    let (address, _) = address.split_once("/metrics").unwrap();
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    let page = super::metrics::read(address, "/metrics").await;
    // The role of a worker suffices for all metrics.
    assert!(page.contains("\nflowsmith_database_up 1\n"), "{page}");
    assert!(page.contains("\nflowsmith_runs_ended_recently{flow=\"f\",outcome=\"completed\"} 1\n"), "{page}");
    let taken = project.exits_with(1, &["worker", "--metrics", address]);
    assert!(
        taken.contains(&format!("error[FS988]: cannot serve metrics at {address}: ")) && taken.contains("  = help: "),
        "{taken}"
    );
    for wrong in ["9187", ":9187", "localhost", "localhost:99999"] {
        let usage = project.exits_with(64, &["worker", "--metrics", wrong]);
        assert!(usage.contains("write a host and a port, such as 127.0.0.1:9187"), "{usage}");
    }
    assert_eq!(fixture.text("(select count(*) from pgflow.workers)").await, "1");
    worker.signal(Signal::TERM);
    assert_eq!(worker.exit().0, Some(0));
    execute(&mut fixture.c, &format!("drop role {prefix}_login")).await;
}

#[tokio::test]
async fn second_signal_ends_the_worker_even_if_the_server_does_not_respond() {
    let (mut fixture, project) = applied(flowsmith_engine().await, GATED).await;
    let worker = WorkerProcess::start(&project, &["--connections", "1", "--schedule"]);
    fixture.until("(select count(*) = 1 from pgflow.workers)").await;
    fixture.start("f", "7").await;
    fixture.until(STARTED).await;
    let _silent = StoppedSessions::all(&mut fixture).await;
    worker.signal(Signal::TERM);
    worker.wait_for_log("claiming no more tasks").await;
    worker.signal(Signal::TERM);
    worker.wait_for_log("exiting without unregistering from the database").await;
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
}
