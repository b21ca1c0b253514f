//! What a worker tells whoever runs it, as it happens.

use flowsmith_core::diagnostic::Code;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// What a worker tells whoever runs it. `Display` gives a line for a log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It has registered and works.
    Started {
        /// Slugs of its flows in the database.
        flows: Vec<String>,
        /// Whether it talks to the engine in batches, or one by one as to an official engine.
        batches: bool,
    },
    /// It serves metrics.
    ServesMetrics {
        /// Where.
        address: SocketAddr,
    },
    /// It hears of new tasks by notifications.
    Listening,
    /// Notifications do not reach it, so it looks for tasks from time to time.
    Polling {
        /// Why.
        why: String,
        /// The longest time between two looks.
        every: Duration,
    },
    /// A stalled task is nobody's business: the engine cannot recover it.
    NoRecovery,
    /// A handler has begun.
    TaskBegan(TaskName),
    /// A handler said something, on its standard error.
    TaskSaid {
        /// Which task.
        task: TaskName,
        /// One line.
        line: String,
    },
    /// A task is completed.
    TaskCompleted {
        /// Which.
        task: TaskName,
        /// How long its handler took.
        took: Duration,
    },
    /// An attempt has failed.
    TaskFailed {
        /// Which task.
        task: TaskName,
        /// How long its handler took.
        took: Duration,
        /// The error.
        message: String,
        /// Whether it is tried again.
        retries: bool,
    },
    /// A handler ended after somebody else had been given the task, or after its run was over; what it did does not count.
    TaskLate(TaskName),
    /// Tasks went back to the queue.
    HandedBack {
        /// The flow's slug in the database.
        flow: String,
        /// How many.
        tasks: usize,
    },
    /// A step that the worker does not know has a task.
    UnknownStep {
        /// The flow's slug in the database.
        flow: String,
        /// The step.
        step: String,
    },
    /// A flow's queue is gone: somebody has dropped it.
    QueueGone {
        /// The flow's slug in the database.
        flow: String,
    },
    /// A queue that was gone is there again.
    QueueBack {
        /// The flow's slug in the database.
        flow: String,
    },
    /// Runs of an older version of a flow are under way, which this worker does not have, and no other worker works on it.
    OlderRuns {
        /// The version, as `order@1`.
        version: String,
        /// How many runs.
        runs: i64,
    },
    /// Tasks of workers that have gone silent were queued again.
    Recovered {
        /// How many.
        tasks: i64,
    },
    /// A connection was lost; it connects again.
    Disconnected {
        /// Why.
        error: String,
        /// The pause before the next attempt.
        again_in: Duration,
    },
    /// An attempt to connect has failed; it tries again.
    NotConnected {
        /// Why.
        error: String,
        /// The pause before the next attempt.
        again_in: Duration,
    },
    /// A lost connection is there again.
    Reconnected,
    /// The database refused a call; the worker goes on.
    Refused {
        /// What it was about.
        what: String,
        /// What the database said.
        error: String,
    },
    /// Somebody has set `deprecated_at`: nothing more is taken from this flow's queue.
    Deprecated {
        /// The flow's slug in the database.
        flow: String,
    },
    /// It takes no more tasks and ends when those in hand are done.
    Draining {
        /// How many are in hand.
        running: usize,
        /// Results of handlers that the database has not been told of.
        untold: usize,
    },
}

/// A task in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    /// The flow's slug in the database.
    pub flow: String,
    /// The step.
    pub step: String,
    /// The run.
    pub run_id: String,
    /// Its place in the array of a map, from 0.
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
    /// The stable code of what somebody has to put right, with a page in the documentation.
    pub fn code(&self) -> Option<Code> {
        matches!(self, Self::QueueGone { .. }).then_some(Code::QueueMissing)
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        let help = "run `flowsmith compile --from-live`, then `flowsmith apply --accept-drift`, to recreate the queue";
        matches!(self, Self::QueueGone { .. }).then_some(help)
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
            Self::ServesMetrics { address } => write!(f, "serving metrics at http://{address}/metrics"),
            Self::Listening => write!(f, "listening for notifications"),
            Self::Polling { why, every } => {
                write!(f, "polling at least every {} s: {why}", every.as_secs_f64())
            }
            Self::NoRecovery => {
                write!(f, "the engine cannot recover tasks of killed workers; level 0.14 or later can")
            }
            Self::TaskBegan(task) => write!(f, "{task} started"),
            Self::TaskSaid { task, line } => write!(f, "{task}: {line}"),
            Self::TaskCompleted { task, took } => write!(f, "{task} completed in {} ms", took.as_millis()),
            Self::TaskFailed { task, took, message, retries } => {
                let then = if *retries { "will be retried" } else { "will not be retried" };
                write!(f, "{task} failed after {} ms, {then}: {message}", took.as_millis())
            }
            Self::TaskLate(task) => {
                write!(f, "{task} finished too late: another worker has claimed it, or its run has ended")
            }
            Self::HandedBack { flow, tasks: 1 } => write!(f, "{flow}: 1 task returned to the queue"),
            Self::HandedBack { flow, tasks } => write!(f, "{flow}: {tasks} tasks returned to the queue"),
            Self::UnknownStep { flow, step } => {
                write!(f, "{flow}: step `{step}` is unknown to this worker; its task returned to the queue")
            }
            Self::QueueGone { flow } => write!(f, "{flow}: the queue is missing, so its tasks cannot be claimed"),
            Self::QueueBack { flow } => write!(f, "{flow}: the queue exists again"),
            Self::OlderRuns { version, runs } => {
                let runs = if *runs == 1 { "1 run is".to_owned() } else { format!("{runs} runs are") };
                write!(
                    f,
                    "{version}: {runs} still running, and no worker serves this version: start one with the flow file of that \
                     version, and keep it running until the version is drained, for which `flowsmith retire {version} --wait` waits"
                )
            }
            Self::Recovered { tasks: 1 } => write!(f, "1 stalled task requeued"),
            Self::Recovered { tasks } => write!(f, "{tasks} stalled tasks requeued"),
            Self::Disconnected { error, again_in } if again_in.is_zero() => {
                write!(f, "connection lost: {error}; reconnecting")
            }
            Self::Disconnected { error, again_in } => {
                write!(f, "connection lost: {error}; reconnecting in {:.1} s", again_in.as_secs_f32())
            }
            Self::NotConnected { error, again_in } => {
                write!(f, "{error}; retrying in {:.1} s", again_in.as_secs_f32())
            }
            Self::Reconnected => write!(f, "reconnected"),
            Self::Refused { what, error } => write!(f, "{what}: {error}"),
            Self::Deprecated { flow } => {
                write!(f, "{flow}: this worker was deprecated in the database and claims no more tasks of the flow")
            }
            Self::Draining { running, untold } => {
                write!(f, "shutting down: claiming no more tasks, ")?;
                match running {
                    0 => write!(f, "no task is running")?,
                    1 => write!(f, "1 task is still running")?,
                    _ => write!(f, "{running} tasks are still running")?,
                }
                match untold {
                    0 => Ok(()),
                    1 => write!(f, "; 1 result is not yet acknowledged by the database"),
                    _ => write!(f, "; {untold} results are not yet acknowledged by the database"),
                }
            }
        }
    }
}
