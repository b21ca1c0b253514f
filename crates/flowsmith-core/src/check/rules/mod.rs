//! The rules, one group per file.

mod conditions;
mod graph;
mod handlers;
mod levels;
mod maps;
mod names;
mod options;
pub(super) mod project;
mod schemas;
mod triggers;

pub(super) use triggers::pgmq_queues;

use super::CheckSettings;
use super::order::StepGraph;
use crate::definition::{FlowFile, StepDefinition};
use crate::finding::FieldPath;
use crate::finding::Findings;

/// Checks one flow against all rules that need no other flow. Returns the indexes of its steps in database order, or `None` if
/// there is a cycle.
pub(super) fn check(flow: &FlowFile, settings: &CheckSettings, findings: &mut Findings) -> Option<Vec<usize>> {
    let graph = StepGraph::of(flow);
    names::check(flow, findings);
    schemas::check(flow, findings);
    let order = graph::check(flow, &graph, findings);
    maps::check(flow, findings);
    conditions::check(flow, findings);
    options::check(flow, findings);
    handlers::check(flow, findings);
    triggers::check(flow, findings);
    levels::check(flow, settings, findings);
    order
}

fn step_path(step: &StepDefinition) -> FieldPath {
    FieldPath::root().key("steps").key(&step.slug)
}

/// The types that a JSON Schema declares at its top level, if any.
fn declared_types(schema: &serde_json::Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        serde_json::Value::String(one) => Some(vec![one]),
        serde_json::Value::Array(several) => Some(several.iter().filter_map(serde_json::Value::as_str).collect()),
        _ => None,
    }
}
