//! The calls to the engine, each one round trip without prepared statements, so that they work behind any pooler. Here is what
//! the engine can do, and what concerns the worker itself; calls about tasks and questions about queues have files of their own.

mod queues;
mod tasks;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

pub(super) use queues::News;
pub(super) use tasks::{Fate, fill_one};

use super::task::StepFacts;
use flowsmith_core::sql::quote::literal;
use flowsmith_core::sql::{Statement, array};
use flowsmith_postgres::database::{DatabaseError, within};

/// What the engine can do, and how to talk to it.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    /// Functions for running flows that are not there.
    pub(super) lacks: String,
    /// Whether tasks are polled and completed in batches.
    pub(super) batches: bool,
    /// Whether stalled tasks can be recovered.
    pub(super) recovers: bool,
    /// Whether tasks come with the run's input.
    has_flow_input: bool,
    /// Whether it notes when workers end.
    notes_ends: bool,
    /// Why no event goes out; none where they do.
    pub(super) silent: Option<String>,
}

macro_rules! statements {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Statement> =
            LazyLock::new(|| Statement::parse(include_str!(concat!("../sql/", $file))).expect("our own SQL"));)*
    };
}

statements! {
    FLOWS = "flows.sql";
    REGISTER = "register.sql";
    BEAT = "beat.sql";
    STOP = "stop.sql";
    POLL = "poll.sql";
    READ = "read.sql";
    START = "start.sql";
    COMPLETE = "complete.sql";
    COMPLETE_ONE = "complete_one.sql";
    FAIL = "fail.sql";
    FAIL_FINALLY = "fail_finally.sql";
    STATUS = "status.sql";
    HAND_BACK = "hand_back.sql";
    ORPHANS = "orphans.sql";
    RECOVER = "recover.sql";
    BEGIN = "begin.sql";
    OLDER = "older.sql";
    GONE = "gone.sql";
}

/// The shortest time after which a call that has had no answer is given up, and the connection with it: a network that
/// swallows everything does not say so.
const CALL: Duration = Duration::from_secs(30);

/// As many bytes of a statement as the slowest network takes in a second.
const BYTES_A_SECOND: usize = 256 << 10;

async fn rows(connection: &mut PgConnection, sql: String) -> Result<Vec<PgRow>, DatabaseError> {
    let patience = CALL + Duration::from_secs((sql.len() / BYTES_A_SECOND) as u64);
    within(patience, sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection)).await
}

impl Engine {
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, DatabaseError> {
        let row = sqlx::raw_sql(include_str!("../sql/abilities.sql")).fetch_one(connection).await?;
        let silent: String = row.try_get("silent")?;
        Ok(Self {
            lacks: row.try_get("lacks")?,
            batches: row.try_get("batches")?,
            recovers: row.try_get("recovers")?,
            has_flow_input: row.try_get("flow_input")?,
            notes_ends: row.try_get("stopped_at")?,
            silent: Some(silent).filter(|silent| !silent.is_empty()),
        })
    }

    /// The steps of those of the flows that there are.
    pub(super) async fn flows(
        &self,
        connection: &mut PgConnection,
        flows: &[&str],
    ) -> Result<BTreeMap<String, Vec<(String, StepFacts)>>, DatabaseError> {
        let sql = FLOWS.fill(&[("flows", &array(flows, "text"))]);
        let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in rows(connection, sql).await? {
            let steps = found.entry(row.try_get("flow_slug")?).or_default();
            if let Some(step) = row.try_get::<Option<String>, _>("step_slug")? {
                let timeout: i32 = row.try_get("timeout")?;
                steps.push((
                    step,
                    StepFacts {
                        timeout: timeout.unsigned_abs(),
                        has_dependents: row.try_get("has_dependents")?,
                        is_delayed: row.try_get("is_delayed")?,
                    },
                ));
            }
        }
        Ok(found)
    }

    /// Ids of the worker's new rows by queue.
    pub(super) async fn register(
        &self,
        connection: &mut PgConnection,
        name: &str,
        flows: &[&str],
    ) -> Result<BTreeMap<String, String>, DatabaseError> {
        let sql = REGISTER.fill(&[("name", &literal(name)), ("queues", &array(flows, "text"))]);
        rows(connection, sql).await?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Queues tasks of silent workers again; how many.
    pub(super) async fn recover(&self, connection: &mut PgConnection) -> Result<i64, DatabaseError> {
        let rows = rows(connection, RECOVER.fill(&[])).await?;
        let count: i32 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        Ok(count.into())
    }

    /// Notes that the worker has ended.
    pub(super) async fn stop(&self, connection: &mut PgConnection, ids: &[&str]) -> Result<(), DatabaseError> {
        let column = if self.notes_ends { "stopped_at" } else { "last_heartbeat_at" };
        rows(connection, STOP.fill(&[("column", column), ("ids", &array(ids, "uuid"))])).await.map(drop)
    }
}
