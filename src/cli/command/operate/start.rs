//! `flowsmith start`

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use flowsmith::report::operate::started_json;
use flowsmith_core::catalog::State;
use flowsmith_postgres::runs::{FlowVersion, StartInput, StartedRun};

use super::follow::{Follow, FollowReport, follow, note_no_worker};
use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::StartArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &StartArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let (input, place) = input(&args.input, output)?;
    let input = StartInput::parse(&input, place)?;
    let mut operator = open(project, output).await?;
    let StartedRun { run, flow } = operator.start(&args.flow, &input, args.run_id.as_ref()).await?;
    note_state(&flow, output);
    // A script reads stdout: the id, or one report, and nothing else.
    match args.format {
        StatusFormat::Text => output.report(&format!("{}\n", run.run_id)),
        StatusFormat::Json if args.wait => {}
        StatusFormat::Json => output.report(&started_json(&run, &subject(&operator))),
    }
    note_no_worker(&mut operator, &run, flow.state, output).await;
    if !args.wait {
        output.detail(&format!("Started a run of {}; see `flowsmith show {}`", flow.id(), run.run_id));
        return Ok(Exit::Done);
    }
    let report = FollowReport::End(args.format);
    follow(&mut operator, Follow { run_id: &run.run_id, timeout: args.timeout, before: None, report }, output).await
}

/// Notes that the flow is paused, or the version is an old one.
fn note_state(flow: &FlowVersion, output: &Output) {
    if flow.paused_at.is_some() {
        output.message(&format!(
            "note: {} is paused, so no worker claims its tasks; run `flowsmith resume {}` to resume it",
            flow.id(),
            flow.flow
        ));
    }
    if matches!(flow.state, State::Draining | State::Retired) {
        output.message(&format!(
            "note: {} is {}: callers of the flow start another version or none",
            flow.id(),
            flow.state.as_str()
        ));
    }
}

/// The input that `--input` names, and its source for messages.
fn input<'a>(given: &'a str, output: &Output) -> Result<(Vec<u8>, &'a str), Failure> {
    if given == "-" {
        if std::io::stdin().is_terminal() {
            output.message("Reading the input as JSON from the terminal; end it with Ctrl-D");
        }
        let (mut bytes, place) = (Vec::new(), "standard input");
        std::io::stdin().read_to_end(&mut bytes).map_err(|error| Failure::io("read", Path::new(place), &error))?;
        return Ok((bytes, place));
    }
    match given.strip_prefix('@') {
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|error| Failure::io("read", Path::new(file), &error))?;
            Ok((bytes, file))
        }
        None => Ok((given.as_bytes().to_vec(), "--input")),
    }
}
