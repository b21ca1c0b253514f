//! The lock that every writing command takes, on a row of the ledger, or an advisory lock before there is a ledger. It is scoped
//! to the transaction: it cannot outlive the transaction, and it works behind a transaction pooler.

use std::fmt;
use std::sync::LazyLock;

use minijinja::context;
use sqlx::FromRow;

use super::sql::{Templates, templates};
use super::{DatabaseError, Failure, Transaction};

/// The key of the advisory lock: the bytes of `flowsmit`.
pub(crate) const LOCK_KEY: i64 = 7_380_396_448_181_741_940;

static TEMPLATES: LazyLock<Templates> = templates![".": "acquire_lock.sql", "lock_holder.sql"];

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

/// The object that is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockObject {
    /// The row of the ledger, which only deployers and the owner can lock.
    Ledger,
    /// The advisory lock, which any role can hold: for an install in a database without a ledger.
    Advisory,
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
pub(crate) async fn acquire_lock(transaction: &mut Transaction<'_>, object: LockObject) -> Result<Lock, DatabaseError> {
    let context = context! { key => LOCK_KEY, ledger => object == LockObject::Ledger };
    match transaction.send(TEMPLATES.render("acquire_lock.sql", context.clone())).await.map_err(DatabaseError::from) {
        Ok(_) => Ok(Lock::Acquired),
        Err(error) if error.failure() == Failure::LockTimeout => {
            transaction.send("rollback to savepoint before_lock").await?;
            let holder = transaction.send(TEMPLATES.render("lock_holder.sql", context)).await?;
            Ok(Lock::HeldElsewhere(holder.first().map(LockHolder::from_row).transpose()?))
        }
        Err(error) => Err(error),
    }
}
