//! Warnings of workers: unserved runs and missing queues.

use rustix::process::Signal;

use super::Fixture;
use super::process::WorkerProcess;
use crate::engine::definitions::execute;
use crate::fixture::command::{Project, flowsmith_engine, official_engine};

/// Writes this version of the flow `f`.
fn version(project: &Project, version: u32) {
    project.flow("f", &format!("version: {version}"), "  a: { handler: { sql: \"select :input\" } }");
}

#[tokio::test]
async fn unserved_runs_of_an_older_version_are_reported() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let (project, older) = (Project::on(&database), Project::on(&database));
        version(&project, 1);
        version(&older, 1);
        project.compile();
        project.succeeds(&["apply"]);
        let mut fixture = Fixture::on(database, "select 1").await;
        let run = fixture.start("f", "1").await;
        version(&project, 2);
        project.compile();
        project.succeeds(&["apply"]);

        let worker = WorkerProcess::start(&project, &[]);
        worker.wait_for_log("f@1: 1 run is still running, and no worker serves this version").await;
        worker.wait_for_log("`flowsmith retire f@1 --wait`").await;
        worker.signal(Signal::TERM);
        assert_eq!(worker.exit().0, Some(0));

        // After a worker with the older file has completed the run, nothing is reported.
        let draining = WorkerProcess::start(&older, &[]);
        assert_eq!(fixture.end_of(&run).await.0, "completed");
        let worker = WorkerProcess::start(&project, &[]);
        let run = fixture.start("f_v2", "2").await;
        assert_eq!(fixture.end_of(&run).await.0, "completed");
        for worker in [draining, worker] {
            worker.signal(Signal::TERM);
            let (code, log) = worker.exit();
            assert!(code == Some(0) && !log.contains("no worker serves"), "{log}");
        }
    }
}

#[tokio::test]
async fn served_runs_of_an_older_version_are_not_reported() {
    let database = flowsmith_engine().await;
    let (project, older) = (Project::on(&database), Project::on(&database));
    for project in [&project, &older] {
        project.flow("f", "", "  a: { handler: { exec: \"while [ ! -e go ]; do sleep 0.02; done; echo 1\" } }");
    }
    project.compile();
    project.succeeds(&["apply"]);
    let mut fixture = Fixture::on(database, "select 1").await;
    let run = fixture.start("f", "1").await;
    let draining = WorkerProcess::start(&older, &[]);
    fixture.until("(select count(*) = 1 from pgflow.step_tasks where status = 'started')").await;
    version(&project, 2);
    project.compile();
    project.succeeds(&["apply"]);
    let worker = WorkerProcess::start(&project, &[]);
    let new = fixture.start("f_v2", "2").await;
    assert_eq!(fixture.end_of(&new).await.0, "completed");
    older.write("go", "");
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    drop(draining);
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert!(code == Some(0) && !log.contains("no worker serves"), "{log}");
}

#[tokio::test]
async fn dropped_queue_is_reported_once_and_does_not_block_other_flows() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    for flow in ["f", "g"] {
        project.flow(flow, "", "  a: { handler: { sql: \"select :input\" } }");
    }
    project.compile();
    project.succeeds(&["apply"]);
    let mut fixture = Fixture::on(database, "select 1").await;
    let worker = WorkerProcess::start(&project, &[]);
    worker.wait_for_log("listening for notifications").await;
    execute(&mut fixture.c, "select pgmq.drop_queue('f'); create table dropped as select clock_timestamp() at").await;
    worker.wait_for_log("error[FS989]: f: the queue is missing").await;
    worker.wait_for_log("`flowsmith compile --from-live`").await;
    assert!(project.exits_with(3, &["drift"]).contains("f: the queue is missing"));
    let run = fixture.start("g", "1").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    // The heartbeat of both flows continues.
    fixture
        .until("(select min(last_heartbeat_at) > (select at + interval '6 seconds' from dropped) from pgflow.workers)")
        .await;
    execute(&mut fixture.c, "select pgmq.create('f')").await;
    worker.wait_for_log("f: the queue exists again").await;
    let run = fixture.start("f", "1").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.matches("error[FS989]").count() == 1 && !log.contains("does not exist"), "{log}");
}
