//! Tables for operators fit the terminal: one line for each row, no empty columns, no unnecessary truncation.

use anstream::adapter::strip_str;
use flowsmith::report::operate::{queues_text, stats_text, workers_text};
use flowsmith::report::{Subject, TextLayout};
use flowsmith_postgres::runs::{FlowStats, QueueDepth, StepStats, Worker};
use serde::de::DeserializeOwned;
use serde_json::json;

const UUID: &str = "5f495d26-0335-4bff-beb6-41ff2c91be6c";

fn subject() -> Subject {
    Subject { database: "app@localhost:5432/app".to_owned(), engine: "engine 0.14".to_owned() }
}

fn flow(flow: &str, version: u32) -> FlowStats {
    value(json!({
        "slug": format!("{flow}_v{version}"),
        "flow": flow,
        "version": version,
        "under_way": 12,
        "completed": 10_250,
        "failed": 3,
        "cancelled": 1,
        "durations": { "p50": 0.85, "p95": 250.0, "max": 12_000.0 },
        "waiting": 140,
        "longest_wait_seconds": 250.0,
        "in_flight": 16,
        "steps": []
    }))
}

fn idle(name: &str) -> FlowStats {
    let mut idle = flow(name, 1);
    (idle.under_way, idle.completed, idle.failed, idle.cancelled) = (0, 0, 0, 0);
    (idle.durations, idle.waiting, idle.longest_wait_seconds, idle.in_flight) = (None, 0, None, 0);
    idle
}

fn queue(slug: &str) -> QueueDepth {
    value(json!({
        "slug": slug,
        "flow": slug,
        "version": 1,
        "is_paused": false,
        "messages": 1_250,
        "waiting": 140,
        "longest_wait_seconds": 250.0,
        "delayed": 12,
        "in_flight": 16,
        "oldest_seconds": 12_000.0,
        "workers": 0
    }))
}

fn worker(queue: &str, health: &str) -> Worker {
    value(json!({
        "worker_id": UUID,
        "queue": queue,
        "function": "flowsmith worker on app-7f9c",
        "health": health,
        "started_at": "2026-11-21T09:47:42.5+00:00",
        "last_heartbeat_at": "2026-11-21T09:48:42.5+00:00",
        "silent_seconds": 12.3,
        "in_flight": 4
    }))
}

fn value<T: DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).unwrap()
}

fn stats(flows: &[FlowStats], layout: TextLayout) -> String {
    plain(&stats_text(flows, 86_400.0, &subject(), layout))
}

fn queues(queues: &[QueueDepth], layout: TextLayout) -> String {
    plain(&queues_text(queues, &subject(), layout))
}

fn workers(workers: &[Worker], layout: TextLayout) -> String {
    plain(&workers_text(workers, None, &subject(), layout))
}

fn plain(text: &str) -> String {
    strip_str(text).to_string()
}

/// The lines of the first table.
fn table(text: &str, width: usize) -> Vec<&str> {
    for line in text.lines() {
        assert!(line.chars().count() <= width, "wider than {width}:\n{text}");
    }
    let lines = text.lines().skip_while(|line| !line.starts_with("  "));
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn stats_fit_80_columns_with_all_values() {
    let text = stats(&[flow("order_fulfilment", 1), flow("order_fulfilment", 2)], TextLayout::of_width(80));
    assert_eq!(
        table(&text, 80),
        [
            "  FLOW      RUNNING  DONE FAILED CANC.    P50    P95    MAX WAITING LONGEST BUSY",
            "  order…t@1      12 10250      3     1 850 ms 4m 10s 3h 20m     140  4m 10s   16",
            "  order…t@2      12 10250      3     1 850 ms 4m 10s 3h 20m     140  4m 10s   16",
        ],
        "{text}"
    );
}

#[test]
fn stats_without_values_have_no_columns_for_them() {
    let text = stats(&[idle("order"), idle("signup")], TextLayout::of_width(80));
    assert_eq!(
        table(&text, 80),
        [
            "  FLOW      RUNNING  COMPLETED  FAILED  WAITING  IN FLIGHT",
            "  order@1         0          0       0        0          0",
            "  signup@1        0          0       0        0          0",
        ],
        "{text}"
    );
}

#[test]
fn queues_fit_80_columns_with_all_values() {
    let (mut paused, mut missing) = (queue("signup"), queue("tips"));
    (paused.is_paused, paused.workers) = (true, 2);
    (missing.messages, missing.oldest_seconds) = (None, None);
    let text = queues(&[queue("order_fulfilment_v2"), paused, missing], TextLayout::of_width(80));
    assert_eq!(
        table(&text, 80),
        [
            "  QUEUE              TOTAL WAITING LONGEST DELAYED BUSY OLDEST WORKERS",
            "  order_fulfi…ent_v2  1250     140  4m 10s      12   16 3h 20m       0 no worker",
            "  signup              1250     140  4m 10s      12   16 3h 20m       2 paused",
            "  tips                   -     140  4m 10s      12   16              0 missing",
        ],
        "{text}"
    );
}

#[test]
fn queues_without_delays_and_notes_have_no_columns_for_them() {
    let mut idle = queue("order");
    (idle.messages, idle.waiting, idle.delayed, idle.in_flight, idle.workers) = (Some(0), 0, 0, 0, 1);
    (idle.longest_wait_seconds, idle.oldest_seconds) = (None, None);
    let text = queues(&[idle], TextLayout::of_width(80));
    assert_eq!(
        table(&text, 80),
        ["  QUEUE  MESSAGES  WAITING  IN FLIGHT  WORKERS", "  order         0        0          0        1"],
        "{text}"
    );
}

#[test]
fn workers_fit_80_columns() {
    let listed = [worker("order_fulfilment_v2", "alive"), worker("signup", "deprecated")];
    let text = workers(&listed, TextLayout::of_width(80));
    assert_eq!(
        table(&text, 80),
        [
            "  WORKER     QUEUE      HEALTH     HEARTBEAT  BUSY STARTED (UTC)       FUNCTION",
            "  5f495d26-… order_…_v2 alive      12.3 s ago    4 2026-11-21 09:47:42 flowsmit…",
            "  5f495d26-… signup     deprecated 12.3 s ago    4 2026-11-21 09:47:42 flowsmit…",
        ],
        "{text}"
    );
}

#[test]
fn tables_are_split_into_blocks_at_60_columns() {
    let layout = TextLayout::of_width(60);
    let text = stats(&[flow("order_fulfilment", 1), flow("order_fulfilment", 2)], layout);
    table(&text, 60);
    assert!(text.contains("  FLOW "), "{text}");
    for text in
        [queues(&[queue("order_fulfilment_v2")], layout), workers(&[worker("order_fulfilment_v2", "silent")], layout)]
    {
        table(&text, 60);
    }
}

#[test]
fn nothing_is_cut_if_the_terminal_is_wide() {
    let long = "reconcile_supplier_invoices_of_the_previous_month";
    for layout in [TextLayout::of_width(200), TextLayout::UNLIMITED] {
        let step =
            json!({ "step": format!("{long}_step"), "completed": 1, "failed": 0, "skipped": 0, "durations": null });
        let mut flow = flow(long, 12);
        flow.steps.push(value::<StepStats>(step));
        let stats = stats(&[flow], layout);
        let queues = queues(&[queue(long)], layout);
        let workers = workers(&[worker(long, "alive")], layout);
        assert!([&stats, &queues, &workers].iter().all(|text| text.contains(long) && !text.contains('…')));
        assert!(stats.contains(&format!("{long}_step")), "{stats}");
        assert!(stats.contains("  CANCELLED  ") && stats.contains("  IN FLIGHT\n"), "{stats}");
        assert!(queues.contains("  no worker is alive\n"), "{queues}");
        assert!(workers.contains(UUID), "{workers}");
    }
}
