//! The plan of a migration: its machine-readable part, JSON within the SQL.
//!
//! The plan has two readers: the database (`flowsmith.begin_migration`), which stores the definitions and compares the result
//! with them, and [`super::replay`], which needs no database.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::catalog::State;

/// The format of the plan. Databases reject plans of a newer format.
pub(super) const FORMAT: u32 = 1;

/// The plan of a migration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MigrationPlan<'a> {
    pub(super) format: u32,
    /// The lowest engine level that can run the migration.
    #[expect(dead_code, reason = "only the database, which has an engine, reads it")]
    pub(super) engine: String,
    #[serde(borrow)]
    pub(super) entries: Vec<Entry<'a>>,
}

/// The result for one flow version. `put` has state, digest and definition; `state` has flow, version and state; `drop` has
/// flow and version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry<'a> {
    #[serde(rename = "do")]
    pub(super) action: Action,
    #[serde(default)]
    pub(super) flow: Option<String>,
    #[serde(default)]
    pub(super) version: Option<u32>,
    #[serde(default)]
    pub(super) state: Option<State>,
    #[serde(default)]
    pub(super) digest: Option<String>,
    #[serde(borrow, default)]
    pub(super) definition: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Action {
    /// The flow version has this definition and state.
    Put,
    /// The flow version has this state and an unchanged definition.
    State,
    /// The flow version is deleted.
    Drop,
}
