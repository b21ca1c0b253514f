//! Merging of an environment's overrides into a flow. Nodes are merged, and each keeps its span, so that a finding points to
//! the override that causes it.

use std::collections::{HashMap, HashSet};

use crate::source::{Key, Node, Value};

/// The names of the environments that a document declares, in the order of the file.
pub fn names(document: &Node) -> impl Iterator<Item = &str> {
    let environments = document.get("environments").map(Node::entries).unwrap_or_default();
    environments.iter().map(|(key, _)| key.name.as_str())
}

/// The document with the overrides of an environment; unchanged if it does not declare the environment.
pub fn merged(document: &Node, environment: &str) -> Node {
    let Some(overrides) = document.get("environments").and_then(|environments| environments.get(environment)) else {
        return document.clone();
    };
    let mut result = document.clone();
    if let Value::Map(entries) = &mut result.value {
        // A flow has the same identity in every environment. `verify` reports these keys as unknown.
        let is_fixed = |key: &Key| matches!(key.name.as_str(), "flow" | "version" | "environments");
        merge(entries, overrides.entries().iter().filter(|(key, _)| !is_fixed(key)), 0);
    }
    result
}

/// Merges overrides, whose keys are unique. Depth 0 is the top level of the flow, whose `triggers` are the only list that is
/// merged by name.
fn merge<'o>(entries: &mut Vec<(Key, Node)>, overrides: impl Iterator<Item = &'o (Key, Node)>, depth: usize) {
    let places: HashMap<_, _> = entries.iter().enumerate().map(|(place, (key, _))| (key.name.clone(), place)).collect();
    let mut removed = HashSet::new();
    for (key, value) in overrides {
        let place = places.get(&key.name).copied();
        let base = place.and_then(|place| entries.get_mut(place));
        match (base, &value.value) {
            (Some((_, Node { value: Value::Map(below), .. })), Value::Map(overrides)) if !is_json(&key.name, depth) => {
                merge(below, overrides.iter(), depth + 1);
            }
            (Some((_, Node { value: Value::List(triggers), .. })), Value::List(overrides))
                if depth == 0 && key.name == "triggers" =>
            {
                merge_triggers(triggers, overrides);
            }
            (_, Value::Null) => removed.extend(place),
            (Some(entry), _) => *entry = (key.clone(), value.clone()),
            (None, _) => entries.push((key.clone(), value.clone())),
        }
    }
    if !removed.is_empty() {
        let mut place = 0..;
        entries.retain(|_| place.next().is_some_and(|place| !removed.contains(&place)));
    }
}

/// The depth of the keys of a trigger, whose values are all replaced as a whole.
const IN_TRIGGER: usize = usize::MAX;

/// Whether a value is replaced as a whole: a merge of two patterns, schemas or handlers would match neither of them.
fn is_json(key: &str, depth: usize) -> bool {
    depth == IN_TRIGGER || matches!((key, depth), ("input", 0) | ("if" | "if_not" | "output" | "handler", 2))
}

fn merge_triggers(triggers: &mut Vec<Node>, overrides: &[Node]) {
    let name_of = |trigger: &Node| trigger.get("name").and_then(Node::as_str).map(str::to_owned);
    let places: HashMap<_, _> =
        triggers.iter().enumerate().rev().filter_map(|(place, trigger)| Some((name_of(trigger)?, place))).collect();
    for trigger in overrides {
        let place = name_of(trigger).and_then(|name| places.get(&name));
        match place.and_then(|place| triggers.get_mut(*place)).map(|existing| &mut existing.value) {
            Some(Value::Map(entries)) => {
                merge(entries, trigger.entries().iter(), IN_TRIGGER);
            }
            _ => triggers.push(trigger.clone()),
        }
    }
}
