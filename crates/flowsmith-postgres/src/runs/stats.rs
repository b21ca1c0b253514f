//! Statistics of flows: numbers and durations of runs and steps, and the backlog.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, FlowVersion, QueueDepth, RunsError, query, read_queues};

/// Percentiles of durations, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The maximum.
    pub max: f64,
}

/// The statistics of a flow version over a period, and its backlog.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlowStats {
    /// The slug of the flow version.
    pub slug: String,
    /// The name of the flow in the flow files.
    pub flow: String,
    /// The version of the flow.
    pub version: u32,
    /// The number of running runs.
    pub under_way: u64,
    /// The number of runs that completed in the period.
    pub completed: u64,
    /// The number of runs that failed in the period.
    pub failed: u64,
    /// The number of runs that were cancelled in the period.
    pub cancelled: u64,
    /// The durations of the completed runs since their start or last retry; none if there are none.
    pub durations: Option<Durations>,
    /// The number of messages that are visible to workers.
    pub waiting: u64,
    /// The time for which the oldest visible message has been visible, in seconds.
    pub longest_wait_seconds: Option<f64>,
    /// The number of running tasks.
    pub in_flight: u64,
    /// The statistics of the steps; empty if they were not requested.
    pub steps: Vec<StepStats>,
}

/// The statistics of a step over a period.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepStats {
    /// The slug of the step.
    pub step: String,
    /// The number of completions.
    pub completed: u64,
    /// The number of failures.
    pub failed: u64,
    /// The number of times it was skipped.
    pub skipped: u64,
    /// The durations of its completions, from the time it was queued.
    pub durations: Option<Durations>,
}

/// The numbers of runs of a flow version.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct RunCounts {
    /// The slug of the flow version.
    pub slug: String,
    /// The number of running runs.
    pub under_way: u64,
    /// The number of runs that completed in the period.
    pub completed: u64,
    /// The number of runs that failed in the period.
    pub failed: u64,
    /// The number of runs that were cancelled in the period.
    pub cancelled: u64,
    durations: Option<Durations>,
}

/// Counts the runs of flow versions that are running or ended in the last `since` seconds.
///
/// # Errors
/// If the connection fails or the role may not read runs.
pub async fn read_run_counts(
    connection: &mut PgConnection,
    engine: Engine,
    slugs: Vec<String>,
    since: f64,
) -> Result<Vec<RunCounts>, RunsError> {
    let context = context! { engine => engine.context(), slugs, since };
    query::read(connection, "stats.sql", context).await
}

/// Reads the statistics of flow versions over the last `since` seconds, and with `by_step` those of their steps.
///
/// # Errors
/// If the connection fails or the role may not read runs and queues.
pub async fn read_stats(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &[&FlowVersion],
    since: f64,
    by_step: bool,
) -> Result<Vec<FlowStats>, RunsError> {
    #[derive(Deserialize)]
    struct OfStep {
        slug: String,
        stats: StepStats,
    }
    let queues: Vec<QueueDepth> = read_queues(connection, engine, flows).await?;
    let slugs: Vec<String> = flows.iter().map(|flow| flow.slug.clone()).collect();
    let context = context! { engine => engine.context(), slugs => &slugs, since };
    let of_flows = read_run_counts(connection, engine, slugs, since).await?;
    let mut of_steps: Vec<OfStep> =
        if by_step { query::read(connection, "step_stats.sql", context).await? } else { Vec::new() };
    Ok(queues
        .into_iter()
        .map(|queue| {
            let found = of_flows.iter().find(|of_flow| of_flow.slug == queue.slug);
            let steps = of_steps.extract_if(.., |of_step| of_step.slug == queue.slug).map(|of_step| of_step.stats);
            FlowStats {
                under_way: found.map_or(0, |found| found.under_way),
                completed: found.map_or(0, |found| found.completed),
                failed: found.map_or(0, |found| found.failed),
                cancelled: found.map_or(0, |found| found.cancelled),
                durations: found.and_then(|found| found.durations),
                steps: steps.collect(),
                slug: queue.slug,
                flow: queue.flow,
                version: queue.version,
                waiting: queue.waiting,
                longest_wait_seconds: queue.longest_wait_seconds,
                in_flight: queue.in_flight,
            }
        })
        .collect())
}
