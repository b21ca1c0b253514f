//! Drift: the differences between a database and its applied migrations.
//!
//! The recorded side consists of the migrations in the ledger, so pending migrations are not drift.

mod compare;

pub use compare::{drift, read_drift, revert_target};

use std::collections::BTreeSet;

use crate::introspection::TriggerDifference;
use crate::ledger::MigrationState;
use flowsmith_core::diff::{Change, FlowDelta};

/// The differences between a database and its applied migrations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    /// Changes from the recorded catalog to the live one.
    pub changes: Vec<Change>,
    /// Database slugs of flows that no migration created.
    pub unmanaged: Vec<String>,
    /// Database slugs of recorded flows whose queue is missing.
    pub without_queue: BTreeSet<String>,
    /// Triggers that differ from their records, do not work, or are not declared.
    pub triggers: Vec<TriggerDifference>,
    /// Database slugs of flows whose definition in the ledger cannot be read. They are not compared.
    pub unreadable: BTreeSet<String>,
    /// Ids of applied migrations whose file changed or is missing.
    pub migrations: Vec<(String, MigrationState)>,
}

impl Drift {
    /// Whether the database matches its applied migrations.
    pub fn is_empty(&self) -> bool {
        !self.blocks_apply() && self.unmanaged.is_empty() && self.triggers.is_empty() && self.unreadable.is_empty()
    }

    /// The changes and findings, one text each.
    pub fn summary(&self) -> Vec<String> {
        let changes = self.changes.iter().map(|change| format!("{}: {}", change.id(), change.summary()));
        changes.chain(self.findings()).collect()
    }

    /// Unreadable definitions, missing queues, trigger differences and changed migrations, one text each.
    pub fn findings(&self) -> Vec<String> {
        let triggers = self.triggers.iter().map(ToString::to_string);
        let queues = self.without_queue.iter().map(|slug| format!("{slug}: the queue is missing"));
        let migrations = self.migrations.iter().map(|(id, state)| format!("migration {id}: {}", state.as_str()));
        let unreadable =
            self.unreadable.iter().map(|slug| format!("{slug}: the definition in the ledger cannot be read"));
        unreadable.chain(queues).chain(triggers).chain(migrations).collect()
    }

    /// Removes drift that does not matter if these flow versions (database slugs) are deleted next: differences of their
    /// definitions. A manual change of which version is current still counts.
    #[must_use]
    pub fn without(mut self, deleted: &BTreeSet<String>) -> Self {
        let is_definition = |change: &Change| match change {
            Change::Create(_) => false,
            Change::Drop(_) => true,
            Change::Alter(alteration) => {
                !alteration.deltas.iter().any(|delta| matches!(delta, FlowDelta::State(_) | FlowDelta::Id(_)))
            }
        };
        self.changes.retain(|change| !deleted.contains(&change.database_slug()) || !is_definition(change));
        self.without_queue.retain(|slug| !deleted.contains(slug));
        self
    }

    /// Whether the drift blocks `apply`, because pending migrations were compiled against another state. Flows and triggers that
    /// flowsmith did not create do not block, and neither does a broken trigger, which a migration may fix. An unreadable
    /// definition blocks only the migrations that change its flow.
    pub fn blocks_apply(&self) -> bool {
        !self.changes.is_empty()
            || !self.without_queue.is_empty()
            || !self.migrations.is_empty()
            || self.triggers.iter().any(|trigger| trigger.declared && !trigger.broken)
    }
}
