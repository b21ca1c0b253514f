//! The contract's rules about recovery and what operators do.

use super::rules::Turn;
use super::run::{State, Status, Task, Visible, body};

/// A task that is this much over its timeout is stalled.
const GRACE: i64 = 30;
const MAX_REQUEUES: i64 = 3;

impl Turn<'_> {
    /// A worker takes a task. Whether it was there to take.
    pub(super) fn start_task(&mut self, step: usize, index: usize) -> bool {
        let timeout = self.timeout(step);
        let goes_on = self.run.status == Status::Started && self.run.steps[step].status == Status::Started;
        let task = &mut self.run.steps[step].tasks[index];
        if !goes_on || task.status != Status::Queued {
            return false;
        }
        task.status = Status::Started;
        task.attempts += 1;
        task.started_at = self.now;
        task.message.visible_at = Visible::At(self.now + timeout + 2);
        true
    }

    /// How many of the run's tasks were stalled and are queued again.
    pub(super) fn requeue_stalled(&mut self) -> usize {
        let mut requeued = 0;
        for step in 0..self.run.steps.len() {
            for index in 0..self.run.steps[step].tasks.len() {
                requeued += usize::from(self.requeue_if_stalled(step, index));
            }
        }
        requeued
    }

    fn requeue_if_stalled(&mut self, step: usize, index: usize) -> bool {
        let deadline = self.timeout(step) + GRACE;
        let goes_on = self.run.status == Status::Started && self.run.steps[step].status == Status::Started;
        let task = &mut self.run.steps[step].tasks[index];
        let is_late = task.status == Status::Started && !task.is_stalled && self.now - task.started_at > deadline;
        if !is_late {
            return false;
        }
        // Nobody will finish a task of what is over, so that it is given up at once.
        if !goes_on || task.requeued == MAX_REQUEUES {
            task.is_stalled = true;
            self.archive(step, index);
            return false;
        }
        task.status = Status::Queued;
        task.requeued += 1;
        task.message.visible_at = Visible::At(self.now);
        true
    }

    fn timeout(&self, step: usize) -> i64 {
        self.flow.steps[step].timeout.unwrap_or(self.flow.timeout)
    }

    pub(super) fn cancel(&mut self, reason: &str) {
        if self.run.status == Status::Started {
            self.fail_run(Some(reason));
        }
    }

    /// Failed and started steps go on with the tasks that are not completed; what a condition failed is evaluated anew.
    pub(super) fn retry(&mut self) {
        if self.run.status != Status::Failed {
            return;
        }
        self.run.status = Status::Started;
        let is_open = |state: &&State| !matches!(state.status, Status::Completed | Status::Skipped);
        self.run.remaining_steps = self.run.steps.iter().filter(is_open).count();
        self.announce_start();
        for step in 0..self.run.steps.len() {
            match self.run.steps[step].status {
                Status::Failed if !self.run.steps[step].was_started => {
                    self.run.steps[step].status = Status::Created;
                    self.run.steps[step].error = None;
                }
                Status::Failed | Status::Started => self.restart(step),
                _ => {}
            }
        }
        self.go_on();
    }
    /// The tasks of a step that are not completed begin again, with new messages instead of those in the archive.
    fn restart(&mut self, step: usize) {
        let visible_at = self.now + self.flow.steps[step].start_delay.unwrap_or(0);
        let tasks = self.run.steps[step].tasks.len();
        for index in 0..tasks {
            let task = &mut self.run.steps[step].tasks[index];
            if task.status != Status::Completed {
                *task = Task::new(visible_at);
                let body = body(self.flow, self.run.number, step, index);
                let archived = self.run.archive.iter().position(|other| *other == body).unwrap();
                self.run.archive.swap_remove(archived);
            }
        }
        let state = &mut self.run.steps[step];
        let remaining = state.tasks.iter().filter(|task| task.status != Status::Completed).count();
        state.status = Status::Started;
        state.error = None;
        state.remaining_tasks = Some(remaining);
        self.announce_step_start(step, remaining);
    }
}
