//! Differences within a flow or a step.

use std::collections::HashMap;

use serde_json::Value;

use super::Class;
use crate::catalog::{Annotations, FailureMode, Flow, FlowId, State, Step, StepKind, Trigger};

/// A value before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta<T> {
    /// The value before the change.
    pub from: T,
    /// The value after the change.
    pub to: T,
}

impl<T: Clone + PartialEq> Delta<T> {
    /// The difference of two values; `None` if they are equal.
    pub fn between(from: &T, to: &T) -> Option<Self> {
        (from != to).then(|| Self { from: from.clone(), to: to.clone() })
    }
}

/// A difference between two definitions of a flow.
#[derive(Debug, Clone, PartialEq)]
pub enum FlowDelta {
    /// The slug and version of the same database slug. This happens when a manually created flow is adopted.
    Id(Delta<FlowId>),
    /// The state.
    State(Delta<State>),
    /// The flow's option `max_attempts`.
    MaxAttempts(Delta<i32>),
    /// The flow's option `base_delay`, in seconds.
    BaseDelay(Delta<i32>),
    /// The flow's option `timeout`, in seconds.
    Timeout(Delta<i32>),
    /// A new step.
    StepAdded(Step),
    /// A deleted step.
    StepRemoved(Step),
    /// The order of the steps, after removed steps are deleted and added steps are appended.
    StepsReordered(Delta<Vec<String>>),
    /// A changed step, by name.
    Step(String, StepDelta),
    /// The queue is missing in a database and is created again, empty. The definitions do not differ.
    Queue,
    /// A new trigger.
    TriggerAdded(Trigger),
    /// A deleted trigger.
    TriggerRemoved(Trigger),
    /// A changed trigger.
    Trigger(Box<Delta<Trigger>>),
    /// The triggers in a database differ from the recorded ones and are created again. The definitions do not differ.
    Triggers,
    /// Annotations, which only the ledger records.
    Annotations(Box<Delta<Annotations>>),
}

impl FlowDelta {
    /// The class of the difference.
    pub fn class(&self) -> Class {
        match self {
            Self::Annotations(_) => Class::Record,
            Self::Trigger(delta) if delta.from.source == delta.to.source => Class::Record,
            Self::Id(_) | Self::Queue | Self::Triggers | Self::TriggerAdded(_) => Class::Safe,
            Self::Trigger(_) | Self::TriggerRemoved(_) => Class::Tune,
            Self::State(delta) if delta.to == State::Retired => Class::Retire,
            Self::State(_) => Class::Safe,
            Self::MaxAttempts(_) | Self::BaseDelay(_) | Self::Timeout(_) => Class::Tune,
            Self::Step(_, delta) => delta.class(),
            Self::StepAdded(_) | Self::StepRemoved(_) | Self::StepsReordered(_) => Class::Replace,
        }
    }

    /// Applies the difference to a flow.
    pub fn apply(&self, flow: &mut Flow) {
        match self {
            Self::Id(delta) => flow.id = delta.to.clone(),
            Self::State(delta) => flow.state = delta.to,
            Self::MaxAttempts(delta) => flow.options.max_attempts = delta.to,
            Self::BaseDelay(delta) => flow.options.base_delay = delta.to,
            Self::Timeout(delta) => flow.options.timeout = delta.to,
            Self::StepAdded(step) => flow.steps.push(step.clone()),
            Self::StepRemoved(removed) => flow.steps.retain(|step| step.slug != removed.slug),
            Self::StepsReordered(delta) => {
                let place: HashMap<&str, usize> =
                    delta.to.iter().enumerate().map(|(index, slug)| (slug.as_str(), index)).collect();
                flow.steps.sort_by_key(|step| place.get(step.slug.as_str()).copied());
            }
            Self::Step(slug, delta) => flow.steps.iter_mut().filter(|s| s.slug == *slug).for_each(|s| delta.apply(s)),
            Self::TriggerAdded(trigger) => {
                flow.triggers.push(trigger.clone());
                flow.triggers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            }
            Self::TriggerRemoved(removed) => flow.triggers.retain(|trigger| trigger.name != removed.name),
            Self::Trigger(delta) => {
                flow.triggers.iter_mut().filter(|t| t.name == delta.from.name).for_each(|t| t.clone_from(&delta.to));
            }
            Self::Queue | Self::Triggers => {}
            Self::Annotations(delta) => flow.annotations = delta.to.clone(),
        }
    }
}

/// A difference between two definitions of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepDelta {
    /// The kind of the step: single or map.
    Kind(Delta<StepKind>),
    /// The dependencies.
    DependsOn(Delta<Vec<String>>),
    /// The option `max_attempts`; `None` inherits the flow's.
    MaxAttempts(Delta<Option<i32>>),
    /// The option `base_delay` in seconds; `None` inherits the flow's.
    BaseDelay(Delta<Option<i32>>),
    /// The option `timeout` in seconds; `None` inherits the flow's.
    Timeout(Delta<Option<i32>>),
    /// The option `start_delay` in seconds; `None` stands for 0.
    StartDelay(Delta<Option<i32>>),
    /// The condition `if`.
    RequiredInputPattern(Delta<Option<Value>>),
    /// The condition `if_not`.
    ForbiddenInputPattern(Delta<Option<Value>>),
    /// The effect of an unmet condition.
    WhenUnmet(Delta<FailureMode>),
    /// The effect of a failed last attempt.
    WhenExhausted(Delta<FailureMode>),
}

impl StepDelta {
    /// All differences between two definitions of a step.
    pub fn between(from: &Step, to: &Step) -> Vec<Self> {
        [
            Delta::between(&from.kind, &to.kind).map(Self::Kind),
            Delta::between(&from.depends_on, &to.depends_on).map(Self::DependsOn),
            Delta::between(&from.max_attempts, &to.max_attempts).map(Self::MaxAttempts),
            Delta::between(&from.base_delay, &to.base_delay).map(Self::BaseDelay),
            Delta::between(&from.timeout, &to.timeout).map(Self::Timeout),
            Delta::between(&from.start_delay, &to.start_delay).map(Self::StartDelay),
            Delta::between(&from.required_input_pattern, &to.required_input_pattern).map(Self::RequiredInputPattern),
            Delta::between(&from.forbidden_input_pattern, &to.forbidden_input_pattern).map(Self::ForbiddenInputPattern),
            Delta::between(&from.when_unmet, &to.when_unmet).map(Self::WhenUnmet),
            Delta::between(&from.when_exhausted, &to.when_exhausted).map(Self::WhenExhausted),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The class of the difference.
    pub fn class(&self) -> Class {
        match self {
            Self::MaxAttempts(_) | Self::BaseDelay(_) | Self::Timeout(_) | Self::StartDelay(_) => Class::Tune,
            Self::Kind(_)
            | Self::DependsOn(_)
            | Self::RequiredInputPattern(_)
            | Self::ForbiddenInputPattern(_)
            | Self::WhenUnmet(_)
            | Self::WhenExhausted(_) => Class::Replace,
        }
    }

    /// Applies the difference to a step.
    pub fn apply(&self, step: &mut Step) {
        match self {
            Self::Kind(delta) => step.kind = delta.to,
            Self::DependsOn(delta) => step.depends_on.clone_from(&delta.to),
            Self::MaxAttempts(delta) => step.max_attempts = delta.to,
            Self::BaseDelay(delta) => step.base_delay = delta.to,
            Self::Timeout(delta) => step.timeout = delta.to,
            Self::StartDelay(delta) => step.start_delay = delta.to,
            Self::RequiredInputPattern(delta) => step.required_input_pattern.clone_from(&delta.to),
            Self::ForbiddenInputPattern(delta) => step.forbidden_input_pattern.clone_from(&delta.to),
            Self::WhenUnmet(delta) => step.when_unmet = delta.to,
            Self::WhenExhausted(delta) => step.when_exhausted = delta.to,
        }
    }
}
