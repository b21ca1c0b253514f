//! `sql` handlers: the query and the completion of the task are one transaction, so that what the query does is done exactly
//! once, whatever is killed on the way.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnection, PgRow, PgValueRef};
use sqlx::{AssertSqlSafe, Row as _, TypeInfo as _, ValueRef as _};

use super::super::engine::{BEGIN, fill_one};
use super::super::handler::{Context, Handle, HandlerError, Outcome, Unreached};
use super::super::task::TaskId;
use flowsmith_core::sql::Statement;
use flowsmith_core::sql::quote::literal;
use flowsmith_postgres::database::{DatabaseError, Failure};

/// How long it may take to get a connection and to begin on it, before the task's own time begins.
const REACH: Duration = Duration::from_secs(15);

/// How long undoing may take, before the connection is dropped.
const ROLLBACK: Duration = Duration::from_secs(5);

/// What DISCARD ALL does, except that it may follow other statements, and that plans and prepared statements stay: these are a
/// pooler's, whose other clients rely on them.
const FORGET: &str = "close all; set session authorization default; reset role; reset all; unlisten *; \
                      select pg_catalog.pg_advisory_unlock_all(); discard sequences; discard temp";

/// A query whose one value is the output.
pub(in super::super) struct Sql(pub(in super::super) Statement);

/// Why it came to nothing.
enum Broken {
    Database(DatabaseError),
    Handler(HandlerError),
    /// There is more to read on the connection than anybody wants to.
    Rows(HandlerError),
}

impl<E: Into<DatabaseError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// How the transaction is to end.
enum Done {
    /// The task is completed in it.
    Completed,
    /// The engine did not take the output in it: it is to be told again outside, without what the query has done.
    Refused(String),
    /// The task is not this worker's any more.
    Gone,
}

impl Handle for Sql {
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
    let tools = &context.tools;
    let reached = match tokio::time::timeout(REACH, reach(&context)).await {
        Ok(reached) => reached,
        Err(_) => Err(tools.unreached(format!("no connection for a `sql` handler within {} s", REACH.as_secs()))),
    };
    let (mut connection, begun) = match reached {
        Ok(reached) => reached,
        Err(unreached) => return Outcome::Unbegun(unreached),
    };
    // Where the connection is dropped, the server undoes what was done on it.
    let worked = match begun {
        Err(error) => Err(Broken::Database(error)),
        Ok(false) => end(&mut connection, "rollback").await.map(|()| Done::Gone),
        Ok(true) => match tokio::time::timeout(context.timeout, work(&mut connection, sql, &context)).await {
            Ok(worked) => worked,
            Err(_) => return Outcome::Failed(HandlerError::timed_out(context.timeout)),
        },
    };
    let ended = match worked {
        Ok(Done::Completed) => Outcome::Completed,
        Ok(Done::Refused(output)) => Outcome::Output(output),
        Ok(Done::Gone) => Outcome::Gone,
        Err(Broken::Rows(error)) => return Outcome::Failed(error),
        Err(Broken::Database(error)) if error.is_lost() => {
            // It may have been committed or not; whoever reports finds out.
            tools.forget_connections();
            return Outcome::Lost(error.to_string());
        }
        Err(broken) => {
            let rollback = tokio::time::timeout(ROLLBACK, end(&mut connection, "rollback")).await;
            let failed = Outcome::Failed(match broken {
                Broken::Database(error) => HandlerError::retry(error.to_string()),
                Broken::Handler(error) | Broken::Rows(error) => error,
            });
            match rollback {
                Ok(Ok(())) => failed,
                _ => return failed,
            }
        }
    };
    tools.give_back(connection);
    ended
}

/// A connection on which the transaction was begun; whether the task is still this worker's.
async fn reach(context: &Context) -> Result<(PgConnection, Result<bool, DatabaseError>), Unreached> {
    loop {
        let (mut connection, was_used) = context.tools.connection().await?;
        match begin(&mut connection, context).await {
            Err(error) if error.is_lost() => {
                // One that was used may have been lost long ago, since when nobody has noticed; so may the others.
                context.tools.forget_connections();
                if !was_used {
                    return Err(context.tools.unreached(error.to_string()));
                }
            }
            begun => {
                if !was_used {
                    context.tools.reached();
                }
                return Ok((connection, begun));
            }
        }
    }
}

/// Ends the transaction, and with it, in the same round trip, whatever a query may have left in its session. Behind a pooler
/// this reaches the session that it is about, since nobody else gets it before the answer is complete.
async fn end(connection: &mut PgConnection, how: &str) -> Result<(), Broken> {
    rows(connection, format!("{how};\n{FORGET}")).await.map(drop)
}

/// Begins the transaction; whether the task is still this worker's.
async fn begin(connection: &mut PgConnection, context: &Context) -> Result<bool, DatabaseError> {
    let (timeout, worker) = (literal(&context.timeout.as_millis().to_string()), literal(&context.worker_id));
    let begin = fill_one(&BEGIN, &task(context), &[("timeout", &timeout), ("worker", &worker)]);
    Ok(!sqlx::raw_sql(AssertSqlSafe(begin)).fetch_all(connection).await?.is_empty())
}

fn task(context: &Context) -> TaskId {
    let Context { run_id, step, task_index, .. } = context;
    TaskId { run_id: run_id.clone(), step_slug: step.clone(), task_index: *task_index }
}

async fn work(connection: &mut PgConnection, sql: String, context: &Context) -> Result<Done, Broken> {
    let output = output(connection, sql).await?;
    match context.tools.engine.complete_one(connection, &task(context), &output).await {
        Ok(true) => end(connection, "commit").await.map(|()| Done::Completed),
        Ok(false) => end(connection, "rollback").await.map(|()| Done::Refused(output)),
        // As JSON with a character that jsonb does not have: the next attempt would give the same.
        Err(error) if error.failure() == Failure::Sql => {
            Err(Broken::Handler(HandlerError::last(format!("the database rejected the output: {error}"))))
        }
        Err(error) => Err(error.into()),
    }
}

async fn rows(connection: &mut PgConnection, sql: String) -> Result<Vec<PgRow>, Broken> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?)
}

/// The one row that the query gives. More than one are not read: there may be any number.
async fn row(connection: &mut PgConnection, sql: String) -> Result<Option<PgRow>, Broken> {
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
    Err(Broken::Rows(HandlerError::last(message)))
}

/// The one value that the query gives, as JSON; null where it gives no row.
async fn output(connection: &mut PgConnection, sql: String) -> Result<String, Broken> {
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

fn text<'v>(value: &PgValueRef<'v>) -> Result<&'v str, Broken> {
    value.as_str().map_err(|error| Broken::Handler(HandlerError::last(format!("the output cannot be read: {error}"))))
}

/// The values of common types as JSON; none where PostgreSQL has to say how.
fn json(value: &PgValueRef<'_>) -> Result<Option<String>, Broken> {
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

/// As `to_jsonb` has it. The type is named without a length, which `character` and `bit` would have: 1.
async fn convert(connection: &mut PgConnection, of: u32, text: &str) -> Result<String, Broken> {
    let name = rows(connection, format!("select pg_catalog.format_type({of}, -1)")).await?;
    let name: String = name.first().map_or(Ok("text".to_owned()), |row| row.try_get(0))?;
    let cast = format!("select pg_catalog.to_jsonb(cast({} as {name}))::pg_catalog.text", literal(text));
    match rows(connection, cast).await {
        Ok(json) => Ok(json.first().map_or(Ok("null".to_owned()), |row| row.try_get(0))?),
        // PostgreSQL writes values of this type and reads none, as rows without a type.
        Err(Broken::Database(error)) if error.failure() == Failure::Sql => Err(Broken::Handler(HandlerError::last(
            format!("the output has the type {name}, which is not JSON: wrap it in to_jsonb(…) ({error})"),
        ))),
        Err(broken) => Err(broken),
    }
}
