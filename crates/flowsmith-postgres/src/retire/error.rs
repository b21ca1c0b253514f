//! Why a retirement stopped.

use std::fmt;

use super::Busy;
use crate::apply::ApplyError;
use crate::drift::Drift;
use crate::runs::RunsError;
use crate::session::SessionError;
use flowsmith_core::check::Checked;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::migration::{CompileError, FolderError, ReplayError};
use flowsmith_core::project::ProjectError;
use flowsmith_core::words::counted;

/// Why a retirement stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetireError {
    /// A problem with the files of the project, or a version that they define.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The database could not be opened.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The versions could not be read, or their runs not be deleted.
    #[error(transparent)]
    Operate(#[from] RunsError),
    /// The migration cannot be applied.
    #[error(transparent)]
    Apply(Box<ApplyError>),
    /// Other migrations are pending.
    #[error("migrations are pending: {}", .0.join(", "))]
    Pending(Vec<String>),
    /// Versions are not drained.
    #[error("not drained: {}", list(.0))]
    NotDrained(Vec<Busy>),
}

fn list(busy: &[Busy]) -> String {
    busy.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: u64, noun| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
        let workers = if self.workers == 0 { ", but no live worker" } else { "" };
        let (runs, messages) = (count(self.under_way, "running run"), count(self.messages, "message"));
        write!(f, "{} has {runs} and {messages}{workers}", self.id)
    }
}

impl RetireError {
    /// The check whose findings are the error.
    pub fn findings(&self) -> Option<&Checked> {
        match self {
            Self::Project(error) => error.findings(),
            _ => None,
        }
    }

    /// The drift that is the error.
    pub fn drift(&self) -> Option<&Drift> {
        match self {
            Self::Apply(error) => error.drift(),
            _ => None,
        }
    }
}

impl From<FolderError> for RetireError {
    fn from(error: FolderError) -> Self {
        Self::Project(error.into())
    }
}

impl From<ReplayError> for RetireError {
    fn from(error: ReplayError) -> Self {
        Self::Project(error.into())
    }
}

impl From<CompileError> for RetireError {
    fn from(error: CompileError) -> Self {
        Self::Project(error.into())
    }
}

impl From<ApplyError> for RetireError {
    fn from(error: ApplyError) -> Self {
        Self::Apply(Box::new(error))
    }
}

impl Diagnostic for RetireError {
    fn code(&self) -> Code {
        match self {
            Self::Project(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::Operate(error) => error.code(),
            Self::Apply(error) => error.code(),
            Self::Pending(_) => Code::RetirePending,
            Self::NotDrained(_) => Code::NotDrained,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Project(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Operate(error) => error.kind(),
            Self::Apply(error) => error.kind(),
            Self::Pending(_) | Self::NotDrained(_) => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Project(error) => return error.help(),
            Self::Session(error) => return error.help(),
            Self::Operate(error) => return error.help(),
            Self::Apply(error) => return error.help(),
            Self::Pending(_) => "apply them first, or delete the files and run `flowsmith compile --rehash`",
            Self::NotDrained(_) => {
                "pass --wait to wait for it, and keep a worker with the flow files of the old version running; see `flowsmith runs` \
                 for the runs and `flowsmith stalled` for stalled tasks"
            }
        };
        Some(help.to_owned())
    }
}
