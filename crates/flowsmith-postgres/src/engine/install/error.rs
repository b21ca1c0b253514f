//! Why an install did not happen.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use std::time::Duration;

use crate::database::{DatabaseError, Holder};
use crate::engine::detect::{DetectError, PgmqState};
use crate::engine::facts::Fact;
use flowsmith_core::level::Level;

/// Why an install did not happen. Nothing is half done: the schema parts are one transaction.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The server is too old.
    #[error("the server is PostgreSQL {}, but the engine needs 14 or later: upgrade the server", .0 / 10_000)]
    OldServer(i32),
    /// pgmq is too old.
    #[error(
        "pgmq is too old ({0}): the engine needs 1.4.4 or later; run `alter extension pgmq update`, or its SQL upgrade"
    )]
    OldPgmq(PgmqState),
    /// Some of an engine is there, not all.
    #[error(
        "the schema pgflow holds part of an engine only: of level {closest} it lacks {}. Finish that install with the tool \
         that began it, or, where nothing in it is needed, `drop schema pgflow cascade` and install again",
        .lacks.join("; ")
    )]
    Incomplete {
        /// The level of which least is missing.
        closest: Level,
        /// What is missing of it.
        lacks: Vec<Fact>,
    },
    /// A file that is installed is not the one that this program has.
    #[error(
        "engine file {name} was installed from another text than this flowsmith has (SHA-256 {installed}, here {expected}): \
         released files are never edited, so use the flowsmith that installed it, or an unmodified one"
    )]
    Edited {
        /// The file.
        name: &'static str,
        /// The checksum that the database holds.
        installed: String,
        /// The checksum of the file in this program.
        expected: String,
    },
    /// The role may not.
    #[error(
        "the role {role} lacks the right {right}: let an owner run `grant {right} to {role}`, or install as another role"
    )]
    MissingRight {
        /// Who asked.
        role: String,
        /// As it is written in GRANT: `CREATE on database x`.
        right: String,
    },
    /// Roles were asked for, and the engine is not flowsmith's.
    #[error(
        "the engine here is pgflow's own, and --grants is for flowsmith's: whoever made it also knows who is to have which right on it"
    )]
    ForeignEngine,
    /// Someone else holds the lock.
    #[error(
        "an apply or another install holds the lock after {:.1} s of waiting{}: wait for it, then run this again",
        waited.as_secs_f64(),
        holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default()
    )]
    Locked {
        /// How long this one waited.
        waited: Duration,
        /// Who, if they still held it when asked.
        holder: Option<Holder>,
    },
    /// pgmq's own installer failed.
    #[error("pgmq could not be installed as plain SQL: {0}")]
    Pgmq(#[from] pgmq::PgmqError),
    /// The database could not be looked at.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The database refused something else.
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
            Self::Incomplete { .. } | Self::Edited { .. } | Self::ForeignEngine => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Database(error) => error.help(),
            Self::Detect(error) => error.help(),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for InstallError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
