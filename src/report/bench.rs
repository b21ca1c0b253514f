//! Benchmark reports.

use serde::Serialize;

use super::Subject;
use super::format::json;
use super::layout::{Text, TextLayout};
use super::style::{BAD, BOLD, DIM, GOOD, paint};
use flowsmith_core::words::counted;
use flowsmith_postgres::bench::{BenchReport, Delivery, ScenarioReport, Summary, Usage};

/// The report as text.
pub fn bench_text(report: &BenchReport, subject: &Subject, layout: TextLayout) -> String {
    let settings = &report.settings;
    let mut text = Text::titled("Benchmark of", subject, layout);
    let calls = match report.protocol.as_str() {
        "batch" => format!("tasks claimed and completed {} at a time", settings.batch),
        _ => format!("{} messages read at a time, tasks completed one by one", settings.batch),
    };
    text.line(format!(
        "{}, {calls}; {} per repetition, {}, {} to warm up",
        counted(settings.workers, "worker"),
        counted(settings.runs, "run"),
        counted(settings.repetitions, "repetition"),
        settings.warm_up
    ));
    text.blank();
    for scenario in &report.scenarios {
        scenario_text(&mut text, scenario);
    }
    if report.scenarios.iter().all(|scenario| scenario.delivery.is_none()) {
        text.line(paint(GOOD, "All runs and tasks completed."));
    } else if report.is_complete() {
        text.line(paint(GOOD, "All runs and tasks completed, and every event arrived once."));
    } else {
        let lost = "All runs and tasks completed, but not every event arrived exactly once: a pooler in transaction mode \
                    loses events.";
        text.line(paint(BAD, lost));
    }
    text.finish()
}

fn scenario_text(text: &mut Text, scenario: &ScenarioReport) {
    let tasks = counted(scenario.tasks, "task");
    text.line(format!("  {} {}", paint(BOLD, scenario.scenario), paint(DIM, format!("{tasks} per repetition"))));
    let mut line = |what: &str, figure: String| text.labelled(&format!("    {what:11} "), &figure);
    line("creation", with_deviation(&scenario.creation, "ms per flow"));
    line("start", with_deviation(&scenario.start, "runs/s"));
    line("processing", with_deviation(&scenario.processing, "tasks/s"));
    line("events", delivery_text(scenario.delivery.as_ref()));
    line("benchmark", usage_text(scenario.benchmark.as_ref()));
    line("server", usage_text(scenario.server.as_ref()));
    text.blank();
}

fn with_deviation(summary: &Summary, unit: &str) -> String {
    let mean = figure(summary.mean);
    let Some(deviation) = summary.deviation else { return format!("{mean} {unit}") };
    let spread = paint(DIM, format!("({} to {})", figure(summary.least), figure(summary.greatest)));
    format!("{mean} ± {} {unit} {spread}", figure(deviation))
}

fn delivery_text(delivery: Option<&Delivery>) -> String {
    let Some(delivery) = delivery else {
        return paint(DIM, "not counted: this database sends no events to the channel pgflow_events");
    };
    let style = if delivery.expected == delivery.received { GOOD } else { BAD };
    let count = paint(style, format!("{} of {}", delivery.received, delivery.expected));
    match &delivery.latency {
        Some(latency) => format!("{count}, {}", with_deviation(latency, "ms after the call returned")),
        None => count,
    }
}

fn usage_text(usage: Option<&Usage>) -> String {
    let Some(usage) = usage else { return paint(DIM, "not measured: not available on this machine") };
    format!(
        "{} MB mean, {} MB peak; {:.2} s of CPU time, {:.0} % of one CPU",
        figure(usage.memory_mean / 1e6),
        figure(usage.memory_peak as f64 / 1e6),
        usage.cpu.as_secs_f64(),
        usage.cpu_share * 100.0
    )
}

/// Three significant digits, or all digits before the decimal point.
fn figure(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[derive(Serialize)]
struct BenchJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    complete: bool,
    protocol: &'static str,
    runs: usize,
    workers: usize,
    batch: usize,
    repetitions: usize,
    warm_up: usize,
    scenarios: Vec<ScenarioJson>,
}

#[derive(Serialize)]
struct ScenarioJson {
    name: &'static str,
    runs: usize,
    tasks: usize,
    creation_milliseconds: SummaryJson,
    runs_started_per_second: SummaryJson,
    tasks_processed_per_second: SummaryJson,
    events: Option<EventsJson>,
    benchmark: Option<UsageJson>,
    server: Option<UsageJson>,
}

#[derive(Serialize)]
struct EventsJson {
    expected: usize,
    received: usize,
    latency_milliseconds: Option<SummaryJson>,
}

#[derive(Serialize)]
struct SummaryJson {
    mean: f64,
    deviation: Option<f64>,
    least: f64,
    greatest: f64,
}

#[derive(Serialize)]
struct UsageJson {
    memory_mean_bytes: f64,
    memory_peak_bytes: u64,
    cpu_seconds: f64,
    cpu_share: f64,
    samples: usize,
}

impl From<&Summary> for SummaryJson {
    fn from(summary: &Summary) -> Self {
        let Summary { mean, deviation, least, greatest } = *summary;
        Self { mean, deviation, least, greatest }
    }
}

impl From<&Usage> for UsageJson {
    fn from(usage: &Usage) -> Self {
        Self {
            memory_mean_bytes: usage.memory_mean,
            memory_peak_bytes: usage.memory_peak,
            cpu_seconds: usage.cpu.as_secs_f64(),
            cpu_share: usage.cpu_share,
            samples: usage.samples,
        }
    }
}

/// The report as JSON: `schema/bench.v1.json`.
pub fn bench_json(report: &BenchReport, subject: &Subject) -> String {
    let settings = &report.settings;
    json(&BenchJson {
        version: 1,
        database: &subject.database,
        engine: &subject.engine,
        complete: report.is_complete(),
        protocol: report.protocol.as_str(),
        runs: settings.runs,
        workers: settings.workers,
        batch: settings.batch,
        repetitions: settings.repetitions,
        warm_up: settings.warm_up,
        scenarios: report.scenarios.iter().map(scenario_json).collect(),
    })
}

fn scenario_json(scenario: &ScenarioReport) -> ScenarioJson {
    ScenarioJson {
        name: scenario.scenario.as_str(),
        runs: scenario.runs,
        tasks: scenario.tasks,
        creation_milliseconds: (&scenario.creation).into(),
        runs_started_per_second: (&scenario.start).into(),
        tasks_processed_per_second: (&scenario.processing).into(),
        events: scenario.delivery.as_ref().map(|delivery| EventsJson {
            expected: delivery.expected,
            received: delivery.received,
            latency_milliseconds: delivery.latency.as_ref().map(Into::into),
        }),
        benchmark: scenario.benchmark.as_ref().map(Into::into),
        server: scenario.server.as_ref().map(Into::into),
    }
}
