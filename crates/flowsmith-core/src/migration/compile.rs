//! Compilation: from the recorded catalog and the desired one to the next migration.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::difference::differences;
use super::plan::{Action, FORMAT, Layout, MigrationPlan, PlannedChange, PlannedFlow, changes_only_state};
use super::render::render;
use super::states::States;
use super::{Migration, Version};
use crate::catalog::{Catalog, Definition, Flow, FlowId, State};
use crate::config::DEFAULT_PROJECT;
use crate::diff::{Change, ChangeSet, Class, diff};
use crate::level::Level;

/// The maximum number of new flows in one migration. Each needs a queue, whose creation locks about a dozen tables, indexes
/// and sequences until the end of the transaction. The default lock table of PostgreSQL (64 × 100 connections) suffices for
/// about 500 queues.
pub const MAX_CREATES: usize = 250;

/// The settings of a compilation.
#[derive(Debug, Clone)]
pub struct CompileSettings {
    /// The version of the first migration.
    pub version: Version,
    /// The name of the migration; `None` derives it from the changes.
    pub name: Option<String>,
    /// The version of the newest existing migration.
    pub last: Option<Version>,
    /// Flow versions to delete with their runs. They must not be in the flow files.
    pub delete: Vec<FlowId>,
    /// Flows whose queue is missing and is created again, by database slug.
    pub without_queue: BTreeSet<String>,
    /// Flows whose triggers differ from the recorded ones and are created again, by slug.
    pub triggers: BTreeSet<String>,
    /// The source file of each database slug, relative to the project.
    pub files: BTreeMap<String, String>,
    /// The project that the migrations belong to.
    pub project: String,
    /// The environment whose overrides the flow files were read with.
    pub environment: Option<String>,
    /// The catalog that the existing migrations record, if it is not the one to compare with.
    pub base: Option<Catalog>,
}

impl CompileSettings {
    /// The settings of a first migration with this version: nothing is deleted or created again.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            name: None,
            last: None,
            delete: Vec::new(),
            without_queue: BTreeSet::new(),
            triggers: BTreeSet::new(),
            files: BTreeMap::new(),
            project: DEFAULT_PROJECT.to_owned(),
            environment: None,
            base: None,
        }
    }
}

/// The result of a compilation.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The changes; empty if the migrations are up to date.
    pub changes: ChangeSet,
    /// The migrations to add: none without changes, more than one only if more than [`MAX_CREATES`] flows are new.
    pub migrations: Vec<Migration>,
}

/// The reason why a compilation is refused. The caller can correct each of them.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The requested version is not the newest.
    #[error("migration version {asked} is not newer than {last}, the newest in the folder")]
    NotAfterLast {
        /// The requested version.
        asked: Version,
        /// The newest version.
        last: Version,
    },
    /// The name is not suitable for a file name.
    #[error("invalid migration name `{0}`")]
    Name(String),
    /// A flow to delete is in the flow files.
    #[error("cannot delete {0}: it is in the flow files")]
    DeleteWanted(FlowId),
    /// A flow to delete is not in the migrations.
    #[error("cannot delete {0}: no migration contains it")]
    DeleteUnknown(FlowId),
    /// Two flows have the same name in the database.
    #[error("{from} and {to} have the same name in the database, `{}`", to.database_slug())]
    Renamed {
        /// The recorded flow.
        from: FlowId,
        /// The flow in the flow files.
        to: FlowId,
    },
}

impl Diagnostic for CompileError {
    fn code(&self) -> Code {
        match self {
            Self::NotAfterLast { .. } => Code::VersionNotNewest,
            Self::Name(_) => Code::MigrationName,
            Self::DeleteWanted(_) => Code::DeleteDefinedFlow,
            Self::DeleteUnknown(_) => Code::DeleteUnknownFlow,
            Self::Renamed { .. } => Code::RenamedFlow,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotAfterLast { .. } | Self::Name(_) => Kind::Usage,
            Self::DeleteWanted(_) | Self::DeleteUnknown(_) | Self::Renamed { .. } => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::NotAfterLast { .. } => "omit --timestamp, or pass a later one",
            Self::Name(_) => {
                "use up to 80 lower-case letters, digits and underscores, for example `--name add_refunds`"
            }
            Self::DeleteWanted(_) => "remove it from the flow files first",
            Self::Renamed { .. } => "keep the recorded name, or choose another name or version in the flow file",
            Self::DeleteUnknown(_) => "write SLUG@VERSION, as listed by `flowsmith status`",
        };
        Some(help.to_owned())
    }
}

/// Compiles the difference between `recorded` and `desired` into migrations.
///
/// # Errors
/// Any [`CompileError`].
pub fn compile(recorded: &Catalog, desired: Catalog, settings: &CompileSettings) -> Result<Compiled, CompileError> {
    if let Some(last) = settings.last.filter(|last| settings.version <= *last) {
        return Err(CompileError::NotAfterLast { asked: settings.version, last });
    }
    if let Some(name) = settings.name.as_ref().filter(|name| !is_migration_name(name)) {
        return Err(CompileError::Name(name.clone()));
    }
    for id in &settings.delete {
        if desired.get(&id.database_slug()).is_some() {
            return Err(CompileError::DeleteWanted(id.clone()));
        }
        if recorded.get(&id.database_slug()).is_none() {
            return Err(CompileError::DeleteUnknown(id.clone()));
        }
    }
    let mut target = carry_over(recorded, desired);
    for id in &settings.delete {
        target.remove(&id.database_slug());
    }
    let mut changes = diff(recorded, &target);
    if let Some((from, to)) = changes.changes.iter().find_map(renamed) {
        return Err(CompileError::Renamed { from, to });
    }
    changes.make_queues(&target, &settings.without_queue);
    changes.make_triggers(&target, &settings.triggers);
    let migrations = migrations(&changes, &target, settings.base.as_ref().unwrap_or(recorded), settings);
    Ok(Compiled { changes, migrations })
}

/// The identities of a recorded flow that would get another name. An unmanaged flow can be adopted under any name.
fn renamed(change: &Change) -> Option<(FlowId, FlowId)> {
    let Change::Alter(alteration) = change else { return None };
    let (from, to) = (&alteration.from, &alteration.to);
    (from.state != State::Unmanaged && from.id != to.id).then(|| (from.id.clone(), to.id.clone()))
}

/// The desired catalog with every recorded flow version that is not in it. Such a version is draining if another version of the
/// flow is desired, and retired otherwise.
pub fn carry_over(recorded: &Catalog, desired: Catalog) -> Catalog {
    let mut target = desired;
    let desired_slugs: BTreeSet<String> = target.iter().map(|(_, flow)| flow.id.slug.clone()).collect();
    for (slug, flow) in recorded.iter() {
        if target.get(slug).is_none() {
            let mut kept = Flow::clone(flow);
            kept.state = if desired_slugs.contains(&kept.id.slug) { State::Draining } else { State::Retired };
            target.insert(kept);
        }
    }
    target
}

fn migrations(changes: &ChangeSet, target: &Catalog, base: &Catalog, settings: &CompileSettings) -> Vec<Migration> {
    let changes = &changes.changes;
    let name = settings.name.clone().unwrap_or_else(|| name_for(changes, target));
    let digests: Vec<_> = changes.par_iter().map(|change| change.result().map(|flow| flow.digest())).collect();
    let mut states = States::of(base, &changes.iter().map(|change| change.id().slug.as_str()).collect());
    let chunks = chunks(changes);
    let several = chunks.len() > 1;
    let versions = std::iter::successors(Some(settings.version), |version| Some(version.next()));
    let mut plans = Vec::new();
    for ((index, chunk), version) in chunks.into_iter().enumerate().zip(versions) {
        let name = if several { format!("{name}_{}", index + 1) } else { name.clone() };
        let digested = changes[chunk.clone()].iter().zip(&digests[chunk]);
        let flows = planned_flows(digested, &mut states, &settings.files);
        plans.push(plan(version, name, flows, settings));
    }
    let rendered = plans.par_iter().map(|plan| render(plan).expect("a change agrees with its differences"));
    rendered.collect()
}

fn plan<'a>(
    version: Version,
    name: String,
    flows: Vec<PlannedFlow<'a>>,
    settings: &'a CompileSettings,
) -> MigrationPlan<'a> {
    let mut plan = MigrationPlan {
        format: FORMAT,
        version,
        name: Cow::Owned(name),
        project: Cow::Borrowed(&settings.project),
        environment: settings.environment.as_deref().map(Cow::Borrowed),
        layout: Layout::Flowsmith,
        engine: Level::V0_7_2,
        flows,
    };
    plan.engine = plan.required_level();
    plan
}

/// The changes, each with the digest of its result, by flow. Applies them to `states`.
fn planned_flows<'a>(
    changes: impl Iterator<Item = (&'a Change, &'a Option<String>)>,
    states: &mut States,
    files: &'a BTreeMap<String, String>,
) -> Vec<PlannedFlow<'a>> {
    let mut flows: BTreeMap<&str, PlannedFlow<'a>> = BTreeMap::new();
    for (change, digest) in changes {
        let slug = change.id().slug.as_str();
        let flow = flows.entry(slug).or_insert_with(|| states.base(slug));
        states.apply(change, digest.as_deref());
        let file = files.get(&change.database_slug()).map(|file| Cow::Borrowed(file.as_str()));
        flow.changes.push(planned_change(change, digest.as_deref(), file));
    }
    let result = |(slug, flow): (&str, PlannedFlow<'a>)| PlannedFlow { result: states.digest(slug), ..flow };
    flows.into_iter().map(result).collect()
}

fn planned_change<'a>(change: &'a Change, digest: Option<&'a str>, file: Option<Cow<'a, str>>) -> PlannedChange<'a> {
    let action = match change {
        Change::Create(_) => Action::Create,
        Change::Alter(alteration) if changes_only_state(alteration) => Action::State,
        Change::Alter(_) => Action::Alter,
        Change::Drop(_) => Action::Drop,
    };
    let triggers = match change {
        Change::Drop(flow) => flow.triggers.as_slice(),
        Change::Alter(alteration) if action == Action::State => alteration.to.triggers.as_slice(),
        Change::Create(_) | Change::Alter(_) => &[],
    };
    let deltas = match change {
        Change::Alter(alteration) => alteration.deltas.as_slice(),
        Change::Create(_) | Change::Drop(_) => &[],
    };
    let defined = change.result().filter(|_| matches!(action, Action::Create | Action::Alter));
    PlannedChange {
        action,
        class: change.class(),
        version: change.id().version,
        state: change.result().map(|flow| flow.state),
        file,
        digest: defined.and(digest).map(Cow::Borrowed),
        triggers: triggers.iter().map(|trigger| Cow::Borrowed(trigger.name.as_str())).collect(),
        differences: differences(deltas),
        definition: defined.map(|flow| Definition::of(flow)),
    }
}

/// The ranges of the changes, one per migration.
fn chunks(changes: &[Change]) -> Vec<std::ops::Range<usize>> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut creates = 0;
    for (index, change) in changes.iter().enumerate() {
        if let Change::Create(_) = change {
            if creates == MAX_CREATES {
                chunks.push(start..index);
                (start, creates) = (index, 0);
            }
            creates += 1;
        }
    }
    if start < changes.len() {
        chunks.push(start..changes.len());
    }
    chunks
}

fn is_migration_name(name: &str) -> bool {
    (1..=80).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Derives the name of a migration: `add_order`, `change_order_v2`, `retire_order`, `delete_order`, `add_7_flows`,
/// `change_7_flows`. Version 1 is named as in `delete_order_v1` if `target` contains another version of the flow.
fn name_for(changes: &[Change], target: &Catalog) -> String {
    let created: Vec<&Change> = changes.iter().filter(|change| matches!(change, Change::Create(_))).collect();
    let all_are = |class| changes.iter().all(|change| change.class() == class);
    let (verb, named) = match () {
        () if !created.is_empty() => ("add", created),
        () if all_are(Class::Drop) => ("delete", changes.iter().collect()),
        () if all_are(Class::Retire) => ("retire", changes.iter().collect()),
        () => ("change", changes.iter().collect()),
    };
    match named.as_slice() {
        [Change::Drop(flow)] if flow.id.version == 1 && target.iter().any(|(_, kept)| kept.id.slug == flow.id.slug) => {
            format!("{verb}_{}_v1", flow.id.slug.to_lowercase())
        }
        [one] => format!("{verb}_{}", one.database_slug().to_lowercase()),
        several => format!("{verb}_{}_flows", several.len()),
    }
}
