//! `flowsmith graph`

use std::fs;
use std::sync::Arc;

use flowsmith::catalog::Flow;
use flowsmith::graph::{Graph, GraphError, Style, choose, choose_of_run, dot, mermaid, svg};
use flowsmith::live::{RunId, read_snapshot, run_states};
use flowsmith::migration::{Folder, replay};
use flowsmith::report::findings::{self, Report};
use flowsmith::report::graph_html;

use crate::cli::args::{GraphArgs, GraphFormat, GraphSide};
use crate::cli::command::check;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &GraphArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let graph = match (&args.run, &args.flow) {
        (Some(run), flow) => of_run(run, flow.as_deref(), project, output).await?,
        (None, Some(flow)) => {
            let flow = definition(flow, args.from, project, output).await?;
            Graph::of_flow(&flow)
        }
        (None, None) => return Err(Failure::usage("no flow is named", "name one: flowsmith graph FLOW")),
    };
    let text = match args.format {
        GraphFormat::Svg => svg(&graph, Style { id: "flow", alone: true }),
        GraphFormat::Mermaid => mermaid(&graph),
        GraphFormat::Dot => dot(&graph),
        GraphFormat::Html => graph_html(&graph),
    };
    match &args.output {
        None => output.report(&text),
        Some(path) => fs::write(path, text).map_err(|error| Failure::io("write", path, &error))?,
    }
    Ok(Exit::Done)
}

/// The flow that is named, on one of the three sides.
async fn definition(name: &str, side: GraphSide, project: &Project, output: &Output) -> Result<Arc<Flow>, Failure> {
    match side {
        GraphSide::Files => {
            let checked = check::start(project)?.finish().await?;
            match choose(&checked.catalog, name, "the flow files") {
                Ok(flow) => Ok(flow.clone()),
                // It may be among those with errors, which are told on stderr: stdout is for the picture.
                Err(_) if checked.has_errors() => {
                    output.complain(findings::text(&Report::new(&checked, &project.sources()), true).trim_end());
                    Err(Failure {
                        exit: Exit::Invalid,
                        code: None,
                        message: format!("there is no flow `{name}` without errors in the flow files"),
                        help: Some("each finding above says what to write instead".to_owned()),
                    })
                }
                Err(error) => Err(error.into()),
            }
        }
        GraphSide::Migrations => {
            let folder = Folder::read(&project.migrations)?;
            Ok(choose(&replay(folder.migrations())?, name, "the migrations")?.clone())
        }
        GraphSide::Live => {
            let place = Place::find(project, output)?;
            let mut session = place.open().await?;
            let shape = session.shape()?;
            let live = read_snapshot(&mut session.connection, shape).await?;
            Ok(choose(&live.catalog, name, "the database")?.clone())
        }
    }
}

/// A run, with the definition that the database has.
async fn of_run(run: &RunId, flow: Option<&str>, project: &Project, output: &Output) -> Result<Graph, Failure> {
    let place = Place::find(project, output)?;
    let mut session = place.open().await?;
    let shape = session.shape()?;
    let states = run_states(&mut session.connection, run, shape).await?;
    let states = states.ok_or_else(|| GraphError::UnknownRun(run.clone()))?;
    let live = read_snapshot(&mut session.connection, shape).await?;
    Ok(Graph::of_run(choose_of_run(&live.catalog, &states, flow)?, &states))
}
