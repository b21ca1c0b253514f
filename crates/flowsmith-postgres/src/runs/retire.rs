//! Old versions of flows.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, FlowVersion, Flows, RunsError, query, read_queues};
use flowsmith_core::catalog::{FlowId, State};

/// A draining or retired version of a flow.
#[derive(Debug, Clone, Serialize)]
pub struct OldVersion {
    /// The slug in the database.
    pub slug: String,
    /// The name in the flow files.
    pub flow: String,
    /// The version.
    pub version: u32,
    /// Draining if a newer version is current, otherwise retired.
    pub state: State,
    /// The number of running runs.
    pub under_way: u64,
    /// The number of ended runs that have not been pruned.
    pub ended: u64,
    /// The number of messages in the queue; none if the queue is missing.
    pub messages: Option<u64>,
    /// The number of live workers of the queue.
    pub workers: u32,
    /// Whether it has neither running runs nor messages, so that it can be deleted.
    pub is_drained: bool,
}

impl OldVersion {
    /// The name and version.
    pub fn id(&self) -> FlowId {
        FlowId::new(self.flow.clone(), self.version)
    }
}

/// Reads the draining and retired versions.
///
/// # Errors
/// If the connection fails or the role may not read runs and queues.
pub async fn read_old_versions(
    connection: &mut PgConnection,
    engine: Engine,
    flows: &Flows,
) -> Result<Vec<OldVersion>, RunsError> {
    #[derive(Deserialize)]
    struct Runs {
        under_way: u64,
        ended: u64,
    }
    let old: Vec<&FlowVersion> = flows.all().iter().filter(is_old).collect();
    let queues = read_queues(connection, engine, &old).await?;
    let slugs: Vec<String> = old.iter().map(|flow| flow.slug.clone()).collect();
    let runs: Vec<Runs> = query::read(connection, "retire.sql", context! { slugs }).await?;
    Ok(old
        .into_iter()
        .zip(queues)
        .zip(runs)
        .map(|((flow, queue), runs)| OldVersion {
            slug: flow.slug.clone(),
            flow: flow.flow.clone(),
            version: flow.version,
            state: flow.state,
            under_way: runs.under_way,
            ended: runs.ended,
            messages: queue.messages,
            workers: queue.workers,
            is_drained: runs.under_way == 0 && queue.messages.unwrap_or(0) == 0,
        })
        .collect())
}

/// Resolves names of old versions, each given as `order@1`, as a slug, or as the name of a flow.
///
/// # Errors
/// If a name is unknown or stands for no old version.
pub fn versions_to_retire(flows: &Flows, names: &[String]) -> Result<Vec<FlowId>, RunsError> {
    let mut ids = Vec::new();
    for name in names {
        let named = flows.named(name)?;
        if !named.iter().any(is_old) {
            return Err(RunsError::NotOld { versions: named.iter().map(|flow| (flow.id(), flow.state)).collect() });
        }
        ids.extend(named.into_iter().filter(is_old).map(|flow| FlowId::new(flow.flow.clone(), flow.version)));
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn is_old(flow: &&FlowVersion) -> bool {
    matches!(flow.state, State::Draining | State::Retired)
}
