//! `flowsmith retire`

use std::time::Duration;

use flowsmith::apply::ApplySettings;
use flowsmith::catalog::{Catalog, FlowId};
use flowsmith::ledger::Status;
use flowsmith::live::read_snapshot;
use flowsmith::migration::{CompileError, CompileSettings, Folder, compile, replay};
use flowsmith::operate::{OldVersion, OperateError, PruneFilter, prune, read_old_versions, start_worker, to_retire};
use flowsmith::report::counted;
use flowsmith::report::operate::{old_versions_json, old_versions_text};
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

/// How often `--wait` looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often it says what it waits for, where that stays the same.
const REMINDER: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: &RetireArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows().await?;
    let ids = to_retire(&flows, &args.versions)?;
    if ids.is_empty() {
        let versions = read_old_versions(&mut operator.connection, operator.engine, &flows).await?;
        report(args, &versions, &[], &operator, output);
        return Ok(Exit::Done);
    }
    let folder = Folder::read(&project.migrations)?;
    let recorded = replay(folder.migrations())?;
    refuse_pending(&folder, &mut operator).await?;
    refuse_wanted(&ids, &recorded, project, output)?;
    let versions = drained(&ids, args, &mut operator, output).await?;
    let ended: u64 = versions.iter().map(|version| version.ended).sum();
    let runs = counted(usize::try_from(ended).unwrap_or(usize::MAX), "run");
    let question = format!("Delete {} with {runs} from {}?", list(&ids), operator.subject.database);
    confirm(&question, args.yes, output)?;
    // The migration locks the table of runs, so it should find few.
    if operator.engine.has_operations() {
        let slugs = versions.iter().map(|version| version.slug.clone()).collect();
        let filter = PruneFilter { older_than: 0.0, slugs: Some(slugs) };
        let progress = |gone: u64| output.message(&format!("Deleted {gone} of {runs}"));
        prune(&mut operator.connection, operator.engine, &filter, progress).await?;
    }
    delete(&ids, &recorded, folder, &operator, project, output).await?;
    let left = old_versions(&mut operator).await?;
    if args.format == StatusFormat::Json {
        let deleted: Vec<String> = ids.iter().map(ToString::to_string).collect();
        report(args, &left, &deleted, &operator, output);
    }
    Ok(Exit::Done)
}

fn report(args: &RetireArgs, versions: &[OldVersion], deleted: &[String], operator: &Operator, output: &Output) {
    output.report(&match args.format {
        StatusFormat::Text => old_versions_text(versions, &operator.subject),
        StatusFormat::Json => old_versions_json(versions, deleted, &operator.subject),
    });
}

/// What is to be applied is the deletion, and nothing that happened to lie there.
async fn refuse_pending(folder: &Folder, operator: &mut Operator) -> Result<(), Failure> {
    let shape = flowsmith::live::LiveShape {
        conditions: operator.engine.level.has_conditions(),
        ledger: operator.engine.has_ledger,
        triggers: false,
    };
    let live = read_snapshot(&mut operator.connection, shape).await?;
    let status = Status::new(folder.migrations(), &live.ledger);
    if status.pending().is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        "FS976",
        format!("migrations are pending here: {}", status.pending().join(", ")),
        "apply them first, or take them back: delete the files and run `flowsmith compile --rehash`",
    ))
}

/// Versions that the files want would come back with the next migration.
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

/// These versions, of which nothing is left to do; with `--wait`, once that is so.
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
                "FS974",
                format!("not drained: {busy}"),
                "--wait waits until it is. Old versions need a worker with the flow files that had them, as git keeps them; \
                 `flowsmith runs` lists the runs, `flowsmith stalled` says what holds them up, `flowsmith cancel` ends one",
            ));
        }
        if told.is_none() {
            output.message(&format!(
                "Waiting until nothing of {} is left to do: no run under way, no message",
                list(ids)
            ));
            for version in versions.iter().filter(|version| version.workers == 0 && !version.is_drained) {
                let OldVersion { flow, version, slug, state, .. } = version;
                output.message(&format!("note: {flow}@{version}: {}", start_worker(flow, *version, slug, *state)));
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
    let runs = counted(usize::try_from(version.under_way).unwrap_or(usize::MAX), "run");
    let messages = counted(usize::try_from(version.messages.unwrap_or(0)).unwrap_or(usize::MAX), "message");
    let workers = if version.workers == 0 { ", and no worker is alive" } else { "" };
    format!("{} has {runs} under way and {messages}{workers}", version.id())
}

async fn old_versions(operator: &mut Operator) -> Result<Vec<OldVersion>, OperateError> {
    let flows = operator.flows().await?;
    read_old_versions(&mut operator.connection, operator.engine, &flows).await
}

/// Writes the migration that deletes them, and applies it: so the folder, the ledger and the database say the same.
async fn delete(
    ids: &[FlowId],
    recorded: &Catalog,
    mut folder: Folder,
    operator: &Operator,
    project: &Project,
    output: &Output,
) -> Result<(), Failure> {
    let mut desired = recorded.clone();
    for id in ids {
        desired.remove(&id.database_slug());
    }
    let settings = CompileSettings { delete: ids.to_vec(), ..compile_command::settings(&folder, None) };
    compile_command::write(compile(recorded, desired, &settings)?, &mut folder, output)?;
    let apply_settings = ApplySettings { ignore: project.ignore.clone(), ..ApplySettings::default() };
    apply::pending(&operator.place, &folder, &apply_settings, output, |id, took| apply::say(id, took, output)).await?;
    output.message(&format!("Deleted {}; commit the migration", list(ids)));
    Ok(())
}

fn list(ids: &[FlowId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
