//! Flow versions and their steps, in the terms of the engine's tables.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Trigger;

/// The identity of a flow: its slug and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// The name in the flow files, without a version suffix.
    pub slug: String,
    /// The version, from 1.
    pub version: u32,
}

impl FlowId {
    /// Creates an identity.
    pub fn new(slug: impl Into<String>, version: u32) -> Self {
        Self { slug: slug.into(), version }
    }

    /// The slug in the database, which is also the name of the queue: `order` for version 1 of `order`, `order_v2` for version
    /// 2. Each version thus has a separate queue, and workers of the old version can drain it.
    pub fn database_slug(&self) -> String {
        if self.version == 1 { self.slug.clone() } else { format!("{}_v{}", self.slug, self.version) }
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.slug, self.version)
    }
}

/// The state of a flow version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The version that `flowsmith.start_flow` starts.
    #[default]
    Current,
    /// A newer version is current, and this version finishes its runs.
    Draining,
    /// No version of the flow is in the flow files. The definition is kept until its runs have finished.
    Retired,
    /// The flow exists in the database but is not recorded in the ledger: it was created manually or by another tool.
    Unmanaged,
}

impl State {
    /// The name of the state in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Unmanaged => "unmanaged",
        }
    }
}

/// One version of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// The identity.
    pub id: FlowId,
    /// The state.
    pub state: State,
    /// The options that the steps inherit.
    pub options: FlowOptions,
    /// The steps in database order (`step_index`): each step follows its dependencies.
    pub steps: Vec<Step>,
    /// The parts of the definition that are not in the engine's tables.
    pub annotations: Annotations,
    /// The triggers, sorted by name. They start runs while the version is current.
    pub triggers: Vec<Trigger>,
}

/// The options of a flow. An option that the file leaves out has the engine's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowOptions {
    /// The number of attempts for a task, including the first; 0 and 1 both mean one attempt.
    #[serde(skip_serializing_if = "is_default_max_attempts")]
    pub max_attempts: i32,
    /// The delay before the first retry in seconds. It doubles with each further retry.
    #[serde(skip_serializing_if = "is_default_base_delay")]
    pub base_delay: i32,
    /// The time limit of a task in seconds.
    #[serde(skip_serializing_if = "is_default_timeout")]
    pub timeout: i32,
}

impl FlowOptions {
    /// The values that `pgflow.create_flow` uses for null arguments.
    pub const DEFAULT: Self = Self { max_attempts: 3, base_delay: 5, timeout: 60 };
}

impl Default for FlowOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

// serde hands `skip_serializing_if` a reference.
fn is_default_max_attempts(value: &i32) -> bool {
    *value == FlowOptions::DEFAULT.max_attempts
}
fn is_default_base_delay(value: &i32) -> bool {
    *value == FlowOptions::DEFAULT.base_delay
}
fn is_default_timeout(value: &i32) -> bool {
    *value == FlowOptions::DEFAULT.timeout
}

/// A step of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The name, unique in the flow.
    pub slug: String,
    /// Whether the step has one task, or one task per element of an array.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: StepKind,
    /// The slugs of the dependencies, sorted. A map has only its source, or none if it maps the run's input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// The number of attempts; `None` inherits the flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// The delay before the first retry in seconds; `None` inherits the flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_delay: Option<i32>,
    /// The time limit of a task in seconds; `None` inherits the flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i32>,
    /// The delay in seconds between the step being ready and its tasks being visible; `None` stands for 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_delay: Option<i32>,
    /// The object that the step's input must contain (`jsonb @>`) for the step to run, normalised by
    /// [`super::canonical_json`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_input_pattern: Option<Value>,
    /// The object that the step's input must not contain for the step to run, normalised likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbidden_input_pattern: Option<Value>,
    /// The effect of an unmet condition.
    #[serde(default = "FailureMode::skip", skip_serializing_if = "FailureMode::is_skip")]
    pub when_unmet: FailureMode,
    /// The effect of a failed last attempt.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_exhausted: FailureMode,
}

impl Step {
    /// A single step with default settings.
    pub fn single(slug: impl Into<String>) -> Self {
        Self {
            slug: slug.into(),
            kind: StepKind::Single,
            depends_on: Vec::new(),
            max_attempts: None,
            base_delay: None,
            timeout: None,
            start_delay: None,
            required_input_pattern: None,
            forbidden_input_pattern: None,
            when_unmet: FailureMode::Skip,
            when_exhausted: FailureMode::Fail,
        }
    }

    /// Whether the step needs an engine with conditions and skip modes (level 0.14).
    pub fn needs_conditions(&self) -> bool {
        self.required_input_pattern.is_some()
            || self.forbidden_input_pattern.is_some()
            || self.when_unmet != FailureMode::Skip
            || self.when_exhausted != FailureMode::Fail
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// A step with one task.
    #[default]
    Single,
    /// A step with one task per element of an array: the output of its source, or the run's input.
    Map,
}

impl StepKind {
    /// The value of `pgflow.steps.step_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Map => "map",
        }
    }
}

/// The effect of an unmet condition or a failed last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureMode {
    /// The step and the run fail.
    #[default]
    Fail,
    /// The step is skipped, and its dependents run without its output.
    Skip,
    /// The step and all its direct and indirect dependents are skipped.
    SkipCascade,
}

impl FailureMode {
    /// The value of `pgflow.steps.when_unmet` and `when_exhausted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::SkipCascade => "skip-cascade",
        }
    }

    pub(super) fn skip() -> Self {
        Self::Skip
    }

    // serde hands `skip_serializing_if` a reference.
    #[expect(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn is_skip(&self) -> bool {
        *self == Self::Skip
    }
}

/// The parts of a definition for people and workers, which are not in the engine's tables. Changes of them are only recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Annotations {
    /// The flow's purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The person or team responsible for the flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Labels of any name and content.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The JSON Schema of the run's input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The handlers of flowsmith's worker by step: `{"sql": …}`, `{"exec": …}` or `{"http": …}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub handlers: BTreeMap<String, Value>,
    /// The JSON Schemas of outputs by step.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Value>,
}
