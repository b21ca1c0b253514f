//! Rules for `if`, `if_not` and `when_unmet`.

use std::collections::HashSet;

use serde_json::Value;

use crate::definition::{FlowFile, StepDefinition};
use crate::finding::{Code, Finding, Findings};
use crate::words;

pub(super) fn check(flow: &FlowFile, findings: &mut Findings) {
    let root_map = flow.steps.iter().find(|step| step.is_root_map());
    for step in &flow.steps {
        let patterns = [("if", &step.condition), ("if_not", &step.exclusion)];
        if step.when_unmet.is_some() && step.condition.is_none() && step.exclusion.is_none() {
            let message = format!("the step `{}` has `when_unmet` but no condition", step.slug);
            let finding =
                Finding::new(Code::WhenUnmetAlone, super::step_path(step).key("when_unmet").itself(), message)
                    .label("has no effect");
            findings.push(finding.help(
                "add `if` or `if_not`, or remove `when_unmet`; to handle failed attempts, write `when_exhausted`",
            ));
        }
        for (key, pattern) in patterns {
            let Some(pattern) = pattern else { continue };
            if step.dependencies().next().is_some() {
                keys_are_dependencies(step, key, pattern, findings);
            } else if let Some(map) = root_map {
                array_input(step, key, map, findings);
            }
        }
        never_met(step, findings);
    }
}

fn keys_are_dependencies(step: &StepDefinition, key: &str, pattern: &Value, findings: &mut Findings) {
    let Some(pattern) = pattern.as_object() else { return };
    let known: HashSet<_> = step.dependencies().collect();
    for name in pattern.keys().filter(|name| !known.contains(name.as_str())) {
        if findings.is_full() {
            return;
        }
        let path = super::step_path(step).key(key).key(name).itself();
        let effect = if key == "if" { "never met" } else { "excludes nothing" };
        let message = format!("the condition of the step `{}` names `{name}`, which is not a dependency", step.slug);
        let dependencies = words::quoted_list(step.dependencies(), "or");
        let example = step.dependencies().next().unwrap_or_default();
        let finding = Finding::new(Code::PatternKey, path, message).label(effect);
        findings.push(finding.help(format!(
            "write `{{ {example}: {{ … }} }}` to compare the output of {dependencies}, or add `{name}` to `depends_on`"
        )));
    }
}

fn array_input(step: &StepDefinition, key: &str, map: &StepDefinition, findings: &mut Findings) {
    let effect = if key == "if" { "is never met" } else { "excludes nothing" };
    let message = format!("the condition of the step `{}` {effect}, because the run's input is an array", step.slug);
    let finding = Finding::new(Code::PatternOnArray, super::step_path(step).key(key).itself(), message)
        .label("an array does not contain an object")
        .related(super::step_path(map).key("map"), "requires an array");
    findings.push(finding.help("remove the condition, or pass an object as input and map the output of a step"));
}

/// If `if` contains `if_not`, every input that meets `if` is excluded by `if_not`.
fn never_met(step: &StepDefinition, findings: &mut Findings) {
    let Some(exclusion) = &step.exclusion else { return };
    let nothing = Value::Object(serde_json::Map::new());
    let condition = step.condition.as_ref().unwrap_or(&nothing);
    if !contains(condition, exclusion, &mut budget(condition, exclusion)) {
        return;
    }
    let included = if step.condition.is_some() { "that meets `if`" } else { "" };
    let message = format!("the step `{}` never runs: `if_not` excludes every input {included}", step.slug);
    let finding = Finding::new(Code::NeverMet, super::step_path(step).key("if_not").itself(), message.trim_end());
    let finding = match &step.condition {
        Some(_) => {
            finding.label("excludes them").related(super::step_path(step).key("if").itself(), "meets these inputs")
        }
        None => finding.label("an empty object is part of every input"),
    };
    findings.push(finding.help("make `if_not` more specific than `if`, or remove one of them"));
}

/// The number of comparisons for two patterns: enough for all of their lists of up to 100 elements, and proportional to their
/// size beyond.
fn budget(outer: &Value, inner: &Value) -> usize {
    fn size(value: &Value) -> usize {
        match value {
            Value::Object(entries) => 1 + entries.values().map(size).sum::<usize>(),
            Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
            _ => 1,
        }
    }
    1000 + 50 * (size(outer) + size(inner))
}

/// Whether `outer @> inner`, as defined for `jsonb`. If the budget of comparisons does not suffice, the answer is no.
fn contains(outer: &Value, inner: &Value, budget: &mut usize) -> bool {
    let Some(left) = budget.checked_sub(1) else { return false };
    *budget = left;
    match (outer, inner) {
        (Value::Object(outer), Value::Object(inner)) => {
            inner.iter().all(|(key, inner)| outer.get(key).is_some_and(|outer| contains(outer, inner, budget)))
        }
        (Value::Array(outer), Value::Array(inner)) => {
            inner.iter().all(|inner| *budget > 0 && outer.iter().any(|outer| contains(outer, inner, budget)))
        }
        (outer, inner) => outer == inner,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use serde_json::Value;

    use super::budget;

    fn contains(outer: &Value, inner: &Value) -> bool {
        super::contains(outer, inner, &mut budget(outer, inner))
    }

    #[test]
    fn containment_equals_that_of_jsonb() {
        assert!(contains(&json!({"a": {"b": 1}, "c": 2}), &json!({"a": {}})));
        assert!(contains(&json!([1, [2, 3]]), &json!([[3]])));
        assert!(!contains(&json!({"a": 1}), &json!({"a": 2})));
        assert!(!contains(&json!([]), &json!({})));
    }

    #[test]
    fn comparisons_are_proportional_to_the_size() {
        let numbers = |count: i32| Value::from_iter((0..count).rev());
        assert!(contains(&numbers(100), &Value::from_iter(0..100)));
        let (outer, inner) = (numbers(100_000), Value::from_iter(0..100_000));
        assert!(budget(&outer, &inner) < 11_000_000);
        assert!(!contains(&outer, &inner));
    }
}
