//! From what the migrations recorded and what the files want to the next migration.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rayon::prelude::*;

use super::render::render;
use super::{Migration, Version};
use crate::catalog::{Catalog, Flow, FlowId, State};
use crate::diff::{Change, ChangeSet, Class, diff};

/// New flows in one migration. Each needs a queue, and a queue locks about a dozen tables, indexes and sequences until
/// the transaction ends; PostgreSQL's default lock table (64 × 100 connections) holds some 500 queues' worth.
pub const MAX_CREATES: usize = 250;

/// How to compile.
#[derive(Debug, Clone)]
pub struct CompileSettings {
    /// The version of the (first) migration.
    pub version: Version,
    /// Its name; none = made from the changes.
    pub name: Option<String>,
    /// The newest migration there is.
    pub last: Option<Version>,
    /// Flow versions to delete with their runs. Each must be gone from the files.
    pub delete: Vec<FlowId>,
    /// Flows whose queue was lost and is to be made anew, by database slug.
    pub without_queue: BTreeSet<String>,
    /// Flows whose triggers are not in force as recorded and are to be made anew, by slug.
    pub triggers: BTreeSet<String>,
    /// Which file each database slug is from, for the header.
    pub files: BTreeMap<String, PathBuf>,
}

/// What compiling gave.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What changes; empty where the migrations are up to date.
    pub changes: ChangeSet,
    /// The files to add: none where nothing changes, one as a rule, more where over [`MAX_CREATES`] flows are new.
    pub migrations: Vec<Migration>,
}

/// Why it cannot be compiled. All of them the caller's.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The version asked for would not come last.
    #[error("migration version {asked} is not after {last}, the newest in the folder")]
    NotAfterLast {
        /// What was asked for.
        asked: Version,
        /// What there is.
        last: Version,
    },
    /// The name would not do in a file name.
    #[error("`{0}` is not a migration's name: small letters, digits and underscores, at most 80")]
    Name(String),
    /// Asked to delete what is still wanted.
    #[error("{0} is still in the flow files, so it is not deleted")]
    DeleteWanted(FlowId),
    /// Asked to delete what no migration has made.
    #[error("{0} is in no migration, so there is nothing to delete")]
    DeleteUnknown(FlowId),
    /// Two names for one flow of the database.
    #[error("{to} would take the place of {from} in the database: both are the flow {}", to.database_slug())]
    Renamed {
        /// What was recorded.
        from: FlowId,
        /// What the files say.
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
            Self::NotAfterLast { .. } => "leave --timestamp out, or give a later one",
            Self::Name(_) => "for example --name add_refunds",
            Self::DeleteWanted(_) => "take it out of the flow files first",
            Self::Renamed { .. } => "keep the name that was recorded, or choose a version whose slug is free",
            Self::DeleteUnknown(_) => "name it as SLUG@VERSION, as `flowsmith status` lists it",
        };
        Some(help.to_owned())
    }
}

/// Compiles the difference between `recorded` and `desired`.
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
    let migrations = migrations(&changes, &target, settings);
    Ok(Compiled { changes, migrations })
}

/// A recorded flow that would get another name; one that nobody recorded is adopted under any.
fn renamed(change: &Change) -> Option<(FlowId, FlowId)> {
    let Change::Alter(alteration) = change else { return None };
    let (from, to) = (&alteration.from, &alteration.to);
    (from.state != State::Unmanaged && from.id != to.id).then(|| (from.id.clone(), to.id.clone()))
}

/// What is wanted once nothing is forgotten: a flow version that is gone from the files stays, draining where another
/// version is wanted, retired where none is.
pub fn carry_over(recorded: &Catalog, desired: Catalog) -> Catalog {
    let mut target = desired;
    let wanted: BTreeSet<String> = target.iter().map(|(_, flow)| flow.id.slug.clone()).collect();
    for (slug, flow) in recorded.iter() {
        if target.get(slug).is_none() {
            let mut kept = Flow::clone(flow);
            kept.state = if wanted.contains(&kept.id.slug) { State::Draining } else { State::Retired };
            target.insert(kept);
        }
    }
    target
}

fn migrations(changes: &ChangeSet, target: &Catalog, settings: &CompileSettings) -> Vec<Migration> {
    let chunks = chunks(&changes.changes);
    let name = settings.name.clone().unwrap_or_else(|| name_for(&changes.changes, target));
    let several = chunks.len() > 1;
    let versions = std::iter::successors(Some(settings.version), |version| Some(version.next()));
    let numbered: Vec<_> = versions.zip(chunks).enumerate().collect();
    numbered
        .into_par_iter()
        .map(|(index, (version, chunk))| {
            let name = if several { format!("{name}_{}", index + 1) } else { name.clone() };
            render(version, &name, chunk, &settings.files)
        })
        .collect()
}

fn chunks(changes: &[Change]) -> Vec<&[Change]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut creates = 0;
    for (index, change) in changes.iter().enumerate() {
        if let Change::Create(_) = change {
            if creates == MAX_CREATES {
                chunks.push(&changes[start..index]);
                (start, creates) = (index, 0);
            }
            creates += 1;
        }
    }
    if start < changes.len() {
        chunks.push(&changes[start..]);
    }
    chunks
}

fn is_migration_name(name: &str) -> bool {
    (1..=80).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// `add_order`, `change_order_v2`, `retire_order`, `delete_order`, `add_7_flows`, `change_7_flows`; `delete_order_v1` where
/// another version of the flow is in `target` and so stays.
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
