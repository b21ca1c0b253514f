//! Jobs of pg_cron that somebody else created.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::database::DatabaseError;

/// A job of pg_cron that starts a flow and was not created by flowsmith.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignJob {
    /// Its name, or its number if it has no name.
    pub name: String,
    /// Its schedule.
    pub schedule: String,
    /// Its command, SQL.
    pub command: String,
}

/// Reads the active jobs of pg_cron in this database that start flows and were not created by flowsmith; none without
/// pg_cron. Writes nothing.
///
/// # Errors
/// If the role may not read the jobs or the connection fails.
pub async fn read_foreign_jobs(connection: &mut PgConnection) -> Result<Vec<ForeignJob>, DatabaseError> {
    let rows = sqlx::raw_sql(include_str!("foreign_jobs.sql")).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(ForeignJob {
                name: row.try_get("name")?,
                schedule: row.try_get("schedule")?,
                command: row.try_get("command")?,
            })
        })
        .collect()
}
