//! The next call of a random script, which depends on what the calls before it brought about.

use serde_json::{Value, json};

use super::call::{Call, Start, Task, WORKERS};
use super::dice::Dice;
use super::flow::Flow;
use super::state::State;

/// What is still to come.
pub(super) struct Script {
    /// As the script makes it.
    flow: Flow,
    runs_left: usize,
    runs_made: usize,
    calls_left: usize,
    /// Calls after the last run has finished.
    late_left: usize,
    /// A large array costs time: few scripts have any.
    large: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    AddStep,
    Start,
    WrongStart,
    Show,
    Read,
    Poll,
    StartTasks,
    WrongStartTasks,
    Complete,
    Fail,
    LateComplete,
    LateFail,
    SetVisibility,
    Reveal,
}

impl Script {
    pub(super) fn random(flow: &Flow, dice: &mut Dice) -> Self {
        let runs = 1 + dice.below(3);
        // Few scripts get through the largest flows.
        let most = if dice.percent(5) { 200 } else { 50 };
        Self {
            flow: flow.clone(),
            runs_left: runs,
            runs_made: 0,
            calls_left: (15 + 4 * flow.steps.len() * runs).min(most),
            late_left: dice.below(6),
            large: dice.percent(4),
        }
    }

    /// The next calls, in one transaction, if there are to be any: mostly one.
    pub(super) fn next(&mut self, state: &State, dice: &mut Dice) -> Option<Vec<Call>> {
        self.calls_left = self.calls_left.checked_sub(1)?;
        if self.runs_left == 0 && !is_going(state) {
            self.late_left = self.late_left.checked_sub(1)?;
        }
        let count = if dice.percent(10) { 2 + dice.below(3) } else { 1 };
        Some((0..count).map(|_| self.call(state, dice)).collect())
    }

    fn call(&mut self, state: &State, dice: &mut Dice) -> Call {
        let with_status = |wanted: &str| -> Vec<Task> {
            state.tasks().filter(|(_, status, _)| *status == wanted).map(|(task, ..)| task).collect()
        };
        let (queued, started) = (with_status("queued"), with_status("started"));
        let waiting: Vec<_> = state.tasks().filter(|(.., message)| state.messages.contains(message)).collect();
        let hidden = waiting.iter().filter(|(.., message)| !state.visible.contains(message));
        let hidden: Vec<Task> = hidden.map(|(task, ..)| task.clone()).collect();
        // Once there is something, often; where there is nothing, never.
        let if_any = |count: usize, weight: usize| if count > 0 { weight } else { 0 };
        let any_run = if_any(self.runs_made, 1);

        let kind = dice.weighted(&[
            (1, Kind::AddStep),
            (if_any(self.runs_left, if is_going(state) { 4 } else { 200 }), Kind::Start),
            (2, Kind::WrongStart),
            (any_run, Kind::Show),
            (if_any(state.visible.len(), 20), Kind::Read),
            (if_any(state.visible.len(), 10), Kind::Poll),
            (if_any(queued.len(), 35), Kind::StartTasks),
            (2, Kind::WrongStartTasks),
            (if_any(started.len(), 60), Kind::Complete),
            (if_any(started.len(), 8), Kind::Fail),
            (any_run * 4, Kind::LateComplete),
            (any_run * 4, Kind::LateFail),
            (any_run, Kind::SetVisibility),
            (if_any(hidden.len(), 4), Kind::Reveal),
        ]);
        match kind {
            Kind::AddStep => {
                let step = self.flow.another_step(false, dice);
                self.flow.steps.push(step.clone());
                Call::AddStep { step }
            }
            Kind::Start => self.start(dice),
            Kind::WrongStart => self.wrong_start(dice),
            Kind::Show => Call::Show { run: dice.below(self.runs_made + 1) },
            Kind::Read => Call::Read { hidden_for: *dice.pick(&[0, 1000]), count: *dice.pick(&[1, 3, 100]) },
            Kind::Poll => {
                let count = *dice.pick(&[1, 3, 100]);
                Call::Poll { hidden_for: self.flow.hidden_for(), count, worker: dice.below(WORKERS) }
            }
            Kind::StartTasks => {
                let mut tasks = dice.some(&queued);
                tasks.push(dice.pick(&queued).clone());
                Call::StartTasks { tasks, worker: Some(dice.below(WORKERS)) }
            }
            Kind::WrongStartTasks => {
                let all: Vec<Task> = state.tasks().map(|(task, ..)| task).chain([no_task()]).collect();
                Call::StartTasks { tasks: dice.some(&all), worker: *dice.pick(&[None, Some(0), Some(WORKERS)]) }
            }
            Kind::Complete => self.complete(dice.pick(&started).clone(), dice),
            Kind::Fail => fail(dice.pick(&started).clone(), dice),
            Kind::LateComplete => self.complete(self.any_task(state, dice), dice),
            Kind::LateFail => fail(self.any_task(state, dice), dice),
            Kind::SetVisibility => {
                let all: Vec<Task> = waiting.into_iter().map(|(task, ..)| task).chain([no_task()]).collect();
                let tasks = dice.some(&all);
                let offsets = tasks.iter().map(|_| *dice.pick(&[0, 1000])).collect();
                Call::SetVisibility { tasks, offsets }
            }
            Kind::Reveal => Call::Reveal { tasks: hidden },
        }
    }

    fn start(&mut self, dice: &mut Dice) -> Call {
        self.runs_left -= 1;
        let input = if self.flow.has_root_map() { self.array(dice) } else { dice.json() };
        self.runs_made += 1;
        let how = if dice.percent(10) { Start::WithStates } else { Start::Plainly };
        Call::StartFlow { run: self.runs_made - 1, input: Some(input), how }
    }

    /// A start that is refused.
    fn wrong_start(&self, dice: &mut Dice) -> Call {
        // The next start takes this id, as if nothing had happened.
        let free = self.runs_made;
        let good = if self.flow.has_root_map() { json!([1]) } else { json!({}) };
        match dice.below(4) {
            0 => Call::StartFlow { run: free, input: Some(good), how: Start::OfNoFlow },
            1 if self.runs_made > 0 => {
                Call::StartFlow { run: dice.below(free), input: Some(good), how: Start::Plainly }
            }
            2 if self.flow.has_root_map() => {
                let input = dice.pick(&[json!({}), json!(null), json!("[]"), json!(0), json!(true)]).clone();
                Call::StartFlow { run: free, input: Some(input), how: Start::Plainly }
            }
            _ => Call::StartFlow { run: free, input: None, how: Start::Plainly },
        }
    }

    fn complete(&self, task: Task, dice: &mut Dice) -> Call {
        let output = if self.flow.feeds_a_map(&task.step) && !dice.percent(3) {
            Some(self.array(dice))
        } else if dice.percent(5) {
            None
        } else {
            Some(dice.json())
        };
        Call::Complete { task, output, as_batch: dice.percent(30) }
    }

    fn array(&self, dice: &mut Dice) -> Value {
        let length = match dice.below(10) {
            0..2 => 0,
            9 if self.large => 60 + dice.below(60),
            _ => 1 + dice.below(4),
        };
        dice.array(length)
    }

    /// Any task: of any run and in any status, or none at all; often one that was under way when its step ended.
    fn any_task(&self, state: &State, dice: &mut Dice) -> Task {
        let late =
            state.tasks().filter(|(task, status, _)| *status == "started" && state.step(task) != Some("started"));
        let late: Vec<Task> = late.map(|(task, ..)| task).collect();
        if !late.is_empty() && dice.percent(40) {
            return dice.pick(&late).clone();
        }
        let tasks: Vec<Task> = state.tasks().map(|(task, ..)| task).collect();
        if !tasks.is_empty() && dice.percent(85) {
            return dice.pick(&tasks).clone();
        }
        let step = if dice.percent(80) { dice.pick(&self.flow.steps).slug.clone() } else { "no_step".to_owned() };
        Task { run: dice.below(self.runs_made + 1), step, index: *dice.pick(&[0, 1, 99, -1]) }
    }
}

fn is_going(state: &State) -> bool {
    state.runs().any(|(_, status)| status == "started")
}

fn fail(task: Task, dice: &mut Dice) -> Call {
    let error = dice.pick(&[Some("it's broken"), Some(""), Some("日本"), None]).map(str::to_owned);
    Call::Fail { task, error }
}

fn no_task() -> Task {
    Task { run: 0, step: "no_step".to_owned(), index: 0 }
}
