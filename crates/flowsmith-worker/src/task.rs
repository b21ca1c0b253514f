//! Flows, steps and tasks as a worker has them in hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::handler::{Handle, Outcome};

/// A flow that is worked on.
pub(super) struct Flow {
    /// In the database.
    pub(super) slug: String,
    pub(super) steps: Vec<Arc<Step>>,
}

impl Flow {
    pub(super) fn step(&self, slug: &str) -> Option<&Arc<Step>> {
        self.steps.iter().find(|step| step.slug == slug)
    }
}

/// A step and what does its tasks.
pub(super) struct Step {
    pub(super) slug: String,
    pub(super) handler: Arc<dyn Handle>,
    /// How many of its tasks may be done at once; none = as many as the worker does.
    pub(super) limit: Option<usize>,
    /// Whether its tasks need connections of their own.
    pub(super) needs_connection: bool,
    /// Seconds that a task may take; it can be tuned while the worker runs.
    timeout: AtomicU32,
    pub(super) has_dependents: bool,
    /// Whether it starts later than it is ready.
    pub(super) is_delayed: AtomicBool,
    /// How many of its tasks handlers are at. Only the board changes it.
    pub(super) running: AtomicUsize,
}

impl Step {
    pub(super) fn new(slug: String, handler: Arc<dyn Handle>, limit: Option<usize>, facts: StepFacts) -> Self {
        let StepFacts { timeout, has_dependents, is_delayed } = facts;
        let (timeout, is_delayed) = (timeout.into(), is_delayed.into());
        let needs_connection = handler.needs_connection();
        Self {
            slug,
            handler,
            limit,
            needs_connection,
            timeout,
            has_dependents,
            is_delayed,
            running: AtomicUsize::new(0),
        }
    }

    pub(super) fn has_reached_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.running.load(Ordering::Relaxed) >= limit)
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.load(Ordering::Relaxed).into())
    }

    pub(super) fn tune(&self, facts: StepFacts) {
        self.timeout.store(facts.timeout, Ordering::Relaxed);
        self.is_delayed.store(facts.is_delayed, Ordering::Relaxed);
    }
}

/// What the database says of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepFacts {
    /// Seconds.
    pub(super) timeout: u32,
    pub(super) has_dependents: bool,
    pub(super) is_delayed: bool,
}

/// A task as the engine hands it out.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) run_id: String,
    pub(super) step_slug: String,
    pub(super) task_index: i32,
    pub(super) input: String,
    /// Which attempt it is, from 1.
    pub(super) attempt: u32,
}

/// What names a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TaskId {
    pub(super) run_id: String,
    pub(super) step_slug: String,
    pub(super) task_index: i32,
}

/// A task in hand.
pub(super) struct Task {
    /// Which of the worker's flows.
    pub(super) flow: usize,
    pub(super) step: Arc<Step>,
    pub(super) id: TaskId,
    pub(super) input: String,
    /// Which attempt it is, from 1.
    pub(super) attempt: u32,
    /// When it was taken from the queue.
    pub(super) taken: Instant,
}

/// A task that nobody works on any more, and what the database is to be told.
pub(super) struct Finished {
    pub(super) flow: usize,
    pub(super) step: Arc<Step>,
    pub(super) id: TaskId,
    pub(super) end: End,
    /// How long its handler took.
    pub(super) took: Duration,
}

impl Finished {
    /// Bytes of its output.
    pub(super) fn bytes(&self) -> usize {
        match &self.end {
            End::Outcome(Outcome::Output(output)) => output.len(),
            _ => 0,
        }
    }
}

/// What the database is to be told of a task.
#[derive(Debug)]
pub(super) enum End {
    /// What came of its handler.
    Outcome(Outcome),
    /// It goes back to the queue, visible after so many seconds.
    Back {
        /// Whether its handler has begun, so that the attempt counts.
        begun: bool,
        /// Seconds.
        delay: u32,
    },
}

impl Task {
    pub(super) fn back(self, delay: u32) -> Finished {
        Finished {
            flow: self.flow,
            step: self.step,
            id: self.id,
            end: End::Back { begun: false, delay },
            took: Duration::ZERO,
        }
    }
}
