//! `flowsmith pull`

use flowsmith_core::visible::visible;
use flowsmith_postgres::pull::{PullEvent, PullSettings, pull};

use crate::cli::applied::{report_applied, report_migration};
use crate::cli::args::deploy::PullArgs;
use crate::cli::database::{self, subject, warn_of_hidden_triggers};
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::{explained, warnings};
use crate::cli::output::{Output, shown};
use crate::cli::project::Project;

pub(crate) async fn run(args: &PullArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let session = database::open(project, output).await?;
    let subject = subject(&session);
    warn_of_hidden_triggers(&session, output);
    let settings = PullSettings { overwrite: args.overwrite, files_only: args.files_only };
    let pulling = pull(session, &project.files, settings, |event| report(event, output));
    let pulled = pulling.await.map_err(|error| explained(error, &project.files, &subject, output))?;
    if let Some(applied) = &pulled.applied {
        report_applied(applied, &subject, output);
    }
    warnings(&pulled.checked, &project.files, output);
    Ok(Exit::Done)
}

fn report(event: PullEvent<'_>, output: &Output) {
    match event {
        PullEvent::NothingToPull => output.message("Nothing to pull: the flow files define every flow of the database."),
        PullEvent::Wrote(path) => output.message(&format!("Wrote {}", shown(path))),
        PullEvent::LeftJob(job) => output.message(&format!(
            "Left unchanged: pg_cron's job {} (`{}`: {}). To manage it with flowsmith, declare a trigger with this `cron:` and remove the job with cron.unschedule.",
            visible(&job.name),
            visible(&job.schedule),
            visible(job.command.trim())
        )),
        PullEvent::JobsNotRead => {
            output.message("Jobs of pg_cron were not read: this role may not call flowsmith.actual_cron_jobs().");
        }
        PullEvent::Applied(id, took) => report_migration(id, took, output),
        _ => {}
    }
}
