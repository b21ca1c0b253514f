//! `flowsmith worker`, as its users and whoever ends processes see it.

use std::fs;

use rustix::process::Signal;

use super::Scene;
use super::process::{Running, Silent};
use crate::engine::definitions::execute;
use crate::fixture::Database;
use crate::fixture::command::{Project, official, ours};
use crate::fixture::pooler::Pooler;

/// A flow whose program says that it has begun, and ends when it may.
const GATED: &str =
    r#"  a: { timeout: 60, handler: { exec: "echo $$ >> begun; while [ ! -e go ]; do sleep 0.02; done; cat" } }"#;

/// A project whose flow `f` has been applied.
pub(super) async fn applied(database: Database, steps: &str) -> (Scene, Project) {
    let project = Project::on(&database);
    project.flow("f", "defaults: { max_attempts: 2, base_delay: 0 }", steps);
    project.compile();
    project.done(&["apply"]);
    (Scene::on(database, "select 1").await, project)
}

const STARTED: &str = "(select count(*) = 1 from pgflow.step_tasks where status = 'started')";

#[tokio::test]
async fn sigterm_lets_a_running_program_finish() {
    let (mut scene, project) = applied(ours().await, GATED).await;
    let worker = Running::start(&project, &[]);
    scene.until("(select count(*) = 1 from pgflow.workers)").await;
    scene.start("f", "7").await;
    scene.until(STARTED).await;
    worker.signal(Signal::TERM);
    worker.says("claiming no more tasks, 1 task is still running; a second signal returns them to the queue").await;
    scene.start("f", "8").await;
    fs::write(project.path("go"), "").unwrap();
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("claiming no more tasks, 1 task is still running"), "{said}");
    let tasks =
        "(select string_agg(status || coalesce(output #>> '{}', ''), ' ' order by queued_at) from pgflow.step_tasks)";
    assert_eq!(scene.text(tasks).await, "completed7 queued");
    assert_eq!(scene.text("(select count(*) from pgflow.workers where stopped_at is not null)").await, "1");
}

#[tokio::test]
async fn a_second_signal_kills_what_runs_and_hands_it_back() {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut scene, project) = applied(ours().await, GATED).await;
        let mut worker = Running::start(&project, &[]);
        scene.start("f", "7").await;
        scene.until(STARTED).await;
        while !project.path("begun").exists() || project.read("begun").is_empty() {
            tokio::task::yield_now().await;
        }
        worker.signal(signal);
        // Both would be one, if the first has not been heard yet.
        worker.says("claiming no more tasks, 1 task is still running").await;
        worker.signal(signal);
        assert_eq!(worker.ends().await, Some(0), "{}", worker.said());
        let said = worker.said();
        assert!(said.contains("f: 1 task returned to the queue"), "{said}");
        super::declared::until_dead(&[project.read("begun").trim().parse().unwrap()]).await;
        // An attempt that had begun counts, and somebody else may go on at once.
        let back = "(select count(*) = 1 from pgflow.step_tasks t join pgmq.q_f q on q.msg_id = t.message_id
                     where t.status = 'queued' and t.attempts_count = 1 and q.vt <= clock_timestamp())";
        assert_eq!(scene.text(back).await, "true");
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn tasks_of_a_worker_that_is_killed_are_recovered_by_another_one() {
    let (mut scene, project) = applied(ours().await, GATED).await;
    let worker = Running::start(&project, &[]);
    let run = scene.start("f", "7").await;
    scene.until(STARTED).await;
    worker.signal(Signal::KILL);
    assert_eq!(worker.end().0, None);
    fs::write(project.path("go"), "").unwrap();
    // Time passes.
    execute(
        &mut scene.c,
        "update pgflow.step_tasks set queued_at = queued_at - interval '2 minutes', started_at = started_at - interval '2 minutes'",
    )
    .await;
    let worker = Running::start(&project, &[]);
    assert_eq!(scene.end_of(&run).await, ("completed".to_owned(), serde_json::json!({ "a": 7 })));
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert!(code == Some(0) && said.contains("1 stalled task requeued"), "{said}");
    assert_eq!(scene.text("(select concat(attempts_count, requeued_count) from pgflow.step_tasks)").await, "21");
}

#[tokio::test]
async fn it_does_not_work_on_what_the_files_do_not_say() {
    for database in [ours().await, official().await] {
        let (mut scene, project) =
            applied(database, "  a: { handler: { sql: \"select 1\" } }\n  b: { handler: { exec: [\"true\"] } }").await;
        execute(&mut scene.c, "update pgflow.steps set opt_timeout = 9 where step_slug = 'b'").await;
        let refused = project.ends(3, &["worker"]);
        assert!(
            refused.contains(
                "error[FS982]: the flow files differ from the database: f@1: step b: timeout 9 s → inherited"
            ),
            "{refused}"
        );
        assert_eq!(scene.text("(select count(*) from pgflow.workers)").await, "0");
        let worker = Running::start(&project, &["--accept-drift"]);
        let run = scene.start("f", "{}").await;
        assert_eq!(scene.end_of(&run).await.0, "completed");
        worker.signal(Signal::TERM);
        let (code, said) = worker.end();
        assert!(code == Some(0) && said.contains("accepted: f@1: step b: timeout 9 s → inherited"), "{said}");
        // A change of a handler is none of the engine's.
        execute(&mut scene.c, "update pgflow.steps set opt_timeout = null where step_slug = 'b'").await;
        project.flow(
            "f",
            "defaults: { max_attempts: 2, base_delay: 0 }",
            "  a: { handler: { sql: \"select 2\" } }\n  b: { handler: { exec: [\"true\"] } }",
        );
        let worker = Running::start(&project, &["f@1"]);
        let run = scene.start("f", "{}").await;
        assert_eq!(scene.end_of(&run).await.1["a"], 2);
        worker.signal(Signal::TERM);
        assert_eq!(worker.end().0, Some(0));
    }
}

#[tokio::test]
async fn what_it_cannot_work_on_is_said_with_a_code_and_a_way_out() {
    let database = ours().await;
    let project = Project::on(&database);
    project.flow("plain", "", "  a: {}");
    assert!(project.ends(4, &["worker"]).contains("error[FS986]: no flow to work on: no flow file declares a handler"));
    project.flow("half", "", "  a: { handler: { exec: [\"true\"] } }\n  b: {}");
    let missing = project.ends(2, &["worker"]);
    assert!(
        missing.contains("plain@1: left to other workers")
            && missing.contains("error[FS981]: the database has no flow half"),
        "{missing}"
    );
    project.compile();
    project.done(&["apply"]);
    let half = project.ends(4, &["worker", "half"]);
    assert!(half.contains("error[FS983]: half: step b has no handler") && half.contains("  = help: "), "{half}");
    let unknown = project.ends(1, &["worker", "hafl"]);
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
    let unset = project.ends(1, &["worker", "secret"]);
    assert!(unset.contains("error[FS984]: secret, step a: environment variable NO_SUCH is not set"), "{unset}");
}

#[tokio::test]
async fn a_database_without_an_engine_is_one_error_for_everybody() {
    let database = Database::create().await;
    let project = Project::on(&database);
    project.flow("f", "", "  a: { handler: { exec: [\"true\"] } }");
    for command in [&["worker"][..], &["worker", "--schedule"], &["runs"]] {
        let missing = project.ends(1, command);
        assert!(missing.contains("error[FS909]") && missing.contains("has no workflow engine"), "{missing}");
    }
}

#[tokio::test]
async fn files_with_errors_are_in_the_way_only_of_those_who_want_them() {
    let (mut scene, project) = applied(ours().await, "  a: { handler: { sql: \"select 1\" } }").await;
    project.write("flows/broken.yaml", "flow: broken\nsteps:\n  a: { depends_on: [nobody] }\n");
    for wanted in [&["worker"][..], &["worker", "broken"], &["worker", "f", "broken"]] {
        let refused = project.ends(4, wanted);
        assert!(refused.contains("FS301") && refused.contains("the flow files have errors"), "{refused}");
    }
    let worker = Running::start(&project, &["f"]);
    let run = scene.start("f", "{}").await;
    assert_eq!(scene.end_of(&run).await.0, "completed");
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("FS301") && said.contains("files with errors are skipped"), "{said}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn programs_end_with_a_worker_that_is_killed() {
    let (mut scene, project) = applied(ours().await, GATED).await;
    let worker = Running::start(&project, &[]);
    scene.start("f", "7").await;
    scene.until(STARTED).await;
    while !project.path("begun").exists() || project.read("begun").is_empty() {
        tokio::task::yield_now().await;
    }
    worker.signal(Signal::KILL);
    assert_eq!(worker.end().0, None);
    super::declared::until_dead(&[project.read("begun").trim().parse().unwrap()]).await;
}

#[tokio::test]
async fn a_workers_role_is_enough() {
    let (mut scene, project) = applied(
        ours().await,
        "  a: { handler: { sql: \"select 1\" } }\n  b: { handler: { exec: [\"true\"] } }\n  c: { when_exhausted: skip, handler: { exec: [\"false\"] } }\n  d: { when_exhausted: skip, handler: { sql: \"select 1 union all select 2\" } }",
    )
    .await;
    let name = scene.text("current_database()").await;
    let prefix = format!("w_{name}");
    project.done(&["install", "--grants", "--role-prefix", &prefix]);
    execute(&mut scene.c, &format!("create role {prefix}_login login; grant {prefix}_worker to {prefix}_login")).await;
    let url = scene.database.url().replace("user=postgres", &format!("user={prefix}_login"));
    assert!(url.contains("_login"));
    let worker = Running::start(&project, &["--database", &url]);
    let run = scene.start("f", "{}").await;
    assert_eq!(scene.end_of(&run).await, ("completed".to_owned(), serde_json::json!({ "a": 1, "b": null })));
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert!(code == Some(0) && !said.contains("permission denied"), "{said}");
    assert_eq!(scene.text("(select count(*) from pgflow.workers where stopped_at is not null)").await, "1");
    execute(&mut scene.c, &format!("drop role {prefix}_login")).await;
}

#[tokio::test]
async fn behind_a_transaction_pooler_it_polls_and_says_so() {
    let (mut scene, project) = applied(
        ours().await,
        "  a: { handler: { sql: \"select jsonb_agg(n) from generate_series(1, 30) n\" } }\n  b: { map: a, handler: { sql: \"select :input\" } }\n  c: { map: b, handler: { exec: [\"cat\"] } }\n  d: { when_exhausted: skip, handler: { exec: [\"false\"] } }\n  e: { when_exhausted: skip, handler: { sql: \"values (1), (2)\" } }",
    )
    .await;
    let Some(pooler) = Pooler::start(&scene.database, "pooler_of_workers").await else { return };
    let worker = Running::start(&project, &["--database", &pooler.url, "--connections", "3"]);
    scene.until("(select count(*) = 1 from pgflow.workers)").await;
    for _ in 0..3 {
        let run = scene.start("f", "{}").await;
        let (status, output) = scene.end_of(&run).await;
        assert_eq!((status.as_str(), output["c"].as_array().map(Vec::len)), ("completed", Some(30)));
    }
    worker.says("polling at least every 3 s: notifications do not arrive, as behind a pooler").await;
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("prepared statement") && !said.contains("connection lost"), "{said}");
    scene.assert_sound().await;
}

#[tokio::test]
async fn it_serves_metrics_where_it_is_told_to_and_refuses_where_it_cannot() {
    let (mut scene, project) = applied(ours().await, "  a: { handler: { sql: \"select 1\" } }").await;
    let name = scene.text("current_database()").await;
    let prefix = format!("m_{name}");
    project.done(&["install", "--grants", "--role-prefix", &prefix]);
    execute(&mut scene.c, &format!("create role {prefix}_login login; grant {prefix}_worker to {prefix}_login")).await;
    let url = scene.database.url().replace("user=postgres", &format!("user={prefix}_login"));
    let worker = Running::start(&project, &["--database", &url, "--metrics", "127.0.0.1:0"]);
    worker.says("/metrics").await;
    let said = worker.said();
    let (_, address) = said.split_once("serving metrics at http://").unwrap();
    let (address, _) = address.split_once("/metrics").unwrap();
    let run = scene.start("f", "{}").await;
    assert_eq!(scene.end_of(&run).await.0, "completed");
    let page = super::metrics::read(address, "/metrics").await;
    // The rights of a worker are enough for everything.
    assert!(page.contains("\nflowsmith_database_up 1\n"), "{page}");
    assert!(page.contains("\nflowsmith_runs_ended_recently{flow=\"f\",outcome=\"completed\"} 1\n"), "{page}");
    let taken = project.ends(1, &["worker", "--metrics", address]);
    assert!(
        taken.contains(&format!("error[FS988]: cannot serve metrics at {address}: ")) && taken.contains("  = help: "),
        "{taken}"
    );
    for wrong in ["9187", ":9187", "localhost", "localhost:99999"] {
        let usage = project.ends(64, &["worker", "--metrics", wrong]);
        assert!(usage.contains("write a host and a port, such as 127.0.0.1:9187"), "{usage}");
    }
    assert_eq!(scene.text("(select count(*) from pgflow.workers)").await, "1");
    worker.signal(Signal::TERM);
    assert_eq!(worker.end().0, Some(0));
    execute(&mut scene.c, &format!("drop role {prefix}_login")).await;
}

#[tokio::test]
async fn a_second_signal_ends_it_also_where_the_server_is_silent() {
    let (mut scene, project) = applied(ours().await, GATED).await;
    let worker = Running::start(&project, &["--connections", "1", "--schedule"]);
    scene.until("(select count(*) = 1 from pgflow.workers)").await;
    scene.start("f", "7").await;
    scene.until(STARTED).await;
    let _silent = Silent::all(&mut scene).await;
    worker.signal(Signal::TERM);
    worker.says("claiming no more tasks").await;
    worker.signal(Signal::TERM);
    worker.says("exiting without unregistering from the database").await;
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
}
