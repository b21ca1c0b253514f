//! The machine-readable part of a migration: what it means, in JSON inside the SQL.
//!
//! It is written once and read twice: by the database, which stores the definitions and checks itself against them
//! (`flowsmith.begin_migration`), and by [`super::replay`], which needs no database.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::catalog::State;

/// The only format so far. A database that knows an older one refuses a newer.
pub(super) const FORMAT: u32 = 1;

/// What a migration means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MigrationPlan<'a> {
    pub(super) format: u32,
    /// The lowest engine level that can run it.
    #[expect(dead_code, reason = "read by the database, which has an engine to compare it with")]
    pub(super) engine: String,
    #[serde(borrow)]
    pub(super) entries: Vec<Entry<'a>>,
}

/// What becomes of one flow version. `put` has state, digest and definition; `state` has flow, version and state;
/// `drop` has flow and version.
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
    /// The flow version holds this definition and has this state.
    Put,
    /// Only its state changes.
    State,
    /// It is deleted.
    Drop,
}
