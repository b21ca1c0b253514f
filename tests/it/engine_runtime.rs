//! What tests of the engine's runtime share: a database with the words of `engine_runtime.sql`, and how they ask it.

use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};

use crate::support::Database;

/// A call on a connection of its own, and its backend.
pub(crate) struct Waiting {
    call: tokio::task::JoinHandle<()>,
    pid: String,
}

impl Waiting {
    /// Makes the call and comes back when it waits for a lock, or is done.
    pub(crate) async fn start(database: &Database, observer: &mut PgConnection, sql: &'static str) -> Self {
        let mut connection = database.connect().await;
        let pid = value(&mut connection, "pg_backend_pid()").await;
        let call = tokio::spawn(async move { run(&mut connection, sql).await });
        let waiting = Self { call, pid };
        while !waiting.call.is_finished() && !waiting.is_blocked(observer).await {
            tokio::task::yield_now().await;
        }
        waiting
    }

    async fn is_blocked(&self, observer: &mut PgConnection) -> bool {
        value(observer, &format!("cardinality(pg_blocking_pids({})) > 0", self.pid)).await == "true"
    }

    pub(crate) async fn done(self) {
        self.call.await.unwrap();
    }
}

/// A database whose engine keeps its events in `realtime.sent`, and a connection to it.
pub(crate) async fn with_runtime() -> (Database, PgConnection) {
    let database =
        Database::from_template("runtime", async |options| prepare(&options, InputStyle::Separate).await).await;
    let connection = database.connect().await;
    (database, connection)
}

/// The same for workers of levels 0.7 and 0.8.
pub(crate) async fn with_merged_runtime() -> (Database, PgConnection) {
    let database = Database::from_template("merged", async |options| prepare(&options, InputStyle::Merged).await).await;
    let connection = database.connect().await;
    (database, connection)
}

async fn prepare(options: &PgConnectOptions, style: InputStyle) {
    let mut connection = options.connect().await.unwrap();
    // Before the engine, which uses a realtime.send that is there.
    run(&mut connection, include_str!("official_realtime.sql")).await;
    install(options, style).await.unwrap();
    run(&mut connection, include_str!("engine_runtime.sql")).await;
}

pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
        let detail = error.as_database_error().map(|error| error.downcast_ref::<PgDatabaseError>());
        panic!("{sql}\n{error}\n{}", detail.and_then(PgDatabaseError::detail).unwrap_or_default());
    }
}

/// The only column of every row of a query, as text; `∅` for null.
pub(crate) async fn rows(connection: &mut PgConnection, query: &str) -> Vec<String> {
    let sql = format!("select coalesce(r.line::text, '∅') from ({query}) r (line)");
    match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
        Err(error) => panic!("{query}\n{error}"),
    }
}

/// A query's only value, as text; `∅` for null.
pub(crate) async fn value(connection: &mut PgConnection, expression: &str) -> String {
    let sql = format!("select coalesce(({expression})::text, '∅')");
    match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await {
        Ok(row) => row.get(0),
        Err(error) => panic!("{expression}\n{error}"),
    }
}

/// The error that a statement raises: SQLSTATE and message.
pub(crate) async fn error(connection: &mut PgConnection, sql: &str) -> (String, String) {
    let error = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect_err(sql);
    let error = error.into_database_error().unwrap().downcast::<PgDatabaseError>();
    (error.code().to_owned(), error.message().to_owned())
}
