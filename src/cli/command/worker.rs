//! `flowsmith worker`

mod log;

use std::pin::pin;

use flowsmith::report::findings;
use flowsmith_core::catalog::Catalog;
use flowsmith_core::check::Checked;
use flowsmith_core::diagnostic::Code;
use flowsmith_core::project::accept as refuse_errors;
use flowsmith_worker::{Service, ServiceOptions, requests_only_valid_flows, secrets_of};
use futures_util::future::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use self::log::Log;
use crate::cli::args::work::WorkerArgs;
use crate::cli::database::Database;
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::{warnings, with_findings};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &WorkerArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let database = Database::resolve(project, output)?;
    let checked = project.files.check_files(&[])?;
    let mut secrets = secrets_of(std::env::vars_os());
    secrets.extend(database.target.secrets());
    let log = Log::new(output.clone(), secrets.clone());
    let catalog = accept(checked, args, project, output, &log)?;
    let mut options = options(args);
    options.secrets = secrets;
    let service = Service::start(&database.target, &catalog, &options, move |event| log.record(event)).await?;
    let (stop, cancel) = signals()?;
    service.run(stop, cancel).await?;
    Ok(Exit::Done)
}

fn options(args: &WorkerArgs) -> ServiceOptions {
    let mut options = ServiceOptions::default();
    options.flows.clone_from(&args.names);
    options.name.clone_from(&args.name);
    options.concurrency = args.concurrency as usize;
    options.batch = args.batch as usize;
    options.connections = args.connections as usize;
    options.sql_connections = args.sql_connections as usize;
    options.poll_interval = args.poll_interval;
    options.shutdown_timeout = args.shutdown_timeout;
    options.metrics.clone_from(&args.metrics);
    options.triggers = args.schedule;
    options.wait_for_server = args.wait_for_server;
    options.accept_drift = args.accept_drift;
    options
}

/// Reports the findings of the check. Errors are tolerated in files without requested flows.
fn accept(
    checked: Checked,
    args: &WorkerArgs,
    project: &Project,
    output: &Output,
    log: &Log,
) -> Result<Catalog, Failure> {
    if !(checked.has_errors() && requests_only_valid_flows(&checked, &args.names)) {
        let checked = refuse_errors(checked).map_err(|error| with_findings(error, &project.files, output))?;
        warnings(&checked, &project.files, output);
        return Ok(checked.catalog);
    }
    let text = findings::text(&findings::Report::new(&checked, &project.files.sources()), true);
    output.findings(&text);
    log.line(&"the flows of files with errors are skipped; no requested flow is among them");
    Ok(checked.catalog)
}

/// Futures that resolve at the first and at the second SIGINT or SIGTERM.
fn signals() -> Result<(impl Future<Output = ()>, impl Future<Output = ()>), Failure> {
    let listen = |kind| -> Result<Signal, Failure> {
        signal(kind).map_err(|error| {
            Failure::new(
                Exit::Failed,
                Code::Io,
                format!("cannot listen for signals: {error}"),
                "free memory or file descriptors, and try again",
            )
        })
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (first, stop) = oneshot::channel();
    let (second, cancel) = oneshot::channel();
    tokio::spawn(async move {
        for signal in [first, second] {
            select(pin!(interrupt.recv()), pin!(terminate.recv())).await;
            // Fails if the service has already ended.
            let _ = signal.send(());
        }
    });
    let received = |signal: oneshot::Receiver<()>| async move { signal.await.unwrap_or(()) };
    Ok((received(stop), received(cancel)))
}
