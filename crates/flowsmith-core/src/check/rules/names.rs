//! Rules for the names of flows, steps and triggers.

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
            let length = step.slug.len();
            let message = format!("the step name is longer than {MAX_STEP_SLUG} characters");
            let finding = Finding::new(Code::LongSlug, path, message).label(format!("{length} characters"));
            findings.push(finding.help(shorten(length - MAX_STEP_SLUG)));
        }
    }
    triggers(flow, findings);
}

/// Whether a name obviously violates no rule. This is a fast path for nearly all names.
fn slug_is_plain(slug: &str) -> bool {
    let bytes = slug.as_bytes();
    slug != RUN
        && bytes.len() <= MAX_FLOW_SLUG
        && bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last() != Some(&b'_')
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && !slug.contains("__")
}

/// Whether the engine accepts a name, disregarding its length.
fn slug_is_valid(what: &str, slug: &str, path: &FieldPath, findings: &mut Findings) -> bool {
    let is_valid = slug.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && slug.chars().all(|each| each.is_ascii_alphanumeric() || each == '_');
    if !is_valid {
        let finding = Finding::new(Code::InvalidSlug, path.clone(), format!("invalid {what} name `{slug}`"))
            .label("must have only letters, digits and underscores, and no leading digit");
        findings.push(match proposal(what, slug) {
            Some(better) => finding.help(format!("write `{better}`")),
            None => finding.help("write a name such as `load_order`"),
        });
        return false;
    }
    if slug == RUN {
        let finding = Finding::new(Code::ReservedSlug, path.clone(), format!("a {what} cannot be named `run`"))
            .label("reserved for the run's input");
        findings.push(finding.help(format!("choose another name, such as `run_{what}`")));
        return false;
    }
    if slug.contains("__") || slug.starts_with('_') || slug.ends_with('_') {
        let message = format!("newer versions of pgflow reserve the underscores in the name `{slug}`");
        let finding = Finding::new(Code::Underscores, path.clone(), message).label("leading, trailing or double `_`");
        findings.push(match proposal(what, slug) {
            Some(better) => finding.help(format!("write `{better}`")),
            None => finding.help("begin and end the name with a letter or a digit"),
        });
    }
    true
}

fn shorten(excess: usize) -> String {
    format!("shorten the name by {excess} character{}", if excess == 1 { "" } else { "s" })
}

/// The most similar valid name; `None` if letters would have to be invented.
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
    let message =
        format!("the flow name is longer than {MAX_FLOW_SLUG} characters, the limit for the name of its queue");
    let label = if in_database == slug {
        format!("{length} characters")
    } else {
        format!("`{in_database}` has {length} characters")
    };
    let help = shorten(length - MAX_FLOW_SLUG);
    findings.push(Finding::new(Code::LongSlug, path, message).label(label).help(help));
}

fn triggers(flow: &FlowFile, findings: &mut Findings) {
    let mut seen = HashMap::new();
    for trigger in &flow.triggers {
        let Some(name) = &trigger.name else { continue };
        let path = FieldPath::root().key("triggers").index(trigger.index).key("name");
        if !slug_is_plain(name) && slug_is_valid("trigger", name, &path, findings) && name.len() > MAX_FLOW_SLUG {
            let message = format!("the trigger name is longer than {MAX_FLOW_SLUG} characters");
            let finding =
                Finding::new(Code::LongSlug, path.clone(), message).label(format!("{} characters", name.len()));
            findings.push(finding.help(shorten(name.len() - MAX_FLOW_SLUG)));
        }
        if let Some(first) = seen.insert(name.to_lowercase(), trigger.index) {
            let first_path = FieldPath::root().key("triggers").index(first).key("name");
            let finding =
                Finding::new(Code::DuplicateTrigger, path, format!("two triggers of this flow are named `{name}`"))
                    .label("duplicate")
                    .related(first_path, "first use");
            findings.push(finding.help(format!("rename one of them, for example to `{name}_{}`", trigger.index + 1)));
        }
    }
}
