//! The command line.

pub(crate) mod operate;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use flowsmith::catalog::FlowId;
use flowsmith::engine::roles::RolePrefix;
use flowsmith::migration::Version;
use flowsmith::operate::RunPrefix;

/// Flows as code for PostgreSQL
#[derive(Debug, Parser)]
#[command(name = "flowsmith", version, max_term_width = 100, after_help = AFTER_HELP, disable_help_subcommand = true)]
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
    Init(InitArgs),
    /// Check, compile, install and apply; brings its own PostgreSQL
    Up(UpArgs),
    /// Stop the PostgreSQL that `up` left running; its data stays
    Down,
    /// Check flow files, offline
    Check(CheckArgs),
    /// Write a migration for what changed in the flow files, offline
    Compile(CompileArgs),
    /// Show what the flow files would change in the database
    Plan(PlanArgs),
    /// Run the pending migrations
    Apply(ApplyArgs),
    /// Show what was changed in the database behind git's back
    Drift(ReportArgs),
    /// Show which migrations ran in the database
    Status(StatusArgs),
    /// Adopt a database: write its flows as files, record them
    Pull(PullArgs),
    /// Install or upgrade the workflow engine
    Install(InstallArgs),
    /// Audit the database: server, engine, rights, a self-test
    Doctor(DoctorArgs),
    /// Draw a flow, or how a run of it stands
    Graph(GraphArgs),
    /// Do the tasks of flows, with the handlers that their files declare
    Worker(WorkerArgs),
    /// Measure what the engine does: a benchmark that cleans up
    Bench(BenchArgs),
    /// Start a run of a flow
    Start(operate::StartArgs),
    /// List runs: what happened last comes first
    Runs(operate::RunsArgs),
    /// Show one run: steps, tasks, errors, inputs and outputs
    Show(operate::ShowArgs),
    /// Follow a run to its end
    Watch(operate::WatchArgs),
    /// Show what waits in queues, and what is in flight
    Queues(operate::QueuesArgs),
    /// List workers, and which have gone silent
    Workers(operate::WorkersArgs),
    /// Find tasks that do not move: why, and what to do
    Stalled(operate::StalledArgs),
    /// Take a failed run up again, from its failed steps on
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

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Folder to set up
    #[arg(default_value = ".")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Check only these; rules across files still look at all
    pub(crate) files: Vec<PathBuf>,
    /// text (the default), json, github, sarif
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: CheckFormat,
    /// Treat warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    Text,
    Json,
    Github,
    Sarif,
}

#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// Write nothing; exit with 2 where there is something to write
    #[arg(long, conflicts_with_all = ["rehash", "from_live"])]
    pub(crate) check: bool,
    /// Name of the migration [default: from its changes]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// YYYYMMDDHHMMSS [default: now] [env: FLOWSMITH_TIMESTAMP]
    #[arg(long, value_name = "UTC", env = "FLOWSMITH_TIMESTAMP", hide_env = true)]
    pub(crate) timestamp: Option<Version>,
    /// Delete a flow version that left the files, runs included
    #[arg(long, value_name = "SLUG@VERSION", value_parser = flow_id)]
    pub(crate) delete: Vec<FlowId>,
    /// Start from the live database: undoes drift
    #[arg(long)]
    pub(crate) from_live: bool,
    /// Only write flowsmith.sum anew, as after a merge
    #[arg(long, conflicts_with_all = ["name", "timestamp", "delete", "from_live"])]
    pub(crate) rehash: bool,
}

fn flow_id(text: &str) -> Result<FlowId, String> {
    let (slug, version) = text.split_once('@').unwrap_or((text, "1"));
    match version.parse() {
        Ok(version) if version >= 1 && !slug.is_empty() => Ok(FlowId::new(slug, version)),
        _ => Err("name it as SLUG@VERSION, such as order@2".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// text (the default), json, markdown, html
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: PlanFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    Text,
    Json,
    Markdown,
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Flow: order, its highest version; order@1; not needed with --run
    #[arg(value_name = "FLOW", required_unless_present = "run")]
    pub(crate) flow: Option<String>,
    /// svg, mermaid, dot, html [default: by the ending of --output, else svg]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) format: Option<GraphFormat>,
    /// files (the default), migrations, live: whose definition
    #[arg(
        long,
        value_name = "SIDE",
        default_value = "files",
        hide_default_value = true,
        hide_possible_values = true,
        conflicts_with = "run"
    )]
    pub(crate) from: GraphSide,
    /// Draw how this run stands: its id, or the beginning of it
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<RunPrefix>,
    /// Write to this file instead of stdout: .svg, .html, .mmd, .dot
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    Svg,
    Mermaid,
    Dot,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphSide {
    Files,
    Migrations,
    Live,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// text (the default), json, markdown
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Go on where the database has drifted
    #[arg(long)]
    pub(crate) accept_drift: bool,
    /// Also run what is older than the newest that ran
    #[arg(long)]
    pub(crate) out_of_order: bool,
    /// Longest wait for a lock
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) lock_timeout: Duration,
    /// Longest time for one migration
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) statement_timeout: Duration,
}

/// A host and a port. Whether there is such a host shows when it is used.
fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("write a host and a port, such as 127.0.0.1:9187".to_owned()),
    }
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

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Replace flow files that differ
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Write flow files only: no migration, nothing recorded
    #[arg(long)]
    pub(crate) files_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Print the SQL instead of running it
    #[arg(long)]
    pub(crate) print: bool,
    /// Also make or update roles for deployers, workers, starters
    #[arg(long)]
    pub(crate) grants: bool,
    /// What the roles' names begin with
    #[arg(long, value_name = "PREFIX", default_value = "flowsmith", requires = "grants", value_parser = RolePrefix::new)]
    pub(crate) role_prefix: RolePrefix,
    /// Input of tasks: separate (as 0.14, the default) or merged (as 0.8)
    #[arg(long, value_name = "STYLE", hide_possible_values = true)]
    pub(crate) input_style: Option<InputStyle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputStyle {
    Separate,
    Merged,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Write no migration; fail where one is needed
    #[arg(long)]
    pub(crate) no_compile: bool,
    /// Print only the embedded database's URL, as for psql
    #[arg(long)]
    pub(crate) url: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Flows by name or as SLUG@VERSION [default: all with handlers]
    #[arg(value_name = "FLOW")]
    pub(crate) names: Vec<String>,
    /// Tasks that are done at once
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: u32,
    /// Tasks that one call takes at most
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: u32,
    /// Connections that take and complete tasks
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) connections: u32,
    /// Connections for `sql` handlers, made when needed
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) sql_connections: u32,
    /// Longest time between looks where notifications do not come
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub(crate) poll_interval: Duration,
    /// How long tasks may go on after SIGTERM [default: their timeout]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) patience: Option<Duration>,
    /// How long to wait at the start for a server that is away
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration_or_zero)]
    pub(crate) wait_for_server: Duration,
    /// Also start runs: schedules without pg_cron, events of queues
    #[arg(long)]
    pub(crate) schedule: bool,
    /// Name in pgflow.workers
    #[arg(long, default_value = "flowsmith")]
    pub(crate) name: String,
    /// Serve /metrics, for Prometheus, and /healthz: 127.0.0.1:9187
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) metrics: Option<String>,
    /// Work although the files are not what the database holds
    #[arg(long)]
    pub(crate) accept_drift: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// single, chain, fan, map; repeatable [default: all]
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(crate) scenario: Vec<BenchScenario>,
    /// Runs of each repetition
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) runs: u32,
    /// Connections that start runs and process tasks
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) workers: u32,
    /// Messages that a worker takes at once
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: u32,
    /// single (calls of pgflow), batch (flowsmith's), auto (the default)
    #[arg(long, value_name = "NAME", default_value = "auto", hide_default_value = true, hide_possible_values = true)]
    pub(crate) protocol: BenchProtocol,
    /// How often each scenario is measured
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) repetitions: u32,
    /// Repetitions before these, which do not count
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) warm_up: u32,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchScenario {
    Single,
    Chain,
    Fan,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchProtocol {
    Single,
    Batch,
    Auto,
}
