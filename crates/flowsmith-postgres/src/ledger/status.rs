//! The state of each migration, from the folder and the ledger.

use std::collections::BTreeMap;

use serde::Serialize;

use super::LedgerEntry;
use flowsmith_core::migration::Migration;

/// The state of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationState {
    /// Applied, and the file is unchanged.
    Applied,
    /// Applied by another tool, so the content of the file at that time is unknown.
    AppliedElsewhere,
    /// Not applied yet.
    Pending,
    /// Not applied yet, although a newer one is.
    OutOfOrder,
    /// Applied, but the file has changed since.
    Edited,
    /// Applied, but the file is missing.
    Missing,
}

impl MigrationState {
    /// The state in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::AppliedElsewhere => "applied by another tool",
            Self::Pending => "pending",
            Self::OutOfOrder => "pending, out of order",
            Self::Edited => "edited",
            Self::Missing => "missing",
        }
    }
}

/// One migration of the folder, the ledger, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// `<version>_<name>`.
    pub id: String,
    /// The state.
    pub state: MigrationState,
    /// The row of the ledger, if applied.
    pub entry: Option<LedgerEntry>,
}

/// The states of all migrations, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// One entry per version.
    pub migrations: Vec<MigrationStatus>,
}

impl Status {
    /// Compares the migrations of a folder with a ledger.
    pub fn new(folder: &[Migration], ledger: &[LedgerEntry]) -> Self {
        let newest = ledger.iter().map(|entry| entry.version.as_str()).max();
        let entries: BTreeMap<&str, &LedgerEntry> =
            ledger.iter().map(|entry| (entry.version.as_str(), entry)).collect();
        let mut migrations: Vec<_> = folder
            .iter()
            .map(|migration| {
                let version = migration.version.to_string();
                let entry = entries.get(version.as_str()).copied();
                let state = match entry {
                    None if newest.is_some_and(|newest| version.as_str() < newest) => MigrationState::OutOfOrder,
                    None => MigrationState::Pending,
                    Some(LedgerEntry { checksum: None, .. }) => MigrationState::AppliedElsewhere,
                    Some(entry) if entry.checksum.as_deref() == Some(&migration.checksum()) => MigrationState::Applied,
                    Some(_) => MigrationState::Edited,
                };
                MigrationStatus { id: migration.id(), state, entry: entry.cloned() }
            })
            .collect();
        let in_folder = |entry: &LedgerEntry| folder.iter().any(|m| m.version.to_string() == entry.version);
        migrations.extend(ledger.iter().filter(|entry| !in_folder(entry)).map(|entry| MigrationStatus {
            id: entry.id(),
            state: MigrationState::Missing,
            entry: Some(entry.clone()),
        }));
        migrations.sort_by(|a, b| a.id.cmp(&b.id));
        Self { migrations }
    }

    /// The migrations in one of these states.
    pub fn in_state<'a>(&'a self, states: &'a [MigrationState]) -> impl Iterator<Item = &'a MigrationStatus> {
        self.migrations.iter().filter(|migration| states.contains(&migration.state))
    }

    /// Whether an applied migration was edited or is missing in the folder.
    pub fn is_drifted(&self) -> bool {
        self.in_state(&[MigrationState::Edited, MigrationState::Missing]).next().is_some()
    }

    /// The ids of all pending migrations, in order or not.
    pub fn pending(&self) -> Vec<&str> {
        use MigrationState::{OutOfOrder, Pending};
        self.in_state(&[Pending, OutOfOrder]).map(|migration| migration.id.as_str()).collect()
    }
}
