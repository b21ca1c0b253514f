//! `flowsmith retire`

use flowsmith_core::diagnostic::Code;
use std::time::Duration;

use flowsmith::report::drift_text;
use flowsmith::report::operate::{old_versions_json, old_versions_text};
use flowsmith_core::catalog::{Catalog, FlowId};
use flowsmith_core::migration::{CompileError, CompileSettings, Compiled, Folder, Migration, compile, replay};
use flowsmith_core::words::counted;
use flowsmith_postgres::apply::{self as applying, ApplyError, ApplySettings};
use flowsmith_postgres::runs::{
    OldVersion, PruneFilter, RunsError, prune, read_old_versions, start_worker_advice, versions_to_retire,
};
use tokio::time::{Instant, sleep};

use super::confirm::confirm;
use super::follow::reconnect;
use super::operator::{Operator, is_lost};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::RetireArgs;
use crate::cli::command::{apply, check, compile as compile_command};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

/// The polling interval of `--wait`.
const INTERVAL: Duration = Duration::from_secs(2);
/// The interval of progress messages while nothing changes.
const REMINDER: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: &RetireArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows().await?;
    let ids = versions_to_retire(&flows, &args.versions)?;
    if ids.is_empty() {
        let versions = read_old_versions(&mut operator.connection, operator.engine, &flows).await?;
        report(args, &versions, &[], &operator, output);
        return Ok(Exit::Done);
    }
    let mut folder = Folder::read(&project.migrations)?;
    // Check before any deletion that the migration can be applied.
    let pending = check_apply(&ids, &folder, &operator, project, output).await?;
    let (applied, own) = folder.migrations().split_at(folder.migrations().len() - pending.len().min(1));
    let recorded = replay(applied)?;
    refuse_wanted(&ids, &recorded, project, output)?;
    refuse_pending(&pending, &ids, &recorded, applied, own, &folder)?;
    let is_written = !own.is_empty();
    let versions = drained(&ids, args, &mut operator, output).await?;
    let ended: u64 = versions.iter().map(|version| version.ended).sum();
    let runs = counted(usize::try_from(ended).unwrap_or(usize::MAX), "run");
    let question = format!("Delete {} with {runs} from {}?", list(&ids), operator.subject.database);
    confirm(&question, args.yes, output)?;
    // The migration locks the table of runs, so most runs are deleted beforehand.
    if operator.engine.has_operations() {
        let slugs = versions.iter().map(|version| version.slug.clone()).collect();
        let filter = PruneFilter { older_than: 0.0, slugs: Some(slugs) };
        let progress = |gone: u64| output.message(&format!("Deleted {gone} of {runs}"));
        prune(&mut operator.connection, operator.engine, &filter, progress).await?;
    }
    if !is_written {
        let settings = CompileSettings { delete: ids.clone(), ..compile_command::settings(&folder, None) };
        compile_command::write(deletion(&ids, &recorded, &settings)?, &mut folder, output)?;
    }
    let settings = ApplySettings { ignore: project.ignore.clone(), ..ApplySettings::default() };
    apply::pending(&operator.place, &folder, &settings, output, |id, took| apply::say(id, took, output)).await?;
    output.message(&format!("Deleted {}; commit the migration", list(&ids)));
    let left = old_versions(&mut operator).await?;
    if args.format == StatusFormat::Json {
        let deleted: Vec<String> = ids.iter().map(ToString::to_string).collect();
        report(args, &left, &deleted, &operator, output);
    }
    Ok(Exit::Done)
}

fn report(args: &RetireArgs, versions: &[OldVersion], deleted: &[String], operator: &Operator, output: &Output) {
    output.report(&match args.format {
        StatusFormat::Text => old_versions_text(versions, &operator.subject, output.layout()),
        StatusFormat::Json => old_versions_json(versions, deleted, &operator.subject),
    });
}

/// The pending migrations, if they and the deletion can be applied.
async fn check_apply(
    ids: &[FlowId],
    folder: &Folder,
    operator: &Operator,
    project: &Project,
    output: &Output,
) -> Result<Vec<String>, Failure> {
    let mut session = operator.place.open().await?;
    let shape = session.shape()?;
    let to_delete = ids.iter().map(FlowId::database_slug).collect();
    let settings = ApplySettings { ignore: project.ignore.clone(), to_delete, ..ApplySettings::default() };
    let checked = applying::check(&mut session.connection, shape, folder, &settings).await;
    if let Err(ApplyError::Drift(drift)) = &checked {
        output.report(&drift_text(drift, &operator.subject, output.layout()));
    }
    Ok(checked?)
}

/// Refuses other pending migrations. The deletion itself may be pending, if an earlier `retire` was interrupted.
fn refuse_pending(
    pending: &[String],
    ids: &[FlowId],
    recorded: &Catalog,
    applied: &[Migration],
    own: &[Migration],
    folder: &Folder,
) -> Result<(), Failure> {
    let is_own = match own {
        [] => true,
        [only] if pending == [only.id()] => {
            let settings = compile_command::settings(folder, Some(only.version));
            let last = applied.last().map(|migration| migration.version);
            let settings = CompileSettings { delete: ids.to_vec(), last, ..settings };
            let written = deletion(ids, recorded, &settings)?;
            written.migrations.iter().map(|migration| &migration.content).eq([&only.content])
        }
        _ => false,
    };
    if is_own {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        Code::RetirePending,
        format!("migrations are pending: {}", pending.join(", ")),
        "apply them first, or delete the files and run `flowsmith compile --rehash`",
    ))
}

/// Refuses versions that are in the flow files, because the next migration would create them again.
fn refuse_wanted(ids: &[FlowId], recorded: &Catalog, project: &Project, output: &Output) -> Result<(), Failure> {
    let wanted = if project.flows.is_dir() { check::or_refuse(project, output)?.catalog } else { Catalog::default() };
    for id in ids {
        if wanted.get(&id.database_slug()).is_some() {
            return Err(CompileError::DeleteWanted(id.clone()).into());
        }
        if recorded.get(&id.database_slug()).is_none() {
            return Err(CompileError::DeleteUnknown(id.clone()).into());
        }
    }
    Ok(())
}

/// These versions, if they are drained; with `--wait`, waits for that.
async fn drained(
    ids: &[FlowId],
    args: &RetireArgs,
    operator: &mut Operator,
    output: &Output,
) -> Result<Vec<OldVersion>, Failure> {
    let began = Instant::now();
    let (mut told, mut told_at) = (None, began);
    let mut hope = None;
    loop {
        let mut versions = match old_versions(operator).await {
            Err(error) if args.wait && is_lost(&error) => {
                reconnect(operator, error, &mut hope, output).await?;
                continue;
            }
            versions => versions?,
        };
        hope = None;
        versions.retain(|version| ids.contains(&version.id()));
        let busy: Vec<String> = versions.iter().filter(|version| !version.is_drained).map(what_is_left).collect();
        if busy.is_empty() {
            return Ok(versions);
        }
        let busy = busy.join("; ");
        if !args.wait || args.timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
            return Err(Failure::new(
                Exit::Refused,
                Code::NotDrained,
                format!("not drained: {busy}"),
                "pass --wait to wait for it, and keep a worker with the flow files of the old version running; see `flowsmith runs` \
                 for the runs and `flowsmith stalled` for stalled tasks",
            ));
        }
        if told.is_none() {
            output.message(&format!("Waiting until {} has no running runs and no messages", list(ids)));
            for version in versions.iter().filter(|version| version.workers == 0 && !version.is_drained) {
                let OldVersion { flow, version, slug, state, .. } = version;
                output.message(&format!(
                    "note: no worker of {flow}@{version} is running; {}",
                    start_worker_advice(flow, *version, slug, *state)
                ));
            }
        }
        if told.as_ref() != Some(&busy) || told_at.elapsed() >= REMINDER {
            output.message(&format!("{:>5}s  {busy}", began.elapsed().as_secs()));
            (told, told_at) = (Some(busy), Instant::now());
        }
        sleep(INTERVAL).await;
    }
}

fn what_is_left(version: &OldVersion) -> String {
    let runs = counted(usize::try_from(version.under_way).unwrap_or(usize::MAX), "running run");
    let messages = counted(usize::try_from(version.messages.unwrap_or(0)).unwrap_or(usize::MAX), "message");
    let workers = if version.workers == 0 { ", but no live worker" } else { "" };
    format!("{} has {runs} and {messages}{workers}", version.id())
}

async fn old_versions(operator: &mut Operator) -> Result<Vec<OldVersion>, RunsError> {
    let flows = operator.flows().await?;
    read_old_versions(&mut operator.connection, operator.engine, &flows).await
}

/// The migration that deletes the versions, which keeps the folder, the ledger and the database consistent.
fn deletion(ids: &[FlowId], recorded: &Catalog, settings: &CompileSettings) -> Result<Compiled, Failure> {
    let mut desired = recorded.clone();
    for id in ids {
        desired.remove(&id.database_slug());
    }
    Ok(compile(recorded, desired, settings)?)
}

fn list(ids: &[FlowId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
