//! `flowsmith doctor`

use flowsmith::report::{doctor_json, doctor_text};
use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};

use crate::cli::args::StatusFormat;
use crate::cli::args::deploy::DoctorArgs;
use crate::cli::database::{self, subject};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &DoctorArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut session = database::open(project, output).await?;
    let checks = doctor(&mut session.connection).await?;
    output.report(&match args.format {
        StatusFormat::Text => doctor_text(&checks, &subject(&session), output.layout()),
        StatusFormat::Json => doctor_json(&checks, &subject(&session)),
    });
    let failed = checks.iter().any(|check| check.status == CheckStatus::Failed);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}
