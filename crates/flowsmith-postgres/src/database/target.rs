//! The address of a database, and connecting to it.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::redact::Redactor;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use super::{DatabaseError, Failure, Opening};

/// Replaces a password.
const REDACTED: &str = "***";

/// The longest time that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a database. `Display` and `Debug` never show the password.
#[derive(Clone)]
pub struct Target {
    options: PgConnectOptions,
    socket: Option<Arc<Socket>>,
    /// The password.
    secrets: Redactor,
}

/// Finds the folder of the server's socket, which changes at each start of the embedded server; none if no server runs.
type Socket = dyn Fn() -> Option<PathBuf> + Send + Sync;

/// An invalid database URL. The URL is not repeated because it may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("invalid database URL: {reason}")]
pub struct TargetError {
    reason: String,
}

impl Diagnostic for TargetError {
    fn code(&self) -> Code {
        Code::InvalidDatabaseUrl
    }

    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn help(&self) -> Option<String> {
        Some(
            "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, and percent-encode special characters in the password"
                .to_owned(),
        )
    }
}

impl Target {
    /// A database with these connection options.
    pub fn new(options: PgConnectOptions) -> Self {
        // sqlx sends `extra_float_digits` at start-up, and PgBouncer rejects start-up parameters that it does not know.
        let options = options.extra_float_digits(None).application_name("flowsmith").disable_statement_logging();
        // No statement stays prepared: behind a transaction pooler the next call may use another server connection.
        Self { options: options.statement_cache_capacity(0), socket: None, secrets: Redactor::new() }
    }

    /// The same database with another `application_name`.
    #[must_use]
    pub fn named(self, application: &str) -> Self {
        Self { options: self.options.application_name(application), ..self }
    }

    /// The same database, whose socket is looked up for each connection.
    #[must_use]
    pub fn with_socket_finder(self, socket: impl Fn() -> Option<PathBuf> + Send + Sync + 'static) -> Self {
        Self { socket: Some(Arc::new(socket)), ..self }
    }

    /// The password, if it is in the URL or in `PGPASSWORD`, to keep it out of texts.
    pub fn secrets(&self) -> &Redactor {
        &self.secrets
    }

    /// The connection options.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The connection options with the current socket of the server.
    fn options_now(&self) -> PgConnectOptions {
        let options = self.options.clone();
        match self.socket.as_ref().and_then(|find| find()) {
            Some(socket) => options.socket(socket),
            None => options,
        }
    }

    /// Opens a connection within ten seconds.
    ///
    /// # Errors
    /// If the server cannot be reached, rejects the user, or has no such database.
    pub async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        let options = self.options_now();
        let connecting = PgConnection::connect_with(&options);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| self.not_connected(error)),
            Err(_) => Err(DatabaseError::new(
                Failure::Unreachable,
                format!("cannot connect to {self}: no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            )),
        }
    }
}

impl Target {
    /// A pool of one connection, for callees that accept only a pool. It connects once beforehand: a pool retries a server that
    /// refuses connections until its timeout, and then reports only the timeout.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub(crate) async fn pool_of_one(&self) -> Result<PgPool, DatabaseError> {
        // If the orderly close fails, the connection is dropped all the same.
        let _ = self.connect().await?.close().await;
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
        pool.connect_with(self.options_now()).await.map_err(|error| self.not_connected(error))
    }

    /// A pool whose only connection is in a hermetic transaction when it is acquired for the first time, for a callee that
    /// accepts only a pool and runs everything in one transaction: its BEGIN has no effect then, and its COMMIT ends this
    /// transaction.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub(crate) async fn pool_in_a_transaction(&self) -> Result<PgPool, DatabaseError> {
        let _ = self.connect().await?.close().await;
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
        let pool = pool.after_connect(|connection, _| Box::pin(Opening::write().begin_raw(connection)));
        Ok(pool.connect_lazy_with(self.options_now()))
    }

    /// A connection that listens for notifications.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub async fn listener(&self) -> Result<PgListener, DatabaseError> {
        let pool = self.pool_of_one().await?;
        PgListener::connect_with(&pool).await.map_err(|error| self.not_connected(error))
    }

    /// The server, or what answers in its place, may repeat the password.
    fn not_connected(&self, error: sqlx::Error) -> DatabaseError {
        DatabaseError::connecting(&self.to_string(), error, &self.secrets)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        if !known {
            let reason = "it does not start with postgres:// or postgresql://".to_owned();
            return Err(TargetError { reason });
        }
        if has_split_password(url) {
            let reason =
                "an `@` follows a `/`, `?` or `#`, which ends the password unless it is percent-encoded".to_owned();
            return Err(TargetError { reason });
        }
        let options = url.parse::<PgConnectOptions>().map_err(|error| TargetError { reason: cause(&error) })?;
        let mut secrets = Redactor::new();
        secrets.add_password_of(url, REDACTED);
        if let Ok(password) = std::env::var("PGPASSWORD")
            && password != options.get_username()
            && Some(&*password) != options.get_database()
        {
            secrets.add(&password, REDACTED);
        }
        Ok(Self { secrets, ..Self::new(options) })
    }
}

/// Whether a character that should be encoded has ended the password, so that the rest of it would be taken for the name of the
/// database, and be printed.
fn has_split_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // Parameters may have an `@` in their values.
    let before = path.split_once('@').map(|(before, _)| before);
    let is_parameter = |before: &str| before.split_once('?').is_some_and(|(_, parameters)| parameters.contains('='));
    authority.contains(':') && !authority.contains('@') && before.is_some_and(|before| !is_parameter(before))
}

/// The innermost error without its quoted parts, because these may be any part of the URL.
fn cause(error: &sqlx::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string().split('"').step_by(2).map(str::trim).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options_now();
        let database = options.get_database().unwrap_or(options.get_username());
        write!(f, "{}@", options.get_username())?;
        match options.get_socket() {
            Some(socket) => write!(f, "{}", socket.display())?,
            None => write!(f, "{}:{}", options.get_host(), options.get_port())?,
        }
        write!(f, "/{database}")
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}
