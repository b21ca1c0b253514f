//! Schedules of a database without pg_cron, run by workers.

use flowsmith_core::diagnostic::Diagnostic as _;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use flowsmith_postgres::database::Target;
use flowsmith_postgres::engine::roles::Role;
use flowsmith_worker::triggers::{MAX_PAUSE, Runner, TriggerEvent, start_due_runs};
use futures_util::future::join_all;
use sqlx::PgConnection;

use super::{Stopped, deploy, order, runs};
use crate::engine::definitions::{execute, text};
use crate::engine::roles::Team;
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine};

/// A flow whose schedule seems to be days old.
async fn scheduled(schedule: &str) -> (Database, Project, PgConnection) {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    order(&project, "", &format!("  - {{ name: tick, cron: \"{schedule}\", input: {{ n: 1 }} }}"));
    deploy(&project);
    let mut c = database.connect().await;
    execute(&mut c, "update flowsmith.triggers set since = since - interval '3 days'").await;
    (database, project, c)
}

#[tokio::test]
async fn latest_missed_time_starts_one_run_with_many_schedulers() {
    let (database, _project, mut c) = scheduled("@hourly").await;
    let calls = join_all((0..8).map(|_| async {
        let mut c = database.connect().await;
        start_due_runs(&mut c).await.unwrap()
    }))
    .await;
    let started: Vec<_> = calls.iter().flat_map(|runs| &runs.started).collect();
    assert!(calls.iter().any(|runs| runs.is_leader) && calls.iter().all(|runs| runs.failed.is_empty()));
    // A full hour may have passed in between.
    let planned: BTreeSet<_> = started.iter().map(|run| run.scheduled_for).collect();
    assert!(planned.len() == started.len() && (1..=2).contains(&started.len()), "{started:?}");
    assert!(started.iter().all(|run| (run.flow.as_str(), run.trigger.as_str()) == ("order", "tick")));
    assert!(runs(&mut c).await.starts_with("order {\"n\": 1}"));
    let recorded = "(select string_agg(distinct (f.planned_at = date_trunc('hour', f.planned_at) and f.fired_at - f.planned_at < interval '61 minutes' and r.run_id is not null)::text, ' ')
        from flowsmith.firings f left join pgflow.runs r using (run_id))";
    assert_eq!(text(&mut c, recorded).await.unwrap(), "true");
    let again = start_due_runs(&mut c).await.unwrap();
    assert!(again.is_leader && again.pause <= MAX_PAUSE, "{again:?}");
}

#[tokio::test]
async fn scheduled_time_starts_one_run_with_two_schedulers() {
    let (database, _project, mut c) = scheduled("1 seconds").await;
    let end = Instant::now() + Duration::from_secs(60);
    let scheduler = async || {
        let mut c = database.connect().await;
        while text(&mut c, "(select count(*) >= 4 from flowsmith.firings)").await.unwrap() == "false" {
            assert!(Instant::now() < end, "no scheduled runs");
            let runs = start_due_runs(&mut c).await.unwrap();
            tokio::time::sleep(runs.pause.min(Duration::from_millis(20))).await;
        }
    };
    tokio::join!(scheduler(), scheduler());
    let counts = "(select concat_ws(' ', (select count(*) from pgflow.runs) = count(*), count(distinct run_id) = count(*), count(distinct planned_at) = count(*)) from flowsmith.firings)";
    assert_eq!(text(&mut c, counts).await.unwrap(), "t t t");
}

#[tokio::test]
async fn killed_scheduler_leaves_the_scheduled_time_to_the_next() {
    let (database, _project, mut c) = scheduled("0 0 * * *").await;
    let mut stopped = Stopped::before_commit(&database, "flowsmith.firings").await;
    let mut dying = database.connect().await;
    let killed = tokio::spawn(async move { start_due_runs(&mut dying).await });
    let pid = stopped.session().await;
    // The killed scheduler holds the lock until its transaction ends.
    let other = start_due_runs(&mut c).await.unwrap();
    assert!(!other.is_leader && other.started.is_empty() && other.pause == MAX_PAUSE);
    stopped.kill(&pid).await;
    assert!(killed.await.unwrap().is_err());
    let end = Instant::now() + Duration::from_secs(20);
    let next = loop {
        let runs = start_due_runs(&mut c).await.unwrap();
        if runs.is_leader {
            break runs;
        }
        assert!(Instant::now() < end, "the lock is still held");
    };
    assert_eq!(next.started.len(), 1);
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "1");
}

#[tokio::test]
async fn new_or_changed_schedule_starts_no_run_for_earlier_times() {
    let (database, project, mut c) = scheduled("0 0 * * *").await;
    assert_eq!(start_due_runs(&mut c).await.unwrap().started.len(), 1);
    order(&project, "", "  - { name: tick, cron: \"0 0 1 * *\" }\n  - { name: new, cron: \"0 0 1 * *\" }");
    deploy(&project);
    assert!(start_due_runs(&mut c).await.unwrap().started.is_empty());
    // A new version of the flow does not change its schedule.
    execute(&mut c, "update flowsmith.triggers set since = since - interval '40 days'; delete from flowsmith.firings")
        .await;
    order(&project, "version: 2", "  - { name: tick, cron: \"0 0 1 * *\" }");
    deploy(&project);
    assert_eq!(start_due_runs(&mut database.connect().await).await.unwrap().started.len(), 1);
    assert!(runs(&mut c).await.contains("order_v2 {}"));
}

#[tokio::test]
async fn failing_flow_does_not_block_others_and_pg_cron_schedules_are_skipped() {
    let (_database, project, mut c) = scheduled("0 0 * * *").await;
    let flow = |slug: &str| {
        format!("flow: {slug}\nsteps: {{ a: {{}} }}\ntriggers:\n  - {{ name: daily, cron: \"@daily\" }}\n")
    };
    for slug in ["broken", "by_cron"] {
        project.write(&format!("flows/{slug}.yaml"), &flow(slug));
    }
    deploy(&project);
    execute(
        &mut c,
        "update flowsmith.triggers set since = since - interval '3 days';
         update flowsmith.triggers set scheduled = true where flow = 'by_cron';
         update flowsmith.flow_versions set flow_slug = 'gone' where flow = 'broken'",
    )
    .await;
    let runs = start_due_runs(&mut c).await.unwrap();
    assert_eq!(runs.started.iter().map(|run| run.flow.as_str()).collect::<Vec<_>>(), ["order"]);
    let [failed] = runs.failed.as_slice() else { panic!("{runs:?}") };
    assert_eq!(
        (failed.flow.as_str(), failed.trigger.as_str(), failed.error.code().as_str()),
        ("broken", "daily", "FS912")
    );
    assert!(failed.error.to_string().contains("gone"), "{}", failed.error);
    // The failed run is retried.
    execute(&mut c, "update flowsmith.flow_versions set flow_slug = 'broken' where flow = 'broken'").await;
    assert_eq!(start_due_runs(&mut c).await.unwrap().started[0].flow, "broken");
}

#[tokio::test]
async fn worker_role_can_run_schedules() {
    let team = Team::new().await;
    let project = team.project();
    order(&project, "", "  - { name: tick, cron: \"@daily\" }");
    deploy(&project);
    let mut c = team.database.connect().await;
    execute(&mut c, "update flowsmith.triggers set since = since - interval '3 days'").await;
    execute(&mut c, "insert into flowsmith.firings values ('order', 'tick', now() - interval '40 days'), ('order', 'tick', now() - interval '39 days')").await;
    let mut worker = team.session(Role::Worker).await;
    assert_eq!(start_due_runs(&mut worker).await.unwrap().started.len(), 1);
    assert_eq!(text(&mut c, "(select count(*) from flowsmith.firings)").await.unwrap(), "1");
}

#[tokio::test]
async fn rejected_schedules_do_not_block_queues() {
    let (database, project, mut c) = scheduled("@hourly").await;
    order(&project, "", "  - { name: imported, queue: \"pgmq:imports\" }");
    deploy(&project);
    execute(&mut c, "alter table flowsmith.firings rename to firings_gone; select pgmq.create('imports'); select pgmq.send('imports', '7')").await;
    let (rejections, rejected) = std::sync::mpsc::channel();
    let observe = move |event: &TriggerEvent| {
        if let TriggerEvent::Rejected { operation, .. } = event {
            let _ = rejections.send(operation.clone());
        }
    };
    let runner = Runner::connect(&Target::new(database.options()), Duration::from_millis(50), observe).await.unwrap();
    let started = async {
        let end = Instant::now() + Duration::from_secs(60);
        while runs(&mut c).await != "order 7" {
            assert!(Instant::now() < end, "the queue is not consumed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    runner.run(started).await;
    assert_eq!(rejected.try_recv().unwrap(), "cannot run schedules");
}
