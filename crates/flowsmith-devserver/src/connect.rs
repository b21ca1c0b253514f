//! Connections to the server: through its Unix socket, as superuser, without a password.

use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::{Server, ServerError};

/// The superuser, the same on every machine.
pub(super) const USER: &str = "postgres";

/// Part of the name of the socket; the server does not listen on the network.
const PORT: u16 = 5432;
pub(super) const PORT_TEXT: &str = "5432";

/// The SQLSTATEs if another session created the database at the same time: `duplicate_database` and `unique_violation`.
const MADE_MEANWHILE: [&str; 2] = ["42P04", "23505"];

impl Server {
    /// The connection options for a database of the server.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .port(PORT)
            .username(USER)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// Returns a function that finds the current socket folder of the server; `None` while the server is stopped. Each start uses
    /// another socket folder.
    pub fn socket_finder(&self) -> impl Fn() -> Option<PathBuf> + Send + Sync + 'static {
        let place = self.place.clone();
        move || place.socket_dir()
    }

    /// The URL of a database, for psql and other programs.
    pub fn url(&self, database: &str) -> String {
        let database: String = url::form_urlencoded::byte_serialize(database.as_bytes()).collect();
        let (database, dir) = (database.replace('+', "%20"), self.socket_dir.display());
        format!("postgresql:///{database}?host={dir}&port={PORT}&user={USER}")
    }

    /// Creates a database if it does not exist, and returns whether it was created.
    ///
    /// # Errors
    /// [`ServerError::Database`] if the server cannot be reached or rejects the name.
    pub async fn ensure_database(&self, name: &str) -> Result<bool, ServerError> {
        let mut connection = self.connect_options("postgres").connect().await?;
        let create: Option<String> = sqlx::query_scalar(
            // Everything is qualified, because CREATE DATABASE cannot run in a transaction that would fix search_path.
            "select pg_catalog.format('create database %I', $1::pg_catalog.text)
             where not exists (select from pg_catalog.pg_database d where d.datname operator(pg_catalog.=) $1)",
        )
        .bind(name)
        .fetch_optional(&mut connection)
        .await?;
        let made = match create {
            Some(create) => made(sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await)?,
            None => false,
        };
        connection.close().await?;
        Ok(made)
    }
}

fn made<T>(outcome: Result<T, sqlx::Error>) -> Result<bool, sqlx::Error> {
    match outcome {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| MADE_MEANWHILE.contains(&&*code)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
