//! The dispatcher assigns jobs to the connection loops. It is shared by all parts of a worker.
//!
//! ```text
//! listener, maintenance ── add_work ────→ ┌────────────┐ ── Claim ──→ connection loop ── start ──→ handlers
//!                                         │ dispatcher │                                               │
//! database ←─ connection loop ←── Report ─└────────────┘ ←──────────────── finish ─────────────────────┘
//! ```

mod outbox;
mod queue;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::state::State;
use crate::engine::TaskId;
use crate::task::{FinishedTask, Task};

pub(crate) use self::state::{Job, Limits};

/// Assigns jobs to the connection loops.
pub(crate) struct Dispatcher {
    concurrency: usize,
    state: Mutex<State>,
    /// Wakes one connection loop.
    job_available: Notify,
    /// Wakes the maintenance to check the queues soon.
    check_requested: Notify,
}

impl Dispatcher {
    pub(crate) fn new(flows: usize, limits: Limits) -> Self {
        Self {
            concurrency: limits.concurrency,
            state: Mutex::new(State::new(flows, limits)),
            job_available: Notify::new(),
            check_requested: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change panics halfway, so the state is consistent even if the lock is poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes a connection loop.
    fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state());
        self.job_available.notify_one();
        result
    }

    /// Waits for the next job; none after the dispatcher has drained.
    pub(crate) async fn next(&self) -> Option<Job> {
        loop {
            // Registered before the check, so that no notification in between is missed.
            let notified = self.job_available.notified();
            let (job, is_drained) = {
                let mut state = self.state();
                (state.next_job(), state.is_drained())
            };
            if job.is_some() || is_drained {
                // Each connection loop wakes the next one, which waits again if there is no other job.
                self.job_available.notify_one();
                return job;
            }
            notified.await;
        }
    }

    /// Records the tasks of a claim, and returns those that can start. Flows with more tasks are claimed from again.
    pub(crate) fn claimed(&self, flow: usize, quantity: usize, tasks: Vec<Task>) -> Vec<Task> {
        let admission = self.update(|state| {
            state.end_claim(flow, quantity);
            if tasks.len() >= quantity {
                state.queues[flow].has_work = true;
            }
            let admission = state.add_claimed(flow, tasks);
            if admission.is_full {
                state.queues[flow].paused_until = Some(Instant::now() + Duration::from_secs(1));
            }
            admission
        });
        if admission.is_full {
            self.request_check();
        }
        admission.start
    }

    /// Records that a claim failed and has to be repeated.
    pub(crate) fn claim_failed(&self, flow: usize, quantity: usize) {
        self.update(|state| {
            state.end_claim(flow, quantity);
            state.queues[flow].has_work = true;
        });
    }

    /// Records the result of a task, and returns a waiting task that can start instead.
    pub(crate) fn finish(&self, finished: FinishedTask) -> Option<Task> {
        self.update(|state| state.finish(finished))
    }

    /// Records that a report of these tasks, with outputs of this size, has ended.
    pub(crate) fn acknowledge(&self, ids: &[TaskId], bytes: usize) {
        self.update(|state| state.acknowledge(ids, bytes));
    }

    /// Starts no more tasks: waiting tasks return to the queue, and connection loops end when the database has acknowledged all
    /// results. Returns the number of running tasks and of unacknowledged results.
    pub(crate) fn drain(&self) -> (usize, usize) {
        self.update(State::drain)
    }

    /// Resumes queues whose pause has ended, and returns tasks to their queues that have waited here too long.
    pub(crate) fn expire(&self, now: Instant) {
        self.update(|state| state.expire(now));
    }

    /// The maximum number of running tasks.
    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// The number of tasks claimed so far.
    pub(crate) fn claimed_total(&self) -> u64 {
        self.state().claimed
    }

    /// Whether so many results are unacknowledged that the recovery would consider finished tasks stalled.
    pub(crate) fn has_backlog(&self) -> bool {
        self.state().outbox.has_backlog()
    }

    /// Those of the tasks that this worker does not have, although the database assigned them to it.
    pub(crate) fn unknown(&self, claimed: Vec<TaskId>) -> Vec<TaskId> {
        let state = self.state();
        claimed.into_iter().filter(|id| !state.is_unacknowledged(id)).collect()
    }

    /// Asks the maintenance to check the queues soon.
    pub(crate) fn request_check(&self) {
        self.check_requested.notify_one();
    }

    /// Waits for [`Dispatcher::request_check`].
    pub(crate) async fn check_requested(&self) {
        self.check_requested.notified().await;
    }
}

/// Queues.
impl Dispatcher {
    /// Records that a flow may have tasks.
    pub(crate) fn add_work(&self, flow: usize) {
        self.update(|state| state.queues[flow].has_work = true);
    }

    /// Claims no more tasks of a flow. Returns whether the queue was open.
    pub(crate) fn close(&self, flow: usize) -> bool {
        !std::mem::replace(&mut self.state().queues[flow].is_closed, true)
    }

    /// Whether any queue is open.
    pub(crate) fn has_open_queue(&self) -> bool {
        self.state().queues.iter().any(|queue| !queue.is_closed)
    }

    /// Records whether the database rejected a claim.
    pub(crate) fn record_claim(&self, flow: usize, was_rejected: bool) {
        self.state().queues[flow].was_rejected = Some(was_rejected);
    }

    /// Whether the database rejected the last claim of every flow that was claimed from.
    pub(crate) fn is_rejected(&self) -> bool {
        let state = self.state();
        let mut answers = state.queues.iter().filter_map(|queue| queue.was_rejected).peekable();
        answers.peek().is_some() && answers.all(|was_rejected| was_rejected)
    }

    /// Claims no tasks of a flow for a while.
    pub(crate) fn pause(&self, flow: usize, pause: Duration) {
        self.state().queues[flow].paused_until = Some(Instant::now() + pause);
        self.request_check();
    }

    /// The end of the next pause.
    pub(crate) fn next_resume(&self) -> Option<Instant> {
        self.state().queues.iter().filter_map(|queue| queue.paused_until).min()
    }

    /// Records that a claim was interrupted by a lost connection. Nothing is claimed until [`Dispatcher::resolve_interrupted`].
    pub(crate) fn mark_interrupted(&self, flow: usize) {
        self.state().queues[flow].is_interrupted = true;
        self.request_check();
    }

    /// Flows with interrupted claims and without a claim in progress.
    pub(crate) fn interrupted(&self) -> Vec<usize> {
        let state = self.state();
        let queues = state.queues.iter().enumerate();
        queues.filter(|(_, queue)| queue.is_interrupted && queue.claims == 0).map(|(flow, _)| flow).collect()
    }

    /// Records that the tasks of interrupted claims have been returned to the queue.
    pub(crate) fn resolve_interrupted(&self, flow: usize) {
        self.update(|state| {
            let queue = &mut state.queues[flow];
            (queue.is_interrupted, queue.has_work) = (false, true);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::state::MAX_WAIT;
    use super::*;
    use crate::engine::{ReturnOptions, StepOptions};
    use crate::flow::Step;
    use crate::handler::FunctionHandler;
    use crate::outcome::HandlerError;
    use crate::task::TaskResult;

    /// A dispatcher of one flow after claiming this many tasks of a step with a limit of 1, and the tasks that start.
    fn dispatcher_with(tasks: i32) -> (Dispatcher, Vec<Task>) {
        let dispatcher = Dispatcher::new(1, Limits { concurrency: 50, batch: 50, sql: 5 });
        let echo = FunctionHandler::new(|input: serde_json::Value, _| async move { Ok::<_, HandlerError>(input) });
        let options = StepOptions { timeout: 1, has_dependents: false, is_delayed: false };
        let step = Arc::new(Step::new("a".to_owned(), Arc::new(echo), Some(1), options));
        let task = |task_index| Task {
            flow: 0,
            step: Arc::clone(&step),
            id: TaskId { run_id: String::new(), step_slug: "a".to_owned(), task_index },
            input: String::new(),
            attempt: 1,
            claimed_at: Instant::now(),
        };
        dispatcher.add_work(0);
        let Some(Job::Claim { flow, quantity }) = dispatcher.state().next_job() else { panic!("nothing to claim") };
        let start = dispatcher.claimed(flow, quantity, (0..tasks).map(task).collect());
        (dispatcher, start)
    }

    #[test]
    fn waiting_task_returns_to_the_queue_after_10_seconds() {
        let (dispatcher, start) = dispatcher_with(2);
        let began = Instant::now();
        assert_eq!(start.len(), 1);
        dispatcher.expire(began);
        assert!(dispatcher.state().next_job().is_none());
        dispatcher.expire(began + MAX_WAIT);
        let Some(Job::Report(finished)) = dispatcher.state().next_job() else { panic!("no task returns") };
        let [task] = finished.as_slice() else { panic!("{} tasks return", finished.len()) };
        assert_eq!(task.id.task_index, 1);
        let expected = ReturnOptions { started: false, delay: 1 };
        assert!(matches!(task.result, TaskResult::Return(options) if options == expected), "{:?}", task.result);
    }

    #[test]
    fn interrupted_queue_is_not_claimed_until_resolved() {
        let (dispatcher, _) = dispatcher_with(0);
        dispatcher.add_work(0);
        dispatcher.mark_interrupted(0);
        assert!(dispatcher.state().next_job().is_none());
        assert_eq!(dispatcher.interrupted(), [0]);
        dispatcher.resolve_interrupted(0);
        assert!(matches!(dispatcher.state().next_job(), Some(Job::Claim { flow: 0, .. })));
        // Another claim in progress may return tasks that would be mistaken for lost ones.
        dispatcher.mark_interrupted(0);
        assert!(dispatcher.interrupted().is_empty());
    }
}
