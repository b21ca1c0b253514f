//! The plan: the changes that applying the flow files would make to a live database, with their hazards.

mod hazard;
mod prepare;
mod triggers;

pub use hazard::Hazard;
pub use prepare::{Planned, changes, plan};
pub use triggers::RefusedTrigger;

use std::collections::BTreeMap;

use crate::drift::Drift;
use crate::runs::RunTotals;
use flowsmith_core::diff::{Change, ChangeSet, abandoned_queues};

/// The changes that applying the flow files would make to a database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// One entry per flow version that changes.
    pub changes: Vec<PlannedChange>,
    /// Live flows that are in no file and in no migration, and are left alone.
    pub unmanaged: Vec<String>,
    /// The differences between the applied migrations and the database. The changes show only those that the files contradict.
    pub drift: Drift,
}

/// A change and its hazards in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedChange {
    /// The change.
    pub change: Change,
    /// The runs of the flow version.
    pub runs: RunTotals,
    /// The hazards; `apply` stops at those that refuse.
    pub hazards: Vec<Hazard>,
}

/// The features of a database on which hazards depend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// The engine has conditions and skip modes.
    pub conditions: bool,
    /// The database has pg_cron.
    pub pg_cron: bool,
}

impl Plan {
    /// Combines changes with the runs of their flow versions, by database slug, the features of the database and the triggers
    /// that it refuses.
    pub fn new(
        changes: ChangeSet,
        unmanaged: Vec<String>,
        runs: &BTreeMap<String, RunTotals>,
        abilities: Abilities,
        refused: &[RefusedTrigger],
        drift: Drift,
    ) -> Self {
        let abandoned = abandoned_queues(&changes.changes);
        let planned = |(change, abandoned): (Change, Vec<_>)| {
            let runs = runs.get(&change.database_slug()).copied().unwrap_or_default();
            let mut hazards = hazard::hazards(&change, runs, abilities);
            let refused = refused.iter().filter(|refused| refused.flow == *change.id());
            hazards.extend(refused.cloned().map(Hazard::TriggerRefused));
            hazards.extend(abandoned.into_iter().map(Hazard::LeavesQueue));
            PlannedChange { change, runs, hazards }
        };
        Self { changes: changes.changes.into_iter().zip(abandoned).map(planned).collect(), unmanaged, drift }
    }

    /// Whether there is nothing to change: no change of a flow, and no drift that blocks `apply`.
    pub fn is_in_sync(&self) -> bool {
        self.changes.is_empty() && !self.is_drifted()
    }

    /// Whether drift blocks `apply`.
    pub fn is_drifted(&self) -> bool {
        self.drift.blocks_apply()
    }

    /// Whether `apply` refuses a change.
    pub fn is_refused(&self) -> bool {
        self.changes.iter().flat_map(|planned| &planned.hazards).any(Hazard::refuses)
    }
}
