//! Tasks that the worker has claimed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{ReturnOptions, TaskId};
use crate::flow::Step;
use crate::outcome::Outcome;

/// A claimed task.
pub(crate) struct Task {
    /// The index of its flow among those of the worker.
    pub(crate) flow: usize,
    pub(crate) step: Arc<Step>,
    pub(crate) id: TaskId,
    /// JSON.
    pub(crate) input: String,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    pub(crate) claimed_at: Instant,
}

impl Task {
    /// Returns a task to the queue whose handler has not started.
    pub(crate) fn return_unstarted(self, delay: u32) -> FinishedTask {
        FinishedTask {
            flow: self.flow,
            step: self.step,
            id: self.id,
            result: TaskResult::Return(ReturnOptions { started: false, delay }),
            duration: Duration::ZERO,
        }
    }
}

/// A task that is no longer running, with the result to report to the database.
pub(crate) struct FinishedTask {
    /// The index of its flow among those of the worker.
    pub(crate) flow: usize,
    pub(crate) step: Arc<Step>,
    pub(crate) id: TaskId,
    pub(crate) result: TaskResult,
    /// The duration of its handler.
    pub(crate) duration: Duration,
}

impl FinishedTask {
    /// The size of its output in bytes.
    pub(crate) fn output_size(&self) -> usize {
        match &self.result {
            TaskResult::Outcome(Outcome::Output(output)) => output.len(),
            _ => 0,
        }
    }
}

/// The result of a claimed task.
#[derive(Debug)]
pub(crate) enum TaskResult {
    /// The outcome of its handler.
    Outcome(Outcome),
    /// The task returns to the queue.
    Return(ReturnOptions),
}
