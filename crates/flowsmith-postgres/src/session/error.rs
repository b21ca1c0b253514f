//! Why a session cannot be used.

use tokio::task::JoinError;

use crate::database::DatabaseError;
use crate::engine::Level;
use crate::engine::detect::DetectError;
use crate::engine::facts::Fact;
use crate::engine::install::INCOMPLETE_HELP;
use crate::engine::ownership::{self, FOREIGN_OWNER_HELP, ForeignObject};
use flowsmith_core::check::Checked;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::migration::{FolderError, ReplayError};
use flowsmith_core::project::ProjectError;

/// Why a database cannot be worked with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The database refused a statement, or the connection failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The catalog could not be read.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The database has an engine without pgmq.
    #[error("{database} has no pgmq, which the engine's queues require")]
    NoPgmq {
        /// The database.
        database: String,
    },
    /// The database has no engine.
    #[error("{database} has no workflow engine")]
    NoEngine {
        /// The database.
        database: String,
    },
    /// The database has a part of an engine.
    #[error("{database} has an incomplete engine: level {closest} without {}", some(lacks))]
    IncompleteEngine {
        /// The database.
        database: String,
        /// The level of which the fewest parts are missing.
        closest: Level,
        /// The missing parts.
        lacks: Vec<Fact>,
    },
    /// Something on which flowsmith relies belongs to another role, which could replace it.
    #[error("objects on which flowsmith relies belong to an untrusted role: {}", ownership::list(.0))]
    ForeignOwner(Vec<ForeignObject>),
}

fn some(facts: &[Fact]) -> String {
    const NAMED: usize = 3;
    let named = facts.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match facts.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

impl Diagnostic for SessionError {
    fn code(&self) -> Code {
        match self {
            Self::Database(error) => error.code(),
            Self::Detect(error) => error.code(),
            Self::NoPgmq { .. } | Self::NoEngine { .. } => Code::EngineMissing,
            Self::IncompleteEngine { .. } => Code::EngineIncomplete,
            Self::ForeignOwner(_) => Code::ForeignOwner,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => error.kind(),
            Self::Detect(error) => error.kind(),
            Self::NoPgmq { .. } | Self::NoEngine { .. } | Self::IncompleteEngine { .. } => Kind::Failed,
            Self::ForeignOwner(_) => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Database(error) => error.help(),
            Self::Detect(error) => error.help(),
            Self::ForeignOwner(_) => Some(FOREIGN_OWNER_HELP.to_owned()),
            Self::NoPgmq { .. } | Self::NoEngine { .. } => Some("run `flowsmith install`".to_owned()),
            Self::IncompleteEngine { .. } => Some(INCOMPLETE_HELP.to_owned()),
        }
    }
}

/// Why a project cannot be compared with a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A problem with the files of the project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A problem with the database.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Reading the files in the background failed.
    #[error("reading the files failed unexpectedly: {0}")]
    Background(#[from] JoinError),
}

impl CompareError {
    /// The check whose findings are the error.
    pub fn findings(&self) -> Option<&Checked> {
        match self {
            Self::Project(error) => error.findings(),
            Self::Session(_) | Self::Background(_) => None,
        }
    }
}

impl From<DatabaseError> for CompareError {
    fn from(error: DatabaseError) -> Self {
        Self::Session(error.into())
    }
}

impl From<FolderError> for CompareError {
    fn from(error: FolderError) -> Self {
        Self::Project(error.into())
    }
}

impl From<ReplayError> for CompareError {
    fn from(error: ReplayError) -> Self {
        Self::Project(error.into())
    }
}

impl Diagnostic for CompareError {
    fn code(&self) -> Code {
        match self {
            Self::Project(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::Background(_) => Code::CheckAborted,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Project(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Background(_) => Kind::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.help(),
            Self::Session(error) => error.help(),
            Self::Background(_) => Some("report this with the message and, if possible, the flow files".to_owned()),
        }
    }
}
