//! `flowsmith apply`

use flowsmith_postgres::apply::{ApplySettings, Progress, apply};

use crate::cli::applied::{report_applied, report_migration};
use crate::cli::args::deploy::ApplyArgs;
use crate::cli::database::{self, subject};
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::explained;
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &ApplyArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let folder = project.files.read_migrations()?;
    let session = database::open(project, output).await?;
    let subject = subject(&session);
    let settings = ApplySettings {
        lock_timeout: args.lock_timeout,
        statement_timeout: args.statement_timeout,
        accept_drift: args.accept_drift,
        out_of_order: args.out_of_order,
        ignore: project.files.ignore.clone(),
        ..ApplySettings::default()
    };
    let applying = apply(session, &folder, &settings, |progress| match progress {
        Progress::Running(id) => output.detail(&format!("Applying {id}")),
        Progress::Applied(id, took) => report_migration(id, took, output),
    });
    let applied = applying.await.map_err(|error| explained(error, &project.files, &subject, output))?;
    report_applied(&applied, &subject, output);
    if applied.migrations.is_empty() {
        output.message("Nothing to apply: every migration is applied.");
    }
    Ok(Exit::Done)
}
