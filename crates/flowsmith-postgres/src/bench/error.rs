//! Why a bench came to no end.

use crate::bench::Scenario;
use crate::database::DatabaseError;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};

/// Why a bench came to no end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The database's failure.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The engine holds definitions and runs nothing.
    #[error("the engine cannot run flows: it lacks {}", lacks.join(", "))]
    NoRuntime {
        /// The functions that are not there.
        lacks: Vec<String>,
    },
    /// The engine does not have the protocol that is asked for.
    #[error("the engine cannot process tasks in batches: it lacks {}", lacks.join(", "))]
    NoBatches {
        /// The functions that are not there.
        lacks: Vec<String>,
    },
    /// No task was finished for a long time.
    #[error("{scenario}: {finished} of {tasks} tasks were processed, and for {waited} s none more")]
    Stalled {
        /// What was measured.
        scenario: Scenario,
        /// Tasks that were processed.
        finished: usize,
        /// Tasks that there are.
        tasks: usize,
        /// For how long nothing happened, in seconds.
        waited: u64,
    },
    /// The database does not hold afterwards what it should.
    #[error("{scenario}: there should be {expected} afterwards, and there are {found}")]
    Miscount {
        /// What was measured.
        scenario: Scenario,
        /// What should be there, in words.
        expected: String,
        /// What is.
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
            Self::NoRuntime { .. } => "run `flowsmith install`, which upgrades flowsmith's engine",
            Self::NoBatches { .. } => "leave --protocol out, or install flowsmith's engine in a database without one",
            Self::Stalled { .. } => {
                "`flowsmith doctor` audits the engine; look for locks and for other readers of the queue"
            }
            Self::Miscount { .. } => "`flowsmith doctor` audits the engine; if it is healthy, report this",
        };
        Some(help.to_owned())
    }
}

impl From<sqlx::Error> for BenchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
