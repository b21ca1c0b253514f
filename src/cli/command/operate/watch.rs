//! `flowsmith watch`

use super::follow::{Follow, FollowReport, follow};
use super::operator::open;
use crate::cli::args::operate::WatchArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &WatchArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    let run_id = operator.run_id(&args.run).await?;
    let report = FollowReport::Changes(args.format);
    follow(&mut operator, Follow { run_id: &run_id, timeout: args.timeout, before: None, report }, output).await
}
