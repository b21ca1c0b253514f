//! `retire`: deletes an old version without unfinished runs; afterwards, files, ledger and database agree.

use serde_json::Value;

use super::{OTHER, RUN, claim, complete, json, refused, shop, shop_on, start};
use crate::fixture::command::{Project, official_engine};
use crate::fixture::runtime::{run, value};

fn listed(project: &Project) -> Value {
    let report = json(project, "retire", &["retire"]);
    report["versions"][0].clone()
}

/// Asserts that the flow, its queue and its recorded version are deleted, and that nothing has drifted.
async fn assert_deleted(project: &Project, c: &mut sqlx::PgConnection) {
    assert_eq!(value(c, "to_regclass('pgmq.q_order')").await, "∅");
    assert_eq!(value(c, "select string_agg(flow_slug, ' ') from pgflow.flows").await, "order_v2");
    assert_eq!(value(c, "select string_agg(flow_slug, ' ') from flowsmith.flow_versions").await, "order_v2");
    for command in [&["drift"][..], &["status"], &["plan"], &["compile", "--check"]] {
        project.succeeds(command);
    }
    assert!(listed(project).is_null());
}

#[tokio::test]
async fn drained_version_is_deleted_with_its_runs() {
    let (_database, project, mut c) = shop().await;
    start(&project, OTHER);
    project.succeeds(&["start", "order@1", "--run-id", RUN]);
    let version = listed(&project);
    assert_eq!(
        (&version["slug"], &version["state"], &version["under_way"]),
        (&"order".into(), &"draining".into(), &1.into())
    );
    assert_eq!(version["is_drained"], false);
    refused(&project, 5, "FS974", &["order@1 has 1 running run and 1 message"], &["retire", "order@1", "--yes"]);
    let late = project.run(&["retire", "order", "--yes", "--wait", "--timeout", "100ms"]);
    assert!(
        late.code == 5
            && late.stderr.contains("Waiting until order@1 has no running runs and no messages")
            && late.stderr.contains("0s  order@1 has 1 running run and 1 message, but no live worker")
            && late.stderr.contains("run `flowsmith worker order@1` in a checkout of the commit that has this version"),
        "{late}"
    );

    claim(&mut c, "order").await;
    complete(&mut c, RUN, "load", 0, "1").await;
    run(
        &mut c,
        "insert into pgflow.runs (flow_slug, status, input, started_at, completed_at)
           select 'order', 'completed', '{}', now(), now() from generate_series(1, 1500)",
    )
    .await;
    assert!(project.succeeds(&["retire"]).stdout.contains("flowsmith retire order@1"));
    refused(&project, 5, "FS971", &["Delete order@1 with 1501 runs"], &["retire", "order@1"]);
    let report = json(&project, "retire", &["retire", "order@1", "--yes"]);
    assert_eq!(report["deleted"], serde_json::json!(["order@1"]));
    assert_deleted(&project, &mut c).await;
    assert_eq!(value(&mut c, "select string_agg(run_id::text, ' ') from pgflow.runs").await, OTHER);
}

#[tokio::test]
async fn retire_waits_for_last_run() {
    let (_database, project, mut c) = shop().await;
    project.succeeds(&["start", "order@1", "--run-id", RUN]);
    let waiting = project.start(&["retire", "order@1", "--wait", "-y"]);
    claim(&mut c, "order").await;
    complete(&mut c, RUN, "load", 0, "1").await;
    let ended = waiting.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_deleted(&project, &mut c).await;
}

#[tokio::test]
async fn current_defined_unknown_and_pending_versions_stay() {
    let (_database, project, mut c) = shop().await;
    refused(&project, 5, "FS977", &["order@2 is current"], &["retire", "order@2", "--yes"]);
    refused(&project, 1, "FS961", &["did you mean"], &["retire", "ordre", "--yes"]);
    run(&mut c, "select pgflow.create_flow('by_hand')").await;
    refused(&project, 5, "FS977", &["by_hand@1 is unmanaged"], &["retire", "by_hand", "--yes"]);
    project.flow("signup", "", "  ask: {}");
    project.compile();
    refused(&project, 5, "FS976", &["add_signup"], &["retire", "order@1", "--yes"]);
    project.succeeds(&["apply"]);
    // A version in the flow files cannot be retired.
    project.write("flows/order_1.yaml", "flow: order\nsteps: { load: {} }\n");
    refused(&project, 5, "FS813", &["cannot delete order@1: it is in the flow files"], &["retire", "order@1", "--yes"]);
    assert_eq!(value(&mut c, "select count(*) from pgflow.flows").await, "4");
}

#[tokio::test]
async fn retire_works_on_official_engine() {
    let database = official_engine().await;
    let project = shop_on(&database);
    project.succeeds(&["retire", "order", "--yes"]);
    assert_deleted(&project, &mut database.connect().await).await;
}

#[tokio::test]
async fn drift_blocks_retire_and_interrupted_retire_is_continued() {
    let (_database, project, mut c) = shop().await;
    project.flow("other", "", "  ask: {}");
    project.compile();
    project.succeeds(&["apply"]);
    project.succeeds(&["start", "order@1", "--run-id", RUN]);
    claim(&mut c, "order").await;
    complete(&mut c, RUN, "load", 0, "1").await;
    let files = || std::fs::read_dir(project.path("migrations")).unwrap().count();
    let there = files();
    run(&mut c, "update pgflow.flows set opt_timeout = 77 where flow_slug = 'other'").await;
    let drifted = project.run(&["retire", "order@1", "--yes"]);
    assert!(drifted.code == 3 && drifted.stderr.contains("FS914"), "{drifted}");
    assert_eq!((value(&mut c, "select count(*) from pgflow.runs").await.as_str(), files()), ("1", there));
    run(&mut c, "update pgflow.flows set opt_timeout = 60 where flow_slug = 'other'").await;

    // The migration is written but fails; the next `retire` applies it instead of writing another one.
    run(
        &mut c,
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
         create trigger refuse before delete on pgflow.flows for each row execute function refuse()",
    )
    .await;
    assert_eq!(project.run(&["retire", "order@1", "--yes"]).code, 1);
    assert_eq!(files(), there + 1);
    run(&mut c, "drop trigger refuse on pgflow.flows").await;
    project.succeeds(&["retire", "order@1", "--yes"]);
    assert_eq!(files(), there + 1);
    assert_eq!(value(&mut c, "to_regclass('pgmq.q_order')").await, "∅");
    project.succeeds(&["drift"]);
}
