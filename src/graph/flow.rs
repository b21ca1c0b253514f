//! Graphs of definitions.

use std::collections::HashMap;

use super::words::{attempts, duration, pattern};
use super::{Edge, Graph, Icon, Mark, Node, Row, TriggerLabel};
use flowsmith_core::catalog::{FailureMode, Flow, Step, StepKind, Trigger};

impl Graph {
    /// The definition of a flow.
    pub fn of_flow(flow: &Flow) -> Self {
        Self {
            title: flow.id.to_string(),
            facts: facts(flow),
            triggers: flow.triggers.iter().map(trigger_label).collect(),
            nodes: flow.steps.iter().map(|step| node(flow, step)).collect(),
            edges: edges(&flow.steps),
        }
    }
}

fn trigger_label(trigger: &Trigger) -> TriggerLabel {
    TriggerLabel { name: trigger.name.clone(), what: trigger.what(), description: trigger.description.clone() }
}

/// The description, options and annotations of the flow.
fn facts(flow: &Flow) -> Vec<String> {
    let annotations = &flow.annotations;
    let mut options = vec![
        format!("each step: {}", attempts(flow.options.max_attempts)),
        format!("{} before a retry", duration(flow.options.base_delay)),
        format!("{} timeout", duration(flow.options.timeout)),
    ];
    options.extend(annotations.owner.iter().map(|owner| format!("owner: {owner}")));
    options.extend(annotations.labels.iter().map(|(name, value)| format!("{name}: {value}")));
    annotations.description.iter().cloned().chain([options.join(" · ")]).collect()
}

/// The positions of steps by slug.
pub(super) fn places(steps: &[Step]) -> HashMap<&str, usize> {
    steps.iter().enumerate().map(|(place, step)| (step.slug.as_str(), place)).collect()
}

fn edges(steps: &[Step]) -> Vec<Edge> {
    let places = places(steps);
    let mut edges = Vec::new();
    for (to, step) in steps.iter().enumerate() {
        let sources = step.depends_on.iter().filter_map(|slug| places.get(slug.as_str()));
        edges.extend(sources.map(|from| Edge { from: *from, to, mark: Mark::Same }));
    }
    edges
}

/// The node of a step.
pub(super) fn node(flow: &Flow, step: &Step) -> Node {
    Node {
        slug: step.slug.clone(),
        description: None,
        is_map: step.kind == StepKind::Map,
        is_conditional: step.required_input_pattern.is_some() || step.forbidden_input_pattern.is_some(),
        mark: Mark::Same,
        status: None,
        is_queued: false,
        progress: None,
        rows: rows(flow, step),
        notes: notes(flow, step),
    }
}

fn rows(flow: &Flow, step: &Step) -> Vec<Row> {
    let mut rows = Vec::new();
    if step.kind == StepKind::Map {
        let source = step.depends_on.first().map_or("the run's input", String::as_str);
        rows.push(Row::new(Icon::Map, format!("a task per element of {source}")));
    }
    if let Some(required) = &step.required_input_pattern {
        rows.push(Row::new(Icon::Condition, format!("if {}", pattern(required))));
    }
    if let Some(forbidden) = &step.forbidden_input_pattern {
        rows.push(Row::new(Icon::Condition, format!("if not {}", pattern(forbidden))));
    }
    if step.when_unmet != FailureMode::Skip {
        rows.push(Row::new(Icon::Condition, format!("else {}", consequence(step.when_unmet))));
    }
    if let Some(delay) = step.start_delay.filter(|delay| *delay > 0) {
        rows.push(Row::new(Icon::Delay, format!("starts {} later", duration(delay))));
    }
    if step.max_attempts.is_some() || step.base_delay.is_some() {
        rows.push(Row::new(Icon::Retry, tries(flow, step)));
    }
    if let Some(timeout) = step.timeout {
        rows.push(Row::new(Icon::Timeout, format!("{} timeout", duration(timeout))));
    }
    if step.when_exhausted != FailureMode::Fail {
        rows.push(Row::new(Icon::Exhausted, format!("on failure {}", consequence(step.when_exhausted))));
    }
    rows
}

/// The consequence of an unmet condition or of the last failed attempt.
fn consequence(mode: FailureMode) -> &'static str {
    match mode {
        FailureMode::Fail => "fail the run",
        FailureMode::Skip => "skip it",
        FailureMode::SkipCascade => "skip it and all after",
    }
}

fn tries(flow: &Flow, step: &Step) -> String {
    let max = step.max_attempts.unwrap_or(flow.options.max_attempts);
    let delay = step.base_delay.unwrap_or(flow.options.base_delay);
    if max <= 1 { attempts(max) } else { format!("{}, the 2nd after {}", attempts(max), duration(delay)) }
}

fn notes(flow: &Flow, step: &Step) -> Vec<String> {
    let mut notes = Vec::new();
    if !step.depends_on.is_empty() {
        notes.push(format!("waits for {}", step.depends_on.join(", ")));
    }
    let has_condition = step.required_input_pattern.is_some() || step.forbidden_input_pattern.is_some();
    if has_condition && step.when_unmet == FailureMode::Skip {
        notes.push("else skip it; later steps continue".to_owned());
    }
    if step.max_attempts.is_none() && step.base_delay.is_none() {
        notes.push(tries(flow, step));
    }
    if step.timeout.is_none() {
        notes.push(format!("{} timeout", duration(flow.options.timeout)));
    }
    notes.extend(flow.annotations.handlers.get(&step.slug).map(|handler| format!("handler {handler}")));
    notes
}
