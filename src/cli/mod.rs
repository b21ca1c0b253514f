//! The command line: parses arguments, calls the library, prints the report and chooses the exit code.

mod applied;
mod args;
mod command;
mod command_kind;
mod database;
mod exit;
mod explain;
mod installed;
mod output;
mod project;

use flowsmith_core::diagnostic::Code;
use flowsmith_core::visible::visible;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::process::ExitCode;

use clap::FromArgMatches as _;
use flowsmith_core::migration::Edits;

use args::{Cli, Command, groups};
use exit::{Exit, Failure};
use output::Output;
use project::Project;

/// Runs the command line that this process was given.
pub(crate) fn main() -> ExitCode {
    let parse = |arguments: Vec<OsString>| {
        groups::command().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches))
    };
    let cli = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => {
            // An error quotes arguments, which may be foreign.
            let shown = |argument: OsString| visible(&argument.to_string_lossy()).into_owned().into();
            let error = parse(std::env::args_os().map(shown).collect()).err().unwrap_or(error);
            // clap prints help and version to stdout, and usage errors to stderr.
            return output::parsed(&error).into();
        }
    };
    let output = Output::new(&cli);
    match run(&cli, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

/// The number of descriptors that the runtime takes, which panics if it gets fewer.
const DESCRIPTORS: usize = 6;

/// Fails if the process may not open as many files as the runtime needs.
fn require_descriptors() -> Result<(), Failure> {
    let open: io::Result<Vec<_>> = (0..DESCRIPTORS).map(|_| fs::File::open("/dev/null")).collect();
    match open {
        // Only the number of open files is of interest here.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => Err(Failure::new(
            Exit::Failed,
            Code::Io,
            format!("cannot start: {error}"),
            "raise the limit of open files (`ulimit -n`), and try again",
        )),
        _ => Ok(()),
    }
}

fn run(cli: &Cli, output: &Output) -> Result<Exit, Failure> {
    match &cli.command {
        // These commands work without a project, so they run before its settings are read.
        Command::Init(args) => return command::init::run(args, output),
        Command::Explain { code } => return command::explain::run(code.as_deref(), output),
        Command::Schema => {
            output.report(&format!("{:#}\n", flowsmith_core::definition::json_schema()));
            return Ok(Exit::Done);
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut groups::command(), "flowsmith", &mut script);
            output.report(&String::from_utf8_lossy(&script));
            return Ok(Exit::Done);
        }
        _ => {}
    }
    let edits = if cli.command.allows_edited() { Edits::Accepted } else { Edits::Refused };
    let project = Project::open(&cli.global, edits)?;
    explain::warn_of_edits(&project.files, output);
    if let Command::Check(args) = &cli.command {
        return command::check::run(args, &project, output);
    }
    require_descriptors()?;
    // A single thread is enough because the database does the work. The embedded server also has to end with the thread
    // that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(
            Exit::Failed,
            Code::Io,
            format!("cannot start: {error}"),
            "free memory or file descriptors, and try again",
        )
    })?;
    runtime.block_on(async {
        match &cli.command {
            Command::Compile(args) => command::compile::run(args, &project, output).await,
            Command::Plan(args) => command::plan::run(args, &project, output).await,
            Command::Apply(args) => command::apply::run(args, &project, output).await,
            Command::Drift(args) => command::drift::run(args, &project, output).await,
            Command::Status(args) => command::status::run(args, &project, output).await,
            Command::Pull(args) => command::pull::run(args, &project, output).await,
            Command::Install(args) => command::install::run(args, &project, output).await,
            Command::Doctor(args) => command::doctor::run(args, &project, output).await,
            Command::Graph(args) => command::graph::run(args, &project, output).await,
            Command::Worker(args) => command::worker::run(args, &project, output).await,
            Command::Bench(args) => command::bench::run(args, &project, output).await,
            Command::Start(args) => command::operate::start::run(args, &project, output).await,
            Command::Runs(args) => command::operate::runs::run(args, &project, output).await,
            Command::Show(args) => command::operate::show::run(args, &project, output).await,
            Command::Watch(args) => command::operate::watch::run(args, &project, output).await,
            Command::Queues(args) => command::operate::queues::run(args, &project, output).await,
            Command::Workers(args) => command::operate::workers::run(args, &project, output).await,
            Command::Stalled(args) => command::operate::stalled::run(args, &project, output).await,
            Command::Retry(args) => command::operate::retry::run(args, &project, output).await,
            Command::Cancel(args) => command::operate::cancel::run(args, &project, output).await,
            Command::Pause(args) => command::operate::pause::run(args, true, &project, output).await,
            Command::Resume(args) => command::operate::pause::run(args, false, &project, output).await,
            Command::Prune(args) => command::operate::prune::run(args, &project, output).await,
            Command::Retire(args) => command::operate::retire::run(args, &project, output).await,
            Command::Stats(args) => command::operate::stats::run(args, &project, output).await,
            Command::Up(args) => command::up::run(args, &project, output).await,
            Command::Down => command::up::down(&project, output),
            Command::Init(_)
            | Command::Explain { .. }
            | Command::Schema
            | Command::Completions { .. }
            | Command::Check(_) => Ok(Exit::Done),
        }
    })
}
