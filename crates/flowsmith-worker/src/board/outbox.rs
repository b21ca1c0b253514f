//! What the database is to be told of tasks that have ended: bounded, whatever comes together.

use std::collections::VecDeque;

use crate::task::Finished;

/// Tasks that one call reports at most, and bytes of their outputs unless one is longer: what a report holds is in memory
/// several times until the database has taken it, which is to be soon enough that none of its tasks counts as stalled.
const REPORTS: usize = 100;
const BYTES: usize = 8 << 20;

/// Tasks that have ended.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Finished>,
    /// Reports under way.
    under_way: usize,
    /// Bytes of outputs that the database has not been told of.
    untold: usize,
}

impl Outbox {
    pub(super) fn add(&mut self, finished: Finished) {
        self.untold += finished.bytes();
        self.waiting.push_back(finished);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the database has been told of everything.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }

    /// As many as one call tells of, the oldest first; none where none wait.
    pub(super) fn take(&mut self) -> Option<Vec<Finished>> {
        if self.waiting.is_empty() {
            return None;
        }
        let mut bytes = 0_usize;
        let fits = |one: &&Finished| {
            bytes = bytes.saturating_add(one.bytes());
            bytes <= BYTES
        };
        let count = self.waiting.iter().take(REPORTS).take_while(fits).count().max(1);
        self.under_way += 1;
        Some(self.waiting.drain(..count).collect())
    }

    /// One call has told of so many bytes.
    pub(super) fn told(&mut self, bytes: usize) {
        self.under_way -= 1;
        self.untold -= bytes;
    }

    /// Whether so much waits to be told that it takes long, and that done tasks may look as if nobody worked on them.
    pub(super) fn has_much(&self) -> bool {
        self.untold > BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::handler::{Function, HandlerError, Outcome};
    use crate::task::{End, Step, StepFacts, TaskId};

    /// With tasks whose outputs have so many bytes each.
    fn outbox(sizes: impl IntoIterator<Item = usize>) -> Outbox {
        let echo = Function::new(|input: serde_json::Value, _| async move { Ok::<_, HandlerError>(input) });
        let facts = StepFacts { timeout: 1, has_dependents: false, is_delayed: false };
        let step = Arc::new(Step::new("a".to_owned(), Arc::new(echo), None, facts));
        let mut outbox = Outbox::default();
        for (task_index, size) in (0..).zip(sizes) {
            let id = TaskId { run_id: String::new(), step_slug: "a".to_owned(), task_index };
            let end = End::Outcome(Outcome::Output("1".repeat(size)));
            outbox.add(Finished { flow: 0, step: Arc::clone(&step), id, end, took: Duration::ZERO });
        }
        outbox
    }

    #[test]
    fn a_report_has_no_more_than_8_mib_unless_one_output_is_longer() {
        let mut outbox = outbox([3, 3, 3, 20, 1, 1].map(|size| size << 20));
        let mut reports = Vec::new();
        assert!(outbox.has_much());
        while let Some(finished) = outbox.take() {
            assert!(!outbox.is_done());
            let sizes: Vec<usize> = finished.iter().map(Finished::bytes).collect();
            outbox.told(sizes.iter().sum());
            reports.push(sizes.iter().map(|size| size >> 20).collect::<Vec<_>>());
        }
        assert_eq!(reports, [vec![3, 3], vec![3], vec![20], vec![1, 1]]);
        assert!(outbox.is_done() && !outbox.has_much());
    }

    #[test]
    fn a_report_has_no_more_than_100_tasks() {
        let mut outbox = outbox([1; 250]);
        let reports: Vec<usize> = std::iter::from_fn(|| outbox.take()).map(|finished| finished.len()).collect();
        assert_eq!(reports, [100, 100, 50]);
    }
}
