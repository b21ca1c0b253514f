//! Detects the engine of a database from the system catalog. Never writes.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use sqlx::{PgConnection, Row};

use super::Level;
use super::facts::{self, Fact};
use crate::database::DatabaseError;
use crate::database::transaction::{Opening, send};

/// The result of detection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Detection {
    /// `server_version_num`, 150018 for 15.18.
    pub server_version: i32,
    /// Whether the server is a standby, which cannot write.
    pub is_standby: bool,
    /// The installation of pgmq.
    pub pgmq: PgmqState,
    /// Whether the extension pg_cron is installed in this database.
    pub has_pg_cron: bool,
    /// Whether pg_cron has a job that recovers stalled tasks; none without pg_cron, or if the role may not read its jobs.
    pub has_cron_job: Option<bool>,
    /// The database in which pg_cron can be created, if pg_cron is loaded for another database and this role may read the setting.
    pub cron_elsewhere: Option<String>,
    /// Whether this role can read the registered triggers; `None` without the schema `flowsmith`.
    pub may_read_triggers: Option<bool>,
    /// Whether this role can read `flowsmith.events`.
    pub may_read_events: bool,
    /// Whether the engine can recover stalled tasks.
    pub has_recovery: bool,
    /// The recorded version of the schema `flowsmith`.
    pub ledger: Option<i32>,
    /// Whether the schema `flowsmith` exists.
    pub has_flowsmith_schema: bool,
    /// Whether `realtime.send` exists, through which events are sent.
    pub has_realtime_send: bool,
    /// Functions of the schema `pgflow` that PUBLIC may execute.
    pub public_functions: Vec<String>,
    /// The recorded scripts of flowsmith's engine, in order.
    pub recorded: Vec<RecordedScript>,
    /// The input style of flowsmith's engine: `separate` or `merged`.
    pub input_style: Option<String>,
    /// The state of the engine.
    pub engine: EngineState,
}

/// A row of `flowsmith.engine`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct RecordedScript {
    /// The version of the script.
    pub version: i32,
    /// The SHA-256 of the script when it ran.
    pub checksum: String,
}

/// The state of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// The database has no engine.
    Missing,
    /// The engine is complete.
    Present {
        /// The API level.
        level: Level,
        /// The origin of the engine.
        kind: EngineKind,
        /// Facts of the level that this database lacks. Always empty for an official engine, which would be incomplete otherwise.
        missing: Vec<Fact>,
        /// Facts beyond the level.
        extra: Vec<Fact>,
    },
    /// The database has parts of an engine, but no known level completely: an interrupted installation, an engine older than
    /// every known level, or an engine with deleted parts.
    Incomplete {
        /// The level with the fewest missing facts.
        closest: Level,
        /// The facts of this database.
        has: Vec<Fact>,
        /// Facts of the closest level that this database lacks.
        lacks: Vec<Fact>,
    },
}

/// The origin of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Installed by pgflow or Supabase.
    Official,
    /// Installed by `flowsmith install`.
    Flowsmith {
        /// The newest recorded version.
        version: i32,
    },
}

/// The installation of pgmq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PgmqState {
    /// pgmq is not installed.
    Missing,
    /// Installed as an extension of this version.
    Extension(String),
    /// Installed as plain SQL.
    Sql {
        /// The version that pgmq's installer recorded, if any.
        version: Option<String>,
        /// Whether messages have headers, as since 1.5.
        has_headers: bool,
    },
}

impl PgmqState {
    /// The version, if the database records one.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Extension(version) | Self::Sql { version: Some(version), .. } => Some(version),
            Self::Missing | Self::Sql { version: None, .. } => None,
        }
    }

    /// Whether pgmq is missing or known to be older than a version.
    pub(crate) fn is_older_than(&self, minimum: [u32; 3]) -> bool {
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

/// The help text for a query result that this version cannot read. A newer engine or ledger may have written the value.
pub(crate) const UNEXPECTED_RESULT_HELP: &str =
    "update flowsmith; if the newest version fails too, report this with the versions of flowsmith and PostgreSQL";

/// An error of detection.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The database rejected the query.
    #[error("cannot read the catalog: {0}")]
    Database(#[from] DatabaseError),
    /// The result of the query has an unexpected form.
    #[error("the catalog query returned an unexpected result: {0}")]
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
            Self::Answer(_) => Some(UNEXPECTED_RESULT_HELP.to_owned()),
        }
    }
}

/// The result of `detect.sql`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    server: i32,
    standby: bool,
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

/// Detects the engine in one round trip.
///
/// # Errors
/// If the connection fails or the role may not read `flowsmith.engine`.
pub async fn detect(connection: &mut PgConnection) -> Result<Detection, DetectError> {
    let rows = send(connection, Opening::snapshot(), include_str!("detect.sql")).await.map_err(DatabaseError::from)?;
    let answer = rows.first().ok_or(sqlx::Error::RowNotFound).and_then(|row| row.try_get("answer"));
    let answer: Answer = serde_json::from_str(answer.map_err(DatabaseError::from)?)?;
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
            is_standby: answer.standby,
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

/// Derives the origin of the engine from the recorded version, and its level from the facts.
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
