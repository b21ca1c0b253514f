//! The command line.

pub(crate) mod deploy;
pub(crate) mod graph;
pub(crate) mod groups;
pub(crate) mod operate;
pub(crate) mod work;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Flows as code for PostgreSQL
#[derive(Debug, Parser)]
#[command(name = "flowsmith", max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "Options override environment variables, which override flowsmith.toml.\n\
Exit codes: 0 success · 1 failure · 2 changes pending · 3 drift · 4 invalid\n\
definitions · 5 refused by a safety guard · 64 usage error · 141 broken pipe";

/// The options of every command. The help of each command lists them all, so each help text fits on one line of 80 columns.
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
    // `project` reads the variable, because the database of `--env` takes precedence over it.
    /// Database URL, postgres://… [env: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Environment to use [env: FLOWSMITH_ENV]
    #[arg(long = "env", global = true, value_name = "NAME", env = "FLOWSMITH_ENV", hide_env = true)]
    pub(crate) environment: Option<String>,
    /// 0.7.2, 0.8.1, 0.14 or auto [env: FLOWSMITH_ENGINE]
    #[arg(long, global = true, value_name = "LEVEL", env = "FLOWSMITH_ENGINE", hide_env = true)]
    pub(crate) engine: Option<String>,
    /// PostgreSQL bin folder [env: FLOWSMITH_POSTGRES_BIN]
    #[arg(long, global = true, value_name = "DIR", env = "FLOWSMITH_POSTGRES_BIN", hide_env = true)]
    pub(crate) postgres_bin: Option<PathBuf>,
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more detail
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// auto (default; honours NO_COLOR), always or never
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

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// The commands. [`groups`] orders them for `flowsmith --help`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up a project: settings, a flow, a CI workflow, a Git hook
    Init(deploy::InitArgs),
    /// Check, compile, install and apply, on an embedded PostgreSQL
    Up(deploy::UpArgs),
    /// Stop the embedded PostgreSQL and keep its data
    Down,
    /// Check flow files, without a database
    Check(deploy::CheckArgs),
    /// Write a migration for changed flow files, without a database
    Compile(deploy::CompileArgs),
    /// Compare the flow files with a database
    Plan(deploy::PlanArgs),
    /// Apply the pending migrations to a database
    Apply(deploy::ApplyArgs),
    /// Compare a database with the migrations applied to it
    Drift(deploy::ReportArgs),
    /// List migrations, applied and pending
    Status(deploy::StatusArgs),
    /// Write flow files and a baseline migration from a database
    Pull(deploy::PullArgs),
    /// Install or upgrade the engine and the ledger
    Install(deploy::InstallArgs),
    /// Audit a database and test its engine
    Doctor(deploy::DoctorArgs),
    /// Draw a flow or a run as SVG, HTML, Mermaid or DOT
    Graph(graph::GraphArgs),
    /// Run the handlers that flow files declare
    Worker(work::WorkerArgs),
    /// Benchmark the engine of a database with temporary flows
    Bench(work::BenchArgs),
    /// Start a run of a flow
    Start(operate::StartArgs),
    /// List runs, the most recently changed first
    #[command(after_help = operate::TIMED)]
    Runs(operate::RunsArgs),
    /// Show a run: steps, tasks, errors, inputs and outputs
    #[command(after_help = operate::TIMED)]
    Show(operate::ShowArgs),
    /// Follow a run until it ends
    Watch(operate::WatchArgs),
    /// Show waiting messages and running tasks per flow
    #[command(after_help = operate::COUNTED)]
    Queues(operate::QueuesArgs),
    /// List workers and the age of their heartbeats
    Workers(operate::WorkersArgs),
    /// List stalled tasks with their causes and remedies
    Stalled(operate::StalledArgs),
    /// Retry a failed or cancelled run from its failed steps
    Retry(operate::RetryArgs),
    /// Cancel a run
    Cancel(operate::CancelArgs),
    /// Pause a flow: start no more of its tasks
    Pause(operate::PauseArgs),
    /// Resume a paused flow
    Resume(operate::PauseArgs),
    /// Delete runs that ended long ago
    Prune(operate::PruneArgs),
    /// List superseded versions, or delete drained ones
    Retire(operate::RetireArgs),
    /// Show run counts, durations and backlog per flow
    #[command(after_help = operate::MEASURED)]
    Stats(operate::StatsArgs),
    /// Print the documentation of a code such as FS301
    Explain {
        /// Code in brackets after `error` [default: list all codes]
        code: Option<String>,
    },
    /// Print the JSON Schema of flow files
    Schema,
    /// Print a shell completion script
    Completions {
        /// Shell to write the script for
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
