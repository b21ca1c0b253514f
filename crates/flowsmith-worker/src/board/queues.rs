//! What is known of each flow's queue: whether it is worth a look, may be taken from, or is to be cleared up first.

use std::time::{Duration, Instant};

use super::Board;

/// What is known of a flow's queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    /// There may be something in it.
    pub(super) is_wanted: bool,
    /// Nothing is to be taken from it any more.
    pub(super) is_closed: bool,
    /// Not to be polled before.
    pub(super) not_before: Option<Instant>,
    /// Polls under way.
    pub(super) polls: usize,
    /// What the last poll came to; none before the first.
    was_refused: Option<bool>,
    /// A poll was cut off: the database may have handed out tasks that nobody here knows.
    is_suspect: bool,
}

impl Queue {
    pub(super) fn is_to_be_polled(&self) -> bool {
        self.is_wanted && !self.is_closed && !self.is_suspect && self.not_before.is_none()
    }
}

impl Board {
    /// There may be tasks of this flow.
    pub(crate) fn want(&self, flow: usize) {
        self.state().queues[flow].is_wanted = true;
        self.lanes.notify_one();
    }

    /// Takes nothing more of a flow; whether that is new.
    pub(crate) fn close(&self, flow: usize) -> bool {
        !std::mem::replace(&mut self.state().queues[flow].is_closed, true)
    }

    /// Whether any flow is still open.
    pub(crate) fn is_open(&self) -> bool {
        self.state().queues.iter().any(|queue| !queue.is_closed)
    }

    /// The database has refused a poll of a flow, or has taken one.
    pub(crate) fn answered(&self, flow: usize, is_refusal: bool) {
        self.state().queues[flow].was_refused = Some(is_refusal);
    }

    /// Whether the last poll of every flow that was polled was refused.
    pub(crate) fn is_refused(&self) -> bool {
        let state = self.state();
        let mut answers = state.queues.iter().filter_map(|queue| queue.was_refused).peekable();
        answers.peek().is_some() && answers.all(|was_refused| was_refused)
    }

    /// Leaves a flow alone for a while.
    pub(crate) fn rest(&self, flow: usize, pause: Duration) {
        self.state().queues[flow].not_before = Some(Instant::now() + pause);
        self.look.notify_one();
    }

    /// When the next flow's rest is over.
    pub(crate) fn next_rest(&self) -> Option<Instant> {
        self.state().queues.iter().filter_map(|queue| queue.not_before).min()
    }

    /// A poll of this flow was cut off. It is not polled until that is cleared up.
    pub(crate) fn suspect(&self, flow: usize) {
        self.state().queues[flow].is_suspect = true;
        self.look.notify_one();
    }

    /// Flows to clear up, of which no poll is under way.
    pub(crate) fn suspects(&self) -> Vec<usize> {
        let state = self.state();
        (0..state.queues.len())
            .filter(|flow| state.queues[*flow].is_suspect && state.queues[*flow].polls == 0)
            .collect()
    }

    /// A flow is cleared up.
    pub(crate) fn clear(&self, flow: usize) {
        let mut state = self.state();
        (state.queues[flow].is_suspect, state.queues[flow].is_wanted) = (false, true);
        drop(state);
        self.lanes.notify_one();
    }
}
