//! Jobs of pg_cron that flowsmith did not create.

use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::database::DatabaseError;
use crate::database::transaction::{Opening, send};

/// A job of pg_cron.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ForeignJob {
    /// The name of the job, or its number if it has no name.
    pub name: String,
    /// The schedule.
    pub schedule: String,
    /// The command.
    pub command: String,
}

/// Jobs of pg_cron in this database that start flows and were not created by flowsmith. Empty without pg_cron.
///
/// # Errors
/// If the role may not read the jobs or the connection fails.
pub async fn read_foreign_jobs(connection: &mut PgConnection) -> Result<Vec<ForeignJob>, DatabaseError> {
    let rows = send(connection, Opening::snapshot(), include_str!("foreign_jobs.sql")).await?;
    Ok(rows.iter().map(ForeignJob::from_row).collect::<Result<_, _>>()?)
}
