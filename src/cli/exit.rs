//! Exit codes, and what each failure exits with.

use std::process::ExitCode;

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_devserver::ServerError;

/// How a command ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// In sync, or done.
    Done = 0,
    /// Could not do it: connection, I/O, SQL.
    Failed = 1,
    /// There is something to compile or to apply.
    Pending = 2,
    /// The database is not what was applied to it.
    Drift = 3,
    /// The definitions have errors.
    Invalid = 4,
    /// A safety guard refused.
    Refused = 5,
    /// The command line is wrong.
    Usage = 64,
    /// Ctrl-C: the command has stopped looking, and what it looked at goes on.
    Interrupted = 130,
    /// Nobody read to the end what a command wrote that only reads: what a shell says of a program killed by SIGPIPE.
    Unread = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what it was asked to: printed on stderr, with its code and what to do.
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

    /// One whose message says what to do.
    pub(crate) fn without_help(exit: Exit, code: Code, message: String) -> Self {
        Self { exit, code: Some(code), message, help: None }
    }

    /// A command line that clap lets through and that makes no sense.
    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, code: None, message: message.into(), help: Some(help.into()) }
    }

    /// The disk's failure.
    pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            Exit::Failed,
            Code::Io,
            format!("cannot {what} {}: {error}", path.display()),
            "check that the path is right and that you may read and write it",
        )
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

impl Failure {
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
            ServerError::Locked { .. } => Code::ServerLocked,
            ServerError::Io { .. } => Code::Io,
            ServerError::Database(_) => Code::StatementFailed,
            _ => Code::ServerFailed,
        };
        Self::without_help(Exit::Failed, code, error.to_string())
    }
}
