//! `flowsmith check`

use flowsmith::report::findings::{self, Report};
use flowsmith_core::check::{Checked, check_files};
use flowsmith_core::diagnostic::Code;

use crate::cli::args::road::{CheckArgs, CheckFormat};
use crate::cli::background::Background;
use crate::cli::exit::{Exit, Failure};
use crate::cli::nature::Form;
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) fn run(args: &CheckArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let checked = if args.files.is_empty() {
        require_flows(project)?;
        project.check()
    } else {
        check_files(&args.files, &project.sources(), &project.check_settings())
    };
    let report = Report::new(&checked, &project.sources());
    output.report(&match args.format {
        CheckFormat::Text => findings::text(&report, true),
        CheckFormat::Json => findings::json(&report),
        CheckFormat::Github => findings::github(&report),
        CheckFormat::Sarif => findings::sarif(&report),
    });
    let refused = checked.has_errors() || args.strict && !checked.findings.is_empty();
    Ok(if refused { Exit::Invalid } else { Exit::Done })
}

/// Checks every flow file for a command that requires all of them to be valid. Errors go to stdout in the requested format, or to
/// stderr if that format has no place for them; warnings go to stderr.
pub(crate) fn or_refuse(project: &Project, output: &Output) -> Result<Checked, Failure> {
    require_flows(project)?;
    accept(project.check(), project, output)
}

/// Starts a check in the background, while the database is queried; its result is passed to [`accept`].
pub(crate) fn start(project: &Project) -> Result<Background<Checked>, Failure> {
    require_flows(project)?;
    let project = project.clone();
    Ok(Background::start(move || project.check()))
}

/// Refuses a check with errors, and reports its warnings otherwise.
pub(crate) fn accept(checked: Checked, project: &Project, output: &Output) -> Result<Checked, Failure> {
    if checked.findings.is_empty() {
        return Ok(checked);
    }
    let report = Report::new(&checked, &project.sources());
    let text = findings::text(&report, true);
    if checked.has_errors() {
        match output.form() {
            Form::Json => output.report(&findings::json(&report)),
            Form::Text | Form::Document => output.aside(&text),
        }
        return Err(Failure {
            exit: Exit::Invalid,
            code: None,
            message: "the flow files have errors".to_owned(),
            help: Some("fix the findings".to_owned()),
        });
    }
    output.findings(&text);
    Ok(checked)
}

/// A missing folder is an error, not an empty project, which would retire every recorded flow.
fn require_flows(project: &Project) -> Result<(), Failure> {
    if project.flows.is_dir() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        Code::NoFlowsFolder,
        format!("the folder {} does not exist", project.flows.display()),
        "run `flowsmith init` to create a project, or pass the folder of the flow files with --flows",
    ))
}
