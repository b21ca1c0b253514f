//! Pausing and resuming flows.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, FlowVersion, RunsError, query};

/// A flow version that was paused or resumed.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct FlowPause {
    /// The slug of the flow version.
    pub slug: String,
    /// The name in the flow files.
    pub flow: String,
    /// The version.
    pub version: u32,
    /// Whether it is paused now.
    pub is_paused: bool,
    /// Whether this call changed it; false if it was paused, or not paused, before.
    pub has_changed: bool,
}

/// Pauses flow versions: workers claim none of their tasks. Runs can still be started, and running tasks completed.
///
/// # Errors
/// If the engine does not support it or the database reports an error. No flow is paused then.
pub async fn pause_flows(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
) -> Result<Vec<FlowPause>, RunsError> {
    engine.require_operations("pausing a flow")?;
    set(connection, flows, true).await
}

/// Resumes paused flow versions.
///
/// # Errors
/// If the engine does not support it or the database reports an error. No flow is resumed then.
pub async fn resume_flows(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
) -> Result<Vec<FlowPause>, RunsError> {
    engine.require_operations("resuming a flow")?;
    set(connection, flows, false).await
}

async fn set(
    connection: &mut PgConnection,
    flows: &[&FlowVersion],
    is_paused: bool,
) -> Result<Vec<FlowPause>, RunsError> {
    #[derive(Deserialize)]
    struct Answer {
        slug: String,
        has_changed: bool,
    }
    let slugs: Vec<String> = flows.iter().map(|flow| flow.slug.clone()).collect();
    let answers: Vec<Answer> = query::write(connection, &[], "pause.sql", context! { slugs, is_paused }).await?;
    let by_slug = |slug: &str| flows.iter().find(|flow| flow.slug == slug).copied();
    Ok(answers
        .into_iter()
        .filter_map(|Answer { slug, has_changed }| {
            let flow = by_slug(&slug)?;
            Some(FlowPause { flow: flow.flow.clone(), version: flow.version, slug, is_paused, has_changed })
        })
        .collect())
}
