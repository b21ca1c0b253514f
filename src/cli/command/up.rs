//! `flowsmith up` and `flowsmith down`

use flowsmith_core::diagnostic::Code;
use flowsmith_core::migration::{Folder, compile, replay};
use flowsmith_core::words::counted;
use flowsmith_devserver::Server;
use flowsmith_postgres::apply::ApplySettings;
use flowsmith_postgres::engine::install::{EngineAction, InputStyle, install};

use crate::cli::args::road::UpArgs;
use crate::cli::command::{apply, check, compile as compile_command, install as install_command};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::{self, Place};

pub(crate) async fn run(args: &UpArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    // Before anything is written.
    let is_given = project.database()?.is_some();
    if args.url && is_given {
        return Err(Failure::usage(
            "--url prints the URL of the embedded database, but another database is given",
            "omit --url",
        ));
    }
    let step = |what: &str, detail: &str| step(output, args.url, what, detail);
    let checked = check::or_refuse(project, output)?;
    let flows = counted(checked.catalog.len(), "flow");
    step("Checked", &format!("{flows} with {} in {}", counted(checked.steps, "step"), counted(checked.files, "file")));

    let mut folder = Folder::read(&project.migrations)?;
    if !args.no_compile {
        folder.finish()?;
    }
    let mut settings = compile_command::settings(&folder, None);
    settings.files = compile_command::files(&checked);
    let compiled = compile(&replay(folder.migrations())?, checked.catalog, &settings)?;
    if compiled.changes.is_empty() {
        step("Compiled", "nothing to compile, the migrations are up to date");
    } else if args.no_compile {
        return Err(Failure::new(
            Exit::Pending,
            Code::MigrationsBehind,
            "the migrations are behind the flow files",
            "run `flowsmith compile` and commit the migration",
        ));
    } else {
        let names: Vec<String> =
            compiled.migrations.iter().map(flowsmith_core::migration::Migration::file_name).collect();
        folder.add(compiled.migrations)?;
        step("Compiled", &names.join(", "));
    }

    let (place, connect) = place(project, step, output).await?;
    let report = install(place.target.options(), InputStyle::default()).await?;
    step("Engine", &install_command::words(&report));

    let apply_settings = ApplySettings { ignore: project.ignore.clone(), ..ApplySettings::default() };
    let say = |id: &str, took| step("Applied", &format!("{id} in {}", apply::time(took)));
    let applied = apply::pending(&place, &folder, &apply_settings, output, say).await?;
    let changed = !applied.migrations.is_empty() || !matches!(report.engine, EngineAction::UpToDate(_));
    let state = if changed { "In sync now" } else { "In sync" };
    step(state, &format!("the database matches the flow files ({flows})"));
    output.prose(&match connect {
        Connect::Given(target) => format!("\nConnect: {target}\n"),
        Connect::Embedded(url) if args.url => format!("{url}\n"),
        Connect::Embedded(url) => format!("\nConnect: psql '{url}'\nStop it: flowsmith down\n"),
    });
    Ok(Exit::Done)
}

/// One line of the report, or a message if the report is the URL.
fn step(output: &Output, as_message: bool, what: &str, detail: &str) {
    let good = anstyle::AnsiColor::Green.on_default().bold();
    let label = format!("{good}{what:>11}{good:#}  ");
    if as_message {
        output.message(&format!("{label}{detail}"));
    } else {
        output.report(&output.layout().labelled(&label, detail));
    }
}

/// How the user connects.
enum Connect {
    /// The given database; shown without its password.
    Given(String),
    /// The embedded database by URL.
    Embedded(String),
}

/// The given database or the embedded one, and how the user connects to it.
async fn place(project: &Project, step: impl Fn(&str, &str), output: &Output) -> Result<(Place, Connect), Failure> {
    if project.database()?.is_some() {
        let place = Place::find(project, output)?;
        let target = place.target.to_string();
        step("Database", &target);
        return Ok((place, Connect::Given(target)));
    }
    let server = session::start(project, output)?;
    server.ensure_database(session::EMBEDDED_DATABASE).await.map_err(Failure::server)?;
    let how = if server.started_here() { "started" } else { "running" };
    step("PostgreSQL", &format!("{how}, data in {}", server.folder().display()));
    let connect = Connect::Embedded(server.url(session::EMBEDDED_DATABASE));
    Ok((Place::embedded(&server), connect))
}

/// Stops the embedded server.
pub(crate) fn down(project: &Project, output: &Output) -> Result<Exit, Failure> {
    if Server::stop_running(project.server_folder()).map_err(Failure::server)? {
        output.message("Stopped PostgreSQL; its data is kept.");
    } else {
        output.message("No embedded PostgreSQL is running.");
    }
    Ok(Exit::Done)
}
