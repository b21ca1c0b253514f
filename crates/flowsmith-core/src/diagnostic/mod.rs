//! What findings and errors have in common: a stable code, a message, a help text, and the kind of failure.

mod code;

pub use code::{Code, Severity};

/// How a command that reports a [`Diagnostic`] ends. The program maps each kind to one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The operation failed: connection, I/O, SQL. Exit code 1.
    Failed,
    /// A change has to be compiled or applied first. Exit code 2.
    Pending,
    /// The database has drifted from its applied migrations. Exit code 3.
    Drift,
    /// The definitions are invalid. Exit code 4.
    Invalid,
    /// A safety guard refused. Exit code 5.
    Refused,
    /// The command line is wrong. Exit code 64.
    Usage,
}

/// An error with a stable code and a page in the documentation; its message is its [`Display`](std::fmt::Display).
///
/// ```
/// use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
/// use flowsmith_core::config::ConfigError;
///
/// let path = "flowsmith.toml".into();
/// let error = ConfigError::Invalid { path, reason: "unknown key".to_owned() };
/// assert_eq!(error.code(), Code::InvalidSettings);
/// assert_eq!(error.code().as_str(), "FS822");
/// assert_eq!(error.kind(), Kind::Failed);
/// ```
pub trait Diagnostic: std::error::Error {
    /// The stable code.
    fn code(&self) -> Code;

    /// The kind of failure.
    fn kind(&self) -> Kind;

    /// An imperative: the user's next step. `None` if the message already says it.
    fn help(&self) -> Option<String> {
        None
    }
}
