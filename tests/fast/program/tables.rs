//! The tables of operators fit the terminal: one line for each row, no empty column, nothing cut without need.

use anstream::adapter::strip_str;
use flowsmith::report::operate::{queues_text, stats_text, workers_text};
use flowsmith::report::{Layout, Subject};
use flowsmith_postgres::runs::{Durations, FlowStats, QueueDepth, StepStats, Worker, WorkerHealth};

const UUID: &str = "5f495d26-0335-4bff-beb6-41ff2c91be6c";

fn subject() -> Subject {
    Subject { database: "app@localhost:5432/app".to_owned(), engine: "engine 0.14".to_owned() }
}

fn flow(flow: &str, version: u32) -> FlowStats {
    FlowStats {
        slug: format!("{flow}_v{version}"),
        flow: flow.to_owned(),
        version,
        under_way: 12,
        completed: 10_250,
        failed: 3,
        cancelled: 1,
        durations: Some(Durations { p50: 0.85, p95: 250.0, max: 12_000.0 }),
        waiting: 140,
        longest_wait_seconds: Some(250.0),
        in_flight: 16,
        steps: Vec::new(),
    }
}

fn idle(name: &str) -> FlowStats {
    FlowStats {
        under_way: 0,
        completed: 0,
        failed: 0,
        cancelled: 0,
        durations: None,
        waiting: 0,
        longest_wait_seconds: None,
        in_flight: 0,
        ..flow(name, 1)
    }
}

fn queue(slug: &str) -> QueueDepth {
    QueueDepth {
        slug: slug.to_owned(),
        flow: slug.to_owned(),
        version: 1,
        is_paused: false,
        messages: Some(1_250),
        waiting: 140,
        longest_wait_seconds: Some(250.0),
        delayed: 12,
        in_flight: 16,
        oldest_seconds: Some(12_000.0),
        workers: 0,
    }
}

fn worker(queue: &str, health: WorkerHealth) -> Worker {
    Worker {
        worker_id: UUID.to_owned(),
        queue: queue.to_owned(),
        function: "flowsmith worker on app-7f9c".to_owned(),
        health,
        started_at: "2026-11-21T09:47:42.5+00:00".to_owned(),
        last_heartbeat_at: "2026-11-21T09:48:42.5+00:00".to_owned(),
        silent_seconds: 12.3,
        in_flight: 4,
    }
}

fn stats(flows: &[FlowStats], layout: Layout) -> String {
    plain(&stats_text(flows, 86_400.0, &subject(), layout))
}

fn queues(queues: &[QueueDepth], layout: Layout) -> String {
    plain(&queues_text(queues, &subject(), layout))
}

fn workers(workers: &[Worker], layout: Layout) -> String {
    plain(&workers_text(workers, None, &subject(), layout))
}

fn plain(text: &str) -> String {
    strip_str(text).to_string()
}

/// The lines of the first table.
fn table<'a>(text: &'a str, width: usize) -> Vec<&'a str> {
    for line in text.lines() {
        assert!(line.chars().count() <= width, "wider than {width}:\n{text}");
    }
    let lines = text.lines().skip_while(|line| !line.starts_with("  "));
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn stats_fit_80_columns_with_all_values() {
    let text = stats(&[flow("order_fulfilment", 1), flow("order_fulfilment", 2)], Layout::of_width(80));
    assert_eq!(
        table(&text, 80),
        ["  FLOW          RUNNING  DONE FAILED CANC.    P50    P95    MAX WAITING LONGEST BUSY", "",],
        "{text}"
    );
}

#[test]
fn stats_without_values_have_no_columns_for_them() {
    let text = stats(&[idle("order"), idle("signup")], Layout::of_width(80));
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
    let paused = QueueDepth { is_paused: true, workers: 2, ..queue("signup") };
    let missing = QueueDepth { messages: None, oldest_seconds: None, ..queue("tips") };
    let text = queues(&[queue("order_fulfilment_v2"), paused, missing], Layout::of_width(80));
    assert_eq!(table(&text, 80), [""], "{text}");
}

#[test]
fn queues_without_delays_and_notes_have_no_columns_for_them() {
    let idle = QueueDepth {
        messages: Some(0),
        waiting: 0,
        longest_wait_seconds: None,
        delayed: 0,
        in_flight: 0,
        oldest_seconds: None,
        workers: 1,
        ..queue("order")
    };
    let text = queues(&[idle], Layout::of_width(80));
    assert_eq!(
        table(&text, 80),
        ["  QUEUE  MESSAGES  WAITING  IN FLIGHT  WORKERS", "  order         0        0          0        1"],
        "{text}"
    );
}

#[test]
fn workers_fit_80_columns() {
    let listed = [worker("order_fulfilment_v2", WorkerHealth::Alive), worker("signup", WorkerHealth::Deprecated)];
    let text = workers(&listed, Layout::of_width(80));
    assert_eq!(table(&text, 80), [""], "{text}");
}

#[test]
fn tables_are_split_into_blocks_at_60_columns() {
    let layout = Layout::of_width(60);
    let text = stats(&[flow("order_fulfilment", 1), flow("order_fulfilment", 2)], layout);
    assert_eq!(table(&text, 60), [""], "{text}");
    for text in [
        queues(&[queue("order_fulfilment_v2")], layout),
        workers(&[worker("order_fulfilment_v2", WorkerHealth::Silent)], layout),
    ] {
        table(&text, 60);
    }
}

#[test]
fn nothing_is_cut_if_the_terminal_is_wide() {
    let long = "reconcile_supplier_invoices_of_the_previous_month";
    for layout in [Layout::of_width(200), Layout::UNLIMITED] {
        let steps =
            vec![StepStats { step: format!("{long}_step"), completed: 1, failed: 0, skipped: 0, durations: None }];
        let stats = stats(&[FlowStats { steps, ..flow(long, 12) }], layout);
        let queues = queues(&[queue(long)], layout);
        let workers = workers(&[worker(long, WorkerHealth::Alive)], layout);
        assert!([&stats, &queues, &workers].iter().all(|text| text.contains(long) && !text.contains('…')));
        assert!(stats.contains(&format!("{long}_step")), "{stats}");
        assert!(stats.contains("  CANCELLED  ") && stats.contains("  IN FLIGHT\n"), "{stats}");
        assert!(queues.contains("  no worker is alive\n"), "{queues}");
        assert!(workers.contains(UUID), "{workers}");
    }
}
