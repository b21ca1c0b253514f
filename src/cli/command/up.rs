//! `flowsmith up` and `flowsmith down`

use flowsmith_core::migration::{Folder, Migration};
use flowsmith_core::project::{CompileOptions, compile_project};
use flowsmith_core::words::counted;
use flowsmith_devserver::Server;
use flowsmith_postgres::deploy::{DeployEvent, deploy};

use crate::cli::applied::{report_applied, time};
use crate::cli::args::deploy::UpArgs;
use crate::cli::database::{self, Database, EMBEDDED_DATABASE, start_server};
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::{explained, warnings, with_findings};
use crate::cli::installed::installed_text;
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &UpArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    // Before anything is written.
    let is_given = project.database()?.is_some();
    if args.url && is_given {
        return Err(Failure::usage(
            "--url prints the URL of the embedded database, but another database is given",
            "omit --url",
        ));
    }
    let steps = Steps { as_messages: args.url, output };
    let (folder, flows) = compile(args, project, &steps)?;
    let (database, connect) = resolve(is_given, project, &steps).await?;
    let mut subject = None;
    let deploying = deploy(&database.target, &folder, &project.files.ignore, |event| match event {
        DeployEvent::Installed(report) => steps.print("Engine", &installed_text(report)),
        DeployEvent::Opened(session) => subject = Some(database::subject(session)),
        DeployEvent::Applied(id, took) => steps.print("Applied", &format!("{id} in {}", time(took))),
        _ => {}
    });
    let deployed = deploying.await;
    let deployed = deployed.map_err(|error| explained(error, &project.files, subject.as_ref(), output))?;
    report_applied(&deployed.applied, subject.as_ref(), output);
    let state = if deployed.has_changed { "In sync now" } else { "In sync" };
    steps.print(state, &format!("the database matches the flow files ({flows})"));
    // Not wrapped: the command is copied as one line.
    output.report(&match connect {
        Connect::Given(target) => format!("\nConnect: {target}\n"),
        Connect::Embedded(url) if args.url => format!("{url}\n"),
        Connect::Embedded(url) => format!("\nConnect: psql '{url}'\nStop it: flowsmith down\n"),
    });
    Ok(Exit::Done)
}

/// Checks the flow files and compiles them. Returns the folder with the new migrations, and the number of flows in words.
fn compile(args: &UpArgs, project: &Project, steps: &Steps<'_>) -> Result<(Folder, String), Failure> {
    let compiling = compile_project(&project.files, &CompileOptions::default());
    let compiled = compiling.map_err(|error| with_findings(error, &project.files, steps.output))?;
    let checked = &compiled.checked;
    warnings(checked, &project.files, steps.output);
    let flows = counted(checked.catalog.len(), "flow");
    let (in_steps, in_files) = (counted(checked.steps, "step"), counted(checked.files, "file"));
    steps.print("Checked", &format!("{flows} with {in_steps} in {in_files}"));
    if args.no_compile {
        compiled.require_up_to_date()?;
    }
    let names: Vec<String> = compiled.migrations.iter().map(Migration::file_name).collect();
    let folder = if args.no_compile { compiled.into_folder() } else { compiled.write()?.0 };
    let what = if names.is_empty() {
        "nothing to compile, the migrations are up to date".to_owned()
    } else {
        names.join(", ")
    };
    steps.print("Compiled", &what);
    Ok((folder, flows))
}

/// Prints the steps of `up`: as the report, or as messages if the report is something else.
struct Steps<'a> {
    as_messages: bool,
    output: &'a Output,
}

impl Steps<'_> {
    fn print(&self, step: &str, detail: &str) {
        let good = anstyle::AnsiColor::Green.on_default().bold();
        let label = format!("{good}{step:>11}{good:#}  ");
        if self.as_messages {
            self.output.message(&format!("{label}{detail}"));
        } else {
            self.output.report(&self.output.layout().labelled(&label, detail));
        }
    }
}

/// How to connect to the database.
enum Connect {
    /// To the database that was given, which is shown without its password.
    Given(String),
    /// To the embedded server, by this URL.
    Embedded(String),
}

/// The database that is named, or the embedded one, and how to connect to it.
async fn resolve(is_given: bool, project: &Project, steps: &Steps<'_>) -> Result<(Database, Connect), Failure> {
    if is_given {
        let database = Database::resolve(project, steps.output)?;
        let target = database.target.to_string();
        steps.print("Database", &target);
        return Ok((database, Connect::Given(target)));
    }
    let server = start_server(project, steps.output)?;
    server.ensure_database(EMBEDDED_DATABASE).await.map_err(Failure::server)?;
    let how = if server.started_here() { "started" } else { "running" };
    steps.print("PostgreSQL", &format!("{how}, data in {}", server.folder().display()));
    let connect = Connect::Embedded(server.url(EMBEDDED_DATABASE));
    Ok((Database::embedded(&server), connect))
}

/// Stops the embedded server.
pub(crate) fn down(project: &Project, output: &Output) -> Result<Exit, Failure> {
    if Server::stop_running(&project.server_folder()?).map_err(Failure::server)? {
        output.message("Stopped PostgreSQL; its data is kept.");
    } else {
        output.message("No embedded PostgreSQL is running.");
    }
    Ok(Exit::Done)
}
