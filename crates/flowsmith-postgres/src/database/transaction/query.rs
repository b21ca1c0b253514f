//! A statement with bound parameters.

use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::{AssertSqlSafe, Decode, Encode, Row as _, Type};

/// A statement of an open transaction, whose values are bound as parameters.
pub struct Query<'q> {
    connection: &'q mut PgConnection,
    query: sqlx::query::Query<'q, Postgres, PgArguments>,
}

impl<'q> Query<'q> {
    pub(super) fn new(connection: &'q mut PgConnection, sql: &'q str) -> Self {
        // Not persistent: behind a transaction pooler, the next transaction may use another server connection.
        Self { connection, query: sqlx::query(AssertSqlSafe(sql)).persistent(false) }
    }

    /// Binds the next parameter.
    #[must_use]
    pub fn bind<T: 'q + Encode<'q, Postgres> + Type<Postgres>>(self, value: T) -> Self {
        Self { query: self.query.bind(value), ..self }
    }

    /// All rows.
    ///
    /// # Errors
    /// If the connection fails or the server rejects the statement; so in the other functions.
    pub async fn rows(self) -> Result<Vec<PgRow>, sqlx::Error> {
        self.query.fetch_all(self.connection).await
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`Query::rows`].
    pub async fn optional_row(self) -> Result<Option<PgRow>, sqlx::Error> {
        self.query.fetch_optional(self.connection).await
    }

    /// The first column of the only row.
    ///
    /// # Errors
    /// As [`Query::rows`], and if there is no row.
    pub async fn value<T: for<'r> Decode<'r, Postgres> + Type<Postgres>>(self) -> Result<T, sqlx::Error> {
        self.query.fetch_one(self.connection).await?.try_get(0)
    }

    /// The first column of each row.
    ///
    /// # Errors
    /// As [`Query::rows`].
    pub async fn values<T: for<'r> Decode<'r, Postgres> + Type<Postgres>>(self) -> Result<Vec<T>, sqlx::Error> {
        self.rows().await?.iter().map(|row| row.try_get(0)).collect()
    }

    /// The number of affected rows.
    ///
    /// # Errors
    /// As [`Query::rows`].
    pub async fn execute(self) -> Result<u64, sqlx::Error> {
        Ok(self.query.execute(self.connection).await?.rows_affected())
    }
}
