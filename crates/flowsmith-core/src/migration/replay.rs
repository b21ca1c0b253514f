//! Replay: computes the catalog that results from migrations, without a database.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::collections::BTreeSet;

use std::collections::HashMap;

use rayon::prelude::*;

use super::Migration;
use super::plan::{Action, Entry, FORMAT, MigrationPlan};
use crate::catalog::{Catalog, Flow, FlowId, State, digest};

/// The reason why a migration cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file has no plan.
    #[error("migration {migration} contains no flowsmith plan")]
    NoPlan {
        /// The migration's id.
        migration: String,
    },
    /// The plan is not JSON, or its format is not supported.
    #[error("the plan of migration {migration} cannot be read: {reason}")]
    Malformed {
        /// The migration's id.
        migration: String,
        /// The problem.
        reason: String,
    },
    /// The definition does not match the digest next to it.
    #[error("the definition of {flow} in migration {migration} does not match its digest")]
    Digest {
        /// The migration's id.
        migration: String,
        /// The flow.
        flow: FlowId,
    },
    /// The migration changes a flow that no earlier migration creates.
    #[error("migration {migration} changes {flow}, which no earlier migration creates")]
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
            Self::NoPlan { .. } => "move files that `flowsmith compile` did not write to another folder",
            Self::Malformed { .. } => {
                "restore the file (`git checkout`), or use the version of flowsmith that wrote it"
            }
            Self::Digest { .. } => "restore the file (`git checkout`), and edit flow files instead of migrations",
            Self::UnknownFlow { .. } => {
                "restore the missing migration: find it with `git log --diff-filter=D --name-only -- .` in the folder and run `git checkout COMMIT^ -- FILE`; if neither is applied to any database, delete this one too and run `flowsmith compile`"
            }
        };
        Some(help.to_owned())
    }
}

/// The result of one entry of a plan.
enum Outcome {
    Put(Box<Flow>),
    State(FlowId, State),
    Drop(FlowId),
}

/// Replays migrations in the given order.
///
/// # Errors
/// The error of the first migration that cannot be replayed.
pub fn replay<'a>(migrations: impl IntoIterator<Item = &'a Migration>) -> Result<Catalog, ReplayError> {
    let migrations: Vec<&Migration> = migrations.into_iter().collect();
    let outcomes: Vec<_> = migrations.par_iter().map(|migration| outcomes(migration)).collect();
    let mut catalog = Catalog::new();
    // The database slug of each flow's current version, by slug.
    let mut current = HashMap::new();
    for (migration, outcomes) in migrations.into_iter().zip(outcomes) {
        for outcome in outcomes? {
            let became_current = outcome.current();
            replay_outcome(&mut catalog, migration, outcome)?;
            if let Some(id) = became_current {
                drain_previous(&mut catalog, current.insert(id.slug.clone(), id.database_slug()), &id);
            }
        }
    }
    Ok(catalog)
}

/// The database slugs of the flow versions that these migrations, in the given order, delete and do not create again.
///
/// # Errors
/// The error of the first migration that cannot be read.
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
    /// The flow version that becomes current.
    fn current(&self) -> Option<FlowId> {
        match self {
            Self::Put(flow) => Some(flow.id.clone()).filter(|_| flow.state == State::Current),
            Self::State(id, state) => Some(id.clone()).filter(|_| *state == State::Current),
            Self::Drop(_) => None,
        }
    }
}

/// Marks the previous current version of a flow as draining, as the database does.
fn drain_previous(catalog: &mut Catalog, before: Option<String>, now: &FlowId) {
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
        return Err(malformed(format!("unsupported format {}; this version reads format {FORMAT}", plan.format)));
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
    let missing = |what: &str| malformed(format!("an entry has no {what}"));
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
