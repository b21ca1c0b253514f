//! The lock that every writing command takes. It is an advisory lock scoped to the transaction: it cannot outlive the
//! transaction, and it works behind a transaction pooler.

use std::fmt;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::{DatabaseError, Failure};

/// The bytes of `flowsmit`; the same value as `flowsmith.lock_key()`.
pub(crate) const LOCK_KEY: i64 = 7_380_396_448_181_741_940;

/// The session that holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Process id of the server's backend.
    pub pid: i32,
    /// The session's role.
    pub user: String,
    /// The session's `application_name`.
    pub application: String,
    /// The client address, or `local`.
    pub address: String,
    /// The start of its transaction as RFC 3339, if the current role may see it.
    pub since: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, pid {}, {})", self.user, self.application, self.pid, self.address)?;
        self.since.as_ref().map_or(Ok(()), |since| write!(f, " since {since}"))
    }
}

/// The result of [`take`].
#[derive(Debug)]
pub(crate) enum Lock {
    /// This transaction holds the lock.
    Taken,
    /// Another session held the lock until `lock_timeout` expired: this one, if it still held the lock afterwards. The
    /// transaction can continue.
    Held(Option<Holder>),
}

/// Takes the lock in the open transaction and waits for at most its `lock_timeout`.
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
