//! What the database says was applied, held against what the folder holds.

mod status;

pub use status::{MigrationState, MigrationStatus, Status};

/// One row of `flowsmith.migrations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The migration's version, 14 digits.
    pub version: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of the file; none where another tool ran it.
    pub checksum: Option<String>,
    /// When, in UTC to the second, as RFC 3339.
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
