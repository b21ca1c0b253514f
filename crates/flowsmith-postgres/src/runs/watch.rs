//! The events of a run, derived from the difference between two reads.
//!
//! Notifications only trigger a read. The events come from the tables, so lost notifications do not lose events.

use serde::Serialize;

use super::{RunDetail, StepDetail};
use super::{RunStatus, StepStatus, TaskStatus};

/// The kind of an event of a run or a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RunEventKind {
    /// The run was started, or retried.
    #[serde(rename = "run:started")]
    RunStarted,
    /// Every step has completed or was skipped.
    #[serde(rename = "run:completed")]
    RunCompleted,
    /// A step failed, and the run with it.
    #[serde(rename = "run:failed")]
    RunFailed,
    /// The run was cancelled.
    #[serde(rename = "run:cancelled")]
    RunCancelled,
    /// The step's tasks were queued.
    #[serde(rename = "step:started")]
    StepStarted,
    /// More tasks of the step have completed.
    #[serde(rename = "step:progress")]
    StepProgress,
    /// An attempt failed, and the task will be retried.
    #[serde(rename = "step:retrying")]
    StepRetrying,
    /// Every task of the step has completed.
    #[serde(rename = "step:completed")]
    StepCompleted,
    /// The step failed.
    #[serde(rename = "step:failed")]
    StepFailed,
    /// The step was skipped.
    #[serde(rename = "step:skipped")]
    StepSkipped,
}

impl RunEventKind {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunStarted | Self::StepStarted => "started",
            Self::RunCompleted | Self::StepCompleted => "completed",
            Self::RunFailed | Self::StepFailed => "failed",
            Self::RunCancelled => "cancelled",
            Self::StepProgress => "progress",
            Self::StepRetrying => "retrying",
            Self::StepSkipped => "skipped",
        }
    }
}

/// An event of a run or a step.
#[derive(Debug, Clone, Serialize)]
pub struct RunEvent {
    /// The time, RFC 3339; none for events whose time is not stored in the tables.
    pub at: Option<String>,
    /// The kind.
    pub event: RunEventKind,
    /// The slug of the step; none for the run itself.
    pub step: Option<String>,
    /// The duration of the step or the run, in seconds.
    pub seconds: Option<f64>,
    /// The number of completed tasks of the step.
    pub completed_tasks: Option<u32>,
    /// The number of tasks of the step.
    pub tasks: Option<u32>,
    /// The largest number of attempts of a task of the step.
    pub attempts: Option<u32>,
    /// The error message, or the reason why the step was skipped or the run cancelled.
    pub reason: Option<String>,
}

/// The events between two reads of a run in chronological order; all events of the run if there is no earlier read.
pub fn events_between(before: Option<&RunDetail>, after: &RunDetail) -> Vec<RunEvent> {
    let mut events = Vec::new();
    let was = before.map(|run| run.status);
    // The start comes before those of the steps. The role may not be allowed to read the time of a retry, so sorting by time is
    // not enough.
    let mut started = Vec::new();
    if was.is_none_or(|was| was.has_failed() && !after.status.has_failed()) {
        started.push(of_run(
            RunEventKind::RunStarted,
            after,
            if was.is_none() { Some(after.started_at.clone()) } else { after.retried_at.clone() },
        ));
    }
    for step in &after.steps {
        let earlier = before.and_then(|run| run.steps.iter().find(|earlier| earlier.step == step.step));
        of_step(earlier, step, &mut events);
    }
    // Events without a time have just happened. Steps with equal times stay in the order of their definition.
    events.sort_by(|a, b| (a.at.is_none(), &a.at).cmp(&(b.at.is_none(), &b.at)));
    // The event of a retry is recorded just after the tasks are queued.
    if let (Some(RunEvent { at: Some(at), .. }), Some(RunEvent { at: Some(first), .. })) =
        (started.first_mut(), events.first())
    {
        *at = at.clone().min(first.clone());
    }
    events.splice(0..0, started);
    let ended = match after.status {
        RunStatus::Started => None,
        RunStatus::Completed => Some(RunEventKind::RunCompleted),
        RunStatus::Failed => Some(RunEventKind::RunFailed),
        RunStatus::Cancelled => Some(RunEventKind::RunCancelled),
    };
    if let Some(kind) = ended.filter(|_| was != Some(after.status)) {
        events.push(of_run(kind, after, after.ended_at.clone()));
    }
    events
}

fn of_run(event: RunEventKind, run: &RunDetail, at: Option<String>) -> RunEvent {
    let has_ended = event != RunEventKind::RunStarted;
    RunEvent {
        at,
        event,
        step: None,
        seconds: has_ended.then_some(run.seconds),
        completed_tasks: None,
        tasks: None,
        attempts: None,
        reason: run.failure_reason().filter(|_| has_ended),
    }
}

fn of_step(before: Option<&StepDetail>, after: &StepDetail, events: &mut Vec<RunEvent>) {
    let event = |event, at: Option<&String>| RunEvent {
        at: at.cloned(),
        event,
        step: Some(after.step.clone()),
        seconds: None,
        completed_tasks: Some(after.completed),
        tasks: after.tasks,
        attempts: None,
        reason: None,
    };
    let was = before.map(|step| step.status);
    let has_begun = after.started_at.is_some() && before.is_none_or(|step| step.started_at != after.started_at);
    if has_begun {
        events.push(RunEvent { completed_tasks: None, ..event(RunEventKind::StepStarted, after.started_at.as_ref()) });
    }
    if after.status == StepStatus::Started {
        let earlier = before.filter(|_| !has_begun);
        if after.completed > earlier.map_or(0, |step| step.completed) {
            events.push(event(RunEventKind::StepProgress, None));
        }
        let failed_before = earlier.map_or(0, failed_attempts);
        if failed_attempts(after) > failed_before {
            let attempts = Some(failed_attempts(after));
            let last = after.task_list.iter().filter_map(|task| task.error.clone()).next_back();
            events.push(RunEvent { attempts, reason: last, ..event(RunEventKind::StepRetrying, None) });
        }
    } else if was != Some(after.status) || has_begun {
        let kind = match after.status {
            // Unfinished steps end with the run, which has an event of its own.
            StepStatus::Created | StepStatus::Started | StepStatus::NotRun | StepStatus::CutOff => return,
            StepStatus::Completed => RunEventKind::StepCompleted,
            StepStatus::Failed => RunEventKind::StepFailed,
            StepStatus::Skipped => RunEventKind::StepSkipped,
        };
        events.push(RunEvent {
            seconds: after.seconds,
            attempts: Some(after.attempts).filter(|attempts| *attempts > 0),
            reason: after.error.clone().or_else(|| after.skip_reason.clone()),
            ..event(kind, after.ended_at.as_ref())
        });
    }
}

/// The largest number of failed attempts of a task. A running attempt does not count.
fn failed_attempts(step: &StepDetail) -> u32 {
    let of_task = |task: &super::TaskDetail| match task.status {
        TaskStatus::Queued => task.attempts,
        TaskStatus::Started | TaskStatus::Completed => task.attempts.saturating_sub(1),
        TaskStatus::Failed | TaskStatus::NotRun | TaskStatus::CutOff => 0,
    };
    step.task_list.iter().filter(|task| task.error.is_some()).map(of_task).max().unwrap_or(0)
}

impl RunDetail {
    /// The failed step and its error, or the reason of the cancellation; none if the run is running or has completed, or if no
    /// reason was given.
    pub fn failure_reason(&self) -> Option<String> {
        match self.status {
            RunStatus::Started | RunStatus::Completed => None,
            RunStatus::Failed => self.summary().failure.map(|failure| failure.to_string()),
            RunStatus::Cancelled => self.cancelled.clone().filter(|reason| !reason.is_empty()),
        }
    }
}
