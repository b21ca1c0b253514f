//! `flowsmith retire`

use flowsmith::report::operate::{old_versions_json, old_versions_text};
use flowsmith_core::catalog::FlowId;
use flowsmith_core::visible::visible;
use flowsmith_core::words::counted;
use flowsmith_postgres::retire::{RetireEvent, Wait, old_versions, prepare};
use flowsmith_postgres::runs::{OldVersion, Operator, start_worker_advice};

use super::confirm::confirm;
use super::operator::{open, subject};
use crate::cli::applied::{report_applied, report_migration};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::RetireArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::{explained, warnings};
use crate::cli::output::{Output, shown};
use crate::cli::project::Project;

pub(crate) async fn run(args: &RetireArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    if args.versions.is_empty() {
        let versions = old_versions(&mut operator).await?;
        report(args, &versions, &[], &operator, output);
        return Ok(Exit::Done);
    }
    let subject = subject(&operator);
    let wait = if args.wait { Wait::UntilDrained(args.timeout) } else { Wait::No };
    let mut events = Events { runs: String::new(), project, output };
    let prepared = prepare(&mut operator, &project.files, &args.versions, wait, |event| events.report(event));
    let retirement = prepared.await.map_err(|error| explained(error, &project.files, &subject, output))?;
    let ids = retirement.ids.clone();
    events.runs = counted(usize::try_from(retirement.runs).unwrap_or(usize::MAX), "run");
    let question = format!("Delete {} with {} from {}?", list(&ids), events.runs, operator.session.database);
    confirm(&question, args.yes, output)?;
    let retiring = retirement.execute(&mut operator, &project.files, |event| events.report(event));
    let retired = retiring.await.map_err(|error| explained(error, &project.files, &subject, output))?;
    report_applied(&retired.applied, &subject, output);
    output.message(&format!("Deleted {}; commit the migration", list(&ids)));
    if args.format == StatusFormat::Json {
        let deleted: Vec<String> = ids.iter().map(ToString::to_string).collect();
        report(args, &retired.remaining, &deleted, &operator, output);
    }
    Ok(Exit::Done)
}

fn report(args: &RetireArgs, versions: &[OldVersion], deleted: &[String], operator: &Operator, output: &Output) {
    output.report(&match args.format {
        StatusFormat::Text => old_versions_text(versions, &subject(operator), output.layout()),
        StatusFormat::Json => old_versions_json(versions, deleted, &subject(operator)),
    });
}

/// Reports the progress of a retirement.
struct Events<'a> {
    /// The number of runs to delete, in words.
    runs: String,
    project: &'a Project,
    output: &'a Output,
}

impl Events<'_> {
    fn report(&self, event: RetireEvent<'_>) {
        let output = self.output;
        match event {
            RetireEvent::Checked(checked) => warnings(checked, &self.project.files, output),
            RetireEvent::Waiting(versions) => note_waiting(versions, output),
            RetireEvent::NotDrained(busy, waited) => {
                let busy: Vec<String> = busy.iter().map(ToString::to_string).collect();
                output.message(&format!("{:>5}s  {}", waited.as_secs(), busy.join("; ")));
            }
            RetireEvent::ConnectionLost(error) => {
                output.message(&format!("note: {}; retrying for a minute", visible(&error.to_string())));
            }
            RetireEvent::Pruned(pruned) => output.message(&format!("Deleted {pruned} of {}", self.runs)),
            RetireEvent::Wrote(path) => output.message(&format!("Wrote {}", shown(path))),
            RetireEvent::Applied(id, took) => report_migration(id, took, output),
            _ => {}
        }
    }
}

fn note_waiting(versions: &[OldVersion], output: &Output) {
    let ids: Vec<FlowId> = versions.iter().map(OldVersion::id).collect();
    output.message(&format!("Waiting until {} has no running runs and no messages", list(&ids)));
    for version in versions.iter().filter(|version| version.workers == 0 && !version.is_drained) {
        let OldVersion { flow, version, slug, state, .. } = version;
        output.message(&format!(
            "note: no worker of {flow}@{version} is running; {}",
            start_worker_advice(flow, *version, slug, *state)
        ));
    }
}

fn list(ids: &[FlowId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
