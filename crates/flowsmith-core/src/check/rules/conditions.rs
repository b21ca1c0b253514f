//! Conditions: patterns that can match, and what follows where they do not.

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
            let message =
                format!("the step `{}` says what happens where its condition is not met, but has none", step.slug);
            let finding =
                Finding::new(Code::WhenUnmetAlone, super::step_path(step).key("when_unmet").itself(), message)
                    .label("has no effect");
            findings.push(
                finding
                    .help("add `if` or `if_not`, or remove `when_unmet`; for failed attempts, write `when_exhausted`"),
            );
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
        let consequence = if key == "if" { "can never match" } else { "excludes nothing" };
        let message =
            format!("`{name}` is not a dependency of the step `{}`, so this pattern {consequence}", step.slug);
        let dependencies = words::quoted_list(step.dependencies(), "and");
        let example = step.dependencies().next().unwrap_or_default();
        let finding = Finding::new(Code::PatternKey, path, message).label("not a dependency");
        findings.push(finding.help(format!("the pattern is matched against the outputs of {dependencies}: write `{{ {example}: {{ … }} }}`, or add `{name}` to `depends_on`")));
    }
}

fn array_input(step: &StepDefinition, key: &str, map: &StepDefinition, findings: &mut Findings) {
    let consequence = if key == "if" { "can never match" } else { "excludes nothing" };
    let message =
        format!("the run's input is an array, because the step `{}` maps it, so this pattern {consequence}", map.slug);
    let finding = Finding::new(Code::PatternOnArray, super::step_path(step).key(key).itself(), message)
        .label("an object is never contained in an array of elements")
        .related(super::step_path(map).key("map"), "takes an array");
    findings.push(finding.help("remove the pattern, or map the output of a step that reads the array from an object"));
}

/// Where `if` contains `if_not`, whatever meets the one is excluded by the other.
fn never_met(step: &StepDefinition, findings: &mut Findings) {
    let Some(exclusion) = &step.exclusion else { return };
    let nothing = Value::Object(serde_json::Map::new());
    let condition = step.condition.as_ref().unwrap_or(&nothing);
    if !contains(condition, exclusion) {
        return;
    }
    let message = format!("the step `{}` never runs: `if_not` excludes everything that meets `if`", step.slug);
    let finding = Finding::new(Code::NeverMet, super::step_path(step).key("if_not").itself(), message);
    let finding = match &step.condition {
        Some(_) => {
            finding.label("excludes it all").related(super::step_path(step).key("if").itself(), "what must be met")
        }
        None => finding.label("an empty pattern matches every input"),
    };
    findings.push(finding.help("make `if_not` more special than `if`, or remove one of them"));
}

/// `outer @> inner`, as `jsonb` defines it.
fn contains(outer: &Value, inner: &Value) -> bool {
    match (outer, inner) {
        (Value::Object(outer), Value::Object(inner)) => {
            inner.iter().all(|(key, inner)| outer.get(key).is_some_and(|outer| contains(outer, inner)))
        }
        (Value::Array(outer), Value::Array(inner)) => {
            inner.iter().all(|inner| outer.iter().any(|outer| contains(outer, inner)))
        }
        (outer, inner) => outer == inner,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::contains;

    #[test]
    fn containment_is_that_of_jsonb() {
        assert!(contains(&json!({"a": {"b": 1}, "c": 2}), &json!({"a": {}})));
        assert!(contains(&json!([1, [2, 3]]), &json!([[3]])));
        assert!(!contains(&json!({"a": 1}), &json!({"a": 2})));
        assert!(!contains(&json!([]), &json!({})));
    }
}
