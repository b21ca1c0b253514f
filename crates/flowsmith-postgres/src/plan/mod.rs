//! The plan: what applying would do to a live database, with what stands in the way there.

mod hazard;
mod triggers;

pub use hazard::{Hazard, left_queues};
pub use triggers::{RefusedTrigger, refused_triggers};

use std::collections::{BTreeMap, BTreeSet};

use crate::drift::Drift;
use crate::introspection::Live;
use crate::runs::RunTotals;
use flowsmith_core::catalog::{Catalog, Ignore, State};
use flowsmith_core::diff::{Change, ChangeSet, diff};
use flowsmith_core::migration::carry_over;

/// What applying would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// One entry a flow version that changes.
    pub changes: Vec<PlannedChange>,
    /// Flows that are there, in no file and never recorded: left alone.
    pub unmanaged: Vec<String>,
    /// How the database differs from what was applied to it: of this the changes show only what the files say otherwise.
    pub drift: Drift,
}

/// One change, and what it meets in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedChange {
    /// What changes.
    pub change: Change,
    /// Runs of the flow as it is.
    pub runs: RunTotals,
    /// What to know before; the refusals among them stop `apply`.
    pub hazards: Vec<Hazard>,
}

impl Plan {
    /// Whether there is nothing to change: no change of a flow, and no drift.
    pub fn is_in_sync(&self) -> bool {
        self.changes.is_empty() && !self.is_drifted()
    }

    /// Whether `apply` stops at the database's drift.
    pub fn is_drifted(&self) -> bool {
        self.drift.blocks_apply()
    }

    /// Whether applying would be refused.
    pub fn is_refused(&self) -> bool {
        self.changes.iter().flat_map(|planned| &planned.hazards).any(Hazard::refuses)
    }
}

/// What turns the live catalog into the desired one, and the flows that are left alone. A flow version that is recorded
/// and in no file is kept, but for those among `deletions`, database slugs that a pending migration deletes.
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

/// What a database can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Its engine has conditions and skip modes.
    pub conditions: bool,
    /// It has pg_cron.
    pub pg_cron: bool,
}

/// Adds to each change what it meets: runs by database slug, what the database can do, and the triggers that it refuses.
pub fn plan(
    changes: ChangeSet,
    unmanaged: Vec<String>,
    runs: &BTreeMap<String, RunTotals>,
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
