//! Replay: computes the catalog that results from migrations, without a database.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;

use super::Migration;
use super::plan::{Action, MigrationPlan, PlannedChange};
use crate::catalog::{Catalog, Flow, FlowId, State};

/// The reason why a migration cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// The file is not the one that its plan renders.
    #[error("{file} differs from its plan in line {line}: the file has {found}, the plan gives {expected}")]
    Edited {
        /// The name of the file.
        file: String,
        /// The first line that differs, from 1.
        line: usize,
        /// An excerpt of the line in the file, in quotes, or the end of the file.
        found: String,
        /// An excerpt of the line that the plan renders, in quotes, or the end of the file.
        expected: String,
    },
    /// The file has another name than its plan.
    #[error("{file} contains the migration {id}")]
    OtherName {
        /// The name of the file.
        file: String,
        /// The version and name of the plan.
        id: String,
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
            Self::Edited { .. } | Self::OtherName { .. } => Code::MigrationNotAsCompiled,
            Self::UnknownFlow { .. } => Code::ChangeOfUnknownFlow,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Edited { .. } | Self::OtherName { .. } => Kind::Refused,
            Self::NoPlan { .. } | Self::Malformed { .. } | Self::Digest { .. } | Self::UnknownFlow { .. } => {
                Kind::Failed
            }
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::NoPlan { .. } => "move files that `flowsmith compile` did not write to another folder",
            Self::Malformed { .. } => {
                "restore the file (`git checkout`), or use the version of flowsmith that wrote it"
            }
            Self::Digest { .. } => "restore the file (`git checkout`), and edit flow files instead of migrations",
            Self::Edited { .. } => {
                "restore the file (`git checkout`) with LF line endings, and make the change in the flow files; to use it as it is, pass --allow-edited to `compile` and `apply`"
            }
            Self::OtherName { .. } => "give the file its name back: version, underscore, name, `.sql`",
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

/// Replays migrations in the given order. The files are not compared with their plans; [`verify`] does that.
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

/// The database slugs of the flow versions that a migration changes.
///
/// # Errors
/// If the migration cannot be read.
pub fn changed(migration: &Migration) -> Result<BTreeSet<String>, ReplayError> {
    let id = |(flow, change): (&super::plan::PlannedFlow<'_>, &PlannedChange<'_>)| {
        FlowId::new(&*flow.flow, change.version).database_slug()
    };
    Ok(plan(migration)?.changes().map(id).collect())
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
    outcomes_of(migration, &plan(migration)?)
}

/// Checks that the parts of each change agree, and that each definition has its digest.
pub(super) fn check_outcomes(migration: &Migration, plan: &MigrationPlan<'_>) -> Result<(), ReplayError> {
    outcomes_of(migration, plan).map(drop)
}

fn outcomes_of(migration: &Migration, plan: &MigrationPlan<'_>) -> Result<Vec<Outcome>, ReplayError> {
    plan.changes().map(|(flow, change)| outcome(migration, &flow.flow, change)).collect()
}

/// The plan of a migration.
pub(super) fn plan(migration: &Migration) -> Result<MigrationPlan<'static>, ReplayError> {
    // With other line endings, the file is not as compiled; its plan can be read all the same.
    let content = match migration.content.contains('\r') {
        true => Cow::Owned(migration.content.replace("\r\n", "\n")),
        false => Cow::Borrowed(migration.content.as_str()),
    };
    let text = plan_text(&content).ok_or_else(|| ReplayError::NoPlan { migration: migration.id() })?;
    MigrationPlan::parse(text).map_err(|reason| ReplayError::Malformed { migration: migration.id(), reason })
}

/// The text between the plan's dollar quotes.
fn plan_text(content: &str) -> Option<&str> {
    let (_, rest) = content.split_once("\n  plan constant pg_catalog.text := ")?;
    let (tag, rest) = rest.split_once('\n')?;
    let (text, _) = rest.split_once(&format!("\n{tag};"))?;
    Some(text)
}

fn outcome(migration: &Migration, slug: &str, change: &PlannedChange<'_>) -> Result<Outcome, ReplayError> {
    let malformed = |reason: String| ReplayError::Malformed { migration: migration.id(), reason };
    if let Some(flow) = change.flow(slug).map_err(malformed)? {
        if change.digest.as_deref() != Some(flow.digest().as_str()) {
            return Err(ReplayError::Digest { migration: migration.id(), flow: flow.id });
        }
        return Ok(Outcome::Put(Box::new(flow)));
    }
    let id = FlowId::new(slug, change.version);
    Ok(match (change.action, change.state) {
        (Action::Drop, _) => Outcome::Drop(id),
        (_, state) => Outcome::State(id, state.ok_or_else(|| malformed("a change has no state".to_owned()))?),
    })
}
