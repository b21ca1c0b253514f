//! Everything that the engine should hold after each call.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::call::{Address, Call, Outcome};
use super::flow::{Flow, Kind, SLUG, Step};
use super::json::type_name;
use super::rules::{Event, Turn};
use super::run::{Fact, Run, State, Status, Visible};

pub(super) struct Model {
    pub(super) flow: Flow,
    pub(super) is_merged: bool,
    pub(super) is_paused: bool,
    /// Seconds travelled.
    pub(super) now: i64,
    pub(super) runs: BTreeMap<u8, Run>,
    /// Those of the last call.
    pub(super) events: Vec<Event>,
}

impl Model {
    pub(super) fn new(flow: Flow, is_merged: bool) -> Self {
        Self { flow, is_merged, is_paused: false, now: 0, runs: BTreeMap::new(), events: Vec::new() }
    }

    pub(super) fn facts(&self) -> Vec<Fact> {
        self.runs.values().flat_map(|run| run.facts(&self.flow)).collect()
    }

    /// Every task with its status.
    pub(super) fn tasks(&self) -> Vec<(Address, Status)> {
        let mut tasks = Vec::new();
        for run in self.runs.values() {
            for (step, state) in run.steps.iter().enumerate() {
                let of_step = state.tasks.iter().enumerate();
                tasks.extend(of_step.map(|(index, task)| ((run.number, step, index), task.status)));
            }
        }
        tasks
    }

    /// Takes over what only the engine knows: the ids of new messages.
    pub(super) fn learn(&mut self, numbers: &HashMap<&str, f64>) {
        for ((number, step, index), _) in self.tasks() {
            let run = self.runs.get_mut(&number).unwrap();
            let (task, _) = run.message_lines(&self.flow, step, index);
            let message = &mut run.steps[step].tasks[index].message;
            if message.id.is_none() {
                message.id = numbers.get(task.as_str()).map(|id| *id as i64);
            }
        }
    }

    /// Whether a call's tasks and runs exist: not all do when a walk is replayed without some of its calls.
    pub(super) fn can(&self, call: &Call) -> bool {
        let exists =
            |(run, step, index): &Address| self.runs.get(run).is_some_and(|run| *index < run.steps[*step].tasks.len());
        match call {
            Call::Start { tasks } => tasks.iter().all(exists),
            Call::Complete { task, .. } | Call::Fail { task, .. } => exists(task),
            Call::CompleteBatch { tasks } => tasks.iter().all(|(task, _)| exists(task)),
            Call::Hide { tasks } => tasks.iter().all(|(task, _)| exists(task)),
            _ => true,
        }
    }

    /// Does the same, and returns the same rows.
    pub(super) fn apply(&mut self, call: &Call) -> Vec<String> {
        self.events.clear();
        match call {
            Call::StartFlow { run, input } => vec![self.start_flow(*run, input.as_ref())],
            Call::Start { tasks } => self.start_tasks(tasks),
            Call::Poll { quantity } => self.poll(*quantity),
            Call::Complete { task, output } => self.complete(&[(*task, output.clone())]),
            Call::CompleteBatch { tasks } => self.complete(tasks),
            Call::Fail { task, error } => {
                self.turn(task.0).unwrap().fail_task(task.1, task.2, error);
                vec![self.task_line(*task)]
            }
            Call::Hide { tasks } => tasks.iter().map(|(task, offset)| self.hide(*task, *offset)).collect(),
            Call::Travel { seconds } => {
                self.now += seconds;
                vec![String::new()]
            }
            Call::RequeueStalled => {
                let numbers: Vec<u8> = self.runs.keys().copied().collect();
                let requeued: usize = numbers.iter().map(|run| self.turn(*run).unwrap().requeue_stalled()).sum();
                vec![requeued.to_string()]
            }
            Call::Cancel { run, reason } => self.operate(*run, |mut turn| turn.cancel(reason)),
            Call::Retry { run } => self.operate(*run, |mut turn| turn.retry()),
            Call::Pause => vec![(!std::mem::replace(&mut self.is_paused, true)).to_string()],
            Call::Resume => vec![self.resume()],
            Call::Prune { older_than } => vec![self.prune(*older_than)],
        }
    }

    fn turn(&mut self, run: u8) -> Option<Turn<'_>> {
        let run = self.runs.get_mut(&run)?;
        Some(Turn { flow: &self.flow, run, events: &mut self.events, now: self.now })
    }

    fn operate(&mut self, run: u8, operation: impl FnOnce(Turn<'_>)) -> Vec<String> {
        let Some(turn) = self.turn(run) else { return Vec::new() };
        operation(turn);
        vec![self.runs[&run].line()]
    }

    fn task_line(&self, (run, step, index): Address) -> String {
        self.runs[&run].task_line(&self.flow, step, index)
    }

    fn start_flow(&mut self, number: u8, input: Option<&Value>) -> String {
        if self.flow.has_root_map() {
            match (input, type_name(input)) {
                (None, _) => return format!("error: Flow {SLUG} has root map steps but input is NULL"),
                (_, "array") => {}
                (_, other) => {
                    return format!("error: Flow {SLUG} has root map steps but input is not an array (got {other})");
                }
            }
        }
        let Some(input) = input else {
            return "error: null value in column \"input\" of relation \"runs\" violates not-null constraint"
                .to_owned();
        };
        if self.runs.contains_key(&number) {
            return "error: duplicate key value violates unique constraint \"runs_pkey\"".to_owned();
        }
        let run = Run::new(&self.flow, number, input.clone());
        self.runs.insert(number, run);
        let mut turn = self.turn(number).unwrap();
        turn.announce_start();
        turn.go_on();
        self.runs[&number].line()
    }

    fn start_tasks(&mut self, tasks: &[Address]) -> Vec<String> {
        let mut records = Vec::new();
        for (number, step, index) in tasks {
            if self.is_paused {
                let message = &mut self.runs.get_mut(number).unwrap().steps[*step].tasks[*index].message;
                message.visible_at = Visible::Parked;
            } else if self.turn(*number).unwrap().start_task(*step, *index) {
                records.push(self.runs[number].record_line(&self.flow, *step, *index, self.is_merged));
            }
        }
        records
    }

    fn poll(&mut self, quantity: usize) -> Vec<String> {
        if self.is_paused {
            return Vec::new();
        }
        let tasks = self.visible(quantity);
        // Of those that cannot be started, such as one whose worker is late, the messages were read all the same.
        for (run, step, index) in &tasks {
            let message = &mut self.runs.get_mut(run).unwrap().steps[*step].tasks[*index].message;
            message.visible_at = Visible::At(self.now + self.flow.timeout + 2);
        }
        self.start_tasks(&tasks)
    }

    /// The first messages that can be read.
    fn visible(&self, quantity: usize) -> Vec<Address> {
        let mut visible = Vec::new();
        for run in self.runs.values() {
            for (step, state) in run.steps.iter().enumerate() {
                for (index, task) in state.tasks.iter().enumerate() {
                    let message = &task.message;
                    if message.is_live && matches!(message.visible_at, Visible::At(at) if at <= self.now) {
                        visible.push((message.id, (run.number, step, index)));
                    }
                }
            }
        }
        visible.sort_unstable();
        visible.into_iter().take(quantity).map(|(_, task)| task).collect()
    }

    /// The rows as they are in the end.
    fn complete(&mut self, tasks: &[Outcome]) -> Vec<String> {
        let runs: Vec<u8> = self.runs.keys().copied().collect();
        for run in runs {
            let of_run = tasks.iter().filter(|((number, _, _), _)| *number == run);
            let of_run: Vec<_> = of_run.map(|((_, step, index), output)| (*step, *index, output.as_ref())).collect();
            self.turn(run).unwrap().complete_tasks(&of_run);
        }
        tasks.iter().map(|(task, _)| self.task_line(*task)).collect()
    }

    fn hide(&mut self, (run, step, index): Address, offset: i64) -> String {
        let message = &mut self.runs.get_mut(&run).unwrap().steps[step].tasks[index].message;
        if message.is_live {
            message.visible_at = Visible::At(self.now + offset);
        }
        u8::from(message.is_live).to_string()
    }

    fn resume(&mut self) -> String {
        for task in self.runs.values_mut().flat_map(|run| &mut run.steps).flat_map(|state| &mut state.tasks) {
            if task.message.visible_at == Visible::Parked {
                task.message.visible_at = Visible::At(self.now);
            }
        }
        std::mem::take(&mut self.is_paused).to_string()
    }

    fn prune(&mut self, older_than: i64) -> String {
        let before = self.runs.len();
        self.runs.retain(|_, run| run.status == Status::Started || run.finished_at > self.now - older_than);
        (before - self.runs.len()).to_string()
    }
}

impl Run {
    fn new(flow: &Flow, number: u8, input: Value) -> Self {
        let elements = input.as_array().map(Vec::len);
        let state = |step: &Step| State {
            status: Status::Created,
            remaining_tasks: None,
            initial_tasks: match (step.kind, step.deps.is_empty()) {
                (Kind::Single, _) => Some(1),
                (Kind::Map, true) => elements,
                (Kind::Map, false) => None,
            },
            remaining_deps: step.deps.len(),
            output: None,
            error: None,
            skip_reason: None,
            was_started: false,
            tasks: Vec::new(),
        };
        Self {
            number,
            status: Status::Started,
            input,
            output: None,
            remaining_steps: flow.steps.len(),
            finished_at: 0,
            steps: flow.steps.iter().map(state).collect(),
            archive: Vec::new(),
        }
    }
}
