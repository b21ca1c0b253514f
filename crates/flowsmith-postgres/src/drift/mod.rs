//! Drift: what someone changed behind git's back.
//!
//! The recorded side is the migrations that the ledger says ran here, so pending ones are no drift.

use std::collections::BTreeSet;

use crate::introspection::{Live, TriggerDifference};
use crate::ledger::{MigrationState, Status};
use flowsmith_core::catalog::{Catalog, Ignore, State};
use flowsmith_core::diff::{Change, FlowDelta, diff};
use flowsmith_core::migration::{Folder, ReplayError, carry_over, replay};

/// How a database differs from what was applied to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    /// From what was recorded to what is there.
    pub changes: Vec<Change>,
    /// Flows that are there and were never recorded, by database slug.
    pub unmanaged: Vec<String>,
    /// Recorded flows whose queue is gone, by database slug.
    pub without_queue: BTreeSet<String>,
    /// Triggers that are not in force as recorded, those that are and do not work, and those that nobody declares.
    pub triggers: Vec<TriggerDifference>,
    /// Migrations whose file changed after they ran, or is gone, by id.
    pub migrations: Vec<(String, MigrationState)>,
}

impl Drift {
    /// Whether the database is what was applied to it.
    pub fn is_empty(&self) -> bool {
        !self.blocks_apply() && self.unmanaged.is_empty() && self.triggers.is_empty()
    }

    /// What stands in the way of applying, a text each.
    pub fn summary(&self) -> Vec<String> {
        let changes = self.changes.iter().map(|change| format!("{}: {}", change.id(), change.summary()));
        changes.chain(self.findings()).collect()
    }

    /// What is neither a change nor an unmanaged flow, a text each.
    pub fn findings(&self) -> Vec<String> {
        let triggers = self.triggers.iter().map(ToString::to_string);
        let queues = self.without_queue.iter().map(|slug| format!("{slug} has lost its queue"));
        let migrations = self.migrations.iter().map(|(id, state)| format!("migration {id}: {}", state.as_str()));
        queues.chain(triggers).chain(migrations).collect()
    }

    /// What is left of it where these flow versions, by database slug, are deleted next: what their definitions have become
    /// does not matter then. That one of them was made the current version by hand does.
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

    /// Whether applying on top of it would build on something else than was recorded. A flow or a trigger that flowsmith
    /// never made does not stand in the way of those it made, and a broken trigger not in the way of what mends it.
    pub fn blocks_apply(&self) -> bool {
        !self.changes.is_empty()
            || !self.without_queue.is_empty()
            || !self.migrations.is_empty()
            || self.triggers.iter().any(|trigger| trigger.declared && !trigger.broken)
    }
}

/// Holds what ran here against what is here.
///
/// # Errors
/// Where a migration cannot be replayed.
pub fn drift(folder: &Folder, live: &Live, ignore: &Ignore) -> Result<Drift, ReplayError> {
    let status = Status::new(folder.migrations(), &live.ledger);
    let recorded = recorded(folder, live)?;
    let changed = [MigrationState::Edited, MigrationState::Missing];
    let migrations = status.in_state(&changed).map(|migration| (migration.id.clone(), migration.state)).collect();
    Ok(between(&recorded, live, ignore, migrations))
}

/// What the migrations that ran here recorded.
fn recorded(folder: &Folder, live: &Live) -> Result<Catalog, ReplayError> {
    let applied: BTreeSet<&str> = live.ledger.iter().map(|entry| entry.version.as_str()).collect();
    replay(folder.migrations().iter().filter(|migration| applied.contains(migration.version.to_string().as_str())))
}

/// `desired`, the flows of the files, and beside them each flow version that ran here and has left the files, as the
/// migrations have it, but for those in `deleted`, by database slug: what there is to go back to.
///
/// # Errors
/// Where a migration cannot be replayed.
pub fn way_back(
    folder: &Folder,
    live: &Live,
    desired: Catalog,
    deleted: &BTreeSet<String>,
) -> Result<Catalog, ReplayError> {
    let ran = recorded(folder, live)?;
    // What a migration that is still to run makes of it counts; what it deletes needs no way back.
    let newest = replay(folder.migrations())?;
    let kept = newest.iter().filter(|(slug, _)| ran.get(slug).is_some() && !deleted.contains(*slug));
    let kept: Catalog = kept.map(|(_, flow)| flow.clone()).collect();
    Ok(carry_over(&kept, desired))
}

fn between(recorded: &Catalog, live: &Live, ignore: &Ignore, migrations: Vec<(String, MigrationState)>) -> Drift {
    let is_stranger = |slug: &str| recorded.get(slug).is_none();
    let mut held = live.catalog.clone();
    let mut unmanaged = Vec::new();
    for (slug, flow) in live.catalog.iter() {
        if ignore.matches(slug) && is_stranger(slug) {
            held.remove(slug);
        } else if flow.state == State::Unmanaged && is_stranger(slug) {
            held.remove(slug);
            unmanaged.push(slug.to_owned());
        }
    }
    Drift {
        changes: diff(recorded, &held).changes,
        unmanaged,
        without_queue: live.without_queue.iter().filter(|slug| !is_stranger(slug)).cloned().collect(),
        triggers: live.trigger_differences.clone(),
        migrations,
    }
}
