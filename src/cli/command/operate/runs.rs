//! `flowsmith runs`

use std::time::Duration;

use flowsmith::operate::{FlowVersion, OperateError, RunFilter, RunStatus, list_runs};
use flowsmith::report::operate::{runs_json, runs_text};
use tokio::time::sleep;

use super::operator::{Operator, is_lost};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::{RunsArgs, StatusFilter};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

/// How often `--watch` looks.
const INTERVAL: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: &RunsArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    if args.watch && args.format == StatusFormat::Json {
        return Err(Failure::usage("--watch shows text only", "`flowsmith watch RUN --format json` follows one run"));
    }
    let mut operator = Operator::open(project, output).await?;
    let mut report = look(args, &mut operator).await?;
    if !args.watch {
        output.report(&report);
        return Ok(Exit::Done);
    }
    loop {
        output.screen(&report);
        sleep(INTERVAL).await;
        report = match look(args, &mut operator).await {
            Err(error) if is_lost(&error) => {
                // Shown until there is something better to show.
                let _ = operator.reconnect().await;
                format!("{report}\n{error}; trying again\n")
            }
            result => result?,
        };
    }
}

async fn look(args: &RunsArgs, operator: &mut Operator) -> Result<String, OperateError> {
    let flows = operator.flows().await?;
    let slugs = args.flow.as_deref().map(|name| flows.named(name)).transpose()?;
    let filter = RunFilter {
        slugs: slugs.map(|named| named.into_iter().map(|flow: &FlowVersion| flow.slug.clone()).collect()),
        status: if args.failed { Some(RunStatus::Failed) } else { args.status.map(StatusFilter::as_status) },
        since: args.since.map(|since| since.as_secs_f64()),
        limit: args.limit,
    };
    let list = list_runs(&mut operator.connection, operator.engine, &flows, &filter).await?;
    Ok(match args.format {
        StatusFormat::Text => runs_text(&list, &operator.subject),
        StatusFormat::Json => runs_json(&list, &operator.subject),
    })
}
