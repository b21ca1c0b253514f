//! The plan of a migration: its machine-readable part, JSON within the SQL. The whole file is a function of it.
//!
//! The plan has two readers: the database (`flowsmith.begin_migration`), which stores the definitions and compares the result
//! with them, and [`super::replay`], which needs no database.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Version;
use super::difference::{Difference, deltas};
use super::json_layout::laid_out;
use crate::catalog::{Definition, Flow, FlowId, State, Trigger};
use crate::diff::{Alteration, Class, FlowDelta};
use crate::level::Level;

/// The format of the plan. Databases reject plans of a newer format.
pub(super) const FORMAT: u32 = 1;

/// The plan of a migration.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MigrationPlan<'a> {
    pub(super) format: u32,
    #[serde(with = "text")]
    pub(super) version: Version,
    pub(super) name: Cow<'a, str>,
    pub(super) project: Cow<'a, str>,
    /// The environment whose overrides the flow files were compiled with.
    pub(super) environment: Option<Cow<'a, str>>,
    pub(super) layout: Layout,
    /// The lowest engine level that can run the migration.
    #[serde(with = "text")]
    pub(super) engine: Level,
    pub(super) flows: Vec<PlannedFlow<'a>>,
}

/// The migration tool whose rules the file follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Layout {
    Flowsmith,
}

/// The changes of everything under one flow's name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedFlow<'a> {
    pub(super) flow: Cow<'a, str>,
    /// The digest of the versions of the flow before the migration, by [`super::states::States`]; `None` for a new flow.
    pub(super) base: Option<String>,
    /// The digest of the versions of the flow after the migration; `None` if no version remains.
    pub(super) result: Option<String>,
    pub(super) changes: Vec<PlannedChange<'a>>,
}

/// The change of one flow version. The action decides which of the optional fields are present.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedChange<'a> {
    #[serde(rename = "change")]
    pub(super) action: Action,
    pub(super) class: Class,
    pub(super) version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<State>,
    /// The flow file, relative to the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<Cow<'a, str>>,
    /// The digest of the flow version after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Cow<'a, str>>,
    /// The triggers of a flow version whose definition the plan does not contain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) triggers: Vec<Cow<'a, str>>,
    /// The previous and the new values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) differences: Vec<Difference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) definition: Option<Definition<'a>>,
}

/// How a flow version changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Action {
    /// The flow version is created: `state`, `digest`, `definition`.
    Create,
    /// The flow version gets another definition: `state`, `digest`, `differences`, `definition`.
    Alter,
    /// The flow version gets another state and keeps its definition: `state`, `differences`, `triggers`.
    State,
    /// The flow version is deleted: `triggers`.
    Drop,
}

impl MigrationPlan<'_> {
    /// The JSON text, laid out for review.
    pub(super) fn to_text(&self) -> String {
        laid_out(&serde_json::to_string(self).expect("a plan has string keys only and no failing serializer"))
    }

    /// Parses the text of a plan.
    ///
    /// # Errors
    /// A message if the text is not a plan in this format.
    pub(super) fn parse(text: &str) -> Result<MigrationPlan<'static>, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        match serde_json::from_str::<MigrationPlan<'_>>(text) {
            Ok(plan) if plan.format == FORMAT => Ok(plan),
            parsed => match serde_json::from_str::<Format>(text) {
                Ok(Format { format }) if format != FORMAT => {
                    Err(format!("unsupported format {format}; this version reads format {FORMAT}"))
                }
                _ => Err(parsed.err().map_or_else(|| "it has no format".to_owned(), |error| error.to_string())),
            },
        }
    }

    /// Every change with its flow.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&PlannedFlow<'_>, &PlannedChange<'_>)> {
        self.flows.iter().flat_map(|flow| flow.changes.iter().map(move |change| (flow, change)))
    }

    /// The lowest engine level that can run these definitions.
    pub(super) fn required_level(&self) -> Level {
        let needs_conditions =
            |change: &PlannedChange<'_>| change.definition.as_ref().is_some_and(Definition::needs_conditions);
        if self.changes().any(|(_, change)| needs_conditions(change)) { Level::V0_14 } else { Level::V0_7_2 }
    }
}

impl PlannedChange<'_> {
    /// The differences; empty if the flow version is created or deleted.
    ///
    /// # Errors
    /// A message if they name something that the definition does not have.
    pub(super) fn deltas(&self) -> Result<Vec<FlowDelta>, String> {
        deltas(&self.differences, self.definition.as_ref())
    }

    /// The triggers after the change.
    fn defined_triggers(&self) -> &[Trigger] {
        self.definition.as_ref().map_or(&[], |definition| definition.triggers())
    }

    /// Whether the change may affect the triggers in force, which are those of the current version.
    pub(super) fn touches_triggers(&self) -> bool {
        !self.triggers.is_empty()
            || !self.defined_triggers().is_empty()
            || self.differences.iter().any(Difference::is_of_triggers)
    }

    /// Whether the steps are deleted and created again.
    pub(super) fn is_replacement(&self) -> bool {
        self.action == Action::Alter && self.class == Class::Replace
    }

    /// Whether the flow is created in the engine, or its steps or its queue are created again.
    pub(super) fn is_created(&self) -> bool {
        self.action == Action::Create
            || self.is_replacement()
            || self.differences.iter().any(|difference| matches!(difference, Difference::QueueRecreated))
    }

    /// Whether options change in place.
    pub(super) fn is_tuned(&self) -> bool {
        self.is_replacement() || self.differences.iter().any(Difference::is_of_options)
    }

    /// The flow version after the change; `None` if the plan does not contain its definition.
    ///
    /// # Errors
    /// A message if the parts of the change contradict each other.
    pub(super) fn flow(&self, slug: &str) -> Result<Option<Flow>, String> {
        let id = FlowId::new(slug, self.version);
        let class = |deltas: &[FlowDelta]| deltas.iter().map(FlowDelta::class).max().unwrap_or(Class::Record);
        let deltas = self.deltas()?;
        let flow = self.definition.clone().map(|definition| definition.into_flow(id.clone(), State::default()));
        let (expected, complete) = match self.action {
            Action::Create => (Class::Safe, self.has_definition() && deltas.is_empty() && self.triggers.is_empty()),
            Action::Alter => (class(&deltas), self.has_definition() && !deltas.is_empty() && self.triggers.is_empty()),
            Action::State => {
                let only_state = matches!(deltas.as_slice(), [FlowDelta::State(delta)] if Some(delta.to) == self.state);
                (class(&deltas), only_state && flow.is_none() && self.digest.is_none())
            }
            Action::Drop => {
                let bare = self.state.is_none() && self.digest.is_none() && deltas.is_empty();
                (Class::Drop, bare && flow.is_none())
            }
        };
        if !complete {
            return Err(format!("the change of {id} has the wrong fields"));
        }
        if self.class != expected {
            return Err(format!("the change of {id} has the class {}, not {}", self.class.as_str(), expected.as_str()));
        }
        let flow = flow.map(|flow| Flow { state: self.state.unwrap_or_default(), ..flow });
        match flow {
            Some(flow) if !has_new_values(&flow, &deltas) => {
                Err(format!("the differences of {id} do not lead to its definition"))
            }
            flow => Ok(flow),
        }
    }

    fn has_definition(&self) -> bool {
        self.definition.is_some() && self.digest.is_some() && self.state.is_some()
    }
}

/// Whether a flow has the new value of each difference.
fn has_new_values(flow: &Flow, deltas: &[FlowDelta]) -> bool {
    let mut changed = flow.clone();
    let adds = |delta: &FlowDelta| matches!(delta, FlowDelta::StepAdded(_) | FlowDelta::TriggerAdded(_));
    deltas.iter().filter(|delta| !adds(delta)).for_each(|delta| delta.apply(&mut changed));
    changed == *flow
}

/// Whether only the state of a recorded flow version changes.
pub(super) fn changes_only_state(alteration: &Alteration) -> bool {
    matches!(alteration.deltas.as_slice(), [FlowDelta::State(delta)] if delta.from != State::Unmanaged)
}

/// Values that are written as text.
mod text {
    use std::borrow::Cow;
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err = String>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
