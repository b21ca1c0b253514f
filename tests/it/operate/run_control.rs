//! `retry`, `cancel`, `pause`, `resume` and `prune`: their effects, reports and confirmations.

use flowsmith_postgres::engine::roles::{Role, RolePrefix};
use serde_json::Value;

use super::{OTHER, RUN, claim, complete, fail, json, refused, shop, start};
use crate::fixture::runtime::{rows, run, value};

const EVENTS: &str = "select kind || ' ' || coalesce(detail ->> 'run_id', detail ->> 'flow_slug', detail ->> 'runs') || coalesce(' ' || (detail ->> 'reason'), '')
    from flowsmith.events where kind <> 'migrated' order by id";

#[tokio::test]
async fn cancelled_run_keeps_reason_and_can_be_retried() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    refused(&project, 5, "FS971", &["Cancel run", "order@2?", "--yes"], &["cancel", "0f8"]);
    assert_eq!(value(&mut c, "select status from pgflow.runs").await, "started");
    let cancelled = json(&project, "run", &["cancel", "0f8", "--yes", "--reason", "ordered \"twice\", it's"]);
    assert_eq!((&cancelled["run"]["status"], &cancelled["run"]["failure"]), (&"cancelled".into(), &Value::Null));
    assert_eq!(cancelled["error"], "ordered \"twice\", it's");
    let list = |filter: &str| json(&project, "runs", &["runs", "--status", filter])["runs"].as_array().unwrap().len();
    assert_eq!((list("cancelled"), list("failed")), (1, 0));
    let stats = json(&project, "stats", &["stats", "order@2"]);
    assert_eq!((&stats["flows"][0]["cancelled"], &stats["flows"][0]["failed"]), (&1.into(), &0.into()));
    let shown = project.succeeds(&["show", RUN]).stdout;
    assert!(shown.contains("cancelled: ordered \"twice\", it's"), "{shown}");
    refused(&project, 5, "FS970", &["is already cancelled"], &["cancel", RUN, "--yes"]);

    let retried = json(&project, "run", &["retry", RUN]);
    assert_eq!((&retried["run"]["status"], &retried["run"]["remaining_steps"]), (&"started".into(), &3.into()));
    refused(&project, 5, "FS970", &["is still running and cannot be retried"], &["retry", RUN]);
    assert_eq!(
        rows(&mut c, EVENTS).await,
        [format!("run-cancelled {RUN} ordered \"twice\", it's"), format!("run-retried {RUN}")]
    );
    // If the run then fails for another reason, it is no longer shown as cancelled.
    claim(&mut c, "order_v2").await;
    run(&mut c, "update pgflow.steps set opt_max_attempts = 1").await;
    fail(&mut c, RUN, "load", 0, "no paper").await;
    let shown = project.succeeds(&["show", RUN]).stdout;
    assert!(shown.contains("failed: step load: no paper") && !shown.contains("cancelled"), "{shown}");
}

/// The time between the failure and the retry does not count, in any command.
#[tokio::test]
async fn durations_count_from_last_retry() {
    let (database, project, mut c) = shop().await;
    let prefix = format!("op_{}", value(&mut c, "left(md5(current_database()), 8)").await);
    project.succeeds(&["install", "--grants", "--role-prefix", &prefix]);
    let group = RolePrefix::new(&prefix).unwrap().name(Role::Worker);
    run(&mut c, &format!("create role {prefix}_login login in role {group}")).await;
    let owner = database.url();
    let worker = owner.replace("user=postgres", &format!("user={prefix}_login"));
    start(&project, RUN);
    project.succeeds(&["cancel", RUN, "-y"]);
    run(&mut c, "set session_replication_role = replica; update pgflow.runs set started_at = now() - interval '3 d', failed_at = now() - interval '2 d'; reset session_replication_role").await;
    // Before the retry, the duration is the time from start to end.
    let show = |url: &str| json(&project, "show", &["show", RUN, "--database", url])["run"].clone();
    let listed = |url: &str| json(&project, "runs", &["runs", "--database", url])["runs"][0].clone();
    assert_eq!((&show(&owner)["seconds"], &show(&owner)["retried_at"]), (&86_400.0.into(), &Value::Null));
    let retried = json(&project, "run", &["retry", RUN])["run"].clone();
    assert!(retried["seconds"].as_f64().unwrap() < 3_600.0 && retried["retried_at"].is_string(), "{retried}");
    assert!(show(&owner)["seconds"].as_f64().unwrap() < 3_600.0);
    for step in ["load", "each", "ship"] {
        claim(&mut c, "order_v2").await;
        complete(&mut c, RUN, step, 0, "[1]").await;
    }
    for url in [&owner, &worker] {
        let (shown, listed) = (show(url), listed(url));
        let stats = json(&project, "stats", &["stats", "order", "--database", url]);
        let counted = stats["flows"].as_array().unwrap().iter().find(|flow| flow["version"] == 2).unwrap()["durations"]
            ["max"]
            .clone();
        assert_eq!((&shown["seconds"], &shown["retried_at"]), (&listed["seconds"], &listed["retried_at"]));
        assert_eq!((&shown["seconds"], &shown["status"]), (&counted, &"completed".into()), "{stats:#}");
        assert!(shown["seconds"].as_f64().unwrap() < 3_600.0 && shown["retried_at"].is_string(), "{shown:#}");
    }
    let output = project.succeeds(&["show", RUN]).stdout;
    assert!(output.contains(", retried ") && output.contains(", ended "), "{output}");
    let events = project.succeeds(&["watch", RUN]).stdout;
    assert!(!events.lines().last().unwrap().contains("3d"), "{events}");
    run(&mut c, &format!("drop role {prefix}_login")).await;
}

#[tokio::test]
async fn retried_run_resumes_at_failed_step() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    claim(&mut c, "order_v2").await;
    complete(&mut c, RUN, "load", 0, "[1]").await;
    project.succeeds(&["cancel", RUN, "-y"]);
    let child = project.start(&["retry", RUN, "--wait"]);
    while value(&mut c, "select status from pgflow.runs").await != "started" {
        tokio::task::yield_now().await;
    }
    for step in ["each", "ship"] {
        claim(&mut c, "order_v2").await;
        complete(&mut c, RUN, step, 0, "1").await;
    }
    let ended = child.wait_with_output().unwrap();
    let output = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{output}");
    assert!(output.contains("2 of 3 steps remaining") && output.contains("run  completed"), "{output}");
    let events = output.lines().filter(|line| line.contains("  ")).collect::<Vec<_>>();
    assert!(
        events[0].ends_with("run  started") && !output.contains("load"),
        "earlier events are not repeated: {output}"
    );
    let clocks: Vec<&str> = events.iter().map(|line| line.split("  ").next().unwrap()).collect();
    assert!(clocks.is_sorted() && clocks.iter().all(|clock| clock.len() == "17:33:55.964".len()), "{output}");
    refused(&project, 5, "FS970", &["has completed and cannot be retried"], &["retry", RUN]);
}

#[tokio::test]
async fn paused_flow_releases_no_task_until_resumed() {
    let (_database, project, mut c) = shop().await;
    let paused = json(&project, "pause", &["pause", "order"]);
    let changed: Vec<_> =
        paused["flows"].as_array().unwrap().iter().map(|flow| (&flow["slug"], &flow["has_changed"])).collect();
    assert_eq!(changed, [(&"order".into(), &true.into()), (&"order_v2".into(), &true.into())]);
    let output = project.succeeds(&["start", "order", "-i", r#"{"id": 7}"#]).stderr;
    assert!(output.contains("note: order@2 is paused") && output.contains("flowsmith resume order"), "{output}");
    assert_eq!(value(&mut c, "select count(*) from pgflow.poll_tasks('order_v2', null)").await, "0");
    assert!(project.succeeds(&["queues"]).stdout.contains("paused"));
    assert_eq!(json(&project, "pause", &["pause", "order@2"])["flows"][0]["has_changed"], false);
    let resumed = json(&project, "pause", &["resume", "order_v2"]);
    assert_eq!((&resumed["flows"][0]["is_paused"], &resumed["flows"][0]["has_changed"]), (&false.into(), &true.into()));
    assert_eq!(value(&mut c, "select count(*) from pgflow.poll_tasks('order_v2', null)").await, "1");
    assert_eq!(rows(&mut c, EVENTS).await, ["flow-paused order", "flow-paused order_v2", "flow-resumed order_v2"]);
    refused(&project, 1, "FS961", &["did you mean `order`?"], &["pause", "oder"]);
}

#[tokio::test]
async fn prune_deletes_only_old_finished_runs() {
    let (_database, project, mut c) = shop().await;
    for id in [RUN, OTHER] {
        start(&project, id);
    }
    project.succeeds(&["start", "order@1"]);
    project.succeeds(&["cancel", RUN, "-y"]);
    run(
        &mut c,
        "update pgflow.runs set started_at = now() - interval '9 d';
         update pgflow.runs set failed_at = now() - interval '8 d' where status = 'failed';
         insert into pgflow.runs (flow_slug, status, input, started_at, completed_at)
           select 'order', 'completed', '{}', now() - interval '9 d', now() - interval '8 d' from generate_series(1, 2500)",
    )
    .await;
    refused(
        &project,
        5,
        "FS971",
        &["Delete 2501 runs with steps, tasks and messages"],
        &["prune", "--older-than", "7d"],
    );
    assert_eq!(project.run(&["prune", "--older-than", "7x"]).code, 64);
    assert_eq!(project.run(&["prune"]).code, 64);
    assert_eq!(json(&project, "prune", &["prune", "--older-than", "30d"])["deleted_runs"], 0);
    let pruned = project.succeeds(&["prune", "order@2", "--older-than", "7d", "--yes"]);
    assert!(pruned.stderr.contains("Deleted 1 run\n"), "{pruned}");
    let pruned = project.succeeds(&["prune", "--older-than", "1w", "--yes"]);
    assert!(
        pruned.stderr.contains("Deleted 1000 of 2500 runs") && pruned.stderr.contains("Deleted 2500 runs"),
        "{pruned}"
    );
    assert_eq!(rows(&mut c, "select flow_slug from pgflow.runs order by 1").await, ["order", "order_v2"]);
    assert_eq!(value(&mut c, "select count(*) from pgmq.a_order_v2").await, "0");
    assert_eq!(
        rows(&mut c, EVENTS).await[1..],
        ["runs-pruned 1", "runs-pruned 1000", "runs-pruned 1000", "runs-pruned 500"]
    );
}

/// Waits until this number of flowsmith's sessions wait for a lock.
async fn wait_for_blocked(c: &mut sqlx::PgConnection, sessions: usize) {
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'flowsmith' and wait_event_type = 'Lock'";
    while value(c, waiting).await != sessions.to_string() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn run_that_ends_during_cancel_is_not_cancelled() {
    let (database, project, mut c) = shop().await;
    start(&project, RUN);
    claim(&mut c, "order_v2").await;
    run(&mut c, "update pgflow.steps set opt_max_attempts = 1").await;
    let mut worker = database.connect().await;
    run(&mut worker, "begin").await;
    fail(&mut worker, RUN, "load", 0, "no paper").await;
    let cancel = project.start(&["cancel", RUN, "--yes"]);
    wait_for_blocked(&mut c, 1).await;
    run(&mut worker, "commit").await;
    let ended = cancel.wait_with_output().unwrap();
    let output = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(5) && output.contains("FS970") && output.contains("has failed"), "{output}");
    assert_eq!(rows(&mut c, EVENTS).await, Vec::<String>::new());
}

#[tokio::test]
async fn second_of_concurrent_retries_is_refused() {
    let (database, project, mut c) = shop().await;
    start(&project, RUN);
    project.succeeds(&["cancel", RUN, "--yes"]);
    let mut holder = database.connect().await;
    run(&mut holder, &format!("begin; select from pgflow.runs where run_id = '{RUN}' for update")).await;
    let both = [project.start(&["retry", RUN]), project.start(&["retry", RUN])];
    wait_for_blocked(&mut c, 2).await;
    run(&mut holder, "commit").await;
    let mut codes: Vec<_> = both.map(|child| child.wait_with_output().unwrap().status.code()).into();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(5)]);
    assert_eq!(rows(&mut c, EVENTS).await, [format!("run-cancelled {RUN}"), format!("run-retried {RUN}")]);
}

#[tokio::test]
async fn run_failing_after_retry_is_not_cancelled() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    project.succeeds(&["cancel", RUN, "--yes", "--reason", "twice"]);
    assert_eq!(json(&project, "show", &["show", RUN])["run"]["cancelled"], "twice");
    project.succeeds(&["retry", RUN]);
    claim(&mut c, "order_v2").await;
    run(&mut c, "update pgflow.steps set opt_max_attempts = 1").await;
    fail(&mut c, RUN, "load", 0, "no paper").await;
    assert_eq!(json(&project, "show", &["show", RUN])["run"]["cancelled"], Value::Null);
}

#[tokio::test]
async fn interrupted_prune_is_recorded() {
    let (_database, project, mut c) = shop().await;
    // The second batch fails.
    run(
        &mut c,
        "insert into pgflow.runs (flow_slug, status, input, started_at, completed_at)
           select 'order', 'completed', '{}', now() - interval '9 d', now() - interval '8 d' from generate_series(1, 1500);
         create function refuse() returns trigger language plpgsql as
           $$ begin if (select count(*) from pgflow.runs) < 100 then raise exception 'cut off'; end if; return null; end $$;
         create trigger refuse after delete on pgflow.runs for each statement execute function refuse()",
    )
    .await;
    assert_eq!(project.run(&["prune", "--older-than", "1d", "--yes"]).code, 1);
    assert_eq!(value(&mut c, "select count(*) from pgflow.runs").await, "500");
    assert_eq!(rows(&mut c, EVENTS).await, ["runs-pruned 1000"]);
}
