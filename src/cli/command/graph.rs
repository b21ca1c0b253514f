//! `flowsmith graph`

use flowsmith::graph::{Graph, Style, choose, choose_of_run, dot, mermaid, step_descriptions, svg};
use flowsmith::report::findings::{self, Report};
use flowsmith::report::graph_html;
use flowsmith_core::catalog::UnknownFlow;
use flowsmith_core::diagnostic::Code;
use flowsmith_core::migration::replay;
use flowsmith_core::write;
use flowsmith_postgres::runs::{Operator, RunPrefix};

use crate::cli::args::graph::{GraphArgs, GraphFormat, GraphSide};
use crate::cli::database;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Output, shown};
use crate::cli::project::Project;

pub(crate) async fn run(args: &GraphArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    // Checked before any slow operation.
    let format = format(args)?;
    let graph = match (&args.run, &args.flow) {
        (Some(run), flow) => of_run(run, flow.as_deref(), project, output).await?,
        (None, Some(flow)) => definition(flow, args.from, project, output).await?,
        (None, None) => return Err(Failure::usage("no flow is named", "name a flow: flowsmith graph FLOW")),
    };
    let text = match format {
        GraphFormat::Svg => svg(&graph, Style { id: "flow", alone: true }),
        GraphFormat::Mermaid => mermaid(&graph),
        GraphFormat::Dot => dot(&graph),
        GraphFormat::Html => graph_html(&graph),
    };
    match &args.output {
        None => output.report(&text),
        Some(path) => {
            write::replace(path, text.as_bytes()).map_err(|error| Failure::io("write", path, &error))?;
            output.message(&format!("Wrote {}", shown(path)));
        }
    }
    Ok(Exit::Done)
}

/// The format: the value of `--format`, otherwise the one of the file extension.
fn format(args: &GraphArgs) -> Result<GraphFormat, Failure> {
    let Some(path) = &args.output else { return Ok(args.format.unwrap_or(GraphFormat::Svg)) };
    let Some(ending) = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()) else {
        return Ok(args.format.unwrap_or(GraphFormat::Svg));
    };
    let of_ending = match ending.as_str() {
        "svg" => Some(GraphFormat::Svg),
        "html" | "htm" => Some(GraphFormat::Html),
        "mmd" | "mermaid" => Some(GraphFormat::Mermaid),
        "dot" | "gv" => Some(GraphFormat::Dot),
        _ => None,
    };
    let refused = |message: String, help: &str| Err(Failure::new(Exit::Usage, Code::PictureFormat, message, help));
    match (args.format, of_ending) {
        (Some(asked), Some(of_ending)) if asked != of_ending => refused(
            format!(
                "{} has the extension of {}, but --format requests {}",
                path.display(),
                word(of_ending),
                word(asked)
            ),
            "omit --format, or use another file extension",
        ),
        (Some(asked), _) => Ok(asked),
        (None, Some(of_ending)) => Ok(of_ending),
        (None, None) => refused(
            format!("no format has the extension .{ending}"),
            "use .svg, .html, .mmd or .dot, or pass --format; Graphviz produces other formats: \
             flowsmith graph FLOW --format dot | dot -Tpng > flow.png",
        ),
    }
}

/// The name of a format.
fn word(format: GraphFormat) -> &'static str {
    match format {
        GraphFormat::Svg => "SVG",
        GraphFormat::Mermaid => "Mermaid",
        GraphFormat::Dot => "DOT",
        GraphFormat::Html => "HTML",
    }
}

/// The graph of a flow in the files, the migrations or the database.
async fn definition(name: &str, side: GraphSide, project: &Project, output: &Output) -> Result<Graph, Failure> {
    match side {
        GraphSide::Files => {
            let checked = project.files.check_files(&[])?;
            match choose(&checked.catalog, name, "the flow files") {
                Ok(flow) => {
                    let mut graph = Graph::of_flow(flow);
                    if let Some(origin) = checked.origins.get(&flow.id.database_slug()) {
                        let environment = project.files.environment.as_deref();
                        graph.describe(&step_descriptions(&project.files.sources(), origin, environment));
                    }
                    Ok(graph)
                }
                // The flow may be among those with errors. The findings go to stderr, because stdout is for the graph.
                Err(_) if checked.has_errors() => {
                    output.aside(&findings::text(&Report::new(&checked, &project.files.sources()), true));
                    Err(Failure {
                        exit: Exit::Invalid,
                        code: None,
                        message: format!("there is no flow `{name}` without errors in the flow files"),
                        help: Some("fix the findings above".to_owned()),
                    })
                }
                Err(error) => Err(error.into()),
            }
        }
        GraphSide::Migrations => {
            let folder = project.files.read_migrations()?;
            Ok(Graph::of_flow(choose(&replay(folder.migrations())?, name, "the migrations")?))
        }
        GraphSide::Live => {
            let mut session = database::open(project, output).await?;
            let live = session.read_live().await?;
            let flow = choose(&live.catalog, name, UnknownFlow::DATABASE);
            Ok(Graph::of_flow(flow.map_err(|error| error.in_database(&session.database))?))
        }
    }
}

/// The graph of a run, with the definition in the database.
async fn of_run(run: &RunPrefix, flow: Option<&str>, project: &Project, output: &Output) -> Result<Graph, Failure> {
    let mut operator = Operator::new(database::open(project, output).await?)?;
    let states = operator.states(run).await?;
    let live = operator.session.read_live().await?;
    let flow = choose_of_run(&live.catalog, &states, flow);
    let flow = flow.map_err(|error| error.in_database(&operator.session.database))?;
    Ok(Graph::of_run(flow, &states))
}
