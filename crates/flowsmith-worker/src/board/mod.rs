//! What there is to do, and who does it: the state that all parts of a worker share. Tasks go through this file; what is known
//! of queues and what is to be told have files of their own.
//!
//! ```text
//!   listener, pulse ── want ──→ ┌───────┐ ── Job::Poll ──→ lane ── begin ──→ handlers
//!                               │ board │                                       │
//!   database ←── lane ←─ Job::Report ── └───────┘ ←──────────── finish ─────────────────┘
//! ```

mod outbox;
mod queues;

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::outbox::Outbox;
use self::queues::Queue;
use super::task::{Finished, Task, TaskId};

/// How long a task may wait here for others of its step: much less than the 30 s after which the engine thinks it stalled.
const WAIT: Duration = Duration::from_secs(10);

/// How much may be done at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Tasks in the hands of handlers.
    pub(super) concurrency: usize,
    /// Tasks that one call takes.
    pub(super) batch: usize,
    /// Tasks in the hands of `sql` handlers, each of which needs a connection.
    pub(super) sql: usize,
}

/// What a lane is to do next.
pub(super) enum Job {
    /// Take up to so many tasks of a flow.
    Poll { flow: usize, quantity: usize },
    /// Tell the database what came of these.
    Report(Vec<Finished>),
}

/// What there is to do.
pub(super) struct Board {
    bounds: Bounds,
    state: Mutex<State>,
    /// Wakes one lane.
    lanes: Notify,
    /// Wakes the pulse, to look soon.
    pub(super) look: Notify,
}

#[derive(Default)]
struct State {
    queues: Vec<Queue>,
    outbox: Outbox,
    /// Tasks of steps with a limit, which is reached: of their own, or of connections.
    waiting: VecDeque<Task>,
    /// Tasks in the hands of handlers; each step counts its own.
    in_hand: usize,
    /// Those of them that need a connection.
    sql_in_hand: usize,
    /// Room that polls under way may fill.
    reserved: usize,
    /// Tasks that were handed out to this worker and that the database has not been told of.
    known: HashSet<TaskId>,
    /// The flow that was polled last.
    last: usize,
    is_draining: bool,
    activity: u64,
}

impl Board {
    pub(super) fn new(flows: usize, bounds: Bounds) -> Self {
        let state = State { queues: vec![Queue::default(); flows], ..State::default() };
        Self { bounds, state: Mutex::new(state), lanes: Notify::new(), look: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is done before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins no more tasks: those that wait go back, and lanes end when all that has begun is reported. Says how many
    /// handlers are at work, and of how many that have ended the database has not been told.
    pub(super) fn drain(&self) -> (usize, usize) {
        let mut state = self.state();
        state.is_draining = true;
        let waiting = std::mem::take(&mut state.waiting);
        let (in_hand, untold) = (state.in_hand, state.known.len().saturating_sub(state.in_hand + waiting.len()));
        waiting.into_iter().for_each(|task| state.outbox.add(task.back(0)));
        drop(state);
        self.lanes.notify_one();
        (in_hand, untold)
    }

    /// How many tasks may be in the hands of handlers.
    pub(super) fn concurrency(&self) -> usize {
        self.bounds.concurrency
    }

    /// Grows with every task that is taken.
    pub(super) fn activity(&self) -> u64 {
        self.state().activity
    }

    /// Ends rests that are over, and sends back what has waited too long.
    pub(super) fn tidy(&self, now: Instant) {
        let mut state = self.state();
        for queue in &mut state.queues {
            if queue.not_before.is_some_and(|until| until <= now) {
                queue.not_before = None;
                queue.is_wanted = true;
            }
        }
        let (late, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut state.waiting).into_iter().partition(|task| task.taken + WAIT <= now);
        state.waiting = waiting;
        late.into_iter().for_each(|task| state.outbox.add(task.back(1)));
        drop(state);
        self.lanes.notify_one();
    }

    /// Waits for something to do; none when all is done.
    pub(super) async fn next(&self) -> Option<Job> {
        loop {
            // Before looking, so that nothing is missed that comes in between.
            let notified = self.lanes.notified();
            let (job, is_over) = self.take();
            if job.is_some() || is_over {
                // Each lane wakes the next one, which goes back to sleep where nothing is left.
                self.lanes.notify_one();
                return job;
            }
            notified.await;
        }
    }

    /// Something to do; else whether all is done.
    fn take(&self) -> (Option<Job>, bool) {
        let mut state = self.state();
        (self.job(&mut state), state.is_over())
    }

    /// A batch of reports is worth a call of its own; fewer wait until there is nothing to take.
    fn job(&self, state: &mut State) -> Option<Job> {
        if state.outbox.len() < self.bounds.batch
            && let Some(poll) = self.poll(state)
        {
            return Some(poll);
        }
        state.outbox.take().map(Job::Report)
    }

    fn poll(&self, state: &mut State) -> Option<Job> {
        let room = self.bounds.concurrency.saturating_sub(state.in_hand + state.reserved);
        if room == 0 || state.is_draining {
            return None;
        }
        let flows = state.queues.len();
        let flow = (1..=flows).map(|next| (state.last + next) % flows).find(|flow| {
            state.queues[*flow].is_to_be_polled()
                && state.waiting_for_connections(*flow) * 2 < self.bounds.concurrency.max(1)
        })?;
        let quantity = room.min(self.bounds.batch);
        state.last = flow;
        state.queues[flow].is_wanted = false;
        state.queues[flow].polls += 1;
        state.reserved += quantity;
        Some(Job::Poll { flow, quantity })
    }

    /// What a poll has brought; `missed` where it came to nothing, so that it must be done again. Returns the tasks to begin.
    pub(super) fn polled(&self, flow: usize, quantity: usize, tasks: Vec<Task>, missed: bool) -> Vec<Task> {
        let mut state = self.state();
        state.reserved -= quantity;
        state.queues[flow].polls -= 1;
        state.activity += tasks.len() as u64;
        if missed || tasks.len() >= quantity {
            state.queues[flow].is_wanted = true;
        }
        let mut begin = Vec::new();
        let mut is_full = false;
        for task in tasks {
            state.known.insert(task.id.clone());
            if state.is_draining || state.queues[flow].is_closed {
                state.outbox.add(task.back(0));
            } else if !state.must_wait(&task, self.bounds) {
                state.begin(&task);
                begin.push(task);
            } else if state.waiting.len() < self.bounds.concurrency {
                state.waiting.push_back(task);
            } else {
                is_full = true;
                state.outbox.add(task.back(1));
            }
        }
        if is_full {
            state.queues[flow].not_before = Some(Instant::now() + Duration::from_secs(1));
            self.look.notify_one();
        }
        drop(state);
        self.lanes.notify_one();
        begin
    }

    /// A handler has ended. Returns a task that has waited for it.
    pub(super) fn finish(&self, finished: Finished) -> Option<Task> {
        let mut state = self.state();
        state.end(&finished);
        state.outbox.add(finished);
        let next = state.waiting.iter().position(|task| !state.must_wait(task, self.bounds));
        let next = next.filter(|_| state.in_hand < self.bounds.concurrency).and_then(|at| state.waiting.remove(at));
        if let Some(task) = &next {
            state.begin(task);
            if state.waiting.is_empty() {
                // There is room for tasks that had to go back.
                let queue = &mut state.queues[task.flow];
                (queue.not_before, queue.is_wanted) = (None, true);
            }
        }
        drop(state);
        self.lanes.notify_one();
        next
    }

    /// A lane has told the database.
    pub(super) fn reported(&self, ids: &[TaskId], bytes: usize) {
        let mut state = self.state();
        state.outbox.told(bytes);
        for id in ids {
            state.known.remove(id);
        }
        drop(state);
        self.lanes.notify_one();
    }

    /// Whether so much waits to be told that it takes long, and that done tasks may look as if nobody worked on them.
    pub(super) fn has_much_to_report(&self) -> bool {
        self.state().outbox.has_much()
    }

    /// Those of the tasks that the database thinks are in this worker's hands and are not.
    pub(super) fn unknown(&self, held: Vec<TaskId>) -> Vec<TaskId> {
        let state = self.state();
        held.into_iter().filter(|id| !state.known.contains(id)).collect()
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.is_draining && (self.in_hand, self.reserved) == (0, 0) && self.outbox.is_done() && self.waiting.is_empty()
    }

    /// Whether a task can not begin yet.
    fn must_wait(&self, task: &Task, bounds: Bounds) -> bool {
        task.step.has_reached_limit() || (task.step.needs_connection && self.sql_in_hand >= bounds.sql)
    }

    /// How many tasks of a flow wait that need connections: where there are many, more are better left in the queue.
    fn waiting_for_connections(&self, flow: usize) -> usize {
        self.waiting.iter().filter(|task| task.flow == flow && task.step.needs_connection).count()
    }

    fn begin(&mut self, task: &Task) {
        self.in_hand += 1;
        self.sql_in_hand += usize::from(task.step.needs_connection);
        task.step.running.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&mut self, finished: &Finished) {
        self.in_hand -= 1;
        self.sql_in_hand -= usize::from(finished.step.needs_connection);
        finished.step.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::handler::{Function, HandlerError};
    use crate::task::{End, Step, StepFacts};

    /// One flow, of which this many tasks of a step that is done one at a time have been taken; those that begin.
    fn taken(tasks: i32) -> (Board, Vec<Task>) {
        let board = Board::new(1, Bounds { concurrency: 50, batch: 50, sql: 5 });
        let echo = Function::new(|input: serde_json::Value, _| async move { Ok::<_, HandlerError>(input) });
        let facts = StepFacts { timeout: 1, has_dependents: false, is_delayed: false };
        let step = Arc::new(Step::new("a".to_owned(), Arc::new(echo), Some(1), facts));
        let task = |task_index| Task {
            flow: 0,
            step: Arc::clone(&step),
            id: TaskId { run_id: String::new(), step_slug: "a".to_owned(), task_index },
            input: String::new(),
            attempt: 1,
            taken: Instant::now(),
        };
        board.want(0);
        let (Some(Job::Poll { flow, quantity }), _) = board.take() else { panic!("nothing to poll") };
        let begin = board.polled(flow, quantity, (0..tasks).map(task).collect(), false);
        (board, begin)
    }

    #[test]
    fn a_task_that_waits_long_for_others_of_its_step_goes_back() {
        let (board, begin) = taken(2);
        let began = Instant::now();
        assert_eq!(begin.len(), 1);
        board.tidy(began);
        assert!(board.take().0.is_none());
        board.tidy(began + WAIT);
        let (Some(Job::Report(finished)), _) = board.take() else { panic!("nothing goes back") };
        let [one] = finished.as_slice() else { panic!("{} go back", finished.len()) };
        assert_eq!(one.id.task_index, 1);
        assert!(matches!(one.end, End::Back { begun: false, delay: 1 }), "{:?}", one.end);
    }

    #[test]
    fn a_queue_is_not_polled_before_what_was_cut_off_is_cleared_up() {
        let (board, _) = taken(0);
        board.want(0);
        board.suspect(0);
        assert!(board.take().0.is_none());
        assert_eq!(board.suspects(), [0]);
        board.clear(0);
        assert!(matches!(board.take().0, Some(Job::Poll { flow: 0, .. })));
        // Not while another poll may bring tasks that would be taken for lost ones.
        board.suspect(0);
        assert!(board.suspects().is_empty());
    }
}
