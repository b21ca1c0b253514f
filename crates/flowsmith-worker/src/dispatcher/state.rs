//! The state of the dispatcher, and the decisions that follow from it.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use super::queue::Queue;
use crate::engine::TaskId;
use crate::task::{FinishedTask, Task};

/// How long a claimed task may wait for a running task of its step. It is much shorter than the 30 s after which the engine
/// considers a task stalled.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(10);

/// Limits of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The maximum number of running tasks.
    pub(crate) concurrency: usize,
    /// The maximum number of tasks that one call claims.
    pub(crate) batch: usize,
    /// The maximum number of running tasks of `sql` handlers, each of which needs a connection.
    pub(crate) sql: usize,
}

/// The next job of a connection loop.
pub(crate) enum Job {
    /// Claim up to `quantity` tasks of a flow.
    Claim { flow: usize, quantity: usize },
    /// Report the results of these tasks to the database.
    Report(Vec<FinishedTask>),
}

pub(super) struct State {
    limits: Limits,
    pub(super) queues: Vec<Queue>,
    pub(super) outbox: Outbox,
    /// Claimed tasks that cannot start, because the limit of their step or of `sql` connections is reached.
    waiting: VecDeque<Task>,
    /// The number of running tasks; each step counts its own as well.
    running: usize,
    /// The number of running tasks that need a connection.
    running_sql: usize,
    /// The number of tasks that claims in progress may return.
    reserved: usize,
    /// Claimed tasks whose results the database has not acknowledged.
    unacknowledged: HashSet<TaskId>,
    /// The flow of the last claim.
    last_flow: usize,
    is_draining: bool,
    /// The number of tasks claimed so far.
    pub(super) claimed: u64,
}

/// The result of [`State::add_claimed`].
pub(super) struct Admission {
    /// Tasks to start.
    pub(super) start: Vec<Task>,
    /// Whether tasks had to return to the queue, because too many wait here.
    pub(super) is_full: bool,
}

impl State {
    pub(super) fn new(flows: usize, limits: Limits) -> Self {
        Self {
            limits,
            queues: vec![Queue::default(); flows],
            outbox: Outbox::default(),
            waiting: VecDeque::new(),
            running: 0,
            running_sql: 0,
            reserved: 0,
            unacknowledged: HashSet::new(),
            last_flow: 0,
            is_draining: false,
            claimed: 0,
        }
    }

    /// Whether draining has finished.
    pub(super) fn is_drained(&self) -> bool {
        self.is_draining && (self.running, self.reserved) == (0, 0) && self.outbox.is_empty() && self.waiting.is_empty()
    }

    /// The next job. A full batch of results is reported at once; fewer results wait until there is nothing to claim.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        if self.outbox.len() < self.limits.batch
            && let Some(claim) = self.next_claim()
        {
            return Some(claim);
        }
        self.outbox.take_batch().map(Job::Report)
    }

    /// The next claim; flows take turns.
    fn next_claim(&mut self) -> Option<Job> {
        let room = self.limits.concurrency.saturating_sub(self.running + self.reserved);
        if room == 0 || self.is_draining {
            return None;
        }
        let flows = self.queues.len();
        let flow = (1..=flows).map(|next| (self.last_flow + next) % flows).find(|flow| {
            self.queues[*flow].is_claimable()
                && self.waiting_for_connections(*flow) * 2 < self.limits.concurrency.max(1)
        })?;
        let quantity = room.min(self.limits.batch);
        self.last_flow = flow;
        self.queues[flow].has_work = false;
        self.queues[flow].claims += 1;
        self.reserved += quantity;
        Some(Job::Claim { flow, quantity })
    }

    /// Records the end of a claim.
    pub(super) fn end_claim(&mut self, flow: usize, quantity: usize) {
        self.reserved -= quantity;
        self.queues[flow].claims -= 1;
    }

    /// Admits claimed tasks: they start, wait here, or return to the queue.
    pub(super) fn add_claimed(&mut self, flow: usize, tasks: Vec<Task>) -> Admission {
        self.claimed += tasks.len() as u64;
        let mut admission = Admission { start: Vec::new(), is_full: false };
        for task in tasks {
            self.unacknowledged.insert(task.id.clone());
            if self.is_draining || self.queues[flow].is_closed {
                self.outbox.add(task.return_unstarted(0));
            } else if !self.must_wait(&task) {
                self.start(&task);
                admission.start.push(task);
            } else if self.waiting.len() < self.limits.concurrency {
                self.waiting.push_back(task);
            } else {
                admission.is_full = true;
                self.outbox.add(task.return_unstarted(1));
            }
        }
        admission
    }

    /// Records the end of a running task, and returns a waiting task that can start instead.
    pub(super) fn finish(&mut self, finished: FinishedTask) -> Option<Task> {
        self.running -= 1;
        self.running_sql -= usize::from(finished.step.needs_connection);
        finished.step.count_end();
        self.outbox.add(finished);
        let next = self.waiting.iter().position(|task| !self.must_wait(task));
        let next = next.filter(|_| self.running < self.limits.concurrency).and_then(|at| self.waiting.remove(at));
        if let Some(task) = &next {
            self.start(task);
            if self.waiting.is_empty() {
                // There is room for tasks that had to return to the queue.
                let queue = &mut self.queues[task.flow];
                (queue.paused_until, queue.has_work) = (None, true);
            }
        }
        next
    }

    pub(super) fn acknowledge(&mut self, ids: &[TaskId], bytes: usize) {
        self.outbox.acknowledge(bytes);
        for id in ids {
            self.unacknowledged.remove(id);
        }
    }

    pub(super) fn is_unacknowledged(&self, id: &TaskId) -> bool {
        self.unacknowledged.contains(id)
    }

    /// Returns waiting tasks to the queue, and claims no more. Returns the number of running tasks, and the number of finished
    /// tasks that the database has not acknowledged.
    pub(super) fn drain(&mut self) -> (usize, usize) {
        self.is_draining = true;
        let waiting = std::mem::take(&mut self.waiting);
        let unacknowledged = self.unacknowledged.len().saturating_sub(self.running + waiting.len());
        waiting.into_iter().for_each(|task| self.outbox.add(task.return_unstarted(0)));
        (self.running, unacknowledged)
    }

    /// Resumes queues whose pause has ended, and returns tasks to the queue that have waited too long.
    pub(super) fn expire(&mut self, now: Instant) {
        self.queues.iter_mut().for_each(|queue| queue.resume(now));
        let (late, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|task| task.claimed_at + MAX_WAIT <= now);
        self.waiting = waiting;
        late.into_iter().for_each(|task| self.outbox.add(task.return_unstarted(1)));
    }

    fn must_wait(&self, task: &Task) -> bool {
        task.step.has_reached_limit() || (task.step.needs_connection && self.running_sql >= self.limits.sql)
    }

    /// The number of waiting tasks of a flow that need a connection. If there are many, more are better left in the queue.
    fn waiting_for_connections(&self, flow: usize) -> usize {
        self.waiting.iter().filter(|task| task.flow == flow && task.step.needs_connection).count()
    }

    fn start(&mut self, task: &Task) {
        self.running += 1;
        self.running_sql += usize::from(task.step.needs_connection);
        task.step.count_start();
    }
}
