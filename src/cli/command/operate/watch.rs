//! `flowsmith watch`

use super::follow::{Follow, Tells, follow};
use super::operator::Operator;
use crate::cli::args::operate::WatchArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &WatchArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let run_id = operator.run_id(&args.run).await?;
    let tells = Tells::Events(args.format);
    let settings = Follow { run_id: &run_id, timeout: args.timeout, before: None, tells };
    follow(&mut operator, &settings, output).await
}
