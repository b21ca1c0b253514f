//! The state of a flow's queue, as seen by the dispatcher.

use std::time::Instant;

/// The state of a flow's queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    /// Whether the queue may have visible messages.
    pub(super) has_work: bool,
    /// Whether no more tasks are claimed from it.
    pub(super) is_closed: bool,
    /// No tasks are claimed before this time.
    pub(super) paused_until: Option<Instant>,
    /// The number of claims in progress.
    pub(super) claims: usize,
    /// Whether the database rejected the last claim; none before the first.
    pub(super) was_rejected: Option<bool>,
    /// Whether a claim was interrupted by a lost connection, so that the database may have assigned tasks to this worker that
    /// it does not know. Nothing is claimed until they have been returned.
    pub(super) is_interrupted: bool,
}

impl Queue {
    pub(super) fn is_claimable(&self) -> bool {
        self.has_work && !self.is_closed && !self.is_interrupted && self.paused_until.is_none()
    }

    /// Resumes the queue if its pause has ended.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            self.has_work = true;
        }
    }
}
