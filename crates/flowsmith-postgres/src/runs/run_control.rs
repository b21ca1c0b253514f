//! Cancelling and retrying runs.

use minijinja::{Value, context};
use serde::Deserialize;
use sqlx::postgres::PgConnection;

use super::{Engine, Flows, RunSummary, RunsError, query};

/// The run after the call, and whether this call has changed it. It has not if the run ended, or was cancelled or retried by
/// another session, just before.
#[derive(Deserialize)]
struct ChangedRun {
    #[serde(flatten)]
    run: RunSummary,
    has_changed: bool,
}

/// Cancels a running run. The run fails, its remaining tasks are not started, and [`retry_run`] can resume it.
///
/// # Errors
/// If the run has ended, the engine does not support it, or the database reports an error.
pub async fn cancel_run(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
    run_id: &str,
    reason: Option<&str>,
) -> Result<RunSummary, RunsError> {
    engine.require_operations("cancelling a run")?;
    let context = context! { engine => engine.context(), what => "cancel", run_id, reason };
    let ChangedRun { run, has_changed } = call(connection, run_id, context).await?;
    if !has_changed {
        return Err(RunsError::WrongStatus { run_id: run.run_id, status: run.status, done: "cancelled" });
    }
    Ok(named(run, flows))
}

/// Retries a failed run: its failed and interrupted steps run again with all their attempts; completed steps keep their
/// outputs.
///
/// # Errors
/// If the run has not failed, the engine does not support it, or the database reports an error.
pub async fn retry_run(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
    run_id: &str,
) -> Result<RunSummary, RunsError> {
    engine.require_operations("retrying a run")?;
    let context = context! { engine => engine.context(), what => "retry", run_id };
    let ChangedRun { run, has_changed } = call(connection, run_id, context).await?;
    if !has_changed {
        return Err(RunsError::WrongStatus { run_id: run.run_id, status: run.status, done: "retried" });
    }
    Ok(named(run, flows))
}

async fn call(connection: &mut PgConnection, run_id: &str, context: Value) -> Result<ChangedRun, RunsError> {
    let mut changed: Vec<ChangedRun> = query::write(connection, &["call.sql"], "changed_run.sql", context).await?;
    // The run existed when its id was resolved; another session has pruned it since.
    changed.pop().ok_or_else(|| RunsError::NoRun {
        prefix: run_id.parse().expect("the id comes from the database"),
        database: None,
    })
}

fn named(mut run: RunSummary, flows: &Flows) -> RunSummary {
    if let Some(flow) = flows.by_slug(&run.slug) {
        run.flow.clone_from(&flow.flow);
        run.version = flow.version;
    }
    run
}
