//! Following a run: what has happened to it between two looks.
//!
//! Events only say when to look. What is told comes from the tables, so nothing is missed, whatever is lost on the way.

use serde::Serialize;

use super::{RunDetail, RunStatus, StepDetail, StepStatus};

/// What has happened to a run or a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RunEventKind {
    /// The run was started, or taken up again.
    #[serde(rename = "run:started")]
    RunStarted,
    /// Every step is done.
    #[serde(rename = "run:completed")]
    RunCompleted,
    /// The run has failed, or was cancelled.
    #[serde(rename = "run:failed")]
    RunFailed,
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
    if was.is_none() || was == Some(RunStatus::Failed) && after.status != RunStatus::Failed {
        events.push(of_run(RunEventKind::RunStarted, after, was.is_none().then(|| after.started_at.clone())));
    }
    for step in &after.steps {
        let earlier = before.and_then(|run| run.steps.iter().find(|earlier| earlier.step == step.step));
        of_step(earlier, step, &mut events);
    }
    // Those without a time have just happened. Steps of one moment stay in the order of their definition.
    events.sort_by(|a, b| (a.at.is_none(), &a.at).cmp(&(b.at.is_none(), &b.at)));
    if after.status != RunStatus::Started && was != Some(after.status) {
        let kind =
            if after.status == RunStatus::Completed { RunEventKind::RunCompleted } else { RunEventKind::RunFailed };
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
        reason: run.failure_reason().filter(|_| event == RunEventKind::RunFailed),
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
            StepStatus::Created | StepStatus::Started => return,
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
        super::TaskStatus::Queued => task.attempts,
        super::TaskStatus::Started | super::TaskStatus::Completed => task.attempts.saturating_sub(1),
        super::TaskStatus::Failed => 0,
    };
    step.task_list.iter().filter(|task| task.error.is_some()).map(of_task).max().unwrap_or(0)
}

impl RunDetail {
    /// Why it failed, in words; none where it has not.
    pub fn failure_reason(&self) -> Option<String> {
        if self.status != RunStatus::Failed {
            return None;
        }
        if let Some(step) = self.steps.iter().find(|step| step.status == StepStatus::Failed) {
            let error = step.error.as_deref().unwrap_or("no error was given");
            return Some(format!("step {}: {error}", step.step));
        }
        Some(match self.cancelled.as_deref() {
            None => "it was cancelled".to_owned(),
            Some("") => "it was cancelled without a reason".to_owned(),
            Some(reason) => format!("it was cancelled: {reason}"),
        })
    }
}
