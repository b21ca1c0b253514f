//! Holding the tasks of flows back.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, FlowVersion, RunsError, query};

/// A flow version that was paused or let go.
#[derive(Debug, Clone, Serialize)]
pub struct FlowPause {
    /// The flow version's slug.
    pub slug: String,
    /// The flow, as the flow files call it.
    pub flow: String,
    /// The flow's version.
    pub version: u32,
    /// Whether it is paused now.
    pub is_paused: bool,
    /// Whether it was not before, or was.
    pub has_changed: bool,
}

/// Nobody starts a task of these flow versions until they are let go. Runs can be started, tasks in hand be completed.
///
/// # Errors
/// Where the engine cannot, or the database fails; then none is paused.
pub async fn pause_flows(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
) -> Result<Vec<FlowPause>, RunsError> {
    engine.require_operations("pausing a flow")?;
    set(connection, engine, flows, true).await
}

/// Lets the tasks of these flow versions go.
///
/// # Errors
/// Where the engine cannot, or the database fails; then none is let go.
pub async fn resume_flows(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
) -> Result<Vec<FlowPause>, RunsError> {
    engine.require_operations("resuming a flow")?;
    set(connection, engine, flows, false).await
}

async fn set(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
    is_paused: bool,
) -> Result<Vec<FlowPause>, RunsError> {
    #[derive(Deserialize)]
    struct Answer {
        slug: String,
        has_changed: bool,
    }
    let slugs: Vec<String> = flows.iter().map(|flow| flow.slug.clone()).collect();
    let context = context! { slugs, is_paused };
    let call = include_str!("pause.sql");
    let answers: Vec<Answer> = if engine.has_ledger {
        query::write_after(connection, &[include_str!("note_paused.sql")], call, &context).await?
    } else {
        query::write(connection, call, &context).await?
    };
    let of = |answer: &Answer| flows.iter().find(|flow| flow.slug == answer.slug).copied();
    Ok(answers
        .iter()
        .filter_map(|answer| {
            let FlowVersion { slug, flow, version, .. } = of(answer)?.clone();
            Some(FlowPause { slug, flow, version, is_paused, has_changed: answer.has_changed })
        })
        .collect())
}
