//! Listing runs.

use std::fmt;

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::RunStatus;
use super::{Engine, Flows, OperateError, query};

/// A run in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its id.
    pub run_id: String,
    /// The flow, as the flow files call it.
    pub flow: String,
    /// The flow's version.
    pub version: u32,
    /// The slug of both in the database.
    pub slug: String,
    /// How far it has come.
    pub status: RunStatus,
    /// When it was started, RFC 3339.
    pub started_at: String,
    /// When it was last retried.
    pub retried_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How long it took, or has taken so far, in seconds, since it was started or last retried.
    pub seconds: f64,
    /// How many steps it has.
    pub steps: u32,
    /// How many of them are not done.
    pub remaining_steps: u32,
    /// What failed it; none where it has not failed, and where it was cancelled.
    pub failure: Option<RunFailure>,
}

/// What failed a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFailure {
    /// The step.
    pub step: String,
    /// What its handler said.
    pub error: Option<String>,
}

impl fmt::Display for RunFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.error.as_deref().unwrap_or("no error was given"))
    }
}

/// Which runs to list.
#[derive(Debug, Clone)]
pub struct RunFilter {
    /// Only of these flow versions, by slug; none = of all.
    pub slugs: Option<Vec<String>>,
    /// Only those that have come so far; none = all.
    pub status: Option<RunStatus>,
    /// Only those that are under way, or ended within so many seconds.
    pub since: Option<f64>,
    /// At most so many.
    pub limit: u32,
}

/// Runs, those first to which something happened last.
#[derive(Debug, Clone, Default)]
pub struct RunList {
    /// At most as many as the filter lets through.
    pub runs: Vec<RunSummary>,
    /// Whether there are more.
    pub is_cut: bool,
}

/// How many of the runs that ended last are looked through before those of the flows asked for are looked up. Cheap either
/// way, however many runs there are.
const WINDOW: u32 = 5_000;

/// Lists runs: by what happened to them last, the newest first.
///
/// # Errors
/// Where the connection fails, or the role may not read runs.
pub async fn list_runs(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
    filter: &RunFilter,
) -> Result<RunList, OperateError> {
    let is_choosy = filter.slugs.is_some() || filter.status.is_some();
    let every = || flows.all().iter().map(|flow| flow.slug.clone()).collect();
    let context = context! {
        engine => engine.context(),
        slugs => filter.slugs.clone().unwrap_or_else(every),
        status => filter.status.map(RunStatus::as_str),
        since => filter.since,
        limit => filter.limit.saturating_add(1),
        window => if is_choosy { WINDOW.max(filter.limit.saturating_add(1)) } else { filter.limit.saturating_add(1) },
    };
    let mut runs: Vec<RunSummary> = query::read(connection, include_str!("runs.sql"), &context).await?;
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
