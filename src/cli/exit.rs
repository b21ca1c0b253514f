//! Exit codes, and the exit code of each error.

use std::process::ExitCode;

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_devserver::ServerError;

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
    pub(crate) code: Option<Code>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
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
            Code::Io,
            format!("cannot {what} {}: {error}", path.display()),
            "check the path and its permissions",
        )
    }

    /// A failure of the embedded server, which assigns no codes itself.
    pub(crate) fn server(error: ServerError) -> Self {
        let code = match &error {
            ServerError::Named { .. } | ServerError::NotFound { .. } | ServerError::Fetch { .. } => {
                Code::ServerNotFound
            }
            ServerError::HashMismatch { .. } => Code::DownloadMismatch,
            ServerError::Unusable { .. } => Code::ServerUnusable,
            ServerError::NoAccount => Code::NoServerUser,
            ServerError::OtherMajor { .. } => Code::OtherMajorData,
            ServerError::WrongOwner { .. } => Code::OtherUsersData,
            ServerError::InProject { .. } | ServerError::Untrusted { .. } | ServerError::ForeignProcess { .. } => {
                Code::UntrustedServerFolder
            }
            ServerError::Locked { .. } => Code::ServerLocked,
            ServerError::Io { .. } => Code::Io,
            ServerError::Database(_) => Code::StatementFailed,
            _ => Code::ServerFailed,
        };
        let exit = if code == Code::UntrustedServerFolder { Exit::Refused } else { Exit::Failed };
        Self::new(exit, code, error.to_string(), error.help())
    }
}

impl<E: Diagnostic> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { exit: error.kind().into(), code: Some(error.code()), message: error.to_string(), help: error.help() }
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Pending => Self::Pending,
            Kind::Drift => Self::Drift,
            Kind::Invalid => Self::Invalid,
            Kind::Refused => Self::Refused,
            Kind::Usage => Self::Usage,
            _ => Self::Failed,
        }
    }
}
