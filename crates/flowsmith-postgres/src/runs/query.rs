//! Runs the queries of this folder.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use minijinja::{Value, context};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::RunsError;
use crate::database::DatabaseError;
use crate::database::sql::{Templates, templates};
use crate::database::transaction::{Opening, send};
use crate::introspection::RECREATE_QUEUE;

static TEMPLATES: LazyLock<Templates> = templates![
    ".":
    "transaction.sql",
    // Parts of other templates.
    "last_worker.sql",
    "payload.sql",
    "run_summary.sql",
    "run_time.sql",
    "running_tasks.sql",
    // Queries.
    "active.sql",
    "changed_run.sql",
    "events.sql",
    "flows.sql",
    "maps_input.sql",
    "prunable.sql",
    "pruned.sql",
    "queue_workers.sql",
    "queues.sql",
    "retire.sql",
    "run_id.sql",
    "list.sql",
    "short_ids.sql",
    "show.sql",
    "stalled.sql",
    "stats.sql",
    "step_stats.sql",
    "workers.sql",
    // Changes.
    "call.sql",
    "pause.sql",
    "prune.sql",
    "record_cancelled.sql",
    "record_paused.sql",
    "record_pruned.sql",
    "record_retried.sql",
    "requeue.sql",
];

tokio::task_local! {
    static STATEMENT_TIMEOUT: Duration;
}

/// Sets `statement_timeout` for the queries of a future. The server then cancels a slow query even if the client has gone.
pub async fn with_statement_timeout<T>(timeout: Duration, queries: impl Future<Output = T>) -> T {
    STATEMENT_TIMEOUT.scope(timeout, queries).await
}

/// Runs a query in a read-only snapshot, in one round trip.
pub(super) async fn read<T: DeserializeOwned>(
    connection: &mut PgConnection,
    query: &'static str,
    context: Value,
) -> Result<Vec<T>, RunsError> {
    rows(connection, Opening::snapshot(), &[], query, context).await
}

/// Runs statements that return no rows and then a query, in one transaction and one round trip.
pub(super) async fn write<T: DeserializeOwned>(
    connection: &mut PgConnection,
    statements: &[&'static str],
    query: &'static str,
    context: Value,
) -> Result<Vec<T>, RunsError> {
    rows(connection, Opening::write(), statements, query, context).await.map_err(|error| match error {
        // Detection has found all tables of the engine, so the missing table is the queue of a flow.
        RunsError::Database(error) if error.is_undefined_table() => {
            error.with_hint(format!("the queue of the flow is missing: {RECREATE_QUEUE}")).into()
        }
        error => error,
    })
}

async fn rows<T: DeserializeOwned>(
    connection: &mut PgConnection,
    opening: Opening,
    statements: &[&'static str],
    query: &'static str,
    context: Value,
) -> Result<Vec<T>, RunsError> {
    let opening = match STATEMENT_TIMEOUT.try_with(|timeout| *timeout) {
        Ok(timeout) => opening.statement_timeout(timeout),
        Err(_) => opening,
    };
    let context = context! { statements => statements.to_vec(), query, ..context };
    let rows = send(connection, opening, &TEMPLATES.render("transaction.sql", context)).await?;
    let answers = rows.iter().map(|row| {
        let text: &str = row.try_get("answer").map_err(DatabaseError::from)?;
        Ok(serde_json::from_str(text)?)
    });
    answers.collect()
}
