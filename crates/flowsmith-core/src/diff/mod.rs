//! The comparison of two catalogs.
//!
//! [`diff`] is a pure function of two values of the same type. Property tests check its two laws: `diff(a, a)` is empty, and
//! applying `diff(a, b)` to `a` gives `b`.

mod abandoned_queue;
mod change;
mod delta;
mod describe;

pub use abandoned_queue::{AbandonedQueue, abandoned_queues};
pub use change::{Alteration, Change, ChangeSet, Class};
pub use delta::{Delta, FlowDelta, StepDelta};
pub(crate) use describe::{DELETED, altered, created};

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{Catalog, Flow, Step, Trigger};

/// The changes that turn `from` into `to`, sorted by database slug.
pub fn diff(from: &Catalog, to: &Catalog) -> ChangeSet {
    let mut changes = Vec::new();
    for (slug, after) in to.iter() {
        match from.get(slug) {
            None => changes.push(Change::Create(after.clone())),
            Some(before) if before == after => {}
            Some(before) => changes.push(Change::Alter(Box::new(alteration(before, after)))),
        }
    }
    let removed = from.iter().filter(|(slug, _)| to.get(slug).is_none());
    changes.extend(removed.map(|(_, before)| Change::Drop(before.clone())));
    changes.sort_by_key(Change::database_slug);
    ChangeSet { changes }
}

fn alteration(from: &Arc<Flow>, to: &Arc<Flow>) -> Alteration {
    let mut deltas = Vec::new();
    let mut note = |delta: Option<FlowDelta>| deltas.extend(delta);
    note(Delta::between(&from.id, &to.id).map(FlowDelta::Id));
    note(Delta::between(&from.state, &to.state).map(FlowDelta::State));
    note(Delta::between(&from.options.max_attempts, &to.options.max_attempts).map(FlowDelta::MaxAttempts));
    note(Delta::between(&from.options.base_delay, &to.options.base_delay).map(FlowDelta::BaseDelay));
    note(Delta::between(&from.options.timeout, &to.options.timeout).map(FlowDelta::Timeout));
    if from.steps != to.steps {
        deltas.extend(step_deltas(&from.steps, &to.steps));
    }
    deltas.extend(trigger_deltas(&from.triggers, &to.triggers));
    deltas.extend(
        Delta::between(&from.annotations, &to.annotations).map(|delta| FlowDelta::Annotations(Box::new(delta))),
    );
    Alteration { from: from.clone(), to: to.clone(), deltas }
}

fn trigger_deltas(from: &[Trigger], to: &[Trigger]) -> Vec<FlowDelta> {
    let named = |triggers: &[Trigger], name: &str| triggers.iter().find(|trigger| trigger.name == name).cloned();
    let removed = from.iter().filter(|trigger| named(to, &trigger.name).is_none());
    let mut deltas: Vec<_> = removed.cloned().map(FlowDelta::TriggerRemoved).collect();
    for trigger in to {
        match named(from, &trigger.name) {
            None => deltas.push(FlowDelta::TriggerAdded(trigger.clone())),
            Some(before) => {
                deltas.extend(Delta::between(&before, trigger).map(|delta| FlowDelta::Trigger(Box::new(delta))));
            }
        }
    }
    deltas
}

fn step_deltas(from: &[Step], to: &[Step]) -> Vec<FlowDelta> {
    let before: HashMap<&str, &Step> = from.iter().map(|step| (step.slug.as_str(), step)).collect();
    let after: HashMap<&str, &Step> = to.iter().map(|step| (step.slug.as_str(), step)).collect();
    let removed = from.iter().filter(|step| !after.contains_key(step.slug.as_str()));
    let mut deltas: Vec<_> = removed.cloned().map(FlowDelta::StepRemoved).collect();
    for step in to {
        match before.get(step.slug.as_str()) {
            None => deltas.push(FlowDelta::StepAdded(step.clone())),
            Some(before) => deltas.extend(
                StepDelta::between(before, step).into_iter().map(|delta| FlowDelta::Step(step.slug.clone(), delta)),
            ),
        }
    }
    deltas.extend(reordering(from, to, &before, &after));
    deltas
}

/// The change of order that remains after removed steps are deleted and added steps are appended.
fn reordering(
    from: &[Step],
    to: &[Step],
    before: &HashMap<&str, &Step>,
    after: &HashMap<&str, &Step>,
) -> Option<FlowDelta> {
    let kept = from.iter().filter(|step| after.contains_key(step.slug.as_str()));
    let added = to.iter().filter(|step| !before.contains_key(step.slug.as_str()));
    let without_reordering: Vec<String> = kept.chain(added).map(|step| step.slug.clone()).collect();
    let expected: Vec<String> = to.iter().map(|step| step.slug.clone()).collect();
    Delta::between(&without_reordering, &expected).map(FlowDelta::StepsReordered)
}
