//! `sql` handlers run the query and complete the task in one transaction, so that the query takes effect exactly once, even if
//! the worker or the server is killed. The query runs with the settings of the role; the statements before and after it do not.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnection, PgRow, PgValueRef};
use sqlx::{AssertSqlSafe, Row as _, TypeInfo as _, ValueRef as _};

use crate::engine::TaskId;
use crate::handler::{Context, Handler};
use crate::outcome::{HandlerError, Outcome, Unavailable};
use crate::sql_connections::PooledConnection;
use flowsmith_core::sql::Statement;
use flowsmith_core::sql::quote::literal;
use flowsmith_postgres::database::{DatabaseError, Failure};

/// How long it may take to get a connection and to begin the transaction. The timeout of the task starts afterwards.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a rollback may take before the connection is dropped.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Resets the session as DISCARD ALL does. Unlike DISCARD ALL, it may follow other statements, and it keeps prepared statements,
/// which other clients of a pooler may rely on.
const RESET_SESSION: &str = "close all; set session authorization default; reset role; reset all; unlisten *; \
                      select pg_catalog.pg_advisory_unlock_all(); discard sequences; discard temp";

/// A query that returns one value, the output.
pub(super) struct Sql(pub(super) Statement);

/// Why a query did not complete its task.
enum QueryError {
    Database(DatabaseError),
    Handler(HandlerError),
    /// The query returned more rows than were read, so the connection cannot be used again.
    UnreadRows(HandlerError),
}

impl<E: Into<DatabaseError>> From<E> for QueryError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// How the transaction ended.
enum Ended {
    /// The task was completed in it.
    Completed,
    /// The engine did not accept the output, and the transaction was rolled back. The output is reported again outside of it,
    /// so that the engine records the error.
    OutputRejected(String),
    /// The task no longer belongs to this worker.
    LeaseLost,
}

impl Handler for Sql {
    fn handle(&self, input: String, context: Context) -> BoxFuture<'static, Outcome> {
        let sql = self.0.fill(&[
            ("input", &format!("{}::pg_catalog.jsonb", literal(&input))),
            ("run_id", &format!("{}::pg_catalog.uuid", literal(&context.run_id))),
            ("task_index", &context.task_index.to_string()),
            ("attempt", &context.attempt.to_string()),
        ]);
        run(sql, context).boxed()
    }

    fn needs_connection(&self) -> bool {
        true
    }
}

async fn run(sql: String, context: Context) -> Outcome {
    let connections = &context.services.sql_connections;
    let began = match tokio::time::timeout(BEGIN_TIMEOUT, begin(&context)).await {
        Ok(began) => began,
        Err(_) => {
            let seconds = BEGIN_TIMEOUT.as_secs();
            Err(connections.record_failure(format!("no connection for a `sql` handler within {seconds} s")))
        }
    };
    let (mut connection, is_ours) = match began {
        Ok(began) => began,
        Err(unavailable) => return Outcome::NotStarted(unavailable),
    };
    // If the connection is dropped, the server rolls back the transaction.
    let result = match is_ours {
        Err(error) => Err(QueryError::Database(error)),
        Ok(false) => end(&mut connection, "rollback").await.map(|()| Ended::LeaseLost),
        Ok(true) => match tokio::time::timeout(context.timeout, perform(&mut connection, sql, &context)).await {
            Ok(result) => result,
            Err(_) => return Outcome::Failed(HandlerError::timed_out(context.timeout)),
        },
    };
    let outcome = match result {
        Ok(Ended::Completed) => Outcome::Completed,
        Ok(Ended::OutputRejected(output)) => Outcome::Output(output),
        Ok(Ended::LeaseLost) => Outcome::LeaseLost,
        Err(QueryError::UnreadRows(error)) => return Outcome::Failed(error),
        Err(QueryError::Database(error)) if error.is_lost() => {
            // The transaction may have been committed or not; reporting the result finds out.
            connections.clear();
            return Outcome::ConnectionLost(error.to_string());
        }
        Err(error) => {
            let rollback = tokio::time::timeout(ROLLBACK_TIMEOUT, end(&mut connection, "rollback")).await;
            let failed = Outcome::Failed(match error {
                QueryError::Database(error) => HandlerError::retry(error.to_string()),
                QueryError::Handler(error) | QueryError::UnreadRows(error) => error,
            });
            match rollback {
                Ok(Ok(())) => failed,
                _ => return failed,
            }
        }
    };
    connections.release(connection);
    outcome
}

/// Begins the transaction on a connection of the pool. Returns whether the task still belongs to this worker, or the error of
/// the server.
async fn begin(context: &Context) -> Result<(PgConnection, Result<bool, DatabaseError>), Unavailable> {
    let (services, task) = (&context.services, task_id(context));
    let connections = &services.sql_connections;
    loop {
        let PooledConnection { mut connection, was_used } = connections.acquire().await?;
        match services.engine.begin_task(&mut connection, &context.worker_id, &task, context.timeout).await {
            Err(error) if error.is_lost() => {
                // An idle connection may have been lost long ago; then the others probably were as well.
                connections.clear();
                if !was_used {
                    return Err(connections.record_failure(error.to_string()));
                }
            }
            is_ours => {
                if !was_used {
                    connections.record_success();
                }
                return Ok((connection, is_ours));
            }
        }
    }
}

fn task_id(context: &Context) -> TaskId {
    let Context { run_id, step, task_index, .. } = context;
    TaskId { run_id: run_id.clone(), step_slug: step.clone(), task_index: *task_index }
}

/// Ends the transaction, and resets the session in the same round trip. A pooler gives the session to other clients only after
/// the response is complete, so the reset reaches the right session.
async fn end(connection: &mut PgConnection, how: &str) -> Result<(), QueryError> {
    fetch(connection, format!("{how};\n{RESET_SESSION}")).await.map(drop)
}

/// Runs the query, completes the task, and ends the transaction.
async fn perform(connection: &mut PgConnection, sql: String, context: &Context) -> Result<Ended, QueryError> {
    let output = output(connection, sql).await?;
    match context.services.engine.complete_in_handler(connection, &task_id(context), &output).await {
        Ok(true) => end(connection, "commit").await.map(|()| Ended::Completed),
        Ok(false) => end(connection, "rollback").await.map(|()| Ended::OutputRejected(output)),
        // For example, jsonb does not support a character of the output; another attempt would fail as well.
        Err(error) if matches!(error.failure(), Failure::Sql | Failure::Encoding) => {
            Err(QueryError::Handler(HandlerError::permanent(format!("the database rejected the output: {error}"))))
        }
        Err(error) => Err(error.into()),
    }
}

async fn fetch(connection: &mut PgConnection, sql: String) -> Result<Vec<PgRow>, QueryError> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?)
}

/// The single row of the query. Further rows are not read, because there may be any number of them.
async fn row(connection: &mut PgConnection, sql: String) -> Result<Option<PgRow>, QueryError> {
    let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(connection);
    let Some(row) = rows.try_next().await? else { return Ok(None) };
    let more = rows.try_next().await?.is_some();
    let columns = row.len();
    if !more && columns == 1 {
        return Ok(Some(row));
    }
    let what = if more { "more than one row".to_owned() } else { format!("a row of {columns} columns") };
    let message = format!(
        "the query returned {what} instead of one value: \
         use jsonb_agg(…), jsonb_build_object(…) or row_to_json(…)"
    );
    Err(QueryError::UnreadRows(HandlerError::permanent(message)))
}

/// The value of the query as JSON; null if it returns no row.
async fn output(connection: &mut PgConnection, sql: String) -> Result<String, QueryError> {
    let Some(row) = row(connection, sql).await? else { return Ok("null".to_owned()) };
    let value = row.try_get_raw(0)?;
    if value.is_null() {
        return Ok("null".to_owned());
    }
    match json(&value)? {
        Some(json) => Ok(json),
        None => {
            let (of, text) = (value.type_info().oid().map_or(0, |oid| oid.0), text(&value)?.to_owned());
            convert(connection, of, &text).await
        }
    }
}

fn text<'v>(value: &PgValueRef<'v>) -> Result<&'v str, QueryError> {
    value
        .as_str()
        .map_err(|error| QueryError::Handler(HandlerError::permanent(format!("the output cannot be read: {error}"))))
}

/// A value of a common type as JSON; none if PostgreSQL has to convert it.
fn json(value: &PgValueRef<'_>) -> Result<Option<String>, QueryError> {
    let text = text(value)?;
    Ok(match value.type_info().name() {
        "JSON" | "JSONB" => Some(text.to_owned()),
        "BOOL" => Some(if text == "t" { "true" } else { "false" }.to_owned()),
        "INT2" | "INT4" | "INT8" => Some(text.to_owned()),
        "TEXT" | "VARCHAR" | "NAME" | "UUID" => Some(serde_json::Value::from(text).to_string()),
        "VOID" => Some("null".to_owned()),
        _ => None,
    })
}

/// Converts a value with `to_jsonb`. The cast names the type with type modifier -1, because plain `character` and `bit` mean a
/// length of 1.
async fn convert(connection: &mut PgConnection, of: u32, text: &str) -> Result<String, QueryError> {
    let name = fetch(connection, format!("select pg_catalog.format_type({of}, -1)")).await?;
    let name: String = name.first().map_or(Ok("text".to_owned()), |row| row.try_get(0))?;
    let cast = format!("select pg_catalog.to_jsonb(cast({} as {name}))::pg_catalog.text", literal(text));
    match fetch(connection, cast).await {
        Ok(json) => Ok(json.first().map_or(Ok("null".to_owned()), |row| row.try_get(0))?),
        // PostgreSQL has output but no input for this type, such as `record`.
        Err(QueryError::Database(error)) if matches!(error.failure(), Failure::Sql | Failure::Encoding) => {
            Err(QueryError::Handler(HandlerError::permanent(format!(
                "the output has the type {name}, which is not JSON: wrap it in to_jsonb(…) ({error})"
            ))))
        }
        Err(broken) => Err(broken),
    }
}
