//! `flowsmith prune`

use flowsmith::report::operate::pruned_json;
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::{PruneFilter, count_prunable, prune};

use super::confirm::confirm;
use super::operator::{Operator, slugs};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::PruneArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &PruneArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows().await?;
    let filter = PruneFilter {
        older_than: args.older_than.as_secs_f64(),
        slugs: args.flow.as_deref().map(|name| flows.named(name)).transpose()?.map(|named| slugs(&named)),
    };
    let there = count_prunable(&mut operator.connection, operator.engine, &filter).await?;
    let runs = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "run");
    let mut deleted = 0;
    if there > 0 {
        let of = args.flow.as_deref().map(|flow| format!(" of {flow}")).unwrap_or_default();
        let place = &operator.subject.database;
        let question = format!("Delete {}{of} with steps, tasks and messages from {place}?", runs(there));
        confirm(&question, args.yes, output)?;
        let progress = |gone: u64| output.message(&format!("Deleted {gone} of {}", runs(there)));
        deleted = prune(&mut operator.connection, operator.engine, &filter, progress).await?;
    }
    output.message(&match deleted {
        0 => "Nothing to delete: no run ended before that time.".to_owned(),
        _ => format!("Deleted {}", runs(deleted)),
    });
    if args.format == StatusFormat::Json {
        output.report(&pruned_json(deleted, &operator.subject));
    }
    Ok(Exit::Done)
}
