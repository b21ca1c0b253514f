//! Reports of stalled tasks.

use serde::Serialize;

use super::super::Subject;
use super::super::format::json;
use super::super::layout::{Text, TextLayout};
use super::super::style::{BAD, BOLD, CARE, DIM, GOOD, paint};
use super::super::words::{duration, last_worker};
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::{Engine, StallCause, StalledTasks};

/// After this number of seconds without a heartbeat, the report mentions it.
const LATE: f64 = 11.0;

/// The report as text.
pub fn stalled_text(stalls: &[StalledTasks], engine: Engine, subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Stalled tasks of", subject, layout);
    text.blank();
    if stalls.is_empty() {
        text.line(paint(GOOD, "None."));
        return text.finish();
    }
    for stall in stalls {
        let sign = if stall.is_expected() { paint(CARE, "·") } else { paint(BAD, "!") };
        let count = usize::try_from(stall.tasks).unwrap_or(usize::MAX);
        let what = match &stall.step {
            Some(step) => format!("step {step}: {}", counted(count, "task")),
            None => counted(count, "run"),
        };
        let flow = paint(BOLD, format!("{}@{}", stall.flow, stall.version));
        text.line(format!("  {sign} {flow}  {what} for {}: {}", duration(stall.seconds), why(stall)));
        let run = if stall.tasks > 1 { "the longest: run" } else { "run" };
        text.line(format!("      {}", paint(DIM, format!("{run} {}", stall.run_id))));
        text.labelled(&format!("      {} ", paint(DIM, "fix:")), &stall.fix(engine));
    }
    let expected = stalls.iter().filter(|stall| stall.is_expected()).count();
    let note = match (expected, stalls.len()) {
        (0, _) => "",
        (expected, all) if expected == all => ", none of which needs action",
        (1, _) => "; 1 of them needs no action",
        _ => "; those marked with a dot need no action",
    };
    text.blank();
    text.line(format!("{}{note}.", counted(stalls.len(), "finding")));
    text.finish()
}

/// A sentence about the cause.
fn why(stall: &StalledTasks) -> String {
    let in_time = stall.moves_in_seconds.map(|seconds| format!(", next in {}", duration(seconds))).unwrap_or_default();
    let (its, it) = if stall.tasks == 1 { ("its", "it") } else { ("their", "them") };
    let messages = if stall.tasks == 1 { "its message is" } else { "their messages are" };
    match stall.cause {
        StallCause::NoWorker => format!(
            "no worker of queue {} is alive; {}",
            stall.slug,
            last_worker(stall.last_worker, stall.heartbeat_seconds)
        ),
        StallCause::Busy if stall.workers == 1 => {
            format!("1 worker is alive, {}but has not claimed {it} yet", late(stall))
        }
        StallCause::Busy => {
            format!("{} workers are alive, {}but none has claimed {it} yet", stall.workers, late(stall))
        }
        StallCause::Paused => "the flow is paused".to_owned(),
        StallCause::Parked => "hidden by a pause that has ended".to_owned(),
        StallCause::Delayed => format!("{its} start delay has not elapsed{in_time}"),
        StallCause::Retrying => format!("an attempt failed, and the next one is delayed{in_time}"),
        StallCause::MessageHidden => {
            let seen = in_time.replace(", next in", "; visible again in");
            format!("{messages} hidden: postponed, or read without starting {it}{seen}")
        }
        StallCause::MessageMissing => format!("{messages} not in the queue"),
        StallCause::QueueMissing => format!("queue {} does not exist", stall.slug),
        StallCause::TimedOut => {
            let timeout = stall.timeout.map(|timeout| duration(f64::from(timeout))).unwrap_or_default();
            format!("{its} timeout of {timeout} has expired, and nothing has requeued {it}")
        }
        StallCause::GivenUp => "given up after three timeouts".to_owned(),
        StallCause::WorkerGone => format!("the worker that claimed {it} has stopped or is silent"),
        StallCause::NothingUnderWay if stall.tasks == 1 => "none of its tasks is queued or started".to_owned(),
        StallCause::NothingUnderWay => "none of their tasks is queued or started".to_owned(),
    }
}

/// Crashed workers count as alive for half a minute, but they miss their heartbeat, which is due every 5 seconds.
fn late(stall: &StalledTasks) -> String {
    match stall.heartbeat_seconds.filter(|seconds| *seconds > LATE) {
        Some(seconds) if stall.workers == 1 => format!("with its last heartbeat {} ago, ", duration(seconds)),
        Some(seconds) => format!("with the last heartbeat {} ago, ", duration(seconds)),
        None => String::new(),
    }
}

#[derive(Serialize)]
struct StalledJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    stalled: Vec<StallJson<'a>>,
}

#[derive(Serialize)]
struct StallJson<'a> {
    slug: &'a str,
    flow: &'a str,
    version: u32,
    step: Option<&'a str>,
    cause: StallCause,
    is_expected: bool,
    detail: String,
    fix: String,
    tasks: u64,
    seconds: f64,
    moves_in_seconds: Option<f64>,
    run_id: &'a str,
    task_index: Option<u32>,
    message_id: Option<i64>,
}

/// The report as JSON: `schema/stalled.v1.json`.
pub fn stalled_json(stalls: &[StalledTasks], engine: Engine, subject: &Subject) -> String {
    let stalled = stalls
        .iter()
        .map(|stall| StallJson {
            slug: &stall.slug,
            flow: &stall.flow,
            version: stall.version,
            step: stall.step.as_deref(),
            cause: stall.cause,
            is_expected: stall.is_expected(),
            detail: why(stall),
            fix: stall.fix(engine),
            tasks: stall.tasks,
            seconds: stall.seconds,
            moves_in_seconds: stall.moves_in_seconds,
            run_id: &stall.run_id,
            task_index: stall.task_index,
            message_id: stall.message_id,
        })
        .collect();
    json(&StalledJson { version: 1, database: &subject.database, engine: &subject.engine, stalled })
}
