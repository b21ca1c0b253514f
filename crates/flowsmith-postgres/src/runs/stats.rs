//! How flows have been doing: how many runs, how long they took, how many failed, what waits.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, FlowVersion, RunsError, QueueDepth, query, read_queues};

/// Durations, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// Half of them took less.
    pub p50: f64,
    /// 95 of 100 took less.
    pub p95: f64,
    /// The longest.
    pub max: f64,
}

/// A flow version's runs that ended within some time, and what it has to do.
#[derive(Debug, Clone, Serialize)]
pub struct FlowStats {
    /// The flow version's slug.
    pub slug: String,
    /// The flow, as the flow files call it.
    pub flow: String,
    /// The flow's version.
    pub version: u32,
    /// How many runs are under way.
    pub under_way: u64,
    /// How many have completed in that time.
    pub completed: u64,
    /// How many have failed in that time.
    pub failed: u64,
    /// How many were cancelled in that time.
    pub cancelled: u64,
    /// How long those took that completed, since they were started or last retried; none where none did.
    pub durations: Option<Durations>,
    /// How many messages a worker could take now.
    pub waiting: u64,
    /// For how long the one that waits longest has waited, in seconds.
    pub longest_wait_seconds: Option<f64>,
    /// How many tasks are in workers' hands.
    pub in_flight: u64,
    /// By step; empty where it was not asked for.
    pub steps: Vec<StepStats>,
}

/// A step of the runs that ended within some time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepStats {
    /// The step.
    pub step: String,
    /// How many times it has completed.
    pub completed: u64,
    /// How many times it has failed.
    pub failed: u64,
    /// How many times it was left out.
    pub skipped: u64,
    /// How long it took where it completed, from being queued on.
    pub durations: Option<Durations>,
}

/// A flow version's runs.
#[derive(Debug, Clone, Deserialize)]
pub struct RunCounts {
    pub slug: String,
    pub under_way: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    durations: Option<Durations>,
}

/// Counts runs of flow versions, by slug, that are under way or ended within so many seconds.
pub async fn read_run_counts(
    connection: &mut PgConnection,
    engine: Engine,
    slugs: Vec<String>,
    since: f64,
) -> Result<Vec<RunCounts>, RunsError> {
    let context = context! { engine => engine.context(), slugs, since };
    query::read(connection, include_str!("stats.sql"), &context).await
}

/// Counts runs of these flow versions that ended within so many seconds; `by_step` also their steps.
///
/// # Errors
/// Where the connection fails, or the role may not read runs and queues.
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
    let mut of_steps: Vec<OfStep> = match by_step {
        true => query::read(connection, include_str!("step_stats.sql"), &context).await?,
        false => Vec::new(),
    };
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
