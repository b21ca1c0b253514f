//! Ending a run, and taking one up again.

use minijinja::context;
use serde::Deserialize;
use sqlx::postgres::PgConnection;

use super::{Engine, Flows, OperateError, RunFailure, RunSummary, query};
use crate::live::RunStatus;

/// What the call gave, and what the run was before it.
#[derive(Deserialize)]
struct Mended {
    run_id: String,
    slug: String,
    flow: String,
    version: u32,
    status: RunStatus,
    started_at: String,
    ended_at: Option<String>,
    seconds: f64,
    steps: u32,
    remaining_steps: u32,
    failure: Option<RunFailure>,
    /// As the engine calls it, whatever failed it.
    was: RunStatus,
}

/// Ends a run that is under way: it has failed then, its tasks are not started any more, and `retry_run` can take it up.
///
/// # Errors
/// Where the run is over, the engine cannot, or the database fails.
pub async fn cancel_run(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
    run_id: &str,
    reason: Option<&str>,
) -> Result<RunSummary, OperateError> {
    engine.needs_operations("cancelling a run")?;
    let context = context! { engine => engine.context(), what => "cancel", run_id, reason };
    let run = call(connection, engine, include_str!("note_cancelled.sql"), run_id, &context).await?;
    if run.was != RunStatus::Started || run.status != RunStatus::Cancelled {
        return Err(OperateError::WrongStatus { run_id: run.run_id, status: run.status, done: "cancelled" });
    }
    Ok(summary(run, flows))
}

/// Takes a failed run up again: its failed steps and those that were under way, with all their attempts; what has completed
/// stays.
///
/// # Errors
/// Where the run has not failed, the engine cannot, or the database fails.
pub async fn retry_run(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
    run_id: &str,
) -> Result<RunSummary, OperateError> {
    engine.needs_operations("retrying a run")?;
    let context = context! { engine => engine.context(), what => "retry", run_id };
    let run = call(connection, engine, include_str!("note_retried.sql"), run_id, &context).await?;
    if run.was != RunStatus::Failed {
        return Err(OperateError::WrongStatus { run_id: run.run_id, status: run.was, done: "retried" });
    }
    Ok(summary(run, flows))
}

async fn call(
    connection: &mut PgConnection,
    engine: Engine,
    note: &str,
    run_id: &str,
    context: &minijinja::Value,
) -> Result<Mended, OperateError> {
    let before = [note, include_str!("call.sql")];
    let before = if engine.has_ledger { &before[..] } else { &before[1..] };
    let mut mended: Vec<Mended> = query::write_after(connection, before, include_str!("called.sql"), context).await?;
    // It was there when its id was looked up; since then somebody has pruned it.
    mended.pop().ok_or_else(|| OperateError::NoRun(run_id.parse().expect("an id that the database gave")))
}

fn summary(run: Mended, flows: &Flows) -> RunSummary {
    let (flow, version) =
        flows.by_slug(&run.slug).map_or((run.flow, run.version), |flow| (flow.flow.clone(), flow.version));
    RunSummary {
        run_id: run.run_id,
        flow,
        version,
        slug: run.slug,
        status: run.status,
        started_at: run.started_at,
        ended_at: run.ended_at,
        seconds: run.seconds,
        steps: run.steps,
        remaining_steps: run.remaining_steps,
        failure: run.failure,
    }
}
