//! A run as the model keeps it, and the lines that describe it. `facts.sql` writes the same lines from the tables.

use std::fmt::{Display, Formatter, Result};

use serde_json::{Value, json};

use super::flow::{Flow, Kind, SLUG};
use super::json::{text, text_or_null};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Created,
    Queued,
    Started,
    Completed,
    Failed,
    Skipped,
}

impl Display for Status {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// Times are seconds of the walk's own clock.
pub(super) struct Run {
    /// The last digit of its id.
    pub(super) number: u8,
    pub(super) status: Status,
    pub(super) input: Value,
    pub(super) output: Option<Value>,
    pub(super) remaining_steps: usize,
    pub(super) finished_at: i64,
    /// In the order of the flow's steps.
    pub(super) steps: Vec<State>,
    /// The bodies of its messages in the archive.
    pub(super) archive: Vec<String>,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) status: Status,
    pub(super) remaining_tasks: Option<usize>,
    pub(super) initial_tasks: Option<usize>,
    pub(super) remaining_deps: usize,
    pub(super) output: Option<Value>,
    pub(super) error: Option<String>,
    pub(super) skip_reason: Option<&'static str>,
    pub(super) was_started: bool,
    pub(super) tasks: Vec<Task>,
}

#[derive(Clone)]
pub(super) struct Task {
    pub(super) status: Status,
    pub(super) attempts: i64,
    pub(super) error: Option<String>,
    pub(super) output: Option<Value>,
    pub(super) started_at: i64,
    pub(super) requeued: i64,
    pub(super) is_stalled: bool,
    pub(super) message: Message,
}

/// The message that carries a task.
#[derive(Clone)]
pub(super) struct Message {
    /// In the queue rather than in the archive.
    pub(super) is_live: bool,
    /// Told by the engine.
    pub(super) id: Option<i64>,
    pub(super) visible_at: Visible,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visible {
    At(i64),
    /// A worker has it that could not start its task, because the flow was paused.
    Parked,
}

impl Task {
    pub(super) fn new(visible_at: i64) -> Self {
        Self {
            status: Status::Queued,
            attempts: 0,
            error: None,
            output: None,
            started_at: 0,
            requeued: 0,
            is_stalled: false,
            message: Message { is_live: true, id: None, visible_at: Visible::At(visible_at) },
        }
    }
}

/// A line, and a number beside it: of a task its message's id, of a message in the queue when it can be read.
pub(super) type Fact = (String, Option<Visible>);

impl Run {
    pub(super) fn id(number: u8) -> String {
        format!("00000000-0000-0000-0000-00000000000{number}")
    }

    pub(super) fn line(&self) -> String {
        format!(
            "run {}: {}, input {}, output {}, {} steps remain, completed_at {}, failed_at {}",
            self.number,
            self.status,
            text(&self.input),
            text_or_null(self.output.as_ref()),
            self.remaining_steps,
            flag(self.status == Status::Completed),
            flag(self.status == Status::Failed),
        )
    }

    pub(super) fn facts(&self, flow: &Flow) -> Vec<Fact> {
        let mut facts = vec![(self.line(), None)];
        facts.extend(self.archive.iter().map(|body| (format!("archive {body}"), None)));
        for (step, state) in self.steps.iter().enumerate() {
            facts.push((self.state_line(flow, step), None));
            for (index, task) in state.tasks.iter().enumerate() {
                let (line, queue) = self.message_lines(flow, step, index);
                facts.push((line, task.message.id.map(Visible::At)));
                if task.message.is_live {
                    facts.push((queue, Some(task.message.visible_at)));
                }
            }
        }
        facts
    }

    /// The task's line with the place of its message, and the message's line where that is the queue.
    pub(super) fn message_lines(&self, flow: &Flow, step: usize, index: usize) -> (String, String) {
        let place = if self.steps[step].tasks[index].message.is_live { "queue" } else { "archive" };
        let task = format!("{}, in the {place}", self.task_line(flow, step, index));
        (task, format!("queue {}", body(flow, self.number, step, index)))
    }

    fn state_line(&self, flow: &Flow, step: usize) -> String {
        let state = &self.steps[step];
        // The contract does not say what a failed step has left to do, nor what one skipped by cascade waits for.
        let cascaded = state.skip_reason == Some("dependency_skipped");
        let open = |number: Option<usize>, is_open| {
            if is_open { "*".to_owned() } else { number.map_or_else(|| "-".to_owned(), |number| number.to_string()) }
        };
        format!(
            "step {} {}: {}, tasks {} of {}, deps {}, output {}, error {}, reason {}, started_at {}, completed_at {}, \
             failed_at {}, skipped_at {}",
            self.number,
            flow.steps[step].slug,
            state.status,
            open(state.remaining_tasks, state.status == Status::Failed),
            open(state.initial_tasks, cascaded),
            open(Some(state.remaining_deps), cascaded),
            text_or_null(state.output.as_ref()),
            state.error.as_deref().unwrap_or("-"),
            state.skip_reason.unwrap_or("-"),
            flag(state.was_started),
            flag(state.status == Status::Completed),
            flag(state.status == Status::Failed),
            flag(state.status == Status::Skipped),
        )
    }

    pub(super) fn task_line(&self, flow: &Flow, step: usize, index: usize) -> String {
        let task = &self.steps[step].tasks[index];
        format!(
            "task {} {} {index}: {}, attempts {}, error {}, output {}, started_at {}, completed_at {}, failed_at {}, \
             requeued {}, stalled {}{}",
            self.number,
            flow.steps[step].slug,
            task.status,
            task.attempts,
            task.error.as_deref().unwrap_or("-"),
            text_or_null(task.output.as_ref()),
            flag(task.status != Status::Queued),
            flag(task.status == Status::Completed),
            flag(task.status == Status::Failed),
            task.requeued,
            flag(task.is_stalled),
            if task.status == Status::Started { ", worker aa" } else { "" },
        )
    }

    /// The outputs of its completed dependencies: what conditions look at and what a single step is given.
    pub(super) fn outputs_before(&self, flow: &Flow, step: usize) -> Value {
        self.outputs(flow, flow.steps[step].deps.iter().copied())
    }

    /// The outputs of those steps that completed.
    pub(super) fn outputs(&self, flow: &Flow, steps: impl Iterator<Item = usize>) -> Value {
        let completed = steps.filter(|step| self.steps[*step].status == Status::Completed);
        completed
            .map(|step| (flow.steps[step].slug.clone(), self.steps[step].output.clone().unwrap_or(Value::Null)))
            .collect()
    }

    /// The line of a `step_task_record`.
    pub(super) fn record_line(&self, flow: &Flow, step: usize, index: usize, is_merged: bool) -> String {
        let definition = &flow.steps[step];
        let input = match definition.kind {
            Kind::Map => {
                let source =
                    definition.deps.first().map_or(&self.input, |dep| self.steps[*dep].output.as_ref().unwrap());
                source[index].clone()
            }
            Kind::Single => {
                let mut input = self.outputs_before(flow, step);
                if is_merged {
                    input["run"] = self.input.clone();
                }
                input
            }
        };
        let is_root_single = definition.kind == Kind::Single && definition.deps.is_empty();
        format!(
            "{SLUG} {} {} {index}: input {}, flow_input {}, its message t",
            self.number,
            definition.slug,
            text(&input),
            text_or_null(is_root_single.then_some(&self.input)),
        )
    }
}

pub(super) fn body(flow: &Flow, run: u8, step: usize, index: usize) -> String {
    let step = &flow.steps[step].slug;
    text(&json!({"flow_slug": SLUG, "run_id": Run::id(run), "step_slug": step, "task_index": index}))
}

fn flag(flag: bool) -> char {
    if flag { 't' } else { 'f' }
}
