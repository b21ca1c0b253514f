//! Errors of `install`.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use std::time::Duration;

use crate::database::{DatabaseError, LockHolder};
use crate::engine::detect::{DetectError, PgmqState};
use crate::engine::facts::Fact;
use crate::engine::ownership::{self, FOREIGN_OWNER_HELP, ForeignObject};
use flowsmith_core::level::Level;

/// The help text for an incomplete engine. flowsmith never completes an engine that another tool installed.
pub const INCOMPLETE_HELP: &str = "run `flowsmith doctor` to list what is missing; finish the installation with the tool that began it, or install into another database";

/// An error of `install`. The engine and the ledger are installed in one transaction, which is then rolled back.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The server is older than the engine supports.
    #[error("the server runs PostgreSQL {}, but the engine requires 14 or later", .0 / 10_000)]
    OldServer(i32),
    /// pgmq is older than the engine supports.
    #[error("pgmq is too old ({0}): the engine requires 1.4.4 or later")]
    OldPgmq(PgmqState),
    /// The database has an incomplete engine.
    #[error("the schema pgflow has an incomplete engine: level {closest} without {}", .lacks.join("; "))]
    Incomplete {
        /// The level with the fewest missing facts.
        closest: Level,
        /// The missing facts of that level.
        lacks: Vec<Fact>,
    },
    /// An installed script differs from the one in this program.
    #[error(
        "engine script {name} was installed from a different text than this flowsmith has (SHA-256 {installed}, here {expected})"
    )]
    Edited {
        /// The name of the script.
        name: &'static str,
        /// The checksum that the database recorded.
        installed: String,
        /// The checksum of the script in this program.
        expected: String,
    },
    /// The role lacks a privilege.
    #[error("role {role} lacks the privilege {right}")]
    MissingRight {
        /// The current role.
        role: String,
        /// The privilege as in GRANT: `CREATE on database x`.
        right: String,
    },
    /// `--grants` was given for an engine that flowsmith did not install.
    #[error("--grants requires flowsmith's engine, but this database has pgflow's")]
    ForeignEngine,
    /// Something on which flowsmith relies belongs to another role, which could replace it.
    #[error("objects on which flowsmith relies belong to an untrusted role: {}", ownership::list(.0))]
    ForeignOwner(Vec<ForeignObject>),
    /// Another session holds the lock.
    #[error(
        "an apply or another install still holds the lock after {:.1} s{}",
        waited.as_secs_f64(),
        holder.as_ref().map(|holder| format!(": {holder}")).unwrap_or_default()
    )]
    Locked {
        /// How long this install waited.
        waited: Duration,
        /// The holder, if it still held the lock after the wait.
        holder: Option<LockHolder>,
    },
    /// pgmq's own installer failed.
    #[error("cannot install pgmq as plain SQL: {0}")]
    Pgmq(#[from] pgmq::PgmqError),
    /// Detection failed.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// Any other database error.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Diagnostic for InstallError {
    fn code(&self) -> Code {
        match self {
            Self::OldServer(_) => Code::ServerTooOld,
            Self::OldPgmq(_) => Code::PgmqTooOld,
            Self::Incomplete { .. } => Code::EngineIncomplete,
            Self::Edited { .. } => Code::EngineEdited,
            Self::MissingRight { .. } => Code::PermissionDenied,
            Self::ForeignEngine => Code::RolesOnOfficialEngine,
            Self::ForeignOwner(_) => Code::ForeignOwner,
            Self::Locked { .. } => Code::ApplyLocked,
            Self::Pgmq(_) => Code::PgmqInstallFailed,
            Self::Detect(error) => error.code(),
            Self::Database(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => error.kind(),
            Self::Detect(error) => error.kind(),
            Self::OldServer(_) | Self::OldPgmq(_) | Self::Pgmq(_) | Self::Locked { .. } | Self::MissingRight { .. } => {
                Kind::Failed
            }
            Self::Incomplete { .. } | Self::Edited { .. } | Self::ForeignEngine | Self::ForeignOwner(_) => {
                Kind::Refused
            }
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::OldServer(_) => "upgrade the server",
            Self::OldPgmq(_) => {
                "upgrade the package on the server and run `alter extension pgmq update`, or run pgmq's SQL upgrade"
            }
            Self::Incomplete { .. } => INCOMPLETE_HELP,
            Self::Edited { .. } => "use the flowsmith that installed the engine, or an unmodified release",
            Self::MissingRight { role, right } => {
                return Some(format!("run `grant {right} to {role}` as an owner, or install as another role"));
            }
            Self::ForeignEngine => {
                "grant privileges on that engine as its vendor documents, and run `flowsmith install` without --grants"
            }
            Self::ForeignOwner(_) => FOREIGN_OWNER_HELP,
            Self::Locked { .. } => "wait for that session to finish, then run this again",
            Self::Pgmq(_) => {
                "install as the owner of the database, or ask an administrator to run `create extension pgmq`"
            }
            Self::Detect(error) => return error.help(),
            Self::Database(error) => return error.help(),
        };
        Some(help.to_owned())
    }
}

impl From<sqlx::Error> for InstallError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
