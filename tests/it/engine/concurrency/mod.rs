//! Many sessions on one engine: what one of them does alone holds when all do it at once.
//!
//! ```text
//! isolation       a script of statements of several sessions, in a given order, some of which wait
//! interleavings   races of completions and failures, each forced by such a script
//! interventions   the same between workers and operators
//! lock_order      pairs of functions that once could wait for each other
//! shapes          flows of every kind and what becomes of them
//! workers         a pool of workers, in each protocol, that counts what it does
//! ends, events    what runs have come to, and what the engine told of it
//! load            many tasks and many runs
//! operators       runs cancelled, retried, paused, requeued, pruned and deleted under the workers' hands
//! ```
//!
//! A deadlock (SQLSTATE 40P01) fails every test here; sessions look for one after 20 ms.

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

/// How much longer than usual the tests are: the variable `FLOWSMITH_TEST_LOAD`, else 1.
pub(crate) fn load() -> usize {
    std::env::var("FLOWSMITH_TEST_LOAD").map_or(1, |load| load.parse().unwrap())
}

/// A database with the engine and the worker `W`, and the statements run in it; see `isolation` for the names.
async fn engine(setup: &str) -> Database {
    let database = flowsmith_engine().await;
    let connection = &mut connect(database.options()).await;
    let worker = "insert into pgflow.workers (queue_name, function_name, worker_id) values ('f', 'f', W)";
    query(connection, &isolation::expand(worker)).await.unwrap();
    query(connection, &isolation::expand(setup)).await.unwrap();
    database
}

/// A session in which neither a deadlock nor an endless wait stays unseen.
pub(crate) async fn connect(options: PgConnectOptions) -> PgConnection {
    try_connect(options).await.unwrap()
}

/// The same, where the server may not be there.
pub(crate) async fn try_connect(options: PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    options.options([("deadlock_timeout", "20ms"), ("statement_timeout", "60s")]).connect().await
}

/// The rows of statements: columns as text with `|` between them, a line each; or the error, SQLSTATE first.
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
    let what = format!("{} {}", error.code(), error.message());
    // Who met whom, and where.
    if error.code() == "40P01" { format!("{what}: {:?} {:?}", error.detail(), error.r#where()) } else { what }
}

/// Holds that every rule of the engine does.
pub(crate) async fn assert_sound(connection: &mut PgConnection) {
    assert_eq!(query(connection, "select * from pgflow.violations()").await.unwrap(), "");
}
