//! The differences of a flow version as a plan records them, with previous and new values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::{Annotations, Definition, FailureMode, FlowId, State, Step, StepKind, Trigger};
use crate::diff::{Delta, FlowDelta, StepDelta};

/// The previous and the new value.
type Pair<T> = (T, T);

/// Differences of the same object: [`FlowDelta`] in the form of a plan. A new value that is in the definition is not repeated if
/// it is as large as a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Difference {
    /// The flow that is adopted, as `slug@version`, and its new identity.
    Id(Pair<String>),
    State(Pair<State>),
    Options(OptionsDifference),
    Step(Box<StepDifference>),
    /// The name of a step of the definition.
    StepAdded(String),
    StepRemoved(Box<Step>),
    /// The previous order.
    StepsReordered(Vec<String>),
    QueueRecreated,
    Trigger(Box<Pair<Trigger>>),
    /// The name of a trigger of the definition.
    TriggerAdded(String),
    TriggerRemoved(Box<Trigger>),
    TriggersRecreated,
    Annotations(Box<AnnotationsDifference>),
}

/// Differences of a flow's options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionsDifference {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_attempts: Option<Pair<i32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_delay: Option<Pair<i32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Pair<i32>>,
}

/// Differences of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepDifference {
    slug: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Pair<StepKind>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    depends_on: Option<Pair<Vec<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required_input_pattern: Option<Pair<Option<Value>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forbidden_input_pattern: Option<Pair<Option<Value>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when_unmet: Option<Pair<FailureMode>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when_exhausted: Option<Pair<FailureMode>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_attempts: Option<Pair<Option<i32>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_delay: Option<Pair<Option<i32>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Pair<Option<i32>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_delay: Option<Pair<Option<i32>>>,
}

/// Differences of annotations; handlers and outputs by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnnotationsDifference {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Pair<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Pair<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Pair<BTreeMap<String, String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Pair<Option<Value>>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    handlers: BTreeMap<String, Pair<Option<Value>>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outputs: BTreeMap<String, Pair<Option<Value>>>,
}

impl Difference {
    /// Whether the difference is one of options, which are changed in place.
    pub(super) fn is_of_options(&self) -> bool {
        match self {
            Self::Options(_) => true,
            Self::Step(step) => {
                let tuned = [&step.max_attempts, &step.base_delay, &step.timeout, &step.start_delay];
                tuned.into_iter().any(Option::is_some)
            }
            _ => false,
        }
    }

    /// Whether the difference is one of triggers.
    pub(super) fn is_of_triggers(&self) -> bool {
        matches!(self, Self::Trigger(_) | Self::TriggerAdded(_) | Self::TriggerRemoved(_) | Self::TriggersRecreated)
    }
}

/// The differences in the form of a plan.
pub(super) fn differences(deltas: &[FlowDelta]) -> Vec<Difference> {
    let mut differences: Vec<Difference> = Vec::new();
    for delta in deltas {
        let difference = match delta {
            FlowDelta::Id(delta) => Difference::Id((delta.from.to_string(), delta.to.to_string())),
            FlowDelta::State(delta) => Difference::State((delta.from, delta.to)),
            FlowDelta::MaxAttempts(delta) => {
                options(&mut differences).max_attempts = pair(delta);
                continue;
            }
            FlowDelta::BaseDelay(delta) => {
                options(&mut differences).base_delay = pair(delta);
                continue;
            }
            FlowDelta::Timeout(delta) => {
                options(&mut differences).timeout = pair(delta);
                continue;
            }
            FlowDelta::Step(slug, delta) => {
                step(&mut differences, slug).note(delta);
                continue;
            }
            FlowDelta::StepAdded(step) => Difference::StepAdded(step.slug.clone()),
            FlowDelta::StepRemoved(step) => Difference::StepRemoved(Box::new(step.clone())),
            FlowDelta::StepsReordered(delta) => Difference::StepsReordered(delta.from.clone()),
            FlowDelta::Queue => Difference::QueueRecreated,
            FlowDelta::TriggerAdded(trigger) => Difference::TriggerAdded(trigger.name.clone()),
            FlowDelta::TriggerRemoved(trigger) => Difference::TriggerRemoved(Box::new(trigger.clone())),
            FlowDelta::Trigger(delta) => Difference::Trigger(Box::new((delta.from.clone(), delta.to.clone()))),
            FlowDelta::Triggers => Difference::TriggersRecreated,
            FlowDelta::Annotations(delta) => {
                Difference::Annotations(Box::new(AnnotationsDifference::between(&delta.from, &delta.to)))
            }
        };
        differences.push(difference);
    }
    differences
}

/// The last difference if it is one of options, or a new one.
fn options(differences: &mut Vec<Difference>) -> &mut OptionsDifference {
    if !matches!(differences.last(), Some(Difference::Options(_))) {
        differences.push(Difference::Options(OptionsDifference::default()));
    }
    let Some(Difference::Options(options)) = differences.last_mut() else { unreachable!("it was pushed") };
    options
}

/// The last difference if it is one of this step, or a new one.
fn step<'d>(differences: &'d mut Vec<Difference>, slug: &str) -> &'d mut StepDifference {
    if !matches!(differences.last(), Some(Difference::Step(step)) if step.slug == slug) {
        let step = StepDifference { slug: slug.to_owned(), ..StepDifference::default() };
        differences.push(Difference::Step(Box::new(step)));
    }
    let Some(Difference::Step(step)) = differences.last_mut() else { unreachable!("it was pushed") };
    step
}

/// The inverse of [`differences`]; `definition` is the definition after the change. An added step has its name only.
///
/// # Errors
/// A message if a difference names something that the definition does not have.
pub(super) fn deltas(
    differences: &[Difference],
    definition: Option<&Definition<'_>>,
) -> Result<Vec<FlowDelta>, String> {
    let mut deltas = Vec::new();
    let defined = || definition.ok_or_else(|| "a change without a definition has differences of it".to_owned());
    for difference in differences {
        match difference {
            Difference::Id((from, to)) => deltas.push(FlowDelta::Id(Delta { from: id(from)?, to: id(to)? })),
            Difference::State((from, to)) => deltas.push(FlowDelta::State(Delta { from: *from, to: *to })),
            Difference::Options(options) => deltas.extend(options.deltas()),
            Difference::Step(step) => {
                deltas.extend(step.deltas().into_iter().map(|delta| FlowDelta::Step(step.slug.clone(), delta)));
            }
            Difference::StepAdded(slug) => {
                let is_defined = defined()?.step_slugs().any(|defined| defined == slug);
                is_defined.then_some(()).ok_or_else(|| format!("the added step {slug} is not defined"))?;
                deltas.push(FlowDelta::StepAdded(Step::single(slug.clone())));
            }
            Difference::StepRemoved(step) => deltas.push(FlowDelta::StepRemoved(Step::clone(step))),
            Difference::StepsReordered(from) => {
                let to = defined()?.step_slugs().map(str::to_owned).collect();
                deltas.push(FlowDelta::StepsReordered(Delta { from: from.clone(), to }));
            }
            Difference::QueueRecreated => deltas.push(FlowDelta::Queue),
            Difference::TriggerAdded(name) => {
                let added = defined()?.triggers().iter().find(|trigger| trigger.name == *name);
                let added = added.ok_or_else(|| format!("the added trigger {name} is not defined"))?;
                deltas.push(FlowDelta::TriggerAdded(added.clone()));
            }
            Difference::TriggerRemoved(trigger) => deltas.push(FlowDelta::TriggerRemoved(Trigger::clone(trigger))),
            Difference::Trigger(pair) => deltas.push(FlowDelta::Trigger(Box::new(delta(pair)))),
            Difference::TriggersRecreated => deltas.push(FlowDelta::Triggers),
            Difference::Annotations(difference) => {
                deltas.push(FlowDelta::Annotations(Box::new(difference.delta(defined()?.annotations()))));
            }
        }
    }
    Ok(deltas)
}

fn id(text: &str) -> Result<FlowId, String> {
    let parsed = text.rsplit_once('@').and_then(|(slug, version)| Some(FlowId::new(slug, version.parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is not a flow and its version"))
}

fn pair<T: Clone>(delta: &Delta<T>) -> Option<Pair<T>> {
    Some((delta.from.clone(), delta.to.clone()))
}

fn delta<T: Clone>((from, to): &Pair<T>) -> Delta<T> {
    Delta { from: from.clone(), to: to.clone() }
}

impl OptionsDifference {
    fn deltas(&self) -> impl Iterator<Item = FlowDelta> {
        [
            self.max_attempts.as_ref().map(delta).map(FlowDelta::MaxAttempts),
            self.base_delay.as_ref().map(delta).map(FlowDelta::BaseDelay),
            self.timeout.as_ref().map(delta).map(FlowDelta::Timeout),
        ]
        .into_iter()
        .flatten()
    }
}

impl StepDifference {
    fn note(&mut self, delta: &StepDelta) {
        match delta {
            StepDelta::Kind(delta) => self.kind = pair(delta),
            StepDelta::DependsOn(delta) => self.depends_on = pair(delta),
            StepDelta::MaxAttempts(delta) => self.max_attempts = pair(delta),
            StepDelta::BaseDelay(delta) => self.base_delay = pair(delta),
            StepDelta::Timeout(delta) => self.timeout = pair(delta),
            StepDelta::StartDelay(delta) => self.start_delay = pair(delta),
            StepDelta::RequiredInputPattern(delta) => self.required_input_pattern = pair(delta),
            StepDelta::ForbiddenInputPattern(delta) => self.forbidden_input_pattern = pair(delta),
            StepDelta::WhenUnmet(delta) => self.when_unmet = pair(delta),
            StepDelta::WhenExhausted(delta) => self.when_exhausted = pair(delta),
        }
    }

    /// The deltas in the order of [`StepDelta::between`].
    fn deltas(&self) -> Vec<StepDelta> {
        [
            self.kind.as_ref().map(delta).map(StepDelta::Kind),
            self.depends_on.as_ref().map(delta).map(StepDelta::DependsOn),
            self.max_attempts.as_ref().map(delta).map(StepDelta::MaxAttempts),
            self.base_delay.as_ref().map(delta).map(StepDelta::BaseDelay),
            self.timeout.as_ref().map(delta).map(StepDelta::Timeout),
            self.start_delay.as_ref().map(delta).map(StepDelta::StartDelay),
            self.required_input_pattern.as_ref().map(delta).map(StepDelta::RequiredInputPattern),
            self.forbidden_input_pattern.as_ref().map(delta).map(StepDelta::ForbiddenInputPattern),
            self.when_unmet.as_ref().map(delta).map(StepDelta::WhenUnmet),
            self.when_exhausted.as_ref().map(delta).map(StepDelta::WhenExhausted),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl AnnotationsDifference {
    fn between(from: &Annotations, to: &Annotations) -> Self {
        fn changed<T: Clone + PartialEq>(from: &T, to: &T) -> Option<Pair<T>> {
            (from != to).then(|| (from.clone(), to.clone()))
        }
        Self {
            description: changed(&from.description, &to.description),
            owner: changed(&from.owner, &to.owner),
            labels: changed(&from.labels, &to.labels),
            input: changed(&from.input, &to.input),
            handlers: changed_values(&from.handlers, &to.handlers),
            outputs: changed_values(&from.outputs, &to.outputs),
        }
    }

    /// The delta that leads to `defined`, the annotations after the change, with the new values of this difference.
    fn delta(&self, defined: Annotations) -> Delta<Annotations> {
        fn set<T: Clone>(value: &mut T, pair: &Option<Pair<T>>, choose: fn(&Pair<T>) -> &T) {
            if let Some(pair) = pair {
                value.clone_from(choose(pair));
            }
        }
        let (mut from, mut to) = (defined.clone(), defined);
        set(&mut from.description, &self.description, |pair| &pair.0);
        set(&mut to.description, &self.description, |pair| &pair.1);
        set(&mut from.owner, &self.owner, |pair| &pair.0);
        set(&mut to.owner, &self.owner, |pair| &pair.1);
        set(&mut from.labels, &self.labels, |pair| &pair.0);
        set(&mut to.labels, &self.labels, |pair| &pair.1);
        set(&mut from.input, &self.input, |pair| &pair.0);
        set(&mut to.input, &self.input, |pair| &pair.1);
        set_values(&mut from.handlers, &self.handlers, |pair| &pair.0);
        set_values(&mut to.handlers, &self.handlers, |pair| &pair.1);
        set_values(&mut from.outputs, &self.outputs, |pair| &pair.0);
        set_values(&mut to.outputs, &self.outputs, |pair| &pair.1);
        Delta { from, to }
    }
}

fn changed_values(
    from: &BTreeMap<String, Value>,
    to: &BTreeMap<String, Value>,
) -> BTreeMap<String, Pair<Option<Value>>> {
    let keys = from.keys().chain(to.keys()).filter(|key| from.get(*key) != to.get(*key));
    keys.map(|key| (key.clone(), (from.get(key).cloned(), to.get(key).cloned()))).collect()
}

fn set_values(
    values: &mut BTreeMap<String, Value>,
    pairs: &BTreeMap<String, Pair<Option<Value>>>,
    choose: fn(&Pair<Option<Value>>) -> &Option<Value>,
) {
    for (key, pair) in pairs {
        match choose(pair) {
            Some(value) => drop(values.insert(key.clone(), value.clone())),
            None => drop(values.remove(key)),
        }
    }
}
