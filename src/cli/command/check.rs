//! `flowsmith check`

use flowsmith::check::{Checked, check_files};
use flowsmith::report::findings::{self, Report};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::cli::args::{CheckArgs, CheckFormat};
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

/// Checks every flow file for a command that needs them all to be right. Findings go to stdout, warnings to stderr.
pub(crate) fn or_refuse(project: &Project, output: &Output) -> Result<Checked, Failure> {
    require_flows(project)?;
    accept(project.check(), project, output)
}

/// A check that goes on while the database is asked.
pub(crate) struct Checking(JoinHandle<Checked>);

impl Checking {
    /// Starts it.
    pub(crate) fn start(project: &Project) -> Result<Self, Failure> {
        require_flows(project)?;
        let project = project.clone();
        Ok(Self(spawn_blocking(move || project.check())))
    }

    /// Waits for it, and ends as [`or_refuse`] does.
    pub(crate) async fn or_refuse(self, project: &Project, output: &Output) -> Result<Checked, Failure> {
        let checked = self.0.await.map_err(|error| {
            Failure::without_help(
                Exit::Failed,
                "FS828",
                format!("the check broke off, which is a defect of flowsmith: {error}"),
            )
        })?;
        accept(checked, project, output)
    }
}

fn accept(checked: Checked, project: &Project, output: &Output) -> Result<Checked, Failure> {
    if checked.findings.is_empty() {
        return Ok(checked);
    }
    let text = findings::text(&Report::new(&checked, &project.sources()), true);
    if checked.has_errors() {
        output.report(&text);
        return Err(Failure {
            exit: Exit::Invalid,
            code: None,
            message: "the flow files have errors".to_owned(),
            help: Some("each finding above says what to write instead".to_owned()),
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
        "FS825",
        format!("there is no folder {}", project.flows.display()),
        "run `flowsmith init`, or name the folder of your flow files with --flows",
    ))
}
