//! `flowsmith worker`

mod log;

use flowsmith_core::diagnostic::Code;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use flowsmith::graph;
use flowsmith::report::findings;
use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_core::check::Checked;
use flowsmith_core::finding::Finding;
use flowsmith_core::project::accept as refuse_errors;
use flowsmith_postgres::database::Pauses;
use flowsmith_postgres::introspection::{LiveShape, read_snapshot};
use flowsmith_postgres::session::Session;
use flowsmith_worker::triggers::runner::{self, Starter};
use flowsmith_worker::{Builder, Worker, WorkerError, mismatches};
use futures_util::future::{FutureExt as _, join, select};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::log::{Log, stamped};
use crate::cli::args::work::WorkerArgs;
use crate::cli::database::Database;
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::{warnings, with_findings};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &WorkerArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let place = Database::resolve(project, output)?;
    let checked = project.files.check_files(&[])?;
    let flows = choose(accept(checked, args, project, output)?, args, output)?;
    let Ready { worker, starter } = patiently(&place, &flows, args, output).await?;

    let (stop, give_up) = signals()?;
    let (stop, give_up) = (stop.shared(), give_up.shared());
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let working = async {
        let worked = match worker {
            Some(worker) => worker.run_until(stop.clone(), give_up.clone()).await,
            None => {
                stop.clone().await;
                Ok(())
            }
        };
        // A worker that somebody has deprecated ends without a signal, and the starter with it.
        drop(ended);
        worked
    };
    let starting = async {
        if let Some(starter) = starter {
            starter.run_until(async { _ = select(stop.clone(), end).await }, give_up.clone()).await;
        }
    };
    join(working, starting).await.0?;
    Ok(Exit::Done)
}

/// What is to run, held against its database.
struct Ready<S> {
    worker: Option<Worker>,
    starter: Option<S>,
}

/// Makes it ready, again and again while the server is away, as after a restart of the machine that both are on. Anything else
/// that is wrong ends it at once.
async fn patiently(
    place: &Database,
    flows: &[Arc<Flow>],
    args: &WorkerArgs,
    output: &Output,
) -> Result<Ready<Starter<impl Fn(&runner::Event) + use<>>>, Failure> {
    let until = Instant::now() + args.wait_for_server;
    let mut pauses = Pauses::default();
    loop {
        match ready(place, flows, args, output).await {
            // No server there, or none that answers yet.
            Err(failure)
                if matches!(failure.code, Some(Code::DatabaseUnreachable | Code::ConnectionLost))
                    && Instant::now() < until =>
            {
                let left = until.saturating_duration_since(Instant::now());
                let pause = pauses.failed().min(left);
                let line = format!(
                    "{}; retrying in {:.1} s, giving up in {:.0} s",
                    failure.message,
                    pause.as_secs_f32(),
                    left.as_secs_f32()
                );
                output.log(&stamped(&line));
                tokio::time::sleep(pause).await;
            }
            result => return result,
        }
    }
}

async fn ready(
    place: &Database,
    flows: &[Arc<Flow>],
    args: &WorkerArgs,
    output: &Output,
) -> Result<Ready<Starter<impl Fn(&runner::Event) + use<>>>, Failure> {
    let mut session = place.open().await?;
    session.level()?;
    let worker = if flows.is_empty() {
        None
    } else {
        let builder = flows.iter().try_fold(builder(args, output), |builder, flow| {
            builder.declared(flow, &|name| std::env::var(name).ok())
        })?;
        // Before the comparison: what is not there at all is said in a better way.
        Some(builder.connect(&place.target).await?)
    };
    compare(&mut session, flows, args, output).await?;
    let starter = if args.schedule { Some(starter(&session, place, args, output).await?) } else { None };
    Ok(Ready { worker, starter })
}

/// What starts runs, connected.
async fn starter(
    session: &Session,
    place: &Database,
    args: &WorkerArgs,
    output: &Output,
) -> Result<Starter<impl Fn(&runner::Event) + use<>>, Failure> {
    if session.detection.may_read_triggers.is_none() {
        return Err(Failure::new(
            Exit::Failed,
            Code::TriggersUnsupported,
            format!("{} does not support triggers: its schema flowsmith is missing or outdated", session.database),
            "run `flowsmith install` to install or upgrade the schema",
        ));
    }
    let output = output.clone();
    let observe = move |event: &runner::Event| output.log(&stamped(event));
    Ok(Starter::connect(&place.target, args.poll_interval, observe).await?)
}

fn builder(args: &WorkerArgs, output: &Output) -> Builder {
    let mut builder = Worker::builder()
        .name(&args.name)
        .concurrency(args.concurrency as usize)
        .batch(args.batch as usize)
        .connections(args.connections as usize)
        .sql_connections(args.sql_connections as usize)
        .poll_interval(args.poll_interval);
    if let Some(timeout) = args.shutdown_timeout {
        builder = builder.shutdown_timeout(timeout);
    }
    if let Some(address) = &args.metrics {
        builder = builder.metrics(address);
    }
    let log = Log::new(output.clone());
    builder.observe(move |event| log.tell(event))
}

/// Files with errors are in the way of everything, unless flows are named and all of them are in other files.
fn accept(checked: Checked, args: &WorkerArgs, project: &Project, output: &Output) -> Result<Catalog, Failure> {
    let is_about_a_file = |finding: &Finding| finding.code != Code::UnknownEnvironment;
    let are_elsewhere = !args.names.is_empty()
        && checked.findings.iter().filter(|finding| finding.is_error()).all(is_about_a_file)
        && args.names.iter().all(|name| checked.catalog.iter().any(|(slug, flow)| is_named(name, slug, flow)));
    if !(checked.has_errors() && are_elsewhere) {
        let checked = refuse_errors(checked).map_err(|error| with_findings(error, &project.files, output))?;
        warnings(&checked, &project.files, output);
        return Ok(checked.catalog);
    }
    let text = findings::text(&findings::Report::new(&checked, &project.files.sources()), true);
    output.message(text.trim_end());
    output.log(&stamped(&"the flows of files with errors are skipped; no requested flow is among them"));
    Ok(checked.catalog)
}

fn is_named(name: &str, slug: &str, flow: &Flow) -> bool {
    slug == name || flow.id.slug == name || flow.id.to_string() == name
}

/// The flows that are named; without names, those that have handlers, which can be none where runs are to be started.
fn choose(catalog: Catalog, args: &WorkerArgs, output: &Output) -> Result<Vec<Arc<Flow>>, Failure> {
    if args.names.is_empty() {
        let all = catalog.iter().map(|(_, flow)| flow);
        let (with, without): (Vec<_>, Vec<_>) = all.cloned().partition(|flow| !flow.annotations.handlers.is_empty());
        if with.is_empty() && !args.schedule {
            let why = "no flow file declares a handler".to_owned();
            return Err(WorkerError::Nothing { why }.into());
        }
        for flow in without {
            output.log(&stamped(&format!("{}: left to other workers, because it declares no handler", flow.id)));
        }
        return Ok(with);
    }
    let mut chosen = Vec::new();
    let mut seen = BTreeSet::new();
    for name in &args.names {
        let found: Vec<_> = catalog.iter().filter(|(slug, flow)| is_named(name, slug, flow)).collect();
        if found.is_empty() {
            graph::choose(&catalog, name, "the flow files")?;
        }
        chosen.extend(
            found.into_iter().filter(|(slug, _)| seen.insert((*slug).to_owned())).map(|(_, flow)| Arc::clone(flow)),
        );
    }
    Ok(chosen)
}

/// Refuses to work on flows that are not what the files say, unless told otherwise.
async fn compare(
    session: &mut Session,
    flows: &[Arc<Flow>],
    args: &WorkerArgs,
    output: &Output,
) -> Result<(), Failure> {
    // A worker's role may not read the ledger, and need not.
    let shape = LiveShape { ledger: false, triggers: false, ..session.shape()? };
    let live = read_snapshot(&mut session.connection, shape).await?;
    let differences = mismatches(flows, &live);
    if !differences.is_empty() && !args.accept_drift {
        return Err(WorkerError::Mismatch { differences }.into());
    }
    for difference in differences {
        output.log(&stamped(&format!("accepted: {difference}")));
    }
    Ok(())
}

/// The first Ctrl-C or SIGTERM, and the second.
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
    let (first, stop) = tokio::sync::oneshot::channel();
    let (second, give_up) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        for wish in [first, second] {
            select(pin!(interrupt.recv()), pin!(terminate.recv())).await;
            // Fails where nobody waits any more.
            let _ = wish.send(());
        }
    });
    let heard = |wish: tokio::sync::oneshot::Receiver<()>| async move { wish.await.unwrap_or(()) };
    Ok((heard(stop), heard(give_up)))
}
