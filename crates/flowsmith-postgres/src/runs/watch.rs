//! Following a run: what has happened to it between two looks.
//!
//! Events only say when to look. What is told comes from the tables, so nothing is missed, whatever is lost on the way.

use serde::Serialize;

use super::{RunDetail, StepDetail};
use super::{RunStatus, StepStatus, TaskStatus};

/// What has happened to a run or a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RunEventKind {
    /// The run was started, or retried.
    #[serde(rename = "run:started")]
    RunStarted,
    /// Every step is done.
    #[serde(rename = "run:completed")]
    RunCompleted,
    /// A step has failed, and the run with it.
    #[serde(rename = "run:failed")]
    RunFailed,
    /// Somebody has ended the run.
    #[serde(rename = "run:cancelled")]
    RunCancelled,
    /// The step's tasks were queued.
    #[serde(rename = "step:started")]
    StepStarted,
    /// More tasks of the step are done than before.
    #[serde(rename = "step:progress")]
    StepProgress,
    /// An attempt has failed, and there will be another.
    #[serde(rename = "step:retrying")]
    StepRetrying,
    /// Every task of the step is done.
    #[serde(rename = "step:completed")]
    StepCompleted,
    /// The step has failed.
    #[serde(rename = "step:failed")]
    StepFailed,
    /// The step was left out.
    #[serde(rename = "step:skipped")]
    StepSkipped,
}

impl RunEventKind {
    /// The word for it in reports.
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

/// Something that has happened.
#[derive(Debug, Clone, Serialize)]
pub struct RunEvent {
    /// When, RFC 3339; none of what has no time of its own in the tables.
    pub at: Option<String>,
    /// What.
    pub event: RunEventKind,
    /// To which step; none for the run itself.
    pub step: Option<String>,
    /// How long the step or run took, in seconds.
    pub seconds: Option<f64>,
    /// How many tasks of the step are done.
    pub completed_tasks: Option<u32>,
    /// How many tasks it has.
    pub tasks: Option<u32>,
    /// How often its task was tried, the most that one of them was.
    pub attempts: Option<u32>,
    /// What went wrong, or why it was left out.
    pub reason: Option<String>,
}

/// What has happened between two looks at a run, in the order of time; all that has happened where there was no earlier look.
pub fn events_between(before: Option<&RunDetail>, after: &RunDetail) -> Vec<RunEvent> {
    let mut events = Vec::new();
    let was = before.map(|run| run.status);
    // It starts before its steps do, also where it is retried, whose time a role may not be allowed to read.
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
    // Those without a time have just happened. Steps of one moment stay in the order of their definition.
    events.sort_by(|a, b| (a.at.is_none(), &a.at).cmp(&(b.at.is_none(), &b.at)));
    // The note of a retry is written a moment after the tasks are queued.
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
            // What is left unfinished ends with the run, which is told.
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

/// The most attempts of one task that have failed already: one that is under way has not.
fn failed_attempts(step: &StepDetail) -> u32 {
    let of_task = |task: &super::TaskDetail| match task.status {
        TaskStatus::Queued => task.attempts,
        TaskStatus::Started | TaskStatus::Completed => task.attempts.saturating_sub(1),
        TaskStatus::Failed | TaskStatus::NotRun | TaskStatus::CutOff => 0,
    };
    step.task_list.iter().filter(|task| task.error.is_some()).map(of_task).max().unwrap_or(0)
}

impl RunDetail {
    /// Why it has not completed: the step that failed and its error, or why somebody has cancelled it; none where it has
    /// completed or goes on, or where nobody knows.
    pub fn failure_reason(&self) -> Option<String> {
        match self.status {
            RunStatus::Started | RunStatus::Completed => None,
            RunStatus::Failed => self.summary().failure.map(|failure| failure.to_string()),
            RunStatus::Cancelled => self.cancelled.clone().filter(|reason| !reason.is_empty()),
        }
    }
}
