//! The events of a worker.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flowsmith_core::diagnostic::Code;

/// Called for every event of a worker.
pub(crate) type EventObserver = Arc<dyn Fn(&Event) + Send + Sync>;

/// An event of a worker. `Display` returns a line for a log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The worker has registered and claims tasks.
    Started {
        /// Slugs of its flows in the database.
        flows: Vec<String>,
        /// Whether the engine claims and completes tasks in batches; official engines do not.
        batches: bool,
    },
    /// The metrics endpoint accepts requests.
    ServingMetrics {
        /// Its address.
        address: SocketAddr,
    },
    /// The worker is notified of new tasks.
    Listening,
    /// Notifications do not arrive, so the worker polls.
    Polling {
        /// The reason.
        reason: String,
        /// The longest time between two polls.
        interval: Duration,
    },
    /// The engine cannot requeue stalled tasks.
    NoRecovery,
    /// A handler started.
    TaskStarted(TaskName),
    /// A handler logged a line, for example on its standard error.
    TaskLogged {
        /// The task.
        task: TaskName,
        /// The line.
        line: String,
    },
    /// A task completed.
    TaskCompleted {
        /// The task.
        task: TaskName,
        /// The duration of its handler.
        duration: Duration,
    },
    /// An attempt failed.
    TaskFailed {
        /// The task.
        task: TaskName,
        /// The duration of its handler.
        duration: Duration,
        /// The error.
        message: String,
        /// Whether the task is retried.
        retries: bool,
    },
    /// A handler finished after another worker had claimed the task, or after its run had ended. Its output was discarded.
    TaskLate(TaskName),
    /// Claimed tasks returned to the queue.
    TasksReturned {
        /// The flow's slug in the database.
        flow: String,
        /// The number of tasks.
        tasks: usize,
    },
    /// The engine returned a task of a step that this worker has no handler for.
    UnknownStep {
        /// The flow's slug in the database.
        flow: String,
        /// The step.
        step: String,
    },
    /// A flow's queue does not exist.
    QueueMissing {
        /// The flow's slug in the database.
        flow: String,
    },
    /// A missing queue exists again.
    QueueRestored {
        /// The flow's slug in the database.
        flow: String,
    },
    /// Runs of an older version of a flow are running, and no worker serves that version.
    UnservedRuns {
        /// The version, such as `order@1`.
        version: String,
        /// The number of runs.
        runs: i64,
    },
    /// Stalled tasks of silent workers were requeued.
    Requeued {
        /// The number of tasks.
        tasks: i64,
    },
    /// A connection was lost; the worker reconnects.
    Disconnected {
        /// The error.
        error: String,
        /// The pause before the next attempt.
        retry_in: Duration,
    },
    /// An attempt to connect failed; the worker retries.
    NotConnected {
        /// The error.
        error: String,
        /// The pause before the next attempt.
        retry_in: Duration,
    },
    /// A lost connection was restored.
    Reconnected,
    /// The database rejected a call; the worker continues.
    Rejected {
        /// The failed operation, such as `cannot claim tasks of order`.
        operation: String,
        /// The error.
        error: String,
    },
    /// `deprecated_at` was set in the database: the worker claims no more tasks of this flow.
    Deprecated {
        /// The flow's slug in the database.
        flow: String,
    },
    /// The worker is shutting down: it claims no more tasks, and exits when its running tasks have finished.
    Draining {
        /// The number of running tasks.
        running: usize,
        /// Results that the database has not acknowledged.
        unacknowledged: usize,
    },
}

/// The name of a task for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskName {
    /// The flow's slug in the database.
    pub flow: String,
    /// The step.
    pub step: String,
    /// The run.
    pub run_id: String,
    /// The index in the array of a map, from 0; 0 for a single step.
    pub task_index: i32,
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.flow, self.step)?;
        if self.task_index > 0 {
            write!(f, "[{}]", self.task_index)?;
        }
        write!(f, " run {}", self.run_id)
    }
}

impl Event {
    /// The code of an event that an operator has to act on. It has a page in the documentation.
    pub fn code(&self) -> Option<Code> {
        matches!(self, Self::QueueMissing { .. }).then_some(Code::QueueMissing)
    }

    /// Advice for an event with a code.
    pub fn help(&self) -> Option<&'static str> {
        let help = "run `flowsmith compile --from-live`, then `flowsmith apply --accept-drift`, to recreate the queue";
        matches!(self, Self::QueueMissing { .. }).then_some(help)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { flows, batches } => {
                let how =
                    if *batches { "in batches" } else { "one task per call: the engine does not support batches" };
                write!(f, "working on {}, {how}", flows.join(", "))
            }
            Self::ServingMetrics { address } => write!(f, "serving metrics at http://{address}/metrics"),
            Self::Listening => write!(f, "listening for notifications"),
            Self::Polling { reason, interval } => {
                write!(f, "polling at least every {} s: {reason}", interval.as_secs_f64())
            }
            Self::NoRecovery => {
                write!(f, "the engine cannot recover tasks of killed workers; level 0.14 or later can")
            }
            Self::TaskStarted(_)
            | Self::TaskLogged { .. }
            | Self::TaskCompleted { .. }
            | Self::TaskFailed { .. }
            | Self::TaskLate(_)
            | Self::TasksReturned { .. }
            | Self::Requeued { .. }
            | Self::UnknownStep { .. } => self.fmt_tasks(f),
            Self::QueueMissing { flow } => write!(f, "{flow}: the queue is missing, so its tasks cannot be claimed"),
            Self::QueueRestored { flow } => write!(f, "{flow}: the queue exists again"),
            Self::UnservedRuns { version, runs } => {
                let runs = if *runs == 1 { "1 run is".to_owned() } else { format!("{runs} runs are") };
                write!(
                    f,
                    "{version}: {runs} still running, and no worker serves this version: start one with the flow file of that \
                     version, and keep it running until the version is drained, for which `flowsmith retire {version} --wait` waits"
                )
            }
            Self::Disconnected { error, retry_in } if retry_in.is_zero() => {
                write!(f, "connection lost: {error}; reconnecting")
            }
            Self::Disconnected { error, retry_in } => {
                write!(f, "connection lost: {error}; reconnecting in {:.1} s", retry_in.as_secs_f32())
            }
            Self::NotConnected { error, retry_in } => {
                write!(f, "{error}; retrying in {:.1} s", retry_in.as_secs_f32())
            }
            Self::Reconnected => write!(f, "reconnected"),
            Self::Rejected { operation, error } => write!(f, "{operation}: {error}"),
            Self::Deprecated { flow } => {
                write!(f, "{flow}: this worker was deprecated in the database and claims no more tasks of the flow")
            }
            Self::Draining { running, unacknowledged } => {
                write!(f, "shutting down: claiming no more tasks, ")?;
                match running {
                    0 => write!(f, "no task is running")?,
                    1 => write!(f, "1 task is still running")?,
                    _ => write!(f, "{running} tasks are still running")?,
                }
                match unacknowledged {
                    0 => Ok(()),
                    1 => write!(f, "; 1 result is not yet acknowledged by the database"),
                    _ => write!(f, "; {unacknowledged} results are not yet acknowledged by the database"),
                }
            }
        }
    }
}

impl Event {
    /// The text of a program, a server or the database in the event.
    pub(crate) fn foreign_text(&self) -> Option<&String> {
        match self {
            Self::TaskLogged { line: text, .. }
            | Self::TaskFailed { message: text, .. }
            | Self::Rejected { error: text, .. }
            | Self::Disconnected { error: text, .. }
            | Self::NotConnected { error: text, .. }
            | Self::Polling { reason: text, .. } => Some(text),
            _ => None,
        }
    }

    /// The same, to replace it.
    pub(crate) fn foreign_text_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::TaskLogged { line: text, .. }
            | Self::TaskFailed { message: text, .. }
            | Self::Rejected { error: text, .. }
            | Self::Disconnected { error: text, .. }
            | Self::NotConnected { error: text, .. }
            | Self::Polling { reason: text, .. } => Some(text),
            _ => None,
        }
    }
}

impl Event {
    /// The events about tasks.
    fn fmt_tasks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TaskStarted(task) => write!(f, "{task} started"),
            Self::TaskLogged { task, line } => write!(f, "{task}: {line}"),
            Self::TaskCompleted { task, duration } => write!(f, "{task} completed in {} ms", duration.as_millis()),
            Self::TaskFailed { task, duration, message, retries } => {
                let then = if *retries { "will be retried" } else { "will not be retried" };
                write!(f, "{task} failed after {} ms, {then}: {message}", duration.as_millis())
            }
            Self::TaskLate(task) => {
                write!(f, "{task} finished too late: another worker has claimed it, or its run has ended")
            }
            Self::TasksReturned { flow, tasks: 1 } => write!(f, "{flow}: 1 task returned to the queue"),
            Self::TasksReturned { flow, tasks } => write!(f, "{flow}: {tasks} tasks returned to the queue"),
            Self::Requeued { tasks: 1 } => write!(f, "1 stalled task requeued"),
            Self::Requeued { tasks } => write!(f, "{tasks} stalled tasks requeued"),
            Self::UnknownStep { flow, step } => {
                write!(f, "{flow}: step `{step}` is unknown to this worker; its task returned to the queue")
            }
            _ => Ok(()),
        }
    }
}
