//! Drift: differences between the applied migrations and the live database. Pending migrations are not drift.

mod compare;

pub use compare::{drift, read_drift, revert_target};

use std::collections::BTreeSet;

use crate::introspection::TriggerDifference;
use crate::ledger::MigrationState;
use flowsmith_core::diff::{Change, FlowDelta};

/// The differences between the applied migrations and the live database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    /// The changes from the recorded flows to the live ones.
    pub changes: Vec<Change>,
    /// Live flows that no migration recorded, by database slug.
    pub unmanaged: Vec<String>,
    /// Recorded flow versions without a queue, by database slug.
    pub without_queue: BTreeSet<String>,
    /// Triggers that differ from their record, fail, or are not declared.
    pub triggers: Vec<TriggerDifference>,
    /// Applied migrations whose file has changed or is missing, by id.
    pub migrations: Vec<(String, MigrationState)>,
}

impl Drift {
    /// Whether the database equals the applied migrations.
    pub fn is_empty(&self) -> bool {
        !self.blocks_apply() && self.unmanaged.is_empty() && self.triggers.is_empty()
    }

    /// The differences that block `apply`, one text each.
    pub fn summary(&self) -> Vec<String> {
        let changes = self.changes.iter().map(|change| format!("{}: {}", change.id(), change.summary()));
        changes.chain(self.findings()).collect()
    }

    /// The differences of queues, triggers and migration files, one text each.
    pub fn findings(&self) -> Vec<String> {
        let triggers = self.triggers.iter().map(ToString::to_string);
        let queues = self.without_queue.iter().map(|slug| format!("{slug} has lost its queue"));
        let migrations = self.migrations.iter().map(|(id, state)| format!("migration {id}: {}", state.as_str()));
        queues.chain(triggers).chain(migrations).collect()
    }

    /// The drift that remains if these flow versions, by database slug, are deleted next: changes of their definitions do not
    /// matter then. A manual change of their state does.
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

    /// Whether it blocks `apply`, whose migrations build on the recorded state. Flows and triggers that no migration created do
    /// not, nor do broken triggers, which a migration may repair.
    pub fn blocks_apply(&self) -> bool {
        !self.changes.is_empty()
            || !self.without_queue.is_empty()
            || !self.migrations.is_empty()
            || self.triggers.iter().any(|trigger| trigger.declared && !trigger.broken)
    }
}
