//! `stalled`: every cause is distinguished, and its suggested fix works.

use serde_json::Value;

use super::{RUN, claim, fail, heartbeat, json, shop, start};
use crate::fixture::command::Project;
use crate::fixture::runtime::{run, value};

/// The only finding of the report.
fn finding(project: &Project) -> Value {
    let report = json(project, "stalled", &["stalled", "--for", "0s"]);
    let found = report["stalled"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{report:#}");
    found[0].clone()
}

fn cause(project: &Project) -> String {
    finding(project)["cause"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn queued_task_waits_for_worker_or_flow() {
    let (_database, project, mut c) = shop().await;
    assert!(project.succeeds(&["stalled"]).stdout.contains("None."));
    start(&project, RUN);
    let found = finding(&project);
    assert_eq!((&found["cause"], &found["step"], &found["run_id"]), (&"no-worker".into(), &"load".into(), &RUN.into()));
    assert!(found["detail"].as_str().unwrap().contains("no worker has ever registered"), "{found}");
    assert!(
        found["fix"]
            .as_str()
            .unwrap()
            .contains("flowsmith worker order`, or start your own worker for the queue order_v2"),
        "{found}"
    );
    // By default, only tasks that have waited for a minute are reported.
    assert!(json(&project, "stalled", &["stalled"])["stalled"].as_array().unwrap().is_empty());
    run(&mut c, "update pgmq.q_order_v2 set vt = now() + interval '1 h'").await;
    assert_eq!(cause(&project), "message-hidden", "no start delay is that long");
    run(&mut c, "update pgmq.q_order_v2 set vt = now()").await;
    heartbeat(&mut c, "order_v2").await;
    assert_eq!(cause(&project), "busy");
    assert!(!finding(&project)["detail"].as_str().unwrap().contains("last heartbeat"));
    run(&mut c, "update pgflow.workers set last_heartbeat_at = now() - interval '20 s'").await;
    let late = finding(&project)["detail"].as_str().unwrap().to_owned();
    assert!(late.contains("1 worker is alive, with its last heartbeat 20") && cause(&project) == "busy", "{late}");
    run(&mut c, "update pgflow.workers set deprecated_at = now()").await;
    assert_eq!(cause(&project), "no-worker");
    assert!(finding(&project)["detail"].as_str().unwrap().contains("the last one was deprecated"));
    run(&mut c, "update pgflow.workers set deprecated_at = null, last_heartbeat_at = now() - interval '3 h'").await;
    assert!(finding(&project)["detail"].as_str().unwrap().contains("the last heartbeat was 3h ago"));

    project.succeeds(&["pause", "order"]);
    assert_eq!(
        (&finding(&project)["cause"], &finding(&project)["fix"]),
        (&"paused".into(), &"run `flowsmith resume order@2`".into())
    );
    // `resume` makes messages visible that start_tasks has deferred. They stay deferred if the pause is removed by SQL.
    claim(&mut c, "order_v2").await;
    run(&mut c, "delete from pgflow.paused_flows").await;
    assert_eq!(cause(&project), "parked");
    project.succeeds(&["pause", "order@2"]);
    project.succeeds(&["resume", "order@2"]);
    assert_eq!(cause(&project), "busy");
    let text = project.succeeds(&["stalled", "--for", "0s"]).stdout;
    assert!(
        text.contains("! order@2  step load: 1 task for") && text.contains(&format!("run {RUN}\n      fix: ")),
        "{text}"
    );
}

#[tokio::test]
async fn queued_task_is_delayed_or_has_no_message() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    claim(&mut c, "order_v2").await;
    fail(&mut c, RUN, "load", 0, "no").await;
    let found = finding(&project);
    assert_eq!(
        (&found["cause"], &found["is_expected"], &found["fix"]),
        (&"retrying".into(), &true.into(), &"no action needed".into())
    );
    assert!((100.0..=120.0).contains(&found["moves_in_seconds"].as_f64().unwrap()), "{found}");
    // Deferred manually, for longer than the engine defers messages.
    run(&mut c, "update pgmq.q_order_v2 set vt = now() + interval '1 h'").await;
    let found = finding(&project);
    assert_eq!((&found["cause"], &found["is_expected"]), (&"message-hidden".into(), &false.into()));
    run(&mut c, "update pgmq.q_order_v2 set vt = now()").await;
    // The message was read, but its task was not started.
    run(&mut c, "select pgmq.read('order_v2', 600, 1)").await;
    let found = finding(&project);
    assert_eq!(found["cause"], "message-hidden");
    let (_, sql) = found["fix"].as_str().unwrap().split_once("run: ").unwrap();
    run(&mut c, sql).await;
    assert_eq!(cause(&project), "busy");

    run(&mut c, "delete from pgmq.q_order_v2").await;
    let found = finding(&project);
    assert_eq!(found["cause"], "message-missing");
    let commands: Vec<_> =
        found["fix"].as_str().unwrap().split('`').filter_map(|part| part.strip_prefix("flowsmith ")).collect();
    for command in commands {
        let arguments: Vec<_> = command.split(' ').chain((command.starts_with("cancel")).then_some("--yes")).collect();
        project.succeeds(&arguments);
    }
    assert_eq!(cause(&project), "busy");
    run(&mut c, "drop table pgmq.q_order_v2").await;
    assert_eq!(cause(&project), "queue-missing");
    let lost = project.exits_with(1, &["start", "order@2", "-i", r#"{"id": 7}"#]);
    assert!(lost.contains("the queue of the flow is missing") && lost.contains("compile --from-live"), "{lost}");
}

#[tokio::test]
async fn delayed_task_is_expected() {
    let (_database, project, mut c) = shop().await;
    run(&mut c, "update pgflow.steps set opt_start_delay = 3600").await;
    start(&project, RUN);
    let found = finding(&project);
    assert_eq!((&found["cause"], &found["is_expected"]), (&"delayed".into(), &true.into()));
    assert!(
        project.succeeds(&["stalled", "--for", "0s"]).stdout.contains("its start delay has not elapsed, next in 1h")
    );
}

#[tokio::test]
async fn started_task_timed_out_or_lost_worker() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    claim(&mut c, "order_v2").await;
    let nothing = json(&project, "stalled", &["stalled", "--for", "0s"]);
    assert!(nothing["stalled"].as_array().unwrap().is_empty(), "it is being worked on: {nothing:#}");
    run(&mut c, "update pgflow.workers set last_heartbeat_at = now() - interval '1 min'").await;
    assert_eq!(cause(&project), "worker-gone");
    for time in 1..=4 {
        run(&mut c, "update pgflow.step_tasks set queued_at = queued_at - interval '1 h', started_at = started_at - interval '1 h'").await;
        assert_eq!(cause(&project), "timed-out");
        let output = project.succeeds(&["stalled", "--requeue"]).stderr;
        let requeued = value(&mut c, "select requeued_count from pgflow.step_tasks").await;
        if time <= 3 {
            assert!(output.contains("Requeued 1 task of all flows"), "{output}");
            assert_eq!(requeued, time.to_string());
            assert_eq!(cause(&project), "no-worker");
            claim(&mut c, "order_v2").await;
            run(&mut c, "update pgflow.workers set last_heartbeat_at = now() - interval '1 min'").await;
        }
    }
    assert_eq!(cause(&project), "given-up");
    project.succeeds(&["cancel", RUN, "-y"]);
    project.succeeds(&["retry", RUN]);
    assert_eq!(cause(&project), "no-worker");
}

#[tokio::test]
async fn run_without_open_tasks_is_found() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    run(&mut c, "delete from pgmq.q_order_v2; delete from pgflow.step_tasks").await;
    let found = finding(&project);
    assert_eq!((&found["cause"], &found["step"]), (&"nothing-under-way".into(), &Value::Null));
}

#[tokio::test]
async fn tasks_of_one_cause_are_counted_together() {
    let (_database, project, mut c) = shop().await;
    run(&mut c, "select count(*) from (select pgflow.start_flow('order_v2', '{}') from generate_series(1, 50)) s")
        .await;
    run(&mut c, "update pgmq.q_order_v2 set vt = now() + interval '1 h' where msg_id <= 10").await;
    run(&mut c, "update pgflow.steps set opt_start_delay = 3600 where flow_slug = 'order_v2' and step_slug = 'load'")
        .await;
    let report = json(&project, "stalled", &["stalled", "order", "--for", "0s"]);
    let found: Vec<_> = report["stalled"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stall| (stall["cause"].as_str().unwrap(), stall["tasks"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, [("no-worker", 40), ("delayed", 10)]);
    assert!(
        json(&project, "stalled", &["stalled", "order@1", "--for", "0s"])["stalled"].as_array().unwrap().is_empty()
    );
}
