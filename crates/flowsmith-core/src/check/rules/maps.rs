//! Rules for map steps: each has one source, which provides an array.

use std::collections::HashMap;

use crate::definition::{FlowFile, RUN, StepDefinition};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};

pub(super) fn check(flow: &FlowFile, findings: &mut Findings) {
    let singles: HashMap<_, _> = flow
        .steps
        .iter()
        .filter(|step| step.map.is_none() && step.output.is_some())
        .map(|step| (step.slug.as_str(), step))
        .collect();
    let input_types = flow.input.as_ref().and_then(super::declared_types);
    for step in &flow.steps {
        let Some(map) = step.map.as_deref() else { continue };
        sources(step, map, findings);
        if map == RUN
            && let Some(types) = input_types.as_deref().filter(|types| !types.contains(&"array"))
        {
            let message =
                format!("the step `{}` maps the run's input, but `input` declares {}", step.slug, spell(types));
            let finding = Finding::new(Code::MapInput, super::step_path(step).key("map"), message)
                .label("requires an array")
                .related(FieldPath::root().key("input").key("type"), "declared here");
            findings.push(finding.help("declare `type: array` for the input, or map the output of a step"));
        }
        // The output of a map step is always an array: its `output` describes one element.
        if let Some(source) = singles.get(map) {
            source_output(step, source, findings);
        }
    }
}

fn sources(step: &StepDefinition, map: &str, findings: &mut Findings) {
    let Some(other) = step.depends_on.iter().find(|item| item.text != map) else { return };
    let path = super::step_path(step).key("depends_on").index(other.index);
    let message = format!("the map step `{}` depends on `{}` in addition to its source `{map}`", step.slug, other.text);
    let help = if map == RUN {
        format!("remove `depends_on`; to map the output of `{}`, write `map: {}`", other.text, other.text)
    } else {
        format!("remove `depends_on`; if `{map}` must wait for `{}`, add it to the dependencies of `{map}`", other.text)
    };
    let finding = Finding::new(Code::MapSources, path, message).label("a map can only depend on its source");
    findings.push(finding.related(super::step_path(step).key("map"), "the source").help(help));
}

fn source_output(step: &StepDefinition, source: &StepDefinition, findings: &mut Findings) {
    let Some(types) = source.output.as_ref().and_then(super::declared_types) else { return };
    if types.contains(&"array") {
        return;
    }
    let message =
        format!("the step `{}` maps the output of `{}`, which declares {}", step.slug, source.slug, spell(&types));
    let finding = Finding::new(Code::MapOutput, super::step_path(step).key("map"), message)
        .label("requires an array")
        .related(super::step_path(source).key("output").key("type"), "declared here");
    findings.push(finding.help(format!(
        "declare `type: array` for the output of `{}`, or replace `map` with `depends_on`",
        source.slug
    )));
}

fn spell(types: &[&str]) -> String {
    format!("the type {}", crate::words::quoted_list(types.iter().copied(), "or"))
}
