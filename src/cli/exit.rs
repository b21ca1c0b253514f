//! Exit codes, and the exit code of each error.

use std::process::ExitCode;

use flowsmith::graph::GraphError;
use flowsmith_core::config::ConfigError;
use flowsmith_core::migration::{CompileError, FolderError, ReplayError};
use flowsmith_devserver::ServerError;
use flowsmith_postgres::apply::ApplyError;
use flowsmith_postgres::bench::BenchError;
use flowsmith_postgres::database::{DatabaseError, Failure as DatabaseFailure, TargetError};
use flowsmith_postgres::engine::detect::DetectError;
use flowsmith_postgres::engine::install::InstallError;
use flowsmith_postgres::runs::RunsError;
use flowsmith_worker::WorkerError;

/// The exit code of a command. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or in sync.
    Done = 0,
    /// The command failed: connection, I/O, SQL.
    Failed = 1,
    /// Changes are pending: something is to be compiled or applied.
    Pending = 2,
    /// The database has drifted from its applied migrations.
    Drift = 3,
    /// The definitions have errors.
    Invalid = 4,
    /// A safety guard refused the command.
    Refused = 5,
    /// The command line is invalid.
    Usage = 64,
    /// Ctrl-C while following a run; the run continues.
    Interrupted = 130,
    /// Broken pipe on stdout of a read-only command; the status that shells report for a program killed by SIGPIPE.
    Unread = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error of a command. It is printed on stderr with its code and help text.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit, code: Some(code), message: message.into(), help: Some(help.into()) }
    }

    /// An invalid command line that clap accepts.
    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, code: None, message: message.into(), help: Some(help.into()) }
    }

    /// An I/O error.
    pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            Exit::Failed,
            "FS801",
            format!("cannot {what} {}: {error}", path.display()),
            "check the path and its permissions",
        )
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::new(database_exit(&error), error.code(), error.to_string(), error.help())
    }
}

fn database_exit(error: &DatabaseError) -> Exit {
    match error.failure() {
        DatabaseFailure::Guard | DatabaseFailure::Mismatch | DatabaseFailure::Trigger => Exit::Refused,
        DatabaseFailure::Unreachable
        | DatabaseFailure::Refused
        | DatabaseFailure::NoDatabase
        | DatabaseFailure::Permission
        | DatabaseFailure::LockTimeout
        | DatabaseFailure::Conflict
        | DatabaseFailure::Cancelled
        | DatabaseFailure::Lost
        | DatabaseFailure::Engine
        | DatabaseFailure::Sql => Exit::Failed,
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let exit = match &error {
            ApplyError::Database(source) | ApplyError::Migration { source, .. } => database_exit(source),
            ApplyError::Locked { .. } | ApplyError::Replay(_) => Exit::Failed,
            ApplyError::Drift(_) => Exit::Drift,
            ApplyError::NotRecorded(_) | ApplyError::Edited(_) | ApplyError::Missing(_) | ApplyError::OutOfOrder(_) => {
                Exit::Refused
            }
        };
        Self::new(exit, error.code(), error.to_string(), error.help())
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let exit = match &error {
            FolderError::Io { .. } => Exit::Failed,
            FolderError::Foreign { .. } | FolderError::SameVersion { .. } | FolderError::Sum(_) => Exit::Refused,
        };
        Self::new(exit, error.code(), error.to_string(), error.help())
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        Self::new(Exit::Failed, error.code(), error.to_string(), error.help())
    }
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        let exit = match &error {
            CompileError::NotAfterLast { .. } | CompileError::Name(_) => Exit::Usage,
            CompileError::DeleteWanted(_) | CompileError::DeleteUnknown(_) | CompileError::Renamed { .. } => {
                Exit::Refused
            }
        };
        Self::new(exit, error.code(), error.to_string(), error.help())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = match &error {
            ConfigError::Io { .. } | ConfigError::Invalid { .. } => Exit::Failed,
            ConfigError::UnknownEnvironment { .. } => Exit::Usage,
        };
        Self::new(exit, error.code(), error.to_string(), error.help())
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::new(Exit::Usage, error.code(), error.to_string(), error.help())
    }
}

impl From<DetectError> for Failure {
    fn from(error: DetectError) -> Self {
        match error {
            DetectError::Database(error) => error.into(),
            DetectError::Answer(_) => Self::new(Exit::Failed, error.code(), error.to_string(), error.help()),
        }
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Database(error) => error.into(),
            InstallError::Detect(error) => error.into(),
            InstallError::OldServer(_)
            | InstallError::OldPgmq(_)
            | InstallError::Pgmq(_)
            | InstallError::Locked { .. }
            | InstallError::MissingRight { .. } => {
                Self::new(Exit::Failed, error.code(), error.to_string(), error.help())
            }
            InstallError::Incomplete { .. } | InstallError::Edited { .. } | InstallError::ForeignEngine => {
                Self::new(Exit::Refused, error.code(), error.to_string(), error.help())
            }
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::new(Exit::Failed, error.code(), error.to_string(), error.help())
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        let exit = match &error {
            GraphError::NoFlow(_) => Exit::Failed,
            GraphError::OtherFlow { .. } => Exit::Usage,
        };
        Self::new(exit, error.code(), error.to_string(), error.help())
    }
}

impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        let exit = match error {
            WorkerError::Database(error) => return error.into(),
            WorkerError::Mismatch { .. } => Exit::Drift,
            WorkerError::Steps { .. } | WorkerError::Handler { .. } | WorkerError::Nothing { .. } => Exit::Invalid,
            WorkerError::NoFlow { .. } => Exit::Pending,
            WorkerError::Variables { .. } | WorkerError::Engine { .. } | WorkerError::Metrics { .. } => Exit::Failed,
        };
        Self::new(exit, error.code(), error.to_string(), error.help())
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Database(error) => error.into(),
            BenchError::NoRuntime { .. }
            | BenchError::NoBatches { .. }
            | BenchError::Stalled { .. }
            | BenchError::Miscount { .. } => Self::new(Exit::Failed, error.code(), error.to_string(), error.help()),
        }
    }
}

impl From<RunsError> for Failure {
    fn from(error: RunsError) -> Self {
        let exit = match &error {
            RunsError::Database(error) => database_exit(error),
            RunsError::Answer(_)
            | RunsError::NoFlow(_)
            | RunsError::NoRun { .. }
            | RunsError::StartUnknown(_)
            | RunsError::NeedsOperations { .. }
            | RunsError::NeedsRecovery(_) => Exit::Failed,
            RunsError::Input { .. } | RunsError::AmbiguousRun { .. } => Exit::Usage,
            RunsError::NotCurrent { .. }
            | RunsError::InputUnfit { .. }
            | RunsError::InputRefused { .. }
            | RunsError::RunTaken(_)
            | RunsError::NotOld { .. }
            | RunsError::WrongStatus { .. } => Exit::Refused,
        };
        Self::new(exit, error.code(), error.to_string(), error.help())
    }
}
