//! Deleting runs that have been over for long.

use minijinja::context;
use serde::Deserialize;
use sqlx::postgres::PgConnection;

use super::{Engine, RunsError, query};

/// Runs that one transaction deletes: some tenths of a second, so that nobody waits long for what it locks.
const BATCH: u64 = 1_000;

/// Which runs to delete.
#[derive(Debug, Clone)]
pub struct PruneFilter {
    /// Those that ended longer ago than so many seconds.
    pub older_than: f64,
    /// Only those of these flow versions, by slug; none = of all.
    pub slugs: Option<Vec<String>>,
}

/// What there is to delete.
#[derive(Deserialize)]
struct Prunable {
    runs: u64,
    /// Whether there is so much more that is not to be deleted that it had better not be gone through.
    are_rare: bool,
}

#[derive(Deserialize)]
struct Count {
    runs: u64,
}

/// How many runs there are to delete.
///
/// # Errors
/// Where the engine cannot prune, or the database fails.
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
    let mut counts = query::read(connection, include_str!("prunable.sql"), &context).await?;
    Ok(counts.pop().unwrap_or(Prunable { runs: 0, are_rare: false }))
}

/// Deletes them, the oldest first, with their steps, tasks and messages, some at a time; `progress` hears of how many are
/// gone. What is deleted stays deleted, whatever fails later.
///
/// # Errors
/// Where the engine cannot prune, or the database fails.
pub async fn prune(
    connection: &mut PgConnection,
    engine: Engine,
    filter: &PruneFilter,
    mut progress: impl FnMut(u64),
) -> Result<u64, RunsError> {
    engine.require_operations("pruning")?;
    // Each flow version for itself, as the engine does it; no more than there are, since looking for more reads all others.
    let each: Vec<Option<Vec<String>>> = match &filter.slugs {
        Some(slugs) => slugs.iter().map(|slug| Some(vec![slug.clone()])).collect(),
        None => vec![None],
    };
    let mut gone = 0;
    for slugs in each {
        let slug = slugs.as_ref().and_then(|slugs| slugs.first().cloned());
        let Prunable { runs: mut left, are_rare } = prunable(connection, &PruneFilter { slugs, ..*filter }).await?;
        while left > 0 {
            let batch = left.min(BATCH);
            let context = context! { older_than => filter.older_than, slug => slug.as_deref(), batch, are_rare };
            // Each batch with its note: what is deleted is on record, wherever this is cut off.
            let before = [include_str!("prune.sql"), include_str!("note_pruned.sql")];
            let before = if engine.has_ledger { &before[..] } else { &before[..1] };
            let counts: Vec<Count> =
                query::write_after(connection, before, include_str!("pruned.sql"), &context).await?;
            let runs = counts.first().map_or(0, |count| count.runs);
            gone += runs;
            // Fewer than asked for: somebody else prunes, or retries.
            left = if runs < batch { 0 } else { left - runs };
            if left > 0 {
                progress(gone);
            }
        }
    }
    Ok(gone)
}
