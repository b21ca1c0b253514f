//! The lock that everything which writes takes: advisory and scoped to the transaction, so that it cannot outlive it and
//! works behind a transaction pooler.

use std::fmt;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::{DatabaseError, Failure};

/// The bytes of `flowsmit`, as `flowsmith.lock_key()` has it.
pub(crate) const LOCK_KEY: i64 = 7_380_396_448_181_741_940;

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

/// What came of asking for the lock.
#[derive(Debug)]
pub(crate) enum Lock {
    /// It is this transaction's.
    Taken,
    /// Someone else had it until the patience was over: this one, if they still held it when asked. The transaction goes on.
    Held(Option<Holder>),
}

/// Takes the lock in the transaction that is open, waiting as long as its `lock_timeout` says.
pub(crate) async fn take(connection: &mut PgConnection) -> Result<Lock, DatabaseError> {
    let wanted = format!("savepoint before_lock; select pg_advisory_xact_lock({LOCK_KEY})");
    let locked = sqlx::raw_sql(AssertSqlSafe(wanted)).execute(&mut *connection).await.map_err(DatabaseError::from);
    match locked {
        Ok(_) => Ok(Lock::Taken),
        Err(error) if error.failure() == Failure::LockTimeout => {
            sqlx::raw_sql("rollback to savepoint before_lock").execute(&mut *connection).await?;
            Ok(Lock::Held(holder(connection).await?))
        }
        Err(error) => Err(error),
    }
}

async fn holder(connection: &mut PgConnection) -> Result<Option<Holder>, DatabaseError> {
    let row = sqlx::query(include_str!("lock.sql")).persistent(false).bind(LOCK_KEY).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Holder {
        pid: row.try_get(0)?,
        user: row.try_get(1)?,
        application: row.try_get(2)?,
        address: row.try_get(3)?,
        since: row.try_get(4)?,
    }))
}
