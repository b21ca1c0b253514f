//! Checks that each flow has its queue.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::{CheckStatus, DoctorCheck};
use crate::database::transaction::{Opening, send};
use crate::database::{DatabaseError, Failure};
use crate::introspection::RECREATE_QUEUE;

/// A flow without a queue cannot be started, and its tasks wait forever.
pub(super) async fn queues(connection: &mut PgConnection) -> Result<DoctorCheck, DatabaseError> {
    const NAME: &str = "queues";
    let read = send(connection, Opening::snapshot(), include_str!("queues.sql")).await.map_err(DatabaseError::from);
    let rows = match read {
        Ok(rows) => rows,
        Err(error) if error.failure() == Failure::Permission => {
            return Ok(DoctorCheck::skipped(NAME, error.to_string()));
        }
        Err(error) => return Err(error),
    };
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let flows: i64 = row.try_get("flows")?;
    let without: Option<String> = row.try_get("without_queue")?;
    Ok(match without {
        None => DoctorCheck::ok(NAME, format!("every flow has its queue: {flows}")),
        Some(flows) => DoctorCheck::found(
            CheckStatus::Failed,
            NAME,
            format!("the queues of these flows are missing: {flows}"),
            RECREATE_QUEUE,
        ),
    })
}
