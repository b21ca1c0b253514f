//! `runs`, `show`, `queues`, `workers` and `stats`: the reports agree with the database.

use std::time::Duration;

use flowsmith_postgres::runs::short_id_length;
use serde_json::Value;
use sqlx::PgConnection;

use super::{OTHER, RUN, claim, complete, fail, json, refused, shop, start};
use crate::fixture::runtime::{run, value};

fn ids(report: &Value) -> Vec<&str> {
    report["runs"].as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn runs_are_listed_by_last_change() {
    let (_database, project, mut c) = shop().await;
    assert!(project.succeeds(&["runs"]).stdout.contains("None."));
    project.succeeds(&["start", "order@1", "--run-id", OTHER]);
    start(&project, RUN);
    assert_eq!(ids(&json(&project, "runs", &["runs"])), [RUN, OTHER]);
    claim(&mut c, "order").await;
    complete(&mut c, OTHER, "load", 0, "1").await;
    assert_eq!(ids(&json(&project, "runs", &["runs"])), [OTHER, RUN]);
    assert_eq!(ids(&json(&project, "runs", &["runs", "order@2"])), [RUN]);
    assert_eq!(ids(&json(&project, "runs", &["runs", "order"])), [OTHER, RUN]);
    assert_eq!(ids(&json(&project, "runs", &["runs", "--status", "started"])), [RUN]);
    assert_eq!(ids(&json(&project, "runs", &["runs", "--status", "completed"])), [OTHER]);
    assert_eq!(ids(&json(&project, "runs", &["runs", "--failed"])), [""; 0]);
    run(
        &mut c,
        "update pgflow.runs set started_at = started_at - interval '2h', completed_at = completed_at - interval '1h'",
    )
    .await;
    // Unfinished runs are listed regardless of their age.
    assert_eq!(ids(&json(&project, "runs", &["runs", "--since", "30m"])), [RUN]);
    let cut = json(&project, "runs", &["runs", "-n", "1"]);
    assert_eq!((ids(&cut).len(), &cut["is_cut"]), (1, &true.into()));
    assert_eq!(project.run(&["runs", "--watch", "--format", "json"]).code, 64);
    let ahead = project.run(&["prune", "--older-than", "-1d"]);
    assert!(ahead.code == 64 && ahead.stderr.contains("without the minus"), "{ahead}");
}

#[tokio::test]
async fn failed_runs_are_listed_with_step_and_error() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    for _ in 0..2 {
        run(&mut c, "update pgmq.q_order_v2 set vt = now()").await;
        claim(&mut c, "order_v2").await;
        fail(&mut c, RUN, "load", 0, E_TEXT).await;
    }
    let report = json(&project, "runs", &["runs", "--failed"]);
    let failure = &report["runs"][0]["failure"];
    assert_eq!((&failure["step"], &failure["error"]), (&"load".into(), &"out of\npaper \u{1b}[31m".into()));
    // Control characters are escaped, so that they cannot affect the terminal.
    let text = project.succeeds(&["runs", "--failed"]).stdout;
    assert!(text.contains("load: out of paper \\u{1b}[31m"), "{text}");
    let shown = project.succeeds(&["show", "0f8"]).stdout;
    assert!(shown.contains("attempt 2 of 2") && shown.contains("error out of\n"), "{shown}");
}

const E_TEXT: &str = "out of\npaper \u{1b}[31m";

#[tokio::test]
async fn older_runs_are_not_hidden() {
    let (_database, project, mut c) = shop().await;
    // More runs than one query reads, all newer than the requested ones.
    run(
        &mut c,
        &format!(
            "insert into pgflow.runs (run_id, flow_slug, status, input, started_at, completed_at)
               select gen_random_uuid(), 'order_v2', 'completed', '{{}}', now() - interval '1 h', now() - n * interval '1 ms' from generate_series(1, 5100) n;
             insert into pgflow.runs (run_id, flow_slug, status, input, started_at, failed_at) values
               ('{RUN}', 'order', 'failed', '{{}}', now() - interval '3 d', now() - interval '2 d'),
               ('{OTHER}', 'order_v2', 'failed', '{{}}', now() - interval '4 d', now() - interval '3 d');
             insert into pgflow.step_states (flow_slug, run_id, step_slug, status, initial_tasks, remaining_tasks, created_at, started_at, failed_at)
               select flow_slug, run_id, 'load', 'failed', 1, 1, started_at, started_at, failed_at from pgflow.runs where status = 'failed'"
        ),
    )
    .await;
    assert_eq!(ids(&json(&project, "runs", &["runs", "order@1"])), [RUN]);
    assert_eq!(ids(&json(&project, "runs", &["runs", "--failed"])), [RUN, OTHER]);
    assert_eq!(ids(&json(&project, "runs", &["runs", "order", "--failed", "--since", "60h"])), [RUN]);
    assert_eq!(ids(&json(&project, "runs", &["runs", "order@2"])).len(), 20);
}

#[tokio::test]
async fn show_has_steps_inputs_and_outputs() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    claim(&mut c, "order_v2").await;
    let long = format!("[1, \"{}\"]", "x".repeat(5_000));
    complete(&mut c, RUN, "load", 0, &long).await;
    claim(&mut c, "order_v2").await;
    complete(&mut c, RUN, "each", 1, "\"one\"").await;

    let report = json(&project, "show", &["show", RUN]);
    let steps = report["run"]["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["load", "each", "ship"]);
    assert_eq!((&report["run"]["input"]["id"], &report["run"]["version"]), (&7.into(), &2.into()));
    assert_eq!((&steps[0]["input"]["id"], steps[0]["output"][1].as_str().unwrap().len()), (&7.into(), 5_000));
    assert_eq!((&steps[1]["kind"], &steps[1]["completed"], &steps[1]["tasks"]), (&"map".into(), &1.into(), &2.into()));
    assert_eq!((&steps[1]["input"], &steps[1]["task_list"][1]["output"]), (&steps[0]["output"], &"one".into()));
    assert_eq!(
        (&steps[2]["status"], &steps[2]["depends_on"]),
        (&"created".into(), &serde_json::json!(["each", "load"]))
    );

    let text = project.succeeds(&["show", "0F8FAD5B"]).stdout;
    assert!(
        text.contains("order@2  started") && text.contains("(5.0 kB)") && !text.contains(&"x".repeat(200)),
        "{text}"
    );
    assert!(text.contains("└─ ▶ each  started  1/2 tasks") && text.contains("1 running"), "{text}");
    assert!(text.contains("└─ ○ ship  created  also after load"), "{text}");
    assert!(project.succeeds(&["show", RUN, "--full"]).stdout.contains(&"x".repeat(5_000)));
}

/// Steps that the end of a run left unfinished are not shown as running, and their durations no longer grow.
#[tokio::test]
async fn unfinished_steps_of_ended_run_are_marked() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    claim(&mut c, "order_v2").await;
    complete(&mut c, RUN, "load", 0, "[1, 2, 3]").await;
    run(&mut c, "select pgflow.start_tasks('order_v2', array(select msg_id from pgmq.read('order_v2', 60, 1)), worker_id) from pgflow.workers").await;
    project.succeeds(&["cancel", RUN, "--yes"]);
    run(&mut c, "update pgflow.runs set started_at = started_at - interval '1 h', failed_at = failed_at - interval '1 min';
        update pgflow.step_tasks set started_at = started_at - interval '10 min', queued_at = queued_at - interval '1 h' where status = 'started';
        update pgflow.step_states set started_at = started_at - interval '10 min', created_at = created_at - interval '1 h' where status = 'started'").await;
    let shown = json(&project, "show", &["show", RUN]);
    let [each, ship] = [&shown["run"]["steps"][1], &shown["run"]["steps"][2]];
    assert_eq!((&each["status"], &ship["status"]), (&"cut-off".into(), &"not-run".into()));
    let counts = ["queued", "started", "unfinished", "not_run"].map(|name| each[name].as_u64().unwrap());
    assert_eq!(counts, [0, 0, 3, 2]);
    let tasks: Vec<_> =
        each["task_list"].as_array().unwrap().iter().map(|task| task["status"].as_str().unwrap()).collect();
    assert_eq!(tasks, ["cut-off", "not-run", "not-run"]);
    for seconds in [&each["seconds"], &each["task_list"][0]["seconds"]] {
        assert!((530.0..=545.0).contains(&seconds.as_f64().unwrap()), "until the run ended: {seconds}");
    }
    let text = project.succeeds(&["show", RUN]).stdout;
    assert!(text.contains("✂ each  cut off  0/3 tasks  9m") && text.contains("1 cut off, 2 not run"), "{text}");
    assert!(text.contains("○ ship  not run"), "{text}");
    let dot = project.succeeds(&["graph", "--run", &RUN[..4], "--format", "dot"]).stdout;
    assert!(dot.contains("cut off, 0 of 3 tasks after 9 min") && dot.contains("not run"), "{dot}");
    assert!(dot.contains("tasks: 1 cut off, 2 not run"), "{dot}");
}

/// Polls until the result is neither 0 nor `not`.
async fn until(c: &mut PgConnection, question: &str, not: &str) -> String {
    let answer = async {
        loop {
            let answer = value(c, question).await;
            if answer != "0" && answer != not {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answer).await.expect("an answer within a minute")
}

/// The server terminates the connection, as it does when it restarts.
#[tokio::test]
async fn live_list_reports_lost_connection_and_reconnects() {
    let (_database, project, mut c) = shop().await;
    let mut child = project.start(&["runs", "--watch"]);
    // The command has queried the runs once, and waits for the next query.
    let looked =
        "select coalesce(max(pid), 0) from pg_stat_activity where datname = current_database() and state = 'idle'
        and application_name = 'flowsmith' and query like '%started as materialized%'";
    let first = until(&mut c, looked, "").await;
    run(&mut c, &format!("select pg_terminate_backend({first})")).await;
    until(&mut c, looked, &first).await;
    child.kill().unwrap();
    let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(printed.contains("Not connected, retrying in 2s; the data below is"), "{printed}");
}

#[tokio::test]
async fn run_id_is_shortened_to_unique_prefix() {
    let (_database, project, _c) = shop().await;
    start(&project, RUN);
    start(&project, OTHER);
    refused(&project, 64, "FS966", &[RUN, OTHER], &["show", "0"]);
    project.succeeds(&["show", "0f"]);
    refused(&project, 1, "FS965", &["there is no run ff in the database ", "@"], &["show", "ff"]);
    assert_eq!(project.run(&["show", "order"]).code, 64);
}

#[tokio::test]
async fn queues_and_workers_are_counted() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    start(&project, OTHER);
    let of = |report: &Value, queue: usize| report["queues"][queue].clone();
    let before = of(&json(&project, "queues", &["queues"]), 1);
    assert_eq!((&before["slug"], &before["waiting"], &before["workers"]), (&"order_v2".into(), &2.into(), &0.into()));
    assert!(project.succeeds(&["queues"]).stdout.contains("no worker is alive"));
    claim(&mut c, "order_v2").await;
    fail(&mut c, OTHER, "load", 0, "no").await;
    let after = of(&json(&project, "queues", &["queues", "order@2"]), 0);
    let counts = ["messages", "waiting", "delayed", "in_flight", "workers"].map(|name| after[name].as_u64().unwrap());
    assert_eq!(counts, [2, 0, 1, 1, 1]);

    let worker = |arguments: &[&str]| json(&project, "workers", arguments)["workers"][0].clone();
    assert_eq!((&worker(&["workers"])["health"], &worker(&["workers"])["in_flight"]), (&"alive".into(), &1.into()));
    run(&mut c, "update pgflow.workers set last_heartbeat_at = now() - interval '1 min'").await;
    assert_eq!(worker(&["workers", "order"])["health"], "silent");
    assert!(json(&project, "workers", &["workers", "order@1"])["workers"].as_array().unwrap().is_empty());
    run(&mut c, "select pgflow.mark_worker_stopped(worker_id) from pgflow.workers; update pgflow.runs set status = 'failed', failed_at = now()").await;
    assert!(json(&project, "workers", &["workers"])["workers"].as_array().unwrap().is_empty());
    run(
        &mut c,
        "update pgflow.workers set last_heartbeat_at = now() - interval '2 h', stopped_at = now() - interval '1 h'",
    )
    .await;
    let none = project.succeeds(&["workers"]).stdout;
    assert!(none.contains("None is running; the last one stopped 1h ago. Pass --all to list it."), "{none}");
    let started = project.succeeds(&["start", "order", "-i", r#"{"id": 7}"#]).stderr;
    assert!(
        started.contains("no worker of order@2 is running: the last one stopped 1h ago; run `flowsmith worker"),
        "{started}"
    );
    assert_eq!(
        (&worker(&["workers", "--all"])["health"], &worker(&["workers", "--all"])["in_flight"]),
        (&"stopped".into(), &0.into())
    );

    // A worker without heartbeats whose flow version was deleted is listed only with --all.
    run(&mut c, "update pgflow.workers set stopped_at = null, last_heartbeat_at = now() - interval '1 min', queue_name = 'gone'").await;
    assert!(json(&project, "workers", &["workers"])["workers"].as_array().unwrap().is_empty());
    assert_eq!(worker(&["workers", "--all"])["queue"], "gone");

    run(&mut c, "drop table pgmq.q_order_v2").await;
    assert!(of(&json(&project, "queues", &["queues", "order@2"]), 0)["messages"].is_null());
    assert!(project.succeeds(&["queues"]).stdout.contains("the queue is missing"));
}

#[tokio::test]
async fn stats_report_durations_of_runs_and_steps() {
    let (_database, project, mut c) = shop().await;
    run(
        &mut c,
        "insert into pgflow.runs (run_id, flow_slug, status, input, started_at, completed_at)
           select md5(n::text)::uuid, 'order', 'completed', '{}', now() - interval '1 h', now() - interval '1 h' + n * interval '1 s' from generate_series(1, 100) n;
         insert into pgflow.step_states (flow_slug, run_id, step_slug, status, remaining_tasks, initial_tasks, created_at, started_at, completed_at)
           select flow_slug, run_id, 'load', 'completed', 0, 1, started_at, started_at, completed_at from pgflow.runs;
         insert into pgflow.runs (flow_slug, status, input, started_at, failed_at) values ('order', 'failed', '{}', now() - interval '2 h', now() - interval '90 min');
         insert into pgflow.step_states (flow_slug, run_id, step_slug, status, initial_tasks, remaining_tasks, created_at, started_at, failed_at)
           select flow_slug, run_id, 'load', 'failed', 1, 1, started_at, started_at, failed_at from pgflow.runs where status = 'failed'",
    )
    .await;
    start(&project, RUN);
    let report = json(&project, "stats", &["stats"]);
    let [old, new] = [&report["flows"][0], &report["flows"][1]];
    assert_eq!((&old["completed"], &old["failed"], &old["under_way"]), (&100.into(), &1.into(), &0.into()));
    assert_eq!((&new["completed"], &new["waiting"], &new["under_way"]), (&0.into(), &1.into(), &1.into()));
    assert!(new["durations"].is_null());
    let durations = ["p50", "p95", "max"].map(|name| old["durations"][name].as_f64().unwrap().round());
    assert_eq!(durations, [51.0, 95.0, 100.0]);
    let steps = json(&project, "stats", &["stats", "order@1"]);
    assert_eq!(steps["flows"][0]["steps"][0]["completed"], 100);
    assert_eq!(json(&project, "stats", &["stats", "--since", "80m"])["flows"][0]["failed"], 0);
    let text = project.succeeds(&["stats", "order"]).stdout;
    assert!(text.contains("1m 35s") && text.contains("STEP"), "{text}");
}

#[tokio::test]
async fn short_ids_are_unique_prefixes() {
    let (_database, project, mut c) = shop().await;
    // The id differs from RUN only in the last four digits.
    let twin = format!("{}0000", &RUN[..RUN.len() - 4]);
    let near = format!("{}0-0000-0000-0000-000000000000", &RUN[..7]);
    start(&project, OTHER);
    start(&project, RUN);
    assert_eq!(short_id_length(&mut c, &[RUN.to_owned(), OTHER.to_owned()]).await.unwrap(), 8);
    start(&project, &near);
    assert_eq!(short_id_length(&mut c, &[RUN.to_owned()]).await.unwrap(), 8);
    start(&project, &twin);
    assert_eq!(short_id_length(&mut c, &[OTHER.to_owned()]).await.unwrap(), 8);
    let length = short_id_length(&mut c, &[OTHER.to_owned(), RUN.to_owned()]).await.unwrap();
    assert_eq!(length, RUN.len() - 3);
    project.succeeds(&["show", &RUN[..length]]);
    assert!(project.succeeds(&["runs"]).stdout.contains(RUN), "ids are not shortened if stdout is not a terminal");
}
