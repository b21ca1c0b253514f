//! Errors of the commands for runs.

use crate::database::DatabaseError;
use crate::engine::detect::UNEXPECTED_RESULT_HELP;
use flowsmith_core::catalog::State;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::level::Level;

use super::RunPrefix;
use super::RunStatus;
use flowsmith_core::catalog::UnknownFlow;

/// An error of a command for runs.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// A database error.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The result of a query cannot be read.
    #[error("a query returned an unexpected result: {0}")]
    Answer(#[from] serde_json::Error),
    /// The flow does not exist.
    #[error(transparent)]
    NoFlow(#[from] UnknownFlow),
    /// The flow has no current version to start.
    #[error("flow `{flow}` has no current version: {}", if versions.is_empty() { "the flow is retired".to_owned() } else { states(versions) })]
    NotCurrent {
        /// The flow.
        flow: String,
        /// Its versions; empty if the role may not read them.
        versions: Vec<(String, State)>,
    },
    /// The input is not JSON.
    #[error("{place} {what}")]
    Input {
        /// The origin of the input.
        place: String,
        /// The problem, as a predicate.
        what: String,
    },
    /// The input is JSON that cannot be stored or read.
    #[error("{place} {what}")]
    InputUnfit {
        /// The origin of the input.
        place: String,
        /// The problem, as a predicate.
        what: String,
    },
    /// The input does not match the schema of the flow.
    #[error("flow {flow} does not accept this input: {}", reasons.join("; "))]
    InputRefused {
        /// The flow.
        flow: String,
        /// The violations, each with its path in the input.
        reasons: Vec<String>,
    },
    /// A run with this id exists.
    #[error("run {0} already exists")]
    RunExists(String),
    /// The connection was lost while a run was being started.
    #[error("cannot tell whether the run was started: {0}")]
    StartUnconfirmed(#[source] DatabaseError),
    /// No run has this id or prefix.
    #[error("there is no run {prefix} in the database{}", database.as_ref().map(|name| format!(" {name}")).unwrap_or_default())]
    NoRun {
        /// The id or prefix.
        prefix: RunPrefix,
        /// The database without its password, if it is known.
        database: Option<String>,
    },
    /// Several runs have this prefix.
    #[error("several run ids begin with {prefix}: {}", runs.join(", "))]
    AmbiguousRun {
        /// The prefix.
        prefix: RunPrefix,
        /// The ids of some of them.
        runs: Vec<String>,
    },
    /// The engine lacks an operation.
    #[error("{what} requires flowsmith's engine, but this database has pgflow's")]
    NeedsOperations {
        /// The operation.
        what: &'static str,
    },
    /// The engine cannot recover stalled tasks.
    #[error("engine level {0} cannot requeue stalled tasks")]
    NeedsRecovery(Level),
    /// None of the versions is old.
    #[error("only old versions can be retired: {}", states(versions))]
    NotOld {
        /// The named versions.
        versions: Vec<(String, State)>,
    },
    /// The status of the run does not allow the operation.
    #[error("run {run_id} {}", refusal(*status, done))]
    WrongStatus {
        /// The run.
        run_id: String,
        /// Its status.
        status: RunStatus,
        /// The operation, as a past participle.
        done: &'static str,
    },
}

impl Diagnostic for RunsError {
    fn code(&self) -> Code {
        match self {
            Self::Database(error) => error.code(),
            Self::Answer(_) => Code::UnreadableAnswer,
            Self::NoFlow(_) => Code::UnknownFlow,
            Self::NotCurrent { .. } => Code::NoCurrentVersion,
            Self::Input { .. } => Code::InputNotJson,
            Self::InputUnfit { .. } | Self::InputRefused { .. } => Code::InputRefused,
            Self::NoRun { .. } => Code::UnknownRun,
            Self::AmbiguousRun { .. } => Code::AmbiguousRun,
            Self::RunExists(_) => Code::RunIdTaken,
            Self::NeedsOperations { .. } | Self::NeedsRecovery(_) => Code::OperationMissing,
            Self::WrongStatus { .. } => Code::RunStatus,
            Self::NotOld { .. } => Code::NotAnOldVersion,
            Self::StartUnconfirmed(_) => Code::StartUnconfirmed,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => error.kind(),
            Self::Answer(_)
            | Self::NoFlow(_)
            | Self::NoRun { .. }
            | Self::StartUnconfirmed(_)
            | Self::NeedsOperations { .. }
            | Self::NeedsRecovery(_) => Kind::Failed,
            Self::Input { .. } | Self::AmbiguousRun { .. } => Kind::Usage,
            Self::NotCurrent { .. }
            | Self::InputUnfit { .. }
            | Self::InputRefused { .. }
            | Self::RunExists(_)
            | Self::NotOld { .. }
            | Self::WrongStatus { .. } => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Database(error) => return error.help(),
            Self::Answer(_) => UNEXPECTED_RESULT_HELP.to_owned(),
            Self::NoFlow(unknown) => unknown.help(),
            Self::NotCurrent { versions, .. } => match versions.last() {
                Some((id, _)) => format!("run `flowsmith start {id}` to start an old version"),
                None => {
                    "use a role that may read definitions to start an old version by name, such as order@1".to_owned()
                }
            },
            Self::Input { .. } => {
                "pass JSON, such as --input '{\"id\": 7}', a file as --input @order.json, or - for standard input"
                    .to_owned()
            }
            Self::InputUnfit { .. } => {
                "remove the value, or store such data elsewhere and pass a reference to it; no run was started"
                    .to_owned()
            }
            Self::InputRefused { .. } => {
                "correct the input according to `input` in the flow file; no run was started".to_owned()
            }
            Self::NoRun { .. } => "run `flowsmith runs` to list the runs; pruned runs are deleted".to_owned(),
            Self::AmbiguousRun { .. } => "give more characters of the id".to_owned(),
            Self::RunExists(id) => format!("run `flowsmith show {id}`: the run was started before"),
            Self::NeedsOperations { .. } => {
                "see docs/operating.md for the commands that work on an official engine, and for alternatives"
                    .to_owned()
            }
            Self::NotOld { .. } => {
                "apply a newer version, or remove the flow from the files and apply that; then retire the version"
                    .to_owned()
            }
            Self::NeedsRecovery(_) => "run `flowsmith stalled` to see the fix for each task".to_owned(),
            Self::WrongStatus { run_id, .. } => format!("run `flowsmith show {run_id}` to see its state"),
            Self::StartUnconfirmed(_) => {
                "run `flowsmith runs` to check; with --run-id, the command can be repeated safely".to_owned()
            }
        })
    }
}

fn states(versions: &[(String, State)]) -> String {
    versions.iter().map(|(id, state)| format!("{id} is {}", state.as_str())).collect::<Vec<_>>().join(", ")
}

fn refusal(status: RunStatus, done: &str) -> String {
    match status {
        RunStatus::Cancelled if done == RunStatus::Cancelled.as_str() => "is already cancelled".to_owned(),
        status => format!("{} and cannot be {done}", status_clause(status)),
    }
}

fn status_clause(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Started => "is still running",
        RunStatus::Completed => "has completed",
        RunStatus::Failed => "has failed",
        RunStatus::Cancelled => "was cancelled",
    }
}

impl From<sqlx::Error> for RunsError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl RunsError {
    /// Adds the database to errors about unknown flows and runs.
    #[must_use]
    pub fn in_database(self, database: &str) -> Self {
        match self {
            Self::NoFlow(unknown) => Self::NoFlow(unknown.in_database(database)),
            Self::NoRun { prefix, .. } => Self::NoRun { prefix, database: Some(database.to_owned()) },
            other => other,
        }
    }
}
