//! The command line.

pub(crate) mod deploy;
pub(crate) mod graph;
pub(crate) mod operate;
pub(crate) mod work;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Flows as code for PostgreSQL
#[derive(Debug, Parser)]
#[command(name = "flowsmith", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "Settings come from flowsmith.toml, then the environment, then flags.\n\
Exit codes: 0 in sync, done · 1 could not do it · 2 changes pending · 3 drift ·\n\
            4 invalid definitions · 5 refused by a safety guard · 64 usage ·\n\
            141 nobody read the report.";

/// What every command takes. Each fits on one line of 80 columns, since each command's help shows them all.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Global {
    /// Settings file [env: FLOWSMITH_CONFIG]
    #[arg(long, global = true, value_name = "FILE", env = "FLOWSMITH_CONFIG", hide_env = true)]
    pub(crate) config: Option<PathBuf>,
    /// Folder of flow files [env: FLOWSMITH_FLOWS]
    #[arg(long, global = true, value_name = "DIR", env = "FLOWSMITH_FLOWS", hide_env = true)]
    pub(crate) flows: Option<PathBuf>,
    /// Folder of migrations [env: FLOWSMITH_MIGRATIONS]
    #[arg(long, global = true, value_name = "DIR", env = "FLOWSMITH_MIGRATIONS", hide_env = true)]
    pub(crate) migrations: Option<PathBuf>,
    // The variable is read in `project`: the database of `--env` comes before it.
    /// Database, postgres://… [env: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Environment to deploy to [env: FLOWSMITH_ENV]
    #[arg(long = "env", global = true, value_name = "NAME", env = "FLOWSMITH_ENV", hide_env = true)]
    pub(crate) environment: Option<String>,
    /// 0.7.2, 0.8.1, 0.14, auto [env: FLOWSMITH_ENGINE]
    #[arg(long, global = true, value_name = "LEVEL", env = "FLOWSMITH_ENGINE", hide_env = true)]
    pub(crate) engine: Option<String>,
    /// PostgreSQL's programs [env: FLOWSMITH_POSTGRES_BIN]
    #[arg(long, global = true, value_name = "DIR", env = "FLOWSMITH_POSTGRES_BIN", hide_env = true)]
    pub(crate) postgres_bin: Option<PathBuf>,
    /// Print results only, no messages
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print also what is done on the way
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// auto (the default; honours NO_COLOR), always, never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(crate) color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up a project: settings, a flow, a CI workflow, a hook
    Init(deploy::InitArgs),
    /// Check, compile, install and apply; brings its own PostgreSQL
    Up(deploy::UpArgs),
    /// Stop the PostgreSQL that `up` left running; its data stays
    Down,
    /// Check flow files, offline
    Check(deploy::CheckArgs),
    /// Write a migration for what changed in the flow files, offline
    Compile(deploy::CompileArgs),
    /// Show what the flow files would change in the database
    Plan(deploy::PlanArgs),
    /// Run the pending migrations
    Apply(deploy::ApplyArgs),
    /// Show what was changed in the database behind git's back
    Drift(deploy::ReportArgs),
    /// Show which migrations ran in the database
    Status(deploy::StatusArgs),
    /// Adopt a database: write its flows as files, record them
    Pull(deploy::PullArgs),
    /// Install or upgrade the workflow engine
    Install(deploy::InstallArgs),
    /// Audit the database: server, engine, rights, a self-test
    Doctor(deploy::DoctorArgs),
    /// Draw a flow, or how a run of it stands
    Graph(graph::GraphArgs),
    /// Do the tasks of flows, with the handlers that their files declare
    Worker(work::WorkerArgs),
    /// Measure what the engine does: a benchmark that cleans up
    Bench(work::BenchArgs),
    /// Start a run of a flow
    Start(operate::StartArgs),
    /// List runs: what happened last comes first
    #[command(after_help = operate::TIMED)]
    Runs(operate::RunsArgs),
    /// Show one run: steps, tasks, errors, inputs and outputs
    #[command(after_help = operate::TIMED)]
    Show(operate::ShowArgs),
    /// Follow a run to its end
    Watch(operate::WatchArgs),
    /// Show what waits in queues, and what is in flight
    #[command(after_help = operate::COUNTED)]
    Queues(operate::QueuesArgs),
    /// List workers, and which have gone silent
    Workers(operate::WorkersArgs),
    /// Find tasks that do not move: why, and what to do
    Stalled(operate::StalledArgs),
    /// Retry a failed run, from its failed steps on
    Retry(operate::RetryArgs),
    /// End a run that is under way
    Cancel(operate::CancelArgs),
    /// Hold the tasks of a flow back
    Pause(operate::PauseArgs),
    /// Let the tasks of a paused flow go
    Resume(operate::PauseArgs),
    /// Delete runs that have been over for long
    Prune(operate::PruneArgs),
    /// List old versions of flows; delete those that are drained
    Retire(operate::RetireArgs),
    /// Show by flow how many runs, how long they take, the backlog
    #[command(after_help = operate::MEASURED)]
    Stats(operate::StatsArgs),
    /// Print the page about a code, such as FS301; without one, all
    Explain {
        /// The code, as printed in brackets behind `error`
        code: Option<String>,
    },
    /// Print the JSON Schema of flow files
    Schema,
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    Text,
    Json,
}

/// The same notation as in flow files, but never 0, which would mean "no limit" to PostgreSQL.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(format!("unknown unit `{other}`: use ms, s, m or h")),
    };
    let count: u64 = digits.parse().map_err(|_| "write a number and a unit, such as 10s".to_owned())?;
    match count.checked_mul(unit) {
        Some(millis) if (1..=i32::MAX as u64).contains(&millis) => Ok(Duration::from_millis(millis)),
        _ => Err("from 1ms to 24 days".to_owned()),
    }
}

/// The same, or 0.
fn duration_or_zero(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { duration(text) }
}
