//! Changes in words, the same in migrations, reports and errors.

use std::fmt;

use super::{Alteration, Change, Delta, FlowDelta, StepDelta};
use crate::catalog::{Annotations, Flow};

impl Change {
    /// The sign in front of it: `+`, `~` or `-`.
    pub fn sign(&self) -> char {
        match self {
            Self::Create(_) => '+',
            Self::Alter(_) => '~',
            Self::Drop(_) => '-',
        }
    }

    /// One line that says what happens.
    pub fn summary(&self) -> String {
        match self {
            Self::Create(flow) if flow.id.version > 1 => format!("new version, {}", steps(flow)),
            Self::Create(flow) => format!("new flow, {}", steps(flow)),
            Self::Alter(alteration) => alteration.summary(),
            Self::Drop(_) => "deleted with its queue and its runs".to_owned(),
        }
    }
}

impl Alteration {
    fn summary(&self) -> String {
        match self.deltas.as_slice() {
            [one] => one.to_string(),
            several => format!("{} differences", several.len()),
        }
    }
}

fn steps(flow: &Flow) -> String {
    match flow.steps.len() {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
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
            Self::StepsReordered(_) => write!(f, "steps in another order"),
            Self::Step(slug, delta) => write!(f, "step {slug}: {delta}"),
            Self::Queue => write!(f, "queue made anew"),
            Self::Annotations(delta) => write!(f, "{} (recorded only)", changed_annotations(delta)),
        }
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
        let count = |value: Option<i32>| value.map_or("the flow's".to_owned(), |value| value.to_string());
        let seconds = |value: Option<i32>| value.map_or("the flow's".to_owned(), |value| format!("{value} s"));
        let delay = |value: Option<i32>| value.map_or("none".to_owned(), |value| format!("{value} s"));
        let list = |slugs: &[String]| if slugs.is_empty() { "nothing".to_owned() } else { slugs.join(", ") };
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
