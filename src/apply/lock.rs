//! The lock that lets one apply run at a time: advisory and scoped to the transaction, so that it cannot outlive it and
//! works behind a transaction pooler.

use std::fmt;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::ApplyError;
use crate::database::{DatabaseError, Failure};

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Process id of the server's backend.
    pub pid: i32,
    /// Its role.
    pub user: String,
    /// Its `application_name`.
    pub application: String,
    /// Its address, or `local`.
    pub address: String,
    /// When its transaction began, RFC 3339, if the role may see it.
    pub since: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, pid {}, {})", self.user, self.application, self.pid, self.address)?;
        self.since.as_ref().map_or(Ok(()), |since| write!(f, " since {since}"))
    }
}

/// Takes the lock, waiting as long as the transaction's `lock_timeout` says.
pub(super) async fn take(connection: &mut PgConnection, waited: Duration) -> Result<(), ApplyError> {
    let locked = sqlx::raw_sql("savepoint before_lock; select pg_advisory_xact_lock(flowsmith.lock_key())")
        .execute(&mut *connection)
        .await
        .map_err(DatabaseError::from);
    match locked {
        Ok(_) => Ok(()),
        Err(error) if error.failure() == Failure::LockTimeout => {
            sqlx::raw_sql("rollback to savepoint before_lock")
                .execute(&mut *connection)
                .await
                .map_err(DatabaseError::from)?;
            Err(ApplyError::Locked { waited, holder: holder(connection).await? })
        }
        Err(error) => Err(error.into()),
    }
}

async fn holder(connection: &mut PgConnection) -> Result<Option<Holder>, DatabaseError> {
    let row = sqlx::raw_sql(include_str!("lock.sql")).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Holder {
        pid: row.try_get(0)?,
        user: row.try_get(1)?,
        application: row.try_get(2)?,
        address: row.try_get(3)?,
        since: row.try_get(4)?,
    }))
}
