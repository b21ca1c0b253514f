//! Old versions of flows, and whether anything of them is left to do.

use minijinja::context;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::{Engine, FlowVersion, Flows, RunsError, query, read_queues};
use flowsmith_core::catalog::{FlowId, State};

/// A version that nobody starts any more.
#[derive(Debug, Clone, Serialize)]
pub struct OldVersion {
    /// The version's slug in the database.
    pub slug: String,
    /// The flow, as the flow files call it.
    pub flow: String,
    /// The version.
    pub version: u32,
    /// Draining, where a newer version is current; retired, where none is.
    pub state: State,
    /// How many runs are under way.
    pub under_way: u64,
    /// How many runs have ended, and not been pruned.
    pub ended: u64,
    /// How many messages are in the queue; none where it is gone.
    pub messages: Option<u64>,
    /// How many workers of the queue are alive.
    pub workers: u32,
    /// Whether nothing of it is left to do, so that it can be deleted.
    pub is_drained: bool,
}

impl OldVersion {
    /// Its name.
    pub fn id(&self) -> FlowId {
        FlowId::new(self.flow.clone(), self.version)
    }
}

/// Looks at the versions that are draining or retired.
///
/// # Errors
/// Where the connection fails, or the role may not read runs and queues.
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
    let old: Vec<&FlowVersion> =
        flows.all().iter().filter(|flow| matches!(flow.state, State::Draining | State::Retired)).collect();
    let queues = read_queues(connection, engine, &old).await?;
    let slugs: Vec<String> = old.iter().map(|flow| flow.slug.clone()).collect();
    let runs: Vec<Runs> = query::read(connection, include_str!("retire.sql"), &context! { slugs }).await?;
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

/// The versions that are to go, of those there are: each is named as `order@1` or by its slug.
///
/// # Errors
/// Where one is unknown, or not old.
pub fn versions_to_retire(flows: &Flows, names: &[String]) -> Result<Vec<FlowId>, RunsError> {
    let mut ids = Vec::new();
    for name in names {
        let named = flows.named(name)?;
        let old = |flow: &&FlowVersion| matches!(flow.state, State::Draining | State::Retired);
        if !named.iter().any(old) {
            return Err(RunsError::NotOld { versions: named.iter().map(|flow| (flow.id(), flow.state)).collect() });
        }
        ids.extend(named.into_iter().filter(old).map(|flow| FlowId::new(flow.flow.clone(), flow.version)));
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}
