//! The SQL scripts that an install runs, in order. A new version is a new file, or a folder of files, and a new entry here.
//! Released files must not change, because databases store their checksums.

use flowsmith_core::catalog::digest;

/// One version of the ledger or of the engine.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// The version of the database after this script, numbered from 1.
    pub version: i32,
    /// The name of the file, or of the folder whose concatenated files are the text.
    pub name: &'static str,
    /// The text of the script.
    pub sql: &'static str,
}

impl Script {
    /// The SHA-256 of the text with LF line ends, in lower-case hexadecimal.
    pub fn checksum(&self) -> String {
        digest(&self.sql.replace("\r\n", "\n"))
    }
}

/// The schema `flowsmith`: migrations, current versions, triggers, events. Installed in every database.
pub const LEDGER: &[Script] = &[Script {
    version: 1,
    name: "ledger",
    sql: concat!(
        include_str!("../../sql/ledger/00_overview.sql"),
        include_str!("../../sql/ledger/10_tables.sql"),
        include_str!("../../sql/ledger/20_definitions.sql"),
        include_str!("../../sql/ledger/30_migrations.sql"),
        include_str!("../../sql/ledger/40_flows.sql"),
        include_str!("../../sql/ledger/45_events.sql"),
        include_str!("../../sql/ledger/46_run_control.sql"),
        include_str!("../../sql/ledger/50_trigger_definitions.sql"),
        include_str!("../../sql/ledger/60_trigger_objects.sql"),
        include_str!("../../sql/ledger/65_trigger_comparison.sql"),
        include_str!("../../sql/ledger/70_trigger_expressions.sql"),
        include_str!("../../sql/ledger/80_trigger_sync.sql"),
        include_str!("../../sql/ledger/90_trigger_runs.sql"),
        include_str!("../../sql/ledger/99_privileges.sql"),
    ),
}];

/// The workflow engine, installed in a database that has none.
pub const ENGINE: &[Script] = &[Script {
    version: 1,
    name: "engine",
    sql: concat!(
        include_str!("../../sql/engine/00_overview.sql"),
        include_str!("../../sql/engine/10_tables.sql"),
        include_str!("../../sql/engine/20_settings.sql"),
        include_str!("../../sql/engine/30_flows.sql"),
        include_str!("../../sql/engine/40_shapes.sql"),
        include_str!("../../sql/engine/50_events.sql"),
        include_str!("../../sql/engine/60_messages.sql"),
        include_str!("../../sql/engine/70_steps.sql"),
        include_str!("../../sql/engine/71_tasks.sql"),
        include_str!("../../sql/engine/72_runs.sql"),
        include_str!("../../sql/engine/73_advance.sql"),
        include_str!("../../sql/engine/80_start_flow.sql"),
        include_str!("../../sql/engine/81_start_tasks.sql"),
        include_str!("../../sql/engine/82_complete_task.sql"),
        include_str!("../../sql/engine/83_complete_tasks.sql"),
        include_str!("../../sql/engine/84_fail_task.sql"),
        include_str!("../../sql/engine/85_recovery.sql"),
        include_str!("../../sql/engine/90_run_control.sql"),
        include_str!("../../sql/engine/91_pruning.sql"),
        include_str!("../../sql/engine/92_workers.sql"),
        include_str!("../../sql/engine/93_violations.sql"),
        include_str!("../../sql/engine/99_privileges.sql"),
    ),
}];

/// The newest version of the schema `flowsmith` in this binary.
pub(crate) fn newest_ledger() -> i32 {
    LEDGER.last().map_or(0, |script| script.version)
}

/// The newest version of the engine in this program.
pub fn newest_engine() -> i32 {
    ENGINE.last().map_or(0, |script| script.version)
}
