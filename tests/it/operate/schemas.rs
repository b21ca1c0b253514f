//! Reports with every value that the schemas allow are valid.

use flowsmith::report::operate::{
    ended_json, event_json, event_text, old_versions_json, old_versions_text, run_json, runs_json, stalled_json,
    started_json, workers_json,
};
use flowsmith::report::{Subject, TextLayout};
use flowsmith_core::catalog::State;
use flowsmith_core::level::Level;
use flowsmith_postgres::engine::detect::EngineKind;
use flowsmith_postgres::runs::{
    Engine, OldVersion, RunDetail, RunEvent, RunEventKind, RunList, RunSummary, StalledTasks, Worker,
};
use serde_json::{Value, from_value, json};

use crate::shared::schemas::assert_fits;

fn subject() -> Subject {
    Subject { database: "app@localhost:5432/app".to_owned(), engine: "engine 0.14, flowsmith's".to_owned() }
}

fn summary(status: &str) -> RunSummary {
    from_value(json!({
        "run_id": super::RUN, "flow": "order", "version": 2, "slug": "order_v2", "status": status,
        "started_at": "2026-11-21T12:00:00+00:00", "ended_at": null, "seconds": 1.5, "steps": 2, "remaining_steps": 1,
        "failure": if status == "failed" { json!({"step": "load", "error": "no"}) } else { Value::Null },
    }))
    .unwrap()
}

fn detail(kind: &str, step: &str, task: &str) -> RunDetail {
    let value = json!({"part": {"text": "{\"a\": 1}", "bytes": 8}});
    let task = json!({
        "index": 0, "status": task, "attempts": 1, "error": null, "worker_id": null, "output": value,
        "queued_at": "2026-11-21T12:00:00+00:00", "started_at": null, "ended_at": null, "seconds": null,
    });
    let mut of_step = json!({
        "step": "load", "kind": kind, "depends_on": ["a"], "status": step, "attempts": 1, "max_attempts": 3,
        "input": value, "output": value, "task_list": [task], "tasks": 1,
    });
    for name in ["queued", "started", "completed", "failed", "unfinished", "not_run"] {
        of_step[name] = 0.into();
    }
    from_value(json!({
        "run_id": super::RUN, "flow": "order", "version": 2, "slug": "order_v2", "status": "started", "seconds": 1.5,
        "read_at": "2026-11-21T12:00:02+00:00", "started_at": "2026-11-21T12:00:00+00:00", "input": value, "steps": [of_step],
    }))
    .unwrap()
}

#[test]
fn runs_fit_their_schemas() {
    let runs = ["started", "completed", "failed", "cancelled"].map(summary);
    let mut documents = runs.clone().map(|run| started_json(&run, &subject())).to_vec();
    documents.push(ended_json(&detail("map", "created", "queued"), &subject()));
    assert_fits("run.v1.json", &documents);
    let lists = [RunList { runs: runs.to_vec(), is_cut: true }, RunList::default()];
    assert_fits("runs.v1.json", &lists.map(|list| runs_json(&list, &subject())));
    let mut details = vec![detail("map", "created", "queued"), detail("single", "started", "started")];
    details.extend([
        detail("map", "completed", "completed"),
        detail("map", "failed", "failed"),
        detail("map", "skipped", "failed"),
        detail("map", "not-run", "not-run"),
        detail("map", "cut-off", "cut-off"),
    ]);
    for (run, status) in details.iter_mut().zip(["completed", "failed", "cancelled"]) {
        run.status = from_value(json!(status)).unwrap();
    }
    assert_fits("show.v1.json", &details.iter().map(|run| run_json(run, &subject())).collect::<Vec<_>>());
}

#[test]
fn events_fit_their_schema() {
    use flowsmith_postgres::runs::RunEventKind::{
        RunCancelled, RunCompleted, RunFailed, RunStarted, StepCompleted, StepFailed, StepProgress, StepRetrying,
        StepSkipped, StepStarted,
    };
    let run = detail("map", "started", "started");
    let kinds = [
        RunStarted,
        RunCompleted,
        RunFailed,
        RunCancelled,
        StepStarted,
        StepProgress,
        StepRetrying,
        StepCompleted,
        StepFailed,
        StepSkipped,
    ];
    let lines = kinds.map(|event| {
        let event = RunEvent {
            at: None,
            event,
            step: Some("load".to_owned()),
            seconds: Some(1.0),
            completed_tasks: Some(1),
            tasks: None,
            attempts: Some(2),
            reason: Some("no".to_owned()),
        };
        event_json(&run, &event)
    });
    assert_fits("watch.v1.json", &lines);
}

#[test]
fn event_lines_have_time_and_text() {
    let run = detail("single", "started", "started");
    let line = |event, reason: &str| {
        let reason = Some(reason.to_owned());
        let step = Some("load".to_owned());
        let event = RunEvent {
            at: None,
            event,
            step,
            seconds: None,
            completed_tasks: None,
            tasks: None,
            attempts: Some(1),
            reason,
        };
        anstream::adapter::strip_str(&event_text(&run, &event, TextLayout::UNLIMITED)).to_string()
    };
    // The line begins with the time at which the event was observed.
    let retrying = line(RunEventKind::StepRetrying, "column a_b is missing");
    assert_eq!(retrying, "12:00:02.000  load  retrying  attempt 1  column a_b is missing\n");
    let skipped = line(RunEventKind::StepSkipped, "condition_unmet");
    assert_eq!(skipped, "12:00:02.000  load  skipped  condition unmet\n");
}

#[test]
fn drained_versions_align_with_heading() {
    let version = OldVersion {
        slug: "order".to_owned(),
        flow: "order".to_owned(),
        version: 1,
        state: State::Draining,
        under_way: 0,
        ended: 2,
        messages: Some(0),
        workers: 0,
        is_drained: true,
    };
    let text =
        anstream::adapter::strip_str(&old_versions_text(&[version], &subject(), TextLayout::UNLIMITED)).to_string();
    let mut rows = text.lines().skip(2).map(str::trim_end);
    let (head, row) = (rows.next().unwrap(), rows.next().unwrap());
    assert!(head.ends_with("DRAINED") && row[head.find("DRAINED").unwrap()..].starts_with("yes"), "{text}");
}

#[test]
fn old_versions_fit_their_schema() {
    let versions = [State::Draining, State::Retired].map(|state| OldVersion {
        slug: "order".to_owned(),
        flow: "order".to_owned(),
        version: 1,
        state,
        under_way: 1,
        ended: 2,
        messages: (state == State::Draining).then_some(3),
        workers: 0,
        is_drained: false,
    });
    assert_fits("retire.v1.json", &[old_versions_json(&versions, &["order@1".to_owned()], &subject())]);
}

#[test]
fn workers_and_stalls_fit_their_schemas() {
    let worker = |health: &str| -> Worker {
        from_value(json!({
            "worker_id": super::WORKER, "queue": "order", "function": "shop", "health": health, "started_at": "2026-11-21T12:00:00+00:00",
            "last_heartbeat_at": "2026-11-21T12:00:00+00:00", "silent_seconds": 1.0, "in_flight": 2,
        }))
        .unwrap()
    };
    let workers = ["alive", "deprecated", "silent", "stopped"].map(worker);
    assert_fits("workers.v1.json", &[workers_json(&workers, &subject())]);
    let stall = |cause: &str| -> StalledTasks {
        from_value(json!({
            "slug": "order_v2", "flow": "order", "version": 2, "state": "draining", "step": "load", "cause": cause, "tasks": 2, "seconds": 90.0,
            "moves_in_seconds": 3.0, "run_id": super::RUN, "task_index": 0, "message_id": 7, "timeout": 60, "workers": 1,
            "heartbeat_seconds": 3.0, "last_worker": "silent",
        }))
        .unwrap()
    };
    let causes = [
        "no-worker",
        "busy",
        "paused",
        "parked",
        "delayed",
        "retrying",
        "message-hidden",
        "message-missing",
        "queue-missing",
        "timed-out",
        "given-up",
        "worker-gone",
        "nothing-under-way",
    ];
    let stalls: Vec<StalledTasks> = causes.into_iter().map(stall).collect();
    let engines = [(Level::V0_14, EngineKind::Flowsmith { version: 3 }), (Level::V0_8_1, EngineKind::Official)];
    let reports = engines.map(|(level, kind)| {
        stalled_json(&stalls, Engine { level, kind, has_ledger: true, reads_events: true }, &subject())
    });
    assert_fits("stalled.v1.json", &reports);
}
