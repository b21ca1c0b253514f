//! The SQL that `install` runs, in order. Databases record the checksums of these scripts, so a released script is never
//! edited: a later release adds a script with the next version.

use crate::catalog::digest;

/// One version of a part, numbered from 1.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// The version that a database has after it.
    pub version: i32,
    /// The name of the file, or of the folder whose files are concatenated.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

impl Script {
    /// SHA-256 of the text with LF line ends, in lower-case hexadecimal.
    pub fn checksum(&self) -> String {
        digest(&self.sql.replace("\r\n", "\n"))
    }
}

/// What flowsmith records about migrations, runs everywhere.
pub const LEDGER: &[Script] = &[
    Script { version: 1, name: "0001_ledger.sql", sql: include_str!("../../migrations/ledger/0001_ledger.sql") },
    Script { version: 2, name: "0002_doors.sql", sql: include_str!("../../migrations/ledger/0002_doors.sql") },
    Script {
        version: 3,
        name: "0003_triggers",
        sql: concat!(
            include_str!("../../migrations/ledger/0003_triggers/1_tables.sql"),
            include_str!("../../migrations/ledger/0003_triggers/2_meant.sql"),
            include_str!("../../migrations/ledger/0003_triggers/3_held.sql"),
            include_str!("../../migrations/ledger/0003_triggers/4_sync.sql"),
            include_str!("../../migrations/ledger/0003_triggers/5_starting.sql"),
            include_str!("../../migrations/ledger/0003_triggers/6_events.sql"),
        ),
    },
];

/// The workflow engine, installed in a database that has none.
pub const ENGINE: &[Script] = &[Script {
    version: 1,
    name: "engine",
    sql: concat!(
        include_str!("../../crates/flowsmith-postgres/sql/engine/00_overview.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/10_tables.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/20_settings.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/30_flows.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/40_shapes.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/50_events.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/60_messages.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/70_steps.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/71_tasks.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/72_runs.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/73_advance.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/80_start_flow.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/81_start_tasks.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/82_complete_task.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/83_complete_tasks.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/84_fail_task.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/85_recovery.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/90_run_control.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/91_pruning.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/92_workers.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/93_violations.sql"),
        include_str!("../../crates/flowsmith-postgres/sql/engine/99_privileges.sql"),
    ),
}];

/// The newest version of the schema `flowsmith` that this binary has.
pub fn newest_ledger() -> i32 {
    LEDGER.last().map_or(0, |script| script.version)
}

/// The newest engine version of this program.
pub fn newest_engine() -> i32 {
    ENGINE.last().map_or(0, |script| script.version)
}
