//! What a folder of migrations leaves behind, without a database.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::Migration;
use super::plan::{Action, Entry, FORMAT, MigrationPlan};
use crate::catalog::{Catalog, Flow, FlowId, digest};

/// Why a migration cannot be replayed. Each names the migration.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No plan in it.
    #[error("{migration} holds no flowsmith plan")]
    NoPlan {
        /// Its id.
        migration: String,
    },
    /// The plan is not JSON, or not in the format that this program knows.
    #[error("{migration}: its plan cannot be read: {reason}")]
    Malformed {
        /// Its id.
        migration: String,
        /// What is wrong.
        reason: String,
    },
    /// The definition is not the one that the digest was made of.
    #[error("{migration}: the definition of {flow} does not match its digest")]
    Digest {
        /// The migration's id.
        migration: String,
        /// The flow.
        flow: FlowId,
    },
    /// It changes a flow that no migration before it brings.
    #[error("{migration} changes {flow}, which no migration before it has made")]
    UnknownFlow {
        /// The migration's id.
        migration: String,
        /// The flow.
        flow: FlowId,
    },
}

impl ReplayError {
    /// The stable code, with a page in the documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPlan { .. } => "FS802",
            Self::Malformed { .. } => "FS805",
            Self::Digest { .. } => "FS806",
            Self::UnknownFlow { .. } => "FS807",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoPlan { .. } => "keep only migrations that `flowsmith compile` wrote in this folder",
            Self::Malformed { .. } => "bring the file back (`git checkout`), or use the flowsmith that wrote it",
            Self::Digest { .. } => {
                "bring the file back (`git checkout`): migrations are not edited, the flow files are"
            }
            Self::UnknownFlow { .. } => {
                "a migration is missing before it: bring it back (`git log` on the folder finds it)"
            }
        }
    }
}

/// Replays migrations in the order given.
///
/// # Errors
/// At the first that cannot be replayed.
pub fn replay<'a>(migrations: impl IntoIterator<Item = &'a Migration>) -> Result<Catalog, ReplayError> {
    let mut catalog = Catalog::new();
    for migration in migrations {
        for entry in entries(migration)? {
            replay_entry(&mut catalog, migration, entry)?;
        }
    }
    Ok(catalog)
}

/// Database slugs of the flow versions that these migrations delete, in the order given, and none of them brings back.
///
/// # Errors
/// At the first that cannot be read.
pub fn deletions<'a>(migrations: impl IntoIterator<Item = &'a Migration>) -> Result<BTreeSet<String>, ReplayError> {
    let mut deleted = BTreeSet::new();
    for migration in migrations {
        for entry in entries(migration)? {
            match (entry.action, entry.flow, entry.version, entry.definition) {
                (Action::Drop, Some(slug), Some(version), _) => {
                    deleted.insert(FlowId { slug, version }.database_slug());
                }
                (Action::Put, .., Some(definition)) => {
                    let flow = definition_of(migration, definition)?;
                    deleted.remove(&flow.id.database_slug());
                }
                _ => {}
            }
        }
    }
    Ok(deleted)
}

fn entries(migration: &Migration) -> Result<Vec<Entry<'_>>, ReplayError> {
    let text = plan_text(&migration.content).ok_or_else(|| ReplayError::NoPlan { migration: migration.id() })?;
    let plan: MigrationPlan<'_> =
        serde_json::from_str(text).map_err(|error| malformed(migration, error.to_string()))?;
    if plan.format != FORMAT {
        let reason = format!("format {}, where this flowsmith knows format {FORMAT}", plan.format);
        return Err(malformed(migration, reason));
    }
    Ok(plan.entries)
}

fn definition_of(migration: &Migration, definition: &RawValue) -> Result<Flow, ReplayError> {
    Flow::from_canonical(definition.get()).map_err(|error| malformed(migration, error.to_string()))
}

fn malformed(migration: &Migration, reason: String) -> ReplayError {
    ReplayError::Malformed { migration: migration.id(), reason }
}

/// The text between the plan's dollar quotes.
fn plan_text(content: &str) -> Option<&str> {
    let (_, rest) = content.split_once("\n  plan constant jsonb := ")?;
    let (tag, rest) = rest.split_once('\n')?;
    let (text, _) = rest.split_once(&format!("\n{tag};"))?;
    Some(text)
}

fn replay_entry(catalog: &mut Catalog, migration: &Migration, entry: Entry<'_>) -> Result<(), ReplayError> {
    let id = || migration.id();
    let missing = |what: &str| malformed(migration, format!("an entry without {what}"));
    let known = |flow: FlowId| ReplayError::UnknownFlow { migration: id(), flow };
    if let Action::Put = entry.action {
        let definition: &RawValue = entry.definition.ok_or_else(|| missing("definition"))?;
        let mut flow = definition_of(migration, definition)?;
        flow.state = entry.state.ok_or_else(|| missing("state"))?;
        if entry.digest.ok_or_else(|| missing("digest"))? != digest(definition.get()) {
            return Err(ReplayError::Digest { migration: id(), flow: flow.id });
        }
        catalog.insert(flow);
        return Ok(());
    }
    let named = FlowId {
        slug: entry.flow.ok_or_else(|| missing("flow"))?,
        version: entry.version.ok_or_else(|| missing("version"))?,
    };
    let slug = named.database_slug();
    match entry.action {
        Action::State => {
            let state = entry.state.ok_or_else(|| missing("state"))?;
            catalog.get_mut(&slug).ok_or_else(|| known(named))?.state = state;
        }
        Action::Drop | Action::Put => {
            catalog.remove(&slug).ok_or_else(|| known(named))?;
        }
    }
    Ok(())
}
