//! `flowsmith plan`

use flowsmith::report::{plan_html, plan_json, plan_markdown, plan_text};
use flowsmith_postgres::plan::{Planned, plan};

use crate::cli::args::deploy::{PlanArgs, PlanFormat};
use crate::cli::database::{self, subject, warn_of_hidden_triggers};
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::{warnings, with_findings};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &PlanArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut session = database::open(project, output).await?;
    let planning = plan(&mut session, &project.files).await;
    let Planned { plan, checked } = planning.map_err(|error| with_findings(error, &project.files, output))?;
    warnings(&checked, &project.files, output);
    warn_of_hidden_triggers(&session, output);
    let subject = subject(&session);
    output.report(&match args.format {
        PlanFormat::Text => plan_text(&plan, &subject, output.layout()),
        PlanFormat::Json => plan_json(&plan, &subject),
        PlanFormat::Markdown => plan_markdown(&plan, &subject),
        PlanFormat::Html => plan_html(&plan, &subject),
    });
    Ok(if plan.is_refused() {
        Exit::Refused
    } else if plan.is_drifted() {
        Exit::Drift
    } else if plan.is_in_sync() {
        Exit::Done
    } else {
        Exit::Pending
    })
}
