//! Errors of `apply`.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use std::time::Duration;

use super::LockHolder;
use crate::database::{DatabaseError, Failure};
use crate::drift::Drift;
use crate::session::SessionError;
use flowsmith_core::migration::ReplayError;

/// An error of `apply`. Migrations that were committed before it stay applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A database error outside of a migration.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database has no engine, or a part of one.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The database has no flowsmith schema.
    #[error("this database has no flowsmith schema, which records applied migrations")]
    NoLedger,
    /// A migration failed and was rolled back.
    #[error("migration {id} failed and was rolled back: {source}")]
    Migration {
        /// The id of the migration.
        id: String,
        /// The database error.
        source: DatabaseError,
    },
    /// A migration ran without inserting its ledger row.
    #[error("migration {0} did not record itself and was rolled back")]
    NotRecorded(String),
    /// Another session holds the lock.
    #[error("another apply still holds the lock after {} s{}", waited.as_secs_f64(), holder.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    Locked {
        /// How long this apply waited.
        waited: Duration,
        /// The holder, if it still held the lock after the wait.
        holder: Option<LockHolder>,
    },
    /// The database has drifted.
    #[error("the database has drifted from its applied migrations")]
    Drift(Box<Drift>),
    /// Pending migrations change flows whose definitions in the ledger cannot be read.
    #[error("the definitions in the ledger of flows that pending migrations change cannot be read: {}", .0.join(", "))]
    Unreadable(Vec<String>),
    /// Files of applied migrations changed.
    #[error("these migrations were changed after they were applied: {}", .0.join(", "))]
    Edited(Vec<String>),
    /// Files of applied migrations are missing.
    #[error("these applied migrations are not in the migrations folder: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// Pending migrations are older than an applied one.
    #[error("these pending migrations are older than the newest applied one: {}", .0.join(", "))]
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
            Self::Unreadable(_) => Code::LedgerUnreadable,
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
            Self::NotRecorded(_) | Self::Unreadable(_) | Self::Edited(_) | Self::Missing(_) | Self::OutOfOrder(_) => {
                Kind::Refused
            }
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
                    "{} First delete {id}.sql and run `flowsmith compile --rehash`.",
                    source.help().unwrap_or_default()
                ));
            }
            Self::Migration { source, .. } => return source.help(),
            Self::Replay(error) => return error.help(),
            Self::Session(error) => return error.help(),
            Self::NoLedger => "run `flowsmith install`; it does not change an existing engine",
            Self::NotRecorded(_) => "keep only migrations written by `flowsmith compile` in this folder",
            Self::Locked { .. } => "wait for it to finish, or pass a longer --lock-timeout",
            Self::Drift(_) => {
                "to keep the changes, write them into the flow files and run `flowsmith compile`; to undo them, run `flowsmith compile --from-live`; \
                 then run `flowsmith apply --accept-drift`"
            }
            Self::Unreadable(_) => {
                "restore the row of flowsmith.flow_versions from a backup, or apply the migrations of the other flows alone"
            }
            Self::Edited(_) => "restore the files (`git checkout`), and make the change in a new migration",
            Self::Missing(_) => "check that this is the right branch and the right database, and restore the files",
            Self::OutOfOrder(_) => {
                "delete the files and compile again so that the changes come last, or pass --out-of-order"
            }
        };
        Some(help.to_owned())
    }
}
