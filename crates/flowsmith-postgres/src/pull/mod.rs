//! Pulling: writes the flows of a database as flow files, and records them in a baseline migration.

mod adopt;
mod error;
mod flow_file;

pub use adopt::adopt;
pub use error::PullError;
pub use flow_file::{PulledFile, flow_file};

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::apply::{self, Applied, ApplySettings, apply};
use crate::database::Failure;
use crate::introspection::{ForeignJob, read_foreign_jobs};
use crate::ledger::Status;
use crate::session::Session;
use flowsmith_core::catalog::{Catalog, Flow, State};
use flowsmith_core::check::{CheckSettings, Checked, check};
use flowsmith_core::migration::{CompileSettings, compile, replay};
use flowsmith_core::project::Project;
use flowsmith_core::source::Sources;
use flowsmith_core::write;

/// The options of a pull.
#[derive(Debug, Clone, Copy, Default)]
pub struct PullSettings {
    /// Replace flow files that differ from the database.
    pub overwrite: bool,
    /// Write flow files only: no migration, and nothing is recorded in the database.
    pub files_only: bool,
}

/// Progress of a pull.
#[derive(Debug)]
#[non_exhaustive]
pub enum PullEvent<'a> {
    /// The flow files have every flow of the database already.
    NothingToPull,
    /// A flow file or a migration was written.
    Wrote(PathBuf),
    /// A job of pg_cron that starts a flow was left alone: whether it can become a trigger is for people to decide.
    LeftJob(ForeignJob),
    /// The jobs of pg_cron were not read, because the role may not.
    JobsNotRead,
    /// The baseline migration was applied.
    Applied(&'a str, Duration),
}

/// The result of a pull.
#[derive(Debug)]
pub struct Pulled {
    /// The result of applying the baseline; `None` if only files were written.
    pub applied: Option<Applied>,
    /// The check of all flow files after the pull.
    pub checked: Checked,
}

/// Writes the flows of a database as flow files, and unless `files_only`, records them: writes a baseline migration and applies
/// it. Every statement of the baseline finds what it would create, its self-check verifies that, and the ledger records it.
/// Nothing is written if a flow would be defined twice, does not pass the check, or would replace a file without `overwrite`.
///
/// # Errors
/// Any [`PullError`]. Files that were written before the error remain.
pub async fn pull(
    mut session: Session,
    project: &Project,
    settings: PullSettings,
    mut observe: impl FnMut(PullEvent<'_>),
) -> Result<Pulled, PullError> {
    let folder = project.read_migrations()?;
    let shape = session.shape()?;
    if !settings.files_only && !shape.ledger {
        return Err(PullError::NoLedger);
    }
    let live = session.read_live().await?;
    let jobs = if shape.triggers { read_foreign_jobs(&mut session.connection).await } else { Ok(Vec::new()) };
    let status = Status::new(folder.migrations(), &live.ledger);
    if !settings.files_only && !status.pending().is_empty() {
        return Err(PullError::Pending(status.pending().into_iter().map(str::to_owned).collect()));
    }
    let adopted: Catalog = adopt(&live.catalog)
        .iter()
        .filter(|(slug, _)| !project.ignore.matches(slug))
        .map(|(_, flow)| flow.clone())
        .collect();
    write_flows(&adopted, project, settings.overwrite, &mut observe)?;
    match jobs {
        Ok(jobs) => jobs.into_iter().for_each(|job| observe(PullEvent::LeftJob(job))),
        Err(error) if error.failure() == Failure::Permission => observe(PullEvent::JobsNotRead),
        Err(error) => return Err(error.into()),
    }
    let applied = if settings.files_only { None } else { Some(record(adopted, session, project, observe).await?) };
    Ok(Pulled { applied, checked: project.valid_flows()? })
}

/// Writes the flow files that are missing or differ from the database.
fn write_flows(
    adopted: &Catalog,
    project: &Project,
    overwrite: bool,
    observe: &mut impl FnMut(PullEvent<'_>),
) -> Result<(), PullError> {
    let checked = if project.flows.is_dir() { project.check() } else { Checked::default() };
    let differing = differing(&checked, adopted);
    refuse_second_definitions(&checked, &differing, project)?;
    let files: Vec<_> = differing.iter().map(|(_, flow)| flow_file(flow)).collect();
    refuse_invalid(&files, &differing, project)?;
    if !overwrite {
        refuse_existing(&files, project)?;
    }
    fs::create_dir_all(&project.flows).map_err(|source| PullError::io("create", &project.flows, source))?;
    if files.is_empty() {
        observe(PullEvent::NothingToPull);
    }
    for file in files {
        let path = project.flows.join(&file.name);
        write::replace(&path, file.content.as_bytes()).map_err(|source| PullError::io("write", &path, source))?;
        observe(PullEvent::Wrote(path));
    }
    Ok(())
}

/// The live flows that the files do not define, or define differently.
fn differing(checked: &Checked, live: &Catalog) -> Catalog {
    let is_same = |slug: &str, flow: &Flow| {
        checked.catalog.get(slug).is_some_and(|defined| {
            defined.steps == flow.steps && defined.options == flow.options && defined.triggers == flow.triggers
        })
    };
    live.iter()
        .filter(|(slug, flow)| flow.state != State::Retired && !is_same(slug, flow))
        .map(|(_, flow)| flow.clone())
        .collect()
}

/// Refuses flows that a file of another name defines: they would be defined twice.
fn refuse_second_definitions(checked: &Checked, differing: &Catalog, project: &Project) -> Result<(), PullError> {
    let elsewhere = |slug: &str, flow: &Flow| {
        let own = project.flows.join(flow_file(flow).name);
        let origin = checked.origins.get(slug).filter(|origin| origin.file != own)?;
        Some((flow.id.clone(), origin.file.clone()))
    };
    let twice: Vec<_> = differing.iter().filter_map(|(slug, flow)| elsewhere(slug, flow)).collect();
    if twice.is_empty() { Ok(()) } else { Err(PullError::DefinedElsewhere(twice)) }
}

/// Refuses flows that do not pass the check: they would stop every command that reads the files.
fn refuse_invalid(files: &[PulledFile], differing: &Catalog, project: &Project) -> Result<(), PullError> {
    let contents = files.iter().map(|file| (project.flows.join(&file.name), file.content.clone().into_bytes()));
    let sources = Sources::Memory(contents.collect());
    let checked = check(&sources, &CheckSettings { environment: None, ..project.check_settings() });
    if !checked.has_errors() {
        return Ok(());
    }
    let is_invalid = |flow: &Flow| {
        let file = project.flows.join(flow_file(flow).name);
        checked.findings.iter().any(|finding| finding.is_error() && finding.file == file)
    };
    let invalid = differing.iter().filter(|(_, flow)| is_invalid(flow));
    let slugs = invalid.map(|(slug, _)| slug.to_owned()).collect();
    Err(PullError::Invalid { slugs, checked: Box::new(checked), sources })
}

fn refuse_existing(files: &[PulledFile], project: &Project) -> Result<(), PullError> {
    let paths = files.iter().map(|file| project.flows.join(&file.name));
    let mut existing: Vec<PathBuf> = paths.filter(|path| path.exists()).collect();
    existing.sort();
    if existing.is_empty() { Ok(()) } else { Err(PullError::Exists(existing)) }
}

/// Writes the baseline migration and applies it.
async fn record(
    adopted: Catalog,
    session: Session,
    project: &Project,
    mut observe: impl FnMut(PullEvent<'_>),
) -> Result<Applied, PullError> {
    let mut folder = project.read_migrations()?;
    let settings = CompileSettings { name: Some("baseline".to_owned()), ..project.compile_settings(&folder, None) };
    let compiled = compile(&replay(folder.migrations())?, adopted, &settings)?;
    folder.add(compiled.migrations)?.into_iter().for_each(|path| observe(PullEvent::Wrote(path)));
    let settings = ApplySettings { ignore: project.ignore.clone(), accept_drift: true, ..ApplySettings::default() };
    let applied = apply(session, &folder, &settings, |progress| match progress {
        apply::Progress::Running(_) => {}
        apply::Progress::Applied(id, took) => observe(PullEvent::Applied(id, took)),
    });
    Ok(applied.await?)
}
