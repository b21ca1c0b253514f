//! `flowsmith check`

use flowsmith::report::findings::{self, Report};
use flowsmith_core::check::{Checked, check_files};
use flowsmith_core::diagnostic::Code;

use crate::cli::args::deploy::{CheckArgs, CheckFormat};
use crate::cli::background::Background;
use crate::cli::command_kind::StdoutFormat;
use crate::cli::exit::{Exit, Failure};
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

/// Checks every flow file for a command that needs them all to be right. Findings go to
/// stdout, in the form that is asked for, or to stderr where that form has no room for them; warnings to stderr.
pub(crate) fn or_refuse(project: &Project, output: &Output) -> Result<Checked, Failure> {
    require_flows(project)?;
    accept(project.check(), project, output)
}

/// Starts a check that goes on while the database is asked; [`accept`] takes what it gives.
pub(crate) fn start(project: &Project) -> Result<Background<Checked>, Failure> {
    require_flows(project)?;
    let project = project.clone();
    Ok(Background::start(move || project.check()))
}

/// Refuses a check with errors; says the warnings of any other.
pub(crate) fn accept(checked: Checked, project: &Project, output: &Output) -> Result<Checked, Failure> {
    if checked.findings.is_empty() {
        return Ok(checked);
    }
    let report = Report::new(&checked, &project.sources());
    let text = findings::text(&report, true);
    if checked.has_errors() {
        match output.stdout_format() {
            StdoutFormat::Json => output.report(&findings::json(&report)),
            StdoutFormat::Text | StdoutFormat::Document => output.aside(&text),
        }
        return Err(Failure {
            exit: Exit::Invalid,
            code: None,
            message: "the flow files have errors".to_owned(),
            help: Some("each finding says what to write instead".to_owned()),
        });
    }
    output.message(text.trim_end());
    Ok(checked)
}

/// A folder that is not there is a mistake, not an empty project: everything recorded would be retired.
fn require_flows(project: &Project) -> Result<(), Failure> {
    if project.flows.is_dir() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        Code::NoFlowsFolder,
        format!("there is no folder {}", project.flows.display()),
        "run `flowsmith init`, or name the folder of your flow files with --flows",
    ))
}
