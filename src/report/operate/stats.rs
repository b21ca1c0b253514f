//! Statistics of flows.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::Subject;
use super::super::plan::json;
use super::super::style::{BAD, BOLD, CARE, DIM, paint};
use super::table::{Cell, table};
use super::words::duration;
use flowsmith_postgres::runs::{Durations, FlowStats};

/// The statistics of runs that ended within the last `seconds`, as text.
pub fn stats_text(flows: &[FlowStats], seconds: f64, subject: &Subject) -> String {
    let mut text = format!("{} {} ({})\n", paint(BOLD, "Flows of"), subject.database, subject.engine);
    let _ = writeln!(text, "Runs that ended in the last {}, and the current backlog.\n", duration(seconds));
    if flows.is_empty() {
        text.push_str("None: the database has no flows.\n");
        return text;
    }
    let head =
        ["FLOW", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "P50", "P95", "MAX", "WAITING", "LONGEST", "IN FLIGHT"];
    let rows: Vec<_> = flows.iter().map(row).collect();
    text.push_str(&table(&head, &rows));
    for flow in flows.iter().filter(|flow| !flow.steps.is_empty()) {
        let _ = writeln!(text, "\n{}", paint(BOLD, format!("{}@{}", flow.flow, flow.version)));
        let rows: Vec<_> = flow
            .steps
            .iter()
            .map(|step| {
                let mut row = vec![
                    step.step.clone().into(),
                    Cell::number(step.completed),
                    failed(step.failed),
                    Cell::number(step.skipped),
                ];
                row.extend(durations(step.durations));
                row
            })
            .collect();
        text.push_str(&table(&["STEP", "COMPLETED", "FAILED", "SKIPPED", "P50", "P95", "MAX"], &rows));
    }
    text
}

fn row(flow: &FlowStats) -> Vec<Cell> {
    let mut row = vec![
        format!("{}@{}", flow.flow, flow.version).into(),
        Cell::number(flow.under_way),
        Cell::number(flow.completed),
        failed(flow.failed),
        Cell::number(flow.cancelled),
    ];
    row.extend(durations(flow.durations));
    let style = if flow.waiting > 0 { CARE } else { DIM };
    row.push(Cell::number(flow.waiting).in_style(style));
    row.push(Cell::number(flow.longest_wait_seconds.map(duration).unwrap_or_default()));
    row.push(Cell::number(flow.in_flight));
    row
}

fn failed(count: u64) -> Cell {
    if count > 0 { Cell::number(count).in_style(BAD) } else { Cell::number(count) }
}

fn durations(durations: Option<Durations>) -> [Cell; 3] {
    match durations {
        Some(Durations { p50, p95, max }) => [p50, p95, max].map(|seconds| Cell::number(duration(seconds))),
        None => ["-", "-", "-"].map(Cell::number),
    }
}

#[derive(Serialize)]
struct StatsJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    since_seconds: f64,
    flows: &'a [FlowStats],
}

/// The report as JSON: `schema/stats.v1.json`.
pub fn stats_json(flows: &[FlowStats], seconds: f64, subject: &Subject) -> String {
    json(&StatsJson { version: 1, database: &subject.database, engine: &subject.engine, since_seconds: seconds, flows })
}
