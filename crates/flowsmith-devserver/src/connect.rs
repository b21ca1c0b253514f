//! Connecting to the server: through its socket, as its superuser, without a password.

use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::{Server, ServerError};

/// The superuser, on every machine the same.
pub(super) const USER: &str = "postgres";

/// Names the socket; nothing listens on the network.
const PORT: u16 = 5432;
pub(super) const PORT_TEXT: &str = "5432";

/// Another connection made the database in between: `duplicate_database`, or its unique index.
const MADE_MEANWHILE: [&str; 2] = ["42P04", "23505"];

impl Server {
    /// How sqlx connects to a database of the server.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .port(PORT)
            .username(USER)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// Finds the socket folder of the server as it runs at the time of the call, which is another one after each start;
    /// `None` while the server is stopped.
    pub fn socket_finder(&self) -> impl Fn() -> Option<PathBuf> + Send + Sync + 'static {
        let place = self.place.clone();
        move || place.socket_dir()
    }

    /// How everything else does: a URL that psql takes as it is.
    pub fn url(&self, database: &str) -> String {
        let database: String = url::form_urlencoded::byte_serialize(database.as_bytes()).collect();
        let (database, dir) = (database.replace('+', "%20"), self.socket_dir.display());
        format!("postgresql:///{database}?host={dir}&port={PORT}&user={USER}")
    }

    /// Makes a database unless it is there; says whether it made it.
    ///
    /// # Errors
    /// [`ServerError::Database`] where the server cannot be reached or refuses the name.
    pub async fn ensure_database(&self, name: &str) -> Result<bool, ServerError> {
        let mut connection = self.connect_options("postgres").connect().await?;
        let create: Option<String> = sqlx::query_scalar(
            "SELECT format('CREATE DATABASE %I', $1::text) WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
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
