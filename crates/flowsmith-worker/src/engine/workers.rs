//! Calls about the worker itself: registration, heartbeat, and the recovery of other workers' tasks.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::call::fetch;
use super::capabilities::Engine;
use super::queues::{QueueStatus, queue_status_query};
use super::statements::{HEARTBEAT, REGISTER, REQUEUE_STALLED, UNREGISTER};
use flowsmith_core::sql::array;
use flowsmith_core::sql::quote::literal;
use flowsmith_postgres::database::DatabaseError;

impl Engine {
    /// Registers the worker and returns the ids of its rows, by queue.
    pub(crate) async fn register(
        &self,
        connection: &mut PgConnection,
        name: &str,
        flows: &[&str],
    ) -> Result<BTreeMap<String, String>, DatabaseError> {
        let sql = REGISTER.fill(&[("name", &literal(name)), ("queues", &array(flows, "text"))]);
        let rows = fetch(connection, sql).await?;
        rows.iter().map(|row| Ok((row.try_get("queue_name")?, row.try_get("worker_id")?))).collect()
    }

    /// Records the end of the worker.
    pub(crate) async fn unregister(&self, connection: &mut PgConnection, ids: &[&str]) -> Result<(), DatabaseError> {
        let column = if self.has_stopped_at { "stopped_at" } else { "last_heartbeat_at" };
        fetch(connection, UNREGISTER.fill(&[("column", column), ("ids", &array(ids, "uuid"))])).await.map(drop)
    }

    /// Writes the heartbeat of these flows and worker ids, and reads the status of these queues in the same round trip.
    pub(crate) async fn heartbeat(
        &self,
        connection: &mut PgConnection,
        name: &str,
        flows: &[(&str, &str)],
        queues: &[&str],
    ) -> Result<Vec<QueueStatus>, DatabaseError> {
        let heartbeat = HEARTBEAT.fill(&[
            ("name", &literal(name)),
            ("ids", &array(flows.iter().map(|(_, id)| id), "uuid")),
            ("queues", &array(flows.iter().map(|(flow, _)| flow), "text")),
        ]);
        let status = queue_status_query(queues);
        let mut statuses: Vec<QueueStatus> = Vec::new();
        for row in fetch(connection, format!("{heartbeat};\n{status}")).await? {
            // Both statements return their rows together; those of the heartbeat have two columns.
            if row.len() == 3 {
                statuses.push(QueueStatus::read(&row)?);
            } else if row.try_get("is_deprecated")? {
                let flow = row.try_get("queue_name")?;
                statuses.push(QueueStatus { flow, next_visible_in: None, is_deprecated: true });
            }
        }
        Ok(statuses)
    }

    /// Requeues stalled tasks of silent workers, and returns their number.
    pub(crate) async fn requeue_stalled(&self, connection: &mut PgConnection) -> Result<i64, DatabaseError> {
        let rows = fetch(connection, REQUEUE_STALLED.fill(&[])).await?;
        let tasks: i32 = rows.first().map_or(Ok(0), |row| row.try_get("tasks"))?;
        Ok(tasks.into())
    }
}
