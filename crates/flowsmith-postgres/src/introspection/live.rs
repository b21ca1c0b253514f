//! The live state of a database.

use std::collections::BTreeSet;

use super::TriggerDifference;
use crate::ledger::LedgerEntry;
use flowsmith_core::catalog::Catalog;

/// The live state of a database.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// The flows. An unrecorded flow is [`State::Unmanaged`](flowsmith_core::catalog::State::Unmanaged), and its slug serves as its name.
    pub catalog: Catalog,
    /// The applied migrations, oldest first.
    pub ledger: Vec<LedgerEntry>,
    /// Database slugs of flows whose definition in the ledger cannot be read. The catalog has them without annotations and
    /// triggers.
    pub unreadable: BTreeSet<String>,
    /// Database slugs of flows whose queue is missing.
    pub without_queue: BTreeSet<String>,
    /// Differences between the active triggers and the recorded ones.
    pub trigger_differences: Vec<TriggerDifference>,
    /// Schedules that pg_cron does not run, as flow and name; a worker with `--schedule` runs them.
    pub unscheduled: Vec<(String, String)>,
}

/// The tables and columns that can be read.
#[derive(Debug, Clone, Copy)]
pub struct LiveShape {
    /// The columns of engine level 0.14 exist.
    pub conditions: bool,
    /// The schema `flowsmith` exists.
    pub ledger: bool,
    /// Triggers, which this role must be able to read.
    pub triggers: bool,
}
