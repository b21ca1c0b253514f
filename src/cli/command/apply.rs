//! `flowsmith apply`

use flowsmith_core::diagnostic::Code;
use std::time::Duration;

use flowsmith::report::drift_text;
use flowsmith_core::migration::Folder;
use flowsmith_postgres::apply::{Applied, ApplyError, ApplySettings, Progress, apply};
use flowsmith_postgres::engine::detect::Detection;

use crate::cli::args::road::ApplyArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &ApplyArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let folder = Folder::read(&project.migrations)?;
    let place = Place::find(project, output)?;
    let settings = ApplySettings {
        lock_timeout: args.lock_timeout,
        statement_timeout: args.statement_timeout,
        accept_drift: args.accept_drift,
        out_of_order: args.out_of_order,
        ignore: project.ignore.clone(),
        ..ApplySettings::default()
    };
    let applied = pending(&place, &folder, &settings, output, |id, took| say(id, took, output)).await?;
    if applied.migrations.is_empty() {
        output.message("Nothing to apply: every migration is applied.");
    }
    Ok(Exit::Done)
}

/// Reports an applied migration on stderr.
pub(crate) fn say(id: &str, took: Duration, output: &Output) {
    output.message(&format!("Applied {id} in {}", time(took)));
}

/// The most schedules that a note names.
const NAMED: usize = 8;

/// Notes the schedules that pg_cron does not run.
fn note_unscheduled(unscheduled: &[(String, String)], detection: &Detection, output: &Output) {
    if unscheduled.is_empty() {
        return;
    }
    let care = anstyle::AnsiColor::Cyan.on_default().bold();
    let why = if detection.has_pg_cron { "flowsmith may not use pg_cron" } else { "there is no pg_cron" };
    let mut note = format!(
        "{care}note{care:#}: {why} in this database, so these schedules fire only while a worker runs with --schedule:"
    );
    for (flow, trigger) in unscheduled.iter().take(NAMED) {
        note.push_str(&format!("\n        {flow}: {trigger}"));
    }
    if let more @ 1.. = unscheduled.len().saturating_sub(NAMED) {
        note.push_str(&format!("\n        and {more} more"));
    }
    match &detection.cron_elsewhere {
        Some(database) => note.push_str(&format!(
            "\n      pg_cron is restricted to the database {database} (`cron.database_name`); to use it, flowsmith and its flows must be installed there"
        )),
        None if detection.has_pg_cron => {
            note.push_str("\n      or grant the role that installed flowsmith access (`grant usage on schema cron to …`), then run `flowsmith install`");
        }
        None => note.push_str(
            "\n      or use pg_cron, if `cron.database_name` names this database: run `create extension pg_cron`, then \
             `flowsmith install`",
        ),
    }
    output.message(&note);
}

/// `37 ms`, `1.2 s`.
pub(crate) fn time(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

/// Applies the pending migrations; each is reported to `applied` when it is committed.
pub(crate) async fn pending(
    place: &Place,
    folder: &Folder,
    settings: &ApplySettings,
    output: &Output,
    mut applied: impl FnMut(&str, Duration),
) -> Result<Applied, Failure> {
    let session = place.open().await?;
    let shape = session.shape()?;
    if !shape.ledger {
        return Err(Failure::new(
            Exit::Failed,
            Code::LedgerMissing,
            "this database has no flowsmith schema, which records applied migrations",
            "run `flowsmith install`; it does not change an existing engine",
        ));
    }
    let subject = session.subject();
    let detection = session.detection;
    drop(session.connection);
    let progress = |progress: Progress<'_>| match progress {
        Progress::Running(id) => output.detail(&format!("Applying {id}")),
        Progress::Applied(id, took) => applied(id, took),
    };
    match apply(&place.target, shape, folder, settings, progress).await {
        Ok(applied) => {
            note_unscheduled(&applied.unscheduled, &detection, output);
            if applied.drift.blocks_apply() {
                output.aside(&drift_text(&applied.drift, &subject, output.layout()));
            }
            Ok(applied)
        }
        Err(error) => {
            if let ApplyError::Drift(drift) = &error {
                output.aside(&drift_text(drift, &subject, output.layout()));
            }
            Err(error.into())
        }
    }
}
