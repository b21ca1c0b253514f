//! `flowsmith compile`

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::Utc;
use flowsmith::report::changes_text;
use flowsmith_core::catalog::{Catalog, Flow, FlowId, State};
use flowsmith_core::check::Checked;
use flowsmith_core::diff::{Change, Class};
use flowsmith_core::migration::{CompileSettings, Compiled, Folder, Version, compile, replay};
use flowsmith_postgres::drift::revert_target;
use flowsmith_postgres::live::read_snapshot;
use flowsmith_postgres::plan::{changes, left_queues};

use crate::cli::args::road::CompileArgs;
use crate::cli::command::check;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &CompileArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    if args.rehash {
        return rehash(project, output);
    }
    let mut folder = Folder::read(&project.migrations)?;
    let checked = check::or_refuse(project, output)?;
    if !args.check {
        folder.finish()?;
    }
    let compiled = if args.from_live {
        let place = Place::find(project, output)?;
        let mut session = place.open().await?;
        let shape = session.shape()?;
        let live = read_snapshot(&mut session.connection, shape).await?;
        let deleted: BTreeSet<String> = args.delete.iter().map(FlowId::database_slug).collect();
        let desired = revert_target(&folder, &live, checked.catalog.clone(), &deleted)?;
        let (changes, _) = changes(&live, desired, &deleted, &project.ignore);
        let changed: BTreeSet<String> = changes.changes.iter().map(Change::database_slug).collect();
        let triggers: BTreeSet<String> =
            live.trigger_differences.iter().filter(|d| !d.broken).map(|d| d.flow.clone()).collect();
        let touched = |slug: &str, flow: &Flow| {
            let lacks = live.without_queue.contains(slug) || triggers.contains(&flow.id.slug);
            changed.contains(slug) || lacks && flow.state != State::Unmanaged
        };
        let held = live.catalog.iter().filter(|(slug, flow)| touched(slug, flow)).map(|(_, flow)| flow.clone());
        let held: Catalog = held.collect();
        compiled(&held, changes.apply(&held), &checked, &folder, (&live.without_queue, &triggers), args)?
    } else {
        let recorded = replay(folder.migrations())?;
        compiled(&recorded, checked.catalog.clone(), &checked, &folder, (&BTreeSet::new(), &BTreeSet::new()), args)?
    };
    if compiled.changes.is_empty() {
        output.message("Nothing to compile: the migrations are up to date.");
        return Ok(Exit::Done);
    }
    output.report(&changes_text(&compiled.changes.changes, output.layout()));
    note_replacements(&compiled.changes.changes, &checked, output);
    let care = anstyle::AnsiColor::Yellow.on_default().bold();
    for (change, hazards) in compiled.changes.changes.iter().zip(left_queues(&compiled.changes.changes)) {
        for hazard in hazards {
            output.message(&format!("{care}warning{care:#}: {}: trigger {hazard}", change.id()));
        }
    }
    if args.check {
        output.message("The migrations are behind the flow files: run `flowsmith compile` and commit the migration.");
        return Ok(Exit::Pending);
    }
    write(compiled, &mut folder, output)?;
    Ok(Exit::Done)
}

/// Notes for replacements, which `apply` refuses if the version has runs.
fn note_replacements(changes: &[Change], checked: &Checked, output: &Output) {
    let care = anstyle::AnsiColor::Yellow.on_default().bold();
    for change in changes.iter().filter(|change| change.class() == Class::Replace) {
        let id = change.id();
        let instead = if checked.catalog.get(&change.database_slug()).is_some() {
            format!(
                "To keep the runs, delete this migration, run `flowsmith compile --rehash`, and write `version: {}` in the flow file, which creates a new version.",
                id.version.saturating_add(1)
            )
        } else {
            format!(
                "A drained old version can be deleted instead: delete this migration, run `flowsmith compile --rehash`, then `flowsmith retire {id}`."
            )
        };
        output.prose(&format!(
            "{care}note{care:#}: [replace] recreates steps, so `apply` refuses it in any database in which {id} has runs, running or ended.\n      {instead}\n"
        ));
    }
}

/// Compiles against a catalog; `remade` are the flows whose queues and those whose triggers are recreated.
fn compiled(
    recorded: &Catalog,
    desired: Catalog,
    checked: &Checked,
    folder: &Folder,
    remade: (&BTreeSet<String>, &BTreeSet<String>),
    args: &CompileArgs,
) -> Result<Compiled, Failure> {
    let settings = CompileSettings {
        name: args.name.clone(),
        delete: args.delete.clone(),
        without_queue: remade.0.clone(),
        triggers: remade.1.clone(),
        files: files(checked),
        ..settings(folder, args.timestamp)
    };
    Ok(compile(recorded, desired, &settings)?)
}

/// The settings for the next migration of a folder. Its version is the current time, or a second after the newest migration if that
/// is later.
pub(crate) fn settings(folder: &Folder, timestamp: Option<Version>) -> CompileSettings {
    let last = folder.last_version();
    let now = Version::at(Utc::now());
    let version = timestamp.unwrap_or_else(|| last.map_or(now, |last| now.max(last.next())));
    CompileSettings {
        version,
        name: None,
        last,
        delete: Vec::new(),
        without_queue: BTreeSet::new(),
        triggers: BTreeSet::new(),
        files: BTreeMap::new(),
    }
}

/// The flow file of each database slug.
pub(crate) fn files(checked: &Checked) -> BTreeMap<String, PathBuf> {
    checked.origins.iter().map(|(slug, origin)| (slug.clone(), origin.file.clone())).collect()
}

/// Writes the migrations and reports their names.
pub(crate) fn write(compiled: Compiled, folder: &mut Folder, output: &Output) -> Result<(), Failure> {
    for migration in &compiled.migrations {
        output.message(&format!("Wrote {}", folder.path().join(migration.file_name()).display()));
    }
    Ok(folder.add(compiled.migrations)?)
}

fn rehash(project: &Project, output: &Output) -> Result<Exit, Failure> {
    let folder = Folder::read_unchecked(&project.migrations)?;
    // A new sum must not accept migrations that cannot be replayed.
    replay(folder.migrations())?;
    folder.rehash()?;
    output.message(&format!("Wrote {}", project.migrations.join(flowsmith_core::migration::SUM_FILE).display()));
    Ok(Exit::Done)
}
