//! What a failure of the database means, and to whom.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use sqlx::postgres::PgDatabaseError;

/// A failure of the database, named by what it means to the user.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DatabaseError {
    failure: Failure,
    message: String,
    hint: Option<String>,
    state: Option<String>,
}

impl Diagnostic for DatabaseError {
    fn code(&self) -> Code {
        match self.failure {
            Failure::Unreachable => Code::DatabaseUnreachable,
            Failure::Refused => Code::AuthenticationFailed,
            Failure::NoDatabase => Code::DatabaseMissing,
            Failure::Permission => Code::PermissionDenied,
            Failure::LockTimeout => Code::LockTimeout,
            Failure::Cancelled => Code::StatementCancelled,
            Failure::Lost => Code::ConnectionLost,
            Failure::Engine => Code::EngineMissing,
            Failure::Guard => Code::GuardRefused,
            Failure::Mismatch => Code::StateMismatch,
            Failure::Sql => Code::StatementFailed,
            Failure::Conflict => Code::TransactionConflict,
            Failure::Trigger => Code::TriggerRefused,
        }
    }

    fn kind(&self) -> Kind {
        match self.failure {
            Failure::Guard | Failure::Mismatch | Failure::Trigger => Kind::Refused,
            Failure::Unreachable
            | Failure::Refused
            | Failure::NoDatabase
            | Failure::Permission
            | Failure::LockTimeout
            | Failure::Conflict
            | Failure::Cancelled
            | Failure::Lost
            | Failure::Engine
            | Failure::Sql => Kind::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        if self.hint.is_some() {
            return self.hint.clone();
        }
        let help = match self.failure {
            Failure::Unreachable => "check that the server runs and that host and port are right",
            Failure::Refused => "check the user and password in the database URL",
            Failure::NoDatabase => "create it (`createdb`), or correct the name in the database URL",
            Failure::Permission => "connect as the owner of the database, or have the right granted",
            Failure::LockTimeout => "wait for the other session, or give a longer --lock-timeout",
            Failure::Conflict => {
                "nothing is half done: run the command again; where it happens again, apply while fewer transactions write to these tables"
            }
            Failure::Cancelled => "give a longer --statement-timeout, or find out who cancelled it",
            Failure::Lost => "nothing is half done: run the command again",
            Failure::Engine => "run `flowsmith install`",
            Failure::Trigger => "correct it in the flow file",
            Failure::Guard | Failure::Mismatch => "see what `flowsmith plan` says",
            Failure::Sql => "the server's own words say what is wrong; `flowsmith doctor` audits the database",
        };
        Some(help.to_owned())
    }
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No server there, or no answer.
    Unreachable,
    /// User or password refused.
    Refused,
    /// The server has no such database.
    NoDatabase,
    /// The user lacks a right.
    Permission,
    /// Another session holds a lock for too long.
    LockTimeout,
    /// Another transaction came in between: a serialization failure or a deadlock.
    Conflict,
    /// A statement took too long or was cancelled.
    Cancelled,
    /// The connection was lost on the way; what was not committed is undone.
    Lost,
    /// The engine is missing or lacks a feature (FL001).
    Engine,
    /// A safety guard in the database refused (FL002), or the migration does not fit the database (FL004).
    Guard,
    /// The database does not hold what was meant (FL003).
    Mismatch,
    /// A trigger that the database cannot have (FL005).
    Trigger,
    /// Anything else that the server said.
    Sql,
}

impl DatabaseError {
    /// A failure in own words.
    pub fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into(), hint: None, state: None }
    }

    /// The same failure with what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn connecting(target: String, error: sqlx::Error) -> Self {
        let Self { failure, message, hint, state } = Self::from(error);
        let failure = if failure == Failure::Lost { Failure::Unreachable } else { failure };
        Self { failure, message: format!("cannot connect to {target}: {message}"), hint, state }
    }

    /// Whether a row with this key is there already.
    pub fn is_unique_violation(&self) -> bool {
        self.state.as_deref() == Some("23505")
    }

    /// Whether a table is not there.
    pub fn is_undefined_table(&self) -> bool {
        self.state.as_deref() == Some("42P01")
    }

    /// Whether the connection is what failed, so that another one may do better.
    pub fn is_lost(&self) -> bool {
        matches!(self.failure, Failure::Lost | Failure::Unreachable)
    }

    /// What it means.
    pub fn failure(&self) -> Failure {
        self.failure
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) => from_server(inner.downcast_ref::<PgDatabaseError>()),
            sqlx::Error::Io(source) => Self::new(Failure::Lost, format!("the connection failed: {source}")),
            sqlx::Error::Tls(source) => Self::new(Failure::Unreachable, format!("TLS failed: {source}")),
            sqlx::Error::Protocol(reason) => Self::new(Failure::Lost, format!("the connection failed: {reason}")),
            sqlx::Error::PoolTimedOut => Self::new(Failure::Unreachable, "the server has not answered in time"),
            other => Self::new(Failure::Sql, other.to_string()),
        }
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>, and FLnnn from `migrations/ledger`.
fn from_server(error: &PgDatabaseError) -> DatabaseError {
    let failure = match error.code() {
        "28000" | "28P01" => Failure::Refused,
        "3D000" => Failure::NoDatabase,
        "42501" => Failure::Permission,
        "40001" | "40P01" => Failure::Conflict,
        "55P03" => Failure::LockTimeout,
        "57014" => Failure::Cancelled,
        // The second line is what a pooler says that has lost its server.
        "57P01" | "57P02" | "25P03" | "57P05" => Failure::Lost,
        "08000" | "08001" | "08003" | "08004" | "08006" | "08P01" => Failure::Lost,
        "57P03" | "53300" => Failure::Unreachable,
        "FL001" => Failure::Engine,
        "FL002" | "FL004" => Failure::Guard,
        "FL003" => Failure::Mismatch,
        "FL005" => Failure::Trigger,
        _ => Failure::Sql,
    };
    let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let shown_state = if failure == Failure::Sql { format!(" [SQLSTATE {}]", error.code()) } else { String::new() };
    DatabaseError {
        failure,
        message: format!("{}{detail}{shown_state}", error.message()),
        hint: error.hint().map(ToOwned::to_owned),
        state: Some(error.code().to_owned()),
    }
}
