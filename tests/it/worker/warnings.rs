//! What a worker warns of while it works: runs that nobody works on, queues that are gone.

use rustix::process::Signal;

use super::Fixture;
use super::process::Running;
use crate::engine::definitions::execute;
use crate::fixture::command::{Project, official, ours};

/// The flow `f` in this version.
fn version(project: &Project, version: u32) {
    project.flow("f", &format!("version: {version}"), "  a: { handler: { sql: \"select :input\" } }");
}

#[tokio::test]
async fn unserved_runs_of_an_older_version_are_reported() {
    for database in [ours().await, official().await] {
        let (project, older) = (Project::on(&database), Project::on(&database));
        version(&project, 1);
        version(&older, 1);
        project.compile();
        project.done(&["apply"]);
        let mut fixture = Fixture::on(database, "select 1").await;
        let run = fixture.start("f", "1").await;
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
        assert_eq!(fixture.end_of(&run).await.0, "completed");
        let worker = Running::start(&project, &[]);
        let run = fixture.start("f_v2", "2").await;
        assert_eq!(fixture.end_of(&run).await.0, "completed");
        for worker in [draining, worker] {
            worker.signal(Signal::TERM);
            let (code, said) = worker.end();
            assert!(code == Some(0) && !said.contains("no worker serves"), "{said}");
        }
    }
}

#[tokio::test]
async fn served_runs_of_an_older_version_are_not_reported() {
    let database = ours().await;
    let (project, older) = (Project::on(&database), Project::on(&database));
    for project in [&project, &older] {
        project.flow("f", "", "  a: { handler: { exec: \"while [ ! -e go ]; do sleep 0.02; done; echo 1\" } }");
    }
    project.compile();
    project.done(&["apply"]);
    let mut fixture = Fixture::on(database, "select 1").await;
    let run = fixture.start("f", "1").await;
    let draining = Running::start(&older, &[]);
    fixture.until("(select count(*) = 1 from pgflow.step_tasks where status = 'started')").await;
    version(&project, 2);
    project.compile();
    project.done(&["apply"]);
    let worker = Running::start(&project, &[]);
    let new = fixture.start("f_v2", "2").await;
    assert_eq!(fixture.end_of(&new).await.0, "completed");
    older.write("go", "");
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    drop(draining);
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert!(code == Some(0) && !said.contains("no worker serves"), "{said}");
}

#[tokio::test]
async fn dropped_queue_is_reported_once_and_does_not_block_other_flows() {
    let database = ours().await;
    let project = Project::on(&database);
    for flow in ["f", "g"] {
        project.flow(flow, "", "  a: { handler: { sql: \"select :input\" } }");
    }
    project.compile();
    project.done(&["apply"]);
    let mut fixture = Fixture::on(database, "select 1").await;
    let worker = Running::start(&project, &[]);
    worker.says("listening for notifications").await;
    execute(&mut fixture.c, "select pgmq.drop_queue('f'); create table dropped as select clock_timestamp() at").await;
    worker.says("error[FS989]: f: the queue is missing").await;
    worker.says("`flowsmith compile --from-live`").await;
    assert!(project.ends(3, &["drift"]).contains("f: the queue is missing"));
    let run = fixture.start("g", "1").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    // The heart beats for both, and goes on doing so.
    fixture
        .until("(select min(last_heartbeat_at) > (select at + interval '6 seconds' from dropped) from pgflow.workers)")
        .await;
    execute(&mut fixture.c, "select pgmq.create('f')").await;
    worker.says("f: the queue exists again").await;
    let run = fixture.start("f", "1").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    worker.signal(Signal::TERM);
    let (code, said) = worker.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.matches("error[FS989]").count() == 1 && !said.contains("does not exist"), "{said}");
}
