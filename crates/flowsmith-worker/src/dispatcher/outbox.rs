//! Finished tasks whose results the database has not acknowledged.

use std::collections::VecDeque;

use crate::task::FinishedTask;

/// The largest number of results that one call reports, and the largest size of their outputs in bytes, unless a single output
/// exceeds it. A call holds its outputs in memory several times, and the database must acknowledge it before the recovery
/// considers its tasks stalled.
const MAX_RESULTS: usize = 100;
const MAX_BYTES: usize = 8 << 20;

/// Finished tasks, in the order in which they finished.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<FinishedTask>,
    /// The number of calls in progress.
    calls: usize,
    /// The size in bytes of all outputs that the database has not acknowledged.
    unacknowledged_bytes: usize,
}

impl Outbox {
    pub(super) fn add(&mut self, task: FinishedTask) {
        self.unacknowledged_bytes += task.output_size();
        self.waiting.push_back(task);
    }

    /// The number of results that wait for a call.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the database has acknowledged everything.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.calls == 0
    }

    /// Removes the results for the next call, the oldest first; none if no result waits.
    pub(super) fn take_batch(&mut self) -> Option<Vec<FinishedTask>> {
        if self.waiting.is_empty() {
            return None;
        }
        let mut bytes = 0_usize;
        let fits = |task: &&FinishedTask| {
            bytes = bytes.saturating_add(task.output_size());
            bytes <= MAX_BYTES
        };
        let count = self.waiting.iter().take(MAX_RESULTS).take_while(fits).count().max(1);
        self.calls += 1;
        Some(self.waiting.drain(..count).collect())
    }

    /// Records that a call with outputs of this size has ended.
    pub(super) fn acknowledge(&mut self, bytes: usize) {
        self.calls -= 1;
        self.unacknowledged_bytes -= bytes;
    }

    /// Whether reporting the outputs may take so long that the recovery would consider finished tasks stalled.
    pub(super) fn has_backlog(&self) -> bool {
        self.unacknowledged_bytes > MAX_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::engine::{StepOptions, TaskId};
    use crate::flow::Step;
    use crate::handler::FunctionHandler;
    use crate::outcome::{HandlerError, Outcome};
    use crate::task::TaskResult;

    /// An outbox with one task per output size, in bytes.
    fn outbox(sizes: impl IntoIterator<Item = usize>) -> Outbox {
        let echo = FunctionHandler::new(|input: serde_json::Value, _| async move { Ok::<_, HandlerError>(input) });
        let options = StepOptions { timeout: 1, has_dependents: false, is_delayed: false };
        let step = Arc::new(Step::new("a".to_owned(), Arc::new(echo), None, options));
        let mut outbox = Outbox::default();
        for (task_index, size) in (0..).zip(sizes) {
            let id = TaskId { run_id: String::new(), step_slug: "a".to_owned(), task_index };
            let result = TaskResult::Outcome(Outcome::Output("1".repeat(size)));
            outbox.add(FinishedTask { flow: 0, step: Arc::clone(&step), id, result, duration: Duration::ZERO });
        }
        outbox
    }

    #[test]
    fn batch_holds_at_most_8_mib_unless_one_output_is_larger() {
        let mut outbox = outbox([3, 3, 3, 20, 1, 1].map(|size| size << 20));
        let mut batches = Vec::new();
        assert!(outbox.has_backlog());
        while let Some(batch) = outbox.take_batch() {
            assert!(!outbox.is_empty());
            let sizes: Vec<usize> = batch.iter().map(FinishedTask::output_size).collect();
            outbox.acknowledge(sizes.iter().sum());
            batches.push(sizes.iter().map(|size| size >> 20).collect::<Vec<_>>());
        }
        assert_eq!(batches, [vec![3, 3], vec![3], vec![20], vec![1, 1]]);
        assert!(outbox.is_empty() && !outbox.has_backlog());
    }

    #[test]
    fn batch_holds_at_most_100_tasks() {
        let mut outbox = outbox([1; 250]);
        let batches: Vec<usize> = std::iter::from_fn(|| outbox.take_batch()).map(|batch| batch.len()).collect();
        assert_eq!(batches, [100, 100, 50]);
    }
}
