//! `flowsmith pull`

use flowsmith_core::diagnostic::Code;
use std::collections::BTreeSet;
use std::fs;

use flowsmith::report::findings::{self, Report};
use flowsmith_core::catalog::{Catalog, Flow, State};
use flowsmith_core::check::{self as checking, CheckSettings, Checked};
use flowsmith_core::migration::{Folder, compile, replay};
use flowsmith_core::source::Sources;
use flowsmith_postgres::apply::ApplySettings;
use flowsmith_postgres::database::Failure as DatabaseFailure;
use flowsmith_postgres::introspection::{ForeignJob, read_foreign_jobs, read_snapshot};
use flowsmith_postgres::ledger::Status;
use flowsmith_postgres::pull::{PulledFile, adopt, flow_file};

use crate::cli::args::deploy::PullArgs;
use crate::cli::command::{apply, check, compile as compile_command};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &PullArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let folder = Folder::read(&project.migrations)?;
    let place = Place::find(project, output)?;
    let mut session = place.open().await?;
    let shape = session.shape()?;
    if !args.files_only && !shape.ledger {
        return Err(Failure::new(
            Exit::Failed,
            Code::LedgerMissing,
            "this database has no flowsmith schema, where the baseline would be recorded",
            "run `flowsmith install` first (it leaves an engine that is there as it is), or pull with --files-only",
        ));
    }
    let live = read_snapshot(&mut session.connection, shape).await?;
    let jobs = if shape.triggers { read_foreign_jobs(&mut session.connection).await } else { Ok(Vec::new()) };
    session.note_unseen_triggers(output);
    drop(session);
    let status = Status::new(folder.migrations(), &live.ledger);
    if !args.files_only && !status.pending().is_empty() {
        return Err(Failure::new(
            Exit::Refused,
            Code::PullPending,
            format!("migrations are pending here: {}", status.pending().join(", ")),
            "apply them first, or take them back: delete the files and run `flowsmith compile --rehash`",
        ));
    }
    let adopted: Catalog = adopt(&live.catalog)
        .iter()
        .filter(|(slug, _)| !project.ignore.matches(slug))
        .map(|(_, flow)| flow.clone())
        .collect();
    let checked = if project.flows.is_dir() { project.check() } else { Checked::default() };
    let wanted = wanted(&checked, &adopted);
    refuse_second_files(&checked, &wanted, project)?;
    let files: Vec<_> = wanted.iter().map(|(_, flow)| flow_file(flow)).collect();
    refuse_wrong(&files, &wanted, project, output)?;
    write(files, args, project, output)?;
    match jobs {
        Ok(jobs) => note_jobs(&jobs, output),
        Err(error) if error.failure() == DatabaseFailure::Permission => {
            output.message("Jobs of pg_cron were not looked at: this role may not call flowsmith.held_jobs().");
        }
        Err(error) => return Err(error.into()),
    }
    if !args.files_only {
        record(adopted, &place, project, output).await?;
    }
    check::or_refuse(project, output)?;
    Ok(Exit::Done)
}

/// Says which jobs are left: one that starts a flow can become a trigger, but whether its command does nothing else is for
/// people to say.
fn note_jobs(jobs: &[ForeignJob], output: &Output) {
    for job in jobs {
        output.message(&format!(
            "Left alone: pg_cron's job {} (`{}`: {}). To have it here, declare a trigger with that `cron:` and take the job away with cron.unschedule.",
            job.name, job.schedule, job.command.trim()
        ));
    }
}

/// Writes the baseline and applies it: every call in it finds what it would make, its self-check proves that, and the
/// ledger has it.
async fn record(adopted: Catalog, place: &Place, project: &Project, output: &Output) -> Result<(), Failure> {
    let mut folder = Folder::read(&project.migrations)?;
    let mut settings = compile_command::settings(&folder, None);
    settings.name = Some("baseline".to_owned());
    let compiled = compile(&replay(folder.migrations())?, adopted, &settings)?;
    compile_command::write(compiled, &mut folder, output)?;
    let apply_settings =
        ApplySettings { ignore: project.ignore.clone(), accept_drift: true, ..ApplySettings::default() };
    apply::pending(place, &folder, &apply_settings, output, |id, took| apply::say(id, took, output)).await?;
    Ok(())
}

/// The live flows that the files do not have, or have otherwise.
fn wanted(checked: &Checked, live: &Catalog) -> Catalog {
    let held = &checked.catalog;
    live.iter()
        .filter(|(slug, flow)| {
            let retired = flow.state == State::Retired;
            let same = held.get(slug).is_some_and(|held| {
                held.steps == flow.steps && held.options == flow.options && held.triggers == flow.triggers
            });
            !retired && !same
        })
        .map(|(_, flow)| flow.clone())
        .collect()
}

/// A flow that a file of another name defines would be defined twice.
fn refuse_second_files(checked: &Checked, wanted: &Catalog, project: &Project) -> Result<(), Failure> {
    let elsewhere = |slug: &str, flow: &Flow| {
        let origin =
            checked.origins.get(slug).filter(|origin| origin.file != project.flows.join(flow_file(flow).name))?;
        Some(format!("{} in {}", flow.id, origin.file.display()))
    };
    let twice: Vec<String> = wanted.iter().filter_map(|(slug, flow)| elsewhere(slug, flow)).collect();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        Code::PullOverwrites,
        format!("these flows are defined already and say something else than the database: {}", twice.join(", ")),
        "look at `flowsmith plan`; put what the database holds into those files, or delete them and pull again",
    ))
}

/// A flow that does not pass the check would stop every command that reads the files, from here on.
fn refuse_wrong(files: &[PulledFile], wanted: &Catalog, project: &Project, output: &Output) -> Result<(), Failure> {
    let sources = Sources::Memory(
        files.iter().map(|file| (project.flows.join(&file.name), file.content.clone().into_bytes())).collect(),
    );
    let checked = checking::check(&sources, &CheckSettings { environment: None, ..project.check_settings() });
    if !checked.has_errors() {
        return Ok(());
    }
    output.aside(&findings::text(&Report::new(&checked, &sources), true));
    let is_wrong = |flow: &Flow| {
        let file = project.flows.join(flow_file(flow).name);
        checked.findings.iter().any(|finding| finding.is_error() && finding.file == file)
    };
    let wrong: Vec<&str> = wanted.iter().filter(|(_, flow)| is_wrong(flow)).map(|(slug, _)| slug).collect();
    let listed = wrong.iter().map(|slug| format!("\"{slug}\"")).collect::<Vec<_>>().join(", ");
    Err(Failure::new(
        Exit::Refused,
        Code::PullInvalidFlow,
        format!("flows of this database do not pass `flowsmith check`, so nothing was written: {}", wrong.join(", ")),
        format!(
            "leave them alone: `ignore = [{listed}]` in flowsmith.toml; or complete or delete them in the database; then pull again"
        ),
    ))
}

fn write(files: Vec<PulledFile>, args: &PullArgs, project: &Project, output: &Output) -> Result<(), Failure> {
    let there: BTreeSet<_> =
        files.iter().map(|file| project.flows.join(&file.name)).filter(|path| path.exists()).collect();
    if !there.is_empty() && !args.overwrite {
        let names: Vec<String> = there.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::new(
            Exit::Refused,
            Code::PullOverwrites,
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
