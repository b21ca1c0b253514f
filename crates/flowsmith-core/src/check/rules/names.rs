//! Names of flows, steps and triggers.

use std::collections::HashMap;

use crate::catalog::FlowId;
use crate::definition::shape::{MAX_FLOW_SLUG, MAX_STEP_SLUG};
use crate::definition::{FlowFile, RUN};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};

pub(super) fn check(flow: &FlowFile, findings: &mut Findings) {
    if let Some(slug) = &flow.flow {
        let path = FieldPath::root().key("flow");
        if slug_is_valid("flow", slug, &path, findings) {
            length_of_flow(slug, flow.version, path, findings);
        }
    }
    for step in &flow.steps {
        if slug_is_plain(&step.slug) {
            continue;
        }
        let path = FieldPath::root().key("steps").key(&step.slug).itself();
        if slug_is_valid("step", &step.slug, &path, findings) && step.slug.len() > MAX_STEP_SLUG {
            let (length, message) = (step.slug.len(), "a step's name can have at most 128 characters");
            let finding = Finding::new(Code::LongSlug, path, message).label(format!("{length} characters"));
            findings.push(finding.help(format!("shorten it by {}", length - MAX_STEP_SLUG)));
        }
    }
    triggers(flow, findings);
}

/// What nearly every name is, told at a glance: no rule has anything to say about it.
fn slug_is_plain(slug: &str) -> bool {
    let bytes = slug.as_bytes();
    slug != RUN
        && bytes.len() <= MAX_FLOW_SLUG
        && bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last() != Some(&b'_')
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && !slug.contains("__")
}

/// Whether the engine takes a name; length apart.
fn slug_is_valid(what: &str, slug: &str, path: &FieldPath, findings: &mut Findings) -> bool {
    let is_valid = slug.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && slug.chars().all(|each| each.is_ascii_alphanumeric() || each == '_');
    if !is_valid {
        let finding =
            Finding::new(Code::InvalidSlug, path.clone(), format!("`{slug}` is not a valid name for a {what}"))
                .label("letters, digits and underscores only, and no digit first");
        findings.push(match proposal(what, slug) {
            Some(better) => finding.help(format!("write `{better}`")),
            None => finding.help("write a name such as `load_order`"),
        });
        return false;
    }
    if slug == RUN {
        let finding = Finding::new(Code::ReservedSlug, path.clone(), format!("a {what} cannot be named `run`"))
            .label("reserved: it means the run's input");
        findings.push(finding.help(format!("choose another name, such as `run_{what}`")));
        return false;
    }
    if slug.contains("__") || slug.starts_with('_') || slug.ends_with('_') {
        let message = format!("the name `{slug}` has underscores that newer engines reserve");
        let finding = Finding::new(Code::Underscores, path.clone(), message).label("`__`, or `_` at an edge");
        findings.push(match proposal(what, slug) {
            Some(better) => finding.help(format!("write `{better}`")),
            None => finding.help("begin and end with a letter or digit"),
        });
    }
    true
}

/// The nearest name that is valid and plain; none where letters would have to be made up.
fn proposal(what: &str, slug: &str) -> Option<String> {
    let replaced: String = slug.chars().map(|each| if each.is_ascii_alphanumeric() { each } else { '_' }).collect();
    let words: Vec<_> = replaced.split('_').filter(|word| !word.is_empty()).collect();
    let mut better = words.join("_");
    if better.starts_with(|first: char| first.is_ascii_digit()) {
        better = format!("{what}_{better}");
    }
    (slug.is_ascii() && slug_is_plain(&better)).then_some(better)
}

fn length_of_flow(slug: &str, version: Option<u32>, path: FieldPath, findings: &mut Findings) {
    let in_database = FlowId::new(slug, version.unwrap_or(1)).database_slug();
    if in_database.len() <= MAX_FLOW_SLUG {
        return;
    }
    let length = in_database.len();
    let message = format!(
        "a flow's name can have at most {MAX_FLOW_SLUG} characters in the database, because its queue has the same name"
    );
    let label = if in_database == slug {
        format!("{length} characters")
    } else {
        format!("`{in_database}` has {length} characters")
    };
    let help = format!("shorten it by {}", length - MAX_FLOW_SLUG);
    findings.push(Finding::new(Code::LongSlug, path, message).label(label).help(help));
}

fn triggers(flow: &FlowFile, findings: &mut Findings) {
    let mut seen = HashMap::new();
    for trigger in &flow.triggers {
        let Some(name) = &trigger.name else { continue };
        let path = FieldPath::root().key("triggers").index(trigger.index).key("name");
        if !slug_is_plain(name) && slug_is_valid("trigger", name, &path, findings) && name.len() > MAX_FLOW_SLUG {
            let message = format!("a trigger's name can have at most {MAX_FLOW_SLUG} characters");
            let finding =
                Finding::new(Code::LongSlug, path.clone(), message).label(format!("{} characters", name.len()));
            findings.push(finding.help(format!("shorten it by {}", name.len() - MAX_FLOW_SLUG)));
        }
        if let Some(first) = seen.insert(name.to_lowercase(), trigger.index) {
            let first_path = FieldPath::root().key("triggers").index(first).key("name");
            let finding =
                Finding::new(Code::DuplicateTrigger, path, format!("two triggers of this flow are named `{name}`"))
                    .label("again here")
                    .related(first_path, "first here");
            findings.push(finding.help(format!("rename one of them, for example to `{name}_{}`", trigger.index + 1)));
        }
    }
}
