//! Tasks that do not move.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::Subject;
use super::super::changes::counted;
use super::super::plan::json;
use super::super::style::{BAD, BOLD, CARE, DIM, GOOD, paint};
use super::words::duration;
use crate::operate::{Engine, Stall, StallCause};

/// For people.
pub fn stalled_text(stalls: &[Stall], engine: Engine, subject: &Subject) -> String {
    let mut text = format!("{} {} ({})\n\n", paint(BOLD, "Stalled tasks of"), subject.database, subject.engine);
    if stalls.is_empty() {
        let _ = writeln!(text, "{}", paint(GOOD, "None."));
        return text;
    }
    for stall in stalls {
        let style = if stall.is_meant() { CARE } else { BAD };
        let what = match &stall.step {
            Some(step) => {
                format!("step {step}: {}", counted(usize::try_from(stall.tasks).unwrap_or(usize::MAX), "task"))
            }
            None => counted(usize::try_from(stall.tasks).unwrap_or(usize::MAX), "run"),
        };
        let _ = writeln!(
            text,
            "  {} {}  {what} for {}: {}",
            paint(style, if stall.is_meant() { "·" } else { "!" }),
            paint(BOLD, format!("{}@{}", stall.flow, stall.version)),
            duration(stall.seconds),
            why(stall)
        );
        let run = if stall.tasks > 1 { "such as run" } else { "run" };
        let _ = writeln!(text, "      {}", paint(DIM, format!("{run} {}", stall.run_id)));
        let _ = writeln!(text, "      {} {}", paint(DIM, "fix:"), stall.fix(engine));
    }
    let meant = stalls.iter().filter(|stall| stall.is_meant()).count();
    let note = if meant > 0 { format!(", {meant} of them meant") } else { String::new() };
    let _ = writeln!(text, "\n{}{note}.", counted(stalls.len(), "finding"));
    text
}

/// The cause in words.
fn why(stall: &Stall) -> String {
    let in_time = stall.moves_in_seconds.map(|seconds| format!(", next in {}", duration(seconds))).unwrap_or_default();
    let heard = match stall.heartbeat_seconds {
        Some(seconds) => format!("the last heartbeat was {} ago", duration(seconds)),
        None => "none ever was".to_owned(),
    };
    match stall.cause {
        StallCause::NoWorker => format!("no worker of the queue {} is alive; {heard}", stall.slug),
        StallCause::Busy => format!("{} alive, and not come to them yet", counted(stall.workers as usize, "worker")),
        StallCause::Paused => "the flow is paused".to_owned(),
        StallCause::Parked => "put away by a pause, which is over".to_owned(),
        StallCause::Delayed => format!("its start delay{in_time}"),
        StallCause::Retrying => format!("an attempt has failed{in_time}"),
        StallCause::MessageHidden => format!("its message was read, and the task not started{in_time}"),
        StallCause::MessageMissing => "its message is not in the queue".to_owned(),
        StallCause::QueueMissing => format!("there is no queue {}", stall.slug),
        StallCause::TimedOut => {
            let timeout = stall.timeout.map(|timeout| duration(f64::from(timeout))).unwrap_or_default();
            format!("its timeout of {timeout} is over, and nobody has queued it again")
        }
        StallCause::GivenUp => "queued again three times after its timeout, and given up".to_owned(),
        StallCause::WorkerGone => "the worker that has it is silent or has stopped".to_owned(),
        StallCause::NothingUnderWay => "no task of it is queued or started".to_owned(),
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
    is_meant: bool,
    detail: String,
    fix: String,
    tasks: u64,
    seconds: f64,
    moves_in_seconds: Option<f64>,
    run_id: &'a str,
    task_index: Option<u32>,
    message_id: Option<i64>,
}

/// For machines: `schema/stalled.v1.json`.
pub fn stalled_json(stalls: &[Stall], engine: Engine, subject: &Subject) -> String {
    let stalled = stalls
        .iter()
        .map(|stall| StallJson {
            slug: &stall.slug,
            flow: &stall.flow,
            version: stall.version,
            step: stall.step.as_deref(),
            cause: stall.cause,
            is_meant: stall.is_meant(),
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
