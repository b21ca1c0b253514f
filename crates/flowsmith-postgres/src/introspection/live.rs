//! The state of a live database that flowsmith compares.

use std::collections::BTreeSet;

use serde::Serialize;

use super::TriggerDifference;
use crate::ledger::LedgerEntry;
use flowsmith_core::catalog::Catalog;

/// The flows, the triggers and the ledger of a database.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Its flows. A flow that flowsmith never recorded is [`State::Unmanaged`](flowsmith_core::catalog::State::Unmanaged),
    /// and its slug is its name.
    pub catalog: Catalog,
    /// The applied migrations, oldest first.
    pub ledger: Vec<LedgerEntry>,
    /// Database slugs of the flow versions without a queue.
    pub without_queue: BTreeSet<String>,
    /// Differences between the triggers in force and the recorded ones.
    pub trigger_differences: Vec<TriggerDifference>,
    /// Schedules that pg_cron does not run, as flow and name: they need a worker with `--schedule`.
    pub unscheduled: Vec<(String, String)>,
}

/// The tables and columns that a database has and the role may read.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LiveShape {
    /// The columns of engine level 0.14.
    pub conditions: bool,
    /// The flowsmith schema.
    pub ledger: bool,
    /// The triggers, which the flowsmith schema has from version 3 on, if the role may read them.
    pub triggers: bool,
}
