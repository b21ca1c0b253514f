//! Lists of runs.

use std::fmt;

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, Flows, RunStatus, RunsError, query};

/// A run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunSummary {
    /// The id.
    pub run_id: String,
    /// The name of the flow in the flow files.
    pub flow: String,
    /// The version of the flow.
    pub version: u32,
    /// The slug of the flow version in the database.
    pub slug: String,
    /// The status.
    pub status: RunStatus,
    /// The start time, RFC 3339.
    pub started_at: String,
    /// The time of the last retry.
    pub retried_at: Option<String>,
    /// The end time.
    pub ended_at: Option<String>,
    /// The time from the start or the last retry to the end or to the present, in seconds.
    pub seconds: f64,
    /// The number of steps.
    pub steps: u32,
    /// The number of steps that are neither completed nor skipped.
    pub remaining_steps: u32,
    /// The cause of the failure; none if the run has not failed or was cancelled.
    pub failure: Option<RunFailure>,
}

/// The failed step of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFailure {
    /// The slug of the step.
    pub step: String,
    /// The error message of its handler.
    pub error: Option<String>,
}

impl fmt::Display for RunFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.error.as_deref().unwrap_or("no error message"))
    }
}

/// The runs to list.
#[derive(Debug, Clone)]
pub struct RunFilter {
    /// The slugs of the flow versions; none = all.
    pub slugs: Option<Vec<String>>,
    /// The status; none = any.
    pub status: Option<RunStatus>,
    /// The maximum time since the end of the run, in seconds; running runs are always listed.
    pub since: Option<f64>,
    /// The maximum number of runs.
    pub limit: u32,
}

/// The result of [`list_runs`].
#[derive(Debug, Clone, Default)]
pub struct RunList {
    /// The runs, ordered by their last change, newest first.
    pub runs: Vec<RunSummary>,
    /// Whether the limit has cut off further runs.
    pub is_cut: bool,
}

/// The number of recently ended runs that are searched first. Only if too few of them match, the query reads the runs of each
/// requested flow. Both are fast for any number of runs.
const WINDOW: u32 = 5_000;

/// Lists runs, ordered by their last change, newest first.
///
/// # Errors
/// If the connection fails or the role may not read runs.
pub async fn list_runs(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
    filter: &RunFilter,
) -> Result<RunList, RunsError> {
    let is_filtered = filter.slugs.is_some() || filter.status.is_some();
    let limit = filter.limit.saturating_add(1);
    let all = || flows.all().iter().map(|flow| flow.slug.clone()).collect();
    let context = context! {
        engine => engine.context(),
        slugs => filter.slugs.clone().unwrap_or_else(all),
        status => filter.status.map(RunStatus::as_str),
        since => filter.since,
        limit,
        window => if is_filtered { WINDOW.max(limit) } else { limit },
    };
    let mut runs: Vec<RunSummary> = query::read(connection, "list.sql", context).await?;
    let is_cut = runs.len() > filter.limit as usize;
    runs.truncate(filter.limit as usize);
    for run in &mut runs {
        if let Some(flow) = flows.by_slug(&run.slug) {
            run.flow.clone_from(&flow.flow);
            run.version = flow.version;
        }
    }
    Ok(RunList { runs, is_cut })
}
