//! `flowsmith start`

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use flowsmith::report::operate::started_json;
use flowsmith_core::catalog::State;
use flowsmith_postgres::database::Failure as DatabaseFailure;
use flowsmith_postgres::runs::{FlowVersion, RunsError, StartInput, start_run};

use super::follow::{Follow, Tells, follow, note_no_worker};
use super::operator::Operator;
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::StartArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &StartArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let (input, place) = input(&args.input, output)?;
    let input = StartInput::parse(&input, place)?;
    let mut operator = Operator::open(project, output).await?;
    let flow = match operator.flows().await {
        Ok(flows) => flows.to_start(&args.flow)?.clone(),
        // A role that may start flows need not be allowed to read their definitions; see docs/roles.md.
        Err(RunsError::Database(error))
            if error.failure() == DatabaseFailure::Permission && operator.engine.has_ledger =>
        {
            FlowVersion::assumed(&args.flow)
        }
        Err(error) => return Err(error.into()),
    };
    input.check(&flow)?;
    let started = start_run(&mut operator.connection, operator.engine, &flow, &input, args.run_id.as_ref())
        .await
        .map_err(|error| error.in_database(&operator.subject.database))?;
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
    // For scripts, stdout contains only the id or one report.
    match args.format {
        StatusFormat::Text => output.report(&format!("{}\n", started.run_id)),
        StatusFormat::Json if args.wait => {}
        StatusFormat::Json => output.report(&started_json(&started, &operator.subject)),
    }
    note_no_worker(&mut operator, &started, flow.state, output).await;
    if !args.wait {
        output.detail(&format!("Started a run of {}; see `flowsmith show {}`", flow.id(), started.run_id));
        return Ok(Exit::Done);
    }
    let settings =
        Follow { run_id: &started.run_id, timeout: args.timeout, before: None, tells: Tells::End(args.format) };
    follow(&mut operator, &settings, output).await
}

/// The input that `--input` names, and its source.
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
