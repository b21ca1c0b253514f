//! One difference within a flow, or within a step.

use std::collections::HashMap;

use serde_json::Value;

use super::Class;
use crate::catalog::{Annotations, FailureMode, Flow, FlowId, State, Step, StepKind, Trigger};

/// A value before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta<T> {
    /// What it is.
    pub from: T,
    /// What it is to be.
    pub to: T,
}

impl<T: Clone + PartialEq> Delta<T> {
    /// None where both are equal.
    pub fn between(from: &T, to: &T) -> Option<Self> {
        (from != to).then(|| Self { from: from.clone(), to: to.clone() })
    }
}

/// One difference between two definitions of a flow.
#[derive(Debug, Clone, PartialEq)]
pub enum FlowDelta {
    /// The database slug is the same, the slug and version that it stands for are not: a flow made by hand is adopted.
    Id(Delta<FlowId>),
    /// Its place in its life.
    State(Delta<State>),
    /// Option of the flow.
    MaxAttempts(Delta<i32>),
    /// Option of the flow, in seconds.
    BaseDelay(Delta<i32>),
    /// Option of the flow, in seconds.
    Timeout(Delta<i32>),
    /// A step that is new.
    StepAdded(Step),
    /// A step that is gone.
    StepRemoved(Step),
    /// The order of steps, once removed ones are gone and added ones appended.
    StepsReordered(Delta<Vec<String>>),
    /// A step that stays and changes.
    Step(String, StepDelta),
    /// Its queue was lost and is made anew, empty. No difference of definitions: it comes from a look at a database.
    Queue,
    /// A trigger that is new.
    TriggerAdded(Trigger),
    /// A trigger that is gone.
    TriggerRemoved(Trigger),
    /// A trigger that stays and changes.
    Trigger(Box<Delta<Trigger>>),
    /// Its triggers are not in force as recorded, and made anew. No difference of definitions: it comes from a look at a
    /// database.
    Triggers,
    /// What is recorded only.
    Annotations(Box<Delta<Annotations>>),
}

impl FlowDelta {
    /// How it is applied.
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

    /// Makes the difference in a flow.
    pub fn apply(&self, flow: &mut Flow) {
        match self {
            Self::Id(delta) => flow.id = delta.to.clone(),
            Self::State(delta) => flow.state = delta.to,
            Self::MaxAttempts(delta) => flow.options.max_attempts = delta.to,
            Self::BaseDelay(delta) => flow.options.base_delay = delta.to,
            Self::Timeout(delta) => flow.options.timeout = delta.to,
            Self::StepAdded(step) => flow.steps.push(step.clone()),
            Self::StepRemoved(gone) => flow.steps.retain(|step| step.slug != gone.slug),
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
            Self::TriggerRemoved(gone) => flow.triggers.retain(|trigger| trigger.name != gone.name),
            Self::Trigger(delta) => {
                flow.triggers.iter_mut().filter(|t| t.name == delta.from.name).for_each(|t| t.clone_from(&delta.to));
            }
            Self::Queue | Self::Triggers => {}
            Self::Annotations(delta) => flow.annotations = delta.to.clone(),
        }
    }
}

/// One difference between two definitions of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepDelta {
    /// Single or map.
    Kind(Delta<StepKind>),
    /// The steps it waits for.
    DependsOn(Delta<Vec<String>>),
    /// Option; none = the flow's.
    MaxAttempts(Delta<Option<i32>>),
    /// Option in seconds; none = the flow's.
    BaseDelay(Delta<Option<i32>>),
    /// Option in seconds; none = the flow's.
    Timeout(Delta<Option<i32>>),
    /// Option in seconds; none = 0.
    StartDelay(Delta<Option<i32>>),
    /// `if`.
    RequiredInputPattern(Delta<Option<Value>>),
    /// `if_not`.
    ForbiddenInputPattern(Delta<Option<Value>>),
    /// What an unmet condition does.
    WhenUnmet(Delta<FailureMode>),
    /// What used-up attempts do.
    WhenExhausted(Delta<FailureMode>),
}

impl StepDelta {
    /// Every difference between two definitions of one step.
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

    /// How it is applied.
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

    /// Makes the difference in a step.
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
