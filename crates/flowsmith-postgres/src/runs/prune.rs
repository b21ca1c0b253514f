//! Deleting finished runs.

use minijinja::context;
use serde::Deserialize;
use sqlx::postgres::PgConnection;

use super::{Engine, RunsError, query};

/// The number of runs that one transaction deletes. It takes some tenths of a second, which limits how long other sessions
/// wait for its locks.
const BATCH: u64 = 1_000;

/// The runs to delete.
#[derive(Debug, Clone)]
pub struct PruneFilter {
    /// The minimum time since the end of the run, in seconds.
    pub older_than: f64,
    /// The slugs of the flow versions; none = all.
    pub slugs: Option<Vec<String>>,
}

/// A row of `prunable.sql`.
#[derive(Deserialize)]
struct Prunable {
    runs: u64,
    /// Whether so few of the old runs match that they are found faster through the index on flows.
    are_rare: bool,
}

/// A row of `pruned.sql`.
#[derive(Deserialize)]
struct Pruned {
    runs: u64,
}

/// Counts the runs to delete.
///
/// # Errors
/// If the engine cannot prune runs or the database reports an error.
pub async fn count_prunable(
    connection: &mut PgConnection,
    engine: Engine,
    filter: &PruneFilter,
) -> Result<u64, RunsError> {
    engine.require_operations("pruning")?;
    Ok(prunable(connection, filter).await?.runs)
}

async fn prunable(connection: &mut PgConnection, filter: &PruneFilter) -> Result<Prunable, RunsError> {
    let context = context! { older_than => filter.older_than, slugs => filter.slugs.clone() };
    let mut counts = query::read(connection, "prunable.sql", context).await?;
    Ok(counts.pop().unwrap_or(Prunable { runs: 0, are_rare: false }))
}

/// Deletes runs with their steps, tasks and messages, oldest first and in batches, and returns their number. Calls `progress`
/// with the number of deleted runs between batches. If a batch fails, the batches before it remain deleted.
///
/// # Errors
/// If the engine cannot prune runs or the database reports an error.
pub async fn prune(
    connection: &mut PgConnection,
    engine: Engine,
    filter: &PruneFilter,
    mut progress: impl FnMut(u64),
) -> Result<u64, RunsError> {
    engine.require_operations("pruning")?;
    // The engine prunes one flow version per call.
    let selections: Vec<Option<Vec<String>>> = match &filter.slugs {
        Some(slugs) => slugs.iter().map(|slug| Some(vec![slug.clone()])).collect(),
        None => vec![None],
    };
    let mut deleted = 0;
    for slugs in selections {
        let slug = slugs.as_ref().and_then(|slugs| slugs.first().cloned());
        let Prunable { runs: mut left, are_rare } = prunable(connection, &PruneFilter { slugs, ..*filter }).await?;
        while left > 0 {
            // Not more than there are, because a search for more would read all other old runs.
            let batch = left.min(BATCH);
            let context = context! { older_than => filter.older_than, slug => slug.as_deref(), batch, are_rare };
            // Each batch records its event, so that the record is complete even if a later batch fails.
            let counts: Vec<Pruned> = query::write(connection, &["prune.sql"], "pruned.sql", context).await?;
            let runs = counts.first().map_or(0, |count| count.runs);
            deleted += runs;
            // Fewer than expected: another session prunes or retries runs.
            left = if runs < batch { 0 } else { left - runs };
            if left > 0 {
                progress(deleted);
            }
        }
    }
    Ok(deleted)
}
