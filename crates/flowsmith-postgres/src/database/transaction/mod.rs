//! Hermetic transactions, the only way in which flowsmith sends SQL.
//!
//! The settings of a role, a database or a server can change what a statement means: `search_path` decides which function a
//! name calls, and a function in `public` may beat the one of `pg_catalog`. Session settings would not help, because behind a
//! transaction pooler the next transaction may run in another session. So each transaction fixes its settings in the message
//! that begins it:
//!
//! ```text
//! send             one message: begin …; set local …; STATEMENTS; commit          returns the rows of the statements
//! Transaction      one message: begin …; set local …          then any number of statements, with bound parameters too
//! begin_handler    one message: begin …; set local …; STATEMENT; the role's settings          for `sql` handlers
//! ```
//!
//! PostgreSQL parses a whole message before it executes any of it, but resolves the names of a statement when it executes it:
//! the settings apply to every name in the message. Only the lexer runs before them, so literals must not depend on
//! `standard_conforming_strings`; `quote::literal` sees to that.

mod handler;
mod opening;
mod query;
mod settings;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Database, Postgres, SqlSafeStr as _};
use sqlx_core::transaction::TransactionManager as _;

pub use handler::{begin_handler, restore};
pub use opening::{Access, Opening};
pub use query::Query;

use super::DatabaseError;

/// sqlx's count of open transactions and savepoints, by which it rolls back what is dropped. `sqlx::Transaction` itself leaves
/// the transaction open if a statement after its BEGIN fails, and keeps the connection borrowed.
type Manager = <Postgres as Database>::TransactionManager;

/// Sends statements as one message that is one transaction, and returns the rows of all of them.
///
/// # Errors
/// If the connection fails or the server rejects a statement. The transaction is rolled back.
pub async fn send(connection: &mut PgConnection, opening: Opening, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut rows = Vec::new();
    let received: Result<(), sqlx::Error> = send_each(connection, opening, sql, |row| {
        rows.push(row);
        Ok(())
    })
    .await;
    received.map(|()| rows)
}

/// As [`send`], and passes each row to `receive` as it arrives.
///
/// # Errors
/// As [`send`], and the first error of `receive`.
pub async fn send_each<E: From<sqlx::Error>>(
    connection: &mut PgConnection,
    opening: Opening,
    sql: &str,
    receive: impl FnMut(PgRow) -> Result<(), E>,
) -> Result<(), E> {
    let message = format!("{}\n{sql}\n;commit", opening.sql(connection.server_version_num()));
    let received = receive_rows(connection, message, receive).await;
    if received.is_err() {
        abort(connection).await;
    }
    received
}

/// Sends one message and passes its rows on.
async fn receive_rows<E: From<sqlx::Error>>(
    connection: &mut PgConnection,
    message: String,
    mut receive: impl FnMut(PgRow) -> Result<(), E>,
) -> Result<(), E> {
    let mut rows = sqlx::raw_sql(AssertSqlSafe(message)).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        receive(row)?;
    }
    Ok(())
}

/// Ends a transaction that an error has left open. A lost connection has none, so its error does not matter; the caller has
/// the first one.
async fn abort(connection: &mut PgConnection) {
    let _ = sqlx::raw_sql("rollback").execute(connection).await;
}

/// An open transaction with fixed settings, or a savepoint in one. It is rolled back if it is dropped.
pub struct Transaction<'c> {
    connection: &'c mut PgConnection,
    is_open: bool,
}

impl<'c> Transaction<'c> {
    /// Begins a transaction.
    ///
    /// # Errors
    /// If the connection fails, or the server does not allow to write and `opening` asks for that.
    pub async fn begin(connection: &'c mut PgConnection, opening: Opening) -> Result<Self, DatabaseError> {
        let sql = AssertSqlSafe(opening.sql(connection.server_version_num()));
        if let Err(error) = Manager::begin(connection, Some(sql.into_sql_str())).await {
            abort(connection).await;
            return Err(error.into());
        }
        Ok(Self { connection, is_open: true })
    }

    /// Sets a savepoint. If it is rolled back, the transaction can continue.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn savepoint(&mut self) -> Result<Transaction<'_>, DatabaseError> {
        Manager::begin(self.connection, None).await?;
        Ok(Transaction { connection: self.connection, is_open: true })
    }

    /// Sends statements as one message, and returns the rows of all of them.
    ///
    /// # Errors
    /// If the connection fails or the server rejects a statement.
    pub async fn send(&mut self, sql: impl Into<String>) -> Result<Vec<PgRow>, sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.into())).fetch_all(&mut *self.connection).await
    }

    /// As [`Transaction::send`], and passes each row to `receive` as it arrives.
    ///
    /// # Errors
    /// As [`Transaction::send`], and the first error of `receive`.
    pub async fn send_each<E: From<sqlx::Error>>(
        &mut self,
        sql: &str,
        receive: impl FnMut(PgRow) -> Result<(), E>,
    ) -> Result<(), E> {
        receive_rows(self.connection, sql.to_owned(), receive).await
    }

    /// A statement whose values are bound as parameters.
    pub fn query<'q>(&'q mut self, sql: &'q str) -> Query<'q> {
        Query::new(self.connection, sql)
    }

    /// Commits the transaction, or releases the savepoint.
    ///
    /// # Errors
    /// If the connection fails or the server rejects the commit.
    pub async fn commit(mut self) -> Result<(), DatabaseError> {
        Manager::commit(self.connection).await?;
        self.is_open = false;
        Ok(())
    }

    /// Undoes everything since the transaction began or the savepoint was set.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn rollback(mut self) -> Result<(), DatabaseError> {
        Manager::rollback(self.connection).await?;
        self.is_open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            Manager::start_rollback(self.connection);
        }
    }
}
