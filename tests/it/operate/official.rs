//! Official engines: commands work if the engine supports them, and otherwise fail with an explanation.

use super::{OTHER, RUN, claim, complete, fail, json, refused, shop_on};
use crate::fixture::Database;
use crate::fixture::command::{Project, official_engine, old_official_engine};
use crate::fixture::runtime::{run, value};

async fn with_runs(database: &Database) -> Project {
    let project = shop_on(database);
    let mut c = database.connect().await;
    for id in [RUN, OTHER] {
        project.succeeds(&["start", "order", "-i", r#"{"id": 7}"#, "--run-id", id]);
    }
    for _ in 0..2 {
        run(&mut c, "update pgmq.q_order_v2 set vt = now()").await;
        claim(&mut c, "order_v2").await;
        fail(&mut c, OTHER, "load", 0, "out of paper").await;
    }
    complete(&mut c, RUN, "load", 0, "[1, 2]").await;
    claim(&mut c, "order_v2").await;
    complete(&mut c, RUN, "each", 0, "\"zero\"").await;
    complete(&mut c, RUN, "each", 1, "\"one\"").await;
    claim(&mut c, "order_v2").await;
    project
}

#[tokio::test]
async fn read_commands_work_at_every_level() {
    for database in [official_engine().await, old_official_engine().await] {
        let project = with_runs(&database).await;
        let runs = json(&project, "runs", &["runs"]);
        assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
        let failed = json(&project, "runs", &["runs", "order", "--failed", "--since", "1h"]);
        assert_eq!(failed["runs"][0]["failure"]["error"], "out of paper");
        let shown = json(&project, "show", &["show", RUN]);
        let steps = &shown["run"]["steps"];
        // These levels do not store outputs of steps, so the outputs of tasks are shown.
        assert_eq!(steps[0]["output"], serde_json::json!([1, 2]));
        assert_eq!(steps[1]["output"], serde_json::json!(["zero", "one"]));
        assert_eq!(
            (&steps[1]["input"], &steps[2]["input"]),
            (&steps[0]["output"], &serde_json::json!({"load": [1, 2], "each": ["zero", "one"]}))
        );
        project.succeeds(&["show", RUN]);
        let queues = json(&project, "queues", &["queues", "order@2"]);
        assert_eq!((&queues["queues"][0]["in_flight"], &queues["queues"][0]["workers"]), (&1.into(), &1.into()));
        assert_eq!(json(&project, "workers", &["workers"])["workers"][0]["in_flight"], 1);
        let stats = json(&project, "stats", &["stats", "order@2"]);
        assert_eq!((&stats["flows"][0]["failed"], &stats["flows"][0]["under_way"]), (&1.into(), &1.into()));
        let watching = project.run(&["watch", OTHER]);
        assert!(watching.code == 1 && watching.stdout.contains("load  failed"), "{watching}");
        assert!(
            watching.stderr.contains("polling twice a second, because this engine does not send events"),
            "{watching}"
        );
    }
}

#[tokio::test]
async fn timed_out_task_is_retried_by_suggested_fix() {
    for database in [official_engine().await, old_official_engine().await] {
        let project = with_runs(&database).await;
        let mut c = database.connect().await;
        run(&mut c, "update pgflow.step_tasks set queued_at = queued_at - interval '1 h', started_at = started_at - interval '1 h' where status = 'started'").await;
        let found = json(&project, "stalled", &["stalled"])["stalled"][0].clone();
        assert_eq!((&found["cause"], &found["step"]), (&"timed-out".into(), &"ship".into()));
        let sql = found["fix"].as_str().unwrap().split('`').nth(1).unwrap();
        run(&mut c, sql).await;
        assert_eq!(
            value(
                &mut c,
                &format!("select status from pgflow.step_tasks where run_id = '{RUN}' and step_slug = 'ship'")
            )
            .await,
            "queued"
        );
        assert_eq!(json(&project, "stalled", &["stalled", "--for", "0s"])["stalled"][0]["cause"], "retrying");
    }
}

#[tokio::test]
async fn operations_on_official_engine_are_refused() {
    let database = official_engine().await;
    let project = with_runs(&database).await;
    let ours = "requires flowsmith's engine, but this database has pgflow's";
    for (arguments, what) in [
        (&["cancel", RUN, "--yes"][..], "cancelling a run"),
        (&["retry", OTHER], "retrying a run"),
        (&["pause", "order"], "pausing a flow"),
        (&["resume", "order"], "resuming a flow"),
        (&["prune", "--older-than", "0s", "--yes"], "pruning"),
    ] {
        refused(&project, 1, "FS968", &[what, ours, "docs/operating.md"], arguments);
    }
    refused(&project, 1, "FS968", &["level 0.8.1"], &["stalled", "--requeue"]);
    let mut c = database.connect().await;
    assert_eq!(
        value(&mut c, "select string_agg(status, ' ' order by status) from pgflow.runs").await,
        "failed started"
    );
}
