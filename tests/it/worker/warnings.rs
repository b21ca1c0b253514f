//! What a worker warns of while it works: runs that nobody works on, queues that are gone.

use rustix::process::Signal;

use super::Scene;
use super::process::Running;
use crate::engine::definitions::execute;
use crate::fixture::command::{Project, official, ours};

/// The flow `f` in this version.
fn version(project: &Project, version: u32) {
    project.flow("f", &format!("version: {version}"), "  a: { handler: { sql: \"select :input\" } }");
}

#[tokio::test]
async fn runs_of_an_older_version_that_no_worker_has_are_told_of() {
    for database in [ours().await, official().await] {
        let (project, older) = (Project::on(&database), Project::on(&database));
        version(&project, 1);
        version(&older, 1);
        project.compile();
        project.done(&["apply"]);
        let mut scene = Scene::on(database, "select 1").await;
        let run = scene.start("f", "1").await;
        version(&project, 2);
        project.compile();
        project.done(&["apply"]);

        let worker = Running::start(&project, &[]);
        worker.says("f@1: 1 run is still running, and no worker serves this version").await;
        worker.says("`flowsmith retire f@1 --wait`").await;
        worker.signal(Signal::TERM);
        assert_eq!(worker.end().0, Some(0));

        // One with the older file does it, and then there is nothing to tell of.
        let draining = Running::start(&older, &[]);
        assert_eq!(scene.end_of(&run).await.0, "completed");
        let worker = Running::start(&project, &[]);
        let run = scene.start("f_v2", "2").await;
        assert_eq!(scene.end_of(&run).await.0, "completed");
        for worker in [draining, worker] {
            worker.signal(Signal::TERM);
            let (code, said) = worker.end();
            assert!(code == Some(0) && !said.contains("no worker serves"), "{said}");
        }
    }
}

#[tokio::test]
async fn runs_of_an_older_version_that_another_worker_has_are_not_told_of() {
    let database = ours().await;
    let (project, older) = (Project::on(&database), Project::on(&database));
    for project in [&project, &older] {
        project.flow("f", "", "  a: { handler: { exec: \"while [ ! -e go ]; do sleep 0.02; done; echo 1\" } }");
    }
    project.compile();
    project.done(&["apply"]);
    let mut scene = Scene::on(database, "select 1").await;
    let run = scene.start("f", "1").await;
    let draining = Running::start(&older, &[]);
    scene.until("(select count(*) = 1 from pgflow.step_tasks where status = 'started')").await;
    version(&project, 2);
    project.compile();
    project.done(&["apply"]);
    let worker = Running::start(&project, &[]);
    let new = scene.start("f_v2", "2").await;
    assert_eq!(scene.end_of(&new).await.0, "completed");
    older.write("go", "");
    assert_eq!(scene.end_of(&run).await.0, "completed");
    drop(draining);
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert!(code == Some(0) && !said.contains("no worker serves"), "{said}");
}

#[tokio::test]
async fn a_queue_that_is_dropped_is_told_of_once_and_keeps_nothing_else_from_work() {
    let database = ours().await;
    let project = Project::on(&database);
    for flow in ["f", "g"] {
        project.flow(flow, "", "  a: { handler: { sql: \"select :input\" } }");
    }
    project.compile();
    project.done(&["apply"]);
    let mut scene = Scene::on(database, "select 1").await;
    let worker = Running::start(&project, &[]);
    worker.says("listening for notifications").await;
    execute(&mut scene.c, "select pgmq.drop_queue('f'); create table dropped as select clock_timestamp() at").await;
    worker.says("error[FS989]: f: the queue is missing").await;
    worker.says("`flowsmith compile --from-live`").await;
    assert!(project.ends(3, &["drift"]).contains("f: the queue is missing"));
    let run = scene.start("g", "1").await;
    assert_eq!(scene.end_of(&run).await.0, "completed");
    // The heart beats for both, and goes on doing so.
    scene
        .until("(select min(last_heartbeat_at) > (select at + interval '6 seconds' from dropped) from pgflow.workers)")
        .await;
    execute(&mut scene.c, "select pgmq.create('f')").await;
    worker.says("f: the queue exists again").await;
    let run = scene.start("f", "1").await;
    assert_eq!(scene.end_of(&run).await.0, "completed");
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.matches("error[FS989]").count() == 1 && !said.contains("does not exist"), "{said}");
}
