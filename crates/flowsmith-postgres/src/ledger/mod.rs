//! The ledger: the record of applied migrations in a database.

mod status;

use sqlx::FromRow;

pub use status::{MigrationState, MigrationStatus, Status};

/// One row of `flowsmith.migrations`.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LedgerEntry {
    /// The version of the migration, 14 digits.
    pub version: String,
    /// The name of the migration.
    pub name: String,
    /// The SHA-256 of the file; none if another tool ran it.
    pub checksum: Option<String>,
    /// The time in UTC, to the second, as RFC 3339.
    pub applied_at: String,
    /// The database role that ran it.
    pub applied_by: String,
}

impl LedgerEntry {
    /// `<version>_<name>`.
    pub fn id(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }
}
