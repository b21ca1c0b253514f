//! Why an operator's command could not be done.

use crate::database::DatabaseError;
use crate::engine::detect::EngineKind;
use flowsmith_core::catalog::State;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::level::Level;

use super::RunPrefix;
use super::RunStatus;
use super::stalled::QUEUE_ANEW;
use flowsmith_core::catalog::UnknownFlow;

/// Why an operator's command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The database's failure.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database answered something else than it should: a defect of flowsmith.
    #[error("a query gave an unexpected answer, which is a defect of flowsmith: {0}")]
    Answer(#[from] serde_json::Error),
    /// There is no such flow.
    #[error(transparent)]
    NoFlow(#[from] UnknownFlow),
    /// The flow is there, and no version of it is to be started.
    #[error("flow `{flow}` has no current version: {}", if versions.is_empty() { "it is retired".to_owned() } else { states(versions) })]
    NotCurrent {
        /// The flow.
        flow: String,
        /// What there is of it; empty where the role may not see it.
        versions: Vec<(String, State)>,
    },
    /// The input is not JSON.
    #[error("{place} {what}")]
    Input {
        /// Where it comes from.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The input is JSON, and cannot be kept.
    #[error("{place} {what}")]
    InputUnfit {
        /// Where it comes from.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The input is JSON, and not what the flow takes.
    #[error("flow {flow} does not take this input: {}", reasons.join("; "))]
    InputRefused {
        /// The flow.
        flow: String,
        /// Each with its place in the input.
        reasons: Vec<String>,
    },
    /// The run's id is taken.
    #[error("there is a run {0} already")]
    RunTaken(String),
    /// Nobody knows whether a run has started.
    #[error("whether a run has started is not known: {0}")]
    StartUnknown(DatabaseError),
    /// No run has such an id.
    #[error("there is no run {prefix} in the database{}", database.as_ref().map(|name| format!(" {name}")).unwrap_or_default())]
    NoRun {
        /// What was given.
        prefix: RunPrefix,
        /// Which database was asked, without its password, where that is known.
        database: Option<String>,
    },
    /// Several runs have ids that begin so.
    #[error("several runs begin with {prefix}: {}", runs.join(", "))]
    AmbiguousRun {
        /// What was given.
        prefix: RunPrefix,
        /// Some of them.
        runs: Vec<String>,
    },
    /// The engine lacks what is needed.
    #[error("{what} needs flowsmith's own engine, and this database has {}", whose(*kind))]
    NeedsOperations {
        /// What was asked for.
        what: &'static str,
        /// The engine that is there.
        kind: EngineKind,
    },
    /// The engine has no recovery of stalled tasks.
    #[error("engine level {0} cannot queue stalled tasks again")]
    NeedsRecovery(Level),
    /// The version is not an old one.
    #[error("nothing to retire: {}", states(versions))]
    NotOld {
        /// What was named.
        versions: Vec<(String, State)>,
    },
    /// The run is in a state in which this cannot be done.
    #[error("run {run_id} {}", refusal(*status, done))]
    WrongStatus {
        /// The run.
        run_id: String,
        /// What it is.
        status: RunStatus,
        /// What was to be done to it.
        done: &'static str,
    },
}

impl Diagnostic for OperateError {
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
            Self::RunTaken(_) => Code::RunIdTaken,
            Self::NeedsOperations { .. } | Self::NeedsRecovery(_) => Code::OperationMissing,
            Self::WrongStatus { .. } => Code::RunStatus,
            Self::NotOld { .. } => Code::NotAnOldVersion,
            Self::StartUnknown(_) => Code::StartUnconfirmed,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => error.kind(),
            Self::Answer(_)
            | Self::NoFlow(_)
            | Self::NoRun { .. }
            | Self::StartUnknown(_)
            | Self::NeedsOperations { .. }
            | Self::NeedsRecovery(_) => Kind::Failed,
            Self::Input { .. } | Self::AmbiguousRun { .. } => Kind::Usage,
            Self::NotCurrent { .. }
            | Self::InputUnfit { .. }
            | Self::InputRefused { .. }
            | Self::RunTaken(_)
            | Self::NotOld { .. }
            | Self::WrongStatus { .. } => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            // Whatever the language of the server's words.
            Self::Database(error) if error.to_string().contains("pgmq.q_") && error.to_string().contains("42P01") => {
                format!("the flow has lost its queue: {QUEUE_ANEW}")
            }
            Self::Database(error) => return error.help(),
            Self::Answer(_) => "please report it, with the command line".to_owned(),
            Self::NoFlow(unknown) => unknown.help(),
            Self::NotCurrent { versions, .. } => match versions.last() {
                Some((id, _)) => format!("to start an old version all the same, name it: `flowsmith start {id}`"),
                None => "a role that may read definitions can start an old version, by its name, as order@1".to_owned(),
            },
            Self::Input { .. } => {
                "give JSON, such as --input '{\"id\": 7}', a file as --input @order.json, or - for standard input"
                    .to_owned()
            }
            Self::InputUnfit { .. } => {
                "nothing was started; take it out, or keep such data elsewhere and give its place".to_owned()
            }
            Self::InputRefused { .. } => {
                "nothing was started; its flow file says under `input` what it takes".to_owned()
            }
            Self::NoRun { .. } => "`flowsmith runs` lists runs; pruned ones are gone".to_owned(),
            Self::AmbiguousRun { .. } => "give more of the id".to_owned(),
            Self::RunTaken(id) => format!("it was started before: `flowsmith show {id}`"),
            Self::NeedsOperations { kind: EngineKind::Official, .. } => {
                "docs/operating.md says which commands work on an official engine, and what to do there instead"
                    .to_owned()
            }
            Self::NeedsOperations { kind: EngineKind::Flowsmith { .. }, .. } => {
                "run `flowsmith install`, which upgrades it".to_owned()
            }
            Self::NotOld { .. } => {
                "a version becomes old when its file has a newer one, or is gone, and that is applied".to_owned()
            }
            Self::NeedsRecovery(_) => "`flowsmith stalled` says for each what to do instead".to_owned(),
            Self::WrongStatus { run_id, .. } => format!("look at it with `flowsmith show {run_id}`"),
            Self::StartUnknown(_) => {
                "look at `flowsmith runs`; with --run-id it is safe to run the command again".to_owned()
            }
        })
    }
}

fn states(versions: &[(String, State)]) -> String {
    versions.iter().map(|(id, state)| format!("{id} is {}", state.as_str())).collect::<Vec<_>>().join(", ")
}

fn whose(kind: EngineKind) -> String {
    match kind {
        EngineKind::Official => "pgflow's".to_owned(),
        EngineKind::Flowsmith { version } => format!("version {version} of it, which is too old"),
    }
}

fn refusal(status: RunStatus, done: &str) -> String {
    match status {
        RunStatus::Cancelled if done == RunStatus::Cancelled.as_str() => "is already cancelled".to_owned(),
        status => format!("{}, so it cannot be {done}", is(status)),
    }
}

fn is(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Started => "is under way",
        RunStatus::Completed => "has completed",
        RunStatus::Failed => "has failed",
        RunStatus::Cancelled => "was cancelled",
    }
}

impl From<sqlx::Error> for OperateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl OperateError {
    /// Where a flow or a run is missing, says in which database.
    #[must_use]
    pub fn in_database(self, database: &str) -> Self {
        match self {
            Self::NoFlow(unknown) => Self::NoFlow(unknown.in_database(database)),
            Self::NoRun { prefix, .. } => Self::NoRun { prefix, database: Some(database.to_owned()) },
            other => other,
        }
    }
}
