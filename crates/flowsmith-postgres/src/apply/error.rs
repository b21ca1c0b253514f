//! Why applying stopped.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use std::time::Duration;

use super::Holder;
use crate::database::{DatabaseError, Failure};
use crate::drift::Drift;
use crate::session::SessionError;
use flowsmith_core::migration::ReplayError;

/// Why applying stopped. Whatever ran before it stays applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database's, outside of a migration.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database has no engine, or part of one.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The database has no flowsmith schema.
    #[error("this database has no flowsmith schema, where applied migrations are recorded")]
    NoLedger,
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
    /// The drift that is the error.
    pub fn drift(&self) -> Option<&Drift> {
        match self {
            Self::Drift(drift) => Some(drift),
            _ => None,
        }
    }
}

impl Diagnostic for ApplyError {
    fn code(&self) -> Code {
        match self {
            Self::Database(error) | Self::Migration { source: error, .. } => error.code(),
            Self::Session(error) => error.code(),
            Self::NoLedger => Code::LedgerMissing,
            Self::NotRecorded(_) => Code::ForeignMigration,
            Self::Locked { .. } => Code::ApplyLocked,
            Self::Drift(_) => Code::Drifted,
            Self::Edited(_) => Code::MigrationEdited,
            Self::Missing(_) => Code::MigrationMissing,
            Self::OutOfOrder(_) => Code::MigrationOutOfOrder,
            Self::Replay(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(source) | Self::Migration { source, .. } => source.kind(),
            Self::Session(error) => error.kind(),
            Self::NoLedger | Self::Locked { .. } | Self::Replay(_) => Kind::Failed,
            Self::Drift(_) => Kind::Drift,
            Self::NotRecorded(_) | Self::Edited(_) | Self::Missing(_) | Self::OutOfOrder(_) => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Database(error) => return error.help(),
            Self::Migration { id, source } if source.failure() == Failure::Trigger => {
                return Some(format!(
                    "{} To change the trigger, delete {id}.sql, run `flowsmith compile --rehash`, and compile again.",
                    source.help().unwrap_or_default()
                ));
            }
            Self::Migration { id, source } if matches!(source.failure(), Failure::Guard | Failure::Mismatch) => {
                return Some(format!(
                    "{} First take this migration back: delete {id}.sql and run `flowsmith compile --rehash`.",
                    source.help().unwrap_or_default()
                ));
            }
            Self::Migration { source, .. } => return source.help(),
            Self::Replay(error) => return error.help(),
            Self::Session(error) => return error.help(),
            Self::NoLedger => "run `flowsmith install`; it leaves an engine that is there as it is",
            Self::NotRecorded(_) => "keep only migrations that `flowsmith compile` wrote in this folder",
            Self::Locked { .. } => "wait for it, or give a longer --lock-timeout",
            Self::Drift(_) => {
                "keep it: put it into the flow files and compile; undo it: `flowsmith compile --from-live`; then `flowsmith apply --accept-drift`"
            }
            Self::Edited(_) => "bring the files back (`git checkout`); a change goes into a new migration",
            Self::Missing(_) => "bring the files back: is this the right branch, and the right database?",
            Self::OutOfOrder(_) => "compile them again so that they come last, or go on with --out-of-order",
        };
        Some(help.to_owned())
    }
}
