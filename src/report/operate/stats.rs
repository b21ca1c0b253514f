//! Statistics of flows.

use serde::Serialize;

use super::super::Subject;
use super::super::format::json;
use super::super::layout::{Cell, Column, Table, Text, TextLayout};
use super::super::style::{BAD, BOLD, CARE, DIM, paint};
use super::super::words::duration;
use flowsmith_postgres::runs::{Durations, FlowStats};

const FLOWS: [Column; 11] = [
    Column::name("FLOW"),
    Column::number("RUNNING"),
    Column::number("COMPLETED").or("DONE"),
    Column::number("FAILED"),
    Column::number("CANCELLED").or("CANC.").rare(),
    Column::number("P50"),
    Column::number("P95"),
    Column::number("MAX"),
    Column::number("WAITING"),
    Column::number("LONGEST"),
    Column::number("IN FLIGHT").or("BUSY"),
];

const STEPS: [Column; 7] = [
    Column::name("STEP"),
    Column::number("COMPLETED").or("DONE"),
    Column::number("FAILED"),
    Column::number("SKIPPED").rare(),
    Column::number("P50"),
    Column::number("P95"),
    Column::number("MAX"),
];

/// The statistics of runs that ended within the last `seconds`, as text.
pub fn stats_text(flows: &[FlowStats], seconds: f64, subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Flows of", subject, layout);
    text.line(format!("Runs that ended in the last {}, and the current backlog.", duration(seconds)));
    text.blank();
    if flows.is_empty() {
        text.line("None: the database has no flows.");
        return text.finish();
    }
    let mut table = Table::new(&FLOWS);
    for flow in flows {
        let [p50, p95, max] = durations(flow.durations);
        table.row([
            format!("{}@{}", flow.flow, flow.version).into(),
            Cell::number(flow.under_way),
            Cell::number(flow.completed),
            failed(flow.failed),
            Cell::number(flow.cancelled),
            p50,
            p95,
            max,
            Cell::number(flow.waiting).in_style(if flow.waiting > 0 { CARE } else { DIM }),
            flow.longest_wait_seconds.map(duration).unwrap_or_default().into(),
            Cell::number(flow.in_flight),
        ]);
    }
    text.table(&table);
    for flow in flows.iter().filter(|flow| !flow.steps.is_empty()) {
        text.blank();
        text.line(paint(BOLD, format!("{}@{}", flow.flow, flow.version)));
        let mut table = Table::new(&STEPS);
        for step in &flow.steps {
            let [p50, p95, max] = durations(step.durations);
            table.row([
                step.step.clone().into(),
                Cell::number(step.completed),
                failed(step.failed),
                Cell::number(step.skipped),
                p50,
                p95,
                max,
            ]);
        }
        text.table(&table);
    }
    text.finish()
}

fn failed(count: u64) -> Cell {
    if count > 0 { Cell::number(count).in_style(BAD) } else { Cell::number(count) }
}

fn durations(durations: Option<Durations>) -> [Cell; 3] {
    match durations {
        Some(Durations { p50, p95, max }) => [p50, p95, max].map(|seconds| duration(seconds).into()),
        None => ["-"; 3].map(Cell::missing),
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
