//! `diff(from, to)`: what turns one catalog into another. Pure; both sides are the same type.
//!
//! Two laws hold, and are tested as such: `diff(a, a)` is empty, and applying `diff(a, b)` to `a` gives `b`.

mod abandoned_queue;
mod change;
mod delta;
mod describe;

pub use abandoned_queue::{AbandonedQueue, abandoned_queues};
pub use change::{Alteration, Change, ChangeSet, Class};
pub use delta::{Delta, FlowDelta, StepDelta};

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{Catalog, Flow, Step, Trigger};

/// What turns `from` into `to`, in the order of database slugs.
pub fn diff(from: &Catalog, to: &Catalog) -> ChangeSet {
    let mut changes = Vec::new();
    for (slug, wanted) in to.iter() {
        match from.get(slug) {
            None => changes.push(Change::Create(wanted.clone())),
            Some(held) if held == wanted => {}
            Some(held) => changes.push(Change::Alter(Box::new(alteration(held, wanted)))),
        }
    }
    changes.extend(from.iter().filter(|(slug, _)| to.get(slug).is_none()).map(|(_, held)| Change::Drop(held.clone())));
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
            Some(held) => {
                deltas.extend(Delta::between(&held, trigger).map(|delta| FlowDelta::Trigger(Box::new(delta))));
            }
        }
    }
    deltas
}

fn step_deltas(from: &[Step], to: &[Step]) -> Vec<FlowDelta> {
    let held: HashMap<&str, &Step> = from.iter().map(|step| (step.slug.as_str(), step)).collect();
    let wanted: HashMap<&str, &Step> = to.iter().map(|step| (step.slug.as_str(), step)).collect();
    let removed = from.iter().filter(|step| !wanted.contains_key(step.slug.as_str()));
    let mut deltas: Vec<_> = removed.cloned().map(FlowDelta::StepRemoved).collect();
    for step in to {
        match held.get(step.slug.as_str()) {
            None => deltas.push(FlowDelta::StepAdded(step.clone())),
            Some(before) => deltas.extend(
                StepDelta::between(before, step).into_iter().map(|delta| FlowDelta::Step(step.slug.clone(), delta)),
            ),
        }
    }
    deltas.extend(reordering(from, to, &held, &wanted));
    deltas
}

/// The order change that remains once removed steps are gone and added ones appended.
fn reordering(
    from: &[Step],
    to: &[Step],
    held: &HashMap<&str, &Step>,
    wanted: &HashMap<&str, &Step>,
) -> Option<FlowDelta> {
    let kept = from.iter().filter(|step| wanted.contains_key(step.slug.as_str()));
    let added = to.iter().filter(|step| !held.contains_key(step.slug.as_str()));
    let without_reordering: Vec<String> = kept.chain(added).map(|step| step.slug.clone()).collect();
    let meant: Vec<String> = to.iter().map(|step| step.slug.clone()).collect();
    Delta::between(&without_reordering, &meant).map(FlowDelta::StepsReordered)
}
