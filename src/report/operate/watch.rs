//! Events of a run, one per line.

use serde::Serialize;

use super::super::layout::TextLayout;
use super::super::style::{BAD, BOLD, CARE, DIM, GOOD, paint};
use super::super::words::{clock, duration, line};
use flowsmith_postgres::runs::{RunDetail, RunEvent, RunEventKind, skip_reason_text};

/// The most characters of a reason.
const MOST: usize = 160;

/// An event as a line of text. An event without a time has the time of the observation.
pub fn event_text(run: &RunDetail, event: &RunEvent, layout: TextLayout) -> String {
    let style = match event.event {
        RunEventKind::RunStarted | RunEventKind::StepStarted => DIM,
        RunEventKind::StepProgress | RunEventKind::StepRetrying | RunEventKind::RunCancelled => CARE,
        RunEventKind::RunCompleted | RunEventKind::StepCompleted => GOOD,
        RunEventKind::RunFailed | RunEventKind::StepFailed => BAD,
        RunEventKind::StepSkipped => DIM,
    };
    let at = clock(event.at.as_deref().unwrap_or(&run.read_at));
    let what = event.step.as_deref().unwrap_or("run");
    let mut parts = vec![paint(DIM, at), paint(BOLD, what), paint(style, event.event.as_str())];
    if let (RunEventKind::StepProgress, Some(done), Some(of)) = (event.event, event.completed_tasks, event.tasks) {
        parts.push(format!("{done} of {of} tasks"));
    }
    if let Some(seconds) = event.seconds.filter(|_| event.event != RunEventKind::StepSkipped) {
        parts.push(format!("after {}", duration(seconds)));
    }
    if let Some(attempts) = event.attempts.filter(|attempts| *attempts > 1 || event.event == RunEventKind::StepRetrying)
    {
        parts.push(format!("attempt {attempts}"));
    }
    if let Some(reason) = &event.reason {
        let is_code = event.event == RunEventKind::StepSkipped;
        parts.push(line(&if is_code { skip_reason_text(reason) } else { reason.clone() }, MOST));
    }
    layout.wrap(&(parts.join("  ") + "\n"))
}

#[derive(Serialize)]
struct EventJson<'a> {
    version: u32,
    run_id: &'a str,
    at: Option<&'a str>,
    event: RunEventKind,
    step: Option<&'a str>,
    seconds: Option<f64>,
    completed_tasks: Option<u32>,
    tasks: Option<u32>,
    attempts: Option<u32>,
    reason: Option<&'a str>,
}

/// An event as one line of JSON: `schema/watch.v1.json`.
pub fn event_json(run: &RunDetail, event: &RunEvent) -> String {
    let event = EventJson {
        version: 1,
        run_id: &run.run_id,
        at: event.at.as_deref(),
        event: event.event,
        step: event.step.as_deref(),
        seconds: event.seconds,
        completed_tasks: event.completed_tasks,
        tasks: event.tasks,
        attempts: event.attempts,
        reason: event.reason.as_deref(),
    };
    serde_json::to_string(&event).expect("an event has string keys only") + "\n"
}
