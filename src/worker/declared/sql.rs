//! `sql` handlers: the query and the completion of the task are one transaction, so that what the query does is done exactly
//! once, whatever is killed on the way.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnection, PgRow, PgValueRef};
use sqlx::{AssertSqlSafe, Row as _, TypeInfo as _, ValueRef as _};

use super::super::engine::{BEGIN, fill_one};
use super::super::handler::{Context, Handle, HandlerError, Outcome};
use super::super::task::TaskId;
use crate::database::{DatabaseError, Statement};
use crate::migration::quote::literal;

/// A query whose one value is the output.
pub(in super::super) struct Sql(pub(in super::super) Statement);

/// Why it came to nothing.
enum Broken {
    Database(DatabaseError),
    Handler(HandlerError),
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
}

async fn run(sql: String, context: Context) -> Outcome {
    // Never closed.
    let _permit = context.tools.sql_connections.acquire().await;
    let not_begun = |error: DatabaseError| Outcome::Unknown { error: error.to_string(), begun: false };
    let mut connection = match context.tools.connection().await {
        Ok(connection) => connection,
        Err(error) => return not_begun(error),
    };
    let mut begun = begin(&mut connection, &context).await;
    if matches!(&begun, Err(error) if error.is_lost()) {
        // It may have been lost long ago, since when nobody has used it.
        context.tools.forget_connections();
        connection = match context.tools.connection().await {
            Ok(connection) => connection,
            Err(error) => return not_begun(error),
        };
        begun = begin(&mut connection, &context).await;
    }
    // Where this is dropped, the connection goes with it, and the server undoes what was done on it.
    let worked = match begun {
        Err(error) if error.is_lost() => return not_begun(error),
        Err(error) => Err(Broken::Database(error)),
        Ok(false) => rows(&mut connection, "rollback".to_owned()).await.map(|_| Done::Gone),
        Ok(true) => work(&mut connection, sql, &context).await,
    };
    match worked {
        Ok(Done::Completed) => {
            context.tools.give_back(connection);
            Outcome::Completed
        }
        Ok(Done::Refused(output)) => {
            context.tools.give_back(connection);
            Outcome::Output(output)
        }
        Ok(Done::Gone) => {
            context.tools.give_back(connection);
            Outcome::Gone
        }
        Err(Broken::Database(error)) if error.is_lost() => {
            // It may have been committed or not; whoever gives the task back finds out.
            context.tools.forget_connections();
            Outcome::Unknown { error: error.to_string(), begun: true }
        }
        Err(broken) => {
            if sqlx::raw_sql("rollback").execute(&mut connection).await.is_ok() {
                context.tools.give_back(connection);
            }
            Outcome::Failed(match broken {
                Broken::Database(error) => HandlerError::retry(error.to_string()),
                Broken::Handler(error) => error,
            })
        }
    }
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
    if !context.tools.engine.complete_one(connection, &task(context), &output).await? {
        rows(connection, "rollback".to_owned()).await?;
        return Ok(Done::Refused(output));
    }
    rows(connection, "commit".to_owned()).await?;
    Ok(Done::Completed)
}

async fn rows(connection: &mut PgConnection, sql: String) -> Result<Vec<PgRow>, Broken> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?)
}

/// The one value that the query gives, as JSON; null where it gives no row.
async fn output(connection: &mut PgConnection, sql: String) -> Result<String, Broken> {
    let found = rows(connection, sql).await?;
    let (count, columns) = (found.len(), found.first().map_or(0, PgRow::len));
    let row = match found.as_slice() {
        [] => return Ok("null".to_owned()),
        [row] if columns == 1 => row,
        _ => {
            let message = format!(
                "the query gave {count} rows of {columns} columns, and its output is one value: \
                 write jsonb_agg(…), jsonb_build_object(…) or row_to_json(…)"
            );
            return Err(Broken::Handler(HandlerError::last(message)));
        }
    };
    let value = row.try_get_raw(0)?;
    if value.is_null() {
        return Ok("null".to_owned());
    }
    match json(&value)? {
        Some(json) => Ok(json),
        None => {
            let (of, text) = (value.type_info().oid().map_or(0, |oid| oid.0), text(&value)?.to_owned());
            drop(found);
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

/// As `to_jsonb` has it.
async fn convert(connection: &mut PgConnection, of: u32, text: &str) -> Result<String, Broken> {
    let name = rows(connection, format!("select pg_catalog.format_type({of}, null)")).await?;
    let name: String = name.first().map_or(Ok("text".to_owned()), |row| row.try_get(0))?;
    let cast = format!("select pg_catalog.to_jsonb(cast({} as {name}))::pg_catalog.text", literal(text));
    let json = rows(connection, cast).await?;
    Ok(json.first().map_or(Ok("null".to_owned()), |row| row.try_get(0))?)
}
