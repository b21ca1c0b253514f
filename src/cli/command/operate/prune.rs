//! `flowsmith prune`

use flowsmith::report::operate::pruned_json;
use flowsmith_core::words::counted;

use super::confirm::confirm;
use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::PruneArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &PruneArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    let prunable = operator.prunable(args.flow.as_deref(), args.older_than).await?;
    let runs = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "run");
    let all = runs(prunable.count);
    if prunable.count > 0 {
        let of = args.flow.as_deref().map(|flow| format!(" of {flow}")).unwrap_or_default();
        let database = &operator.session.database;
        let question = format!("Delete {all}{of} with steps, tasks and messages from {database}?");
        confirm(&question, args.yes, output)?;
    }
    let progress = |pruned: u64| output.message(&format!("Deleted {pruned} of {all}"));
    let deleted = operator.prune(&prunable, progress).await?;
    output.message(&match deleted {
        0 => "Nothing to delete: no run ended before that time.".to_owned(),
        _ => format!("Deleted {}", runs(deleted)),
    });
    if args.format == StatusFormat::Json {
        output.report(&pruned_json(deleted, &subject(&operator)));
    }
    Ok(Exit::Done)
}
