//! Drift: what someone changed behind git's back.
//!
//! The recorded side is the migrations that the ledger says ran here, so pending ones are no drift.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Ignore, State};
use crate::diff::{Change, diff};
use crate::ledger::{MigrationState, Status};
use crate::live::{Live, TriggerDifference};
use crate::migration::{Folder, ReplayError, replay};

/// How a database differs from what was applied to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    /// From what was recorded to what is there.
    pub changes: Vec<Change>,
    /// Flows that are there and were never recorded, by database slug.
    pub unmanaged: Vec<String>,
    /// Recorded flows whose queue is gone, by database slug.
    pub without_queue: BTreeSet<String>,
    /// Triggers that are not in force as recorded, and those in force that nobody declares.
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

    /// Whether applying on top of it would build on something else than was recorded. A flow or a trigger that flowsmith
    /// never made does not stand in the way of those it made.
    pub fn blocks_apply(&self) -> bool {
        !self.changes.is_empty()
            || !self.without_queue.is_empty()
            || !self.migrations.is_empty()
            || self.triggers.iter().any(|trigger| trigger.declared)
    }
}

/// Holds what ran here against what is here.
///
/// # Errors
/// Where a migration cannot be replayed.
pub fn drift(folder: &Folder, live: &Live, ignore: &Ignore) -> Result<Drift, ReplayError> {
    let status = Status::new(folder.migrations(), &live.ledger);
    let applied: BTreeSet<&str> = live.ledger.iter().map(|entry| entry.version.as_str()).collect();
    let ran = folder.migrations().iter().filter(|migration| applied.contains(migration.version.to_string().as_str()));
    let recorded = replay(ran)?;
    let changed = [MigrationState::Edited, MigrationState::Missing];
    let migrations = status.in_state(&changed).map(|migration| (migration.id.clone(), migration.state)).collect();
    Ok(between(&recorded, live, ignore, migrations))
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
