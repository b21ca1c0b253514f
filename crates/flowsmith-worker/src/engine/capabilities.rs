//! The engine's capabilities, which decide which calls a worker makes.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use flowsmith_postgres::database::DatabaseError;
use flowsmith_postgres::database::transaction::{Opening, send};

/// The engine of a database, as seen by a worker.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    /// Required functions that do not exist, separated by commas.
    pub(crate) missing_functions: String,
    /// Whether the engine claims and completes tasks in batches.
    pub(crate) has_batches: bool,
    /// Whether the engine can requeue stalled tasks.
    pub(crate) has_recovery: bool,
    /// Whether claimed tasks come with the input of the run.
    pub(super) has_flow_input: bool,
    /// Whether the engine records when a worker stopped.
    pub(super) has_stopped_at: bool,
    /// Why the engine sends no notifications; none if it sends them.
    pub(crate) no_notifications_reason: Option<String>,
}

impl Engine {
    /// Reads the capabilities of the engine.
    pub(crate) async fn detect(connection: &mut PgConnection) -> Result<Self, DatabaseError> {
        let rows = send(connection, Opening::snapshot(), include_str!("../sql/capabilities.sql")).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let reason: String = row.try_get("no_notifications_reason")?;
        Ok(Self {
            missing_functions: row.try_get("missing_functions")?,
            has_batches: row.try_get("has_batches")?,
            has_recovery: row.try_get("has_recovery")?,
            has_flow_input: row.try_get("has_flow_input")?,
            has_stopped_at: row.try_get("has_stopped_at")?,
            no_notifications_reason: Some(reason).filter(|reason| !reason.is_empty()),
        })
    }
}
