//! Why applying stopped.

use std::time::Duration;

use super::Holder;
use crate::database::{DatabaseError, Failure};
use crate::drift::Drift;
use flowsmith_core::migration::ReplayError;

/// Why applying stopped. Whatever ran before it stays applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database's, outside of a migration.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A migration failed and was undone.
    #[error("migration {id} failed and was undone: {source}")]
    Migration {
        /// Which.
        id: String,
        /// What the server said.
        source: DatabaseError,
    },
    /// A migration ran without leaving its ledger row.
    #[error("migration {0} did not record itself and was undone")]
    NotRecorded(String),
    /// Someone else holds the lock.
    #[error("another apply holds the lock after {} s of waiting{}", waited.as_secs_f64(), holder.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    Locked {
        /// How long this one waited.
        waited: Duration,
        /// Who, if they still held it when asked.
        holder: Option<Holder>,
    },
    /// The database is not what was applied to it.
    #[error("the database is not what was applied to it")]
    Drift(Box<Drift>),
    /// Files changed after they ran.
    #[error("changed after being applied: {}", .0.join(", "))]
    Edited(Vec<String>),
    /// Ran here, and not in the folder.
    #[error("applied here, but not in the migrations folder: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// Older than the newest that ran.
    #[error("older than the newest applied migration: {}", .0.join(", "))]
    OutOfOrder(Vec<String>),
    /// The folder cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl ApplyError {
    /// The stable code, with a page in the documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Database(error) | Self::Migration { source: error, .. } => error.code(),
            Self::NotRecorded(_) => "FS802",
            Self::Locked { .. } => "FS913",
            Self::Drift(_) => "FS914",
            Self::Edited(_) => "FS915",
            Self::Missing(_) => "FS916",
            Self::OutOfOrder(_) => "FS917",
            Self::Replay(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Database(error) => return error.help(),
            Self::Migration { id, source } if source.failure() == Failure::Trigger => {
                return format!(
                    "{} To change the trigger, delete {id}.sql, run `flowsmith compile --rehash`, and compile again.",
                    source.help()
                );
            }
            Self::Migration { id, source } if matches!(source.failure(), Failure::Guard | Failure::Mismatch) => {
                return format!(
                    "{} First take this migration back: delete {id}.sql and run `flowsmith compile --rehash`.",
                    source.help()
                );
            }
            Self::Migration { source, .. } => return source.help(),
            Self::Replay(error) => error.help(),
            Self::NotRecorded(_) => "keep only migrations that `flowsmith compile` wrote in this folder",
            Self::Locked { .. } => "wait for it, or give a longer --lock-timeout",
            Self::Drift(_) => {
                "keep it: put it into the flow files and compile; undo it: `flowsmith compile --from-live`; then `flowsmith apply --accept-drift`"
            }
            Self::Edited(_) => "bring the files back (`git checkout`); a change goes into a new migration",
            Self::Missing(_) => "bring the files back: is this the right branch, and the right database?",
            Self::OutOfOrder(_) => "compile them again so that they come last, or go on with --out-of-order",
        }
        .to_owned()
    }
}
