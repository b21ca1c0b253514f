//! Why a worker cannot start, or cannot go on.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_postgres::database::DatabaseError;

/// Why a worker cannot start, or cannot go on. What goes wrong with one task is not here: that is in the task's row.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The database's failure.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A flow to work on is not in the database.
    #[error("the database has no flow {}", flows.join(", "))]
    NoFlow {
        /// Slugs in the database.
        flows: Vec<String>,
    },
    /// The flow files say something else than the database.
    #[error("the flow files differ from the database: {}", differences.join("; "))]
    Mismatch {
        /// One text each.
        differences: Vec<String>,
    },
    /// Steps and handlers are not the same.
    #[error("{flow}: {}", problems.join("; "))]
    Steps {
        /// Slug in the database.
        flow: String,
        /// What is wrong, one text each.
        problems: Vec<String>,
    },
    /// A handler refers to an environment variable that is not set.
    #[error("{}", variables.join("; "))]
    Variables {
        /// Which variable, and where it is wanted, one text each.
        variables: Vec<String>,
    },
    /// The engine cannot run flows.
    #[error("the engine cannot run flows: missing {lacks}")]
    Engine {
        /// The functions that are not there.
        lacks: String,
    },
    /// Nothing is there to work on.
    #[error("no flow to work on: {why}")]
    Nothing {
        /// Why not.
        why: String,
    },
    /// A handler cannot be run on this machine.
    #[error("{flow}, step {step}: {why}")]
    Handler {
        /// Slug in the database.
        flow: String,
        /// The step.
        step: String,
        /// Why not.
        why: String,
    },
    /// Metrics cannot be served where they were asked for.
    #[error("cannot serve metrics at {address}: {why}")]
    Metrics {
        /// Host and port.
        address: String,
        /// What the system says.
        why: String,
    },
}

impl Diagnostic for WorkerError {
    fn code(&self) -> Code {
        match self {
            Self::Database(error) => error.code(),
            Self::NoFlow { .. } => Code::WorkerUnknownFlow,
            Self::Mismatch { .. } => Code::WorkerMismatch,
            Self::Steps { .. } => Code::HandlersMismatch,
            Self::Variables { .. } => Code::VariableUnset,
            Self::Engine { .. } => Code::WorkerEngine,
            Self::Nothing { .. } => Code::NothingToWorkOn,
            Self::Handler { .. } => Code::HandlerUnusable,
            Self::Metrics { .. } => Code::MetricsUnavailable,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => error.kind(),
            Self::Mismatch { .. } => Kind::Drift,
            Self::Steps { .. } | Self::Handler { .. } | Self::Nothing { .. } => Kind::Invalid,
            Self::NoFlow { .. } => Kind::Pending,
            Self::Variables { .. } | Self::Engine { .. } | Self::Metrics { .. } => Kind::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Database(error) => return error.help(),
            Self::NoFlow { .. } => "run `flowsmith apply`, or correct the name: version 2 of `order` is `order_v2`",
            Self::Mismatch { .. } => {
                "run `flowsmith plan` to see the changes and `flowsmith apply` to make them, or pass --accept-drift to work with the definitions in the database"
            }
            Self::Steps { .. } => {
                "declare a handler for each step of the flow, because its steps share one queue, or leave the flow to another worker"
            }
            Self::Variables { .. } => "set these variables in the environment of the worker",
            Self::Engine { .. } => "run `flowsmith install` to upgrade flowsmith's engine",
            Self::Nothing { .. } => "declare a `handler` for each step of a flow, or name a flow that has handlers",
            Self::Handler { .. } => "correct the handler in the flow file",
            Self::Metrics { .. } => {
                "choose another port, or stop the program that uses this one; port 0 selects a free port"
            }
        };
        Some(help.to_owned())
    }
}

impl From<sqlx::Error> for WorkerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
