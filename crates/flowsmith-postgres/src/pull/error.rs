//! Why a pull stopped.

use std::path::PathBuf;

use crate::apply::ApplyError;
use crate::database::DatabaseError;
use crate::session::SessionError;
use flowsmith_core::catalog::FlowId;
use flowsmith_core::check::Checked;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::file::FileError;
use flowsmith_core::migration::{CompileError, FolderError, ReplayError};
use flowsmith_core::project::ProjectError;
use flowsmith_core::source::Sources;

/// Why a pull stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// A problem with the files of the project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A problem with the database.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The baseline could not be applied.
    #[error(transparent)]
    Apply(Box<ApplyError>),
    /// The database has no flowsmith schema.
    #[error("this database has no flowsmith schema, in which the baseline would be recorded")]
    NoLedger,
    /// Migrations of the project are not applied here.
    #[error("migrations are pending: {}", .0.join(", "))]
    Pending(Vec<String>),
    /// Files of other names define the flows.
    #[error("these flows are already defined in other files and differ from the database: {}", elsewhere(.0))]
    DefinedElsewhere(Vec<(FlowId, PathBuf)>),
    /// The flow files exist.
    #[error("these files exist and differ from the database: {}", paths(.0))]
    Exists(Vec<PathBuf>),
    /// Flows of the database do not pass the check.
    #[error("nothing was written, because flows of this database do not pass `flowsmith check`: {}", slugs.join(", "))]
    Invalid {
        /// The flows, by database slug.
        slugs: Vec<String>,
        /// The check with its findings.
        checked: Box<Checked>,
        /// The files that were checked, and not written.
        sources: Sources,
    },
    /// A flow file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

fn elsewhere(flows: &[(FlowId, PathBuf)]) -> String {
    flows.iter().map(|(id, file)| format!("{id} in {}", file.display())).collect::<Vec<_>>().join(", ")
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl PullError {
    /// The check whose findings are the error; its files are those of the project, except for [`PullError::Invalid`].
    pub fn findings(&self) -> Option<&Checked> {
        match self {
            Self::Project(error) => error.findings(),
            Self::Invalid { checked, .. } => Some(checked),
            _ => None,
        }
    }
}

impl From<DatabaseError> for PullError {
    fn from(error: DatabaseError) -> Self {
        Self::Session(error.into())
    }
}

impl From<FolderError> for PullError {
    fn from(error: FolderError) -> Self {
        Self::Project(error.into())
    }
}

impl From<ReplayError> for PullError {
    fn from(error: ReplayError) -> Self {
        Self::Project(error.into())
    }
}

impl From<CompileError> for PullError {
    fn from(error: CompileError) -> Self {
        Self::Project(error.into())
    }
}

impl From<ApplyError> for PullError {
    fn from(error: ApplyError) -> Self {
        Self::Apply(Box::new(error))
    }
}

impl Diagnostic for PullError {
    fn code(&self) -> Code {
        match self {
            Self::Project(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::Apply(error) => error.code(),
            Self::NoLedger => Code::LedgerMissing,
            Self::Pending(_) => Code::PullPending,
            Self::DefinedElsewhere(_) | Self::Exists(_) => Code::PullOverwrites,
            Self::Invalid { .. } => Code::PullInvalidFlow,
            Self::File(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Project(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Apply(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::NoLedger => Kind::Failed,
            Self::Pending(_) | Self::DefinedElsewhere(_) | Self::Exists(_) | Self::Invalid { .. } => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Project(error) => return error.help(),
            Self::Session(error) => return error.help(),
            Self::Apply(error) => return error.help(),
            Self::NoLedger => {
                "run `flowsmith install` first (it does not change an existing engine), or pull with --files-only"
            }
            Self::Pending(_) => "apply them first, or delete the files and run `flowsmith compile --rehash`",
            Self::DefinedElsewhere(_) => {
                "run `flowsmith plan` to see the differences; change those files to match the database, or delete them and pull again"
            }
            Self::Exists(_) => "run `flowsmith plan` to see the differences; pass --overwrite to replace the files",
            Self::Invalid { slugs, .. } => {
                let quoted: Vec<String> = slugs.iter().map(|slug| format!("\"{slug}\"")).collect();
                return Some(format!(
                    "write `ignore = [{}]` in flowsmith.toml, or correct these flows in the database; then pull again",
                    quoted.join(", ")
                ));
            }
            Self::File(error) => return error.help(),
        };
        Some(help.to_owned())
    }
}
