//! Merging of an environment's overrides into a flow. Nodes are merged, and each keeps its span, so that a finding points to
//! the override that causes it.

use std::collections::HashMap;

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
        for (key, value) in overrides.entries() {
            // A flow has the same identity in every environment. `verify` reports these keys as unknown.
            if !matches!(key.name.as_str(), "flow" | "version" | "environments") {
                set(entries, key, value, 0);
            }
        }
    }
    result
}

/// Merges one key. Depth 0 is the top level of the flow, whose `triggers` are the only list that is merged by name.
fn set(entries: &mut Vec<(Key, Node)>, key: &Key, value: &Node, depth: usize) {
    let base = entries.iter_mut().find(|(existing, _)| existing.name == key.name).map(|(_, base)| &mut base.value);
    match (base, &value.value) {
        (Some(Value::Map(below)), Value::Map(overrides)) if !is_json(&key.name, depth) => {
            for (key, value) in overrides {
                set(below, key, value, depth + 1);
            }
        }
        (Some(Value::List(triggers)), Value::List(overrides)) if depth == 0 && key.name == "triggers" => {
            merge_triggers(triggers, overrides);
        }
        _ => replace(entries, key, value),
    }
}

fn replace(entries: &mut Vec<(Key, Node)>, key: &Key, value: &Node) {
    let found = entries.iter_mut().find(|(existing, _)| existing.name == key.name);
    match found {
        _ if value.value == Value::Null => entries.retain(|(existing, _)| existing.name != key.name),
        Some(entry) => *entry = (key.clone(), value.clone()),
        None => entries.push((key.clone(), value.clone())),
    }
}

/// Whether a value is replaced as a whole: a merge of two patterns, schemas or handlers would match neither of them.
fn is_json(key: &str, depth: usize) -> bool {
    matches!((key, depth), ("input", 0) | ("if" | "if_not" | "output" | "handler", 2))
}

fn merge_triggers(triggers: &mut Vec<Node>, overrides: &[Node]) {
    let name_of = |trigger: &Node| trigger.get("name").and_then(Node::as_str).map(str::to_owned);
    let places: HashMap<_, _> =
        triggers.iter().enumerate().rev().filter_map(|(place, trigger)| Some((name_of(trigger)?, place))).collect();
    for trigger in overrides {
        let place = name_of(trigger).and_then(|name| places.get(&name));
        match place.and_then(|place| triggers.get_mut(*place)).map(|existing| &mut existing.value) {
            Some(Value::Map(entries)) => {
                for (key, value) in trigger.entries() {
                    replace(entries, key, value);
                }
            }
            _ => triggers.push(trigger.clone()),
        }
    }
}
