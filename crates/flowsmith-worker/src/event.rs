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
        let help = "`flowsmith compile --from-live` and `flowsmith apply --accept-drift` recreate it";
        matches!(self, Self::QueueGone { .. }).then_some(help)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { flows, batches } => {
                let how = if *batches { "in batches" } else { "one task a call: the engine has no batches" };
                write!(f, "works on {}, {how}", flows.join(", "))
            }
            Self::ServesMetrics { address } => write!(f, "serves metrics at http://{address}/metrics"),
            Self::Listening => write!(f, "listening for notifications"),
            Self::Polling { why, every } => {
                write!(f, "polls, at the latest every {} s: {why}", every.as_secs_f64())
            }
            Self::NoRecovery => {
                write!(f, "the engine cannot recover tasks of workers that are killed (level 0.14 can)")
            }
            Self::TaskBegan(task) => write!(f, "{task} begins"),
            Self::TaskSaid { task, line } => write!(f, "{task}: {line}"),
            Self::TaskCompleted { task, took } => write!(f, "{task} completed in {} ms", took.as_millis()),
            Self::TaskFailed { task, took, message, retries } => {
                let then = if *retries { "tried again" } else { "not tried again" };
                write!(f, "{task} failed after {} ms, {then}: {message}", took.as_millis())
            }
            Self::TaskLate(task) => {
                write!(f, "{task} ended too late: it was given to somebody else, or its run is over")
            }
            Self::HandedBack { flow, tasks: 1 } => write!(f, "{flow}: 1 task went back to the queue"),
            Self::HandedBack { flow, tasks } => write!(f, "{flow}: {tasks} tasks went back to the queue"),
            Self::UnknownStep { flow, step } => {
                write!(f, "{flow} has a step `{step}` that this worker does not know: its task went back to the queue")
            }
            Self::QueueGone { flow } => write!(f, "{flow}: its queue is gone, so nobody can take its tasks"),
            Self::QueueBack { flow } => write!(f, "{flow}: its queue is there again"),
            Self::OlderRuns { version, runs } => {
                let runs = if *runs == 1 { "1 run is".to_owned() } else { format!("{runs} runs are") };
                write!(
                    f,
                    "{version}: {runs} under way, and no worker has this version: start one with the file as it was then, \
                     and keep it until `flowsmith retire {version} --wait` says that nothing is left to do"
                )
            }
            Self::Recovered { tasks: 1 } => write!(f, "1 stalled task queued again"),
            Self::Recovered { tasks } => write!(f, "{tasks} stalled tasks queued again"),
            Self::Disconnected { error, again_in } if again_in.is_zero() => {
                write!(f, "connection lost: {error}; connects again")
            }
            Self::Disconnected { error, again_in } => {
                write!(f, "connection lost: {error}; connects again in {:.1} s", again_in.as_secs_f32())
            }
            Self::NotConnected { error, again_in } => {
                write!(f, "{error}; tries again in {:.1} s", again_in.as_secs_f32())
            }
            Self::Reconnected => write!(f, "connected again"),
            Self::Refused { what, error } => write!(f, "{what}: {error}"),
            Self::Deprecated { flow } => {
                write!(f, "{flow}: this worker was deprecated in the database, and takes no more of its tasks")
            }
            Self::Draining { running, untold } => {
                write!(f, "ends: takes no more tasks, ")?;
                match running {
                    0 => write!(f, "has none in hand")?,
                    1 => write!(f, "finishes the one in hand")?,
                    _ => write!(f, "finishes the {running} in hand")?,
                }
                match untold {
                    0 => Ok(()),
                    1 => write!(f, "; the database is yet to be told of one that has ended"),
                    _ => write!(f, "; the database is yet to be told of {untold} that have ended"),
                }
            }
        }
    }
}
