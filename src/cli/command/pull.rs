//! `flowsmith pull`

use std::collections::BTreeSet;
use std::fs;

use flowsmith::apply::ApplySettings;
use flowsmith::catalog::{Catalog, State};
use flowsmith::live::read_snapshot;
use flowsmith::migration::{Folder, compile, replay};
use flowsmith::plan::infer_versions;
use flowsmith::pull::{PulledFile, flow_file};

use crate::cli::args::PullArgs;
use crate::cli::command::{apply, check, compile as compile_command};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &PullArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut folder = Folder::read(&project.migrations)?;
    let place = Place::find(project, output)?;
    let mut session = place.open().await?;
    let shape = session.shape()?;
    if !args.files_only && !shape.ledger {
        return Err(Failure::new(
            Exit::Failed,
            "FS919",
            "this database has no flowsmith schema, where the baseline would be recorded",
            "run `flowsmith install` first (it leaves an engine that is there as it is), or pull with --files-only",
        ));
    }
    let live = read_snapshot(&mut session.connection, shape).await?;
    drop(session);
    let wanted = wanted(project, infer_versions(&live.catalog));
    write(wanted.iter().map(|(_, flow)| flow_file(flow)).collect(), args, project, output)?;
    if args.files_only || wanted.is_empty() {
        return Ok(Exit::Done);
    }
    let checked = check::or_refuse(project, output)?;
    let mut settings = compile_command::settings(&folder, None);
    settings.name = Some("baseline".to_owned());
    settings.files = compile_command::files(&checked);
    let compiled = compile(&replay(folder.migrations())?, checked.catalog, &settings)?;
    compile_command::write(compiled, &mut folder, output)?;
    // Every call in the baseline finds what it would make; its self-check proves that, and the ledger has it.
    let apply_settings =
        ApplySettings { ignore: project.ignore.clone(), accept_drift: true, ..ApplySettings::default() };
    apply::pending(&place, &folder, &apply_settings, output).await?;
    Ok(Exit::Done)
}

/// The live flows that the files do not have, or have otherwise.
fn wanted(project: &Project, live: Catalog) -> Catalog {
    let held = if project.flows.is_dir() { project.check().catalog } else { Catalog::new() };
    live.iter()
        .filter(|(slug, flow)| {
            let retired = flow.state == State::Retired;
            let same = held.get(slug).is_some_and(|held| held.steps == flow.steps && held.options == flow.options);
            !retired && !same && !project.ignore.matches(slug)
        })
        .map(|(_, flow)| flow.clone())
        .collect()
}

fn write(files: Vec<PulledFile>, args: &PullArgs, project: &Project, output: &Output) -> Result<(), Failure> {
    let there: BTreeSet<_> =
        files.iter().map(|file| project.flows.join(&file.name)).filter(|path| path.exists()).collect();
    if !there.is_empty() && !args.overwrite {
        let names: Vec<String> = there.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::new(
            Exit::Refused,
            "FS826",
            format!("these files are there and say something else than the database: {}", names.join(", ")),
            "look at `flowsmith plan`; --overwrite takes what the database holds",
        ));
    }
    fs::create_dir_all(&project.flows).map_err(|error| Failure::io("create", &project.flows, &error))?;
    if files.is_empty() {
        output.message("Nothing to pull: the flow files have every flow of the database.");
    }
    for file in files {
        let path = project.flows.join(&file.name);
        fs::write(&path, file.content).map_err(|error| Failure::io("write", &path, &error))?;
        output.message(&format!("Wrote {}", path.display()));
    }
    Ok(())
}
