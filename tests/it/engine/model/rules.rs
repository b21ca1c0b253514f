//! The contract's rules about the steps of one run, written from its text.

use serde_json::{Value, json};

use super::flow::{Flow, Kind, Otherwise};
use super::json::{contains, type_name};
use super::run::{Run, State, Status, Task, body};

/// One event: its name and its payload, with `"T"` for every time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) run: u8,
    pub(super) name: String,
    pub(super) payload: Value,
}

/// What one call does to one run.
pub(super) struct Turn<'a> {
    pub(super) flow: &'a Flow,
    pub(super) run: &'a mut Run,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) now: i64,
}

impl Turn<'_> {
    fn state(&mut self, step: usize) -> &mut State {
        &mut self.run.steps[step]
    }

    fn steps(&self) -> std::ops::Range<usize> {
        0..self.flow.steps.len()
    }

    /// Steps that wait for nothing any more and have not begun.
    fn open(&self) -> Vec<usize> {
        let is_open = |state: &State| state.status == Status::Created && state.remaining_deps == 0;
        self.steps().filter(|step| is_open(&self.run.steps[*step])).collect()
    }

    pub(super) fn announce_start(&mut self) {
        let payload = json!({"input": self.run.input, "remaining_steps": self.run.remaining_steps, "started_at": "T"});
        self.run_event("run:started", payload);
    }

    /// Conditions to their end, then one wave of steps without tasks, until nothing changes; then what is ready starts.
    pub(super) fn go_on(&mut self) {
        loop {
            if !self.resolve_conditions() {
                return;
            }
            if !self.complete_taskless() {
                break;
            }
        }
        for step in self.open() {
            self.start(step);
        }
        if self.run.remaining_steps == 0 {
            self.complete_run();
        }
    }

    /// False where the run failed.
    fn resolve_conditions(&mut self) -> bool {
        loop {
            let unmet: Vec<usize> = self.open().into_iter().filter(|step| !self.is_met(*step)).collect();
            let failing = unmet.iter().find(|step| self.flow.steps[**step].when_unmet == Otherwise::Fail);
            if let Some(step) = failing {
                self.fail_step(*step, "Condition not met");
                self.fail_run(Some("Condition not met"));
                return false;
            }
            if unmet.is_empty() {
                return true;
            }
            for step in unmet {
                self.skip(step, "condition_unmet", None, self.flow.steps[step].when_unmet);
            }
        }
    }

    fn is_met(&self, step: usize) -> bool {
        let definition = &self.flow.steps[step];
        let target = match definition.deps.is_empty() {
            true => self.run.input.clone(),
            false => self.run.outputs_before(self.flow, step),
        };
        definition.required.as_ref().is_none_or(|pattern| contains(&target, pattern))
            && definition.forbidden.as_ref().is_none_or(|pattern| !contains(&target, pattern))
    }

    /// Whether there was one.
    fn complete_taskless(&mut self) -> bool {
        let mut taskless = self.open();
        taskless.retain(|step| self.run.steps[*step].initial_tasks == Some(0));
        for step in &taskless {
            let state = self.state(*step);
            state.was_started = true;
            state.remaining_tasks = Some(0);
            state.output = Some(json!([]));
            self.complete_step(*step, true);
        }
        !taskless.is_empty()
    }

    /// A step whose output is stored.
    fn complete_step(&mut self, step: usize, taskless: bool) {
        let kind = self.flow.steps[step].kind;
        let state = self.state(step);
        state.status = Status::Completed;
        let elements = match kind {
            Kind::Map => state.initial_tasks,
            Kind::Single => state.output.as_ref().and_then(Value::as_array).map(Vec::len),
        };
        let mut payload = json!({"output": state.output, "completed_at": "T"});
        if taskless {
            payload["started_at"] = json!("T");
            payload["remaining_tasks"] = json!(0);
            payload["remaining_deps"] = json!(0);
        }
        self.run.remaining_steps -= 1;
        self.step_event(step, "completed", payload);
        self.release_dependents(step, elements);
    }

    fn release_dependents(&mut self, step: usize, elements: Option<usize>) {
        for dependent in self.flow.dependents(step) {
            let is_map = self.flow.steps[dependent].kind == Kind::Map;
            let state = self.state(dependent);
            if state.status == Status::Created {
                state.remaining_deps -= 1;
                if is_map {
                    state.initial_tasks = elements;
                }
            }
        }
    }

    fn start(&mut self, step: usize) {
        let visible_at = self.now + self.flow.steps[step].start_delay.unwrap_or(0);
        let state = self.state(step);
        let tasks = state.initial_tasks.unwrap();
        state.status = Status::Started;
        state.was_started = true;
        state.remaining_tasks = Some(tasks);
        state.tasks = vec![Task::new(visible_at); tasks];
        self.announce_step_start(step, tasks);
    }

    pub(super) fn announce_step_start(&mut self, step: usize, tasks: usize) {
        self.step_event(step, "started", json!({"started_at": "T", "remaining_tasks": tasks, "remaining_deps": 0}));
    }

    fn complete_run(&mut self) {
        let leaves = self.steps().filter(|step| self.flow.dependents(*step).is_empty());
        let output = self.run.outputs(self.flow, leaves);
        self.run.status = Status::Completed;
        self.run.finished_at = self.now;
        self.run_event("run:completed", json!({"output": output, "completed_at": "T"}));
        self.run.output = Some(output);
    }

    fn skip(&mut self, step: usize, reason: &'static str, error: Option<&str>, otherwise: Otherwise) {
        self.skip_one(step, reason, error);
        if otherwise == Otherwise::SkipCascade {
            for dependent in self.flow.all_dependents(step) {
                if self.run.steps[dependent].status == Status::Created {
                    self.skip_one(dependent, "dependency_skipped", None);
                }
            }
        } else {
            self.release_dependents(step, Some(0));
        }
    }

    fn skip_one(&mut self, step: usize, reason: &'static str, error: Option<&str>) {
        self.archive_step(step);
        let state = self.state(step);
        state.status = Status::Skipped;
        state.remaining_tasks = None;
        state.skip_reason = Some(reason);
        state.error = error.map(str::to_owned);
        let mut payload = json!({"skip_reason": reason, "skipped_at": "T"});
        match error {
            Some(error) => payload["error_message"] = json!(error),
            None => payload["flow_slug"] = json!(super::flow::SLUG),
        }
        self.run.remaining_steps -= 1;
        self.step_event(step, "skipped", payload);
    }

    fn fail_step(&mut self, step: usize, error: &str) {
        let state = self.state(step);
        state.status = Status::Failed;
        state.error = Some(error.to_owned());
        self.step_event(step, "failed", json!({"error_message": error, "failed_at": "T"}));
    }

    pub(super) fn fail_run(&mut self, error: Option<&str>) {
        self.run.status = Status::Failed;
        self.run.finished_at = self.now;
        for step in self.steps() {
            self.archive_step(step);
        }
        let mut payload = json!({"failed_at": "T"});
        if let Some(error) = error {
            payload["error_message"] = json!(error);
        }
        self.run_event("run:failed", payload);
    }

    fn archive_step(&mut self, step: usize) {
        for index in 0..self.run.steps[step].tasks.len() {
            self.archive(step, index);
        }
    }

    pub(super) fn archive(&mut self, step: usize, index: usize) {
        let message = &mut self.run.steps[step].tasks[index].message;
        if std::mem::take(&mut message.is_live) {
            let body = body(self.flow, self.run.number, step, index);
            self.run.archive.push(body);
        }
    }

    /// Tasks that are reported together: what violates a type first, then all others at once.
    pub(super) fn complete_tasks(&mut self, tasks: &[(usize, usize, Option<&Value>)]) {
        for (step, index, output) in tasks {
            self.refuse(*step, *index, *output);
        }
        let mut finished: Vec<usize> = Vec::new();
        for (step, index, output) in tasks {
            if self.complete_task(*step, *index, *output) {
                finished.push(*step);
            }
        }
        for step in &finished {
            self.complete_step(*step, false);
        }
        if !finished.is_empty() {
            self.go_on();
        }
    }

    fn can_complete(&self, step: usize, index: usize) -> bool {
        let state = &self.run.steps[step];
        let statuses = [self.run.status, state.status, state.tasks[index].status];
        statuses.iter().all(|status| *status == Status::Started)
    }

    /// Fails the run where a map needs an array and the output is none.
    fn refuse(&mut self, step: usize, index: usize, output: Option<&Value>) {
        let is_wrong = self.flow.steps[step].kind == Kind::Single && !output.is_some_and(Value::is_array);
        let is_map = |dependent: &usize| self.flow.steps[*dependent].kind == Kind::Map;
        let Some(map) = self.flow.dependents(step).into_iter().find(is_map) else { return };
        if !is_wrong || !self.can_complete(step, index) {
            return;
        }
        let produced = type_name(output);
        let task = &mut self.run.steps[step].tasks[index];
        task.status = Status::Failed;
        task.output = output.cloned();
        task.error = Some(format!("[TYPE_VIOLATION] Produced {produced} instead of array"));
        let (map, dependency) = (&self.flow.steps[map].slug, &self.flow.steps[step].slug);
        self.fail_step(
            step,
            &format!(
                "[TYPE_VIOLATION] Map step {map} expects array input but dependency {dependency} produced {produced}"
            ),
        );
        self.fail_run(None);
    }

    /// Whether it was the last of its step.
    fn complete_task(&mut self, step: usize, index: usize, output: Option<&Value>) -> bool {
        if !self.can_complete(step, index) {
            return false;
        }
        let kind = self.flow.steps[step].kind;
        self.archive(step, index);
        let state = self.state(step);
        let task = &mut state.tasks[index];
        task.status = Status::Completed;
        task.output = output.cloned();
        let remaining = state.remaining_tasks.unwrap() - 1;
        state.remaining_tasks = Some(remaining);
        let output_of = |task: &Task| task.output.clone();
        if remaining == 0 {
            state.output = match kind {
                Kind::Single => output_of(&state.tasks[0]),
                Kind::Map => Some(state.tasks.iter().map(|task| output_of(task).unwrap_or(Value::Null)).collect()),
            };
        }
        remaining == 0
    }

    pub(super) fn fail_task(&mut self, step: usize, index: usize, error: &str) {
        let definition = &self.flow.steps[step];
        let is_started = self.run.steps[step].tasks[index].status == Status::Started;
        if self.run.status != Status::Failed && self.run.steps[step].status != Status::Started {
            self.archive(step, index);
            return;
        }
        if !is_started {
            return;
        }
        let (run_goes_on, now) = (self.run.status == Status::Started, self.now);
        let task = &mut self.run.steps[step].tasks[index];
        task.error = Some(error.to_owned());
        // The recovery has given up a stalled task: it had its attempts.
        if run_goes_on && !task.is_stalled && task.attempts < definition.max_attempts.unwrap_or(self.flow.max_attempts)
        {
            let base = definition.base_delay.unwrap_or(self.flow.base_delay);
            task.status = Status::Queued;
            task.message.visible_at = super::run::Visible::At(now + (base << task.attempts));
            return;
        }
        task.status = Status::Failed;
        self.archive(step, index);
        if !run_goes_on {
            return;
        }
        match definition.when_exhausted {
            Otherwise::Fail => {
                self.fail_step(step, error);
                self.fail_run(Some(error));
            }
            otherwise => {
                self.skip(step, "handler_failed", Some(error), otherwise);
                self.go_on();
            }
        }
    }

    fn run_event(&mut self, name: &str, payload: Value) {
        let about = json!({"event_type": name, "run_id": Run::id(self.run.number), "flow_slug": super::flow::SLUG});
        self.event(name.to_owned(), about, &payload, self.run.status);
    }

    fn step_event(&mut self, step: usize, what: &str, payload: Value) {
        let slug = &self.flow.steps[step].slug;
        let about =
            json!({"event_type": format!("step:{what}"), "run_id": Run::id(self.run.number), "step_slug": slug});
        self.event(format!("step:{slug}:{what}"), about, &payload, self.run.steps[step].status);
    }

    fn event(&mut self, name: String, mut about: Value, payload: &Value, status: Status) {
        about["status"] = json!(status.to_string());
        for (key, value) in payload.as_object().unwrap() {
            about[key] = value.clone();
        }
        self.events.push(Event { run: self.run.number, name, payload: about });
    }
}
