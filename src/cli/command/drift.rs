//! `flowsmith drift`

use flowsmith::report::{drift_json, drift_markdown, drift_text};
use flowsmith_postgres::drift::read_drift;

use crate::cli::args::deploy::{ReportArgs, ReportFormat};
use crate::cli::database::{self, subject, warn_of_hidden_triggers};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &ReportArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut session = database::open(project, output).await?;
    let drift = read_drift(&mut session, &project.files).await?;
    warn_of_hidden_triggers(&session, output);
    let subject = subject(&session);
    output.report(&match args.format {
        ReportFormat::Text => drift_text(&drift, &subject, output.layout()),
        ReportFormat::Json => drift_json(&drift, &subject),
        ReportFormat::Markdown => drift_markdown(&drift, &subject),
    });
    Ok(if drift.is_empty() { Exit::Done } else { Exit::Drift })
}
