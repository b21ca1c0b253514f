//! Queries about queues: their next message, their existence, and runs that no worker serves.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::call::fetch;
use super::capabilities::Engine;
use super::statements::{MISSING_QUEUES, UNSERVED_RUNS};
use flowsmith_core::sql::array;
use flowsmith_core::sql::quote::{identifier, literal};
use flowsmith_postgres::database::DatabaseError;

/// The status of a flow's queue.
#[derive(Debug)]
pub(crate) struct QueueStatus {
    pub(crate) flow: String,
    /// Seconds until the next message is visible, negative if one is visible; none if the queue has no message.
    pub(crate) next_visible_in: Option<f64>,
    /// Whether this worker was deprecated for the flow.
    pub(crate) is_deprecated: bool,
}

impl QueueStatus {
    /// A row of [`queue_status_query`].
    pub(super) fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            flow: row.try_get("flow")?,
            is_deprecated: row.try_get("is_deprecated")?,
            next_visible_in: row.try_get("next_visible_in")?,
        })
    }
}

/// The query for the status of queues. `min` uses the queue's index on `vt`; messages of a paused flow have `vt` = infinity.
pub(super) fn queue_status_query(flows: &[&str]) -> String {
    let queries = flows.iter().map(|flow| {
        let table = identifier(&format!("q_{}", flow.to_lowercase()));
        let flow = literal(flow);
        format!(
            "select {flow} as flow, false as is_deprecated, \
             (select extract(epoch from min(q.vt)) - extract(epoch from clock_timestamp()) \
             from pgmq.{table} q where q.vt < 'infinity')::double precision as next_visible_in"
        )
    });
    queries.collect::<Vec<_>>().join("\nunion all ")
}

impl Engine {
    /// The status of these flows' queues.
    pub(crate) async fn check_queues(
        &self,
        connection: &mut PgConnection,
        flows: &[&str],
    ) -> Result<Vec<QueueStatus>, DatabaseError> {
        fetch(connection, queue_status_query(flows)).await?.iter().map(QueueStatus::read).collect()
    }

    /// Those of the flows whose queue does not exist.
    pub(crate) async fn missing_queues(
        &self,
        connection: &mut PgConnection,
        flows: &[&str],
    ) -> Result<Vec<String>, DatabaseError> {
        let sql = MISSING_QUEUES.fill(&[("flows", &array(flows, "text"))]);
        fetch(connection, sql).await?.iter().map(|row| Ok(row.try_get("slug")?)).collect()
    }

    /// The number of running runs of each of these flows that no live worker serves.
    pub(crate) async fn unserved_runs(
        &self,
        connection: &mut PgConnection,
        flows: &[String],
    ) -> Result<BTreeMap<String, i64>, DatabaseError> {
        let not_stopped = if self.has_stopped_at { "and w.stopped_at is null" } else { "" };
        let sql = UNSERVED_RUNS.fill(&[("flows", &array(flows, "text")), ("not_stopped", not_stopped)]);
        let mut unserved = BTreeMap::new();
        for row in fetch(connection, sql).await? {
            if row.try_get::<i64, _>("workers")? == 0 {
                unserved.insert(row.try_get("slug")?, row.try_get("runs")?);
            }
        }
        Ok(unserved)
    }
}
