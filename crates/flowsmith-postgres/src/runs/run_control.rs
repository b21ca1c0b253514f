//! Ending a run, and taking one up again.

use minijinja::context;
use serde::Deserialize;
use sqlx::postgres::PgConnection;

use super::{Engine, Flows, RunsError, RunSummary, query};

/// What the call gave, and whether the call did that: the run may have ended, or been retried, in the moment before.
#[derive(Deserialize)]
struct Mended {
    #[serde(flatten)]
    run: RunSummary,
    has_changed: bool,
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
) -> Result<RunSummary, RunsError> {
    engine.require_operations("cancelling a run")?;
    let context = context! { engine => engine.context(), what => "cancel", run_id, reason };
    let Mended { run, has_changed } =
        call(connection, engine, include_str!("note_cancelled.sql"), run_id, &context).await?;
    if !has_changed {
        return Err(RunsError::WrongStatus { run_id: run.run_id, status: run.status, done: "cancelled" });
    }
    Ok(named(run, flows))
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
) -> Result<RunSummary, RunsError> {
    engine.require_operations("retrying a run")?;
    let context = context! { engine => engine.context(), what => "retry", run_id };
    let Mended { run, has_changed } =
        call(connection, engine, include_str!("note_retried.sql"), run_id, &context).await?;
    if !has_changed {
        return Err(RunsError::WrongStatus { run_id: run.run_id, status: run.status, done: "retried" });
    }
    Ok(named(run, flows))
}

async fn call(
    connection: &mut PgConnection,
    engine: Engine,
    note: &str,
    run_id: &str,
    context: &minijinja::Value,
) -> Result<Mended, RunsError> {
    let before = [include_str!("call.sql"), note];
    let before = if engine.has_ledger { &before[..] } else { &before[..1] };
    let mut mended: Vec<Mended> = query::write_after(connection, before, include_str!("called.sql"), context).await?;
    // It was there when its id was looked up; since then somebody has pruned it.
    mended.pop().ok_or_else(|| RunsError::NoRun {
        prefix: run_id.parse().expect("an id that the database gave"),
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
