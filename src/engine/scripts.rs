//! The SQL that an install runs, in order. A new version is a new file and a new line here; files are never edited once
//! released, because databases hold their checksums.

use crate::catalog::digest;

/// One file of a part, numbered from 1.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// The version that a database has after it.
    pub version: i32,
    /// The file's name.
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
];

/// The workflow engine, runs where there is none.
pub const ENGINE: &[Script] = &[
    Script {
        version: 1,
        name: "0001_definitions.sql",
        sql: include_str!("../../migrations/engine/0001_definitions.sql"),
    },
    Script { version: 2, name: "0002_runs.sql", sql: include_str!("../../migrations/engine/0002_runs.sql") },
    Script {
        version: 3,
        name: "0003_operations.sql",
        sql: include_str!("../../migrations/engine/0003_operations.sql"),
    },
];

/// The newest version of the schema `flowsmith` that this binary has.
pub fn newest_ledger() -> i32 {
    LEDGER.last().map_or(0, |script| script.version)
}

/// The newest engine version that this binary has.
pub fn newest_engine() -> i32 {
    ENGINE.last().map_or(0, |script| script.version)
}
