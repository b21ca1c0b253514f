//! One flow version and its steps, as the engine's tables hold them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Trigger;

/// What names a flow: its slug and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// The name in the files, without a version suffix.
    pub slug: String,
    /// 1 or more.
    pub version: u32,
}

impl FlowId {
    /// Names a version of a flow.
    pub fn new(slug: impl Into<String>, version: u32) -> Self {
        Self { slug: slug.into(), version }
    }

    /// The slug in the database, which also names the queue: version 1 of `order` is `order`, version 2 is `order_v2`,
    /// so that each version has a queue of its own and workers of the old one can drain it.
    pub fn database_slug(&self) -> String {
        if self.version == 1 { self.slug.clone() } else { format!("{}_v{}", self.slug, self.version) }
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.slug, self.version)
    }
}

/// Where a flow version stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The version that `flowsmith.start_flow` starts.
    #[default]
    Current,
    /// A newer version is current; this one finishes the runs it has.
    Draining,
    /// No version of the flow is in the files any more; the definition is kept until nothing runs.
    Retired,
    /// In the database, but never recorded by flowsmith (made by hand or by another tool).
    Unmanaged,
}

impl State {
    /// The word that the ledger holds.
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
    /// Slug and version.
    pub id: FlowId,
    /// Where it stands in its life.
    pub state: State,
    /// What its steps inherit.
    pub options: FlowOptions,
    /// Steps in database order (`step_index`): every step stands after those it depends on.
    pub steps: Vec<Step>,
    /// What is recorded but not held by the engine's tables.
    pub annotations: Annotations,
    /// What starts runs of it while it is current, sorted by name.
    pub triggers: Vec<Trigger>,
}

/// A flow's options, always concrete: an option that a file leaves out has the engine's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowOptions {
    /// How often a task is tried, the first time included; 0 and 1 both mean once.
    #[serde(skip_serializing_if = "is_default_max_attempts")]
    pub max_attempts: i32,
    /// Seconds before the first retry, doubled for each one after it.
    #[serde(skip_serializing_if = "is_default_base_delay")]
    pub base_delay: i32,
    /// Seconds that a task may take.
    #[serde(skip_serializing_if = "is_default_timeout")]
    pub timeout: i32,
}

impl FlowOptions {
    /// What `pgflow.create_flow` takes for an argument that is null.
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

/// One step of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name within the flow.
    pub slug: String,
    /// One task, or one task per element of an array.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: StepKind,
    /// Slugs of the steps it waits for, sorted. A map has at most one: its source; none where it maps the run's input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// How often a task is tried; none = the flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// Seconds before the first retry; none = the flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_delay: Option<i32>,
    /// Seconds that a task may take; none = the flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i32>,
    /// Seconds between the step being ready and its tasks being visible; none = 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_delay: Option<i32>,
    /// The step runs only where this pattern is contained in its target (`jsonb @>`); a JSON object, normalised by
    /// [`super::canonical_json`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_input_pattern: Option<Value>,
    /// The step runs only where this pattern is not contained in its target; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbidden_input_pattern: Option<Value>,
    /// What happens where a pattern is not met.
    #[serde(default = "FailureMode::skip", skip_serializing_if = "FailureMode::is_skip")]
    pub when_unmet: FailureMode,
    /// What happens where the attempts are used up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_exhausted: FailureMode,
}

impl Step {
    /// A single step with nothing set.
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

    /// Whether it needs an engine that has conditions and skip modes (level 0.14).
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

/// How many tasks a step has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// One.
    #[default]
    Single,
    /// One per element of its source's output array.
    Map,
}

impl StepKind {
    /// The word in `pgflow.steps.step_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Map => "map",
        }
    }
}

/// What becomes of the run where a condition is unmet or the attempts are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureMode {
    /// The step and the run fail.
    #[default]
    Fail,
    /// The step is skipped, its dependents go on without it.
    Skip,
    /// The step and everything that depends on it are skipped.
    SkipCascade,
}

impl FailureMode {
    /// The word in `pgflow.steps.when_unmet` and `when_exhausted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::SkipCascade => "skip-cascade",
        }
    }

    fn skip() -> Self {
        Self::Skip
    }

    // serde hands `skip_serializing_if` a reference.
    #[expect(clippy::trivially_copy_pass_by_ref)]
    fn is_skip(&self) -> bool {
        *self == Self::Skip
    }
}

/// What people and workers read, and the engine's tables do not hold. A change here is recorded and touches nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Annotations {
    /// What the flow is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Free labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// JSON Schema of the run's input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// By step: what flowsmith's own worker runs (`{"sql": …}`, `{"exec": …}`, `{"http": …}`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub handlers: BTreeMap<String, Value>,
    /// By step: JSON Schema of its output.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Value>,
}
