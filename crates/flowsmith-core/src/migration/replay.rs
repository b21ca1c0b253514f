//! What a folder of migrations leaves behind, without a database.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::collections::BTreeSet;

use std::collections::HashMap;

use rayon::prelude::*;

use super::Migration;
use super::plan::{Action, Entry, FORMAT, MigrationPlan};
use crate::catalog::{Catalog, Flow, FlowId, State, digest};

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

impl Diagnostic for ReplayError {
    fn code(&self) -> Code {
        match self {
            Self::NoPlan { .. } => Code::ForeignMigration,
            Self::Malformed { .. } => Code::MalformedMigration,
            Self::Digest { .. } => Code::DigestMismatch,
            Self::UnknownFlow { .. } => Code::ChangeOfUnknownFlow,
        }
    }

    fn kind(&self) -> Kind {
        Kind::Failed
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::NoPlan { .. } => "keep only migrations that `flowsmith compile` wrote in this folder",
            Self::Malformed { .. } => "bring the file back (`git checkout`), or use the flowsmith that wrote it",
            Self::Digest { .. } => {
                "bring the file back (`git checkout`): migrations are not edited, the flow files are"
            }
            Self::UnknownFlow { .. } => {
                "a migration before it is missing: `git log --diff-filter=D --name-only -- .` in the folder names it, `git checkout COMMIT^ -- FILE` brings it back; where neither ran anywhere, delete this one too, and compile again"
            }
        };
        Some(help.to_owned())
    }
}

/// What one entry of a plan leaves behind.
enum Outcome {
    Put(Box<Flow>),
    State(FlowId, State),
    Drop(FlowId),
}

/// Replays migrations in the order given.
///
/// # Errors
/// At the first that cannot be replayed.
pub fn replay<'a>(migrations: impl IntoIterator<Item = &'a Migration>) -> Result<Catalog, ReplayError> {
    let migrations: Vec<&Migration> = migrations.into_iter().collect();
    let outcomes: Vec<_> = migrations.par_iter().map(|migration| outcomes(migration)).collect();
    let mut catalog = Catalog::new();
    // By slug: the database slug of the current version.
    let mut current = HashMap::new();
    for (migration, outcomes) in migrations.into_iter().zip(outcomes) {
        for outcome in outcomes? {
            let became_current = outcome.current();
            replay_outcome(&mut catalog, migration, outcome)?;
            if let Some(id) = became_current {
                step_down(&mut catalog, current.insert(id.slug.clone(), id.database_slug()), &id);
            }
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
        for outcome in outcomes(migration)? {
            match outcome {
                Outcome::Put(flow) => drop(deleted.remove(&flow.id.database_slug())),
                Outcome::Drop(id) => drop(deleted.insert(id.database_slug())),
                Outcome::State(..) => {}
            }
        }
    }
    Ok(deleted)
}

impl Outcome {
    /// The flow version that becomes the current one.
    fn current(&self) -> Option<FlowId> {
        match self {
            Self::Put(flow) => Some(flow.id.clone()).filter(|_| flow.state == State::Current),
            Self::State(id, state) => Some(id.clone()).filter(|_| *state == State::Current),
            Self::Drop(_) => None,
        }
    }
}

/// Only one version of a flow is current: as in the database, the one before it drains.
fn step_down(catalog: &mut Catalog, before: Option<String>, now: &FlowId) {
    let before = before.filter(|slug| *slug != now.database_slug());
    if let Some(flow) = before.and_then(|slug| catalog.get_mut(&slug)).filter(|flow| flow.state == State::Current) {
        flow.state = State::Draining;
    }
}

fn replay_outcome(catalog: &mut Catalog, migration: &Migration, outcome: Outcome) -> Result<(), ReplayError> {
    let unknown = |flow: FlowId| ReplayError::UnknownFlow { migration: migration.id(), flow };
    match outcome {
        Outcome::Put(flow) => {
            catalog.insert(*flow);
        }
        Outcome::State(id, state) => {
            catalog.get_mut(&id.database_slug()).ok_or_else(|| unknown(id))?.state = state;
        }
        Outcome::Drop(id) => {
            catalog.remove(&id.database_slug()).ok_or_else(|| unknown(id))?;
        }
    }
    Ok(())
}

fn outcomes(migration: &Migration) -> Result<Vec<Outcome>, ReplayError> {
    let text = plan_text(&migration.content).ok_or_else(|| ReplayError::NoPlan { migration: migration.id() })?;
    let malformed = |reason: String| ReplayError::Malformed { migration: migration.id(), reason };
    let plan: MigrationPlan<'_> = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    if plan.format != FORMAT {
        return Err(malformed(format!("format {}, where this flowsmith knows format {FORMAT}", plan.format)));
    }
    plan.entries.into_iter().map(|entry| outcome(migration, entry)).collect()
}

/// The text between the plan's dollar quotes.
fn plan_text(content: &str) -> Option<&str> {
    let (_, rest) = content.split_once("\n  plan constant jsonb := ")?;
    let (tag, rest) = rest.split_once('\n')?;
    let (text, _) = rest.split_once(&format!("\n{tag};"))?;
    Some(text)
}

fn outcome(migration: &Migration, entry: Entry<'_>) -> Result<Outcome, ReplayError> {
    let malformed = |reason: String| ReplayError::Malformed { migration: migration.id(), reason };
    let missing = |what: &str| malformed(format!("an entry without {what}"));
    if let Action::Put = entry.action {
        let definition = entry.definition.ok_or_else(|| missing("definition"))?.get();
        let mut flow = Flow::from_canonical(definition).map_err(|error| malformed(error.to_string()))?;
        flow.state = entry.state.ok_or_else(|| missing("state"))?;
        if entry.digest.ok_or_else(|| missing("digest"))? != digest(definition) {
            return Err(ReplayError::Digest { migration: migration.id(), flow: flow.id });
        }
        return Ok(Outcome::Put(Box::new(flow)));
    }
    let slug = entry.flow.ok_or_else(|| missing("flow"))?;
    let id = FlowId { slug, version: entry.version.ok_or_else(|| missing("version"))? };
    Ok(match entry.state {
        Some(state) => Outcome::State(id, state),
        None if matches!(entry.action, Action::Drop) => Outcome::Drop(id),
        None => return Err(missing("state")),
    })
}
