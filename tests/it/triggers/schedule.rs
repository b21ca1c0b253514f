//! Schedules of a database without pg_cron, as a worker runs them.

use flowsmith_core::diagnostic::Diagnostic as _;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use flowsmith_postgres::database::Target;
use flowsmith_postgres::engine::roles::Role;
use flowsmith_worker::triggers::runner::{Event, Starter};
use flowsmith_worker::triggers::schedules::{LONGEST_PAUSE, fire_due};
use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};

use super::{deploy, order, runs};
use crate::engine::definitions::{execute, text};
use crate::engine::roles::Team;
use crate::fixture::Database;
use crate::fixture::command::{Project, ours};

/// A flow with this schedule, which it seems to have had for days.
async fn scheduled(schedule: &str) -> (Database, Project, PgConnection) {
    let database = ours().await;
    let project = Project::on(&database);
    order(&project, "", &format!("  - {{ name: tick, cron: \"{schedule}\", input: {{ n: 1 }} }}"));
    deploy(&project);
    let mut c = database.connect().await;
    execute(&mut c, "update flowsmith.triggers set since = since - interval '3 days'").await;
    (database, project, c)
}

#[tokio::test]
async fn the_latest_missed_firing_is_started_once_whoever_looks() {
    let (database, _project, mut c) = scheduled("@hourly").await;
    let looks = join_all((0..8).map(|_| async {
        let mut c = database.connect().await;
        fire_due(&mut c).await.unwrap()
    }))
    .await;
    let fired: Vec<_> = looks.iter().flat_map(|tick| &tick.fired).collect();
    assert!(looks.iter().any(|tick| tick.leads) && looks.iter().all(|tick| tick.failed.is_empty()));
    // A full hour may have struck meanwhile.
    let planned: BTreeSet<_> = fired.iter().map(|firing| firing.planned_at).collect();
    assert!(planned.len() == fired.len() && (1..=2).contains(&fired.len()), "{fired:?}");
    assert!(fired.iter().all(|firing| (firing.flow.as_str(), firing.trigger.as_str()) == ("order", "tick")));
    assert!(runs(&mut c).await.starts_with("order {\"n\": 1}"));
    let recorded = "(select string_agg(distinct (f.planned_at = date_trunc('hour', f.planned_at) and f.fired_at - f.planned_at < interval '61 minutes' and r.run_id is not null)::text, ' ')
        from flowsmith.firings f left join pgflow.runs r using (run_id))";
    assert_eq!(text(&mut c, recorded).await.unwrap(), "true");
    let again = fire_due(&mut c).await.unwrap();
    assert!(again.leads && again.pause <= LONGEST_PAUSE, "{again:?}");
}

#[tokio::test]
async fn every_firing_is_started_once_by_two_schedulers() {
    let (database, _project, mut c) = scheduled("1 seconds").await;
    let end = Instant::now() + Duration::from_secs(60);
    let scheduler = async || {
        let mut c = database.connect().await;
        while text(&mut c, "(select count(*) >= 4 from flowsmith.firings)").await.unwrap() == "false" {
            assert!(Instant::now() < end, "no firings");
            let tick = fire_due(&mut c).await.unwrap();
            tokio::time::sleep(tick.pause.min(Duration::from_millis(20))).await;
        }
    };
    tokio::join!(scheduler(), scheduler());
    let counts = "(select concat_ws(' ', (select count(*) from pgflow.runs) = count(*), count(distinct run_id) = count(*), count(distinct planned_at) = count(*)) from flowsmith.firings)";
    assert_eq!(text(&mut c, counts).await.unwrap(), "t t t");
}

#[tokio::test]
async fn a_scheduler_that_dies_on_the_way_leaves_the_firing_to_the_next() {
    let (database, _project, mut c) = scheduled("0 0 * * *").await;
    let mut dying = database.connect().await;
    let mut transaction = dying.begin().await.unwrap();
    assert_eq!(fire_due(&mut transaction).await.unwrap().fired.len(), 1);
    // It holds the lock until its transaction ends.
    let other = fire_due(&mut c).await.unwrap();
    assert!(!other.leads && other.fired.is_empty() && other.pause == LONGEST_PAUSE);
    execute(
        &mut c,
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
    )
    .await;
    let end = Instant::now() + Duration::from_secs(20);
    let next = loop {
        let tick = fire_due(&mut c).await.unwrap();
        if tick.leads {
            break tick;
        }
        assert!(Instant::now() < end, "the lock is still held");
    };
    assert_eq!(next.fired.len(), 1);
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "1");
}

#[tokio::test]
async fn a_schedule_that_is_new_or_changed_has_no_firings_before_that() {
    let (database, project, mut c) = scheduled("0 0 * * *").await;
    assert_eq!(fire_due(&mut c).await.unwrap().fired.len(), 1);
    order(&project, "", "  - { name: tick, cron: \"0 0 1 * *\" }\n  - { name: new, cron: \"0 0 1 * *\" }");
    deploy(&project);
    assert!(fire_due(&mut c).await.unwrap().fired.is_empty());
    // Nor has one whose flow only got a new version.
    execute(&mut c, "update flowsmith.triggers set since = since - interval '40 days'; delete from flowsmith.firings")
        .await;
    order(&project, "version: 2", "  - { name: tick, cron: \"0 0 1 * *\" }");
    deploy(&project);
    assert_eq!(fire_due(&mut database.connect().await).await.unwrap().fired.len(), 1);
    assert!(runs(&mut c).await.contains("order_v2 {}"));
}

#[tokio::test]
async fn one_that_cannot_be_started_takes_no_other_along_and_what_pg_cron_runs_is_left_to_it() {
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
         update flowsmith.flow_versions set state = 'retired' where flow = 'broken'",
    )
    .await;
    let tick = fire_due(&mut c).await.unwrap();
    assert_eq!(tick.fired.iter().map(|firing| firing.flow.as_str()).collect::<Vec<_>>(), ["order"]);
    let [failed] = tick.failed.as_slice() else { panic!("{tick:?}") };
    assert_eq!(
        (failed.flow.as_str(), failed.trigger.as_str(), failed.error.code().as_str()),
        ("broken", "daily", "FS910")
    );
    assert!(failed.error.to_string().contains("no current version"), "{}", failed.error);
    // It is tried again, and started when it can be.
    execute(&mut c, "update flowsmith.flow_versions set state = 'current' where flow = 'broken'").await;
    assert_eq!(fire_due(&mut c).await.unwrap().fired[0].flow, "broken");
}

#[tokio::test]
async fn a_worker_has_the_rights_that_schedules_need() {
    let team = Team::new().await;
    let project = team.project();
    order(&project, "", "  - { name: tick, cron: \"@daily\" }");
    deploy(&project);
    let mut c = team.database.connect().await;
    execute(&mut c, "update flowsmith.triggers set since = since - interval '3 days'").await;
    execute(&mut c, "insert into flowsmith.firings values ('order', 'tick', now() - interval '40 days'), ('order', 'tick', now() - interval '39 days')").await;
    let mut worker = team.session(Role::Worker).await;
    assert_eq!(fire_due(&mut worker).await.unwrap().fired.len(), 1);
    assert_eq!(text(&mut c, "(select count(*) from flowsmith.firings)").await.unwrap(), "1");
}

#[tokio::test]
async fn schedules_that_are_refused_keep_no_queue_from_its_turn() {
    let (database, project, mut c) = scheduled("@hourly").await;
    order(&project, "", "  - { name: imported, queue: \"pgmq:imports\" }");
    deploy(&project);
    execute(&mut c, "alter table flowsmith.firings rename to firings_gone; select pgmq.create('imports'); select pgmq.send('imports', '7')").await;
    let (refusals, refused) = std::sync::mpsc::channel();
    let observe = move |event: &Event| {
        if let Event::Refused { what, .. } = event {
            let _ = refusals.send(what.clone());
        }
    };
    let starter = Starter::connect(&Target::new(database.options()), Duration::from_millis(50), observe).await.unwrap();
    let started = async {
        let end = Instant::now() + Duration::from_secs(60);
        while runs(&mut c).await != "order 7" {
            assert!(Instant::now() < end, "the queue has no turn");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    starter.run(started).await;
    assert_eq!(refused.try_recv().unwrap(), "cannot run schedules");
}
