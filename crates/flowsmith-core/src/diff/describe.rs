//! Descriptions of changes, shared by migrations, reports and errors.

use std::fmt;

use super::{Change, Delta, FlowDelta, StepDelta};
use crate::catalog::{Annotations, Input, TableTrigger, Trigger, TriggerSource};

impl Change {
    /// The sign of the change in lists: `+`, `~` or `-`.
    pub fn sign(&self) -> char {
        match self {
            Self::Create(_) => '+',
            Self::Alter(_) => '~',
            Self::Drop(_) => '-',
        }
    }

    /// A description of the change in one line.
    pub fn summary(&self) -> String {
        match self {
            Self::Create(flow) => created(flow.id.version, flow.steps.len(), flow.triggers.len()),
            Self::Alter(alteration) => altered(&alteration.deltas),
            Self::Drop(_) => DELETED.to_owned(),
        }
    }
}

/// The description of a deletion.
pub(crate) const DELETED: &str = "deleted with its queue and its runs";

/// The description of a new flow version, as in `new flow, 3 steps, 1 trigger`.
pub(crate) fn created(version: u32, steps: usize, triggers: usize) -> String {
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let kind = if version > 1 { "new version" } else { "new flow" };
    let triggers = if triggers == 0 { String::new() } else { format!(", {}", count(triggers, "trigger")) };
    format!("{kind}, {}{triggers}", count(steps, "step"))
}

/// The description of an alteration in one line.
pub(crate) fn altered(deltas: &[FlowDelta]) -> String {
    match deltas {
        [one] => one.to_string(),
        several => format!("{} differences", several.len()),
    }
}

impl fmt::Display for FlowDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(delta) => write!(f, "{} adopted as {}", delta.from, delta.to),
            Self::State(delta) => write!(f, "{} → {}", delta.from.as_str(), delta.to.as_str()),
            Self::MaxAttempts(delta) => write!(f, "max_attempts {} → {}", delta.from, delta.to),
            Self::BaseDelay(delta) => write!(f, "base_delay {} s → {} s", delta.from, delta.to),
            Self::Timeout(delta) => write!(f, "timeout {} s → {} s", delta.from, delta.to),
            Self::StepAdded(step) => write!(f, "step {} added", step.slug),
            Self::StepRemoved(step) => write!(f, "step {} removed", step.slug),
            Self::StepsReordered(_) => write!(f, "steps reordered"),
            Self::Step(slug, delta) => write!(f, "step {slug}: {delta}"),
            Self::Queue => write!(f, "queue recreated"),
            Self::TriggerAdded(trigger) => write!(f, "trigger {} added: {}", trigger.name, trigger.what()),
            Self::TriggerRemoved(trigger) => write!(f, "trigger {} removed: {}", trigger.name, trigger.what()),
            Self::Trigger(delta) => write!(f, "trigger {}: {}", delta.to.name, changed_trigger(delta)),
            Self::Triggers => write!(f, "triggers recreated"),
            Self::Annotations(delta) => write!(f, "{} (recorded only)", changed_annotations(delta)),
        }
    }
}

fn changed_trigger(delta: &Delta<Trigger>) -> String {
    let (from, to) = (&delta.from, &delta.to);
    if from.source == to.source {
        return "description (recorded only)".to_owned();
    }
    let mut parts = Vec::new();
    if from.what() != to.what() {
        parts.push(format!("{} → {}", from.what(), to.what()));
    }
    parts.extend(match (&from.source, &to.source) {
        (TriggerSource::Table(from), TriggerSource::Table(to)) => changed_table_trigger(from, to),
        _ if input(from) != input(to) => vec![format!("input {} → {}", input(from), input(to))],
        _ => Vec::new(),
    });
    parts.join("; ")
}

fn changed_table_trigger(from: &TableTrigger, to: &TableTrigger) -> Vec<String> {
    let when = |trigger: &TableTrigger| trigger.when.clone().unwrap_or_else(|| "always".to_owned());
    let input = |trigger: &TableTrigger| match &trigger.input {
        Input::Value(value) => value.to_string(),
        Input::Sql(sql) => sql.clone(),
    };
    let change = |name: &str, from: String, to: String| (from != to).then(|| format!("{name} {from} → {to}"));
    [
        change("when", when(from), when(to)),
        change("input", input(from), input(to)),
        change("strict", from.strict.to_string(), to.strict.to_string()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The input of the runs that a trigger starts.
fn input(trigger: &Trigger) -> String {
    match &trigger.source {
        TriggerSource::Cron { input, .. } => input.to_string(),
        TriggerSource::Queue { input_sql, .. } => input_sql.clone().unwrap_or_else(|| "the event's data".to_owned()),
        TriggerSource::Table(_) => "from the row".to_owned(),
    }
}

fn changed_annotations(delta: &Delta<Annotations>) -> String {
    let (from, to) = (&delta.from, &delta.to);
    [
        ("description", from.description != to.description),
        ("owner", from.owner != to.owner),
        ("labels", from.labels != to.labels),
        ("input schema", from.input != to.input),
        ("handlers", from.handlers != to.handlers),
        ("output schemas", from.outputs != to.outputs),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect::<Vec<_>>()
    .join(", ")
}

impl fmt::Display for StepDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |value: Option<i32>| value.map_or("inherited".to_owned(), |value| value.to_string());
        let seconds = |value: Option<i32>| value.map_or("inherited".to_owned(), |value| format!("{value} s"));
        let delay = |value: Option<i32>| value.map_or("none".to_owned(), |value| format!("{value} s"));
        let list = |slugs: &[String]| if slugs.is_empty() { "none".to_owned() } else { slugs.join(", ") };
        let pattern = |value: &Option<serde_json::Value>| value.as_ref().map_or("none".to_owned(), ToString::to_string);
        match self {
            Self::Kind(delta) => write!(f, "{} → {}", delta.from.as_str(), delta.to.as_str()),
            Self::DependsOn(delta) => write!(f, "depends_on {} → {}", list(&delta.from), list(&delta.to)),
            Self::MaxAttempts(delta) => write!(f, "max_attempts {} → {}", count(delta.from), count(delta.to)),
            Self::BaseDelay(delta) => write!(f, "base_delay {} → {}", seconds(delta.from), seconds(delta.to)),
            Self::Timeout(delta) => write!(f, "timeout {} → {}", seconds(delta.from), seconds(delta.to)),
            Self::StartDelay(delta) => write!(f, "start_delay {} → {}", delay(delta.from), delay(delta.to)),
            Self::RequiredInputPattern(delta) => write!(f, "if {} → {}", pattern(&delta.from), pattern(&delta.to)),
            Self::ForbiddenInputPattern(delta) => write!(f, "if_not {} → {}", pattern(&delta.from), pattern(&delta.to)),
            Self::WhenUnmet(delta) => write!(f, "when_unmet {} → {}", delta.from.as_str(), delta.to.as_str()),
            Self::WhenExhausted(delta) => write!(f, "when_exhausted {} → {}", delta.from.as_str(), delta.to.as_str()),
        }
    }
}
