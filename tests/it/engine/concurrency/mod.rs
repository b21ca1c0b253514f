//! Concurrent sessions: runs have the same outcome as with a single session.
//!
//! ```text
//! isolation       scripts with statements of several sessions in a given order, some of which wait
//! interleavings   races of completions and failures, each forced by such a script
//! interventions   races of workers with operators, forced in the same way
//! lock_order      pairs of functions that could deadlock in earlier versions
//! shapes          flows of every kind with their expected final states
//! workers         workers, with each protocol, that count their tasks
//! ends, events    assertions about finished runs and their events
//! load            many tasks and many runs
//! operators       runs that are cancelled, retried, paused, requeued, pruned and deleted while workers run
//! ```
//!
//! A deadlock (SQLSTATE 40P01) fails every test here. Sessions check for deadlocks after 20 ms.

pub(crate) mod ends;
mod events;
mod interleavings;
mod interventions;
mod isolation;
mod load;
mod lock_order;
pub(crate) mod operators;
pub(crate) mod shapes;
pub(crate) mod workers;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, ValueRef};

use crate::fixture::Database;
use crate::fixture::command::flowsmith_engine;

/// The factor by which tests are longer: `FLOWSMITH_TEST_LOAD`, 1 by default.
pub(crate) fn load() -> usize {
    std::env::var("FLOWSMITH_TEST_LOAD").map_or(1, |load| load.parse().unwrap())
}

/// Creates a database with the engine and the worker `W`, and executes the statements. See `isolation` for the names.
async fn engine(setup: &str) -> Database {
    let database = flowsmith_engine().await;
    let connection = &mut connect(database.options()).await;
    let worker = "insert into pgflow.workers (queue_name, function_name, worker_id) values ('f', 'f', W)";
    query(connection, &isolation::expand(worker)).await.unwrap();
    query(connection, &isolation::expand(setup)).await.unwrap();
    database
}

/// Connects with short timeouts, so that deadlocks and endless waits are detected.
pub(crate) async fn connect(options: PgConnectOptions) -> PgConnection {
    try_connect(options).await.unwrap()
}

/// Like [`connect`], but returns the error if the server is unavailable.
pub(crate) async fn try_connect(options: PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    options.options([("deadlock_timeout", "20ms"), ("statement_timeout", "60s")]).connect().await
}

/// Executes statements and returns their rows, one per line with columns separated by `|`. An error begins with SQLSTATE.
pub(crate) async fn query(connection: &mut PgConnection, sql: &str) -> Result<String, String> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(|error| describe(&error))?;
    let lines = rows.iter().map(|row| {
        let columns = (0..row.len()).map(|column| {
            let value = row.try_get_raw(column).unwrap();
            if value.is_null() { String::new() } else { value.as_str().unwrap().to_owned() }
        });
        columns.collect::<Vec<_>>().join("|")
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn describe(error: &sqlx::Error) -> String {
    let Some(error) = error.as_database_error().map(|error| error.downcast_ref::<PgDatabaseError>()) else {
        return error.to_string();
    };
    let message = format!("{} {}", error.code(), error.message());
    // The detail of a deadlock names the sessions and statements.
    if error.code() == "40P01" { format!("{message}: {:?} {:?}", error.detail(), error.r#where()) } else { message }
}

/// Asserts that no rule of the engine is violated.
pub(crate) async fn assert_no_violations(connection: &mut PgConnection) {
    assert_eq!(query(connection, "select * from pgflow.violations()").await.unwrap(), "");
}
