//! The plan: the changes that applying would make in a live database, with their hazards.

mod hazard;
mod triggers;

pub use hazard::{Hazard, left_queues};
pub use triggers::{RefusedTrigger, refused_triggers};

use std::collections::{BTreeMap, BTreeSet};

use crate::drift::Drift;
use crate::live::{Live, RunCounts};
use flowsmith_core::catalog::{Catalog, Ignore, State};
use flowsmith_core::diff::{Change, ChangeSet, diff};
use flowsmith_core::migration::carry_over;

/// The changes that applying would make.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// One entry per changed flow version.
    pub changes: Vec<PlannedChange>,
    /// Flows in the database that are in no file and were never recorded; they are left unchanged.
    pub unmanaged: Vec<String>,
    /// The drift of the database. `changes` shows drift only where the flow files differ too.
    pub drift: Drift,
}

/// One change with its hazards.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedChange {
    /// The change.
    pub change: Change,
    /// The runs of the flow version.
    pub runs: RunCounts,
    /// The hazards of the change; some of them make `apply` refuse it.
    pub hazards: Vec<Hazard>,
}

impl Plan {
    /// Whether the plan has neither changes nor drift that blocks `apply`.
    pub fn is_in_sync(&self) -> bool {
        self.changes.is_empty() && !self.is_drifted()
    }

    /// Whether drift blocks `apply`.
    pub fn is_drifted(&self) -> bool {
        self.drift.blocks_apply()
    }

    /// Whether `apply` would refuse a change.
    pub fn is_refused(&self) -> bool {
        self.changes.iter().flat_map(|planned| &planned.hazards).any(Hazard::refuses)
    }
}

/// The changes from the live catalog to the desired one, and the unmanaged flows. Recorded flow versions that are in no file
/// are kept, except `deletions`: database slugs that a pending migration deletes.
pub fn changes(
    live: &Live,
    desired: Catalog,
    deletions: &BTreeSet<String>,
    ignore: &Ignore,
) -> (ChangeSet, Vec<String>) {
    let mut from = live.catalog.clone();
    let mut unmanaged = Vec::new();
    for (slug, flow) in live.catalog.iter() {
        if flow.state == State::Unmanaged && desired.get(slug).is_none() {
            from.remove(slug);
            if !ignore.matches(slug) {
                unmanaged.push(slug.to_owned());
            }
        }
    }
    let deleted: Vec<&String> = deletions.iter().filter(|slug| desired.get(slug).is_none()).collect();
    let mut target = carry_over(&from, desired);
    for slug in deleted {
        target.remove(slug);
    }
    (diff(&from, &target), unmanaged)
}

/// The features of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// The engine supports conditions and skip modes.
    pub conditions: bool,
    /// The database has pg_cron.
    pub pg_cron: bool,
}

/// Adds hazards to each change, from the runs by database slug, the features of the database, and the triggers that it cannot
/// create.
pub fn plan(
    changes: ChangeSet,
    unmanaged: Vec<String>,
    runs: &BTreeMap<String, RunCounts>,
    abilities: Abilities,
    refused: &[RefusedTrigger],
) -> Plan {
    let left = left_queues(&changes.changes);
    let changes = changes
        .changes
        .into_iter()
        .zip(left)
        .map(|(change, left)| {
            let runs = runs.get(&change.database_slug()).copied().unwrap_or_default();
            let mut hazards = hazard::hazards(&change, runs, abilities);
            let refused = refused.iter().filter(|refused| refused.flow == *change.id());
            hazards.extend(refused.cloned().map(Hazard::TriggerRefused));
            hazards.extend(left);
            PlannedChange { change, runs, hazards }
        })
        .collect();
    Plan { changes, unmanaged, drift: Drift::default() }
}
