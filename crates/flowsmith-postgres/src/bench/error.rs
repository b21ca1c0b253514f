//! Errors of the benchmark.

use crate::bench::Scenario;
use crate::database::DatabaseError;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};

/// An error of the benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A database error.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The engine stores definitions but cannot run flows.
    #[error("the engine cannot run flows: missing {}", lacks.join(", "))]
    NoRuntime {
        /// The missing functions.
        lacks: Vec<String>,
    },
    /// The engine does not support batches.
    #[error("the engine cannot process tasks in batches: missing {}", lacks.join(", "))]
    NoBatches {
        /// The missing functions.
        lacks: Vec<String>,
    },
    /// No task was finished for a long time.
    #[error("{scenario}: stalled after {finished} of {tasks} tasks: no task was processed for {waited} s")]
    Stalled {
        /// The scenario.
        scenario: Scenario,
        /// The number of processed tasks.
        finished: usize,
        /// The total number of tasks.
        tasks: usize,
        /// The time without progress, in seconds.
        waited: u64,
    },
    /// The counts afterwards are not the expected ones.
    #[error("{scenario}: expected {expected}, found {found}")]
    Miscount {
        /// The scenario.
        scenario: Scenario,
        /// The expected counts in words.
        expected: String,
        /// The actual counts in words.
        found: String,
    },
}

impl Diagnostic for BenchError {
    fn code(&self) -> Code {
        match self {
            Self::Database(error) => error.code(),
            Self::NoRuntime { .. } => Code::BenchNoRuntime,
            Self::NoBatches { .. } => Code::BenchNoBatches,
            Self::Stalled { .. } => Code::BenchStalled,
            Self::Miscount { .. } => Code::BenchMiscount,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => error.kind(),
            Self::NoRuntime { .. } | Self::NoBatches { .. } | Self::Stalled { .. } | Self::Miscount { .. } => {
                Kind::Failed
            }
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Database(error) => return error.help(),
            Self::NoRuntime { .. } => "run `flowsmith install` to upgrade flowsmith's engine",
            Self::NoBatches { .. } => "omit --protocol, or install flowsmith's engine in a database without an engine",
            Self::Stalled { .. } => {
                "run `flowsmith doctor` to audit the engine, and check for locks and for other readers of the queue"
            }
            Self::Miscount { .. } => "run `flowsmith doctor` to audit the engine; if it is healthy, report this",
        };
        Some(help.to_owned())
    }
}

impl From<sqlx::Error> for BenchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
