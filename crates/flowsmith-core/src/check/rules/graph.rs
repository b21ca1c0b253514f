//! Rules for dependencies: they exist, are unique, and form no cycle.

use std::collections::HashMap;

use petgraph::graph::NodeIndex;

use crate::check::order::{MAX_CYCLES, StepGraph};
use crate::definition::{FlowFile, StepDefinition};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};
use crate::words;

/// The maximum number of steps of a cycle that are spelled out.
const SHOWN_STEPS: usize = 12;

pub(super) fn check(flow: &FlowFile, graph: &StepGraph<'_>, findings: &mut Findings) -> Option<Vec<usize>> {
    let known = graph.steps();
    for step in &flow.steps {
        // A suggestion compares a name with all others.
        if findings.is_full() {
            break;
        }
        dependencies(step, flow, known, findings);
        if let Some(source) = step.source() {
            let path = super::step_path(step).key("map");
            if source == step.slug {
                findings.push(depends_on_itself(step, path));
            } else if !known.contains_key(source) {
                let mut finding = unknown(step, source, path, flow);
                if let Some(help) = &mut finding.help {
                    let separator = if help.ends_with('?') { " To" } else { "; to" };
                    help.push_str(&format!("{separator} map the run's input, write `run`"));
                }
                findings.push(finding);
            }
        }
    }
    let order = graph.order();
    if order.is_none() {
        cycles(flow, graph, findings);
    }
    order
}

fn dependencies(step: &StepDefinition, flow: &FlowFile, known: &HashMap<&str, NodeIndex>, findings: &mut Findings) {
    let mut listed = HashMap::new();
    for item in &step.depends_on {
        let path = || super::step_path(step).key("depends_on").index(item.index);
        if item.text == step.slug {
            findings.push(depends_on_itself(step, path()));
        } else if !known.contains_key(item.text.as_str()) {
            findings.push(unknown(step, &item.text, path(), flow));
        }
        if let Some(first) = listed.get(item.text.as_str()) {
            let message = format!("the step `{}` lists the dependency `{}` twice", step.slug, item.text);
            let finding = Finding::new(Code::DuplicateDependency, path(), message)
                .label("duplicate")
                .related(super::step_path(step).key("depends_on").index(*first), "first listed here");
            findings.push(finding.help("remove one of them"));
        }
        if step.depends_on.len() > 1 {
            listed.entry(item.text.as_str()).or_insert(item.index);
        }
        if findings.is_full() {
            return;
        }
    }
}

fn depends_on_itself(step: &StepDefinition, path: FieldPath) -> Finding {
    Finding::new(Code::SelfDependency, path, format!("the step `{}` depends on itself", step.slug))
        .label("would never start")
        .help("name the step whose output is needed, or remove the dependency")
}

fn unknown(step: &StepDefinition, name: &str, path: FieldPath, flow: &FlowFile) -> Finding {
    let finding = Finding::new(
        Code::UnknownDependency,
        path,
        format!("the step `{}` depends on `{name}`, which is not a step of this flow", step.slug),
    )
    .label("no such step");
    if name == crate::definition::RUN {
        return finding.help("remove `run`: a step without dependencies receives the run's input");
    }
    let others = flow.steps.iter().map(|each| each.slug.as_str()).filter(|slug| *slug != step.slug);
    finding.help(words::suggest(name, others))
}

fn cycles(flow: &FlowFile, graph: &StepGraph<'_>, findings: &mut Findings) {
    let (cycles, has_more) = graph.cycles();
    for (position, cycle) in cycles.iter().enumerate() {
        let slugs: Vec<_> = cycle.iter().map(|step| flow.steps[*step].slug.as_str()).collect();
        let mut finding =
            Finding::new(Code::Cycle, waits_for(flow, cycle, 0), format!("dependency cycle: {}", spell(&slugs)))
                .label(format!("`{}` waits for `{}`", slugs[0], slugs[1 % slugs.len()]));
        for place in 1..cycle.len().min(SHOWN_STEPS) {
            let label = format!("`{}` waits for `{}`", slugs[place], slugs[(place + 1) % slugs.len()]);
            finding = finding.related(waits_for(flow, cycle, place), label);
        }
        let more = if has_more && position + 1 == cycles.len() {
            format!("; the flow has more than the {MAX_CYCLES} cycles shown")
        } else {
            String::new()
        };
        findings.push(finding.help(format!("remove one of these dependencies{more}")));
    }
}

/// The field in which a step of a cycle names the next one.
fn waits_for(flow: &FlowFile, cycle: &[usize], place: usize) -> FieldPath {
    let step = &flow.steps[cycle[place]];
    let next = &flow.steps[cycle[(place + 1) % cycle.len()]].slug;
    match step.depends_on.iter().find(|item| item.text == *next) {
        Some(item) => super::step_path(step).key("depends_on").index(item.index),
        None => super::step_path(step).key("map"),
    }
}

fn spell(slugs: &[&str]) -> String {
    let (head, tail) = if slugs.len() > SHOWN_STEPS {
        (&slugs[..SHOWN_STEPS - 2], &slugs[slugs.len() - 1..])
    } else {
        (slugs, &slugs[..0])
    };
    let mut spelled = head.join(" → ");
    if !tail.is_empty() {
        spelled = format!("{spelled} → … {} more … → {}", slugs.len() - head.len() - tail.len(), tail.join(" → "));
    }
    format!("`{spelled} → {}`", slugs[0])
}
