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
        include_str!("../../sql/ledger/50_trigger_definitions.sql"),
        include_str!("../../sql/ledger/60_trigger_comparison.sql"),
        include_str!("../../sql/ledger/70_trigger_expressions.sql"),
        include_str!("../../sql/ledger/80_trigger_sync.sql"),
        include_str!("../../sql/ledger/90_trigger_runs.sql"),
        include_str!("../../sql/ledger/99_privileges.sql"),
    ),
}];

/// The scripts of flowsmith's engine, for databases without an official engine.
pub const ENGINE: &[Script] = &[
    Script { version: 1, name: "0001_definitions.sql", sql: include_str!("../../sql/engine/0001_definitions.sql") },
    Script {
        version: 2,
        name: "0002_runs",
        sql: concat!(
            include_str!("../../sql/engine/0002_runs/1_tables.sql"),
            include_str!("../../sql/engine/0002_runs/2_queues.sql"),
            include_str!("../../sql/engine/0002_runs/3_steps.sql"),
            include_str!("../../sql/engine/0002_runs/4_runs.sql"),
            include_str!("../../sql/engine/0002_runs/5_going_on.sql"),
            include_str!("../../sql/engine/0002_runs/6_starting.sql"),
            include_str!("../../sql/engine/0002_runs/7_completing.sql"),
            include_str!("../../sql/engine/0002_runs/8_failing.sql"),
            include_str!("../../sql/engine/0002_runs/9_workers_and_rights.sql"),
        ),
    },
    Script {
        version: 3,
        name: "0003_operations",
        sql: concat!(
            include_str!("../../sql/engine/0003_operations/1_runs.sql"),
            include_str!("../../sql/engine/0003_operations/2_flows.sql"),
            include_str!("../../sql/engine/0003_operations/3_invariants_and_rights.sql"),
        ),
    },
];

/// The newest version of the schema `flowsmith` in this binary.
pub(crate) fn newest_ledger() -> i32 {
    LEDGER.last().map_or(0, |script| script.version)
}

/// The newest version of the engine in this program.
pub fn newest_engine() -> i32 {
    ENGINE.last().map_or(0, |script| script.version)
}
