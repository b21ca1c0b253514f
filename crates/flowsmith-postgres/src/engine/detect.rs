//! What engine a database has, told by its catalog. Never writes.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use sqlx::{PgConnection, Row};

use super::Level;
use super::facts::{self, Fact};
use crate::database::DatabaseError;

/// What a database is, as far as the engine goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// `server_version_num`, 150018 for 15.18.
    pub server_version: i32,
    /// Whether and how pgmq is there.
    pub pgmq: PgmqState,
    /// Whether the extension pg_cron is installed in this database.
    pub has_pg_cron: bool,
    /// Whether pg_cron has a job that recovers stalled tasks; none where there is no pg_cron or its jobs may not be read.
    pub has_cron_job: Option<bool>,
    /// The database that pg_cron can be in, where it is loaded, that is another one, and this role may know.
    pub cron_elsewhere: Option<String>,
    /// Whether this role may see which triggers are in force; none where the schema `flowsmith` is too old to have any.
    pub may_read_triggers: Option<bool>,
    /// Whether this role may read what was done to runs and by whom, and an index finds it: from version 3 of the schema on.
    pub may_read_events: bool,
    /// Whether the engine can recover stalled tasks.
    pub has_recovery: bool,
    /// The newest file of the schema `flowsmith` that the database says it has.
    pub ledger: Option<i32>,
    /// Whether the schema `flowsmith` exists.
    pub has_flowsmith_schema: bool,
    /// Whether events have a way out.
    pub has_realtime_send: bool,
    /// Functions of schema `pgflow` that every role may execute.
    pub public_functions: Vec<String>,
    /// Every file of flowsmith's engine that the database says it has, in order.
    pub recorded: Vec<RecordedScript>,
    /// What flowsmith's engine puts into the input of a single step: `separate` or `merged`.
    pub input_style: Option<String>,
    /// The engine itself.
    pub engine: EngineState,
}

/// A row of `flowsmith.engine`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RecordedScript {
    /// The file's number.
    pub version: i32,
    /// Its SHA-256 when it was run.
    pub checksum: String,
}

/// Which engine there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// None.
    Missing,
    /// One that works with its level.
    Present {
        /// What it speaks.
        level: Level,
        /// Whose it is.
        kind: EngineKind,
        /// What the level has and this database lacks; empty for an official engine, which would be incomplete otherwise.
        missing: Vec<Fact>,
        /// What it has beyond the level.
        extra: Vec<Fact>,
    },
    /// Some of an engine, but not all of any level that is known: an install that stopped halfway, one older than every
    /// known level, or one that somebody has taken parts out of.
    Incomplete {
        /// The level of which least is missing.
        closest: Level,
        /// What is there.
        has: Vec<Fact>,
        /// What the closest level has and this database lacks.
        lacks: Vec<Fact>,
    },
}

/// Whose engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// pgflow's own.
    Official,
    /// The one that `install` makes.
    Flowsmith {
        /// Its newest file.
        version: i32,
    },
}

/// Whether and how pgmq is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PgmqState {
    /// Not at all.
    Missing,
    /// As an extension of this version.
    Extension(String),
    /// As plain SQL.
    Sql {
        /// The version that its own installer recorded, if it did.
        version: Option<String>,
        /// Whether messages have headers: 1.5 or later.
        has_headers: bool,
    },
}

impl PgmqState {
    /// The version, where the database tells one.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Extension(version) | Self::Sql { version: Some(version), .. } => Some(version),
            Self::Missing | Self::Sql { version: None, .. } => None,
        }
    }

    /// Whether it is known to be older than a version.
    pub fn is_older_than(&self, minimum: [u32; 3]) -> bool {
        let Some(version) = self.version() else { return *self == Self::Missing };
        let parts: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
        parts.as_slice() < minimum.as_slice()
    }
}

impl fmt::Display for PgmqState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("none"),
            Self::Extension(version) => write!(f, "extension {version}"),
            Self::Sql { version: Some(version), .. } => write!(f, "plain SQL {version}"),
            Self::Sql { version: None, has_headers: true } => {
                f.write_str("plain SQL of an unrecorded version, 1.5 or later")
            }
            Self::Sql { version: None, has_headers: false } => {
                f.write_str("plain SQL of an unrecorded version before 1.5")
            }
        }
    }
}

/// Why detection failed.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The database refused the query.
    #[error("the catalog could not be read: {0}")]
    Database(#[from] DatabaseError),
    /// The query answered something else than it should: a defect of flowsmith.
    #[error("the catalog query gave an unexpected answer, which is a defect of flowsmith: {0}")]
    Answer(#[from] serde_json::Error),
}

impl Diagnostic for DetectError {
    fn code(&self) -> Code {
        match self {
            Self::Database(error) => error.code(),
            Self::Answer(_) => Code::UnreadableAnswer,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Database(error) => error.kind(),
            Self::Answer(_) => Kind::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Database(error) => error.help(),
            Self::Answer(_) => None,
        }
    }
}

/// The answer of `detect.sql`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    server: i32,
    facts: BTreeSet<Fact>,
    public_functions: Vec<String>,
    recorded: Option<Vec<RecordedScript>>,
    input_style: Option<String>,
    pgmq_extension: Option<String>,
    pgmq_functions: bool,
    pgmq_sql: Option<String>,
    pgmq_headers: bool,
    pg_cron: bool,
    cron_job: Option<bool>,
    cron_elsewhere: Option<String>,
    triggers_readable: Option<bool>,
    events_readable: bool,
    ledger: Option<i32>,
    flowsmith_schema: bool,
    realtime_send: bool,
}

/// Looks at a database, in one round trip.
///
/// # Errors
/// Where the connection fails or the role may not read `flowsmith.engine`.
pub async fn detect(connection: &mut PgConnection) -> Result<Detection, DetectError> {
    let row = sqlx::raw_sql(include_str!("detect.sql")).fetch_one(connection).await.map_err(DatabaseError::from)?;
    let answer: Answer = serde_json::from_str(row.try_get(0).map_err(DatabaseError::from)?)?;
    Ok(Detection::from(answer))
}

impl From<Answer> for Detection {
    fn from(answer: Answer) -> Self {
        let recorded = answer.recorded.unwrap_or_default();
        let pgmq = match (answer.pgmq_extension, answer.pgmq_functions) {
            (Some(version), _) => PgmqState::Extension(version),
            (None, true) => PgmqState::Sql { version: answer.pgmq_sql, has_headers: answer.pgmq_headers },
            (None, false) => PgmqState::Missing,
        };
        Self {
            server_version: answer.server,
            pgmq,
            has_pg_cron: answer.pg_cron,
            has_cron_job: answer.cron_job,
            cron_elsewhere: answer.cron_elsewhere,
            may_read_triggers: answer.triggers_readable,
            may_read_events: answer.events_readable,
            has_recovery: answer.facts.contains("function requeue_stalled_tasks()"),
            ledger: answer.ledger,
            has_flowsmith_schema: answer.flowsmith_schema,
            has_realtime_send: answer.realtime_send,
            public_functions: answer.public_functions,
            engine: state(answer.facts, recorded.last().map(|script| script.version)),
            recorded,
            input_style: answer.input_style,
        }
    }
}

/// A version that is recorded says whose the engine is; the facts say what it can do.
fn state(live: BTreeSet<Fact>, recorded: Option<i32>) -> EngineState {
    if live.is_empty() {
        return EngineState::Missing;
    }
    let (kind, found) = match recorded {
        Some(version) => (EngineKind::Flowsmith { version }, facts::compare(Level::V0_14, &live)),
        None => (EngineKind::Official, facts::closest(&live)),
    };
    if kind == EngineKind::Official && !found.missing.is_empty() {
        return EngineState::Incomplete { closest: found.level, has: live.into_iter().collect(), lacks: found.missing };
    }
    EngineState::Present { level: found.level, kind, missing: found.missing, extra: found.extra }
}
