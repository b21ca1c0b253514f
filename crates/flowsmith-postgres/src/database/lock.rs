//! The lock that every writing command takes. It is an advisory lock scoped to the transaction: it cannot outlive the
//! transaction, and it works behind a transaction pooler.

use std::fmt;
use std::sync::LazyLock;

use minijinja::context;
use sqlx::FromRow;

use super::sql::{Templates, templates};
use super::{DatabaseError, Failure, Transaction};

/// The bytes of `flowsmit`; the same value as `flowsmith.lock_key()`.
pub(crate) const LOCK_KEY: i64 = 7_380_396_448_181_741_940;

static TEMPLATES: LazyLock<Templates> = templates![".": "acquire_lock.sql"];

/// The session that holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct LockHolder {
    /// Process id of the server's backend.
    pub pid: i32,
    /// The session's role.
    pub role: String,
    /// The session's `application_name`.
    pub application_name: String,
    /// The client address, or `local`.
    pub address: String,
    /// The start of its transaction as RFC 3339, if the current role may see it.
    pub transaction_start: Option<String>,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, pid {}, {})", self.role, self.application_name, self.pid, self.address)?;
        self.transaction_start.as_ref().map_or(Ok(()), |since| write!(f, " since {since}"))
    }
}

/// The result of [`acquire_lock`].
#[derive(Debug)]
pub(crate) enum Lock {
    /// This transaction holds the lock.
    Acquired,
    /// Another session held the lock until `lock_timeout` expired: this one, if it still held the lock afterwards. The
    /// transaction can continue.
    HeldElsewhere(Option<LockHolder>),
}

/// Acquires the lock in the open transaction and waits for at most its `lock_timeout`.
pub(crate) async fn acquire_lock(transaction: &mut Transaction<'_>) -> Result<Lock, DatabaseError> {
    let acquire = TEMPLATES.render("acquire_lock.sql", context! { key => LOCK_KEY });
    match transaction.send(acquire).await.map_err(DatabaseError::from) {
        Ok(_) => Ok(Lock::Acquired),
        Err(error) if error.failure() == Failure::LockTimeout => {
            transaction.send("rollback to savepoint before_lock").await?;
            Ok(Lock::HeldElsewhere(holder(transaction).await?))
        }
        Err(error) => Err(error),
    }
}

async fn holder(transaction: &mut Transaction<'_>) -> Result<Option<LockHolder>, DatabaseError> {
    let row = transaction.query(include_str!("lock_holder.sql")).bind(LOCK_KEY).optional_row().await?;
    Ok(row.as_ref().map(LockHolder::from_row).transpose()?)
}
