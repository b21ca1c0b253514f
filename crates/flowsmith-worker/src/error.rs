//! Errors that keep a worker from starting.

use flowsmith_core::catalog::UnknownFlow;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_postgres::database::DatabaseError;
use flowsmith_postgres::engine::detect::DetectError;
use flowsmith_postgres::session::SessionError;

/// An error that keeps a worker from starting. Errors of single tasks are recorded in the task's row instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database has no usable engine.
    #[error(transparent)]
    Session(SessionError),
    /// A requested flow is not in the flow files.
    #[error(transparent)]
    UnknownFlow(#[from] UnknownFlow),
    /// A flow does not exist in the database.
    #[error("the database has no flow {}", flows.join(", "))]
    NoFlow {
        /// Slugs in the database.
        flows: Vec<String>,
    },
    /// The flow files differ from the database.
    #[error("the flow files differ from the database: {}", differences.join("; "))]
    Mismatch {
        /// The differences, one text each.
        differences: Vec<String>,
    },
    /// The steps of a flow and its handlers differ.
    #[error("{flow}: {}", problems.join("; "))]
    Steps {
        /// The flow's slug in the database.
        flow: String,
        /// The problems, one text each.
        problems: Vec<String>,
    },
    /// A handler refers to an environment variable that is not set.
    #[error("{}", variables.join("; "))]
    Variables {
        /// The variables and the steps that refer to them, one text each.
        variables: Vec<String>,
    },
    /// The engine lacks functions that a worker calls.
    #[error("the engine cannot run flows: missing {missing}")]
    Engine {
        /// The missing functions.
        missing: String,
    },
    /// The schema `flowsmith` does not support triggers.
    #[error("{database} does not support triggers: its schema flowsmith is missing or outdated")]
    Triggers {
        /// The database.
        database: String,
    },
    /// The worker has nothing to do.
    #[error("no flow to work on: {reason}")]
    Nothing {
        /// The reason.
        reason: String,
    },
    /// A declared handler is invalid.
    #[error("{flow}, step {step}: {reason}")]
    Handler {
        /// The flow's slug in the database.
        flow: String,
        /// The step.
        step: String,
        /// The reason.
        reason: String,
    },
    /// The metrics endpoint cannot use its address.
    #[error("cannot serve metrics at {address}: {reason}")]
    Metrics {
        /// Host and port.
        address: String,
        /// The error of the operating system.
        reason: String,
    },
}

impl From<SessionError> for WorkerError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Database(error) => Self::Database(error),
            other => Self::Session(other),
        }
    }
}

impl From<sqlx::Error> for WorkerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl WorkerError {
    /// Whether the server is unavailable, so that a later attempt may succeed.
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Database(error) | Self::Session(SessionError::Detect(DetectError::Database(error)))
                if error.is_lost()
        )
    }
}

impl Diagnostic for WorkerError {
    fn code(&self) -> Code {
        match self {
            Self::Database(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::UnknownFlow(_) => Code::UnknownFlow,
            Self::NoFlow { .. } => Code::WorkerUnknownFlow,
            Self::Mismatch { .. } => Code::WorkerMismatch,
            Self::Steps { .. } => Code::HandlersMismatch,
            Self::Variables { .. } => Code::VariableUnset,
            Self::Engine { .. } => Code::WorkerEngine,
            Self::Triggers { .. } => Code::TriggersUnsupported,
            Self::Nothing { .. } => Code::NothingToWorkOn,
            Self::Handler { .. } => Code::HandlerUnusable,
            Self::Metrics { .. } => Code::MetricsUnavailable,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Mismatch { .. } => Kind::Drift,
            Self::Steps { .. } | Self::Handler { .. } | Self::Nothing { .. } => Kind::Invalid,
            Self::NoFlow { .. } => Kind::Pending,
            Self::UnknownFlow(_)
            | Self::Variables { .. }
            | Self::Engine { .. }
            | Self::Triggers { .. }
            | Self::Metrics { .. } => Kind::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Database(error) => return error.help(),
            Self::Session(error) => return error.help(),
            Self::UnknownFlow(error) => return Some(error.help()),
            Self::NoFlow { .. } => "run `flowsmith apply`, or correct the name: version 2 of `order` is `order_v2`",
            Self::Mismatch { .. } => {
                "run `flowsmith plan` to see the changes and `flowsmith apply` to make them, or pass --accept-drift to work with the definitions in the database"
            }
            Self::Steps { .. } => {
                "declare a handler for each step of the flow, because its steps share one queue, or leave the flow to another worker"
            }
            Self::Variables { .. } => "set these variables in the environment of the worker",
            Self::Engine { .. } => "run `flowsmith install` to upgrade flowsmith's engine",
            Self::Triggers { .. } => "run `flowsmith install` to install or upgrade the schema",
            Self::Nothing { .. } => "declare a `handler` for each step of a flow, or name a flow that has handlers",
            Self::Handler { .. } => "correct the handler in the flow file",
            Self::Metrics { .. } => {
                "choose another port, or stop the program that uses this one; port 0 selects a free port"
            }
        };
        Some(help.to_owned())
    }
}
