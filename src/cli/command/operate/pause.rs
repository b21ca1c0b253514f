//! `flowsmith pause` and `flowsmith resume`

use flowsmith::report::operate::paused_json;

use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::PauseArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

/// Pauses a flow, or resumes it.
pub(crate) async fn run(args: &PauseArgs, pause: bool, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    let changed = if pause { operator.pause(&args.flow).await? } else { operator.resume(&args.flow).await? };
    for flow in &changed {
        let id = format!("{}@{}", flow.flow, flow.version);
        output.message(&match (pause, flow.has_changed) {
            (true, true) => {
                format!(
                    "Paused {id}: workers claim no more of its tasks; running tasks continue, and runs can be started"
                )
            }
            (true, false) => format!("{id} was already paused"),
            (false, true) => format!("Resumed {id}"),
            (false, false) => format!("{id} was not paused"),
        });
    }
    if args.format == StatusFormat::Json {
        output.report(&paused_json(&changed, &subject(&operator)));
    }
    Ok(Exit::Done)
}
