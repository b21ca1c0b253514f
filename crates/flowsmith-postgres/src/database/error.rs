//! Database errors, classified by what the user can do about them.

use std::error::Error;

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::redact::Redactor;
use sqlx::postgres::PgDatabaseError;

/// A database error, classified by [`Failure`].
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DatabaseError {
    failure: Failure,
    message: String,
    hint: Option<String>,
    state: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
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
            Failure::ReadOnly => Code::ServerReadOnly,
            Failure::Encoding => Code::TextNotStorable,
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
            | Failure::ReadOnly
            | Failure::Encoding
            | Failure::Sql => Kind::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        if self.hint.is_some() {
            return self.hint.clone();
        }
        let help = match self.failure {
            Failure::Unreachable => "check that the server is running and that host and port are correct",
            Failure::Refused => "check the user name and password in the database URL",
            Failure::NoDatabase => "create the database (`createdb`), or correct its name in the database URL",
            Failure::Permission => "connect as the owner of the database, or ask the owner to grant the privilege",
            Failure::LockTimeout => "wait for the other session to finish, or pass a longer --lock-timeout",
            Failure::Conflict => {
                "run the command again: the transaction was rolled back; if it fails again, run it while fewer transactions write to these tables"
            }
            Failure::Cancelled => "pass a longer --statement-timeout, or find out who cancelled the statement",
            Failure::Lost => "run the command again: the server rolls back an interrupted transaction",
            Failure::Engine => "run `flowsmith install`",
            Failure::Trigger => "correct the trigger in the flow file",
            Failure::ReadOnly => {
                "connect to the primary server, which `target_session_attrs=read-write` finds in psql, or wait until the standby is promoted"
            }
            Failure::Encoding => {
                "remove the characters that the database cannot store, or create a database with the encoding UTF8"
            }
            Failure::Guard | Failure::Mismatch => "run `flowsmith plan` to see the difference",
            Failure::Sql => {
                "look up the SQLSTATE in the PostgreSQL documentation, or run `flowsmith doctor` to audit the database"
            }
        };
        Some(help.to_owned())
    }
}

/// What a database error means to the user; each kind has a code and a help text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No server answers, the server is starting or stopping, all connection slots are taken, or TLS failed.
    Unreachable,
    /// The server rejected the user name or the password.
    Refused,
    /// The server has no such database.
    NoDatabase,
    /// The role lacks a privilege.
    Permission,
    /// Another session held a lock for longer than `lock_timeout`.
    LockTimeout,
    /// A serialization failure or a deadlock.
    Conflict,
    /// A statement exceeded `statement_timeout` or was cancelled.
    Cancelled,
    /// The connection was lost; the server rolls back its transaction.
    Lost,
    /// The engine is missing or lacks a feature (SQLSTATE FL001).
    Engine,
    /// A guard in a migration refused to run (FL002), the migration does not fit the database (FL004), or a flow does not exist
    /// (FL006).
    Guard,
    /// The self-check of a migration found a difference (FL003).
    Mismatch,
    /// The database cannot create a trigger (FL005).
    Trigger,
    /// The server is a standby, or allows only reading for another reason.
    ReadOnly,
    /// The encoding of the database lacks a character.
    Encoding,
    /// Any other error that the server reported.
    Sql,
}

impl DatabaseError {
    /// An error that flowsmith itself detected.
    pub fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into(), hint: None, state: None, source: None }
    }

    /// Replaces the help text of the kind of failure.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the underlying error.
    pub(crate) fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub(super) fn connecting(target: &str, error: sqlx::Error, secrets: &Redactor) -> Self {
        let error = Self::from(error);
        let failure = if error.failure == Failure::Lost { Failure::Unreachable } else { error.failure };
        Self { failure, message: format!("cannot connect to {target}: {}", secrets.redact(&error.message)), ..error }
    }

    /// Whether a row with the same key exists (SQLSTATE 23505).
    pub(crate) fn is_unique_violation(&self) -> bool {
        self.state.as_deref() == Some("23505")
    }

    /// Whether a table does not exist (SQLSTATE 42P01).
    pub fn is_undefined_table(&self) -> bool {
        self.state.as_deref() == Some("42P01")
    }

    /// Whether the server does not know the flow (SQLSTATE FL006).
    pub(crate) fn is_unknown_flow(&self) -> bool {
        self.state.as_deref() == Some("FL006")
    }

    /// Whether a function raised an error without an SQLSTATE of its own (P0001).
    pub(crate) fn is_raised_exception(&self) -> bool {
        self.state.as_deref() == Some("P0001")
    }

    /// Whether the connection failed, so that a retry on a new connection may succeed.
    pub fn is_lost(&self) -> bool {
        matches!(self.failure, Failure::Lost | Failure::Unreachable)
    }

    /// The kind of failure.
    pub fn failure(&self) -> Failure {
        self.failure
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        let classified = match &error {
            sqlx::Error::Database(inner) => from_server(inner.downcast_ref::<PgDatabaseError>()),
            sqlx::Error::Io(source) => Self::new(Failure::Lost, format!("the connection failed: {source}")),
            sqlx::Error::Tls(source) => Self::new(Failure::Unreachable, format!("TLS failed: {source}")),
            sqlx::Error::Protocol(reason) => Self::new(Failure::Lost, format!("the connection failed: {reason}")),
            sqlx::Error::PoolTimedOut => Self::new(Failure::Unreachable, "the server did not answer in time"),
            other => Self::new(Failure::Sql, other.to_string()),
        };
        classified.with_source(error)
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>, and FLnnn from `sql/ledger`.
fn from_server(error: &PgDatabaseError) -> DatabaseError {
    let failure = match error.code() {
        "28000" | "28P01" => Failure::Refused,
        "3D000" => Failure::NoDatabase,
        "42501" => Failure::Permission,
        "40001" | "40P01" => Failure::Conflict,
        "55P03" => Failure::LockTimeout,
        "57014" => Failure::Cancelled,
        // 08P01 is sent by a pooler that has lost its server.
        "57P01" | "57P02" | "25P03" | "57P05" => Failure::Lost,
        "08000" | "08001" | "08003" | "08004" | "08006" | "08P01" => Failure::Lost,
        "57P03" | "53300" => Failure::Unreachable,
        "FL001" => Failure::Engine,
        "FL002" | "FL004" | "FL006" => Failure::Guard,
        "FL003" => Failure::Mismatch,
        "FL005" => Failure::Trigger,
        "25006" => Failure::ReadOnly,
        // `begin read write` on a standby.
        "0A000" if error.routine() == Some("call_bool_check_hook") => Failure::ReadOnly,
        // The same state as for `\u0000` in JSON, which no encoding has.
        "22P05" if error.routine() == Some("report_untranslatable_char") => Failure::Encoding,
        _ => Failure::Sql,
    };
    let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let shown_state = if failure == Failure::Sql { format!(" [SQLSTATE {}]", error.code()) } else { String::new() };
    DatabaseError {
        failure,
        message: match failure {
            Failure::ReadOnly => format!("the server is read-only: {}{detail}", error.message()),
            _ => format!("{}{detail}{shown_state}", error.message()),
        },
        hint: error.hint().map(ToOwned::to_owned),
        state: Some(error.code().to_owned()),
        source: None,
    }
}
