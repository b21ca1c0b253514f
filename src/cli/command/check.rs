//! `flowsmith check`

use flowsmith::report::findings::{self, Report};

use crate::cli::args::deploy::{CheckArgs, CheckFormat};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) fn run(args: &CheckArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let checked = project.files.check_files(&args.files)?;
    let report = Report::new(&checked, &project.files.sources());
    output.report(&match args.format {
        CheckFormat::Text => findings::text(&report, true),
        CheckFormat::Json => findings::json(&report),
        CheckFormat::Github => findings::github(&report),
        CheckFormat::Sarif => findings::sarif(&report),
    });
    Ok(if checked.is_refused(args.strict) { Exit::Invalid } else { Exit::Done })
}
