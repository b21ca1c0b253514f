//! `flowsmith bench`

use std::pin::pin;

use flowsmith::report::{bench_json, bench_text};
use flowsmith_core::diagnostic::Code;
use flowsmith_postgres::bench::{Bench, BenchReport, BenchSettings, Progress, Protocol, Scenario};
use futures_util::future::{Either, select};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::args::StatusFormat;
use crate::cli::args::work::{BenchArgs, BenchProtocol, BenchScenario};
use crate::cli::database::{self, subject};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &BenchArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let session = database::open(project, output).await?;
    session.level()?;
    let bench = Bench::open(&session.target, settings(args)).await?;
    if !bench.others().is_empty() {
        let others = bench.others().join(", ");
        output.message(&format!(
            "note: left flows of another benchmark unchanged, which is running or was interrupted: {others}"
        ));
    }
    let measured = measure(&bench, output).await;
    let cleaned = clean(&bench).await;
    let report = match measured {
        Ok(report) => report,
        Err(failure) => {
            // Both errors are reported; the first one decides the exit code.
            if let Err(left_behind) = cleaned {
                output.failure(&left_behind);
            }
            return Err(failure);
        }
    };
    output.report(&match args.format {
        StatusFormat::Text => bench_text(&report, &subject(&session), output.layout()),
        StatusFormat::Json => bench_json(&report, &subject(&session)),
    });
    cleaned?;
    Ok(if report.is_complete() { Exit::Done } else { Exit::Failed })
}

fn settings(args: &BenchArgs) -> BenchSettings {
    let asked = |scenario: &Scenario| {
        args.scenario.is_empty() || args.scenario.iter().any(|asked| asked.as_scenario() == *scenario)
    };
    BenchSettings {
        scenarios: Scenario::ALL.into_iter().filter(asked).collect(),
        runs: args.runs as usize,
        workers: args.workers as usize,
        batch: args.batch as usize,
        protocol: args.protocol.as_protocol(),
        repetitions: args.repetitions as usize,
        warm_up: args.warm_up as usize,
    }
}

impl BenchScenario {
    fn as_scenario(self) -> Scenario {
        match self {
            Self::Single => Scenario::Single,
            Self::Chain => Scenario::Chain,
            Self::Fan => Scenario::Fan,
            Self::Map => Scenario::Map,
        }
    }
}

impl BenchProtocol {
    fn as_protocol(self) -> Option<Protocol> {
        match self {
            Self::Single => Some(Protocol::Single),
            Self::Batch => Some(Protocol::Batch),
            Self::Auto => None,
        }
    }
}

/// Runs the benchmark until it is done or a signal stops it.
async fn measure(bench: &Bench, output: &Output) -> Result<BenchReport, Failure> {
    let say = |progress: Progress| {
        let Progress { scenario, repetition, of, counts, rate } = progress;
        let warm_up = if counts { "" } else { ", warm-up" };
        output.message(&format!("{scenario}: repetition {repetition} of {of}{warm_up}: {rate:.0} tasks/s"));
    };
    let mut stop = Stop::listen()?;
    match select(pin!(bench.run(&say)), pin!(stop.wanted())).await {
        Either::Left((report, _)) => Ok(report?),
        Either::Right(_) => Err(Failure::new(
            Exit::Failed,
            Code::BenchInterrupted,
            "the benchmark was stopped",
            "run it again with fewer --runs or --repetitions; its flows are deleted unless another error is reported",
        )),
    }
}

/// Deletes the flows of the benchmark. A second signal stops this too, because it may wait for a lock.
async fn clean(bench: &Bench) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let error = match select(pin!(bench.clean()), pin!(stop.wanted())).await {
        Either::Left((Ok(()), _)) => return Ok(()),
        Either::Left((Err(error), _)) => error.to_string(),
        Either::Right(_) => "stopped during the deletion".to_owned(),
    };
    let prefix = bench.prefix();
    Err(Failure::new(
        Exit::Failed,
        Code::BenchLeftovers,
        format!("flows of the benchmark named {prefix}_… may remain: {error}"),
        "delete these flows with pgflow.delete_flow_and_data(flow_slug), if the engine has it",
    ))
}

/// Ctrl-C or SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    Code::Io,
                    format!("cannot listen for signals: {error}"),
                    "free memory or file descriptors, and try again",
                )
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn wanted(&mut self) {
        select(pin!(self.interrupt.recv()), pin!(self.terminate.recv())).await;
    }
}
