//! The ledger: the applied migrations that a database records, and their comparison with a folder.

mod status;

pub use status::{MigrationState, MigrationStatus, Status};

/// One row of `flowsmith.migrations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The migration's version, 14 digits.
    pub version: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of the file; `None` if another tool ran it.
    pub checksum: Option<String>,
    /// The time of its application, UTC to the second, as RFC 3339.
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
