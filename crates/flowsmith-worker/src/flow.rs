//! The flows and steps that a worker serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use crate::engine::StepOptions;
use crate::handler::Handler;

/// A flow that the worker serves.
pub(crate) struct Flow {
    /// The slug in the database.
    pub(crate) slug: String,
    pub(crate) steps: Vec<Arc<Step>>,
}

impl Flow {
    pub(crate) fn step(&self, slug: &str) -> Option<&Arc<Step>> {
        self.steps.iter().find(|step| step.slug == slug)
    }
}

/// A step with its handler.
pub(crate) struct Step {
    pub(crate) slug: String,
    pub(crate) handler: Arc<dyn Handler>,
    /// How many of its tasks may run at once; none for no limit but the worker's.
    limit: Option<usize>,
    pub(crate) needs_connection: bool,
    /// Seconds. It may be tuned while the worker runs.
    timeout: AtomicU32,
    pub(crate) has_dependents: bool,
    is_delayed: AtomicBool,
    /// The number of its running tasks. Only the dispatcher changes it.
    running: AtomicUsize,
}

impl Step {
    pub(crate) fn new(slug: String, handler: Arc<dyn Handler>, limit: Option<usize>, options: StepOptions) -> Self {
        let StepOptions { timeout, has_dependents, is_delayed } = options;
        let (timeout, is_delayed) = (timeout.into(), is_delayed.into());
        let needs_connection = handler.needs_connection();
        let running = AtomicUsize::new(0);
        Self { slug, handler, limit, needs_connection, timeout, has_dependents, is_delayed, running }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.load(Ordering::Relaxed).into())
    }

    /// Whether its tasks start later than their dependencies complete.
    pub(crate) fn is_delayed(&self) -> bool {
        self.is_delayed.load(Ordering::Relaxed)
    }

    pub(crate) fn tune(&self, options: StepOptions) {
        self.timeout.store(options.timeout, Ordering::Relaxed);
        self.is_delayed.store(options.is_delayed, Ordering::Relaxed);
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn has_reached_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.running() >= limit)
    }

    pub(crate) fn count_start(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}
